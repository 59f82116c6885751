//! The SD card, or a Compute Module's eMMC, through a standard SD host controller. Reading only.
//!
//! A BCM2711 has two such controllers: EMMC2 (0xfe340000), which the slot and the eMMC are on, and an older one (0xfe300000), which a
//! 4B and 400 have their WiFi on. Both are driven the same way: polled, by 32-bit accesses, the data through the buffer register.
//! That is fast enough for settings and kernels, and keeps clear of which addresses which stepping's DMA can reach.
//!
//! [`Sdhci::new`] touches nothing; [`Sdhci::open`] finds a card, in a few milliseconds if there is none; [`Sdhci::read`] reads blocks.
//! An error of the lines is tried again, twice, the last time at 25 MHz. Nothing waits without a bound, and no command writes to a card.
//!
//! * `registers`, `host` – the controller; `command`, `card` – what is said to cards, and what they say.
//! * `identify` – from an unknown card to one in its transfer state, and back there after an error.
//!
//! Sources: SD Host Controller Simplified Specification 3.00, SD Physical Layer Simplified Specification 6.00, JEDEC JESD84-B51; what the
//! BCM2711 adds, from Linux' sdhci-iproc.c and U-Boot's bcm2835_sdhci.c.

mod card;
mod command;
mod error;
mod host;
mod identify;
mod registers;
#[cfg(test)]
mod tests;

use crate::mmio::Bus;
use crate::time::Clock;
pub use card::{Card, Kind};
use command::{READ_MANY, READ_ONE};
pub use error::{Error, Fault, Wait};
use host::Host;
pub use identify::POWER_UP_LIMIT;

/// Length in bytes of the registers' window.
pub const WINDOW: usize = 0x100;

/// Bytes of a block.
pub const BLOCK: usize = 512;

/// Blocks that are read with one command: 64 KiB, which takes 3 ms at full speed, after which whoever asked can look after the rest.
pub const MOST_BLOCKS: usize = 128;

/// How often a read is tried.
const TRIES: usize = 3;

/// What a controller's wiring allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its base clock in Hz, where the firmware has told; else what the controller's capabilities say.
    pub base_hertz: Option<u32>,
    /// Whether 50 MHz may be tried.
    pub high_speed: bool,
}

/// A controller, and the card that was found in it.
#[derive(Debug)]
pub struct Sdhci<B: Bus, C: Clock> {
    host: Host<B, C>,
    limits: Limits,
    card: Option<Card>,
}

impl<B: Bus, C: Clock> Sdhci<B, C> {
    /// The controller behind `bus`, a window of [`WINDOW`] bytes. Nothing is touched yet.
    pub fn new(bus: B, clock: C, limits: Limits) -> Self {
        Self { host: Host::new(bus, clock, limits.base_hertz), limits, card: None }
    }

    /// Starts the controller and the card in it, also where there was one before.
    ///
    /// # Errors
    /// [`Error::NoCard`], and whatever else keeps it from being read. It takes a second at most, which is what a card may take to power up.
    pub fn open(&mut self) -> Result<Card, Error> {
        self.open_while(&mut || true)
    }

    /// The same, with `go_on` asked every millisecond while the card powers up.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::GivenUp`] where `go_on` says no.
    pub fn open_while(&mut self, go_on: &mut dyn FnMut() -> bool) -> Result<Card, Error> {
        self.card = None;
        let card = identify::identify(&mut self.host, self.limits, go_on)?;
        self.card = Some(card);
        Ok(card)
    }

    /// The card, if there is one that works.
    pub fn card(&self) -> Option<Card> {
        self.card
    }

    /// Reads whole blocks of [`BLOCK`] bytes from block `first` on; what of `into` is no whole block is left alone.
    ///
    /// # Errors
    /// [`Error::NoCard`] without an open card, [`Error::OutOfRange`], [`Error::Removed`] (after which there is no card), and those of
    /// the last of three tries.
    pub fn read(&mut self, first: u32, into: &mut [u8]) -> Result<(), Error> {
        let mut card = self.card.ok_or(Error::NoCard)?;
        let count = into.len() / BLOCK;
        if count as u64 > u64::from(card.blocks.saturating_sub(first)) {
            return Err(Error::OutOfRange { first, count, blocks: card.blocks });
        }
        let mut next = first;
        for part in into.chunks_mut(MOST_BLOCKS * BLOCK) {
            let whole = part.len() - part.len() % BLOCK;
            let Some(part) = part.get_mut(..whole).filter(|part| !part.is_empty()) else { break };
            let result = self.read_with_patience(&mut card, next, part);
            self.card = Some(card);
            if let Err(error) = result {
                if error == Error::Removed {
                    self.card = None;
                }
                return Err(error);
            }
            next = next.saturating_add((whole / BLOCK) as u32);
        }
        Ok(())
    }

    fn read_with_patience(&mut self, card: &mut Card, first: u32, into: &mut [u8]) -> Result<(), Error> {
        let argument = match card.by_blocks {
            true => first,
            // A card addressed by bytes has at most 4 GiB less one block.
            false => first.saturating_mul(BLOCK as u32),
        };
        let command = if into.len() > BLOCK { READ_MANY } else { READ_ONE };
        let mut tries = 1;
        loop {
            let Err(error) = self.host.read(command, argument, BLOCK, into) else { return Ok(()) };
            identify::recover(&mut self.host, card)?;
            if tries == TRIES {
                return Err(error);
            }
            tries += 1;
            log::info!("card, block {first}: {error}; try {tries} of {TRIES}");
            if tries == TRIES {
                identify::slow_down(&mut self.host, card)?;
            }
        }
    }
}
