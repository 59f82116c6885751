//! Models of the devices, for host tests: plain registers and a virtual clock here, the UARTs, the mailbox and the SD card's
//! controller beside them.

pub(crate) mod mailbox;
pub(crate) mod sdhci;
pub(crate) mod uart;

use crate::mmio::Bus;
use crate::time::{Clock, Duration, Instant};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

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

/// A clock that a test moves on. It also moves by a microsecond each time that it is read, as a poll takes time.
#[derive(Clone, Default)]
pub(crate) struct VirtualClock(Arc<AtomicU64>);

impl VirtualClock {
    /// Nanoseconds since the start, without moving on.
    pub(crate) fn nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.0.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.fetch_add(1000, Ordering::Relaxed) / 1000)
    }
}
