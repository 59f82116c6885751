//! What a block does that comes: to its place, to the acknowledgement, to the end of the transfer.

use super::{Action, Again, Client, State};
use crate::net::tftp::blocks::{Place, is_behind};
use crate::net::tftp::packet::code;
use crate::net::tftp::{BEGINNING, Error, Sink};
use crate::time::Instant;
use core::net::SocketAddrV4;

/// Blocks that may come again while none is new. The worst of networks does not bring as many.
const MOST_AGAIN: u64 = 4096;

impl Client {
    /// The block `number` came.
    #[inline]
    pub(super) fn data(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        number: u16,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) -> Action<'_> {
        match self.blocks.place(number) {
            Place::Next => {}
            Place::Ahead(distance) => return self.early(now, from, (number, distance), bytes, sink),
            Place::Other => {
                self.counts.superfluous = self.counts.superfluous.saturating_add(1);
                let times = self.came_again();
                if times > MOST_AGAIN {
                    return self.fail(Error::Repeats { server: from, times }, code::NOT_DEFINED, b"over and over");
                }
                match is_behind(number, self.asked_behind) {
                    true => self.timer.came_twice(now),
                    // It was here before: that it comes again says nothing about the question.
                    false => self.timer.still_sending(now),
                }
                return if self.blocks.can_skip(number) { self.acknowledge_early(now, from) } else { Action::Wait };
            }
        }
        let last = bytes.len() < usize::from(self.block_size);
        if let Err(error) = self.check(self.received, bytes.len()) {
            return self.fail(error, code::ILLEGAL, b"not what was agreed upon");
        }
        if last && self.blocks.has_kept() {
            return self.contradicted(self.received.saturating_add(bytes.len() as u64));
        }
        if let Err(refusal) = sink.write(self.received, bytes) {
            return self.refuse(refusal);
        }
        self.received = self.received.saturating_add(bytes.len() as u64);
        self.counts.blocks = self.counts.blocks.saturating_add(1);
        if self.state != State::Receiving {
            self.state = State::Receiving;
            self.untold = self.waiting.take().map(|opened| opened.peer);
            self.counts.retransmissions = 0;
            self.timer.set_windows(self.blocks.window() > 1);
        }
        self.heard_from_server(now);
        let window_complete = self.blocks.accept(number);
        if last {
            return self.finish(now, from, sink);
        }
        if self.blocks.has_kept() {
            return self.join(now, from, sink);
        }
        if window_complete { self.acknowledge(now, from) } else { Action::Wait }
    }

    /// How many blocks have come again since the last one that was new, this one included.
    fn came_again(&mut self) -> u64 {
        if self.again.behind != self.counts.blocks {
            self.again = Again { behind: self.counts.blocks, times: 0 };
        }
        self.again.times = self.again.times.saturating_add(1);
        self.again.times
    }

    /// Whether a block of `length` bytes at `offset` is one that was agreed upon and announced.
    #[inline]
    fn check(&self, offset: u64, length: usize) -> Result<(), Error> {
        if length > usize::from(self.block_size) {
            return Err(Error::LongBlock { length, block_size: self.block_size });
        }
        let received = offset.saturating_add(length as u64);
        match self.size {
            Some(announced) if received > announced => Err(Error::Longer { received, announced }),
            _ => Ok(()),
        }
    }

    /// A block came from ahead: keeps it, and answers the gap before it, once.
    fn early(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        (number, distance): (u16, u16),
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) -> Action<'_> {
        self.timer.still_sending(now);
        let last = bytes.len() < usize::from(self.block_size);
        let offset = self.received.saturating_add(u64::from(distance) * u64::from(self.block_size));
        let ends = match (self.early_end, self.blocks.furthest()) {
            (Some((end, length)), _) if is_behind(number, end) => Some((end, length)),
            (None, Some(furthest)) if last && is_behind(furthest, number) => Some((number, bytes.len() as u16)),
            _ => None,
        };
        if let Some((end, length)) = ends {
            let before = u64::from(end.wrapping_sub(self.blocks.last()).wrapping_sub(1)) * u64::from(self.block_size);
            return self.contradicted(self.received.saturating_add(before).saturating_add(length.into()));
        }
        // The beginning of a file decides where the rest goes. A block of which it is not sure that it fits may have a number that
        // means another one; if it is meant, it comes again.
        let fits = self.received >= BEGINNING && self.check(offset, bytes.len()).is_ok();
        if !fits || self.blocks.is_kept(number) {
            self.counts.superfluous = self.counts.superfluous.saturating_add(1);
        } else {
            if let Err(refusal) = sink.write(offset, bytes) {
                return self.refuse(refusal);
            }
            self.blocks.keep(number);
            self.counts.blocks = self.counts.blocks.saturating_add(1);
            self.progressed = now;
            if last {
                self.early_end = Some((number, bytes.len() as u16));
            }
        }
        if !self.blocks.gap() {
            return Action::Wait;
        }
        self.counts.losses = self.counts.losses.saturating_add(1);
        self.acknowledge_early(now, from)
    }

    /// A gap is filled: what lies behind it counts now.
    fn join(&mut self, now: Instant, from: SocketAddrV4, sink: &mut dyn Sink) -> Action<'_> {
        let (joined, window_complete) = self.blocks.join();
        self.received = self.received.saturating_add(u64::from(joined) * u64::from(self.block_size));
        match self.early_end {
            Some((number, length)) if number == self.blocks.last() => {
                self.received = self.received.saturating_sub(u64::from(self.block_size.saturating_sub(length)));
                self.finish(now, from, sink)
            }
            _ if window_complete => self.acknowledge(now, from),
            _ => Action::Wait,
        }
    }

    /// The server sent a last block of a file of `size` bytes, and one behind it.
    fn contradicted(&mut self, size: u64) -> Action<'_> {
        self.fail(Error::Behind { size }, code::ILLEGAL, b"a block behind the last one")
    }

    /// The last block has come.
    fn finish(&mut self, now: Instant, from: SocketAddrV4, sink: &mut dyn Sink) -> Action<'_> {
        let received = self.received;
        if let Some(announced) = self.size
            && received < announced
        {
            let error = Error::Shorter { received, announced };
            return self.fail(error, code::NOT_DEFINED, b"fewer bytes than tsize said");
        }
        sink.end(received);
        self.state = State::Done { size: received };
        self.acknowledge(now, from)
    }

    /// The server repeats the last block, so it did not get the acknowledgement; at most one answer a time-out.
    pub(super) fn acknowledge_late(&mut self, now: Instant, from: SocketAddrV4, number: u16) -> Action<'_> {
        if number != self.blocks.last() || !self.timer.expired(now) {
            return Action::Wait;
        }
        self.timer.sent_again(now);
        self.acknowledgement(from)
    }
}
