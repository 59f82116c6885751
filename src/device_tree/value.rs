//! Values of properties as text.
//!
//! A value has no type in a tree. What it most likely is, is guessed as U-Boot's `fdt print` does, so that everything that shows values shows them alike:
//! texts, where every one of them is printable; else cells, where its length is one of cells; else bytes. All three are forms of the source
//! language, so what is shown can be compiled again.

use core::fmt;
use core::fmt::Write as _;

/// The texts of a value that is taken for texts: each has a printable character at least and a zero at its end; or it is one empty text.
pub fn texts(value: &[u8]) -> Option<impl Iterator<Item = &str>> {
    let (last, inside) = value.split_last()?;
    let printable = |text: &[u8]| !text.is_empty() && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    if *last != 0 || !(inside.is_empty() || inside.split(|byte| *byte == 0).all(printable)) {
        return None;
    }
    core::str::from_utf8(inside).ok().map(|inside| inside.split('\0'))
}

/// A value as text: `"okay"`, `"a", "b"`, `<0x00000001 0x00000002>`, `[0a 0b 0c]`; nothing where it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    bytes: &'a [u8],
    escaped: bool,
}

impl<'a> Value<'a> {
    /// As a source has it: quotes and backslashes in a text have a backslash before them.
    pub fn in_source(bytes: &'a [u8]) -> Self {
        Self { bytes, escaped: true }
    }

    /// As U-Boot prints it: what is in a text stands there as it is.
    pub fn as_it_is(bytes: &'a [u8]) -> Self {
        Self { bytes, escaped: false }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bytes.is_empty() {
            return Ok(());
        }
        if let Some(texts) = texts(self.bytes) {
            for (index, text) in texts.enumerate() {
                f.write_str(if index > 0 { ", \"" } else { "\"" })?;
                for character in text.chars() {
                    if self.escaped && matches!(character, '"' | '\\') {
                        f.write_char('\\')?;
                    }
                    f.write_char(character)?;
                }
                f.write_char('"')?;
            }
            return Ok(());
        }
        let (cells, rest) = self.bytes.as_chunks::<4>();
        if rest.is_empty() {
            for (index, cell) in cells.iter().enumerate() {
                write!(f, "{}0x{:08x}", if index > 0 { ' ' } else { '<' }, u32::from_be_bytes(*cell))?;
            }
            f.write_char('>')
        } else {
            for (index, byte) in self.bytes.iter().enumerate() {
                write!(f, "{}{byte:02x}", if index > 0 { ' ' } else { '[' })?;
            }
            f.write_char(']')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_value_is_texts_or_cells_or_bytes() {
        for (value, shown) in [
            (&b""[..], ""),
            (b"\0", "\"\""),
            (b"okay\0", "\"okay\""),
            (b"a\0b c\0", "\"a\", \"b c\""),
            (b"a\0\0b\0", "[61 00 00 62 00]"),
            (b"a\nbc", "<0x610a6263>"),
            (b"a\nb\0", "<0x610a6200>"),
            (b"abcd", "<0x61626364>"),
            (b"\0\0\0\x01\xff\xff\xff\xff", "<0x00000001 0xffffffff>"),
            (b"\x01\x02\x03", "[01 02 03]"),
            (b"\xc3\xa9\0", "[c3 a9 00]"),
        ] {
            assert_eq!(Value::in_source(value).to_string(), shown);
            assert_eq!(Value::as_it_is(value).to_string(), shown);
        }
    }

    #[test]
    fn quotes_and_backslashes_are_escaped_in_a_source_alone() {
        let value = b"say \"a\\b\"\0";
        assert_eq!(Value::in_source(value).to_string(), r#""say \"a\\b\"""#);
        assert_eq!(Value::as_it_is(value).to_string(), r#""say "a\b"""#);
    }
}
