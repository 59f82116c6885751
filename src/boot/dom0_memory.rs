//! How much of `dom0_mem=` Xen will find.
//!
//! Dom0's memory is mapped 1:1, and Xen takes it in naturally aligned blocks, each a power of two: from the low memory, in which 30-bit
//! devices reach, blocks of 128 MiB and more, then smaller ones wherever they are, but never a small one below the first
//! (`allocate_memory_11` in `xen/arch/arm/domain_build.c`). What it cannot find so makes it panic ("36MB unallocated"), on a board with
//! plenty of free memory. This follows the same rules over the free blocks of the layout, less the frame table, which is all that is known for
//! certain of what Xen takes for itself: more than that is a panic. What lies between that and what Xen was seen to take may be one.

use alloc::vec::Vec;
use core::fmt;

use super::layout::{LOW_MEMORY_END, Layout, PAGE};
use crate::device_tree::Tree;
use crate::range::PhysicalRange;

/// Blocks of the low memory have at least this many bytes, unless Dom0 is smaller.
const LEAST_LOW: u64 = 128 << 20;
/// When no block is found, smaller ones are tried down to this many bytes.
const LEAST: u64 = 4 << 20;

/// What Xen keeps for itself beside its frame table: tables, stacks, what it knows of domains. It was seen to take some 7 MiB.
const XENS_OWN: u64 = 16 << 20;
/// Bytes of the frame table for each page of memory, the least multiple of which it takes, and what it is aligned to, in the highest place that is free
/// (`struct page_info` in `asm/mm.h`, `setup_frametable_mappings` in `xen/arch/arm/`).
const FRAME: u64 = 56;
const FRAME_TABLE_STEP: u64 = 2 << 20;
const FRAME_TABLE_ALIGNMENT: u64 = 32 << 20;
/// What is proposed instead is a multiple of this.
const STEP: u64 = 64 << 20;
/// Proposals that are tried.
const MOST_TRIED: usize = 256;
/// What may be free after all: files that only the loader reads still count as taken when this is looked at.
const UNCERTAIN: u64 = 4 << 20;

/// Dom0 will not get what it was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What was asked for.
    pub asked: Asked,
    /// Bytes that Xen can find for Dom0.
    pub found: u64,
    /// Bytes that are free beside Xen, the modules and reservations.
    pub free: u64,
    /// Bytes of memory that there are.
    pub memory: u64,
    /// Bytes that can be had instead.
    pub instead: Instead,
}

impl Shortage {
    /// Whether it is more than is free at all, in whatever pieces Xen takes it. Only that keeps an entry from being booted.
    pub fn is_certain(&self) -> bool {
        self.asked.dom0.saturating_add(self.asked.domains) > self.free.saturating_add(UNCERTAIN)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, found, free, memory, instead } = self;
        match *found < asked.dom0 {
            true => write!(f, "{asked}: Xen will panic, it finds {} MiB for Dom0 at most. ", found >> 20)?,
            false => write!(f, "{asked}: Xen may panic, it needs some memory itself. ")?,
        }
        let taken = memory.saturating_sub(*free).div_ceil(1 << 20);
        write!(
            f,
            "The firmware left {} MiB; Xen, modules and reservations take {taken} of them; {instead}",
            memory >> 20
        )
    }
}

/// Memory that a command line and settings ask for, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Dom0's; 0 where there is none.
    pub dom0: u64,
    /// That of all other domains.
    pub domains: u64,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dom0, domains) = (self.dom0 >> 20, self.domains >> 20);
        match (dom0, domains) {
            (_, 0) => write!(f, "dom0_mem={dom0}M"),
            (0, _) => write!(f, "{domains} MiB for the domains"),
            _ => write!(f, "dom0_mem={dom0}M and {domains} MiB for other domains"),
        }
    }
}

/// How many bytes `dom0_mem=` may ask for; `None` where no number helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instead(pub Option<u64>);

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "write dom0_mem={}M", bytes >> 20),
            None => f.write_str("give the domains less"),
        }
    }
}

impl Instead {
    /// What may fit beside `domains` bytes in `memory` bytes, when nothing is known of the files: they and Xen may have 192 MiB.
    pub fn guess(memory: u64, domains: u64) -> Self {
        let room = memory.saturating_sub(domains).saturating_sub(192 << 20);
        Self(Some(room / STEP * STEP).filter(|bytes| *bytes > 0))
    }
}

/// Looks whether Xen can find for Dom0 what is `asked`, with the modules as `layout` has them and what `tree` reserves.
///
/// # Errors
/// [`Shortage`].
pub fn check(layout: &Layout, tree: Option<&Tree<'_>>, asked: Asked) -> Result<(), Shortage> {
    let mut left = left_to_xen(layout, tree);
    let free: u64 = left.iter().map(PhysicalRange::size).sum();
    let memory: u64 = layout.banks().iter().map(PhysicalRange::size).sum();
    let table = (memory / PAGE * FRAME).next_multiple_of(FRAME_TABLE_STEP);
    // Where it finds no place, Xen does not even come to Dom0.
    let _ = take(&mut left, table, FRAME_TABLE_ALIGNMENT, u64::MAX, true);
    let beside_domains = |own: u64| free.saturating_sub(table.saturating_add(asked.domains).saturating_add(own));
    let found = find(left.clone(), asked.dom0).min(beside_domains(0));
    let room = beside_domains(XENS_OWN).min(asked.dom0);
    if found >= asked.dom0 && room >= asked.dom0 {
        return Ok(());
    }
    let mut tried = (1..=room / STEP).rev().map(|steps| steps * STEP).take(MOST_TRIED);
    let instead = Instead(tried.find(|size| find(left.clone(), *size) == *size));
    Err(Shortage { asked, found, free, memory, instead })
}

/// Memory that Xen finds free: what lies in it only for the loader's sake does not count, nor does what only the firmware's tree reserves.
fn left_to_xen(layout: &Layout, tree: Option<&Tree<'_>>) -> Vec<PhysicalRange> {
    let Ok(mut left) = Layout::new(layout.banks().iter().copied()) else { return Vec::new() };
    let placed = layout.occupants().iter().filter(|occupant| !occupant.reserved).map(|occupant| occupant.block);
    let regions = tree.iter().flat_map(|tree| tree.reserved_memory()).flatten().map(|region| region.range);
    let reservations = tree.iter().flat_map(|tree| tree.reservations());
    for range in placed.chain(reservations).chain(regions) {
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
        if let Some(block) = take(&mut free, size, size, LOW_MEMORY_END, false) {
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
        let Some(block) = take(&mut free, size, size, end, true) else {
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

/// Takes a block of `size` bytes at a multiple of `alignment` below `end`, the highest or the lowest there is.
fn take(free: &mut Vec<PhysicalRange>, size: u64, alignment: u64, end: u64, highest: bool) -> Option<PhysicalRange> {
    let fitting = |gap: &PhysicalRange| {
        let start = if highest {
            gap.end.min(end).checked_sub(size)? / alignment * alignment
        } else {
            gap.start.checked_next_multiple_of(alignment)?
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
    fn a_shortage_is_told_with_all_numbers_and_what_to_write_instead() {
        let mut tree = TestTree::board();
        let editor = tree.editor();
        let tree = editor.tree().unwrap();
        let mut layout = Layout::new([range(0, 960 * MIB)]).unwrap();
        layout.reserve("loader", range(800 * MIB, 820 * MIB)).unwrap();
        layout.place("modules", range(PAGE, 96 * MIB)).unwrap();
        let asked = |dom0, domains| Asked { dom0: dom0 * MIB, domains: domains * MIB };
        let shortage = check(&layout, Some(&tree), asked(900, 0)).unwrap_err();
        // The frame table goes to 928 MiB. 768 in large blocks, 48 above them, and the 32 that touch the first block from below.
        assert_eq!(
            shortage.to_string(),
            "dom0_mem=900M: Xen will panic, it finds 848 MiB for Dom0 at most. The firmware left 960 MiB; \
             Xen, modules and reservations take 96 of them; write dom0_mem=832M"
        );
        assert!(shortage.is_certain());
        assert_eq!(check(&layout, Some(&tree), asked(832, 0)), Ok(()), "what is proposed can be had");
        // What other domains get is not Dom0's.
        let shared = check(&layout, Some(&tree), asked(832, 128)).unwrap_err();
        assert!(
            shared
                .to_string()
                .starts_with("dom0_mem=832M and 128 MiB for other domains: Xen will panic, it finds 722 MiB")
        );
        assert_eq!(shared.instead, Instead(Some(704 * MIB)));
        let close = check(&layout, Some(&tree), asked(840, 0)).unwrap_err();
        assert!(
            close.to_string().starts_with("dom0_mem=840M: Xen may panic, it needs some memory itself. The"),
            "{close}"
        );
        assert!(!close.is_certain());
        let hopeless = check(&layout, Some(&tree), asked(64, 2000)).unwrap_err();
        assert!(hopeless.to_string().ends_with("; give the domains less"), "{hopeless}");
        // A small block that does not touch the first one from below ends the search.
        assert_eq!(found(&[range(60 * MIB, 100 * MIB), range(128 * MIB, 960 * MIB)], 900), 832);
    }

    #[test]
    fn what_the_tree_reserves_is_not_xens() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        let layout = Layout::new([range(0, 1024 * MIB)]).unwrap();
        let asked = Asked { dom0: 768 * MIB, domains: 0 };
        assert_eq!(check(&layout, Some(&editor.tree().unwrap()), asked), Ok(()));
        editor.add_reservation(range(300 * MIB, 301 * MIB)).unwrap();
        editor.add_reservation(range(600 * MIB, 601 * MIB)).unwrap();
        editor.add_reservation(range(600 * MIB, 602 * MIB)).unwrap();
        let left = left_to_xen(&layout, Some(&editor.tree().unwrap()));
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
