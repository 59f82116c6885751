//! What of a line is to be seen: all of it on a plain line, on a terminal what fits into one row beside the prompt.

use super::super::Kind;
use super::super::frame::MOST_COLUMNS;
use super::super::pen::{Cell, Style};
use super::buffer::Buffer;
use alloc::vec::Vec;

/// Fewer columns than this are not laid out for.
const FEWEST_COLUMNS: u16 = 20;

/// Cells of a row, without the last column; `None` on a plain line, which has no rows.
pub(super) fn width(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Plain => None,
        Kind::Ansi { columns, .. } => Some(usize::from(columns.clamp(FEWEST_COLUMNS, MOST_COLUMNS) - 1)),
    }
}

/// The window on the text.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The first character in it.
    pub(super) start: usize,
}

impl View {
    /// The row that shows `prompt` and the part of the text around its cursor, and the cursor's column. `<` and `>` stand where
    /// the text goes on. The window moves by half of itself, so that typing on costs little, and a prompt has half of the row at most.
    pub fn row(&mut self, prompt: &[Cell], buffer: &Buffer, kind: Kind) -> (Vec<Cell>, usize) {
        let text = buffer.text();
        let width = width(kind).unwrap_or(usize::MAX);
        let prompt = prompt.get(..prompt.len().min(width / 2)).unwrap_or(prompt);
        let room = width - prompt.len();
        self.follow(buffer.cursor(), text.len(), room);
        let mut row = prompt.to_vec();
        row.extend(text.iter().skip(self.start).take(room).map(|character| Cell::new(*character, Style::Normal)));
        if self.start > 0
            && let Some(first) = row.get_mut(prompt.len())
        {
            *first = Cell::new('<', Style::Normal);
        }
        if text.len() - self.start.min(text.len()) > room
            && let Some(last) = row.last_mut()
        {
            *last = Cell::new('>', Style::Normal);
        }
        (row, prompt.len() + buffer.cursor() - self.start)
    }

    /// Moves the window if the cursor has left it, or stands on one of the marks.
    fn follow(&mut self, cursor: usize, length: usize, room: usize) {
        if length <= room {
            self.start = 0;
            return;
        }
        let first = if self.start > 0 { self.start + 1 } else { 0 };
        let last = if length - self.start.min(length) > room { self.start + room - 2 } else { self.start + room };
        if cursor < first || cursor > last {
            self.start = cursor.saturating_sub(room / 2);
        }
    }
}
