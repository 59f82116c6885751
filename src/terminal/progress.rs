//! How waits are shown: the link, a lease, files on their way. A state machine: what happens ([`Event`]) and the time go in, text comes out.
//!
//! A wait of less than half a second is not shown at all. What is shown of a longer one depends on who is there ([`Manner`]):
//!
//! * a terminal that obeys cursor movements gets a bar for every file, drawn again in place four times a second at most. Between two
//!   calls the cursor stands at the beginning of the first of these rows, so a line that somebody else prints goes over a bar, which is
//!   drawn again below it, and never the other way round;
//! * a terminal that does not gets a line for every tenth of a file, and for a wait of which nobody knows the end one after 1 s, 2 s, 4 s …;
//! * a boot that nobody watches gets a few words for what takes long, at doubled times too, because it may print 1,500 bytes in all.
//!
//! Whatever was shown ends in one line: that of the file that has come, or where one was given up.

use super::{Shown, clipped, shown, wrap};
use crate::net::fetch::{Event, Progress, Rate, Waiting};
use crate::time::{Duration, Instant};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Waits shorter than this are not shown.
const SHORT: Duration = Duration::from_millis(500);

/// Time between two drawings of the same bars.
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(250);

/// When a wait without a known end has its first line; each next line takes twice as long.
const FIRST_LINE: Duration = Duration::from_secs(1);

/// The same where nobody watches: a link takes 3 s to come up, a careful DHCP server as long to answer.
const FIRST_UNWATCHED: Duration = Duration::from_secs(4);

/// Files that are shown at once; of more there is a row that counts them. With two rows each they fit on a terminal of 12.
const MOST_BARS: usize = 4;

/// Terminals with fewer columns than this get two rows a file.
const NARROW: u16 = 60;

/// A bar is at most so long, so that it does not look more exact than it is.
const LONGEST_BAR: usize = 24;

/// Columns of a terminal that has not said how many it has.
pub const USUAL_COLUMNS: u16 = 80;

/// Fewer columns are not believed.
const LEAST_COLUMNS: u16 = 20;

/// For whom waits are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// For somebody at a terminal that obeys escape sequences.
    Ansi {
        /// How wide it is.
        columns: u16,
    },
    /// For somebody at any other.
    Plain,
    /// For nobody, as far as is known: for a log.
    Unattended,
}

/// The waits of one job, as they are shown.
#[derive(Debug)]
pub struct Display {
    manner: Manner,
    wait: Option<Wait>,
    files: Vec<File>,
    /// Rows that stand below the cursor, its own included.
    rows: usize,
    drawn: Option<Instant>,
    /// Where nobody watches: so many characters stand there in a line without an end, which what comes goes over.
    unfinished: usize,
}

/// Something of which no share can come.
#[derive(Debug)]
struct Wait {
    what: Waiting,
    limit: Duration,
    since: Instant,
    next: Duration,
    shown: bool,
}

/// A file on its way.
#[derive(Debug)]
struct File {
    /// Its name, without anything that could move a cursor.
    name: String,
    progress: Progress,
    /// When its next line is due, where it has them by time.
    next: Duration,
    /// Tenths of it that have had their line.
    tenths: u8,
    shown: bool,
}

impl File {
    /// Whether it is worth being looked at.
    fn is_long(&self) -> bool {
        self.progress.elapsed >= SHORT
    }
}

impl Display {
    /// Nothing is waited for yet.
    pub fn new(manner: Manner) -> Self {
        Self { manner, wait: None, files: Vec::new(), rows: 0, drawn: None, unfinished: 0 }
    }

    /// Shows it in another manner from now on: somebody has come, or the terminal has said what it is.
    ///
    /// # Errors
    /// Those of `out`, here and below.
    pub fn set_manner(&mut self, manner: Manner, out: &mut dyn fmt::Write) -> fmt::Result {
        if manner == self.manner {
            return Ok(());
        }
        self.clear(out)?;
        self.manner = manner;
        Ok(())
    }

    /// Something happened.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn event(&mut self, now: Instant, event: &Event<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        match *event {
            Event::Waiting { what, limit } => {
                let next = if self.manner == Manner::Unattended { FIRST_UNWATCHED } else { FIRST_LINE };
                self.wait = Some(Wait { what, limit, since: now, next, shown: false });
                Ok(())
            }
            Event::Waited { came } => self.waited(now, came, out),
            Event::Progress { file, progress } => {
                self.progress(file, progress);
                self.tick(now, out)
            }
            Event::Ended { file, came } => match self.take(file) {
                Some(file) if !came => self.stopped(&file, out),
                _ => self.clear(out),
            },
            Event::Again { file, .. } => {
                if let Some(file) = self.find(file) {
                    file.tenths = 0;
                }
                self.line(format_args!("{event}."), out)
            }
            Event::Link(_) => {
                let after = self.after(now, Waiting::Link);
                self.line(format_args!("Ethernet: {event}{after}."), out)
            }
            Event::Lease(_) => {
                let after = self.after(now, Waiting::Lease);
                self.line(format_args!("DHCP: {event}{after}."), out)
            }
            Event::OtherWay(_) => self.line(format_args!("Ethernet: {event}."), out),
        }
    }

    /// Time has passed: draws what is due. To be called as often as one likes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn tick(&mut self, now: Instant, out: &mut dyn fmt::Write) -> fmt::Result {
        match self.manner {
            Manner::Ansi { columns } => {
                if self.drawn.is_some_and(|drawn| now.since(drawn) < BETWEEN_DRAWINGS) {
                    return Ok(());
                }
                let rows = self.rows_at(now, columns.max(LEAST_COLUMNS));
                if rows.is_empty() && self.rows == 0 {
                    return Ok(());
                }
                self.drawn = Some(now);
                self.draw(&rows, out)
            }
            Manner::Plain | Manner::Unattended => self.lines_due(now, out),
        }
    }

    /// The job is over, and so is everything that is still shown.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(&mut self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.wait = None;
        self.clear(out)?;
        for file in core::mem::take(&mut self.files) {
            self.stopped(&file, out)?;
        }
        Ok(())
    }

    fn find(&mut self, name: &str) -> Option<&mut File> {
        self.files.iter_mut().find(|file| file.name.chars().eq(name.chars().map(shown)))
    }

    fn take(&mut self, name: &str) -> Option<File> {
        let index = self.files.iter().position(|file| file.name.chars().eq(name.chars().map(shown)))?;
        Some(self.files.remove(index))
    }

    fn progress(&mut self, name: &str, progress: Progress) {
        match self.find(name) {
            Some(file) => file.progress = progress,
            None => {
                let name = format!("{}", Shown(name));
                self.files.push(File { name, progress, next: FIRST_LINE, tenths: 0, shown: false });
            }
        }
    }

    /// How long was waited for what has come now, where that was long and somebody is there to whom it says something.
    fn after(&self, now: Instant, what: Waiting) -> After {
        let since = self.wait.as_ref().filter(|wait| wait.what == what).map(|wait| now.since(wait.since));
        After(since.filter(|waited| *waited >= SHORT && self.manner != Manner::Unattended))
    }

    fn waited(&mut self, now: Instant, came: bool, out: &mut dyn fmt::Write) -> fmt::Result {
        let Some(wait) = self.wait.take() else { return Ok(()) };
        if !wait.shown {
            return Ok(());
        }
        if let (true, Waiting::Neighbor(address), true) = (came, wait.what, self.manner != Manner::Unattended) {
            let waited = Seconds(now.since(wait.since));
            return self.line(format_args!("Ethernet: {address} answered after {waited}."), out);
        }
        self.clear(out)
    }

    /// Prints a line above everything that is drawn.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn line(&mut self, text: fmt::Arguments<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        self.clear(out)?;
        match self.manner {
            Manner::Ansi { columns } => {
                let width = usize::from(columns.max(LEAST_COLUMNS)) - 1;
                wrap::rows(&format!("{text}"), width).iter().try_for_each(|row| writeln!(out, "{row}"))
            }
            Manner::Plain | Manner::Unattended => writeln!(out, "{text}"),
        }
    }

    fn stopped(&mut self, file: &File, out: &mut dyn fmt::Write) -> fmt::Result {
        if !file.shown || self.manner == Manner::Unattended {
            return self.clear(out);
        }
        let File { name, progress, .. } = file;
        match progress.percent() {
            Some(percent) => self.line(format_args!("{name}: stopped at {percent} %."), out),
            None => self.line(format_args!("{name}: stopped after {} bytes.", progress.received), out),
        }
    }

    /// Leaves the cursor at the beginning of an empty line.
    fn clear(&mut self, out: &mut dyn fmt::Write) -> fmt::Result {
        let unfinished = core::mem::take(&mut self.unfinished);
        if unfinished > 0 {
            write!(out, "\r{:unfinished$}\r", "")?;
        }
        // The next drawing need not wait: nothing is there any more.
        self.drawn = None;
        if core::mem::take(&mut self.rows) > 0 { out.write_str("\r\x1b[J") } else { Ok(()) }
    }

    /// Writes `rows` over those of before and goes back to the first of them.
    fn draw(&mut self, rows: &[String], out: &mut dyn fmt::Write) -> fmt::Result {
        for (index, row) in rows.iter().enumerate() {
            write!(out, "{}{row}\x1b[K", if index == 0 { "\r" } else { "\n" })?;
        }
        if rows.len() < self.rows {
            out.write_str(if rows.is_empty() { "\r\x1b[J" } else { "\n\x1b[J" })?;
        }
        let below = rows.len().saturating_sub(usize::from(rows.len() >= self.rows));
        if below > 0 {
            write!(out, "\x1b[{below}A")?;
        }
        out.write_str("\r")?;
        self.rows = rows.len();
        Ok(())
    }

    /// Everything that is long enough to be shown.
    fn rows_at(&mut self, now: Instant, columns: u16) -> Vec<String> {
        // Nothing is written into the last column: what terminals do then differs.
        let width = usize::from(columns) - 1;
        let mut rows = Vec::new();
        if let Some(wait) = &mut self.wait
            && now.since(wait.since) >= SHORT
        {
            wait.shown = true;
            let (waited, limit) = (Seconds(now.since(wait.since)), wait.limit.as_secs());
            rows.push(clipped(format!("{}, {waited} of {limit}", wait.what), width));
        }
        let mut long = self.files.iter_mut().filter(|file| file.is_long());
        for file in long.by_ref().take(MOST_BARS) {
            file.shown = true;
            file_rows(file, columns, &mut rows);
        }
        let more = long.count();
        if more > 0 {
            rows.push(clipped(format!("and {more} more"), width));
        }
        rows
    }

    /// The lines that are due, for terminals on which nothing can be drawn again.
    fn lines_due(&mut self, now: Instant, out: &mut dyn fmt::Write) -> fmt::Result {
        let unattended = self.manner == Manner::Unattended;
        if let Some(wait) = &mut self.wait
            && now.since(wait.since) >= wait.next
        {
            wait.next = now.since(wait.since) * 2;
            wait.shown = true;
            let (waited, limit) = (Seconds(now.since(wait.since)), wait.limit.as_secs());
            let text = format!("{}, {waited} of {limit}", wait.what);
            self.due(text, out)?;
        }
        let mut due = Vec::new();
        for file in &mut self.files {
            let Progress { elapsed, .. } = file.progress;
            let tenths = file.progress.percent().map(|percent| percent / 10);
            let is_due = match tenths {
                Some(tenths) if !unattended => file.is_long() && tenths > file.tenths && tenths < 10,
                _ => elapsed >= file.next,
            };
            if !is_due {
                continue;
            }
            file.shown = true;
            file.tenths = tenths.unwrap_or(0);
            file.next = elapsed * 2;
            let File { name, progress, .. } = file;
            due.push(match progress.left().filter(|_| !unattended) {
                _ if progress.received == 0 => format!("{name}: {}", NotBegun(elapsed)),
                Some(left) => format!("{name}: {progress}, {} left", Left(left)),
                None => format!("{name}: {progress}"),
            });
        }
        due.into_iter().try_for_each(|text| self.due(text, out))
    }

    /// A line of its own; where nobody watches it goes over the one before, and has no end.
    fn due(&mut self, text: String, out: &mut dyn fmt::Write) -> fmt::Result {
        if self.manner != Manner::Unattended {
            return writeln!(out, "{text}");
        }
        let text = clipped(text, usize::from(USUAL_COLUMNS) - 1);
        let (before, length) = (self.unfinished, text.chars().count());
        self.unfinished = before.max(length);
        write!(out, "\r{text:before$}")
    }
}

/// One file on a terminal of so many columns: name, bar, percent, rate, time left, losses.
fn file_rows(file: &File, columns: u16, rows: &mut Vec<String>) {
    let width = usize::from(columns) - 1;
    let File { name, progress, .. } = file;
    if progress.received == 0 {
        rows.push(clipped(format!("{name}: {}", NotBegun(progress.elapsed)), width));
        return;
    }
    let percent = progress.percent();
    let share = match percent {
        Some(percent) => format!("{percent:>3} %"),
        None => format!("{} KiB", progress.received / 1024),
    };
    let mut details = format!("{:>11}", format!("{}", Rate(progress.rate())));
    if let Some(left) = progress.left() {
        details.push_str(&format!("  {} left", Left(left)));
    }
    if progress.losses > 0 {
        details.push_str(&format!("  {} lost", progress.losses));
    }
    if progress.retransmissions > 0 {
        details.push_str(&format!("  {} sent again", progress.retransmissions));
    }
    if columns < NARROW {
        let room = width.saturating_sub(share.len() + 1);
        let name = clipped(name.clone(), (room / 2).max(8));
        let bar = bar(percent, room.saturating_sub(name.chars().count() + 1).min(LONGEST_BAR + 2));
        rows.push(clipped(format!("{name} {bar} {share}"), width));
        rows.push(clipped(format!("  {}", details.trim_start()), width));
        return;
    }
    let room = width.saturating_sub(share.len() + details.len() + 3);
    let name = clipped(name.clone(), (room / 2).max(8));
    let bar = bar(percent, room.saturating_sub(name.chars().count()).min(LONGEST_BAR + 2));
    rows.push(clipped(format!("{name} {bar} {share} {details}"), width));
}

/// A bar of so many columns with its ends; nothing where that is too short to say anything or the share is not known.
fn bar(percent: Option<u8>, columns: usize) -> String {
    let (Some(percent), Some(inside)) = (percent, columns.checked_sub(2).filter(|inside| *inside >= 4)) else {
        return String::new();
    };
    let full = inside * usize::from(percent.min(100)) / 100;
    format!("[{:inside$}]", "#".repeat(full))
}

/// `3.2 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} s", self.0.as_secs(), self.0.subsec_millis() / 100)
    }
}

/// What there is to say of a file of which no byte has come.
struct NotBegun(Duration);

impl fmt::Display for NotBegun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waiting for its first byte, {}", Seconds(self.0))
    }
}

/// `, after 3.2 s`, or nothing.
struct After(Option<Duration>);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |waited| write!(f, ", after {}", Seconds(waited)))
    }
}

/// Time that something will take still: `45 s`, `2:05 min`, `more than 1 h`.
struct Left(Duration);

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 0..60 => write!(f, "{seconds} s"),
            seconds @ 60..3600 => write!(f, "{}:{:02} min", seconds / 60, seconds % 60),
            _ => f.write_str("more than 1 h"),
        }
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
