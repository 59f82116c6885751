//! The map, checked by walking the tables as the hardware does.

use super::tables::{ADDRESS, ENTRIES, MAP_END, PAGE, Table};
use super::*;
use crate::arch::firmware_memory::tests::Tree;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

const BASE: u64 = 0x0200_0000;
const GIB: u64 = 1 << 30;
const DEVICES: PhysicalRange = PhysicalRange { start: 0xfc00_0000, end: 0x1_0000_0000 };

/// Where a walk ends: the output address and the attribute bits, or nothing.
fn walk(tables: &Tables<'_>, address: u64) -> Option<(u64, u64)> {
    let mut table = 0;
    for level in 1..=3 {
        let shift = 39 - 9 * level;
        let entry = tables.pool[table].0[(address >> shift) as usize % ENTRIES];
        match (entry & 3, level) {
            (3, 1 | 2) => {
                let next = entry & ADDRESS;
                assert!(next >= BASE && next.is_multiple_of(PAGE), "a table outside the pool");
                table = ((next - BASE) / PAGE) as usize;
                assert!(table < tables.used, "a table that is not in use");
            }
            (1, 1 | 2) | (3, 3) => {
                let offset = (1 << shift) - 1;
                let output = entry & ADDRESS;
                assert_eq!(output & offset, 0, "an output address that its block cannot have");
                return Some((output | address & offset, entry & !ADDRESS & !2));
            }
            (0, _) => return None,
            other => panic!("entry of type {other:?} at {address:#x}"),
        }
    }
    unreachable!("level 3 always returns")
}

fn access(tables: &Tables<'_>, address: u64) -> Access {
    let Some((output, attributes)) = walk(tables, address) else { return Access::None };
    assert_eq!(output, address, "the map is the identity");
    [Access::Code, Access::ReadOnly, Access::ReadWrite, Access::Device]
        .into_iter()
        .find(|access| access.attributes() == attributes)
        .expect("attributes of one of the kinds")
}

fn pool(size: usize) -> Vec<Table> {
    vec![Table([0; ENTRIES]); size]
}

fn range(start: u64, end: u64) -> PhysicalRange {
    PhysicalRange { start, end }
}

#[test]
fn attributes_are_those_of_the_arm_arm() {
    // Normal write-back inner shareable, AP[1] and AF set, then AP[2] for read-only and XN where nothing may run.
    assert_eq!(Access::Code.attributes(), 0x7c1);
    assert_eq!(Access::ReadOnly.attributes(), 0x0040_0000_0000_07c1);
    assert_eq!(Access::ReadWrite.attributes(), 0x0040_0000_0000_0741);
    assert_eq!(Access::Device.attributes(), 0x0040_0000_0000_0445);
    assert_eq!(TCR, 0x8081_3519);
    assert_eq!(SCTLR_ON, 0x30cd_183d);
}

#[test]
fn whole_gibibytes_need_one_table() {
    let mut pool = pool(1);
    let mut tables = Tables::new(&mut pool, BASE);
    tables.map(range(GIB, 4 * GIB), Access::ReadWrite).unwrap();
    assert_eq!(access(&tables, GIB - 1), Access::None);
    assert_eq!(access(&tables, GIB), Access::ReadWrite);
    assert_eq!(access(&tables, 4 * GIB - 1), Access::ReadWrite);
    assert_eq!(access(&tables, 4 * GIB), Access::None);
}

#[test]
fn a_page_inside_a_block_splits_it_and_leaves_the_rest() {
    let mut pool = pool(3);
    let mut tables = Tables::new(&mut pool, BASE);
    tables.map(range(0, GIB), Access::ReadWrite).unwrap();
    tables.map(range(0x1234_5000, 0x1234_6000), Access::None).unwrap();
    for (address, expected) in [
        (0, Access::ReadWrite),
        (0x1234_4fff, Access::ReadWrite),
        (0x1234_5000, Access::None),
        (0x1234_5fff, Access::None),
        (0x1234_6000, Access::ReadWrite),
        (0x1240_0000, Access::ReadWrite),
        (GIB - 1, Access::ReadWrite),
    ] {
        assert_eq!(access(&tables, address), expected, "{address:#x}");
    }
}

#[test]
fn what_is_given_is_whole_pages_and_what_is_taken_is_every_page_touched() {
    let mut pool = pool(4);
    let mut tables = Tables::new(&mut pool, BASE);
    tables.map(range(0x1801, 0x4fff), Access::ReadWrite).unwrap();
    assert_eq!(access(&tables, 0x1900), Access::None);
    assert_eq!(access(&tables, 0x2000), Access::ReadWrite);
    assert_eq!(access(&tables, 0x3fff), Access::ReadWrite);
    assert_eq!(access(&tables, 0x4000), Access::None);
    tables.map(range(0x2fff, 0x3001), Access::None).unwrap();
    assert_eq!(access(&tables, 0x2000), Access::None);
    assert_eq!(access(&tables, 0x3000), Access::None);
}

#[test]
fn a_pool_that_is_too_small_says_where_it_ended_and_maps_nothing_by_mistake() {
    let mut pool = pool(2);
    let mut tables = Tables::new(&mut pool, BASE);
    let error = tables.map(range(0x1000, 0x40_0000), Access::ReadWrite).unwrap_err();
    assert_eq!(error, MapError::NoTables { address: 0x1000 });
    assert_eq!(access(&tables, 0x0), Access::None);
    assert_eq!(access(&tables, 0x1000), Access::None);
    let error = tables.map(range(0, MAP_END + 1), Access::ReadWrite).unwrap_err();
    assert_eq!(error, MapError::TooHigh { end: MAP_END + 1 });
}

/// The memory of a board with 1, 2, 4 or 8 GB, as the firmware describes it.
fn board(gigabytes: u64) -> Tree {
    let tree = Tree::new().memory(0, 0x3b40_0000);
    match gigabytes {
        1 => tree,
        2 => tree.memory(GIB, GIB),
        4 => tree.memory(GIB, 0xbc00_0000),
        _ => tree.memory(GIB, 0xbc00_0000).memory(4 * GIB, 0x8000_0000).memory(6 * GIB, 0x8000_0000),
    }
}

#[test]
fn every_board_is_mapped_as_its_tree_describes_it() {
    for gigabytes in [1, 2, 4, 8] {
        let memory = board(gigabytes)
            .reserve(0, 0x1000)
            .reserved_node(0x0ee0_1000, 0x2000, true)
            .reserved_node(0x1000_0000, 0x1000, false)
            .read();
        let mut pool = pool(POOL);
        let mut tables = Tables::new(&mut pool, BASE);
        lay_out(&mut tables, &memory, DEVICES).unwrap();
        assert!(tables.used <= POOL / 2, "{gigabytes} GB takes {} tables", tables.used);

        let high = |from: u64| if gigabytes > from { Access::ReadWrite } else { Access::None };
        let image = image::range();
        for (address, expected) in [
            (0, Access::None),
            (0xfff, Access::None),
            (0x1000, Access::ReadWrite),
            (0x0ee0_0fff, Access::ReadWrite),
            (0x0ee0_1000, Access::None),
            (0x0ee0_2fff, Access::None),
            (0x0ee0_3000, Access::ReadWrite),
            (0x1000_0000, Access::ReadOnly),
            (0x1000_1000, Access::ReadWrite),
            (image.start - 1, Access::ReadWrite),
            (image.start, Access::Code),
            (image::text_end() - 1, Access::Code),
            (image::text_end(), Access::ReadOnly),
            (image::rodata_end() - 1, Access::ReadOnly),
            (image::rodata_end(), Access::ReadWrite),
            (image::stack_guard() - 1, Access::ReadWrite),
            (image::stack_guard(), Access::None),
            (image::stack_bottom() - 1, Access::None),
            (image::stack_bottom(), Access::ReadWrite),
            (image.end, Access::ReadWrite),
            (0x3b3f_ffff, Access::ReadWrite),
            (0x3b40_0000, Access::None),
            (0x3fff_ffff, Access::None),
            (GIB, high(1)),
            (2 * GIB, high(2)),
            (0xfbff_ffff, high(2)),
            (0xfc00_0000, Access::Device),
            (0xffff_ffff, Access::Device),
            (4 * GIB, high(4)),
            (8 * GIB - 1, high(4)),
            (8 * GIB, Access::None),
        ] {
            assert_eq!(access(&tables, address), expected, "{address:#x} on a board with {gigabytes} GB");
        }
    }
}

#[test]
fn a_bank_over_the_devices_does_not_make_them_memory() {
    let memory = Tree::new().memory(0xf000_0000, 0x2000_0000).reserved_node(0xfe00_0000, 0x1000, true).read();
    let mut pool = pool(POOL);
    let mut tables = Tables::new(&mut pool, BASE);
    lay_out(&mut tables, &memory, DEVICES).unwrap();
    assert_eq!(access(&tables, 0xfbff_ffff), Access::ReadWrite);
    assert_eq!(access(&tables, 0xfc00_0000), Access::Device);
    assert_eq!(access(&tables, 0xfe00_0000), Access::Device);
    assert_eq!(access(&tables, 0x1_0000_0000), Access::ReadWrite);
}

#[test]
fn the_loader_is_mapped_even_where_reservations_use_up_all_tables() {
    let mut tree = board(1);
    for index in 0..crate::arch::firmware_memory::RESERVATIONS as u64 {
        // Across a 2 MiB boundary, so that each wants two tables.
        tree = tree.reserved_node(0x0800_1000 + index * 0x40_0000, 0x20_0000, true);
    }
    let memory = tree.read();
    let mut pool = pool(POOL);
    let mut tables = Tables::new(&mut pool, BASE);
    let error = lay_out(&mut tables, &memory, DEVICES).unwrap_err();
    assert!(matches!(error, MapError::NoTables { .. }));
    assert_eq!(access(&tables, image::start()), Access::Code);
    assert_eq!(access(&tables, image::stack_guard()), Access::None);
    assert_eq!(access(&tables, image::stack_bottom()), Access::ReadWrite);
    for reservation in memory.reserved.as_slice() {
        assert_eq!(access(&tables, reservation.range.start), Access::None, "{}", reservation.range);
        assert_eq!(access(&tables, reservation.range.end - 1), Access::None, "{}", reservation.range);
    }
    assert_eq!(access(&tables, 0xfe20_1000), Access::Device);
}

fn any_access() -> impl Strategy<Value = Access> {
    prop_oneof![
        Just(Access::None),
        Just(Access::Code),
        Just(Access::ReadOnly),
        Just(Access::ReadWrite),
        Just(Access::Device)
    ]
}

proptest! {
    /// Whatever is mapped in whatever order, each page has the rights of the last call that covered it.
    #[test]
    fn the_last_map_of_a_page_counts(
        maps in prop::collection::vec((0_u64..0x2000, 1_u64..0x1000, any_access()), 1..12),
        probes in prop::collection::vec(0_u64..0x3000, 1..32),
    ) {
        let mut pool = pool(64);
        let mut tables = Tables::new(&mut pool, BASE);
        for (start, pages, access) in &maps {
            tables.map(range(start * PAGE, (start + pages) * PAGE), *access).unwrap();
        }
        for page in probes.iter().copied() {
            let expected = maps.iter().rev().find(|(start, pages, _)| (*start..start + pages).contains(&page));
            prop_assert_eq!(access(&tables, page * PAGE), expected.map_or(Access::None, |(_, _, access)| *access));
        }
        for pair in probes.windows(2) {
            let (first, last) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            let writable = (first..last).all(|page| access(&tables, page * PAGE) == Access::ReadWrite);
            prop_assert_eq!(tables.allows_writing(range(first * PAGE, last * PAGE)), writable);
        }
    }
}

#[test]
fn memory_above_the_map_is_not_writable() {
    let mut pool = pool(1);
    let mut tables = Tables::new(&mut pool, BASE);
    tables.map(range(MAP_END - GIB, MAP_END), Access::ReadWrite).unwrap();
    assert!(tables.allows_writing(range(MAP_END - 1, MAP_END)));
    assert!(!tables.allows_writing(range(MAP_END - 1, MAP_END + 1)));
    assert!(!tables.allows_writing(range(u64::MAX - 1, u64::MAX)));
}
