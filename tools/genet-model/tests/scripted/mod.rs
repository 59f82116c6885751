//! A small scripted driver, for tests of the model only: the shortest sequence that the public drivers agree on, with a switch for each
//! mistake that the model is to refuse.

use core::ops::Range;
use core::time::Duration;
use genet_model::host::{Bench, ModelBus, ModelClock, TwoViewMemory};
use xenlift::dma::DmaMemory;
use xenlift::mmio::Bus;
use xenlift::time::Clock;

pub const STATION: [u8; 6] = [0xdc, 0xa6, 0x32, 1, 2, 3];
pub const BROADCAST: [u8; 6] = [0xff; 6];

const RING: usize = 16;
const SLOTS: u16 = 256;
const BUFFER: usize = 2048;
const RDMA: usize = 0x2000;
const TDMA: usize = 0x4000;
const RINGS: usize = 0xc00 + RING * 0x40;
const COMMON: usize = 0x1040;
const RING_ENABLE: u32 = 1 << (RING + 1);
const MIB: usize = 0xc00;
const MIB_CONTROL: usize = 0xd80;

/// Who delays the transmit clock: the PHY (U-Boot, circle) or the MAC (Linux, EDK2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    A,
    B,
}

/// A mistake to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    NoReset,
    ResetWithoutClock,
    ResetNotReleased,
    LoopbackLeftSet,
    NoPortControl,
    NoRgmiiMode,
    RgmiiOutOfBandDisabled,
    NobodyDelaysTransmit,
    BothDelayTransmit,
    NobodyDelaysReceive,
    WrongSpeed,
    HalfDuplex,
    IndexAssumedZero,
    RingNotDisabled,
    GeometryWhileRunning,
    RingSizeWrong,
    RingNotConfigured,
    NoBufferLength,
    WrongBurst,
    NoBufferSizeControl,
    ConsumesTooMuch,
    OverrunsRing,
    MdioNotWaitedFor,
    WrongPhyAddress,
    PhyResetNotWaitedFor,
    ForcesGigabit,
    AddressWhileEnabled,
    FilterWithoutBroadcast,
    NoAppendCrc,
    NotPadded,
    NoStartOfPacket,
    NoEndOfPacket,
    ChecksumWithoutBlock,
    TooLong,
    FlushLeftSet,
    TransmitFlushLeftSet,
    NoClean,
    NoInvalidateBeforeReceive,
    NoInvalidateAfterReceive,
    BufferReusedAtOnce,
    UnalignedMaintenance,
    BadAddress,
    UnknownRegister,
    WritesReadOnly,
    CountersNotCleared,
    CountersHeldAtZero,
    NoReceiveFlush,
    ReceiveFlushTooShort,
    ReceiveFlushLeftSet,
    ReceiveFlushBeforeReceiverOff,
    TransmitterOffBeforeRingEmpty,
    TransmitterOffBeforeBufferEmpty,
    TransmitFlushBeforeBufferEmpty,
    TransmitDmaOffBeforeRingEmpty,
}

pub struct Driver {
    pub bus: ModelBus,
    pub clock: ModelClock,
    receive: TwoViewMemory,
    transmit: TwoViewMemory,
    consumed: u16,
    produced: u16,
    recipe: Recipe,
    mistake: Option<Mistake>,
    phy: u32,
}

impl Driver {
    /// A driver on `bench`. Settling times pass by themselves, the link is waited for.
    pub fn new(bench: &Bench, recipe: Recipe, mistake: Option<Mistake>) -> Self {
        Self {
            bus: bench.bus(),
            clock: bench.clock(),
            receive: bench.memory(BUFFER * usize::from(SLOTS)),
            transmit: bench.memory(BUFFER * usize::from(SLOTS)),
            consumed: 0,
            produced: 0,
            recipe,
            mistake,
            phy: if mistake == Some(Mistake::WrongPhyAddress) { 0 } else { 1 },
        }
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
    fn read(&self, offset: usize) -> u32 {
        self.bus.read32(offset)
    }
    fn write(&self, offset: usize, value: u32) {
        self.bus.write32(offset, value);
    }
    fn change(&self, offset: usize, clear: u32, set: u32) {
        self.write(offset, self.read(offset) & !clear | set);
    }
    fn settle(&self) {
        self.clock.delay(Duration::from_micros(10));
    }

    pub fn start(&mut self) -> Result<(), String> {
        if self.makes(Mistake::UnknownRegister) {
            self.read(0x1f00);
        }
        if self.makes(Mistake::WritesReadOnly) {
            self.write(0, 1);
        }
        if !self.makes(Mistake::NoPortControl) {
            self.write(0x004, 3);
        }
        self.reset_mac();
        self.write(0x814, 1536);
        self.change(0x300, 0, 2);
        if !self.makes(Mistake::NoBufferSizeControl) {
            self.write(0x3b4, 1);
        }
        if !self.makes(Mistake::AddressWhileEnabled) {
            self.program_address();
        }
        self.disable_dma();
        self.program_rings();
        self.program_filter();
        self.start_phy()?;
        self.enable_dma();
        let enables = if self.makes(Mistake::ResetNotReleased) { 0x2003 } else { 3 };
        self.change(0x808, 0, enables);
        if self.makes(Mistake::AddressWhileEnabled) {
            self.program_address();
        }
        if self.makes(Mistake::GeometryWhileRunning) {
            self.write(RDMA + RINGS + 0x10, 128 << 16 | 2048);
        }
        Ok(())
    }

    fn reset_mac(&self) {
        self.write(0x008, 2);
        self.settle();
        self.write(0x008, if self.makes(Mistake::FlushLeftSet) { 1 } else { 0 });
        self.settle();
        self.write(0x808, 0);
        if self.makes(Mistake::NoReset) {
            return;
        }
        let loopback = if self.makes(Mistake::ResetWithoutClock) { 0 } else { 1 << 15 };
        self.write(0x808, 1 << 13 | loopback);
        self.settle();
        self.write(0x808, if self.makes(Mistake::LoopbackLeftSet) { 1 << 15 } else { 0 });
        if !self.makes(Mistake::CountersNotCleared) {
            self.write(MIB_CONTROL, 7);
            self.write(MIB_CONTROL, if self.makes(Mistake::CountersHeldAtZero) { 7 } else { 0 });
        }
    }

    /// What the MAC counted as good since the start, received and sent.
    pub fn counted(&self) -> (u32, u32) {
        (self.read(MIB + 0x64), self.read(MIB + 0xec))
    }

    fn program_address(&self) {
        let [a, b, c, d, e, f] = STATION;
        self.write(0x80c, u32::from_be_bytes([a, b, c, d]));
        self.write(0x810, u32::from_be_bytes([0, 0, e, f]));
    }

    fn program_filter(&self) {
        let entries =
            if self.makes(Mistake::FilterWithoutBroadcast) { [STATION, STATION] } else { [BROADCAST, STATION] };
        for (number, [a, b, c, d, e, f]) in entries.into_iter().enumerate() {
            self.write(0xe54 + number * 8, u32::from_be_bytes([0, 0, a, b]));
            self.write(0xe58 + number * 8, u32::from_be_bytes([c, d, e, f]));
        }
        self.write(0xe50, 0x1_8000);
    }

    fn disable_dma(&self) {
        let bits = if self.makes(Mistake::RingNotDisabled) { 1 } else { 1 | RING_ENABLE };
        for block in [RDMA, TDMA] {
            self.change(block + COMMON + 4, bits, 0);
            self.clock.wait_until(Duration::from_millis(5), || self.read(block + COMMON + 8) & 1 != 0);
        }
        self.write(0xb34, 1);
        self.settle();
        self.write(0xb34, if self.makes(Mistake::TransmitFlushLeftSet) { 1 } else { 0 });
    }

    fn program_rings(&mut self) {
        for block in [RDMA, TDMA] {
            self.write(block + COMMON + 0x0c, if self.makes(Mistake::WrongBurst) { 16 } else { 8 });
            let ring = block + RINGS;
            let buffer = if self.makes(Mistake::NoBufferLength) { 0 } else { BUFFER as u32 };
            self.write(ring + 0x10, u32::from(SLOTS) << 16 | buffer);
            self.write(ring + 0x14, 0);
            let end = if self.makes(Mistake::RingSizeWrong) { 128 } else { u32::from(SLOTS) };
            self.write(ring + 0x1c, end * 3 - 1);
            self.write(ring + 0x24, 1);
            if !self.makes(Mistake::IndexAssumedZero) {
                self.write(ring + 0x08, 0);
                let index = self.read(ring + 0x08) & 0xffff;
                self.write(ring + 0x0c, index);
            }
            self.write(block + COMMON, if self.makes(Mistake::RingNotConfigured) { 0 } else { 1 << RING });
        }
        if !self.makes(Mistake::IndexAssumedZero) {
            self.consumed = self.read(RDMA + RINGS + 0x0c) as u16;
            self.produced = self.read(TDMA + RINGS + 0x0c) as u16;
        }
        for slot in 0..usize::from(SLOTS) {
            let address = self.receive.device_address() + (slot * BUFFER) as u64;
            let address = if self.makes(Mistake::BadAddress) { 0x10 } else { address };
            self.write(RDMA + slot * 12 + 4, address as u32);
            self.write(RDMA + slot * 12 + 8, (address >> 32) as u32);
            if !self.makes(Mistake::NoInvalidateBeforeReceive) {
                self.receive.give(slot * BUFFER..(slot + 1) * BUFFER);
            }
        }
    }

    fn enable_dma(&self) {
        for block in [RDMA, TDMA] {
            self.write(block + COMMON + 4, RING_ENABLE | 1);
        }
    }

    pub fn mdio(&self, register: u32, value: Option<u16>) -> Result<u16, String> {
        let operation = value.map_or(2 << 26, |value| 1 << 26 | u32::from(value));
        self.write(0xe14, operation | self.phy << 21 | register << 16 | 1 << 29);
        if self.makes(Mistake::MdioNotWaitedFor) {
            return Ok(0x0700);
        }
        if !self.clock.wait_until(Duration::from_millis(1), || self.read(0xe14) & 1 << 29 == 0) {
            return Err("MDIO stays busy".into());
        }
        let answer = self.read(0xe14);
        if value.is_none() && answer & 1 << 28 != 0 {
            return Err(format!("no PHY at address {}", self.phy));
        }
        Ok(answer as u16)
    }

    fn start_phy(&self) -> Result<(), String> {
        let id = u32::from(self.mdio(2, None)?) << 16 | u32::from(self.mdio(3, None)?);
        if id != 0x600d_84a2 && !self.makes(Mistake::MdioNotWaitedFor) {
            return Err(format!("PHY id {id:#010x}"));
        }
        self.mdio(0, Some(0x8000))?;
        if !self.makes(Mistake::PhyResetNotWaitedFor) {
            let ready = self.clock.wait_until(Duration::from_millis(500), || {
                self.mdio(0, None).is_ok_and(|control| control & 0x8000 == 0)
            });
            if !ready {
                return Err("the PHY stays in reset".into());
            }
        }
        self.program_delays()?;
        let control = if self.makes(Mistake::ForcesGigabit) { 0x0140 } else { 0x1340 };
        self.mdio(0, Some(control))?;
        if !self.clock.wait_until(Duration::from_secs(5), || self.mdio(1, None).is_ok_and(|status| status & 4 != 0)) {
            return Err("no link".into());
        }
        let found = self.mdio(0x19, None)? >> 8 & 7;
        let (speed, half) = match found {
            1 => (0, true),
            2 => (0, false),
            3 => (1, true),
            5 => (1, false),
            6 => (2, true),
            _ => (2, false),
        };
        let speed = if self.makes(Mistake::WrongSpeed) { (speed + 1) % 3 } else { speed };
        let half = half != self.makes(Mistake::HalfDuplex);
        self.change(0x808, 3 << 2 | 1 << 10, speed << 2 | u32::from(half) << 10);
        let mode = if self.makes(Mistake::NoRgmiiMode) { 1 << 4 } else { 1 << 4 | 1 << 6 };
        let clear = if self.makes(Mistake::RgmiiOutOfBandDisabled) { 0 } else { 1 << 5 };
        self.change(0x08c, clear, mode);
        if self.makes(Mistake::RgmiiOutOfBandDisabled) {
            self.change(0x08c, 0, 1 << 5);
        }
        Ok(())
    }

    fn program_delays(&self) -> Result<(), String> {
        let (mut mac, mut phy) = match self.recipe {
            Recipe::A => (false, true),
            Recipe::B => (true, false),
        };
        if self.makes(Mistake::NobodyDelaysTransmit) {
            (mac, phy) = (false, false);
        }
        if self.makes(Mistake::BothDelayTransmit) {
            (mac, phy) = (true, true);
        }
        self.change(0x08c, 1 << 16, if mac { 0 } else { 1 << 16 });
        self.mdio(0x1c, Some(3 << 10))?;
        let clock = self.mdio(0x1c, None)? & 0x3ff;
        let clock = if phy { clock | 1 << 9 } else { clock & !(1 << 9) };
        self.mdio(0x1c, Some(1 << 15 | 3 << 10 | clock))?;
        self.mdio(0x18, Some(0x7007))?;
        let misc = self.mdio(0x18, None)?;
        let misc = if self.makes(Mistake::NobodyDelaysReceive) { misc & !0x100 } else { misc | 0x100 };
        self.mdio(0x18, Some(0x8007 | misc))?;
        Ok(())
    }

    /// Sends `frame` and waits for its descriptor.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), String> {
        let lines = self.queue(frame);
        if self.makes(Mistake::BufferReusedAtOnce) {
            self.transmit.bytes_mut(lines.clone()).fill(0);
        }
        self.wait_for_empty_ring()?;
        if !self.makes(Mistake::NoClean) && !self.makes(Mistake::UnalignedMaintenance) {
            self.transmit.take(lines);
        }
        Ok(())
    }

    fn wait_for_empty_ring(&self) -> Result<(), String> {
        let empty = || self.read(TDMA + RINGS + 0x08) as u16 == self.produced;
        if self.clock.wait_until(Duration::from_millis(10), empty) { Ok(()) } else { Err("TX never completes".into()) }
    }

    /// Rings the doorbell for `frame`, and says in which lines of memory it lies until it is sent.
    pub fn queue(&mut self, frame: &[u8]) -> Range<usize> {
        let slot = usize::from(self.produced % SLOTS);
        let start = slot * BUFFER;
        let length = if self.makes(Mistake::NotPadded) { frame.len().min(42) } else { frame.len().max(60) };
        let length = if self.makes(Mistake::TooLong) { 1800 } else { length };
        let bytes = self.transmit.bytes_mut(start..start + length);
        bytes.fill(0);
        let copied = frame.len().min(length);
        bytes[..copied].copy_from_slice(&frame[..copied]);
        let lines = start..(start + length).next_multiple_of(64);
        if self.makes(Mistake::UnalignedMaintenance) {
            self.transmit.give(start..start + length + 1);
        } else if !self.makes(Mistake::NoClean) {
            self.transmit.give(lines.clone());
        }
        let address = self.transmit.device_address() + start as u64;
        let mut flags = 0x3f << 7 | 0x40 | 0x2000 | 0x4000;
        for (mistake, change) in [
            (Mistake::NoAppendCrc, 0x40),
            (Mistake::NoStartOfPacket, 0x2000),
            (Mistake::NoEndOfPacket, 0x4000),
            (Mistake::ChecksumWithoutBlock, 0x10),
        ] {
            if self.makes(mistake) {
                flags ^= change;
            }
        }
        self.write(TDMA + slot * 12 + 4, address as u32);
        self.write(TDMA + slot * 12 + 8, (address >> 32) as u32);
        self.write(TDMA + slot * 12, (length as u32) << 16 | flags);
        self.produced = self.produced.wrapping_add(if self.makes(Mistake::OverrunsRing) { 300 } else { 1 });
        self.write(TDMA + RINGS + 0x0c, u32::from(self.produced));
        lines
    }

    /// The oldest received frame.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let produced = self.read(RDMA + RINGS + 0x08) as u16;
        if produced == self.consumed {
            return None;
        }
        let slot = usize::from(self.consumed % SLOTS);
        let length = (self.read(RDMA + slot * 12) >> 16 & 0xfff) as usize;
        let start = slot * BUFFER;
        if !self.makes(Mistake::NoInvalidateAfterReceive) {
            self.receive.take(start..start + BUFFER);
        }
        let frame = self.receive.bytes(start + 2..start + length.max(2)).to_vec();
        if !self.makes(Mistake::NoInvalidateBeforeReceive) {
            self.receive.give(start..start + BUFFER);
        }
        self.consumed = self.consumed.wrapping_add(if self.makes(Mistake::ConsumesTooMuch) { 5 } else { 1 });
        self.write(RDMA + RINGS + 0x0c, u32::from(self.consumed));
        Some(frame)
    }

    pub fn stop(&self) -> Result<(), String> {
        if self.makes(Mistake::TransmitterOffBeforeRingEmpty) {
            self.change(0x808, 1, 0);
        }
        if self.makes(Mistake::TransmitDmaOffBeforeRingEmpty) {
            self.stop_dma(TDMA)?;
        }
        if self.makes(Mistake::ReceiveFlushBeforeReceiverOff) {
            self.stop_dma(RDMA)?;
            self.flush_receiver();
        }
        self.change(0x808, 2, 0);
        self.stop_dma(RDMA)?;
        let early = [Mistake::TransmitDmaOffBeforeRingEmpty, Mistake::TransmitterOffBeforeRingEmpty];
        if !early.into_iter().any(|mistake| self.makes(mistake)) {
            self.wait_for_empty_ring()?;
        }
        self.stop_dma(TDMA)?;
        if self.makes(Mistake::TransmitFlushBeforeBufferEmpty) {
            self.flush_transmitter();
        }
        if !self.makes(Mistake::TransmitterOffBeforeBufferEmpty) {
            self.clock.delay(Duration::from_millis(10));
        }
        self.change(0x808, 1, 0);
        self.flush_transmitter();
        if !self.makes(Mistake::NoReceiveFlush) && !self.makes(Mistake::ReceiveFlushBeforeReceiverOff) {
            self.flush_receiver();
        }
        self.change(0x08c, 1 << 16, 0);
        Ok(())
    }

    fn stop_dma(&self, block: usize) -> Result<(), String> {
        self.change(block + COMMON + 4, 1 | RING_ENABLE, 0);
        let stopped = || self.read(block + COMMON + 8) & 1 != 0;
        if self.clock.wait_until(Duration::from_millis(5), stopped) { Ok(()) } else { Err("DMA does not stop".into()) }
    }

    fn flush_transmitter(&self) {
        self.write(0xb34, 1);
        self.settle();
        self.write(0xb34, 0);
    }

    fn flush_receiver(&self) {
        self.write(0x008, 1);
        if !self.makes(Mistake::ReceiveFlushTooShort) {
            self.settle();
        }
        self.write(0x008, if self.makes(Mistake::ReceiveFlushLeftSet) { 1 } else { 0 });
    }
}

/// A frame of `length` bytes to `destination` whose contents follow from `number`.
pub fn frame(destination: [u8; 6], length: usize, number: u8) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend_from_slice(&[2, 0, 0, 0, 0, number]);
    frame.extend_from_slice(&[0x88, 0xb5]);
    frame.resize(length, number);
    frame
}
