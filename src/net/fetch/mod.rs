//! A session on the network: link, lease, and files one after another, from one controller that is never restarted in between.
//!
//! The boot flow owns a [`Session`] and asks it for files. Whatever is missing is waited for first, each with a bound of its
//! own ([`Limits`]): the link, an address, an answer to ARP from the server or the router to it. Then the [`Client`](crate::net::tftp::Client) runs, or the
//! [`http::Client`](super::http::Client) on a connection.
//! While anything is waited for, the [`Observer`] is polled, so the console stays alive and a key can end it.
//!
//! What is done about trouble:
//! * With the link up, no answer to DHCP or ARP for three seconds: the controller is told, which may have another way to try.
//! * Link lost during a transfer: its return is waited for. After a short outage the transfer goes on; after a longer one, in which
//!   the server will have given up, it starts again.
//! * A server that falls silent during a transfer for longer than the client's patience: it starts again, twice at most, each
//!   time with a quarter of the window.
//! * A server that loses its way when it is told something twice: it starts again likewise, and is told everything once, for this file and all others.
//! * A connection of HTTP that is lost or falls silent: the rest of the file is asked for on another one, as long as that brings anything.
//! * Loss, and blocks that do not get through: what a server and the way to it bear is remembered (`servers`) for the next file.
//!
//! Transfers run side by side, from one server or several: each is a client, a port or connection, and a sink, and one loop (`turn`) serves them
//! all. [`Session::fetch_all`] brings files so, and the probes of `net::settings` are the same.
//!
//! Link and lease need nobody who waits for them: whoever loops over something else calls [`Session::advance`].

mod connect;
mod error;
mod files;
mod ping;
mod report;
mod servers;
mod stream;
mod turn;

pub use error::Error;
pub use files::Job;
pub(crate) use report::Rate;
pub use report::{Event, FetchReport, Observer, Progress, Waiting};
pub(super) use turn::Transfer;

use super::device::{Counters, EthernetController};
use super::dhcp::Lease;
use super::interface::Interface;
use crate::config::Network;
use crate::config::source::{ServerAddress, TFTP_PORT};
use crate::time::{Clock, Duration, Instant};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddrV4;
use servers::Servers;

/// How long the things that may never happen are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The link's coming up. Autonegotiation takes about 3 s.
    pub link: Duration,
    /// The link's return during a transfer.
    pub link_return: Duration,
    /// A lease, from the moment the link is up.
    pub lease: Duration,
    /// An answer to ARP.
    pub neighbor: Duration,
    /// Progress of a transfer.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            link: Duration::from_secs(10),
            link_return: Duration::from_secs(30),
            lease: Duration::from_secs(30),
            neighbor: Duration::from_secs(8),
            transfer: Duration::from_secs(15),
        }
    }
}

/// A session on the network.
pub struct Session<C: EthernetController, K: Clock> {
    interface: Interface<C>,
    clock: K,
    network: Network,
    limits: Limits,
    servers: Servers,
    lease: Option<Lease>,
    /// Since when DHCP servers are being asked and none has answered, if they are.
    asking: Option<Instant>,
    link_up: bool,
    lingering: Vec<turn::Lingering>,
    /// A connection that the last file by HTTP has left open.
    kept: Option<stream::Kept>,
    /// The controller has no other way to try.
    ways_exhausted: bool,
    /// Somebody has answered since the link came up: the way is right, and who is silent now is not there.
    way_works: bool,
}

impl<C: EthernetController, K: Clock> Session<C, K> {
    /// A session over `controller`. What `network` leaves open is asked of DHCP. `seed` should differ from boot to boot.
    ///
    /// # Errors
    /// [`Error::Interface`] where the controller has no usable address of its own.
    pub fn new(controller: C, clock: K, network: Network, seed: u64) -> Result<Self, Error> {
        let interface = Interface::new(controller, clock.now(), seed)?;
        Ok(Self {
            interface,
            clock,
            network,
            limits: Limits::default(),
            servers: Servers::default(),
            lease: None,
            asking: None,
            link_up: false,
            lingering: Vec::new(),
            kept: None,
            ways_exhausted: false,
            way_works: false,
        })
    }

    /// Other bounds than the default ones.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Windows of at most `window` blocks from now on, and of so many wherever nothing speaks against it; without a number they are as large
    /// as servers and network turn out to bear.
    pub fn set_window(&mut self, window: Option<u16>) {
        self.servers.set_window(window);
    }

    /// Blocks of at most `size` bytes from now on.
    pub fn set_block_size(&mut self, size: u16) {
        self.servers.set_block_size(size);
    }

    /// Other settings, as loader.toml gives them once it has been found. An address that they change is taken with the next
    /// file.
    pub fn set_network(&mut self, network: Network) {
        if (network.address, network.gateway) != (self.network.address, self.network.gateway) {
            self.interface.unconfigure();
            self.stop_asking();
            self.lease = None;
        }
        self.network = network;
    }

    /// The settings in force.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The lease, where DHCP was asked and gave one.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// The present moment, by the session's clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The interface, to look at link, address and counters.
    pub fn interface(&self) -> &Interface<C> {
        &self.interface
    }

    /// Looks at the link, for who only wants to know.
    pub fn look_at(&mut self, now: Instant, observer: &mut dyn Observer) {
        self.look_at_link(now, observer);
    }

    /// Writes address, link, own address, server and counters, in lines for a person.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn describe(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let [a, b, c, d, e, f] = self.interface.station();
        let link = report::LinkState(self.interface.link());
        writeln!(out, "Ethernet {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}, {link}")?;
        match (self.interface.address(), &self.lease) {
            (Some((address, prefix)), Some(lease)) => {
                writeln!(out, "address {address}/{prefix}, by DHCP {}", lease.origin())?
            }
            (Some((address, prefix)), None) => writeln!(out, "address {address}/{prefix}, from the settings")?,
            (None, _) => writeln!(out, "no address yet: the first fetch asks for one")?,
        }
        match self.server() {
            Some(server) => writeln!(out, "TFTP server {server}")?,
            None => writeln!(out, "no TFTP server known")?,
        }
        let Counters { received, sent, discarded, errors } = self.interface.counters();
        writeln!(
            out,
            "frames: {received} received, {sent} sent, {discarded} dropped for want of room, {errors} with errors"
        )
    }

    /// The controller, to stop it before the hand-off.
    pub fn controller(&mut self) -> &mut C {
        self.interface.controller()
    }

    /// The server that plain paths are fetched from: the settings' one, else the lease's.
    pub fn server(&self) -> Option<SocketAddrV4> {
        let leased = || self.lease.as_ref().and_then(|lease| lease.next_server);
        match self.network.server {
            Some(server) => Some(endpoint(server)),
            None => leased().map(|address| SocketAddrV4::new(address, TFTP_PORT)),
        }
    }
}

fn endpoint(server: ServerAddress) -> SocketAddrV4 {
    SocketAddrV4::new(server.address, server.port)
}
