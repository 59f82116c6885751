//! `source`, `boot`, and variables.

use super::{environment, machine, machine_with_scripts, reason, say, sized};
use crate::shell::{Failure, Shell};

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
    assert_eq!(shell.environment.get("filesize"), Some("100"), "what was zeroed counts, as in U-Boot");
    assert!(say(&mut shell, "env export -t 3000000 a").unwrap());
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
fn what_says_which_board_this_is_changes_by_force_alone() {
    let mut machine = machine();
    let variables = [("ethaddr", "dc:a6:32:01:02:03"), ("serial#", "1")];
    let mut shell = Shell::new(&mut machine, environment(&variables));
    for line in ["setenv ethaddr 02:00:00:00:00:01", "setenv serial# 2", "setenv ethaddr", "env delete serial#"] {
        assert!(reason(&mut shell, line).contains("this board's own"), "{line}");
    }
    for (name, value) in variables {
        assert_eq!(shell.environment.get(name), Some(value));
        assert!(say(&mut shell, &format!("setenv {name} {value}")).unwrap());
    }
    assert!(say(&mut shell, "setenv -f ethaddr 02:00:00:00:00:01").unwrap());
    assert!(say(&mut shell, "env delete -f serial#").unwrap());
    assert_eq!(shell.environment.get("ethaddr"), Some("02:00:00:00:00:01"));
    assert_eq!(shell.environment.get("serial#"), None);
}

#[test]
fn showvar_shows_what_is_no_variable_of_the_environment() {
    let mut machine = machine();
    let mut shell = Shell::new(&mut machine, environment(&[]));
    assert!(shell.run_typed("b=2; a=1; showvar; showvar b").unwrap());
    assert!(!shell.run_typed("showvar a loadaddr").unwrap());
    assert_eq!(machine.output, "a=1\nb=2\nb=2\na=1\nloadaddr is not set by NAME=VALUE\n");
}
