//! The line editor: keys in, a line out, and on the screen always the prompt and the part of the line where the cursor is.
//!
//! On a terminal a line stays in one row and moves sideways under its prompt; on a plain line there are no columns, and it is
//! echoed, rubbed out with backspaces and printed again after a carriage return, as far as anything changed. A character at the
//! end of a line costs one byte in both. Keys are those of readline and U-Boot; who prints while a line is edited calls
//! [`LineEditor::hide`] before and [`LineEditor::show`] after.
//!
//! Any language's characters are taken; what does not fill exactly one cell everywhere is shown as `?` ([`shown`](super::shown)), so that no row is ever
//! longer than it is thought to be. Only look-alikes of ASCII's punctuation are left out ([`is_misleading`](super::is_misleading)).
//!
//! What is pasted is taken as typed: keys that come within [`GAP`] of each other are no person's, and a Tab among them is a blank, since
//! scripts are indented with it. For this a Tab waits for the next key or for [`LineEditor::idle`].

mod buffer;
mod completion;
mod history;
mod view;

pub use buffer::LONGEST_LINE;
pub use completion::{Candidates, Completer, LISTED};
pub use history::LINES as HISTORY_LINES;

use super::Kind;
use super::burst::GAP;
use super::key::Key;
use super::pen::{Cell, Pen, Style};
use crate::time::{Duration, Instant};
use alloc::string::String;
use alloc::vec::Vec;
use buffer::{Buffer, is_not_blank, is_word};
use core::fmt;
use history::History;
use view::View;

/// A bell is rung no more often than this: a paste that does not fit would ring it at every character.
const BELL_PAUSE: Duration = Duration::from_millis(250);

/// Cells of a row and rows that are taken for there where nobody said.
const PLAIN_SCREEN: (usize, usize) = (79, 24);

/// Rows of a screen that a listing leaves to the line above it, the line below it, and the note that there is more.
const OTHER_ROWS: usize = 3;

/// Blanks between the columns of a listing.
const COLUMN_GAP: usize = 2;

/// How a line ended. The cursor is then at the beginning of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With Enter.
    Entered(String),
    /// With Enter, but more than [`LONGEST_LINE`] bytes had come: what is there is not what was meant.
    TooLong,
    /// With Control-C.
    Interrupted,
    /// With Control-D in an empty line.
    EndOfInput,
}

/// Edits one line after the other, and remembers them.
///
/// ```
/// use xenlift::terminal::{Kind, key::Key, line::{LineEditor, Outcome}};
/// use xenlift::time::{Duration, Instant};
///
/// let mut editor = LineEditor::new(Kind::Ansi { columns: 80, rows: 24 });
/// let (mut screen, mut now) = (String::new(), Instant::from_micros(0));
/// editor.begin("xenlift> ", "", &mut screen);
/// for key in [Key::Char('i'), Key::Home, Key::Char('h'), Key::Enter] {
///     now = now.after(Duration::from_millis(80));
///     if let Some(outcome) = editor.key(now, key, &mut (), &mut screen) {
///         assert_eq!(outcome, Outcome::Entered("hi".into()));
///     }
/// }
/// assert_eq!(screen, "xenlift> i\x08hi\x08\r\n");
/// ```
#[derive(Clone, Debug)]
pub struct LineEditor {
    kind: Kind,
    prompt: Vec<Cell>,
    buffer: Buffer,
    view: View,
    history: History,
    /// What was taken out last.
    killed: Vec<char>,
    /// What the row of the screen shows, and the cursor's column in it.
    shown: Vec<Cell>,
    column: usize,
    /// When the last key came, and when the Tab that waits did.
    last_key: Option<Instant>,
    tab: Option<Instant>,
    /// Whether the last key was a Tab that left more than one name.
    ambiguous: bool,
    /// Whether something did not fit into the line.
    overflowed: bool,
    last_bell: Option<Instant>,
}

impl LineEditor {
    /// An editor without history, on the screen of `kind`.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            prompt: Vec::new(),
            buffer: Buffer::default(),
            view: View::default(),
            history: History::default(),
            killed: Vec::new(),
            shown: Vec::new(),
            column: 0,
            last_key: None,
            tab: None,
            ambiguous: false,
            overflowed: false,
            last_bell: None,
        }
    }

    /// Begins a line that reads `text` so far, at the beginning of a row of the screen.
    pub fn begin(&mut self, prompt: &str, text: &str, out: &mut dyn fmt::Write) {
        self.prompt = prompt.chars().map(|character| Cell::new(character, Style::Normal)).collect();
        self.clear();
        self.overflowed = !self.buffer.replace(text);
        self.show(out);
    }

    /// The line as it is.
    pub fn text(&self) -> String {
        self.buffer.text().iter().collect()
    }

    /// The screen that it is on.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.buffer.text().is_empty()
    }

    /// Where in the line the cursor is, in characters.
    pub fn cursor(&self) -> usize {
        self.buffer.cursor()
    }

    /// Takes a key that came at `now`; says how the line ended, if it did. Moments must not go back.
    pub fn key(
        &mut self,
        now: Instant,
        key: Key,
        completer: &mut dyn Completer,
        out: &mut dyn fmt::Write,
    ) -> Option<Outcome> {
        let pasted = self.last_key.is_some_and(|last| now.since(last) < GAP);
        self.last_key = Some(now);
        if let Some(tab) = self.tab.take() {
            if pasted {
                self.insert(tab, ' ', out);
            } else {
                self.complete(tab, completer, out);
            }
        }
        if key == Key::Tab && !pasted {
            self.tab = Some(now);
            return None;
        }
        self.ambiguous = false;
        let outcome = self.take(now, key, out);
        if outcome.is_none() {
            self.show(out);
        }
        outcome
    }

    /// Completes the word, if a Tab was pressed and nothing came after it. To be called often while no key comes.
    pub fn idle(&mut self, now: Instant, completer: &mut dyn Completer, out: &mut dyn fmt::Write) {
        if let Some(tab) = self.tab.take_if(|tab| now.since(*tab) >= GAP) {
            self.complete(tab, completer, out);
        }
    }

    /// Takes prompt and line off the screen, so that something else can be printed where they were.
    pub fn hide(&mut self, out: &mut dyn fmt::Write) {
        self.paint(Vec::new(), 0, out);
    }

    /// Shows prompt and line, if they are not shown, from the beginning of the row on.
    pub fn show(&mut self, out: &mut dyn fmt::Write) {
        let (row, column) = self.view.row(&self.prompt, &self.buffer, self.kind);
        self.paint(row, column, out);
    }

    /// Goes on on another kind of screen: the terminal has answered late. Nothing is shown that was not before.
    pub fn set_kind(&mut self, kind: Kind, out: &mut dyn fmt::Write) {
        self.kind = kind;
        if self.shown.is_empty() {
            return;
        }
        if view::width(kind).is_some_and(|width| self.shown.len() > width) {
            // It has wrapped, or will not fit: a new row.
            let _ = out.write_str("\r\n");
            self.forget_row();
        }
        self.show(out);
    }

    /// Does what `key` says to line and history. Most of it is then shown by the caller.
    fn take(&mut self, now: Instant, key: Key, out: &mut dyn fmt::Write) -> Option<Outcome> {
        let end = self.buffer.text().len();
        match key {
            Key::Char(character) if !super::is_misleading(character) => self.insert(now, character, out),
            Key::Tab => self.insert(now, ' ', out),
            Key::Enter => return Some(self.enter(out)),
            Key::Control(b'c') => {
                self.cross_out(out);
                return Some(self.end(Outcome::Interrupted, out));
            }
            Key::Control(b'd') if end == 0 => return Some(self.end(Outcome::EndOfInput, out)),
            Key::Backspace => self.remove_to(self.buffer.left(), false),
            Key::Delete | Key::Control(b'd') => self.remove_to(self.buffer.right(), false),
            Key::Control(b'w') => self.remove_to(self.buffer.word_left(is_not_blank), true),
            Key::Control(b'u') => self.remove_to(0, true),
            Key::Control(b'k') => self.remove_to(end, true),
            Key::Control(b'y') => {
                let killed = core::mem::take(&mut self.killed);
                if !self.buffer.insert(killed.iter().copied()) {
                    self.overflow(now, out);
                }
                self.killed = killed;
            }
            Key::Left | Key::Control(b'b') => self.buffer.go_to(self.buffer.left()),
            Key::Right | Key::Control(b'f') => self.buffer.go_to(self.buffer.right()),
            Key::WordLeft => self.buffer.go_to(self.buffer.word_left(is_word)),
            Key::WordRight => self.buffer.go_to(self.buffer.word_right(is_word)),
            Key::Home | Key::Control(b'a') => self.buffer.go_to(0),
            Key::End | Key::Control(b'e') => self.buffer.go_to(end),
            Key::Up | Key::Control(b'p') => {
                let buffer = &self.buffer;
                let line = self.history.older(|| buffer.text().iter().collect()).map(String::from);
                self.recall(line);
            }
            Key::Down | Key::Control(b'n') => {
                let line = self.history.newer().map(String::from);
                self.recall(line);
            }
            Key::Control(b'l') => {
                let _ = out.write_str(if self.kind == Kind::Plain { "\r\n" } else { "\x1b[H\x1b[2J" });
                self.forget_row();
            }
            Key::Char(_) | Key::Control(_) | Key::Escape | Key::PageUp | Key::PageDown | Key::Report { .. } => {}
        }
        None
    }

    fn insert(&mut self, now: Instant, character: char, out: &mut dyn fmt::Write) {
        if !self.buffer.insert([character]) {
            self.overflow(now, out);
        }
    }

    fn overflow(&mut self, now: Instant, out: &mut dyn fmt::Write) {
        self.overflowed = true;
        self.bell(now, out);
    }

    fn remove_to(&mut self, place: usize, keep: bool) {
        let removed = self.buffer.remove_to(place);
        if !removed.is_empty() {
            self.overflowed = false;
            if keep {
                self.killed = removed;
            }
        }
    }

    /// Puts a line of the history in the place of the one that is edited. Every one of them fitted once.
    fn recall(&mut self, line: Option<String>) {
        if let Some(line) = line {
            self.overflowed = !self.buffer.replace(&line);
        }
    }

    fn enter(&mut self, out: &mut dyn fmt::Write) -> Outcome {
        // A plain line may have wrapped: the next row is the one below its end.
        if self.kind == Kind::Plain {
            self.buffer.go_to(self.buffer.text().len());
        }
        self.show(out);
        let line = self.text();
        self.history.add(&line);
        let outcome = if self.overflowed { Outcome::TooLong } else { Outcome::Entered(line) };
        self.end(outcome, out)
    }

    /// Marks the line as one that does not count.
    fn cross_out(&mut self, out: &mut dyn fmt::Write) {
        let end = match view::width(self.kind) {
            Some(width) => self.shown.len().min(width.saturating_sub(2)),
            None => self.shown.len(),
        };
        Pen::new(out, self.kind, self.column).go_to(end, &self.shown);
        let _ = out.write_str("^C");
    }

    fn end(&mut self, outcome: Outcome, out: &mut dyn fmt::Write) -> Outcome {
        let _ = out.write_str("\r\n");
        self.clear();
        outcome
    }

    /// An empty line that is not shown yet.
    fn clear(&mut self) {
        self.buffer = Buffer::default();
        self.view = View::default();
        self.history.stop();
        self.tab = None;
        self.ambiguous = false;
        self.overflowed = false;
        self.forget_row();
    }

    /// The cursor is at the beginning of a row in which nothing stands.
    fn forget_row(&mut self) {
        self.shown.clear();
        self.column = 0;
    }

    fn paint(&mut self, row: Vec<Cell>, column: usize, out: &mut dyn fmt::Write) {
        let mut pen = Pen::new(out, self.kind, self.column);
        pen.change(&self.shown, &row);
        pen.go_to(column, &row);
        self.column = column;
        self.shown = row;
    }

    fn bell(&mut self, now: Instant, out: &mut dyn fmt::Write) {
        if self.last_bell.is_none_or(|last| now.since(last) >= BELL_PAUSE) {
            self.last_bell = Some(now);
            let _ = out.write_str("\x07");
        }
    }

    /// Does what a Tab does that was pressed at `now`: puts in what is sure, and the second time lists what there is.
    fn complete(&mut self, now: Instant, completer: &mut dyn Completer, out: &mut dyn fmt::Write) {
        let before = self.buffer.before();
        let mut candidates = Candidates::new(&before);
        completer.complete(&mut candidates);
        let (rest, whole) = candidates.rest();
        let again = core::mem::replace(&mut self.ambiguous, candidates.count() > 1);
        if rest.is_empty() && !whole {
            if again && self.ambiguous {
                self.list(&candidates, out);
            } else {
                self.bell(now, out);
            }
        } else {
            let blank = whole.then_some(' ');
            if !self.buffer.insert(rest.chars().chain(blank)) {
                self.overflow(now, out);
            }
        }
        self.show(out);
    }

    /// Lists names below the line, in columns, as many as leave the line itself on the screen.
    fn list(&mut self, candidates: &Candidates<'_>, out: &mut dyn fmt::Write) {
        let (width, rows) = match self.kind {
            Kind::Plain => PLAIN_SCREEN,
            Kind::Ansi { rows, .. } => (view::width(self.kind).unwrap_or(PLAIN_SCREEN.0), usize::from(rows)),
        };
        let names = candidates.names().iter().map(|name| completion::last_part(name));
        let widest = names.clone().map(|name| name.chars().count()).max().unwrap_or(0).min(width);
        let columns = ((width + COLUMN_GAP) / (widest + COLUMN_GAP)).max(1);
        let listed = columns.saturating_mul(rows.saturating_sub(OTHER_ROWS).max(1)).min(candidates.names().len());
        let mut left = 0;
        for (number, name) in names.take(listed).enumerate() {
            let _ = if number % columns == 0 { write!(out, "\r\n") } else { write!(out, "{:left$}", "") };
            for character in name.chars().take(width) {
                let _ = out.write_char(super::shown(character));
            }
            left = widest.saturating_sub(name.chars().count()) + COLUMN_GAP;
        }
        let more = candidates.count().saturating_sub(listed);
        if more > 0 {
            let _ = write!(out, "\r\nand {more} more");
        }
        let _ = out.write_str("\r\n");
        self.forget_row();
    }
}

#[cfg(test)]
mod tests;
