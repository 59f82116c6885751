//! From a doorbell to the wire: descriptors are taken up some time after the doorbell, and a frame takes its time on the wire, while those after it wait
//! in TBUF.

use crate::filter::Destination;
use crate::frame;
use crate::genet::Genet;
use crate::interrupt::TX_DONE;
use crate::link::Mode;
use crate::refusal::{Access, Direction, Reason};
use crate::registers::*;
use crate::rings::{DEFAULT_RING, RING_REGISTERS, RINGS};
use crate::settings::ShortFrames;
use crate::tbuf::Outgoing;
use crate::{Effect, GuestMemory, Moment};
use core::time::Duration;

/// From the doorbell to the descriptor and its data having been fetched.
const FETCH: Duration = Duration::from_micros(1);
/// Bytes of the transmit status block.
const STATUS_BLOCK: usize = 64;
/// The block's word with the checksum's place (Linux `struct status_64`).
const CHECKSUM_WORD: usize = 48;
const LONGEST_CHAIN: u16 = 64;

impl Genet {
    /// Takes note that there may be something to fetch: at once if TBUF takes it, else when the wire is free.
    pub(crate) fn doorbell(&mut self) {
        if self.transmitting.is_none() && !self.settings.faults.transmit_stuck && self.ring_to_send().is_some() {
            let room = self.tbuf.bytes() < self.settings.transmit_ahead;
            let from = if room { self.now } else { self.now.max(self.wire_free) };
            self.transmitting = Some(from.after(FETCH));
        }
    }

    /// What a doorbell (a PROD written) meets where the driver believes that the MAC sends.
    pub(crate) fn doorbell_in_reset(&self, offset: u32) -> Option<Reason> {
        let ring = offset.checked_sub(RING_REGISTERS)? / 0x40;
        let rung = offset & 0x3f == 0x0c && self.tdma.runs(ring as usize) && self.umac.set(CMD_TX_EN);
        (rung && self.umac.in_reset()).then_some(Reason::StillInReset { direction: Direction::Transmit })
    }

    fn ring_to_send(&self) -> Option<usize> {
        // TX_EN clear, or a MAC in reset: frames wait in the ring.
        if self.umac.transmits() { self.tdma.first_waiting() } else { None }
    }

    /// How many frames would not get out, were the transmitter switched off now. A descriptor counts as a frame.
    pub(crate) fn frames_to_send(&self) -> usize {
        if !self.umac.transmits() || self.settings.faults.transmit_stuck {
            return 0;
        }
        let in_rings: usize = (0..RINGS).map(|ring| usize::from(self.tdma.waiting(ring))).sum();
        in_rings + self.tbuf.len()
    }

    /// What a write has done to the `frames` that the transmitter still had to send before it. A reset empties TBUF; with TX_EN clear it keeps what it has.
    pub(crate) fn transmitter_cut(&mut self, frames: usize) -> Option<Reason> {
        if self.umac.in_reset() {
            self.tbuf.clear();
        }
        (frames != 0 && !self.umac.transmits()).then_some(Reason::TransmitterCut { frames })
    }

    /// One frame, its fetch being over.
    pub(crate) fn fetch_one(&mut self, memory: &mut dyn GuestMemory) {
        self.transmitting = None;
        let Some(ring) = self.ring_to_send() else { return };
        let frame = self.gather(ring, memory);
        if self.tdma.done(ring, self.now) {
            self.raise_ring(ring, Direction::Transmit);
        }
        match frame {
            Ok(frame) => self.tbuf.push(frame),
            Err(reason) => self.refuse(Access::Controller, reason),
        }
        self.feed_wire();
        self.doorbell();
    }

    /// When the next frame leaves TBUF.
    pub(crate) fn wire_due(&self) -> Option<Moment> {
        (!self.tbuf.is_empty() && self.umac.transmits()).then_some(self.wire_free)
    }

    /// The oldest frame of TBUF, if the wire is free for it.
    pub(crate) fn feed_wire(&mut self) {
        if self.wire_due().is_none_or(|due| due > self.now) {
            return;
        }
        let Some(frame) = self.tbuf.pop() else { return };
        let megabits = self.phy.mode().map_or(1000, |mode| mode.megabits);
        // Preamble, frame check sequence and gap are 24 bytes.
        let bits = (frame.bytes.len().max(frame::SHORTEST) + 24) as u64 * 8;
        self.wire_free = self.now.after(Duration::from_nanos(bits * 1000 / u64::from(megabits)));
        self.put_on_wire(frame);
    }

    /// Reads a frame's descriptors and data, and moves CONS past them.
    fn gather(&mut self, ring: usize, memory: &mut dyn GuestMemory) -> Result<Outgoing, Reason> {
        let mut bytes = Vec::new();
        let mut outcome = None;
        let mut head = None;
        let Some(state) = self.tdma.ring(ring) else { return Err(Reason::NoEndOfPacket { slot: 0 }) };
        let (mut index, produced) = (state.hardware, state.driver);
        let first_slot = state.slot(index);
        let mut complete = false;
        for _ in 0..LONGEST_CHAIN {
            if index == produced {
                break;
            }
            let slot = self.tdma.ring(ring).map_or(0, |r| r.slot(index));
            let descriptor = self.tdma.descriptor(slot);
            index = index.wrapping_add(1);
            let flags = descriptor.length_status & 0xffff;
            let length = (descriptor.length_status >> 16 & 0xfff) as usize;
            if head.is_none() {
                head = Some(flags);
                if flags & DESC_SOP == 0 {
                    outcome = Some(Reason::NoStartOfPacket { slot });
                }
            } else if flags & DESC_SOP != 0 {
                outcome = outcome.or(Some(Reason::NoEndOfPacket { slot: first_slot }));
            }
            if flags & TX_APPEND_CRC == 0 {
                outcome = outcome.or(Some(Reason::NoCrc { slot }));
            }
            let at = bytes.len();
            bytes.resize(at + length, 0);
            if let Some(part) = bytes.get_mut(at..)
                && memory.read(descriptor.address, part).is_err()
            {
                let direction = Direction::Transmit;
                outcome = outcome.or(Some(Reason::NoMemory { direction, slot, address: descriptor.address }));
            }
            if flags & DESC_EOP != 0 {
                complete = true;
                break;
            }
        }
        if let Some(state) = self.tdma.ring_mut(ring) {
            state.hardware = index;
        }
        if !complete {
            outcome = outcome.or(Some(Reason::NoEndOfPacket { slot: first_slot }));
        }
        match outcome {
            Some(reason) => Err(reason),
            None => Ok(Outgoing { bytes, flags: head.unwrap_or(0), slot: first_slot }),
        }
    }

    fn put_on_wire(&mut self, mut frame: Outgoing) {
        let slot = frame.slot;
        let block = self.plain(TBUF_CTRL) & TBUF_64B_EN != 0;
        let wants_sum = frame.flags & TX_DO_CSUM != 0;
        let sum_word = if block {
            let info = frame
                .bytes
                .get(CHECKSUM_WORD..CHECKSUM_WORD + 4)
                .and_then(|b| b.try_into().ok())
                .map_or(0, u32::from_le_bytes);
            frame.bytes.drain(..STATUS_BLOCK.min(frame.bytes.len()));
            info
        } else {
            0
        };
        let mut bytes = frame.bytes;
        let longest = self.umac.max_frame as usize + if frame::tagged(&bytes) { 4 } else { 0 };
        if bytes.len() < frame::HEADER || bytes.len() + frame::FCS > longest {
            return self.refuse(Access::Controller, Reason::FrameLength { slot, length: bytes.len() });
        }
        if wants_sum && fill_checksum(&mut bytes, sum_word).is_none() {
            return self.refuse(Access::Controller, Reason::Checksum { slot });
        }
        if bytes.len() < frame::SHORTEST {
            match self.settings.short_frames {
                ShortFrames::Refuse => {
                    return self.refuse(Access::Controller, Reason::Unpadded { slot, length: bytes.len() });
                }
                ShortFrames::Pad => bytes.resize(frame::SHORTEST, 0xa5),
            }
        }
        if self.umac.tx_flush & 1 != 0 {
            return self.refuse(Access::Controller, Reason::FlushLeftSet { direction: Direction::Transmit });
        }
        // Without a link the frame is gone, and nobody is to blame.
        let Some(link) = self.phy.mode() else { return };
        if let Some(reason) = self.transmit_obstacle(link) {
            if !self.stale_speed(reason) {
                self.refuse(Access::Controller, reason);
            }
            return;
        }
        if let Some(complaint) = self.umac.duplex_complaint(link) {
            self.refuse(Access::Controller, complaint);
        }
        let destination = Destination::of(frame::destination(&bytes));
        self.umac.mib.sent(bytes.len() + frame::FCS, destination);
        self.effects.push(Effect::Send(bytes));
    }

    fn transmit_obstacle(&self, link: Mode) -> Option<Reason> {
        let direction = Direction::Transmit;
        if let Some(reason) = self.umac.obstacle(direction, link).or_else(|| self.rgmii_obstacle(direction)) {
            return Some(reason);
        }
        let oob = self.plain(EXT_RGMII_OOB_CTRL);
        let (mac, phy) = (oob & ID_MODE_DIS == 0, self.phy.delays_transmit());
        if mac == phy || self.settings.faults.only_recipe_a && mac {
            return Some(Reason::TransmitDelay { mac, phy });
        }
        None
    }

    /// Tells the right interrupt controller of a finished buffer.
    pub(crate) fn raise_ring(&mut self, ring: usize, direction: Direction) {
        let (shift, done) = match direction {
            Direction::Transmit => (0, TX_DONE),
            Direction::Receive => (16, crate::interrupt::RX_DONE),
        };
        if ring == DEFAULT_RING {
            // MBDONE, PDONE and BDONE.
            self.intrl2[0].raise(done | done << 1 | done << 2);
        } else {
            self.intrl2[1].raise(1 << (ring + shift));
        }
    }
}

/// Puts the checksum where the status block's word says: bits 30:16 where the sum starts, 14:0 where it goes, 15 for UDP, 31 valid.
fn fill_checksum(bytes: &mut [u8], word: u32) -> Option<()> {
    let start = (word >> 16 & 0x7fff) as usize;
    let place = (word & 0x7fff) as usize;
    if word >> 31 == 0 || place < start {
        return None;
    }
    let mut checksum = !frame::sum(bytes.get(start..)?);
    if checksum == 0 && word & 0x8000 != 0 {
        checksum = 0xffff;
    }
    bytes.get_mut(place..place + 2)?.copy_from_slice(&checksum.to_be_bytes());
    Some(())
}
