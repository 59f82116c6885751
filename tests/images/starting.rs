//! `bootm` and `booti` of images made by the real mkimage: where the program and the ramdisk in them lie, and which are refused.

use std::process::Command;

use xenlift::range::PhysicalRange;
use xenlift::shell::commands::all;
use xenlift::shell::simulation::Asked;
use xenlift::shell::{Failure, Loaded, Platform};

use super::{ADDRESS, Session, Workshop, gzip, kernel, reason};

/// Bytes of the header in front of a uImage's data.
const HEADER: u64 = 64;
const TREE: u64 = 0x560_0000;
const RAMDISK: u64 = 0x570_0000;

/// What begins as an arm64 Image does: for U-Boot and for us only its magic and sizes count.
fn program() -> Vec<u8> {
    let mut bytes = kernel();
    bytes[8..16].fill(0);
    bytes[16..24].copy_from_slice(&0x20_0000_u64.to_le_bytes());
    bytes[24..32].fill(0);
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

fn image(kind: &str, compression: &str, data: &[u8]) -> Vec<u8> {
    let workshop = Workshop::new();
    let data = workshop.file("data", data);
    let place = ["-a", "0x200000", "-e", "0x200000", "-n", "an image"];
    let what = ["-A", "arm64", "-O", "linux", "-T", kind, "-C", compression];
    workshop.mkimage(&[&what[..], &place, &["-d", &data]].concat())
}

fn tree() -> Vec<u8> {
    let workshop = Workshop::new();
    let source = workshop.file("tree.dts", b"/dts-v1/; / { #address-cells = <2>; #size-cells = <1>; chosen { }; };");
    let output = Command::new("dtc").args(["-O", "dtb", &source]).output().expect("install device-tree-compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A machine with `image` at [`ADDRESS`], a tree, and `ramdisk` as a script would have loaded them.
fn session(image: &[u8], ramdisk: &[u8]) -> Session {
    let mut session = Session::with(image);
    for (name, address, bytes) in [("tree", TREE, &tree()[..]), ("ramdisk", RAMDISK, ramdisk)] {
        let range = PhysicalRange::sized(address, bytes.len() as u64).unwrap();
        session.machine.memory_mut(range).unwrap().copy_from_slice(bytes);
        session.loaded.push(Loaded { name: name.into(), range, spent: false });
    }
    session
}

fn start(session: &mut Session, line: &str) -> Failure {
    let words: Vec<String> = line.split(' ').map(String::from).collect();
    let command = all().find(|command| command.name == words[0]).unwrap();
    session.shell(|shell| (command.run)(shell, &words)).unwrap_err()
}

/// The program and the ramdisk that `line` starts.
fn started(session: &mut Session, line: &str) -> (PhysicalRange, Option<PhysicalRange>) {
    assert!(matches!(start(session, line), Failure::Ended), "{}", session.machine.output);
    match session.machine.asked.pop() {
        Some(Asked::Booted { program, ramdisk, tree, .. }) => {
            assert_eq!(tree.start, TREE);
            (program, ramdisk)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn bootm_starts_the_program_behind_the_header() {
    let mut session = session(&image("kernel", "none", &program()), b"ramdisk");
    let (found, ramdisk) = started(&mut session, "bootm 2400000 - 5600000");
    assert_eq!(found, PhysicalRange::sized(ADDRESS + HEADER, program().len() as u64).unwrap());
    assert_eq!(ramdisk, None);
    // Without an address it is where `loadaddr` says.
    session.environment.set("loadaddr", "2400000");
    session.environment.set("fdt_addr", "5600000");
    assert_eq!(started(&mut session, "bootm").0.start, ADDRESS + HEADER);
    let (_, ramdisk) = started(&mut session, "bootm 2400000 5700000:7 5600000");
    assert_eq!(ramdisk, PhysicalRange::sized(RAMDISK, 7));
}

#[test]
fn bootm_unpacks_a_gzip_program_to_where_nothing_lies() {
    let whole = program();
    let image = image("kernel", "gzip", &gzip(&whole));
    let mut session = session(&image, b"ramdisk");
    let (program, _) = started(&mut session, "bootm 2400000 - 5600000");
    assert_eq!(session.bytes(program.start, whole.len()), whole);
    assert_eq!(program.size(), whole.len() as u64);
    let taken = PhysicalRange::sized(ADDRESS, image.len() as u64).unwrap();
    assert!(!program.overlaps(&taken) && program.start % 0x20_0000 == 0, "{program}");
}

#[test]
fn a_ramdisk_of_mkimage_is_taken_out_of_its_image_and_another_as_it_is() {
    let ramdisk = b"the cpio archive of a ramdisk";
    let wrapped = image("ramdisk", "none", ramdisk);
    let mut session = session(&program(), &wrapped);
    for line in ["booti 2400000 5700000 5600000", "booti 2400000 5700000:1000 5600000"] {
        let (program, found) = started(&mut session, line);
        assert_eq!(program.start, ADDRESS, "{line}");
        assert_eq!(found, PhysicalRange::sized(RAMDISK + HEADER, ramdisk.len() as u64), "{line}");
    }
    let mut session = self::session(&program(), ramdisk);
    let (_, found) = started(&mut session, "booti 2400000 5700000 5600000");
    assert_eq!(found, PhysicalRange::sized(RAMDISK, ramdisk.len() as u64));
}

/// Where the image wants a ramdisk and a file beside it.
const LOAD: u64 = 0x800_0000;
const BESIDE: u64 = 0x900_0000;

fn compiled(workshop: &Workshop, source: &str) -> Vec<u8> {
    let source = workshop.file("source.dts", source.as_bytes());
    let output = Command::new("dtc").args(["-@", "-O", "dtb", &source]).output().expect("install device-tree-compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A FIT image with a configuration for Xen, one that is packed, and others with something amiss.
fn fit() -> Vec<u8> {
    let workshop = Workshop::new();
    workshop.file("xen", &program());
    workshop.file("xen.gz", &gzip(&program()));
    workshop.file("dom0", b"the kernel of Dom0");
    workshop.file("ramdisk", b"a ramdisk, packed for its kernel");
    let tree = compiled(
        &workshop,
        "/dts-v1/; / { #address-cells = <2>; #size-cells = <1>; chosen { name-of = \"base\"; }; };",
    );
    workshop.file("tree", &tree);
    workshop.file("tree.gz", &gzip(&tree));
    let overlay = compiled(&workshop, "/dts-v1/; /plugin/; &{/chosen} { added = \"by the overlay\"; };");
    workshop.file("overlay", &overlay);
    let image = |name: &str, file: &str, kind: &str, compression: &str, load: &str| {
        format!(
            r#"{name} {{ description = "{name}"; data = /incbin/("{file}"); type = "{kind}"; arch = "arm64"; os = "linux"; {load} compression = "{compression}"; hash-1 {{ algo = "sha256"; }}; }};"#
        )
    };
    let place = "load = <0x200000>; entry = <0x200000>;";
    let source = format!(
        r#"/dts-v1/; / {{ description = "Xen"; #address-cells = <1>;
        images {{ {} {} {} {} {} {} {} {} }};
        configurations {{ default = "plain";
            plain {{ kernel = "xen"; ramdisk = "initrd"; fdt = "tree"; loadables = "dom0"; }};
            packed {{ kernel = "xen-gz"; fdt = "tree-gz", "overlay"; }};
            bare {{ kernel = "xen"; }};
            lzma {{ kernel = "xen-lzma"; }};
            lost {{ kernel = "xen"; fdt = "nowhere"; }}; }}; }};"#,
        image("xen", "xen", "kernel", "none", place),
        image("xen-gz", "xen.gz", "kernel", "gzip", place),
        image("xen-lzma", "xen.gz", "kernel", "lzma", place),
        image("dom0", "dom0", "kernel", "none", &format!("load = <{BESIDE:#x}>; entry = <{BESIDE:#x}>;")),
        image("initrd", "ramdisk", "ramdisk", "gzip", &format!("load = <{LOAD:#x}>;")),
        image("tree", "tree", "flat_dt", "none", ""),
        image("tree-gz", "tree.gz", "flat_dt", "gzip", ""),
        image("overlay", "overlay", "flat_dt", "none", "load = <0x6000000>;"),
    );
    let source = workshop.file("image.its", source.as_bytes());
    workshop.mkimage(&["-f", &source])
}

/// What `line` starts of the FIT image: program, ramdisk, tree as text.
fn started_fit(session: &mut Session, line: &str) -> (Vec<u8>, Option<PhysicalRange>, String) {
    assert!(matches!(start(session, line), Failure::Ended), "{line}: {}", session.machine.output);
    let Some(Asked::Booted { program, ramdisk, tree, .. }) = session.machine.asked.pop() else { panic!("{line}") };
    let tree = String::from_utf8_lossy(session.bytes(tree.start, tree.size() as usize)).into_owned();
    (session.bytes(program.start, program.size() as usize).to_vec(), ramdisk, tree)
}

#[test]
fn bootm_starts_a_configuration_of_a_fit_image() {
    let mut session = session(&fit(), b"another ramdisk");
    let (found, ramdisk, tree) = started_fit(&mut session, "bootm 2400000");
    assert_eq!(found, program());
    let expected = b"a ramdisk, packed for its kernel";
    assert_eq!(ramdisk, PhysicalRange::sized(LOAD, expected.len() as u64), "where its load says");
    assert_eq!(session.bytes(LOAD, expected.len()), expected);
    assert!(tree.contains("base") && !tree.contains("by the overlay"));
    assert_eq!(session.bytes(BESIDE, 18), b"the kernel of Dom0");

    let (found, ramdisk, tree) = started_fit(&mut session, "bootm 2400000#packed");
    assert_eq!((found, ramdisk), (program(), None));
    assert!(tree.contains("base") && tree.contains("by the overlay"));
}

#[test]
fn what_a_command_names_stands_in_the_place_of_the_configurations() {
    let mut session = session(&fit(), b"another ramdisk");
    let (_, ramdisk, tree) = started_fit(&mut session, "bootm 2400000 5700000:7 5600000");
    assert_eq!(ramdisk, PhysicalRange::sized(RAMDISK, 7));
    assert!(!tree.contains("base"));
    let (_, ramdisk, tree) = started_fit(&mut session, "bootm 2400000 -");
    assert_eq!(ramdisk, None);
    assert!(tree.contains("base"));
    // One by one, with a kernel that is no configuration's.
    let (found, ramdisk, tree) = started_fit(&mut session, "bootm 2400000:xen-gz 2400000:initrd 2400000#packed");
    assert_eq!((found, ramdisk.map(|range| range.start)), (program(), Some(LOAD)));
    assert!(tree.contains("base"));
    // Without a tree in the configuration it is the firmware's, as it is for any other program.
    session.environment.set("fdt_addr", "5600000");
    let (_, _, tree) = started_fit(&mut session, "bootm 2400000#bare");
    assert!(!tree.contains("base"));
}

#[test]
fn a_fit_image_that_cannot_be_started_says_why() {
    let mut whole = session(&fit(), b"");
    for (line, expected) in [
        ("bootm 2400000#none - 5600000", "no configuration none"),
        ("bootm 2400000#lost", "no file nowhere"),
        ("bootm 2400000:none - 5600000", "no file none"),
        ("bootm 2400000#lzma - 5600000", "compressed with lzma; expected gzip or nothing"),
        ("bootm 2400000 2400000:none 5600000", "no file none"),
        ("bootm 2400000 - 2400000#bare", "configuration bare of the FIT image has no fdt"),
    ] {
        let said = reason(start(&mut whole, line));
        assert!(said.contains(expected), "{line}: {said}");
    }
    // Over itself, over what must stay, over what the script loaded.
    let mut over = session(&fit(), b"");
    over.machine.reserve("the loader", PhysicalRange { start: BESIDE + 10, end: BESIDE + 0x1000 }).unwrap();
    assert!(
        reason(start(&mut over, "bootm 2400000")).contains("room for 0xa bytes from 0x9000000 on, up to the loader")
    );
    let mut over = session(b"", b"");
    let image = fit();
    let range = PhysicalRange::sized(LOAD - 0x100, image.len() as u64).unwrap();
    over.machine.memory_mut(range).unwrap().copy_from_slice(&image);
    let said = reason(start(&mut over, &format!("bootm {:x}", range.start)));
    assert!(
        said.contains("initrd of the FIT image is to lie at 0x08000000-") && said.contains("over the image itself"),
        "{said}"
    );
    let mut over = session(&fit(), b"");
    over.loaded.push(Loaded { name: "mine".into(), range: PhysicalRange::sized(LOAD, 4).unwrap(), spent: false });
    started_fit(&mut over, "bootm 2400000");
    assert!(
        over.machine.output.contains("initrd at 0x08000000-0x0800001f overwrites mine at "),
        "{}",
        over.machine.output
    );
    // A byte of the first file.
    let mut damaged = fit();
    let at = damaged.windows(100).position(|window| window == &program()[1000..1100]).unwrap();
    damaged[at] ^= 1;
    let mut damaged = session(&damaged, b"");
    assert!(reason(start(&mut damaged, "bootm 2400000")).contains("xen of the FIT image is damaged: sha256"));
    damaged.environment.set("verify", "n");
    assert_ne!(started_fit(&mut damaged, "bootm 2400000").0, program());
}

#[test]
fn a_damaged_image_is_started_only_where_verify_says_no_and_what_is_no_kernel_never() {
    let mut bytes = image("kernel", "none", &program());
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let mut damaged = session(&bytes, b"ramdisk");
    assert!(reason(start(&mut damaged, "bootm 2400000 - 5600000")).contains("CRC-32"));
    damaged.environment.set("verify", "n");
    assert_eq!(started(&mut damaged, "bootm 2400000 - 5600000").0.start, ADDRESS + HEADER);

    let mut wrapped = image("ramdisk", "none", b"a ramdisk");
    wrapped[HEADER as usize] ^= 1;
    let mut damaged = session(&program(), &wrapped);
    assert!(reason(start(&mut damaged, "booti 2400000 5700000 5600000")).contains("CRC-32"));

    let mut ramdisk = session(&image("ramdisk", "none", b"a ramdisk"), b"");
    assert!(reason(start(&mut ramdisk, "bootm 2400000 - 5600000")).contains("no kernel"));
    let mut packed = session(&image("kernel", "lzma", &program()), b"");
    assert!(reason(start(&mut packed, "bootm 2400000 - 5600000")).contains("expected gzip or nothing"));
    let mut plain = session(&program(), b"");
    assert!(reason(start(&mut plain, "bootm 2400000 - 5600000")).contains("is started by `booti`"));
}
