//! Where the tree lies, and how far it grows.

use xenlift::range::PhysicalRange;
use xenlift::shell::{Failure, Platform};

use crate::oracle::compile;
use crate::session::{SOURCE, Session, TREE};

fn text(length: usize) -> String {
    format!("fdt set /chosen long \"{}\"", "x".repeat(length))
}

#[test]
fn a_tree_grows_without_resize_up_to_what_the_script_loaded() {
    let mut session = Session::new();
    session.load("bcm2711-rpi-4-b.dtb", TREE, &compile(SOURCE));
    session.load("xen", TREE + 0x2000, &[0x5a; 64]);
    let before = session.tree();
    session.script(&text(4000));
    assert_eq!(
        session.refusal(&text(9000)),
        format!(
            "the device tree at 0x1800000 would need {} bytes, and runs into xen at 0x01802000-0x0180203f: load one of them somewhere else, or `fdt move` the tree",
            // The property's name and header are there already.
            session.tree().len() + 9000 - 4000
        )
    );
    assert!(session.tree().len() > before.len() + 4000);
    let xen = PhysicalRange { start: TREE + 0x2000, end: TREE + 0x2040 };
    assert_eq!(session.machine.memory(xen).unwrap(), [0x5a; 64]);
}

#[test]
fn a_tree_grows_up_to_what_the_board_keeps_and_the_end_of_memory() {
    let mut session = Session::new();
    session.machine.reserve("the loader", PhysicalRange { start: TREE + 0x1800, end: TREE + 0x4000 }).unwrap();
    let refusal = session.refusal(&text(5000));
    assert!(refusal.contains("runs into the loader at 0x01801800-0x01803fff"), "{refusal}");
    let end = 0x3b40_0000 - 0x1000;
    session.script(&format!("fdt move {TREE:x} {end:x}"));
    let refusal = session.refusal(&text(5000));
    assert!(refusal.contains("runs into the end of the memory"), "{refusal}");
}

#[test]
fn a_tree_inside_a_larger_file_keeps_to_its_own_place() {
    let mut session = Session::new();
    let size = session.tree().len() as u64;
    session.loaded.push(xenlift::shell::Loaded {
        name: "board.itb".to_string(),
        range: PhysicalRange { start: TREE - 0x100, end: TREE + size + 0x100 },
        spent: false,
    });
    let refusal = session.refusal("fdt mknode /chosen dom0");
    assert!(refusal.contains("runs into board.itb"), "{refusal}");
}

#[test]
fn a_tree_larger_than_xen_takes_is_refused() {
    let mut session = Session::new();
    let refusal = session.refusal("fdt resize 200000");
    assert!(refusal.contains("runs into the 2097152 bytes that Xen takes at most"), "{refusal}");
}

#[test]
fn a_working_tree_that_was_overwritten_is_an_error_in_words() {
    let mut session = Session::new();
    session.machine.memory_mut(PhysicalRange { start: TREE, end: TREE + 4 }).unwrap().fill(0);
    let refusal = session.refusal("fdt set /chosen a");
    assert!(refusal.starts_with("no device tree at 0x1800000: "), "{refusal}");
    let mut session = Session::new();
    session.load("xen", TREE + 0x80, &[0xff; 64]);
    assert!(session.refusal("fdt print").starts_with("no device tree at 0x1800000: "));
}

#[test]
fn resize_claims_what_u_boot_claims_and_edits_keep_it() {
    let mut session = Session::new();
    session.script("fdt resize 1024\n fdt header get strings off_dt_strings\n fdt header get size size_dt_strings\n fdt header get total totalsize");
    let number =
        |session: &Session, name: &str| u64::from_str_radix(session.environment.get(name).unwrap(), 16).unwrap();
    let used = number(&session, "strings") + number(&session, "size");
    assert_eq!(number(&session, "total"), (used + 80 + 0x1024).next_multiple_of(0x1000));
    let claimed = number(&session, "total");
    session.script("fdt mknode /chosen dom0\n fdt header get total totalsize");
    assert_eq!(number(&session, "total"), claimed);
    session.script("fdt resize\n fdt header get total totalsize");
    assert!(number(&session, "total") < claimed, "it shrinks where it is asked to");
}

#[test]
fn addr_names_the_tree_and_sets_fdtaddr() {
    let mut session = Session::with(&compile(SOURCE));
    assert_eq!(session.refusal("fdt print"), "no device tree to work on: say where one lies with `fdt addr ADDRESS`");
    assert!(session.refusal("fdt addr").starts_with("no device tree to work on"));
    assert_eq!(session.output("fdt addr 0x1800000"), "Working FDT set to 1800000\n");
    assert_eq!(session.environment.get("fdtaddr"), Some("1800000"));
    assert_eq!(session.output("fdt addr"), "Working fdt: 01800000\n");
    assert!(!session.run("fdt addr -q 2000000").unwrap());
    assert!(session.refusal("fdt addr 2000000").starts_with("no device tree at 0x2000000: "));
    assert!(session.refusal("fdt addr ffffffffffffffff").contains("is not memory"));
    assert!(session.refusal("fdt addr fe201000").contains("is not memory"));
    assert_eq!(session.working_tree, Some(TREE), "a refused one changes nothing");
    assert!(matches!(session.run("fdt addr -x 1800000"), Err(Failure::Usage)));
    let said = session.output("fdt addr 1800000 10");
    assert!(said.contains("New length 16 < existing length "), "{said}");
    session.script("fdt addr -q 1800000 4000");
    assert_eq!(session.tree().len(), 0x4000);
}

#[test]
fn the_firmwares_tree_is_edited_where_it_lies_up_to_its_initramfs() {
    let mut session = Session::with(&compile(SOURCE));
    let tree = compile(SOURCE);
    session.machine.put_firmware_tree(0x2eff_6200, &tree).unwrap();
    let initramfs = 0x2eff_6200 + tree.len() as u64 + 0x100;
    session.machine.reserve("the firmware's initramfs", PhysicalRange { start: initramfs, end: 0x2f00_0000 }).unwrap();
    assert_eq!(session.output("fdt addr -c"), "Control fdt: 2eff6200\n");
    session.script("fdt addr 2eff6200\n fdt get value args /chosen bootargs\n fdt set /chosen a <1>");
    assert_eq!(session.environment.get("args"), Some("console=ttyS1"));
    let refusal = session.refusal(&text(0x100));
    assert!(refusal.contains("runs into the firmware's initramfs at"), "{refusal}");
    session.script(&format!("fdt move 2eff6200 1800000 4000\n {}", text(0x100)));
    let refusal = session.refusal("fdt move 1800000 2eff6000");
    assert!(refusal.contains("the firmware's device tree is at"), "{refusal}");
}

#[test]
fn move_copies_even_onto_itself() {
    let mut session = Session::new();
    let before = session.output("fdt print");
    assert_eq!(session.output("fdt move 1800000 1800100 2000"), "Working FDT set to 1800100\n");
    assert_eq!(session.output("fdt print"), before);
    assert_eq!((session.working_tree, session.tree().len()), (Some(TREE + 0x100), 0x2000));
    session.script("fdt move 1800100 1800008");
    assert_eq!(session.output("fdt print"), before);
    assert!(session.refusal("fdt move 1800008 0").contains("page 0 is at 0x00000000-0x00000fff"));
    assert!(session.refusal("fdt move 1800008 2000000 10").contains("bytes, not 16"));
    assert_eq!(session.output("fdt print"), before);
}
