//! The board's end of the network: one Ethernet controller, one IPv4 address, UDP ports, TCP connections. smoltcp underneath.
//!
//! Three things are done here because smoltcp does them in a way that does not suit a loader:
//!
//! * **ARP.** smoltcp repeats a request after one second, and a switch port often drops the first frames after link-up.
//!   [`Interface::ask`] sends requests as often as its caller wants; smoltcp learns from the answer as from any other.
//! * **Datagrams.** Its sockets copy each block twice and sum it byte by byte, and a datagram whose next hop does not answer holds back
//!   all that follow. So those of transfers do not go through it (`udp`); it has ARP, ICMP, DHCP, and the connections of HTTP.
//! * **DHCP retries.** A new transaction starts with every DISCOVER, so an answer that takes longer than the retry interval
//!   (servers probe an address for up to three seconds before they offer it) would never fit. The interval grows.
//!
//! Received frames are taken one at a time and what they bring is handed on before the next is looked at: the controller's ring is
//! what holds a window of blocks.

mod connection;
mod echo;

pub use connection::{Connection, ConnectionState};

use super::device::{Counters, EthernetController, FrameReceiver, FrameSender, Link};
use super::dhcp::{self, Lease};
use super::frames::{Frames, Watch};
use super::udp::{self, Datagram, Headers, Route};
use crate::arch::bytes::copy;
use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};
use smoltcp::iface::{Config, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Ipv4Cidr};

/// The first of the ports that are free for anybody's use (RFC 6335, section 6).
const FIRST_PORT: u16 = 49152;

/// An ARP request or answer in an Ethernet frame.
const ARP_FRAME: usize = 14 + 28;

/// The DHCP client, which smoltcp runs as long as it is in the set of sockets.
#[derive(Debug)]
enum Dhcp {
    Running { handle: SocketHandle, since: Instant },
    Parked(Box<dhcpv4::Socket<'static>>),
}

/// A received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'f> {
    /// A whole datagram for this interface.
    Datagram(Datagram<'f>),
    /// Anything else: smoltcp knows.
    Other,
}

/// One controller with its IPv4 address.
pub struct Interface<C: EthernetController> {
    controller: C,
    stack: smoltcp::iface::Interface,
    sockets: SocketSet<'static>,
    dhcp: Dhcp,
    link: Link,
    address: Option<Ipv4Cidr>,
    gateway: Option<Ipv4Addr>,
    /// Next hops that have answered, with their stations.
    neighbors: Vec<(Ipv4Addr, [u8; 6])>,
    /// Those of the last datagram that was sent, as long as address and neighbours are the same.
    headers: Option<Headers>,
    watch: Watch,
    scratch: Vec<u8>,
    next_port: u16,
}

impl<C: EthernetController> Interface<C> {
    /// An interface over `controller`, without address yet. `seed` should differ from boot to boot: transaction numbers and
    /// ports come from it.
    ///
    /// # Errors
    /// [`Error::Station`] where the controller's address is not one that a station can have.
    pub fn new(mut controller: C, now: Instant, seed: u64) -> Result<Self, Error> {
        let station = controller.address();
        let hardware = EthernetAddress(station);
        if !hardware.is_unicast() || station == [0; 6] {
            return Err(Error::Station(station));
        }
        let mut config = Config::new(hardware.into());
        config.random_seed = seed;
        let (mut scratch, mut watch) = (Vec::new(), Watch::default());
        let mut frames =
            Frames { controller: &mut controller, scratch: &mut scratch, watch: &mut watch, link_up: false };
        let stack = smoltcp::iface::Interface::new(config, &mut frames, instant(now));
        Ok(Self {
            controller,
            stack,
            sockets: SocketSet::new(Vec::new()),
            dhcp: Dhcp::Parked(Box::new(dhcp::socket())),
            link: Link::Down,
            address: None,
            gateway: None,
            neighbors: Vec::new(),
            headers: None,
            watch,
            scratch,
            next_port: first_port(seed),
        })
    }

    /// Looks at the link. Cheap: the controller limits how often it asks the PHY.
    pub fn poll_link(&mut self, now: Instant) -> Link {
        self.link = self.controller.poll_link(now);
        self.link
    }

    /// The link as it was when it was last looked at.
    pub fn link(&self) -> Link {
        self.link
    }

    /// The controller's counters.
    pub fn counters(&self) -> Counters {
        self.controller.counters()
    }

    /// The controller, to tell it that nobody answers, or to stop it.
    pub fn controller(&mut self) -> &mut C {
        &mut self.controller
    }

    /// The station address (MAC).
    pub fn station(&self) -> [u8; 6] {
        self.controller.address()
    }

    /// The interface's own address and the length of its network prefix.
    pub fn address(&self) -> Option<(Ipv4Addr, u8)> {
        self.address.map(|cidr| (cidr.address(), cidr.prefix_len()))
    }

    /// Takes an address, with the router to everything outside of its network.
    ///
    /// # Errors
    /// [`Error::Address`] for an address or router that no single machine can have, or a prefix of more than 32 bits. With one of 0 bits everything is on the link.
    pub fn configure(&mut self, address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> Result<(), Error> {
        let cidr = match (is_host(address), prefix) {
            (true, 0..=32) => Ipv4Cidr::new(address, prefix),
            _ => return Err(Error::Address { address, prefix }),
        };
        if let Some(router) = gateway
            && (!is_host(router) || !cidr.contains_addr(&router))
        {
            return Err(Error::Gateway { gateway: router, address, prefix });
        }
        self.unconfigure();
        self.stack.update_ip_addrs(|addresses| {
            // There is room: the list was emptied, and holds two.
            let _ = addresses.push(cidr.into());
        });
        if let Some(router) = gateway {
            // There is room here, too.
            let _ = self.stack.routes_mut().add_default_ipv4_route(router);
        }
        self.address = Some(cidr);
        self.gateway = gateway;
        Ok(())
    }

    /// Gives the address up.
    pub fn unconfigure(&mut self) {
        self.stack.update_ip_addrs(|addresses| addresses.clear());
        self.stack.routes_mut().remove_default_ipv4_route();
        self.address = None;
        self.gateway = None;
        self.neighbors.clear();
        self.headers = None;
    }

    /// Starts to ask for a lease, from the beginning. The first DISCOVER goes out with the next [`transmit`](Self::transmit).
    pub fn start_dhcp(&mut self, now: Instant) {
        self.stop_dhcp();
        self.watch = Watch { dhcp: true, ..Watch::default() };
        let parked = core::mem::replace(&mut self.dhcp, Dhcp::Parked(Box::new(dhcpv4::Socket::new())));
        if let Dhcp::Parked(mut socket) = parked {
            socket.reset();
            socket.set_retry_config(dhcp::retries(Duration::ZERO));
            self.dhcp = Dhcp::Running { handle: self.sockets.add(*socket), since: now };
        }
    }

    /// Stops the DHCP client; an address taken from it stays.
    pub fn stop_dhcp(&mut self) {
        self.watch.dhcp = false;
        if let Dhcp::Running { handle, .. } = self.dhcp
            && let smoltcp::socket::Socket::Dhcpv4(socket) = self.sockets.remove(handle)
        {
            self.dhcp = Dhcp::Parked(Box::new(socket));
        }
    }

    /// The lease, once there is one. It is not taken yet: that is [`configure`](Self::configure).
    pub fn poll_dhcp(&mut self, now: Instant) -> Option<Lease> {
        let Dhcp::Running { handle, since } = self.dhcp else { return None };
        let socket = self.sockets.get_mut::<dhcpv4::Socket<'_>>(handle);
        socket.set_retry_config(dhcp::retries(now.since(since)));
        match socket.poll() {
            Some(dhcpv4::Event::Configured(config)) => Some(Lease::read(&config, now)),
            Some(dhcpv4::Event::Deconfigured) | None => None,
        }
    }

    /// Answers from DHCP servers since [`start_dhcp`](Self::start_dhcp), whether they brought a lease or not.
    pub fn dhcp_answers(&self) -> u32 {
        self.watch.dhcp_answers
    }

    /// The station to which datagrams for `destination` go first: itself, or the router; `None` where neither can be reached.
    pub fn next_hop(&self, destination: Ipv4Addr) -> Option<Ipv4Addr> {
        let address = self.address?;
        if !is_host(destination) || destination == address.address() {
            return None;
        }
        if address.contains_addr(&destination) { Some(destination) } else { self.gateway }
    }

    /// Whether the next hop to `destination` has answered.
    pub fn knows_way_to(&self, destination: Ipv4Addr) -> bool {
        let next_hop = self.next_hop(destination);
        self.neighbors.iter().any(|known| Some(known.0) == next_hop)
    }

    /// Sends an ARP request for `neighbor`, a next hop.
    pub fn ask(&mut self, neighbor: Ipv4Addr) {
        if self.watch.awaited != Some(neighbor) {
            self.watch.awaited = Some(neighbor);
            self.watch.seen = None;
        }
        let (Some(address), Link::Up { .. }) = (self.address, self.link) else { return };
        let station = EthernetAddress(self.controller.address());
        let request = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: station,
            source_protocol_addr: address.address(),
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: neighbor,
        };
        let mut bytes = [0; ARP_FRAME];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        frame.set_src_addr(station);
        frame.set_dst_addr(EthernetAddress::BROADCAST);
        frame.set_ethertype(EthernetProtocol::Arp);
        request.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
        let (_, sender) = self.controller.halves();
        // A frame that finds no room is asked for again, as one that is lost.
        let _ = sender.send(ARP_FRAME, |buffer| copy(buffer, &bytes));
    }

    /// Forgets who was asked for, and what was answered.
    pub fn forget_answer(&mut self) {
        self.watch.awaited = None;
        self.watch.seen = None;
    }

    /// Whether the neighbour that was [asked](Self::ask) for has answered.
    pub fn answered(&mut self) -> bool {
        if let (Some(neighbor), Some(station)) = (self.watch.awaited, self.watch.seen) {
            self.watch.awaited = None;
            self.neighbors.retain(|known| known.0 != neighbor);
            self.neighbors.push((neighbor, station));
            self.headers = None;
        }
        self.watch.seen.is_some()
    }

    /// A UDP port for a transfer, another one than the last.
    pub fn new_port(&mut self) -> u16 {
        let number = self.next_port;
        self.next_port = FIRST_PORT | number.wrapping_add(1);
        number
    }

    /// Sends a datagram from `port`. It is dropped, as the network might do, where there is no link, where its next hop is not known to
    /// answer, or where the controller has no room.
    pub fn send(&mut self, port: u16, to: SocketAddrV4, datagram: &[u8]) {
        let (destination, length) = (*to.ip(), datagram.len());
        if !self.headers.as_ref().is_some_and(|headers| headers.fit(destination, length)) {
            self.headers = self.route(destination).map(|route| Headers::new(route, length));
        }
        let (Some(headers), Link::Up { .. }) = (&self.headers, self.link) else {
            log::debug!("net: nothing is sent to {to}, whose next hop is unknown");
            return;
        };
        if !headers.send(self.controller.halves().1, port, to.port(), datagram) {
            log::debug!("net: no room to send a datagram to {to}");
        }
    }

    /// The way to `destination`, if its next hop has answered.
    fn route(&self, destination: Ipv4Addr) -> Option<Route> {
        let next_hop = self.next_hop(destination)?;
        let (_, station) = self.neighbors.iter().find(|known| known.0 == next_hop)?;
        let stations = (self.controller.address(), *station);
        Some(Route { stations, from: self.address?.address(), to: destination })
    }

    /// The oldest received frame, which stays the oldest until it is [released](Self::release) or smoltcp has
    /// [had](Self::receive) it; `None` if there is none.
    pub fn oldest(&mut self) -> Option<Received<'_>> {
        let (station, address) = (self.controller.address(), self.address);
        let frame = self.controller.halves().0.frame()?;
        let datagram = address.and_then(|address| udp::parse(frame, station, address.address()));
        Some(datagram.map_or(Received::Other, Received::Datagram))
    }

    /// Done with the oldest received frame.
    pub fn release(&mut self) {
        self.controller.halves().0.release();
    }

    /// Lets smoltcp have the oldest received frame; false if there is none.
    pub fn receive(&mut self, now: Instant) -> bool {
        let link_up = self.link != Link::Down;
        let mut frames =
            Frames { controller: &mut self.controller, scratch: &mut self.scratch, watch: &mut self.watch, link_up };
        let result = self.stack.poll_ingress_single(instant(now), &mut frames, &mut self.sockets);
        result != smoltcp::iface::PollIngressSingleResult::None
    }

    /// Sends what is queued, as far as the controller has room.
    pub fn transmit(&mut self, now: Instant) {
        let link_up = self.link != Link::Down;
        let mut frames =
            Frames { controller: &mut self.controller, scratch: &mut self.scratch, watch: &mut self.watch, link_up };
        self.stack.poll_egress(instant(now), &mut frames, &mut self.sockets);
    }
}

/// The first port that is used. All bits of the seed take part: a board that boots the same way again does so some microseconds earlier or later, and
/// with the port of the boot before it would meet what the server still has of that connection. smoltcp asks again only after a second.
fn first_port(seed: u64) -> u16 {
    // 2^64 over the golden ratio (Fibonacci hashing): seeds that are close are spread over all ports.
    FIRST_PORT | (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as u16
}

/// Whether one machine on a network can have this address.
pub fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast() || address.is_loopback())
}

fn instant(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.micros()).unwrap_or(i64::MAX))
}

/// Why the interface cannot be what it is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The controller's own address is zero, or one of a group.
    Station([u8; 6]),
    /// No machine can have this address.
    Address {
        /// The address.
        address: Ipv4Addr,
        /// Length of the network prefix in bits.
        prefix: u8,
    },
    /// The router does not lie in the interface's own network.
    Gateway {
        /// The router.
        gateway: Ipv4Addr,
        /// The interface's address.
        address: Ipv4Addr,
        /// Length of the network prefix in bits.
        prefix: u8,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Station(station) => write!(
                f,
                "the Ethernet controller's address is {}, which no station can have: does the device tree or the \
                 firmware give it one?",
                EthernetAddress(station)
            ),
            Self::Address { address, prefix } => write!(f, "{address}/{prefix} is no address of one machine"),
            Self::Gateway { gateway, address, prefix } => {
                write!(f, "the gateway {gateway} does not lie in the network of {address}/{prefix}")
            }
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_that_differ_by_microseconds_or_in_the_board_begin_at_other_ports() {
        for low_bit in [0, 20, 40, 56] {
            let mut ports: Vec<u16> = (0..128).map(|seed: u64| first_port(0x1234_5678 + (seed << low_bit))).collect();
            assert!(ports.iter().all(|port| *port >= FIRST_PORT));
            ports.sort_unstable();
            ports.dedup();
            assert!(ports.len() > 100, "{} ports of 128 boots, bit {low_bit}", ports.len());
        }
    }
}
