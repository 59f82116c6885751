//! One transfer, as a state machine: packets and time in, packets and file bytes out.

mod agreement;
mod receive;
mod send;

use super::blocks::Blocks;
use super::options::{Asked, PLAIN_BLOCK_SIZE, Parameters};
use super::packet::{LARGEST_REQUEST, Packet, code};
use super::timer::Timer;
use super::{Error, Message, Refusal, Sink};
use crate::time::{Duration, Instant};
use agreement::Opened;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddrV4;

/// How long a server that has confirmed the options may send no block before its blocks are taken to be too big for the path:
/// it has sent the first ones several times by then, asked by us or by its own timer.
const FIRST_BLOCK_LIMIT: Duration = Duration::from_millis(1200);

/// The same where the server sends everything from the port of requests. Its first transfer cannot be told from the next one there, so it cannot be
/// kept in case that the server was only slow.
const FIRST_BLOCK_LIMIT_OF_ONE_PORT: Duration = Duration::from_secs(6);

/// Retransmissions at the rollover of the block numbers after which the server is taken to skip block 0.
const ROLLOVER_LIMIT: u32 = 3;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Nothing until the next packet or [`Client::deadline`].
    Wait,
    /// Send a datagram, always from the same local port.
    Send {
        /// Where to.
        to: SocketAddrV4,
        /// Its payload.
        datagram: &'a [u8],
    },
}

/// What happened during a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks received, each once.
    pub blocks: u64,
    /// Blocks received again, or too early to be kept.
    pub superfluous: u64,
    /// Times at which something was seen to be lost: a gap, or a time-out.
    pub losses: u32,
    /// Packets of ours sent again because a time-out had passed; from the first block on those since then, because before that a server may have
    /// taken its time, which says nothing about the network.
    pub retransmissions: u32,
    /// Packets from somebody else, or that were no TFTP.
    pub strangers: u32,
}

/// Blocks that came again while none was new.
#[derive(Clone, Copy, Debug, Default)]
struct Again {
    /// How many new ones there had been by then.
    behind: u64,
    times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The request is to be sent.
    Unsent,
    /// The request was sent; the server's port is not known yet.
    Requested,
    /// The options are agreed upon and block 0 was acknowledged.
    Opened { at: Instant },
    /// Blocks are coming in.
    Receiving,
    /// All has come.
    Done { size: u64 },
    /// It was given up.
    Failed(Error),
}

/// One transfer from a server. It is told of every datagram and of the time, and is over when [`Client::outcome`] says so.
///
/// A finished client should be kept for a while where that costs nothing: it answers a server that did not get the last
/// acknowledgement (RFC 1350, section 6).
#[derive(Debug)]
pub struct Client {
    path: String,
    /// Where requests go.
    server: SocketAddrV4,
    parameters: Parameters,
    asked: Asked,
    state: State,
    /// The server's end of this transfer (its transfer identifier), once it has answered.
    peer: Option<SocketAddrV4>,
    /// Server's ends of attempts that were given up; what still comes from there belongs to no transfer.
    abandoned: Vec<SocketAddrV4>,
    /// The first attempt, as long as none has brought a block.
    waiting: Option<Opened>,
    /// The server's end of an attempt that is not waited for any longer, and has not been told.
    untold: Option<SocketAddrV4>,
    stranger: Option<SocketAddrV4>,
    /// Bytes of a full block, as agreed upon.
    block_size: u16,
    /// Bytes of the file, where the server has said.
    size: Option<u64>,
    received: u64,
    blocks: Blocks,
    /// Number and bytes of the file's last block, if that came early.
    early_end: Option<(u16, u16)>,
    again: Again,
    /// The furthest block that was here when silence was asked about last.
    asked_behind: u16,
    timer: Timer,
    /// Retransmissions since the last progress.
    attempts: u32,
    /// When the server last brought something new.
    progressed: Instant,
    /// A refusal of options that came to a transfer that has none.
    refused: Option<Error>,
    counts: Counts,
    outgoing: [u8; LARGEST_REQUEST],
}

impl Client {
    /// A transfer of `path` from `server` (usually at port [`PORT`](super::PORT)). The first [`on_time`](Self::on_time) sends
    /// the request.
    ///
    /// # Errors
    /// [`Error::Path`] where the name does not fit into a request.
    pub fn new(now: Instant, server: SocketAddrV4, path: &str, parameters: Parameters) -> Result<Self, Error> {
        let parameters = parameters.bounded();
        let asked = Asked { options: true, block_size: parameters.block_size, window: parameters.window };
        let mut outgoing = [0; LARGEST_REQUEST];
        let request = Packet::ReadRequest { path: path.as_bytes(), options: asked.options() };
        if path.is_empty() || path.contains('\0') || request.emit(&mut outgoing).is_none() {
            return Err(Error::Path { length: path.len() });
        }
        Ok(Self {
            path: path.into(),
            server,
            parameters,
            asked,
            state: State::Unsent,
            peer: None,
            abandoned: Vec::new(),
            waiting: None,
            untold: None,
            stranger: None,
            block_size: PLAIN_BLOCK_SIZE,
            size: None,
            received: 0,
            blocks: Blocks::new(1),
            early_end: None,
            again: Again::default(),
            asked_behind: 0,
            timer: if parameters.patient { Timer::patient(now) } else { Timer::new(now) },
            attempts: 0,
            progressed: now,
            refused: None,
            counts: Counts::default(),
            outgoing,
        })
    }

    /// The file's size in bytes once all of it is with the sink, or why it is not; `None` while the transfer runs.
    #[inline]
    pub fn outcome(&self) -> Option<Result<u64, Error>> {
        match self.state {
            State::Done { size } => Some(Ok(size)),
            State::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }

    /// When [`on_time`](Self::on_time) wants to be called at the latest; `None` once the transfer is over.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Done { .. } | State::Failed(_) => None,
            State::Unsent => Some(Instant::default()),
            _ if self.untold.is_some() => Some(Instant::default()),
            _ => Some(self.timer.deadline().min(self.progressed.after(self.parameters.patience))),
        }
    }

    /// Whether the server has agreed to send the file.
    #[inline]
    pub fn has_begun(&self) -> bool {
        self.peer.is_some() && self.state != State::Requested
    }

    /// Time during which no packet could pass, because the link was down, is not counted; what was sent last is sent again with
    /// the next [`on_time`](Self::on_time).
    pub fn resume(&mut self, now: Instant) {
        self.progressed = now;
        self.timer.resume(now);
    }

    /// Blocks that the server may have under way to here, now or as soon as it answers.
    #[inline]
    pub fn in_flight(&self) -> u16 {
        let window = match self.state {
            State::Done { .. } | State::Failed(_) => return 0,
            State::Unsent | State::Requested if self.asked.options => self.asked.window,
            _ => self.blocks.window(),
        };
        window + self.waiting.map_or(0, |opened| opened.window)
    }

    /// Bytes of a block that were asked for last: less than at first where larger ones did not get through.
    pub fn asked_block_size(&self) -> u16 {
        self.asked.block_size
    }

    /// Bytes of the file received so far, up to the first gap.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of the file, where the server has said.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Blocks in flight, as agreed upon.
    pub fn window(&self) -> u16 {
        self.blocks.window()
    }

    /// Bytes of a full block, as agreed upon.
    pub fn block_size(&self) -> u16 {
        self.block_size
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Gives the transfer up, and tells the server so.
    pub fn abort(&mut self, error: Error) -> Action<'_> {
        self.fail(error, code::NOT_DEFINED, b"the client gave up")
    }

    /// A datagram came in at the transfer's local port.
    #[inline]
    pub fn on_packet(&mut self, now: Instant, from: SocketAddrV4, datagram: &[u8], sink: &mut dyn Sink) -> Action<'_> {
        // As below, for what nearly all packets are.
        if matches!(self.state, State::Opened { .. } | State::Receiving)
            && self.waiting.is_none()
            && self.peer == Some(from)
            && let Some((block, bytes)) = Packet::block(datagram)
        {
            return self.data(now, from, block, bytes, sink);
        }
        let Ok(packet) = Packet::parse(datagram) else {
            self.counts.strangers = self.counts.strangers.saturating_add(1);
            return self.unreadable(now, from, datagram);
        };
        if let Some(opened) = self.waiting
            && opened.peer == from
            && self.outcome().is_none()
        {
            return self.late(now, opened, &packet, sink);
        }
        if !self.belongs(from) {
            return self.turn_away(from, &packet);
        }
        match (self.state, packet) {
            (State::Failed(_), Packet::OptionAcknowledgement(_) | Packet::Data { .. }) if self.peer.is_none() => {
                // Given up before the server had answered, so it could not be told then.
                self.peer = Some(from);
                self.error(from, code::UNKNOWN_TRANSFER, b"the client gave up")
            }
            (State::Unsent | State::Failed(_), _) => Action::Wait,
            (State::Done { .. }, Packet::Data { block, .. }) => self.acknowledge_late(now, from, block),
            (State::Done { .. }, _) => Action::Wait,
            (State::Requested, Packet::OptionAcknowledgement(granted)) if self.asked.options => {
                self.open(now, from, &granted, sink)
            }
            // The late answer to an earlier request.
            (State::Requested, Packet::OptionAcknowledgement(_)) => self.turn_away(from, &packet),
            (State::Requested, Packet::Error { code: code::OPTIONS, .. }) if self.asked.options => {
                self.heard_from_server(now);
                self.start_over(Asked { options: false, ..self.asked }, None)
            }
            (_, Packet::Error { code: code::OPTIONS, message }) if !self.asked.options => {
                // Nothing was asked for that could be refused: late, or doubled on its way, most likely; but if nothing else comes,
                // it is the reason.
                self.refused = Some(Error::Server { code: code::OPTIONS, message: Message::new(message) });
                Action::Wait
            }
            (State::Requested, Packet::Data { block: 1, bytes }) => self.begin_plain(now, from, bytes, sink),
            (State::Opened { .. } | State::Receiving, Packet::Data { block, bytes }) => {
                self.data(now, from, block, bytes, sink)
            }
            (_, Packet::Error { code, message }) => {
                self.state = State::Failed(Error::Server { code, message: Message::new(message) });
                Action::Wait
            }
            // A repeated OACK is answered by the timer, as all repetition is; the rest is nothing that a server sends.
            _ => Action::Wait,
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) -> Action<'_> {
        if let Some(peer) = self.untold.take() {
            return self.error(peer, code::OPTIONS, b"smaller blocks came first");
        }
        match self.state {
            State::Done { .. } | State::Failed(_) => return Action::Wait,
            State::Unsent => {
                self.state = State::Requested;
                self.timer.sent(now);
                return self.request();
            }
            State::Requested | State::Opened { .. } | State::Receiving => {}
        }
        let waited = now.since(self.progressed);
        if waited >= self.parameters.patience {
            let error = match (self.peer, self.refused) {
                (Some(server), _) => Error::Stalled { server, received: self.received, size: self.size, waited },
                (None, Some(refused)) => refused,
                (None, None) => Error::NoAnswer { server: self.server, waited, stranger: self.stranger },
            };
            return self.abort(error);
        }
        if !self.timer.expired(now) {
            return Action::Wait;
        }
        if let State::Opened { at } = self.state
            && let Some(peer) = self.peer
            && let Some(smaller) = self.asked.smaller_blocks()
            && now.since(at) >= if peer == self.server { FIRST_BLOCK_LIMIT_OF_ONE_PORT } else { FIRST_BLOCK_LIMIT }
        {
            return self.ask_for_smaller_blocks(peer, smaller);
        }
        if self.blocks.stuck_at_rollover() && self.attempts >= ROLLOVER_LIMIT {
            return self.start_over(Asked { window: 1, ..self.asked }, Some(b"trying without windowsize"));
        }
        self.attempts = self.attempts.saturating_add(1);
        self.counts.retransmissions = self.counts.retransmissions.saturating_add(1);
        if !self.timer.is_question() && self.state == State::Receiving {
            self.counts.losses = self.counts.losses.saturating_add(1);
        }
        self.timer.sent_again(now);
        self.asked_behind = self.blocks.furthest().unwrap_or(self.blocks.last());
        match self.peer {
            None => self.request(),
            Some(peer) => {
                self.blocks.acknowledged();
                self.acknowledgement(peer)
            }
        }
    }

    /// Whether a packet from `from` is of this transfer. Until the server has answered, any of its ports may be the one that it
    /// chose (RFC 1350, section 4).
    #[inline]
    fn belongs(&self, from: SocketAddrV4) -> bool {
        match self.peer {
            Some(peer) => from == peer,
            None => from.ip() == self.server.ip() && !self.abandoned.contains(&from),
        }
    }

    /// A packet from elsewhere is answered with an error, and changes nothing (RFC 1350, section 4). An error is never
    /// answered, so two clients cannot keep each other busy.
    fn turn_away(&mut self, from: SocketAddrV4, packet: &Packet<'_>) -> Action<'_> {
        self.counts.strangers = self.counts.strangers.saturating_add(1);
        self.stranger = Some(from);
        match packet {
            Packet::Data { .. } | Packet::Acknowledgement { .. } | Packet::OptionAcknowledgement(_) => {
                self.error(from, code::UNKNOWN_TRANSFER, b"unknown transfer")
            }
            Packet::ReadRequest { .. } | Packet::Error { .. } => Action::Wait,
        }
    }

    #[inline]
    fn heard_from_server(&mut self, now: Instant) {
        self.attempts = 0;
        self.progressed = now;
        self.timer.answered(now);
    }

    fn refuse(&mut self, refusal: Refusal) -> Action<'_> {
        self.fail(Error::Refused(refusal), code::NO_ROOM, b"no room for it")
    }

    /// Ends the transfer, and tells the server if it has one open.
    fn fail(&mut self, error: Error, code: u16, words: &'static [u8]) -> Action<'_> {
        if self.outcome().is_some() {
            return Action::Wait;
        }
        self.state = State::Failed(error);
        match self.peer {
            Some(peer) => self.error(peer, code, words),
            None => Action::Wait,
        }
    }
}
