//! The menu on a screen of the `vt100` crate, driven by the bytes that terminals send.

use super::*;
use crate::config::{Payload, settings};
use crate::terminal::emulator::Emulator;
use crate::terminal::key::Decoder;
use proptest::prelude::*;
use std::string::ToString;

const WIDE: Kind = Kind::Ansi { columns: 80, rows: 24 };
const SMALL: Kind = Kind::Ansi { columns: 40, rows: 12 };

const THREE: &str = r#"
default = "xen"
timeout = 3
[[entry]]
name = "xen"
title = "Xen + Debian Dom0"
device-tree = "auto"
overlays = ["overlays/disable-bt.dtbo"]
[entry.xen]
image = "xen"
args = "console=dtuart dom0_mem=768M"
[entry.dom0]
kernel = "Image-dom0"
ramdisk = "rootfs.cpio.gz"
args = "console=hvc0"
[[entry]]
name = "guests"
title = "Two guests"
[entry.xen]
image = "xen"
args = "console=dtuart"
[[entry.domu]]
name = "one"
memory = "128M"
cpus = 1
kernel = "Image-one"
args = "console=ttyAMA0"
[[entry.domu]]
name = "two"
memory = "128M"
cpus = 1
kernel = "Image-two"
args = "console=ttyAMA0"
[[entry]]
name = "old"
script = "boot2.scr"
"#;

fn start() -> Instant {
    Instant::from_micros(1_000_000)
}

fn parse(text: &str) -> Settings {
    settings::parse(text.as_bytes()).unwrap()
}

fn many(count: usize) -> Settings {
    let entry = |number| std::format!("[[entry]]\nname = \"e{number}\"\ntitle = \"Entry {number}\"\nscript = \"s\"\n");
    parse(&("timeout = \"never\"\n".to_string() + &(1..=count).map(entry).collect::<String>()))
}

/// A menu, its screen, and whoever types.
struct Visit<'s> {
    menu: Menu<'s>,
    screen: Emulator,
    decoder: Decoder,
    now: Instant,
}

impl<'s> Visit<'s> {
    fn new(settings: &'s Settings, kind: Kind) -> Self {
        let (columns, rows) = match kind {
            Kind::Ansi { columns, rows } => (columns, rows),
            Kind::Plain => (80, 24),
        };
        let menu = Menu::new(settings, kind, start()).unwrap();
        let mut screen = Emulator::new(columns, rows);
        screen.show("banner\r\n");
        let mut visit = Self { menu, screen, decoder: Decoder::new(), now: start() };
        let mut out = String::new();
        visit.menu.open(visit.now, false, &mut out);
        visit.screen.show(&out);
        visit
    }

    /// Types `bytes`, with a person's pauses; what comes of the last key that does something.
    fn types(&mut self, bytes: &str) -> Option<Action> {
        let mut action = None;
        for byte in bytes.bytes() {
            self.now = self.now.after(Duration::from_millis(1));
            action = self.decoder.byte(self.now, byte).and_then(|key| self.press(key)).or(action);
        }
        action
    }

    fn press(&mut self, key: Key) -> Option<Action> {
        self.now = self.now.after(Duration::from_millis(100));
        let mut out = String::new();
        let action = self.menu.key(self.now, key, &mut out);
        self.screen.show(&out);
        action
    }

    fn waits(&mut self, time: Duration) -> Option<Action> {
        self.now = self.now.after(time);
        let mut out = String::new();
        let action = self.menu.idle(self.now, &mut out);
        self.screen.show(&out);
        action
    }

    /// The screen, without blanks at the ends of rows: those of the selected one are reversed.
    fn shows(&self) -> String {
        self.screen.text().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    /// The row of the screen that is reversed.
    fn selected(&self) -> String {
        let Kind::Ansi { rows, .. } = self.menu.kind else { return String::new() };
        // The lowest one: what was left on the screen above is no menu any more.
        let mut from_below = (0..rows).rev().map(|row| self.screen.looks(row));
        let reversed = from_below.find(|row| row.first().is_some_and(|cell| cell.2));
        reversed.unwrap_or_default().into_iter().map(|cell| cell.0).collect::<String>().trim_end().into()
    }
}

#[test]
fn on_a_terminal_the_entries_are_listed_with_what_they_do() {
    let settings = parse(THREE);
    let visit = Visit::new(&settings, WIDE);
    assert_eq!(
        visit.shows(),
        "banner
Xenlift: what to boot
>  1  Xen + Debian Dom0 (default)
   2  Two guests
   3  old

Xen xen, Dom0 Image-dom0 with rootfs.cpio.gz; this board's tree, 1 overlay
Boots in 3 s. Any key stops that.
Enter: boot  ?: help  e: edit  d: details  s: shell  r: reload"
    );
    assert_eq!(visit.selected(), ">  1  Xen + Debian Dom0 (default)");
}

#[test]
fn a_small_terminal_shows_what_fits() {
    let settings = many(200);
    let mut visit = Visit::new(&settings, SMALL);
    assert_eq!(visit.types("150"), None);
    assert_eq!(
        visit.shows(),
        "Xenlift: what to boot  147-153 of 200
 147  Entry 147
 148  Entry 148
 149  Entry 149
>150  Entry 150
 151  Entry 151
 152  Entry 152
 153  Entry 153
script s

Enter: boot  ?: help  e: edit
d: details  s: shell  r: reload"
    );
}

#[test]
fn arrows_pages_digits_and_letters_choose() {
    let settings = many(200);
    let mut visit = Visit::new(&settings, WIDE);
    let mut at = |keys: &str, expected: usize| {
        visit.types(keys);
        assert_eq!(visit.menu.selected + 1, expected, "{keys:?}");
        assert!(visit.selected().starts_with(&std::format!(">{expected:>3}  Entry {expected}")), "{}", visit.shows());
    };
    at("\x1b[B\x1bOB", 3);
    at("\x1b[A", 2);
    at("\x1b[6~", 20);
    at("\x1b[5~\x1b[5~", 1);
    at("\x1b[F", 200);
    at("\x1b[H", 1);
    at("17", 17);
    // Another number, because no entry has three of these digits.
    at("3", 173);
    at("9", 9);
    at("E", 10);
    assert_eq!(visit.waits(Duration::from_secs(3600)), None, "timeout = never");
    assert_eq!(visit.types("2"), None);
    assert_eq!(visit.types("\r"), Some(Action::Boot(1)));
}

#[test]
fn letters_go_to_titles_and_small_ones_are_keys_first() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, WIDE);
    visit.types("t");
    assert_eq!(visit.menu.selected, 1);
    visit.types("O");
    assert_eq!(visit.menu.selected, 2);
    visit.types("X");
    assert_eq!(visit.menu.selected, 0);
    assert_eq!(visit.types("s"), Some(Action::Shell));
    assert_eq!(visit.types("r"), Some(Action::Reload));
    assert_eq!(visit.types("d"), Some(Action::Details(0)));
}

#[test]
fn a_pasted_line_boots_nothing_and_a_number_does() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, WIDE);
    let at_once = |visit: &mut Visit<'_>, keys: &[Key]| {
        visit.waits(Duration::from_secs(1));
        let mut out = String::new();
        keys.iter().filter_map(|key| visit.menu.key(visit.now, *key, &mut out)).last()
    };
    assert_eq!(at_once(&mut visit, &[Key::Char('n'), Key::Char('o'), Key::Enter]), None);
    assert_eq!(at_once(&mut visit, &[Key::Char('2'), Key::Enter]), Some(Action::Boot(1)));
    visit.types("o");
    assert_eq!(visit.types("\r"), Some(Action::Boot(2)));
}

#[test]
fn the_countdown_ends_in_the_default_and_any_key_stops_it() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, WIDE);
    assert_eq!(visit.waits(Duration::from_millis(1001)), None);
    assert!(visit.shows().contains("Boots in 2 s."));
    assert_eq!(visit.waits(Duration::from_secs(2)), Some(Action::Boot(0)));

    let mut visit = Visit::new(&settings, WIDE);
    visit.press(Key::Down);
    assert_eq!(visit.waits(Duration::from_secs(100)), None);
    assert!(!visit.shows().contains("Boots in"));
    visit.waits(Duration::from_secs(30));
    assert!(visit.shows().contains("Xen + Debian Dom0 boots in 50 s, unless a key is pressed."), "{}", visit.shows());
    visit.press(Key::Control(b'g'));
    assert!(!visit.shows().contains("boots in"));
    // The default, and not what somebody looked at and left.
    assert_eq!(visit.waits(PATIENCE), Some(Action::Boot(0)));
}

#[test]
fn command_lines_are_edited_for_one_boot() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, WIDE);
    visit.types("e");
    assert!(visit.shows().contains("> Xen   console=dtuart dom0_mem=768M\n  Dom0  console=hvc0"), "{}", visit.shows());
    visit.types("\x1b[B\r quiet\r");
    assert_eq!(
        visit.shows(),
        "banner
Xen + Debian Dom0: command lines (* edited)
  Xen   console=dtuart dom0_mem=768M
> Dom0* console=hvc0 quiet

Enter: edit  b: boot  u: undo  Escape: back"
    );
    assert_eq!(visit.types("b"), Some(Action::Boot(0)));
    let Payload::Xen(xen) = &visit.menu.entry(0).unwrap().payload else { unreachable!() };
    assert_eq!(xen.dom0.as_ref().unwrap().args, "console=hvc0 quiet");
    assert_eq!(xen.args, "console=dtuart dom0_mem=768M");
    let mut out = String::new();
    visit.menu.reopen(visit.now, "it failed", &mut out);
    visit.screen.show(&out);
    assert!(visit.shows().starts_with("banner\nXenlift: what to boot\n"), "{}", visit.shows());
    assert!(visit.shows().contains("(default) (edited)") && visit.shows().contains("it failed"), "{}", visit.shows());
    visit.types("eu");
    assert_eq!(visit.menu.entry(0), settings.entries.first());
}

#[test]
fn a_line_that_xen_would_not_take_is_not_taken() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, WIDE);
    visit.types("e\r");
    visit.types(" dom0_mem=lots\r");
    assert!(
        visit.shows().starts_with("banner\nXen + Debian Dom0, for this boot only\nNot taken: "),
        "{}",
        visit.shows()
    );
    assert!(visit.menu.takes_text());
    assert!(visit.shows().ends_with("Xen: console=dtuart dom0_mem=768M dom0_mem=lots"), "{}", visit.shows());
    visit.press(Key::Control(b'c'));
    assert!(!visit.menu.takes_text());
    assert_eq!(visit.menu.entry(0), settings.entries.first());
}

#[test]
fn a_line_that_is_wider_than_the_screen_shows_its_end_and_a_mark() {
    let settings =
        parse(&THREE.replace("console=hvc0\"", "console=hvc0 root=/dev/disk/by-label/a-long-name rw init=/bin/one\""));
    let mut visit = Visit::new(&settings, SMALL);
    visit.types("e\x1b[B");
    assert_eq!(
        visit.shows(),
        "banner
Xen + Debian Dom0: command lines
  Xen   console=dtuart dom0_mem=768M
> Dom0  console=hvc0 root=/dev/disk/by~

console=hvc0
    root=/dev/disk/by-label/a-long-name
    rw init=/bin/one

Enter: edit  b: boot  u: undo
Escape: back"
    );
    visit.types("\r quiet\r");
    assert_eq!(
        visit.shows(),
        "banner
Xen + Debian~: command lines (* edited)
  Xen   console=dtuart dom0_mem=768M
> Dom0* console=hvc0 root=/dev/disk/by~

console=hvc0
    root=/dev/disk/by-label/a-long-name
    rw init=/bin/one quiet

Enter: edit  b: boot  u: undo
Escape: back"
    );
}

/// Everything that was ever on the screen, scrolled off or not, without empty rows at the end.
fn history(visit: &mut Visit<'_>) -> String {
    visit.screen.history().join("\n").trim_end().into()
}

#[test]
fn no_copy_of_the_menu_stays_where_others_print() {
    let settings = parse(THREE);
    for kind in [WIDE, SMALL] {
        let mut visit = Visit::new(&settings, kind);
        for (keys, action) in [("d", Action::Details(0)), ("s", Action::Shell), ("\r", Action::Boot(0))] {
            assert_eq!(visit.types(keys), Some(action));
            visit.screen.show("said by others\r\n");
            let mut out = String::new();
            visit.menu.reopen(visit.now, "it failed", &mut out);
            visit.screen.show(&out);
        }
        visit.types("e\rx\r");
        visit.types("\r\x0c\x03");
        visit.press(Key::Escape);
        let history = history(&mut visit);
        assert!(history.starts_with("banner\nsaid by others\nsaid by others\nsaid by others\nXenlift"), "{history}");
        for text in ["Xenlift: what to boot", "Enter: boot", "Two guests"] {
            assert_eq!(history.matches(text).count(), 1, "{text:?} in {history}");
        }
        assert!(!history.contains("this boot only"), "{history}");
    }
}

#[test]
fn a_long_message_is_told_whole_on_a_small_screen() {
    let settings = many(20);
    let mut visit = Visit::new(&settings, SMALL);
    let mut out = String::new();
    visit.menu.leave(&mut out);
    visit.menu.reopen(
        visit.now,
        "Image-dom0: the server says that there is no such file, and nobody else was asked for it",
        &mut out,
    );
    visit.screen.show(&out);
    assert_eq!(
        visit.shows(),
        "Xenlift: what to boot  1-5 of 20
>  1  Entry 1 (default)
   2  Entry 2
   3  Entry 3
   4  Entry 4
   5  Entry 5
script s
Image-dom0: the server says that there
    is no such file, and nobody else
    was asked for it
Enter: boot  ?: help  e: edit
d: details  s: shell  r: reload"
    );
}

#[test]
fn a_long_title_is_cut_with_a_mark_and_what_is_said_of_it_is_not() {
    let settings = parse(
        "[[entry]]\nname = \"a\"\ntitle = \"A title that has no end on a screen of forty columns\"\nscript = \"s\"\n",
    );
    let visit = Visit::new(&settings, SMALL);
    assert!(visit.shows().contains("\n>  1  A title that has no en~ (default)\n"), "{}", visit.shows());
}

#[test]
fn control_c_on_a_plain_line_asks_once() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, Kind::Plain);
    for _ in 0..20 {
        visit.press(Key::Control(b'c'));
        visit.press(Key::Control(b'd'));
    }
    assert_eq!(visit.shows().matches("Number and Enter").count(), 1, "{}", visit.shows());
    assert_eq!(visit.shows().matches("\n>").count(), 1, "{}", visit.shows());
    visit.types("x\r9\r?\r");
    assert_eq!(visit.shows().matches("Number and Enter").count(), 1, "{}", visit.shows());
}

#[test]
fn a_script_has_no_lines_to_edit() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, WIDE);
    visit.types("3e");
    assert!(visit.shows().contains("This entry has no command lines: its script has them."));
    visit.types("2");
    assert!(!visit.shows().contains("no command lines"));
}

#[test]
fn details_and_help_are_read_page_by_page() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, SMALL);
    assert_eq!(visit.types("d"), Some(Action::Details(0)));
    let text: String = (1..=30).map(|line| std::format!("line {line}\n")).collect();
    let mut out = String::new();
    visit.menu.show(visit.now, "Details", &text, &mut out);
    visit.screen.show(&out);
    assert!(visit.shows().contains("Details  1-9 of 30\nline 1\n"), "{}", visit.shows());
    visit.types(" \x1b[B");
    assert!(visit.shows().contains("Details  11-19 of 30"), "{}", visit.shows());
    visit.press(Key::End);
    assert!(visit.shows().contains("\nline 30\n"));
    visit.press(Key::Escape);
    assert!(visit.selected().starts_with(">  1  Xen + Debian Dom0"));
    visit.types("?");
    assert!(visit.shows().contains("Enter: boot it."), "{}", visit.shows());
    visit.types("q");
    assert!(visit.selected().starts_with(">  1  "));
}

#[test]
fn without_a_terminal_there_is_one_line_until_a_key_comes() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, Kind::Plain);
    assert_eq!(visit.shows(), "banner\nXen + Debian Dom0 in 3 s. Any key: choose.");
    assert_eq!(visit.waits(Duration::from_secs(1)), None);
    assert_eq!(visit.shows(), "banner\nXen + Debian Dom0 in 3 s. Any key: choose.");
    visit.types(" ");
    assert_eq!(
        visit.shows(),
        "banner
Xen + Debian Dom0 in 3 s. Any key: choose.
  1  Xen + Debian Dom0  (Xen xen, Dom0 Image-dom0 with rootfs.cpio.gz; this board's tree, 1 overlay)
  2  Two guests  (Xen xen, 2 domains; the firmware's tree)
  3  old  (script boot2.scr)
Number and Enter, or Enter alone for Xen + Debian Dom0; e, d and a number, s, r, ?:
>"
    );
    assert_eq!(visit.types("4\r"), None);
    assert!(visit.shows().contains("There is no entry 4, they are 1 to 3."));
    assert_eq!(visit.types("x\r"), None);
    assert!(visit.shows().contains("'x' is not understood"));
    assert_eq!(visit.types("d2\r"), Some(Action::Details(1)));
    let mut out = String::new();
    visit.menu.show(visit.now, "Details", "one\ntwo\n", &mut out);
    visit.screen.show(&out);
    assert!(visit.shows().contains("Details\none\ntwo\nNumber"), "{}", visit.shows());
    assert_eq!(visit.types("2\r"), Some(Action::Boot(1)));
}

#[test]
fn without_a_terminal_lines_are_edited_one_after_the_other() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, Kind::Plain);
    visit.types("e 1\r");
    assert!(visit.menu.takes_text());
    visit.types(" loglvl=all\r");
    visit.types(" quiet\r");
    assert!(!visit.menu.takes_text());
    assert_eq!(visit.types("1\r"), Some(Action::Boot(0)));
    let Payload::Xen(xen) = &visit.menu.entry(0).unwrap().payload else { unreachable!() };
    assert_eq!(xen.args, "console=dtuart dom0_mem=768M loglvl=all");
    assert_eq!(xen.dom0.as_ref().unwrap().args, "console=hvc0 quiet");
}

#[test]
fn enter_during_the_countdown_boots_at_once() {
    let settings = parse(THREE);
    for kind in [WIDE, SMALL, Kind::Plain] {
        assert_eq!(Visit::new(&settings, kind).types("\r"), Some(Action::Boot(0)));
    }
}

#[test]
fn a_terminal_that_answers_late_gets_the_menu_then() {
    let settings = parse(THREE);
    let mut visit = Visit::new(&settings, Kind::Plain);
    let mut out = String::new();
    visit.menu.set_kind(visit.now, WIDE, &mut out);
    visit.screen.show(&out);
    assert!(visit.selected().starts_with(">  1  Xen"), "{}", visit.shows());
    assert!(visit.shows().contains("Boots in 3 s."));
}

#[test]
fn titles_with_control_characters_do_no_harm() {
    let settings = parse("[[entry]]\nname = \"a\"\ntitle = \"\\u001b[2J\\u009bx\\n\\u202e\"\nscript = \"s\"\n");
    for kind in [WIDE, SMALL, Kind::Plain] {
        let mut visit = Visit::new(&settings, kind);
        visit.press(Key::Down);
        assert!(visit.shows().starts_with("banner\n"), "{}", visit.shows());
        assert!(visit.shows().contains("?[2J?x??"), "{}", visit.shows());
    }
}

#[test]
fn settings_without_entries_have_no_menu() {
    assert!(Menu::new(&Settings::default(), WIDE, start()).is_none());
}

proptest! {
    /// Whatever is typed: no panic, bounded output, and on a terminal the menu stands on its screen exactly as it is meant.
    #[test]
    fn any_bytes_leave_a_menu_that_works(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\r\x1b[AB12edsr? \x03"[..])], 0..300),
        kind in prop::sample::select(&[WIDE, SMALL, Kind::Plain, Kind::Ansi { columns: 20, rows: 5 }][..]),
    ) {
        let settings = parse(THREE);
        let mut visit = Visit::new(&settings, kind);
        let mut sent = 0;
        for byte in &bytes {
            visit.now = visit.now.after(Duration::from_millis(1));
            let Some(key) = visit.decoder.byte(visit.now, *byte) else { continue };
            let mut out = String::new();
            let action = visit.menu.key(visit.now, key, &mut out);
            sent += out.len();
            if action.is_some() {
                visit.menu.reopen(visit.now, "", &mut out);
                sent += out.len();
            }
            visit.screen.show(&out);
        }
        prop_assert!(sent < 4000 * (bytes.len() + 1));
        // Whatever page that was: this ends in the list.
        visit.press(Key::Control(b'c'));
        visit.press(Key::Escape);
        visit.press(Key::Escape);
        if kind == Kind::Plain {
            visit.press(Key::Control(b'u'));
        } else {
            visit.press(Key::Home);
            prop_assert!(visit.selected().starts_with(">  1  Xen"), "{}", visit.shows());
        }
        prop_assert!(matches!(visit.types("1\r"), Some(Action::Boot(0))), "{}", visit.shows());
    }
}
