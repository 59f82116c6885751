//! Both sides together.

use proptest::prelude::*;

use crate::format::{BLOCK, HEADER, LARGEST, LONGEST_MATCH, PADDING};
use crate::{Error, TooLarge, pack, unpack};

/// FNV-1a: of two images that differ in a few neighbouring bytes, as damage leaves them, it tells which is which.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum: u32, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn packed(image: &[u8]) -> Vec<u8> {
    pack(image, checksum).unwrap_or_default()
}

/// What it unpacks to, with what lies behind the room untouched.
fn unpacked(packed: &[u8], length: usize) -> Result<Vec<u8>, Error> {
    let mut room = vec![0x55; length + 16];
    let count = unpack(packed, &mut room[..length], checksum)?;
    assert!(room[length..].iter().all(|byte| *byte == 0x55));
    room.truncate(count);
    Ok(room)
}

/// Bytes as of a program: words of which most have been there before.
fn program(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut image: Vec<u8> = Vec::new();
    while image.len() < length {
        let from = random() as usize % (image.len() / 4 + 1) * 4;
        match random() % 4 {
            0 => image.extend((0x9400_0000 | random() & 0xfff).to_le_bytes()),
            1 => image.extend((0x9100_0000 | random()).to_le_bytes()),
            _ => image.extend_from_within(from..image.len().min(from + 4 * (random() as usize % 6))),
        }
    }
    image.truncate(length);
    image
}

#[test]
fn programs_come_back_and_are_shorter() {
    for length in [0, 1, 2, 3, 4, 5, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
        let image = program(length);
        let packed = packed(&image);
        assert!(length < BLOCK || packed.len() < length / 2, "{length}: {}", packed.len());
        assert!(unpacked(&packed, length + 7).as_ref() == Ok(&image), "{length}");
        assert!(unpacked(&packed, length) == Ok(image), "{length}, no byte more");
    }
}

#[test]
fn long_runs_of_one_byte_reach_over_blocks() {
    for length in [LONGEST_MATCH, LONGEST_MATCH + 1, LONGEST_MATCH + 2, 2 * BLOCK, 5 * BLOCK + 1] {
        let image = vec![7; length];
        assert!(unpacked(&packed(&image), length) == Ok(image), "{length}");
    }
}

#[test]
fn an_image_that_no_distance_spans_is_refused() {
    assert_eq!(pack(&vec![0; LARGEST + 1], checksum), Err(TooLarge { length: LARGEST + 1 }));
}

#[test]
fn what_is_cut_off_is_told() {
    let image = program(BLOCK + 100);
    let packed = packed(&image);
    for length in (0..packed.len()).step_by(97).chain([0, HEADER - 1, HEADER, packed.len() - PADDING]) {
        assert_eq!(unpacked(&packed[..length], image.len()), Err(Error::Cut { length }), "{length}");
    }
    let (length, room) = (image.len() as u32, image.len() - 1);
    assert_eq!(unpacked(&packed, room), Err(Error::TooLarge { length, room }));
}

#[test]
fn another_image_than_was_packed_is_told_by_the_checksum() {
    let image = program(2 * BLOCK);
    let mut packed = packed(&image);
    let expected = checksum(&image) ^ 1;
    packed[4] ^= 1;
    let found = checksum(&image);
    assert_eq!(unpacked(&packed, image.len()), Err(Error::Checksum { expected, found }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_it_is_comes_back(image in prop::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..5000)) {
        prop_assert_eq!(unpacked(&packed(&image), image.len()), Ok(image));
    }

    #[test]
    fn damage_is_told_or_does_none(length in 1..3000usize, at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let image = program(length);
        let mut packed = packed(&image);
        // The padding is of no meaning.
        let at = at.index(packed.len() - PADDING);
        packed[at] ^= 1_u8 << bit;
        // What the tables say of symbols that do not occur is of no meaning either: what is not told has done no harm.
        if let Ok(found) = unpacked(&packed, length) {
            prop_assert_eq!(found, image);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_unpacked(mut packed in prop::collection::vec(any::<u8>(), 0..3000), length in 0..200_000u32) {
        if let Some(header) = packed.first_chunk_mut() {
            *header = length.to_le_bytes();
        }
        let _ = unpacked(&packed, 200_000);
    }
}
