//! What a person at the serial line sees and types, apart from any line: bytes and moments in, keys and text out.
//!
//! Nothing here knows of a UART, a menu or a shell, and nothing waits or looks at a clock. [`key`] makes keys of bytes, [`burst`]
//! lets only those through that a person can have typed, [`query`] finds out whether there is a terminal at the other end,
//! [`frame`] paints a screen by its differences, [`mod@line`] edits a line, [`progress`] shows how waits go, and [`wrap`] makes rows of text. Text goes to a [`core::fmt::Write`], of which the
//! [console](crate::console) is one: it never fails, so results of writing are not looked at.
//!
//! A line of 115,200 baud carries 11 characters a millisecond, one of 9600 baud one: so output is what changed and little more.
//! There is no colour; what stands out is bold or reversed. The cursor stays visible, the alternate screen is not used and no
//! mode of the terminal is changed, because whatever is started next finds the terminal as it was left.
//!
//! The sequences are those of ECMA-48 (5th edition) and the VT100 that xterm, the Linux console, screen, tmux, PuTTY, minicom,
//! picocom and tio have in common.

use alloc::string::String;

pub mod burst;
#[cfg(test)]
pub(crate) mod emulator;
pub mod frame;
pub mod key;
pub mod line;
mod pen;
pub mod progress;
pub mod query;
pub mod wrap;

/// Whom the loader talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line that understands characters, carriage return, line feed and backspace: a dumb terminal, a script, or nobody.
    Plain,
    /// A terminal that understands ECMA-48's cursor movements, of this many character cells.
    Ansi {
        /// Cells in a row.
        columns: u16,
        /// Rows.
        rows: u16,
    },
}

/// What a character looks like on the screen: itself if every terminal shows it in one cell, else `?`.
///
/// Control characters, among them those that hide in Unicode (C1, directions, joiners), combining and wide characters would move
/// the cursor or reorder what stands beside them, so no text from outside can draw anywhere but in its own cells. What is left
/// is ASCII, Latin, Greek and Cyrillic.
pub fn shown(character: char) -> char {
    if is_one_cell(character) { character } else { '?' }
}

/// Whether every terminal shows `character` in exactly one cell.
pub fn is_one_cell(character: char) -> bool {
    matches!(character,
        ' '..='~'
        | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' // Latin and phonetic letters; U+00AD is a soft hyphen
        | '\u{370}'..='\u{377}' | '\u{37a}'..='\u{37f}' | '\u{384}'..='\u{38a}' | '\u{38c}' | '\u{38e}'..='\u{3a1}'
        | '\u{3a3}'..='\u{482}' | '\u{48a}'..='\u{52f}') // U+0483 to U+0489 combine
}

/// Whether `character` is punctuation of word processors and web pages: quotes, dashes and blanks that look like ASCII's and are not, and marks that are not
/// seen at all (the block General Punctuation, the no-break space, the soft hyphen, the byte order mark). No command line means them.
pub fn is_misleading(character: char) -> bool {
    matches!(character, '\u{a0}' | '\u{ad}' | '\u{2000}'..='\u{206f}' | '\u{feff}')
}

/// What stands at the end of a row of which more does not fit.
pub const CUT: char = '~';

/// `text`, or its beginning and [`CUT`] where it is longer than `width` characters.
pub fn clipped(mut text: String, width: usize) -> String {
    if text.chars().count() > width {
        let kept = text.char_indices().nth(width.saturating_sub(1)).map_or(0, |(index, _)| index);
        text.truncate(kept);
        text.push(CUT);
    }
    text
}

/// Text from outside, in which nothing can move the cursor: every character as [`shown`] has it.
pub struct Shown<'a>(pub &'a str);

impl core::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.chars().map(shown).try_for_each(|character| core::fmt::Write::write_char(f, character))
    }
}
