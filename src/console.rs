//! What the user reads and types: a buffer in each direction between the loader and the UART.
//!
//! Printing never waits for the line while there is room in the buffer, and moving bytes ([`Console::poll`]) never waits at all, so
//! neither starves the network: at 115,200 baud a line of 80 characters takes 7 ms, and a ring of 256 received frames fills in
//! 3.1 ms. **Whatever loops calls [`Console::poll`] at least every 0.5 ms**: the mini UART's FIFOs of eight characters empty, or
//! overflow, in 0.7 ms. A pause longer than that costs speed on the way out and typed characters on the way in, nothing else.
//!
//! When the output buffer is full, a writer waits as long as the line moves. A line that does not move for [`STALL`] is taken for
//! dead (flow control held, clock stopped): what does not fit is dropped and counted, without waiting again until it moves, so
//! that no console can keep a board from booting. The loss is reported where it happened.
//!
//! There is one console, behind [`install`], [`with`] and the macros [`crate::print!`] and [`crate::println!`]. The lock is
//! `spin`'s: wanted are the MMU and the data cache (exclusives on memory that is not cacheable are not defined to work). It is
//! only ever tried, never waited for: the one that could hold it is the code that was interrupted by a panic or exception, which
//! then writes through [`crate::drivers::uart::Polled`].

use crate::drivers::uart::{Baud, LineErrors, Uart, UartKind};
use crate::time::{Clock, Duration, Instant};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use spin::Mutex;

/// Size in bytes of the output buffer: 1.4 s of a line at 115,200 baud, and ten times a whole unattended boot.
pub const OUTPUT_BUFFER: usize = 16 * 1024;

/// Size in bytes of the input buffer: a pasted line.
pub const INPUT_BUFFER: usize = 1024;

/// How long a line may not move before it is taken for dead: 50 characters at 9600 baud.
pub const STALL: Duration = Duration::from_millis(50);

/// Characters that one [`Console::poll`] reads at most, so that a receive flag stuck at "ready" cannot hold it.
const READ_AT_ONCE: usize = 64;

/// Room that the note about lost output needs.
const NOTE: usize = 64;

/// A UART with a buffer in each direction.
pub struct Console {
    uart: Box<dyn Uart + Send>,
    clock: Box<dyn Clock + Send>,
    started: Instant,
    output: VecDeque<u8>,
    input: VecDeque<u8>,
    after_return: bool,
    stalled: bool,
    printed: u64,
    lost: u64,
    lost_unreported: u64,
    input_lost: u64,
}

impl Console {
    /// A console on `uart`; `started` is the moment that its time stamps count from.
    pub fn new(uart: Box<dyn Uart + Send>, clock: impl Clock + Send + 'static, started: Instant) -> Self {
        Self {
            uart,
            clock: Box::new(clock),
            started,
            output: VecDeque::with_capacity(OUTPUT_BUFFER),
            input: VecDeque::with_capacity(INPUT_BUFFER),
            after_return: false,
            stalled: false,
            printed: 0,
            lost: 0,
            lost_unreported: 0,
            input_lost: 0,
        }
    }

    /// Moves what can be moved at once between the UART's FIFOs and the buffers. Never waits.
    pub fn poll(&mut self) {
        self.receive();
        self.transmit();
    }

    /// The oldest character that was typed and not yet read.
    pub fn read(&mut self) -> Option<u8> {
        self.poll();
        self.input.pop_front()
    }

    /// Forgets what was typed so far: an answer must not be older than its question.
    pub fn discard_input(&mut self) {
        self.poll();
        self.input.clear();
    }

    /// Sends everything that is buffered and waits until the last bit has left the pin, for at most `limit`, and not on a line
    /// that has stopped moving. Whether all is sent.
    pub fn drain(&mut self, limit: Duration) -> bool {
        let mut moved = self.clock.now();
        let end = moved.after(limit);
        loop {
            self.receive();
            let now = self.clock.now();
            if self.transmit() > 0 {
                moved = now;
            } else if self.output.is_empty() && self.uart.is_drained() {
                return true;
            }
            if now >= end || now.since(moved) >= STALL {
                return false;
            }
        }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Stamp {
        Stamp(self.clock.now().since(self.started))
    }

    /// Prints one line that begins with the time since the start.
    pub fn stamped_line(&mut self, text: fmt::Arguments<'_>) {
        let stamp = self.elapsed();
        // Infallible: `write_str` always succeeds, and `Display` of our own types never fails by itself.
        let _ = fmt::Write::write_fmt(self, format_args!("{stamp} {text}\n"));
    }

    /// Bytes taken for output since the start, carriage returns included, lost ones not.
    pub fn printed(&self) -> u64 {
        self.printed
    }

    /// Bytes of output lost since the start because the line did not move.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Typed characters lost since the start because nobody read the input buffer.
    pub fn input_lost(&self) -> u64 {
        self.input_lost
    }

    /// What went wrong on the line.
    pub fn line_errors(&self) -> LineErrors {
        self.uart.errors()
    }

    /// Which UART it is on, and where its speed comes from.
    pub fn uart(&self) -> (UartKind, Baud) {
        (self.uart.kind(), self.uart.baud())
    }

    fn receive(&mut self) {
        for _ in 0..READ_AT_ONCE {
            let Some(byte) = self.uart.try_read() else { return };
            if self.input.len() < INPUT_BUFFER {
                self.input.push_back(byte);
            } else {
                self.input_lost = self.input_lost.saturating_add(1);
            }
        }
    }

    /// How many bytes went to the UART.
    fn transmit(&mut self) -> usize {
        let mut count = 0;
        while let Some(byte) = self.output.front()
            && self.uart.try_write(*byte)
        {
            self.output.pop_front();
            count += 1;
        }
        if count > 0 {
            self.stalled = false;
        }
        count
    }

    /// Whether there is room for a byte, after waiting for it as long as the line moves.
    fn make_room(&mut self) -> bool {
        if self.output.len() < OUTPUT_BUFFER {
            return true;
        }
        self.poll();
        if self.output.len() < OUTPUT_BUFFER {
            return true;
        }
        if self.stalled {
            return false;
        }
        let from = self.clock.now();
        while self.clock.now().since(from) < STALL {
            self.poll();
            if self.output.len() < OUTPUT_BUFFER {
                return true;
            }
        }
        self.stalled = true;
        false
    }

    fn put(&mut self, byte: u8) {
        if byte == b'\n' && !self.after_return {
            self.put_raw(b'\r');
        }
        self.put_raw(byte);
        self.after_return = byte == b'\r';
    }

    fn put_raw(&mut self, byte: u8) {
        if self.make_room() {
            self.output.push_back(byte);
            self.printed = self.printed.saturating_add(1);
        } else {
            self.lost = self.lost.saturating_add(1);
            self.lost_unreported = self.lost_unreported.saturating_add(1);
        }
    }

    /// Says in the output how much is missing from it, once there is room again.
    fn report_loss(&mut self) {
        if self.lost_unreported == 0 || self.output.len() + NOTE > OUTPUT_BUFFER {
            return;
        }
        let lost = core::mem::take(&mut self.lost_unreported);
        let _ = fmt::Write::write_fmt(self, format_args!("\n[{lost} bytes lost: the line stood still]\n"));
    }
}

/// `\n` is sent as `\r\n`. Never fails: what cannot be sent is counted.
impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.poll();
        self.report_loss();
        for byte in text.bytes() {
            self.put(byte);
        }
        self.poll();
        Ok(())
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("uart", &self.uart.kind())
            .field("buffered", &self.output.len())
            .field("printed", &self.printed)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// A time since the start, as it stands before a line: `[  1.234]`, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub Duration);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:>3}.{:03}]", self.0.as_secs(), self.0.subsec_millis())
    }
}

static CONSOLE: Mutex<Option<Console>> = Mutex::new(None);

/// Messages that found the console busy or missing.
static MISSED: AtomicU32 = AtomicU32::new(0);

/// Makes `console` the one that [`with`] finds, in the place of any other. `false`, and nothing done, if that one is in use at
/// this moment.
pub fn install(console: Console) -> bool {
    CONSOLE.try_lock().map(|mut slot| *slot = Some(console)).is_some()
}

/// Does `work` with the console. `None`, and `work` not called, if there is none or if it is in use: inside another `with`, or
/// in a report about a panic that happened there.
pub fn with<R>(work: impl FnOnce(&mut Console) -> R) -> Option<R> {
    CONSOLE.try_lock()?.as_mut().map(work)
}

/// Moves what can be moved at once: [`Console::poll`] of the one console, if it is free.
pub fn poll() {
    with(Console::poll);
}

/// Prints on the one console; counted in [`missed`] if it is missing or in use. For the macros.
pub fn print(text: fmt::Arguments<'_>) {
    if with(|console| fmt::Write::write_fmt(console, text)).is_none() {
        count_missed();
    }
}

/// Counts a message that found the console missing or in use.
pub(crate) fn count_missed() {
    MISSED.fetch_add(1, Ordering::Relaxed);
}

/// Messages that [`print`] and the logger could not bring out because the console was missing or in use.
pub fn missed() -> u32 {
    MISSED.load(Ordering::Relaxed)
}

/// Prints on the console, as `std`'s does.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::console::print(::core::format_args!($($text)*)) };
}

/// Prints a line on the console, as `std`'s does.
#[macro_export]
macro_rules! println {
    () => { $crate::console::print(::core::format_args!("\n")) };
    ($($text:tt)*) => { $crate::console::print(::core::format_args!("{}\n", ::core::format_args!($($text)*))) };
}

#[cfg(test)]
mod tests {
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
    fn a_dead_line_costs_the_stall_time_once_and_the_loss_is_reported_when_it_moves_again() {
        let (mut console, peer, clock) = on_mini_uart();
        peer.stop_transmitter(true);
        let before = clock.nanos();
        write!(console, "{}", "x".repeat(OUTPUT_BUFFER + 8 + 1000)).unwrap();
        write!(console, "{}", "y".repeat(1000)).unwrap();
        let taken = Duration::from_nanos(clock.nanos() - before);
        assert!(taken >= STALL && taken < STALL + Duration::from_millis(2), "{taken:?}");
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
}
