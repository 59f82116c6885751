//! Commands that read the tree, against fdtget.

use crate::oracle::{compile, fdtget};
use crate::session::{SOURCE, Session};

fn got(session: &mut Session, line: &str) -> Option<String> {
    session.environment.set("v", "");
    session.script(&format!("fdt get {line}"));
    session.environment.get("v").map(String::from)
}

#[test]
fn values_become_variables_in_u_boots_spelling() {
    let mut session = Session::new();
    let tree = compile(SOURCE);
    for (line, expected) in [
        ("value v / model", "Raspberry Pi 4 Model B"),
        ("value v / compatible", "raspberrypi,4-model-b"),
        ("value v / compatible 1", "brcm,bcm2711"),
        ("value v /cpus/cpu@1 reg", "0x00000001"),
        ("value v serial1 reg 1", "0x00000040"),
        ("value v serial1 reg", "7e21504000000040"),
        ("value v serial1 local-mac-address", "dca632010203"),
        ("value v /soc/serial compatible", "arm,pl011"),
        ("name v /cpus 1", "cpu@1"),
        ("size v /cpus", "2"),
        ("size v / compatible", "23"),
        ("size v serial1 local-mac-address", "6"),
    ] {
        assert_eq!(got(&mut session, line).as_deref(), Some(expected), "{line}");
    }
    assert_eq!(got(&mut session, "value v serial0 cts"), None, "no value is no variable");
    assert_eq!(fdtget(&tree, &["-t", "s", "/", "model"]), "Raspberry Pi 4 Model B");
    for (path, name, index) in [("/soc", "ranges", 2), ("/soc/serial@7e215040", "reg", 0), ("/memory@0", "reg", 2)] {
        let ours = got(&mut session, &format!("value v {path} {name} {index}")).unwrap();
        let theirs = fdtget(&tree, &["-t", "x", path, name]);
        let theirs = theirs.split(' ').nth(index).unwrap();
        assert_eq!(u32::from_str_radix(&ours[2..], 16), u32::from_str_radix(theirs, 16), "{path} {name}");
    }
}

#[test]
fn the_address_of_a_value_is_where_md_finds_it() {
    use xenlift::shell::Platform;
    let mut session = Session::new();
    let address = u64::from_str_radix(&got(&mut session, "addr v / model").unwrap(), 16).unwrap();
    let range = xenlift::range::PhysicalRange { start: address, end: address + 9 };
    assert_eq!(session.machine.memory(range).unwrap(), b"Raspberry");
}

#[test]
fn what_is_not_there_is_said() {
    let mut session = Session::new();
    assert_eq!(session.refusal("fdt get value v /chosen nothing"), "device tree node /chosen has no property nothing");
    assert_eq!(session.refusal("fdt get value v / compatible 2"), "compatible of / has no entry number 2");
    assert_eq!(session.refusal("fdt get value v /soc ranges 4"), "ranges of /soc has no entry number 4");
    assert_eq!(session.refusal("fdt get name v /cpus 2"), "/cpus has no child number 2");
    assert_eq!(
        session.refusal("fdt get value v /soc/nothing a"),
        "the device tree has no node /soc/nothing: no nothing there"
    );
    assert!(session.refusal("fdt header get v nothing").contains("it has magic, totalsize"));
}

#[test]
fn a_huge_value_is_neither_printed_nor_made_a_variable() {
    let mut session = Session::new();
    session.script(&format!("fdt set /chosen huge \"{}\"", "x".repeat(100_000)));
    assert_eq!(
        session.refusal("fdt get value v /chosen huge"),
        "the value has 100000 characters, expected at most 16384"
    );
    let said = session.output("fdt print /chosen huge");
    assert!(said.starts_with("huge = * 0x000000000180") && said.ends_with("[0x000186a1]\n"), "{said}");
    session.environment.set("fdt_max_dump", "4");
    let said = session.output("fdt print serial1 reg");
    assert!(said.contains("[0x00000008]"), "{said}");
}

#[test]
fn a_long_tree_is_printed_whole_and_ctrl_c_ends_it() {
    let mut session = Session::new();
    for node in 0..300 {
        session.script(&format!("fdt mknode /chosen node{node}\n fdt set /chosen/node{node} a <{node}>"));
    }
    let said = session.output("fdt print");
    assert_eq!(said.lines().filter(|line| line.contains("\t\ta = ")).count(), 300);
    assert_eq!(said.matches('{').count(), said.matches("};").count());
    session.machine.interrupt_at = Some(xenlift::time::Instant::from_micros(0));
    assert!(matches!(session.run("fdt print"), Err(xenlift::shell::Failure::Interrupted)));
}
