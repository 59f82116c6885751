//! Who lies where: the one allocator of physical memory.
//!
//! Memory is what the device tree's banks say, less page 0 (the firmware's spin table), less what is reserved: `/memreserve/`,
//! `/reserved-memory`, the loader, its buffers, the firmware's tree and initrd while they are in use. Everything that is fetched,
//! unpacked or built gets its place here and nowhere else, so that no two things can overlap.
//!
//! A place is kept in whole pages, because Xen gives a module's pages back one by one once it is done with them: two modules in one
//! page would be freed twice. The exact length stays known, because Xen wants a module's size to the byte. A block never spans two banks,
//! even where they touch.
//!
//! The lowest fitting address is taken unless asked otherwise. Dom0's memory is mapped 1:1 in large aligned pieces, so modules that are
//! packed at the bottom leave it the most (for `dom0_mem=1G`, 768 MiB below 1 GiB against 384 MiB with scattered modules). The same
//! requests in the same order always get the same places.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::range::PhysicalRange;
use crate::sort::sort_by;

/// Bytes in a page: the least alignment and the least unit of a block.
pub const PAGE: u64 = 4096;
/// What Xen wants: its beginning at a multiple of this, and nobody else within the last such piece.
pub const XEN_ALIGNMENT: u64 = 2 << 20;
/// The end of the memory in which the board's 30-bit devices can reach; files whose size is not known yet are fetched below it.
pub const LOW_MEMORY_END: u64 = 1 << 30;

const EVERYWHERE: PhysicalRange = PhysicalRange { start: 0, end: u64::MAX };

/// A wish for a block of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    size: u64,
    alignment: u64,
    granule: u64,
    within: PhysicalRange,
    high: bool,
}

impl Request {
    /// `size` bytes at the lowest page that is free.
    pub const fn new(size: u64) -> Self {
        Self { size, alignment: PAGE, granule: PAGE, within: EVERYWHERE, high: false }
    }
    /// For Xen, whose image with its .bss takes `size` bytes: 2 MiB aligned, in 2 MiB pieces of its own.
    pub const fn xen(size: u64) -> Self {
        Self { alignment: XEN_ALIGNMENT, granule: XEN_ALIGNMENT, ..Self::new(size) }
    }
    /// At a multiple of `alignment` bytes, a power of two; less than a page makes no difference.
    pub const fn aligned(self, alignment: u64) -> Self {
        Self { alignment: if alignment > PAGE { alignment } else { PAGE }, ..self }
    }
    /// Wholly inside `within`.
    pub const fn within(self, within: PhysicalRange) -> Self {
        Self { within, ..self }
    }
    /// Wholly below the address `end`.
    pub const fn below(self, end: u64) -> Self {
        self.within(PhysicalRange { start: 0, end })
    }
    /// At the highest place instead of the lowest.
    pub const fn high(self) -> Self {
        Self { high: true, ..self }
    }
}

/// Something that lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// What messages call it.
    pub name: String,
    /// Its bytes, exactly.
    pub range: PhysicalRange,
    /// The whole pages that are kept for it.
    pub block: PhysicalRange,
    /// Whether it was there before us, and may overlap others that were.
    pub reserved: bool,
}

/// Memory and what lies in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whole pages, by address, disjoint.
    banks: Vec<PhysicalRange>,
    /// By address of the block.
    occupants: Vec<Occupant>,
}

impl Layout {
    /// Memory in `banks`, as the device tree's memory nodes give them, with nothing in it but page 0.
    ///
    /// # Errors
    /// [`Error::NoMemory`] where no bank has a whole page.
    pub fn new(banks: impl IntoIterator<Item = PhysicalRange>) -> Result<Self, Error> {
        let mut pieces: Vec<PhysicalRange> = banks.into_iter().map(inward).filter(|bank| !bank.is_empty()).collect();
        sort_by(&mut pieces, |one, other| one < other);
        let mut banks: Vec<PhysicalRange> = Vec::new();
        for piece in pieces {
            match banks.last_mut().filter(|last| last.overlaps(&piece)) {
                Some(last) => last.end = last.end.max(piece.end),
                None => banks.push(piece),
            }
        }
        if banks.is_empty() {
            return Err(Error::NoMemory);
        }
        let mut layout = Self { banks, occupants: Vec::new() };
        layout.reserve("page 0", PhysicalRange { start: 0, end: PAGE })?;
        Ok(layout)
    }

    /// Keeps `range` free of everything that is placed later. Reservations may overlap each other and go beyond the banks.
    ///
    /// # Errors
    /// [`Error::Overlap`] where something has been placed there already.
    pub fn reserve(&mut self, name: &str, range: PhysicalRange) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        let block = outward(range, PAGE).unwrap_or(PhysicalRange { start: range.start / PAGE * PAGE, end: u64::MAX });
        self.refuse_overlap(name, range, block, |other| !other.reserved)?;
        self.insert(Occupant { name: String::from(name), range, block, reserved: true });
        Ok(())
    }

    /// Finds a place.
    ///
    /// # Errors
    /// [`Error::Empty`] for no bytes, [`Error::NoRoom`] where no block is large enough.
    pub fn allocate(&mut self, name: &str, request: Request) -> Result<PhysicalRange, Error> {
        if request.size == 0 {
            return Err(Error::Empty { name: String::from(name) });
        }
        let gaps = self.gaps(request.within);
        let found = match request.size.checked_next_multiple_of(request.granule) {
            None => None,
            Some(size) if request.high => gaps.iter().rev().find_map(|gap| highest(*gap, size, request.alignment)),
            Some(size) => gaps.iter().find_map(|gap| lowest(*gap, size, request.alignment)),
        };
        let Some(block) = found else {
            let largest = gaps.iter().map(|gap| aligned(*gap, request.alignment).size()).max().unwrap_or(0);
            let name = String::from(name);
            return Err(Error::NoRoom { name, size: request.size, alignment: request.alignment, largest });
        };
        let range = PhysicalRange { start: block.start, end: block.start + request.size };
        self.insert(Occupant { name: String::from(name), range, block, reserved: false });
        Ok(range)
    }

    /// Takes the largest free block in `within`, for something whose size is not known yet: [`shrink`](Self::shrink) it when it is.
    ///
    /// # Errors
    /// [`Error::NoRoom`] where not one page is free.
    pub fn allocate_largest(
        &mut self,
        name: &str,
        alignment: u64,
        within: PhysicalRange,
    ) -> Result<PhysicalRange, Error> {
        let alignment = alignment.max(PAGE);
        let blocks = self.gaps(within).into_iter().map(|gap| aligned(gap, alignment));
        // Of equally large blocks the lowest.
        let largest = blocks.rev().max_by_key(PhysicalRange::size).filter(|block| !block.is_empty());
        let Some(range) = largest else {
            return Err(Error::NoRoom { name: String::from(name), size: PAGE, alignment, largest: 0 });
        };
        self.insert(Occupant { name: String::from(name), range, block: range, reserved: false });
        Ok(range)
    }

    /// Puts something at a place that was chosen elsewhere.
    ///
    /// # Errors
    /// [`Error::Overlap`] with both ranges where something lies there; [`Error::NotMemory`] where it is not all in one bank.
    pub fn place(&mut self, name: &str, range: PhysicalRange) -> Result<(), Error> {
        if range.is_empty() {
            return Err(Error::Empty { name: String::from(name) });
        }
        let outside = Error::NotMemory { name: String::from(name), range };
        let Some(block) = outward(range, PAGE) else { return Err(outside) };
        if !self.banks.iter().any(|bank| bank.contains(&block)) {
            return Err(outside);
        }
        self.refuse_overlap(name, range, block, |_| true)?;
        self.insert(Occupant { name: String::from(name), range, block, reserved: false });
        Ok(())
    }

    /// Gives back what is behind the first `size` bytes of something placed, `range` being what was given out for it.
    ///
    /// # Errors
    /// [`Error::NotPlaced`] where nothing was placed at `range`, [`Error::Empty`] for no bytes, [`Error::Larger`] for more than it has.
    pub fn shrink(&mut self, range: PhysicalRange, size: u64) -> Result<PhysicalRange, Error> {
        let placed = self.occupants.iter_mut().find(|occupant| !occupant.reserved && occupant.range == range);
        let Some(occupant) = placed else { return Err(Error::NotPlaced { range }) };
        if size == 0 {
            return Err(Error::Empty { name: occupant.name.clone() });
        }
        if size > range.size() {
            return Err(Error::Larger { name: occupant.name.clone(), range, size });
        }
        let smaller = PhysicalRange { start: range.start, end: range.start + size };
        occupant.range = smaller;
        occupant.block = outward(smaller, PAGE).unwrap_or(occupant.block);
        Ok(smaller)
    }

    /// Gives back what was placed or reserved as exactly `range`.
    ///
    /// # Errors
    /// [`Error::NotPlaced`] where there is no such thing.
    pub fn release(&mut self, range: PhysicalRange) -> Result<(), Error> {
        let index = self.occupants.iter().position(|occupant| occupant.range == range);
        match index {
            Some(index) => {
                self.occupants.remove(index);
                Ok(())
            }
            None => Err(Error::NotPlaced { range }),
        }
    }

    /// Everything that lies in memory, by address.
    pub fn occupants(&self) -> &[Occupant] {
        &self.occupants
    }

    /// The banks of memory, in whole pages, by address.
    pub fn banks(&self) -> &[PhysicalRange] {
        &self.banks
    }

    /// The free blocks, in whole pages, by address.
    pub fn free(&self) -> Vec<PhysicalRange> {
        self.gaps(EVERYWHERE)
    }

    /// The free blocks inside `within`.
    fn gaps(&self, within: PhysicalRange) -> Vec<PhysicalRange> {
        let within = inward(within);
        let mut gaps = Vec::new();
        for bank in &self.banks {
            let end = bank.end.min(within.end);
            let mut start = bank.start.max(within.start);
            for block in self.occupants.iter().map(|occupant| occupant.block) {
                if start < block.start.min(end) {
                    gaps.push(PhysicalRange { start, end: block.start.min(end) });
                }
                start = start.max(block.end);
            }
            if start < end {
                gaps.push(PhysicalRange { start, end });
            }
        }
        gaps
    }

    fn refuse_overlap(
        &self,
        name: &str,
        range: PhysicalRange,
        block: PhysicalRange,
        counts: impl Fn(&Occupant) -> bool,
    ) -> Result<(), Error> {
        let other = self.occupants.iter().find(|other| counts(other) && other.block.overlaps(&block));
        match other {
            None => Ok(()),
            Some(other) => Err(Error::Overlap {
                name: String::from(name),
                range,
                other: other.name.clone(),
                other_range: other.range,
            }),
        }
    }

    fn insert(&mut self, occupant: Occupant) {
        let at = self.occupants.partition_point(|other| other.block.start <= occupant.block.start);
        self.occupants.insert(at, occupant);
    }
}

/// The whole pages inside `range`.
fn inward(range: PhysicalRange) -> PhysicalRange {
    let start = range.start.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
    PhysicalRange { start, end: range.end / PAGE * PAGE }
}

/// The whole pieces of `granule` bytes that `range` touches; `None` at the end of the address space.
fn outward(range: PhysicalRange, granule: u64) -> Option<PhysicalRange> {
    let end = range.end.checked_next_multiple_of(granule)?;
    Some(PhysicalRange { start: range.start / granule * granule, end })
}

/// What is left of `gap` from its first aligned address on.
fn aligned(gap: PhysicalRange, alignment: u64) -> PhysicalRange {
    let start = gap.start.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
    PhysicalRange { start, end: gap.end.max(start) }
}

/// The lowest aligned block of `size` bytes in `gap`.
fn lowest(gap: PhysicalRange, size: u64, alignment: u64) -> Option<PhysicalRange> {
    let block = PhysicalRange::sized(aligned(gap, alignment).start, size)?;
    gap.contains(&block).then_some(block)
}

/// The highest aligned block of `size` bytes in `gap`.
fn highest(gap: PhysicalRange, size: u64, alignment: u64) -> Option<PhysicalRange> {
    let start = gap.end.checked_sub(size)? / alignment * alignment;
    let block = PhysicalRange::sized(start, size)?;
    gap.contains(&block).then_some(block)
}

/// Why something got no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No bank has a whole page.
    NoMemory,
    /// It has no bytes.
    Empty {
        /// What it is called.
        name: String,
    },
    /// There is no free block that is large enough.
    NoRoom {
        /// What it is called.
        name: String,
        /// Bytes that it needs.
        size: u64,
        /// The alignment in bytes that it needs.
        alignment: u64,
        /// Bytes in the largest free block at that alignment.
        largest: u64,
    },
    /// Something else lies there.
    Overlap {
        /// What it is called.
        name: String,
        /// Where it was to go.
        range: PhysicalRange,
        /// What the other is called.
        other: String,
        /// Where the other lies.
        other_range: PhysicalRange,
    },
    /// There is no memory there, or not in one piece.
    NotMemory {
        /// What it is called.
        name: String,
        /// Where it was to go.
        range: PhysicalRange,
    },
    /// It was to shrink to more than it has.
    Larger {
        /// What it is called.
        name: String,
        /// Where it lies.
        range: PhysicalRange,
        /// How many bytes it was to have.
        size: u64,
    },
    /// Nothing was given out there.
    NotPlaced {
        /// The range in question.
        range: PhysicalRange,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str(
                "the device tree describes no memory (a tree from a file says <0 0 0>; the firmware fills it in)",
            ),
            Self::Empty { name } => write!(f, "{name} is empty"),
            Self::NoRoom { name, size, alignment, largest } => write!(
                f,
                "no room for {name}: {size} bytes aligned to {alignment:#x}, the largest free block has {largest}"
            ),
            Self::Overlap { name, range, other, other_range } => {
                write!(f, "{name} at {range} would overlap {other} at {other_range}")
            }
            Self::NotMemory { name, range } => write!(f, "{name} at {range} is not within one bank of memory"),
            Self::Larger { name, range, size } => write!(f, "{name} at {range} cannot have {size} bytes"),
            Self::NotPlaced { range } => write!(f, "nothing was placed at {range}"),
        }
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
