//! One edit at a time.

use xenlift::device_tree::edit::{Editor, Error};
use xenlift::range::PhysicalRange;

use crate::board;
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
