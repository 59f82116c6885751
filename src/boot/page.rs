//! Text of a terminal's width: lines broken between words, and nothing in them that moves the cursor.

use crate::terminal::Shown;
use alloc::string::ToString;
use core::fmt;

/// Fewer columns than this are not believed.
pub const LEAST_COLUMNS: u16 = 20;

/// Text of a certain width.
pub struct Page<'a> {
    /// Where it goes.
    pub out: &'a mut dyn fmt::Write,
    /// Characters that a line may have.
    pub width: usize,
}

impl<'a> Page<'a> {
    /// For a terminal of so many columns. Nothing is written into the last one: what terminals do then differs.
    pub fn new(out: &'a mut dyn fmt::Write, columns: u16) -> Self {
        Self { out, width: usize::from(columns.max(LEAST_COLUMNS)) - 1 }
    }

    /// Writes lines that may be too long: those that are go on two columns further in, all others stay as they are.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn lines(&mut self, text: &str) -> fmt::Result {
        text.lines().try_for_each(|line| match line.chars().count() <= self.width {
            true => writeln!(self.out, "{line}"),
            false => self.text(line.len() - line.trim_start().len(), 4, line),
        })
    }

    /// Writes `text` in as many lines as it takes, broken between words, the first with so many blanks before it and each other with as many
    /// as `hanging` says. A word that is longer than a line is broken anywhere.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn text(&mut self, first: usize, hanging: usize, text: &str) -> fmt::Result {
        let mut line = " ".repeat(first);
        let (mut length, mut blank) = (first, true);
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let mut left = word.chars().count();
            if !blank && length + 1 + left > self.width {
                writeln!(self.out, "{line}")?;
                (line, length, blank) = (" ".repeat(hanging), hanging, true);
            }
            if !blank {
                line.push(' ');
                length += 1;
            }
            for character in Shown(word).to_string().chars() {
                if length >= self.width && left > 0 {
                    writeln!(self.out, "{line}")?;
                    (line, length) = (" ".repeat(hanging), hanging);
                }
                line.push(character);
                (length, blank) = (length + 1, false);
                left -= 1;
            }
        }
        if blank { Ok(()) } else { writeln!(self.out, "{line}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn only_lines_that_are_too_long_are_broken() {
        let mut text = String::new();
        let long = "    a  line with two blanks that is longer than forty columns";
        Page::new(&mut text, 41).lines(&alloc::format!("kept  as it is\n{long}\n")).unwrap();
        assert_eq!(text, "kept  as it is\n    a line with two blanks that is\n    longer than forty columns\n");
    }
}
