use super::*;
use crate::config::settings;
use crate::shell::simulation::{FileMap, Simulation};
use crate::shell::{Environment, Platform as _};

const LIMIT: Duration = Duration::from_secs(60);

/// What the prompt says, and how it is left, when `typed` is typed at once.
fn talk(typed: &str) -> (String, Leave) {
    talk_on(&mut machine(), typed)
}

fn machine() -> Simulation {
    let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
    let entry = |name: &str| {
        format!("[[entry]]\nname = \"{name}\"\ntitle = \"The {name}\"\n[entry.linux]\nimage = \"Image\"\nargs = \"\"\n")
    };
    let text = entry("xen") + &entry("rescue");
    machine.entries = settings::parse(text.as_bytes()).unwrap().entries;
    machine
}

fn talk_on(machine: &mut Simulation, typed: &str) -> (String, Leave) {
    machine.type_now(typed.as_bytes());
    let mut environment = Environment::default();
    environment.set("bootcmd", "echo by bootcmd");
    let mut shell = Shell::new(machine, environment);
    let leave = run(&mut shell, &mut Visitor::default(), Some(LIMIT));
    (core::mem::take(&mut machine.output), leave)
}

#[test]
fn lines_that_were_typed_ahead_run_one_after_the_other() {
    let (said, leave) = talk("a=1\recho $a\r\nfalse\necho $?; true\recho $?\rexit\r");
    assert_eq!(leave, Leave::Menu);
    let answers: Vec<&str> = said.lines().filter(|line| !line.starts_with("=> ")).collect();
    assert_eq!(answers, ["1", "1", "0"], "{said}");
}

#[test]
fn quotes_conditions_and_loops_go_on_in_the_next_line() {
    let (said, _) = talk("if true; then\recho yes\rfi\recho 'a\rb'\rfor x in 1 2; do\recho $x\rdone\rexit\r");
    assert_eq!(
        said,
        "=> if true; then\n> echo yes\n> fi\nyes\n=> echo 'a\n> b'\na\nb\n=> for x in 1 2; do\n> echo $x\n> done\n1\n2\n=> exit\n"
    );
}

#[test]
fn what_was_typed_is_complained_about_without_a_line_number() {
    let (said, _) = talk("ehco x\rfi\rexit\r");
    assert!(said.contains("\nunknown command 'ehco': did you mean echo?\n"), "{said}");
    assert!(said.contains("\nsyntax error: "), "{said}");
}

#[test]
fn ctrl_c_clears_the_line_and_ends_what_runs_and_the_prompt_comes_back() {
    let mut machine = machine();
    machine.type_now(b"if true; then\recho lo");
    machine.type_at(Instant::from_micros(1_000_000), b"\x03while true; do sleep 1; done\r");
    machine.type_at(Instant::from_micros(9_000_000), b"\x03");
    machine.type_at(Instant::from_micros(9_050_000), b"echo $?\rexit\r");
    let (said, leave) = talk_on(&mut machine, "");
    assert_eq!(said, "=> if true; then\n> echo lo^C\n=> while true; do sleep 1; done\n^C\n=> echo $?\n1\n=> exit\n");
    assert_eq!(leave, Leave::Menu);
    assert!(machine.now() < Instant::from_micros(9_100_000), "{:?}", machine.now());
}

#[test]
fn ctrl_d_leaves_an_empty_line_alone() {
    assert_eq!(talk("x\x04\x7f\x04").1, Leave::Menu);
}

#[test]
fn an_entry_is_booted_by_its_name_and_bootcmd_without_one() {
    let (said, leave) = talk("boot rescue\r");
    assert_eq!(leave, Leave::Boot(1), "{said}");
    assert_eq!(talk("boot 1\r").1, Leave::Boot(0));
    assert_eq!(talk("if true; then boot xen; fi\r").1, Leave::Boot(0));
    assert_eq!(talk("reload\r").1, Leave::Reload);
    let (said, _) = talk("boot\rboot resuce\rentries\rexit\r");
    assert!(said.contains("\nby bootcmd\n"), "{said}");
    assert!(said.contains("\nboot: there is no entry resuce: did you mean rescue?\n"), "{said}");
    assert!(said.contains("\n  1  xen          The xen\n  2  rescue       The rescue\n"), "{said}");
}

#[test]
fn a_prompt_at_which_nobody_types_is_left_and_one_that_may_wait_is_not() {
    let mut machine = machine();
    let (_, leave) = talk_on(&mut machine, "echo half a line");
    assert_eq!(leave, Leave::Idle);
    assert!(machine.now() < Instant::default().after(LIMIT + Duration::from_secs(1)));

    let mut machine = self::machine();
    machine.type_at(Instant::default().after(LIMIT * 3), b"exit\r");
    let mut shell = Shell::new(&mut machine, Environment::default());
    assert_eq!(run(&mut shell, &mut Visitor::default(), None), Leave::Menu);
}

#[test]
fn noise_that_goes_on_for_ever_does_not_hold_the_board() {
    let mut machine = machine();
    for minute in 0..90 {
        machine.type_at(Instant::from_micros(minute * 50_000_000), b"(%\r");
    }
    assert_eq!(talk_on(&mut machine, "").1, Leave::Idle);
    assert!(machine.now() < Instant::default().after(LONGEST_NOISE + LIMIT));
}

#[test]
fn variables_survive_leaving_and_coming_back() {
    let mut machine = machine();
    machine.type_now(b"setenv a kept; b=local; false\rexit\recho $a $b $?\rexit\r");
    let mut shell = Shell::new(&mut machine, Environment::default());
    let mut visitor = Visitor::default();
    run(&mut shell, &mut visitor, None);
    let suspended = shell.suspend();
    let mut shell = Shell::resume(&mut machine, suspended);
    run(&mut shell, &mut visitor, None);
    assert!(machine.output.contains("\nkept local 1\n"), "{}", machine.output);
}
