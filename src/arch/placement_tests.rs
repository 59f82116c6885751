use super::*;
use crate::arch::firmware_memory::Reservation;
use crate::arch::firmware_memory::tests::Tree;
use proptest::prelude::*;

const SIZE: u64 = 0x5c_1000;
const BELOW: u64 = 0x3b40_0000;

fn sized(start: u64, size: u64) -> PhysicalRange {
    PhysicalRange { start, end: start + size }
}

fn file_at(start: u64) -> PhysicalRange {
    sized(start, 0x4_8000)
}

#[test]
fn an_empty_board_gives_the_highest_block() {
    let memory = Tree::new().memory(0, 0x3b40_0000).memory(0x4000_0000, 0xbc00_0000).read();
    let place = highest_free(&memory, file_at(0x20_0000), SIZE, BELOW);
    assert_eq!(place, Some(0x3ae0_0000));
}

#[test]
fn the_tree_and_the_initrd_are_left_alone() {
    let tree = Tree::new().memory(0, 0x2f00_0000);
    let initrd = |start: u32, end: u32| {
        tree.clone()
            .chosen("linux,initrd-start", &start.to_be_bytes())
            .chosen("linux,initrd-end", &end.to_be_bytes())
            .read()
    };
    // The tree is at 0x2eff6200: nothing fits above it.
    assert_eq!(highest_free(&tree.read(), file_at(0x8_0000), SIZE, BELOW), Some(0x2ea0_0000));
    // One byte of an initrd in that block moves the place down.
    assert_eq!(highest_free(&initrd(0x2ef0_0000, 0x2ef0_0001), file_at(0x8_0000), SIZE, BELOW), Some(0x2e80_0000));
    assert_eq!(highest_free(&initrd(0x2000_0000, 0x2efe_0000), file_at(0x8_0000), SIZE, BELOW), Some(0x1fa0_0000));
}

#[test]
fn the_place_never_overlaps_the_file_that_is_copied() {
    let memory = Tree::new().memory(0, 0x3b40_0000).read();
    let highest = highest_free(&memory, file_at(0x8_0000), SIZE, BELOW).unwrap();
    for start in [highest, highest + 0x1000, highest + SIZE - 0x1000] {
        let place = highest_free(&memory, file_at(start), SIZE, BELOW).unwrap();
        assert!(!sized(place, SIZE).overlaps(&file_at(start)), "file at {start:#x}, place {place:#x}");
    }
}

#[test]
fn memory_near_its_end_and_without_room_is_handled() {
    let tight = Tree::new().memory(0x20_0000, SIZE).read();
    assert_eq!(highest_free(&tight, file_at(0x1000_0000), SIZE, BELOW), Some(0x20_0000));
    assert_eq!(highest_free(&tight, file_at(0x20_0000), SIZE, BELOW), None);
    assert!(is_free(&tight, sized(0x20_0000, SIZE)));
    let short = Tree::new().memory(0x20_0000, SIZE - 1).read();
    assert_eq!(highest_free(&short, file_at(0x1000_0000), SIZE, BELOW), None);
    let last = Tree::new().memory(0, 0x1000).memory(0xffff_ffff_0000_0000, 0xffff_ffff).read();
    assert_eq!(highest_free(&last, file_at(0x8_0000), SIZE, BELOW), None);
}

#[test]
fn page_zero_is_never_given_away() {
    let memory = Tree::new().memory(0, SIZE).read();
    assert_eq!(highest_free(&memory, file_at(0x1000_0000), SIZE, BELOW), None);
    assert!(!is_free(&memory, sized(0, SIZE)));
}

proptest! {
    /// The place is inside a bank and below the limit, free of everything, and no higher one is.
    #[test]
    fn the_place_is_free_and_the_highest(
        banks in prop::collection::vec((0_u64..0x400, 1_u64..0x200), 1..4),
        taken in prop::collection::vec((0_u64..0x40000, 1_u64..0x4000), 0..20),
        file in 1_u64..0x40000,
    ) {
        let mut tree = Tree::new();
        for (start, size) in &banks {
            tree = tree.memory(start << 20, size << 20);
        }
        for (start, size) in &taken {
            tree = tree.reserve(start << 12, size << 12);
        }
        let memory = tree.read();
        let file = file_at(file << 12);
        let free = |start: u64| {
            let candidate = sized(start, SIZE);
            memory.banks.as_slice().iter().any(|bank| bank.contains(&candidate))
                && candidate.end <= BELOW
                && !candidate.overlaps(&file)
                && !candidate.overlaps(&memory.tree)
                && !candidate.overlaps(&PAGE_ZERO)
                && !memory.reserved.as_slice().iter().any(|Reservation { range, .. }| range.overlaps(&candidate))
        };
        let highest = (0..BELOW / ALIGNMENT).map(|block| block * ALIGNMENT).rev().find(|start| free(*start));
        prop_assert_eq!(highest_free(&memory, file, SIZE, BELOW), highest);
    }
}
