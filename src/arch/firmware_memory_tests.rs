//! Trees made by hand, byte for byte, so that broken ones can be made as well.

use super::reader::{BEGIN_NODE, END, END_NODE, NOP, PROPERTY};
use super::*;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

/// A writer of small trees. Root cells are 2 and 1, as on the Raspberry Pi 4; with [`Tree::wide`] 2 and 2.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    reservations: Vec<(u64, u64)>,
    banks: Vec<(u64, u64)>,
    nodes: Vec<(u64, u64, bool)>,
    chosen: Vec<(&'static str, Vec<u8>)>,
    nops: bool,
}

pub(crate) const ADDRESS: u64 = 0x2eff_6200;

impl Tree {
    pub(crate) fn new() -> Self {
        Self::default()
    }
    pub(crate) fn memory(mut self, start: u64, size: u64) -> Self {
        self.banks.push((start, size));
        self
    }
    pub(crate) fn reserve(mut self, start: u64, size: u64) -> Self {
        self.reservations.push((start, size));
        self
    }
    pub(crate) fn reserved_node(mut self, start: u64, size: u64, no_map: bool) -> Self {
        self.nodes.push((start, size, no_map));
        self
    }
    pub(crate) fn chosen(mut self, name: &'static str, value: &[u8]) -> Self {
        self.chosen.push((name, value.to_vec()));
        self
    }
    /// Puts FDT_NOP tags everywhere they may stand.
    fn with_nops(mut self) -> Self {
        self.nops = true;
        self
    }

    pub(crate) fn blob(&self) -> Vec<u8> {
        let mut body = Body { structure: Vec::new(), strings: Vec::new(), nops: self.nops };
        body.begin("");
        body.property("#address-cells", &cells(&[2]));
        body.property("#size-cells", &cells(&[1]));
        for (start, size) in &self.banks {
            body.begin(&format!("memory@{start:x}"));
            body.property("device_type", b"memory\0");
            // One entry can only say 4 GB - 1 with a single cell of size; larger banks take more entries.
            let mut reg = Vec::new();
            let (mut at, mut rest) = (*start, *size);
            while rest > 0 {
                let part = rest.min(0x8000_0000);
                reg.extend(cells(&[(at >> 32) as u32, at as u32, part as u32]));
                (at, rest) = (at + part, rest - part);
            }
            body.property("reg", &reg);
            body.end();
        }
        body.begin("reserved-memory");
        body.property("#address-cells", &cells(&[2]));
        body.property("#size-cells", &cells(&[2]));
        for (start, size, no_map) in &self.nodes {
            body.begin(&format!("region@{start:x}"));
            body.property("reg", &cells(&[(start >> 32) as u32, *start as u32, (size >> 32) as u32, *size as u32]));
            if *no_map {
                body.property("no-map", &[]);
            }
            body.end();
        }
        body.begin("linux,cma");
        body.property("size", &cells(&[0x0400_0000]));
        body.end();
        body.end();
        body.begin("chosen");
        for (name, value) in &self.chosen {
            body.property(name, value);
        }
        body.begin("memory@1000");
        body.property("reg", &cells(&[0, 0x1000, 0x1000]));
        body.end();
        body.end();
        body.end();
        body.word(END);
        body.assemble(&self.reservations)
    }

    pub(crate) fn read(&self) -> FirmwareMemory {
        FirmwareMemory::read(&self.blob(), ADDRESS).unwrap()
    }
}

struct Body {
    structure: Vec<u8>,
    strings: Vec<u8>,
    nops: bool,
}

impl Body {
    fn word(&mut self, word: u32) {
        if self.nops && word != END {
            self.structure.extend(NOP.to_be_bytes());
        }
        self.structure.extend(word.to_be_bytes());
    }
    fn pad(&mut self) {
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }
    fn begin(&mut self, name: &str) {
        self.word(BEGIN_NODE);
        self.structure.extend(name.bytes());
        self.structure.push(0);
        self.pad();
    }
    fn property(&mut self, name: &str, value: &[u8]) {
        self.word(PROPERTY);
        self.structure.extend((value.len() as u32).to_be_bytes());
        self.structure.extend((self.strings.len() as u32).to_be_bytes());
        self.structure.extend(value);
        self.pad();
        self.strings.extend(name.bytes());
        self.strings.push(0);
    }
    fn end(&mut self) {
        self.word(END_NODE);
    }
    fn assemble(self, reservations: &[(u64, u64)]) -> Vec<u8> {
        let reservation_block = 40;
        let structure = reservation_block + (reservations.len() + 1) * 16;
        let strings = structure + self.structure.len();
        let total = strings + self.strings.len();
        let header = [
            MAGIC as usize,
            total,
            structure,
            strings,
            reservation_block,
            17,
            16,
            0,
            self.strings.len(),
            self.structure.len(),
        ];
        let mut blob = Vec::new();
        for word in header {
            blob.extend((word as u32).to_be_bytes());
        }
        for (start, size) in reservations.iter().chain([&(0, 0)]) {
            blob.extend(start.to_be_bytes());
            blob.extend(size.to_be_bytes());
        }
        blob.extend(self.structure);
        blob.extend(self.strings);
        blob
    }
}

fn cells(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn range(start: u64, size: u64) -> PhysicalRange {
    PhysicalRange { start, end: start + size }
}

fn board() -> Tree {
    Tree::new()
        .memory(0, 0x3b40_0000)
        .memory(0x4000_0000, 0xbc00_0000)
        .reserve(0, 0x1000)
        .reserved_node(0x0ee0_0000, 0x10_0000, true)
        .reserved_node(0x3ef6_4000, 0x3c, false)
        .chosen("bootargs", b"console=ttyS0 quiet\0")
        .chosen("linux,initrd-start", &cells(&[0x2e00_0000]))
        .chosen("linux,initrd-end", &cells(&[0, 0x2e12_3456]))
}

#[test]
fn banks_reservations_initrd_and_command_line_are_found() {
    for tree in [board(), board().with_nops()] {
        let blob = tree.blob();
        let memory = tree.read();
        // A size of one cell cannot say more than 4 GB - 1, so this bank comes in parts.
        assert_eq!(
            memory.banks.as_slice(),
            [range(0, 0x3b40_0000), range(0x4000_0000, 0x8000_0000), range(0xc000_0000, 0x3c00_0000)]
        );
        assert_eq!(
            memory.reserved.as_slice(),
            [
                Reservation { range: range(0, 0x1000), no_map: false },
                Reservation { range: range(0x0ee0_0000, 0x10_0000), no_map: true },
                Reservation { range: range(0x3ef6_4000, 0x3c), no_map: false },
            ]
        );
        assert_eq!(memory.tree, range(ADDRESS, blob.len() as u64));
        assert_eq!(memory.initrd, Some(PhysicalRange { start: 0x2e00_0000, end: 0x2e12_3456 }));
        let bootargs = memory.bootargs.unwrap();
        let at = (bootargs.start - ADDRESS) as usize;
        assert_eq!(&blob[at..at + bootargs.size() as usize], b"console=ttyS0 quiet");
    }
}

#[test]
fn an_initrd_that_ends_before_it_starts_is_none() {
    let tree = |start: &[u8], end: &[u8]| {
        Tree::new()
            .memory(0, 0x1000_0000)
            .chosen("linux,initrd-start", start)
            .chosen("linux,initrd-end", end)
            .read()
            .initrd
    };
    assert_eq!(tree(&cells(&[0x2000]), &cells(&[0x1000])), None);
    assert_eq!(tree(&cells(&[0x2000]), &cells(&[0x2000])), None);
    assert_eq!(tree(&cells(&[0x2000]), &[]), None);
    assert_eq!(tree(&cells(&[0, 0x2000]), &cells(&[0x3000])), Some(range(0x2000, 0x1000)));
}

#[test]
fn what_is_no_tree_is_told_from_what_is_a_broken_one() {
    assert_eq!(FirmwareMemory::read(&[], ADDRESS), Err(FirmwareMemoryError::Magic { found: 0 }));
    assert_eq!(FirmwareMemory::read(&[0xa5; 64], ADDRESS), Err(FirmwareMemoryError::Magic { found: 0xa5a5_a5a5 }));
    for size in [0, 39, LARGEST_TREE as u32 + 1, u32::MAX] {
        let mut blob = board().blob();
        blob[4..8].copy_from_slice(&size.to_be_bytes());
        assert_eq!(FirmwareMemory::read(&blob, ADDRESS), Err(FirmwareMemoryError::Size { size }));
    }
    let blob = board().blob();
    let cut = &blob[..blob.len() - 1];
    assert_eq!(FirmwareMemory::read(cut, ADDRESS), Err(FirmwareMemoryError::Size { size: blob.len() as u32 }));
}

#[test]
fn a_tree_without_memory_is_refused() {
    assert_eq!(FirmwareMemory::read(&Tree::new().blob(), ADDRESS), Err(FirmwareMemoryError::NoMemory));
    // As a tree that no firmware has filled in says it.
    assert_eq!(FirmwareMemory::read(&Tree::new().memory(0, 0).blob(), ADDRESS), Err(FirmwareMemoryError::NoMemory));
}

#[test]
fn a_disabled_memory_node_is_no_memory() {
    let mut blob = Tree::new().memory(0, 0x1000).memory(0x1_0000, 0x1000).chosen("bootargs", b"okay\0").blob();
    // Turns the second bank's device_type into its status: same length, another name.
    let name = blob.windows(12).rposition(|window| window == b"device_type\0").unwrap();
    blob[name..name + 7].copy_from_slice(b"status\0");
    let memory = FirmwareMemory::read(&blob, ADDRESS).unwrap();
    assert_eq!(memory.banks.as_slice(), [range(0, 0x1000)]);
}

#[test]
fn more_reservations_than_are_kept_make_the_map_unsure() {
    let mut tree = board();
    for index in 0..RESERVATIONS as u64 {
        tree = tree.reserve(0x100_0000 + index * 0x1000, 0x1000);
    }
    assert_eq!(FirmwareMemory::read(&tree.blob(), ADDRESS), Err(FirmwareMemoryError::TooMany { kept: RESERVATIONS }));
}

#[test]
fn cells_that_no_number_has_give_no_banks() {
    for words in [0_u32, 3, 1 << 30, u32::MAX] {
        let mut blob = board().blob();
        let at = blob.windows(4).position(|window| window == 2_u32.to_be_bytes()).unwrap();
        blob[at..at + 4].copy_from_slice(&words.to_be_bytes());
        let result = FirmwareMemory::read(&blob, ADDRESS);
        assert!(result.is_err(), "{words} cells: {result:?}");
    }
}

#[test]
fn a_node_that_never_ends_and_an_end_without_a_node_are_errors() {
    let blob = board().blob();
    let structure = u32::from_be_bytes(blob[8..12].try_into().unwrap()) as usize;
    for first in [END_NODE, END, 0, 7, 0x0100_0000] {
        let mut broken = blob.clone();
        broken[structure..structure + 4].copy_from_slice(&first.to_be_bytes());
        let result = FirmwareMemory::read(&broken, ADDRESS);
        assert!(
            matches!(result, Err(FirmwareMemoryError::Structure { .. } | FirmwareMemoryError::NoMemory)),
            "{result:?}"
        );
    }
}

#[test]
fn messages_name_what_was_found() {
    let said: Vec<String> = vec![
        format!("{}", FirmwareMemoryError::Address { address: 0x100 }),
        format!("{}", FirmwareMemoryError::Magic { found: 0x1234_5678 }),
        format!("{}", FirmwareMemoryError::Size { size: 7 }),
    ];
    assert!(said[0].contains("0x100"));
    assert!(said[1].contains("0x12345678") && said[1].contains("0xd00dfeed"));
    assert!(said[2].contains("7 bytes") && said[2].contains("2097152"));
}

proptest! {
    /// No blob makes the reader panic, read outside, or run for ever; what it accepts is inside its bounds.
    #[test]
    fn mutated_trees_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16)) {
        let mut blob = board().blob();
        for (index, value) in changes {
            let length = blob.len();
            blob[index.index(length)] = value;
        }
        if let Ok(memory) = FirmwareMemory::read(&blob, ADDRESS) {
            prop_assert!(memory.tree.size() <= blob.len() as u64);
            for bank in memory.banks.as_slice() {
                prop_assert!(!bank.is_empty());
            }
        }
    }

    #[test]
    fn arbitrary_words_after_a_good_header_never_panic(words in prop::collection::vec(0_u32..10, 10..200)) {
        let mut blob = vec![0; 40 + 16];
        for word in &words {
            blob.extend(word.to_be_bytes());
        }
        let total = blob.len() as u32;
        for (index, value) in [MAGIC, total, 56, 40, 40].into_iter().enumerate() {
            blob[index * 4..index * 4 + 4].copy_from_slice(&value.to_be_bytes());
        }
        let _ = FirmwareMemory::read(&blob, ADDRESS);
    }

    #[test]
    fn truncated_trees_are_refused(length in any::<prop::sample::Index>()) {
        let blob = board().blob();
        let length = length.index(blob.len());
        prop_assert!(FirmwareMemory::read(&blob[..length], ADDRESS).is_err());
    }
}
