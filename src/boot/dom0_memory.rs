//! How much of `dom0_mem=` Xen will find.
//!
//! Dom0's memory is mapped 1:1, and Xen takes it in naturally aligned blocks, each a power of two: from the low memory, in which 30-bit
//! devices reach, blocks of 128 MiB and more, then smaller ones wherever they are, but never a small one below the first
//! (`allocate_memory_11` in `xen/arch/arm/domain_build.c`). What it cannot find so makes it panic ("36MB unallocated"), on a board with
//! plenty of free memory. This follows the same rules over the free blocks of the layout. Xen's own tables come off too, so that the
//! answer is the most that can be hoped for: a shortage told here is real, its absence no promise.

use alloc::vec::Vec;
use core::fmt;

use super::layout::{LOW_MEMORY_END, Layout, PAGE};
use crate::device_tree::Tree;
use crate::range::PhysicalRange;

/// Blocks of the low memory have at least this many bytes, unless Dom0 is smaller.
const LEAST_LOW: u64 = 128 << 20;
/// When no block is found, smaller ones are tried down to this many bytes.
const LEAST: u64 = 4 << 20;

/// Dom0 will not get what it was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes that `dom0_mem=` asks for.
    pub asked: u64,
    /// Bytes that Xen can find.
    pub found: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (asked, found) = (self.asked >> 20, self.found >> 20);
        let missing = self.asked.saturating_sub(self.found).div_ceil(1 << 20);
        write!(f, "dom0_mem={asked}M: Xen will find {found} MiB and stop (\"{missing}MB unallocated\"); ask for less")
    }
}

/// Looks whether Xen can find `asked` bytes for Dom0, with the modules as `layout` has them and `tree` finished.
///
/// # Errors
/// [`Shortage`].
pub fn check(layout: &Layout, tree: &Tree<'_>, asked: u64) -> Result<(), Shortage> {
    let found = find(left_to_xen(layout, tree), asked);
    if found < asked { Err(Shortage { asked, found }) } else { Ok(()) }
}

/// Memory that Xen finds free: what lies in it only for the loader's sake does not count, nor does what only the firmware's tree reserves.
fn left_to_xen(layout: &Layout, tree: &Tree<'_>) -> Vec<PhysicalRange> {
    let Ok(mut left) = Layout::new(layout.banks().iter().copied()) else { return Vec::new() };
    let placed = layout.occupants().iter().filter(|occupant| !occupant.reserved).map(|occupant| occupant.block);
    let regions = tree.reserved_memory().into_iter().flatten().map(|region| region.range);
    for range in placed.chain(tree.reservations()).chain(regions) {
        // Reservations may overlap, and nothing else is in this layout.
        let _ = left.reserve("", range);
    }
    left.free()
}

fn find(mut free: Vec<PhysicalRange>, asked: u64) -> u64 {
    let mut left = asked / PAGE * PAGE;
    if left == 0 {
        return asked;
    }
    let least_low = left.min(LEAST_LOW).next_power_of_two();
    let mut low = true;
    // The first block is the lowest of the largest that there are.
    let mut first = u64::MAX;
    let mut size = largest_power(left);
    while size >= least_low {
        if let Some(block) = take(&mut free, size, LOW_MEMORY_END, false) {
            first = block.start;
            left -= size;
            break;
        }
        size /= 2;
    }
    if first == u64::MAX {
        low = false;
    }
    size = largest_power(left);
    while left > 0 {
        let end = if low { LOW_MEMORY_END } else { u64::MAX };
        let Some(block) = take(&mut free, size, end, true) else {
            size /= 2;
            if low && size < least_low {
                low = false;
                size = largest_power(left);
            } else if size < LEAST {
                break;
            }
            continue;
        };
        if first != u64::MAX && size < LEAST_LOW && block.end < first {
            if !low {
                break;
            }
            // Given back, and all memory is tried.
            free.push(block);
            low = false;
        } else {
            first = first.min(block.start);
            left -= size;
        }
        size = largest_power(left);
    }
    asked - left
}

/// The largest power of two that is not more than `bytes`; 0 for 0.
fn largest_power(bytes: u64) -> u64 {
    bytes.checked_ilog2().map_or(0, |order| 1 << order)
}

/// Takes an aligned block of `size` bytes below `end`, the highest or the lowest there is.
fn take(free: &mut Vec<PhysicalRange>, size: u64, end: u64, highest: bool) -> Option<PhysicalRange> {
    let fitting = |gap: &PhysicalRange| {
        let start = if highest {
            gap.end.min(end).checked_sub(size)? / size * size
        } else {
            gap.start.checked_next_multiple_of(size)?
        };
        let block = PhysicalRange::sized(start, size)?;
        (gap.contains(&block) && block.end <= end).then_some(block)
    };
    let blocks = free.iter().enumerate().filter_map(|(index, gap)| Some((fitting(gap)?, index)));
    let (block, index) = if highest { blocks.max()? } else { blocks.min()? };
    let gap = free.get_mut(index)?;
    let rest = PhysicalRange { start: block.end, end: gap.end };
    gap.end = block.start;
    free.push(rest);
    Some(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;
    use alloc::string::ToString;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn range(start: u64, end: u64) -> PhysicalRange {
        PhysicalRange { start, end }
    }

    fn found(free: &[PhysicalRange], asked: u64) -> u64 {
        find(free.to_vec(), asked * MIB) / MIB
    }

    #[test]
    fn packed_modules_leave_dom0_more_than_scattered_ones() {
        // 1 GB: of the low 948 MiB, with 64 MiB of modules at the bottom, Xen finds 256 + 256 + 128 + 128 and what is above them.
        let packed = [range(64 * MIB, 948 * MIB)];
        assert_eq!(found(&packed, 768), 768);
        // The same with modules in the middle of every 256 MiB: 128 are left in each, and nothing below the first one counts.
        let scattered = [
            range(MIB, 130 * MIB),
            range(140 * MIB, 390 * MIB),
            range(400 * MIB, 650 * MIB),
            range(660 * MIB, 948 * MIB),
        ];
        assert!(found(&scattered, 768) < 768);
    }

    #[test]
    fn a_shortage_is_told_in_xens_own_words() {
        let mut tree = TestTree::board();
        let editor = tree.editor();
        let tree = editor.tree().unwrap();
        let mut layout = Layout::new([range(0, 960 * MIB)]).unwrap();
        layout.reserve("loader", range(800 * MIB, 820 * MIB)).unwrap();
        layout.place("modules", range(PAGE, 96 * MIB)).unwrap();
        let shortage = check(&layout, &tree, 900 * MIB).unwrap_err();
        // 768 in large blocks, 64 above them, and the 32 that touch the first block from below.
        assert_eq!(shortage, Shortage { asked: 900 * MIB, found: 864 * MIB });
        assert_eq!(
            shortage.to_string(),
            "dom0_mem=900M: Xen will find 864 MiB and stop (\"36MB unallocated\"); ask for less"
        );
        // A small block that does not touch the first one from below ends the search.
        assert_eq!(found(&[range(60 * MIB, 100 * MIB), range(128 * MIB, 960 * MIB)], 900), 832);
    }

    #[test]
    fn what_the_tree_reserves_is_not_xens() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        let layout = Layout::new([range(0, 1024 * MIB)]).unwrap();
        assert_eq!(check(&layout, &editor.tree().unwrap(), 768 * MIB), Ok(()));
        editor.add_reservation(range(300 * MIB, 301 * MIB)).unwrap();
        editor.add_reservation(range(600 * MIB, 601 * MIB)).unwrap();
        editor.add_reservation(range(600 * MIB, 602 * MIB)).unwrap();
        let left = left_to_xen(&layout, &editor.tree().unwrap());
        assert_eq!(left, [range(PAGE, 300 * MIB), range(301 * MIB, 600 * MIB), range(602 * MIB, 1024 * MIB)]);
    }

    #[test]
    fn high_memory_makes_up_for_low_memory() {
        let free = [range(64 * MIB, 948 * MIB), range(1024 * MIB, 2048 * MIB)];
        assert_eq!(found(&free, 1024), 1024);
        assert_eq!(found(&free, 1500), 1500);
        // No large block below 1 GiB: Xen goes on with high memory alone.
        assert_eq!(found(&[range(5 * MIB, 60 * MIB), range(1024 * MIB, 2048 * MIB)], 1024), 1024);
    }

    #[test]
    fn small_domains_take_small_blocks() {
        assert_eq!(found(&[range(3 * MIB, 100 * MIB)], 64), 64, "in two halves, as no whole one is aligned");
        assert_eq!(found(&[range(3 * MIB, 60 * MIB)], 64), 56, "all but what is not aligned to 4 MiB");
        assert_eq!(found(&[range(64 * MIB, 128 * MIB)], 64), 64);
        assert_eq!(find(Vec::from([range(64 * MIB, 128 * MIB)]), 100), 100, "less than a page is nothing to look for");
        assert_eq!(find(Vec::new(), 64 * MIB), 0);
    }

    proptest! {
        #[test]
        fn no_more_is_found_than_is_asked_or_free(
            edges in prop::collection::vec(0u64..0x20_0000, 0..12),
            asked in 0u64..0x2_0000_0000,
        ) {
            let mut edges: Vec<u64> = edges.into_iter().map(|page| page * PAGE).collect();
            edges.sort_unstable();
            let free: Vec<PhysicalRange> = edges.chunks_exact(2).map(|pair| range(pair[0], pair[1])).collect();
            let total: u64 = free.iter().map(PhysicalRange::size).sum();
            let found = find(free, asked);
            prop_assert!(found <= asked);
            prop_assert!(found / PAGE * PAGE <= total);
        }
    }
}
