//! What a console needs of a serial port, and a polled writer over it for the panic path.
//!
//! The Raspberry Pi 4 has two UARTs that can reach pins 8 and 10 of its header (GPIO 14 and 15): the PL011 ([`super::pl011`])
//! and the mini UART ([`super::mini_uart`]). Both are polled; neither driver ever waits for a byte.

use crate::time::{Clock, Duration};
use core::fmt;

/// The speed that is set up where the firmware has set none, in baud (bits a second). It is the firmware's own default.
pub const DEFAULT_BAUD: u32 = 115_200;

/// Which of the two UARTs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartKind {
    /// The Arm PrimeCell UART, UART0, `/soc/serial@7e201000`.
    Pl011,
    /// The small UART of the auxiliary block, UART1, `/soc/serial@7e215040`.
    MiniUart,
}

impl fmt::Display for UartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pl011 => "PL011",
            Self::MiniUart => "mini UART",
        })
    }
}

/// Where the speed of a UART comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baud {
    /// The firmware had set the UART up; its divisor was left alone.
    AsFound,
    /// [`DEFAULT_BAUD`], from the input clock that the firmware reported, in Hz.
    Computed {
        /// The input clock in Hz.
        clock: u32,
    },
    /// [`DEFAULT_BAUD`], from the clock that is usual, in Hz, because the firmware did not say.
    Assumed {
        /// The input clock in Hz.
        clock: u32,
    },
}

impl fmt::Display for Baud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsFound => f.write_str("speed as the firmware set it"),
            Self::Computed { clock } => write!(f, "{DEFAULT_BAUD} baud from {} MHz", clock / 1_000_000),
            Self::Assumed { clock } => write!(f, "{DEFAULT_BAUD} baud if its clock is {} MHz", clock / 1_000_000),
        }
    }
}

/// What went wrong on the line since the UART was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineErrors {
    /// Times that the receive FIFO was full when a character arrived; at least one character was lost each time.
    pub overruns: u32,
    /// Characters dropped because of a framing error (wrong speed, noise, a cable pulled).
    pub framing: u32,
    /// Characters dropped because of a parity error.
    pub parity: u32,
    /// Breaks (the line held low for longer than a character).
    pub breaks: u32,
}

/// In words, for a bug report.
impl fmt::Display for LineErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("no errors on the line");
        }
        let Self { overruns, framing, parity, breaks } = self;
        write!(f, "on the line {overruns} overruns, {framing} framing errors, {parity} parity errors, {breaks} breaks")
    }
}

/// A serial port, polled.
pub trait Uart {
    /// Which UART it is.
    fn kind(&self) -> UartKind;
    /// Where its speed comes from.
    fn baud(&self) -> Baud;
    /// Puts `byte` into the transmit FIFO; `false`, at once, if that is full.
    fn try_write(&mut self, byte: u8) -> bool;
    /// The next good character that was received; `None`, at once, if there is none. Characters with an error are dropped and
    /// counted on the way.
    fn try_read(&mut self) -> Option<u8>;
    /// Whether the last bit of the last byte has left the pin.
    fn is_drained(&mut self) -> bool;
    /// What went wrong on the line so far.
    fn errors(&self) -> LineErrors;
}

/// A writer that waits for each byte, for the reports of panics and exceptions: it needs no buffer, no lock and no heap.
///
/// A byte that the UART does not take within [`Polled::LIMIT`] is dropped, and so is the rest: a UART that is dead must not keep
/// a board from its reset.
pub struct Polled<'a, U: Uart, C: Clock> {
    uart: &'a mut U,
    clock: C,
    dead: bool,
}

impl<'a, U: Uart, C: Clock> Polled<'a, U, C> {
    /// How long one byte may take: ten characters at 9600 baud.
    pub const LIMIT: Duration = Duration::from_millis(10);

    /// A writer over `uart`.
    pub fn new(uart: &'a mut U, clock: C) -> Self {
        Self { uart, clock, dead: false }
    }

    /// Waits until the last byte has left the pin, for at most the time of a full FIFO; whether it has.
    pub fn flush(&mut self) -> bool {
        let uart = &mut *self.uart;
        !self.dead && self.clock.wait_until(Self::LIMIT * 4, || uart.is_drained())
    }

    fn put(&mut self, byte: u8) {
        if self.dead {
            return;
        }
        let uart = &mut *self.uart;
        self.dead = !self.clock.wait_until(Self::LIMIT, || uart.try_write(byte));
    }
}

impl<U: Uart, C: Clock> fmt::Write for Polled<'_, U, C> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::models::VirtualClock;
    use crate::drivers::models::uart::{Peer, Pl011Model};
    use crate::drivers::pl011::Pl011;
    use core::fmt::Write;

    #[test]
    fn a_polled_report_goes_out_whole_however_long_it_is() {
        let clock = VirtualClock::default();
        let peer = Peer::<Pl011Model>::new(&clock);
        let mut uart = Pl011::attach(peer.clone(), &clock, || None);
        let mut report = Polled::new(&mut uart, &clock);
        for _ in 0..100 {
            writeln!(report, "x0 0000000000000000").unwrap();
        }
        assert!(report.flush());
        assert_eq!(peer.sent_text(), "x0 0000000000000000\r\n".repeat(100));
    }

    #[test]
    fn a_dead_line_costs_a_report_its_limit_once() {
        let clock = VirtualClock::default();
        let peer = Peer::<Pl011Model>::new(&clock);
        let mut uart = Pl011::attach(peer.clone(), &clock, || None);
        peer.stop_transmitter(true);
        let before = clock.now();
        let mut report = Polled::new(&mut uart, &clock);
        write!(report, "{}", "x".repeat(1000)).unwrap();
        assert!(!report.flush());
        let taken = clock.now().since(before);
        assert!(taken >= Duration::from_millis(10) && taken < Duration::from_millis(12), "{taken:?}");
    }
}
