//! Physical memory: the only way by which the code above reads and writes RAM at an address of its choice.
//!
//! [`Ram`] knows which memory exists, is mapped as Normal memory, and belongs to nobody. It gives ranges of it out as [`Claim`]s,
//! which no other claim overlaps, so what holds one can treat it as a plain byte slice. [`Ram`] also remembers every range that it
//! has ever given out, because all of that must leave the caches before another program is started. A [`Workspace`] is all free memory at
//! once, for a script.

mod workspace;

pub use workspace::Workspace;

use crate::arch::firmware_memory::FirmwareMemory;
use crate::arch::mmu::{AddressSpace, MapError};
use crate::arch::placement::PAGE_ZERO;
use crate::range::PhysicalRange;
use alloc::vec::Vec;
use core::fmt;

/// Why a range is not given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RamError {
    /// No byte in it.
    Empty {
        /// Where.
        address: u64,
    },
    /// Not wholly inside RAM that the firmware described.
    NotRam {
        /// What was asked for.
        range: PhysicalRange,
    },
    /// It touches the loader itself, page 0, or memory that the firmware reserved.
    Reserved {
        /// What was asked for.
        range: PhysicalRange,
        /// What it would touch.
        taken: PhysicalRange,
    },
    /// It touches what another claim holds.
    Claimed {
        /// What was asked for.
        range: PhysicalRange,
        /// What it would touch.
        taken: PhysicalRange,
    },
    /// The page tables did not suffice to map it.
    NotMapped {
        /// What was asked for.
        range: PhysicalRange,
    },
    /// The heap is too full for the books, or for a copy.
    NoHeap {
        /// Bytes wanted.
        bytes: u64,
    },
    /// The memory could not be mapped.
    Map(MapError),
}

impl fmt::Display for RamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { address } => write!(f, "a range of no bytes at {address:#x}"),
            Self::NotRam { range } => write!(f, "{range} is not RAM: the firmware's device tree describes none there"),
            Self::Reserved { range, taken } => write!(f, "{range} would overwrite {taken}, which is reserved"),
            Self::Claimed { range, taken } => write!(f, "{range} would overwrite {taken}, which is in use"),
            Self::NotMapped { range } => write!(f, "{range} is not mapped: the memory map has too many pieces"),
            Self::NoHeap { bytes } => write!(f, "no {bytes} bytes left on the heap"),
            Self::Map(error) => error.fmt(f),
        }
    }
}

/// A range of RAM that its holder alone reads and writes.
///
/// Dropping it keeps the range taken; [`Ram::release`] gives it back.
#[derive(Debug)]
pub struct Claim {
    range: PhysicalRange,
    base: *mut u8,
}

impl Claim {
    /// Where it is.
    pub const fn range(&self) -> PhysicalRange {
        self.range
    }
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `Ram::take` made this token for `size` bytes at `base` that are RAM, mapped writable, and in no other token; `&self`
        // keeps `bytes_mut` away.
        unsafe { core::slice::from_raw_parts(self.base, self.range.size() as usize) }
    }
    /// Its bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes this the only slice.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.range.size() as usize) }
    }
}

/// The RAM of the board. There is one, in [`Entry`](crate::arch::Entry).
#[derive(Debug)]
pub struct Ram {
    banks: Vec<PhysicalRange>,
    /// Never given out.
    reserved: Vec<PhysicalRange>,
    claimed: Vec<PhysicalRange>,
    /// Everything ever given out, touching ranges merged.
    touched: Vec<PhysicalRange>,
    space: Space,
}

/// What makes the addresses valid: on the board the map, on the host an array.
#[derive(Debug)]
enum Space {
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "made by start-up, on the board only"))]
    Map(AddressSpace),
    #[cfg(not(target_os = "none"))]
    Simulated { first: u64, bytes: *mut u8 },
}

impl Space {
    fn is_writable(&self, range: PhysicalRange) -> bool {
        match self {
            Self::Map(space) => space.allows_writing(range),
            #[cfg(not(target_os = "none"))]
            Self::Simulated { .. } => true,
        }
    }
    fn pointer(&self, address: u64) -> *mut u8 {
        match self {
            Self::Map(_) => address as *mut u8,
            #[cfg(not(target_os = "none"))]
            Self::Simulated { first, bytes } => bytes.wrapping_add((address - first) as usize),
        }
    }
}

impl Ram {
    /// Memory as `memory` describes it, without `image`, the loader's own.
    ///
    /// # Safety
    /// Once, with `space` the map in use, and the loader must use no memory but `image`.
    #[cfg(target_os = "none")]
    pub(crate) unsafe fn new(memory: &FirmwareMemory, image: PhysicalRange, space: AddressSpace) -> Self {
        Self::with_space(memory, image, Space::Map(space))
    }

    /// For tests on the host: one bank of `size` zeroed bytes at the made-up address `first`. The bytes are never freed.
    #[cfg(not(target_os = "none"))]
    pub fn simulated(first: u64, size: usize) -> Self {
        let bytes = alloc::vec![0_u8; size].leak().as_mut_ptr();
        let bank = PhysicalRange { start: first, end: first + size as u64 };
        let nothing = PhysicalRange { start: 0, end: 0 };
        Self::with_space(&FirmwareMemory::without_tree(&[bank]), nothing, Space::Simulated { first, bytes })
    }

    fn with_space(memory: &FirmwareMemory, image: PhysicalRange, space: Space) -> Self {
        let mut reserved: Vec<_> = memory.reserved.as_slice().iter().map(|reservation| reservation.range).collect();
        reserved.extend([PAGE_ZERO, image].iter().filter(|range| !range.is_empty()));
        Self { banks: memory.banks.as_slice().to_vec(), reserved, claimed: Vec::new(), touched: Vec::new(), space }
    }

    /// The banks of RAM.
    pub fn banks(&self) -> &[PhysicalRange] {
        &self.banks
    }

    /// Why some of the banks' memory cannot be used, if so.
    pub fn incomplete(&self) -> Option<MapError> {
        match &self.space {
            Space::Map(space) => space.incomplete(),
            #[cfg(not(target_os = "none"))]
            Space::Simulated { .. } => None,
        }
    }

    /// What is never given out: reservations, page 0, the loader.
    pub fn reserved(&self) -> &[PhysicalRange] {
        &self.reserved
    }

    /// The loader's own memory, one of the [`reserved`](Self::reserved) ranges; `None` on a host.
    pub fn loader(&self) -> Option<PhysicalRange> {
        self.reserved.last().copied().filter(|range| *range != PAGE_ZERO)
    }

    /// Adds a bank that the firmware's tree did not describe, for a board that was given none.
    ///
    /// # Errors
    /// It touches a bank that is known, or could not be mapped whole.
    pub fn add_bank(&mut self, bank: PhysicalRange) -> Result<(), RamError> {
        let image = self.reserved.last().copied();
        if let Some(taken) = self.banks.iter().find(|known| known.overlaps(&bank) && Some(**known) != image) {
            return Err(RamError::Claimed { range: bank, taken: *taken });
        }
        match &mut self.space {
            Space::Map(space) => space.add_ram(bank).map_err(RamError::Map)?,
            #[cfg(not(target_os = "none"))]
            Space::Simulated { .. } => return Err(RamError::NotRam { range: bank }),
        }
        // The loader's own memory was a bank only for want of a better.
        self.banks.retain(|known| Some(*known) != image);
        self.banks.push(bank);
        Ok(())
    }

    /// Gives `range` out. What is in it is whatever was there.
    ///
    /// # Errors
    /// The range is empty, is not RAM, is reserved, is claimed already, or is not mapped.
    pub fn claim(&mut self, range: PhysicalRange) -> Result<Claim, RamError> {
        if range.is_empty() {
            return Err(RamError::Empty { address: range.start });
        }
        if !self.banks.iter().any(|bank| bank.contains(&range)) {
            return Err(RamError::NotRam { range });
        }
        if let Some(taken) = self.reserved.iter().find(|taken| taken.overlaps(&range)) {
            return Err(RamError::Reserved { range, taken: *taken });
        }
        if let Some(taken) = self.claimed.iter().find(|taken| taken.overlaps(&range)) {
            return Err(RamError::Claimed { range, taken: *taken });
        }
        if !self.space.is_writable(range) {
            return Err(RamError::NotMapped { range });
        }
        let full = RamError::NoHeap { bytes: size_of::<PhysicalRange>() as u64 };
        self.touched.try_reserve(1).map_err(|_| full)?;
        let claim = self.take(range)?;
        self.remember(range);
        Ok(claim)
    }

    /// Makes the claim of a range that is RAM, mapped writable, and nobody's.
    fn take(&mut self, range: PhysicalRange) -> Result<Claim, RamError> {
        let full = RamError::NoHeap { bytes: size_of::<PhysicalRange>() as u64 };
        self.claimed.try_reserve(1).map_err(|_| full)?;
        self.claimed.push(range);
        Ok(Claim { range, base: self.space.pointer(range.start) })
    }

    /// Takes a claim back; its range can be claimed again.
    pub fn release(&mut self, claim: Claim) {
        self.claimed.retain(|range| *range != claim.range);
    }

    /// Takes back what is behind the first `size` bytes of a claim, which keeps at least one.
    pub fn shorten(&mut self, claim: &mut Claim, size: u64) {
        let end = claim.range.start.saturating_add(size.max(1)).min(claim.range.end);
        let shorter = PhysicalRange { end, ..claim.range };
        for range in self.claimed.iter_mut().filter(|range| **range == claim.range) {
            *range = shorter;
        }
        claim.range = shorter;
    }

    /// A copy of what is at `range`, which nobody has claimed.
    ///
    /// # Errors
    /// As [`claim`](Self::claim), and the heap may be too small.
    pub fn copy(&mut self, range: PhysicalRange) -> Result<Vec<u8>, RamError> {
        let full = RamError::NoHeap { bytes: range.size() };
        let claim = self.claim(range)?;
        let mut copy = Vec::new();
        let room = usize::try_from(range.size()).ok().and_then(|size| copy.try_reserve_exact(size).ok());
        if room.is_some() {
            copy.extend_from_slice(claim.bytes());
        }
        self.release(claim);
        room.map(|()| copy).ok_or(full)
    }

    /// Every range that was ever given out, in no order and without overlaps: what has to leave the caches before another
    /// program starts.
    pub fn touched(&self) -> &[PhysicalRange] {
        &self.touched
    }

    fn remember(&mut self, range: PhysicalRange) {
        let mut merged = range;
        self.touched.retain(|old| {
            let apart = old.end < merged.start || merged.end < old.start;
            if !apart {
                merged = PhysicalRange { start: old.start.min(merged.start), end: old.end.max(merged.end) };
            }
            apart
        });
        self.touched.push(merged);
    }
}

#[cfg(test)]
#[path = "ram_tests.rs"]
mod tests;
