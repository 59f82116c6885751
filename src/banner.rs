//! The first lines on the console: what runs, on what, and how it came there.
//!
//! A pure function of facts that others found out. Four lines, and under 350 bytes where nothing is wrong: an unattended boot
//! prints at most 1,500.

use crate::drivers::board_revision::BoardRevision;
use crate::drivers::uart::Baud;
use crate::drivers::uart_choice::Choice;
use crate::drivers::watchdog::ResetStatus;
use crate::range::PhysicalRange;
use crate::time::Duration;
use core::fmt;

/// What the banner tells. `None` is a question that had no answer.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The loader's version.
    pub version: &'a str,
    /// The board.
    pub board: Option<BoardRevision>,
    /// Its serial number.
    pub serial: Option<u64>,
    /// The exception level that the loader runs at.
    pub exception_level: u8,
    /// Memory that the firmware's tree describes, in bytes.
    pub memory: u64,
    /// The ARM's clock in Hz.
    pub arm_clock: Option<u32>,
    /// Where the firmware put the loader.
    pub loaded_at: u64,
    /// Where it moved itself.
    pub moved_to: u64,
    /// Where the firmware's device tree was, or in words why there is none.
    pub tree: Result<PhysicalRange, &'a str>,
    /// Why the board was reset.
    pub reset: Option<ResetStatus>,
    /// What the firmware's watchdog had left, if it was armed.
    pub watchdog: Option<Duration>,
    /// The console's UART and why it is the one.
    pub uart: Choice,
    /// Where its speed comes from.
    pub baud: Baud,
}

impl fmt::Display for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nXenlift {}, ", self.version)?;
        match self.board {
            Some(board) => write!(f, "{board}")?,
            None => f.write_str("unknown board")?,
        }
        match self.serial {
            Some(serial) => writeln!(f, ", serial {serial:016x}")?,
            None => writeln!(f, ", no serial number")?,
        }
        write!(f, "EL{}, {} MiB", self.exception_level, self.memory >> 20)?;
        if let Some(hertz) = self.arm_clock {
            write!(f, ", ARM {} MHz", hertz / 1_000_000)?;
        }
        write!(f, ", loaded at {:#x}", self.loaded_at)?;
        if self.moved_to != self.loaded_at {
            write!(f, ", moved to {:#x}", self.moved_to)?;
        }
        match self.tree {
            Ok(range) => write!(f, "\ntree {range}")?,
            Err(reason) => write!(f, "\nno tree: {reason}")?,
        }
        if let Some(reset) = self.reset {
            write!(f, "; reset: {reset}")?;
        }
        if let Some(left) = self.watchdog {
            write!(f, "; watchdog armed, {} s left", left.as_secs())?;
        }
        writeln!(f, "\nconsole: {}, {}; {}", self.uart.uart, self.uart.reason, self.baud)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::gpio::Function;
    use crate::drivers::uart::UartKind;
    use crate::drivers::uart_choice::Reason;

    fn facts() -> Facts<'static> {
        Facts {
            version: "0.1.0",
            board: Some(BoardRevision(0xc03114)),
            serial: Some(0x1000_0000_abcd_ef01),
            exception_level: 2,
            memory: 0xf740_0000,
            arm_clock: Some(1_500_000_000),
            loaded_at: 0x20_0000,
            moved_to: 0x3b20_0000,
            tree: Ok(PhysicalRange { start: 0x2eff_6200, end: 0x2f00_2e00 }),
            reset: Some(ResetStatus(0x1000)),
            watchdog: None,
            uart: Choice { uart: UartKind::MiniUart, reason: Reason::OnHeader },
            baud: Baud::AsFound,
        }
    }

    #[test]
    fn a_board_with_everything_in_order_takes_four_lines() {
        assert_eq!(
            facts().to_string(),
            "\nXenlift 0.1.0, Raspberry Pi 4 Model B 1.4, 4 GiB, serial 10000000abcdef01\n\
             EL2, 3956 MiB, ARM 1500 MHz, loaded at 0x200000, moved to 0x3b200000\n\
             tree 0x2eff6200-0x2f002dff; reset: power-on\n\
             console: mini UART, on GPIO14/15; speed as the firmware set it\n"
        );
    }

    #[test]
    fn a_board_that_says_nothing_still_gets_its_banner() {
        let facts = Facts {
            board: None,
            serial: None,
            memory: 948 << 20,
            arm_clock: None,
            moved_to: 0x20_0000,
            tree: Err("x0 is 0x100, where there is no device tree"),
            reset: None,
            watchdog: Some(Duration::from_millis(14_900)),
            uart: Choice { uart: UartKind::Pl011, reason: Reason::NothingSaid },
            baud: Baud::Assumed { clock: 48_000_000 },
            ..facts()
        };
        assert_eq!(
            facts.to_string(),
            "\nXenlift 0.1.0, unknown board, no serial number\n\
             EL2, 948 MiB, loaded at 0x200000\n\
             no tree: x0 is 0x100, where there is no device tree; watchdog armed, 14 s left\n\
             console: PL011, no UART on GPIO14/15 and no stdout-path (no enable_uart=1?); 115200 baud if its clock is 48 MHz\n"
        );
    }

    #[test]
    fn the_longest_banner_keeps_to_its_share_of_what_a_boot_may_print() {
        let longest = Facts {
            version: "10.11.12",
            reset: Some(ResetStatus(0x0574)),
            watchdog: Some(Duration::from_secs(15)),
            memory: 8 << 30,
            uart: Choice { uart: UartKind::MiniUart, reason: Reason::StdoutPathPinsBusy(Function::Output) },
            baud: Baud::Computed { clock: 500_000_000 },
            ..facts()
        }
        .to_string();
        let carriage_returns = longest.matches('\n').count();
        assert!(longest.len() + carriage_returns <= 400, "{} bytes:\n{longest}", longest.len() + carriage_returns);
        let usual = facts().to_string();
        assert!(usual.len() + usual.matches('\n').count() <= 350);
    }
}
