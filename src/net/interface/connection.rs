//! TCP connections to servers (RFC 9293), by smoltcp: a stream of bytes each way, with a receive buffer that holds what may be in flight.
//!
//! A received segment is summed once by `arch::bytes`, where the controller put it (see `net::frames`), copied once into the buffer, and
//! once more to where it belongs: a stream has to be put in order somewhere, and the buffer is where segments wait for a lost one.

use super::Interface;
use crate::net::device::EthernetController;
use crate::time::Instant;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddrV4;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};

/// Bytes of requests that can wait to be sent.
const SEND_BUFFER: usize = 2048;

/// A connection; give it back with [`Interface::close_connection`].
#[derive(Debug)]
pub struct Connection {
    handle: SocketHandle,
}

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// The other end has not answered yet.
    Opening,
    /// Bytes can pass.
    Open,
    /// The other end has said all that it had to say.
    Ended,
    /// The other end refused it, or broke it off.
    Reset,
}

impl<C: EthernetController> Interface<C> {
    /// Begins to open a connection to `to`, whose next hop must be known to answer, and of which at most `window` bytes are to be in
    /// flight. `None` where the heap has no room for as many, or `to` cannot be reached.
    pub fn open_connection(&mut self, to: SocketAddrV4, window: usize) -> Option<Connection> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(window).ok()?;
        buffer.resize(window, 0);
        let mut socket = Socket::new(SocketBuffer::new(buffer), SocketBuffer::new(vec![0; SEND_BUFFER]));
        // A request is one piece, and nothing is sent that a later byte could join.
        socket.set_nagle_enabled(false);
        let port = self.new_port();
        socket.connect(self.stack.context(), (*to.ip(), to.port()), port).ok()?;
        Some(Connection { handle: self.sockets.add(socket) })
    }

    /// How a connection is. Bytes that came before it ended are still to be had.
    pub fn connection_state(&self, connection: &Connection) -> ConnectionState {
        match self.sockets.get::<Socket<'_>>(connection.handle).state() {
            State::Closed | State::Listen => ConnectionState::Reset,
            State::SynSent | State::SynReceived => ConnectionState::Opening,
            State::Established | State::FinWait1 | State::FinWait2 => ConnectionState::Open,
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait => ConnectionState::Ended,
        }
    }

    /// Queues `bytes` to be sent with the next [`transmit`](Self::transmit), and says how many of them found room.
    pub fn send_on(&mut self, connection: &Connection, bytes: &[u8]) -> usize {
        let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle);
        if socket.may_send() { socket.send_slice(bytes).unwrap_or(0) } else { 0 }
    }

    /// Hands on all that has come in order, in pieces as they lie in the buffer, until `take` says that it wants no more.
    pub fn take_from(&mut self, connection: &Connection, take: &mut dyn FnMut(&[u8]) -> bool) {
        let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle);
        while socket.can_recv() {
            let more = socket.recv(|bytes| (bytes.len(), !bytes.is_empty() && take(bytes)));
            if more != Ok(true) {
                return;
            }
        }
    }

    /// Bytes that have come and were not taken.
    pub fn waiting_on(&self, connection: &Connection) -> usize {
        self.sockets.get::<Socket<'_>>(connection.handle).recv_queue()
    }

    /// Closes a connection, and tells the other end, which may still have something to say: that is refused by a reset.
    pub fn close_connection(&mut self, now: Instant, connection: Connection) {
        let socket = self.sockets.get_mut::<Socket<'_>>(connection.handle);
        match socket.state() {
            State::Established | State::CloseWait if socket.recv_queue() == 0 => socket.close(),
            _ => socket.abort(),
        }
        self.transmit(now);
        self.sockets.remove(connection.handle);
    }
}
