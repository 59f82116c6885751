//! No text makes the shell panic, hang, or go beyond its limits.

use proptest::prelude::*;
use xenlift::shell::language::limits;
use xenlift::shell::pattern::Pattern;
use xenlift::shell::simulation::{FileMap, Simulation};
use xenlift::shell::{Environment, Failure, Shell};

/// Runs a text within a small memory; what it printed.
fn run(text: &str) -> String {
    let bank = xenlift::range::PhysicalRange { start: 0, end: 4 << 20 };
    let mut machine = Simulation::new([bank], FileMap::default()).unwrap();
    let mut shell = Shell::new(&mut machine, Environment::default());
    match shell.run_script("s", text) {
        Ok(_) | Err(Failure::Ended | Failure::Abandoned | Failure::Interrupted) => {}
        Err(other) => panic!("{other:?} has come out of a script"),
    }
    assert!(shell.environment.bytes() <= limits::VARIABLES);
    machine.output
}

/// Words of the language and its commands, in which random texts go further than in random bytes.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "if", "then", "elif", "else", "fi", "for", "in", "while", "until", "do", "done", "true", "false", ";", "&&",
        "||", "\n", " ", "echo", "test", "itest", "itest.b", "setexpr", "setenv", "run", "env", "exit", "a", "b", "$a",
        "${b}", "${a:-b}", "${a:=c}", "$?", "a=b", "b=$a$a", "=", "-n", "-z", "-eq", "!", "1", "0x10", "*100000", "*0",
        "==", "+", "/", "gsub", "(a*)*", "\"", "'", "\\", "#", "$", "${", "}", "import", "export", "-t", "print",
        "help", "sleep", "0.1", "x y", "fdt", "addr", "mw", "md", "1000",
    ];
    prop_oneof![9 => proptest::sample::select(words.to_vec()).prop_map(String::from), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_script_that_ends(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        run(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_words_of_the_language_are_a_script_that_ends(pieces in prop::collection::vec(piece(), 0..80)) {
        run(&pieces.join(" "));
    }

    #[test]
    fn any_loop_ends(body in prop::collection::vec(piece(), 0..6)) {
        run(&format!("a='1 2 3'\nfor x in $a; do {}; done\nfor x in 1 2; do\n{}\ndone\n", body.join(" "), body.join("\n")));
    }

    #[test]
    fn a_word_in_single_quotes_is_printed_as_it_is(word in "[^'\\\\\u{0}-\u{1f}]{0,60}") {
        prop_assert_eq!(run(&format!("echo '{word}'\n")), format!("{word}\n"));
    }

    #[test]
    fn a_word_with_everything_hidden_is_printed_as_it_is(word in "[ -~]{1,60}") {
        let hidden: String = word.chars().flat_map(|character| ['\\', character]).collect();
        prop_assert_eq!(run(&format!("echo x{hidden}\n")), format!("x{word}\n"));
    }

    #[test]
    fn a_value_in_double_quotes_comes_through(value in "[^'\\\\\u{0}-\u{1f}]{1,60}") {
        prop_assert_eq!(run(&format!("setenv v '{value}'\necho \"$v\"\n")), format!("{value}\n"));
    }

    #[test]
    fn words_are_counted_right(words in prop::collection::vec("[a-z]{1,8}", 1..30)) {
        let script = format!("for w in {}; do echo $w; done\n", words.join(" "));
        // Words of the language are words of the list but at its beginning.
        prop_assume!(words.first().is_none_or(|first| !["do", "if", "fi", "for", "in", "then", "else", "elif", "while", "until", "done"].contains(&first.as_str())));
        prop_assert_eq!(run(&script), words.join("\n") + "\n");
    }

    #[test]
    fn any_pattern_on_any_text_ends(pattern in "[ab.*+?()\\[\\]^$|\\\\]{0,20}", text in "[ab]{0,40}", by in "[x\\\\0-9]{0,6}") {
        if let Ok(pattern) = Pattern::new(&pattern) {
            let _ = pattern.replace(&text, &by, true);
        }
    }

    #[test]
    fn setexpr_adds_as_the_machine_does(a: u64, b: u64) {
        let sum = a.wrapping_add(b);
        prop_assert_eq!(run(&format!("setexpr x {a:x} + 0x{b:X}; echo $x\n")), format!("{sum:x}\n"));
    }

    #[test]
    fn itest_and_test_compare_as_the_machine_does(a in 0_u64..1 << 62, b in 0_u64..1 << 62) {
        let script = format!("itest.q {a:x} -lt {b:x}; echo $?; test {a} -lt 0x{b:x}; echo $?\n");
        let expected = u8::from(a >= b);
        prop_assert_eq!(run(&script), format!("{expected}\n{expected}\n"));
    }
}
