//! All free memory at once, for somebody who cannot say beforehand where it will write: the commands of a script.
//!
//! What is given out as a [`Claim`] counts as written, whole, because that is what the hand-off has to write back line by line. A
//! script needs gigabytes within its reach and writes to a few megabytes of them. So a [`Workspace`] keeps count of
//! what was really asked for to write, and only that goes into [`Ram`]'s books when it is taken back. What was only read is clean in the caches,
//! as is what the processor fetched ahead by itself; both go with the hand-off's last step, by set and way.

use super::{Claim, Ram, RamError};
use crate::range::PhysicalRange;
use crate::sort::sort_by;
use alloc::vec::Vec;

/// Bytes in a page of the memory map, the unit of access rights.
const PAGE: u64 = 4096;

/// How many ranges are kept apart. Beyond that the two that lie closest become one, with what is between them.
const MOST_RANGES: usize = 64;

/// Memory that nobody else has, and what of it was written.
#[derive(Debug, Default)]
pub struct Workspace {
    claims: Vec<Claim>,
    /// By address, apart from each other.
    written: Vec<PhysicalRange>,
}

impl Workspace {
    /// The bytes in `range`; `None` where it is not all in one free block.
    pub fn bytes(&self, range: PhysicalRange) -> Option<&[u8]> {
        let claim = self.claims.iter().find(|claim| claim.range().contains(&range))?;
        claim.bytes().get(within(claim, range)?)
    }

    /// The bytes in `range`, which count as written from here on; `None` where it is not all in one free block.
    #[inline]
    pub fn bytes_mut(&mut self, range: PhysicalRange) -> Option<&mut [u8]> {
        let claim = self.claims.iter_mut().find(|claim| claim.range().contains(&range))?;
        let place = within(claim, range)?;
        remember(&mut self.written, range);
        claim.bytes_mut().get_mut(place)
    }

    /// The free blocks.
    pub fn blocks(&self) -> impl Iterator<Item = PhysicalRange> {
        self.claims.iter().map(Claim::range)
    }

    /// What was written, by address.
    pub fn written(&self) -> &[PhysicalRange] {
        &self.written
    }
}

impl Ram {
    /// Gives all of the free memory out, in whole pages. Its bytes are whatever was there.
    ///
    /// # Errors
    /// [`RamError::NoHeap`]. A block that is not mapped is left out.
    pub fn lend_free(&mut self) -> Result<Workspace, RamError> {
        let mut workspace = Workspace::default();
        for block in self.free() {
            if !self.space.is_writable(block) {
                continue;
            }
            let full = RamError::NoHeap { bytes: size_of::<Claim>() as u64 };
            workspace.claims.try_reserve(1).map_err(|_| full)?;
            workspace.claims.push(self.take(block)?);
        }
        Ok(workspace)
    }

    /// Takes a workspace back; what was written in it stays there, and is remembered.
    pub fn take_back(&mut self, workspace: Workspace) {
        for range in workspace.written {
            self.remember(range);
        }
        for claim in workspace.claims {
            self.release(claim);
        }
    }

    /// The whole pages of the banks that are neither reserved nor claimed, by address within each bank.
    fn free(&self) -> Vec<PhysicalRange> {
        let mut taken: Vec<PhysicalRange> =
            self.reserved.iter().chain(&self.claimed).map(|range| outward(*range)).collect();
        sort_by(&mut taken, |one, other| one < other);
        let mut free = Vec::new();
        for bank in &self.banks {
            let mut start = bank.start.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
            let end = bank.end / PAGE * PAGE;
            for taken in &taken {
                if start < taken.start.min(end) {
                    free.push(PhysicalRange { start, end: taken.start.min(end) });
                }
                start = start.max(taken.end);
            }
            if start < end {
                free.push(PhysicalRange { start, end });
            }
        }
        free
    }
}

/// Where `range` lies in `claim`, which contains it.
#[inline]
fn within(claim: &Claim, range: PhysicalRange) -> Option<core::ops::Range<usize>> {
    let start = usize::try_from(range.start.checked_sub(claim.range().start)?).ok()?;
    Some(start..start.checked_add(usize::try_from(range.size()).ok()?)?)
}

/// The whole pages that `range` touches.
fn outward(range: PhysicalRange) -> PhysicalRange {
    PhysicalRange {
        start: range.start / PAGE * PAGE,
        end: range.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX),
    }
}

/// Adds `range` to `ranges`, which stay sorted, apart, and few.
fn remember(ranges: &mut Vec<PhysicalRange>, range: PhysicalRange) {
    if range.is_empty() {
        return;
    }
    let first = ranges.partition_point(|known| known.end < range.start);
    // A file comes block by block, each behind the one before: its range only grows, or has grown that far already.
    let next = ranges.get(first + 1).map_or(u64::MAX, |next| next.start);
    if let Some(known) = ranges.get_mut(first)
        && known.start <= range.start
        && range.end < next
    {
        known.end = known.end.max(range.end);
        return;
    }
    let last = ranges.partition_point(|known| known.start <= range.end);
    let joined = ranges.get(first..last).unwrap_or_default().iter().fold(range, |joined, known| PhysicalRange {
        start: joined.start.min(known.start),
        end: joined.end.max(known.end),
    });
    ranges.splice(first..last, [joined]);
    if ranges.len() > MOST_RANGES {
        let gap = |pair: &[PhysicalRange]| match pair {
            [low, high] => high.start - low.end,
            _ => u64::MAX,
        };
        let closest = ranges.windows(2).enumerate().min_by_key(|(_, pair)| gap(pair)).map(|(index, _)| index);
        if let Some(index) = closest {
            let above = ranges.remove(index + 1);
            if let Some(below) = ranges.get_mut(index) {
                below.end = above.end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: u64 = 0x100_0000;
    const SIZE: usize = 0x10_0000;

    fn at(start: u64, end: u64) -> PhysicalRange {
        PhysicalRange { start: FIRST + start, end: FIRST + end }
    }

    #[test]
    fn it_is_all_that_is_free_in_whole_pages() {
        let mut ram = Ram::simulated(FIRST, SIZE);
        let _mine = ram.claim(at(0x2100, 0x2200)).unwrap();
        let workspace = ram.lend_free().unwrap();
        assert_eq!(workspace.blocks().collect::<Vec<_>>(), [at(0, 0x2000), at(0x3000, SIZE as u64)]);
        assert!(workspace.bytes(at(0x1fff, 0x2001)).is_none(), "beyond its block");
        assert!(matches!(ram.claim(at(0, 1)), Err(RamError::Claimed { .. })), "nobody else has it");
    }

    #[test]
    fn only_what_was_written_is_remembered_and_its_bytes_stay() {
        let mut ram = Ram::simulated(FIRST, SIZE);
        let mut workspace = ram.lend_free().unwrap();
        workspace.bytes_mut(at(0x4_0000, 0x4_0003)).unwrap().copy_from_slice(b"abc");
        workspace.bytes_mut(at(0x4_0003, 0x4_0004)).unwrap().copy_from_slice(b"d");
        workspace.bytes_mut(at(0x100, 0x101)).unwrap()[0] = 1;
        assert_eq!(workspace.bytes(at(0x5_0000, 0x5_0002)).unwrap(), [0, 0]);
        ram.take_back(workspace);
        let mut touched = ram.touched().to_vec();
        touched.sort();
        assert_eq!(touched, [at(0x100, 0x101), at(0x4_0000, 0x4_0004)]);
        assert_eq!(ram.claim(at(0x4_0000, 0x4_0004)).unwrap().bytes(), b"abcd");
    }

    #[test]
    fn it_can_be_lent_again_and_again() {
        let mut ram = Ram::simulated(FIRST, SIZE);
        for _ in 0..3 {
            let workspace = ram.lend_free().unwrap();
            assert_eq!(workspace.blocks().map(|block| block.size()).sum::<u64>(), SIZE as u64);
            ram.take_back(workspace);
        }
        assert_eq!(ram.touched(), []);
    }

    proptest! {
        #[test]
        fn every_written_byte_is_remembered_in_few_ranges(writes in prop::collection::vec((0..SIZE as u64 - 64, 1..64_u64), 0..300)) {
            let mut ram = Ram::simulated(FIRST, SIZE);
            let mut workspace = ram.lend_free().unwrap();
            for (start, length) in &writes {
                workspace.bytes_mut(at(*start, start + length)).unwrap();
            }
            for (start, length) in &writes {
                let range = at(*start, start + length);
                prop_assert!(workspace.written().iter().any(|written| written.contains(&range)));
            }
            prop_assert!(workspace.written().len() <= MOST_RANGES);
            prop_assert!(workspace.written().windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
