//! What commands say of themselves, and of mistakes.

use super::super::all;
use super::{environment, machine_with_programs, machine_with_scripts, say};
use crate::range::PhysicalRange;
use crate::shell::Shell;
use crate::shell::platform::Lease;
use crate::shell::simulation::{FileMap, Simulation};
use alloc::format;
use alloc::vec::Vec;

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
