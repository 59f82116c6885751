use super::*;
use crate::boot::digest::Following;
use crate::net::tftp::{Refusal, Sink};
use alloc::string::ToString;
use alloc::vec;

const MIB: u64 = 1 << 20;

fn ram() -> Ram {
    Ram::simulated(4 * MIB, 32 * MIB as usize)
}

fn layout(ram: &Ram) -> Layout {
    Layout::new(ram.banks().iter().copied()).unwrap()
}

/// An arm64 Image of `length` bytes that asks for `image_size`.
fn image(length: usize, image_size: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[16..24].copy_from_slice(&image_size.to_le_bytes());
    bytes[24] = 8;
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

fn send(receiver: &mut Receiver<'_, '_>, size: Option<u64>, bytes: &[u8]) -> Result<(), Refusal> {
    receiver.begin(size)?;
    for (index, block) in bytes.chunks(1468).enumerate() {
        receiver.write(index as u64 * 1468, block)?;
    }
    receiver.end(bytes.len() as u64);
    Ok(())
}

fn bring(store: &mut Store<'_>, need: Need, size: Option<u64>, bytes: &[u8]) -> Result<Option<Stored>, Error> {
    let store = store.share();
    let mut receiver = Receiver::new(&store, "file", need);
    let _ = send(&mut receiver, size, bytes);
    receiver.finish().map(|arrived| arrived.map(|arrived| arrived.stored))
}

#[test]
fn a_program_gets_the_memory_of_its_header_on_two_mebibytes() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let bytes = image(5000, 3 * MIB);
    for size in [Some(5000), None] {
        let stored = bring(&mut store, Need::Program, size, &bytes).unwrap().unwrap();
        let claim = store.claim(stored).unwrap().range();
        assert_eq!((claim.start % (2 * MIB), claim.size()), (0, 3 * MIB));
        assert_eq!(store.range(stored).size(), 5000);
        assert_eq!(store.bytes(stored), bytes);
    }
}

#[test]
fn what_is_no_program_is_refused_with_its_first_block() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let shared = store.share();
    let mut receiver = Receiver::new(&shared, "Xen", Need::Program);
    receiver.begin(Some(3000)).unwrap();
    assert!(receiver.write(0, &[b'x'; 1468]).is_err());
    let error = receiver.finish().unwrap_err().to_string();
    assert!(error.contains("text"), "{error}");
    assert!(store.layout().occupants().iter().all(|occupant| occupant.name != "Xen"));
}

#[test]
fn a_module_without_announced_size_takes_all_and_keeps_what_it_needs() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let stored = bring(&mut store, Need::Module, None, &[7; 10_000]).unwrap().unwrap();
    assert_eq!(store.range(stored).size(), 10_000);
    assert_eq!(store.bytes(stored), [7; 10_000]);
    let placed: Vec<_> = store.layout().occupants().iter().filter(|occupant| occupant.name == "file").collect();
    assert_eq!((placed.len(), placed[0].block.size()), (1, 12_288));
}

/// What lies in memory as `file`, by address.
fn placed(store: &Store<'_>) -> Vec<PhysicalRange> {
    store.layout().occupants().iter().filter(|one| !one.reserved).map(|one| one.block).collect()
}

#[test]
fn files_side_by_side_keep_out_of_each_others_way_whether_their_sizes_are_told_or_not() {
    let contents = [image(5000, 3 * MIB), vec![1; 3 * MIB as usize], vec![2; 10_000], vec![3; 2 * MIB as usize]];
    for told in 0..16_u32 {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let shared = store.share();
        let mut receivers =
            [Need::Program, Need::Module, Need::Reading, Need::Module].map(|need| Receiver::new(&shared, "file", need));
        for (index, (receiver, bytes)) in receivers.iter_mut().zip(&contents).enumerate() {
            receiver.begin((told >> index & 1 != 0).then_some(bytes.len() as u64)).unwrap();
        }
        for block in 0..3 * MIB as usize / 1468 + 1 {
            for (receiver, bytes) in receivers.iter_mut().zip(&contents) {
                let Some(piece) = bytes.chunks(1468).nth(block) else { continue };
                receiver.write(block as u64 * 1468, piece).unwrap();
            }
        }
        let stored: Vec<_> = (receivers.into_iter().zip(&contents))
            .map(|(mut receiver, bytes)| {
                receiver.end(bytes.len() as u64);
                receiver.finish().unwrap().unwrap().stored
            })
            .collect();
        for (stored, bytes) in stored.iter().zip(&contents) {
            assert!(store.bytes(*stored) == bytes, "{told:04b}");
        }
        // Nobody has kept more than it needs, and modules are packed at the bottom.
        let sizes = placed(&store).iter().map(PhysicalRange::size).sum::<u64>();
        assert_eq!(sizes, (4 + 3 + 2) * MIB + 12_288, "{told:04b}: {:?}", placed(&store));
        assert!(store.range(stored[1]).end.max(store.range(stored[3]).end) <= 18 * MIB, "{told:04b}");
        assert_eq!((store.unplaced, store.provisional), (0, 0));
        store.give_up();
    }
}

#[test]
fn a_digest_follows_what_has_come_without_gaps_and_starts_over_with_the_file() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let bytes: Vec<u8> = (0..100_000_u32).map(|index| (index >> 3) as u8).collect();
    let shared = store.share();
    let mut receiver = Receiver::new(&shared, "file", Need::Module).digested();
    receiver.begin(Some(100_000)).unwrap();
    assert!(!receiver.idle(0));
    receiver.write(0, &[9; 20_000]).unwrap();
    assert!(receiver.idle(20_000));
    receiver.begin(Some(100_000)).unwrap();
    assert!(!receiver.idle(0));
    // The second half first.
    receiver.write(50_000, &bytes[50_000..]).unwrap();
    assert!(!receiver.idle(0));
    receiver.write(0, &bytes[..50_000]).unwrap();
    while receiver.idle(50_000) {}
    assert_eq!(receiver.digest.as_ref().unwrap().done(), 49_152);
    receiver.end(100_000);
    while receiver.idle(100_000) {}
    // More than there is does nothing.
    assert!(!receiver.idle(u64::MAX));
    let Arrived { stored, digest, .. } = receiver.finish().unwrap().unwrap();
    let mut expected = Following::default();
    expected.follow(&bytes, bytes.len());
    assert_eq!(digest.unwrap().finish(), expected.finish());
    assert!(store.bytes(stored) == bytes);
}

#[test]
fn a_file_that_needs_more_than_its_share_wants_to_be_alone() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let shared = store.share();
    let mut large = Receiver::new(&shared, "large", Need::Module);
    let mut small = Receiver::new(&shared, "small", Need::Module);
    assert!(send(&mut large, None, &vec![1; 24 * MIB as usize]).is_err());
    assert!(large.wants_to_be_alone());
    assert!(matches!(large.finish(), Err(Error::Layout(layout::Error::NoRoom { .. }))));
    send(&mut small, None, &[2; 100]).unwrap();
    assert!(!small.wants_to_be_alone());
    small.finish().unwrap().unwrap();
    // Nor is there room for what says its size, as long as somebody holds a share.
    let mut large = Receiver::new(&shared, "large", Need::Module);
    let mut small = Receiver::new(&shared, "small", Need::Module);
    small.begin(None).unwrap();
    small.write(0, &[3; 100]).unwrap();
    assert!(send(&mut large, Some(24 * MIB), &[1; 1468]).is_err());
    assert!(large.wants_to_be_alone());
    assert!(large.finish().is_err());
    small.end(100);
    small.finish().unwrap().unwrap();
    // Alone there is.
    assert!(bring(&mut store, Need::Module, None, &vec![1; 24 * MIB as usize]).unwrap().is_some());
}

#[test]
fn what_a_file_without_announced_size_left_is_there_for_the_next() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    for size in [10_000, 20_000, 12 * MIB as usize] {
        assert!(bring(&mut store, Need::Module, None, &vec![1; size]).unwrap().is_some());
    }
}

#[test]
fn modules_are_packed_low_and_what_is_only_read_lies_high() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let tree = bring(&mut store, Need::Reading, Some(100), &[1; 100]).unwrap().unwrap();
    let first = bring(&mut store, Need::Module, Some(5000), &[2; 5000]).unwrap().unwrap();
    let second = bring(&mut store, Need::Module, Some(1), &[3]).unwrap().unwrap();
    assert_eq!(store.range(tree).start, 36 * MIB - 4096);
    assert_eq!(store.range(first), PhysicalRange { start: 4 * MIB, end: 4 * MIB + 5000 });
    assert_eq!(store.range(second).start, 4 * MIB + 8192);
}

#[test]
fn more_bytes_than_announced_are_written_nowhere() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let shared = store.share();
    let mut receiver = Receiver::new(&shared, "file", Need::Module);
    receiver.begin(Some(1000)).unwrap();
    receiver.write(0, &[1; 1000]).unwrap();
    assert_eq!(receiver.write(1000, &[2]), Err(Refusal::TooLarge { size: 1001, room: 1000 }));
    assert_eq!(receiver.write(u64::MAX, &[2]), Err(Refusal::TooLarge { size: u64::MAX, room: 1000 }));
}

#[test]
fn a_file_larger_than_memory_is_refused_in_words_whatever_its_size() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    for size in [32 * MIB + 1, 4 << 30, (4 << 30) + 1, u64::MAX - 4095, u64::MAX] {
        for need in [Need::Module, Need::Reading, Need::Program] {
            let program = image(5000, size);
            let bytes = if need == Need::Program { &program[..] } else { &[1; 5000] };
            let error = bring(&mut store, need, Some(size), bytes).unwrap_err();
            assert!(matches!(error, Error::Layout(_) | Error::Image(_)), "{size}: {error}");
            assert!(store.layout().occupants().iter().all(|occupant| occupant.reserved), "{size}");
        }
    }
}

#[test]
fn a_transfer_that_starts_over_takes_its_place_once() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let shared = store.share();
    let mut receiver = Receiver::new(&shared, "file", Need::Module);
    receiver.begin(Some(20 * MIB)).unwrap();
    receiver.write(0, &[1; 100]).unwrap();
    send(&mut receiver, Some(20 * MIB), &vec![2; 20 * MIB as usize]).unwrap();
    let stored = receiver.finish().unwrap().unwrap().stored;
    assert_eq!(store.bytes(stored)[..200], [2; 200]);
}

#[test]
fn an_empty_file_is_an_error_and_one_that_broke_off_is_its_senders() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    assert_eq!(bring(&mut store, Need::Module, Some(0), &[]), Err(Error::Empty));
    let shared = store.share();
    let mut receiver = Receiver::new(&shared, "file", Need::Module);
    receiver.begin(Some(1000)).unwrap();
    receiver.write(0, &[1; 500]).unwrap();
    assert!(matches!(receiver.finish(), Ok(None)));
    assert!(store.layout().occupants().iter().all(|occupant| occupant.reserved));
}

#[test]
fn what_an_attempt_took_is_there_for_the_next() {
    let mut ram = ram();
    let before = layout(&ram);
    for _ in 0..3 {
        let mut store = Store::new(&mut ram, before.clone());
        bring(&mut store, Need::Module, Some(20 * MIB), &vec![1; 20 * MIB as usize]).unwrap().unwrap();
        let block = store.block("device tree", 8 * MIB).unwrap();
        store.bytes_mut(block)[..3].copy_from_slice(b"abc");
        let parked = store.park();
        // What is parked is nobody else's.
        assert!(ram.claim(PhysicalRange { start: 4 * MIB, end: 36 * MIB }).is_err());
        let store = parked.resume(&mut ram);
        assert_eq!(store.bytes(block)[..3], *b"abc");
        store.give_up();
    }
}

#[test]
fn a_block_that_was_shortened_shows_only_what_is_in_it() {
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    let block = store.block("device tree", 10_000).unwrap();
    store.bytes_mut(block)[..3].copy_from_slice(b"abc");
    let block = store.shorten(block, 3).unwrap();
    assert_eq!(store.bytes(block), b"abc");
    assert!(store.shorten(block, 20_000).is_err());
}

/// As `gzip` packs it.
fn packed(contents: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
    file.extend_from_slice(b"Image\0");
    file.extend(miniz_oxide::deflate::compress_to_vec(contents, 6));
    file.extend_from_slice(&crate::boot::digest::crc32(contents).to_le_bytes());
    file.extend_from_slice(&(contents.len() as u32).to_le_bytes());
    file
}

/// An image of which no two places are alike, with a long run of zeros in it.
fn program(length: usize, image_size: u64) -> Vec<u8> {
    let mut bytes = image(length, image_size);
    for (index, byte) in bytes.iter_mut().enumerate().skip(64) {
        *byte = if (100_000..400_000).contains(&index) {
            0
        } else {
            ((index as u32).wrapping_mul(0x9e37_79b9) >> 13) as u8
        };
    }
    bytes
}

/// How a file comes.
struct Coming {
    size: Option<u64>,
    piece: usize,
    /// Whether there is time for other work in between.
    idle: bool,
}

/// Brings a file that may come packed, and unpacks what is left to unpack.
fn bring_packed(store: &mut Store<'_>, need: Need, coming: &Coming, bytes: &[u8]) -> Result<(Stored, bool), Error> {
    let (arrived, early) = {
        let shared = store.share();
        let mut receiver = Receiver::new(&shared, "file", need).digested().unpacked();
        let mut early = false;
        // Once in vain: a transfer that starts over.
        for end in [bytes.len() / 2, bytes.len()] {
            receiver.begin(coming.size).unwrap();
            for (index, piece) in bytes[..end].chunks(coming.piece).enumerate() {
                let offset = index * coming.piece;
                if receiver.write(offset as u64, piece).is_err() {
                    break;
                }
                while coming.idle && receiver.idle((offset + piece.len()) as u64) {}
                early |= shared.borrow().claims.iter().flatten().next().is_some();
            }
        }
        receiver.end(bytes.len() as u64);
        (receiver.finish()?.unwrap(), early)
    };
    let Arrived { stored, digest, unpacking } = arrived;
    let mut digest = digest.unwrap();
    assert_eq!(store.bytes(stored), bytes, "the digest is of what the server has");
    while digest.follow(store.bytes(stored), 1 << 16) {}
    let Some(mut unpacking) = unpacking else { return Ok((stored, early)) };
    let (mut read, length) = (unpacking.read(), bytes.len() as u64);
    assert!(read == 0 || coming.idle, "what was done while the file came is not left");
    for _ in 0..100_000 {
        if let Step::Done(stored) = store.unpack(stored, &mut unpacking, "file", 1 << 12)? {
            assert!(unpacking.target().is_none() || unpacking.read() > length - 16, "all but the trailer was read");
            return Ok((stored, early));
        }
        assert!((read..=length).contains(&unpacking.read()), "{read} of {length}, then {}", unpacking.read());
        read = unpacking.read();
    }
    panic!("it does not end");
}

/// All that can come of packed files, told or not told how large they are, in one piece and in many, with time to work on them and without.
fn comings(length: usize) -> impl Iterator<Item = Coming> {
    [Some(length as u64), None].into_iter().flat_map(move |size| {
        [(1468, true), (7, true), (1468, false), (usize::MAX, false), (1 << 16, true)].map(|(piece, idle)| Coming {
            size,
            piece: piece.min(length),
            idle,
        })
    })
}

#[test]
fn a_packed_program_is_unpacked_to_where_its_header_says_while_it_comes() {
    let contents = program(700_001, 3 * MIB);
    let file = packed(&contents);
    for need in [Need::Program, Need::Module] {
        for coming in comings(file.len()) {
            let mut ram = ram();
            let layout = layout(&ram);
            let mut store = Store::new(&mut ram, layout);
            let (stored, early) = bring_packed(&mut store, need, &coming, &file).unwrap();
            assert!(store.bytes(stored) == contents);
            assert_eq!(early, coming.idle, "it has its place before all of it has come");
            let (claim, size) = (store.claim(stored).unwrap().range(), placed(&store));
            if need == Need::Program {
                assert_eq!((claim.start % (2 * MIB), claim.size(), size.len()), (0, 3 * MIB, 1));
            } else {
                assert_eq!((claim.start, claim.size(), size.len()), (4 * MIB, 700_001, 1));
            }
            assert_eq!((store.unplaced, store.provisional), (0, 0));
            store.give_up();
            assert!(ram.claim(PhysicalRange { start: 4 * MIB, end: 36 * MIB }).is_ok());
        }
    }
}

#[test]
fn what_is_wrong_with_a_packed_program_is_told_and_its_memory_is_free_again() {
    let good = packed(&program(300_000, 3 * MIB));
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 0x10;
    let mut checksum = good.clone();
    checksum[good.len() - 6] ^= 1;
    // As tapes pad a file; so the trailer cannot be missing.
    checksum.extend_from_slice(&[0; 8]);
    let cut = good[..good.len() - 9].to_vec();
    let long = packed(&program(300_000, 200_000));
    let text = packed(&[b'x'; 5000]);
    let old = packed(&program(5000, 0));
    let name = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &[b'n'; 9000]].concat();
    let cases = [
        (&damaged, "the gzip file is damaged: "),
        (&checksum, "the gzip file is damaged: CRC-32 "),
        (&cut, "the gzip file is cut off after "),
        (&long, "it unpacks to more than the 200000 bytes there is room for"),
        (&text, "no arm64 Image"),
        (&old, "a gzip file of an image from before Linux 3.17"),
        (&name, "the gzip file is cut off after "),
    ];
    for (file, words) in cases {
        for coming in comings(file.len()) {
            let mut ram = ram();
            let layout = layout(&ram);
            let mut store = Store::new(&mut ram, layout);
            let error = bring_packed(&mut store, Need::Program, &coming, file).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}, not {words}");
            store.give_up();
            assert!(ram.claim(PhysicalRange { start: 4 * MIB, end: 36 * MIB }).is_ok(), "{words}");
        }
    }
}

#[test]
fn a_packed_kernel_that_is_no_arm64_image_is_left_to_xen() {
    let file = packed(&[b'x'; 50_000]);
    for coming in comings(file.len()) {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let (stored, _) = bring_packed(&mut store, Need::Module, &coming, &file).unwrap();
        assert!(store.bytes(stored) == file);
        assert_eq!((store.range(stored).start, placed(&store).len()), (4 * MIB, 1), "packed like any module");
        assert_eq!((store.unplaced, store.provisional), (0, 0));
    }
}

#[test]
fn a_header_that_comes_in_crumbs_is_one() {
    let bytes = image(5000, 3 * MIB);
    for first in [1, 10, 63, 64, 65] {
        let mut ram = ram();
        let layout = layout(&ram);
        let mut store = Store::new(&mut ram, layout);
        let shared = store.share();
        let mut receiver = Receiver::new(&shared, "Xen", Need::Program);
        receiver.begin(Some(5000)).unwrap();
        receiver.write(0, &bytes[..first]).unwrap();
        receiver.write(first as u64, &bytes[first..]).unwrap();
        receiver.end(5000);
        let stored = receiver.finish().unwrap().unwrap().stored;
        assert!(store.bytes(stored) == bytes, "{first}");
    }
    // One that ends before it is whole is told.
    let mut ram = ram();
    let layout = layout(&ram);
    let mut store = Store::new(&mut ram, layout);
    assert!(matches!(bring(&mut store, Need::Program, Some(10), &bytes[..10]), Err(Error::Image(_))));
}
