//! Diagnosis: the `log` crate's messages, on the console, with the time since the start.
//!
//! What the user reads is printed on the [`crate::console`]; `log` is for the one who looks for a fault. An unattended boot
//! shows warnings and errors only; the latest messages, [`KEPT_LEVEL`] and more important, are kept for whoever asks later ([`write_kept`]).

use crate::console::{self, Stamp};
use core::fmt;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicUsize, Ordering};
use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
use spin::Mutex;

/// What is shown unless somebody asks for more.
pub const DEFAULT_LEVEL: LevelFilter = LevelFilter::Warn;

/// What is kept unless somebody asks for more.
pub const KEPT_LEVEL: LevelFilter = LevelFilter::Info;

/// Bytes of messages that are kept.
pub const KEPT: usize = 4096;

/// Bytes of one message that are kept.
const LONGEST: usize = 256;

/// The least important level that is shown, as a number of `log`'s.
static SHOWN: AtomicUsize = AtomicUsize::new(DEFAULT_LEVEL as usize);

static MESSAGES: Mutex<Messages> = Mutex::new(Messages::new());

struct ConsoleLogger;

impl Log for ConsoleLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Without its crate and parent modules: the last word of `xenlift::net::dhcp` says enough.
        let target = record.target().rsplit("::").next().unwrap_or_default();
        let (level, text) = (record.level(), record.args());
        // Whoever holds them is a message about a message, or was interrupted by a report; neither is worth waiting for.
        if let Some(mut messages) = MESSAGES.try_lock() {
            let stamp = console::with(|console| console.elapsed()).unwrap_or(Stamp(core::time::Duration::ZERO));
            messages.add(format_args!("{stamp} {level} {target}: {text}"));
        }
        if level as usize > SHOWN.load(Ordering::Relaxed) {
            return;
        }
        let shown = console::with(|console| console.stamped_line(format_args!("{level} {target}: {text}")));
        if shown.is_none() {
            console::count_missed();
        }
    }

    fn flush(&self) {}
}

/// Sends `log`'s messages up to `level` to the console. An error if another logger is installed.
pub fn init(level: LevelFilter) -> Result<(), SetLoggerError> {
    static LOGGER: ConsoleLogger = ConsoleLogger;
    log::set_logger(&LOGGER)?;
    set_level(level);
    Ok(())
}

/// Changes what is shown.
pub fn set_level(level: LevelFilter) {
    SHOWN.store(level as usize, Ordering::Relaxed);
    keep(level);
}

/// Has messages kept from now on up to `level`, or up to what is kept or shown anyway.
pub fn keep(level: LevelFilter) {
    let shown = SHOWN.load(Ordering::Relaxed);
    log::set_max_level(level.max(KEPT_LEVEL).max(LevelFilter::iter().nth(shown).unwrap_or(KEPT_LEVEL)));
}

/// Writes the messages that are kept, up to `level`, oldest first.
///
/// # Errors
/// Those of `out`.
pub fn write_kept(level: LevelFilter, out: &mut dyn fmt::Write) -> fmt::Result {
    match MESSAGES.try_lock() {
        Some(messages) => messages.write(level, out),
        None => Ok(()),
    }
}

/// The latest messages, a line each, in a ring of bytes.
struct Messages {
    bytes: [u8; KEPT],
    /// Where the next byte goes.
    next: usize,
    /// Whether the ring has been filled once, so that the oldest line may lack its beginning.
    full: bool,
}

impl Messages {
    const fn new() -> Self {
        Self { bytes: [0; KEPT], next: 0, full: false }
    }

    /// Adds a message, its control characters as `?` and its end cut off if it is too long.
    fn add(&mut self, text: fmt::Arguments<'_>) {
        let mut line = Line { messages: self, left: LONGEST };
        // It fails where the message is cut.
        let _ = line.write_fmt(text);
        self.put(b'\n');
    }

    fn put(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.next) {
            *place = byte;
        }
        self.next = (self.next + 1) % KEPT;
        self.full |= self.next == 0;
    }

    fn write(&self, level: LevelFilter, out: &mut dyn fmt::Write) -> fmt::Result {
        let (new, old) = self.bytes.split_at_checked(self.next).unwrap_or((&self.bytes, &[]));
        let old = if self.full { old } else { &[] };
        let mut bytes = old.iter().chain(new).copied();
        if self.full {
            // What is left of a line whose beginning has been overwritten.
            let _ = bytes.by_ref().position(|byte| byte == b'\n');
        }
        let mut line = [0; LONGEST];
        let mut length = 0;
        for byte in bytes {
            if byte != b'\n' {
                if let Some(place) = line.get_mut(length) {
                    *place = byte;
                    length += 1;
                }
                continue;
            }
            // Only ASCII is kept.
            let text = core::str::from_utf8(line.get(..length).unwrap_or_default()).unwrap_or_default();
            length = 0;
            // `[  1.234] WARN genet: …`
            let named = text.split_once("] ").and_then(|(_, text)| text.split_once(' ')).map(|(level, _)| level);
            if named.and_then(|name| name.parse::<LevelFilter>().ok()).is_none_or(|of_line| of_line <= level) {
                writeln!(out, "{text}")?;
            }
        }
        Ok(())
    }
}

/// A message on its way into the ring.
struct Line<'m> {
    messages: &'m mut Messages,
    left: usize,
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.messages.put(if matches!(character, ' '..='~') { character as u8 } else { b'?' });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(messages: &Messages, level: LevelFilter) -> String {
        let mut text = String::new();
        messages.write(level, &mut text).unwrap();
        text
    }

    #[test]
    fn messages_are_kept_in_order_and_shown_up_to_a_level() {
        let mut messages = Messages::new();
        messages.add(format_args!("[  0.001] INFO genet: found"));
        messages.add(format_args!("[  1.500] WARN dhcp: no\r\nanswer\x1b[2J \u{e4}"));
        assert_eq!(
            shown(&messages, LevelFilter::Info),
            "[  0.001] INFO genet: found\n[  1.500] WARN dhcp: no??answer?[2J ?\n"
        );
        assert_eq!(shown(&messages, LevelFilter::Warn), "[  1.500] WARN dhcp: no??answer?[2J ?\n");
        assert_eq!(shown(&messages, LevelFilter::Error), "");
    }

    #[test]
    fn the_ring_keeps_the_latest_whole_lines_whatever_their_length() {
        let mut messages = Messages::new();
        for number in 0..1000 {
            messages.add(format_args!("[{number:>7}] INFO x: {}", "y".repeat(number % 400)));
            let text = shown(&messages, LevelFilter::Trace);
            let lines: Vec<_> = text.lines().collect();
            assert!(text.len() <= KEPT && lines.iter().all(|line| line.starts_with('[') && line.len() <= LONGEST));
            assert!(lines[lines.len() - 1].starts_with(&format!("[{number:>7}]")));
        }
    }
}
