//! `tftpboot`, `dhcp` and `ping`.

use super::{SERVER, environment, machine, reason, say, sized};
use crate::shell::Shell;
use crate::shell::platform::Network;
use crate::shell::simulation::Asked;
use alloc::string::{String, ToString};

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
    let told = "DHCP: ipaddr 192.168.0.2, gatewayip not set, serverip 192.168.0.1\n";
    assert_eq!(machine.output, told, "where a file comes, its own line says it");
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
