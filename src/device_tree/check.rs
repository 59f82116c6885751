//! The structural check that every tree from outside passes before anything else looks at it.
//!
//! It covers chapter 5 of the Devicetree Specification v0.4: header, alignment, bounds and overlaps of the blocks, the end of the memory
//! reservations, every token of the structure block with its name, its value and its place. It is also the guard in front of
//! fdt-rs, which panics on some malformed input: nothing that passes here makes it.
//!
//! Stricter than the specification nowhere; as tolerant as dtc where trees in the field are untidy: NOP tokens anywhere, blocks in any order, gaps between
//! them, names longer than 31 characters, characters outside the recommended set. It never allocates, never recurses, and looks at
//! every token once; names are bounded ([`LONGEST_NAME`]), so its time is linear in the size of the tree.

use core::fmt;

use super::header::{self, Header, field, padded, word};

/// How deep nodes may nest, the root being 1. The deepest node of a Raspberry Pi 4's tree is at 7; Linux stops at 64.
pub const DEEPEST: usize = 64;

/// The longest name of a node or property, in bytes. The specification says 31 (before a node's `@`); trees in the field exceed it.
pub const LONGEST_NAME: usize = 255;

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

/// The total size that a tree starting at `bytes` claims, if it has the magic: what to fetch or copy before [`check()`] can see it whole.
///
/// # Errors
/// [`Error::TooShort`] and [`Error::Magic`]; the size itself is checked only by [`check()`].
pub fn claimed_size(bytes: &[u8]) -> Result<usize, Error> {
    let too_short = Error::TooShort { have: bytes.len() };
    let found = word(bytes, field::MAGIC).ok_or(too_short)?;
    if found != header::MAGIC {
        return Err(Error::Magic { found });
    }
    word(bytes, field::TOTAL_SIZE).map(|size| size as usize).ok_or(too_short)
}

/// Checks that `bytes` starts with a whole, well-formed flattened device tree, and says where its blocks lie.
///
/// Bytes after the tree's total size are not looked at.
///
/// # Errors
/// The first thing found wrong, with its offset.
pub fn check(bytes: &[u8]) -> Result<Header, Error> {
    let have = bytes.len();
    if have < header::HEADER_SIZE {
        // A wrong first word says more about a stray file than its length does.
        return match claimed_size(bytes) {
            Err(error @ Error::Magic { .. }) => Err(error),
            _ => Err(Error::TooShort { have }),
        };
    }
    let total_size = claimed_size(bytes)?;
    let read = |at: usize| word(bytes, at).ok_or(Error::TooShort { have });
    let tree = match bytes.get(..total_size) {
        Some(tree) if total_size >= header::HEADER_SIZE => tree,
        _ => return Err(Error::TotalSize { claimed: read(field::TOTAL_SIZE)?, have }),
    };
    let (version, last_compatible) = (read(field::VERSION)?, read(field::LAST_COMPATIBLE_VERSION)?);
    if version < header::VERSION || last_compatible > header::VERSION {
        return Err(Error::Version { version, last_compatible });
    }

    let reservations_offset = read(field::RESERVATIONS_OFFSET)? as usize;
    let structure_offset = read(field::STRUCTURE_OFFSET)? as usize;
    let strings_offset = read(field::STRINGS_OFFSET)? as usize;
    let (structure_size, strings_size) = (read(field::STRUCTURE_SIZE)? as usize, read(field::STRINGS_SIZE)? as usize);
    aligned(Block::Reservations, reservations_offset, 8)?;
    aligned(Block::Structure, structure_offset, 4)?;
    // The reservation block's size is not in the header: one entry is the least it has.
    block(tree, Block::Reservations, reservations_offset, header::RESERVATION_SIZE)?;
    let structure = block(tree, Block::Structure, structure_offset, structure_size)?;
    let strings = block(tree, Block::Strings, strings_offset, strings_size)?;
    let reservations_size = check_reservations(tree, reservations_offset)?;
    disjoint(&mut [
        (reservations_offset, reservations_size, Block::Reservations),
        (structure_offset, structure_size, Block::Structure),
        (strings_offset, strings_size, Block::Strings),
    ])?;

    let used = check_structure(structure, strings)
        .map_err(|(offset, fault)| Error::Structure { offset: structure_offset.saturating_add(offset), fault })?;
    Ok(Header {
        total_size,
        reservations_offset,
        reservations_size,
        structure_offset,
        structure_size: used,
        strings_offset,
        strings_size,
        boot_cpu: read(field::BOOT_CPU)?,
    })
}

fn aligned(block: Block, offset: usize, alignment: usize) -> Result<(), Error> {
    if offset.is_multiple_of(alignment) { Ok(()) } else { Err(Error::Misaligned { block, offset, alignment }) }
}

fn block(tree: &[u8], block: Block, offset: usize, size: usize) -> Result<&[u8], Error> {
    let inside = if offset < header::HEADER_SIZE {
        None
    } else {
        offset.checked_add(size).and_then(|end| tree.get(offset..end))
    };
    inside.ok_or(Error::OutOfBounds { block, offset, size, total_size: tree.len() })
}

/// Walks the reservations to their terminating entry and gives the block's size with it.
fn check_reservations(tree: &[u8], start: usize) -> Result<usize, Error> {
    let mut offset = start;
    loop {
        let next = offset.saturating_add(header::RESERVATION_SIZE);
        let (Some(address), Some(size)) =
            (header::double_word(tree, offset), header::double_word(tree, offset.saturating_add(8)))
        else {
            return Err(Error::ReservationsUnterminated { offset });
        };
        if address == 0 && size == 0 {
            return Ok(next - start);
        }
        if address.checked_add(size).is_none() {
            return Err(Error::ReservationWraps { offset, address, size });
        }
        offset = next;
    }
}

fn disjoint(blocks: &mut [(usize, usize, Block); 3]) -> Result<(), Error> {
    blocks.sort_unstable_by_key(|&(offset, _, _)| offset);
    let mut before = (Block::Header, header::HEADER_SIZE);
    // An empty strings block may lie anywhere: it holds no byte that another could share.
    for &(offset, size, block) in blocks.iter().filter(|(_, size, _)| *size > 0) {
        let (first, end) = before;
        if end > offset {
            return Err(Error::Overlap { first, second: block, offset });
        }
        before = (block, offset.saturating_add(size));
    }
    Ok(())
}

/// Walks the structure block; gives its size up to and with END. Offsets in errors are bytes from the block's start.
fn check_structure(structure: &[u8], strings: &[u8]) -> Result<usize, (usize, Fault)> {
    let mut offset = 0;
    let mut depth = 0usize;
    let mut root_seen = false;
    // For the open node: whether its first child has come. A closed node is a child of what is open then.
    let mut child_seen = false;
    loop {
        let at = offset;
        let wrong = |fault| (at, fault);
        let token = word(structure, at).ok_or((at, Fault::NoEnd))?;
        offset += header::TOKEN_SIZE;
        match token {
            header::NOP => {}
            header::BEGIN_NODE => {
                if depth == 0 && root_seen {
                    return Err(wrong(Fault::SecondRoot));
                }
                if depth == DEEPEST {
                    return Err(wrong(Fault::TooDeep));
                }
                let name = terminated(structure, offset).ok_or(wrong(Fault::NodeNameUnterminated))?;
                if name.is_empty() && root_seen {
                    return Err(wrong(Fault::NodeNameEmpty));
                }
                if let Some(&byte) = name.iter().find(|&&byte| !byte.is_ascii_graphic() || (byte == b'/' && root_seen))
                {
                    return Err(wrong(Fault::NodeNameByte(byte)));
                }
                offset = padded(offset + name.len() + 1).ok_or(wrong(Fault::NodeNameUnterminated))?;
                root_seen = true;
                child_seen = false;
                depth += 1;
            }
            header::END_NODE => {
                depth = depth.checked_sub(1).ok_or(wrong(Fault::EndNodeAlone))?;
                child_seen = true;
            }
            header::PROPERTY => {
                if depth == 0 {
                    return Err(wrong(Fault::PropertyOutside));
                }
                if child_seen {
                    return Err(wrong(Fault::PropertyAfterChild));
                }
                offset = check_property(structure, strings, at).map_err(wrong)?;
            }
            header::END => {
                return if depth == 0 && root_seen {
                    Ok(offset)
                } else {
                    Err(wrong(Fault::EndTooEarly { open: depth }))
                };
            }
            unknown => return Err(wrong(Fault::UnknownToken(unknown))),
        }
    }
}

/// Checks the property whose token is at `at` and gives the offset of the next token.
fn check_property(structure: &[u8], strings: &[u8], at: usize) -> Result<usize, Fault> {
    let length = word(structure, at + 4).ok_or(Fault::ValueOutside { length: 0 })?;
    let name_offset = word(structure, at + 8).ok_or(Fault::ValueOutside { length })?;
    let end = (at + header::PROPERTY_HEADER_SIZE).checked_add(length as usize).and_then(padded);
    let end = end.filter(|&end| end <= structure.len()).ok_or(Fault::ValueOutside { length })?;
    if name_offset as usize >= strings.len() {
        return Err(Fault::PropertyNameOutside { name_offset, strings_size: strings.len() });
    }
    let name = terminated(strings, name_offset as usize).ok_or(Fault::PropertyNameUnterminated { name_offset })?;
    if name.is_empty() {
        return Err(Fault::PropertyNameEmpty { name_offset });
    }
    match name.iter().find(|byte| !byte.is_ascii_graphic()) {
        Some(&byte) => Err(Fault::PropertyNameByte(byte)),
        None => Ok(end),
    }
}

/// The bytes from `offset` up to a zero that comes within [`LONGEST_NAME`] bytes.
fn terminated(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = bytes.get(offset..)?;
    let end = rest.iter().take(LONGEST_NAME + 1).position(|&byte| byte == 0)?;
    rest.get(..end)
}
