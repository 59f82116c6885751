use super::*;
use crate::config::settings;
use crate::shell::simulation::{FileMap, Simulation};
use crate::shell::{Environment, Platform as _};
use crate::terminal::emulator::Emulator;

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
    let leave = run(&mut shell, &mut Visitor::default(), Some(Kind::Plain), Some(LIMIT));
    (machine.output.replace('\r', ""), leave)
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

/// What is said to `first`, and to lines that come two seconds later.
fn talk_after_a_pause(first: &str, later: &str) -> String {
    let mut machine = machine();
    machine.type_now(first.as_bytes());
    machine.type_at(machine.now().after(Duration::from_secs(2)), later.as_bytes());
    talk_on(&mut machine, "").0
}

#[test]
fn a_line_with_which_noise_came_is_not_run_nor_is_what_comes_right_behind_it() {
    for noise in ["\0", "\x1c", "echo \0"] {
        let said = talk_after_a_pause(&format!("{noise}echo no\recho nor this\r"), "echo yes\rexit\r");
        assert!(
            said.contains("\nNot run: bytes ") && said.contains("\nNot run: it came right behind noise.\n"),
            "{said}"
        );
        assert!(!said.contains("\nno\n") && !said.contains("\nnor this\n") && said.contains("\nyes\n"), "{said}");
    }
}

#[test]
fn text_of_any_language_is_taken_and_what_only_looks_like_a_quote_is_refused_by_its_code() {
    let (said, _) = talk("\x1b[15~echo größer 日本 😀\rexit\r");
    assert!(said.contains("\ngrößer 日本 😀\n") && said.contains("=> echo größer ?? ?\n"), "{said}");
    for (character, code) in [('“', "U+201C"), ('–', "U+2013"), ('\u{a0}', "U+00A0"), ('\u{202e}', "U+202E")] {
        let (said, leave) = talk(&format!("echo {character}no\recho yes\rexit\r"));
        assert_eq!(leave, Leave::Menu);
        assert!(said.contains(&format!("\nNot run: {code} was in it")), "{said}");
        assert!(!said.contains("\nno\n") && said.contains("\nyes\n"), "{said}");
    }
}

#[test]
fn a_line_that_goes_on_is_forgotten_with_the_noise_in_it() {
    let said = talk_after_a_pause("if true; then\recho \0no\rfi\r", "echo after\rexit\r");
    assert!(said.contains("Not run: ") && !said.contains("\nno\n") && said.contains("\nafter\n"), "{said}");
}

#[test]
fn a_terminal_of_another_size_is_noticed_with_control_l() {
    let mut machine = machine();
    machine.type_now(b"echo a");
    let mut at = machine.now();
    for answer in ["\x1b[24;80R", "\x1b[12;40R"] {
        at = at.after(Duration::from_secs(2));
        machine.type_at(at, b"\x0c");
        machine.type_at(at.after(Duration::from_millis(20)), answer.as_bytes());
    }
    machine.type_at(at.after(Duration::from_millis(80)), b"b\rexit\r");
    let (said, _) = talk_on(&mut machine, "");
    // For the first answer, then as the screen was cleared, and for the new size.
    assert_eq!(said.matches("\x1b[H\x1b[2J=> echo a").count(), 3, "{said:?}");
    assert_eq!(said.matches("\x1b[6n").count(), 2, "{said:?}");
    assert!(said.contains("\nab\n"), "{said:?}");
}

#[test]
fn noise_before_a_pause_does_not_count() {
    let mut machine = machine();
    machine.type_now(b"\0\0");
    machine.type_at(machine.now().after(Duration::from_secs(2)), b"echo yes\rexit\r");
    let (said, _) = talk_on(&mut machine, "");
    assert!(said.contains("\nyes\n") && !said.contains("Not run"), "{said}");
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
    assert_eq!(run(&mut shell, &mut Visitor::default(), Some(Kind::Plain), None), Leave::Menu);
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
    run(&mut shell, &mut visitor, Some(Kind::Plain), None);
    let suspended = shell.suspend();
    let mut shell = Shell::resume(&mut machine, suspended);
    run(&mut shell, &mut visitor, Some(Kind::Plain), None);
    assert!(machine.output.contains("\nkept local 1\n"), "{}", machine.output);
}

/// The screen after `typed`, with a moment between any two keys, on a terminal of 80 by 24 that answers the question.
fn screen_of(typed: &[&str]) -> String {
    let mut machine = machine();
    machine.type_at(Instant::from_micros(20_000), b"\x1b[24;80R");
    let mut at = Instant::from_micros(100_000);
    for key in typed {
        machine.type_at(at, key.as_bytes());
        at = at.after(Duration::from_millis(100));
    }
    let mut environment = Environment::default();
    environment.set("serverip", "10.0.0.1");
    let mut shell = Shell::new(&mut machine, environment);
    run(&mut shell, &mut Visitor::default(), None, Some(LIMIT));
    let mut screen = Emulator::new(80, 24);
    screen.show(&machine.output.replace("\r\n", "\n").replace('\n', "\r\n"));
    screen.trimmed()
}

#[test]
fn lines_are_edited_recalled_and_completed_on_a_terminal() {
    let typed = [
        "ehco x", "\x1b[H", "\x1b[C", "\x1b[3~", "\x1b[C", "h", "\r", "\x1b[A", "y", "\r", "pla", "\t", "re", "\t",
        "\r",
    ];
    assert_eq!(
        screen_of(&typed),
        "=> echo x\nx\n=> echo xy\nxy\n=> plan rescue\nThe rescue: planned on a board alone\n=>\nNobody is here: the prompt is left."
    );
    assert_eq!(screen_of(&["echo $ser", "\t", "\r", "exit\r"]), "=> echo $serverip\n10.0.0.1\n=> exit");
    let listed = screen_of(&["fdt re", "\x15", "tree ", "\t", "\t", "d", "\t", "\x03", "exit\r"]);
    assert_eq!(listed, "=> tree\nprint  diff\n=> tree diff ^C\n=> exit");
}

#[test]
fn a_pasted_tab_is_a_blank_and_a_line_that_is_too_long_is_not_run() {
    let (said, _) = talk("if true; then\r\techo pasted\rfi\rexit\r");
    assert!(said.contains("\npasted\n"), "{said}");
    let (said, _) = talk(&format!("echo {}\rexit\r", "x".repeat(5000)));
    assert!(said.ends_with("; nothing was run\n=> exit\n"), "{}", &said[said.len() - 100..]);
}

#[test]
fn a_paste_of_ten_kilobytes_is_run_whole() {
    let lines: String = (0..400).map(|number| format!("setenv v{number} value{number}\n")).collect();
    assert!(lines.len() > 8_000);
    let (said, _) = talk(&format!("{lines}printenv v399\rexit\r"));
    assert!(said.contains("\nv399=value399\n"), "{}", &said[said.len() - 200..]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 96, ..Default::default() })]

    #[test]
    fn any_bytes_end_in_a_prompt_and_say_little(
        typed in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
        answers in proptest::prelude::any::<bool>(),
    ) {
        survives(&typed, answers)?;
    }

    #[test]
    fn any_words_and_keys_end_in_a_prompt(words in proptest::collection::vec(0..WORDS.len(), 0..120)) {
        let typed: String = words.iter().map(|word| WORDS[*word]).collect();
        survives(typed.as_bytes(), true)?;
    }
}

const WORDS: [&str; 28] = [
    " ",
    "\r",
    "\t",
    "\x03",
    "\x04",
    "\x1b",
    "\x1b[A",
    "\x1b[B",
    "\x1b[D",
    "\x1b[3~",
    "\x15",
    "\x17",
    "\x0c",
    "if true; then ",
    "fi",
    "for x in ",
    "do ",
    "done",
    "'",
    "\"",
    "echo ",
    "$x",
    "${",
    "setenv x ",
    "fdt print /",
    "load mmc 0:1 ",
    "printenv ",
    "sleep 100",
];

/// Whatever was typed, `echo` answers afterwards.
fn survives(typed: &[u8], answers: bool) -> Result<(), proptest::test_runner::TestCaseError> {
    let mut machine = machine();
    machine.type_at(Instant::from_micros(1000), typed);
    // Ends what runs, what is begun and half a sequence.
    let late = Duration::from_secs(3600 * 24);
    for second in 1..4 {
        machine.type_at(Instant::default().after(Duration::from_secs(second * 2)), b"\x03");
    }
    machine.type_at(Instant::default().after(Duration::from_secs(9)), b"echo still $((here\r");
    let kind = if answers { Kind::Ansi { columns: 40, rows: 12 } } else { Kind::Plain };
    let mut shell = Shell::new(&mut machine, Environment::default());
    let mut visitor = Visitor::default();
    let mut left = 0;
    // A prompt that was left by Ctrl-D or `exit` is entered again.
    while run(&mut shell, &mut visitor, Some(kind), Some(Duration::from_secs(20))) != Leave::Idle {
        left += 1;
        proptest::prop_assert!(left <= typed.len() + 1);
    }
    proptest::prop_assert!(machine.output.contains("\nstill $((here"), "{:?}", machine.output);
    proptest::prop_assert!(machine.now() < Instant::default().after(late));
    proptest::prop_assert!(machine.output.len() < 4096 + typed.len() * 400, "{} bytes", machine.output.len());
    Ok(())
}
