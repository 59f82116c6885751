//! The controller: reset, clock, power, and one command at a time with its response and data.
//!
//! Sources: SD Host Controller Simplified Specification 3.00, section 3 (sequences); Linux' sdhci-iproc.c for what the BCM2711 adds to
//! it: words of 32 bits only, a card clock of 200 kHz at the least, the bus voltage to be set along with the power, and time between
//! writes (two clocks of the card, or the second write is lost), of which every write here leaves twice as much behind it.

use super::command::{self, Command, Reply, STATUS_ERRORS};
use super::error::{Error, Fault, Wait};
use super::registers::*;
use crate::mmio::{Bus, Reg};
use crate::time::{Clock, Duration};
use tock_registers::fields::FieldValue;
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use tock_registers::{LocalRegisterCopy, RegisterLongName};

/// What a controller may take for a reset (the specification says 100 ms) and for a stable clock (150 ms).
const RESET_LIMIT: Duration = Duration::from_millis(100);
const CLOCK_LIMIT: Duration = Duration::from_millis(150);
/// A command with its response takes 200 clocks, half a millisecond at 400 kHz.
const COMMAND_LIMIT: Duration = Duration::from_millis(100);
/// Cards may take 100 ms for a block (Physical Layer Specification, 4.6.2), or be busy for 250 ms.
pub(super) const DATA_LIMIT: Duration = Duration::from_millis(300);

/// The clock at which cards are identified, and the least that the BCM2711's controller bears: below it hangs.
pub(super) const IDENTIFICATION_HERTZ: u32 = 400_000;
pub(super) const SLOWEST_HERTZ: u32 = 200_000;

/// How long a write's clock crossing takes while the card's clock is off.
const SETTLING_WITHOUT_CLOCK: Duration = Duration::from_micros(10);

/// The controller.
#[derive(Debug)]
pub(super) struct Host<B: Bus, C: Clock> {
    bus: B,
    clock: C,
    base_hertz: u32,
    /// The card's clock, 0 while it is off.
    hertz: u32,
}

/// A transfer from the card.
struct Transfer<'d> {
    block_size: usize,
    into: &'d mut [u8],
}

impl<B: Bus, C: Clock> Host<B, C> {
    /// The controller behind `bus`, not touched yet.
    pub fn new(bus: B, clock: C, base_hertz: Option<u32>) -> Self {
        Self { bus, clock, base_hertz: base_hertz.unwrap_or(0), hertz: 0 }
    }

    fn register<R: RegisterLongName>(&self, offset: usize) -> Reg<'_, B, R> {
        Reg::new(&self.bus, offset)
    }

    fn write<R: RegisterLongName>(&self, offset: usize, value: FieldValue<u32, R>) {
        self.register::<R>(offset).write(value);
        self.settle();
    }

    fn modify<R: RegisterLongName>(&self, offset: usize, value: FieldValue<u32, R>) {
        self.register::<R>(offset).modify(value);
        self.settle();
    }

    fn write_word(&self, offset: usize, value: u32) {
        self.register::<()>(offset).set(value);
        self.settle();
    }

    fn settle(&self) {
        let time = match self.hertz {
            0 => SETTLING_WITHOUT_CLOCK,
            hertz => Duration::from_micros(u64::from(4_000_000_u32.div_ceil(hertz))),
        };
        self.clock.delay(time);
    }

    /// Waits, as the hardware's manuals ask for.
    pub fn delay(&self, time: Duration) {
        self.clock.delay(time);
    }

    /// The clock, to bound what takes several commands.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    fn wait(&self, wait: Wait, limit: Duration, condition: impl FnMut() -> bool) -> Result<(), Error> {
        match self.clock.wait_until(limit, condition) {
            true => Ok(()),
            false => Err(Error::Timeout { wait, limit }),
        }
    }

    /// Resets the controller, powers the bus and starts the clock for identification.
    pub fn start(&mut self) -> Result<(), Error> {
        self.hertz = 0;
        let reset = self.register::<CLOCK::Register>(offset::CLOCK);
        reset.write(CLOCK::RESET_ALL::SET);
        self.wait(Wait::Reset, RESET_LIMIT, || !reset.is_set(CLOCK::RESET_ALL))?;
        self.settle();
        if self.base_hertz == 0 {
            let megahertz =
                self.register::<CAPABILITIES::Register>(offset::CAPABILITIES).read(CAPABILITIES::BASE_CLOCK_MHZ);
            self.base_hertz = megahertz * 1_000_000;
        }
        self.write(offset::CONTROL, CONTROL::VOLTAGE::V3_3);
        self.write(offset::CONTROL, CONTROL::VOLTAGE::V3_3 + CONTROL::POWER::SET);
        // Polled: every event shows in the status, none raises an interrupt.
        self.write_word(offset::SIGNAL_ENABLE, 0);
        self.write_word(
            offset::STATUS_ENABLE,
            (STATUS::COMMAND_COMPLETE::SET + STATUS::TRANSFER_COMPLETE::SET + STATUS::READ_READY::SET).value
                | 0x01ff_0000,
        );
        self.set_clock(IDENTIFICATION_HERTZ)
    }

    /// Whether the controller itself has noticed that the card is gone: it then takes the clock off the bus (section 2.2.14), and no
    /// command ends any more. The Raspberry Pi 4's slot has no contact for it; QEMU's has.
    pub fn has_lost_card(&self) -> bool {
        !self.register::<CLOCK::Register>(offset::CLOCK).is_set(CLOCK::CARD_ENABLE)
    }

    /// Whether the controller can do 50 MHz.
    pub fn has_high_speed(&self) -> bool {
        self.register::<CAPABILITIES::Register>(offset::CAPABILITIES).is_set(CAPABILITIES::HIGH_SPEED)
    }

    /// The card's clock in Hz.
    pub fn hertz(&self) -> u32 {
        self.hertz
    }

    /// Uses four data lines from now on, as the card does.
    pub fn use_four_lines(&self) {
        self.modify(offset::CONTROL, CONTROL::FOUR_BITS::SET);
    }

    /// Clocks data out at the other edge, as a card at high speed expects it, or not.
    pub fn set_high_speed(&self, on: bool) {
        self.modify(offset::CONTROL, if on { CONTROL::HIGH_SPEED::SET } else { CONTROL::HIGH_SPEED::CLEAR });
    }

    /// Sets the card's clock to the highest that is not above `wanted` Hz.
    pub fn set_clock(&mut self, wanted: u32) -> Result<(), Error> {
        let base = self.base_hertz;
        let specification = self.register::<VERSION::Register>(offset::VERSION).read(VERSION::SPECIFICATION);
        // The clock is the base clock over twice this, or the base clock itself. From version 3.00 on it is any number of 10 bits, before
        // that a power of two of 8 bits.
        let (half, most) = match base <= wanted {
            true => (0, 0),
            false if specification >= 2 => (base.div_ceil(wanted.saturating_mul(2)), 0x3ff),
            false => (base.div_ceil(wanted.saturating_mul(2)).next_power_of_two(), 0x80),
        };
        let hertz = if half == 0 { base } else { base / (2 * half) };
        if half > most || hertz < SLOWEST_HERTZ {
            return Err(Error::BaseClock { hertz: base });
        }
        self.modify(offset::CLOCK, CLOCK::CARD_ENABLE::CLEAR);
        self.hertz = 0;
        let divisor = CLOCK::DIVISOR_LOW.val(half & 0xff) + CLOCK::DIVISOR_HIGH.val(half >> 8);
        let running = divisor + CLOCK::INTERNAL_ENABLE::SET + CLOCK::TIMEOUT::Longest;
        self.write(offset::CLOCK, running);
        let register = self.register::<CLOCK::Register>(offset::CLOCK);
        self.wait(Wait::Clock, CLOCK_LIMIT, || register.is_set(CLOCK::STABLE))?;
        self.write(offset::CLOCK, running + CLOCK::CARD_ENABLE::SET);
        self.hertz = hertz;
        Ok(())
    }

    /// Sends a command without data, and gives the response.
    pub fn command(&mut self, command: Command, argument: u32) -> Result<[u32; 4], Error> {
        self.issue(command, argument, None)
    }

    /// Sends a command that brings blocks of `block_size` bytes, as many as `into` holds.
    pub fn read(&mut self, command: Command, argument: u32, block_size: usize, into: &mut [u8]) -> Result<(), Error> {
        self.issue(command, argument, Some(Transfer { block_size, into })).map(drop)
    }

    /// Puts both halves of the controller back to rest after an error, so that the next command can be sent.
    pub fn reset_lines(&mut self) -> Result<(), Error> {
        for reset in [CLOCK::RESET_COMMAND::SET, CLOCK::RESET_DATA::SET] {
            self.modify(offset::CLOCK, reset);
            let register = self.register::<CLOCK::Register>(offset::CLOCK);
            self.wait(Wait::Reset, RESET_LIMIT, || !register.any_matching_bits_set(reset))?;
        }
        Ok(())
    }

    fn issue(&mut self, command: Command, argument: u32, transfer: Option<Transfer<'_>>) -> Result<[u32; 4], Error> {
        let present = self.register::<PRESENT::Register>(offset::PRESENT);
        self.wait(Wait::CommandLine, COMMAND_LIMIT, || !present.is_set(PRESENT::COMMAND_INHIBIT))?;
        if (transfer.is_some() || command.reply == Reply::StatusBusy) && command != command::STOP {
            self.wait(Wait::DataLines, DATA_LIMIT, || !present.is_set(PRESENT::DATA_INHIBIT))?;
        }
        self.write_word(offset::STATUS, u32::MAX);
        let mut mode = expected(command);
        if let Some(transfer) = &transfer {
            let count = (transfer.into.len() / transfer.block_size) as u32;
            self.write(offset::BLOCK, BLOCK::SIZE.val(transfer.block_size as u32) + BLOCK::COUNT.val(count));
            mode += COMMAND::DATA::SET + COMMAND::READ::SET;
            if count > 1 {
                // The controller sends the stop command by itself, with which it is fastest; cards of every age know it.
                mode += COMMAND::MULTIPLE::SET + COMMAND::COUNT_ENABLE::SET + COMMAND::AUTO::Stop;
            }
        }
        self.write_word(offset::ARGUMENT, argument);
        self.write(offset::COMMAND, mode);
        self.await_event(Wait::Command(command.index), COMMAND_LIMIT, command, STATUS::COMMAND_COMPLETE::SET)?;
        let response: [u32; 4] = core::array::from_fn(|word| self.register::<()>(offset::RESPONSE + 4 * word).get());
        let [status, ..] = response;
        if matches!(command.reply, Reply::Status | Reply::StatusBusy) && status & STATUS_ERRORS != 0 {
            return Err(Error::Refused { index: command.index, status });
        }
        if let Some(transfer) = transfer {
            self.take(command, transfer)?;
        } else if command.reply == Reply::StatusBusy {
            self.await_event(Wait::Busy(command.index), DATA_LIMIT, command, STATUS::TRANSFER_COMPLETE::SET)?;
        }
        Ok(response)
    }

    /// Takes a transfer's blocks out of the buffer, each when the controller has it whole and its checksum is right.
    fn take(&self, command: Command, transfer: Transfer<'_>) -> Result<(), Error> {
        let data = self.register::<()>(offset::BUFFER);
        for block in transfer.into.chunks_exact_mut(transfer.block_size) {
            self.await_event(Wait::Data, DATA_LIMIT, command, STATUS::READ_READY::SET)?;
            for bytes in block.chunks_exact_mut(4) {
                bytes.copy_from_slice(&data.get().to_le_bytes());
            }
        }
        self.await_event(Wait::TransferEnd, DATA_LIMIT, command, STATUS::TRANSFER_COMPLETE::SET)
    }

    /// Waits until `event` shows in the status, and clears it there.
    fn await_event(
        &self,
        wait: Wait,
        limit: Duration,
        command: Command,
        event: FieldValue<u32, STATUS::Register>,
    ) -> Result<(), Error> {
        let register = self.register::<STATUS::Register>(offset::STATUS);
        let mut status = LocalRegisterCopy::new(0);
        self.wait(wait, limit, || {
            status = register.extract();
            status.any_matching_bits_set(event + STATUS::ERROR::SET)
        })?;
        if status.is_set(STATUS::ERROR) {
            return Err(Error::Command { index: command.index, fault: fault(status) });
        }
        self.write(offset::STATUS, event);
        Ok(())
    }
}

/// The half of the command register that says what response is expected.
fn expected(command: Command) -> FieldValue<u32, COMMAND::Register> {
    let reply = match command.reply {
        Reply::None => COMMAND::RESPONSE::None,
        Reply::Conditions => COMMAND::RESPONSE::Short,
        Reply::Short | Reply::Status => COMMAND::RESPONSE::Short + COMMAND::CHECK_CRC::SET + COMMAND::CHECK_INDEX::SET,
        Reply::StatusBusy => COMMAND::RESPONSE::ShortBusy + COMMAND::CHECK_CRC::SET + COMMAND::CHECK_INDEX::SET,
        Reply::Long => COMMAND::RESPONSE::Long + COMMAND::CHECK_CRC::SET,
    };
    let kind = if command == command::STOP { COMMAND::KIND::Abort } else { COMMAND::KIND::Normal };
    reply + kind + COMMAND::INDEX.val(u32::from(command.index))
}

/// The first thing that is wrong.
fn fault(status: LocalRegisterCopy<u32, STATUS::Register>) -> Fault {
    if status.any_matching_bits_set(STATUS::COMMAND_CRC::SET + STATUS::DATA_CRC::SET) {
        // Both together with a time-out mean two cards at once, or noise; the specification lists it as such.
        return Fault::Crc;
    }
    if status.is_set(STATUS::COMMAND_TIMEOUT) {
        return Fault::NoResponse;
    }
    if status.is_set(STATUS::DATA_TIMEOUT) {
        return Fault::DataTimeout;
    }
    let frame = STATUS::COMMAND_END_BIT::SET + STATUS::COMMAND_INDEX::SET + STATUS::DATA_END_BIT::SET;
    if status.any_matching_bits_set(frame) {
        return Fault::Frame;
    }
    Fault::Other((status.get() >> 16) as u16)
}
