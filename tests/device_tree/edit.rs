//! One edit at a time.

use xenlift::device_tree::check::DEEPEST;
use xenlift::device_tree::edit::{Editor, Error, NameFault};
use xenlift::range::PhysicalRange;

use crate::board;
use crate::model::{Model, nop_out};
use crate::oracle::{Buffer, compile, decompile};

#[test]
fn edits_are_what_dtc_reads() {
    let tree = compile(board::SOURCE);
    let mut buffer = Buffer::new(&tree, tree.len() + 1024);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    editor.set_string("/chosen", "xen,xen-bootargs", "console=dtuart").unwrap();
    editor.add_node("/chosen", "module@e00000").unwrap();
    editor.set_strings("/chosen/module@e00000", "compatible", &["multiboot,kernel", "multiboot,module"]).unwrap();
    editor.set_cells("/chosen/module", "reg", &[0, 0xe00000, 0, 0x7a1200]).unwrap();
    editor.delete_property("/chosen", "linux,initrd-start").unwrap();
    editor.delete_node("/soc/serial@7e201400").unwrap();
    editor.add_reservation(PhysicalRange { start: 0x1000_0000, end: 0x1000_1000 }).unwrap();
    editor.append_property("serial1", "compatible", b"ns16550\0").unwrap();
    let source = decompile(editor.finish()).unwrap();
    for line in [
        "xen,xen-bootargs = \"console=dtuart\";",
        "module@e00000 {",
        "compatible = \"multiboot,kernel\\0multiboot,module\";",
        "reg = <0x00 0xe00000 0x00 0x7a1200>;",
        "compatible = \"brcm,bcm2835-aux-uart\\0ns16550\";",
        "/memreserve/\t0x0000000010000000 0x0000000000001000;",
    ] {
        assert!(source.contains(line), "{line} not in\n{source}");
    }
    for gone in ["linux,initrd-start", "serial@7e201400 {"] {
        assert!(!source.contains(gone), "{gone} still in\n{source}");
    }
}

#[test]
fn what_is_new_comes_last_or_first_as_asked() {
    let tree = compile("/dts-v1/; / { a; b; child { }; };");
    let added = |newest_first: bool| {
        let mut buffer = Buffer::new(&tree, tree.len() + 256);
        let editor = Editor::new(buffer.bytes()).unwrap();
        let mut editor = if newest_first { editor.newest_first() } else { editor };
        for name in ["x", "y"] {
            editor.set_property("/", name, &[]).unwrap();
            editor.add_node("/", name).unwrap();
        }
        let source = decompile(editor.finish()).unwrap();
        let names = source.lines().skip(2).map(|line| line.trim().trim_end_matches([';', '{', ' ']));
        names.filter(|name| !name.is_empty() && *name != "}" && *name != "/").collect::<Vec<_>>().join(" ")
    };
    assert_eq!(added(false), "a b x y child x y");
    assert_eq!(added(true), "y x a b y x child");
}

#[test]
fn an_edit_without_room_changes_nothing() {
    let tree = compile(board::SOURCE);
    let mut buffer = Buffer::new(&tree, tree.len() + 8);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let before = editor.as_bytes().to_vec();
    let room = editor.room();
    let value = vec![0x5a; room];
    let have = before.len() + room;
    assert_eq!(
        editor.set_property("/chosen", "reg", &value),
        Err(Error::NoRoom { needed: before.len() + 12 + room.next_multiple_of(4), have })
    );
    assert_eq!(editor.as_bytes(), before);
}

/// The small tree in a buffer with `room` bytes to spare.
fn with_room(room: usize) -> Buffer {
    let tree = compile(board::SOURCE);
    let mut buffer = Buffer::new(&tree, tree.len());
    let packed = Editor::new(buffer.bytes()).unwrap().finish().to_vec();
    Buffer::new(&packed, packed.len() + room)
}

#[test]
fn an_edit_takes_exactly_the_room_it_needs() {
    type Edit = fn(&mut Editor<'_>) -> Result<(), Error>;
    let edits: [(usize, Edit); 8] = [
        // A name that is there: 12 bytes and the value in whole tokens.
        (16, |editor| editor.set_property("/chosen", "reg", b"abc")),
        // A name that is not: the name with its zero besides.
        (16 + 9, |editor| editor.set_property("/chosen", "new-name", b"abc")),
        // The end of a name that is there: `bootargs` in `bootargs`, and `args` in it.
        (12, |editor| editor.set_property("/soc", "args", b"")),
        // A longer value: only what it grows by.
        (4, |editor| editor.append_property("/chosen", "linux,initrd-start", b"a")),
        (4, |editor| editor.set_property("/chosen", "linux,initrd-start", b"abcde")),
        // Two tokens and the name with its zero in whole tokens.
        (8 + 4, |editor| editor.add_node("/chosen", "abc")),
        (8 + 8, |editor| editor.add_node("/chosen", "abcd")),
        (16, |editor| editor.add_reservation(PhysicalRange { start: 4096, end: 8192 })),
    ];
    for (index, (room, edit)) in edits.into_iter().enumerate() {
        let mut buffer = with_room(room);
        let mut editor = Editor::new(buffer.bytes()).unwrap();
        let have = editor.as_bytes().len() + room;
        edit(&mut editor).unwrap_or_else(|error| panic!("{index}: {error}"));
        assert_eq!(editor.room(), 0, "{index}");
        decompile(editor.as_bytes()).unwrap();
        let mut buffer = with_room(room - 1);
        let mut editor = Editor::new(buffer.bytes()).unwrap();
        let before = editor.as_bytes().to_vec();
        assert_eq!(edit(&mut editor), Err(Error::NoRoom { needed: have, have: have - 1 }), "{index}");
        assert_eq!(editor.as_bytes(), before);
    }
}

#[test]
fn a_tree_is_copied_into_a_buffer_that_holds_it() {
    let tree = compile(board::SOURCE);
    let mut buffer = Buffer::new(&[], tree.len());
    let mut rubbish = tree.clone();
    rubbish.extend([0xff; 100]);
    let editor = Editor::copy(&rubbish, buffer.bytes()).unwrap();
    assert_eq!(decompile(editor.as_bytes()), decompile(&tree));
    let mut small = Buffer::new(&[], tree.len() - 1);
    let error = Editor::copy(&tree, small.bytes()).map(|_| ()).unwrap_err();
    assert_eq!(error, Error::NoRoom { needed: tree.len(), have: tree.len() - 1 });
    assert!(matches!(Editor::copy(b"no tree", small.bytes()), Err(Error::Tree(_))));
    assert!(matches!(Editor::new(Buffer::new(b"no tree", 64).bytes()), Err(Error::Tree(_))));
    let mut odd = Buffer::new(&[], tree.len() + 8);
    assert!(matches!(Editor::copy(&tree, &mut odd.bytes()[4..]), Err(Error::Misaligned { .. })));
}

#[test]
fn names_that_dtc_refuses_are_refused() {
    let mut buffer = with_room(1024);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let long = "n".repeat(256);
    for (name, fault) in [
        ("", NameFault::Empty),
        (long.as_str(), NameFault::TooLong),
        ("a b", NameFault::Character(' ')),
        ("a/b", NameFault::Character('/')),
        ("é", NameFault::Character('é')),
    ] {
        let refused = Err(Error::BadName { name: name.into(), fault });
        assert_eq!(editor.add_node("/chosen", name), refused);
        assert_eq!(editor.set_property("/chosen", name, b""), refused);
        assert_eq!(editor.append_property("/chosen", name, b""), refused);
    }
    let fault = NameFault::SecondUnitAddress;
    assert_eq!(editor.add_node("/chosen", "a@1@2"), Err(Error::BadName { name: "a@1@2".into(), fault }));
    assert_eq!(
        editor.add_node("/chosen", "a#"),
        Err(Error::BadName { name: "a#".into(), fault: NameFault::Character('#') })
    );
    assert_eq!(
        editor.set_property("/chosen", "a@1", b""),
        Err(Error::BadName { name: "a@1".into(), fault: NameFault::Character('@') })
    );
    let longest = "n".repeat(255);
    editor.add_node("/chosen", &longest).unwrap();
    editor.add_node("/chosen", "A-z_0,9.+@0,1").unwrap();
    editor.set_property("/chosen", "#A-z_0,9.+?*", b"").unwrap();
    decompile(editor.as_bytes()).unwrap();
}

#[test]
fn what_is_not_there_is_named() {
    let mut buffer = with_room(1024);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let message = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        message(editor.delete_node("/soc/uart@7e201000/bluetooth")),
        "device tree has no node /soc/uart@7e201000/bluetooth: no uart@7e201000 there"
    );
    assert_eq!(message(editor.set_property("serial9", "a", b"")), "device tree has no node serial9");
    assert_eq!(
        message(editor.delete_property("/chosen", "rng-seed")),
        "device tree node /chosen has no property rng-seed"
    );
    assert_eq!(
        message(editor.add_node("/soc", "serial@7e201000")),
        "device tree node /soc already has a child serial@7e201000"
    );
    assert_eq!(message(editor.delete_node("/")), "the root of a device tree cannot be deleted");
    assert_eq!(
        message(editor.set_property("/", "x y", b"")),
        "\"x y\" is no name in a device tree: ' ' is not allowed"
    );
    let range = PhysicalRange { start: 0x3b00_0000, end: 0x3b00_1000 };
    assert_eq!(
        message(editor.delete_reservation(range)),
        "device tree has no memory reservation 0x3b000000-0x3b000fff"
    );
    let size = editor.as_bytes().len();
    assert_eq!(
        message(editor.set_property("/", "reg", &[0; 2000])),
        format!("device tree does not fit: it needs {} bytes, its buffer has {}", size + 2012, size + 1024)
    );
}

#[test]
fn a_name_without_its_unit_address_can_be_added_beside_one_with() {
    let mut buffer = with_room(64);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    editor.add_node("/", "memory").unwrap();
    assert_eq!(editor.tree().unwrap().root().children().filter(|node| node.name().starts_with("memory")).count(), 2);
}

#[test]
fn reservations_are_added_in_order_and_deleted_exactly() {
    let mut buffer = with_room(64);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let ranges = |editor: &Editor<'_>| editor.tree().unwrap().reservations().collect::<Vec<_>>();
    let before = ranges(&editor);
    let added = PhysicalRange { start: 0x3b00_0000, end: 0x3b00_1000 };
    editor.add_reservation(added).unwrap();
    assert_eq!(ranges(&editor), [before[0], before[1], added]);
    // Same start or same size alone is another reservation.
    for other in [PhysicalRange { start: 0x3b00_0000, end: 0x3b00_2000 }, PhysicalRange { start: 0x1000, end: 0x2000 }]
    {
        assert_eq!(editor.delete_reservation(other), Err(Error::NoSuchReservation(other)));
    }
    // What follows the reservations is no reservation, whatever it looks like.
    let behind = editor.tree().unwrap().header().structure_offset;
    let number = |at: usize| u64::from_be_bytes(editor.as_bytes()[at..at + 8].try_into().unwrap());
    let structure = PhysicalRange::sized(number(behind), number(behind + 8)).unwrap();
    assert_eq!(editor.delete_reservation(structure), Err(Error::NoSuchReservation(structure)));
    let nothing = PhysicalRange { start: 0, end: 0 };
    assert_eq!(editor.delete_reservation(nothing), Err(Error::NoSuchReservation(nothing)));
    assert_eq!(editor.add_reservation(nothing), Err(Error::EmptyReservation { address: 0 }));
    editor.delete_reservation(before[1]).unwrap();
    assert_eq!(ranges(&editor), [before[0], added]);
    editor.delete_reservation(added).unwrap();
    editor.delete_reservation(before[0]).unwrap();
    assert_eq!(ranges(&editor), []);
    decompile(editor.as_bytes()).unwrap();
}

#[test]
fn nodes_are_not_added_below_the_deepest() {
    let mut buffer = with_room(8192);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let mut path = String::from("/chosen");
    // The root is at depth 1, /chosen at 2.
    for _ in 2..DEEPEST {
        editor.add_node(&path, "n").unwrap();
        path.push_str("/n");
    }
    assert!(matches!(editor.add_node(&path, "n"), Err(Error::TooDeep { .. })));
    Editor::new(editor.finish()).map(|_| ()).unwrap();
}

#[test]
fn phandles_are_new_low_and_kept() {
    let mut buffer = with_room(1024);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    let highest = editor.tree().unwrap().nodes().filter_map(|node| node.phandle()).max().unwrap();
    let there = editor.tree().unwrap().find("serial1").unwrap().phandle().unwrap();
    assert_eq!(editor.new_phandle("serial1"), Ok(there));
    assert_eq!(editor.new_phandle("/chosen"), Ok(highest + 1));
    assert_eq!(editor.new_phandle("/chosen"), Ok(highest + 1));
    assert_eq!(editor.tree().unwrap().by_phandle(highest + 1).unwrap().name(), "chosen");
    // Numbers that Xen takes for itself are stepped over, and leave no trace.
    editor.set_cells("/memory", "phandle", &[0xffff_fffe]).unwrap();
    assert_eq!(editor.new_phandle("/cpus"), Ok(highest + 2));
    // With the last one taken, the lowest free: Xen gives 65000 to a guest's interrupt controller.
    editor.set_cells("/memory", "phandle", &[64_999]).unwrap();
    editor.delete_property("/chosen", "phandle").unwrap();
    assert_eq!(editor.new_phandle("/cpus/cpu@0"), Ok(highest + 1));
    // The old name counts too.
    editor.set_cells("/soc/unmapped@10000000", "linux,phandle", &[highest + 3]).unwrap();
    assert_eq!(editor.new_phandle("/soc/unmapped@10000000"), Ok(highest + 3));
    assert_eq!(editor.new_phandle("/chosen"), Ok(highest + 4));
}

#[test]
fn compacting_takes_out_what_is_unused_and_says_the_same() {
    let tree = nop_out(&compile(board::SOURCE), "/soc/serial@7e201400");
    let mut buffer = Buffer::new(&tree, tree.len() + 256);
    let mut editor = Editor::new(buffer.bytes()).unwrap();
    editor.set_property("/chosen", "old,prop-that-goes", b"").unwrap();
    editor.set_property("/chosen", "that-goes", b"1").unwrap();
    editor.delete_property("/chosen", "old,prop-that-goes").unwrap();
    let before = Model::read(editor.as_bytes());
    let size = editor.as_bytes().len();
    editor.compact().unwrap();
    assert_eq!(Model::read(editor.as_bytes()), before);
    assert!(!editor.as_bytes().windows(8).any(|bytes| bytes == b"old,prop"), "an unused name");
    let nops = Model::read_ranges(&compile(board::SOURCE)).1;
    let node = nops.into_iter().find(|(path, _)| path == "/soc/serial@7e201400").unwrap().1;
    assert_eq!(editor.as_bytes().len(), size - node.len() - "old,prop-".len());
    let compact = editor.as_bytes().to_vec();
    editor.compact().unwrap();
    assert_eq!(editor.as_bytes(), compact);
}
