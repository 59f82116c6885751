//! The tables of a map, as arithmetic on arrays (Arm ARM DDI 0487, D8): 4 KiB granule, 39-bit addresses, so three levels that begin
//! at level 1 with 1 GiB entries; blocks where a range allows them, pages where it does not. Tables come from a fixed pool;
//! where it ends, what cannot be said exactly is not mapped, and the caller is told. Tested by walking what was written.

use crate::range::PhysicalRange;
use core::fmt;

/// What may be done with a page, and what kind of memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// An access is an exception.
    None,
    /// Normal memory: read, execute.
    Code,
    /// Normal memory: read.
    ReadOnly,
    /// Normal memory: read, write.
    ReadWrite,
    /// Device-nGnRnE: read, write.
    Device,
}

/// Why a range is not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// All tables of the pool are in use; some of the range may have been mapped.
    NoTables {
        /// The first address that is not mapped as asked.
        address: u64,
    },
    /// The range passes the 39 bits of the map.
    TooHigh {
        /// Its end.
        end: u64,
    },
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTables { address } => {
                write!(f, "no page table left for memory from {address:#x} on: {POOL} are too few for this memory map")
            }
            Self::TooHigh { end } => write!(f, "memory up to {end:#x} cannot be mapped: the map ends at {MAP_END:#x}"),
        }
    }
}

pub(super) const PAGE: u64 = 4096;
pub(super) const ENTRIES: usize = 512;
/// Tables in the pool: one of level 1, up to four of level 2 on an 8 GB board, the rest for edges that are not on 2 MiB.
pub(super) const POOL: usize = 40;
pub(super) const MAP_END: u64 = 1 << 39;

const VALID: u64 = 1;
/// Bit 1: a table at levels 1 and 2, a page at level 3; clear for a block.
const TABLE_OR_PAGE: u64 = 2;
/// AttrIndx, bits 4:2, into [`MAIR`].
const NORMAL: u64 = 0;
const DEVICE: u64 = 1 << 2;
/// AP[1] is RES1 in the EL2 regime.
const AP_1: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESS_FLAG: u64 = 1 << 10;
const EXECUTE_NEVER: u64 = 1 << 54;
pub(super) const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

impl Access {
    /// The attribute bits of a block or page; zero is an invalid entry.
    pub(super) const fn attributes(self) -> u64 {
        let normal = VALID | NORMAL | AP_1 | INNER_SHAREABLE | ACCESS_FLAG;
        match self {
            Self::None => 0,
            Self::Code => normal | AP_READ_ONLY,
            Self::ReadOnly => normal | AP_READ_ONLY | EXECUTE_NEVER,
            Self::ReadWrite => normal | EXECUTE_NEVER,
            Self::Device => VALID | DEVICE | AP_1 | ACCESS_FLAG | EXECUTE_NEVER,
        }
    }
}

/// One translation table.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub(super) struct Table(pub(super) [u64; ENTRIES]);

/// The tables of the map. They refer to each other by their position in `pool`, which lies at `base` in memory.
pub(super) struct Tables<'a> {
    pub(super) pool: &'a mut [Table],
    pub(super) used: usize,
    base: u64,
}

impl<'a> Tables<'a> {
    /// An empty map. `pool` is zeroed and lies at the physical address `base`.
    pub(super) fn new(pool: &'a mut [Table], base: u64) -> Self {
        Self { pool, used: 1, base }
    }

    /// Maps the whole pages of `range` to themselves, over whatever was there.
    pub(super) fn map(&mut self, range: PhysicalRange, access: Access) -> Result<(), MapError> {
        if range.end > MAP_END {
            return Err(MapError::TooHigh { end: range.end });
        }
        // What is taken away is rounded out to pages, what is given is rounded in.
        let (start, end) = match access {
            Access::None | Access::ReadOnly => (range.start / PAGE * PAGE, range.end.next_multiple_of(PAGE)),
            _ => (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE),
        };
        if start < end { self.map_level(0, 1, start, end, access) } else { Ok(()) }
    }

    /// Maps `start..end` in the table at `index`, which is of `level`.
    fn map_level(&mut self, index: usize, level: u32, start: u64, end: u64, access: Access) -> Result<(), MapError> {
        let shift = 39 - 9 * level;
        let size = 1_u64 << shift;
        let mut address = start;
        let mut outcome = Ok(());
        while address < end {
            let entry = (address >> shift) as usize % ENTRIES;
            let entry_end = (address & !(size - 1)) + size;
            let part_end = end.min(entry_end);
            // A table stays a table: whoever split the block may count on it, and a live one must not become a block in one step.
            let is_table = level < 3 && self.get(index, entry).is_some_and(|entry| entry & TABLE_OR_PAGE != 0);
            if address.is_multiple_of(size) && part_end == entry_end && !is_table {
                let kind = if level == 3 { TABLE_OR_PAGE } else { 0 };
                let attributes = access.attributes();
                self.set(index, entry, if attributes == 0 { 0 } else { address | attributes | kind });
            } else {
                let result = match self.next_table(index, entry, level) {
                    Some(next) => self.map_level(next, level + 1, address, part_end, access),
                    None => {
                        // Too coarse is only right in one direction: rather nothing is mapped than something that must not be.
                        self.set(index, entry, 0);
                        Err(MapError::NoTables { address })
                    }
                };
                outcome = outcome.and(result);
            }
            address = part_end;
        }
        outcome
    }

    /// Whether every byte of `range` may be read and written as Normal memory.
    pub(super) fn allows_writing(&self, range: PhysicalRange) -> bool {
        let mut address = range.start;
        while address < range.end {
            let Some((entry, size)) = self.leaf(address) else { return false };
            if entry & !(ADDRESS | TABLE_OR_PAGE) != Access::ReadWrite.attributes() {
                return false;
            }
            let Some(next) = (address & !(size - 1)).checked_add(size) else { return false };
            address = next;
        }
        true
    }

    /// The block or page entry that maps `address`, and how many bytes it maps.
    fn leaf(&self, address: u64) -> Option<(u64, u64)> {
        if address >= MAP_END {
            return None;
        }
        let mut table = 0;
        for level in 1..=3 {
            let shift = 39 - 9 * level;
            let entry = self.get(table, (address >> shift) as usize % ENTRIES)?;
            if entry & VALID == 0 {
                return None;
            }
            if level == 3 || entry & TABLE_OR_PAGE == 0 {
                return Some((entry, 1 << shift));
            }
            table = usize::try_from((entry & ADDRESS).checked_sub(self.base)? / PAGE).ok()?;
        }
        None
    }

    /// The position of the table that an entry refers to; an entry that is none, or a block, becomes one that says the same.
    fn next_table(&mut self, index: usize, entry: usize, level: u32) -> Option<usize> {
        let old = self.get(index, entry)?;
        if old & (VALID | TABLE_OR_PAGE) == (VALID | TABLE_OR_PAGE) {
            return usize::try_from((old & ADDRESS).checked_sub(self.base)? / PAGE).ok();
        }
        let next = self.used;
        let table = self.pool.get_mut(next)?;
        self.used += 1;
        if old & VALID != 0 {
            let below = level + 1;
            let size = 1_u64 << (39 - 9 * below);
            let kind = if below == 3 { TABLE_OR_PAGE } else { 0 };
            for (position, entry) in table.0.iter_mut().enumerate() {
                *entry = (old + position as u64 * size) | kind;
            }
        }
        self.set(index, entry, (self.base + next as u64 * PAGE) | VALID | TABLE_OR_PAGE);
        Some(next)
    }

    fn get(&self, table: usize, entry: usize) -> Option<u64> {
        self.pool.get(table)?.0.get(entry).copied()
    }

    fn set(&mut self, table: usize, entry: usize, value: u64) {
        if let Some(slot) = self.pool.get_mut(table).and_then(|table| table.0.get_mut(entry)) {
            *slot = value;
        }
    }
}
