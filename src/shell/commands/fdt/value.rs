//! The values of `fdt set`, as U-Boot reads them (its `cmd/fdt.c`, of which only the rules are used here).
//!
//! What the first argument begins with decides: `<` is a list of cells, `[` a list of bytes, anything else makes every argument a text. Lists may be spread over
//! several arguments. A cell's number is in the base that it says itself: `0x` is hexadecimal, a leading `0` octal, anything else decimal. That is
//! the opposite of addresses and sizes everywhere else, and the trap of this command. Digits that are none of the base end the number and begin the
//! next one: `<08>` is two cells.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::iter::Peekable;
use core::slice;

/// A property's new value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What U-Boot passes over without a word, and a person should know.
    pub notes: Vec<Note>,
}

/// Something in a value that is not taken as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A number does not fit; its low bits are taken.
    Truncated {
        /// The number.
        number: u64,
        /// The bits that are taken.
        bits: u32,
    },
    /// What comes behind the end of the list is left out.
    Behind(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { number, bits } => {
                write!(f, "{number:#x} has more than {bits} bits: only the low ones are taken")
            }
            Self::Behind(text) => write!(f, "{text:?} comes behind the end of the list: it is left out"),
        }
    }
}

/// Why a value is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No number begins there.
    NotANumber(String),
    /// A list of bytes has something else than hexadecimal digits.
    NotAByte(String),
    /// A list has no end.
    Open {
        /// What it should end with.
        end: char,
    },
    /// `?` keeps a cell that the property does not have.
    NoOldCell {
        /// Which one, from 0.
        index: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber(text) => write!(f, "expected a number or ? in <...>, found {text:?}"),
            Self::NotAByte(text) => write!(f, "expected hexadecimal digits in [...], found {text:?}"),
            Self::Open { end } => write!(f, "the value has no {end:?} at its end"),
            Self::NoOldCell { index } => write!(f, "? keeps cell {index}, which the property does not have"),
        }
    }
}

/// The value that `arguments` say, of a property whose value was `old`.
///
/// # Errors
/// [`Error`].
pub fn parse(arguments: &[String], old: &[u8]) -> Result<Value, Error> {
    match arguments.first().and_then(|first| first.bytes().next()) {
        Some(b'<') => cells(Text::new(arguments), old),
        Some(b'[') => bytes(Text::new(arguments)),
        _ => {
            let texts = arguments.iter().flat_map(|argument| argument.bytes().chain([0]));
            Ok(Value { bytes: texts.collect(), notes: Vec::new() })
        }
    }
}

/// The arguments as one text, behind its opening bracket.
struct Text<'a> {
    /// What is left of the argument at hand.
    rest: &'a str,
    more: Peekable<slice::Iter<'a, String>>,
}

impl<'a> Text<'a> {
    fn new(arguments: &'a [String]) -> Self {
        let mut more = arguments.iter().peekable();
        let rest = more.next().and_then(|first| first.get(1..)).unwrap_or_default();
        Self { rest, more }
    }

    /// The next byte that is no space, in a later argument if need be.
    fn next(&mut self, end: char) -> Result<u8, Error> {
        loop {
            self.rest = self.rest.trim_start_matches(' ');
            match self.rest.bytes().next() {
                Some(byte) => return Ok(byte),
                None => self.rest = self.more.next().ok_or(Error::Open { end })?,
            }
        }
    }

    /// Passes over `length` bytes.
    fn pass(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    /// A number in `base`, or in the base that it says itself; `None` where not one character belongs to one.
    fn number(&mut self, base: Option<u32>) -> Option<u64> {
        let prefixed = self.rest.starts_with("0x") || self.rest.starts_with("0X");
        let (prefix, base) = match base {
            _ if prefixed => (2, 16),
            Some(base) => (0, base),
            None if self.rest.starts_with('0') => (0, 8),
            None => (0, 10),
        };
        let digits = self.rest.get(prefix..).unwrap_or_default();
        let length = digits.chars().take_while(|digit| digit.is_digit(base)).count();
        let value = digits.chars().take(length).filter_map(|digit| digit.to_digit(base));
        let value = value.fold(0u64, |value, digit| value.wrapping_mul(u64::from(base)).wrapping_add(u64::from(digit)));
        self.pass(prefix + length);
        (prefix + length > 0).then_some(value)
    }

    /// What the end of the list leaves.
    fn behind(mut self) -> Option<Note> {
        self.pass(1);
        let text = if self.rest.trim().is_empty() { self.more.next()? } else { self.rest };
        Some(Note::Behind(text.to_string()))
    }
}

fn cells(mut text: Text<'_>, old: &[u8]) -> Result<Value, Error> {
    let mut value = Value::default();
    let old = old.as_chunks::<4>().0;
    loop {
        let cell = match text.next('>')? {
            b'>' => break,
            b'?' => {
                text.pass(1);
                let index = value.bytes.len() / 4;
                *old.get(index).ok_or(Error::NoOldCell { index })?
            }
            _ => {
                let rest = text.rest;
                let number = text.number(None).ok_or_else(|| Error::NotANumber(rest.to_string()))?;
                if number > u64::from(u32::MAX) {
                    value.notes.push(Note::Truncated { number, bits: 32 });
                }
                (number as u32).to_be_bytes()
            }
        };
        value.bytes.extend(cell);
    }
    value.notes.extend(text.behind());
    Ok(value)
}

fn bytes(mut text: Text<'_>) -> Result<Value, Error> {
    let mut value = Value::default();
    while text.next(']')? != b']' {
        let rest = text.rest;
        let not_a_byte = || Error::NotAByte(rest.to_string());
        if !rest.starts_with(|first: char| first.is_ascii_hexdigit()) {
            return Err(not_a_byte());
        }
        let number = text.number(Some(16)).ok_or_else(not_a_byte)?;
        if number > u64::from(u8::MAX) {
            value.notes.push(Note::Truncated { number, bits: 8 });
        }
        value.bytes.push(number as u8);
    }
    value.notes.extend(text.behind());
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn read(arguments: &[&str], old: &[u8]) -> Result<Value, Error> {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
        parse(&arguments, old)
    }

    fn list(arguments: &[&str]) -> Vec<u32> {
        let value = read(arguments, &[]).unwrap();
        assert_eq!(value.notes, [], "{arguments:?}");
        value.bytes.as_chunks::<4>().0.iter().map(|cell| u32::from_be_bytes(*cell)).collect()
    }

    #[test]
    fn cells_say_their_base_themselves() {
        assert_eq!(list(&["<1024 0x1000000 010 0xFFFFFFFF 0>"]), [1024, 0x100_0000, 8, u32::MAX, 0]);
        // What U-Boot makes of a digit that octal does not have, and of a prefix without digits.
        assert_eq!(list(&["<08>"]), [0, 8]);
        assert_eq!(list(&["<0x>"]), [0]);
    }

    #[test]
    fn a_list_may_be_spread_over_arguments_and_hold_spaces() {
        assert_eq!(list(&["<0x0", "0xE00000", "0x0", "0x7A1200", ">"]), [0, 0xe0_0000, 0, 0x7a_1200]);
        assert_eq!(list(&["<", "5", "0xfffffffe>"]), [5, 0xffff_fffe]);
        assert_eq!(list(&["< 5   6 >"]), [5, 6]);
        assert_eq!(list(&["<>"]), []);
        assert_eq!(read(&["[00 11", "ff", "]"], &[]).unwrap().bytes, [0, 0x11, 0xff]);
        assert_eq!(read(&["[]"], &[]).unwrap().bytes, []);
    }

    #[test]
    fn a_question_mark_keeps_a_cell() {
        let old: Vec<u8> = [1u32, 2, 3].iter().flat_map(|cell| cell.to_be_bytes()).collect();
        let value = read(&["<? 9 ?>"], &old).unwrap();
        assert_eq!(value.bytes, [0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 3]);
        assert_eq!(read(&["<9 9 9 ?>"], &old), Err(Error::NoOldCell { index: 3 }));
    }

    #[test]
    fn anything_else_is_a_list_of_texts() {
        assert_eq!(read(&["xen,linux-zimage", "a b"], &[]).unwrap().bytes, b"xen,linux-zimage\0a b\0");
        assert_eq!(read(&["1", "<2>"], &[]).unwrap().bytes, b"1\0<2>\0");
        assert_eq!(read(&[""], &[]).unwrap().bytes, b"\0");
        assert_eq!(read(&[], &[]).unwrap(), Value::default());
    }

    #[test]
    fn what_is_not_taken_as_written_is_told() {
        let value = read(&["<0x100000001>"], &[]).unwrap();
        assert_eq!(
            (value.bytes, value.notes),
            (vec![0, 0, 0, 1], vec![Note::Truncated { number: 0x1_0000_0001, bits: 32 }])
        );
        let value = read(&["[0102]"], &[]).unwrap();
        assert_eq!((value.bytes, value.notes), (vec![2], vec![Note::Truncated { number: 0x102, bits: 8 }]));
        for arguments in [&["<1>", "<2>"][..], &["<1> <2>"]] {
            let value = read(arguments, &[]).unwrap();
            assert_eq!(value.bytes, [0, 0, 0, 1]);
            assert!(matches!(&value.notes[..], [Note::Behind(text)] if text.contains("<2>")), "{:?}", value.notes);
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_the_place() {
        assert_eq!(read(&["<1", "2"], &[]), Err(Error::Open { end: '>' }));
        assert_eq!(read(&["[1"], &[]), Err(Error::Open { end: ']' }));
        assert_eq!(read(&["<12k>"], &[]), Err(Error::NotANumber("k>".to_string())));
        assert_eq!(read(&["<-1>"], &[]), Err(Error::NotANumber("-1>".to_string())));
        assert_eq!(
            read(&["<${addr}>"], &[]).unwrap_err().to_string(),
            "expected a number or ? in <...>, found \"${addr}>\""
        );
        assert_eq!(read(&["[0g]"], &[]), Err(Error::NotAByte("g]".to_string())));
    }

    proptest! {
        #[test]
        fn nothing_that_can_be_typed_is_too_much(arguments in prop::collection::vec("[<>\\[\\]0-9a-fx?, é]{0,6}", 0..5), old in prop::collection::vec(any::<u8>(), 0..9)) {
            if let Ok(value) = parse(&arguments, &old) {
                prop_assert!(value.bytes.len() <= 4 * arguments.iter().map(|argument| argument.len() + 1).sum::<usize>());
            }
        }
    }
}
