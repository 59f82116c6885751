//! Commands that change the tree, against fdtput and fdtoverlay.

use crate::oracle::{compile, decompile, fdtoverlay, fdtput};
use crate::session::{SOURCE, Session};

/// Runs `script` on one copy of the small tree and fdtput with each of `edits` on another.
fn same_as_fdtput(script: &str, edits: &[&[&str]]) {
    let mut session = Session::new();
    session.script(script);
    let expected = edits.iter().fold(compile(SOURCE), |tree, arguments| fdtput(&tree, arguments));
    assert_eq!(decompile(&session.tree()).unwrap(), decompile(&expected).unwrap(), "{script}");
}

#[test]
fn every_form_of_value_sets_what_fdtput_sets() {
    same_as_fdtput(
        r#"fdt set /chosen #address-cells <0x2>
        fdt set /chosen #size-cells <2>
        fdt set /chosen cells <1024 0x1000000 010>
        fdt set /chosen spread <0x0 0xE00000 0x0 0x7A1200 >
        fdt set /chosen pool < 5 0xfffffffe>
        fdt set /chosen bootargs "console=dtuart dom0_mem=1500M   "
        fdt set /chosen compatible  "xen,linux-zimage" "xen,multiboot-module" "multiboot,module"
        fdt set /chosen bytes [00 11 ff]
        fdt set /chosen direct-map
        fdt set /chosen empty-text ""
        fdt set /chosen none <>"#,
        &[
            &["-t", "x", "/chosen", "#address-cells", "2"],
            &["-t", "x", "/chosen", "#size-cells", "2"],
            &["-t", "x", "/chosen", "cells", "400", "1000000", "8"],
            &["-t", "x", "/chosen", "spread", "0", "e00000", "0", "7a1200"],
            &["-t", "x", "/chosen", "pool", "5", "fffffffe"],
            &["-t", "s", "/chosen", "bootargs", "console=dtuart dom0_mem=1500M   "],
            &["-t", "s", "/chosen", "compatible", "xen,linux-zimage", "xen,multiboot-module", "multiboot,module"],
            &["-t", "bx", "/chosen", "bytes", "0", "11", "ff"],
            &["-t", "x", "/chosen", "direct-map"],
            &["-t", "s", "/chosen", "empty-text", ""],
            &["-t", "x", "/chosen", "none"],
        ],
    );
}

#[test]
fn a_question_mark_keeps_a_cell_of_the_old_value() {
    same_as_fdtput(
        "fdt set /soc ranges <? 0x1 ? 0x2000000>",
        &[&["-t", "x", "/soc", "ranges", "7e000000", "1", "fe000000", "2000000"]],
    );
    let refusal = Session::new().refusal("fdt set /soc ranges <? ? ? ? ?>");
    assert_eq!(refusal, "? keeps cell 4, which the property does not have");
}

#[test]
fn nodes_are_made_and_removed_where_libfdt_makes_them() {
    same_as_fdtput(
        r#"fdt mknod /chosen dom0
        fdt mknode /chosen domU0
        fdt set /chosen/domU0 compatible "xen,domain"
        fdt mknod /chosen/domU0 module@1800000
        fdt set /chosen/domU0/module reg <0x0 0x1800000>
        fdt mknode / late
        fdt rm /soc/serial@7e201000
        fdt rm serial1 reg
        fdt rm /cpus"#,
        &[
            &["-c", "/chosen/dom0"],
            &["-c", "/chosen/domU0"],
            &["-t", "s", "/chosen/domU0", "compatible", "xen,domain"],
            &["-c", "/chosen/domU0/module@1800000"],
            &["-t", "x", "/chosen/domU0/module", "reg", "0", "1800000"],
            &["-c", "/late"],
            &["-r", "/soc/serial@7e201000"],
            &["-d", "/soc/serial@7e215040", "reg"],
            &["-r", "/cpus"],
        ],
    );
}

#[test]
fn a_path_without_a_slash_begins_with_an_alias() {
    same_as_fdtput(r#"fdt set serial1 status "okay""#, &[&["-t", "s", "/soc/serial@7e215040", "status", "okay"]]);
}

#[test]
fn overlays_make_the_tree_that_fdtoverlay_makes() {
    let overlay = compile(
        r#"/dts-v1/; /plugin/;
        &uart0 { status = "disabled"; pins = <&new 5>; };
        &{/chosen} { first { }; second { a = <1>; b = <2>; }; };
        &cpu0 { new: extra@1 { link = <&cpu1>; }; };"#,
    );
    let mut session = Session::new();
    session.load("extra.dtbo", 0x320_0000, &overlay);
    session.script("fdt apply 3200000");
    let expected = fdtoverlay(&compile(SOURCE), &[&overlay]);
    let source = |tree: &[u8]| decompile(tree).unwrap();
    assert_eq!(source(&session.tree()), source(&expected));
}

#[test]
fn an_overlay_that_does_not_fit_the_tree_changes_nothing() {
    let overlay = compile("/dts-v1/; /plugin/; &nowhere { a; };");
    let mut session = Session::new();
    session.load("extra.dtbo", 0x320_0000, &overlay);
    let before = session.tree();
    assert!(session.refusal("fdt apply 3200000").contains("nowhere"));
    assert!(session.refusal("fdt apply 3300000").starts_with("no device tree at 0x3300000"));
    assert_eq!(session.tree(), before);
}

#[test]
fn chosen_takes_the_command_line_and_the_ramdisk() {
    let mut session = Session::new();
    session.environment.set("bootargs", "console=ttyS0");
    session.script("fdt chosen 2200000 103\n fdt chosen 2200000 100");
    let tree = session.tree();
    let expected = [
        &["-t", "s", "/chosen", "bootargs", "console=ttyS0"][..],
        &["-t", "x", "/chosen", "linux,initrd-start", "0", "2200000"],
        &["-t", "x", "/chosen", "linux,initrd-end", "0", "2200100"],
    ];
    let expected = expected.iter().fold(compile(SOURCE), |tree, arguments| fdtput(&tree, arguments));
    let expected = decompile(&expected).unwrap().replacen(
        "/memreserve/\t0x000000003b000000 0x0000000001000000;\n",
        "/memreserve/\t0x000000003b000000 0x0000000001000000;\n/memreserve/\t0x0000000002200000 0x0000000000000100;\n",
        1,
    );
    assert_eq!(decompile(&tree).unwrap(), expected);
}

#[test]
fn memory_is_one_bank_in_the_cells_of_the_root() {
    same_as_fdtput(
        "fdt memory 0 40000000",
        &[&["-t", "s", "/memory", "device_type", "memory"], &["-t", "x", "/memory", "reg", "0", "0", "40000000"]],
    );
}

#[test]
fn reservations_are_added_and_deleted_by_number() {
    let mut session = Session::new();
    session.script("fdt rsvmem add 1000000 2000\n fdt rsvmem delete 0");
    let text = session.output("fdt rsvmem print");
    let lines: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(lines, ["    0\t000000003b000000\t0000000001000000", "    1\t0000000001000000\t0000000000002000"]);
    assert_eq!(session.refusal("fdt rsvmem delete 2"), "no memory reservation number 2: there are 2");
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_the_tree() {
    let mut session = Session::new();
    let before = session.tree();
    for (line, expected) in [
        ("fdt set /chosen/dom0 reg <1>", "the device tree has no node /chosen/dom0: no dom0 there"),
        ("fdt set nowhere reg <1>", "the device tree has no node nowhere"),
        ("fdt set /chosen a/b <1>", "\"a/b\" is no name in a device tree: '/' is not allowed"),
        ("fdt set /chosen reg <1", "the value has no '>' at its end"),
        ("fdt mknode / chosen", "device tree node / already has a child chosen"),
        ("fdt rm /", "the root of a device tree cannot be deleted"),
        ("fdt rm /chosen nothing", "device tree node /chosen has no property nothing"),
        ("fdt rsvmem add 0 0", "a memory reservation of no bytes at 0x0"),
        ("fdt chosen ffffffffffffffff 2", "0x2 bytes from 0xffffffffffffffff pass the end of memory"),
        ("fdt frobnicate", "fdt has no frobnicate; `help fdt` shows what it has"),
    ] {
        assert_eq!(session.refusal(line), expected, "{line}");
    }
    assert_eq!(session.tree(), before);
}
