//! One direction's DMA: 256 descriptors, 17 rings, common registers. The two directions have the same layout; what the hardware owns in
//! one (its pointer and index at 0x00 and 0x08 of a ring) lies at the same place as in the other.
//!
//! The hardware's index takes writes only while the ring's enable bit in DMA_CTRL is clear, and keeps its value over a restart of the
//! DMA: the only reading under which U-Boot's and Linux's drivers are both right. The slot of a descriptor follows from the index.

use crate::moment::Moment;
use crate::refusal::{Direction, Reason};
use crate::registers::{DMA_DISABLED, DMA_EN, DMA_RING_EN_SHIFT};
use crate::seed::Junk;
use core::time::Duration;

pub(crate) const DESCRIPTORS: u16 = 256;
pub(crate) const RINGS: usize = 17;
/// The ring that frames go to where no filter says otherwise.
pub(crate) const DEFAULT_RING: usize = 16;

/// Where the rings' registers start in a direction's block, 0x40 bytes a ring.
pub(crate) const RING_REGISTERS: u32 = 0xc00;
const COMMON: u32 = 0x1040;
const RING_CFG: u32 = 0x1040;
const CTRL: u32 = 0x1044;
const STATUS: u32 = 0x1048;
const BURST: u32 = 0x104c;
const RING_TIMEOUTS: u32 = COMMON + 0x2c;
/// INDEX2RING_0, which says for each filter of the HFB which ring it feeds.
const INDEX_TO_RING: u32 = COMMON + 0x70;
const TIMEOUT_UNIT: Duration = Duration::from_nanos(8192);
/// How long DMA takes to stop at a burst's end.
const STOP_TIME: Duration = Duration::from_micros(2);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Descriptor {
    /// Length in the upper half, flags in the lower.
    pub(crate) length_status: u32,
    pub(crate) address: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// RDMA_PROD_INDEX, TDMA_CONS_INDEX.
    pub(crate) hardware: u16,
    /// RDMA_CONS_INDEX, TDMA_PROD_INDEX.
    pub(crate) driver: u16,
    /// RDMA_PROD_INDEX[31:16].
    pub(crate) discards: u16,
    buffer_size: u32,
    start: u32,
    end: u32,
    threshold: u32,
    flow: u32,
    driver_pointer: u32,
    /// What is wrong with the ring as it was enabled; it does not run.
    fault: bool,
    /// Buffers done since the last interrupt, and when the timeout tells of them.
    undelivered: u32,
    timeout: Option<Moment>,
}

impl Ring {
    pub(crate) fn size(&self) -> u16 {
        (self.buffer_size >> 16) as u16
    }
    pub(crate) fn buffer_length(&self) -> usize {
        (self.buffer_size & 0xffff) as usize
    }
    /// The descriptor that `index` stands for.
    pub(crate) fn slot(&self, index: u16) -> u16 {
        let first = (self.start / 3) as u16;
        first.wrapping_add(index.checked_rem(self.size()).unwrap_or(0)) % DESCRIPTORS
    }
}

#[derive(Debug)]
pub(crate) struct Dma {
    direction: Direction,
    words: Vec<u32>,
    rings: Vec<Ring>,
    ring_cfg: u32,
    ctrl: u32,
    burst: u32,
    common: Vec<u32>,
    stopped: Moment,
    /// The first of the rings' timeouts.
    due: Option<Moment>,
}

impl Dma {
    pub(crate) fn new(direction: Direction, junk: &mut Junk) -> Self {
        let words = (0..usize::from(DESCRIPTORS) * 3).map(|_| junk.word32()).collect();
        let rings = (0..RINGS)
            .map(|_| {
                let hardware = junk.index();
                Ring { hardware, driver: hardware, start: 0, end: 0, ..Ring::default() }
            })
            .collect();
        // A previous user (the firmware, U-Boot) cleared DMA_EN and left the ring's enable bit, or was never there.
        let ctrl = if junk.flag() { 1 << (DEFAULT_RING as u32 + DMA_RING_EN_SHIFT) } else { 0 };
        Self {
            direction,
            words,
            rings,
            ring_cfg: 0,
            ctrl,
            burst: 0x10,
            common: vec![0; 0x100 / 4],
            stopped: Moment::default(),
            due: None,
        }
    }
    pub(crate) fn ring(&self, ring: usize) -> Option<&Ring> {
        self.rings.get(ring)
    }
    pub(crate) fn ring_mut(&mut self, ring: usize) -> Option<&mut Ring> {
        self.rings.get_mut(ring)
    }
    pub(crate) fn enabled(&self) -> bool {
        self.ctrl & DMA_EN != 0
    }
    pub(crate) fn any_ring_enabled(&self) -> bool {
        self.ctrl >> DMA_RING_EN_SHIFT & 0x1_ffff != 0
    }
    fn ring_enabled(&self, ring: usize) -> bool {
        self.ctrl >> (ring as u32 + DMA_RING_EN_SHIFT) & 1 != 0
    }
    /// Whether the ring moves data.
    pub(crate) fn runs(&self, ring: usize) -> bool {
        self.enabled() && self.ring_enabled(ring) && self.rings.get(ring).is_some_and(|r| !r.fault)
    }
    /// How many descriptors of a TX ring that runs have not been taken up.
    pub(crate) fn waiting(&self, ring: usize) -> u16 {
        let running = self.rings.get(ring).filter(|_| self.runs(ring));
        running.map_or(0, |ring| ring.driver.wrapping_sub(ring.hardware))
    }
    /// The ring that the HFB's filter `filter` feeds.
    pub(crate) fn ring_of_filter(&self, filter: usize) -> usize {
        let word = self.read_common(INDEX_TO_RING + filter as u32 / 8 * 4);
        (word >> (4 * (filter % 8)) & 0xf) as usize
    }

    pub(crate) fn descriptor(&self, slot: u16) -> Descriptor {
        let at = usize::from(slot % DESCRIPTORS) * 3;
        match self.words.get(at..at + 3) {
            Some(&[length_status, low, high]) => {
                Descriptor { length_status, address: u64::from(high) << 32 | u64::from(low) }
            }
            _ => Descriptor::default(),
        }
    }
    pub(crate) fn set_status(&mut self, slot: u16, length_status: u32) {
        if let Some(word) = self.words.get_mut(usize::from(slot % DESCRIPTORS) * 3) {
            *word = length_status;
        }
    }

    /// `offset` inside this direction's block.
    pub(crate) fn read(&self, now: Moment, offset: u32, never_stops: bool) -> u32 {
        match offset {
            0..RING_REGISTERS => self.words.get(offset as usize / 4).copied().unwrap_or(0),
            RING_REGISTERS..COMMON => {
                let ring = self.rings.get((offset - RING_REGISTERS) as usize / 0x40);
                ring.map_or(0, |ring| self.read_ring(ring, offset & 0x3f))
            }
            RING_CFG => self.ring_cfg,
            CTRL => self.ctrl,
            STATUS if self.enabled() || now < self.stopped || never_stops => 0,
            STATUS => DMA_DISABLED,
            BURST => self.burst,
            _ => self.read_common(offset),
        }
    }
    fn read_common(&self, offset: u32) -> u32 {
        offset.checked_sub(COMMON).and_then(|at| self.common.get(at as usize / 4)).copied().unwrap_or(0)
    }
    fn read_ring(&self, ring: &Ring, offset: u32) -> u32 {
        match offset {
            0x00 => u32::from(ring.slot(ring.hardware)) * 3,
            0x08 => u32::from(ring.discards) << 16 | u32::from(ring.hardware),
            0x0c => u32::from(ring.driver),
            0x10 => ring.buffer_size,
            0x14 => ring.start,
            0x1c => ring.end,
            0x24 => ring.threshold,
            0x28 => ring.flow,
            0x2c => ring.driver_pointer,
            _ => 0,
        }
    }

    /// `offset` inside this direction's block; what silicon would not do comes back as reasons.
    pub(crate) fn write(&mut self, now: Moment, offset: u32, value: u32, refusals: &mut Vec<Reason>) {
        match offset {
            0..RING_REGISTERS => {
                if let Some(word) = self.words.get_mut(offset as usize / 4) {
                    *word = value;
                }
            }
            RING_REGISTERS..COMMON => {
                self.write_ring((offset - RING_REGISTERS) as usize / 0x40, offset & 0x3f, value, refusals)
            }
            RING_CFG if self.enabled() && value != self.ring_cfg => {
                refusals.push(Reason::GeometryWhileRunning { ring: DEFAULT_RING as u8 });
            }
            RING_CFG => self.ring_cfg = value & 0x1_ffff,
            CTRL => self.write_control(now, value, refusals),
            STATUS => refusals.push(Reason::ReadOnly),
            BURST => self.burst = value & 0x1f,
            _ => {
                let at = offset.saturating_sub(COMMON) as usize / 4;
                if let Some(word) = self.common.get_mut(at) {
                    *word = value;
                }
            }
        }
    }

    fn write_ring(&mut self, number: usize, offset: u32, value: u32, refusals: &mut Vec<Reason>) {
        let enabled = self.ring_enabled(number);
        let runs = self.enabled() && enabled;
        let direction = self.direction;
        let Some(ring) = self.rings.get_mut(number) else { return };
        let number = number as u8;
        match offset {
            0x08 if enabled => {
                // Linux clears a full discard counter this way; the index itself stays.
                if ring.discards == 0 && value as u16 != ring.hardware {
                    refusals.push(Reason::IndexWhileEnabled { ring: number, kept: ring.hardware });
                }
                ring.discards = 0;
            }
            0x08 => {
                ring.hardware = value as u16;
                ring.discards = 0;
            }
            0x0c => {
                ring.driver = value as u16;
                if runs && !ring.fault {
                    refusals.extend(index_fault(direction, number, ring));
                }
            }
            0x10 | 0x14 | 0x1c if runs => refusals.push(Reason::GeometryWhileRunning { ring: number }),
            0x10 => ring.buffer_size = value,
            0x14 => ring.start = value,
            0x1c => ring.end = value,
            0x24 => ring.threshold = value & 0x1ff,
            0x28 => ring.flow = value,
            0x2c => ring.driver_pointer = value,
            _ => {}
        }
    }

    fn write_control(&mut self, now: Moment, value: u32, refusals: &mut Vec<Reason>) {
        let before = self.ctrl;
        self.ctrl = value;
        if before & DMA_EN != 0 && !self.enabled() {
            self.stopped = now.after(STOP_TIME);
        }
        if !self.enabled() {
            return;
        }
        if before & DMA_EN == 0 && self.burst != 8 {
            refusals.push(Reason::Burst { direction: self.direction, burst: self.burst });
        }
        for number in 0..RINGS {
            let ran = before & DMA_EN != 0 && before >> (number as u32 + DMA_RING_EN_SHIFT) & 1 != 0;
            if !ran && self.ring_enabled(number) {
                let configured = self.ring_cfg >> number & 1 != 0;
                let direction = self.direction;
                if let Some(ring) = self.rings.get_mut(number) {
                    let fault = start_fault(direction, number as u8, ring, configured);
                    ring.fault = fault.is_some();
                    refusals.extend(fault);
                }
            }
        }
    }

    /// Counts a finished buffer; true if the threshold of the ring's interrupt is reached.
    pub(crate) fn done(&mut self, number: usize, now: Moment) -> bool {
        let wait = self.read_common(RING_TIMEOUTS + 4 * number as u32) & 0xffff;
        let transmit = self.direction == Direction::Transmit;
        let Some(ring) = self.rings.get_mut(number) else { return false };
        let armed = ring.timeout.is_some();
        ring.undelivered += 1;
        // TDMA has no timeout: it also tells when the ring has become empty.
        if ring.undelivered >= ring.threshold || transmit && ring.hardware == ring.driver {
            ring.undelivered = 0;
            ring.timeout = None;
            if armed {
                self.find_due();
            }
            return true;
        }
        if !armed && wait != 0 {
            ring.timeout = Some(now.after(TIMEOUT_UNIT * wait));
            self.find_due();
        }
        false
    }
    fn find_due(&mut self) {
        self.due = self.rings.iter().filter_map(|ring| ring.timeout).min();
    }
    /// The next ring timeout.
    pub(crate) fn due(&self) -> Option<Moment> {
        self.due
    }
    /// The next ring whose timeout has passed.
    pub(crate) fn timed_out(&mut self, now: Moment) -> Option<usize> {
        self.due.filter(|&due| due <= now)?;
        let number = self.rings.iter().position(|ring| ring.timeout == self.due)?;
        if let Some(ring) = self.rings.get_mut(number) {
            ring.timeout = None;
            ring.undelivered = 0;
        }
        self.find_due();
        Some(number)
    }
    /// The first ring that runs and has descriptors to take up.
    pub(crate) fn first_waiting(&self) -> Option<usize> {
        if self.enabled() { (0..RINGS).find(|&ring| self.waiting(ring) != 0) } else { None }
    }
}

/// How far PROD is ahead of CONS.
fn ahead(direction: Direction, ring: &Ring) -> u16 {
    match direction {
        Direction::Receive => ring.hardware.wrapping_sub(ring.driver),
        Direction::Transmit => ring.driver.wrapping_sub(ring.hardware),
    }
}

fn index_fault(direction: Direction, number: u8, ring: &Ring) -> Option<Reason> {
    let ahead = ahead(direction, ring);
    let size = ring.size();
    match direction {
        _ if ahead <= size => None,
        Direction::Receive if ring.driver.wrapping_sub(ring.hardware) <= size => {
            Some(Reason::ConsumedTooMuch { ring: number, consumed: ring.driver, produced: ring.hardware })
        }
        _ => Some(Reason::IndexOverrun { direction, ring: number, ahead, size }),
    }
}

fn start_fault(direction: Direction, number: u8, ring: &Ring, configured: bool) -> Option<Reason> {
    if !configured {
        return Some(Reason::RingNotConfigured { ring: number });
    }
    let size = u32::from(ring.size());
    let words = (ring.end.wrapping_add(1)).wrapping_sub(ring.start);
    let inside = ring.end < u32::from(DESCRIPTORS) * 3 && ring.start <= ring.end && ring.start.is_multiple_of(3);
    if size == 0 || !inside || words != size * 3 {
        return Some(Reason::RingGeometry { ring: number, descriptors: words / 3, size });
    }
    if direction == Direction::Receive && ring.buffer_length() == 0 {
        return Some(Reason::NoBufferLength { ring: number });
    }
    index_fault(direction, number, ring)
}
