use super::*;
use crate::arch::WatchdogAtEntry;
use crate::arch::firmware_memory::tests::{ADDRESS, Tree};
use crate::arch::{Fault, Stage};

const CERTAIN: PhysicalRange = PhysicalRange { start: 0, end: 0x4000_0000 };
const SIZE: u64 = 0x5c_1000;

struct TestBoard;

impl StartBoard for TestBoard {
    fn certain_ram(&self) -> PhysicalRange {
        CERTAIN
    }
    fn place_below(&self) -> u64 {
        0x3b40_0000
    }
    fn devices(&self) -> PhysicalRange {
        PhysicalRange { start: 0xfc00_0000, end: 0x1_0000_0000 }
    }
    fn counter_frequency(&self) -> u32 {
        54_000_000
    }
    fn stage(&self, _: Stage) {}
    fn flash(&self, _: Fault) {}
    fn raw_byte(&self, _: u8) {}
    fn raw_drain(&self) {}
    fn watchdog_at_entry(&self) -> WatchdogAtEntry {
        WatchdogAtEntry::default()
    }
    fn reset(&self) -> ! {
        panic!("reset")
    }
}

fn no_read(range: PhysicalRange) -> &'static [u8] {
    panic!("read of {range}")
}

#[test]
fn an_x0_that_cannot_be_a_tree_is_not_followed() {
    // QEMU's 0x100, page 0, odd addresses, absent memory, the end of the address space.
    for x0 in [0, 0x100, 0xffc, 0x2eff_6201, 0x2eff_6202, 0x3fff_fff0, 0x4000_0000, 0xa5a5_c3c3_dead_beec, u64::MAX - 3]
    {
        assert_eq!(memory_from(x0, CERTAIN, no_read), Err(FirmwareMemoryError::Address { address: x0 }), "{x0:#x}");
    }
}

#[test]
fn a_tree_that_claims_to_pass_the_end_of_memory_is_not_read() {
    let blob = Tree::new().memory(0, 0x1000_0000).blob();
    let x0 = 0x4000_0000 - 64;
    let read = |range: PhysicalRange| {
        assert!(CERTAIN.contains(&range), "read of {range}");
        &blob[..range.size() as usize]
    };
    assert_eq!(memory_from(x0, CERTAIN, read), Err(FirmwareMemoryError::Size { size: blob.len() as u32 }));
}

#[test]
fn the_tree_at_x0_is_read_once_its_header_is_believable() {
    let blob = Tree::new().memory(0, 0x3b40_0000).blob();
    let read = |range: PhysicalRange| &blob[(range.start - ADDRESS) as usize..(range.end - ADDRESS) as usize];
    let memory = memory_from(ADDRESS, CERTAIN, read).unwrap();
    assert_eq!(memory.banks.as_slice(), [PhysicalRange { start: 0, end: 0x3b40_0000 }]);
    assert_eq!(memory.tree, PhysicalRange { start: ADDRESS, end: ADDRESS + blob.len() as u64 });
}

fn file(start: u64) -> PhysicalRange {
    PhysicalRange { start, end: start + 0x4_8000 }
}

#[test]
fn with_a_tree_the_loader_moves_up() {
    let memory = Ok(Tree::new().memory(0, 0x3b40_0000).read());
    assert_eq!(choose(&TestBoard, &memory, file(0x8_0000), SIZE), Some(0x3ae0_0000));
}

#[test]
fn without_room_elsewhere_it_stays_and_without_room_here_it_gives_up() {
    let small = Ok(Tree::new().memory(0x20_0000, SIZE).read());
    assert_eq!(choose(&TestBoard, &small, file(0x20_0000), SIZE), Some(0x20_0000));
    let smaller = Ok(Tree::new().memory(0x20_0000, SIZE - 0x1000).read());
    assert_eq!(choose(&TestBoard, &smaller, file(0x20_0000), SIZE), None);
}

#[test]
fn without_a_tree_it_stays_where_ram_certainly_is() {
    let none = Err(FirmwareMemoryError::Address { address: 0x100 });
    assert_eq!(choose(&TestBoard, &none, file(0x8_0000), SIZE), Some(0x8_0000));
    assert_eq!(choose(&TestBoard, &none, file(0x4000_0000 - SIZE), SIZE), Some(0x4000_0000 - SIZE));
    assert_eq!(choose(&TestBoard, &none, file(0x4000_0000 - SIZE + 0x1000), SIZE), None);
    assert_eq!(choose(&TestBoard, &none, file(0), SIZE), None);
}
