//! A session on the network: link, lease, and files one after another, from one controller that is never restarted in between.
//!
//! The boot flow owns a [`Session`] and asks it for files. Whatever is missing is waited for first, each with a bound of its
//! own ([`Limits`]): the link, an address, an answer to ARP from the server or the router to it. Then the [`tftp::Client`] runs.
//! While anything is waited for, the [`Observer`] is polled, so the console stays alive and a key can end it.
//!
//! What is done about trouble:
//! * With the link up, no answer to DHCP or ARP for three seconds: the controller is told, which may have another way to try.
//! * Link lost during a transfer: its return is waited for. After a short outage the transfer goes on; after a longer one, in which
//!   the server will have given up, it starts again.
//! * A server that falls silent during a transfer for longer than the client's patience: it starts again, twice at most, each
//!   time with a quarter of the window.
//!
//! Several transfers can run side by side (the probes of `net::settings` do): each is a client, a port and a sink, and one loop
//! serves them all.

mod connect;
mod error;
mod ping;
mod report;

pub use error::Error;
pub(crate) use report::Rate;
pub use report::{Event, FetchReport, Observer, Progress, Waiting};

use super::device::{Counters, EthernetController};
use super::dhcp::Lease;
use super::interface::{Interface, Received};
use super::tftp::{self, Action, Client, Refusal, Sink};
use crate::config::Network;
use crate::config::source::{ServerAddress, Source, TFTP_PORT};
use crate::time::{Clock, Duration, Instant};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddrV4;

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

/// Attempts at one file.
const ATTEMPTS: u32 = 3;

/// An outage of the link that a server survives: it repeats its last window a few times, one second apart.
const SHORT_OUTAGE: Duration = Duration::from_secs(3);

/// How long a finished transfer stays to repeat its last acknowledgement.
const LINGER: Duration = Duration::from_secs(2);

/// Time between two reports of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Frames taken from the controller between two looks at the observer: some 0.8 ms at line rate.
const FRAMES_PER_TURN: usize = 64;

/// Looks at an empty ring before everything else is served again: what was just sent may be answered in a moment, and a server
/// without windows sends nothing but answers.
const LOOKS: usize = 8;

/// A file, as one attempt after another asks for it.
struct Wanted<'a> {
    server: SocketAddrV4,
    path: &'a str,
    /// What messages call it.
    name: &'a str,
    window: u16,
    /// The start of the first attempt.
    since: Instant,
}

/// One transfer under way.
pub(super) struct Transfer<'s> {
    pub client: Client,
    pub sink: &'s mut dyn Sink,
    port: u16,
}

/// A transfer that is over, kept for a server that did not get the last acknowledgement.
struct Lingering {
    client: Client,
    port: u16,
    until: Instant,
}

/// A session on the network.
pub struct Session<C: EthernetController, K: Clock> {
    interface: Interface<C>,
    clock: K,
    network: Network,
    limits: Limits,
    /// The most blocks in flight, and how many the next transfer asks for.
    most_window: u16,
    window: u16,
    /// Bytes of a full block.
    block_size: u16,
    lease: Option<Lease>,
    link_up: bool,
    lingering: Vec<Lingering>,
    /// The controller has no other way to try.
    ways_exhausted: bool,
}

impl<C: EthernetController, K: Clock> Session<C, K> {
    /// A session over `controller`. What `network` leaves open is asked of DHCP. `seed` should differ from boot to boot.
    ///
    /// # Errors
    /// [`Error::Interface`] where the controller has no usable address of its own.
    pub fn new(controller: C, clock: K, network: Network, seed: u64) -> Result<Self, Error> {
        let interface = Interface::new(controller, clock.now(), seed)?;
        let window = tftp::Parameters::default().window;
        Ok(Self {
            interface,
            clock,
            network,
            limits: Limits::default(),
            most_window: window,
            window,
            block_size: tftp::ETHERNET_BLOCK_SIZE,
            lease: None,
            link_up: false,
            lingering: Vec::new(),
            ways_exhausted: false,
        })
    }

    /// Other bounds than the default ones.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// At most `window` blocks in flight from now on.
    pub fn set_window(&mut self, window: u16) {
        self.most_window = window.clamp(1, tftp::LARGEST_WINDOW);
        self.window = self.most_window;
    }

    /// Blocks of at most `size` bytes from now on.
    pub fn set_block_size(&mut self, size: u16) {
        self.block_size = size.min(tftp::ETHERNET_BLOCK_SIZE);
    }

    /// Other settings, as loader.toml gives them once it has been found. An address that they change is taken with the next
    /// file.
    pub fn set_network(&mut self, network: Network) {
        if (network.address, network.gateway) != (self.network.address, self.network.gateway) {
            self.interface.unconfigure();
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
            (Some((address, prefix)), Some(lease)) => writeln!(out, "address {address}/{prefix}, by DHCP: {lease}")?,
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

    /// Brings the file that `source` names into `sink`.
    ///
    /// # Errors
    /// All of [`Error`]; the sink then holds a part of the file, or nothing.
    pub fn fetch(
        &mut self,
        source: &Source,
        sink: &mut dyn Sink,
        observer: &mut dyn Observer,
    ) -> Result<FetchReport, Error> {
        let path = match source {
            Source::Path(path) | Source::Tftp(_, path) => path.as_str(),
            Source::Http(..) => return Err(Error::Unsupported("http is not supported yet: use tftp")),
            Source::Card(..) => return Err(Error::Unsupported("a file of the card is not on a server")),
            Source::Initramfs => return Err(Error::Unsupported("the firmware's initramfs is not a file on a server")),
        };
        self.connect(observer)?;
        let result = self.fetch_from_server(source, path, sink, observer);
        observer.event(Event::Ended { file: source.name(), came: result.is_ok() });
        result
    }

    fn fetch_from_server(
        &mut self,
        source: &Source,
        path: &str,
        sink: &mut dyn Sink,
        observer: &mut dyn Observer,
    ) -> Result<FetchReport, Error> {
        let server = match source {
            Source::Tftp(server, _) => endpoint(*server),
            _ => self.server().ok_or(Error::NoServer)?,
        };

        let mut wanted = Wanted { server, path, name: source.name(), window: self.window, since: self.clock.now() };
        for attempt in 1.. {
            let error = match self.attempt(&wanted, sink, observer) {
                Ok(report) => {
                    self.learn_from(&report);
                    return Ok(report);
                }
                Err(error) => error,
            };
            let again = match error {
                Error::Tftp(tftp::Error::Stalled { .. }) | Error::LinkLost { .. } => self.link_up,
                // The first time, nobody has ever answered there.
                Error::Tftp(tftp::Error::NoAnswer { .. }) => attempt > 1,
                _ => false,
            };
            if !again || attempt >= ATTEMPTS {
                return Err(error);
            }
            observer.event(Event::Again { file: wanted.name, reason: error });
            wanted.window = (wanted.window / 4).max(1);
        }
        Err(Error::Aborted)
    }

    /// One transfer from its request to its end.
    fn attempt(
        &mut self,
        wanted: &Wanted<'_>,
        sink: &mut dyn Sink,
        observer: &mut dyn Observer,
    ) -> Result<FetchReport, Error> {
        self.wait_for_neighbor(*wanted.server.ip(), self.limits.neighbor, observer)?;
        let transfer = self.start(wanted.server, wanted.path, wanted.window, sink)?;
        let mut transfers = [transfer];
        let mut reported = self.clock.now();
        let result = loop {
            if let Err(error) = self.turn(&mut transfers, observer) {
                break Err(error);
            }
            let [transfer] = &transfers;
            if let Some(outcome) = transfer.client.outcome() {
                break outcome.map_err(Error::Tftp);
            }
            let now = self.clock.now();
            if now.since(reported) >= PROGRESS_INTERVAL {
                reported = now;
                let progress = progress(&transfer.client, wanted.since, now);
                observer.event(Event::Progress { file: wanted.name, progress });
            }
        };
        let [transfer] = transfers;
        let (client, now) = (&transfer.client, self.clock.now());
        let counts = client.counts();
        let report = result.map(|bytes| FetchReport {
            bytes,
            elapsed: now.since(wanted.since),
            losses: counts.losses,
            retransmissions: counts.retransmissions,
            window: client.window(),
            block_size: client.block_size(),
            server: wanted.server,
        });
        self.finish(transfer);
        report
    }

    /// Opens a transfer; [`turn`](Self::turn) sends its request. Every one must be given to [`finish`](Self::finish).
    pub(super) fn start<'s>(
        &mut self,
        server: SocketAddrV4,
        path: &str,
        window: u16,
        sink: &'s mut dyn Sink,
    ) -> Result<Transfer<'s>, Error> {
        let parameters = tftp::Parameters { window, block_size: self.block_size, patience: self.limits.transfer };
        let client = Client::new(self.clock.now(), server, path, parameters)?;
        Ok(Transfer { client, sink, port: self.interface.new_port() })
    }

    /// Ends a transfer, whether it is over or not: a server that still sends is told.
    pub(super) fn finish(&mut self, transfer: Transfer<'_>) {
        let Transfer { mut client, port, .. } = transfer;
        let now = self.clock.now();
        if let Action::Send { to, datagram } = client.abort(tftp::Error::Aborted) {
            self.interface.send(port, to, datagram);
        }
        self.lingering.push(Lingering { client, port, until: now.after(LINGER) });
    }

    /// Serves everything once: observer, link, timers, received frames, frames to send.
    pub(super) fn turn(&mut self, transfers: &mut [Transfer<'_>], observer: &mut dyn Observer) -> Result<(), Error> {
        let now = self.clock.now();
        if !observer.poll(now) {
            return Err(Error::Aborted);
        }
        self.look_at_link(now, observer);
        if !self.link_up && !transfers.is_empty() {
            let outage = self.wait_for_return(now, observer)?;
            if outage > SHORT_OUTAGE {
                return Err(Error::LinkLost { waited: outage });
            }
            let now = self.clock.now();
            transfers.iter_mut().for_each(|transfer| transfer.client.resume(now));
        }
        for transfer in &mut *transfers {
            if let Action::Send { to, datagram } = transfer.client.on_time(now) {
                self.interface.send(transfer.port, to, datagram);
            }
        }
        self.interface.transmit(now);
        let (mut frames, mut looks) = (0, 0);
        while frames < FRAMES_PER_TURN && looks < LOOKS {
            match self.take_frame(now, transfers) {
                true => frames += 1,
                false => looks += 1,
            }
        }
        self.lingering.retain(|over| now < over.until);
        Ok(())
    }

    /// Takes the oldest received frame; false if there is none. A datagram for a transfer goes to it straight from where the
    /// controller put it, and what the transfer answers is sent; the rest is smoltcp's.
    fn take_frame(&mut self, now: Instant, transfers: &mut [Transfer<'_>]) -> bool {
        let Self { interface, lingering, .. } = self;
        let datagram = match interface.oldest() {
            None => return false,
            Some(Received::Other) => return interface.receive(now),
            Some(Received::Datagram(datagram)) => datagram,
        };
        let (from, port, payload) = (datagram.from, datagram.port, datagram.payload);
        let action = if let Some(transfer) = transfers.iter_mut().find(|transfer| transfer.port == port) {
            transfer.client.on_packet(now, from, payload, transfer.sink)
        } else if let Some(over) = lingering.iter_mut().find(|over| over.port == port) {
            over.client.on_packet(now, from, payload, &mut Nowhere)
        } else {
            return interface.receive(now);
        };
        interface.release();
        if let Action::Send { to, datagram } = action {
            interface.send(port, to, datagram);
        }
        true
    }

    /// The next file is asked for with half of the window where more than one block in fifty was lost, and with the double, up
    /// to what it was at first, where nothing was.
    fn learn_from(&mut self, report: &FetchReport) {
        let blocks = report.bytes / u64::from(report.block_size.max(1)) + 1;
        if u64::from(report.losses) * 50 > blocks {
            self.window = (report.window / 2).max(1);
        } else if report.losses == 0 && report.window == self.window {
            self.window = self.window.saturating_mul(2).min(self.most_window);
        }
    }
}

fn progress(client: &Client, since: Instant, now: Instant) -> Progress {
    Progress {
        received: client.received(),
        size: client.size(),
        elapsed: now.since(since),
        losses: client.counts().losses,
        retransmissions: client.counts().retransmissions,
    }
}

fn endpoint(server: ServerAddress) -> SocketAddrV4 {
    SocketAddrV4::new(server.address, server.port)
}

/// The sink of a transfer that is over.
struct Nowhere;

impl Sink for Nowhere {
    fn begin(&mut self, _size: Option<u64>) -> Result<(), Refusal> {
        Err(Refusal::Other("the transfer is over"))
    }
    fn write(&mut self, _offset: u64, _bytes: &[u8]) -> Result<(), Refusal> {
        Err(Refusal::Other("the transfer is over"))
    }
}
