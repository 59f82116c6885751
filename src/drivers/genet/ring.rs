//! One direction's DMA engine: stopping it, setting its ring up, starting it.
//!
//! **The indices.** Each ring has two 16-bit indices that count frames without end; slot `index % 256` holds the frame. They keep
//! their value over a DMA restart. U-Boot and barebox say that the hardware's own index (RDMA_PROD, TDMA_CONS) cannot be set to 0 and
//! go on from what they read (U-Boot ac458dc823d: before it, the second network command failed); Linux, EDK2 and NetBSD write 0 and
//! assume that it took. Both work on silicon, because the first clear only DMA_EN before, the others the ring's enable bit
//! too: the index takes writes only while its ring is disabled. Here both are cleared, 0 is written, and whatever is read back
//! counts. The pointers, in words of descriptor memory, are set to match, `(index % 256) * 3`: U-Boot writes 0 there whatever
//! the index, and works, so the hardware derives the slot from the index; matching pointers are right either way.

use super::error::{Direction, Error};
use super::registers::*;
use crate::mmio::{Bus, Reg};
use crate::time::{Clock, Duration};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

/// How long an engine may take to stop (Linux: 5000 µs).
const STOP_LIMIT: Duration = Duration::from_millis(5);
/// Bytes of memory per descriptor, both directions.
pub(super) const BUFFER_SIZE: usize = 2048;
/// Words that the bus master moves at once.
const BURST: u32 = 8;

/// One direction's engine on its bus.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring<B: Bus + Copy> {
    bus: B,
    engine: Engine,
    direction: Direction,
}

/// What the hardware's index register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Frames that the hardware has done, modulo 65536.
    pub index: u16,
    /// Receiving only: frames that it threw away because the ring was full, modulo 65536.
    pub discards: u16,
}

impl<B: Bus + Copy> Ring<B> {
    pub const fn receive(bus: B) -> Self {
        Self { bus, engine: RDMA, direction: Direction::Receive }
    }
    pub const fn transmit(bus: B) -> Self {
        Self { bus, engine: TDMA, direction: Direction::Transmit }
    }

    fn ctrl(&self) -> Reg<'_, B, DMA_CTRL::Register> {
        Reg::new(&self.bus, self.engine.ctrl())
    }

    /// Stops the engine, then disables every ring, also where the engine does not report that it stopped. One that was off is not
    /// asked: only Linux looks at DMA_STATUS, and only after it has switched an engine off.
    pub fn stop<C: Clock + Copy>(&self, clock: C) -> Result<(), Error> {
        let ran = self.ctrl().is_set(DMA_CTRL::EN);
        self.ctrl().modify(DMA_CTRL::EN::CLEAR);
        let status = Reg::<_, DMA_STATUS::Register>::new(&self.bus, self.engine.status());
        let stopped = !ran || clock.wait_until(STOP_LIMIT, || status.is_set(DMA_STATUS::DISABLED));
        self.ctrl().modify(DMA_CTRL::RINGS::CLEAR);
        if stopped {
            return Ok(());
        }
        Err(Error::DmaRuns {
            direction: self.direction,
            status: status.get(),
            milliseconds: STOP_LIMIT.as_millis() as u32,
        })
    }

    /// Gives the default ring all descriptors, empty. `buffer` says at which device address slot n's buffer is.
    /// Wanted: the engine is stopped and its rings disabled. Returns where the hardware's index stands.
    pub fn set_up(&self, buffer: impl Fn(usize) -> u64) -> Progress {
        for slot in 0..DESCRIPTORS {
            self.set_address(slot as u16, buffer(slot));
            self.set_status(slot as u16, 0);
        }
        self.bus.write32(self.engine.burst_size(), BURST);
        self.set_wide(self.engine.start(), 0);
        self.set_wide(self.engine.end(), DESCRIPTORS as u32 * DESCRIPTOR_WORDS - 1);
        self.bus.write32(self.engine.buffer_size(), (DESCRIPTORS as u32) << 16 | BUFFER_SIZE as u32);
        self.bus.write32(self.engine.done_threshold(), 1);
        self.bus.write32(self.engine.flow(), self.flow());

        self.bus.write32(self.engine.hardware_index(), 0);
        let progress = self.progress();
        self.set_driver_index(progress.index);
        let pointer = u32::from(progress.index) % DESCRIPTORS as u32 * DESCRIPTOR_WORDS;
        self.set_wide(self.engine.hardware_pointer(), pointer);
        self.set_wide(self.engine.driver_pointer(), pointer);

        self.bus.write32(self.engine.ring_config(), 1 << DEFAULT_RING);
        progress
    }

    /// Receiving: the thresholds of flow control, as every driver sets them (5 and a sixteenth), though pause frames are
    /// off. Transmitting: no rate limit.
    const fn flow(&self) -> u32 {
        match self.direction {
            Direction::Receive => (5 << 16) | (DESCRIPTORS as u32 / 16),
            Direction::Transmit => 0,
        }
    }

    /// A ring register of 40 bits whose upper half is always 0 here.
    fn set_wide(&self, offset: usize, low: u32) {
        self.bus.write32(offset, low);
        self.bus.write32(offset + 4, 0);
    }

    /// Starts the engine with the default ring alone.
    pub fn start(&self) {
        self.ctrl().write(DMA_CTRL::EN::SET + DMA_CTRL::RINGS::Default);
    }

    /// How far the hardware is.
    pub fn progress(&self) -> Progress {
        let value = Reg::<_, HARDWARE_INDEX::Register>::new(&self.bus, self.engine.hardware_index()).extract();
        Progress {
            index: value.read(HARDWARE_INDEX::INDEX) as u16,
            discards: value.read(HARDWARE_INDEX::DISCARDS) as u16,
        }
    }

    /// Tells the hardware how far the driver is.
    pub fn set_driver_index(&self, index: u16) {
        self.bus.write32(self.engine.driver_index(), index.into());
    }

    /// Names the buffer of the slot of `index`.
    fn set_address(&self, index: u16, address: u64) {
        self.set_address_low(index, address);
        self.bus.write32(self.engine.descriptor(index) + DESCRIPTOR_ADDRESS_HIGH, (address >> 32) as u32);
    }

    /// Names the buffer of the slot of `index` anew, where the upper half of its address is as it was at set-up.
    pub fn set_address_low(&self, index: u16, address: u64) {
        self.bus.write32(self.engine.descriptor(index) + DESCRIPTOR_ADDRESS_LOW, address as u32);
    }

    /// The lower half of the address that the slot of `index` names.
    pub fn address_low(&self, index: u16) -> u32 {
        self.bus.read32(self.engine.descriptor(index) + DESCRIPTOR_ADDRESS_LOW)
    }

    /// Sets length and status of the slot of `index`.
    pub fn set_status(&self, index: u16, status: u32) {
        self.bus.write32(self.engine.descriptor(index) + DESCRIPTOR_STATUS, status);
    }

    /// Length and status of the slot of `index`.
    pub fn status(&self, index: u16) -> Reg<'_, B, DESCRIPTOR::Register> {
        Reg::new(&self.bus, self.engine.descriptor(index) + DESCRIPTOR_STATUS)
    }
}
