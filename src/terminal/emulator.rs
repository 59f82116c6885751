//! The other end of the line, for tests: the screen of the `vt100` crate.

use std::num::NonZero;
use std::string::String;
use std::vec::Vec;

/// A terminal, and all that was ever on its screen.
pub(crate) struct Emulator {
    parser: vt100::Parser,
    columns: u16,
    rows: u16,
}

/// A cell as it looks: text, bold, reversed. An empty one is a blank, whatever its style.
pub(crate) type Look = (String, bool, bool);

impl Emulator {
    pub fn new(columns: u16, rows: u16) -> Self {
        let parser = vt100::Parser::new(NonZero::new(rows).unwrap(), NonZero::new(columns).unwrap(), 1000);
        Self { parser, columns, rows }
    }

    /// Shows what was sent.
    pub fn show(&mut self, sent: &str) {
        self.parser.process(sent.as_bytes());
    }

    /// The screen as text: rows that have wrapped as one, without cells that nothing was written to.
    pub fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// The rows of the screen, without blanks at their ends and empty rows at its end.
    pub fn trimmed(&self) -> String {
        let rows = self.parser.screen().rows(0, self.columns);
        let text: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        text.join("\n").trim_end_matches('\n').to_owned()
    }

    /// A row of the screen, counted from 0, cell by cell.
    pub fn looks(&self, row: u16) -> Vec<Look> {
        let cells = (0..self.columns).map(|column| self.parser.screen().cell(row, column).unwrap());
        cells
            .map(|cell| {
                let text = if cell.has_contents() { cell.contents() } else { " " };
                (text.to_owned(), cell.bold() && text != " ", cell.inverse())
            })
            .collect()
    }

    /// The cursor's row and column, counted from 0.
    pub fn cursor(&self) -> (u16, u16) {
        self.parser.screen().cursor_position()
    }

    /// Whether text printed next would stand out.
    pub fn is_styled(&self) -> bool {
        self.parser.screen().bold() || self.parser.screen().inverse()
    }

    /// Every line that was ever on the screen: what scrolled off it, then its rows.
    pub fn history(&mut self) -> Vec<String> {
        let (rows, columns) = (usize::from(self.rows), self.columns);
        let screen = self.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let mut above = screen.scrollback();
        let mut lines = Vec::new();
        while above > 0 {
            let step = above.min(rows);
            screen.set_scrollback(above);
            lines.extend(screen.rows(0, columns).take(step));
            above -= step;
        }
        screen.set_scrollback(0);
        lines.extend(screen.rows(0, columns));
        lines
    }
}
