//! One loop for everything that goes on at the same time: [`Session::turn`].

use super::{Error, Observer, Session};
use crate::net::device::EthernetController;
use crate::net::interface::Received;
use crate::net::tftp::{self, Action, Client, Refusal, Sink};
use crate::time::{Clock, Duration, Instant};
use core::net::SocketAddrV4;

/// An outage of the link that a server survives: it repeats its last window a few times, one second apart.
const SHORT_OUTAGE: Duration = Duration::from_secs(3);

/// How long a finished transfer stays to repeat its last acknowledgement.
const LINGER: Duration = Duration::from_secs(2);

/// Frames taken from the controller between two looks at the observer: some 0.8 ms at line rate.
pub(super) const FRAMES_PER_TURN: usize = 64;

/// Looks at an empty ring before everything else is served again: what was just sent may be answered in a moment, and a server
/// without windows sends nothing but answers.
const LOOKS: usize = 8;

/// One transfer under way.
pub(in crate::net) struct Transfer<'s> {
    pub client: Client,
    sink: &'s mut dyn Sink,
    port: u16,
}

/// A transfer that is over, kept for a server that did not get the last acknowledgement.
pub(super) struct Lingering {
    client: Client,
    port: u16,
    until: Instant,
}

impl<C: EthernetController, K: Clock> Session<C, K> {
    /// Opens a transfer; [`turn`](Self::turn) sends its request. Every one must be given to [`finish`](Self::finish).
    pub(in crate::net) fn start<'s>(
        &mut self,
        server: SocketAddrV4,
        path: &str,
        window: u16,
        sink: &'s mut dyn Sink,
    ) -> Result<Transfer<'s>, Error> {
        let (client, port) = self.open(server, path, window)?;
        Ok(Transfer { client, sink, port })
    }

    /// Asks for the file once more, as a new transfer into the same sink.
    pub(super) fn start_again(
        &mut self,
        transfer: &mut Transfer<'_>,
        server: SocketAddrV4,
        path: &str,
        window: u16,
    ) -> Result<(), Error> {
        let (client, port) = self.open(server, path, window)?;
        let client = core::mem::replace(&mut transfer.client, client);
        self.part(client, core::mem::replace(&mut transfer.port, port));
        Ok(())
    }

    fn open(&mut self, server: SocketAddrV4, path: &str, window: u16) -> Result<(Client, u16), Error> {
        let parameters = tftp::Parameters { window, block_size: self.block_size, patience: self.limits.transfer };
        Ok((Client::new(self.clock.now(), server, path, parameters)?, self.interface.new_port()))
    }

    /// Ends a transfer, whether it is over or not: a server that still sends is told.
    pub(in crate::net) fn finish(&mut self, transfer: Transfer<'_>) {
        self.part(transfer.client, transfer.port);
    }

    fn part(&mut self, mut client: Client, port: u16) {
        let now = self.clock.now();
        if let Action::Send { to, datagram } = client.abort(tftp::Error::Aborted) {
            self.interface.send(port, to, datagram);
        }
        self.lingering.push(Lingering { client, port, until: now.after(LINGER) });
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
            transfers.iter_mut().for_each(|transfer| transfer.client.resume(now));
        }
        self.serve(now, transfers);
        Ok(())
    }

    /// Timers, received frames, frames to send.
    pub(super) fn serve(&mut self, now: Instant, transfers: &mut [Transfer<'_>]) {
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
        if looks == LOOKS {
            // One at a time, because the next frame may come any moment.
            let _ = transfers.iter_mut().any(|transfer| transfer.sink.idle(transfer.client.received()));
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
