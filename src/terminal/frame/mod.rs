//! A screen as rows of text that stands out or not, and the [`Painter`] that shows one after the other.
//!
//! ```
//! use xenlift::terminal::frame::{Frame, Painter, Style};
//!
//! let mut painter = Painter::new(80, 24);
//! let mut screen = String::new();
//! let mut frame = Frame::new(80, 24);
//! frame.line(Style::Bold, format_args!("Which one?"));
//! frame.line(Style::Reverse, format_args!("  {}  {}", 1, "xen"));
//! frame.fill(Style::Reverse);
//! painter.paint(&frame, &mut screen);
//! ```

mod painter;

pub use super::pen::{Cell, Style};
pub use painter::Painter;

use super::CUT;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// Columns of a frame at most, whatever a terminal says that it has.
pub const MOST_COLUMNS: u16 = 250;

/// Rows of a frame at most.
pub const MOST_ROWS: u16 = 100;

/// Rows of styled text, filled from the top. What does not fit is cut off: a row on the right, where [`CUT`] tells of it, the frame at the bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    width: usize,
    height: usize,
    rows: Vec<Vec<Cell>>,
    /// Whether the row begun last is one that does not fit.
    full: bool,
    cursor: Option<(usize, usize)>,
}

impl Frame {
    /// An empty frame for a terminal of this size. The last column stays free: terminals differ in when they wrap.
    pub fn new(columns: u16, rows: u16) -> Self {
        Self {
            width: usize::from(columns.clamp(2, MOST_COLUMNS) - 1),
            height: usize::from(rows.clamp(1, MOST_ROWS)),
            rows: Vec::new(),
            full: false,
            cursor: None,
        }
    }

    /// Cells of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows that it can have.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Rows that still fit.
    pub fn room(&self) -> usize {
        self.height.saturating_sub(self.rows.len())
    }

    /// Begins the next row with `text`. Where no row fits any more, this one and all that is added to it is left out.
    pub fn line(&mut self, style: Style, text: fmt::Arguments<'_>) {
        self.full = self.room() == 0;
        if !self.full {
            self.rows.push(Vec::new());
        }
        self.add(style, text);
    }

    /// Adds `text` to the last row.
    pub fn add(&mut self, style: Style, text: fmt::Arguments<'_>) {
        self.add_within(self.width, style, text);
    }

    /// Adds `text` to the last row up to `width`, so that there is room for something behind it.
    pub fn add_within(&mut self, width: usize, style: Style, text: fmt::Arguments<'_>) {
        let width = width.min(self.width);
        let Some(cells) = self.last() else { return };
        // Infallible: what does not fit is cut off.
        let _ = Span { cells, width, style }.write_fmt(text);
    }

    /// Fills the last row with blanks up to `column`, counted from 0.
    pub fn fill_to(&mut self, column: usize, style: Style) {
        let end = column.min(self.width);
        if let Some(cells) = self.last()
            && cells.len() < end
        {
            cells.resize(end, Cell::new(' ', style));
        }
    }

    /// Fills the last row with blanks to its end.
    pub fn fill(&mut self, style: Style) {
        self.fill_to(self.width, style);
    }

    /// Puts the cursor behind what the last row has so far, instead of at the beginning of the last row.
    pub fn put_cursor(&mut self) {
        if let Some(column) = self.last().map(|cells| cells.len()) {
            self.cursor = Some((self.rows.len() - 1, column));
        }
    }

    /// Puts the cursor at this row and column, counted from 0, or as near as there is something.
    pub fn put_cursor_at(&mut self, row: usize, column: usize) {
        self.cursor = Some((row, column));
    }

    /// The rows, from the top.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Where the cursor stands when the frame is shown: row and column, counted from 0.
    pub fn cursor(&self) -> (usize, usize) {
        let (row, column) = self.cursor.unwrap_or((usize::MAX, 0));
        let row = row.min(self.rows.len().saturating_sub(1));
        (row, column.min(self.rows.get(row).map_or(0, Vec::len)))
    }

    /// The row that is being filled.
    fn last(&mut self) -> Option<&mut Vec<Cell>> {
        if self.full { None } else { self.rows.last_mut() }
    }

    /// The text alone, a line a row, without blanks at their ends.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            text.extend(row.iter().map(|cell| cell.character()));
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

/// Appends to a row up to its width.
struct Span<'a> {
    cells: &'a mut Vec<Cell>,
    width: usize,
    style: Style,
}

impl Write for Span<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.width.saturating_sub(self.cells.len());
        let mut characters = text.chars();
        self.cells.extend(characters.by_ref().take(room).map(|character| Cell::new(character, self.style)));
        if characters.any(|character| character != ' ')
            && let Some(last) = self.cells.last_mut()
        {
            *last = Cell::new(CUT, last.style());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
