//! What stands on a terminal of 80x24 or 40x12, as a real terminal emulation shows it, and what a log has.

use super::*;
use crate::net::device::Link;
use crate::net::fetch::Error;
use crate::terminal::emulator::Emulator;
use core::net::Ipv4Addr;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const MIB: u64 = 1 << 20;

/// A display on a terminal, and everything that was written.
struct Desk {
    display: Display,
    terminal: Emulator,
    written: String,
    now: Instant,
}

impl Desk {
    fn new(manner: Manner, rows: u16, columns: u16) -> Self {
        let mut desk = Self {
            display: Display::new(manner),
            terminal: Emulator::new(columns, rows),
            written: String::new(),
            now: Instant::from_micros(7_000_000),
        };
        desk.others("Booting Xen + Debian Dom0.\n");
        desk
    }

    fn wide() -> Self {
        Self::new(Manner::Ansi { columns: 80 }, 24, 80)
    }

    fn narrow() -> Self {
        Self::new(Manner::Ansi { columns: 40 }, 12, 40)
    }

    /// Somebody else's output.
    fn others(&mut self, text: &str) {
        self.written.push_str(text);
        // As the console does.
        self.terminal.show(&text.replace('\n', "\r\n"));
    }

    fn does(&mut self, what: impl FnOnce(&mut Display, Instant, &mut dyn fmt::Write) -> fmt::Result) {
        let mut out = String::new();
        what(&mut self.display, self.now, &mut out).unwrap();
        self.others(&out);
    }

    fn event(&mut self, event: Event<'_>) {
        self.does(|display, now, out| display.event(now, &event, out));
    }

    fn waits(&mut self, what: Waiting) {
        self.event(Event::Waiting { what, limit: Duration::from_secs(10) });
    }

    /// So much of a file has come in so many milliseconds.
    fn progress(&mut self, file: &str, received: u64, size: Option<u64>, milliseconds: u64) {
        let elapsed = Duration::from_millis(milliseconds);
        self.event(Event::Progress { file, progress: Progress { received, size, elapsed, ..Progress::default() } });
    }

    /// Time passes, with a look every 10 ms.
    fn pass(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / 10 {
            self.now = self.now.after(Duration::from_millis(10));
            self.does(|display, now, out| display.tick(now, out));
        }
    }

    fn ends(&mut self, file: &str, came: bool) {
        self.event(Event::Ended { file, came });
    }

    fn line(&mut self, text: &str) {
        self.does(|display, _, out| display.line(format_args!("{text}"), out));
    }

    /// The screen without the empty rows at its end.
    fn screen(&self) -> String {
        String::from(self.terminal.text().trim_end())
    }
}

#[test]
fn what_takes_less_than_half_a_second_is_not_shown() {
    for manner in [Manner::Ansi { columns: 80 }, Manner::Plain, Manner::Unattended] {
        let mut desk = Desk::new(manner, 24, 80);
        desk.waits(Waiting::Neighbor(SERVER));
        desk.pass(400);
        desk.event(Event::Waited { came: true });
        desk.progress("xen", MIB / 2, Some(MIB), 250);
        desk.pass(250);
        desk.ends("xen", true);
        desk.line("xen: 1048576 bytes in 0.4 s.");
        assert_eq!(desk.written, "Booting Xen + Debian Dom0.\nxen: 1048576 bytes in 0.4 s.\n", "{manner:?}");
    }
}

#[test]
fn a_file_has_a_bar_with_percent_rate_time_left_and_losses() {
    let mut desk = Desk::wide();
    let progress = Progress {
        received: 9 * MIB,
        size: Some(36 * MIB),
        elapsed: Duration::from_millis(1500),
        losses: 3,
        retransmissions: 1,
    };
    desk.event(Event::Progress { file: "Image-dom0", progress });
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
Image-dom0 [####            ]  25 %   6.0 MiB/s  5 s left  3 lost  1 sent again"
    );
    desk.ends("Image-dom0", true);
    desk.line("Image-dom0: 37748736 bytes in 6.0 s, 6.0 MiB/s, 3 lost.");
    desk.pass(1000);
    assert_eq!(desk.screen(), "Booting Xen + Debian Dom0.\nImage-dom0: 37748736 bytes in 6.0 s, 6.0 MiB/s, 3 lost.");
}

#[test]
fn a_narrow_terminal_has_two_rows_a_file() {
    let mut desk = Desk::narrow();
    let elapsed = Duration::from_secs(20);
    let progress = Progress { received: 24 * MIB, size: Some(36 * MIB), elapsed, losses: 12, ..Progress::default() };
    desk.event(Event::Progress { file: "boot/vmlinuz-6.1.0-50-arm64", progress });
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
boot/vmlinuz-6.~ [#########     ]  66 %
  1.2 MiB/s  11 s left  12 lost"
    );
    desk.waits(Waiting::Link);
    desk.pass(2600);
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
Ethernet: no link yet, 2.5 s of 10
boot/vmlinuz-6.~ [#########     ]  66 %
  1.2 MiB/s  11 s left  12 lost"
    );
    desk.event(Event::Link(Link::Up { megabits: 1000, full_duplex: true }));
    desk.event(Event::Waited { came: true });
    desk.pass(300);
    assert!(desk.screen().contains("\nEthernet: link is up, 1000 Mb/s, after\n    2.6 s.\nboot/"), "{}", desk.screen());
}

#[test]
fn a_size_that_nobody_has_said_leaves_no_bar_and_no_end() {
    let mut desk = Desk::wide();
    desk.progress("rootfs.cpio.gz", 3 * MIB, None, 2000);
    assert_eq!(desk.screen(), "Booting Xen + Debian Dom0.\nrootfs.cpio.gz  3072 KiB   1.5 MiB/s");
    desk.progress("rootfs.cpio.gz", 0, None, 4200);
    desk.pass(300);
    assert_eq!(desk.screen(), "Booting Xen + Debian Dom0.\nrootfs.cpio.gz: waiting for its first byte, 4.2 s");
}

#[test]
fn several_files_have_their_rows_and_one_that_is_through_leaves_its_line_above() {
    let mut desk = Desk::wide();
    desk.progress("xen", MIB / 2, Some(MIB), 600);
    desk.progress("Image-dom0", 4 * MIB, Some(40 * MIB), 600);
    desk.progress("rootfs.cpio", 2 * MIB, Some(3 * MIB), 600);
    desk.pass(250);
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
xen [############            ]  50 %   853 KiB/s  1 s left
Image-dom0 [##                      ]  10 %   6.6 MiB/s  6 s left
rootfs.cpio [###############         ]  66 %   3.3 MiB/s  1 s left"
    );
    desk.ends("xen", true);
    desk.line("xen: 1048576 bytes in 0.9 s.");
    desk.progress("Image-dom0", 8 * MIB, Some(40 * MIB), 1200);
    desk.pass(250);
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
xen: 1048576 bytes in 0.9 s.
Image-dom0 [####                    ]  20 %   6.6 MiB/s  5 s left
rootfs.cpio [###############         ]  66 %   3.3 MiB/s  1 s left"
    );
}

#[test]
fn a_file_that_fails_says_how_far_it_came_and_leaves_the_others_alone() {
    let mut desk = Desk::narrow();
    desk.progress("Image-dom0", 18 * MIB, Some(40 * MIB), 3000);
    desk.progress("rootfs.cpio", 2 * MIB, None, 3000);
    desk.ends("Image-dom0", false);
    desk.pass(300);
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
Image-dom0: stopped at 45 %.
rootfs.cpio  2048 KiB
  682 KiB/s"
    );
    desk.does(|display, _, out| display.end(out));
    desk.others("xen was not booted: Image-dom0: gone.\n");
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
Image-dom0: stopped at 45 %.
rootfs.cpio: stopped after 2097152
    bytes.
xen was not booted: Image-dom0: gone."
    );
}

#[test]
fn more_files_than_there_are_rows_for_are_counted() {
    let mut desk = Desk::narrow();
    for index in 0..7 {
        desk.progress(&format!("file{index}"), MIB, Some(2 * MIB), 2000);
    }
    desk.pass(300);
    let screen = desk.screen();
    assert_eq!(screen.lines().count(), 10, "{screen}");
    assert!(screen.starts_with("Booting Xen") && screen.ends_with("and 3 more"), "{screen}");
}

#[test]
fn bars_at_the_lower_end_of_the_screen_scroll_it_and_never_eat_a_line() {
    let mut desk = Desk::narrow();
    for line in 0..30 {
        desk.others(&format!("line {line}\n"));
    }
    for step in 1..40 {
        desk.progress("a", step * MIB / 40, Some(MIB), 500 + step * 250);
        desk.progress("b", step * MIB / 80, Some(MIB), 500 + step * 250);
        desk.pass(250);
    }
    let screen = desk.screen();
    assert!(screen.starts_with("line 22\n") && screen.contains("line 29\na [###"), "{screen}");
    desk.does(|display, _, out| display.end(out));
    assert!(desk.screen().ends_with("line 29\na: stopped at 97 %.\nb: stopped at 48 %."), "{}", desk.screen());
}

#[test]
fn what_somebody_else_prints_stays_and_the_bar_goes_below_it() {
    let mut desk = Desk::wide();
    desk.progress("xen", MIB / 2, Some(MIB), 600);
    desk.others("[  7.123] WARN  genet: 3 frames with wrong FCS, and this line is longer than the bar\n");
    desk.progress("xen", MIB, Some(MIB), 900);
    desk.pass(300);
    let screen = desk.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert!(lines[1].starts_with("[  7.123] WARN  genet: 3 frames with wrong FCS"), "{screen}");
    assert!(screen.ends_with("xen [########################] 100 %   1.1 MiB/s  0 s left"), "{screen}");
}

#[test]
fn bars_are_drawn_four_times_a_second_at_most() {
    let mut desk = Desk::wide();
    for step in 0..1000 {
        desk.progress("xen", step, Some(1000), 500 + step);
        desk.now = desk.now.after(Duration::from_millis(1));
    }
    assert_eq!(desk.written.matches("\x1b[K").count(), 4, "{}", desk.written);
}

#[test]
fn names_cannot_move_the_cursor() {
    for manner in [Manner::Ansi { columns: 80 }, Manner::Plain, Manner::Unattended] {
        let mut desk = Desk::new(manner, 24, 80);
        desk.progress("\x1b[2Jevil\r\n\u{9b}2J\u{202e}", MIB, Some(2 * MIB), 4000);
        desk.pass(1000);
        assert!(desk.screen().contains("?[2Jevil???2J?"), "{}", desk.screen());
        desk.ends("\x1b[2Jevil\r\n\u{9b}2J\u{202e}", false);
        assert!(!desk.written.contains("\x1b[2J") && !desk.written.contains('\u{9b}'), "{:?}", desk.written);
        assert!(desk.screen().starts_with("Booting"), "{}", desk.screen());
    }
}

#[test]
fn a_dumb_terminal_gets_a_line_for_every_tenth_and_no_escape_sequence() {
    let mut desk = Desk::new(Manner::Plain, 24, 80);
    for percent in 1..=100 {
        desk.progress("Image-dom0", percent * MIB, Some(100 * MIB), percent * 100);
        desk.pass(100);
    }
    desk.ends("Image-dom0", true);
    desk.line("Image-dom0: 104857600 bytes in 10.0 s, 10.0 MiB/s.");
    let lines: Vec<&str> = desk.written.lines().skip(1).collect();
    assert_eq!(lines.len(), 10, "{lines:?}");
    assert_eq!(lines[0], "Image-dom0: 10 %, 10.0 MiB/s, 9 s left");
    assert_eq!(lines[8], "Image-dom0: 90 %, 10.0 MiB/s, 1 s left");
    assert_eq!(lines[9], "Image-dom0: 104857600 bytes in 10.0 s, 10.0 MiB/s.");
    assert!(!desk.written.contains(['\x1b', '\r']), "{:?}", desk.written);
}

#[test]
fn a_dumb_terminal_hears_of_an_endless_wait_after_1_2_4_and_8_seconds() {
    let mut desk = Desk::new(Manner::Plain, 24, 80);
    desk.waits(Waiting::Lease);
    desk.pass(9000);
    desk.event(Event::Waited { came: false });
    assert_eq!(
        desk.written,
        "\
Booting Xen + Debian Dom0.
DHCP: no address yet, 1.0 s of 10
DHCP: no address yet, 2.0 s of 10
DHCP: no address yet, 4.0 s of 10
DHCP: no address yet, 8.0 s of 10
"
    );
    desk.waits(Waiting::Neighbor(SERVER));
    desk.pass(1500);
    desk.event(Event::Waited { came: true });
    assert!(
        desk.written.ends_with("Waiting for 10.0.2.2, 1.0 s of 10\nEthernet: 10.0.2.2 answered after 1.5 s.\n"),
        "{}",
        desk.written
    );
}

#[test]
fn a_boot_that_nobody_watches_says_little_of_the_slowest_network() {
    let mut desk = Desk::new(Manner::Unattended, 24, 80);
    let before = desk.written.len();
    desk.waits(Waiting::Link);
    desk.pass(3200);
    desk.event(Event::Link(Link::Up { megabits: 100, full_duplex: true }));
    desk.event(Event::Waited { came: true });
    assert_eq!(&desk.written[before..], "Ethernet: link is up, 100 Mb/s.\n", "what is usual costs nothing");
    desk.waits(Waiting::Lease);
    desk.pass(9000);
    desk.event(Event::Waited { came: true });
    // 33 MB at 300 KB/s.
    for second in 1..=110 {
        desk.progress("Image-dom0", second * 300_000, Some(33_000_000), second * 1000);
        desk.pass(1000);
    }
    desk.ends("Image-dom0", true);
    desk.line("Image-dom0: 33000000 bytes in 110.0 s.");
    let said = &desk.written[before..];
    assert!(said.len() < 450, "{} bytes: {said:?}", said.len());
    assert!(!said.contains('\x1b'), "{said:?}");
    assert!(said.contains("\rDHCP: no address yet, 4.0 s of 10\r"), "{said:?}");
    assert_eq!(
        desk.screen(),
        "Booting Xen + Debian Dom0.\nEthernet: link is up, 100 Mb/s.\nImage-dom0: 33000000 bytes in 110.0 s.",
        "a line each in the end"
    );
}

#[test]
fn somebody_who_comes_in_the_middle_gets_bars_from_then_on() {
    let mut desk = Desk::new(Manner::Unattended, 24, 80);
    desk.progress("Image-dom0", 10 * MIB, Some(40 * MIB), 2000);
    desk.does(|display, _, out| display.set_manner(Manner::Ansi { columns: 80 }, out));
    desk.progress("Image-dom0", 20 * MIB, Some(40 * MIB), 4000);
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
Image-dom0 [############            ]  50 %   5.0 MiB/s  4 s left"
    );
}

#[test]
fn a_transfer_that_starts_again_says_why() {
    let mut desk = Desk::wide();
    desk.progress("xen", MIB / 2, Some(MIB), 600);
    let reason = Error::LinkLost { waited: Duration::from_secs(30) };
    desk.event(Event::Again { file: "xen", reason });
    assert_eq!(
        desk.screen(),
        "\
Booting Xen + Debian Dom0.
xen: the link went down and did not come back in 30 s: look at the cable;
    trying again."
    );
}

proptest::proptest! {
    #[test]
    fn nothing_that_happens_panics_or_writes_more_than_the_screen_is_wide(
        columns in 0u16..200,
        steps in proptest::collection::vec((0u8..8, 0u64..1 << 40, 0u64..1 << 40, 0u64..10_000), 0..60),
    ) {
        let mut desk = Desk::new(Manner::Ansi { columns }, 12, columns.max(LEAST_COLUMNS));
        for (kind, first, second, milliseconds) in steps {
            let name = ["a", "a longer name", "\x1b[H", "yet another file that has a name"][(first % 4) as usize];
            match kind {
                0 => desk.progress(name, first, Some(second), milliseconds),
                1 => desk.progress(name, first, None, milliseconds),
                2 => desk.ends(name, first % 2 == 0),
                3 => desk.waits(Waiting::Link),
                4 => desk.event(Event::Waited { came: first % 2 == 0 }),
                5 => desk.does(|display, _, out| display.end(out)),
                _ => desk.pass(milliseconds % 2000),
            }
        }
        let longest = desk.written.split(['\r', '\n']).filter(|row| row.ends_with("\x1b[K"));
        for row in longest {
            proptest::prop_assert!(row.chars().count() < usize::from(columns.max(LEAST_COLUMNS)) + 3, "{row:?}");
        }
    }
}
