//! `sysboot`.

use super::{image, legacy_image, machine_with_scripts, reason, say, sized};
use crate::shell::simulation::{Asked, FileMap, Simulation};
use crate::shell::{Failure, Shell};
use alloc::format;
use alloc::string::{String, ToString};

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
