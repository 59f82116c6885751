//! The structural check that every tree from outside passes before anything else looks at it.
//!
//! It covers chapter 5 of the Devicetree Specification v0.4: header, alignment, bounds and overlaps of the blocks, the end of the memory
//! reservations, every token of the structure block with its name, its value and its place. It is also the guard in front of
//! fdt-rs, which panics on some malformed input: nothing that passes here makes it.
//!
//! Stricter than the specification nowhere; as tolerant as dtc where trees in the field are untidy: NOP tokens anywhere, blocks in any order, gaps between
//! them, names longer than 31 characters, characters outside the recommended set. It never allocates, never recurses, and looks at
//! every token once; names are bounded ([`LONGEST_NAME`]), so its time is linear in the size of the tree. Every edit and every command of a
//! script has a tree checked, so it is quick with what most of a tree is: properties whose name another one had before.

mod error;

use super::header::{self, Header, field, padded, word};
use crate::sort::sort_by;

pub use error::{Block, Error, Fault};

/// How deep nodes may nest, the root being 1. The deepest node of a Raspberry Pi 4's tree is at 7; Linux stops at 64.
pub const DEEPEST: usize = 64;

/// The longest name of a node or property, in bytes. The specification says 31 (before a node's `@`); trees in the field exceed it.
pub const LONGEST_NAME: usize = 255;

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
    sort_by(blocks, |one, other| one.0 < other.0);
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
    let mut names = PropertyNames::new(strings);
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
                let length = check_node_name(structure, offset, root_seen).map_err(wrong)?;
                offset = padded(offset + length + 1).ok_or(wrong(Fault::NodeNameUnterminated))?;
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
                offset = check_property(structure, &mut names, at).map_err(wrong)?;
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

/// Checks the node name at `offset` and gives its length; only the root's may be empty or have a slash.
fn check_node_name(structure: &[u8], offset: usize, below_root: bool) -> Result<usize, Fault> {
    let name = terminated(structure, offset).ok_or(Fault::NodeNameUnterminated)?;
    if name.is_empty() && below_root {
        return Err(Fault::NodeNameEmpty);
    }
    match name.iter().find(|&&byte| !byte.is_ascii_graphic() || (byte == b'/' && below_root)) {
        Some(&byte) => Err(Fault::NodeNameByte(byte)),
        None => Ok(name.len()),
    }
}

/// Checks the property whose token is at `at` and gives the offset of the next token.
fn check_property(structure: &[u8], names: &mut PropertyNames<'_>, at: usize) -> Result<usize, Fault> {
    let length = word(structure, at + 4).ok_or(Fault::ValueOutside { length: 0 })?;
    let name_offset = word(structure, at + 8).ok_or(Fault::ValueOutside { length })?;
    let end = (at + header::PROPERTY_HEADER_SIZE).checked_add(length as usize).and_then(padded);
    let end = end.filter(|&end| end <= structure.len()).ok_or(Fault::ValueOutside { length })?;
    names.check(name_offset)?;
    Ok(end)
}

/// The strings block, and which of its first names were looked at: a tree has thousands of properties with a few hundred names.
struct PropertyNames<'a> {
    strings: &'a [u8],
    /// A bit an offset: whether a good name begins there.
    good: [u64; 64],
}

impl<'a> PropertyNames<'a> {
    fn new(strings: &'a [u8]) -> Self {
        Self { strings, good: [0; 64] }
    }

    /// Checks the name at `name_offset`.
    fn check(&mut self, name_offset: u32) -> Result<(), Fault> {
        let bit = 1 << (name_offset % 64);
        let word = self.good.get_mut(name_offset as usize / 64);
        if word.as_ref().is_some_and(|word| **word & bit != 0) {
            return Ok(());
        }
        check_property_name(self.strings, name_offset)?;
        if let Some(word) = word {
            *word |= bit;
        }
        Ok(())
    }
}

fn check_property_name(strings: &[u8], name_offset: u32) -> Result<(), Fault> {
    if name_offset as usize >= strings.len() {
        return Err(Fault::PropertyNameOutside { name_offset, strings_size: strings.len() });
    }
    let name = terminated(strings, name_offset as usize).ok_or(Fault::PropertyNameUnterminated { name_offset })?;
    if name.is_empty() {
        return Err(Fault::PropertyNameEmpty { name_offset });
    }
    match name.iter().find(|byte| !byte.is_ascii_graphic()) {
        Some(&byte) => Err(Fault::PropertyNameByte(byte)),
        None => Ok(()),
    }
}

/// The bytes from `offset` up to a zero that comes within [`LONGEST_NAME`] bytes.
pub(super) fn terminated(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = bytes.get(offset..)?;
    let end = rest.iter().take(LONGEST_NAME + 1).position(|&byte| byte == 0)?;
    rest.get(..end)
}
