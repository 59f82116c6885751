//! The power-management block, as far as it resets: the watchdog, reset, power-off, and why the last reset came.
//!
//! Sources: register layout and tick rate as in Linux's `bcm2835_wdt.c`; the bits of the reset status as the firmware's authors
//! describe them in raspberrypi/linux#932; the partition in its even bits as in Raspberry Pi's documentation of `reboot N`.
//!
//! The firmware may hand over an armed watchdog (`kernel_watchdog_timeout`; EEPROMs before 2025-07-17 also unasked). It is noted
//! at entry, fed for as long as the loader makes progress, and restored at the jump, so that the kernel finds what it was promised.

use crate::mmio::{Bus, Reg};
use crate::time::Duration;
use core::fmt;
use registers::CONTROL;
use tock_registers::interfaces::{Readable, Writeable};

mod registers {
    use tock_registers::register_bitfields;
    register_bitfields! { u32,
        pub CONTROL [
            RESET_MODE OFFSET(4) NUMBITS(2) [ Full = 2 ],
        ],
    }
}

/// Offsets from the block's base address.
mod offset {
    pub const CONTROL: usize = 0x1c;
    pub const STATUS: usize = 0x20;
    pub const WATCHDOG: usize = 0x24;
}

/// The top byte of every write; without it the block ignores the write.
const PASSWORD: u32 = 0x5a00_0000;
const PASSWORD_MASK: u32 = 0xff00_0000;

/// The control register after reset: the watchdog disarmed.
const CONTROL_DISARMED: u32 = 0x102;

/// Watchdog ticks in a second.
const TICKS_PER_SECOND: u64 = 1 << 16;

/// The largest number of ticks, a breath less than 16 s.
const LONGEST: u32 = 0x000f_ffff;

/// Ticks until a reset that is asked for, 150 µs: time for the write buffers.
const RESET_TICKS: u32 = 10;

/// The even bits 0 to 10 of the reset status, which hold the partition to boot from.
const PARTITION_MASK: u32 = 0x555;

/// Partition 63 tells the firmware to halt.
const HALT: u8 = 63;

/// A boot partition as the firmware counts them: 0 is its default, 1 to 62 are the partitions of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition(u8);

impl Partition {
    /// The one that the firmware chooses by itself.
    pub const DEFAULT: Self = Self(0);

    /// Partition `number`; `None` above 62.
    pub const fn new(number: u8) -> Option<Self> {
        if number < HALT { Some(Self(number)) } else { None }
    }
}

/// Spreads six bits over the even bits 0 to 10.
const fn spread(number: u8) -> u32 {
    let mut bits = 0;
    let mut bit = 0;
    while bit < 6 {
        bits |= (number as u32 >> bit & 1) << (2 * bit);
        bit += 1;
    }
    bits
}

/// The watchdog as the firmware left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtEntry {
    /// The reset mode (bits 4 and 5 of the control register, in place) if it is armed.
    mode: Option<u32>,
    /// Ticks that were left.
    ticks: u32,
}

impl AtEntry {
    /// From the control register (PM_RSTC) and the time left (PM_WDOG).
    pub const fn decode(control: u32, remaining: u32) -> Self {
        let mode = control & 0x30;
        Self { mode: if mode == 0 { None } else { Some(mode) }, ticks: remaining & LONGEST }
    }

    /// Reads them.
    pub fn read(bus: &impl Bus) -> Self {
        Self::decode(bus.read32(offset::CONTROL), bus.read32(offset::WATCHDOG))
    }

    /// The time that was left, if it was armed.
    pub const fn left(self) -> Option<Duration> {
        match self.mode {
            Some(_) => Some(Duration::from_micros(self.ticks as u64 * 1_000_000 / TICKS_PER_SECOND)),
            None => None,
        }
    }

    /// Ticks to arm it with again: what was left, with the seconds since it was armed given back.
    const fn restored_ticks(self) -> u32 {
        let whole = (self.ticks as u64).div_ceil(TICKS_PER_SECOND) * TICKS_PER_SECOND;
        if whole > LONGEST as u64 { LONGEST } else { whole as u32 }
    }
}

/// The watchdog, and the resets that it makes.
#[derive(Debug)]
pub struct Watchdog<B: Bus> {
    bus: B,
    at_entry: AtEntry,
    /// Reset mode and ticks that [`Self::feed`] writes, if it is armed.
    armed: Option<(u32, u32)>,
}

impl<B: Bus> Watchdog<B> {
    /// The watchdog, left as it is. One that was armed will be fed with its longest time, 16 s.
    pub fn new(bus: B, at_entry: AtEntry) -> Self {
        Self { bus, at_entry, armed: at_entry.mode.map(|mode| (mode, LONGEST)) }
    }

    /// As the firmware left it.
    pub fn at_entry(&self) -> AtEntry {
        self.at_entry
    }

    /// What it has left until it resets the board, by its registers; `None` where it is not armed.
    pub fn left(&self) -> Option<Duration> {
        AtEntry::read(&self.bus).left()
    }

    /// Starts its time anew if it is armed. To be called where there is progress, and only there: a loader that is stuck is what
    /// the watchdog is for.
    pub fn feed(&mut self) {
        if let Some((mode, ticks)) = self.armed {
            self.start(mode, ticks);
        }
    }

    /// Arms it: without a [`Self::feed`] for `timeout` (at most 16 s) the board resets.
    pub fn arm(&mut self, timeout: Duration) {
        let ticks = timeout.as_micros() * u128::from(TICKS_PER_SECOND) / 1_000_000;
        let ticks = u32::try_from(ticks).unwrap_or(LONGEST).clamp(1, LONGEST);
        let mode = CONTROL::RESET_MODE::Full.value;
        self.armed = Some((mode, ticks));
        self.start(mode, ticks);
    }

    /// Disarms it.
    pub fn disarm(&mut self) {
        self.armed = None;
        self.write(offset::CONTROL, CONTROL_DISARMED);
    }

    /// Makes it what the firmware handed over, for the jump: armed with the same mode and what was left, in whole seconds, or
    /// disarmed if it was armed since.
    pub fn restore(&mut self) {
        match (self.at_entry.mode, self.armed) {
            (Some(mode), _) => self.start(mode, self.at_entry.restored_ticks()),
            (None, Some(_)) => self.disarm(),
            (None, None) => {}
        }
    }

    /// Resets the board in 150 µs; it starts from `partition`. Returns before that. The firmware wants
    /// [`super::mailbox::property::NotifyReboot`] first.
    pub fn reset(&mut self, partition: Partition) {
        self.restart(partition.0);
    }

    /// Makes the firmware halt the board in 150 µs, which is as near to off as it comes: it starts again when power is cycled, or
    /// GPIO 3 is pulled low if the EEPROM's settings say so. Returns before that.
    pub fn power_off(&mut self) {
        self.restart(HALT);
    }

    fn restart(&mut self, partition: u8) {
        let status = Reg::<_, ()>::new(&self.bus, offset::STATUS).get() & !(PASSWORD_MASK | PARTITION_MASK);
        self.write(offset::STATUS, status | spread(partition));
        self.start(CONTROL::RESET_MODE::Full.value, RESET_TICKS);
    }

    /// The time first, then the mode: armed, it must not run with an old time.
    fn start(&mut self, mode: u32, ticks: u32) {
        self.write(offset::WATCHDOG, ticks);
        let control = Reg::<_, CONTROL::Register>::new(&self.bus, offset::CONTROL).get();
        self.write(offset::CONTROL, control & !(PASSWORD_MASK | CONTROL::RESET_MODE.val(3).value) | mode);
    }

    fn write(&mut self, offset: usize, value: u32) {
        Reg::<_, ()>::new(&self.bus, offset).set(PASSWORD | value);
    }
}

/// The reset status (PM_RSTS), which says why the last reset came.
///
/// The register is cleared when it is read, and the firmware has read it: the value in `/chosen/bootloader/rsts` of the
/// firmware's tree (one big-endian word) is to be preferred where it is there. A reboot is made by the watchdog, so the two look
/// the same. The even bits, "quick" and "hard" resets by name, hold the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetStatus(pub u32);

impl ResetStatus {
    const POWER_ON: u32 = 1 << 12;
    const SOFTWARE: u32 = 1 << 9;
    const WATCHDOG: u32 = 1 << 5;
    const DEBUGGER: u32 = 1 << 1;

    /// The partition that was asked for at that reset; 63 after a power-off.
    pub const fn partition(self) -> u8 {
        let mut number = 0;
        let mut bit = 0;
        while bit < 6 {
            number |= (self.0 >> (2 * bit) & 1) << bit;
            bit += 1;
        }
        number as u8
    }
}

impl fmt::Display for ResetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.0 {
            bits if bits & Self::POWER_ON != 0 => "power-on",
            bits if bits & Self::WATCHDOG != 0 => "reboot or watchdog",
            bits if bits & Self::SOFTWARE != 0 => "software",
            bits if bits & Self::DEBUGGER != 0 => "debugger",
            _ => "unknown",
        };
        f.write_str(cause)?;
        match self.partition() {
            0 => Ok(()),
            HALT => f.write_str(" after power-off"),
            number => write!(f, ", partition {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::RefCell;

    /// The block: refuses writes without the password, and keeps what was written in order.
    struct Block {
        registers: RefCell<[u32; 3]>,
        writes: RefCell<Vec<(usize, u32)>>,
    }

    impl Block {
        fn new(control: u32, status: u32, remaining: u32) -> Self {
            Self { registers: RefCell::new([control, status, remaining]), writes: RefCell::default() }
        }

        fn watchdog(&self) -> Watchdog<&Self> {
            Watchdog::new(self, AtEntry::read(&self))
        }

        fn writes(&self) -> Vec<(usize, u32)> {
            self.writes.take()
        }
    }

    impl Bus for Block {
        fn read32(&self, offset: usize) -> u32 {
            // The password does not read back, but let the top byte hold something.
            self.registers.borrow()[(offset - 0x1c) / 4] | 0x6c00_0000
        }
        fn write32(&self, offset: usize, value: u32) {
            assert_eq!(value >> 24, 0x5a, "a write without the password");
            self.registers.borrow_mut()[(offset - 0x1c) / 4] = value & 0x00ff_ffff;
            self.writes.borrow_mut().push((offset, value & 0x00ff_ffff));
        }
    }

    const CONTROL: usize = 0x1c;
    const STATUS: usize = 0x20;
    const TIME: usize = 0x24;

    #[test]
    fn a_watchdog_that_is_not_armed_is_not_touched() {
        let block = Block::new(0x102, 0x1000, 0);
        let mut watchdog = block.watchdog();
        assert_eq!(watchdog.at_entry().left(), None);
        watchdog.feed();
        watchdog.restore();
        assert_eq!(block.writes(), []);
    }

    #[test]
    fn an_armed_watchdog_is_noted_fed_with_its_longest_time_and_restored_in_whole_seconds() {
        for mode in [0x10, 0x20, 0x30] {
            let block = Block::new(0x102 | mode, 0x1000, 14 * 65536 + 32768);
            let mut watchdog = block.watchdog();
            assert_eq!(watchdog.at_entry().left(), Some(Duration::from_millis(14_500)));
            assert_eq!(block.writes(), [], "noting does not write");
            watchdog.feed();
            assert_eq!(block.writes(), [(TIME, 0xf_ffff), (CONTROL, 0x102 | mode)]);
            watchdog.restore();
            assert_eq!(block.writes(), [(TIME, 15 * 65536), (CONTROL, 0x102 | mode)]);
        }
    }

    #[test]
    fn what_is_restored_is_never_more_than_the_register_holds_and_never_nothing() {
        assert_eq!(AtEntry::decode(0x122, 0xf_ffff).restored_ticks(), 0xf_ffff);
        assert_eq!(AtEntry::decode(0x122, 1).restored_ticks(), 65536);
        assert_eq!(AtEntry::decode(0x122, 65536).restored_ticks(), 65536);
    }

    #[test]
    fn one_that_the_loader_armed_is_disarmed_at_the_jump() {
        let block = Block::new(0x102, 0x1000, 0);
        let mut watchdog = block.watchdog();
        watchdog.arm(Duration::from_secs(10));
        assert_eq!(block.writes(), [(TIME, 10 * 65536), (CONTROL, 0x122)]);
        watchdog.feed();
        assert_eq!(block.writes(), [(TIME, 10 * 65536), (CONTROL, 0x122)]);
        watchdog.restore();
        assert_eq!(block.writes(), [(CONTROL, 0x102)]);
        watchdog.feed();
        assert_eq!(block.writes(), []);
    }

    #[test]
    fn the_time_keeps_to_what_the_register_holds() {
        let block = Block::new(0x102, 0, 0);
        let mut watchdog = block.watchdog();
        for (timeout, ticks) in [
            (Duration::ZERO, 1),
            (Duration::from_millis(500), 32768),
            (Duration::from_secs(16), 0xf_ffff),
            (Duration::MAX, 0xf_ffff),
        ] {
            watchdog.arm(timeout);
            assert_eq!(block.writes()[0], (TIME, ticks));
        }
    }

    #[test]
    fn a_reset_names_its_partition_in_the_even_bits_and_then_lets_the_watchdog_bite() {
        let block = Block::new(0x102, 0x1020, 0);
        let partition = Partition::new(0b10_0101).unwrap();
        block.watchdog().reset(partition);
        assert_eq!(block.writes(), [(STATUS, 0x1020 | 0b100_0001_0001), (TIME, 10), (CONTROL, 0x122)]);
        assert_eq!(ResetStatus(0x1020 | 0b100_0001_0001).partition(), 0b10_0101);
    }

    #[test]
    fn a_reset_to_the_default_clears_a_partition_that_was_asked_for_before() {
        let block = Block::new(0x102, 0x1555, 0);
        block.watchdog().reset(Partition::DEFAULT);
        assert_eq!(block.writes()[0], (STATUS, 0x1000));
    }

    #[test]
    fn power_off_is_partition_63() {
        let block = Block::new(0x102, 0x1000, 0);
        block.watchdog().power_off();
        assert_eq!(block.writes()[0], (STATUS, 0x1555));
        assert!(Partition::new(63).is_none());
    }

    #[test]
    fn the_reset_reason_is_told_in_words() {
        for (status, text) in [
            (0x1000, "power-on"),
            (0x0020, "reboot or watchdog"),
            (0x0574, "reboot or watchdog, partition 62"),
            (0x0024, "reboot or watchdog, partition 2"),
            (0x1555, "power-on after power-off"),
            (0x0200, "software"),
            (0x0002, "debugger"),
            (0x0000, "unknown"),
        ] {
            assert_eq!(ResetStatus(status).to_string(), text);
        }
    }
}
