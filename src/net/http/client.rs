//! One file, as a state machine: connections, bytes and time in, requests and file bytes out.

use super::head::Head;
use super::{Error, LARGEST_HEAD, MOST_REDIRECTS, location};
use crate::config::source::HTTP_PORT;
use crate::net::tftp::{Message, Sink};
use crate::time::{Duration, Instant};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::SocketAddrV4;

/// Heads of an answer that announce another one (100 to 199) and are passed over.
const MOST_INTERIM: u8 = 8;

/// The longest body of a redirect that is read for the sake of its connection; for a longer one it is cheaper to open another.
const LONGEST_SKIPPED: u64 = 4096;

/// The longest name of a file's version that is kept.
const LONGEST_VERSION: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A connection is wanted, from a moment on.
    Apart { from: Instant },
    /// A connection is being opened.
    Opening,
    /// The request is on its way, and the head of its answer is awaited.
    Head,
    /// This many bytes of the file are still to come on this connection.
    Body { left: u64 },
    /// This many bytes of a redirect's body, and then its target is asked for on the same connection.
    Skip { left: u64 },
    /// All has come.
    Done { size: u64 },
    /// It was given up.
    Failed(Error),
}

/// One file from a server. Its owner opens the connection that it [wants](Self::wanted), sends what is [to be sent](Self::to_send) on it, and
/// tells of what comes and of the time; it is over when [`outcome`](Self::outcome) says so.
///
/// # Panics
/// Never, whatever the server sends.
#[derive(Debug)]
pub struct Client {
    /// Where the file is, as far as is known: redirects change it.
    server: SocketAddrV4,
    path: String,
    patience: Duration,
    state: State,
    /// The request, and how much of it was sent.
    request: String,
    sent: usize,
    /// What has come of a head.
    head: Vec<u8>,
    interim: u8,
    redirects: u8,
    /// The connection was used before, so it may end before an answer although nothing is wrong.
    reused: bool,
    /// The connection can be used again behind this file.
    reusable: bool,
    /// Bytes of the file, in order from its start.
    received: u64,
    furthest: u64,
    size: Option<u64>,
    /// What names the file's version, so that the rest of the same one can be asked for.
    version: Option<Vec<u8>>,
    /// When the server last brought something new.
    progressed: Instant,
    losses: u32,
}

impl Client {
    /// A transfer of `path`, with its leading slash, from `server`; no progress for `patience` ends it.
    ///
    /// # Errors
    /// [`Error::Path`] where the path cannot stand in a request line.
    pub fn new(now: Instant, server: SocketAddrV4, path: &str, patience: Duration) -> Result<Self, Error> {
        let bad = |character: char| character == ' ' || character.is_control();
        if !path.starts_with('/') || path.contains(bad) {
            return Err(Error::Path { length: path.len() });
        }
        Ok(Self {
            server,
            path: path.into(),
            patience,
            state: State::Apart { from: now },
            request: String::new(),
            sent: 0,
            head: Vec::new(),
            interim: 0,
            redirects: 0,
            reused: false,
            reusable: false,
            received: 0,
            furthest: 0,
            size: None,
            version: None,
            progressed: now,
            losses: 0,
        })
    }

    /// The server that has the file, as far as is known.
    pub fn server(&self) -> SocketAddrV4 {
        self.server
    }

    /// The server to which a new connection is wanted now; one that there was is of no more use.
    pub fn wanted(&self, now: Instant) -> Option<SocketAddrV4> {
        matches!(self.state, State::Apart { from } if now >= from).then_some(self.server)
    }

    /// The file's size in bytes once all of it is with the sink, or why it is not; `None` while the transfer runs.
    pub fn outcome(&self) -> Option<Result<u64, Error>> {
        match self.state {
            State::Done { size } => Some(Ok(size)),
            State::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }

    /// Bytes of the file received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The most bytes that were received of any version of the file: if that grows, it makes progress.
    pub fn furthest(&self) -> u64 {
        self.furthest
    }

    /// Bytes of the file, where the server has said.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Connections that were lost.
    pub fn losses(&self) -> u32 {
        self.losses
    }

    /// Whether the file has come whole and another one can be asked for on the same connection.
    pub fn leaves_connection(&self) -> bool {
        self.reusable && matches!(self.state, State::Done { .. })
    }

    /// Whether the wanted connection is being opened.
    pub fn is_opening(&self) -> bool {
        self.state == State::Opening
    }

    /// The wanted connection is being opened.
    pub fn on_opening(&mut self, now: Instant) {
        self.state = State::Opening;
        self.progressed = now;
    }

    /// The connection is open; `reused` where it was before.
    pub fn on_open(&mut self, now: Instant, reused: bool) {
        if matches!(self.state, State::Apart { .. } | State::Opening) {
            self.reused = reused;
            self.progressed = now;
            self.ask();
        }
    }

    /// What is to be sent on the open connection.
    pub fn to_send(&self) -> &[u8] {
        self.request.as_bytes().get(self.sent..).unwrap_or_default()
    }

    /// `count` bytes of that were sent.
    pub fn on_sent(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count);
    }

    /// Bytes came on the open connection, in order. False where no more are wanted from it.
    pub fn on_bytes(&mut self, now: Instant, bytes: &[u8], sink: &mut dyn Sink) -> bool {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Head => self.head_bytes(now, bytes, sink),
                State::Body { left } => self.body_bytes(now, left, bytes, sink),
                State::Skip { left } => self.skip(left, bytes),
                State::Apart { .. } | State::Opening | State::Done { .. } | State::Failed(_) => {
                    // More than was announced: whatever it is, what comes next on this connection is no answer.
                    self.reusable = false;
                    return false;
                }
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        matches!(self.state, State::Head | State::Body { .. } | State::Skip { .. })
    }

    /// The connection has ended, and all that came on it was handed over.
    pub fn on_end(&mut self, now: Instant) {
        self.reusable = false;
        match self.state {
            State::Opening => self.fail(Error::NoServer { server: self.server }),
            State::Head if self.reused && self.head.is_empty() => self.state = State::Apart { from: now },
            State::Head | State::Body { .. } | State::Skip { .. } => {
                let (server, received, size) = (self.server, self.received, self.size);
                self.fail(Error::Lost { server, received, size });
            }
            State::Apart { .. } | State::Done { .. } | State::Failed(_) => {}
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) {
        let waited = now.since(self.progressed);
        if waited < self.patience || self.outcome().is_some() {
            return;
        }
        let (server, received, size) = (self.server, self.received, self.size);
        self.fail(match self.state {
            State::Opening | State::Apart { .. } => Error::NoAnswer { server, waited },
            _ => Error::Stalled { server, received, size, waited },
        });
    }

    /// Time during which no packet could pass, because the link was down, is not counted.
    pub fn resume(&mut self, now: Instant) {
        self.progressed = now;
    }

    /// Goes on, after a failure or in the middle, on a new connection that is wanted `pause` from now.
    pub fn start_again(&mut self, now: Instant, pause: Duration) {
        if !matches!(self.state, State::Done { .. }) {
            let from = now.after(pause);
            self.state = State::Apart { from };
            self.progressed = from;
        }
    }

    /// Gives the transfer up.
    pub fn abort(&mut self, error: Error) {
        if self.outcome().is_none() {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: Error) {
        self.losses = self.losses.saturating_add(u32::from(error.may_pass()));
        self.state = State::Failed(error);
    }

    /// Puts the request together: for the whole file, or for the rest of the version of which a part is here.
    fn ask(&mut self) {
        let Self { server, path, received, .. } = &*self;
        let mut request = String::new();
        // Writing to a string does not fail.
        let _ = write!(request, "GET {path} HTTP/1.1\r\nHost: {}", server.ip());
        if server.port() != HTTP_PORT {
            let _ = write!(request, ":{}", server.port());
        }
        request.push_str("\r\nUser-Agent: xenlift\r\nAccept-Encoding: identity\r\n");
        let version = self.version.as_deref().and_then(|version| core::str::from_utf8(version).ok());
        match version.filter(|_| *received > 0) {
            Some(version) => {
                let _ = write!(request, "Range: bytes={received}-\r\nIf-Range: {version}\r\n");
            }
            None => self.received = 0,
        }
        request.push_str("\r\n");
        self.request = request;
        self.sent = 0;
        self.head.clear();
        self.interim = 0;
        self.state = State::Head;
    }

    /// Collects a head as far as its empty line; says how many bytes that took.
    fn head_bytes(&mut self, now: Instant, bytes: &[u8], sink: &mut dyn Sink) -> usize {
        for (index, &byte) in bytes.iter().enumerate() {
            self.head.push(byte);
            let head = &self.head[..];
            if byte == b'\n' {
                if !head.starts_with(b"HTTP/") {
                    let begins = Message::new(head.trim_ascii_end());
                    self.fail(Error::NotHttp { begins });
                    return bytes.len();
                }
                if head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n") {
                    let head = core::mem::take(&mut self.head);
                    match self.answer(now, &head, sink) {
                        Ok(state) => self.state = state,
                        Err(error) => self.fail(error),
                    }
                    return index + 1;
                }
            }
            if self.head.len() >= LARGEST_HEAD {
                self.fail(Error::LongHead { limit: LARGEST_HEAD });
                return bytes.len();
            }
        }
        bytes.len()
    }

    /// What the head of an answer leads to.
    fn answer(&mut self, now: Instant, bytes: &[u8], sink: &mut dyn Sink) -> Result<State, Error> {
        let head = Head::parse(bytes)?;
        let resumes = self.received > 0;
        match head.status {
            100 | 102..=199 if self.interim < MOST_INTERIM => {
                self.interim += 1;
                Ok(State::Head)
            }
            200 => self.whole(now, &head, sink),
            206 if resumes => self.rest(now, &head, sink),
            // The file has become shorter than what is here of it.
            416 if resumes => Ok(self.start_over(now)),
            301 | 302 | 303 | 307 | 308 => self.redirect(now, &head),
            code => Err(Error::Status { code, reason: Message::new(head.reason.as_bytes()) }),
        }
    }

    /// The file from its start.
    fn whole(&mut self, now: Instant, head: &Head<'_>, sink: &mut dyn Sink) -> Result<State, Error> {
        plain(head, &self.path)?;
        let size = head.length.ok_or(Error::NoLength)?;
        let version = head.version().filter(|version| version.len() <= LONGEST_VERSION);
        self.version = version.filter(|version| version.iter().all(is_printable)).map(Vec::from);
        (self.received, self.size) = (0, Some(size));
        sink.begin(Some(size).filter(|size| *size > 0)).map_err(Error::Refused)?;
        Ok(self.body(now, head, size, sink))
    }

    /// The file from where its last connection was lost.
    fn rest(&mut self, now: Instant, head: &Head<'_>, sink: &mut dyn Sink) -> Result<State, Error> {
        plain(head, &self.path)?;
        let asked = self.received;
        let answer = Message::new(head.range.unwrap_or(b"no Content-Range"));
        let other = Error::Range { asked, answer };
        let (Some((first, last, total)), Some(size)) = (head.parsed_range(), self.size) else { return Err(other) };
        if total.is_some_and(|total| total != size) || self.is_other_version(head) {
            return Ok(self.start_over(now));
        }
        let left = size.saturating_sub(asked);
        let fits =
            first == asked && last.checked_add(1) == Some(size) && head.length.is_none_or(|length| length == left);
        if fits { Ok(self.body(now, head, left, sink)) } else { Err(other) }
    }

    /// Whether a head says that it is about another version than the one of which a part is here: not every server looks at `If-Range`.
    fn is_other_version(&self, head: &Head<'_>) -> bool {
        let Some(version) = self.version.as_deref() else { return true };
        let said = if version.starts_with(b"\"") { head.tag } else { head.modified };
        said.is_some_and(|said| said != version)
    }

    /// The state in which `left` bytes of the file are to come.
    fn body(&mut self, now: Instant, head: &Head<'_>, left: u64, sink: &mut dyn Sink) -> State {
        self.progressed = now;
        self.reusable = head.stays_open;
        match (left, self.size) {
            (0, Some(size)) => {
                sink.end(size);
                State::Done { size }
            }
            _ => State::Body { left },
        }
    }

    /// Forgets what is here of the file, and asks for it anew.
    fn start_over(&mut self, now: Instant) -> State {
        self.version = None;
        State::Apart { from: now }
    }

    fn redirect(&mut self, now: Instant, head: &Head<'_>) -> Result<State, Error> {
        let Some(location) = head.location else {
            return Err(Error::Status { code: head.status, reason: Message::new(head.reason.as_bytes()) });
        };
        if self.redirects >= MOST_REDIRECTS {
            return Err(Error::Redirects { followed: self.redirects, location: Message::new(location) });
        }
        self.redirects += 1;
        let before = self.server;
        (self.server, self.path) = location::resolve(before, &self.path, location)?;
        self.progressed = now;
        match head.length {
            Some(left)
                if left <= LONGEST_SKIPPED
                    && head.stays_open
                    && head.transfer_coding.is_none()
                    && self.server == before =>
            {
                if left == 0 {
                    self.ask();
                }
                Ok(if left == 0 { State::Head } else { State::Skip { left } })
            }
            _ => Ok(State::Apart { from: now }),
        }
    }

    fn body_bytes(&mut self, now: Instant, left: u64, bytes: &[u8], sink: &mut dyn Sink) -> usize {
        let (part, left) = part(bytes, left);
        if let Err(refusal) = sink.write(self.received, part) {
            self.fail(Error::Refused(refusal));
            return bytes.len();
        }
        // No more than the size, which is a number of 64 bits.
        self.received = self.received.saturating_add(part.len() as u64);
        self.furthest = self.furthest.max(self.received);
        self.progressed = now;
        self.state = State::Body { left };
        if left == 0 {
            sink.end(self.received);
            self.state = State::Done { size: self.received };
        }
        part.len()
    }

    fn skip(&mut self, left: u64, bytes: &[u8]) -> usize {
        let (part, left) = part(bytes, left);
        self.state = State::Skip { left };
        if left == 0 {
            self.ask();
        }
        part.len()
    }
}

/// The beginning of `bytes` that belongs to a body of which `left` bytes are to come, and how many are to come then.
fn part(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (bytes.get(..count).unwrap_or_default(), left.saturating_sub(count as u64))
}

/// Refuses a body that is not the bytes of the file at `path` as they are there. Some servers (mini_httpd, Apache with `AddEncoding`) call a file
/// that is stored packed one that they have packed; it has the name of the packing then.
fn plain(head: &Head<'_>, path: &str) -> Result<(), Error> {
    let packed = |coding: &&[u8]| !is_named_after(path, coding);
    match head.transfer_coding.or(head.content_coding.filter(packed)) {
        Some(coding) => Err(Error::Coded { coding: Message::new(coding) }),
        None => Ok(()),
    }
}

/// Whether `path` ends as files do that are packed by `coding`: `.gz` for gzip and x-gzip, `.xz` for xz, `.zst` for zstd.
fn is_named_after(path: &str, coding: &[u8]) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    let coding = coding.strip_prefix(b"x-").unwrap_or(coding);
    let Some((_, ending)) = path.rsplit_once('.') else { return false };
    ending.len() > 1 && coding.get(..ending.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(ending.as_bytes()))
}

fn is_printable(byte: &u8) -> bool {
    *byte == b' ' || byte.is_ascii_graphic()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
