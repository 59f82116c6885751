use super::*;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

const TEXT: PhysicalRange = PhysicalRange { start: 0x3ae0_0000, end: 0x3ae3_0000 };
const STACK: PhysicalRange = PhysicalRange { start: 0x3b38_1000, end: 0x3b3c_1000 };

/// A stack as a map from address to word.
fn trace(records: &[(u64, u64, u64)], frame_pointer: u64, link: Option<u64>) -> (usize, [u64; 4]) {
    let words: BTreeMap<u64, u64> =
        records.iter().flat_map(|(at, caller, back)| [(*at, *caller), (at + 8, *back)]).collect();
    let mut found = [0; 4];
    let read = |address: u64| *words.get(&address).expect("a read of a word that is on the stack");
    let count = backtrace(frame_pointer, link, STACK, TEXT, read, &mut found);
    (count, found)
}

#[test]
fn a_backtrace_follows_the_chain_to_its_end() {
    let (count, found) =
        trace(&[(0x3b3c_0000, 0x3b3c_0100, 0x3ae0_0104), (0x3b3c_0100, 0, 0x3ae0_0204)], 0x3b3c_0000, None);
    assert_eq!((count, found[0], found[1]), (2, 0x3ae0_0100, 0x3ae0_0200));
}

#[test]
fn the_link_register_goes_first_if_it_is_code() {
    let records = [(0x3b3c_0000, 0, 0x3ae0_0204)];
    let (count, found) = trace(&records, 0x3b3c_0000, Some(0x3ae0_0054));
    assert_eq!((count, found[0], found[1]), (2, 0x3ae0_0050, 0x3ae0_0200));
    let (count, found) = trace(&records, 0x3b3c_0000, Some(0x7777));
    assert_eq!((count, found[0]), (1, 0x3ae0_0200));
}

#[test]
fn a_caller_that_is_in_the_link_register_and_in_the_record_is_named_once() {
    let records = [(0x3b3c_0000, 0x3b3c_0100, 0x3ae0_0204), (0x3b3c_0100, 0, 0x3ae0_0204)];
    let (count, found) = trace(&records, 0x3b3c_0000, Some(0x3ae0_0204));
    assert_eq!((count, found[0], found[1]), (2, 0x3ae0_0200, 0x3ae0_0200));
}

#[test]
fn a_broken_chain_ends_the_backtrace() {
    // A frame pointer outside the stack, at its very end, or crooked.
    for bad in [0, 0x1234, 0x3b3c_0ff8, 0x3b3c_1000, 0x3b38_0ff8, 0x3b3c_0001, u64::MAX] {
        assert_eq!(trace(&[], bad, None).0, 0, "{bad:#x}");
    }
    // A record that points at itself, and one that points down.
    assert_eq!(trace(&[(0x3b3c_0000, 0x3b3c_0000, 0x3ae0_0104)], 0x3b3c_0000, None).0, 1);
    assert_eq!(trace(&[(0x3b3c_0000, 0x3b3b_0000, 0x3ae0_0104)], 0x3b3c_0000, None).0, 1);
    // A return address that is no code.
    assert_eq!(trace(&[(0x3b3c_0000, 0x3b3c_0100, 0xdead)], 0x3b3c_0000, None).0, 0);
}

#[test]
fn a_long_chain_fills_what_there_is() {
    let records: Vec<_> =
        (0..10).map(|index| (0x3b3b_0000 + index * 16, 0x3b3b_0010 + index * 16, 0x3ae0_0104)).collect();
    assert_eq!(trace(&records, 0x3b3b_0000, None).0, 4);
}
