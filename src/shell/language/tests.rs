use super::limits;
use crate::shell::simulation::{FileMap, Simulation};
use crate::shell::{Environment, Failure, Shell};
use crate::time::{Duration, Instant};

/// What a script prints.
fn said(text: &str) -> String {
    let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
    let mut shell = Shell::new(&mut machine, Environment::default());
    let _ = shell.run_script("s", text);
    machine.output
}

#[test]
fn a_mistake_is_told_with_script_line_and_what_was_expected() {
    assert_eq!(said("echo a\necho \"b\n"), "a\ns, line 3: syntax error: the \" opened in line 2 is not closed\n");
    assert_eq!(
        said("if true\nthen echo a\n"),
        "s, line 3: syntax error: the text ends without the elif, else or fi of what begins in line 1\n"
    );
    assert_eq!(said("true\nfi\n"), "s, line 2: syntax error: \"fi\" cannot stand here, expected a command\n");
    assert_eq!(said("echo a & echo b\n"), "s, line 1: syntax error: a single &: there are only && and \\&\n");
}

#[test]
fn the_nearest_command_is_offered() {
    assert_eq!(said("\necoh a\n"), "s, line 2: unknown command 'ecoh': did you mean echo?\n");
    assert!(said("s 1\n").contains("it is short for"));
}

#[test]
fn what_scripts_shorten_keeps_its_meaning_beside_our_own_commands() {
    let found = |name: &str| super::command_line::find(name).map(|command| command.name);
    for (short, whole) in [
        ("h", "help"),
        ("en", "env"),
        ("re", "reset"),
        ("tr", "true"),
        ("rel", "reload"),
        ("ent", "entries"),
        ("ti", "timing"),
        ("fatw", "fatwrite"),
        ("savee", "saveenv"),
    ] {
        assert_eq!(found(short), Ok(whole), "{short}");
    }
    for name in ["", "boo", "se", "fat"] {
        assert!(found(name).is_err(), "{name}");
    }
}

#[test]
fn nobody_runs_himself_for_ever() {
    let said = said("setenv a 'run a; run a'\nrun a\necho not reached\n");
    assert_eq!(said, format!("a, line 1: {}\n", limits::Exceeded::Depth));
}

#[test]
fn an_endless_loop_ends() {
    let said = said("while true; do true; done\necho not reached\n");
    assert_eq!(said, format!("s, line 1: {}\n", limits::Exceeded::Commands));
}

#[test]
fn a_variable_that_grows_is_stopped() {
    let said = said("setenv a aaaaaaaaaaaaaaaa\nwhile true; do setenv a $a$a; done\n");
    assert_eq!(said, format!("s, line 2: {}\n", limits::Exceeded::Command));
}

#[test]
fn too_much_output_is_stopped() {
    let said = said(
        "setenv a aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nwhile true; do echo $a $a $a; done\n",
    );
    assert!(said.len() < limits::OUTPUT + 100, "{}", said.len());
    assert!(said.ends_with(&format!("{}\n", limits::Exceeded::Output)));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = |depth: usize| format!("{}true{}\necho end\n", "if ".repeat(depth), "; then true; fi".repeat(depth));
    assert_eq!(said(&deep(limits::NESTING)), "end\n");
    assert_eq!(said(&deep(limits::NESTING + 1)), format!("s, line 1: {}\n", limits::Exceeded::Nesting));
}

#[test]
fn ctrl_c_ends_loops_sleep_and_everything_that_waits_for_them() {
    for text in ["while true; do true; done\n", "sleep 1000\n", "setenv a 'sleep 1000'\nif run a; then echo b; fi\n"] {
        let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
        machine.interrupt_at = Some(Instant::from_micros(5_000));
        let mut shell = Shell::new(&mut machine, Environment::default());
        let outcome = shell.run_script("s", &format!("{text}echo not reached\n"));
        assert!(matches!(outcome, Err(Failure::Interrupted)), "{text}");
        assert_eq!(machine.output, "", "{text}");
        let mut shell = Shell::new(&mut machine, Environment::default());
        assert!(shell.run_script("s", "true\n").unwrap());
    }
}

#[test]
fn a_loop_of_nothing_is_a_loop_all_the_same() {
    for text in ["while if ; then ; fi; do ; done\n", "until if false; then ; fi; false; do if ; then ; fi; done\n"] {
        let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
        machine.interrupt_at = Some(Instant::from_micros(5_000));
        let outcome = Shell::new(&mut machine, Environment::default()).run_script("s", text);
        assert!(matches!(outcome, Err(Failure::Interrupted)), "{text}: {outcome:?} {}", machine.output);
    }
}

#[test]
fn sleep_takes_fractions() {
    let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
    let mut shell = Shell::new(&mut machine, Environment::default());
    assert!(shell.run_script("s", "sleep 1.25\n").unwrap());
    let slept = shell.platform.now().since(Instant::default());
    assert!(slept >= Duration::from_millis(1250) && slept < Duration::from_millis(1260), "{slept:?}");
}

#[test]
fn exit_ends_one_script_with_its_status() {
    let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
    let mut shell = Shell::new(&mut machine, Environment::default());
    assert!(!shell.run_script("s", "if true; then exit 3; fi\necho not reached\n").unwrap());
    assert_eq!(shell.status(), 3);
    assert!(shell.run_script("s", "setenv a 'exit 0; echo no'\nrun a && echo yes\n").unwrap());
    assert_eq!(machine.output, "yes\n");
}

#[test]
fn what_loops_and_arguments_hold_is_counted() {
    // 1024 values a loop; the ninth within the others is too much.
    let mut text = String::from(
        "a='v v v v v v v v'; a=\"$a $a $a $a $a $a $a $a\"; a=\"$a $a $a $a $a $a $a $a $a $a $a $a $a $a $a $a\"\n",
    );
    for depth in 0..9 {
        text.push_str(&format!("for v{depth} in $a; do "));
    }
    text.push_str(&format!("echo not reached; exit{}\n", "; done".repeat(9)));
    assert_eq!(said(&text), format!("s, line 2: {}\n", limits::Exceeded::Tokens));
    // A loop gives back what it held.
    let small = "a='v v v v v v v v'; a=\"$a $a $a $a $a $a $a $a\"\n";
    let loops = "for x in $a; do true; done\n".repeat(200);
    assert_eq!(said(&format!("{small}{loops}echo end\n")), "end\n");
    let long = "x".repeat(60_000);
    let said = said(&format!("setenv l {long}\nsetenv a run\\ a\\ \\$l\nrun a $l\n"));
    assert_eq!(said, format!("a, line 1: {}\n", limits::Exceeded::Text));
}

#[test]
fn a_long_script_is_held_a_line_at_a_time() {
    let script = "true a b c d e f\n".repeat(limits::TOKENS / 4);
    assert_eq!(said(&format!("{script}echo end\n")), "end\n");
}

/// What `text` prints on a machine whose server has no file but `xen`.
fn said_by(text: &str) -> String {
    let mut files = FileMap::default();
    files.server.insert("xen".into(), alloc::vec![7; 16]);
    let mut machine = Simulation::raspberry_pi_4(files).unwrap();
    let mut environment = Environment::default();
    environment.set("loadaddr", "0x1000000");
    let _ = Shell::new(&mut machine, environment).run_script("s", text);
    machine.output
}

#[test]
fn a_variable_without_a_value_is_named_where_a_command_fails_or_may_do_something_else_than_was_meant() {
    for (text, expected) in [
        ("tftpboot ${nope} xen", "s, line 1: note: (${nope} is not set)"),
        ("tftpboot 2000000 ${nope}/xen", "(${nope} is not set)"),
        ("md ${nope}", "s, line 1: md does not take these arguments (${nope} is not set)"),
        (
            "fdt addr 0x2000000; fdt set /chosen bootargs \"$nope $other\"",
            "note: (${nope} is not set) (${other} is not set)",
        ),
    ] {
        let said = said_by(text);
        assert!(said.contains(expected), "{text}: {said}");
    }
    for idiom in [
        "test -n \"$nope\"",
        "if test \"$nope\" = 1; then false; fi",
        "echo $nope",
        "setenv a $nope",
        "tftpboot 2000000 ${nope}xen",
        "tftpboot 2000000 ${nope:-xen}",
        "echo $nope; md",
    ] {
        let said = said_by(idiom);
        assert!(!said.contains("is not set"), "{idiom}: {said}");
    }
    let many: String = (0..9).map(|index| alloc::format!(" $n{index}")).collect();
    assert_eq!(said_by(&alloc::format!("md{many}")).matches("is not set").count(), 4);
}

#[test]
fn lines_that_end_in_cr_lf_are_told_with_the_first_of_them() {
    let said = said_by("echo a\nif true\r\nthen\r\n echo b\r\nfi\r\n");
    assert!(said.starts_with("s, line 2: ends in CR LF"), "{said}");
    assert!(!said_by("echo a\necho b\n").contains("CR LF"));
}
