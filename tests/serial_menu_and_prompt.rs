//! Menu and prompt over lines of real speeds: what is typed is done, in order and in time, whatever the line has still to bring out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod serial;

use serial::machine::Machine;
use serial::{PROMISED, Port, Rig, Typed};
use std::num::NonZero;
use std::time::Duration;
use xenlift::boot::keyboard::Keyboard;
use xenlift::config::{Settings, settings};
use xenlift::console::INTERRUPT;
use xenlift::menu::{Action, Menu};
use xenlift::shell::prompt::{self, Visitor};
use xenlift::shell::{Environment, Leave, Platform, Shell};
use xenlift::terminal::Kind;
use xenlift::terminal::key::Key;
use xenlift::time::{Clock, Instant};

const PORTS: [Port; 2] = [Port::MiniUart, Port::Pl011];
const SCREEN: Kind = Kind::Ansi { columns: 80, rows: 24 };

/// How often the loader looks at keys, menu and console while it waits for one.
const LOOKS: Duration = Duration::from_micros(300);

fn two_hundred() -> Settings {
    let entry =
        |number| format!("[[entry]]\nname = \"e{number}\"\ntitle = \"Entry {number}, with a title\"\nscript = \"s\"\n");
    let text = "timeout = \"never\"\n".to_string() + &(1..=200).map(entry).collect::<String>();
    settings::parse(text.as_bytes()).unwrap()
}

/// What the terminal of 80 columns and 24 rows shows.
fn screen(rig: &Rig) -> String {
    let mut parser = vt100::Parser::new(NonZero::new(24).unwrap(), NonZero::new(80).unwrap(), 0);
    parser.process(&rig.shown());
    parser.screen().contents()
}

/// The loop of the loader while the menu is open, until something is chosen or `time` is over.
fn choose(rig: &mut Rig, menu: &mut Menu<'_>, keyboard: &mut Keyboard, time: Duration) -> Option<Action> {
    let mut action = None;
    let end = rig.clock.now().after(time);
    rig.run(LOOKS, |console, now| {
        menu.set_line_busy(console.is_printing());
        while let Some(key) =
            if menu.takes_text() { keyboard.text_key(now, console) } else { keyboard.key(now, console) }
        {
            action = action.or(menu.key(now, key, console));
        }
        action = action.or(menu.idle(now, console));
        action.is_some() || now >= end
    });
    action
}

#[test]
fn no_key_is_dropped_while_a_menu_of_200_entries_is_painted_at_9600_baud() {
    for port in PORTS {
        let settings = two_hundred();
        let mut rig = Rig::new(port, 9600);
        let mut menu = Menu::new(&settings, SCREEN, rig.clock.now()).unwrap();
        menu.open(rig.clock.now(), false, &mut rig.console);
        // A held cursor key, as terminals repeat it: each of them moves the list, which the line takes longer for than for the next key.
        for number in 0..150 {
            rig.types(Duration::from_millis(30 * number), Typed::Bytes(b"\x1b[B"));
        }
        let mut keyboard = Keyboard::default();
        assert_eq!(choose(&mut rig, &mut menu, &mut keyboard, Duration::from_secs(5)), None, "{port:?}");
        assert_eq!(rig.console.line_errors().overruns, 0);
        assert!(screen(&rig).contains(">151  Entry 151, with a title"), "{port:?}:\n{}", screen(&rig));
        rig.types_text("\r");
        let action = choose(&mut rig, &mut menu, &mut keyboard, Duration::from_millis(20));
        assert_eq!(action, Some(Action::Boot(150)), "{port:?}: at once, since the line is not behind");
    }
}

#[test]
fn noise_at_the_menu_boots_nothing_and_the_menu_works_afterwards() {
    for (port, baud, kind) in
        PORTS.into_iter().flat_map(|port| [(port, 9600, SCREEN), (port, 115_200, SCREEN), (port, 115_200, Kind::Plain)])
    {
        let settings = two_hundred();
        let mut rig = Rig::new(port, baud);
        let mut menu = Menu::new(&settings, kind, rig.clock.now()).unwrap();
        menu.open(rig.clock.now(), false, &mut rig.console);
        let mut noise: u32 = 0x1234_5678;
        for _ in 0..5_000 {
            // xorshift32: any bytes will do, as long as a run is like the one before.
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let [byte, kind, pause, _] = noise.to_le_bytes();
            // More Enters than there would be, and pauses in between.
            let byte = if kind % 4 == 0 { b'\r' } else { byte };
            let typed = match kind {
                0..10 => Typed::Break,
                10..20 => Typed::Garbled(byte),
                _ => Typed::Bytes(std::slice::from_ref(&byte)),
            };
            rig.types(Duration::ZERO, typed);
            if pause == 0 {
                rig.types(Duration::ZERO, Typed::Break);
            }
        }
        let mut keyboard = Keyboard::default();
        while !rig.has_arrived() {
            let action = choose(&mut rig, &mut menu, &mut keyboard, Duration::from_millis(200));
            assert_eq!(action, None, "{port:?} at {baud}");
        }
        // Long enough for what guards against noise to be calm again, and for the list to be shown.
        assert_eq!(choose(&mut rig, &mut menu, &mut keyboard, Duration::from_secs(4)), None);
        if kind == Kind::Plain {
            let shown = rig.shown_text();
            assert_eq!(shown.matches("Number and Enter").count(), 1, "{shown}");
            assert_eq!(shown.matches("\n> ").count(), 1, "{shown}");
        }
        for (after, bytes) in [(0, &b"\x1b"[..]), (200, b"7"), (400, b"\r")] {
            rig.types(Duration::from_millis(after), Typed::Bytes(bytes));
        }
        let action = choose(&mut rig, &mut menu, &mut keyboard, Duration::from_secs(2));
        assert_eq!(action, Some(Action::Boot(6)), "{port:?} at {baud}:\n{}", screen(&rig));
    }
}

#[test]
fn control_c_among_noise_is_no_key_and_a_persons_is() {
    let settings = two_hundred();
    let mut rig = Rig::new(Port::MiniUart, 115_200);
    let mut menu = Menu::new(&settings, Kind::Plain, rig.clock.now()).unwrap();
    menu.open(rig.clock.now(), false, &mut rig.console);
    let mut keyboard = Keyboard::default();
    let mut keys = Vec::new();
    for bytes in [&b"\x03\x80\x03"[..], &[INTERRUPT; 80], b"some words that came at once\x03"] {
        rig.types(Duration::ZERO, Typed::Bytes(bytes));
        let end = rig.clock.now().after(Duration::from_secs(1));
        rig.run(LOOKS, |console, now| {
            keys.extend(keyboard.key(now, console));
            now >= end
        });
    }
    assert_eq!(keys, []);
    rig.types(Duration::ZERO, Typed::Bytes(&[INTERRUPT]));
    let pressed = rig.clock.now();
    rig.run(LOOKS, |console, now| {
        keys.extend(keyboard.key(now, console));
        !keys.is_empty() || now.since(pressed) > Duration::from_millis(100)
    });
    assert_eq!(keys, [Key::Control(b'c')]);
}

/// A visit to the prompt, until it is left; then the line has brought out all.
fn visit(machine: &mut Machine, kind: Kind) -> Leave {
    let mut shell = Shell::new(machine, Environment::default());
    let leave = prompt::run(&mut shell, &mut Visitor::default(), Some(kind), Some(Duration::from_secs(60)));
    assert!(machine.rig.console.drain(Duration::from_secs(60)));
    leave
}

/// 10 KB of lines, each of which says its number.
fn paste() -> (String, usize) {
    let (mut text, mut lines) = (String::new(), 0);
    while text.len() < 10_240 {
        lines += 1;
        text.push_str(&format!("setenv line{lines} \"some words, and more\"; echo ran $line{lines} {lines}\r"));
    }
    (text, lines)
}

#[test]
fn a_paste_of_10_kilobytes_at_the_prompt_is_run_line_by_line() {
    for (port, kind) in PORTS.into_iter().flat_map(|port| [(port, Kind::Plain), (port, SCREEN)]) {
        let mut machine = Machine::new(Rig::new(port, 115_200));
        let (paste, lines) = paste();
        machine.rig.types_text(&paste);
        machine.rig.types_text("exit\r");
        assert_eq!(visit(&mut machine, kind), Leave::Menu);
        let shown = machine.rig.shown_text();
        let ran: Vec<&str> = shown.lines().filter(|line| line.starts_with("ran ")).collect();
        let expected: Vec<String> = (1..=lines).map(|number| format!("ran some words, and more {number}")).collect();
        assert!(ran == expected, "{port:?} {kind:?}: {} of {lines} lines", ran.len());
        assert!(!shown.contains("lost"));
        assert!(machine.rig.console.longest_gap().length < PROMISED);
    }
}

#[test]
fn what_is_typed_while_a_command_runs_is_run_after_it() {
    let mut machine = Machine::new(Rig::new(Port::MiniUart, 9600));
    machine.rig.types_text("sleep 3; echo woke\r");
    machine.rig.types(Duration::from_millis(500), Typed::Bytes(b"echo first\recho sec"));
    machine.rig.types(Duration::from_millis(2000), Typed::Bytes(b"ond\rexit\r"));
    assert_eq!(visit(&mut machine, Kind::Plain), Leave::Menu);
    let shown = machine.rig.shown_text();
    let said: Vec<&str> = shown.lines().map(str::trim_end).filter(|line| !line.starts_with("=> ")).collect();
    assert_eq!(said, ["woke", "first", "second"], "{shown}");
}

#[test]
fn control_c_ends_a_long_output_within_100_milliseconds_at_9600_baud() {
    for (port, command) in PORTS.into_iter().flat_map(|port| {
        [(port, "while true; do echo some words that take their time; done\r"), (port, "md.b 100000 10000\r")]
    }) {
        let mut machine = Machine::new(Rig::new(port, 9600));
        machine.rig.types_text(command);
        let pressed = Duration::from_secs(5);
        machine.rig.types(pressed, Typed::Bytes(&[INTERRUPT]));
        let watched = machine.rig.clock.now().after(pressed + Duration::from_millis(100));
        // Typed by somebody who sees the prompt again.
        machine.rig.types(pressed + Duration::from_millis(100), Typed::Bytes(b"exit\r"));
        assert_eq!(visit(&mut machine, Kind::Plain), Leave::Menu, "{port:?}");
        let shown = machine.rig.shown_text();
        assert!(shown.ends_with("^C\r\n=> exit\r\n"), "{port:?}: {:?}", &shown[shown.len().saturating_sub(100)..]);
        // The line was never idle before, so what it brought out tells the time: a character in 1.04 ms.
        let arrived = Instant::from_micros(shown.len() as u64 * 1042);
        assert!(arrived.since(watched) < Duration::from_millis(50), "{port:?}: {arrived:?} {watched:?}");
    }
}

#[test]
fn control_c_at_the_prompt_ends_what_is_still_to_come_of_the_last_output() {
    let mut machine = Machine::new(Rig::new(Port::MiniUart, 9600));
    // 8 KB, all of which the buffer takes at once: the command is over long before the line is.
    machine.rig.types_text("md.b 100000 70\rmd.b 100000 700\r");
    machine.rig.types(Duration::from_secs(2), Typed::Bytes(&[INTERRUPT]));
    machine.rig.types(Duration::from_millis(2100), Typed::Bytes(b"exit\r"));
    assert_eq!(visit(&mut machine, SCREEN), Leave::Menu);
    let shown = machine.rig.shown();
    assert!(shown.len() < 2400, "{} bytes, of which a second brings 960", shown.len());
}

#[test]
fn a_line_that_the_line_garbled_is_not_run_nor_is_what_comes_right_behind_it() {
    let mut machine = Machine::new(Rig::new(Port::Pl011, 115_200));
    machine.rig.types_text("echo this is");
    machine.rig.types(Duration::ZERO, Typed::Garbled(b'?'));
    machine.rig.types(Duration::from_millis(1), Typed::Bytes(b" damaged\recho behind\r"));
    machine.rig.types(Duration::from_millis(100), Typed::Break);
    machine.rig.types(Duration::from_secs(2), Typed::Bytes(b"echo after a pause\rexit\r"));
    assert_eq!(visit(&mut machine, Kind::Plain), Leave::Menu);
    let shown = machine.rig.shown_text();
    assert!(!shown.contains("\r\nthis is") && shown.matches("Not run: bytes ").count() == 1, "{shown}");
    assert!(
        !shown.contains("\r\nbehind\r\n") && shown.matches("Not run: it came right behind ").count() == 1,
        "{shown}"
    );
    assert!(shown.contains("\r\nafter a pause\r\n"), "{shown}");
}

#[test]
fn characters_that_were_lost_are_told_once_before_the_next_prompt() {
    let mut machine = Machine::new(Rig::new(Port::MiniUart, 115_200));
    machine.rig.types_text("echo a line that comes while nobody looks\r");
    machine.rig.work(Duration::from_millis(10));
    machine.rig.types(Duration::from_millis(100), Typed::Bytes(b"\recho on\rexit\r"));
    assert_eq!(visit(&mut machine, Kind::Plain), Leave::Menu);
    let shown = machine.rig.shown_text();
    assert_eq!(shown.matches("were lost").count(), 1, "{shown}");
    assert!(shown.contains("\r\non\r\n"));
    assert!(!machine.take_input_lost());
}
