//! Somebody at a terminal: a line at a real speed, a UART with its FIFOs, the loader's driver and its console over it.
//!
//! The rig for everything that is typed into. A script of bytes with times is put on the line ([`Rig::types`]), and the test plays the
//! loader: it works for so long ([`Rig::work`]), it looks at the console again and again ([`Rig::run`]). What is lost is lost as on a
//! board: a FIFO of eight characters (mini UART) or sixteen (PL011) that nobody empties overflows. Time is the model's; nothing waits.

#![allow(dead_code, reason = "each test program that includes it uses a part of it")]

#[path = "../../src/drivers/models/clock.rs"]
mod clock;
#[path = "../../src/drivers/models/uart.rs"]
mod uart;

pub mod machine;

// What the models know as their parent's.
use xenlift::mmio::Bus;
use xenlift::time::{Clock, Duration, Instant};

pub(crate) use clock::VirtualClock;
use uart::{MiniUartModel, Peer, Pl011Model};
use xenlift::console::Console;
use xenlift::drivers::mini_uart::MiniUart;
use xenlift::drivers::pl011::Pl011;

/// How often the loader promises to look at the console.
pub const PROMISED: Duration = Duration::from_micros(500);

/// What comes over the line.
#[derive(Clone, Copy, Debug)]
pub enum Typed<'a> {
    /// Characters, back to back.
    Bytes(&'a [u8]),
    /// The line held low for longer than a character.
    Break,
    /// A character without a stop bit, as noise or a wrong speed makes them.
    Garbled(u8),
}

impl Typed<'_> {
    /// The words of the data register. The mini UART sees neither errors nor breaks: a break is a NUL there.
    fn words(self, sees_errors: bool) -> Vec<u32> {
        match self {
            Self::Bytes(bytes) => bytes.iter().map(|byte| u32::from(*byte)).collect(),
            Self::Break => vec![if sees_errors { 0x500 } else { 0 }],
            Self::Garbled(byte) => vec![u32::from(byte) | if sees_errors { 0x100 } else { 0 }],
        }
    }
}

/// Which UART, as the firmware left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    MiniUart,
    Pl011,
}

/// The far end of the line, whichever UART it is.
enum Line {
    MiniUart(Peer<MiniUartModel>),
    Pl011(Peer<Pl011Model>),
}

/// A loader's console with somebody at the other end.
pub struct Rig {
    pub console: Console,
    pub clock: VirtualClock,
    line: Line,
}

impl Rig {
    /// A console on `port`, which the firmware has set up for `baud`.
    pub fn new(port: Port, baud: u64) -> Self {
        let clock = VirtualClock::default();
        let started = clock.now();
        let (line, console) = match port {
            Port::MiniUart => {
                let peer = Peer::<MiniUartModel>::new(&clock);
                for (offset, value) in [(0x04, 1), (0x4c, 3), (0x60, 3), (0x68, 541)] {
                    peer.preset(offset, value);
                }
                peer.set_baud(baud);
                let uart = MiniUart::attach(peer.clone(), &clock, || None);
                (Line::MiniUart(peer), Console::new(Box::new(uart), clock.clone(), started))
            }
            Port::Pl011 => {
                let peer = Peer::<Pl011Model>::new(&clock);
                for (offset, value) in [(0x24, 26), (0x28, 3), (0x2c, 0x70), (0x30, 0x301)] {
                    peer.preset(offset, value);
                }
                peer.set_baud(baud);
                let uart = Pl011::attach(peer.clone(), &clock, || None);
                (Line::Pl011(peer), Console::new(Box::new(uart), clock.clone(), started))
            }
        };
        Self { console, clock, line }
    }

    /// Puts `typed` on the line `after` the present, or after what was typed before.
    pub fn types(&self, after: Duration, typed: Typed<'_>) {
        let start = self.clock.nanos() + after.as_nanos() as u64;
        match &self.line {
            Line::MiniUart(peer) => peer.type_words_at(start, &typed.words(false)),
            Line::Pl011(peer) => peer.type_words_at(start, &typed.words(true)),
        }
    }

    /// Puts `text` on the line now.
    pub fn types_text(&self, text: &str) {
        self.types(Duration::ZERO, Typed::Bytes(text.as_bytes()));
    }

    /// Whether everything that was typed has arrived at the UART.
    pub fn has_arrived(&self) -> bool {
        match &self.line {
            Line::MiniUart(peer) => peer.types_until().is_none(),
            Line::Pl011(peer) => peer.types_until().is_none(),
        }
    }

    /// What the terminal has received.
    pub fn shown(&self) -> Vec<u8> {
        match &self.line {
            Line::MiniUart(peer) => peer.sent(),
            Line::Pl011(peer) => peer.sent(),
        }
    }

    /// What the terminal has received, as text.
    pub fn shown_text(&self) -> String {
        String::from_utf8_lossy(&self.shown()).into_owned()
    }

    /// Lets time pass in which nobody looks at the console.
    pub fn work(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Has `each` called every `step`, after the console was polled, until it says that it is done; so often at most that a test ends.
    pub fn run(&mut self, step: Duration, mut each: impl FnMut(&mut Console, Instant) -> bool) {
        for _ in 0..1_000_000 {
            self.clock.advance(step);
            self.console.poll();
            if each(&mut self.console, self.clock.now()) {
                return;
            }
        }
        panic!("it takes for ever");
    }

    /// Everything that was received and not yet read.
    pub fn read(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.console.read()).collect()
    }
}
