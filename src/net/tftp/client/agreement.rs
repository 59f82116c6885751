//! What is agreed upon with the server, and the steps back from it: without options, with smaller blocks, from the beginning.

use super::{Action, Client, State};
use crate::net::tftp::Sink;
use crate::net::tftp::blocks::Blocks;
use crate::net::tftp::options::{Asked, PLAIN_BLOCK_SIZE};
use crate::net::tftp::packet::{Options, Packet, code};
use crate::time::Instant;
use core::net::SocketAddrV4;

/// A transfer that was opened and brought no block yet, while smaller blocks are asked for: if its own come after all, the server was only slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) peer: SocketAddrV4,
    pub(super) asked: Asked,
    pub(super) block_size: u16,
    pub(super) window: u16,
    pub(super) size: Option<u64>,
}

impl Client {
    /// What came is no packet. If it is the server's confirmation of the options, the server is asked without any.
    pub(super) fn unreadable(&mut self, now: Instant, from: SocketAddrV4, datagram: &[u8]) -> Action<'_> {
        let awaited = self.state == State::Requested && self.asked.options && self.belongs(from);
        if !awaited || !Packet::is_option_acknowledgement(datagram) {
            return Action::Wait;
        }
        self.heard_from_server(now);
        self.peer = Some(from);
        self.start_over(Asked { options: false, ..self.asked }, Some(b"not what was asked for"))
    }

    /// The server confirmed options: checks them, and acknowledges with block 0.
    pub(super) fn open(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        granted: &Options,
        sink: &mut dyn Sink,
    ) -> Action<'_> {
        self.heard_from_server(now);
        self.peer = Some(from);
        let Some((block_size, window)) = self.asked.agree(granted) else {
            return self.start_over(Asked { options: false, ..self.asked }, Some(b"not what was asked for"));
        };
        self.agree_upon(block_size, window, granted.transfer_size.filter(|&size| size != 0));
        if let Err(refusal) = sink.begin(self.size) {
            return self.refuse(refusal);
        }
        self.state = State::Opened { at: now };
        self.timer.sent(now);
        self.acknowledgement(from)
    }

    /// The server took no notice of the options and sent the first block.
    pub(super) fn begin_plain(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) -> Action<'_> {
        self.peer = Some(from);
        self.agree_upon(PLAIN_BLOCK_SIZE, 1, None);
        if let Err(refusal) = sink.begin(None) {
            return self.refuse(refusal);
        }
        self.data(now, from, 1, bytes, sink)
    }

    pub(super) fn agree_upon(&mut self, block_size: u16, window: u16, size: Option<u64>) {
        self.block_size = block_size;
        self.blocks = Blocks::new(window);
        self.size = size;
    }

    /// No block has come from `peer`: tries `smaller` ones. If this was the first attempt, what it may still bring is wanted as well.
    pub(super) fn ask_for_smaller_blocks(&mut self, peer: SocketAddrV4, smaller: Asked) -> Action<'_> {
        if self.waiting.is_some() || peer == self.server {
            return self.start_over(smaller, Some(b"no block came: trying smaller ones"));
        }
        let (asked, block_size, window, size) = (self.asked, self.block_size, self.blocks.window(), self.size);
        self.waiting = Some(Opened { peer, asked, block_size, window, size });
        self.peer = None;
        self.start_over(smaller, None)
    }

    /// A packet of the first attempt, while a later one waits for its first block as well. A block means that they do get through: the server was slow.
    pub(super) fn late(
        &mut self,
        now: Instant,
        opened: Opened,
        packet: &Packet<'_>,
        sink: &mut dyn Sink,
    ) -> Action<'_> {
        match *packet {
            Packet::Data { block, bytes } if (1..=opened.window).contains(&block) => {
                // What the other attempt has opened is turned away with its next packet.
                self.start_over(opened.asked, None);
                self.peer = Some(opened.peer);
                self.agree_upon(opened.block_size, opened.window, opened.size);
                if let Err(refusal) = sink.begin(self.size) {
                    return self.refuse(refusal);
                }
                self.waiting = None;
                self.state = State::Opened { at: now };
                self.data(now, opened.peer, block, bytes, sink)
            }
            Packet::Error { .. } => {
                self.waiting = None;
                Action::Wait
            }
            _ => Action::Wait,
        }
    }

    /// Asks again for less, as a new transfer: whatever still comes from the old one is turned away.
    pub(super) fn start_over(&mut self, asked: Asked, farewell: Option<&'static [u8]>) -> Action<'_> {
        self.asked = asked;
        self.state = State::Unsent;
        self.attempts = 0;
        self.received = 0;
        self.agree_upon(PLAIN_BLOCK_SIZE, 1, None);
        self.early_end = None;
        self.timer.set_windows(false);
        let Some(peer) = self.peer.take() else { return Action::Wait };
        // A server that keeps one port for all transfers cannot be told apart by it.
        if peer != self.server {
            self.abandoned.push(peer);
        }
        match farewell {
            Some(words) => self.error(peer, code::OPTIONS, words),
            None => Action::Wait,
        }
    }
}
