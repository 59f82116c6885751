//! Why something is not a device tree, in words.

use core::fmt;

use super::super::header;
use super::{DEEPEST, LONGEST_NAME};

/// A part of a flattened device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// The ten words at the start.
    Header,
    /// `/memreserve/`: address and size pairs.
    Reservations,
    /// Nodes and properties.
    Structure,
    /// The names of properties.
    Strings,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Reservations => "memory reservation block",
            Self::Structure => "structure block",
            Self::Strings => "strings block",
        })
    }
}

/// Why something is not a device tree. Offsets are bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Less than a header.
    TooShort {
        /// Bytes there are.
        have: usize,
    },
    /// The first word is not 0xd00dfeed.
    Magic {
        /// The first word.
        found: u32,
    },
    /// The header's total size is less than a header or more than there is.
    TotalSize {
        /// What the header says.
        claimed: u32,
        /// Bytes there are.
        have: usize,
    },
    /// Not version 17, or a later one that can be read as 17.
    Version {
        /// The tree's version.
        version: u32,
        /// The oldest version it can be read as.
        last_compatible: u32,
    },
    /// A block starts at an offset that is not a multiple of its alignment.
    Misaligned {
        /// Which block.
        block: Block,
        /// Where it starts.
        offset: usize,
        /// What the offset has to be a multiple of.
        alignment: usize,
    },
    /// A block is not wholly between the header and the total size.
    OutOfBounds {
        /// Which block.
        block: Block,
        /// Where it starts.
        offset: usize,
        /// Bytes the header says it has.
        size: usize,
        /// The tree's total size.
        total_size: usize,
    },
    /// Two blocks share bytes.
    Overlap {
        /// The block that starts first.
        first: Block,
        /// The block that starts within it.
        second: Block,
        /// Where the second starts.
        offset: usize,
    },
    /// No terminating entry (two zeroes) before the end of the tree.
    ReservationsUnterminated {
        /// Where the next entry would have to be.
        offset: usize,
    },
    /// A memory reservation passes the end of the address space.
    ReservationWraps {
        /// Where the entry is.
        offset: usize,
        /// Its address.
        address: u64,
        /// Its size.
        size: u64,
    },
    /// A token of the structure block is wrong.
    Structure {
        /// Where the token is.
        offset: usize,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with a token of the structure block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The block ends before an END token.
    NoEnd,
    /// None of BEGIN_NODE, END_NODE, PROP, NOP, END.
    UnknownToken(u32),
    /// END with nodes still open, or without any node.
    EndTooEarly {
        /// How many nodes are open.
        open: usize,
    },
    /// END_NODE without an open node.
    EndNodeAlone,
    /// A second node beside the root.
    SecondRoot,
    /// Nodes nest deeper than [`DEEPEST`].
    TooDeep,
    /// A node's name does not end within the block, or is longer than [`LONGEST_NAME`].
    NodeNameUnterminated,
    /// A node other than the root has an empty name.
    NodeNameEmpty,
    /// A byte in a node's name is no printable ASCII character, or is `/`.
    NodeNameByte(u8),
    /// A property outside of any node.
    PropertyOutside,
    /// A property after the node's first child.
    PropertyAfterChild,
    /// A property's header or value does not end within the block.
    ValueOutside {
        /// Bytes its header says the value has.
        length: u32,
    },
    /// A property's name is not in the strings block.
    PropertyNameOutside {
        /// Its offset in the strings block.
        name_offset: u32,
        /// Bytes of the strings block.
        strings_size: usize,
    },
    /// A property's name does not end within the strings block, or is longer than [`LONGEST_NAME`].
    PropertyNameUnterminated {
        /// Its offset in the strings block.
        name_offset: u32,
    },
    /// A property's name is empty.
    PropertyNameEmpty {
        /// Its offset in the strings block.
        name_offset: u32,
    },
    /// A byte in a property's name is no printable ASCII character.
    PropertyNameByte(u8),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { have } => {
                write!(f, "not a device tree: {have} bytes, a header alone has {}", header::HEADER_SIZE)
            }
            Self::Magic { found } => {
                write!(f, "not a device tree: it starts with {found:#010x}, expected {:#010x}", header::MAGIC)?;
                match found {
                    0x2f64_7473 => f.write_str(" (this is a .dts source: compile it with dtc)"),
                    0xedfe_0dd0 => f.write_str(" (its bytes are swapped)"),
                    _ => Ok(()),
                }
            }
            Self::TotalSize { claimed, have } if (claimed as usize) > have => {
                write!(
                    f,
                    "device tree is cut: its header says {claimed} bytes, {have} are there; was it fetched whole?"
                )
            }
            Self::TotalSize { claimed, .. } => {
                write!(
                    f,
                    "device tree's header says {claimed} bytes in all, the header alone has {}",
                    header::HEADER_SIZE
                )
            }
            Self::Version { version, last_compatible } => write!(
                f,
                "device tree version {version} (readable as {last_compatible} and later), expected {}; recompile it with dtc",
                header::VERSION
            ),
            Self::Misaligned { block, offset, alignment } => {
                write!(f, "device tree's {block} starts at offset {offset:#x}, expected a multiple of {alignment}")
            }
            Self::OutOfBounds { block, offset, size, total_size } => write!(
                f,
                "device tree's {block} is {size:#x} bytes at offset {offset:#x}, expected between {:#x} and {total_size:#x}",
                header::HEADER_SIZE
            ),
            Self::Overlap { first, second, offset } => {
                write!(f, "device tree's {second} starts at offset {offset:#x}, inside its {first}")
            }
            Self::ReservationsUnterminated { offset } => {
                write!(f, "device tree's memory reservations do not end: no entry of zeroes up to offset {offset:#x}")
            }
            Self::ReservationWraps { offset, address, size } => write!(
                f,
                "device tree's memory reservation at offset {offset:#x} ({size:#x} bytes from {address:#x}) passes the end of memory"
            ),
            Self::Structure { offset, fault } => write!(f, "device tree is damaged at offset {offset:#x}: {fault}"),
        }
    }
}

impl core::error::Error for Error {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoEnd => f.write_str("the structure block ends without an END token"),
            Self::UnknownToken(token) => write!(f, "token {token:#x}, expected 1, 2, 3, 4 or 9"),
            Self::EndTooEarly { open: 0 } => f.write_str("END, expected the root node"),
            Self::EndTooEarly { open } => write!(f, "END while {open} nodes are open"),
            Self::EndNodeAlone => f.write_str("a node ends where none is open"),
            Self::SecondRoot => f.write_str("a second root node, expected END"),
            Self::TooDeep => write!(f, "nodes nest deeper than {DEEPEST}"),
            Self::NodeNameUnterminated => write!(f, "a node's name does not end within {LONGEST_NAME} bytes"),
            Self::NodeNameEmpty => f.write_str("a node without a name"),
            Self::NodeNameByte(byte) => write!(f, "byte {byte:#04x} in a node's name"),
            Self::PropertyOutside => f.write_str("a property outside of any node"),
            Self::PropertyAfterChild => f.write_str("a property after its node's first child"),
            Self::ValueOutside { length } => {
                write!(f, "a property of {length:#x} bytes passes the end of the structure block")
            }
            Self::PropertyNameOutside { name_offset, strings_size } => {
                write!(
                    f,
                    "a property's name is at {name_offset:#x} of the strings block, which has {strings_size:#x} bytes"
                )
            }
            Self::PropertyNameUnterminated { name_offset } => {
                write!(
                    f,
                    "a property's name at {name_offset:#x} of the strings block does not end within {LONGEST_NAME} bytes"
                )
            }
            Self::PropertyNameEmpty { name_offset } => {
                write!(f, "a property without a name (offset {name_offset:#x} of the strings block)")
            }
            Self::PropertyNameByte(byte) => write!(f, "byte {byte:#04x} in a property's name"),
        }
    }
}
