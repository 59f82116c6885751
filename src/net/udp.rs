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
const HEADERS: usize = ETHERNET_HEADER + IP_HEADER + UDP_HEADER;
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

/// Where datagrams go, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The own station address (MAC) and the one of the next hop.
    pub stations: ([u8; 6], [u8; 6]),
    /// The own address.
    pub from: Ipv4Addr,
    /// The other end's.
    pub to: Ipv4Addr,
}

/// The headers of all datagrams of one length that go one route. One acknowledgement differs from the next in ports, payload and sum alone, so
/// the rest is put together once.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    to: Ipv4Addr,
    /// Bytes of payload.
    length: usize,
    bytes: [u8; HEADERS],
    /// The sum of all that a datagram's sum covers, but for ports and payload.
    sum: u16,
}

impl Headers {
    /// For payloads of `length` bytes, which must fit into a frame.
    pub fn new(route: Route, length: usize) -> Self {
        let (own, next_hop) = route.stations;
        let segment_length = (UDP_HEADER + length) as u16;
        let mut bytes = [0; HEADERS];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        frame.set_dst_addr(EthernetAddress(next_hop));
        frame.set_src_addr(EthernetAddress(own));
        frame.set_ethertype(EthernetProtocol::Ipv4);
        let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
        packet.set_version(4);
        packet.set_header_len(IP_HEADER as u8);
        packet.set_total_len(IP_HEADER as u16 + segment_length);
        packet.set_dont_frag(true);
        packet.set_hop_limit(TIME_TO_LIVE);
        packet.set_next_header(IpProtocol::Udp);
        packet.set_src_addr(route.from);
        packet.set_dst_addr(route.to);
        let packet = packet.into_inner();
        if let Some((header, segment)) = packet.split_at_mut_checked(IP_HEADER) {
            let sum = !ones_complement_sum(0, header);
            Ipv4Packet::new_unchecked(header).set_checksum(sum);
            UdpPacket::new_unchecked(segment).set_len(segment_length);
        }
        let sum = add(pseudo_header(route.from, route.to, segment_length), segment_length);
        Self { to: route.to, length, bytes, sum }
    }

    /// Whether these are the headers of a payload of `length` bytes for `to`.
    #[inline]
    pub fn fit(&self, to: Ipv4Addr, length: usize) -> bool {
        self.to == to && self.length == length
    }

    /// Queues a datagram between these two ports; false where there is no room for its frame.
    pub fn send(&self, sender: &mut impl FrameSender, from: u16, to: u16, payload: &[u8]) -> bool {
        sender.send(HEADERS + payload.len(), |frame| self.write(frame, from, to, payload)).is_some()
    }

    #[inline]
    fn write(&self, frame: &mut [u8], from: u16, to: u16, payload: &[u8]) {
        let Some((headers, rest)) = frame.split_first_chunk_mut::<HEADERS>() else { return };
        copy(headers, &self.bytes);
        copy(rest, payload);
        let sum = !ones_complement_sum(add(add(self.sum, from), to), payload);
        // 0 would say that there is no sum; 0xffff is the same number to those who check (RFC 768).
        let sum = if sum == 0 { u16::MAX } else { sum };
        let [.., from_high, from_low, to_high, to_low, _, _, sum_high, sum_low] = headers;
        [*from_high, *from_low] = from.to_be_bytes();
        [*to_high, *to_low] = to.to_be_bytes();
        [*sum_high, *sum_low] = sum.to_be_bytes();
    }
}

/// The ones' complement sum of two words.
#[inline]
fn add(one: u16, other: u16) -> u16 {
    let (sum, carry) = one.overflowing_add(other);
    sum + u16::from(carry)
}

/// The sum of what a datagram's sum covers besides itself.
#[inline]
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
        let headers = Headers::new(Route { stations: (OTHER, OWN), from: *FROM.ip(), to: *TO.ip() }, payload.len());
        assert!(headers.fit(*TO.ip(), payload.len()));
        // The second time with what is left of the first.
        for port in [1, FROM.port()] {
            assert!(headers.send(&mut sender, port, TO.port(), payload));
        }
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
            // The sender's station is not covered by any sum but the frame's own.
            let untold = (6..12).contains(&at);
            // A sum of which the change makes 0 is one that was left out: the datagram is still the right one.
            let left_out = wrong[ETHERNET_HEADER + IP_HEADER + 6..][..2] == [0, 0];
            let taken = ours(&wrong);
            prop_assert!(untold || taken.is_none() || left_out && taken == ours(&right), "byte {at}");
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
    fn headers_fit_one_machine_and_one_length() {
        let headers = Headers::new(Route { stations: (OTHER, OWN), from: *FROM.ip(), to: *TO.ip() }, 4);
        assert!(!headers.fit(*FROM.ip(), 4) && !headers.fit(*TO.ip(), 5));
    }

    #[test]
    fn a_sum_that_damage_makes_zero_counts_as_left_out() {
        const SUM: usize = ETHERNET_HEADER + IP_HEADER + 6;
        let frames = (0..=u16::MAX).map(|number| frame(&number.to_be_bytes()));
        let mut wrong = frames.into_iter().find(|frame| frame[SUM] == 0).unwrap();
        let right = wrong.clone();
        wrong[SUM + 1] = 0;
        assert!(right != wrong && ours(&right).is_some());
        assert_eq!(ours(&wrong), ours(&right));
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
