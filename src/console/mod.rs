//! What the user reads and types: a buffer in each direction between the loader and the UART.
//!
//! Printing never waits for the line while there is room in the buffer, and moving bytes ([`Console::poll`]) never waits at all, so
//! neither starves the network: at 115,200 baud a line of 80 characters takes 7 ms, and a ring of 256 received frames fills in
//! 3.1 ms. **Whatever loops calls [`Console::poll`] at least every 0.5 ms**: the mini UART's FIFOs of eight characters empty, or
//! overflow, in 0.7 ms. A pause longer than that costs speed on the way out and typed characters on the way in, nothing else;
//! [`Console::longest_gap`] tells how long the longest was, and each that is longer than [`PROMISED`] is a message of the log's lowest
//! level but one (`xenlift.log=debug` on the firmware's command line shows them).
//!
//! When the output buffer is full, a writer waits as long as the line moves. A line that does not move for [`STALL`] is taken for
//! dead (flow control held, clock stopped): what does not fit is dropped and counted, without waiting again until it moves, so
//! that no console can keep a board from booting. The loss is reported where it happened.
//!
//! * `input` – what was typed; Ctrl-C is noticed when it is received.
//! * `output` – what was printed.
//! * `attentive` – a clock for drivers, whose waits look at the console, and walks that do.
//! * `shared` – the one console, behind [`install`], [`with`] and the macros [`crate::print!`] and [`crate::println!`].

mod attentive;
mod input;
mod output;
mod shared;

use crate::drivers::uart::{Baud, LineErrors, Uart, UartKind};
use crate::time::{Clock, Duration, Instant};
use alloc::boxed::Box;
pub use attentive::{Attentive, attentively};
use core::fmt;
use input::Input;
pub use input::{INPUT_BUFFER, INTERRUPT};
pub use output::OUTPUT_BUFFER;
use output::Output;
pub(crate) use shared::count_missed;
pub use shared::{install, missed, poll, print, print_line, with};

/// How long a line may not move before it is taken for dead: 50 characters at 9600 baud.
pub const STALL: Duration = Duration::from_millis(50);

/// How often the console is looked at, at least.
pub const PROMISED: Duration = Duration::from_micros(500);

/// Characters that one [`Console::poll`] reads at most, so that a receive flag stuck at "ready" cannot hold it.
const READ_AT_ONCE: usize = 64;

/// A UART with a buffer in each direction.
pub struct Console {
    uart: Box<dyn Uart + Send>,
    clock: Box<dyn Clock + Send>,
    started: Instant,
    output: Output,
    input: Input,
    polled: Instant,
    longest_gap: Gap,
    /// The longest gap over [`PROMISED`] that nobody was told of.
    untold_gap: Option<Gap>,
    /// What [`Console::take_input_lost`] has told of.
    told_lost: u64,
    /// What [`Console::take_line_errors`] has told of.
    told_errors: u32,
    columns: Option<u16>,
}

/// The time between two polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Gap {
    /// How long it was.
    pub length: Duration,
    /// When it ended, counted from the start: what went on then is what took so long.
    pub ended: Duration,
}

impl Console {
    /// A console on `uart`; `started` is the moment that its time stamps count from.
    pub fn new(uart: Box<dyn Uart + Send>, clock: impl Clock + Send + 'static, started: Instant) -> Self {
        let polled = clock.now();
        Self {
            uart,
            clock: Box::new(clock),
            started,
            output: Output::new(),
            input: Input::new(),
            polled,
            longest_gap: Gap::default(),
            untold_gap: None,
            told_lost: 0,
            told_errors: 0,
            columns: None,
        }
    }

    /// Moves what can be moved at once between the UART's FIFOs and the buffers. Never waits.
    pub fn poll(&mut self) {
        self.receive();
        self.output.transmit(&mut *self.uart);
    }

    /// The oldest character that was typed and not yet read. Ctrl-C is not among them ([`take_interrupt`](Self::take_interrupt)).
    pub fn read(&mut self) -> Option<u8> {
        self.poll();
        self.input.read()
    }

    /// Whether Ctrl-C has come since this was last asked. What was typed before it is forgotten, what was typed after it is kept. What was
    /// printed and has not been sent is dropped, as a terminal driver does it: at 9600 baud a full buffer takes 17 s.
    pub fn take_interrupt(&mut self) -> bool {
        self.poll();
        let interrupted = self.input.take_interrupt();
        if interrupted {
            self.output.discard();
        }
        interrupted
    }

    /// The same for whoever draws by differences from what is on the screen: all that was printed is sent.
    pub fn take_interrupt_key(&mut self) -> bool {
        self.poll();
        self.input.take_interrupt()
    }

    /// The same where noise must not count: whether Ctrl-C was pressed by all that [`take_typed`](Self::take_typed) knows of a key, a few milliseconds
    /// after it came.
    pub fn take_interrupt_typed(&mut self) -> bool {
        self.poll();
        self.input.take_interrupt_typed()
    }

    /// Whether a key was pressed since this was last asked, by all that can be told without reading it. It takes a few milliseconds to be sure that it
    /// was one, and no noise ([`Guard`](crate::terminal::burst::Guard)).
    pub fn take_typed(&mut self) -> bool {
        self.input.take_typed()
    }

    /// Forgets what was typed so far: an answer must not be older than its question.
    pub fn discard_input(&mut self) {
        self.poll();
        self.input.clear();
    }

    /// Takes no key for a sign of somebody that has come so far: it has been understood already.
    pub fn forget_typing(&mut self) {
        self.poll();
        self.input.forget_typing();
    }

    /// Sends everything that is buffered and waits until the last bit has left the pin, for at most `limit`, and not on a line
    /// that has stopped moving. Whether all is sent.
    pub fn drain(&mut self, limit: Duration) -> bool {
        let mut moved = self.clock.now();
        let end = moved.after(limit);
        loop {
            self.receive();
            let now = self.clock.now();
            if self.output.transmit(&mut *self.uart) > 0 {
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

    /// Whether what was printed has not all gone to the UART yet.
    pub fn is_printing(&self) -> bool {
        !self.output.is_empty()
    }

    /// Bytes taken for output since the start, carriage returns included, lost ones not.
    pub fn printed(&self) -> u64 {
        self.output.printed()
    }

    /// Bytes of output lost since the start because the line did not move.
    pub fn lost(&self) -> u64 {
        self.output.lost()
    }

    /// Typed characters lost since the start because nobody read the input buffer.
    pub fn input_lost(&self) -> u64 {
        self.input.lost()
    }

    /// Whether typed characters were lost since this was last asked, because nobody read the input buffer or nobody looked in time.
    pub fn take_input_lost(&mut self) -> bool {
        let lost = self.input.lost().saturating_add(self.uart.errors().overruns.into());
        core::mem::replace(&mut self.told_lost, lost) != lost
    }

    /// Whether characters were garbled on the line since this was last asked, as far as the UART can tell.
    pub fn take_line_errors(&mut self) -> bool {
        let errors = garbled(self.uart.errors());
        core::mem::replace(&mut self.told_errors, errors) != errors
    }

    /// What went wrong on the line since the start. Whoever has to tell noise from keys compares it with what it was before.
    pub fn line_errors(&self) -> LineErrors {
        self.uart.errors()
    }

    /// The longest time between two polls since the start, or since [`restart_gaps`](Self::restart_gaps).
    pub fn longest_gap(&self) -> Gap {
        self.longest_gap
    }

    /// The longest time over [`PROMISED`] between two polls since this was last asked.
    pub fn take_gap(&mut self) -> Option<Gap> {
        self.untold_gap.take()
    }

    /// Lets [`longest_gap`](Self::longest_gap) begin anew, to measure one piece of work.
    pub fn restart_gaps(&mut self) {
        self.polled = self.clock.now();
        self.longest_gap = Gap::default();
    }

    /// Says how many columns the terminal has, which a line of text is then cut for.
    pub fn set_columns(&mut self, columns: Option<u16>) {
        self.columns = columns;
    }

    /// How many columns the terminal has, as far as is known.
    pub fn columns(&self) -> Option<u16> {
        self.columns
    }

    /// Which UART it is on, and where its speed comes from.
    pub fn uart(&self) -> (UartKind, Baud) {
        (self.uart.kind(), self.uart.baud())
    }

    fn receive(&mut self) {
        let now = self.clock.now();
        let gap = Gap { length: now.since(self.polled), ended: now.since(self.started) };
        if gap.length > self.longest_gap.length {
            self.longest_gap = gap;
        }
        if gap.length > PROMISED && self.untold_gap.is_none_or(|untold| gap.length > untold.length) {
            self.untold_gap = Some(gap);
        }
        self.polled = now;

        let before = self.uart.errors();
        let mut bytes = [0; READ_AT_ONCE];
        let mut count = 0;
        for (place, byte) in bytes.iter_mut().zip(core::iter::from_fn(|| self.uart.try_read())) {
            *place = byte;
            count += 1;
        }
        let noise = garbled(self.uart.errors()) != garbled(before);
        self.input.receive(now, bytes.get(..count).unwrap_or_default(), noise);
    }

    /// Whether there is room for a byte, after waiting for it as long as the line moves.
    fn make_room(&mut self) {
        if self.output.has_room() || self.input.is_interrupted() {
            return;
        }
        self.poll();
        if self.output.has_room() || self.output.stalled {
            return;
        }
        let from = self.clock.now();
        while self.clock.now().since(from) < STALL {
            self.poll();
            if self.output.has_room() || self.input.is_interrupted() {
                return;
            }
        }
        self.output.stalled = true;
    }

    fn put(&mut self, byte: u8) {
        if self.output.wants_return(byte) {
            self.put_as_it_is(b'\r');
        }
        self.put_as_it_is(byte);
    }

    fn put_as_it_is(&mut self, byte: u8) {
        self.make_room();
        // What Ctrl-C ends is about to be dropped anyway.
        if self.output.has_room() || !self.input.is_interrupted() {
            self.output.put(byte);
        }
    }

    /// Says in the output how much is missing from it, once there is room again.
    fn report_loss(&mut self) {
        if let Some(lost) = self.output.loss_to_report() {
            let _ = fmt::Write::write_fmt(self, format_args!("\n[{lost} bytes lost: the line stood still]\n"));
        }
    }
}

/// The errors that are the line's. What overran came while nobody looked.
fn garbled(errors: LineErrors) -> u32 {
    let LineErrors { framing, parity, breaks, .. } = errors;
    framing.wrapping_add(parity).wrapping_add(breaks)
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not looked at for {} us until {} us", self.length.as_micros(), self.ended.as_micros())
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
            .field("buffered", &self.output.buffered())
            .field("printed", &self.printed())
            .field("lost", &self.lost())
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

#[cfg(test)]
mod tests;
