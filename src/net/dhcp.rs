//! DHCP (RFC 2131, 2132, 4578): what is asked, and what is read from the answer.
//!
//! smoltcp's client does the exchange. A server that was set up for U-Boot should give the same answers, so the same vendor
//! class and client architecture are sent. What smoltcp does not read (next server, boot file) is taken from the packet itself; answers that it does
//! not read as they are meant are rewritten before it sees them (`unfolded`).

mod unfold;

pub(super) use unfold::{is_answer, unfolded};

use super::interface::is_host;
use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use core::fmt;
use core::net::Ipv4Addr;
use core::ops::Range;
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{DhcpOption, DhcpPacket};

/// The numbers of DHCP options (RFC 2132; 93 and 94: RFC 4578).
mod option {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DOMAIN_NAME_SERVER: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const ROOT_PATH: u8 = 17;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const VENDOR_CLASS: u8 = 60;
    pub const TFTP_SERVER: u8 = 66;
    pub const BOOT_FILE: u8 = 67;
    pub const CLIENT_ARCHITECTURE: u8 = 93;
    pub const CLIENT_INTERFACE: u8 = 94;
    pub const END: u8 = 255;
}

/// The port at which clients listen (RFC 2131, section 4.1).
const CLIENT_PORT: u16 = 68;

/// Bit of the overload option which says that the `file` field holds options instead of a file name, and the same for `sname`
/// (RFC 2132, section 9.3).
const OVERLOADS_FILE: u8 = 1;
const OVERLOADS_SERVER_NAME: u8 = 2;

/// Where the fields `sname` and `file` lie in a packet (RFC 2131, figure 1). smoltcp 0.14 takes `sname` from byte 34 on, which is in
/// the hardware address.
const SERVER_NAME_FIELD: Range<usize> = 44..108;
const BOOT_FILE_FIELD: Range<usize> = 108..236;

/// What U-Boot sends on 64-bit Arm: its vendor class, architecture 0x16 ("ARM 64-bit uboot" in the IANA registry), interface UNDI.
static SENT: [DhcpOption<'static>; 3] = [
    DhcpOption { kind: option::VENDOR_CLASS, data: b"U-Boot.armv8" },
    DhcpOption { kind: option::CLIENT_ARCHITECTURE, data: &[0x00, 0x16] },
    DhcpOption { kind: option::CLIENT_INTERFACE, data: &[1, 0, 0] },
];

static REQUESTED: [u8; 7] = [
    option::SUBNET_MASK,
    option::ROUTER,
    option::DOMAIN_NAME_SERVER,
    option::HOST_NAME,
    option::ROOT_PATH,
    option::TFTP_SERVER,
    option::BOOT_FILE,
];

/// Bytes of the largest packet that fits a frame.
const LARGEST_PACKET: usize = 1500;

/// How long a lease lasts whose server does not say, as smoltcp assumes, too.
const UNSAID_LEASE: Duration = Duration::from_secs(120);

/// A DHCP client. It lives as long as the loader, and with it the buffer that holds the last answer.
pub(super) fn socket() -> dhcpv4::Socket<'static> {
    let mut socket = dhcpv4::Socket::new();
    socket.set_outgoing_options(&SENT);
    socket.set_parameter_request_list(&REQUESTED);
    socket.set_receive_packet_buffer(Box::leak(vec![0; LARGEST_PACKET].into_boxed_slice()));
    socket.set_retry_config(retries(Duration::ZERO));
    socket
}

/// How long to wait for an answer when it has been asked for `elapsed`: half a second at first, because a switch port may drop
/// the first frames after link-up; later longer, because each DISCOVER makes the answers to the one before it void.
pub(super) fn retries(elapsed: Duration) -> dhcpv4::RetryConfig {
    let wait = match elapsed.as_millis() {
        0..1000 => 500,
        1000..3000 => 1000,
        3000..9000 => 2000,
        _ => 4000,
    };
    let mut config = dhcpv4::RetryConfig::default();
    config.discover_timeout = smoltcp::time::Duration::from_millis(wait);
    config.initial_request_timeout = smoltcp::time::Duration::from_millis(500);
    config
}

/// What a DHCP server gave us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Our address.
    pub address: Ipv4Addr,
    /// Length of the network prefix in bits.
    pub prefix: u8,
    /// The router, if it has an address in our network.
    pub gateway: Option<Ipv4Addr>,
    /// The server that the answer names as the one to boot from, and nothing else does: the `siaddr` field.
    pub boot_server: Option<Ipv4Addr>,
    /// The server that has the boot files: the `siaddr` field, else option 66 where it is an address, else the DHCP server.
    pub next_server: Option<Ipv4Addr>,
    /// The boot file: the `file` field, else option 67.
    pub boot_file: Option<String>,
    /// The DHCP server.
    pub dhcp_server: Ipv4Addr,
    /// When it was given, and for how long.
    pub given_at: Instant,
    /// How long it lasts.
    pub duration: Duration,
    /// When it is asked for again: at half of its time at first (RFC 2131, section 4.4.5).
    pub renewal: Instant,
}

impl Lease {
    /// Who gave it, and what else he said.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin(self)
    }

    /// Reads smoltcp's result, and the packet that it came in.
    pub(super) fn read(config: &dhcpv4::Config<'_>, now: Instant) -> Self {
        let mut lease = Self {
            address: config.address.address(),
            prefix: config.address.prefix_len(),
            gateway: config.router,
            boot_server: None,
            next_server: None,
            boot_file: None,
            dhcp_server: config.server.identifier,
            given_at: now,
            duration: UNSAID_LEASE,
            renewal: now,
        };
        if let Some(packet) = &config.packet {
            lease.read_packet(packet);
        }
        lease.put_renewal_off(now);
        lease.gateway = lease
            .gateway
            .filter(|router| is_host(*router) && config.address.contains_addr(router) && *router != lease.address);
        lease.next_server = lease.next_server.or(Some(config.server.identifier).filter(|server| is_host(*server)));
        lease
    }

    fn read_packet(&mut self, packet: &DhcpPacket<&[u8]>) {
        // The buffer keeps the end of a longer packet before this one, behind the end option. Nothing here looks there.
        if packet.check_len().is_err() {
            return;
        }
        let (mut named_server, mut named_file) = (None, None);
        for found in packet.options() {
            match (found.kind, found.data) {
                // Several routers may be there, in order of preference; smoltcp reads only a single one.
                (option::ROUTER, [a, b, c, d, ..]) => self.gateway = Some(Ipv4Addr::new(*a, *b, *c, *d)),
                (option::LEASE_TIME, [a, b, c, d]) => {
                    self.duration = Duration::from_secs(u32::from_be_bytes([*a, *b, *c, *d]).into());
                }
                (option::TFTP_SERVER, name) => named_server = text(name),
                (option::BOOT_FILE, name) => named_file = text(name),
                _ => {}
            }
        }
        let bytes = packet.into_inner();
        let field = |place| text(bytes.get(place)?);
        self.boot_file = field(BOOT_FILE_FIELD).or(named_file);
        self.boot_server = Some(packet.server_ip()).filter(|server| is_host(*server));
        self.next_server =
            self.boot_server.or_else(|| server(field(SERVER_NAME_FIELD))).or_else(|| server(named_server));
    }

    /// Whether it is time to ask again.
    pub fn is_old(&self, now: Instant) -> bool {
        now >= self.renewal
    }

    /// Whether the address may still be used.
    pub fn lasts(&self, now: Instant) -> bool {
        now < self.given_at.after(self.duration)
    }

    /// Asks again when half of the time that is left now is over (RFC 2131, section 4.4.5).
    pub(super) fn put_renewal_off(&mut self, now: Instant) {
        self.renewal = now.after(self.given_at.after(self.duration).since(now) / 2);
    }
}

/// As the console shows a lease.
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.address, self.prefix, self.origin())
    }
}

/// What a lease says beside the address.
pub(super) struct Origin<'a>(&'a Lease);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {}", self.0.dhcp_server)?;
        if let Some(gateway) = self.0.gateway {
            write!(f, ", gateway {gateway}")?;
        }
        if let Some(server) = self.0.next_server {
            write!(f, ", server {server}")?;
        }
        match &self.0.boot_file {
            Some(file) => write!(f, ", boot file {file}"),
            None => Ok(()),
        }
    }
}

/// Text of an option or field up to its NUL, if there is any and it can be shown and asked for as it is.
fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.split(|byte| *byte == 0).next()?;
    let text = core::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into())
}

/// The address that a server's name is, where it is one.
fn server(name: Option<String>) -> Option<Ipv4Addr> {
    let name = name?;
    let address = name.parse().ok().filter(|address| is_host(*address));
    if address.is_none() {
        log::warn!("dhcp: the server is called \"{name}\", and names are not resolved: let it send an address");
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::{Ipv4Address, Ipv4Cidr};

    const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    /// An answer whose fields and options are as given, with the junk of an earlier one behind it.
    fn answer(siaddr: [u8; 4], sname: &[u8], file: &[u8], options: &[u8]) -> Lease {
        let mut bytes = vec![0xaa; LARGEST_PACKET];
        bytes[..240].fill(0);
        bytes[20..24].copy_from_slice(&siaddr);
        bytes[44..44 + sname.len()].copy_from_slice(sname);
        bytes[108..108 + file.len()].copy_from_slice(file);
        bytes[240..240 + options.len()].copy_from_slice(options);
        bytes[240 + options.len()] = 255;
        let config = dhcpv4::Config {
            server: dhcpv4::ServerInfo { address: SERVER, identifier: SERVER },
            address: Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, 7), 24),
            router: None,
            dns_servers: Default::default(),
            packet: Some(DhcpPacket::new_unchecked(&bytes)),
        };
        Lease::read(&config, Instant::default())
    }

    #[test]
    fn the_next_server_field_wins_over_the_option_and_that_over_the_dhcp_server() {
        let named = b"\x42\x0910.0.0.66";
        assert_eq!(answer([10, 0, 0, 9], b"", b"", named).next_server, Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(answer([0; 4], b"10.0.0.44", b"", named).next_server, Some(Ipv4Addr::new(10, 0, 0, 44)));
        assert_eq!(answer([0; 4], b"", b"", named).next_server, Some(Ipv4Addr::new(10, 0, 0, 66)));
        assert_eq!(answer([0; 4], b"", b"", b"").next_server, Some(SERVER));
        assert_eq!(answer([0; 4], b"", b"", b"\x42\x04tftp").next_server, Some(SERVER));
        assert_eq!(answer([255; 4], b"", b"", b"").next_server, Some(SERVER));
    }

    #[test]
    fn the_boot_server_is_the_one_of_the_field_alone() {
        let named = b"\x42\x0910.0.0.66";
        assert_eq!(answer([10, 0, 0, 9], b"", b"", named).boot_server, Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(answer([0; 4], b"10.0.0.44", b"", named).boot_server, None);
        assert_eq!(answer([255; 4], b"", b"", b"").boot_server, None);
    }

    #[test]
    fn the_file_field_wins_over_the_option() {
        let named = b"\x43\x05other";
        assert_eq!(answer([0; 4], b"", b"x/loader.toml", named).boot_file.as_deref(), Some("x/loader.toml"));
        assert_eq!(answer([0; 4], b"", b"", named).boot_file.as_deref(), Some("other"));
        assert_eq!(answer([0; 4], b"", b"", b"").boot_file, None);
        assert_eq!(answer([0; 4], b"", b"\x1b[2J", b"").boot_file, None);
    }

    #[test]
    fn the_first_of_several_routers_counts_if_it_lies_in_our_network() {
        let routers = b"\x03\x08\x0a\x00\x00\xfe\x0a\x00\x00\xfd";
        assert_eq!(answer([0; 4], b"", b"", routers).gateway, Some(Ipv4Addr::new(10, 0, 0, 254)));
        assert_eq!(answer([0; 4], b"", b"", b"\x03\x04\x0b\x00\x00\x01").gateway, None);
        assert_eq!(answer([0; 4], b"", b"", b"\x03\x04\xff\xff\xff\xff").gateway, None);
    }

    #[test]
    fn a_lease_is_old_after_half_its_time() {
        let lease = answer([0; 4], b"", b"", b"\x33\x04\x00\x00\x00\x0a");
        assert!(!lease.is_old(Instant::from_micros(4_999_999)));
        assert!(lease.is_old(Instant::from_micros(5_000_000)));
    }

    #[test]
    fn who_gets_no_answer_asks_again_after_half_of_what_is_left() {
        let mut lease = answer([0; 4], b"", b"", b"\x33\x04\x00\x00\x00\x0a");
        let at = |seconds: u64| Instant::from_micros(seconds * 1_000_000);
        lease.put_renewal_off(at(6));
        assert_eq!((lease.is_old(at(7)), lease.is_old(at(8))), (false, true));
        assert_eq!((lease.lasts(at(9)), lease.lasts(at(10))), (true, false));
        lease.put_renewal_off(at(11));
        assert!(lease.is_old(at(11)));
    }

    #[test]
    fn retries_begin_at_half_a_second_and_grow() {
        let wait = |seconds| retries(Duration::from_secs(seconds)).discover_timeout.total_millis();
        assert_eq!([0, 1, 3, 10].map(wait), [500, 1000, 2000, 4000]);
    }
}
