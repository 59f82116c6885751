//! `booti`, `go` and `reset`.

use super::{environment, machine, machine_with_programs, reason, say, sized};
use crate::range::PhysicalRange;
use crate::shell::simulation::Asked;
use crate::shell::{Failure, Shell};
use alloc::format;

/// What `line` starts after everything was loaded.
fn started(line: &str, variables: &[(&str, &str)]) -> (PhysicalRange, Option<PhysicalRange>, PhysicalRange) {
    let mut machine = machine_with_programs();
    let mut shell = Shell::new(&mut machine, environment(variables));
    for file in ["200000 Image", "3000000 initrd", "4000000 tree", "5000000 Image.gz"] {
        assert!(say(&mut shell, &format!("tftpboot {file}")).unwrap());
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

#[test]
fn an_ethernet_address_of_the_scripts_goes_into_the_tree_where_it_is_one_and_another() {
    let own = "dc:a6:32:01:02:03";
    for (value, expected) in [
        (own, None),
        ("02:00:00:00:0a:FF", Some([2, 0, 0, 0, 0x0a, 0xff])),
        ("01:00:00:00:00:01", None),
        ("00:00:00:00:00:00", None),
        ("02:00:00:00:01", None),
        ("02:00:00:00:00:01:00", None),
        ("anything", None),
    ] {
        let mut machine = machine_with_programs();
        machine.facts.mac = Some([0xdc, 0xa6, 0x32, 1, 2, 3]);
        let mut shell = Shell::new(&mut machine, environment(&[("ethaddr", value)]));
        for file in ["200000 Image", "4000000 tree"] {
            assert!(say(&mut shell, &format!("tftpboot {file}")).unwrap());
        }
        assert!(matches!(say(&mut shell, "booti 200000 - 4000000"), Err(Failure::Ended)), "{value}");
        let Some(Asked::Booted { mac_address, .. }) = machine.asked.pop() else { panic!("{value}") };
        assert_eq!(mac_address, expected, "{value}");
    }
}
