use super::*;
use crate::boot::layout::Layout;
use crate::boot::test_tree::TestTree;
use crate::ram::Ram;

const MIB: u64 = 1 << 20;
const FIRST: u64 = 4 * MIB;

fn at(start: u64, size: u64) -> PhysicalRange {
    PhysicalRange { start: FIRST + start, end: FIRST + start + size }
}

/// An arm64 Image of 5000 bytes that asks for a megabyte.
fn program() -> Vec<u8> {
    let mut bytes = alloc::vec![7; 5000];
    bytes[..64].fill(0);
    bytes[16..24].copy_from_slice(&MIB.to_le_bytes());
    bytes[24] = 8;
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

/// Memory with these files in it, as a script left them.
fn memory(files: &[(u64, &[u8])]) -> Ram {
    let mut ram = Ram::simulated(FIRST, 32 * MIB as usize);
    let mut workspace = ram.lend_free().unwrap();
    for (start, bytes) in files {
        workspace.bytes_mut(at(*start, bytes.len() as u64)).unwrap().copy_from_slice(bytes);
    }
    ram.take_back(workspace);
    ram
}

fn loaded(name: &str, range: PhysicalRange) -> Loaded {
    Loaded { name: name.into(), range, spent: false }
}

/// A tree for Xen with Dom0's kernel in `range`, and what the firmware left in it.
fn tree(range: PhysicalRange) -> Vec<u8> {
    let mut tree = TestTree::board();
    let mut editor = tree.editor();
    editor.add_node("/chosen", "dom0").unwrap();
    editor.set_strings("/chosen/dom0", "compatible", &["xen,linux-zimage", "multiboot,module"]).unwrap();
    editor.set_cells("/chosen/dom0", "reg", &[0, range.start as u32, range.size() as u32]).unwrap();
    for name in ["linux,initrd-start", "linux,initrd-end"] {
        editor.delete_property("/chosen", name).unwrap();
    }
    editor.as_bytes().to_vec()
}

const NOTHING: Board<'static> = Board {
    firmware: None,
    firmware_tree: None,
    initramfs: None,
    known: Known { mac_address: None, serial_number: None },
};

#[test]
fn everything_is_taken_where_it_lies_and_only_the_tree_moves() {
    let (xen, kernel) = (program(), [1; 300]);
    let mut ram = memory(&[(4 * MIB, &xen), (8 * MIB, &kernel)]);
    let layout = Layout::new(ram.banks().iter().copied()).unwrap();
    let loaded = [loaded("xen", at(4 * MIB, 5000)), loaded("Image", at(8 * MIB, 300))];
    let (program, tree_place) = (at(4 * MIB, 5000), at(12 * MIB, 4096));
    let boot =
        Boot { program, ramdisk: None, tree: tree_place, arguments: Some("quiet"), mac_address: None, loaded: &loaded };
    let mut store = Store::new(&mut ram, layout);
    let departure = take(&mut store, &boot, &tree(at(8 * MIB, 300)), &NOTHING).unwrap();
    let files: Vec<_> =
        departure.files.iter().map(|file| (file.label.as_str(), file.source.as_str(), file.range)).collect();
    assert_eq!(files, [("Xen", "xen", program), ("Dom0 kernel", "Image", at(8 * MIB, 300))]);
    assert_eq!((departure.entry, departure.notes.len()), (0, 0));
    assert_eq!(store.claim(departure.program).unwrap().range(), at(4 * MIB, 2 * MIB), "its .bss is kept free");
    let finished = Tree::new(store.bytes(departure.tree)).unwrap();
    assert_eq!(finished.bootargs(), Some("quiet"));
    let place = store.range(departure.tree);
    assert!([at(4 * MIB, 2 * MIB), at(8 * MIB, 300)].iter().all(|taken| !taken.overlaps(&place)), "{place}");
}

#[test]
fn a_program_that_cannot_run_where_it_lies_is_moved_whole() {
    let (xen, kernel) = (program(), [1; 300]);
    // Once not on 2 MiB, once with a module in what will be its .bss.
    for (start, module) in [(5 * MIB + 4096, 8 * MIB), (4 * MIB, 4 * MIB + 64 * 1024)] {
        let mut ram = memory(&[(start, &xen), (module, &kernel)]);
        let layout = Layout::new(ram.banks().iter().copied()).unwrap();
        let loaded = [loaded("xen", at(start, 5000)), loaded("Image", at(module, 300))];
        let boot = Boot {
            program: at(start, 5000),
            ramdisk: None,
            tree: at(12 * MIB, 4096),
            arguments: None,
            mac_address: None,
            loaded: &loaded,
        };
        let mut store = Store::new(&mut ram, layout);
        let departure = take(&mut store, &boot, &tree(at(module, 300)), &NOTHING).unwrap();
        let range = departure.files[0].range;
        assert_eq!(range.start % ALIGNMENT, 0);
        assert_ne!(range.start, at(start, 1).start);
        assert_eq!(store.bytes_at(range).unwrap(), xen);
        assert!(departure.notes[0].starts_with("Xen was moved from "), "{:?}", departure.notes);
    }
}

#[test]
fn a_ramdisk_is_told_in_the_tree_and_a_second_one_taken_out() {
    let (xen, ramdisk) = (program(), [3; 77]);
    let mut ram = memory(&[(4 * MIB, &xen), (8 * MIB, &ramdisk)]);
    let layout = Layout::new(ram.banks().iter().copied()).unwrap();
    let loaded = [loaded("Image", at(4 * MIB, 5000)), loaded("initrd", at(8 * MIB, 77))];
    let mut plain = TestTree::board();
    let plain = plain.editor().as_bytes().to_vec();
    let ramdisk = Some(at(8 * MIB, 77));
    let boot = Boot {
        program: at(4 * MIB, 5000),
        ramdisk,
        tree: at(12 * MIB, 4096),
        arguments: None,
        mac_address: None,
        loaded: &loaded,
    };
    let mut store = Store::new(&mut ram, layout);
    let departure = take(&mut store, &boot, &plain, &NOTHING).unwrap();
    assert_eq!(departure.files[0].label, "kernel");
    assert_eq!(Tree::new(store.bytes(departure.tree)).unwrap().initrd(), ramdisk);
}

#[test]
fn a_scripts_ethernet_address_counts_more_than_the_boards_own() {
    const OWN: [u8; 6] = [0xdc, 0xa6, 0x32, 1, 2, 3];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 1];
    for (said, expected) in [(None, OWN), (Some(OTHER), OTHER)] {
        let xen = program();
        let mut ram = memory(&[(4 * MIB, &xen)]);
        let layout = Layout::new(ram.banks().iter().copied()).unwrap();
        let loaded = [loaded("Image", at(4 * MIB, 5000))];
        let mut plain = TestTree::board();
        let mut editor = plain.editor();
        editor.add_node("/", "ethernet@0").unwrap();
        if editor.tree().unwrap().find("/aliases").is_none() {
            editor.add_node("/", "aliases").unwrap();
        }
        editor.set_string("/aliases", "ethernet0", "/ethernet@0").unwrap();
        for name in ["linux,initrd-start", "linux,initrd-end"] {
            editor.delete_property("/chosen", name).unwrap();
        }
        let plain = editor.as_bytes().to_vec();
        let place = at(12 * MIB, 4096);
        let program = at(4 * MIB, 5000);
        let boot = Boot { program, ramdisk: None, tree: place, arguments: None, mac_address: said, loaded: &loaded };
        let board = Board { known: Known { mac_address: Some(OWN), serial_number: None }, ..NOTHING };
        let mut store = Store::new(&mut ram, layout);
        let departure = take(&mut store, &boot, &plain, &board).unwrap();
        let finished = Tree::new(store.bytes(departure.tree)).unwrap();
        let address = finished.find("ethernet0").unwrap().property("local-mac-address").unwrap();
        assert_eq!(address.value(), expected);
    }
}

#[test]
fn what_is_no_program_no_tree_or_no_memory_is_refused() {
    let text = [b'x'; 300];
    let xen = program();
    let mut ram = memory(&[(4 * MIB, &text), (8 * MIB, &xen)]);
    let layout = Layout::new(ram.banks().iter().copied()).unwrap();
    let boot = |program| Boot {
        program,
        ramdisk: None,
        tree: at(12 * MIB, 4096),
        arguments: None,
        mac_address: None,
        loaded: &[],
    };
    let good = tree(at(16 * MIB, 300));
    let mut try_to = |boot: &Boot<'_>, tree: &[u8]| {
        let mut store = Store::new(&mut ram, layout.clone());
        let result = take(&mut store, boot, tree, &NOTHING).map(|_| ());
        store.give_up();
        result
    };
    assert!(matches!(try_to(&boot(at(4 * MIB, 300)), &good), Err(Error::Program { .. })));
    assert!(matches!(try_to(&boot(at(8 * MIB, 5000)), b"no tree"), Err(Error::Tree(_))));
    let outside = tree(PhysicalRange { start: MIB, end: 2 * MIB });
    assert!(matches!(try_to(&boot(at(8 * MIB, 5000)), &outside), Err(Error::Place { .. })));
    let overlapping = tree(at(8 * MIB + 1000, 300));
    assert!(try_to(&boot(at(8 * MIB, 5000)), &overlapping).is_err(), "the module lies in the program's own bytes");
    assert_eq!(try_to(&boot(at(8 * MIB, 5000)), &good), Ok(()), "what failed has taken nothing");
}
