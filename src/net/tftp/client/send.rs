//! What goes out: requests, acknowledgements, errors.

use super::{Action, Client};
use crate::net::tftp::packet::Packet;
use crate::time::Instant;
use core::net::SocketAddrV4;

impl Client {
    #[inline]
    pub(super) fn acknowledge(&mut self, now: Instant, to: SocketAddrV4) -> Action<'_> {
        self.blocks.acknowledged();
        self.timer.sent(now);
        self.acknowledgement(to)
    }

    /// The same for a packet whose answer may be on its way already.
    pub(super) fn acknowledge_early(&mut self, now: Instant, to: SocketAddrV4) -> Action<'_> {
        self.blocks.acknowledged();
        self.timer.sent_early(now);
        self.acknowledgement(to)
    }

    pub(super) fn request(&mut self) -> Action<'_> {
        let request = Packet::ReadRequest { path: self.path.as_bytes(), options: self.asked.options() };
        let length = request.emit(&mut self.outgoing);
        self.send(self.server, length)
    }

    #[inline]
    pub(super) fn acknowledgement(&mut self, to: SocketAddrV4) -> Action<'_> {
        let length = Packet::Acknowledgement { block: self.blocks.last() }.emit(&mut self.outgoing);
        self.send(to, length)
    }

    pub(super) fn error(&mut self, to: SocketAddrV4, code: u16, words: &'static [u8]) -> Action<'_> {
        let length = Packet::Error { code, message: words }.emit(&mut self.outgoing);
        self.send(to, length)
    }

    fn send(&self, to: SocketAddrV4, length: Option<usize>) -> Action<'_> {
        match length.and_then(|length| self.outgoing.get(..length)) {
            Some(datagram) => Action::Send { to, datagram },
            None => Action::Wait,
        }
    }
}
