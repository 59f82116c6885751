//! The mini UART, UART1 of the BCM2711, in its auxiliary block.
//!
//! Source: BCM2711 ARM Peripherals, section 2.2 (with two of its errata: a word of eight bits wants both low bits of the line
//! control register, and the two bits of the interrupt-enable register are the other way round than printed).
//!
//! `enable_uart=1` puts it on GPIO 14 and 15. Its speed hangs on the core clock, which differs from board to board and with
//! `core_freq`: the divisor that the firmware set is trusted, and one is computed only where there is none. It detects neither
//! framing errors nor breaks; a break arrives as zero bytes.

use super::uart::{Baud, DEFAULT_BAUD, LineErrors, Uart, UartKind};
use crate::mmio::{Bus, Reg};
use crate::time::{Clock, Duration};
use registers::{CNTL, ENABLES, LCR, LSR};
use tock_registers::LocalRegisterCopy;
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

mod registers {
    use tock_registers::register_bitfields;
    register_bitfields! { u32,
        pub ENABLES [
            MINI_UART OFFSET(0) NUMBITS(1) [],
        ],
        pub LCR [
            DIVISOR_LATCH OFFSET(7) NUMBITS(1) [],
            SEND_BREAK OFFSET(6) NUMBITS(1) [],
            WORD_LENGTH OFFSET(0) NUMBITS(2) [ EightBits = 3 ],
        ],
        pub LSR [
            TRANSMITTER_IDLE OFFSET(6) NUMBITS(1) [],
            TRANSMITTER_READY OFFSET(5) NUMBITS(1) [],
            OVERRUN OFFSET(1) NUMBITS(1) [],
            DATA_READY OFFSET(0) NUMBITS(1) [],
        ],
        pub CNTL [
            TRANSMIT_ENABLE OFFSET(1) NUMBITS(1) [],
            RECEIVE_ENABLE OFFSET(0) NUMBITS(1) [],
        ],
    }
}

/// Offsets from the auxiliary block's base address, which SPI1 and SPI2 share.
mod offset {
    pub const ENABLES: usize = 0x04;
    pub const DATA: usize = 0x40;
    pub const INTERRUPT_ENABLE: usize = 0x44;
    pub const INTERRUPT_IDENTIFY: usize = 0x48;
    pub const LINE_CONTROL: usize = 0x4c;
    pub const MODEM_CONTROL: usize = 0x50;
    pub const LINE_STATUS: usize = 0x54;
    pub const CONTROL: usize = 0x60;
    pub const BAUD: usize = 0x68;
}

/// The core clock in Hz where the firmware does not say: the default of `core_freq` on the Pi 4.
pub const USUAL_CLOCK: u32 = 500_000_000;

/// Writing these bits to the interrupt-identify register empties both FIFOs.
const CLEAR_FIFOS: u32 = 0b110;

/// How long the transmitter may take to finish before it is set up anew: a full FIFO at 9600 baud.
const SETTLE: Duration = Duration::from_millis(10);

/// The divisor register for `baud` from a core clock of `clock` Hz.
///
/// The speed is `clock / (8 · (divisor + 1))`, so the divisor is `clock / (8 · baud) − 1`, rounded down as the firmware and Linux
/// do: 500 MHz / 921,600 = 542.5, so 541 (115,313 baud, 0.1 % fast); 200 MHz / 921,600 = 217.01, so 216. `None` where the result
/// does not fit the 16-bit register or the clock is below `8 · baud`.
pub fn divisor(clock: u32, baud: u32) -> Option<u16> {
    let quotient = u64::from(clock).checked_div(u64::from(baud) * 8)?;
    u16::try_from(quotient.checked_sub(1)?).ok()
}

/// The divisor register that keeps the speed when the core clock goes from `before` to `after` Hz, rounded to the nearest. `None` where the result does not
/// fit the register.
fn rescaled(divisor: u16, before: u32, after: u32) -> Option<u16> {
    let (before, after) = (u64::from(before), u64::from(after));
    let quotient = ((u64::from(divisor) + 1) * after + before / 2).checked_div(before)?;
    u16::try_from(quotient.checked_sub(1)?).ok()
}

/// The mini UART, set up for eight bits.
#[derive(Debug)]
pub struct MiniUart<B: Bus> {
    bus: B,
    baud: Baud,
    errors: LineErrors,
}

impl<B: Bus> MiniUart<B> {
    /// Takes the UART over as it is, changing nothing: for the panic path. `bus` is the whole auxiliary block.
    pub fn adopt(bus: B) -> Self {
        Self { bus, baud: Baud::AsFound, errors: LineErrors::default() }
    }

    /// Takes the UART over and makes it usable. `bus` is the whole auxiliary block.
    ///
    /// A UART that is enabled with a divisor keeps that divisor, and is touched only if it is not set up for eight bits in both
    /// directions. One that is not gets [`DEFAULT_BAUD`] from the core clock in Hz that `core_clock` finds out (mailbox, clock
    /// 4), or from [`USUAL_CLOCK`] if it cannot.
    pub fn attach(bus: B, clock: &impl Clock, core_clock: impl FnOnce() -> Option<u32>) -> Self {
        let mut uart = Self::adopt(bus);
        // The UART's own registers do not answer before this bit is set. The other bits are SPI1 and SPI2.
        let enables = uart.reg::<ENABLES::Register>(offset::ENABLES);
        let enabled = enables.is_set(ENABLES::MINI_UART);
        if !enabled {
            enables.modify(ENABLES::MINI_UART::SET);
        }
        let found = uart.reg::<()>(offset::BAUD).get() as u16;
        if enabled && found != 0 {
            if !uart.is_set_up() {
                uart.set_up(clock, found);
            }
            return uart;
        }
        let reported =
            core_clock().and_then(|hertz| Some((Baud::Computed { clock: hertz }, divisor(hertz, DEFAULT_BAUD)?)));
        let (baud, divisor) = reported
            .unwrap_or((Baud::Assumed { clock: USUAL_CLOCK }, divisor(USUAL_CLOCK, DEFAULT_BAUD).unwrap_or(541)));
        uart.set_up(clock, divisor);
        uart.baud = baud;
        uart
    }

    /// Keeps the speed of a UART that is on, after the core clock has gone from `before` to `after` Hz. What was on the line at that moment is lost.
    pub fn follow_core_clock(&mut self, before: u32, after: u32) {
        if !self.reg::<ENABLES::Register>(offset::ENABLES).is_set(ENABLES::MINI_UART) {
            return;
        }
        let baud = self.reg::<()>(offset::BAUD);
        let found = baud.get() as u16;
        if let Some(divisor) = rescaled(found, before, after).filter(|_| found != 0) {
            baud.set(u32::from(divisor));
        }
    }

    fn reg<R: tock_registers::RegisterLongName>(&self, offset: usize) -> Reg<'_, B, R> {
        Reg::new(&self.bus, offset)
    }

    fn is_set_up(&self) -> bool {
        let line = LocalRegisterCopy::<u32, LCR::Register>::new(self.reg::<()>(offset::LINE_CONTROL).get());
        line.matches_all(LCR::WORD_LENGTH::EightBits + LCR::DIVISOR_LATCH::CLEAR + LCR::SEND_BREAK::CLEAR)
            && self.reg(offset::CONTROL).matches_all(CNTL::TRANSMIT_ENABLE::SET + CNTL::RECEIVE_ENABLE::SET)
    }

    fn set_up(&mut self, clock: &impl Clock, divisor: u16) {
        clock.wait_until(SETTLE, || self.is_drained());
        self.reg::<()>(offset::CONTROL).set(0);
        self.reg::<()>(offset::INTERRUPT_ENABLE).set(0);
        self.reg(offset::LINE_CONTROL).write(LCR::WORD_LENGTH::EightBits);
        self.reg::<()>(offset::MODEM_CONTROL).set(0);
        self.reg::<()>(offset::INTERRUPT_IDENTIFY).set(CLEAR_FIFOS);
        self.reg::<()>(offset::BAUD).set(u32::from(divisor));
        self.reg(offset::CONTROL).write(CNTL::TRANSMIT_ENABLE::SET + CNTL::RECEIVE_ENABLE::SET);
    }

    /// Reads the line status. Reading clears the overrun flag, so every read counts it.
    fn status(&mut self) -> LocalRegisterCopy<u32, LSR::Register> {
        let status = LocalRegisterCopy::new(self.reg::<()>(offset::LINE_STATUS).get());
        self.errors.overruns = self.errors.overruns.saturating_add(status.read(LSR::OVERRUN));
        status
    }
}

impl<B: Bus> Uart for MiniUart<B> {
    fn kind(&self) -> UartKind {
        UartKind::MiniUart
    }

    fn baud(&self) -> Baud {
        self.baud
    }

    fn try_write(&mut self, byte: u8) -> bool {
        if !self.status().is_set(LSR::TRANSMITTER_READY) {
            return false;
        }
        self.reg::<()>(offset::DATA).set(u32::from(byte));
        true
    }

    fn try_read(&mut self) -> Option<u8> {
        self.status().is_set(LSR::DATA_READY).then(|| self.reg::<()>(offset::DATA).get() as u8)
    }

    fn is_drained(&mut self) -> bool {
        self.status().is_set(LSR::TRANSMITTER_IDLE)
    }

    fn errors(&self) -> LineErrors {
        self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::models::VirtualClock;
    use crate::drivers::models::uart::{MiniUartModel, Peer};

    fn model() -> (Peer<MiniUartModel>, VirtualClock) {
        let clock = VirtualClock::default();
        (Peer::new(&clock), clock)
    }

    #[test]
    fn the_divisor_is_the_one_that_the_firmware_and_linux_use() {
        assert_eq!(divisor(500_000_000, 115_200), Some(541));
        assert_eq!(divisor(200_000_000, 115_200), Some(216));
        assert_eq!(divisor(250_000_000, 115_200), Some(270));
    }

    #[test]
    fn a_divisor_that_does_not_fit_is_refused() {
        assert_eq!(divisor(0, 115_200), None);
        assert_eq!(divisor(500_000_000, 0), None);
        assert_eq!(divisor(921_599, 115_200), None);
        assert_eq!(divisor(921_600, 115_200), Some(0));
        assert_eq!(divisor(500_000_000, 300), None);
    }

    #[test]
    fn a_uart_that_the_firmware_set_up_is_not_written_to() {
        let (peer, clock) = model();
        peer.preset(0x04, 0b111);
        peer.preset(0x4c, 3);
        peer.preset(0x60, 3);
        peer.preset(0x68, 270);
        let uart = MiniUart::attach(peer.clone(), &clock, || panic!("the clock is not wanted"));
        assert_eq!(peer.writes(), []);
        assert_eq!(uart.baud(), Baud::AsFound);
    }

    #[test]
    fn a_uart_in_seven_bits_or_one_direction_keeps_its_speed() {
        for (line, control) in [(0, 3), (1, 3), (0x43, 3), (0x83, 3), (3, 1), (3, 2)] {
            let (peer, clock) = model();
            peer.preset(0x04, 1);
            peer.preset(0x4c, line);
            peer.preset(0x60, control);
            peer.preset(0x68, 270);
            let uart = MiniUart::attach(peer.clone(), &clock, || None);
            assert_eq!(uart.baud(), Baud::AsFound);
            assert_eq!((peer.register(0x4c), peer.register(0x60), peer.register(0x68)), (3, 3, 270));
        }
    }

    #[test]
    fn a_uart_nobody_set_up_gets_the_default_speed_and_spi_stays_as_it_is() {
        for (reported, expected, divisor) in [
            (Some(500_000_000), Baud::Computed { clock: 500_000_000 }, 541),
            (Some(200_000_000), Baud::Computed { clock: 200_000_000 }, 216),
            (None, Baud::Assumed { clock: USUAL_CLOCK }, 541),
            (Some(1), Baud::Assumed { clock: USUAL_CLOCK }, 541),
        ] {
            let (peer, clock) = model();
            peer.preset(0x04, 0b110);
            let uart = MiniUart::attach(peer.clone(), &clock, || reported);
            assert_eq!(uart.baud(), expected);
            assert_eq!(peer.register(0x04), 0b111);
            assert_eq!((peer.register(0x44), peer.register(0x4c), peer.register(0x60)), (0, 3, 3));
            assert_eq!(peer.register(0x68), divisor);
        }
    }

    #[test]
    fn a_uart_that_is_on_keeps_its_speed_when_the_core_clock_changes() {
        // 115,200 baud of 500, 550 and 200 MHz.
        for (enables, found, before, after, expected) in [
            (1, 541, 500_000_000, 550_000_000, 595),
            (1, 541, 500_000_000, 200_000_000, 216),
            (1, 216, 200_000_000, 500_000_000, 542),
            (1, 0, 200_000_000, 500_000_000, 0),
            (0, 541, 500_000_000, 550_000_000, 541),
            (1, 541, 0, 550_000_000, 541),
            (1, 541, 1, u32::MAX, 541),
            (1, 541, u32::MAX, 1, 541),
        ] {
            let (peer, _) = model();
            peer.preset(0x04, enables);
            peer.preset(0x68, found);
            MiniUart::adopt(peer.clone()).follow_core_clock(before, after);
            assert_eq!(peer.register(0x68), expected, "{found} {before} {after}");
        }
    }

    #[test]
    fn a_divisor_counts_only_while_the_uart_is_enabled_and_none_is_no_divisor() {
        for (enables, found) in [(1, 0), (0, 99)] {
            let (peer, clock) = model();
            peer.preset(0x04, enables);
            peer.preset(0x4c, 3);
            peer.preset(0x60, 3);
            peer.preset(0x68, found);
            let uart = MiniUart::attach(peer.clone(), &clock, || Some(200_000_000));
            assert_eq!((uart.baud(), peer.register(0x68)), (Baud::Computed { clock: 200_000_000 }, 216));
        }
    }

    #[test]
    fn what_is_on_the_line_leaves_whole_and_what_came_in_at_another_speed_is_forgotten() {
        let (peer, clock) = model();
        peer.preset(0x04, 1);
        peer.preset(0x60, 2);
        peer.preset(0x68, 270);
        let mut firmware = MiniUart::adopt(peer.clone());
        assert!(b"abc".iter().all(|byte| firmware.try_write(*byte)));
        peer.type_text("?");
        let mut uart = MiniUart::attach(peer.clone(), &clock, || None);
        assert_eq!((peer.sent_text().as_str(), uart.try_read()), ("abc", None));
    }

    #[test]
    fn bytes_leave_in_order_and_a_full_fifo_is_refused_at_once() {
        let (peer, clock) = model();
        let mut uart = MiniUart::attach(peer.clone(), &clock, || None);
        let taken = (0..64).take_while(|byte| uart.try_write(*byte)).count();
        assert_eq!(taken, 9, "eight in the FIFO, one on the line");
        assert!(!uart.is_drained());
        assert!(clock.wait_until(Duration::from_millis(2), || uart.is_drained()));
        assert_eq!(peer.sent(), (0..9).collect::<Vec<u8>>());
    }

    #[test]
    fn an_overrun_is_counted_even_when_it_shows_up_while_writing() {
        let (peer, clock) = model();
        let mut uart = MiniUart::attach(peer.clone(), &clock, || None);
        peer.type_text("0123456789");
        clock.advance(Duration::from_millis(2));
        assert!(uart.try_write(b'x'));
        let read: Vec<u8> = std::iter::from_fn(|| uart.try_read()).collect();
        assert_eq!(read, b"01234567");
        assert_eq!(uart.errors().overruns, 1);
    }
}
