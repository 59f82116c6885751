//! The identity map: every address that is mapped is mapped to itself.
//!
//! The builder (`Tables`) is arithmetic on arrays and is tested on the host by walking what it wrote. It follows the Arm ARM
//! (DDI 0487, D8): 4 KiB granule, 39-bit addresses, so three levels that begin at level 1 with 1 GiB entries; blocks where a range
//! allows them, pages where it does not. Tables come from a fixed pool inside the loader's image; where the pool ends, what cannot be
//! said exactly is not mapped, and the caller is told.
//!
//! What is mapped, and why:
//! * RAM that the firmware's tree describes: Normal, inner and outer write-back. Nothing else may be Normal, because the
//!   Cortex-A72 reads ahead into any Normal page, and a read where nothing answers can hang the bus.
//! * Memory reserved as `no-map`: not mapped. Other reservations: read-only, so that a stray write is an exception.
//! * Page 0: not mapped. The firmware's stub and spin table survive there, and a null pointer is an exception.
//! * The loader: code read-only and executable, constants read-only, the rest writable and never executable, the page below
//!   the stack not mapped. SCTLR_EL2.WXN says the same once more.
//! * The window of device registers: Device-nGnRnE.
#![cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "the host builds the map in tests, and turns nothing on")
)]

use super::firmware_memory::FirmwareMemory;
use super::placement::PAGE_ZERO;
use super::{barrier, image};
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

const PAGE: u64 = 4096;
const ENTRIES: usize = 512;
/// Tables in the pool: one of level 1, up to four of level 2 on an 8 GB board, the rest for edges that are not on 2 MiB.
const POOL: usize = 40;
const MAP_END: u64 = 1 << 39;

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
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// Attribute 0: Normal, inner and outer write-back, read and write allocate. Attribute 1: Device-nGnRnE.
const MAIR: u64 = 0x00ff;
/// RES1 bits 31 and 23, 36-bit physical addresses, inner shareable write-back table walks, 4 KiB granule, T0SZ = 25.
const TCR: u64 = 1 << 31 | 1 << 23 | 1 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 25;
/// SCTLR_EL2 with everything off: the RES1 bits, little-endian. The value that the firmware's stub starts with.
pub const SCTLR_OFF: u64 = 0x30c5_0830;
/// M, C, SA, I, WXN on top. A stays off: the compiler loads vectors of bytes from odd addresses.
const SCTLR_ON: u64 = SCTLR_OFF | 1 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 19;

impl Access {
    /// The attribute bits of a block or page; zero is an invalid entry.
    const fn attributes(self) -> u64 {
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
struct Table([u64; ENTRIES]);

/// The tables of the map. They refer to each other by their position in `pool`, which lies at `base` in memory.
struct Tables<'a> {
    pool: &'a mut [Table],
    used: usize,
    base: u64,
}

impl<'a> Tables<'a> {
    /// An empty map. `pool` is zeroed and lies at the physical address `base`.
    fn new(pool: &'a mut [Table], base: u64) -> Self {
        Self { pool, used: 1, base }
    }

    /// Maps the whole pages of `range` to themselves, over whatever was there.
    fn map(&mut self, range: PhysicalRange, access: Access) -> Result<(), MapError> {
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
                let Some(next) = self.next_table(index, entry, level) else {
                    // Too coarse is only right in one direction: rather nothing is mapped here than something that must not be.
                    self.set(index, entry, 0);
                    return Err(MapError::NoTables { address });
                };
                self.map_level(next, level + 1, address, part_end, access)?;
            }
            address = part_end;
        }
        Ok(())
    }

    /// Whether every byte of `range` may be read and written as Normal memory.
    fn allows_writing(&self, range: PhysicalRange) -> bool {
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

/// The map in use. There is one; it is the key to mapping more.
pub struct AddressSpace {
    tables: Tables<'static>,
    incomplete: Option<MapError>,
}

impl fmt::Debug for AddressSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressSpace {{ {} of {POOL} tables in use }}", self.tables.used)
    }
}

/// Lays the whole map out, as the module's documentation says. What could not be mapped is left unmapped and reported.
fn lay_out(tables: &mut Tables<'_>, memory: &FirmwareMemory, devices: PhysicalRange) -> Result<(), MapError> {
    let mut outcome = Ok(());
    let mut map = |range, access| {
        let result = tables.map(range, access);
        if outcome.is_ok() {
            outcome = result;
        }
    };
    // The loader first, so that it has its tables whatever the firmware's tree says.
    let loader = |map: &mut dyn FnMut(PhysicalRange, Access)| {
        map(image::text(), Access::Code);
        map(image::constants(), Access::ReadOnly);
        map(image::data(), Access::ReadWrite);
        map(image::guard(), Access::None);
        map(image::stack(), Access::ReadWrite);
    };
    loader(&mut map);
    map(devices, Access::Device);
    for bank in memory.banks.as_slice() {
        // A bank that claims the devices' addresses does not make them memory.
        for part in without(*bank, devices) {
            map(part, Access::ReadWrite);
        }
    }
    for reservation in memory.reserved.as_slice() {
        for part in without(reservation.range, devices) {
            for part in in_banks(part, memory) {
                map(part, if reservation.no_map { Access::None } else { Access::ReadOnly });
            }
        }
    }
    map(PAGE_ZERO, Access::None);
    loader(&mut map);
    outcome
}

/// What of `range` is not in `hole`.
fn without(range: PhysicalRange, hole: PhysicalRange) -> impl Iterator<Item = PhysicalRange> {
    let before = PhysicalRange { start: range.start, end: range.end.min(hole.start) };
    let after = PhysicalRange { start: range.start.max(hole.end), end: range.end };
    [before, after].into_iter().filter(|part| !part.is_empty())
}

/// What of `range` is in a bank.
fn in_banks(range: PhysicalRange, memory: &FirmwareMemory) -> impl Iterator<Item = PhysicalRange> {
    memory.banks.as_slice().iter().filter_map(move |bank| {
        let part = PhysicalRange { start: range.start.max(bank.start), end: range.end.min(bank.end) };
        (!part.is_empty()).then_some(part)
    })
}

impl AddressSpace {
    /// Why some memory stayed unmapped, if any did.
    pub const fn incomplete(&self) -> Option<MapError> {
        self.incomplete
    }

    /// Whether every byte of `range` may be read and written as Normal memory.
    pub fn allows_writing(&self, range: PhysicalRange) -> bool {
        self.tables.allows_writing(range)
    }

    /// Maps a further bank of RAM as Normal memory, for a board whose firmware passed no tree and whose mailbox said what it has.
    /// Pages that are mapped already keep their rights.
    ///
    /// # Errors
    /// As [`MapError`]; what could be mapped is.
    pub fn add_ram(&mut self, bank: PhysicalRange) -> Result<(), MapError> {
        // Entries only go from invalid to valid here, which needs no break-before-make and no TLB maintenance (D8.16.1).
        let mut result = Ok(());
        for part in without(bank, PAGE_ZERO).flat_map(|part| without(part, image::range())) {
            result = result.and(self.tables.map(part, Access::ReadWrite));
        }
        barrier::dsb_sy();
        barrier::isb();
        result
    }
}

#[cfg(target_os = "none")]
mod target {
    use super::{
        AddressSpace, ENTRIES, FirmwareMemory, MAIR, POOL, PhysicalRange, SCTLR_ON, TCR, Table, Tables, lay_out,
    };
    use core::arch::asm;
    use core::cell::UnsafeCell;

    struct Pool(UnsafeCell<[Table; POOL]>);
    // SAFETY: `turn_on` takes the only reference ever, once, on the only core that runs.
    unsafe impl Sync for Pool {}
    static TABLES: Pool = Pool(UnsafeCell::new([Table([0; ENTRIES]); POOL]));

    /// Builds the map and turns the MMU and the caches on.
    ///
    /// # Safety
    /// Once, by start-up, at EL2 with the MMU off and no valid cache line over the image.
    pub unsafe fn turn_on(memory: &FirmwareMemory, devices: PhysicalRange) -> AddressSpace {
        // SAFETY: the caller calls once, so this is the only reference to TABLES.
        let pool: &'static mut [Table] = unsafe { &mut *TABLES.0.get() };
        let base = pool.as_ptr() as u64;
        let mut tables = Tables::new(pool, base);
        let incomplete = lay_out(&mut tables, memory, devices).err();
        // SAFETY: the tables map this code executable, its data and stack writable, all at their own addresses, so execution
        // goes on at the next instruction. They were written with the caches off, so the walker finds them in memory.
        unsafe {
            asm!(
                "dsb sy",
                "msr mair_el2, {mair}",
                "msr tcr_el2, {tcr}",
                "msr ttbr0_el2, {base}",
                "isb",
                "tlbi alle2",
                "ic iallu",
                "dsb sy",
                "isb",
                "msr sctlr_el2, {sctlr}",
                "isb",
                mair = in(reg) MAIR,
                tcr = in(reg) TCR,
                base = in(reg) base,
                sctlr = in(reg) SCTLR_ON,
                options(nostack, preserves_flags),
            );
        }
        AddressSpace { tables, incomplete }
    }
}

#[cfg(target_os = "none")]
pub(super) use target::turn_on;

#[cfg(test)]
#[path = "mmu_tests.rs"]
mod tests;
