//! One loop for everything that goes on at the same time: [`Session::turn`].

use super::files::Protocol;
use super::stream::{Kept, SEGMENT_SIZE, Stream};
use super::{Error, Observer, Progress, Session};
use crate::net::device::EthernetController;
use crate::net::http;
use crate::net::interface::Received;
use crate::net::tftp::{self, Action, Client, Refusal, Sink};
use crate::time::{Clock, Duration, Instant};
use alloc::boxed::Box;
use core::net::{Ipv4Addr, SocketAddrV4};

/// An outage of the link that a server survives: it repeats its last window a few times, one second apart.
const SHORT_OUTAGE: Duration = Duration::from_secs(3);

/// How long a finished transfer stays to repeat its last acknowledgement.
const LINGER: Duration = Duration::from_secs(2);

/// Frames taken from the controller between two looks at the observer: some 0.8 ms at line rate.
pub(super) const FRAMES_PER_TURN: usize = 64;

/// Looks at an empty ring before everything else is served again: what was just sent may be answered in a moment, and a server
/// without windows sends nothing but answers.
const LOOKS: usize = 8;

/// Rounds of an empty loop between two of them, less than a microsecond: each look is a read over the bus that the controller writes its frames over,
/// and what it looks for takes longer.
const REST: u32 = 32;

/// One transfer under way.
pub(in crate::net) struct Transfer<'s> {
    work: Work,
    sink: &'s mut dyn Sink,
}

/// What a transfer does to bring its file.
enum Work {
    Tftp { client: Box<Client>, port: u16 },
    Http(Box<Stream>),
}

impl Work {
    /// Bytes of the file that are with the sink.
    fn received(&self) -> u64 {
        match self {
            Self::Tftp { client, .. } => client.received(),
            Self::Http(stream) => stream.client.received(),
        }
    }
}

impl Transfer<'_> {
    /// The file's size in bytes once all of it is with the sink, or why it is not; `None` while the transfer runs.
    pub fn outcome(&self) -> Option<Result<u64, Error>> {
        match &self.work {
            Work::Tftp { client, .. } => client.outcome().map(|outcome| outcome.map_err(Error::Tftp)),
            Work::Http(stream) => stream.client.outcome().map(|outcome| outcome.map_err(Error::Http)),
        }
    }

    /// Whether the server has agreed to send the file.
    pub fn has_begun(&self) -> bool {
        match &self.work {
            Work::Tftp { client, .. } => client.has_begun(),
            Work::Http(stream) => stream.client.size().is_some(),
        }
    }

    /// How far it is, after `elapsed`.
    pub(super) fn progress(&self, elapsed: Duration) -> Progress {
        match &self.work {
            Work::Tftp { client, .. } => {
                let counts = client.counts();
                let (received, size) = (client.received(), client.size());
                Progress { received, size, elapsed, losses: counts.losses, retransmissions: counts.retransmissions }
            }
            Work::Http(stream) => {
                let client = &stream.client;
                let (received, size, losses) = (client.received(), client.size(), client.losses());
                Progress { received, size, elapsed, losses, retransmissions: 0 }
            }
        }
    }

    /// The most bytes that any attempt has brought, where the next one goes on behind them.
    pub(super) fn furthest(&self) -> u64 {
        match &self.work {
            Work::Tftp { .. } => 0,
            Work::Http(stream) => stream.client.furthest(),
        }
    }

    /// Blocks, or segments, in flight, and the bytes of each.
    pub(super) fn window(&self) -> (u16, u16) {
        match &self.work {
            Work::Tftp { client, .. } => (client.window(), client.block_size()),
            Work::Http(stream) => (stream.window, SEGMENT_SIZE),
        }
    }

    /// Blocks, or segments, that may be under way to here, now or as soon as the server answers.
    pub(super) fn in_flight(&self) -> u16 {
        match &self.work {
            Work::Tftp { client, .. } => client.in_flight(),
            Work::Http(stream) if stream.client.outcome().is_none() => stream.window,
            Work::Http(_) => 0,
        }
    }

    /// Bytes of a block that were asked for last, where that can teach something.
    pub(super) fn asked_block_size(&self) -> Option<u16> {
        match &self.work {
            Work::Tftp { client, .. } => Some(client.asked_block_size()),
            Work::Http(_) => None,
        }
    }

    fn resume(&mut self, now: Instant) {
        match &mut self.work {
            Work::Tftp { client, .. } => client.resume(now),
            Work::Http(stream) => stream.client.resume(now),
        }
    }
}

/// A transfer that is over, kept for a server that did not get the last acknowledgement.
pub(super) struct Lingering {
    client: Box<Client>,
    port: u16,
    until: Instant,
}

impl<C: EthernetController, K: Clock> Session<C, K> {
    /// Opens a transfer of a path on a server, with at most `window` blocks or segments in flight; [`turn`](Self::turn) sends its request. Every
    /// one must be given to [`finish`](Self::finish).
    pub(super) fn start<'s>(
        &mut self,
        protocol: Protocol,
        (server, path): (SocketAddrV4, &str),
        window: u16,
        sink: &'s mut dyn Sink,
    ) -> Result<Transfer<'s>, Error> {
        let work = match protocol {
            Protocol::Tftp => self.open(server, path, window)?,
            Protocol::Http => {
                let now = self.clock.now();
                let client = http::Client::new(now, server, path, self.limits.transfer)?;
                let kept = self.kept.take();
                Work::Http(Box::new(Stream::new(client, window, kept, now, &mut self.interface)))
            }
        };
        Ok(Transfer { work, sink })
    }

    /// Asks for the file once more: all of it, as a new transfer into the same sink, or by HTTP what is missing, after `pause`.
    pub(super) fn start_again(
        &mut self,
        transfer: &mut Transfer<'_>,
        server: SocketAddrV4,
        path: &str,
        window: u16,
        pause: Duration,
    ) -> Result<(), Error> {
        if let Work::Http(stream) = &mut transfer.work {
            stream.client.start_again(self.clock.now(), pause);
            return Ok(());
        }
        let work = self.open(server, path, window)?;
        let work = core::mem::replace(&mut transfer.work, work);
        self.part(work);
        Ok(())
    }

    fn open(&mut self, server: SocketAddrV4, path: &str, window: u16) -> Result<Work, Error> {
        let block_size = self.servers.block_size(server);
        let patient = self.servers.is_bewildered(server);
        let parameters = tftp::Parameters { window, block_size, patience: self.limits.transfer, patient };
        let client = Box::new(Client::new(self.clock.now(), server, path, parameters)?);
        Ok(Work::Tftp { client, port: self.interface.new_port() })
    }

    /// Ends a transfer, whether it is over or not: a server that still sends is told.
    pub(in crate::net) fn finish(&mut self, transfer: Transfer<'_>) {
        self.part(transfer.work);
    }

    fn part(&mut self, work: Work) {
        let now = self.clock.now();
        match work {
            Work::Tftp { mut client, port } => {
                if let Action::Send { to, datagram } = client.abort(tftp::Error::Aborted) {
                    self.interface.send(port, to, datagram);
                }
                self.lingering.push(Lingering { client, port, until: now.after(LINGER) });
            }
            Work::Http(stream) => {
                if let Some(kept) = stream.finish(now, &mut self.interface) {
                    self.keep(kept, now);
                }
            }
        }
    }

    /// Keeps a connection for the next file, in the place of another one.
    fn keep(&mut self, kept: Kept, now: Instant) {
        if let Some(before) = self.kept.replace(kept) {
            before.close(now, &mut self.interface);
        }
    }

    /// The server to which `transfer` wants a connection before it is known how to get there.
    pub(super) fn stranger(&self, transfer: &Transfer<'_>) -> Option<Ipv4Addr> {
        match &transfer.work {
            Work::Tftp { .. } => None,
            Work::Http(stream) => stream.stranger(self.clock.now(), &self.interface),
        }
    }

    /// Serves everything once: observer, link, timers, received frames, frames to send.
    pub(in crate::net) fn turn(
        &mut self,
        transfers: &mut [Transfer<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
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
            transfers.iter_mut().for_each(|transfer| transfer.resume(now));
        }
        self.serve(now, transfers);
        Ok(())
    }

    /// Received frames, timers, frames to send.
    pub(super) fn serve(&mut self, now: Instant, transfers: &mut [Transfer<'_>]) {
        let (mut frames, mut looks) = (0, 0);
        while frames < FRAMES_PER_TURN && looks < LOOKS {
            match self.take_frame(now, transfers) {
                true => frames += 1,
                false => {
                    looks += 1;
                    (0..REST).for_each(|_| core::hint::spin_loop());
                }
            }
        }
        for Transfer { work, sink } in &mut *transfers {
            match work {
                // After the frames: nobody has been silent whose answer was lying there.
                Work::Tftp { client, port } => {
                    if let Action::Send { to, datagram } = client.on_time(now) {
                        self.interface.send(*port, to, datagram);
                    }
                }
                Work::Http(stream) => stream.serve(now, &mut self.interface, *sink),
            }
        }
        self.interface.transmit(now);
        if looks == LOOKS {
            // One at a time, because the next frame may come any moment.
            let _ = transfers.iter_mut().any(|transfer| transfer.sink.idle(transfer.work.received()));
        }
        self.lingering.retain(|over| now < over.until);
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
        let taker = transfers.iter_mut().find_map(|Transfer { work, sink }| match work {
            Work::Tftp { client, port: own } if *own == port => Some((client, sink)),
            _ => None,
        });
        let action = if let Some((client, sink)) = taker {
            client.on_packet(now, from, payload, *sink)
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
