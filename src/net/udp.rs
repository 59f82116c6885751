//! Datagrams of transfers: UDP over IPv4 over Ethernet (RFC 768, RFC 791), taken from where the controller put them and made where it
//! takes them.
//!
//! smoltcp's sockets would do the same at the cost of two copies of each block and a sum that goes byte by byte. Here a block is summed
//! once, where it lies, and copied once, to where it belongs. Whatever is not a whole datagram without fault for an open port is left
//! to smoltcp: broadcasts, fragments, wrong sums, ICMP, ARP.

use super::device::FrameSender;
use crate::arch::bytes::{copy, ones_complement_sum};
use core::net::{Ipv4Addr, SocketAddrV4};
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};

const ETHERNET_HEADER: usize = 14;
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// As smoltcp and most systems have it (RFC 1700).
const TIME_TO_LIVE: u8 = 64;

/// A received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'f> {
    /// Who sent it.
    pub from: SocketAddrV4,
    /// The port that it is for.
    pub port: u16,
    /// What it says.
    pub payload: &'f [u8],
}

/// The datagram for the station `station` with the address `address` in `frame`, if that is what it is and all its sums are right.
pub fn parse(frame: &[u8], station: [u8; 6], address: Ipv4Addr) -> Option<Datagram<'_>> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 || frame.dst_addr() != EthernetAddress(station) {
        return None;
    }
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let whole = !packet.more_frags() && packet.frag_offset() == 0;
    let ours = packet.version() == 4 && packet.next_header() == IpProtocol::Udp && packet.dst_addr() == address;
    let header = frame.payload().get(..usize::from(packet.header_len())).unwrap_or_default();
    if !whole || !ours || ones_complement_sum(0, header) != u16::MAX {
        return None;
    }
    let source = packet.src_addr();
    let segment = UdpPacket::new_checked(packet.payload()).ok()?;
    let bytes = packet.payload().get(..usize::from(segment.len()))?;
    // A sender that did not sum says 0 (RFC 768).
    if segment.checksum() != 0 && ones_complement_sum(pseudo_header(source, address, segment.len()), bytes) != u16::MAX
    {
        return None;
    }
    let from = SocketAddrV4::new(source, segment.src_port());
    Some(Datagram { from, port: segment.dst_port(), payload: bytes.get(UDP_HEADER..)? })
}

/// Where a datagram goes, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The own station address (MAC) and the one of the next hop.
    pub stations: ([u8; 6], [u8; 6]),
    /// The own end.
    pub from: SocketAddrV4,
    /// The other end.
    pub to: SocketAddrV4,
}

/// Queues a datagram; false where there is no room for its frame.
pub fn send(sender: &mut impl FrameSender, route: Route, payload: &[u8]) -> bool {
    let length = ETHERNET_HEADER + IP_HEADER + UDP_HEADER + payload.len();
    sender.send(length, |frame| write(frame, route, payload)).is_some()
}

fn write(frame: &mut [u8], route: Route, payload: &[u8]) {
    let (own, next_hop) = route.stations;
    let (source, destination) = (*route.from.ip(), *route.to.ip());
    // A frame that was given out is no longer than Ethernet's, so the lengths fit.
    let segment_length = (UDP_HEADER + payload.len()) as u16;
    let mut frame = EthernetFrame::new_unchecked(frame);
    frame.set_dst_addr(EthernetAddress(next_hop));
    frame.set_src_addr(EthernetAddress(own));
    frame.set_ethertype(EthernetProtocol::Ipv4);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    packet.set_version(4);
    packet.set_header_len(IP_HEADER as u8);
    packet.set_dscp(0);
    packet.set_ecn(0);
    packet.set_total_len(IP_HEADER as u16 + segment_length);
    packet.set_ident(0);
    packet.clear_flags();
    packet.set_dont_frag(true);
    packet.set_more_frags(false);
    packet.set_frag_offset(0);
    packet.set_hop_limit(TIME_TO_LIVE);
    packet.set_next_header(IpProtocol::Udp);
    packet.set_src_addr(source);
    packet.set_dst_addr(destination);
    packet.set_checksum(0);
    let packet = packet.into_inner();
    let Some((header, bytes)) = packet.split_at_mut_checked(IP_HEADER) else { return };
    let sum = !ones_complement_sum(0, header);
    Ipv4Packet::new_unchecked(header).set_checksum(sum);
    let mut segment = UdpPacket::new_unchecked(&mut *bytes);
    segment.set_src_port(route.from.port());
    segment.set_dst_port(route.to.port());
    segment.set_len(segment_length);
    segment.set_checksum(0);
    copy(segment.payload_mut(), payload);
    let sum = !ones_complement_sum(pseudo_header(source, destination, segment_length), bytes);
    // 0 would say that there is no sum; 0xffff is the same number to those who check (RFC 768).
    UdpPacket::new_unchecked(bytes).set_checksum(if sum == 0 { u16::MAX } else { sum });
}

/// The sum of what a datagram's sum covers besides itself.
fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, length: u16) -> u16 {
    let halves = |address: Ipv4Addr| (address.to_bits() >> 16) + (address.to_bits() & 0xffff);
    let sum = halves(source) + halves(destination) + u32::from(u8::from(IpProtocol::Udp)) + u32::from(length);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{IpAddress, Ipv4Repr, UdpRepr};

    const OWN: [u8; 6] = [0xdc, 0xa6, 0x32, 1, 2, 3];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 40_000);
    const TO: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 15), 50_000);

    /// Keeps one frame.
    #[derive(Default)]
    struct One(Vec<u8>);

    impl FrameSender for One {
        fn ready(&mut self) -> bool {
            true
        }
        fn send<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
            self.0 = vec![0xa5; length];
            (length <= 1514).then(|| fill(&mut self.0))
        }
    }

    /// A frame from `FROM` to `TO`.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut sender = One::default();
        assert!(send(&mut sender, Route { stations: (OTHER, OWN), from: FROM, to: TO }, payload));
        sender.0
    }

    fn ours(frame: &[u8]) -> Option<Datagram<'_>> {
        parse(frame, OWN, *TO.ip())
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_smoltcp_understands_and_what_is_received(
            payload in proptest::collection::vec(any::<u8>(), 0..1473),
        ) {
            let frame = frame(&payload);
            prop_assert_eq!(ours(&frame), Some(Datagram { from: FROM, port: TO.port(), payload: &payload }));
            let ethernet = EthernetFrame::new_checked(&frame[..]).unwrap();
            let packet = Ipv4Packet::new_checked(ethernet.payload()).unwrap();
            let sums = ChecksumCapabilities::default();
            prop_assert!(Ipv4Repr::parse(&packet, &sums).is_ok());
            let segment = UdpPacket::new_checked(packet.payload()).unwrap();
            let (source, destination) = (IpAddress::Ipv4(packet.src_addr()), IpAddress::Ipv4(packet.dst_addr()));
            prop_assert!(UdpRepr::parse(&segment, &source, &destination, &sums).is_ok());
            prop_assert_ne!(segment.checksum(), 0);
            prop_assert_eq!(segment.payload(), &payload[..]);
        }

        #[test]
        fn a_frame_with_a_changed_byte_is_never_taken_for_something_else(
            payload in proptest::collection::vec(any::<u8>(), 1..200), at: proptest::sample::Index, change in 1_u8..,
        ) {
            let right = frame(&payload);
            let mut wrong = right.clone();
            let at = at.index(wrong.len());
            wrong[at] ^= change;
            // The sender's station is not covered by any sum but the frame's own; nor is UDP's sum where it is turned off.
            let untold = (6..12).contains(&at);
            prop_assert!(untold || ours(&wrong).is_none(), "byte {at}");
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = ours(&bytes);
            let mut frame = frame(b"x");
            frame.truncate(14);
            frame.extend_from_slice(&bytes);
            let _ = ours(&frame);
        }
    }

    #[test]
    fn padding_behind_a_short_datagram_is_not_part_of_it() {
        let mut frame = frame(b"abc");
        frame.resize(60, 0x77);
        assert_eq!(ours(&frame).map(|datagram| datagram.payload), Some(&b"abc"[..]));
    }

    #[test]
    fn a_sender_may_leave_the_sum_out() {
        let mut frame = frame(b"abc");
        frame[ETHERNET_HEADER + IP_HEADER + 6..][..2].fill(0);
        assert_eq!(ours(&frame).map(|datagram| datagram.payload), Some(&b"abc"[..]));
    }

    #[test]
    fn what_is_for_somebody_else_is_left_alone() {
        let frame = frame(b"abc");
        assert_eq!(parse(&frame, OTHER, *TO.ip()), None);
        assert_eq!(parse(&frame, OWN, *FROM.ip()), None);
    }
}
