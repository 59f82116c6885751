//! The text of a line and the place in it where the next character goes.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of a line at most, as UTF-8.
pub const LONGEST_LINE: usize = 4096;

/// A line of at most [`LONGEST_LINE`] bytes, by characters.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffer {
    text: Vec<char>,
    cursor: usize,
    bytes: usize,
}

impl Buffer {
    pub fn text(&self) -> &[char] {
        &self.text
    }

    /// Where the cursor is, 0 to the number of characters.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The text before the cursor.
    pub fn before(&self) -> String {
        self.text.iter().take(self.cursor).collect()
    }

    /// Puts as much of `text` in at the cursor as there is room for; whether that was all of it.
    pub fn insert(&mut self, text: impl IntoIterator<Item = char>) -> bool {
        for character in text {
            let bytes = self.bytes.saturating_add(character.len_utf8());
            if bytes > LONGEST_LINE {
                return false;
            }
            self.text.insert(self.cursor, character);
            self.cursor += 1;
            self.bytes = bytes;
        }
        true
    }

    /// Puts `text` in the place of all there was, the cursor at its end; whether there was room for all of it.
    pub fn replace(&mut self, text: &str) -> bool {
        *self = Self::default();
        self.insert(text.chars())
    }

    /// Takes out what is between the cursor and `place`.
    pub fn remove_to(&mut self, place: usize) -> Vec<char> {
        let Range { start, end } = self.cursor.min(place)..self.cursor.max(place).min(self.text.len());
        let removed: Vec<char> = self.text.drain(start..end).collect();
        self.bytes -= removed.iter().map(|character| character.len_utf8()).sum::<usize>();
        self.cursor = start;
        removed
    }

    /// Moves the cursor to `place`, at most to the end.
    pub fn go_to(&mut self, place: usize) {
        self.cursor = place.min(self.text.len());
    }

    /// The character before the cursor.
    pub fn left(&self) -> usize {
        self.cursor.saturating_sub(1)
    }

    /// The character after the one at the cursor.
    pub fn right(&self) -> usize {
        self.cursor.saturating_add(1)
    }

    /// Where the word before the cursor begins; a word is what `belongs`.
    pub fn word_left(&self, belongs: fn(char) -> bool) -> usize {
        let mut place = self.cursor;
        for wanted in [false, true] {
            while place > 0 && self.text.get(place - 1).is_some_and(|character| belongs(*character) == wanted) {
                place -= 1;
            }
        }
        place
    }

    /// Where the word after the cursor ends.
    pub fn word_right(&self, belongs: fn(char) -> bool) -> usize {
        let mut place = self.cursor;
        for wanted in [false, true] {
            while self.text.get(place).is_some_and(|character| belongs(*character) == wanted) {
                place += 1;
            }
        }
        place
    }
}

/// What cursor movements by word take for one: letters and digits.
pub(super) fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || !character.is_ascii()
}

/// What Control-W takes for one: all but blanks.
pub(super) fn is_not_blank(character: char) -> bool {
    !character.is_ascii_whitespace()
}
