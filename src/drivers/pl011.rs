//! The Arm PrimeCell UART (PL011), UART0 of the BCM2711.
//!
//! Sources: PrimeCell UART (PL011) Technical Reference Manual (Arm DDI 0183), chapter 3; BCM2711 ARM Peripherals, chapter 11.
//!
//! The firmware gives it to the Bluetooth chip unless `dtoverlay=disable-bt` or `miniuart-bt` puts it on GPIO 14 and 15. Its
//! input clock (`init_uart_clock`, 48 MHz) does not depend on the core clock, so its speed is right whatever the core does.

use super::uart::{Baud, DEFAULT_BAUD, LineErrors, Uart, UartKind};
use crate::mmio::{Bus, Reg};
use crate::time::{Clock, Duration};
use registers::{CR, DR, FR, LCR_H};
use tock_registers::LocalRegisterCopy;
use tock_registers::interfaces::{Readable, Writeable};

mod registers {
    use tock_registers::register_bitfields;
    register_bitfields! { u32,
        pub DR [
            OVERRUN OFFSET(11) NUMBITS(1) [],
            BREAK OFFSET(10) NUMBITS(1) [],
            PARITY OFFSET(9) NUMBITS(1) [],
            FRAMING OFFSET(8) NUMBITS(1) [],
            DATA OFFSET(0) NUMBITS(8) [],
        ],
        pub FR [
            TRANSMIT_FULL OFFSET(5) NUMBITS(1) [],
            RECEIVE_EMPTY OFFSET(4) NUMBITS(1) [],
            BUSY OFFSET(3) NUMBITS(1) [],
        ],
        pub LCR_H [
            WORD_LENGTH OFFSET(5) NUMBITS(2) [ EightBits = 3 ],
            FIFO_ENABLE OFFSET(4) NUMBITS(1) [],
            TWO_STOP_BITS OFFSET(3) NUMBITS(1) [],
            PARITY_ENABLE OFFSET(1) NUMBITS(1) [],
            SEND_BREAK OFFSET(0) NUMBITS(1) [],
        ],
        pub CR [
            RECEIVE_ENABLE OFFSET(9) NUMBITS(1) [],
            TRANSMIT_ENABLE OFFSET(8) NUMBITS(1) [],
            LOOPBACK OFFSET(7) NUMBITS(1) [],
            UART_ENABLE OFFSET(0) NUMBITS(1) [],
        ],
    }
}

/// Offsets from the UART's base address.
mod offset {
    pub const DATA: usize = 0x00;
    pub const FLAGS: usize = 0x18;
    pub const INTEGER_DIVISOR: usize = 0x24;
    pub const FRACTIONAL_DIVISOR: usize = 0x28;
    pub const LINE_CONTROL: usize = 0x2c;
    pub const CONTROL: usize = 0x30;
    pub const INTERRUPT_MASK: usize = 0x38;
    pub const INTERRUPT_CLEAR: usize = 0x44;
    pub const DMA_CONTROL: usize = 0x48;
}

/// The input clock in Hz where the firmware does not say: the default of `init_uart_clock`.
pub const USUAL_CLOCK: u32 = 48_000_000;

/// Characters with an error that one [`Uart::try_read`] drops: the depth of the deepest receive FIFO of the PL011 family (r1p5).
const DROPPED_AT_ONCE: usize = 32;

/// How long the transmitter may take to finish before it is set up anew: a full FIFO at 9600 baud.
const SETTLE: Duration = Duration::from_millis(35);

/// The two divisor registers for `baud` from an input clock of `clock` Hz, as (integer, fraction in 64ths).
///
/// The divisor is `clock / (16 · baud)`, in steps of 1/64: at 48 MHz and 115,200 baud, 48,000,000 / 1,843,200 = 26.04, so 26 and
/// 0.04 · 64 = 3. `None` where the clock is too slow (a divisor below 1) or too fast (above 65,535).
pub fn divisor(clock: u32, baud: u32) -> Option<(u16, u8)> {
    let sixty_fourths = (u64::from(clock) * 8).checked_div(u64::from(baud))?.div_ceil(2);
    let integer = u16::try_from(sixty_fourths / 64).ok().filter(|integer| *integer != 0)?;
    let fraction = (sixty_fourths % 64) as u8;
    // 65,535 is the largest divisor, without a fraction (DDI 0183, 3.3.6).
    (integer < u16::MAX || fraction == 0).then_some((integer, fraction))
}

/// The PL011, set up for eight bits, no parity, FIFOs on.
#[derive(Debug)]
pub struct Pl011<B: Bus> {
    bus: B,
    baud: Baud,
    errors: LineErrors,
}

impl<B: Bus> Pl011<B> {
    /// Takes the UART over as it is, changing nothing: for the panic path, which must not disturb what is on the line.
    pub fn adopt(bus: B) -> Self {
        Self { bus, baud: Baud::AsFound, errors: LineErrors::default() }
    }

    /// Takes the UART over and makes it usable.
    ///
    /// A UART that is enabled with a divisor keeps that divisor, and is touched only if it is not set up for eight bits,
    /// no parity, FIFOs on, both directions. One that is not gets [`DEFAULT_BAUD`] from the input clock in Hz that `input_clock`
    /// finds out (mailbox, clock 2), or from [`USUAL_CLOCK`] if it cannot.
    pub fn attach(bus: B, clock: &impl Clock, input_clock: impl FnOnce() -> Option<u32>) -> Self {
        let mut uart = Self::adopt(bus);
        let enabled = uart.reg::<CR::Register>(offset::CONTROL).is_set(CR::UART_ENABLE);
        let found_integer = uart.reg::<()>(offset::INTEGER_DIVISOR).get() as u16;
        let found_fraction = uart.reg::<()>(offset::FRACTIONAL_DIVISOR).get() as u8;
        if enabled && found_integer != 0 {
            if !uart.is_set_up() {
                uart.set_up(clock, found_integer, found_fraction);
            }
            return uart;
        }
        let reported =
            input_clock().and_then(|hertz| Some((Baud::Computed { clock: hertz }, divisor(hertz, DEFAULT_BAUD)?)));
        let (baud, (integer, fraction)) = reported
            .unwrap_or((Baud::Assumed { clock: USUAL_CLOCK }, divisor(USUAL_CLOCK, DEFAULT_BAUD).unwrap_or((26, 3))));
        uart.set_up(clock, integer, fraction);
        uart.baud = baud;
        uart
    }

    fn reg<R: tock_registers::RegisterLongName>(&self, offset: usize) -> Reg<'_, B, R> {
        Reg::new(&self.bus, offset)
    }

    /// Whether characters of eight bits pass in both directions through the FIFOs.
    fn is_set_up(&self) -> bool {
        let line = LocalRegisterCopy::<u32, LCR_H::Register>::new(self.reg::<()>(offset::LINE_CONTROL).get());
        let control = LocalRegisterCopy::<u32, CR::Register>::new(self.reg::<()>(offset::CONTROL).get());
        line.matches_all(LCR_H::WORD_LENGTH::EightBits + LCR_H::FIFO_ENABLE::SET)
            && !line.is_set(LCR_H::PARITY_ENABLE)
            && !line.is_set(LCR_H::SEND_BREAK)
            && control.matches_all(CR::RECEIVE_ENABLE::SET + CR::TRANSMIT_ENABLE::SET + CR::LOOPBACK::CLEAR)
    }

    /// DDI 0183, 3.3.8: finish the present character, disable, flush by clearing FEN, then program; LCR_H last, because its
    /// write is what latches the divisor (3.3.6).
    fn set_up(&mut self, clock: &impl Clock, integer: u16, fraction: u8) {
        clock.wait_until(SETTLE, || self.is_drained());
        let flow_control = self.reg::<()>(offset::CONTROL).get() & !0x0000_0381;
        self.reg::<CR::Register>(offset::CONTROL).set(0);
        self.reg::<LCR_H::Register>(offset::LINE_CONTROL).set(0);
        self.reg::<()>(offset::INTERRUPT_MASK).set(0);
        self.reg::<()>(offset::INTERRUPT_CLEAR).set(0x7ff);
        self.reg::<()>(offset::DMA_CONTROL).set(0);
        self.reg::<()>(offset::INTEGER_DIVISOR).set(u32::from(integer));
        self.reg::<()>(offset::FRACTIONAL_DIVISOR).set(u32::from(fraction));
        self.reg(offset::LINE_CONTROL).write(LCR_H::WORD_LENGTH::EightBits + LCR_H::FIFO_ENABLE::SET);
        let enable = CR::RECEIVE_ENABLE::SET + CR::TRANSMIT_ENABLE::SET + CR::UART_ENABLE::SET;
        self.reg::<CR::Register>(offset::CONTROL).set(enable.modify(flow_control));
    }
}

impl<B: Bus> Uart for Pl011<B> {
    fn kind(&self) -> UartKind {
        UartKind::Pl011
    }

    fn baud(&self) -> Baud {
        self.baud
    }

    fn try_write(&mut self, byte: u8) -> bool {
        if self.reg(offset::FLAGS).is_set(FR::TRANSMIT_FULL) {
            return false;
        }
        self.reg::<()>(offset::DATA).set(u32::from(byte));
        true
    }

    fn try_read(&mut self) -> Option<u8> {
        for _ in 0..DROPPED_AT_ONCE {
            if self.reg(offset::FLAGS).is_set(FR::RECEIVE_EMPTY) {
                return None;
            }
            let data = LocalRegisterCopy::<u32, DR::Register>::new(self.reg::<()>(offset::DATA).get());
            // An overrun says that characters after this one were lost; this one is good (DDI 0183, table 3-2).
            self.errors.overruns = self.errors.overruns.saturating_add(data.read(DR::OVERRUN));
            // A break comes with a framing error of its own; it counts once, as a break.
            if data.is_set(DR::BREAK) {
                self.errors.breaks = self.errors.breaks.saturating_add(1);
            } else if data.is_set(DR::FRAMING) {
                self.errors.framing = self.errors.framing.saturating_add(1);
            } else if data.is_set(DR::PARITY) {
                self.errors.parity = self.errors.parity.saturating_add(1);
            } else {
                return Some(data.read(DR::DATA) as u8);
            }
        }
        None
    }

    fn is_drained(&mut self) -> bool {
        !self.reg(offset::FLAGS).is_set(FR::BUSY)
    }

    fn errors(&self) -> LineErrors {
        self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::models::VirtualClock;
    use crate::drivers::models::uart::{Peer, Pl011Model};

    fn model() -> (Peer<Pl011Model>, VirtualClock) {
        let clock = VirtualClock::default();
        (Peer::new(&clock), clock)
    }

    #[test]
    fn the_divisor_is_the_one_the_manual_computes() {
        // DDI 0183, 3.3.6: 4 MHz, 230,400 baud: 1.085, 1 and 5/64.
        assert_eq!(divisor(4_000_000, 230_400), Some((1, 5)));
        assert_eq!(divisor(48_000_000, 115_200), Some((26, 3)));
        assert_eq!(divisor(3_000_000, 115_200), Some((1, 40)));
    }

    #[test]
    fn a_divisor_that_does_not_fit_is_refused() {
        assert_eq!(divisor(1_000_000, 115_200), None);
        assert_eq!(divisor(0, 115_200), None);
        assert_eq!(divisor(48_000_000, 0), None);
        assert_eq!(divisor(u32::MAX, 1), None);
        assert_eq!(divisor(65_535 * 16, 1), Some((65_535, 0)));
        assert_eq!(divisor(65_535 * 16 + 1, 1), None);
    }

    #[test]
    fn a_uart_that_the_firmware_set_up_is_not_written_to() {
        let (peer, clock) = model();
        peer.preset(0x24, 17);
        peer.preset(0x28, 9);
        peer.preset(0x2c, 0x70);
        peer.preset(0x30, 0x301);
        let uart = Pl011::attach(peer.clone(), &clock, || panic!("the clock is not wanted"));
        assert_eq!(peer.writes(), []);
        assert_eq!(uart.baud(), Baud::AsFound);
    }

    #[test]
    fn a_uart_set_up_otherwise_keeps_its_speed_and_flow_control() {
        for (line, control) in
            [(0x60, 0xc301), (0x76, 0xc301), (0x71, 0xc301), (0x50, 0xc301), (0x70, 0xc101), (0x70, 0xc381)]
        {
            let (peer, clock) = model();
            peer.preset(0x24, 17);
            peer.preset(0x28, 9);
            peer.preset(0x2c, line);
            peer.preset(0x30, control);
            let uart = Pl011::attach(peer.clone(), &clock, || None);
            assert_eq!(uart.baud(), Baud::AsFound);
            assert_eq!((peer.register(0x24), peer.register(0x28)), (17, 9));
            assert_eq!((peer.register(0x2c), peer.register(0x30)), (0x70, 0xc301), "{line:#x} {control:#x}");
        }
    }

    #[test]
    fn a_uart_nobody_set_up_gets_the_default_speed_from_its_clock() {
        for (reported, expected, registers) in [
            (Some(48_000_000), Baud::Computed { clock: 48_000_000 }, (26, 3)),
            (Some(3_000_000), Baud::Computed { clock: 3_000_000 }, (1, 40)),
            (None, Baud::Assumed { clock: USUAL_CLOCK }, (26, 3)),
            (Some(0), Baud::Assumed { clock: USUAL_CLOCK }, (26, 3)),
        ] {
            let (peer, clock) = model();
            let uart = Pl011::attach(peer.clone(), &clock, || reported);
            assert_eq!(uart.baud(), expected);
            assert_eq!((peer.register(0x24), peer.register(0x28)), registers);
            assert_eq!((peer.register(0x2c), peer.register(0x30)), (0x70, 0x301));
        }
    }

    #[test]
    fn the_line_control_register_is_written_after_the_divisor_that_it_latches() {
        let (peer, clock) = model();
        Pl011::attach(peer.clone(), &clock, || None);
        let writes = peer.writes();
        let last = |offset| writes.iter().rposition(|write| *write == offset).unwrap();
        assert!(last(0x24) < last(0x2c) && last(0x28) < last(0x2c) && last(0x2c) < last(0x30));
    }

    #[test]
    fn a_transmitter_that_never_ends_does_not_hold_the_boot() {
        let (peer, clock) = model();
        peer.preset(0x24, 26);
        peer.preset(0x30, 0x301);
        Pl011::adopt(peer.clone()).try_write(b'x');
        peer.stop_transmitter(true);
        let before = clock.now();
        Pl011::attach(peer.clone(), &clock, || None);
        assert!(clock.now().since(before) < SETTLE * 2);
        assert_eq!(peer.register(0x2c), 0x70);
    }

    #[test]
    fn a_divisor_counts_only_while_the_uart_is_enabled() {
        let (peer, clock) = model();
        peer.preset(0x24, 17);
        peer.preset(0x2c, 0x70);
        let uart = Pl011::attach(peer.clone(), &clock, || Some(48_000_000));
        assert_eq!((uart.baud(), peer.register(0x24)), (Baud::Computed { clock: 48_000_000 }, 26));
    }

    #[test]
    fn what_is_on_the_line_leaves_whole_before_the_uart_is_set_up_anew() {
        let (peer, clock) = model();
        peer.preset(0x24, 26);
        peer.preset(0x30, 0x301);
        let mut firmware = Pl011::adopt(peer.clone());
        assert!(b"abc".iter().all(|byte| firmware.try_write(*byte)));
        Pl011::attach(peer.clone(), &clock, || None);
        assert_eq!(peer.sent_text(), "abc");
    }

    #[test]
    fn bytes_leave_in_order_and_a_full_fifo_is_refused_at_once() {
        let (peer, clock) = model();
        let mut uart = Pl011::attach(peer.clone(), &clock, || None);
        let taken = (0..64).take_while(|byte| uart.try_write(*byte)).count();
        assert_eq!(taken, 17, "sixteen in the FIFO, one on the line");
        assert!(!uart.is_drained());
        assert!(clock.wait_until(Duration::from_millis(2), || uart.is_drained()));
        assert_eq!(peer.sent(), (0..17).collect::<Vec<u8>>());
    }

    #[test]
    fn characters_with_errors_are_dropped_and_counted() {
        let (peer, clock) = model();
        let mut uart = Pl011::attach(peer.clone(), &clock, || None);
        peer.type_words(&[0x100 | 0x55, 0x200 | 0x55, 0x500, u32::from(b'a')]);
        clock.advance(Duration::from_millis(1));
        assert_eq!(uart.try_read(), Some(b'a'));
        assert_eq!(uart.try_read(), None);
        assert_eq!(uart.errors(), LineErrors { overruns: 0, framing: 1, parity: 1, breaks: 1 });
    }

    #[test]
    fn an_overrun_is_counted_and_what_did_arrive_is_kept() {
        let (peer, clock) = model();
        let mut uart = Pl011::attach(peer.clone(), &clock, || None);
        peer.type_text("abcdefghijklmnopqrstuvwxyz");
        clock.advance(Duration::from_millis(5));
        let read: Vec<u8> = std::iter::from_fn(|| uart.try_read()).collect();
        assert_eq!(read, b"abcdefghijklmnop");
        assert_eq!(uart.errors().overruns, 1);
    }

    #[test]
    fn a_line_that_only_breaks_does_not_hold_a_read() {
        struct Breaks;
        impl Bus for Breaks {
            fn read32(&self, offset: usize) -> u32 {
                if offset == 0 { 0x500 } else { 0 }
            }
            fn write32(&self, _: usize, _: u32) {}
        }
        let mut uart = Pl011::adopt(Breaks);
        assert_eq!(uart.try_read(), None);
        assert_eq!(uart.errors().breaks, DROPPED_AT_ONCE as u32);
    }
}
