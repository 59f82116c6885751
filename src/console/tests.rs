use super::*;
use crate::drivers::mini_uart::MiniUart;
use crate::drivers::models::VirtualClock;
use crate::drivers::models::uart::{HasLine, MiniUartModel, Peer, Pl011Model};
use crate::drivers::pl011::Pl011;
use core::fmt::Write;

/// Time that one character takes at 115,200 baud.
const CHARACTER: Duration = Duration::from_nanos(86_806);

fn on_mini_uart() -> (Console, Peer<MiniUartModel>, VirtualClock) {
    let clock = VirtualClock::default();
    let peer = Peer::new(&clock);
    let uart = MiniUart::attach(peer.clone(), &clock, || None);
    (Console::new(Box::new(uart), clock.clone(), clock.now()), peer, clock)
}

fn on_pl011() -> (Console, Peer<Pl011Model>, VirtualClock) {
    let clock = VirtualClock::default();
    let peer = Peer::new(&clock);
    let uart = Pl011::attach(peer.clone(), &clock, || None);
    (Console::new(Box::new(uart), clock.clone(), clock.now()), peer, clock)
}

#[test]
fn a_line_feed_is_sent_with_a_carriage_return_once() {
    let (mut console, peer, _clock) = on_pl011();
    write!(console, "a\nb\r").unwrap();
    write!(console, "\nc\n\n").unwrap();
    assert!(console.drain(Duration::from_secs(1)));
    assert_eq!(peer.sent_text(), "a\r\nb\r\nc\r\n\r\n");
    assert_eq!(console.printed(), 11);
}

#[test]
fn printing_takes_no_time_while_there_is_room() {
    let (mut console, peer, clock) = on_mini_uart();
    let before = clock.nanos();
    write!(console, "{}", "x".repeat(OUTPUT_BUFFER)).unwrap();
    assert!(clock.nanos() - before < 10_000, "{} ns", clock.nanos() - before);
    assert!(console.drain(Duration::from_secs(2)));
    assert_eq!(peer.sent().len(), OUTPUT_BUFFER);
}

#[test]
fn polled_every_half_millisecond_the_line_never_pauses_and_no_character_is_lost() {
    fn check<M: HasLine>((mut console, peer, clock): (Console, Peer<M>, VirtualClock)) {
        let text = "0123456789abcdef".repeat(64);
        write!(console, "{text}").unwrap();
        peer.type_text(&text);
        let started = clock.nanos();
        let mut typed = String::new();
        while peer.sent().len() < text.len() {
            clock.advance(Duration::from_micros(500));
            typed.extend(core::iter::from_fn(|| console.read()).map(char::from));
        }
        let taken = clock.nanos() - started;
        let line_rate = CHARACTER.as_nanos() as u64 * text.len() as u64;
        assert!(taken < line_rate + 1_000_000, "{taken} ns, the line alone {line_rate} ns");
        clock.advance(CHARACTER * 2);
        typed.extend(core::iter::from_fn(|| console.read()).map(char::from));
        assert_eq!(peer.sent_text(), text);
        assert_eq!(typed, text);
        assert_eq!(console.line_errors(), LineErrors::default());
    }
    check(on_mini_uart());
    check(on_pl011());
}

#[test]
fn a_writer_faster_than_the_line_is_slowed_down_and_loses_nothing() {
    let (mut console, peer, clock) = on_mini_uart();
    let before = clock.nanos();
    for line in 0..2000 {
        writeln!(console, "line {line:04} of a long listing").unwrap();
    }
    assert!(console.drain(Duration::from_secs(2)));
    assert_eq!(peer.sent().len(), 2000 * 29);
    assert!(peer.sent_text().ends_with("line 1999 of a long listing\r\n"));
    assert!(clock.nanos() - before < 58_000 * 87_000);
    assert_eq!((console.lost(), console.printed()), (0, 58_000));
}

#[test]
fn ctrl_c_ends_a_long_output_within_a_tenth_of_a_second() {
    let (mut console, peer, clock) = on_mini_uart();
    write!(console, "{}", "a line that came before\n".repeat(600)).unwrap();
    peer.type_text("\x03");
    let before = clock.nanos();
    clock.advance(CHARACTER * 2);
    write!(console, "{}", "a line that nobody waits for\n".repeat(4000)).unwrap();
    assert!(console.take_interrupt());
    let sent = peer.sent().len();
    writeln!(console, "^C").unwrap();
    assert!(console.drain(Duration::from_secs(1)));
    assert!(clock.nanos() - before < 100_000_000, "{} ns", clock.nanos() - before);
    let text = peer.sent_text();
    assert!(text.ends_with("^C\r\n") && !text.contains("nobody"), "{:?}", &text[text.len() - 60..]);
    assert!(peer.sent().len() - sent < 20);
    assert_eq!(console.lost(), 0, "what was not wanted is not lost");
    write!(console, "{}", "x".repeat(OUTPUT_BUFFER * 2)).unwrap();
    assert!(console.drain(Duration::from_secs(3)));
    assert!(peer.sent().len() > OUTPUT_BUFFER * 2, "afterwards all is sent again");
}

#[test]
fn a_dead_line_costs_the_stall_time_once_and_the_loss_is_reported_when_it_moves_again() {
    let (mut console, peer, clock) = on_mini_uart();
    peer.stop_transmitter(true);
    let before = clock.nanos();
    write!(console, "{}", "x".repeat(OUTPUT_BUFFER + 8 + 1000)).unwrap();
    write!(console, "{}", "y".repeat(1000)).unwrap();
    let taken = Duration::from_nanos(clock.nanos() - before);
    assert!(taken >= STALL && taken < STALL + Duration::from_millis(5), "{taken:?}");
    assert_eq!(console.lost(), 2000);

    peer.stop_transmitter(false);
    assert!(console.drain(Duration::from_secs(2)));
    writeln!(console, "back").unwrap();
    assert!(console.drain(Duration::from_secs(2)));
    let sent = peer.sent_text();
    assert!(
        sent.ends_with("x\r\n[2000 bytes lost: the line stood still]\r\nback\r\n"),
        "{:?}",
        &sent[sent.len() - 60..]
    );

    write!(console, "{}", "z".repeat(OUTPUT_BUFFER + 5000)).unwrap();
    assert_eq!(console.lost(), 2000, "a line that moves again is waited for again");
}

#[test]
fn draining_a_dead_line_gives_up_after_the_stall_time() {
    let (mut console, peer, clock) = on_pl011();
    peer.stop_transmitter(true);
    write!(console, "last words").unwrap();
    let before = clock.nanos();
    assert!(!console.drain(Duration::from_secs(5)));
    assert!(Duration::from_nanos(clock.nanos() - before) < STALL + Duration::from_millis(1));
}

#[test]
fn draining_keeps_to_its_limit_on_a_line_that_moves() {
    let (mut console, _peer, clock) = on_mini_uart();
    write!(console, "{}", "x".repeat(10_000)).unwrap();
    let before = clock.nanos();
    assert!(!console.drain(Duration::from_millis(100)));
    let taken = Duration::from_nanos(clock.nanos() - before);
    assert!(taken > Duration::from_millis(99) && taken < Duration::from_millis(101), "{taken:?}");
}

#[test]
fn drained_means_that_the_last_bit_has_left() {
    let (mut console, peer, _clock) = on_mini_uart();
    write!(console, "abc").unwrap();
    assert!(console.drain(Duration::from_millis(10)));
    assert_eq!(peer.sent_text(), "abc");
}

#[test]
fn typed_ahead_beyond_the_input_buffer_is_counted() {
    let (mut console, peer, clock) = on_pl011();
    peer.type_text(&"z".repeat(INPUT_BUFFER + 5));
    for _ in 0..INPUT_BUFFER {
        clock.advance(CHARACTER * 2);
        console.poll();
    }
    assert_eq!(console.input_lost(), 5);
    console.discard_input();
    assert_eq!(console.read(), None);
}

#[test]
fn a_receive_flag_stuck_at_ready_does_not_hold_a_poll() {
    struct Stuck;
    impl Uart for Stuck {
        fn kind(&self) -> UartKind {
            UartKind::MiniUart
        }
        fn baud(&self) -> Baud {
            Baud::AsFound
        }
        fn try_write(&mut self, _: u8) -> bool {
            true
        }
        fn try_read(&mut self) -> Option<u8> {
            Some(0)
        }
        fn is_drained(&mut self) -> bool {
            true
        }
        fn errors(&self) -> LineErrors {
            LineErrors::default()
        }
    }
    let clock = VirtualClock::default();
    let mut console = Console::new(Box::new(Stuck), clock.clone(), clock.now());
    console.poll();
    assert!(console.drain(Duration::from_millis(1)));
}

#[test]
fn a_stamped_line_says_when() {
    let (mut console, peer, clock) = on_pl011();
    clock.advance(Duration::from_millis(12_345));
    console.stamped_line(format_args!("{} of {}", 1, 2));
    assert!(console.drain(Duration::from_millis(100)));
    assert_eq!(peer.sent_text(), "[ 12.345] 1 of 2\r\n");
}

#[test]
fn control_c_is_noticed_at_reception_and_what_was_typed_after_it_stays() {
    let (mut console, peer, clock) = on_mini_uart();
    peer.type_text("half a li\x03ls\r");
    for _ in 0..10 {
        clock.advance(Duration::from_micros(500));
        console.poll();
    }
    assert!(console.take_interrupt());
    assert!(!console.take_interrupt(), "it counts once");
    assert_eq!(core::iter::from_fn(|| console.read()).collect::<Vec<u8>>(), b"ls\r");
}

#[test]
fn discarded_output_leaves_no_half_of_a_sequence_and_no_style() {
    // The FIFO takes eight bytes at once: the sequence is cut behind `ESC [ 1`.
    for (text, left) in [
        ("12345\x1b[10;20Hab\x1b[7mcd", "12345\x1b[10;20H\x1b[m^C\r\n"),
        ("1234567\x1b7ab", "1234567\x1b7^C\r\n"),
        ("1234", "1234^C\r\n"),
    ] {
        let (mut console, peer, clock) = on_mini_uart();
        peer.type_text("\x03");
        clock.advance(CHARACTER * 2);
        write!(console, "{text}").unwrap();
        assert!(console.take_interrupt());
        writeln!(console, "^C").unwrap();
        assert!(console.drain(Duration::from_millis(100)));
        assert_eq!(peer.sent_text(), left);
    }
}

#[test]
fn lost_characters_are_told_once() {
    let (mut console, peer, clock) = on_mini_uart();
    assert!(!console.take_input_lost());
    peer.type_text("too many for eight");
    clock.advance(CHARACTER * 20);
    console.poll();
    assert!(console.take_input_lost());
    assert!(!console.take_input_lost());
}

#[test]
fn a_late_look_is_told_once_with_the_longest() {
    let (mut console, _peer, clock) = on_mini_uart();
    for pause in [300, 2700, 900, 80] {
        clock.advance(Duration::from_micros(pause));
        console.poll();
    }
    let gap = console.take_gap().unwrap();
    assert!(gap.to_string().starts_with("not looked at for 270"), "{gap}");
    assert_eq!(console.take_gap(), None);
}

#[test]
fn control_c_comes_through_a_full_input_buffer() {
    let (mut console, peer, clock) = on_pl011();
    peer.type_text(&"z".repeat(INPUT_BUFFER + 100));
    peer.type_text("\x03y");
    for _ in 0..INPUT_BUFFER + 200 {
        clock.advance(CHARACTER);
        console.poll();
    }
    assert!(console.take_interrupt());
    assert_eq!((console.read(), console.read()), (Some(b'y'), None));
}

#[test]
fn what_is_forgotten_is_forgotten_with_its_interrupt() {
    let (mut console, peer, clock) = on_pl011();
    peer.type_text("a\x03b");
    clock.advance(Duration::from_millis(1));
    console.discard_input();
    assert_eq!((console.take_interrupt(), console.read()), (false, None));
}

#[test]
fn control_c_that_was_acted_on_is_not_found_again_once_it_is_known_for_a_key() {
    let wait = |console: &mut Console, clock: &VirtualClock| {
        for _ in 0..100 {
            clock.advance(Duration::from_micros(300));
            console.poll();
        }
    };
    // Acted on before it is known, and after.
    for looks_before in [false, true] {
        let (mut console, peer, clock) = on_pl011();
        console.poll();
        peer.type_text("\x03");
        clock.advance(CHARACTER * 2);
        if looks_before {
            wait(&mut console, &clock);
        }
        assert!(console.take_interrupt());
        wait(&mut console, &clock);
        assert!(!console.take_interrupt_typed() && !console.take_interrupt());
        assert!(console.take_typed());
    }
    // Where noise must not count it is found once it is known, and once.
    let (mut console, peer, clock) = on_pl011();
    console.poll();
    peer.type_text("\x03");
    clock.advance(CHARACTER * 2);
    assert!(!console.take_interrupt_typed());
    wait(&mut console, &clock);
    assert!(console.take_interrupt_typed());
    assert!(!console.take_interrupt_typed() && !console.take_interrupt());
    // Noise is none, and is none later either.
    peer.type_text("\x03 and more of what no keyboard sends at once");
    wait(&mut console, &clock);
    assert!(!console.take_interrupt_typed() && !console.take_interrupt());
}

#[test]
fn a_key_tells_of_a_person_and_noise_does_not() {
    fn typed_by(words: &[u32]) -> bool {
        let (mut console, peer, clock) = on_pl011();
        peer.type_words(words);
        clock.advance(Duration::from_millis(1));
        console.poll();
        let typed = console.take_typed();
        assert!(!console.take_typed());
        typed
    }
    let words = |text: &str| text.bytes().map(u32::from).collect::<Vec<u32>>();
    for keys in ["x", "\r", "\x03", "\x1b[A", "\x7f"] {
        assert!(typed_by(&words(keys)), "{keys:?}");
    }
    // What lay in the FIFO when the console came says nothing of what comes after it.
    let (mut console, peer, clock) = on_pl011();
    for (typed, tells) in
        [("\0\u{7f}\0", false), ("x", true), ("\x1b[24;80R", false), ("no key comes in such a burst", false)]
    {
        peer.type_text(typed);
        for _ in 0..100 {
            clock.advance(Duration::from_micros(300));
            console.poll();
        }
        assert_eq!(console.take_typed(), tells, "{typed:?}");
    }
    // A break (as the mini UART hears it, as the PL011 does), a framing error beside a good byte, bytes that no keyboard sends.
    for noise in [&[0][..], &[0x400], &[0x100 | 0x41, 0x42], &[0x41, 0xf8, 0x42], &[0x80], &[]] {
        assert!(!typed_by(noise), "{noise:x?}");
    }
}

#[test]
fn the_longest_time_between_two_polls_is_known_with_its_place() {
    let (mut console, _peer, clock) = on_mini_uart();
    for pause in [300, 450, 2700, 80] {
        clock.advance(Duration::from_micros(pause));
        console.poll();
    }
    let Gap { length, ended } = console.longest_gap();
    assert!((2700..2710).contains(&length.as_micros()), "{length:?}");
    assert!((3450..3470).contains(&ended.as_micros()), "{ended:?}");
    console.restart_gaps();
    clock.advance(Duration::from_micros(90));
    console.poll();
    assert!((90..100).contains(&console.longest_gap().length.as_micros()));
}

/// One test, because the console and the logger are global.
#[test]
fn the_one_console_carries_println_and_log_and_is_never_waited_for() {
    assert!(with(|_| ()).is_none());
    crate::println!("nobody hears this");
    assert_eq!(missed(), 1);

    let (console, peer, _clock) = on_pl011();
    assert!(install(console));
    crate::logger::init(crate::logger::DEFAULT_LEVEL).unwrap();
    crate::print!("{}+", 1);
    crate::println!("{}", 1);
    crate::println!();
    log::warn!(target: "xenlift::net::dhcp", "no answer from {}", "10.0.2.2");
    log::info!("too much detail");
    crate::logger::set_level(log::LevelFilter::Info);
    log::info!(target: "dhcp", "asked for");
    with(|_| {
        log::error!("inside");
        crate::println!("inside");
        assert!(with(|_| ()).is_none());
    });
    assert_eq!(missed(), 3);
    assert!(with(|console| console.drain(Duration::from_secs(1))).unwrap());
    assert_eq!(
        peer.sent_text(),
        "1+1\r\n\r\n[  0.000] WARN dhcp: no answer from 10.0.2.2\r\n[  0.000] INFO dhcp: asked for\r\n"
    );
    poll();
}
