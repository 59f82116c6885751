//! Finds out whether a terminal is at the other end, and how large it is, by the one question that every one of them answers: where
//! the cursor is, after it was sent as far to the lower right as it goes.
//!
//! The cursor is put back at once (DECSC and DECRC, which are older than ECMA-48 and in every terminal), so nothing shows if
//! nobody understands; a dumb terminal shows a few characters of rubbish, once.

use super::Kind;
use super::key::Key;
use crate::time::{Duration, Instant};
use core::fmt;

/// Save the cursor, go as far as possible, ask for the position (DSR 6, answered by CPR), restore the cursor.
const QUESTION: &str = "\x1b7\x1b[999;999H\x1b[6n\x1b8";

/// How far the question sends the cursor.
const FAR: u16 = 999;

/// How long an answer is worth waiting for: 16 characters there and 10 back take 27 ms at 9600 baud, the rest is for a network
/// between the terminal and the line.
pub const PATIENCE: Duration = Duration::from_millis(150);

/// Less than this, nothing is laid out for.
const FEWEST_COLUMNS: u16 = 20;
/// Likewise.
const FEWEST_ROWS: u16 = 5;

/// What is taken for the size of a terminal that puts its cursor wherever it is told.
const USUAL: Kind = Kind::Ansi { columns: 80, rows: 24 };

/// The question, asked once, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    asked: Instant,
    kind: Option<Kind>,
}

impl Query {
    /// Asks.
    pub fn ask(now: Instant, out: &mut dyn fmt::Write) -> Self {
        let _ = out.write_str(QUESTION);
        Self { asked: now, kind: None }
    }

    /// Looks whether `key` is the answer, and takes it, however late it comes: whether the kind is now known that was not before. A
    /// [`Key::Report`] is nothing that anybody typed, so it is for nobody else even if it is not taken.
    pub fn key(&mut self, key: Key) -> bool {
        let Key::Report { row, column } = key else { return false };
        if self.kind.is_some() {
            return false;
        }
        self.kind = Some(match (column, row) {
            (FAR.., FAR..) => USUAL,
            (FEWEST_COLUMNS.., FEWEST_ROWS..) => Kind::Ansi { columns: column, rows: row },
            _ => Kind::Plain,
        });
        true
    }

    /// Whether an answer may be on its way and is worth waiting for.
    pub fn is_open(&self, now: Instant) -> bool {
        self.kind.is_none() && now.since(self.asked) < PATIENCE
    }

    /// Who is there, as far as is known.
    pub fn kind(&self) -> Kind {
        self.kind.unwrap_or(Kind::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> (Query, Instant) {
        let now = Instant::from_micros(1_000_000);
        (Query::ask(now, &mut String::new()), now)
    }

    fn answered(row: u16, column: u16) -> Kind {
        let (mut query, _) = asked();
        assert!(query.key(Key::Report { row, column }));
        query.kind()
    }

    #[test]
    fn the_answer_is_the_size() {
        assert_eq!(answered(24, 80), Kind::Ansi { columns: 80, rows: 24 });
        assert_eq!(answered(5, 20), Kind::Ansi { columns: 20, rows: 5 });
    }

    #[test]
    fn a_terminal_that_does_not_move_or_is_too_small_counts_as_plain() {
        for (row, column) in [(1, 1), (24, 19), (4, 80)] {
            assert_eq!(answered(row, column), Kind::Plain);
        }
    }

    #[test]
    fn a_terminal_that_puts_its_cursor_out_of_itself_counts_as_usual() {
        assert_eq!(answered(999, 999), USUAL);
        assert_eq!(answered(999, 80), Kind::Ansi { columns: 80, rows: 999 });
    }

    #[test]
    fn without_an_answer_it_is_plain_and_a_late_one_still_counts_once() {
        let (mut query, now) = asked();
        assert!(query.is_open(now.after(Duration::from_millis(149))));
        assert!(!query.is_open(now.after(PATIENCE)));
        assert_eq!(query.kind(), Kind::Plain);
        assert!(!query.key(Key::Char('x')));
        assert!(query.key(Key::Report { row: 25, column: 80 }));
        assert!(!query.key(Key::Report { row: 50, column: 160 }));
        assert_eq!(query.kind(), Kind::Ansi { columns: 80, rows: 25 });
        assert!(!query.is_open(now));
    }

    #[test]
    fn the_question_leaves_no_trace_on_a_terminal() {
        let mut terminal = crate::terminal::emulator::Emulator::new(80, 24);
        terminal.show("banner\r\nand");
        let mut out = String::new();
        Query::ask(Instant::from_micros(0), &mut out);
        terminal.show(&out);
        assert_eq!((terminal.text().as_str(), terminal.cursor()), ("banner\nand", (1, 3)));
    }
}
