//! The MDIO master in the UMAC: one transaction at a time, and it takes its time.
//!
//! Source: Linux `drivers/net/mdio/mdio-bcm-unimac.c`; U-Boot writes the command first and START_BUSY in a second write.

use crate::moment::Moment;
use crate::registers::{MDIO_READ_FAIL, MDIO_START_BUSY};
use core::time::Duration;

/// A transaction on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) address: u8,
    pub(crate) register: u8,
    /// The value to write; `None` reads.
    pub(crate) write: Option<u16>,
}

/// What a write to MDIO_CMD came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Stored,
    Started,
    Busy,
    BadOperation(u32),
}

#[derive(Debug, Default)]
pub(crate) struct Mdio {
    command: u32,
    done: Option<Moment>,
}

impl Mdio {
    pub(crate) fn command(&mut self, now: Moment, value: u32, takes: Duration) -> Command {
        if self.done.is_some() {
            return Command::Busy;
        }
        self.command = value;
        if value & MDIO_START_BUSY == 0 {
            return Command::Stored;
        }
        let operation = value >> 26 & 3;
        if !matches!(operation, 1 | 2) {
            self.command &= !MDIO_START_BUSY;
            return Command::BadOperation(operation);
        }
        self.done = Some(now.after(takes));
        Command::Started
    }
    /// A planted fault: the transaction under way never ends.
    pub(crate) fn hang(&mut self) {
        self.done = Some(Moment::from_nanos(u64::MAX));
    }
    pub(crate) fn due(&self) -> Option<Moment> {
        self.done
    }
    /// The transaction on the wire, as its time is over.
    pub(crate) fn transaction(&mut self) -> Transaction {
        self.done = None;
        Transaction {
            address: (self.command >> 21 & 0x1f) as u8,
            register: (self.command >> 16 & 0x1f) as u8,
            write: (self.command >> 26 & 3 == 1).then_some(self.command as u16),
        }
    }
    /// The end of a transaction: `read` is what the PHY answered, `None` where none is at that address.
    pub(crate) fn finish(&mut self, transaction: Transaction, read: Option<u16>) {
        self.command &= !(MDIO_START_BUSY | MDIO_READ_FAIL);
        if transaction.write.is_none() {
            // An undriven MDIO line reads as ones through its pull-up.
            self.command = self.command & 0xffff_0000 | u32::from(read.unwrap_or(0xffff));
            if read.is_none() {
                self.command |= MDIO_READ_FAIL;
            }
        }
    }
    pub(crate) fn read(&self) -> u32 {
        if self.done.is_some() { self.command | MDIO_START_BUSY } else { self.command }
    }
}
