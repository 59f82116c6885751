//! Which UART the console uses: the one that is really on the header.
//!
//! The firmware connects GPIO 14 and 15 (pins 8 and 10 of the header) to one UART or the other, by `enable_uart`, the model and
//! the overlays `disable-bt` and `miniuart-bt`. The pin multiplexer is the truth about that; the device tree's stdout-path is
//! what somebody meant. So the multiplexer decides, and stdout-path only where it says nothing.

use super::gpio::{Function, Gpio, Pin, Pull};
use super::mailbox::property::ClockId;
use super::mini_uart::MiniUart;
use super::pl011::Pl011;
use super::uart::{Uart, UartKind};
use crate::mmio::Bus;
use crate::time::Clock;
use alloc::boxed::Box;
use core::fmt;

/// What the transmit and receive pins of the header, GPIO 14 and 15, are connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderPins {
    /// GPIO 14.
    pub transmit: Function,
    /// GPIO 15.
    pub receive: Function,
}

impl HeaderPins {
    /// Reads them.
    pub fn read<B: Bus>(gpio: &Gpio<B>) -> Self {
        Self { transmit: gpio.function(Pin::TRANSMIT), receive: gpio.function(Pin::RECEIVE) }
    }
}

/// Why a UART was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// GPIO 14 is connected to it.
    OnHeader,
    /// stdout-path names it, and both pins were free: they are to be connected to it ([`Choice::connect`]).
    StdoutPathPinsFree,
    /// stdout-path names it, but GPIO 14 is in use for something else, which is left alone.
    StdoutPathPinsBusy(Function),
    /// Neither pins nor stdout-path say anything; the PL011's speed depends on no other clock. The pins are left alone.
    NothingSaid,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnHeader => f.write_str("on GPIO14/15"),
            Self::StdoutPathPinsFree => f.write_str("stdout-path; GPIO14/15 were free, connected (no enable_uart=1?)"),
            Self::StdoutPathPinsBusy(function) => {
                write!(f, "stdout-path; not on the header, GPIO14 is {function} (no enable_uart=1?)")
            }
            Self::NothingSaid => f.write_str("no UART on GPIO14/15 and no stdout-path (no enable_uart=1?)"),
        }
    }
}

/// A UART and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The UART.
    pub uart: UartKind,
    /// Why.
    pub reason: Reason,
}

impl Choice {
    /// Whether it is connected to GPIO 14 and 15, as far as [`connect`](Self::connect) and the multiplexer say.
    pub fn is_on_header(&self) -> bool {
        matches!(self.reason, Reason::OnHeader | Reason::StdoutPathPinsFree)
    }

    /// Connects GPIO 14 and 15 to the chosen UART if [`Reason::StdoutPathPinsFree`] says so, with the receive line pulled up, so
    /// that an open one is not a break without end. Does nothing otherwise.
    pub fn connect<B: Bus>(&self, gpio: &mut Gpio<B>) {
        if self.reason != Reason::StdoutPathPinsFree {
            return;
        }
        let function = match self.uart {
            UartKind::Pl011 => Function::Alt0,
            UartKind::MiniUart => Function::Alt5,
        };
        gpio.set_pull(Pin::TRANSMIT, Pull::Floating);
        gpio.set_pull(Pin::RECEIVE, Pull::Up);
        gpio.set_function(Pin::TRANSMIT, function);
        gpio.set_function(Pin::RECEIVE, function);
    }

    /// Takes the chosen UART over: the PL011 behind `pl011`, or the mini UART in the auxiliary block behind `auxiliary`. The other
    /// one is not touched. `rate` finds out a clock's rate in Hz; it is asked only if the firmware has not set the UART's speed.
    pub fn attach<B: Bus + Send + 'static>(
        &self,
        pl011: B,
        auxiliary: B,
        clock: &impl Clock,
        rate: impl FnOnce(ClockId) -> Option<u32>,
    ) -> Box<dyn Uart + Send> {
        match self.uart {
            UartKind::Pl011 => Box::new(Pl011::attach(pl011, clock, || rate(ClockId::Uart))),
            UartKind::MiniUart => Box::new(MiniUart::attach(auxiliary, clock, || rate(ClockId::Core))),
        }
    }
}

/// The UART for the console, from the state of the pins and from the UART that an enabled node at stdout-path stands for
/// ([`stdout_uart`]).
///
/// GPIO 14 decides alone: a board that can only be heard is still a board with a console. Pins are switched only if both are
/// inputs, their state after reset; anything else was set by somebody.
pub fn choose(pins: HeaderPins, stdout: Option<UartKind>) -> Choice {
    let on_header = match pins.transmit {
        Function::Alt0 => Some(UartKind::Pl011),
        Function::Alt5 => Some(UartKind::MiniUart),
        _ => None,
    };
    if let Some(uart) = on_header {
        return Choice { uart, reason: Reason::OnHeader };
    }
    let Some(uart) = stdout else {
        return Choice { uart: UartKind::Pl011, reason: Reason::NothingSaid };
    };
    let free = pins.transmit == Function::Input && pins.receive == Function::Input;
    let reason = if free { Reason::StdoutPathPinsFree } else { Reason::StdoutPathPinsBusy(pins.transmit) };
    Choice { uart, reason }
}

/// The UART that the node at stdout-path stands for: `path` is its full path (aliases resolved; options after a `:` do not
/// matter), `compatible` its property of that name, strings ended by NUL.
///
/// Only UART0 and UART1 can be the console; UART2 to 5 are PL011s too, so the address in the path decides where there is one.
/// `None` for anything else.
pub fn stdout_uart(path: &str, compatible: &[u8]) -> Option<UartKind> {
    let path = path.split(':').next().unwrap_or(path);
    if let Some((_, address)) = path.rsplit('/').next().unwrap_or(path).split_once('@') {
        return match address {
            "7e201000" | "fe201000" => Some(UartKind::Pl011),
            "7e215040" | "fe215040" => Some(UartKind::MiniUart),
            _ => None,
        };
    }
    compatible.split(|byte| *byte == 0).find_map(|name| match name {
        b"brcm,bcm2835-aux-uart" => Some(UartKind::MiniUart),
        b"arm,pl011" | b"brcm,bcm2835-pl011" => Some(UartKind::Pl011),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::models::{Registers, VirtualClock};
    use crate::drivers::uart::Baud;
    use std::sync::Arc;

    fn pins(transmit: Function, receive: Function) -> HeaderPins {
        HeaderPins { transmit, receive }
    }

    #[test]
    fn the_multiplexer_outvotes_stdout_path() {
        let pl011 = choose(pins(Function::Alt0, Function::Alt0), Some(UartKind::MiniUart));
        assert_eq!(pl011, Choice { uart: UartKind::Pl011, reason: Reason::OnHeader });
        let mini = choose(pins(Function::Alt5, Function::Alt5), Some(UartKind::Pl011));
        assert_eq!(mini, Choice { uart: UartKind::MiniUart, reason: Reason::OnHeader });
    }

    #[test]
    fn the_transmit_pin_alone_is_enough() {
        let choice = choose(pins(Function::Alt5, Function::Input), None);
        assert_eq!(choice, Choice { uart: UartKind::MiniUart, reason: Reason::OnHeader });
    }

    #[test]
    fn stdout_path_decides_where_no_uart_is_connected() {
        for uart in [UartKind::Pl011, UartKind::MiniUart] {
            let choice = choose(pins(Function::Input, Function::Input), Some(uart));
            assert_eq!(choice, Choice { uart, reason: Reason::StdoutPathPinsFree });
        }
    }

    #[test]
    fn pins_that_somebody_uses_are_not_taken() {
        for other in [pins(Function::Output, Function::Input), pins(Function::Input, Function::Alt4)] {
            let registers = Registers::new(0x100);
            let mut gpio = Gpio::new(&registers);
            gpio.set_function(Pin::TRANSMIT, other.transmit);
            gpio.set_function(Pin::RECEIVE, other.receive);
            let choice = choose(HeaderPins::read(&gpio), Some(UartKind::MiniUart));
            assert_eq!(choice.reason, Reason::StdoutPathPinsBusy(other.transmit));
            choice.connect(&mut gpio);
            assert_eq!(HeaderPins::read(&gpio), other);
        }
    }

    #[test]
    fn with_nothing_to_go_by_it_is_the_pl011_and_no_pin_is_touched() {
        let registers = Registers::new(0x100);
        let mut gpio = Gpio::new(&registers);
        let choice = choose(HeaderPins::read(&gpio), None);
        assert_eq!(choice, Choice { uart: UartKind::Pl011, reason: Reason::NothingSaid });
        choice.connect(&mut gpio);
        assert_eq!(HeaderPins::read(&gpio), pins(Function::Input, Function::Input));
    }

    #[test]
    fn free_pins_are_connected_with_the_receive_line_pulled_up() {
        for (uart, function) in [(UartKind::Pl011, Function::Alt0), (UartKind::MiniUart, Function::Alt5)] {
            let registers = Registers::new(0x100);
            let mut gpio = Gpio::new(&registers);
            Choice { uart, reason: Reason::StdoutPathPinsFree }.connect(&mut gpio);
            assert_eq!(HeaderPins::read(&gpio), pins(function, function));
            assert_eq!(registers.peek(0xe4), 0b01 << 30);
        }
    }

    /// A window that only one of the two UARTs may use.
    enum Window {
        Used(Arc<Registers>),
        Forbidden,
    }

    impl Bus for Window {
        fn read32(&self, offset: usize) -> u32 {
            match self {
                Self::Used(registers) => registers.read32(offset),
                Self::Forbidden => panic!("the other UART was read at {offset:#x}"),
            }
        }
        fn write32(&self, offset: usize, value: u32) {
            match self {
                Self::Used(registers) => registers.write32(offset, value),
                Self::Forbidden => panic!("the other UART was written at {offset:#x}"),
            }
        }
    }

    #[test]
    fn only_the_chosen_uart_is_touched_and_only_its_clock_is_asked_for() {
        let clock = VirtualClock::default();
        let registers = Arc::new(Registers::new(0x100));
        let choice = Choice { uart: UartKind::Pl011, reason: Reason::OnHeader };
        let rate = |id| (id == ClockId::Uart).then_some(48_000_000);
        let uart = choice.attach(Window::Used(registers.clone()), Window::Forbidden, &clock, rate);
        assert_eq!((uart.kind(), uart.baud()), (UartKind::Pl011, Baud::Computed { clock: 48_000_000 }));

        let registers = Arc::new(Registers::new(0x100));
        let choice = Choice { uart: UartKind::MiniUart, reason: Reason::OnHeader };
        let rate = |id| (id == ClockId::Core).then_some(200_000_000);
        let uart = choice.attach(Window::Forbidden, Window::Used(registers.clone()), &clock, rate);
        assert_eq!((uart.kind(), uart.baud()), (UartKind::MiniUart, Baud::Computed { clock: 200_000_000 }));
        assert_eq!(registers.peek(0x68), 216);
    }

    #[test]
    fn stdout_path_is_known_by_address_and_else_by_compatible() {
        assert_eq!(stdout_uart("/soc/serial@7e215040:115200n8", b""), Some(UartKind::MiniUart));
        assert_eq!(stdout_uart("/soc/serial@7e201000", b""), Some(UartKind::Pl011));
        assert_eq!(stdout_uart("/soc/serial", b"other\0brcm,bcm2835-aux-uart\0"), Some(UartKind::MiniUart));
        assert_eq!(stdout_uart("/serial", b"arm,pl011\0arm,primecell\0"), Some(UartKind::Pl011));
    }

    #[test]
    fn uart2_to_5_are_not_taken_for_uart0() {
        assert_eq!(stdout_uart("/soc/serial@7e201400", b"brcm,bcm2835-pl011\0arm,pl011\0"), None);
    }

    #[test]
    fn odd_stdout_paths_name_no_uart() {
        for path in ["", ":", "/", "@", "/soc/serial@", "serial@@7e215040"] {
            assert_eq!(stdout_uart(path, b"\0\0"), None, "{path}");
        }
    }
}
