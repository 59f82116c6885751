//! Cards made by fatfs, read by us; and cards that lie.

use super::directory::Entry;
use super::partition::{Partition, partitions};
use super::*;
use crate::net::tftp::Sink;
use fatfs::{FatType, FsOptions};
use proptest::prelude::*;
use std::io::{Cursor, Write};
use std::sync::OnceLock;

/// Where the partition of a test's card begins.
const START: usize = 2048;

/// A card in memory that counts what is asked of it.
struct Memory {
    bytes: Vec<u8>,
    reads: usize,
    blocks_read: usize,
}

impl Memory {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, reads: 0, blocks_read: 0 }
    }
}

impl BlockDevice for Memory {
    fn blocks(&self) -> u32 {
        (self.bytes.len() / BLOCK) as u32
    }
    fn read(&mut self, first: u32, into: &mut [u8]) -> Result<(), Unreadable> {
        assert!(!into.is_empty() && into.len().is_multiple_of(BLOCK));
        self.reads += 1;
        self.blocks_read += into.len() / BLOCK;
        let start = first as usize * BLOCK;
        into.copy_from_slice(self.bytes.get(start..start + into.len()).ok_or(Unreadable)?);
        Ok(())
    }
}

/// Keeps a file, and checks that it comes in order and that its length is announced.
#[derive(Default)]
struct Kept {
    announced: Option<u64>,
    bytes: Vec<u8>,
    ended: bool,
}

impl Sink for Kept {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.announced = size;
        Ok(())
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        assert_eq!(offset, self.bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn end(&mut self, size: u64) {
        assert_eq!((self.announced, self.bytes.len() as u64), (Some(size), size));
        self.ended = true;
    }
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size as u32).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect()
}

type Disk<'a> = fatfs::FileSystem<&'a mut Cursor<Vec<u8>>>;

/// A file system of `blocks` blocks, filled by `fill`.
fn file_system(kind: FatType, blocks: usize, fill: impl FnOnce(&Disk<'_>)) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![0; blocks * BLOCK]);
    let options = fatfs::FormatVolumeOptions::new().fat_type(kind).bytes_per_cluster(512);
    fatfs::format_volume(&mut bytes, options).unwrap();
    let disk = fatfs::FileSystem::new(&mut bytes, FsOptions::new()).unwrap();
    fill(&disk);
    disk.unmount().unwrap();
    bytes.into_inner()
}

fn write(disk: &Disk<'_>, path: &str, bytes: &[u8]) {
    disk.root_dir().create_file(path).unwrap_or_else(|error| panic!("{path}: {error}")).write_all(bytes).unwrap();
}

/// A table with entries of kind, first block and blocks.
fn table(entries: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    for (index, (kind, first, blocks)) in entries.iter().enumerate() {
        let entry = &mut block[446 + 16 * index..][..16];
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..16].copy_from_slice(&blocks.to_le_bytes());
    }
    block[510..].copy_from_slice(&[0x55, 0xaa]);
    block
}

/// A card with that file system in its first partition.
fn card(kind: u8, file_system: &[u8]) -> Memory {
    let mut bytes = table(&[(kind, START as u32, (file_system.len() / BLOCK) as u32)]);
    bytes.resize(START * BLOCK, 0);
    bytes.extend_from_slice(file_system);
    Memory::new(bytes)
}

fn fill(disk: &Disk<'_>) {
    write(disk, "config.txt", b"kernel=loader.bin\n");
    write(disk, "LOADER.BIN", &pattern(70_001));
    write(disk, "A rather long name, with a comma and ümläuts €.toml", b"long");
    write(disk, "empty", b"");
    disk.root_dir().create_dir("overlays").unwrap().create_dir("deeper-still").unwrap();
    write(disk, "overlays/deeper-still/Image", &pattern(300_000));
    for number in 0..200 {
        write(disk, &format!("overlays/an-overlay-of-some-length-{number}.dtbo"), &[number; 3]);
    }
    // Two files that grow in turns: neither has two clusters in a row.
    let root = disk.root_dir();
    let (mut left, mut right) = (root.create_file("left").unwrap(), root.create_file("right").unwrap());
    for block in pattern(40_000).chunks(512) {
        left.write_all(block).unwrap();
        left.flush().unwrap();
        right.write_all(block).unwrap();
        right.flush().unwrap();
    }
}

/// Both kinds, filled.
fn cards() -> [Memory; 2] {
    static MADE: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    MADE.get_or_init(|| make_cards().map(|card| card.bytes)).clone().map(Memory::new)
}

fn make_cards() -> [Memory; 2] {
    [card(0x0e, &file_system(FatType::Fat16, 20_000, fill)), card(0x0c, &file_system(FatType::Fat32, 70_000, fill))]
}

fn first_partition(device: &mut dyn BlockDevice) -> Partition {
    partitions(device).unwrap()[0]
}

fn get(device: &mut dyn BlockDevice, path: &str) -> Result<Vec<u8>, Error> {
    let partition = first_partition(device);
    let mut files = FileSystem::open(device, &partition)?;
    let entry = files.find(path)?;
    let mut kept = Kept::default();
    files.read(&entry, 0, None, &mut kept)?;
    assert!(kept.ended);
    Ok(kept.bytes)
}

fn names(device: &mut dyn BlockDevice, path: &str) -> Result<Vec<String>, Error> {
    let partition = first_partition(device);
    let entries = FileSystem::open(device, &partition)?.list(path, usize::MAX)?.0;
    Ok(entries.into_iter().map(|entry: Entry| entry.name).collect())
}

#[test]
fn files_of_both_kinds_are_read_whole_by_long_and_short_names_in_any_case() {
    for mut card in cards() {
        assert_eq!(get(&mut card, "config.txt").unwrap(), b"kernel=loader.bin\n");
        assert_eq!(get(&mut card, "/CONFIG.TXT").unwrap(), b"kernel=loader.bin\n");
        assert_eq!(get(&mut card, "loader.bin").unwrap(), pattern(70_001));
        assert_eq!(get(&mut card, "a RATHER long name, with a comma and ümläuts €.toml").unwrap(), b"long");
        assert_eq!(get(&mut card, "ARATHE~1.TOM").unwrap(), b"long");
        assert_eq!(get(&mut card, "empty").unwrap(), b"");
        assert_eq!(get(&mut card, "left").unwrap(), pattern(40_000));
        assert_eq!(get(&mut card, "right").unwrap(), pattern(40_000));
        assert_eq!(get(&mut card, "overlays//./Deeper-Still/image").unwrap(), pattern(300_000));
        assert_eq!(get(&mut card, "../overlays/../overlays/deeper-still/Image").unwrap(), pattern(300_000));
        assert_eq!(get(&mut card, "\\overlays\\deeper-still/Image").unwrap(), pattern(300_000));
        assert_eq!(get(&mut card, "overlays/an-overlay-of-some-length-199.dtbo").unwrap(), [199; 3]);
    }
}

#[test]
fn what_is_not_there_is_told_by_its_kind() {
    for mut card in cards() {
        assert_eq!(get(&mut card, "loader.toml"), Err(Error::NotFound));
        assert_eq!(get(&mut card, "overlays/nothing"), Err(Error::NotFound));
        assert_eq!(get(&mut card, "nowhere/nothing"), Err(Error::NotFound));
        assert_eq!(get(&mut card, "config.txt/nothing"), Err(Error::NotADirectory));
        assert_eq!(get(&mut card, "overlays"), Err(Error::IsADirectory));
        assert_eq!(get(&mut card, "/"), Err(Error::IsADirectory));
        assert_eq!(names(&mut card, "empty"), Err(Error::NotADirectory));
    }
}

/// Paths, and whether there are such.
const PATHS: [(&str, bool); 10] = [
    ("LOADER.toml", false),
    ("loader.bin", true),
    ("boot/boot.scr", false),
    ("config.txt/boot.scr", false),
    ("overlays/DEEPER-still/image", true),
    ("overlays/deeper-still/none", false),
    ("overlays/AN-OVERLAY-of-some-length-199.dtbo", true),
    ("overlays", true),
    ("boot.scr.uimg", false),
    ("right", true),
];

#[test]
fn what_there_is_of_many_paths_is_found_by_one_look_at_each_directory() {
    for mut card in cards() {
        let partition = first_partition(&mut card);
        let paths = PATHS;
        let before = card.blocks_read;
        let there = FileSystem::open(&mut card, &partition).unwrap().which(&paths.map(|(path, _)| path)).unwrap();
        let looked = card.blocks_read - before;
        assert_eq!(there, paths.map(|(_, there)| there));
        let before = card.blocks_read;
        for (path, there) in paths {
            let found = FileSystem::open(&mut card, &partition).unwrap().find(path).is_ok();
            assert_eq!(found, there, "{path}");
        }
        let one_by_one = card.blocks_read - before;
        assert!(looked * 3 < one_by_one * 2, "{looked} blocks instead of {one_by_one}");
    }
}

#[test]
fn directories_are_listed_with_their_long_names() {
    for mut card in cards() {
        let root = names(&mut card, "/").unwrap();
        let expected = [
            "config.txt",
            "LOADER.BIN",
            "A rather long name, with a comma and ümläuts €.toml",
            "empty",
            "overlays",
            "left",
            "right",
        ];
        assert_eq!(root, expected);
        let overlays = names(&mut card, "Overlays/").unwrap();
        assert_eq!((overlays.len(), overlays[200].as_str()), (201, "an-overlay-of-some-length-199.dtbo"));
        let partition = first_partition(&mut card);
        let (entries, all) = FileSystem::open(&mut card, &partition).unwrap().list("", 5).unwrap();
        assert!(!all);
        assert_eq!((entries[1].size, entries[1].is_directory), (70_001, false));
        assert_eq!((entries[4].size, entries[4].is_directory), (0, true));
    }
}

#[test]
fn a_part_of_a_file_is_read_from_any_offset() {
    for mut card in cards() {
        let partition = first_partition(&mut card);
        let mut files = FileSystem::open(&mut card, &partition).unwrap();
        for (path, whole) in [("loader.bin", pattern(70_001)), ("left", pattern(40_000))] {
            let entry = files.find(path).unwrap();
            for (offset, length) in
                [(0, 1), (511, 2), (512, 512), (1, 66_000), (39_999, 1), (39_990, u64::MAX), (70_001, 5), (u64::MAX, 1)]
            {
                let mut kept = Kept::default();
                let read = files.read(&entry, offset, Some(length), &mut kept).unwrap();
                let start = offset.min(whole.len() as u64) as usize;
                let end = offset.saturating_add(length).min(whole.len() as u64) as usize;
                assert_eq!(kept.bytes, whole[start..end], "{path} {offset} {length}");
                assert_eq!((read, kept.ended), ((end - start) as u64, true));
            }
        }
    }
}

#[test]
fn a_file_in_one_piece_is_read_by_large_commands() {
    for mut card in cards() {
        let partition = first_partition(&mut card);
        let mut files = FileSystem::open(&mut card, &partition).unwrap();
        let entry = files.find("overlays/deeper-still/Image").unwrap();
        let mut kept = Kept::default();
        files.read(&entry, 0, None, &mut kept).unwrap();
        // 586 blocks of data in 5 commands; the rest looks for the file and reads the table.
        assert!(card.reads < 40 && card.blocks_read < 586 + 250, "{} {}", card.reads, card.blocks_read);
    }
}

#[test]
fn a_sink_that_refuses_ends_the_reading() {
    struct Full;
    impl Sink for Full {
        fn begin(&mut self, _: Option<u64>) -> Result<(), Refusal> {
            Ok(())
        }
        fn write(&mut self, _: u64, _: &[u8]) -> Result<(), Refusal> {
            Err(Refusal::Other("full"))
        }
    }
    let [mut card, _] = cards();
    let partition = first_partition(&mut card);
    let mut files = FileSystem::open(&mut card, &partition).unwrap();
    let entry = files.find("loader.bin").unwrap();
    assert_eq!(files.read(&entry, 0, None, &mut Full), Err(Error::Refused(Refusal::Other("full"))));
}

#[test]
fn a_card_without_a_table_is_one_partition() {
    let mut card = Memory::new(file_system(FatType::Fat32, 70_000, fill));
    assert_eq!(first_partition(&mut card).number, 0);
    assert_eq!(get(&mut card, "config.txt").unwrap(), b"kernel=loader.bin\n");
}

#[test]
fn partitions_are_numbered_as_linux_does_and_kept_to_the_card() {
    let mut bytes = vec![0; 4000 * BLOCK];
    bytes[..BLOCK].copy_from_slice(&table(&[
        (0x0c, 100, 500),
        (0x05, 1000, 900),
        (0x83, 3000, 90_000),
        (0x83, 5000, 1),
    ]));
    // Two logical partitions, each with a table of its own.
    bytes[1000 * BLOCK..1001 * BLOCK].copy_from_slice(&table(&[(0x0e, 10, 100), (0x05, 300, 500)]));
    bytes[1300 * BLOCK..1301 * BLOCK].copy_from_slice(&table(&[(0x83, 10, 200), (0x05, 0, 500)]));
    let found = partitions(&mut Memory::new(bytes)).unwrap();
    let found: Vec<_> = found.iter().map(|p| (p.number, p.kind, p.first, p.blocks)).collect();
    assert_eq!(found, [(1, 0x0c, 100, 500), (3, 0x83, 3000, 1000), (5, 0x0e, 1010, 100), (6, 0x83, 1310, 200)]);
}

#[test]
fn what_is_not_supported_is_named() {
    let with = |kind, fill: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = vec![0; 8192 * BLOCK];
        fill(&mut bytes);
        card(kind, &bytes)
    };
    let mut gpt = Memory::new(table(&[(0xee, 1, u32::MAX)]));
    gpt.bytes.resize(100 * BLOCK, 0);
    assert_eq!(partitions(&mut gpt), Err(Error::Gpt));
    assert_eq!(partitions(&mut Memory::new(vec![0; 100 * BLOCK])), Err(Error::NoTable));
    assert_eq!(partitions(&mut Memory::new(vec![0xff; 100 * BLOCK])), Err(Error::NoTable));
    assert_eq!(partitions(&mut Memory::new(vec![])), Err(Error::Unreadable { block: 0 }));
    let content = |mut card: Memory| match get(&mut card, "x") {
        Err(Error::NotFat { number: 1, content }) => content,
        other => panic!("{other:?}"),
    };
    assert_eq!(content(with(0x83, &|bytes| bytes[1080..1082].copy_from_slice(&[0x53, 0xef]))), Content::Ext);
    assert_eq!(content(with(0x07, &|bytes| bytes[3..11].copy_from_slice(b"EXFAT   "))), Content::ExFat);
    assert_eq!(content(with(0x07, &|bytes| bytes[3..11].copy_from_slice(b"NTFS    "))), Content::Ntfs);
    assert_eq!(content(with(0x0c, &|_| {})), Content::Unknown);
    assert_eq!(content(card(0x01, &file_system(FatType::Fat12, 3000, |_| {}))), Content::Fat12);
}

/// As `mkfs.vfat -F 32` makes them on 32 MiB, and `mkfs.fat` on less.
#[test]
fn fat32_is_told_by_its_own_fields_whatever_the_number_of_its_clusters() {
    for blocks in [65_000_u32, 30_000, 4000] {
        let [_, mut card] = cards();
        card.bytes[START * BLOCK + 32..][..4].copy_from_slice(&blocks.to_le_bytes());
        assert_eq!(get(&mut card, "loader.bin").unwrap(), pattern(70_001), "{blocks}");
        // Root entries of its own are FAT16's.
        card.bytes[START * BLOCK + 17] = 16;
        assert_eq!(get(&mut card, "loader.bin"), Err(Error::Damaged { number: 1 }), "{blocks}");
    }
    let [mut card, _] = cards();
    card.bytes[START * BLOCK + 17..][..2].fill(0);
    assert_eq!(get(&mut card, "loader.bin"), Err(Error::Damaged { number: 1 }));
}

/// Block of the partition's table, and of its root directory, as fatfs lays them out; for the tests that lie.
fn geometry(card: &Memory) -> (usize, usize) {
    let boot = &card.bytes[START * BLOCK..];
    let reserved = usize::from(u16_at(boot, 14));
    let size = if u16_at(boot, 22) != 0 { u32::from(u16_at(boot, 22)) } else { u32_at(boot, 36) } as usize;
    (START + reserved, START + reserved + 2 * size)
}

#[test]
fn a_chain_that_goes_round_off_the_volume_or_ends_early_is_an_error() {
    for width in [2, 4] {
        let make = || {
            let [fat16, fat32] = cards();
            if width == 2 { fat16 } else { fat32 }
        };
        let mut card = make();
        let partition = first_partition(&mut card);
        let cluster = FileSystem::open(&mut card, &partition).unwrap().find("left").unwrap().cluster as usize;
        let (table, _) = geometry(&card);
        // The chain's second step: some cluster further on.
        let at = |cluster: usize| table * BLOCK + cluster * width;
        let second = match width {
            2 => usize::from(u16_at(&card.bytes, at(cluster))),
            _ => u32_at(&card.bytes, at(cluster)) as usize,
        };
        let with = |next: u32| {
            let mut card = make();
            card.bytes[at(second)..][..width].copy_from_slice(&next.to_le_bytes()[..width]);
            get(&mut card, "left").map(drop)
        };
        let here = Err(Error::Chain { cluster: second as u32 });
        for bad in [0, 1, if width == 2 { 0xfff7 } else { 0x0fff_fff7 }, if width == 2 { 0xf000 } else { 0x0f00_0000 }]
        {
            assert_eq!(with(bad), here, "{bad:#x}");
        }
        assert!(matches!(with(second as u32), Err(Error::Chain { .. })));
        assert!(matches!(with(cluster as u32), Err(Error::Chain { .. })));
        assert_eq!(with(0x0fff_ffff), Err(Error::Short { size: 40_000, found: 1024 }));
    }
}

#[test]
fn a_directory_that_goes_round_has_an_end() {
    let [_, mut card] = cards();
    let partition = first_partition(&mut card);
    let cluster = FileSystem::open(&mut card, &partition).unwrap().find("overlays").unwrap().cluster;
    let (table, _) = geometry(&card);
    card.bytes[table * BLOCK + cluster as usize * 4..][..4].copy_from_slice(&cluster.to_le_bytes());
    assert_eq!(names(&mut card, "overlays"), Err(Error::Chain { cluster }));
}

#[test]
fn a_file_larger_than_its_volume_is_refused_before_anything_is_sent() {
    let [mut card, _] = cards();
    let (_, root) = geometry(&card);
    let bytes = &mut card.bytes[root * BLOCK..];
    // The first file of the directory: a label, maybe pieces of a long name, then the entry.
    let entry = bytes.chunks(32).position(|entry| entry.starts_with(b"CONFIG  TXT")).unwrap();
    bytes[entry * 32 + 28..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(get(&mut card, "config.txt"), Err(Error::Short { size: u32::MAX, .. })));
}

#[test]
fn a_volume_that_claims_more_than_its_partition_reads_nothing_beyond() {
    for mut whole in cards() {
        let blocks = whole.blocks();
        let cut = blocks - 10_000;
        whole.bytes.truncate(cut as usize * BLOCK);
        // What is on the part that is there can be read still.
        assert_eq!(get(&mut whole, "config.txt").unwrap(), b"kernel=loader.bin\n");
        whole.bytes.truncate(START * BLOCK + 40 * BLOCK);
        assert!(get(&mut whole, "loader.bin").is_err());
    }
}

/// Everything that can be asked, and how often the device was.
fn explore(card: &mut Memory) -> usize {
    card.reads = 0;
    let Ok(found) = partitions(card) else { return card.reads };
    for partition in found {
        let Ok(mut files) = FileSystem::open(card, &partition) else { continue };
        let mut directories = vec![String::new()];
        for depth in 0..4 {
            let mut next = Vec::new();
            for directory in directories.iter().take(4) {
                let Ok((entries, _)) = files.list(directory, usize::MAX) else { continue };
                for (number, entry) in entries.iter().take(300).enumerate() {
                    let path = format!("{directory}/{}", entry.name);
                    if entry.is_directory {
                        next.push(path);
                    } else if depth < 2 {
                        let mut kept = Kept::default();
                        if files.read(entry, 0, Some(100_000), &mut kept).is_ok() {
                            assert!(kept.ended);
                        }
                        if number < 10 {
                            let _ = files.find(&path);
                        }
                    }
                }
            }
            directories = next;
        }
    }
    card.reads
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes changed where the file system describes itself: boot sector, tables, directories.
    #[test]
    fn a_card_that_lies_neither_hangs_nor_panics(
        fat32 in any::<bool>(),
        changes in prop::collection::vec((0usize..6, any::<u16>(), any::<u8>()), 1..40),
    ) {
        let [fat16_card, fat32_card] = cards();
        let mut card = if fat32 { fat32_card } else { fat16_card };
        let (table, root) = geometry(&card);
        for (place, offset, value) in changes {
            let offset = usize::from(offset);
            let at = match place {
                0 => offset % BLOCK,
                1 => START * BLOCK + offset % 96,
                2 => table * BLOCK + offset % 2048,
                3 => table * BLOCK + offset,
                4 => root * BLOCK + offset % 1024,
                _ => root * BLOCK + offset,
            };
            card.bytes[at] = value;
        }
        let reads = explore(&mut card);
        prop_assert!(reads < 300_000, "{} reads", reads);
    }

    /// Nothing but noise with the signatures that let it in.
    #[test]
    fn noise_is_no_file_system(noise in prop::collection::vec(any::<u8>(), 64 * BLOCK)) {
        let mut bytes = noise;
        for block in [0, 1, 8] {
            bytes[block * BLOCK + 510..][..2].copy_from_slice(&[0x55, 0xaa]);
            bytes[block * BLOCK..][..3].copy_from_slice(&[0xeb, 0x58, 0x90]);
            bytes[block * BLOCK + 11..][..6].copy_from_slice(&[0, 2, 1, 1, 0, 2]);
        }
        bytes[446 + 8..][..4].copy_from_slice(&1u32.to_le_bytes());
        let reads = explore(&mut Memory::new(bytes));
        prop_assert!(reads < 300_000, "{} reads", reads);
    }
}

#[test]
fn a_long_name_with_half_a_character_is_shown_and_not_believed() {
    let [mut card, _] = cards();
    let (_, root) = geometry(&card);
    let bytes = &mut card.bytes[root * BLOCK..];
    // The first piece on the disk of the long name: put a lone surrogate at its beginning.
    let piece = bytes.chunks(32).position(|entry| entry[11] == 0x0f && entry[0] == 0x44).unwrap();
    bytes[piece * 32 + 1..][..2].copy_from_slice(&0xdc00u16.to_le_bytes());
    let names = names(&mut card, "").unwrap();
    assert!(names[2].starts_with("A rather long name") && names[2].contains('\u{fffd}'), "{}", names[2]);
}

#[test]
fn a_table_has_a_number_of_its_own() {
    let mut card = Memory::new(table(&[(0x0c, 1, 1)]));
    card.bytes[440..444].copy_from_slice(&[0x78, 0x56, 0x34, 0x12]);
    assert_eq!(partition::table_number(&mut card), Ok(0x1234_5678));
    assert_eq!(partition::table_number(&mut Memory::new(vec![])), Err(Error::Unreadable { block: 0 }));
}
