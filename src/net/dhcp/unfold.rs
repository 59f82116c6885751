//! Answers of DHCP servers in the form that smoltcp reads: all options in the field of that name, a subnet mask among them.
//!
//! A server whose options find no room there puts the rest into the fields `file` and `sname` (RFC 2131, section 4.1; RFC 2132, section 9.3), where
//! smoltcp does not look. And no answer must have a mask (RFC 2131, table 3): BusyBox's udhcpd sends none unless it is told to. smoltcp takes
//! no address without one; other clients take the mask of the address's class, and so is it done here.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, UdpPacket};

use super::{BOOT_FILE_FIELD, CLIENT_PORT, OVERLOADS_FILE, OVERLOADS_SERVER_NAME, SERVER_NAME_FIELD, option};

/// Bytes before the options: the fields of BOOTP and the cookie (RFC 2131, section 3).
const OPTIONS: usize = 240;

/// Bytes of the longest frame without the frame check sequence.
const LONGEST_FRAME: usize = 1514;

const ETHERNET_HEADER: usize = 14;
const UDP_HEADER: usize = 8;

/// Whether `frame` holds a datagram for a DHCP client.
pub(in crate::net) fn is_answer(frame: &[u8]) -> bool {
    answer(frame).is_some()
}

/// The same frame with an answer that smoltcp reads as it is meant; `None` where it does so already, or where `frame` holds no answer.
pub(in crate::net) fn unfolded(frame: &[u8]) -> Option<Vec<u8>> {
    let (header, message) = answer(frame)?;
    let (fields, options) = message.split_at_checked(OPTIONS)?;
    let address: [u8; 4] = fields.get(16..20)?.try_into().ok()?;
    let (mut overload, mut others) = (0, Vec::new());
    gather(options, &mut overload, &mut others);
    let mut fields = Vec::from(fields);
    let areas = [(OVERLOADS_FILE, BOOT_FILE_FIELD), (OVERLOADS_SERVER_NAME, SERVER_NAME_FIELD)];
    let overloaded = overload;
    for (_, area) in areas.into_iter().filter(|(bit, _)| overloaded & bit != 0) {
        let field = fields.get_mut(area)?;
        gather(field, &mut overload, &mut others);
        field.fill(0);
    }
    let masked = has(&others, option::SUBNET_MASK) || address == [0; 4];
    if overloaded == 0 && masked {
        return None;
    }
    if !masked {
        others.extend_from_slice(&[option::SUBNET_MASK, 4]);
        others.extend_from_slice(&class_mask(address).octets());
    }
    let mut unfolded = Vec::from(frame.get(..header)?);
    unfolded.extend_from_slice(&fields);
    unfolded.extend_from_slice(&others);
    unfolded.push(option::END);
    (unfolded.len() <= LONGEST_FRAME).then(|| headed(unfolded, header)).flatten()
}

/// Bytes of the headers before a whole datagram for a DHCP client, and what it holds.
fn answer(frame: &[u8]) -> Option<(usize, &[u8])> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    let whole = !packet.more_frags() && packet.frag_offset() == 0;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 || packet.next_header() != IpProtocol::Udp || !whole {
        return None;
    }
    let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
    let ends = (IpAddress::Ipv4(packet.src_addr()), IpAddress::Ipv4(packet.dst_addr()));
    if datagram.dst_port() != CLIENT_PORT || !packet.verify_checksum() || !datagram.verify_checksum(&ends.0, &ends.1) {
        return None;
    }
    let header = ETHERNET_HEADER + usize::from(packet.header_len()) + UDP_HEADER;
    let length = usize::from(datagram.len()).checked_sub(UDP_HEADER)?;
    Some((header, frame.get(header..header.checked_add(length)?)?))
}

/// Adds the options of `area`, whole, to `others`, and takes the one that says which other areas there are. What is cut short is left out.
fn gather(area: &[u8], overload: &mut u8, others: &mut Vec<u8>) {
    let mut rest = area;
    while let [kind, after @ ..] = rest {
        match (*kind, after) {
            (option::END, _) => return,
            (option::PAD, _) => rest = after,
            (kind, [length, after @ ..]) => {
                let Some((value, after)) = after.split_at_checked(usize::from(*length)) else { return };
                match value {
                    [value] if kind == option::OVERLOAD => *overload = *value,
                    _ => {
                        others.extend_from_slice(&[kind, *length]);
                        others.extend_from_slice(value);
                    }
                }
                rest = after;
            }
            _ => return,
        }
    }
}

/// Whether `options`, all whole, have one of this kind.
fn has(mut options: &[u8], wanted: u8) -> bool {
    while let [kind, length, rest @ ..] = options {
        if *kind == wanted {
            return true;
        }
        options = rest.get(usize::from(*length)..).unwrap_or_default();
    }
    false
}

/// The mask of an address's class (RFC 791, section 2.3).
fn class_mask(address: [u8; 4]) -> Ipv4Addr {
    match address[0] {
        0..128 => Ipv4Addr::new(255, 0, 0, 0),
        128..192 => Ipv4Addr::new(255, 255, 0, 0),
        192.. => Ipv4Addr::new(255, 255, 255, 0),
    }
}

/// `frame`, with the lengths and sums of what it holds now behind its `header`.
fn headed(mut frame: Vec<u8>, header: usize) -> Option<Vec<u8>> {
    let total = u16::try_from(frame.len().checked_sub(ETHERNET_HEADER)?).ok()?;
    let datagram = frame.len().checked_sub(header)?.checked_add(UDP_HEADER)?;
    let mut packet = Ipv4Packet::new_unchecked(frame.get_mut(ETHERNET_HEADER..)?);
    packet.set_total_len(total);
    packet.fill_checksum();
    let mut segment = UdpPacket::new_unchecked(frame.get_mut(header.checked_sub(UDP_HEADER)?..)?);
    segment.set_len(u16::try_from(datagram).ok()?);
    // None: it was looked at in the datagram that came.
    segment.set_checksum(0);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;
    use smoltcp::wire::{DhcpPacket, DhcpRepr};

    const MASK: &[u8] = &[1, 4, 255, 255, 255, 0];
    const ANSWER: &[u8] = &[53, 1, 5, 54, 4, 10, 0, 0, 1];

    /// An answer in a frame: `file` and `sname` as given, and the pieces of `options`.
    fn frame(address: [u8; 4], file: &[u8], sname: &[u8], options: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![0; OPTIONS];
        message[..4].copy_from_slice(&[2, 1, 6, 0]);
        message[16..20].copy_from_slice(&address);
        message[BOOT_FILE_FIELD][..file.len()].copy_from_slice(file);
        message[SERVER_NAME_FIELD][..sname.len()].copy_from_slice(sname);
        message[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        message.extend(options.concat());
        message.push(option::END);
        let mut frame = vec![0; 42];
        frame.extend(message);
        EthernetFrame::new_unchecked(&mut frame[..]).set_ethertype(EthernetProtocol::Ipv4);
        let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
        packet.set_version(4);
        packet.set_header_len(20);
        packet.set_next_header(IpProtocol::Udp);
        packet.set_src_addr(Ipv4Addr::new(10, 0, 0, 1));
        packet.set_dst_addr(Ipv4Addr::BROADCAST);
        UdpPacket::new_unchecked(&mut frame[34..]).set_dst_port(CLIENT_PORT);
        headed(frame, 42).unwrap()
    }

    /// What smoltcp reads of a frame: mask, boot file (option 67), server (option 66), and whether `file` and `sname` are empty.
    fn read(frame: &[u8]) -> (Option<Ipv4Addr>, Vec<u8>, Vec<u8>, bool) {
        let (header, message) = answer(frame).unwrap();
        assert!(header == 42 && Ipv4Packet::new_checked(&frame[14..]).unwrap().verify_checksum());
        let packet = DhcpPacket::new_checked(message).unwrap();
        let value =
            |kind| packet.options().find(|found| found.kind == kind).map_or(Vec::new(), |found| found.data.into());
        let empty = message[44..236].iter().all(|byte| *byte == 0);
        assert!(packet.options().all(|found| found.kind != option::OVERLOAD));
        (DhcpRepr::parse(&packet).unwrap().subnet_mask, value(67), value(66), empty)
    }

    #[test]
    fn an_answer_that_smoltcp_reads_is_left_alone() {
        assert_eq!(unfolded(&frame([10, 0, 0, 7], b"xen", b"server", &[ANSWER, MASK])), None);
        assert_eq!(
            unfolded(&frame([0; 4], b"", b"", &[&[53, 1, 6, 54, 4, 10, 0, 0, 1]])),
            None,
            "a refusal has no address"
        );
    }

    #[test]
    fn options_in_other_fields_are_found() {
        let (file, sname) = (b"\x43\x08xen.toml\xff junk", b"\x42\x0810.0.0.9\xff");
        let whole = Some(Ipv4Addr::new(255, 255, 255, 0));
        let both = unfolded(&frame([10, 0, 0, 7], file, sname, &[ANSWER, MASK, &[52, 1, 3]])).unwrap();
        assert_eq!(read(&both), (whole, b"xen.toml".to_vec(), b"10.0.0.9".to_vec(), true));
        let one = unfolded(&frame([10, 0, 0, 7], file, b"server", &[ANSWER, &[52, 1, 1], MASK])).unwrap();
        assert_eq!(read(&one), (whole, b"xen.toml".to_vec(), b"".to_vec(), false));
        assert_eq!(one[42..][SERVER_NAME_FIELD][..6], *b"server");
        let mask = unfolded(&frame([10, 0, 0, 7], b"", &[MASK, &[255]].concat(), &[ANSWER, &[52, 1, 2]])).unwrap();
        assert_eq!(read(&mask).0, whole);
    }

    #[test]
    fn an_answer_without_a_mask_gets_that_of_its_class() {
        for (address, mask) in [
            ([10, 0, 0, 7], [255, 0, 0, 0]),
            ([127, 255, 0, 7], [255, 0, 0, 0]),
            ([172, 16, 0, 7], [255, 255, 0, 0]),
            ([192, 168, 1, 7], [255, 255, 255, 0]),
        ] {
            let frame = unfolded(&frame(address, b"xen", b"", &[ANSWER])).unwrap();
            assert_eq!(read(&frame), (Some(mask.into()), b"".to_vec(), b"".to_vec(), false), "{address:?}");
        }
    }

    #[test]
    fn what_was_damaged_or_is_for_somebody_else_is_left_alone() {
        let right = frame([10, 0, 0, 7], b"", b"", &[ANSWER]);
        assert!(unfolded(&right).is_some());
        for at in [12, 14, 23, 20, 26, 37, 39] {
            let mut wrong = right.clone();
            wrong[at] ^= 0x21;
            assert_eq!(unfolded(&wrong), None, "byte {at}");
        }
        let mut summed = right.clone();
        UdpPacket::new_unchecked(&mut summed[34..])
            .fill_checksum(&IpAddress::v4(10, 0, 0, 1), &IpAddress::v4(255, 255, 255, 255));
        assert!(unfolded(&summed).is_some());
        summed[60] ^= 1;
        assert_eq!(unfolded(&summed), None);
        let room = [option::HOST_NAME, 250].into_iter().chain([7; 250]).collect::<Vec<u8>>();
        let long: Vec<&[u8]> = (0..4).map(|_| &room[..]).chain([ANSWER, &[7, 210], &[7; 210]]).collect();
        assert!(unfolded(&frame([10, 0, 0, 7], b"", b"", &long)).is_none(), "no frame has room for the mask");
    }

    proptest! {
        #[test]
        fn any_answer_stays_one_that_smoltcp_reads_or_refuses(
            options in proptest::collection::vec(any::<u8>(), 0..300),
            file in proptest::collection::vec(any::<u8>(), 128),
            overload in 0_u8..4,
            cut in 0_usize..600,
        ) {
            let mut frame = frame([10, 0, 0, 7], &file, &file[..64], &[&[52, 1, overload], &options]);
            if let Some(frame) = unfolded(&frame) {
                let (_, message) = answer(&frame).unwrap();
                let packet = DhcpPacket::new_checked(message).unwrap();
                prop_assert!(packet.options().any(|found| found.kind == option::SUBNET_MASK));
                let _ = DhcpRepr::parse(&packet);
            }
            frame.truncate(cut);
            let _ = unfolded(&frame);
        }
    }
}
