//! From a powered bus to a card in its transfer state, as fast as it and the controller can.
//!
//! Sources: SD Physical Layer Simplified Specification 6.00, sections 4.2 (identification) and 4.3.10 (switch function); JEDEC
//! JESD84-B51, section 6.4 (identification of an eMMC).
//!
//! What makes a card faster is tried and, if it goes wrong, left: one line at 25 MHz is enough to boot.

use super::Limits;
use super::card::{self, Card, Description, Kind};
use super::command::*;
use super::error::{Error, Fault, Wait};
use super::host::Host;
use crate::mmio::Bus;
use crate::time::{Clock, Duration};

/// A card may take a second from the first question after its conditions (Physical Layer Specification, 4.2.3).
pub const POWER_UP_LIMIT: Duration = Duration::from_secs(1);
const POWER_UP_PAUSE: Duration = Duration::from_millis(1);
/// The specification's millisecond with 74 clocks, and one more for the supply to settle.
const POWER_SETTLES: Duration = Duration::from_millis(2);

/// 3.3 V, and a pattern for the card to echo.
const INTERFACE_CHECK: u32 = 0x1aa;
/// All voltages from 2.7 to 3.6 V.
const VOLTAGES: u32 = 0x00ff_8000;
/// "I can address blocks", and in the answer "so can I".
const BY_BLOCKS: u32 = 1 << 30;
/// In the answer: powered up.
const READY: u32 = 1 << 31;
/// The address that an eMMC is given.
const MMC_ADDRESS: u32 = 1 << 16;
/// Group 1, access mode: high speed; the other groups as they are; not only asked but done.
const TO_HIGH_SPEED: u32 = 0x80ff_fff1;
/// Writes a byte of an eMMC's mode registers: bus width (183) 4 lines; timing (185) high speed.
const MMC_FOUR_LINES: u32 = 3 << 24 | 183 << 16 | 1 << 8;
const MMC_HIGH_SPEED: u32 = 3 << 24 | 185 << 16 | 1 << 8;

/// What every SD card and eMMC can do once it is identified.
const DEFAULT_HERTZ: u32 = 25_000_000;
const HIGH_SPEED_HERTZ: u32 = 50_000_000;

/// Finds out what is in the slot and makes it ready. The time that an empty slot takes is a few milliseconds.
pub(super) fn identify<B: Bus, C: Clock>(
    host: &mut Host<B, C>,
    limits: Limits,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Card, Error> {
    host.start()?;
    host.delay(POWER_SETTLES);
    host.command(GO_IDLE, 0)?;
    let version_2 = match answered(host.command(INTERFACE, INTERFACE_CHECK))? {
        Some([answer, ..]) if answer & 0xfff == INTERFACE_CHECK => true,
        Some([answer, ..]) => return Err(Error::Voltage { answer }),
        None => false,
    };
    match power_up(host, go_on, |host| {
        host.command(APPLICATION, 0)?;
        host.command(SD_CONDITIONS, VOLTAGES | if version_2 { BY_BLOCKS } else { 0 })
    })? {
        Some(conditions) => identify_sd(host, conditions & BY_BLOCKS != 0, limits),
        None => {
            host.command(GO_IDLE, 0)?;
            let conditions = power_up(host, go_on, |host| host.command(MMC_CONDITIONS, VOLTAGES | BY_BLOCKS))?;
            identify_mmc(host, conditions.ok_or(Error::NoCard)? & BY_BLOCKS != 0, limits)
        }
    }
}

/// `None` where nobody responded, which leaves the controller's command half to be reset.
fn answered(result: Result<[u32; 4], Error>) -> Result<Option<[u32; 4]>, Error> {
    match result {
        Err(Error::Command { fault: Fault::NoResponse, .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// Asks until the card is powered up. `None` if there is no card of this kind.
fn power_up<B: Bus, C: Clock>(
    host: &mut Host<B, C>,
    go_on: &mut dyn FnMut() -> bool,
    mut ask: impl FnMut(&mut Host<B, C>) -> Result<[u32; 4], Error>,
) -> Result<Option<u32>, Error> {
    host.reset_lines()?;
    let end = host.clock().now().after(POWER_UP_LIMIT);
    loop {
        match answered(ask(host))? {
            Some([conditions, ..]) if conditions & READY != 0 => return Ok(Some(conditions)),
            Some(_) => {}
            None => {
                host.reset_lines()?;
                return Ok(None);
            }
        }
        if !go_on() {
            return Err(Error::GivenUp);
        }
        if host.clock().now() >= end {
            return Err(Error::Timeout { wait: Wait::PowerUp, limit: POWER_UP_LIMIT });
        }
        host.delay(POWER_UP_PAUSE);
    }
}

fn identify_sd<B: Bus, C: Clock>(host: &mut Host<B, C>, by_blocks: bool, limits: Limits) -> Result<Card, Error> {
    let identification = Description(host.command(ALL_IDENTIFICATIONS, 0)?).whole();
    let [answer, ..] = host.command(RELATIVE_ADDRESS, 0)?;
    let address = answer & 0xffff_0000;
    let description = Description(host.command(DESCRIPTION, address)?);
    let blocks = description.sd_blocks().ok_or(Error::Description)?;
    host.command(SELECT, address)?;
    host.set_clock(DEFAULT_HERTZ)?;
    if !by_blocks {
        host.command(BLOCK_LENGTH, 512)?;
    }
    let kind = if by_blocks { Kind::High } else { Kind::Standard };
    let mut card = Card { identification, ..new_card(kind, address, by_blocks, blocks, host.hertz()) };

    let mut configuration = [0; 8];
    let read = application(host, address)
        .and_then(|()| host.read(SD_CONFIGURATION, 0, configuration.len(), &mut configuration));
    if faster(host, &card, read) && card::has_four_lines(&configuration) {
        let widened = application(host, address).and_then(|()| host.command(SD_WIDTH, 2).map(drop));
        if faster(host, &card, widened) {
            host.use_four_lines();
            card.lines = 4;
        }
    }
    if limits.high_speed && host.has_high_speed() && description.has_switch() {
        let mut answer = [0; 64];
        let switched = host.read(SD_SWITCH, TO_HIGH_SPEED, answer.len(), &mut answer);
        if faster(host, &card, switched) && card::is_high_speed(&answer) {
            speed_up(host, &mut card)?;
        }
    }
    Ok(card)
}

fn identify_mmc<B: Bus, C: Clock>(host: &mut Host<B, C>, by_blocks: bool, limits: Limits) -> Result<Card, Error> {
    let identification = Description(host.command(ALL_IDENTIFICATIONS, 0)?).whole();
    host.command(RELATIVE_ADDRESS, MMC_ADDRESS)?;
    let description = Description(host.command(DESCRIPTION, MMC_ADDRESS)?);
    host.command(SELECT, MMC_ADDRESS)?;
    host.set_clock(DEFAULT_HERTZ)?;
    if !by_blocks {
        host.command(BLOCK_LENGTH, 512)?;
    }
    let (blocks, high_speed) = match description.mmc_blocks() {
        // Too small and too old for anything else.
        Some(blocks) => {
            return Ok(Card { identification, ..new_card(Kind::Mmc, MMC_ADDRESS, by_blocks, blocks, host.hertz()) });
        }
        None => {
            let mut extended = [0; 512];
            host.read(EXTENDED_DESCRIPTION, 0, extended.len(), &mut extended)?;
            (card::extended_blocks(&extended).ok_or(Error::Description)?, card::extended_high_speed(&extended))
        }
    };
    let mut card = Card { identification, ..new_card(Kind::Mmc, MMC_ADDRESS, by_blocks, blocks, host.hertz()) };
    let widened = mmc_switch(host, MMC_FOUR_LINES);
    if faster(host, &card, widened) {
        host.use_four_lines();
        card.lines = 4;
    }
    if limits.high_speed && host.has_high_speed() && high_speed {
        let switched = mmc_switch(host, MMC_HIGH_SPEED);
        if faster(host, &card, switched) {
            speed_up(host, &mut card)?;
        }
    }
    Ok(card)
}

fn new_card(kind: Kind, address: u32, by_blocks: bool, blocks: u64, hertz: u32) -> Card {
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    Card { kind, address, by_blocks, blocks, lines: 1, hertz, identification: 0 }
}

fn application<B: Bus, C: Clock>(host: &mut Host<B, C>, address: u32) -> Result<(), Error> {
    host.command(APPLICATION, address).map(drop)
}

fn mmc_switch<B: Bus, C: Clock>(host: &mut Host<B, C>, argument: u32) -> Result<(), Error> {
    host.command(MMC_SWITCH, argument)?;
    let [status, ..] = host.command(SEND_STATUS, MMC_ADDRESS)?;
    if status & SWITCH_ERROR != 0 {
        return Err(Error::Refused { index: MMC_SWITCH.index, status });
    }
    Ok(())
}

/// Whether a step on the way to more speed worked. One that did not is told to the log and taken back as far as it got.
fn faster<B: Bus, C: Clock>(host: &mut Host<B, C>, card: &Card, result: Result<(), Error>) -> bool {
    let Err(error) = result else { return true };
    log::info!("card stays slower: {error}");
    if let Err(error) = recover(host, card) {
        log::info!("{error}");
    }
    false
}

/// Goes on at high speed, to which the card has switched, if a block can be read that way; else at the card's old clock, which a
/// card at high speed takes as well.
fn speed_up<B: Bus, C: Clock>(host: &mut Host<B, C>, card: &mut Card) -> Result<(), Error> {
    host.set_high_speed(true);
    host.set_clock(HIGH_SPEED_HERTZ)?;
    let mut block = [0; 512];
    let read = host.read(READ_ONE, 0, block.len(), &mut block);
    if !faster(host, card, read) {
        slow_down(host, card)?;
    }
    card.hertz = host.hertz();
    Ok(())
}

/// Goes on at 25 MHz.
pub(super) fn slow_down<B: Bus, C: Clock>(host: &mut Host<B, C>, card: &mut Card) -> Result<(), Error> {
    host.set_high_speed(false);
    host.set_clock(DEFAULT_HERTZ)?;
    card.hertz = host.hertz();
    Ok(())
}

/// After an error: the controller's lines reset, a transfer that may still be going on stopped, the card waited for.
///
/// # Errors
/// [`Error::Removed`] if the card does not answer any more.
pub(super) fn recover<B: Bus, C: Clock>(host: &mut Host<B, C>, card: &Card) -> Result<(), Error> {
    const LIMIT: Duration = super::host::DATA_LIMIT;
    host.reset_lines()?;
    let end = host.clock().now().after(LIMIT);
    loop {
        if host.has_lost_card() {
            return Err(Error::Removed);
        }
        let status = answered(host.command(SEND_STATUS, card.address));
        match status {
            Ok(Some([status, ..])) if state(status) == TRANSFER => return Ok(()),
            Ok(Some(_)) => {
                // It answers an error if there was nothing to stop.
                if host.command(STOP, 0).is_err() {
                    host.reset_lines()?;
                }
            }
            Ok(None) => {
                host.reset_lines()?;
                // Once more: a card that is still there may have missed one.
                if answered(host.command(SEND_STATUS, card.address))?.is_none() {
                    host.reset_lines()?;
                    return Err(Error::Removed);
                }
            }
            Err(_) => host.reset_lines()?,
        }
        if host.clock().now() >= end {
            return Err(Error::Timeout { wait: Wait::Transfer, limit: LIMIT });
        }
    }
}
