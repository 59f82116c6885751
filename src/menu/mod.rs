//! The boot menu: what a person at the console chooses from, and what happens if nobody does.
//!
//! [`Menu`] is a state machine: keys and moments in, text and [`Action`]s out. It waits for nothing and reads no clock, knows no UART and boots
//! nothing. It has two faces. On a terminal ([`Kind::Ansi`]) it is painted in place below what was printed before, and a key acts at once.
//! On a plain line it says in one line what is about to be booted; the first key brings a numbered list, and lines are typed.
//!
//! A countdown runs until the first key. After that the menu has [`PATIENCE`] from one key to the next, and boots the default then: what was taken
//! for a key may have been noise, and a board must come up by itself. Only settings that say `timeout = "never"` wait for ever.

mod edit;
mod list;
mod plain;
mod text;

use crate::config::{Entry, Settings, Timeout};
use crate::terminal::frame::{Frame, Painter, Style};
use crate::terminal::key::Key;
use crate::terminal::line::LineEditor;
use crate::terminal::{Kind, Shown, wrap};
use crate::time::{Duration, Instant};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::ops::Range;
use list::Digits;
use text::Text;

/// How long nobody may press a key once somebody has, before the default is booted all the same.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A countdown shows the seconds that are left from here on; more of them are nobody's hurry.
const SHOWN_FROM: u64 = 60;

/// What a person has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Boot [`Menu::entry`] of this index.
    Boot(usize),
    /// Show what booting the entry of this index would do: [`Menu::show`] takes the text.
    Details(usize),
    /// Open the shell.
    Shell,
    /// Look for the settings anew.
    Reload,
}

/// When the default entry is booted by itself.
#[derive(Clone, Copy, Debug)]
struct Countdown {
    end: Instant,
    /// Whether a key has stopped it; `end` is then that of the patience.
    stopped: bool,
}

impl Countdown {
    /// The countdown that settings ask for, from `now` on.
    fn new(timeout: Timeout, now: Instant) -> Option<Self> {
        match timeout {
            Timeout::Seconds(seconds) => {
                Some(Self { end: now.after(Duration::from_secs(seconds.into())), stopped: false })
            }
            Timeout::Never => None,
        }
    }

    /// Whole seconds until it ends, the one that is running counted.
    fn left(&self, now: Instant) -> u64 {
        let left = self.end.since(now);
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }
}

/// What is shown.
enum Page {
    /// The entries.
    List,
    /// Details or help, to read.
    Text(Text),
    /// The command lines of the selected entry, one of which is chosen.
    Lines(usize),
    /// One of them is being edited; on a plain line the next one follows.
    Line(usize),
}

/// The boot menu over the entries of some settings.
pub struct Menu<'s> {
    entries: &'s [Entry],
    default: usize,
    selected: usize,
    /// Entries as they were edited, for the next boot only.
    edited: BTreeMap<usize, Entry>,
    countdown: Option<Countdown>,
    /// Whether keys may be said to act: a plain line has shown its list.
    open: bool,
    page: Page,
    /// What is told above the keys: why the last thing did not work.
    message: String,
    digits: Digits,
    /// When a letter was pressed in the list.
    letter: Option<Instant>,
    kind: Kind,
    painter: Painter,
    /// Nothing is painted: the line still brings out what was.
    line_is_busy: bool,
    editor: LineEditor,
}

impl<'s> Menu<'s> {
    /// A menu on the screen of `kind`. Its countdown, if the settings want one, began at `now`. `None` if there are no entries.
    pub fn new(settings: &'s Settings, kind: Kind, now: Instant) -> Option<Self> {
        let default = settings.default_entry()?;
        let default = settings.entries.iter().position(|entry| entry.name == default.name).unwrap_or(0);
        Some(Self {
            entries: &settings.entries,
            default,
            selected: default,
            edited: BTreeMap::new(),
            countdown: Countdown::new(settings.timeout, now),
            open: false,
            page: Page::List,
            message: String::new(),
            digits: Digits::default(),
            letter: None,
            kind,
            painter: painter(kind),
            line_is_busy: false,
            editor: LineEditor::new(kind),
        })
    }

    /// The entry of that index as it is to be booted: with what was edited.
    pub fn entry(&self, index: usize) -> Option<&Entry> {
        self.edited.get(&index).or_else(|| self.entries.get(index))
    }

    /// Whether the countdown runs that no key has stopped.
    pub fn is_counting(&self) -> bool {
        self.countdown.is_some_and(|countdown| !countdown.stopped)
    }

    /// The index of the entry that is booted if nobody chooses another.
    pub fn default_index(&self) -> usize {
        self.default
    }

    /// Whether a text is being edited, of any length: it may be pasted, and nothing boots by what is in it.
    pub fn takes_text(&self) -> bool {
        matches!(self.page, Page::Line(_))
    }

    /// Shows the menu from the beginning of a row on. A key that was pressed before `now` stops the countdown if `stopped`.
    pub fn open(&mut self, now: Instant, stopped: bool, out: &mut dyn Write) {
        if stopped {
            self.stop(now);
        }
        match self.kind {
            Kind::Ansi { .. } => self.paint(now, out),
            Kind::Plain => self.open_plain(now, out),
        }
    }

    /// Shows the list again after something else was on the screen, with `message` if it went wrong. The countdown stays stopped.
    pub fn reopen(&mut self, now: Instant, message: &str, out: &mut dyn Write) {
        self.page = Page::List;
        self.message = String::from(message);
        self.painter = painter(self.kind);
        self.open = false;
        self.open(now, true, out);
    }

    /// Goes over to another kind of screen: the terminal has answered late, or has another size than before.
    pub fn set_kind(&mut self, now: Instant, kind: Kind, out: &mut dyn Write) {
        if kind == self.kind {
            return;
        }
        if self.takes_text() {
            self.editor.set_kind(kind, out);
        } else {
            match (self.kind, kind) {
                // Where the rows of before are now, nobody knows.
                (Kind::Ansi { .. }, Kind::Ansi { .. }) => _ = out.write_str("\x1b[H\x1b[2J"),
                _ => self.leave(out),
            }
            self.editor = LineEditor::new(kind);
        }
        self.kind = kind;
        self.painter = painter(kind);
        if !self.takes_text() {
            self.open = false;
            self.open(now, false, out);
        }
    }

    /// Says whether the line still brings out what was printed. While it does nothing is painted, and afterwards what has become of it all at once: else
    /// a held key would let a slow line fall behind, and the keys wait for it.
    pub fn set_line_busy(&mut self, busy: bool) {
        self.line_is_busy = busy;
    }

    /// Takes a key that came at `now`. Moments must not go back.
    pub fn key(&mut self, now: Instant, key: Key, out: &mut dyn Write) -> Option<Action> {
        self.stop(now);
        let action = match (&self.page, self.kind) {
            (Page::Line(_), _) => self.edit_key(now, key, out),
            (_, Kind::Plain) => self.plain_key(now, key, out),
            (Page::List, _) => self.list_key(now, key, out),
            (Page::Text(_), _) => self.text_key(key),
            (Page::Lines(_), _) => self.lines_key(key, out),
        };
        if key == Key::Control(b'l') && !self.takes_text() {
            self.painter.erase(out);
        }
        match action {
            Some(_) => self.leave(out),
            None => self.paint(now, out),
        }
        action
    }

    /// What happens without a key: the countdown goes on, and ends in the default. Asked for often.
    pub fn idle(&mut self, now: Instant, out: &mut dyn Write) -> Option<Action> {
        if self.takes_text() {
            self.editor.idle(now, &mut (), out);
        }
        if self.countdown.is_some_and(|countdown| now >= countdown.end) {
            self.leave(out);
            self.page = Page::List;
            // What somebody began to edit and left was not meant to be booted.
            self.edited.clear();
            return Some(Action::Boot(self.default));
        }
        self.paint(now, out);
        None
    }

    /// Shows the details that were asked for, to read; on a plain line they are printed.
    pub fn show(&mut self, now: Instant, title: &str, text: &str, out: &mut dyn Write) {
        match self.kind {
            Kind::Ansi { .. } => {
                self.page = Page::Text(Text::new(title, text));
                self.paint(now, out);
            }
            Kind::Plain => self.print_text(title, text, out),
        }
    }

    /// Makes room for what others print: on a terminal the menu is taken off the screen, so that no copies of it pile up there.
    pub fn leave(&mut self, out: &mut dyn Write) {
        match self.kind {
            Kind::Ansi { .. } => {
                if self.takes_text() {
                    self.editor.hide(out);
                }
                self.painter.erase(out);
            }
            Kind::Plain => self.leave_plain(out),
        }
    }

    /// A key came: the countdown ends, and the patience begins anew.
    fn stop(&mut self, now: Instant) {
        if let Some(countdown) = &mut self.countdown {
            *countdown = Countdown { end: now.after(PATIENCE), stopped: true };
        }
    }

    /// Shows what has changed, on a terminal.
    fn paint(&mut self, now: Instant, out: &mut dyn Write) {
        let Kind::Ansi { columns, rows } = self.kind else { return };
        if self.line_is_busy {
            return;
        }
        let mut frame = Frame::new(columns, rows);
        let status = told(&self.status(now), &frame);
        match &self.page {
            Page::List => self.draw_list(now, &mut frame),
            Page::Text(text) => text.draw(&status, &mut frame),
            Page::Lines(selected) => self.draw_lines(*selected, &status, &mut frame),
            // The editor has the screen.
            Page::Line(_) => return,
        }
        self.painter.paint(&frame, out);
    }

    /// How long it is until the default is booted, in words; nothing where it is not, or not soon.
    fn status(&self, now: Instant) -> String {
        let mut status = String::new();
        let Some(countdown) = self.countdown else { return status };
        let left = countdown.left(now);
        let title = Shown(self.title(self.default));
        // Writing to a String never fails.
        let _ = match countdown.stopped {
            false => write!(status, "Boots in {left} s. Any key stops that."),
            true if left <= SHOWN_FROM => write!(status, "{title} boots in {left} s, unless a key is pressed."),
            true => Ok(()),
        };
        status
    }

    fn title(&self, index: usize) -> &str {
        self.entries.get(index).map_or("", Entry::title)
    }
}

fn painter(kind: Kind) -> Painter {
    match kind {
        Kind::Ansi { columns, rows } => Painter::new(columns, rows),
        Kind::Plain => Painter::new(0, 0),
    }
}

/// The first row: what is shown, and which part of it where that is not all. The part is never cut.
fn heading(title: fmt::Arguments<'_>, part: Range<usize>, count: usize, frame: &mut Frame) {
    let mut which = String::new();
    if part.len() < count {
        // Writing to a String never fails.
        let _ = write!(which, "  {}-{} of {count}", part.start + 1, part.end);
    }
    frame.line(Style::Bold, format_args!(""));
    frame.add_within(frame.width().saturating_sub(which.len()), Style::Bold, title);
    frame.add(Style::Normal, format_args!("{which}"));
}

/// The last rows: what is told, of which there is at least an empty row, and the keys.
fn foot(told: &[String], keys: &[String], frame: &mut Frame) {
    if told.is_empty() {
        frame.line(Style::Normal, format_args!(""));
    }
    for row in told {
        frame.line(Style::Bold, format_args!("{row}"));
    }
    for row in keys {
        frame.line(Style::Normal, format_args!("{row}"));
    }
}

/// What the keys do, in as many rows as a screen of that height has for it.
fn keys(keys: &[&str], frame: &Frame) -> Vec<String> {
    wrap::items(keys, frame.width(), (frame.height() / 6).max(1))
}

/// A text that is told, in rows, of which half a screen can be had.
fn told(text: &str, frame: &Frame) -> Vec<String> {
    first_rows(wrap::rows(text, frame.width()), frame.height() / 2)
}

/// The first `most` of `rows`, with a mark if there are more.
fn first_rows(mut rows: Vec<String>, most: usize) -> Vec<String> {
    if rows.len() > most {
        rows.truncate(most);
        if let Some(last) = rows.last_mut() {
            last.push_str(" ~");
        }
    }
    rows
}

#[cfg(test)]
mod tests;
