//! Scripts that are tried: what is told of them.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use std::process::Command;

/// A directory with the files of the tutorials, of the sizes given; and the tree that they load.
fn directory(kernel: usize) -> (tempfile::TempDir, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("bcm2711-rpi-4-b.dtb");
    let source = repository().join("tests/fdt_commands/board.dts");
    let made = Command::new("dtc").args(["-q", "-@", "-O", "dtb", "-o"]).arg(&tree).arg(source).status().unwrap();
    assert!(made.success(), "install device-tree-compiler");
    fs::write(directory.path().join("xen"), vec![1; 983_048]).unwrap();
    fs::write(directory.path().join("Image-dom0"), vec![2; kernel]).unwrap();
    fs::copy(repository().join("tests/tutorial/boot2.source"), directory.path().join("boot2.scr")).unwrap();
    let tree = fs::read(tree).unwrap();
    (directory, tree)
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn tried(kernel: usize) -> Tried {
    let (directory, tree) = directory(kernel);
    let script = fs::read(repository().join("tests/tutorial/boot.source")).unwrap();
    on_card("boot.source", &script, Some(&tree), directory.path())
}

/// What comes of a script of the card, whose files are in `directory`.
fn on_card(name: &str, script: &[u8], tree: Option<&[u8]>, directory: &Path) -> Tried {
    try_script(&Script::on_card(name, 1, script), false, machine(tree, directory)).unwrap()
}

fn machine(tree: Option<&[u8]>, directory: &Path) -> Simulation {
    let mut machine = Simulation::raspberry_pi_4(Directory::new(directory)).unwrap();
    if let Some(tree) = tree {
        machine.put_firmware_tree(FIRMWARE_TREE, tree).unwrap();
    }
    machine
}

#[test]
fn the_tutorials_scripts_are_tried_and_their_mistakes_told() {
    let tried = tried(0x108_aa00);
    assert!(tried.started, "{:?}", tried.report);
    let names: Vec<(&str, u64)> = tried.loads.iter().map(|(name, range)| (name.as_str(), range.start)).collect();
    let expected =
        [("boot2.scr", 0xc0_0000), ("xen", 0xe0_0000), ("Image-dom0", 0x100_0000), ("bcm2711-rpi-4-b.dtb", 0x840_0000)];
    assert_eq!(names, expected);
    let lints = &tried.warnings;
    // The files are of the right sizes, and nothing else.
    let [ramdisk, kernel, xen, console] = &lints[..] else { panic!("{lints:?}") };
    assert!(
        ramdisk.starts_with("/chosen/dom0-ramdisk says that it lies at 0x02200000-0x08213e85, and nothing was"),
        "{lints:?}"
    );
    assert!(kernel.starts_with("Dom0 kernel: no arm64 Image (17345024 bytes)"), "{lints:?}");
    assert_eq!(xen, "nothing in the image says that it is Xen");
    assert!(console.starts_with("Xen's console will be on /soc/serial@7e201000 (PL011, wired to the Bluetooth chip)"));
    assert!(tried.source.contains("\t\tdom0 {\n\t\t\treg = <0x01000000 0x0108aa00>;\n"), "{:?}", tried.report);
    assert!(
        tried.report.edits.starts_with("== changes in the device tree bcm2711-rpi-4-b.dtb\n"),
        "{:?}",
        tried.report
    );
    assert!(tried.report.edits.contains("\n+ /chosen/dom0\n+ /chosen/dom0 compatible = "), "{:?}", tried.report);
    assert!(!tried.report.warnings.contains("never used"), "{:?}", tried.report);
}

#[test]
fn what_the_board_would_say_before_the_jump_is_told() {
    let (directory, tree) = directory(100);
    let script = "load mmc 0:1 200000 xen; load mmc 0:1 1000000 Image-dom0; fdt addr $fdt_addr\n\
        fdt set /chosen xen,xen-bootargs \"dtuart=serial1 dom0_mem=4G dom0_max_vcpu=1\"\n\
        fdt mknod /chosen dom0; fdt set /chosen/dom0 compatible multiboot,kernel multiboot,module\n\
        fdt set /chosen \\#address-cells <1>; fdt set /chosen \\#size-cells <1>\n\
        fdt set /chosen/dom0 reg <0x1000000 100>\nbooti 200000 - $fdt_addr\n";
    let told = on_card("boot.scr", script.as_bytes(), Some(&tree), directory.path()).warnings;
    for expected in [
        "Dom0 kernel: no arm64 Image",
        "Xen does not know \"dom0_max_vcpu\" of its args, and will go on without it: is dom0_max_vcpus meant?",
        "dom0_mem=4096M: Xen will panic, it finds ",
    ] {
        assert!(told.iter().any(|told| told.starts_with(expected)), "{expected}: {told:?}");
    }
}

#[test]
fn a_kernel_of_today_is_told_to_be_larger_than_the_script_says() {
    let lints = tried(0x1f6_dfc0).warnings;
    assert!(
        lints
            .iter()
            .any(|lint| lint
                == "/chosen/dom0 says 0x108aa00 bytes, and Image-dom0 has 0x1f6dfc0: Xen wants the exact size"),
        "{lints:?}"
    );
    assert!(lints.iter().any(|lint| lint.starts_with("/chosen/dom0-ramdisk says that it lies at 0x02200000-0x08213e85; there is only Image-dom0 at 0x01000000-0x02f6dfbf")), "{lints:?}");
}

#[test]
fn a_script_that_starts_nothing_shows_what_it_leaves() {
    let (directory, _) = directory(100);
    let script =
        b"load mmc 0:1 2000000 XEN\nload mmc 0:1 3000000 ../outside\ntftpboot 4000000 xen\ntftpboot 5000000 Xen\n";
    let tried = on_card("boot.scr", script, None, directory.path());
    assert!(!tried.started);
    assert_eq!(tried.why, "the script came to its end, its last command failed (status 1)");
    assert!(tried.report.prints.contains("../outside leads out of "), "{:?}", tried.report);
    assert!(tried.report.boots.contains("in memory    0x02000000-0x020f0007  XEN\n"), "{:?}", tried.report);
    let expected = format!("Xen is not on the TFTP server: there is no {}\n", directory.path().join("Xen").display());
    assert!(tried.report.warnings.contains(&expected), "{:?}", tried.report);
    assert!(
        tried.report.warnings.contains("xen at 0x04000000-0x040f0007 was loaded and never used\n"),
        "{:?}",
        tried.report
    );
}

#[test]
fn a_path_may_go_back_within_the_card() {
    let (directory, _) = directory(100);
    let tried = on_card("boot.scr", b"load mmc 0:1 2000000 extlinux/../no/./../XEN\n", None, directory.path());
    assert!(tried.report.boots.contains("in memory    0x02000000-0x020f0007  "), "{:?}", tried.report);
}

#[test]
fn a_script_begins_as_on_the_board() {
    let (directory, _) = directory(100);
    let show = b"echo $devtype $devnum:$distro_bootpart $prefix $mine $ipaddr\n";
    let card = on_card("boot/boot.scr", show, None, directory.path());
    assert!(card.report.prints.ends_with("Running boot/boot.scr.\nmmc 0:1 /boot/\n"), "{:?}", card.report);
    fs::write(directory.path().join("uboot.env"), saved(b"mine=of uboot.env\0bootcmd=run $mine\0")).unwrap();
    let script = Script::from_network("boot.scr", show);
    let network = try_script(&script, true, machine(None, directory.path())).unwrap();
    let expected = "Variables: 2 from uboot.env on the card.\nRunning boot.scr.\ndhcp : of uboot.env 192.168.0.2\n";
    assert!(network.report.prints.ends_with(expected), "{:?}", network.report);
    assert!(!network.report.warnings.contains("never used"), "{:?}", network.report);
}

/// Variables as U-Boot saves them.
fn saved(text: &[u8]) -> Vec<u8> {
    let mut data = text.to_vec();
    data.resize(0x3ffc, 0);
    let mut checksum = flate2::Crc::new();
    checksum.update(&data);
    [checksum.sum().to_le_bytes().as_slice(), &data].concat()
}

#[test]
fn the_changes_are_those_since_the_tree_was_loaded_wherever_it_went() {
    let (directory, tree) = directory(100);
    for script in [
        "load mmc 0:1 2000000 bcm2711-rpi-4-b.dtb; fdt addr 2000000; fdt set /chosen bootargs quiet",
        "load mmc 0:1 2000000 bcm2711-rpi-4-b.dtb; fdt move 2000000 3000000; fdt set /chosen bootargs quiet",
        "fdt addr $fdt_addr; fdt set /chosen bootargs quiet",
    ] {
        let tried = on_card("boot.scr", script.as_bytes(), Some(&tree), directory.path());
        let lines: Vec<&str> = tried.report.edits.lines().filter(|line| !line.is_empty()).collect();
        assert!(
            matches!(lines[..], [heading, line] if heading.starts_with("== changes in the device tree ")
            && (line.starts_with("~ /chosen bootargs = ") && line.ends_with(" -> \"quiet\"")
                || line == "+ /chosen bootargs = \"quiet\"")),
            "{script}: {lines:?}"
        );
    }
}

#[test]
fn a_program_without_a_header_is_jumped_to() {
    let (directory, _) = directory(100);
    let tried = on_card(
        "boot.scr",
        b"load mmc 0:1 80000 xen; load mmc 0:1 1000000 boot2.scr; go 80000\n",
        None,
        directory.path(),
    );
    assert!(tried.started);
    assert!(tried.report.boots.contains("== jumps to 0x80000"), "{:?}", tried.report);
    assert!(
        tried.report.warnings.ends_with("boot2.scr at 0x01000000-0x01000452 was loaded and never used\n"),
        "{:?}",
        tried.report
    );
}

#[test]
fn what_is_no_script_of_a_card_is_refused_in_words() {
    let (directory, _) = directory(100);
    let refused = |path, bytes| script(path, bytes, false, directory.path()).unwrap_err().to_string();
    assert!(refused("loader.toml", b"").contains("is settings and no script"));
    assert!(refused("extlinux.conf", b"").contains("is read from the card: put it into"));
    fs::write(directory.path().join("uboot.env"), saved(b"a=b\0")).unwrap();
    assert!(refused("uboot.env", &saved(b"a=b\0")).contains("no bootcmd that somebody set"));
}
