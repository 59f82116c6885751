//! The partition table in a card's first block (MBR), with the logical partitions of extended ones.
//!
//! Partitions are numbered as Linux and U-Boot do: 1 to 4 those of the table, 5 and on the logical ones. 0 is the whole card, which
//! some people format without a table.

use super::volume::Volume;
use super::{BLOCK, BlockDevice, Error, read_block, u16_at, u32_at};
use alloc::vec::Vec;

/// Logical partitions that are looked at; Linux stops at 60 partitions in all.
const MOST_LOGICAL: usize = 56;

const TABLE: usize = 446;
const ENTRY: usize = 16;
const SIGNATURE: u16 = 0xaa55;
/// The only entry of the table that protects a GPT.
const PROTECTIVE: u8 = 0xee;

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number; 0 is the whole card.
    pub number: u32,
    /// What the table says is in it: 0x0c FAT32, 0x0e FAT16, 0x83 Linux …
    pub kind: u8,
    /// Whether the table marks it as the one to boot from.
    pub bootable: bool,
    /// Its first block on the card.
    pub first: u32,
    /// How many blocks it has, all of them on the card.
    pub blocks: u32,
}

impl Partition {
    /// Whether the table says that it has a FAT file system.
    pub const fn is_fat(&self) -> bool {
        matches!(self.kind, 0x01 | 0x04 | 0x06 | 0x0b | 0x0c | 0x0e)
    }

    const fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }

    /// The entry of a table that starts at block `base`; `None` for one that is not in use, or not on the card.
    fn parse(bytes: &[u8], number: u32, base: u32, blocks: u32) -> Option<Self> {
        let kind = *bytes.get(4)?;
        let first = base.checked_add(u32_at(bytes, 8)).filter(|first| *first < blocks && *first != 0)?;
        let size = u32_at(bytes, 12).min(blocks - first);
        let bootable = bytes.first() == Some(&0x80);
        (kind != 0 && size != 0).then_some(Self { number, kind, bootable, first, blocks: size })
    }
}

/// The partitions of a card that can hold files, in the order of their numbers.
///
/// # Errors
/// [`Error::Unreadable`], [`Error::NoTable`], [`Error::Gpt`].
pub fn partitions(device: &mut dyn BlockDevice) -> Result<Vec<Partition>, Error> {
    let blocks = device.blocks();
    let first = read_block(device, 0)?;
    let whole = Partition { number: 0, kind: 0x0c, bootable: true, first: 0, blocks };
    if Volume::parse(&first, &whole).is_ok() {
        return Ok(Vec::from([whole]));
    }
    if u16_at(&first, 510) != SIGNATURE {
        return Err(Error::NoTable);
    }
    let table: Vec<Partition> = entries(&first)
        .enumerate()
        .filter_map(|(index, bytes)| Partition::parse(bytes, index as u32 + 1, 0, blocks))
        .collect();
    if !table.is_empty() && table.iter().all(|partition| partition.kind == PROTECTIVE) {
        return Err(Error::Gpt);
    }
    let mut found: Vec<Partition> = table.iter().copied().filter(|partition| !partition.is_extended()).collect();
    if let Some(extended) = table.iter().find(|partition| partition.is_extended()) {
        add_logical(device, extended, &mut found)?;
    }
    Ok(found)
}

/// The number by which the card's table is told from others (Linux' PARTUUID begins with it): the four bytes before the entries' two.
///
/// # Errors
/// [`Error::Unreadable`].
pub fn table_number(device: &mut dyn BlockDevice) -> Result<u32, Error> {
    Ok(u32_at(&read_block(device, 0)?, 440))
}

fn entries(block: &[u8; BLOCK]) -> impl Iterator<Item = &[u8]> {
    block.get(TABLE..TABLE + 4 * ENTRY).unwrap_or_default().chunks_exact(ENTRY)
}

/// Follows the list of logical partitions: each has a table of its own, with itself, relative to that table, and the next
/// table, relative to the extended partition. A list that leads backwards is at its end: it would be a circle.
fn add_logical(device: &mut dyn BlockDevice, extended: &Partition, found: &mut Vec<Partition>) -> Result<(), Error> {
    let blocks = device.blocks();
    let mut at = extended.first;
    for number in 5..5 + MOST_LOGICAL as u32 {
        let block = read_block(device, at)?;
        if u16_at(&block, 510) != SIGNATURE {
            return Ok(());
        }
        let mut entries = entries(&block);
        let logical = entries.next().and_then(|bytes| Partition::parse(bytes, number, at, blocks));
        found.extend(logical.filter(|partition| !partition.is_extended()));
        let next = entries.next().and_then(|bytes| Partition::parse(bytes, number, extended.first, blocks));
        match next {
            Some(next) if next.is_extended() && next.first > at => at = next.first,
            _ => return Ok(()),
        }
    }
    Ok(())
}
