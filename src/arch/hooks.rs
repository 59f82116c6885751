//! What the start-up code and the exception report ask of a board: a few constants, and hooks that work without anything else.
//!
//! The hooks are called before relocation is long past but before there is a heap, a map or a console, and again when everything
//! has failed. So they keep no state, take no lock, wait with a bound, and touch only devices that every board of their kind has.

use crate::range::PhysicalRange;
use core::fmt;

/// The board, as far as start-up knows it. Installed by [`entry!`](crate::entry).
pub trait StartBoard: Sync {
    /// RAM that every board of this kind has and that may be read without knowing more: a device tree is looked for only here,
    /// because a read where nothing answers may hang the bus.
    fn certain_ram(&self) -> PhysicalRange;
    /// The loader moves itself below this address, as high as it can.
    fn place_below(&self) -> u64;
    /// The window of device registers, mapped Device-nGnRnE.
    fn devices(&self) -> PhysicalRange;
    /// The system counter's frequency in Hz, for a firmware that left CNTFRQ_EL0 at zero.
    fn counter_frequency(&self) -> u32;
    /// Shows how far start-up has come, on an LED.
    fn stage(&self, stage: Stage);
    /// Shows `fault` on an LED, once: the number of flashes is [`Fault::flashes`], followed by a pause.
    fn flash(&self, fault: Fault);
    /// Sends one byte by polling, if a UART is set up and takes it in time; otherwise does nothing.
    fn raw_byte(&self, byte: u8);
    /// Lets the last bytes leave the UART, with a bound.
    fn raw_drain(&self);
    /// The watchdog's registers, as the firmware left them.
    fn watchdog_at_entry(&self) -> WatchdogAtEntry;
    /// Resets the board.
    fn reset(&self) -> !;
}

/// How far start-up has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first Rust code runs, where the firmware put it.
    Entered,
    /// Moved, caches on, about to call `main`.
    Mapped,
    /// A program is about to be given the machine.
    Leaving,
}

/// Why the loader cannot go on, as far as an LED can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not started at EL2.
    WrongLevel,
    /// No free memory to run in.
    NoPlace,
    /// An exception or a panic; the report went to the UART.
    Exception,
    /// An exception while another was reported.
    ExceptionInReport,
    /// The loader does not unpack.
    Damaged,
}

impl Fault {
    /// How often the LED flashes before the pause.
    pub const fn flashes(self) -> u32 {
        match self {
            Self::WrongLevel => 2,
            Self::NoPlace => 3,
            Self::Exception => 4,
            Self::ExceptionInReport => 5,
            Self::Damaged => 6,
        }
    }
}

/// A watchdog's raw registers at entry. What they mean is the watchdog driver's affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchdogAtEntry {
    /// The control register (on the BCM2711, PM_RSTC).
    pub control: u32,
    /// The time left (PM_WDOG).
    pub remaining: u32,
    /// The reset status (PM_RSTS).
    pub reset_status: u32,
}

/// The board's polled UART as a [`fmt::Write`].
pub struct RawOutput<'a>(pub &'a dyn StartBoard);

impl fmt::Write for RawOutput<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.0.raw_byte(b'\r');
            }
            self.0.raw_byte(byte);
        }
        Ok(())
    }
}

/// Installs a board and the function that start-up ends in: `xenlift::entry!(BOARD: Rpi4, loader_main)`, where the first is an
/// expression for a `&'static dyn StartBoard` and the second a `fn(Entry) -> !`. Once in a binary.
#[macro_export]
macro_rules! entry {
    ($board:expr, $main:path) => {
        /// The board, for the library's start-up code.
        // SAFETY: the name is declared once more, with the same type, in xenlift::arch::start, and nowhere else.
        #[unsafe(no_mangle)]
        pub static XENLIFT_BOARD: &dyn $crate::arch::StartBoard = $board;

        /// Where start-up ends.
        // SAFETY: as for XENLIFT_BOARD.
        #[unsafe(no_mangle)]
        pub fn xenlift_main(entry: $crate::arch::Entry) -> ! {
            let main: fn($crate::arch::Entry) -> ! = $main;
            main(entry)
        }
    };
}
