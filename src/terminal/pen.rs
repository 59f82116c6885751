//! One row of the screen: what stands in it, and how to turn that into something else with the fewest bytes.

use super::{Kind, shown};
use core::fmt;

/// How a character stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    #[default]
    Normal,
    /// Bold, or brighter.
    Bold,
    /// Foreground and background exchanged.
    Reverse,
}

/// One character cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    character: char,
    style: Style,
}

impl Cell {
    /// `character`, or `?` if it is not one that fills one cell.
    pub fn new(character: char, style: Style) -> Self {
        Self { character: shown(character), style }
    }

    /// What is shown in it.
    pub fn character(self) -> char {
        self.character
    }

    /// How.
    pub fn style(self) -> Style {
        self.style
    }
}

/// Equal cells between two changes are rewritten up to this many, because going past them costs as much.
const WORTH_A_JUMP: usize = 5;

/// The cursor on one row, and whom its movements are for.
///
/// On an ANSI terminal no row may reach the last column: there terminals differ in when they wrap. On a plain line there are no
/// columns; what moves right is what is printed again.
pub(super) struct Pen<'a> {
    out: &'a mut dyn fmt::Write,
    ansi: bool,
    column: usize,
    style: Style,
}

impl<'a> Pen<'a> {
    /// The cursor in `column`, counted from 0, with nothing standing out.
    pub fn new(out: &'a mut dyn fmt::Write, kind: Kind, column: usize) -> Self {
        Self { out, ansi: kind != Kind::Plain, column, style: Style::Normal }
    }

    /// Where the cursor is.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Turns a row that shows `old` into one that shows `new`. The cursor is then somewhere on it.
    pub fn change(&mut self, old: &[Cell], new: &[Cell]) {
        let mut at = 0;
        while at < new.len() {
            if old.get(at) == new.get(at) {
                at += 1;
                continue;
            }
            let end = end_of_change(old, new, at);
            self.go_to(at, new);
            self.draw(new.get(at..end).unwrap_or_default());
            at = end;
        }
        let left_over = old.len().saturating_sub(new.len());
        if left_over > 0 {
            self.go_to(new.len(), new);
            self.erase(left_over);
        }
        self.set_style(Style::Normal);
    }

    /// Moves the cursor to `column` of a row that shows `row` at least up to there.
    pub fn go_to(&mut self, column: usize, row: &[Cell]) {
        let from = self.column;
        let back = from.saturating_sub(column);
        if back == 0 {
            self.forward(column, row);
        } else if column == 0 || (!self.ansi && back > 1 + column) {
            self.write("\r");
            self.column = 0;
            self.forward(column, row);
        } else if self.ansi && back > 4 {
            move_by(self.out, back, 'D');
        } else {
            for _ in 0..back {
                self.write("\x08");
            }
        }
        self.column = column;
    }

    /// From where the cursor is to `column`, which is not before it.
    fn forward(&mut self, column: usize, row: &[Cell]) {
        if self.ansi {
            move_by(self.out, column.saturating_sub(self.column), 'C');
        } else {
            self.draw(row.get(self.column..column).unwrap_or_default());
        }
    }

    fn draw(&mut self, cells: &[Cell]) {
        for cell in cells {
            self.set_style(cell.style);
            let _ = self.out.write_char(cell.character);
        }
        self.column += cells.len();
    }

    /// Erases `count` cells from the cursor on, all that follows on its row.
    fn erase(&mut self, count: usize) {
        self.set_style(Style::Normal);
        if self.ansi && count > 1 {
            return self.write("\x1b[K");
        }
        for text in [" ", "\x08"] {
            for _ in 0..count {
                self.write(text);
            }
        }
    }

    fn set_style(&mut self, style: Style) {
        if !self.ansi || style == self.style {
            return;
        }
        self.write(match (self.style, style) {
            (_, Style::Normal) => "\x1b[m",
            (Style::Normal, Style::Bold) => "\x1b[1m",
            (Style::Normal, Style::Reverse) => "\x1b[7m",
            (_, Style::Bold) => "\x1b[0;1m",
            (_, Style::Reverse) => "\x1b[0;7m",
        });
        self.style = style;
    }

    fn write(&mut self, text: &str) {
        let _ = self.out.write_str(text);
    }
}

/// ECMA-48's cursor movement with this final letter, `count` cells or rows far.
pub(super) fn move_by(out: &mut dyn fmt::Write, count: usize, letter: char) {
    // Infallible, as all writing here: the console counts what it loses.
    let _ = match count {
        0 => Ok(()),
        1 => write!(out, "\x1b[{letter}"),
        _ => write!(out, "\x1b[{count}{letter}"),
    };
}

/// Where the change that begins at `start` ends: before the next stretch of equal cells that is worth a jump, or with `new`.
fn end_of_change(old: &[Cell], new: &[Cell], start: usize) -> usize {
    let mut end = start + 1;
    for at in start + 1..new.len() {
        if old.get(at) != new.get(at) {
            end = at + 1;
        } else if at - end >= WORTH_A_JUMP {
            break;
        }
    }
    end
}
