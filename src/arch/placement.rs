//! Where the loader moves to, so that it is out of the way of what it will load.
//!
//! The firmware has used 0x80000 and 0x200000 for `kernel=`, in the middle of the memory that Xen and its modules are packed
//! into; and it puts its tree and the initramfs high on purpose, so a blind move up could erase them. Pure arithmetic, no heap.

use super::firmware_memory::FirmwareMemory;
use crate::range::PhysicalRange;

/// The loader's block starts on a multiple of this: with 2 MiB its map needs the fewest tables.
pub const ALIGNMENT: u64 = 2 << 20;

/// Page 0 belongs to the firmware's stub and its spin table, whatever the tree says.
pub const PAGE_ZERO: PhysicalRange = PhysicalRange { start: 0, end: 0x1000 };

/// The start of the highest [`ALIGNMENT`]-aligned block of `size` bytes that lies below `below` in one of `memory`'s banks and
/// touches nothing that the firmware left there, nor `file`, the bytes of the loader where it runs now.
pub fn highest_free(memory: &FirmwareMemory, file: PhysicalRange, size: u64, below: u64) -> Option<u64> {
    memory.banks.as_slice().iter().filter_map(|bank| highest_in(*bank, memory, Some(file), size, below)).max()
}

/// Whether `range` lies in a bank and touches nothing that the firmware left in memory.
pub fn is_free(memory: &FirmwareMemory, range: PhysicalRange) -> bool {
    memory.banks.as_slice().iter().any(|bank| bank.contains(&range)) && obstacle(memory, None, range).is_none()
}

fn highest_in(
    bank: PhysicalRange,
    memory: &FirmwareMemory,
    file: Option<PhysicalRange>,
    size: u64,
    below: u64,
) -> Option<u64> {
    let mut end = bank.end.min(below);
    loop {
        let start = end.checked_sub(size)? / ALIGNMENT * ALIGNMENT;
        if start < bank.start {
            return None;
        }
        let candidate = PhysicalRange::sized(start, size)?;
        match obstacle(memory, file, candidate) {
            None => return Some(start),
            // Strictly lower than before, so each obstacle is met at most once.
            Some(found) => end = found.start,
        }
    }
}

/// Something that must stay as it is and that `candidate` would touch.
fn obstacle(memory: &FirmwareMemory, file: Option<PhysicalRange>, candidate: PhysicalRange) -> Option<PhysicalRange> {
    let reserved = memory.reserved.as_slice().iter().map(|reservation| reservation.range);
    let single = [Some(PAGE_ZERO), Some(memory.tree), memory.initrd, file];
    reserved.chain(single.into_iter().flatten()).find(|taken| taken.overlaps(&candidate))
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
