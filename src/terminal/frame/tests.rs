use super::*;
use crate::terminal::emulator::Emulator;
use proptest::prelude::*;

/// A terminal with a banner of so many lines above the region.
fn terminal(columns: u16, rows: u16, banner: u16) -> Emulator {
    let mut terminal = Emulator::new(columns, rows);
    for line in 0..banner {
        terminal.show(&format!("banner {line}\r\n"));
    }
    terminal
}

fn frame_of(columns: u16, rows: u16, lines: &[&str]) -> Frame {
    let mut frame = Frame::new(columns, rows);
    for line in lines {
        frame.line(Style::Normal, format_args!("{line}"));
    }
    frame
}

/// What a painter sends for each of `frames`, one after the other.
fn painted(frames: &[Frame]) -> Vec<String> {
    let mut painter = Painter::new(80, 24);
    let mut output = Vec::new();
    for frame in frames {
        let mut out = String::new();
        painter.paint(frame, &mut out);
        output.push(out);
    }
    output
}

#[test]
fn rows_are_cut_off_at_the_right_and_below() {
    let mut frame = Frame::new(10, 2);
    frame.line(Style::Normal, format_args!("0123456789"));
    frame.line(Style::Bold, format_args!("a"));
    frame.add(Style::Normal, format_args!("{}", "bcdefghijk"));
    frame.line(Style::Normal, format_args!("no room"));
    frame.add(Style::Normal, format_args!("for this"));
    frame.fill(Style::Reverse);
    assert_eq!(frame.text(), "01234567~\nabcdefgh~\n");
    assert_eq!((frame.width(), frame.room()), (9, 0));
}

#[test]
fn text_from_outside_cannot_leave_its_cells() {
    let frame = frame_of(80, 24, &["a\r\nb\x1b[2Jc\u{9b}d\u{202e}e\u{301}f漢g\t\u{7f}é"]);
    assert_eq!(frame.text(), "a??b?[2Jc?d?e?f?g??é\n");
}

#[test]
fn a_mark_stands_where_more_than_blanks_is_cut() {
    let mut frame = Frame::new(10, 4);
    frame.line(Style::Normal, format_args!("012345678  "));
    frame.line(Style::Normal, format_args!("> "));
    frame.add_within(6, Style::Normal, format_args!("{}{}", "ab", "cdef"));
    frame.add(Style::Normal, format_args!("(x)"));
    frame.line(Style::Normal, format_args!("0123456"));
    assert_eq!(frame.text(), "012345678\n> abc~(x)\n0123456\n");
}

#[test]
fn others_below_the_region_are_erased_with_it() {
    let mut terminal = terminal(40, 6, 2);
    let mut painter = Painter::new(40, 6);
    let mut out = String::new();
    painter.paint(&frame_of(40, 6, &["one", "two", "three"]), &mut out);
    painter.go_below(&mut out);
    out.push_str("a line\r\n");
    painter.went_down(1);
    painter.erase(&mut out);
    out.push_str("end");
    terminal.show(&out);
    assert_eq!(terminal.history().join("\n").trim_end(), "banner 0\nbanner 1\nend");
}

#[test]
fn filling_goes_to_the_column_and_not_back() {
    let mut frame = Frame::new(10, 2);
    frame.line(Style::Normal, format_args!("abc"));
    frame.fill_to(2, Style::Normal);
    frame.fill_to(5, Style::Normal);
    frame.add(Style::Normal, format_args!("d"));
    assert_eq!(frame.text(), "abc  d\n");
}

#[test]
fn only_what_changed_is_sent() {
    let seconds = |left: u32| frame_of(80, 24, &["1  xen", "2  rescue", &format!("Starting xen in {left} s")]);
    let output = painted(&[seconds(3), seconds(2), seconds(2)]);
    assert_eq!(output[0], "\r\x1b[J1  xen\r\n2  rescue\r\nStarting xen in 3 s\r");
    assert_eq!(output[1], "\x1b[16C2\r");
    assert_eq!(output[2], "");
}

#[test]
fn a_bar_that_moves_costs_its_two_rows() {
    let bar = |chosen: usize| {
        let mut frame = Frame::new(40, 12);
        for entry in 0..3 {
            let style = if entry == chosen { Style::Reverse } else { Style::Normal };
            frame.line(style, format_args!("entry {entry}"));
        }
        frame
    };
    let output = painted(&[bar(0), bar(1)]);
    assert_eq!(output[1], "\x1b[2Aentry 0\x1b[B\r\x1b[7mentry 1\x1b[m\x1b[B\r");
}

#[test]
fn leaving_goes_below_and_erasing_back_to_the_top() {
    let mut terminal = terminal(40, 12, 2);
    let mut painter = Painter::new(40, 12);
    let mut out = String::new();
    let mut frame = frame_of(40, 12, &["one", "two", "three"]);
    frame.put_cursor_at(0, 2);
    painter.paint(&frame, &mut out);
    painter.leave(&mut out);
    out.push_str("after\r\n");
    painter.paint(&frame_of(40, 12, &["four", "five"]), &mut out);
    painter.erase(&mut out);
    out.push_str("end");
    terminal.show(&out);
    assert_eq!(terminal.text(), "banner 0\nbanner 1\none\ntwo\nthree\nafter\nend");
}

#[test]
fn noise_on_the_screen_goes_with_a_repaint() {
    let mut terminal = terminal(40, 12, 2);
    let mut painter = Painter::new(40, 12);
    let frame = frame_of(40, 12, &["one", "two"]);
    let mut out = String::new();
    painter.paint(&frame, &mut out);
    out.push_str("~~~");
    painter.repaint(&frame, &mut out);
    terminal.show(&out);
    assert_eq!(terminal.text(), "banner 0\nbanner 1\none\ntwo");
}

/// A list with one row chosen and a note below it.
fn list(columns: u16, rows: u16, chosen: usize, note: &str) -> Frame {
    let mut frame = Frame::new(columns, rows);
    frame.line(Style::Bold, format_args!("What to boot"));
    for (number, title) in ["Xen + Debian Dom0", "Linux\x1b[31m alone, with a title that is long"].iter().enumerate() {
        let style = if number == chosen { Style::Reverse } else { Style::Normal };
        frame.line(style, format_args!(" {}  {title}", number + 1));
        frame.fill(style);
    }
    if !note.is_empty() {
        frame.line(Style::Normal, format_args!("{note}"));
    }
    frame
}

#[test]
fn a_list_at_80_by_24() {
    let mut terminal = terminal(80, 24, 2);
    let mut painter = Painter::new(80, 24);
    let mut out = String::new();
    for (chosen, note) in [(0, "Starting 1 in 3 s"), (0, "Starting 1 in 2 s"), (1, "")] {
        painter.paint(&list(80, 24, chosen, note), &mut out);
    }
    terminal.show(&out);
    assert_eq!(
        terminal.trimmed(),
        "banner 0
banner 1
What to boot
 1  Xen + Debian Dom0
 2  Linux?[31m alone, with a title that is long"
    );
    let reversed = |row| terminal.looks(row).iter().filter(|(.., reversed)| *reversed).count();
    assert_eq!([2, 3, 4, 5].map(reversed), [0, 0, 79, 0]);
    assert!(terminal.looks(2)[0].1 && !terminal.looks(3)[1].1);
}

#[test]
fn a_list_at_the_end_of_40_by_12_scrolls_the_banner_and_keeps_it() {
    let mut terminal = terminal(40, 12, 20);
    let mut painter = Painter::new(40, 12);
    let mut out = String::new();
    for (chosen, note) in [(0, ""), (1, "Starting 2 in 3 s"), (1, "Starting 2 in 2 s")] {
        painter.paint(&list(40, 12, chosen, note), &mut out);
    }
    terminal.show(&out);
    assert_eq!(
        terminal.trimmed(),
        "banner 12
banner 13
banner 14
banner 15
banner 16
banner 17
banner 18
banner 19
What to boot
 1  Xen + Debian Dom0
 2  Linux?[31m alone, with a title tha~
Starting 2 in 2 s"
    );
    assert_eq!(terminal.history()[..2], ["banner 0", "banner 1"]);
    assert_eq!(terminal.cursor(), (11, 0));
}

#[derive(Clone, Debug)]
struct Drawn {
    rows: Vec<Vec<(u8, String)>>,
    cursor: Option<(usize, usize)>,
}

impl Drawn {
    fn frame(&self, columns: u16, rows: u16) -> Frame {
        let mut frame = Frame::new(columns, rows);
        for row in &self.rows {
            frame.line(Style::Normal, format_args!(""));
            for (style, text) in row {
                let style = [Style::Normal, Style::Bold, Style::Reverse][usize::from(style % 3)];
                frame.add(style, format_args!("{text}"));
                if text.ends_with('#') {
                    frame.fill(style);
                }
            }
        }
        if let Some((row, column)) = self.cursor {
            frame.put_cursor_at(row, column);
        }
        frame
    }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let span = (0..3_u8, prop_oneof!["[ab ]{0,20}", "[a-d#]{0,40}", any::<String>()]);
    let row = proptest::collection::vec(span, 0..4);
    (proptest::collection::vec(row, 0..16), proptest::option::of((0..16_usize, 0..50_usize)))
        .prop_map(|(rows, cursor)| Drawn { rows, cursor })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn painting_the_difference_shows_what_painting_anew_shows_and_touches_nothing_above(
        frames in proptest::collection::vec(drawn(), 1..5),
        (columns, rows) in prop_oneof![Just((80_u16, 24_u16)), Just((40, 12)), Just((20, 5))],
        banner in 0..30_u16,
    ) {
        let mut terminal = terminal(columns, rows, banner);
        let mut painter = Painter::new(columns, rows);
        let mut tallest = 0;
        for drawn in &frames {
            let frame = drawn.frame(columns, rows);
            let height = frame.rows().len() as u16;
            let mut out = String::new();
            painter.paint(&frame, &mut out);
            prop_assert!(out.len() <= 40 + usize::from(height) * (16 + 16 * usize::from(columns)));
            terminal.show(&out);
            tallest = if height == 0 { tallest } else { tallest.max(height) };

            let top = banner.min(rows - 1).min(rows - tallest.max(1));
            let mut fresh = Emulator::new(columns, rows);
            let mut anew = String::new();
            Painter::new(columns, rows).paint(&frame, &mut anew);
            fresh.show(&anew);
            for row in 0..rows - top {
                prop_assert_eq!(terminal.looks(top + row), fresh.looks(row));
            }
            let (row, column) = fresh.cursor();
            prop_assert_eq!(terminal.cursor(), (top + row, column));
            prop_assert!(!terminal.is_styled());
        }
        let lines = terminal.history();
        for line in 0..banner {
            prop_assert_eq!(&lines[usize::from(line)], &format!("banner {line}"));
        }
    }
}
