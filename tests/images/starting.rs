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
