//! Shows frames in place, by their differences.

use super::super::{
    Kind,
    pen::{Pen, move_by},
};
use super::{Cell, Frame};
use alloc::vec::Vec;
use core::fmt;

/// Keeps a region of the screen, from the row on which the cursor stood downwards, showing the latest [`Frame`].
///
/// What was printed above stays: movements are relative to the region, which may have scrolled up with the rest of the screen
/// when it was painted at the bottom. Text printed by others while a region is shown goes astray; [`Painter::leave`] or
/// [`Painter::erase`] come first.
#[derive(Clone, Debug)]
pub struct Painter {
    columns: u16,
    rows: u16,
    /// What the region shows; empty while there is none.
    shown: Vec<Vec<Cell>>,
    /// Where the cursor is in it.
    cursor: (usize, usize),
}

impl Painter {
    /// A painter for a terminal of this size, on which it has shown nothing yet.
    pub fn new(columns: u16, rows: u16) -> Self {
        Self { columns, rows, shown: Vec::new(), cursor: (0, 0) }
    }

    /// Shows `frame` in the place of the one before, or else from the cursor's row on. Only what differs is sent, and nothing if
    /// nothing does. Of a frame that is larger than the terminal the upper left part is shown.
    pub fn paint(&mut self, frame: &Frame, out: &mut dyn fmt::Write) {
        let width = usize::from(self.columns.saturating_sub(1));
        let rows: Vec<&[Cell]> =
            frame.rows().iter().take(usize::from(self.rows)).map(|row| row.get(..width).unwrap_or(row)).collect();
        if rows.is_empty() {
            return self.erase(out);
        }
        if self.shown.is_empty() {
            let _ = out.write_str("\r\x1b[J");
        }
        for (number, new) in rows.iter().enumerate() {
            self.paint_row(number, new, out);
        }
        if rows.len() < self.shown.len() {
            self.go_to((rows.len(), 0), out);
            let _ = out.write_str("\x1b[J");
            self.shown.truncate(rows.len());
        }
        let (row, column) = frame.cursor();
        let row = row.min(rows.len().saturating_sub(1));
        self.go_to((row, column.min(rows.get(row).map_or(0, |cells| cells.len()))), out);
    }

    /// Sends everything anew with the next frame: noise on the line may have changed what is on the screen.
    pub fn repaint(&mut self, frame: &Frame, out: &mut dyn fmt::Write) {
        self.erase(out);
        self.paint(frame, out);
    }

    /// Clears the region. The cursor is then where the region began, and the next frame begins there.
    pub fn erase(&mut self, out: &mut dyn fmt::Write) {
        if self.shown.is_empty() {
            return;
        }
        self.go_to((0, 0), out);
        let _ = out.write_str("\x1b[J");
        self.shown.clear();
    }

    /// Leaves the region as it is and goes below it. The next frame begins there.
    pub fn leave(&mut self, out: &mut dyn fmt::Write) {
        if self.shown.is_empty() {
            return;
        }
        self.go_to_row(self.shown.len() - 1, out);
        let _ = out.write_str("\r\n");
        self.shown.clear();
        self.cursor = (0, 0);
    }

    /// Goes to the beginning of the row below the region, which stays and can be erased from there. Others may use that row, and tell how far they went
    /// down ([`Painter::went_down`]).
    pub fn go_below(&mut self, out: &mut dyn fmt::Write) {
        if self.shown.is_empty() {
            return;
        }
        self.go_to_row(self.shown.len() - 1, out);
        let _ = out.write_str("\r\n");
        self.cursor = (self.shown.len(), 0);
    }

    /// Others have ended so many rows below the region: the cursor is at the beginning of the next one.
    pub fn went_down(&mut self, rows: usize) {
        self.cursor.0 = self.cursor.0.saturating_add(rows);
    }

    fn paint_row(&mut self, number: usize, new: &[Cell], out: &mut dyn fmt::Write) {
        if number == self.shown.len() {
            if number > 0 {
                // Only a line feed makes the screen scroll where the region meets its end.
                self.go_to_row(number - 1, out);
                let _ = out.write_str("\r\n");
            }
            self.cursor = (number, 0);
            self.shown.push(Vec::new());
        }
        if self.shown.get(number).is_none_or(|old| old == new) {
            return;
        }
        self.go_to_row(number, out);
        let mut pen = Pen::new(out, self.kind(), self.cursor.1);
        let Some(old) = self.shown.get_mut(number) else { return };
        pen.change(old, new);
        self.cursor.1 = pen.column();
        *old = new.to_vec();
    }

    /// Moves to a cell of the region.
    fn go_to(&mut self, (row, column): (usize, usize), out: &mut dyn fmt::Write) {
        self.go_to_row(row, out);
        Pen::new(out, self.kind(), self.cursor.1).go_to(column, &[]);
        self.cursor.1 = column;
    }

    /// Moves up or down in the region.
    fn go_to_row(&mut self, row: usize, out: &mut dyn fmt::Write) {
        move_by(out, self.cursor.0.saturating_sub(row), 'A');
        move_by(out, row.saturating_sub(self.cursor.0), 'B');
        self.cursor.0 = row;
    }

    fn kind(&self) -> Kind {
        Kind::Ansi { columns: self.columns, rows: self.rows }
    }
}
