use super::*;
use crate::terminal::emulator::Emulator;
use crate::terminal::key::Decoder;
use proptest::prelude::*;

const PROMPT: &str = "xenlift> ";
const USUAL: Kind = Kind::Ansi { columns: 80, rows: 24 };
const SMALL: Kind = Kind::Ansi { columns: 40, rows: 12 };

/// Words that can stand anywhere.
struct Words(Vec<String>);

impl Words {
    fn new(words: &[&str]) -> Self {
        Self(words.iter().map(|word| (*word).into()).collect())
    }
}

impl Completer for Words {
    fn complete(&mut self, candidates: &mut Candidates<'_>) {
        for word in &self.0 {
            candidates.add(word);
        }
    }
}

/// An editor, the terminal it is on, and the time.
struct Bench {
    editor: LineEditor,
    decoder: Decoder,
    terminal: Emulator,
    completer: Words,
    now: Instant,
    sent: String,
    outcomes: Vec<Outcome>,
}

impl Bench {
    fn new(kind: Kind) -> Self {
        let (columns, rows) = match kind {
            Kind::Plain => (1000, 24),
            Kind::Ansi { columns, rows } => (columns, rows),
        };
        let mut bench = Self {
            editor: LineEditor::new(kind),
            decoder: Decoder::new(),
            terminal: Emulator::new(columns, rows),
            completer: Words::new(&[]),
            now: Instant::from_micros(1_000_000),
            sent: String::new(),
            outcomes: Vec::new(),
        };
        bench.begin("");
        bench
    }

    fn begin(&mut self, text: &str) {
        let mut out = String::new();
        self.editor.begin(PROMPT, text, &mut out);
        self.print(out);
    }

    fn print(&mut self, out: String) {
        self.terminal.show(&out);
        self.sent.push_str(&out);
    }

    /// Presses a key, `pause` after the one before; returns what was sent for it.
    fn press(&mut self, pause: Duration, key: Key) -> String {
        self.now = self.now.after(pause);
        let mut out = String::new();
        let outcome = self.editor.key(self.now, key, &mut self.completer, &mut out);
        self.print(out.clone());
        if let Some(outcome) = outcome {
            self.outcomes.push(outcome);
            self.begin("");
        }
        out
    }

    /// What a person types, with time to complete after every key.
    fn type_keys(&mut self, keys: &str) -> String {
        let from = self.sent.len();
        for byte in keys.bytes() {
            if let Some(key) = self.decoder.byte(self.now, byte) {
                self.press(Duration::from_millis(100), key);
                self.rest();
            }
        }
        self.sent[from..].to_owned()
    }

    /// What comes as fast as the line carries it.
    fn paste(&mut self, text: &str) {
        for byte in text.bytes() {
            if let Some(key) = self.decoder.byte(self.now, byte) {
                self.press(Duration::from_micros(87), key);
            }
        }
        self.rest();
    }

    fn rest(&mut self) {
        self.now = self.now.after(GAP);
        let mut out = String::new();
        self.editor.idle(self.now, &mut self.completer, &mut out);
        self.print(out);
    }

    fn line(&self) -> (String, usize) {
        (self.editor.text(), self.editor.cursor())
    }

    fn entered(&self) -> Vec<&str> {
        let entered = self.outcomes.iter().map(|outcome| match outcome {
            Outcome::Entered(line) => line.as_str(),
            _ => "-",
        });
        entered.collect()
    }

    /// Checks the cursor's row against the line, by what the editor says of its window.
    fn check_screen(&self) {
        let (row, column) = self.terminal.cursor();
        let looks = self.terminal.looks(row);
        let screen: String = looks.iter().map(|(text, ..)| text.as_str()).collect();
        let text: Vec<char> = self.editor.text().chars().collect();
        let start = self.editor.view.start;
        let room = match self.editor.kind {
            Kind::Plain => usize::MAX,
            Kind::Ansi { columns, .. } => usize::from(columns) - 1 - PROMPT.len(),
        };
        assert!(start <= self.editor.cursor() && self.editor.cursor() - start <= room);
        let mut expected: Vec<char> = text.iter().copied().skip(start).take(room).map(crate::terminal::shown).collect();
        if start > 0 {
            expected[0] = '<';
        }
        if text.len() - start > room {
            expected[room - 1] = '>';
        }
        let expected: String = PROMPT.chars().chain(expected).collect();
        assert_eq!(screen.trim_end(), expected.trim_end());
        assert_eq!(usize::from(column), PROMPT.len() + self.editor.cursor() - start);
        assert!(!self.terminal.is_styled());
    }
}

/// Every kind of screen that tests run on.
fn kinds() -> [Kind; 4] {
    [Kind::Plain, USUAL, SMALL, Kind::Ansi { columns: 20, rows: 5 }]
}

#[test]
fn a_character_at_the_end_costs_one_byte() {
    for kind in kinds() {
        let mut bench = Bench::new(kind);
        for character in "0123456789".chars() {
            assert_eq!(bench.press(Duration::from_millis(90), Key::Char(character)), character.to_string());
        }
        assert_eq!(bench.type_keys("\x7f"), "\x08 \x08");
    }
}

#[test]
fn a_line_that_scrolls_costs_little_more() {
    let mut bench = Bench::new(SMALL);
    let sent = bench.type_keys(&"0123456789".repeat(40));
    assert!(sent.len() < 4 * 400, "{}", sent.len());
    bench.check_screen();
}

#[test]
fn keys_do_what_readline_does() {
    let cases: &[(&str, &str, usize)] = &[
        ("abc\x1b[D\x1b[Dx", "axbc", 2),
        ("abc\x01x", "xabc", 1),
        ("abc\x1b[H\x1b[C\x1b[3~", "ac", 1),
        ("abc\x01\x04", "bc", 0),
        ("abc\x02\x02\x06x", "abxc", 3),
        ("abc\x01\x05d", "abcd", 4),
        ("abc def\x02\x02\x0b", "abc d", 5),
        ("abc def\x02\x02\x15", "ef", 0),
        ("abc  def\x17", "abc  ", 5),
        ("abc def  \x17", "abc ", 4),
        ("abc def\x17\x01\x19", "defabc ", 3),
        ("ab\x15cd\x19\x19", "cdabab", 6),
        ("/soc/serial@7e\x1b[1;5D\x1b[1;5D", "/soc/serial@7e", 5),
        ("/soc/serial@7e\x01\x1b[1;5C\x1bf", "/soc/serial@7e", 11),
        ("ab\x08\x7f\x7f", "", 0),
        ("\x1b[3~\x1b[D\x1b[C\x0b\x15\x17\x19", "", 0),
        ("a\0\x1b[5~\x1b[6~\x1b[15~\x07\x0f\x1b[24;80Rb", "ab", 2),
        ("漢é\u{301}e", "漢é\u{301}e", 4),
        ("“a\u{a0}b–", "ab", 2),
    ];
    for kind in kinds() {
        for (keys, text, cursor) in cases {
            let mut bench = Bench::new(kind);
            bench.type_keys(keys);
            assert_eq!(bench.line(), ((*text).into(), *cursor), "{keys:?}");
            bench.check_screen();
        }
    }
}

#[test]
fn enter_control_c_and_control_d_end_a_line() {
    for kind in kinds() {
        let mut bench = Bench::new(kind);
        bench.type_keys("one\r\x04tw\x03three\x1b[D\r");
        let entered = |line: &str| Outcome::Entered(line.into());
        assert_eq!(bench.outcomes, [entered("one"), Outcome::EndOfInput, Outcome::Interrupted, entered("three")]);
        let screen = "xenlift> one\nxenlift>\nxenlift> tw^C\nxenlift> three\nxenlift>";
        if kind != (Kind::Ansi { columns: 20, rows: 5 }) {
            assert_eq!(bench.terminal.trimmed(), screen);
        }
    }
}

#[test]
fn the_history_is_walked_and_the_unsaved_line_is_kept() {
    let mut bench = Bench::new(USUAL);
    bench.type_keys("one\rtwo\rthr\x1b[A");
    assert_eq!(bench.line().0, "two");
    bench.type_keys("\x10\x1b[A");
    assert_eq!(bench.line().0, "one");
    bench.type_keys("\x1b[B\x0e");
    assert_eq!(bench.line(), ("thr".into(), 3));
    bench.type_keys("ee\r\x1b[A\x1b[A x\r\x1b[A");
    assert_eq!(bench.entered(), ["one", "two", "three", "two x"]);
    assert_eq!(bench.line().0, "two x");
    bench.check_screen();
}

#[test]
fn a_tab_completes_what_is_sure_and_a_second_one_lists() {
    let mut bench = Bench::new(USUAL);
    bench.completer = Words::new(&["boot", "booti", "bootm", "help", "overlays/"]);
    bench.type_keys("he\t");
    assert_eq!(bench.line().0, "help ");
    bench.type_keys("o\tx\x15bo\t");
    assert_eq!(bench.line().0, "boot");
    assert_eq!(bench.type_keys("\t"), "\r\nboot   booti  bootm\r\nxenlift> boot");
    bench.type_keys("\x15zz");
    assert_eq!(bench.type_keys("\t"), "\x07");
    assert_eq!(bench.type_keys("\t"), "", "a bell a quarter of a second is enough");
    bench.check_screen();
}

#[test]
fn completing_in_the_middle_keeps_what_follows() {
    let mut bench = Bench::new(USUAL);
    bench.completer = Words::new(&["overlays/"]);
    bench.type_keys("ls ov x\x1b[D\x1b[D\t");
    assert_eq!(bench.line(), ("ls overlays/ x".into(), 12));
    bench.check_screen();
}

#[test]
fn a_tab_in_what_is_pasted_is_a_blank_at_its_beginning_too() {
    let mut bench = Bench::new(USUAL);
    bench.completer = Words::new(&["setenv", "echo"]);
    bench.paste("\techo\ta\rif\r\techo b\r");
    assert_eq!(bench.entered(), [" echo a", "if", " echo b"]);
}

#[test]
fn ten_kilobytes_pasted_arrive_whole() {
    let script: Vec<String> =
        (0..200).map(|number| format!("setenv variable_{number} {}", "x".repeat(number % 60))).collect();
    for kind in kinds() {
        let mut bench = Bench::new(kind);
        bench.paste(&(script.join("\r\n") + "\r\n"));
        assert_eq!(bench.entered(), script);
        assert!(bench.sent.len() < 3 * 10_240 + 200 * 16, "{}", bench.sent.len());
    }
}

#[test]
fn a_line_is_bounded_says_so_and_is_not_taken_for_what_was_meant() {
    let mut bench = Bench::new(USUAL);
    bench.paste(&"x".repeat(LONGEST_LINE + 1000));
    assert_eq!(bench.line().0.len(), LONGEST_LINE);
    assert_eq!(bench.sent.matches('\x07').count(), 1);
    bench.check_screen();
    bench.type_keys("\r");
    assert_eq!(bench.outcomes, [Outcome::TooLong]);
    bench.paste(&"y".repeat(LONGEST_LINE + 1));
    bench.type_keys("\x7f\r");
    assert_eq!(bench.outcomes[1], Outcome::Entered("y".repeat(LONGEST_LINE - 1)));
}

#[test]
fn a_line_begins_with_the_text_it_is_given_whatever_that_is() {
    for kind in kinds() {
        let mut bench = Bench::new(kind);
        bench.print("\r\n".into());
        bench.begin("a\tb\x1b[2J漢");
        bench.type_keys("!\r");
        assert_eq!(bench.entered(), ["a\tb\x1b[2J漢!"]);
        let screen = bench.terminal.trimmed();
        assert!(screen.contains("a?b?[2J?!") || screen.contains('<'), "{screen}");
    }
}

#[test]
fn hidden_nothing_is_left_of_it_and_shown_again_it_is_whole() {
    for kind in kinds() {
        let mut bench = Bench::new(kind);
        bench.type_keys("boot\x1b[D");
        let mut out = String::new();
        bench.editor.hide(&mut out);
        out.push_str("link is up\r\n");
        bench.editor.show(&mut out);
        bench.print(out);
        assert_eq!(bench.terminal.trimmed(), "link is up\nxenlift> boot");
        bench.check_screen();
    }
}

#[test]
fn control_l_brings_the_prompt_to_the_top_of_a_terminal() {
    let mut bench = Bench::new(USUAL);
    bench.type_keys("one\rtwo\x0c");
    assert_eq!(bench.terminal.trimmed(), "xenlift> two");
    bench.check_screen();
}

#[test]
fn a_terminal_that_answers_late_is_used_from_then_on() {
    for length in [5, 100] {
        let mut bench = Bench::new(Kind::Plain);
        bench.terminal = Emulator::new(40, 12);
        bench.terminal.show(PROMPT);
        bench.type_keys(&"0123456789".repeat(20)[..length]);
        let mut out = String::new();
        bench.editor.set_kind(SMALL, &mut out);
        bench.print(out);
        bench.type_keys("\x1b[Dx");
        bench.check_screen();
    }
}

#[test]
fn an_answer_between_two_lines_shows_nothing() {
    let mut editor = LineEditor::new(Kind::Plain);
    let mut out = String::new();
    editor.begin(PROMPT, "", &mut out);
    assert_eq!(
        editor.key(Instant::from_micros(0), Key::Enter, &mut (), &mut out),
        Some(Outcome::Entered(String::new()))
    );
    out.clear();
    editor.set_kind(USUAL, &mut out);
    assert_eq!(out, "");
    editor.begin(PROMPT, "", &mut out);
    assert_eq!(out, PROMPT);
}

#[test]
fn a_session_at_80_by_24() {
    let mut bench = Bench::new(USUAL);
    bench.completer = Words::new(&["entries", "entry", "env", "help", "memory"]);
    bench.type_keys("help\ren\t\tt\tx\x7f\ti\t\r");
    bench.type_keys("setenv bootargs console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=768M dom0_max_vcpus=1");
    assert_eq!(
        bench.terminal.trimmed(),
        "xenlift> help
xenlift> en
entries  entry    env
xenlift> entries
xenlift> <=/soc/serial@7e215040 dom0_mem=768M dom0_max_vcpus=1"
    );
    bench.type_keys("\x01");
    assert!(
        bench
            .terminal
            .text()
            .ends_with("\nxenlift> setenv bootargs console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=7>")
    );
    bench.check_screen();
}

#[test]
fn a_session_at_40_by_12() {
    let mut bench = Bench::new(SMALL);
    bench.completer = Words((0..200).map(|number| format!("/soc/device@{number}")).collect());
    bench.type_keys("tree /soc/\t\t");
    let text = bench.terminal.trimmed();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 12);
    assert_eq!(rows[..2], ["xenlift> tree /soc/device@", "device@0   device@1   device@2"]);
    assert_eq!(rows[9..], ["device@24  device@25  device@26", "and 173 more", "xenlift> tree /soc/device@"]);
    bench.check_screen();
}

/// What keys do to a line, as simply as it can be said; without history, killing and completion.
fn model(text: &mut Vec<char>, cursor: &mut usize, key: Key) {
    match key {
        Key::Char(character) if !crate::terminal::is_misleading(character) => {
            text.insert(*cursor, character);
            *cursor += 1;
        }
        Key::Left => *cursor = cursor.saturating_sub(1),
        Key::Right => *cursor = text.len().min(*cursor + 1),
        Key::Home => *cursor = 0,
        Key::End => *cursor = text.len(),
        Key::Backspace if *cursor > 0 => {
            *cursor -= 1;
            text.remove(*cursor);
        }
        Key::Delete if *cursor < text.len() => {
            text.remove(*cursor);
        }
        Key::Control(b'u') => {
            text.drain(..*cursor);
            *cursor = 0;
        }
        Key::Control(b'k') => text.truncate(*cursor),
        Key::Enter => {
            text.clear();
            *cursor = 0;
        }
        _ => {}
    }
}

fn edit() -> impl Strategy<Value = Key> {
    let moves = vec![Key::Left, Key::Left, Key::Left, Key::Right, Key::Home, Key::End, Key::Backspace, Key::Delete];
    let ends = vec![Key::Control(b'u'), Key::Control(b'k'), Key::Enter];
    prop_oneof![
        12 => "[a-z /=@0-9é漢\u{301}]".prop_map(|text| Key::Char(text.chars().next().unwrap())),
        6 => proptest::sample::select(moves),
        1 => proptest::sample::select(ends),
    ]
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        1 => Just(Kind::Plain),
        3 => (20..100_u16, 5..30_u16).prop_map(|(columns, rows)| Kind::Ansi { columns, rows }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn edits_are_those_of_a_simple_model_and_the_screen_shows_them(kind in any_kind(), keys in proptest::collection::vec(edit(), 0..250)) {
        let mut bench = Bench::new(kind);
        let (mut text, mut cursor) = (Vec::new(), 0);
        for key in keys {
            bench.press(Duration::from_millis(20), key);
            model(&mut text, &mut cursor, key);
            prop_assert_eq!(bench.line(), (text.iter().collect(), cursor));
            bench.check_screen();
        }
    }

    #[test]
    fn any_bytes_do_no_harm_and_never_lose_the_prompt(
        kind in any_kind(),
        bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 2 => proptest::sample::select(b"ab /\t\t\r\x1b[ACD\x7f\x15\x0c\x03".to_vec())], 0..400),
        milliseconds in 0..60_u64,
    ) {
        let mut bench = Bench::new(kind);
        bench.completer = Words::new(&["a", "aaa", "abc", "b/", "a漢b"]);
        let row = match kind { Kind::Plain => 1000, Kind::Ansi { columns, .. } => usize::from(columns) };
        for byte in bytes {
            bench.now = bench.now.after(Duration::from_millis(milliseconds));
            for key in bench.decoder.idle(bench.now).into_iter().chain(bench.decoder.byte(bench.now, byte)) {
                let sent = bench.press(Duration::ZERO, key);
                // A listing, two rows, and a line anew.
                prop_assert!(sent.len() <= 64 + 6 * row, "{} bytes for {:?}", sent.len(), key);
                bench.check_screen();
            }
        }
        bench.rest();
        bench.check_screen();
        prop_assert!(kind != Kind::Plain || !bench.sent.contains('\x1b'));
    }

    #[test]
    fn whatever_is_pasted_comes_out_line_by_line(kind in any_kind(), lines in proptest::collection::vec("[ -~\t]{0,120}", 1..8)) {
        let mut bench = Bench::new(kind);
        bench.completer = Words::new(&["a", "b", "c"]);
        bench.paste(&(lines.join("\r") + "\r"));
        let expected: Vec<String> = lines.iter().map(|line| line.replace('\t', " ")).collect();
        prop_assert_eq!(bench.entered(), expected);
    }
}
