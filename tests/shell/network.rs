//! How often, and how patiently, a script's network commands try: `netretry`, `tftptimeout`, `tftptimeoutcountmax`.

use std::net::Ipv4Addr;
use std::time::Duration;
use xenlift::range::PhysicalRange;
use xenlift::shell::platform::Lease;
use xenlift::shell::simulation::{Asked, FileMap, Simulation};
use xenlift::shell::{Environment, Failure, Outcome, Platform, Shell};
use xenlift::time::Instant;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);

/// A machine whose network lets nothing through for the first `silence` requests.
fn machine(silence: u32) -> Simulation {
    let mut files = FileMap::default();
    files.server.insert("xen".to_string(), vec![7; 5000]);
    let mut machine = Simulation::raspberry_pi_4(files).unwrap();
    machine.hosts.push(SERVER);
    machine.lease = Some(Lease { server: Some(SERVER), ..Lease::default() });
    machine.silence = silence;
    machine
}

fn run(machine: &mut Simulation, script: &str) -> Outcome {
    Shell::new(machine, Environment::default()).run_script("s", script)
}

#[test]
fn a_command_is_tried_again_as_often_as_netretry_says_with_a_second_in_between() {
    for (netretry, retries) in [
        ("", 0),
        ("setenv netretry no;", 0),
        ("setenv netretry once;", 1),
        ("setenv netretry 3;", 3),
        ("setenv netretry 0x10;", 16),
        ("setenv netretry often;", 0),
        ("setenv netretry yes;", 100),
    ] {
        for command in ["tftpboot 1000000 xen", "dhcp 1000000 xen"] {
            let script = format!("{netretry} {command}");
            let mut enough = machine(retries);
            assert!(run(&mut enough, &script).unwrap(), "{script}: {}", enough.output);
            let passed = enough.now().since(Instant::default());
            let least = Duration::from_secs(retries.into());
            assert!(passed >= least && passed < least + Duration::from_secs(1), "{script}: {passed:?}");
            if netretry.ends_with("yes;") {
                continue;
            }
            let mut one_less = machine(retries + 1);
            assert!(!run(&mut one_less, &script).unwrap(), "{script}");
            assert!(one_less.output.contains("no answer"), "{script}: {}", one_less.output);
        }
    }
}

#[test]
fn dhcp_asks_for_the_lease_again_as_well() {
    let mut machine = machine(1);
    assert!(run(&mut machine, "setenv netretry once; dhcp 1000000 xen").unwrap());
    let [Asked::Lease, Asked::Lease, Asked::Fetched { path, .. }] = &machine.asked[..] else {
        panic!("{:?}", machine.asked)
    };
    assert_eq!(path, "xen");
}

#[test]
fn a_host_that_does_not_answer_has_answered() {
    let mut machine = machine(1);
    assert!(!run(&mut machine, "setenv netretry yes; ping 192.168.0.1").unwrap());
    assert_eq!(machine.output, "host 192.168.0.1 is not alive\n");
}

#[test]
fn what_would_fail_again_is_not_tried_again() {
    for command in [
        "tftpboot 0 xen",
        "tftpboot 1000000",
        "tftpboot",
        "setenv serverip here; tftpboot 1000000 xen",
        "tftpboot 1000000 not-there",
        "dhcp 1000000 not-there",
    ] {
        let mut machine = machine(0);
        machine.reserve("page 0", PhysicalRange { start: 0, end: 0x1000 }).unwrap();
        assert!(!run(&mut machine, &format!("setenv netretry yes; {command}")).unwrap(), "{command}");
        assert!(machine.now().since(Instant::default()) < Duration::from_secs(1), "{command}");
    }
}

#[test]
fn for_ever_says_so_ever_more_rarely_and_ends_by_ctrl_c() {
    let mut machine = machine(u32::MAX);
    let hour = Duration::from_secs(3600);
    machine.interrupt_at = Some(machine.now().after(hour));
    let outcome = run(&mut machine, "setenv netretry yes; tftpboot 1000000 xen");
    assert!(matches!(outcome, Err(Failure::Interrupted)), "{outcome:?}");
    assert!(machine.now().since(Instant::default()) < hour + Duration::from_secs(1));
    assert_eq!(machine.output, "no answer; trying again (netretry)\n".repeat(12), "after 1, 2, 4 ... 2048 tries");
}

#[test]
fn a_servers_silence_is_borne_as_long_as_u_boot_would_have_asked() {
    for (variables, seconds, note) in [
        ("", None, ""),
        ("setenv tftptimeout 2000;", Some(22), ""),
        ("setenv tftptimeoutcountmax 1;", Some(10), ""),
        ("setenv tftptimeout 1000; setenv tftptimeoutcountmax 0;", Some(1), ""),
        ("setenv tftptimeout 500;", Some(11), "Note: tftptimeout is 500 ms; 1000 ms, the least, are taken\n"),
    ] {
        let mut machine = machine(0);
        assert!(run(&mut machine, &format!("{variables} tftpboot 1000000 xen")).unwrap(), "{variables}");
        let [Asked::Fetched { network, .. }] = &machine.asked[..] else { panic!("{:?}", machine.asked) };
        assert_eq!(network.patience, seconds.map(Duration::from_secs), "{variables}");
        assert_eq!(machine.output, note, "{variables}");
    }
    let mut machine = machine(0);
    assert!(!run(&mut machine, "setenv tftptimeout long; tftpboot 1000000 xen").unwrap());
    assert!(machine.output.contains("\"long\" is not a decimal number"), "{}", machine.output);
}
