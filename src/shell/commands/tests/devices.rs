//! Files, the card and its partitions, what is unpacked, and what is not here.

use super::{environment, image, machine, machine_with_programs, reason, say, sized};
use crate::shell::simulation::Asked;
use crate::shell::{Failure, Shell};
use alloc::format;

#[test]
fn load_takes_a_piece_of_a_file() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "load mmc 0:1 2000000 boot.scr").unwrap());
    assert_eq!(shell.environment.get("filesize"), Some("a"));
    assert!(say(&mut shell, "fatload mmc 0 3000000 /boot.scr 3 4").unwrap());
    assert_eq!(shell.platform.memory(sized(0x300_0000, 4)).unwrap(), b"456\0");
    assert!(reason(&mut shell, "load mmc 0:2 2000000 boot.scr").contains("there is no mmc 0:2"));
    assert!(reason(&mut shell, "load mmc 0:1 2000000 nowhere").contains("no such file"));
    assert!(reason(&mut shell, "ext4load mmc 0:2 2000000 boot.scr").contains("ext4 is not read here"));
    assert!(matches!(say(&mut shell, "load mmc"), Err(Failure::Usage)));
}

#[test]
fn directories_and_sizes_can_be_asked_for() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "ls mmc 0:1").unwrap());
    assert!(say(&mut shell, "size mmc 0:1 overlays/a.dtbo").unwrap());
    assert_eq!(shell.environment.get("filesize"), Some("7"));
    assert_eq!(machine.output, "        10   boot.scr\n             overlays/\n");
}

#[test]
fn partitions_are_told_in_variables() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "part list mmc 0 -bootable devplist").unwrap());
    assert!(say(&mut shell, "part start mmc 0 1 first").unwrap());
    assert!(say(&mut shell, "part size mmc 0 1 blocks").unwrap());
    assert!(say(&mut shell, "part number mmc 0 1 number").unwrap());
    assert!(say(&mut shell, "fstype mmc 0:1 kind").unwrap());
    for (name, value) in
        [("devplist", "1"), ("first", "2000"), ("blocks", "100000"), ("number", "0x1"), ("kind", "fat")]
    {
        assert_eq!(shell.environment.get(name), Some(value), "{name}");
    }
    assert!(reason(&mut shell, "part start mmc 0 2 first").contains("no partition 2"));
    assert!(reason(&mut shell, "part number mmc 0 boot n").contains("have numbers and no names"));
}

#[test]
fn what_only_makes_a_device_ready_succeeds_and_what_would_load_says_what_to_use() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    for line in ["usb start", "pci enum", "mmc rescan", "mmc dev 0"] {
        assert!(say(&mut shell, line).unwrap(), "{line}");
    }
    for line in ["usb storage", "nvme scan", "scsi scan", "mmc read 1000000 0 1"] {
        let said = reason(&mut shell, line);
        assert!(said.contains("mmc 0:1") && said.contains("load"), "{line}: {said}");
    }
}

#[test]
fn commands_of_u_boots_that_are_not_here_are_harmless_or_say_what_to_use() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    for line in
        ["mmcinfo", "dcache off", "icache on", "dcache flush", "kaslrseed", "if mmcinfo; then true; else false; fi"]
    {
        assert!(shell.run_typed(line).unwrap(), "{line}");
    }
    let wrote = "nothing is ever written";
    for (line, expected) in [
        ("fatwrite mmc 0:1 1000000 log 100", wrote),
        ("fatw mmc 0:1 1000000 log 100", wrote),
        ("save mmc 0:1 1000000 log 100", wrote),
        ("ext4write mmc 0:2 1000000 /log 100", wrote),
        ("fpga load 0 1000000 100", "no FPGA"),
        ("fsuuid mmc 0:1", "part uuid"),
        ("bootp", "`dhcp`"),
        ("pxe get", "`sysboot`"),
        ("askenv name", "`setenv`"),
        ("gpio set 4", "config.txt"),
        ("bootz 1000000 - 2000000", "`booti`"),
        ("nfs 1000000 10.0.0.1:/xen", "`tftpboot`"),
        ("lzmadec 1000000 2000000", "`unzip`"),
    ] {
        let mut machine = super::machine();
        assert!(!Shell::new(&mut machine, environment(&[])).run_typed(line).unwrap(), "{line}");
        assert!(machine.output.contains(expected), "{line}: {}", machine.output);
    }
}

#[test]
fn a_partitions_number_for_the_kernel_is_the_tables_and_its_own() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    for device in ["0:1", "0", ":1", "0.0:1", "0:auto"] {
        assert!(say(&mut shell, &format!("part uuid mmc {device} uuid")).unwrap());
        assert_eq!(shell.environment.get("uuid"), Some("01234567-01"), "{device}");
        shell.environment.set("uuid", "");
    }
    assert!(reason(&mut shell, "part uuid mmc 0:2 uuid").contains("there is no mmc 0:2"));
    assert!(say(&mut shell, "part uuid mmc 0:1").unwrap());
    assert_eq!(machine.output, "01234567-01\n");
}

#[test]
fn a_gzip_file_is_unpacked_to_where_a_script_says() {
    let mut machine = machine_with_programs();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "tftpboot 5000000 Image.gz").unwrap());
    assert!(say(&mut shell, "unzip 5000000 6000000").unwrap());
    assert_eq!(shell.environment.get("filesize"), Some("1388"));
    assert_eq!(shell.platform.memory(sized(0x600_0000, 5000)).unwrap(), image(5000, 0x20_0000));
    assert!(shell.loaded.iter().any(|loaded| loaded.range == sized(0x600_0000, 5000)), "booti knows its length");
    assert!(reason(&mut shell, "unzip 5000000 7000000 100").contains("more than 0x100"));
    assert!(reason(&mut shell, "unzip 7000000 8000000").contains("nothing was loaded"));
}

#[test]
fn what_is_unpacked_lands_as_what_is_fetched_does() {
    let mut machine = machine_with_programs();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    for line in ["tftpboot 5000000 Image.gz", "tftpboot 4000000 tree", "fdt addr 4000000", "tftpboot 3000000 script"] {
        assert!(say(&mut shell, line).unwrap(), "{line}");
    }
    for line in
        ["unzip 5000000 4000010", "imxtract 3000000 0 4000010", "unzip 5000000 3fffff0", "imxtract 3000000 0 3fffff0"]
    {
        let said = reason(&mut shell, line);
        assert!(said.contains("the working tree"), "{line}: {said}");
    }
    assert!(say(&mut shell, "tftpboot 6000000 initrd").unwrap());
    assert!(say(&mut shell, "unzip 5000000 6000000").unwrap());
    assert!(say(&mut shell, "imxtract 3000000 0 6000100").unwrap());
    assert!(
        machine.output.contains("warning: Image.gz at 0x06000000-0x06001387 overwrites initrd at 0x06000000-"),
        "{}",
        machine.output
    );
    assert!(
        machine.output.contains("warning: 0 at 0x06000100-0x0600014c overwrites Image.gz at 0x06000000-"),
        "{}",
        machine.output
    );
}

#[test]
fn a_device_without_a_partition_is_its_first_and_hardware_partitions_are_refused_in_words() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    for (device, partition) in
        [("0", Some(1)), ("0:", Some(1)), ("0:auto", None), (":1", Some(1)), ("0.0:1", Some(1)), ("0:2", Some(2))]
    {
        let found = super::super::files::partition("mmc", device).unwrap();
        assert_eq!((found.device, found.partition), (0, partition), "{device}");
    }
    for line in ["load mmc 0.1:1 2000000 boot.scr", "mmc dev 0 1"] {
        assert!(reason(&mut shell, line).contains("boot partitions of an eMMC"), "{line}");
    }
    for line in ["mmc dev 0 0", "mmc res", "mmc p", "mmc i", "load mmc :1 2000000 boot.scr"] {
        assert!(say(&mut shell, line).unwrap(), "{line}");
    }
    assert!(matches!(say(&mut shell, "mmc re"), Err(Failure::Usage)), "rescan or read");
    assert!(reason(&mut shell, "load mmc 0\n:1 2000000 boot.scr").contains("\"0\\n\""), "a newline is seen");
}

#[test]
fn how_much_of_a_file_is_a_number_as_far_as_it_goes() {
    let mut machine = machine();
    machine.reserve("the loader", sized(0x3b00_0000, 0x10_0000)).unwrap();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "load mmc 0:1 2000000 boot.scr 3x 4kb").unwrap());
    assert_eq!(shell.platform.memory(sized(0x200_0000, 4)).unwrap(), b"456\0");
    assert!(say(&mut shell, "load mmc 0:1 2000000 boot.scr all ,").unwrap());
    assert_eq!(shell.environment.get("filesize"), Some("a"));
    // What is refused before it begins is named whole.
    for (line, range) in [("boot.scr", "0x3b000010-0x3b000019"), ("boot.scr 2 4", "0x3b000010-0x3b000011")] {
        let said = reason(&mut shell, &format!("load mmc 0:1 3b000010 {line}"));
        assert_eq!(said, format!("{range} is not free: the loader is at 0x3b000000-0x3b0fffff"));
    }
}

#[test]
fn a_directory_is_there_and_a_card_that_cannot_be_read_is_noted_once() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[("filesize", "7")]));
    for (line, there) in [
        ("test -e mmc 0:1 overlays", true),
        ("test -e mmc 0:1 /", true),
        ("test -e mmc 0:1 boot.scr", true),
        ("test -e mmc 0:1 nowhere", false),
        ("size mmc 0:1 overlays", true),
        ("test -e mmc 0:2 boot.scr", false),
        ("test -e mmc 0:2 boot.scr.uimg", false),
    ] {
        assert_eq!(say(&mut shell, line).unwrap(), there, "{line}");
    }
    assert_eq!(shell.environment.get("filesize"), Some("0"));
    assert!(reason(&mut shell, "size mmc 0:1 nowhere").contains("nowhere: not on the card"));
    assert_eq!(machine.output, "note: test -e mmc 0:2: there is no mmc 0:2\n");
}

#[test]
fn a_rescan_looks_for_the_card_anew() {
    let mut machine = machine();
    assert!(say(&mut Shell::new(&mut machine, environment(&[])), "mmc rescan").unwrap());
    assert_eq!(machine.asked, [Asked::Rescan]);
}

#[test]
fn what_a_partition_has_is_shown_where_no_variable_is_named() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "part start mmc 0 1").unwrap());
    assert!(say(&mut shell, "part size mmc 0 1").unwrap());
    assert_eq!(machine.output, "2000\n100000\n");
}
