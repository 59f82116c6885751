//! ICMP echo (RFC 792): whether a host answers at all.

use super::Interface;
use crate::net::device::EthernetController;
use alloc::vec;
use core::net::Ipv4Addr;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp::{Endpoint, PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpAddress};

/// What a request carries, as long as that of other programs.
const DATA: [u8; 56] = [0x58; 56];

/// Bytes of a request with its header.
const PACKET: usize = 8 + DATA.len();

/// An end for echoes that is open; give it back with [`Interface::close_echo`].
#[derive(Debug)]
pub struct Echo {
    handle: SocketHandle,
}

impl<C: EthernetController> Interface<C> {
    /// Opens an end for echoes.
    pub fn open_echo(&mut self, identifier: u16) -> Echo {
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 2], vec![0; 2 * PACKET]);
        let mut socket = Socket::new(buffer(), buffer());
        if let Err(error) = socket.bind(Endpoint::Ident(identifier)) {
            // Cannot be: the socket is new.
            log::error!("net: echo {identifier}: {error:?}");
        }
        Echo { handle: self.sockets.add(socket) }
    }

    /// Closes an end.
    pub fn close_echo(&mut self, echo: Echo) {
        self.sockets.remove(echo.handle);
    }

    /// Queues a request to `to`, whose next hop must be known to answer.
    pub fn send_echo(&mut self, echo: &Echo, to: Ipv4Addr, identifier: u16, sequence: u16) {
        let request = Icmpv4Repr::EchoRequest { ident: identifier, seq_no: sequence, data: &DATA };
        let mut bytes = [0; PACKET];
        request.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes[..]), &ChecksumCapabilities::default());
        let socket = self.sockets.get_mut::<Socket<'_>>(echo.handle);
        if let Err(error) = socket.send_slice(&bytes, IpAddress::Ipv4(to)) {
            log::debug!("net: an echo request to {to} is lost: {error:?}");
        }
    }

    /// Whether an answer of `from` has come to `echo`.
    pub fn echoed(&mut self, echo: &Echo, from: Ipv4Addr) -> bool {
        let socket = self.sockets.get_mut::<Socket<'_>>(echo.handle);
        while let Ok((bytes, sender)) = socket.recv() {
            let Ok(packet) = Icmpv4Packet::new_checked(bytes) else { continue };
            let answer = Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default());
            if sender == IpAddress::Ipv4(from) && matches!(answer, Ok(Icmpv4Repr::EchoReply { .. })) {
                return true;
            }
        }
        false
    }
}
