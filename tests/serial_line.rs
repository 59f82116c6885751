//! The console over lines of real speeds: what is pasted arrives whole whatever the loader does, as long as it looks often enough.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod serial;
mod simulation;

use serial::{PROMISED, Port, Rig, Typed};
use simulation::lan::{Lan, Watcher, plug};
use simulation::memory::Memory;
use simulation::network::Random;
use simulation::server::{Manner, Server};
use std::fmt::Write;
use std::num::NonZero;
use std::time::Duration;
use xenlift::config::Network;
use xenlift::config::source::Source;
use xenlift::console::{INPUT_BUFFER, INTERRUPT};
use xenlift::drivers::uart::LineErrors;
use xenlift::net::fetch::{Event, Observer, Progress, Session};
use xenlift::terminal::progress::{Display, Manner as ProgressManner};
use xenlift::time::{Clock, Instant};

const PORTS: [Port; 2] = [Port::MiniUart, Port::Pl011];

/// Lines as somebody pastes them, 10 KB of them, each different.
fn paste() -> String {
    let mut text = String::new();
    for number in 0.. {
        let line = format!("setenv line{number} \"some words, and number {number} again\"\r");
        if text.len() + line.len() > 10_240 {
            break;
        }
        text.push_str(&line);
    }
    text
}

/// A screen of 80x24 that is drawn all over.
fn full_screen() -> String {
    "x".repeat(80 * 24)
}

#[test]
fn a_paste_of_10_kilobytes_arrives_whole_while_output_goes_out() {
    for (port, baud) in PORTS.into_iter().flat_map(|port| [(port, 115_200), (port, 9600)]) {
        let mut rig = Rig::new(port, baud);
        let paste = paste();
        rig.types_text(&paste);
        let (mut received, mut echoed) = (Vec::new(), 0);
        rig.run(PROMISED, |console, _| {
            while let Some(byte) = console.read() {
                received.push(byte);
                // An echo, as an editor's.
                write!(console, "{}", char::from(byte)).unwrap();
                echoed += 1;
            }
            received.len() >= paste.len()
        });
        assert!(received == paste.as_bytes(), "{port:?} at {baud}");
        assert_eq!(rig.console.line_errors(), LineErrors::default());
        assert_eq!(rig.console.lost(), 0);
        assert!(rig.console.drain(Duration::from_secs(20)));
        assert_eq!(rig.shown_text().matches("number").count(), paste.matches("number").count());
        assert_eq!(echoed, paste.len());
    }
}

#[test]
fn a_paste_into_a_loader_that_reads_nothing_yet_is_there_when_it_does() {
    for port in PORTS {
        let mut rig = Rig::new(port, 115_200);
        rig.types_text(&paste());
        rig.run(PROMISED, |_, now| now >= Instant::from_micros(2_000_000));
        assert!(rig.read() == paste().as_bytes(), "{port:?}");
        assert_eq!(rig.console.input_lost(), 0);
    }
}

/// Plays the loader's own observer: it looks at the console between frames, and shows how the fetch goes.
struct AtTheConsole<'r> {
    rig: &'r mut Rig,
    network: Watcher,
    looked: Instant,
    received: Vec<u8>,
}

impl Observer for AtTheConsole<'_> {
    fn poll(&mut self, now: Instant) -> bool {
        let goes_on = self.network.poll(now);
        self.rig.clock.advance_to(self.network.now().micros() * 1000);
        if now.since(self.looked) >= Duration::from_micros(300) {
            self.looked = now;
            self.rig.console.poll();
            self.received.extend(std::iter::from_fn(|| self.rig.console.read()));
        }
        goes_on && !self.rig.console.take_interrupt()
    }

    fn event(&mut self, event: Event<'_>) {
        write!(self.rig.console, "\r{event}   ").unwrap();
    }
}

#[test]
fn a_paste_of_10_kilobytes_arrives_whole_while_files_are_fetched() {
    for port in PORTS {
        let mut random = Random::new(7);
        let file: Vec<u8> = std::iter::repeat_with(|| random.below(256) as u8).take(4 << 20).collect();
        let server = Server::new(Manner::Grants { block_size: 1468, window: 1 }).with("Image", file.clone());
        let (_lan, controller, clock, network) = plug(Lan::new(server));
        let mut session = Session::new(controller, clock, Network::default(), 42).unwrap();
        let mut rig = Rig::new(port, 115_200);
        rig.clock.advance_to(network.now().micros() * 1000);
        rig.console.restart_gaps();
        rig.types_text(&paste());
        let mut observer = AtTheConsole { looked: network.now(), rig: &mut rig, network, received: Vec::new() };
        let mut fetched = 0;
        while !observer.rig.has_arrived() {
            let mut memory = Memory::new(4 << 20);
            session.fetch(&Source::parse("Image").unwrap(), &mut memory, &mut observer).unwrap();
            assert!(memory.bytes == file);
            fetched += 1;
        }
        let received = std::mem::take(&mut observer.received);
        assert!(fetched >= 1 && received.len() + rig.read().len() == paste().len(), "{port:?}: {}", received.len());
        assert!(paste().as_bytes().starts_with(&received));
        assert_eq!(rig.console.line_errors(), LineErrors::default());
        let gap = rig.console.longest_gap();
        // The simulated network moves the time on by half a millisecond where nothing is on the wire.
        assert!(gap.length <= PROMISED + Duration::from_micros(310), "{gap:?}");
        assert!(rig.shown_text().contains("Image"), "the progress was shown meanwhile");
    }
}

/// The loader's own observer again, which draws by `terminal::progress`.
struct Drawing<'r> {
    at: AtTheConsole<'r>,
    display: Display,
    drawn: usize,
}

impl Observer for Drawing<'_> {
    fn poll(&mut self, now: Instant) -> bool {
        let goes_on = self.at.poll(now);
        if !self.at.rig.console.is_printing() {
            let before = self.at.rig.console.printed();
            self.display.tick(now, &mut self.at.rig.console).unwrap();
            self.drawn += usize::from(self.at.rig.console.printed() > before);
        }
        goes_on
    }

    fn event(&mut self, event: Event<'_>) {
        self.display.event(self.at.rig.clock.now(), &event, &mut self.at.rig.console).unwrap();
    }
}

/// What the terminal of 80 columns and 24 rows shows, without empty rows at the end.
fn screen(rig: &Rig) -> String {
    let mut parser = vt100::Parser::new(NonZero::new(24).unwrap(), NonZero::new(80).unwrap(), 0);
    parser.process(&rig.shown());
    let rows: Vec<String> = parser.screen().rows(0, 80).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned()
}

#[test]
fn a_fetch_is_drawn_in_place_and_takes_no_key_from_the_line() {
    for (port, baud, typed) in
        [(Port::MiniUart, 115_200, 10_240), (Port::Pl011, 115_200, 10_240), (Port::MiniUart, 9600, 1000)]
    {
        let file = vec![0x5a; 1 << 20];
        let server = Server::new(Manner::Grants { block_size: 512, window: 1 }).with("Image", file.clone());
        let mut lan = Lan::new(server);
        lan.lost_permille = 20;
        let (_lan, controller, clock, network) = plug(lan);
        let mut session = Session::new(controller, clock, Network::default(), 42).unwrap();
        let mut rig = Rig::new(port, baud);
        rig.clock.advance_to(network.now().micros() * 1000);
        rig.console.restart_gaps();
        writeln!(rig.console, "Booting.").unwrap();
        let paste: String = paste().chars().take(typed).collect();
        rig.types(Duration::from_millis(100), Typed::Bytes(paste.as_bytes()));
        let at = AtTheConsole { looked: network.now(), rig: &mut rig, network, received: Vec::new() };
        let mut observer = Drawing { at, display: Display::new(ProgressManner::Ansi { columns: 80 }), drawn: 0 };
        let mut fetched = 0;
        while observer.drawn < 8 || !observer.at.rig.has_arrived() {
            let mut memory = Memory::new(4 << 20);
            session.fetch(&Source::parse("Image").unwrap(), &mut memory, &mut observer).unwrap();
            assert!(memory.bytes == file);
            fetched += 1;
            let line = format_args!("Image: {} bytes.", file.len());
            observer.display.line(line, &mut observer.at.rig.console).unwrap();
        }
        let Drawing { at: AtTheConsole { received, .. }, mut display, .. } = observer;
        display.end(&mut rig.console).unwrap();
        assert!(
            received.len() + rig.read().len() == paste.len() && paste.as_bytes().starts_with(&received),
            "{port:?}"
        );
        assert_eq!((rig.console.line_errors(), rig.console.lost()), (LineErrors::default(), 0));
        let gap = rig.console.longest_gap();
        assert!(gap.length <= PROMISED + Duration::from_micros(310), "{gap:?}");
        assert!(rig.console.drain(Duration::from_secs(2)));
        assert!(rig.shown_text().contains("[#") && rig.shown_text().contains(" lost"), "a bar, with what it cost");
        let rows: Vec<String> = screen(&rig).lines().map(String::from).collect();
        let lines = rows.iter().filter(|row| *row == "Image: 1048576 bytes.").count();
        // Beside them are what was booted, the link and the lease.
        assert!(lines == fetched && rows.len() == fetched + 3 && rows[0] == "Booting.", "{rows:#?}");
    }
}

#[test]
fn several_files_at_once_have_a_bar_each_and_a_line_each_in_the_end() {
    const FILES: [(&str, u64, u64); 3] =
        [("xen", 1 << 20, 3000), ("Image-dom0", 36 << 20, 9000), ("rootfs.cpio.gz", 20 << 20, 6000)];
    for baud in [115_200, 9600] {
        let mut rig = Rig::new(Port::MiniUart, baud);
        let mut display = Display::new(ProgressManner::Ansi { columns: 80 });
        writeln!(rig.console, "Booting.").unwrap();
        let typed = "setenv a b\r".repeat(50);
        rig.types_text(&typed);
        let began = rig.clock.now();
        let mut ended = [false; FILES.len()];
        let mut reported = began;
        let mut until = |rig: &mut Rig, display: &mut Display, milliseconds: u64| {
            rig.run(Duration::from_micros(300), |console, now| {
                let elapsed = now.since(began);
                if now.since(reported) >= Duration::from_millis(5) {
                    reported = now;
                    for ((file, size, takes), ended) in FILES.into_iter().zip(&mut ended).filter(|(_, ended)| !**ended)
                    {
                        let received = (size * elapsed.as_millis() as u64 / takes).min(size);
                        let progress = Progress { received, size: Some(size), elapsed, ..Progress::default() };
                        if received < size {
                            if !console.is_printing() {
                                display.event(now, &Event::Progress { file, progress }, console).unwrap();
                            }
                        } else {
                            *ended = true;
                            display.event(now, &Event::Ended { file, came: true }, console).unwrap();
                            display.line(format_args!("{file}: {size} bytes."), console).unwrap();
                        }
                    }
                }
                elapsed >= Duration::from_millis(milliseconds)
            });
            assert!(rig.console.drain(Duration::from_secs(1)), "the line does not fall behind");
        };
        until(&mut rig, &mut display, 2000);
        let rows: Vec<String> = screen(&rig).lines().map(String::from).collect();
        assert_eq!(rows.len(), 1 + FILES.len(), "{rows:?}");
        for (row, (file, ..)) in rows.iter().skip(1).zip(FILES) {
            assert!(
                row.starts_with(file) && row.contains("[#") && row.contains(" %") && row.contains("/s"),
                "{rows:?}"
            );
        }
        until(&mut rig, &mut display, 4500);
        let now = screen(&rig);
        assert!(now.starts_with("Booting.\nxen: 1048576 bytes.\nImage-dom0 ") && now.lines().count() == 4, "{now}");
        until(&mut rig, &mut display, 9100);
        let lines = "Booting.\nxen: 1048576 bytes.\nrootfs.cpio.gz: 20971520 bytes.\nImage-dom0: 37748736 bytes.";
        assert_eq!(screen(&rig), lines);
        assert_eq!((rig.read(), rig.console.line_errors()), (typed.into_bytes(), LineErrors::default()));
    }
}

#[test]
fn control_c_ends_a_fetch_within_two_milliseconds_and_the_line_behind_it_stays() {
    let server = Server::new(Manner::Ignores).with("Image", vec![7; 8 << 20]);
    let (_lan, controller, clock, network) = plug(Lan::new(server));
    let mut session = Session::new(controller, clock, Network::default(), 42).unwrap();
    let mut rig = Rig::new(Port::MiniUart, 115_200);
    rig.clock.advance_to(network.now().micros() * 1000);
    rig.types(Duration::from_millis(20), Typed::Bytes(b"typed before\x03"));
    let pressed = network.now().after(Duration::from_micros(20_000 + 13 * 87));
    let mut observer = AtTheConsole { looked: network.now(), rig: &mut rig, network, received: Vec::new() };
    let result = session.fetch(&Source::parse("Image").unwrap(), &mut Memory::new(8 << 20), &mut observer);
    assert!(result.is_err());
    let late = observer.network.now().since(pressed);
    assert!(late < Duration::from_millis(2), "{late:?}");
    rig.types_text("reset\r");
    rig.run(PROMISED, |_, now| now >= pressed.after(Duration::from_millis(10)));
    assert_eq!(rig.read(), b"reset\r");
}

#[test]
fn lines_are_executed_in_order_while_the_rest_of_the_paste_comes_in() {
    for port in PORTS {
        let mut rig = Rig::new(port, 115_200);
        let paste = paste();
        rig.types_text(&paste);
        let (mut line, mut executed) = (String::new(), String::new());
        while executed.len() < paste.len() {
            rig.work(PROMISED);
            let Some(byte) = rig.console.read() else { continue };
            line.push(char::from(byte));
            if byte == b'\r' {
                // Six milliseconds of work for each, in pieces, with a screen of output: longer than a line takes to arrive.
                for _ in 0..12 {
                    rig.work(PROMISED);
                    rig.console.poll();
                }
                writeln!(rig.console, "{line}").unwrap();
                executed.push_str(&line);
                line.clear();
            }
        }
        assert!(executed == paste, "{port:?}");
        assert_eq!((rig.console.line_errors(), rig.console.input_lost()), (LineErrors::default(), 0));
    }
}

#[test]
fn who_looks_away_for_too_long_loses_characters_and_it_is_counted() {
    // Eight characters take 0.69 ms: the rig is one in which the promise matters.
    let mut rig = Rig::new(Port::MiniUart, 115_200);
    let paste = paste();
    rig.types_text(&paste);
    rig.run(Duration::from_micros(1100), |_, now| now >= Instant::from_micros(1_000_000));
    assert!(rig.read().len() < paste.len());
    assert!(rig.console.line_errors().overruns > 0);
    assert!(rig.console.longest_gap().length >= Duration::from_micros(1100));
}

#[test]
fn a_screen_that_goes_out_at_9600_baud_does_not_delay_what_is_typed() {
    for port in PORTS {
        let mut rig = Rig::new(port, 9600);
        // Two screens: the line needs four seconds for them, and printing them none.
        let before = rig.clock.now();
        write!(rig.console, "{}{}", full_screen(), full_screen()).unwrap();
        assert!(rig.clock.now().since(before) < Duration::from_millis(1));
        rig.types(Duration::from_millis(100), Typed::Bytes(b"q"));
        rig.types(Duration::from_millis(200), Typed::Bytes(b"\x03"));
        // A character takes 1.04 ms.
        let due = |millis: u64| before.after(Duration::from_micros(millis * 1000 + 1042));
        let mut key = None;
        rig.run(PROMISED, |console, now| {
            key = key.or(console.read().map(|byte| (byte, now)));
            key.is_some()
        });
        let (byte, when) = key.unwrap();
        assert_eq!(byte, b'q');
        assert!(when.since(due(100)) < Duration::from_millis(1), "{port:?}: {:?}", when.since(due(100)));
        let mut when = None;
        rig.run(PROMISED, |console, now| {
            when = console.take_interrupt().then_some(now);
            when.is_some()
        });
        assert!(when.unwrap().since(due(200)) < Duration::from_millis(1));
        assert!(rig.shown().len() < 250, "most of the screens is still to come");
        assert!(rig.console.drain(Duration::from_secs(5)));
        assert!(rig.shown().len() < 800, "and is not waited for after Ctrl-C");
        assert_eq!(rig.console.lost(), 0);
    }
}

#[test]
fn a_writer_that_waits_for_a_slow_line_goes_on_receiving() {
    let mut rig = Rig::new(Port::MiniUart, 115_200);
    let paste = paste();
    rig.types_text(&paste);
    // More than the buffer holds can be printed only as fast as the line takes it.
    let mut received = Vec::new();
    while received.len() < paste.len() {
        writeln!(rig.console, "{}", full_screen()).unwrap();
        received.extend(rig.read());
    }
    assert!(received == paste.as_bytes());
    assert_eq!((rig.console.lost(), rig.console.line_errors()), (0, LineErrors::default()));
    assert!(rig.console.longest_gap().length < PROMISED);
}

#[test]
fn a_flood_of_noise_is_survived_and_a_line_typed_after_it_arrives() {
    for port in PORTS {
        let mut rig = Rig::new(port, 115_200);
        let mut random = Random::new(99);
        let total = 4 * INPUT_BUFFER;
        for _ in 0..total {
            // Control-C would empty the buffer: another test's.
            let byte = Some(random.below(256) as u8).filter(|byte| *byte != INTERRUPT).unwrap_or(0xff);
            let typed = match random.below(20) {
                0 => Typed::Break,
                1 => Typed::Garbled(byte),
                _ => Typed::Bytes(std::slice::from_ref(&byte)),
            };
            rig.types(Duration::ZERO, typed);
        }
        // Nobody reads.
        let mut told = false;
        rig.run(PROMISED, |console, now| {
            told |= console.take_typed();
            now >= Instant::from_micros(7_000_000)
        });
        assert!(rig.has_arrived());
        let kept = rig.read();
        assert_eq!(kept.len(), INPUT_BUFFER, "{port:?}: bounded");
        let errors = rig.console.line_errors();
        let dropped = (errors.breaks + errors.framing) as usize;
        assert_eq!(kept.len() + dropped + rig.console.input_lost() as usize, total, "{port:?}: each is accounted for");
        assert_eq!(dropped > 0, port == Port::Pl011, "the mini UART sees no errors: its breaks are NULs");
        rig.types_text("help\r");
        rig.run(PROMISED, |_, now| now >= Instant::from_micros(7_010_000));
        assert_eq!(rig.read(), b"help\r");
    }
}
