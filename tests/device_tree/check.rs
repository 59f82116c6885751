//! The structural check: each rule of the specification, broken.

use xenlift::device_tree::check;
use xenlift::device_tree::check::{Block, DEEPEST, Error, Fault, LONGEST_NAME, claimed_size};

use crate::blob::{Begin, End, Finish, Nop, Piece, Property, Words, blob, with};
use crate::board;
use crate::model::scatter;
use crate::oracle::compile;

/// Where [`blob`] puts the structure block.
const STRUCTURE: usize = 56;

fn small() -> Vec<u8> {
    blob(&[Begin(""), Property(0, b"x"), Begin("child"), End, End, Finish], b"name\0")
}

/// The fault that the check finds in `pieces`, and where.
fn fault(pieces: &[Piece], strings: &[u8]) -> (usize, Fault) {
    match check(&blob(pieces, strings)) {
        Err(Error::Structure { offset, fault }) => (offset - STRUCTURE, fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_tree_passes_and_its_blocks_are_reported() {
    let tree = small();
    let header = check(&tree).unwrap();
    assert_eq!((header.total_size, header.structure_offset, header.reservations_offset), (tree.len(), 56, 40));
    assert_eq!((header.reservations_size, header.structure_size), (16, tree.len() - 5 - 56));
    assert_eq!((header.strings_offset, header.strings_size, header.boot_cpu), (tree.len() - 5, 5, 0));
    assert_eq!(check(&with(tree, 28, 3)).unwrap().boot_cpu, 3);
}

#[test]
fn what_dtc_compiles_passes_with_blocks_in_any_order() {
    let tree = compile(board::SOURCE);
    let header = check(&tree).unwrap();
    assert_eq!(header.reservations_size, 48);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for gap in [0, 1, 5] {
            let scattered = check(&scatter(&tree, order, gap)).unwrap();
            assert_eq!(scattered.structure_size, header.structure_size);
        }
    }
}

#[test]
fn bytes_behind_the_tree_do_not_matter_but_missing_ones_do() {
    let mut tree = small();
    let size = tree.len();
    tree.extend([0xff; 9]);
    assert_eq!(check(&tree).unwrap().total_size, size);
    for cut in 40..size {
        assert_eq!(check(&tree[..cut]), Err(Error::TotalSize { claimed: size as u32, have: cut }));
    }
    for cut in 4..40 {
        assert_eq!(check(&tree[..cut]), Err(Error::TooShort { have: cut }));
    }
    assert_eq!(check(&[]), Err(Error::TooShort { have: 0 }));
    assert_eq!(check(&with(small(), 4, 39)), Err(Error::TotalSize { claimed: 39, have: size }));
}

#[test]
fn what_is_no_tree_is_named() {
    assert_eq!(check(b"/dts-v1/; / { };"), Err(Error::Magic { found: 0x2f647473 }));
    assert!(check(b"/dts-v1/;").unwrap_err().to_string().ends_with("compile it with dtc)"));
    assert_eq!(claimed_size(&small()), Ok(small().len()));
    assert_eq!(claimed_size(&[0xd0, 0x0d, 0xfe]), Err(Error::TooShort { have: 3 }));
    assert_eq!(check(&with(small(), 0, 0xedfe0dd0)), Err(Error::Magic { found: 0xedfe0dd0 }));
}

#[test]
fn only_versions_that_read_as_17_pass() {
    assert_eq!(check(&with(small(), 20, 16)), Err(Error::Version { version: 16, last_compatible: 16 }));
    assert_eq!(check(&with(small(), 24, 18)), Err(Error::Version { version: 17, last_compatible: 18 }));
    assert!(check(&with(with(small(), 20, 18), 24, 17)).is_ok());
}

#[test]
fn blocks_are_aligned() {
    let misaligned = |block, offset, alignment| Err(Error::Misaligned { block, offset, alignment });
    assert_eq!(check(&with(small(), 16, 44)), misaligned(Block::Reservations, 44, 8));
    assert_eq!(check(&with(small(), 8, 58)), misaligned(Block::Structure, 58, 4));
}

#[test]
fn blocks_lie_between_the_header_and_the_end() {
    let total_size = small().len();
    let outside = |block, offset, size| Err(Error::OutOfBounds { block, offset, size, total_size });
    let size = total_size - 5 - STRUCTURE;
    assert_eq!(check(&with(small(), 8, 36)), outside(Block::Structure, 36, size));
    assert_eq!(check(&with(small(), 8, 0xffff_fffc)), outside(Block::Structure, 0xffff_fffc, size));
    assert_eq!(check(&with(small(), 36, size as u32 + 6)), outside(Block::Structure, STRUCTURE, size + 6));
    assert_eq!(check(&with(small(), 32, 6)), outside(Block::Strings, total_size - 5, 6));
    assert_eq!(check(&with(small(), 12, 0)), outside(Block::Strings, 0, 5));
    assert_eq!(check(&with(small(), 16, 32)), outside(Block::Reservations, 32, 16));
    assert_eq!(check(&with(small(), 16, 0xffff_fff8)), outside(Block::Reservations, 0xffff_fff8, 16));
}

#[test]
fn blocks_share_no_byte() {
    let overlap = |first, second, offset| Err(Error::Overlap { first, second, offset });
    let strings = small().len() - 5;
    let early = with(small(), 12, strings as u32 - 1);
    assert_eq!(check(&early), overlap(Block::Structure, Block::Strings, strings - 1));
    assert_eq!(check(&with(small(), 8, 52)), overlap(Block::Reservations, Block::Structure, 52));
    // The strings block lies around the structure block: found although it does not start where another lies.
    let around = with(with(small(), 12, 40), 32, 40);
    assert!(matches!(check(&around), Err(Error::Overlap { .. })));
    // An empty strings block shares nothing, wherever it is.
    let empty = blob(&[Begin(""), End, Finish], b"");
    assert!(check(&with(empty, 12, 44)).is_ok());
}

#[test]
fn reservations_end_and_stay_in_memory() {
    let mut tree = small();
    tree[40..56].copy_from_slice(&[0xff; 16]);
    assert_eq!(check(&tree), Err(Error::ReservationWraps { offset: 40, address: u64::MAX, size: u64::MAX }));
    // Reservations at the very end, none of them the last.
    let mut tree = scatter(&compile("/dts-v1/; /memreserve/ 0x1000 0x1000; / { };"), [1, 2, 0], 0);
    let end = tree.len();
    tree[end - 1] = 1;
    assert_eq!(check(&tree), Err(Error::ReservationsUnterminated { offset: end }));
    // One that reaches the last byte of the address space is fine; its end is not.
    tree[end - 16..].copy_from_slice(&[0; 16]);
    tree[end - 32..end - 16].copy_from_slice(&[[0xff; 7].as_slice(), &[0; 8], &[0xff]].concat());
    assert!(check(&tree).is_ok());
    tree[end - 18..end - 16].copy_from_slice(&[1, 0]);
    assert!(matches!(check(&tree), Err(Error::ReservationWraps { size: 0x100, .. })));
}

#[test]
fn tokens_come_in_their_order() {
    assert_eq!(fault(&[Finish], b""), (0, Fault::EndTooEarly { open: 0 }));
    assert_eq!(fault(&[Begin(""), Begin("a"), End, Finish], b""), (20, Fault::EndTooEarly { open: 1 }));
    assert_eq!(fault(&[End], b""), (0, Fault::EndNodeAlone));
    assert_eq!(fault(&[Begin(""), End, End], b""), (12, Fault::EndNodeAlone));
    assert_eq!(fault(&[Begin(""), End], b""), (12, Fault::NoEnd));
    assert_eq!(fault(&[Begin(""), End, Begin("b"), End, Finish], b""), (12, Fault::SecondRoot));
    assert_eq!(fault(&[Begin(""), Words(&[5]), End, Finish], b""), (8, Fault::UnknownToken(5)));
    assert_eq!(fault(&[Property(0, b""), Begin(""), End, Finish], b"a\0"), (0, Fault::PropertyOutside));
    assert_eq!(fault(&[Begin(""), End, Property(0, b""), Finish], b"a\0"), (12, Fault::PropertyOutside));
    let late = [Begin(""), Begin("a"), End, Property(0, b""), End, Finish];
    assert_eq!(fault(&late, b"a\0"), (20, Fault::PropertyAfterChild));
    // A child that has ended does not forbid properties in the next child.
    assert!(
        check(&blob(&[Begin(""), Begin("a"), End, Begin("b"), Property(0, b""), End, End, Finish], b"a\0")).is_ok()
    );
    let nops = [Nop, Begin(""), Nop, Property(0, b""), Nop, Begin("a"), Nop, End, Nop, End, Nop, Finish];
    assert!(check(&blob(&nops, b"a\0")).is_ok());
}

#[test]
fn what_follows_the_end_is_not_part_of_the_structure() {
    let header = check(&blob(&[Begin(""), End, Finish, Words(&[7, 7])], b"")).unwrap();
    assert_eq!(header.structure_size, 16);
}

#[test]
fn names_are_there_and_bounded() {
    let long = "n".repeat(LONGEST_NAME);
    assert!(check(&blob(&[Begin(""), Begin(&long), End, End, Finish], b"")).is_ok());
    let longer = "n".repeat(LONGEST_NAME + 1);
    assert_eq!(fault(&[Begin(""), Begin(&longer), End, End, Finish], b""), (8, Fault::NodeNameUnterminated));
    assert_eq!(fault(&[Begin(""), Words(&[1, 0x61616161])], b""), (8, Fault::NodeNameUnterminated));
    assert_eq!(fault(&[Begin(""), Begin(""), End, End, Finish], b""), (8, Fault::NodeNameEmpty));
    for name in ["a b", "a/b", "a\u{7f}", "\u{e9}"] {
        let (offset, fault) = fault(&[Begin(""), Begin(name), End, End, Finish], b"");
        assert_eq!(offset, 8);
        assert!(matches!(fault, Fault::NodeNameByte(_)), "{name:?}: {fault}");
    }
    // Characters that dtc itself lets pass in a blob.
    assert!(check(&blob(&[Begin(""), Begin("a~b@1,2"), End, End, Finish], b"")).is_ok());
    // Old compilers wrote the root's name.
    assert!(check(&blob(&[Begin("/"), End, Finish], b"")).is_ok());
}

#[test]
fn property_names_are_in_the_strings_block() {
    let property = |offset, strings: &[u8]| fault(&[Begin(""), Property(offset, b""), End, Finish], strings);
    assert_eq!(property(2, b"a\0"), (8, Fault::PropertyNameOutside { name_offset: 2, strings_size: 2 }));
    assert_eq!(property(u32::MAX, b"a\0"), (8, Fault::PropertyNameOutside { name_offset: u32::MAX, strings_size: 2 }));
    assert_eq!(property(1, b"a\0b"), (8, Fault::PropertyNameEmpty { name_offset: 1 }));
    assert_eq!(property(2, b"a\0b"), (8, Fault::PropertyNameUnterminated { name_offset: 2 }));
    assert_eq!(property(0, b"a\x01\0"), (8, Fault::PropertyNameByte(1)));
    let longer = [vec![b'a'; LONGEST_NAME + 1], vec![0]].concat();
    assert_eq!(property(0, &longer), (8, Fault::PropertyNameUnterminated { name_offset: 0 }));
    assert!(check(&blob(&[Begin(""), Property(1, b""), End, Finish], &longer)).is_ok());
}

#[test]
fn values_end_within_the_structure() {
    let strings = b"a\0";
    assert_eq!(fault(&[Begin(""), Words(&[3, 1, 0])], strings), (8, Fault::ValueOutside { length: 1 }));
    assert_eq!(fault(&[Begin(""), Words(&[3, 5, 0, 0])], strings), (8, Fault::ValueOutside { length: 5 }));
    assert_eq!(
        fault(&[Begin(""), Words(&[3, u32::MAX, 0, 0])], strings),
        (8, Fault::ValueOutside { length: u32::MAX })
    );
    assert_eq!(fault(&[Begin(""), Words(&[3, 7])], strings), (8, Fault::ValueOutside { length: 7 }));
    assert_eq!(fault(&[Begin(""), Words(&[3])], strings), (8, Fault::ValueOutside { length: 0 }));
    assert_eq!(fault(&[Begin(""), Words(&[3, 4, 0, 0])], strings), (24, Fault::NoEnd));
}

#[test]
fn nodes_nest_to_a_limit() {
    let nested = |depth: usize| {
        let mut pieces = vec![Begin("")];
        pieces.extend((1..depth).map(|_| Begin("n")));
        pieces.extend((0..depth).map(|_| End));
        pieces.push(Finish);
        pieces
    };
    assert!(check(&blob(&nested(DEEPEST), b"")).is_ok());
    assert_eq!(fault(&nested(DEEPEST + 1), b""), (8 * DEEPEST, Fault::TooDeep));
}

#[test]
fn errors_say_where_and_what() {
    let message = |tree: &[u8]| check(tree).unwrap_err().to_string();
    assert_eq!(message(b"\x7fELF\x02\x01\x01\0"), "not a device tree: it starts with 0x7f454c46, expected 0xd00dfeed");
    assert_eq!(
        message(&small()[..50]),
        "device tree is cut: its header says 109 bytes, 50 are there; was it fetched whole?"
    );
    assert_eq!(
        message(&blob(&[Begin(""), Words(&[5]), End, Finish], b"")),
        "device tree is damaged at offset 0x40: token 0x5, expected 1, 2, 3, 4 or 9"
    );
}
