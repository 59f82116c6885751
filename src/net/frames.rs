//! The controller as smoltcp wants to see it: a device that hands out tokens for frames.

use super::device::{EthernetController, FrameReceiver, FrameSender};
use super::dhcp;
use crate::arch::bytes::{copy, ones_complement_sum};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet};

/// Bytes of the longest frame without a VLAN tag and without the frame check sequence.
const LONGEST_FRAME: usize = 1514;

/// What went by that smoltcp does not tell. Looking costs time, so it is done only while an address or a lease is awaited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// The neighbour whose ARP packet is awaited.
    pub awaited: Option<Ipv4Addr>,
    /// The station that sent it, once it came.
    pub seen: Option<[u8; 6]>,
    /// Whether answers from DHCP servers are counted, and how many came.
    pub dhcp: bool,
    pub dhcp_answers: u32,
}

impl Watch {
    fn look_at(&mut self, bytes: &[u8]) {
        if self.awaited.is_none() && !self.dhcp {
            return;
        }
        let Ok(frame) = EthernetFrame::new_checked(bytes) else { return };
        match frame.ethertype() {
            EthernetProtocol::Arp => {
                let Ok(packet) = ArpPacket::new_checked(frame.payload()) else { return };
                if let Ok(ArpRepr::EthernetIpv4 { source_protocol_addr, source_hardware_addr, .. }) =
                    ArpRepr::parse(&packet)
                    && self.awaited == Some(source_protocol_addr)
                    && source_hardware_addr.is_unicast()
                {
                    self.seen = Some(source_hardware_addr.0);
                }
            }
            EthernetProtocol::Ipv4 if self.dhcp && dhcp::is_answer(bytes) => {
                self.dhcp_answers = self.dhcp_answers.saturating_add(1);
            }
            _ => {}
        }
    }
}

/// A controller, borrowed for one call into smoltcp.
pub(super) struct Frames<'a, C> {
    pub controller: &'a mut C,
    /// Where a frame is put together before it is queued.
    pub scratch: &'a mut Vec<u8>,
    pub watch: &'a mut Watch,
    /// Whether the link is up: without it nothing is sent, so that protocols send at once when it comes.
    pub link_up: bool,
}

impl<C: EthernetController> Device for Frames<'_, C> {
    type RxToken<'t>
        = Received<'t, C::Receiver>
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t, C::Sender>
    where
        Self: 't;

    fn receive(&mut self, _now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let (receiver, sender) = self.controller.halves();
        let frame = receiver.frame()?;
        if is_damaged_segment(frame) {
            receiver.release();
            return None;
        }
        self.watch.look_at(frame);
        let rewritten = if self.watch.dhcp { dhcp::unfolded(frame) } else { None };
        Some((Received { receiver, rewritten }, Outgoing { sender, scratch: self.scratch }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Self::TxToken<'_>> {
        let (_, sender) = self.controller.halves();
        (self.link_up && sender.ready()).then_some(Outgoing { sender, scratch: self.scratch })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // Checksums stay with smoltcp in both directions, but for those of received TCP segments, which are many and long: they were looked
        // at before smoltcp sees them.
        let mut capabilities = DeviceCapabilities::default();
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST_FRAME;
        capabilities
    }
}

/// Whether a frame is a TCP segment that was changed on its way: its sum over header, data and the addresses (RFC 9293, section 3.1) is wrong.
/// smoltcp would sum it some words at a time, with loads of single bytes.
fn is_damaged_segment(frame: &[u8]) -> bool {
    let Ok(frame) = EthernetFrame::new_checked(frame) else { return false };
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return false;
    }
    let Ok(packet) = Ipv4Packet::new_checked(frame.payload()) else { return false };
    if packet.next_header() != IpProtocol::Tcp {
        return false;
    }
    let segment = packet.payload();
    let addresses = frame.payload().get(12..20).unwrap_or_default();
    // A frame's length has 11 bits.
    let sum = (segment.len() as u16).wrapping_add(u16::from(u8::from(IpProtocol::Tcp)));
    ones_complement_sum(ones_complement_sum(sum, addresses), segment) != u16::MAX
}

/// The oldest received frame.
pub(super) struct Received<'t, R> {
    receiver: &'t mut R,
    /// What smoltcp is to read instead.
    rewritten: Option<Vec<u8>>,
}

impl<R: FrameReceiver> RxToken for Received<'_, R> {
    fn consume<T, F: FnOnce(&[u8]) -> T>(self, read: F) -> T {
        let result = match &self.rewritten {
            Some(frame) => read(frame),
            None => read(self.receiver.frame().unwrap_or_default()),
        };
        self.receiver.release();
        result
    }
}

/// Room for a frame to send.
pub(super) struct Outgoing<'t, S> {
    sender: &'t mut S,
    scratch: &'t mut Vec<u8>,
}

impl<S: FrameSender> TxToken for Outgoing<'_, S> {
    /// What is sent here is short (acknowledgements, requests), so it is put together aside and copied: an answer to a received
    /// frame must be made even where the queue has no room for it. Then it is lost, as any frame may be.
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, write: F) -> T {
        self.scratch.clear();
        self.scratch.resize(length, 0);
        let result = write(self.scratch);
        let frame = &self.scratch[..];
        if self.sender.send(length, |buffer| copy(buffer, frame)).is_none() {
            log::debug!("net: no room to send a frame of {length} bytes");
        }
        result
    }
}
