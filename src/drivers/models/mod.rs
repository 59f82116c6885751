//! Models of the devices, for host tests: plain registers here, a virtual clock, the UARTs, the mailbox and the SD card's
//! controller beside them. The clock and the UARTs serve `tests/serial` as well, where whatever somebody types into is tested at a line's speed.

pub(crate) mod clock;
pub(crate) mod mailbox;
pub(crate) mod sdhci;
pub(crate) mod uart;

use crate::mmio::Bus;
use crate::time::{Clock, Instant};
pub(crate) use clock::VirtualClock;
use std::sync::Mutex;

/// Registers that keep what is written.
pub(crate) struct Registers(Mutex<Vec<u32>>);

impl Registers {
    /// `length` bytes of them, all zero.
    pub(crate) fn new(length: usize) -> Self {
        Self(Mutex::new(vec![0; length / 4]))
    }

    pub(crate) fn peek(&self, offset: usize) -> u32 {
        self.0.lock().unwrap()[offset / 4]
    }

    pub(crate) fn poke(&self, offset: usize, value: u32) {
        self.0.lock().unwrap()[offset / 4] = value;
    }
}

impl Bus for Registers {
    fn read32(&self, offset: usize) -> u32 {
        self.peek(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.poke(offset, value);
    }
}
