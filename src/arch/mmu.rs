//! The identity map: every address that is mapped is mapped to itself.
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

pub use tables::{Access, MapError};
use tables::{POOL, Tables};

mod tables;

/// MAIR_EL2. Attribute 0: Normal, inner and outer write-back, read and write allocate. Attribute 1: Device-nGnRnE.
const MAIR: u64 = 0x00ff;
/// TCR_EL2. RES1 bits 31 and 23, 36-bit physical addresses, inner shareable write-back table walks, 4 KiB granule, T0SZ = 25.
const TCR: u64 = 1 << 31 | 1 << 23 | 1 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 25;
/// SCTLR_EL2 with everything off: the RES1 bits, little-endian. The value that the firmware's stub starts with.
pub const SCTLR_OFF: u64 = 0x30c5_0830;
/// M, C, SA, I, WXN on top. A stays off: the compiler loads vectors of bytes from odd addresses.
const SCTLR_ON: u64 = SCTLR_OFF | 1 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 19;

/// The map in use. There is one; it is the key to mapping more.
pub struct AddressSpace {
    tables: Tables<'static>,
    devices: PhysicalRange,
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
    /// The loader's own pages and the devices' keep their rights.
    ///
    /// # Errors
    /// As [`MapError`]; what could be mapped is.
    pub fn add_ram(&mut self, bank: PhysicalRange) -> Result<(), MapError> {
        // Entries only go from invalid to valid here, which needs no break-before-make and no TLB maintenance (D8.16.1).
        let mut result = Ok(());
        let devices = self.devices;
        let parts = without(bank, PAGE_ZERO).flat_map(|part| without(part, image::range()));
        for part in parts.flat_map(move |part| without(part, devices)) {
            result = result.and(self.tables.map(part, Access::ReadWrite));
        }
        barrier::dsb_sy();
        barrier::isb();
        result
    }
}

#[cfg(target_os = "none")]
mod target {
    use super::tables::{ENTRIES, POOL, Table, Tables};
    use super::{AddressSpace, FirmwareMemory, MAIR, PhysicalRange, SCTLR_ON, TCR, lay_out};
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
        AddressSpace { tables, devices, incomplete }
    }
}

#[cfg(target_os = "none")]
pub(super) use target::turn_on;

#[cfg(test)]
#[path = "mmu_tests.rs"]
mod tests;
