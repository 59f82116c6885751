//! From the wire to memory: filters, what RBUF puts before a frame, the ring.

use crate::filter::Destination;
use crate::frame;
use crate::genet::Genet;
use crate::link::Mode;
use crate::rbuf::Buffered;
use crate::refusal::{Access, Direction, Reason};
use crate::registers::*;
use crate::rings::DEFAULT_RING;
use crate::statistics::Faults;
use crate::{GuestMemory, Moment};
use core::time::Duration;

/// Bytes of the receive status block.
const STATUS_BLOCK: usize = 64;
/// A driver that polls the PHY once a second cannot know of a new speed before.
const GRACE: Duration = Duration::from_secs(2);

/// Something wrong with a frame on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damage {
    /// Nothing.
    #[default]
    None,
    /// The frame check sequence does not fit.
    CheckSequence,
    /// The PHY signalled an error in mid-frame.
    SymbolError,
    /// RBUF ran over in mid-frame.
    Overrun,
    /// The frame does not end on a byte.
    Alignment,
}

impl Damage {
    fn flags(self) -> u32 {
        match self {
            Self::None => 0,
            Self::CheckSequence => RX_CRC_ERROR,
            Self::SymbolError => RX_ERROR,
            Self::Overrun => 0x01,
            Self::Alignment => 0x08 | RX_CRC_ERROR,
        }
    }
}

impl Genet {
    /// A frame from the wire, without its frame check sequence.
    pub(crate) fn arrive(&mut self, bytes: &[u8], damage: Damage, memory: &mut dyn GuestMemory) {
        let Some(link) = self.phy.mode() else { return };
        if !self.umac.set(CMD_RX_EN) || self.umac.in_reset() {
            return;
        }
        if let Some(reason) = self.receive_obstacle(link) {
            if self.now.since(self.phy.line().up_since()) > GRACE {
                self.refuse(Access::Controller, reason);
            }
            return;
        }
        let to = frame::destination(bytes);
        let destination = Destination::of(to);
        if !self.umac.passes(to) {
            self.umac.counters.filtered = self.umac.counters.filtered.wrapping_add(1);
            if destination == Destination::Broadcast {
                self.refuse(Access::Controller, Reason::BroadcastFiltered);
            }
            return;
        }
        let wire_length = bytes.len() + frame::FCS;
        let mut flags = damage.flags();
        if bytes.len() < frame::SHORTEST {
            self.umac.mib.received_runt(wire_length);
            if !self.umac.set(CMD_RUNT_FILTER_DIS) {
                return;
            }
            flags |= RX_ERROR;
        }
        let longest = self.umac.max_frame as usize + if frame::tagged(bytes) { 4 } else { 0 };
        if wire_length > longest {
            flags |= RX_LONG;
        }
        if flags != 0 && self.plain(RBUF_CTRL) & RBUF_BAD_DIS != 0 {
            self.umac.counters.errors = self.umac.counters.errors.wrapping_add(1);
            return;
        }
        let faults = Faults {
            check_sequence: flags & RX_CRC_ERROR != 0,
            alignment: damage == Damage::Alignment,
            code: damage == Damage::SymbolError,
            oversize: flags & RX_LONG != 0,
        };
        self.umac.mib.received(wire_length, destination, faults);
        flags |= match destination {
            Destination::Broadcast => RX_BROADCAST,
            Destination::Multicast => RX_MULTICAST,
            Destination::Unicast => 0,
        };
        if self.rbuf.flushing() {
            return self.refuse(Access::Controller, Reason::FlushLeftSet { direction: Direction::Receive });
        }
        let buffered = self.lay_out(bytes, flags);
        if !self.rbuf.push(buffered) {
            self.umac.counters.overflows = self.umac.counters.overflows.wrapping_add(1);
        }
        self.drain_rbuf(memory);
    }

    /// A frame as it lies in RBUF, and later in memory: status block, two bytes, frame, frame check sequence, each if asked for at this moment.
    pub(crate) fn lay_out(&mut self, frame: &[u8], flags: u32) -> Buffered {
        let control = self.plain(RBUF_CTRL);
        let block = control & RBUF_64B_EN != 0;
        let mut bytes = Vec::with_capacity(STATUS_BLOCK + 2 + frame.len() + frame::FCS);
        if block {
            bytes.resize(STATUS_BLOCK, 0);
        }
        if control & RBUF_ALIGN_2B != 0 {
            bytes.extend_from_slice(&(self.junk.word() as u16).to_ne_bytes());
        }
        let start = bytes.len();
        bytes.extend_from_slice(frame);
        let mut check = frame::check_sequence(frame);
        if flags & RX_CRC_ERROR != 0 {
            check[0] ^= 0xff;
        }
        bytes.extend_from_slice(&check);
        let length = if self.umac.set(CMD_CRC_FWD) { bytes.len() } else { bytes.len() - frame::FCS };
        if block {
            let sums = self.plain(RBUF_CHK_CTRL) & RBUF_RXCHK_EN != 0;
            let sum = if sums { frame::sum(frame.get(frame::HEADER..).unwrap_or(&[])) } else { 0 };
            let status = (length as u32) << 16 | flags | DESC_SOP | DESC_EOP;
            if let Some(word) = bytes.get_mut(0..4) {
                word.copy_from_slice(&status.to_le_bytes());
            }
            if let Some(word) = bytes.get_mut(8..12) {
                word.copy_from_slice(&u32::from(sum).to_le_bytes());
            }
        }
        Buffered { bytes, length, start, flags }
    }

    /// Moves what waits in RBUF to memory, as far as the DMA runs.
    pub(crate) fn drain_rbuf(&mut self, memory: &mut dyn GuestMemory) {
        while self.rdma.enabled() {
            let Some(ring) = self.rbuf.front().map(|buffered| self.ring_for(buffered.frame())) else { return };
            if !self.rdma.runs(ring) {
                return;
            }
            if let Some(buffered) = self.rbuf.pop() {
                self.store(ring, &buffered, memory);
            }
        }
    }

    fn ring_for(&self, frame: &[u8]) -> usize {
        self.ring_filter.matching(frame).map_or(DEFAULT_RING, |filter| self.rdma.ring_of_filter(filter))
    }

    /// From RBUF to the buffers of the next descriptors.
    fn store(&mut self, ring: usize, buffered: &Buffered, memory: &mut dyn GuestMemory) {
        let Buffered { bytes, length, .. } = buffered;
        let length = *length;
        let Some(state) = self.rdma.ring(ring) else { return };
        let buffer = state.buffer_length();
        let needed = length.div_ceil(buffer.max(1)) as u16;
        let room = state.size().saturating_sub(state.hardware.wrapping_sub(state.driver));
        let first = state.hardware;
        if needed > room {
            if let Some(state) = self.rdma.ring_mut(ring) {
                state.discards = state.discards.saturating_add(1);
            }
            return;
        }
        for part in 0..needed {
            let index = first.wrapping_add(part);
            let start = usize::from(part) * buffer;
            let end = (start + buffer).min(length);
            // The burst that ends the frame carries the frame check sequence too, whether it counts or not.
            let written = (start + buffer).min(bytes.len());
            let slot = self.rdma.ring(ring).map_or(0, |r| r.slot(index));
            let address = self.rdma.descriptor(slot).address;
            if let Some(data) = bytes.get(start..written)
                && memory.write(address, data).is_err()
            {
                self.refuse(Access::Controller, Reason::NoMemory { direction: Direction::Receive, slot, address });
            }
            let mut flags = buffered.flags;
            if part == 0 {
                flags |= DESC_SOP;
            }
            if part + 1 == needed {
                flags |= DESC_EOP;
            }
            self.rdma.set_status(slot, ((end - start) as u32) << 16 | flags);
        }
        if let Some(state) = self.rdma.ring_mut(ring) {
            state.hardware = first.wrapping_add(needed);
        }
        if self.rdma.done(ring, self.now) {
            self.raise_ring(ring, Direction::Receive);
        }
    }

    fn receive_obstacle(&self, link: Mode) -> Option<Reason> {
        let direction = Direction::Receive;
        self.umac
            .obstacle(direction, link)
            .or_else(|| self.rgmii_obstacle(direction))
            .or_else(|| (!self.phy.delays_receive()).then_some(Reason::ReceiveDelay))
    }

    /// What a frame meets between MAC and PHY, apart from the delays.
    pub(crate) fn rgmii_obstacle(&self, direction: Direction) -> Option<Reason> {
        let port = self.plain(SYS_PORT_CTRL);
        if port & PORT_MODE_MASK != PORT_MODE_EXT_GPHY {
            return Some(Reason::WrongPort { direction, value: port });
        }
        let oob = self.plain(EXT_RGMII_OOB_CTRL);
        let wanted = RGMII_MODE_EN | RGMII_LINK;
        (oob & (wanted | OOB_DISABLE) != wanted).then_some(Reason::RgmiiOff { direction, value: oob })
    }

    /// Whether a wrong speed is only the last link's, on a link so new that the driver cannot have looked at the PHY yet.
    pub(crate) fn stale_speed(&self, reason: Reason) -> bool {
        let line = self.phy.line();
        matches!(reason, Reason::WrongSpeed { programmed, .. } if line.previous().is_some_and(|mode| mode.megabits == programmed))
            && recent(self.now, line.up_since())
    }
}

fn recent(now: Moment, since: Moment) -> bool {
    now.since(since) <= GRACE
}
