//! A transfer by HTTP: its client, its connection, and the way between them.

use crate::net::device::EthernetController;
use crate::net::http::{Client, Error};
use crate::net::interface::{Connection, ConnectionState, Interface};
use crate::net::tftp::Sink;
use crate::time::Instant;
use core::net::{Ipv4Addr, SocketAddrV4};

/// Bytes of a segment that fill an Ethernet frame: 1500 less the IPv4 and TCP headers (20 bytes each).
pub(super) const SEGMENT_SIZE: u16 = 1500 - 20 - 20;

/// One transfer by HTTP under way.
pub(super) struct Stream {
    pub client: Client,
    connection: Option<Connection>,
    /// Segments that may be in flight. With full ones the receive buffer is as large as that.
    pub window: u16,
}

/// A connection that the last file has left open, for the next one from the same server.
pub(super) struct Kept {
    server: SocketAddrV4,
    connection: Connection,
    window: u16,
}

impl Kept {
    /// Nobody wants it.
    pub fn close<C: EthernetController>(self, now: Instant, interface: &mut Interface<C>) {
        interface.close_connection(now, self.connection);
    }
}

impl Stream {
    /// Brings `client`'s file with `window` segments in flight, on the connection in `kept` if that is to the same server and not wider.
    pub fn new<C: EthernetController>(
        client: Client,
        window: u16,
        kept: Option<Kept>,
        now: Instant,
        interface: &mut Interface<C>,
    ) -> Self {
        let mut stream = Self { client, connection: None, window };
        let Some(kept) = kept else { return stream };
        let open = interface.connection_state(&kept.connection) == ConnectionState::Open;
        if open && kept.server == stream.client.server() && kept.window <= window {
            stream.client.on_open(now, true);
            stream.connection = Some(kept.connection);
        } else {
            kept.close(now, interface);
        }
        stream
    }

    /// The server to which a connection is wanted and the way is not known.
    pub fn stranger<C: EthernetController>(&self, now: Instant, interface: &Interface<C>) -> Option<Ipv4Addr> {
        let server = *self.client.wanted(now)?.ip();
        (!interface.knows_way_to(server)).then_some(server)
    }

    /// Does what is due: a connection opened, what has come handed on, what is to be said queued.
    pub fn serve<C: EthernetController>(&mut self, now: Instant, interface: &mut Interface<C>, sink: &mut dyn Sink) {
        if self.client.outcome().is_some() {
            return;
        }
        if let Some(server) = self.client.wanted(now) {
            self.close(now, interface);
            if !interface.knows_way_to(*server.ip()) {
                return;
            }
            self.connection = interface.open_connection(server, usize::from(self.window) * usize::from(SEGMENT_SIZE));
            match self.connection {
                Some(_) => self.client.on_opening(now),
                None => self.client.abort(Error::NoRoom),
            }
        }
        if let Some(connection) = &self.connection {
            exchange(&mut self.client, connection, now, interface, sink);
        }
        self.client.on_time(now);
    }

    /// Done with it; the connection may serve another file.
    pub fn finish<C: EthernetController>(mut self, now: Instant, interface: &mut Interface<C>) -> Option<Kept> {
        let idle = |connection: &Connection| {
            interface.connection_state(connection) == ConnectionState::Open && interface.waiting_on(connection) == 0
        };
        if self.client.leaves_connection() && self.connection.as_ref().is_some_and(idle) {
            let (server, window) = (self.client.server(), self.window);
            return self.connection.map(|connection| Kept { server, connection, window });
        }
        self.close(now, interface);
        None
    }

    fn close<C: EthernetController>(&mut self, now: Instant, interface: &mut Interface<C>) {
        if let Some(connection) = self.connection.take() {
            interface.close_connection(now, connection);
        }
    }
}

/// What there is to exchange on a connection, in both directions.
fn exchange<C: EthernetController>(
    client: &mut Client,
    connection: &Connection,
    now: Instant,
    interface: &mut Interface<C>,
    sink: &mut dyn Sink,
) {
    let state = interface.connection_state(connection);
    if matches!(state, ConnectionState::Open | ConnectionState::Ended) && client.is_opening() {
        client.on_open(now, false);
    }
    interface.take_from(connection, &mut |bytes| client.on_bytes(now, bytes, sink));
    if matches!(state, ConnectionState::Ended | ConnectionState::Reset) {
        client.on_end(now);
    }
    let sent = interface.send_on(connection, client.to_send());
    client.on_sent(sent);
}
