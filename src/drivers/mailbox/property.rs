//! The questions that the loader asks the firmware.
//!
//! Sources: the Raspberry Pi firmware wiki ("Mailbox property interface"); the tag numbers of Linux's
//! `include/soc/bcm2835/raspberrypi-firmware.h` for those that the wiki lacks.

use super::message::Property;
use crate::drivers::board_revision::BoardRevision;
use crate::range::PhysicalRange;
use core::fmt;

/// Properties without arguments: name, tag, length of the answer in bytes, answer, decoder.
macro_rules! plain_properties {
    ($($(#[$doc:meta])* $name:ident = $tag:literal, $bytes:literal bytes -> $answer:ty, $decode:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;

        impl Property for $name {
            const TAG: u32 = $tag;
            const ANSWER_BYTES: u32 = $bytes;
            const ARGUMENTS: usize = 0;
            type Answer = $answer;

            fn decode(&self, words: [u32; 2]) -> Option<$answer> {
                let decode: fn([u32; 2]) -> Option<$answer> = $decode;
                decode(words)
            }
        }
    )*};
}

plain_properties! {
    /// When the firmware was built, in seconds since 1970.
    FirmwareRevision = 0x0000_0001, 4 bytes -> u32, |[seconds, _]| Some(seconds);
    /// The board's model; 0 on every Raspberry Pi so far. [`BoardRevisionCode`] says more.
    BoardModel = 0x0001_0001, 4 bytes -> u32, |[model, _]| Some(model);
    /// The board's revision code.
    BoardRevisionCode = 0x0001_0002, 4 bytes -> BoardRevision, |[code, _]| Some(BoardRevision(code));
    /// The MAC address of the Ethernet controller, in transmission order. One that is zero or a group's is not believed.
    MacAddress = 0x0001_0003, 6 bytes -> [u8; 6], decode_mac;
    /// The board's serial number. Zero (QEMU's answer) is none.
    SerialNumber = 0x0001_0004, 8 bytes -> u64, decode_serial;
    /// The memory below 1 GiB that is the ARM's.
    ArmMemory = 0x0001_0005, 8 bytes -> PhysicalRange, decode_range;
    /// The memory that is the VideoCore's.
    VideoCoreMemory = 0x0001_0006, 8 bytes -> PhysicalRange, decode_range;
    /// What [`SetRebootFlags`] set.
    GetRebootFlags = 0x0003_0064, 4 bytes -> u32, |[flags, _]| Some(flags);
    /// Tells the firmware that a reset follows, so that it can put the SD card and the display to rest.
    NotifyReboot = 0x0003_0048, 0 bytes -> (), |_| Some(());
}

fn decode_serial([low, high]: [u32; 2]) -> Option<u64> {
    let serial = u64::from(high) << 32 | u64::from(low);
    (serial != 0).then_some(serial)
}

fn decode_mac([low, high]: [u32; 2]) -> Option<[u8; 6]> {
    let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
    let address = [a, b, c, d, e, f];
    (a & 1 == 0 && address != [0; 6]).then_some(address)
}

fn decode_range([start, size]: [u32; 2]) -> Option<PhysicalRange> {
    PhysicalRange::sized(u64::from(start), u64::from(size))
}

/// A clock that the firmware manages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockId {
    /// The older of the two SD host controllers, which a 4B and 400 have their WiFi on.
    Emmc = 1,
    /// The PL011's input.
    Uart = 2,
    /// The Cortex-A72 cores.
    Arm = 3,
    /// The VideoCore and the peripherals' bus, the mini UART's input.
    Core = 4,
    /// The SD card's controller.
    Emmc2 = 12,
}

/// Properties that ask for a rate in Hz of a clock. A rate of zero means that there is no such clock, and is not believed.
macro_rules! clock_properties {
    ($($(#[$doc:meta])* $name:ident = $tag:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub ClockId);

        impl Property for $name {
            const TAG: u32 = $tag;
            const ANSWER_BYTES: u32 = 8;
            const ARGUMENTS: usize = 1;
            type Answer = u32;

            fn arguments(&self) -> [u32; 3] {
                [self.0 as u32, 0, 0]
            }
            fn decode(&self, words: [u32; 2]) -> Option<u32> {
                decode_rate(self.0, words)
            }
        }
    )*};
}

clock_properties! {
    /// The rate that the firmware has set, in Hz.
    ClockRate = 0x0003_0002;
    /// The highest rate, in Hz.
    MaximumClockRate = 0x0003_0004;
    /// The rate that the firmware measures, in Hz.
    MeasuredClockRate = 0x0003_0047;
}

fn decode_rate(clock: ClockId, [found, hertz]: [u32; 2]) -> Option<u32> {
    (found == clock as u32 && hertz != 0).then_some(hertz)
}

/// Sets a clock; the answer is the rate that it then has, in Hz. The firmware may raise the core clock along with the ARM's,
/// which changes the mini UART's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetClockRate {
    /// Which clock.
    pub clock: ClockId,
    /// Its new rate in Hz.
    pub hertz: u32,
}

impl Property for SetClockRate {
    const TAG: u32 = 0x0003_8002;
    const ANSWER_BYTES: u32 = 8;
    const ARGUMENTS: usize = 3;
    type Answer = u32;

    fn arguments(&self) -> [u32; 3] {
        // The third word, 0, lets the firmware apply its turbo settings (voltage) along with the rate.
        [self.clock as u32, self.hertz, 0]
    }
    fn decode(&self, words: [u32; 2]) -> Option<u32> {
        decode_rate(self.clock, words)
    }
}

/// Switches the SD card's power on and waits until it is stable. The answer is whether it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerUpCard;

impl Property for PowerUpCard {
    const TAG: u32 = 0x0002_8001;
    const ANSWER_BYTES: u32 = 8;
    const ARGUMENTS: usize = 2;
    type Answer = bool;

    fn arguments(&self) -> [u32; 3] {
        // Device 0 is the card; bit 0 asks for on, bit 1 to wait.
        [0, 0b11, 0]
    }
    fn decode(&self, [device, state]: [u32; 2]) -> Option<bool> {
        // Bit 1: there is no such device.
        (device == 0).then_some(state & 0b11 == 1)
    }
}

/// The temperature of the chip, in thousandths of a degree Celsius.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temperature;

impl Property for Temperature {
    const TAG: u32 = 0x0003_0006;
    const ANSWER_BYTES: u32 = 8;
    const ARGUMENTS: usize = 1;
    type Answer = u32;

    fn decode(&self, [_, thousandths]: [u32; 2]) -> Option<u32> {
        Some(thousandths)
    }
}

/// Asks whether the supply or the temperature hold the board back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetThrottled;

impl Property for GetThrottled {
    const TAG: u32 = 0x0003_0046;
    const ANSWER_BYTES: u32 = 4;
    /// One word of flags to forget: none.
    const ARGUMENTS: usize = 1;
    type Answer = Throttled;

    fn decode(&self, [flags, _]: [u32; 2]) -> Option<Throttled> {
        Some(Throttled(flags))
    }
}

/// What holds the board back: bits 0 to 3 now, bits 16 to 19 at some time since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled(pub u32);

impl Throttled {
    const NAMES: [&'static str; 4] = ["under-voltage", "frequency capped", "throttled", "soft temperature limit"];
}

/// As a list in words; `no` if there is nothing.
impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (bit, name) in Self::NAMES.into_iter().enumerate() {
            let when = match (self.0 >> bit & 1, self.0 >> (bit + 16) & 1) {
                (1, _) => "now",
                (_, 1) => "since start",
                _ => continue,
            };
            write!(f, "{separator}{name} {when}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("no") } else { Ok(()) }
    }
}

/// The reboot flag that makes the next start a `tryboot`.
pub const TRYBOOT: u32 = 1;

/// Sets flags that the next start sees, such as [`TRYBOOT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRebootFlags(pub u32);

impl Property for SetRebootFlags {
    const TAG: u32 = 0x0003_8064;
    const ANSWER_BYTES: u32 = 4;
    const ARGUMENTS: usize = 1;
    type Answer = u32;

    fn arguments(&self) -> [u32; 3] {
        [self.0, 0, 0]
    }
    fn decode(&self, [flags, _]: [u32; 2]) -> Option<u32> {
        Some(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_told_in_words() {
        assert_eq!(Throttled(0).to_string(), "no");
        assert_eq!(Throttled(0x8).to_string(), "soft temperature limit now");
        assert_eq!(Throttled(0x5_0005).to_string(), "under-voltage now, throttled now");
        assert_eq!(Throttled(0x2_0000).to_string(), "frequency capped since start");
    }

    #[test]
    fn a_mac_address_is_in_transmission_order_and_never_a_groups() {
        assert_eq!(decode_mac([0x0132_a6dc, 0x0000_0302]), Some([0xdc, 0xa6, 0x32, 0x01, 0x02, 0x03]));
        assert_eq!(decode_mac([0xffff_ffff, 0xffff]), None);
        assert_eq!(decode_mac([0, 0xffff_0000]), None);
    }

    #[test]
    fn a_serial_number_of_zero_is_none() {
        assert_eq!(decode_serial([0, 0]), None);
        assert_eq!(decode_serial([0xabcd_ef01, 0x1000_0000]), Some(0x1000_0000_abcd_ef01));
    }

    #[test]
    fn a_range_of_memory_cannot_wrap() {
        assert_eq!(decode_range([u32::MAX, u32::MAX]), PhysicalRange::sized(0xffff_ffff, 0xffff_ffff));
    }
}
