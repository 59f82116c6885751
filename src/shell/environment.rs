//! Variables: what scripts call the environment. A name has one value, text; an empty value is no value (as in U-Boot).

use super::language::limits::{COMMAND, Exceeded, MOST_VARIABLES, VARIABLES};
use super::{Failure, Shell};
use crate::boot::digest::crc32;
use crate::config::nearest::nearest;
use crate::range::PhysicalRange;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The variables of a shell, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Of all names and values.
    bytes: usize,
}

impl Environment {
    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Whether `name` says yes, where it is set: by its first letter, as in U-Boot, where what is neither a yes nor a no is a no.
    pub fn says_yes(&self, name: &str) -> Option<bool> {
        let first = self.get(name)?.bytes().next()?;
        Some(matches!(first, b'1' | b'y' | b'Y' | b't' | b'T'))
    }

    /// Gives `name` a value; an empty one takes the variable away.
    ///
    /// For names and values that the loader chooses; what comes from outside goes through [`store`](Self::store).
    pub fn set(&mut self, name: &str, value: &str) {
        self.bytes = self.bytes_with(name, value);
        if value.is_empty() {
            self.variables.remove(name);
        } else {
            self.variables.insert(name.to_string(), value.to_string());
        }
    }

    /// As [`set`](Self::set), within the limits of what variables may hold together.
    ///
    /// # Errors
    /// [`Exceeded::Value`], [`Exceeded::Variables`], [`Exceeded::MostVariables`]; nothing has changed then.
    pub fn store(&mut self, name: &str, value: &str) -> Result<(), Exceeded> {
        if value.len() > COMMAND {
            return Err(Exceeded::Value);
        }
        if !value.is_empty() {
            if self.bytes_with(name, value) > VARIABLES {
                return Err(Exceeded::Variables);
            }
            if self.variables.len() >= MOST_VARIABLES && !self.variables.contains_key(name) {
                return Err(Exceeded::MostVariables);
            }
        }
        self.set(name, value);
        Ok(())
    }

    /// Bytes of all names and values with this one set.
    fn bytes_with(&self, name: &str, value: &str) -> usize {
        let old = self.get(name).map_or(0, |old| name.len() + old.len());
        let new = if value.is_empty() { 0 } else { name.len().saturating_add(value.len()) };
        (self.bytes - old).saturating_add(new)
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// How a text of variables is written: `name=value`, a separator behind each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextFormat {
    /// What ends a variable: a newline, or NUL in `uboot.env`.
    pub separator: u8,
    /// Whether lines end with CR LF.
    pub crlf: bool,
}

impl TextFormat {
    /// A reader of the variables in a text.
    pub const fn reader(self) -> TextReader {
        TextReader { format: self, at: 0, ended: false }
    }
}

/// Reads a text of variables one by one, so that no more of it than one is ever on the heap. The text is lent for each: it may lie in the
/// memory of the machine that the variables are set on.
#[derive(Clone, Debug)]
pub struct TextReader {
    format: TextFormat,
    /// Where the next one begins.
    at: usize,
    ended: bool,
}

impl TextReader {
    /// The next variable of `data`, name and value; `None` at the end, which is the first empty one or, with newlines, the first NUL. A
    /// backslash takes the meaning from a separator; empty lines and such as begin with `#` are left out. A name without `=` has an
    /// empty value, which takes it away.
    ///
    /// # Errors
    /// [`Exceeded::Value`] where it is longer than any that is kept.
    pub fn next(&mut self, data: &[u8]) -> Result<Option<(String, String)>, Exceeded> {
        let separator = self.format.separator;
        loop {
            let rest = data.get(self.at..).unwrap_or_default();
            let Some(first) = rest.first().filter(|first| **first != 0 && !self.ended) else { return Ok(None) };
            let mut entry = Vec::new();
            let mut bytes = rest.iter();
            let comment = *first == b'#';
            while let Some(byte) = bytes.next() {
                match *byte {
                    byte if byte == separator || byte == 0 => {
                        self.ended = byte != separator;
                        break;
                    }
                    _ if comment => {}
                    b'\\' => entry.extend(bytes.next()),
                    byte => entry.push(byte),
                }
                if entry.len() > COMMAND {
                    return Err(Exceeded::Value);
                }
            }
            self.at += rest.len() - bytes.len();
            if self.format.crlf && entry.last() == Some(&b'\r') {
                entry.pop();
            }
            let entry = String::from_utf8_lossy(&entry);
            let entry = entry.trim_start_matches([' ', '\t']);
            if !entry.is_empty() {
                let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
                return Ok(Some((name.to_string(), value.to_string())));
            }
        }
    }
}

impl Shell<'_> {
    /// Sets the variables of the text that lies in `range`, of those names that are `wanted`; how many they were.
    ///
    /// # Errors
    /// [`NotMemory`](super::platform::NotMemory), [`Exceeded`], [`Failure::Interrupted`]; those before it have been set then.
    pub fn import(
        &mut self,
        format: TextFormat,
        range: PhysicalRange,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<usize, Failure> {
        let mut reader = format.reader();
        let mut count = 0;
        while let Some((name, value)) = reader.next(self.platform.memory(range)?).map_err(Failure::because)? {
            if self.platform.interrupted() {
                return Err(Failure::Interrupted);
            }
            if wanted(&name) {
                self.store(&name, &value)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

/// Bytes of the CRC-32 before the text of a checked block of variables.
pub const CHECKSUM: u64 = 4;

/// The text in a checked block of variables, which is what `uboot.env` and `env import -c` hold: the CRC-32 of the text, little-endian, and
/// the text, with NUL as its separator, up to the end of the block.
///
/// # Errors
/// It is too short, or the CRC is another.
pub fn checked(block: &[u8]) -> Result<&[u8], BadBlock> {
    let Some((stored, text)) = block.split_first_chunk::<4>() else { return Err(BadBlock::Short(block.len())) };
    let stored = u32::from_le_bytes(*stored);
    let computed = crc32(text);
    if stored == computed { Ok(text) } else { Err(BadBlock::Crc { stored, computed }) }
}

/// Why a block of variables is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBlock {
    /// It has only this many bytes.
    Short(usize),
    /// Its CRC-32 is wrong.
    Crc {
        /// What it says.
        stored: u32,
        /// What its text has.
        computed: u32,
    },
}

impl fmt::Display for BadBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(bytes) => write!(f, "a block of variables has a CRC-32 and a text, this has {bytes} bytes"),
            Self::Crc { stored, computed } => {
                write!(f, "the variables are damaged: CRC-32 {computed:08x}, the block says {stored:08x}")
            }
        }
    }
}

/// A variable that a command needs does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDefined {
    name: String,
    nearest: Option<String>,
}

impl NotDefined {
    /// It is called `name`, and these there are.
    pub fn new(name: &str, environment: &Environment) -> Self {
        let nearest = nearest(name, environment.iter().map(|(name, _)| name)).map(String::from);
        Self { name: name.to_string(), nearest }
    }
}

impl fmt::Display for NotDefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.nearest {
            Some(nearest) => write!(f, "there is no variable {}: did you mean {nearest}?", self.name),
            None => write!(f, "there is no variable {} (printenv shows all)", self.name),
        }
    }
}
