//! The menu on a line that is no terminal: a numbered list, and lines that are typed.

use super::list::{Description, no_such};
use super::{Action, Menu, Page, Shown};
use crate::terminal::key::Key;
use crate::terminal::line::Outcome;
use crate::time::Instant;
use alloc::string::String;
use core::fmt::Write;

const HELP: &str = "\
N       boot entry N; Enter alone boots the default
e N     edit the command lines of entry N, for this boot only
d N     details: what booting entry N would do
l       the list again
s       the shell; exit comes back
r       look for the settings anew
";

impl Menu<'_> {
    /// What an unattended board prints, and nothing more; or the list, if somebody is there.
    pub(super) fn open_plain(&mut self, now: Instant, out: &mut dyn Write) {
        match self.countdown {
            Some(countdown) if !countdown.stopped => {
                let _ = write!(
                    out,
                    "{} in {} s. Any key: choose.\r\n",
                    Shown(self.title(self.default)),
                    countdown.left(now)
                );
            }
            _ => self.list(out),
        }
    }

    pub(super) fn plain_key(&mut self, now: Instant, key: Key, out: &mut dyn Write) -> Option<Action> {
        if !self.open {
            if key == Key::Enter {
                return Some(Action::Boot(self.default));
            }
            self.list(out);
            // The key that stopped the countdown begins a line if it can.
            if !matches!(key, Key::Char(character) if character.is_ascii_alphanumeric() || character == '?') {
                return None;
            }
        }
        if matches!(key, Key::Control(b'c' | b'd')) && self.editor.text().is_empty() {
            // There is nothing to take back, and noise has such bytes.
            return None;
        }
        match self.editor.key(now, key, &mut (), out)? {
            Outcome::Entered(line) => self.command(line.trim(), out),
            Outcome::TooLong | Outcome::Interrupted | Outcome::EndOfInput => {
                self.ask_again(out);
                None
            }
        }
    }

    pub(super) fn print_text(&mut self, title: &str, text: &str, out: &mut dyn Write) {
        let _ = write!(out, "{}\r\n", Shown(title));
        for line in text.lines() {
            let _ = write!(out, "{}\r\n", Shown(line));
        }
        self.prompt(out);
    }

    /// Ends the line that is being typed.
    pub(super) fn leave_plain(&mut self, out: &mut dyn Write) {
        if self.open && !self.editor.text().is_empty() {
            let _ = out.write_str("\r\n");
        } else if self.open {
            self.editor.hide(out);
        }
        self.open = false;
    }

    fn list(&mut self, out: &mut dyn Write) {
        if !self.message.is_empty() {
            let _ = write!(out, "{}\r\n", Shown(&self.message));
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let _ = write!(out, "{:>3}  {}", index + 1, Shown(entry.title()));
            let _ = write!(out, "  ({})\r\n", Description(self.entry(index).unwrap_or(entry)));
        }
        self.prompt(out);
    }

    /// Asks for a line.
    pub(super) fn prompt(&mut self, out: &mut dyn Write) {
        let _ = write!(
            out,
            "Number and Enter, or Enter alone for {}; e, d and a number, s, r, ?:\r\n",
            Shown(self.title(self.default))
        );
        self.ask_again(out);
    }

    /// The same where it has just been said what can be typed.
    fn ask_again(&mut self, out: &mut dyn Write) {
        self.open = true;
        self.editor.begin("> ", "", out);
    }

    fn command(&mut self, line: &str, out: &mut dyn Write) -> Option<Action> {
        self.message.clear();
        let letter_end = line.char_indices().find(|(_, character)| character.is_ascii_digit() || *character == ' ');
        let (word, rest) = line.split_at(letter_end.map_or(line.len(), |(index, _)| index));
        let number = match rest.trim() {
            "" => Ok(self.default),
            digits => self.index(digits),
        };
        let action = match (word, number) {
            ("", Ok(index)) => Ok(Some(Action::Boot(index))),
            ("s", _) => Ok(Some(Action::Shell)),
            ("r", _) => Ok(Some(Action::Reload)),
            ("d", Ok(index)) => Ok(Some(Action::Details(index))),
            ("e", Ok(index)) => {
                self.selected = index;
                self.open_lines(out);
                self.take_first_line(out);
                return None;
            }
            ("l", _) => {
                self.list(out);
                return None;
            }
            ("?" | "h" | "help", _) => {
                let _ = out.write_str(&HELP.replace('\n', "\r\n"));
                Ok(None)
            }
            ("" | "d" | "e", Err(reason)) => Err(reason),
            _ => Err(alloc::format!("'{}' is not understood; ? is help.", Shown(line))),
        };
        match action {
            Ok(Some(action)) => return Some(action),
            Ok(None) => {}
            Err(reason) => {
                let _ = write!(out, "{reason}\r\n");
            }
        }
        self.ask_again(out);
        None
    }

    /// After [`Menu::open_lines`]: all lines are gone through, one after the other, from the first.
    fn take_first_line(&mut self, out: &mut dyn Write) {
        match self.page {
            Page::Lines(_) => self.begin_line(0, out),
            Page::List => {
                let message = core::mem::take(&mut self.message);
                let _ = write!(out, "{message}\r\n");
                self.prompt(out);
            }
            Page::Line(_) | Page::Text(_) => {}
        }
    }

    /// The index of the entry that a person calls by this number.
    fn index(&self, digits: &str) -> Result<usize, String> {
        let number: usize = digits.parse().map_err(|_| alloc::format!("'{}' is no number.", Shown(digits)))?;
        match number.checked_sub(1).filter(|index| *index < self.entries.len()) {
            Some(index) => Ok(index),
            None => Err(no_such(number, self.entries.len())),
        }
    }
}
