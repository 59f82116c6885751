//! Directory entries, and the long names that are spread over the entries before them.

use super::{u16_at, u32_at};
use alloc::string::String;

/// Bytes of an entry.
pub(super) const ENTRY: usize = 32;
/// Entries that a directory may have (fatgen103: 2 MiB). Without an end by then it has none.
pub(super) const MOST_ENTRIES: usize = 65_536;

/// A long name has at most 255 units of UTF-16, 13 in an entry.
const UNITS: usize = 13;
const MOST_PIECES: u8 = 20;

const READ_ONLY_HIDDEN_SYSTEM_VOLUME: u8 = 0x0f;
const VOLUME: u8 = 0x08;
const DIRECTORY: u8 = 0x10;

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its long name, or its short one in the case in which it is shown.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Bytes of a file; 0 for a directory.
    pub size: u32,
    /// The first cluster; 0 for an empty file, and for the root directory.
    pub(super) cluster: u32,
    /// The short name, `NAME.EXT`.
    pub(super) short: String,
}

impl Entry {
    /// Whether it is called `name`; upper and lower case are the same.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.short.eq_ignore_ascii_case(name)
    }
}

/// What an entry turns out to be.
pub(super) enum Step {
    /// A file or directory.
    Entry(Entry),
    /// Nothing that has a name: deleted, a piece of a long name, the volume's label, or `.` and `..`.
    Nothing,
    /// The end of the directory.
    End,
}

/// Puts entries and the long names before them together.
pub(super) struct Assembler {
    units: [u16; UNITS * MOST_PIECES as usize],
    /// The piece that is expected next, counted down to 1; 0 if the name is complete; `None` if there is none.
    next: Option<u8>,
    checksum: u8,
}

impl Assembler {
    pub fn new() -> Self {
        Self { units: [0; UNITS * MOST_PIECES as usize], next: None, checksum: 0 }
    }

    /// Takes the next entry.
    pub fn take(&mut self, bytes: &[u8; ENTRY], is_fat32: bool) -> Step {
        let attributes = bytes[11];
        match bytes[0] {
            0 => return Step::End,
            0xe5 => {
                self.next = None;
                return Step::Nothing;
            }
            order if attributes & 0x3f == READ_ONLY_HIDDEN_SYSTEM_VOLUME => {
                self.piece(order, bytes);
                return Step::Nothing;
            }
            _ => {}
        }
        let long = self.long_name(bytes);
        if attributes & VOLUME != 0 || bytes[0] == b'.' {
            return Step::Nothing;
        }
        let short = short_name(bytes, 0);
        let is_directory = attributes & DIRECTORY != 0;
        let high = if is_fat32 { u32::from(u16_at(bytes, 20)) << 16 } else { 0 };
        Step::Entry(Entry {
            name: long.unwrap_or_else(|| short_name(bytes, bytes[12])),
            is_directory,
            size: if is_directory { 0 } else { u32_at(bytes, 28) },
            cluster: high | u32::from(u16_at(bytes, 26)),
            short,
        })
    }

    /// Takes a piece of a long name: the last comes first, and says how many there are.
    fn piece(&mut self, order: u8, bytes: &[u8; ENTRY]) {
        let number = order & 0x3f;
        if order & 0x40 != 0 && (1..=MOST_PIECES).contains(&number) {
            self.units = [0; UNITS * MOST_PIECES as usize];
            self.checksum = bytes[13];
        } else if self.next != Some(number) || number == 0 || self.checksum != bytes[13] {
            self.next = None;
            return;
        }
        let units = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30].map(|offset| u16_at(bytes, offset));
        let place = self.units.chunks_exact_mut(UNITS).nth(usize::from(number) - 1);
        if let Some(place) = place {
            place.copy_from_slice(&units);
        }
        self.next = Some(number - 1);
    }

    /// The name that was put together, if it is whole and belongs to this entry.
    fn long_name(&mut self, bytes: &[u8; ENTRY]) -> Option<String> {
        let complete = self.next.take() == Some(0);
        if !complete || self.checksum != checksum(bytes) {
            return None;
        }
        let units = self.units.split(|unit| *unit == 0 || *unit == 0xffff).next().unwrap_or_default();
        let name: String =
            char::decode_utf16(units.iter().copied()).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        (!name.is_empty()).then_some(name)
    }
}

/// The checksum of a short name that ties its long name to it.
fn checksum(bytes: &[u8; ENTRY]) -> u8 {
    bytes.iter().take(11).fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// `NAME.EXT`. `case` has the two bits by which Windows and Linux keep that a part is in lower case.
fn short_name(bytes: &[u8; ENTRY], case: u8) -> String {
    let (base, extension) = bytes.split_at(8);
    let extension = extension.get(..3).unwrap_or_default();
    let mut name = String::new();
    let mut push = |part: &[u8], lower: bool| {
        for byte in part.trim_ascii_end() {
            // Beyond ASCII a character depends on a code page that nobody knows.
            let byte = if byte.is_ascii() { *byte } else { b'?' };
            name.push(char::from(if lower { byte.to_ascii_lowercase() } else { byte }));
        }
    };
    push(base, case & 0x08 != 0);
    if !extension.trim_ascii_end().is_empty() {
        push(b".", false);
        push(extension, case & 0x10 != 0);
    }
    name
}
