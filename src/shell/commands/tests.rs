//! Commands of network, files and devices, on the machine that is not there.

use super::all;
use crate::boot::digest::crc32;
use crate::range::PhysicalRange;
use crate::shell::platform::{Lease, Network};
use crate::shell::simulation::{Asked, FileMap, Simulation};
use crate::shell::{Environment, Failure, Outcome, Shell};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);

fn machine() -> Simulation {
    let mut files = FileMap::default();
    for (name, size) in [("xen", 5000), ("dir/boot.scr.uimg", 100)] {
        files.server.insert(name.to_string(), alloc::vec![7; size]);
    }
    files.card.insert("boot.scr".to_string(), b"0123456789".to_vec());
    files.card.insert("overlays/a.dtbo".to_string(), b"overlay".to_vec());
    let mut machine = Simulation::raspberry_pi_4(files).unwrap();
    machine.hosts.push(SERVER);
    machine.lease = Some(Lease {
        address: Some(Ipv4Addr::new(192, 168, 0, 2)),
        netmask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        gateway: None,
        server: Some(SERVER),
        likely_server: Some(SERVER),
        boot_file: Some("dir/boot.scr.uimg".to_string()),
    });
    machine
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let mut environment = Environment::default();
    environment.set("loadaddr", "0x1000000");
    for (name, value) in variables {
        environment.set(name, value);
    }
    environment
}

fn say(shell: &mut Shell<'_>, line: &str) -> Outcome {
    let arguments: Vec<String> = line.split(' ').map(String::from).collect();
    let command = all().find(|command| command.name == arguments[0]).unwrap();
    (command.run)(shell, &arguments)
}

/// The reason why `line` fails.
fn reason(shell: &mut Shell<'_>, line: &str) -> String {
    match say(shell, line) {
        Err(Failure::Reason(reason)) => reason.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}

fn sized(start: u64, size: u64) -> PhysicalRange {
    PhysicalRange { start, end: start + size }
}

#[test]
fn tftpboot_takes_an_address_a_file_both_or_neither() {
    for (line, address) in [
        ("tftpboot 2000000 xen", 0x200_0000),
        ("tftpboot 0x2000000 xen", 0x200_0000),
        ("tftpboot xen", 0x100_0000),
        ("tftpboot 2000000", 0x200_0000),
        ("tftpboot", 0x100_0000),
    ] {
        let mut machine = machine();
        let mut shell = Shell::new(&mut machine, environment(&[("bootfile", "xen"), ("serverip", "192.168.0.1")]));
        assert!(say(&mut shell, line).unwrap(), "{line}");
        assert_eq!(shell.environment.get("filesize"), Some("1388"), "{line}");
        assert_eq!(shell.environment.get("fileaddr"), Some(alloc::format!("{address:x}").as_str()), "{line}");
        let network = Network { server: Some(SERVER), ..Network::default() };
        let fetched = Asked::Fetched { path: "xen".to_string(), network, range: sized(address, 5000) };
        assert_eq!(machine.asked, [fetched], "{line}");
    }
}

#[test]
fn a_server_and_a_file_that_a_command_names_count_for_that_command_alone() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[("serverip", "10.0.0.1"), ("ipaddr", "192.168.0.2")]));
    assert!(say(&mut shell, "tftpboot 2000000 192.168.0.1:xen").unwrap());
    assert_eq!(shell.environment.get("serverip"), Some("10.0.0.1"));
    assert_eq!(shell.environment.get("bootfile"), None);
    shell.environment.set("serverip", "");
    shell.environment.set("bootfile", "kept");
    assert!(say(&mut shell, "tftpboot 2000000 192.168.0.1:xen").unwrap());
    assert_eq!((shell.environment.get("serverip"), shell.environment.get("bootfile")), (None, Some("kept")));
    let Asked::Fetched { network, .. } = &machine.asked[0] else { panic!() };
    assert_eq!((network.server, network.address, network.netmask), (Some(SERVER), Some([192, 168, 0, 2].into()), None));
}

#[test]
fn what_the_variables_say_must_make_sense() {
    for (name, value, expected) in [
        ("serverip", "tftp", "serverip is \"tftp\", expected an IPv4 address"),
        ("ipaddr", "192.168.0", "ipaddr is \"192.168.0\", expected an IPv4 address"),
        ("tftpblocksize", "70000", "tftpblocksize is 70000, expected at most 65535"),
        ("tftpwindowsize", "many", "\"many\" is not a decimal number"),
    ] {
        let mut machine = machine();
        let mut shell = Shell::new(&mut machine, environment(&[(name, value)]));
        let said = reason(&mut shell, "tftpboot 2000000 xen");
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn a_file_over_what_must_stay_is_refused_with_both_ranges() {
    let mut machine = machine();
    machine.reserve("the loader", sized(0x3b00_0000, 0x10_0000)).unwrap();
    machine.reserve("a reservation", sized(0x200_1000, 0x1000)).unwrap();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert_eq!(
        reason(&mut shell, "tftpboot 3b000010 xen"),
        "0x3b000010 is not free: the loader is at 0x3b000000-0x3b0fffff"
    );
    assert_eq!(
        reason(&mut shell, "tftpboot 2000000 xen"),
        "xen has 0x1388 bytes or more; there is room for 0x1000 bytes from 0x2000000 on, up to a reservation at \
         0x02001000-0x02001fff"
    );
    assert!(reason(&mut shell, "tftpboot 0 xen").contains("page 0"));
    assert!(reason(&mut shell, "tftpboot 3b400000 xen").contains("is not memory"));
    assert!(shell.loaded.is_empty());
    assert_eq!(machine.asked, []);
}

#[test]
fn dhcp_sets_the_variables_and_fetches_unless_autoload_is_no() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "dhcp").unwrap());
    for (name, value) in [
        ("ipaddr", "192.168.0.2"),
        ("netmask", "255.255.255.0"),
        ("serverip", "192.168.0.1"),
        ("bootfile", "dir/boot.scr.uimg"),
        ("filesize", "64"),
    ] {
        assert_eq!(shell.environment.get(name), Some(value), "{name}");
    }
    shell.environment.set("autoload", "no");
    shell.environment.set("filesize", "");
    assert!(say(&mut shell, "dhcp").unwrap());
    assert_eq!(shell.environment.get("filesize"), None);
    shell.environment.set("autoload", "yes");
    assert!(say(&mut shell, "dhcp 3000000 xen").unwrap(), "a file that is named wins over the server's");
    assert_eq!(shell.environment.get("fileaddr"), Some("3000000"));
}

#[test]
fn dhcp_keeps_a_server_that_is_set_where_the_answer_names_none() {
    let mut machine = machine();
    machine.lease.as_mut().unwrap().server = None;
    for (set, expected) in [("10.0.0.1", "10.0.0.1"), ("", "192.168.0.1")] {
        let mut shell = Shell::new(&mut machine, environment(&[("serverip", set), ("autoload", "no")]));
        assert!(say(&mut shell, "dhcp").unwrap());
        assert_eq!(shell.environment.get("serverip"), Some(expected), "{set:?}");
    }
    machine.lease.as_mut().unwrap().server = Some(SERVER);
    let mut shell = Shell::new(&mut machine, environment(&[("serverip", "10.0.0.1"), ("autoload", "no")]));
    assert!(say(&mut shell, "dhcp").unwrap());
    assert_eq!(shell.environment.get("serverip"), Some("192.168.0.1"), "one that is named counts for more");
}

#[test]
fn autoload_and_verify_are_a_yes_by_their_first_letter_and_a_no_by_any_other() {
    for (value, yes) in [
        ("", true),
        ("yes", true),
        ("Y", true),
        ("1", true),
        ("true", true),
        ("T", true),
        ("no", false),
        ("0", false),
        ("off", false),
        ("false", false),
        ("2", false),
    ] {
        let mut machine = machine();
        let mut shell = Shell::new(&mut machine, environment(&[("autoload", value), ("verify", value)]));
        assert!(say(&mut shell, "dhcp").unwrap());
        assert_eq!(shell.environment.get("filesize").is_some(), yes, "{value}");
        assert_eq!(shell.verifies(), yes, "{value}");
    }
}

/// Where `line` puts its file.
fn lands(shell: &mut Shell<'_>, line: &str) -> String {
    assert!(say(shell, line).unwrap(), "{line}");
    shell.environment.get("fileaddr").unwrap_or_default().to_string()
}

#[test]
fn what_names_no_address_goes_where_loadaddr_says_and_images_are_where_the_network_last_put_a_file() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[("serverip", "192.168.0.1")]));
    assert_eq!(shell.image_place, 0x100_0000);
    assert_eq!(lands(&mut shell, "tftpboot 2000000 xen"), "2000000");
    assert_eq!(shell.image_place, 0x200_0000);
    // The variable wins over where the last one went, for both.
    assert_eq!(lands(&mut shell, "tftpboot xen"), "1000000");
    assert_eq!(shell.image_place, 0x100_0000);
    assert!(say(&mut shell, "setenv loadaddr 0x3000000").unwrap());
    assert_eq!(shell.image_place, 0x300_0000, "setting it counts at once");
    assert_eq!(lands(&mut shell, "tftpboot xen"), "3000000");
    // A card's file is no image that a command without an address means.
    assert_eq!(lands(&mut shell, "load mmc 0:1 4000000 boot.scr"), "4000000");
    assert_eq!(shell.image_place, 0x300_0000);
    assert!(say(&mut shell, "tftpboot 5000000 nowhere").is_err());
    assert_eq!(shell.image_place, 0x500_0000, "one that does not come counts, too");
    // Without the variable the last place of the network's stays, and a card's is U-Boot's own.
    assert!(say(&mut shell, "setenv loadaddr").unwrap());
    assert_eq!(lands(&mut shell, "tftpboot xen"), "5000000");
    assert!(say(&mut shell, "setenv bootfile boot.scr").unwrap());
    assert_eq!(lands(&mut shell, "load mmc 0:1"), "1000000");
    assert!(say(&mut shell, "env default loadaddr").unwrap());
    assert_eq!(shell.image_place, 0x100_0000);
}

#[test]
fn ping_says_whether_a_host_answers() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "ping 192.168.0.1").unwrap());
    assert!(!say(&mut shell, "ping 192.168.0.77").unwrap());
    assert!(reason(&mut shell, "ping server").contains("expected an IPv4 address"));
    assert_eq!(machine.output, "host 192.168.0.1 is alive\nhost 192.168.0.77 is not alive\n");
}

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
    assert!(say(&mut shell, "fstype mmc 0:1 kind").unwrap());
    for (name, value) in [("devplist", "1"), ("first", "2000"), ("blocks", "100000"), ("kind", "fat")] {
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
    ] {
        let mut machine = self::machine();
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
        let found = super::files::partition("mmc", device).unwrap();
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

/// An arm64 Image of `size` bytes that asks for `memory`.
fn image(size: usize, memory: u64) -> Vec<u8> {
    let mut bytes = alloc::vec![0; size];
    bytes[16..24].copy_from_slice(&memory.to_le_bytes());
    bytes[24] = 8;
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

/// A gzip file of `bytes`, in one stored block.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let crc = crc32(bytes);
    let mut gzip = alloc::vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    gzip.extend_from_slice(&length.to_le_bytes());
    gzip.extend_from_slice(&(!length).to_le_bytes());
    gzip.extend_from_slice(bytes);
    gzip.extend_from_slice(&crc.to_le_bytes());
    gzip.extend_from_slice(&u32::from(length).to_le_bytes());
    gzip
}

/// A machine with programs and a tree to start them with.
fn machine_with_programs() -> Simulation {
    let mut files = FileMap::default();
    let plain = image(5000, 0x20_0000);
    let packed = gzip(&plain);
    let mut tree = crate::boot::test_tree::TestTree::board();
    let tree = tree.editor().as_bytes().to_vec();
    let text = alloc::vec![b'x'; 300];
    for (name, bytes) in [
        ("Image", plain),
        ("Image.gz", packed),
        ("tree", tree),
        ("initrd", alloc::vec![1; 77]),
        ("uInitrd", legacy_image(3, &[1; 77])),
        ("script", legacy_image(6, &[&[0, 0, 0, 77, 0, 0, 0, 0][..], &[b'x'; 77]].concat())),
        ("text", text),
    ] {
        files.server.insert(name.to_string(), bytes);
    }
    Simulation::raspberry_pi_4(files).unwrap()
}

/// What `line` starts after everything was loaded.
fn started(line: &str, variables: &[(&str, &str)]) -> (PhysicalRange, Option<PhysicalRange>, PhysicalRange) {
    let mut machine = machine_with_programs();
    let mut shell = Shell::new(&mut machine, environment(variables));
    for file in ["200000 Image", "3000000 initrd", "4000000 tree", "5000000 Image.gz"] {
        assert!(say(&mut shell, &alloc::format!("tftpboot {file}")).unwrap());
    }
    assert!(matches!(say(&mut shell, line), Err(Failure::Ended)), "{line}");
    let Some(Asked::Booted { program, ramdisk, tree, .. }) = machine.asked.pop() else { panic!("{line}") };
    (program, ramdisk, tree)
}

#[test]
fn booti_takes_files_by_the_addresses_they_were_loaded_to() {
    let (program, ramdisk, tree) = started("booti 200000 - 4000000", &[]);
    assert_eq!((program, ramdisk, tree.start), (sized(0x20_0000, 5000), None, 0x400_0000));
    let (_, ramdisk, _) = started("booti 0x200000 3000000 4000000", &[]);
    assert_eq!(ramdisk, Some(sized(0x300_0000, 77)));
    let (_, ramdisk, _) = started("booti 200000 3000000:40 4000000", &[]);
    assert_eq!(ramdisk, Some(sized(0x300_0000, 0x40)));
    let (_, _, tree) = started("booti 200000", &[("fdt_addr", "4000000")]);
    assert_eq!(tree.start, 0x400_0000, "without a tree the firmware's");
}

#[test]
fn a_gzip_program_is_unpacked_where_nothing_of_the_scripts_lies() {
    let (program, _, _) = started("booti 5000000 - 4000000", &[]);
    assert_eq!((program.size(), program.start % (2 << 20)), (5000, 0));
    for other in [0x20_0000, 0x300_0000, 0x400_0000, 0x500_0000] {
        assert!(!program.overlaps(&sized(other, 0x1000)), "{program}");
    }
}

#[test]
fn what_cannot_be_started_is_told_with_its_address() {
    let mut machine = machine_with_programs();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "tftpboot 2000000 text").unwrap());
    for (line, expected) in [
        ("booti 200000 - 4000000", "no arm64 Image at 0x200000, and this script loaded nothing"),
        ("booti 2000000 - 4000000", "no device tree at 0x4000000"),
        ("bootm 2000000 - 4000000", "is started by `booti`"),
        ("booti 2000000 3000000 4000000", "say 0x3000000:SIZE"),
        ("booti 2000000 - zz", "\"zz\" is not a hexadecimal number"),
        ("bootefi 200000", "booti"),
    ] {
        let said = reason(&mut shell, line);
        assert!(said.contains(expected), "{line}: {said}");
    }
    assert!(matches!(say(&mut shell, "booti 2000000 - 4000000 5 6"), Err(Failure::Usage)));
}

#[test]
fn go_jumps_and_reset_resets() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(matches!(say(&mut shell, "go 80000"), Err(Failure::Ended)));
    assert!(matches!(say(&mut shell, "reset"), Err(Failure::Ended)));
    assert!(matches!(say(&mut shell, "go"), Err(Failure::Usage)));
    for nowhere in ["go ffffffffffffffff", "go fffffffffffffffc", "go 3b400000"] {
        let said = reason(&mut shell, nowhere);
        assert!(said.contains("memory"), "{nowhere}: {said}");
    }
    assert_eq!(machine.asked, [Asked::Gone(0x80000), Asked::Reset]);
}

#[test]
fn a_ramdisk_in_an_image_is_known_by_the_name_of_its_file() {
    let mut machine = machine_with_programs();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    for file in ["200000 Image", "3000000 uInitrd", "4000000 tree"] {
        assert!(say(&mut shell, &format!("tftpboot {file}")).unwrap());
    }
    assert!(matches!(say(&mut shell, "booti 200000 3000000 4000000"), Err(Failure::Ended)));
    let Some(Asked::Booted { ramdisk: Some(ramdisk), loaded, .. }) = machine.asked.pop() else { panic!() };
    assert_eq!(ramdisk, sized(0x300_0040, 77));
    assert!(loaded.iter().any(|loaded| loaded.range == ramdisk && loaded.name == "uInitrd"), "{loaded:?}");
}

/// What mkimage makes of a script.
fn script(text: &str) -> Vec<u8> {
    let mut data = (text.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(&[0; 4]);
    data.extend_from_slice(text.as_bytes());
    legacy_image(6, &data)
}

/// An image of U-Boot's older format, for Linux on arm64, of this type.
fn legacy_image(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut header = alloc::vec![0_u8; 64];
    header[..4].copy_from_slice(&0x2705_1956_u32.to_be_bytes());
    header[12..16].copy_from_slice(&(data.len() as u32).to_be_bytes());
    let crc = crc32(data);
    header[24..28].copy_from_slice(&crc.to_be_bytes());
    header[28..32].copy_from_slice(&[5, 22, kind, 0]);
    let crc = crc32(&header);
    header[4..8].copy_from_slice(&crc.to_be_bytes());
    header.extend_from_slice(data);
    header
}

fn machine_with_scripts() -> Simulation {
    let mut files = FileMap::default();
    for (name, text) in [
        ("boot.scr", "setenv first yes; tftpboot C00000 boot2.scr && source C00000; setenv after yes"),
        ("boot2.scr", "setenv second yes; false"),
        ("self.scr", "setenv depth ${depth}x; source 2000000"),
    ] {
        files.server.insert(name.to_string(), script(text));
    }
    let mut cut = script("echo whole");
    *cut.last_mut().unwrap() ^= 1;
    files.server.insert("bad.scr".to_string(), cut);
    files.card.insert("plain.txt".to_string(), b"echo again\n".to_vec());
    files.card.insert("Image".to_string(), image(5000, 0x20_0000));
    files.card.insert("initrd".to_string(), alloc::vec![1; 77]);
    let mut tree = crate::boot::test_tree::TestTree::board();
    files.card.insert("dtb/board.dtb".to_string(), tree.editor().as_bytes().to_vec());
    let menu = "default a\nlabel a\nkernel /Image\ninitrd ../initrd\nfdtdir /dtb/\nappend root=x\n";
    files.card.insert("extlinux.conf".to_string(), menu.replace("../", "").into_bytes());
    let two =
        "default b\nlabel a\nkernel /Image\nfdt /dtb/board.dtb\nfdtoverlays /none.dtbo\nlabel b\nkernel /missing\n";
    files.card.insert("two.conf".to_string(), two.as_bytes().to_vec());
    files.card.insert("none.conf".to_string(), two.replace("/Image", "/absent").into_bytes());
    Simulation::raspberry_pi_4(files).unwrap()
}

#[test]
fn a_script_sources_another_and_goes_on_after_it() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "tftpboot 2000000 boot.scr").unwrap());
    assert!(say(&mut shell, "source 2000000").unwrap());
    for name in ["first", "second", "after"] {
        assert_eq!(shell.environment.get(name), Some("yes"), "{name}");
    }
    assert!(shell.loaded.is_empty(), "nothing is wanted any more of scripts that were copied");
}

#[test]
fn a_script_that_is_plain_text_runs_as_often_as_it_is_asked_for() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "load mmc 0:1 2000000 plain.txt").unwrap());
    for _ in 0..2 {
        assert!(say(&mut shell, "source 2000000").unwrap());
    }
    assert!(say(&mut shell, "load mmc 0:1 2000000 extlinux.conf").unwrap());
    assert_eq!(machine.output, "again\nagain\n", "and what comes over it is no mistake");
}

#[test]
fn a_script_that_runs_itself_is_ended() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "tftpboot 2000000 self.scr").unwrap());
    assert!(matches!(say(&mut shell, "source"), Err(Failure::Abandoned)));
    assert!(machine.output.contains("does one run itself?"), "{}", machine.output);
}

#[test]
fn a_damaged_script_is_refused_unless_verify_is_no() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "tftpboot 2000000 bad.scr").unwrap());
    assert!(reason(&mut shell, "source 2000000").contains("CRC"));
    shell.environment.set("verify", "no");
    assert!(say(&mut shell, "source 2000000").is_ok());
    assert!(reason(&mut shell, "source 5000000").contains("no script at 0x5000000"));
}

#[test]
fn variables_go_out_with_a_crc_in_a_block_of_the_size_that_is_said_and_come_back() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[("a", "1"), ("b", "2")]));
    assert!(say(&mut shell, "env export -c -s 200 2000000 a b").unwrap());
    assert_eq!(shell.environment.get("filesize"), Some("200"));
    assert!(say(&mut shell, "env export -s 200 -c 2000200 a b").unwrap());
    let [one, other] = [0x200_0000, 0x200_0200].map(|at| shell.platform.memory(sized(at, 0x200)).unwrap().to_vec());
    assert_eq!(one, other);
    assert!(say(&mut shell, "env export -c 4000000 a b").unwrap());
    assert_eq!(shell.environment.get("filesize"), Some("4000"), "as uboot.env has");
    assert!(say(&mut shell, "env export -t -s 100 3000000 a").unwrap());
    assert_eq!(shell.environment.get("filesize"), Some("5"), "a text is as long as it is");
    assert!(reason(&mut shell, "env export -c -s 8 2000000 a b").contains("0xd bytes, more than the 0x8"));
    assert!(matches!(say(&mut shell, "env export -c -s"), Err(Failure::Usage)));
    for name in ["a", "b"] {
        shell.environment.set(name, "");
    }
    assert!(say(&mut shell, "env import -c 2000200 200").unwrap());
    assert_eq!((shell.environment.get("a"), shell.environment.get("b")), (Some("1"), Some("2")));
}

#[test]
fn an_import_that_deletes_takes_away_the_names_that_the_text_does_not_have_and_no_others() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[("a", "1")]));
    assert!(say(&mut shell, "env export -t 2000000 a").unwrap());
    for name in ["a", "gone", "other"] {
        shell.environment.set(name, "old");
    }
    assert!(say(&mut shell, "env import -t 2000000 - a gone").unwrap());
    assert_eq!(shell.environment.get("gone"), Some("old"), "without -d it stays");
    assert!(say(&mut shell, "env import -d -t 2000000 - a gone").unwrap());
    for (name, value) in [("a", Some("1")), ("gone", None), ("other", Some("old"))] {
        assert_eq!(shell.environment.get(name), value, "{name}");
    }
}

#[test]
fn boot_runs_bootcmd() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[("bootcmd", "setenv booted yes")]));
    assert!(say(&mut shell, "boot").unwrap());
    assert_eq!(shell.environment.get("booted"), Some("yes"));
    shell.environment.set("bootcmd", "");
    assert!(reason(&mut shell, "bootd").contains("bootcmd"));
}

#[test]
fn sysboot_starts_the_default_label() {
    let mut machine = machine_with_scripts();
    let facts = machine.facts.clone();
    let mut shell = Shell::new(&mut machine, crate::shell::variables::of_board(&facts));
    shell.environment.set("fdtfile", "board.dtb");
    assert!(matches!(say(&mut shell, "sysboot mmc 0:1 any 2400000 extlinux.conf"), Err(Failure::Ended)));
    assert_eq!(shell.environment.get("bootargs"), Some("root=x"));
    let Some(Asked::Booted { program, ramdisk, tree, .. }) = machine.asked.pop() else { panic!() };
    assert_eq!(program, sized(0x8_0000, 5000));
    assert_eq!((ramdisk, tree.start), (Some(sized(0x570_0000, 77)), 0x560_0000));
}

#[test]
fn sysboot_goes_on_to_the_next_label_and_says_why() {
    let mut machine = machine_with_scripts();
    let facts = machine.facts.clone();
    let mut shell = Shell::new(&mut machine, crate::shell::variables::of_board(&facts));
    assert!(matches!(say(&mut shell, "sysboot mmc 0:1 any 2400000 two.conf"), Err(Failure::Ended)));
    let said = &machine.output;
    assert!(said.contains("two.conf: b: missing: no such file; the next label is tried"), "{said}");
    assert!(said.contains("overlay /none.dtbo is left out: "), "{said}");
    assert!(matches!(machine.asked.last(), Some(Asked::Booted { .. })));

    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, crate::shell::variables::of_board(&facts));
    let said = reason(&mut shell, "sysboot mmc 0:1 any 2400000 none.conf");
    assert!(said.contains("none.conf: a: absent: no such file"), "{said}");
}

#[test]
fn every_command_has_an_example_that_it_takes() {
    for command in all() {
        let mut files = FileMap::default();
        for name in ["xen", "boot.scr"] {
            files.server.insert(name.into(), Vec::from(*b"echo from a script\n"));
            files.card.insert(name.into(), Vec::from(*b"echo from the card\n"));
        }
        let mut machine = Simulation::raspberry_pi_4(files).unwrap();
        machine.lease = Some(Lease::default());
        let mut shell = Shell::new(
            &mut machine,
            environment(&[("serverip", "10.0.0.1"), ("board_rev", "0x11"), ("filesize", "10"), ("fileaddr", "1000")]),
        );
        let example = command.example;
        assert!(!crate::shell::language::is_unfinished(example), "{example}");
        let _ = shell.run_typed(example);
        let said = &machine.output;
        for mistake in ["syntax error", "unknown command", "does not take", "did you mean"] {
            assert!(!said.contains(mistake), "{}: {example}: {said}", command.name);
        }
    }
}

#[test]
fn mistyped_subcommands_and_variables_get_the_nearest_name() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[("serverip", "10.0.0.1")]));
    let lines = [
        "env prnit",
        "tree dfif",
        "log inof",
        "net registres",
        "fdt kmnode",
        "printenv serverpi",
        "mmc rescna",
        "run serverpi",
        "help selftst",
    ];
    for line in lines {
        let _ = shell.run_typed(line);
    }
    let said = machine.output;
    for near in ["print", "diff", "info", "registers", "fdt mknode", "serverip", "rescan", "serverip", "selftest"] {
        assert!(said.contains(&format!("did you mean {near}?")), "{near}: {said}");
    }
}

#[test]
fn help_names_every_command_once_on_one_screen_of_80x24() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(shell.run_typed("help").unwrap());
    let said = &machine.output;
    // The line that was typed stays above, the prompt comes below.
    assert!(said.lines().count() <= 22 && said.lines().all(|line| line.len() < 80), "{said}");
    for command in all() {
        let named = said.split_whitespace().filter(|word| *word == command.name).count();
        assert!(named >= 1, "{} is not in\n{said}", command.name);
    }
    let first = ["entries", "plan", "boot", "net", "memory", "tree", "log", "timing", "watchdog", "selftest"];
    assert!(first.iter().all(|name| said.lines().any(|line| line.starts_with(&format!("{name} ")))), "{said}");
    assert!(said.contains("\nnot here    ext4load "), "{said}");
}

#[test]
fn boot_without_a_name_says_at_the_prompt_what_could_be_meant() {
    let mut machine = machine_with_scripts();
    machine.entries = crate::config::settings::parse(
        b"[[entry]]\nname = \"xen\"\nscript = \"a\"\n[[entry]]\nname = \"old\"\nscript = \"b\"\n",
    )
    .unwrap()
    .entries;
    let mut shell = Shell::new(&mut machine, environment(&[("bootcmd", "echo by bootcmd")]));
    assert!(shell.run_typed("boot").unwrap());
    assert_eq!(machine.output, "Running bootcmd, as U-Boot does. `boot ENTRY` boots an entry: xen, old\nby bootcmd\n");
}

#[test]
fn a_sleep_that_is_no_number_says_that_it_waits_for_nothing() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(shell.run_typed("sleep abc").unwrap());
    assert_eq!(machine.output, "Note: \"abc\" is no number of seconds: nothing is waited for.\n");
}

#[test]
fn help_shows_forms_and_an_example() {
    let mut machine = machine_with_scripts();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(shell.run_typed("help tree").unwrap());
    assert!(
        machine.output.ends_with("    tree print [PATH [PROPERTY]]\n    tree diff [ADDRESS]\n    example: tree diff\n"),
        "{}",
        machine.output
    );
}

#[test]
fn what_only_a_board_has_is_said_to_be_missing_and_the_rest_is_answered() {
    let mut machine = machine_with_scripts();
    machine.reserve("the loader", PhysicalRange { start: 0x3b00_0000, end: 0x3b10_0000 }).unwrap();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    for line in ["net registers", "log", "watchdog"] {
        assert!(!shell.run_typed(line).unwrap(), "{line}");
    }
    for line in ["net", "timing", "selftest", "memory"] {
        assert!(shell.run_typed(line).unwrap(), "{line}");
    }
    assert!(!shell.run_typed("plan xen").unwrap() && !shell.run_typed("entries").unwrap());
    let said = machine.output;
    assert_eq!(said.matches("only a board does").count(), 3, "{said}");
    assert!(said.contains("  0x3b000000-0x3b0fffff     1024 KiB  the loader\n"), "{said}");
    assert!(said.contains("there is no entry xen"), "{said}");
}

#[test]
fn a_mistake_shows_the_forms_of_what_was_meant_and_no_others() {
    let mut machine = machine_with_programs();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(say(&mut shell, "tftpboot 4000000 tree").unwrap());
    for line in ["fdt addr 4000000", "fdt mknod /chosen"] {
        let _ = shell.run_typed(line);
    }
    assert!(!shell.run_typed("fdt set /chosen #address-cells <2>").unwrap());
    let said = &machine.output;
    assert!(said.ends_with("write \\#address-cells)\n"), "{said}");
    assert!(said.contains("    fdt mknode PATH NAME\n") && !said.contains("fdt print"), "{said}");
    let mut machine = machine_with_programs();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(!shell.run_typed("fdt").unwrap() && shell.run_typed("help fdt").unwrap());
    assert_eq!(machine.output.matches("    fdt print [PATH [PROPERTY]]\n").count(), 2, "{}", machine.output);
}

/// How `menu` boots on a board with these variables: what it prints, and what it starts.
fn boots(menu: &str, variables: &[(&str, &str)]) -> (String, Option<Asked>) {
    let plain = image(5000, 0x20_0000);
    let mut files = FileMap::default();
    let mut tree = crate::boot::test_tree::TestTree::board();
    files.card.insert("uImage".to_string(), legacy_image(2, &plain));
    files.card.insert("Image".to_string(), plain);
    files.card.insert("tree".to_string(), tree.editor().as_bytes().to_vec());
    files.card.insert("menu".to_string(), menu.as_bytes().to_vec());
    let mut machine = Simulation::raspberry_pi_4(files).unwrap();
    let facts = machine.facts.clone();
    let mut shell = Shell::new(&mut machine, crate::shell::variables::of_board(&facts));
    for (name, value) in variables {
        shell.environment.set(name, value);
    }
    let _ = shell.run_typed("sysboot mmc 0:1 any 2400000 menu");
    let asked = machine.asked.pop().filter(|asked| matches!(asked, Asked::Booted { .. }));
    (machine.output, asked)
}

#[test]
fn a_menus_arguments_are_expanded_and_stay_what_they_are_where_it_has_none() {
    let arguments = |append: &str| {
        let menu = format!("label a\nkernel /Image\nfdt /tree\n{append}\n");
        match boots(&menu, &[("bootargs", "before"), ("root", "/dev/sda2")]) {
            (_, Some(Asked::Booted { arguments, .. })) => arguments.unwrap_or_default(),
            (said, _) => panic!("{said}"),
        }
    };
    assert_eq!(arguments("append root=${root} ro${none} $root ${open"), "root=/dev/sda2 ro $root ${open");
    assert_eq!(arguments(""), "before");
    // Neither a menu nor a variable can make it endless.
    let long = "x".repeat(60 << 10);
    let menu = format!("label a\nkernel /Image\nfdt /tree\nappend {}\n", "${long}".repeat(10_000));
    let (said, started) = boots(&menu, &[("long", &long)]);
    assert_eq!(started, None, "{said}");
}

#[test]
fn a_menus_kernel_may_be_an_image_of_u_boots() {
    let (said, started) = boots("label a\nkernel /uImage\nfdt /tree\n", &[]);
    let Some(Asked::Booted { program, .. }) = started else { panic!("{said}") };
    assert_eq!(program.size(), 5000, "without its header");
}

#[test]
fn a_menus_ramdisk_may_be_named_in_its_arguments() {
    let (said, started) = boots("label a\nkernel /Image\nfdt /tree\nappend initrd=/Image quiet\n", &[]);
    let Some(Asked::Booted { ramdisk: Some(ramdisk), arguments, .. }) = started else { panic!("{said}") };
    assert_eq!(ramdisk.start, 0x570_0000);
    assert_eq!(arguments.as_deref(), Some("initrd=/Image quiet"), "as with U-Boot");
    let (said, started) = boots("label a\nkernel /Image\nfdt /tree\nappend initrd=/none\n", &[]);
    assert!(started.is_none() && said.contains("none"), "{said}");
}

#[test]
fn a_configuration_behind_a_menus_kernel_is_no_part_of_its_path() {
    let (said, started) = boots("label a\nkernel /Image#conf-1\nfdt /tree\n", &[]);
    assert!(started.is_some(), "a plain kernel has none, and starts: {said}");
}
