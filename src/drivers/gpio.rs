//! The BCM2711's general-purpose pins: what each is connected to, its pull, and plain outputs.
//!
//! Source: BCM2711 ARM Peripherals, chapter 5.

use crate::mmio::{Bus, Reg};
use core::fmt;
use tock_registers::interfaces::{Readable, Writeable};

/// Offsets from the block's base address.
mod offset {
    pub const FUNCTION_SELECT: usize = 0x00;
    pub const SET: usize = 0x1c;
    pub const CLEAR: usize = 0x28;
    pub const LEVEL: usize = 0x34;
    pub const PULL: usize = 0xe4;
}

/// One of the 58 pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(u8);

impl Pin {
    /// GPIO 14, pin 8 of the header: the console's transmit line.
    pub const TRANSMIT: Self = Self(14);
    /// GPIO 15, pin 10 of the header: the console's receive line.
    pub const RECEIVE: Self = Self(15);
    /// GPIO 42, the green activity LED of the 4B, the 400 (none fitted) and the CM4's IO board; lit when high.
    pub const ACTIVITY_LED: Self = Self(42);

    /// GPIO `number`; `None` above 57.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 58 { Some(Self(number)) } else { None }
    }

    /// The number, 0 to 57.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// What a pin is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// An input, the state after reset.
    Input,
    /// A plain output.
    Output,
    /// Alternate function 0 (on GPIO 14 and 15: the PL011).
    Alt0,
    /// Alternate function 1.
    Alt1,
    /// Alternate function 2.
    Alt2,
    /// Alternate function 3.
    Alt3,
    /// Alternate function 4.
    Alt4,
    /// Alternate function 5 (on GPIO 14 and 15: the mini UART).
    Alt5,
}

impl Function {
    /// From the three bits of a function-select field; higher bits are ignored.
    const fn from_bits(bits: u32) -> Self {
        match bits & 0b111 {
            0b000 => Self::Input,
            0b001 => Self::Output,
            0b010 => Self::Alt5,
            0b011 => Self::Alt4,
            0b100 => Self::Alt0,
            0b101 => Self::Alt1,
            0b110 => Self::Alt2,
            _ => Self::Alt3,
        }
    }

    const fn bits(self) -> u32 {
        match self {
            Self::Input => 0b000,
            Self::Output => 0b001,
            Self::Alt5 => 0b010,
            Self::Alt4 => 0b011,
            Self::Alt0 => 0b100,
            Self::Alt1 => 0b101,
            Self::Alt2 => 0b110,
            Self::Alt3 => 0b111,
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Alt0 => "ALT0",
            Self::Alt1 => "ALT1",
            Self::Alt2 => "ALT2",
            Self::Alt3 => "ALT3",
            Self::Alt4 => "ALT4",
            Self::Alt5 => "ALT5",
        })
    }
}

/// The resistor inside a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// None.
    Floating,
    /// To 3.3 V: what an idle serial line wants.
    Up,
    /// To ground.
    Down,
}

/// The GPIO block.
#[derive(Debug)]
pub struct Gpio<B: Bus> {
    bus: B,
}

impl<B: Bus> Gpio<B> {
    /// The block behind `bus`.
    pub const fn new(bus: B) -> Self {
        Self { bus }
    }

    fn reg(&self, offset: usize) -> Reg<'_, B> {
        Reg::new(&self.bus, offset)
    }

    /// What `pin` is connected to.
    pub fn function(&self, pin: Pin) -> Function {
        let (register, shift) = field(offset::FUNCTION_SELECT, pin, 10, 3);
        Function::from_bits(self.reg(register).get() >> shift)
    }

    /// Connects `pin` to `function`, leaving every other pin as it is.
    pub fn set_function(&mut self, pin: Pin, function: Function) {
        let (register, shift) = field(offset::FUNCTION_SELECT, pin, 10, 3);
        let others = self.reg(register).get() & !(0b111 << shift);
        self.reg(register).set(others | function.bits() << shift);
    }

    /// Sets the resistor of `pin`.
    pub fn set_pull(&mut self, pin: Pin, pull: Pull) {
        let bits = match pull {
            Pull::Floating => 0b00,
            Pull::Up => 0b01,
            Pull::Down => 0b10,
        };
        let (register, shift) = field(offset::PULL, pin, 16, 2);
        let others = self.reg(register).get() & !(0b11 << shift);
        self.reg(register).set(others | bits << shift);
    }

    /// Drives `pin` high or low; it must be an [`Function::Output`].
    pub fn write(&mut self, pin: Pin, high: bool) {
        let (register, shift) = field(if high { offset::SET } else { offset::CLEAR }, pin, 32, 1);
        self.reg(register).set(1 << shift);
    }

    /// The level on `pin`.
    pub fn read(&self, pin: Pin) -> bool {
        let (register, shift) = field(offset::LEVEL, pin, 32, 1);
        self.reg(register).get() >> shift & 1 != 0
    }
}

/// The register (as an offset) and the shift of `pin`'s field in an array of registers at `first` that holds `per_register`
/// fields of `width` bits each.
const fn field(first: usize, pin: Pin, per_register: u8, width: u8) -> (usize, u32) {
    (first + 4 * (pin.0 / per_register) as usize, (pin.0 % per_register * width) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::models::Registers;

    #[test]
    fn pins_14_and_15_are_in_the_second_function_register() {
        let registers = Registers::new(0x100);
        registers.poke(0x04, 0b010 << 12 | 0b100 << 15);
        let gpio = Gpio::new(&registers);
        assert_eq!(gpio.function(Pin::TRANSMIT), Function::Alt5);
        assert_eq!(gpio.function(Pin::RECEIVE), Function::Alt0);
    }

    #[test]
    fn setting_a_function_leaves_the_neighbours_alone() {
        let registers = Registers::new(0x100);
        registers.poke(0x04, u32::MAX);
        let mut gpio = Gpio::new(&registers);
        gpio.set_function(Pin::TRANSMIT, Function::Input);
        assert_eq!(registers.peek(0x04), !(0b111 << 12));
        gpio.set_function(Pin::TRANSMIT, Function::Alt0);
        assert_eq!(registers.peek(0x04), !(0b011 << 12));
    }

    #[test]
    fn every_function_survives_the_way_to_the_register_and_back() {
        let registers = Registers::new(0x100);
        let mut gpio = Gpio::new(&registers);
        for bits in 0..8 {
            let function = Function::from_bits(bits);
            gpio.set_function(Pin::ACTIVITY_LED, function);
            assert_eq!(gpio.function(Pin::ACTIVITY_LED), function);
            assert_eq!(registers.peek(0x10), bits << 6);
        }
    }

    #[test]
    fn a_pull_goes_to_the_two_bits_of_its_pin() {
        let registers = Registers::new(0x100);
        registers.poke(0xe4, u32::MAX);
        let mut gpio = Gpio::new(&registers);
        gpio.set_pull(Pin::RECEIVE, Pull::Up);
        assert_eq!(registers.peek(0xe4), 0x7fff_ffff);
        gpio.set_pull(Pin::new(16).unwrap(), Pull::Down);
        assert_eq!(registers.peek(0xe8), 0b10);
    }

    #[test]
    fn the_led_is_bit_10_of_the_second_set_and_clear_registers() {
        let registers = Registers::new(0x100);
        let mut gpio = Gpio::new(&registers);
        gpio.write(Pin::ACTIVITY_LED, true);
        assert_eq!((registers.peek(0x20), registers.peek(0x2c)), (1 << 10, 0));
        gpio.write(Pin::ACTIVITY_LED, false);
        assert_eq!(registers.peek(0x2c), 1 << 10);
        registers.poke(0x38, 1 << 10);
        assert!(gpio.read(Pin::ACTIVITY_LED));
    }

    #[test]
    fn there_are_58_pins() {
        assert!(Pin::new(57).is_some());
        assert!(Pin::new(58).is_none());
    }
}
