//! Variables: what scripts call the environment. A name has one value, text; an empty value is no value (as in U-Boot).

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The variables of a shell, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
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
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.variables.remove(name);
        } else {
            self.variables.insert(name.to_string(), value.to_string());
        }
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.variables.iter().map(|(name, value)| name.len() + value.len()).sum()
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
    /// The variables in `data`, up to the first empty one or, with newlines, the first NUL. A backslash takes the meaning from a
    /// separator; empty lines and such as begin with `#` are left out. A name without `=` has an empty value, which takes it away.
    pub fn variables(self, data: &[u8]) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let mut rest = data;
        while let Some(first) = rest.first().filter(|first| **first != 0) {
            let mut entry = Vec::new();
            let mut bytes = rest.iter();
            let comment = *first == b'#';
            while let Some(byte) = bytes.next() {
                match *byte {
                    byte if byte == self.separator || byte == 0 => break,
                    b'\\' if !comment => entry.extend(bytes.next()),
                    byte => entry.push(byte),
                }
            }
            let ended_by_nul = self.separator != 0 && rest.get(rest.len() - bytes.len() - 1) == Some(&0);
            rest = bytes.as_slice();
            if self.crlf && entry.last() == Some(&b'\r') {
                entry.pop();
            }
            let entry = String::from_utf8_lossy(&entry);
            let entry = entry.trim_start_matches([' ', '\t']);
            if !comment && !entry.is_empty() {
                let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
                variables.push((name.to_string(), value.to_string()));
            }
            if ended_by_nul {
                break;
            }
        }
        variables
    }
}

/// The text in a checked block of variables, which is what `uboot.env` and `env import -c` hold: the CRC-32 of the text, little-endian, and
/// the text, with NUL as its separator, up to the end of the block.
///
/// # Errors
/// It is too short, or the CRC is another.
pub fn checked(block: &[u8]) -> Result<&[u8], BadBlock> {
    let Some((stored, text)) = block.split_first_chunk::<4>() else { return Err(BadBlock::Short(block.len())) };
    let stored = u32::from_le_bytes(*stored);
    let computed = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC).checksum(text);
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
}

impl NotDefined {
    /// It is called `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_string() }
    }
}

impl fmt::Display for NotDefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no variable {} (printenv shows all)", self.name)
    }
}
