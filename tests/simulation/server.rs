//! A TFTP server by the letter of RFC 1350, 1123, 2347-2349 and 7440, and in the ways in which real ones differ.
//!
//! It judges the client, too: a packet that no RFC allows ends the test.

use super::network::Datagram;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use xenlift::net::tftp::packet::{LARGEST_REQUEST, Options, Packet, code};
use xenlift::time::Instant;

pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What the server does with options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Grants them up to these values; a window of 0 means that it does not know windowsize.
    Grants { block_size: u64, window: u64 },
    /// Takes no notice.
    Ignores,
    /// Answers ERROR 8.
    Refuses,
    /// Answers with exactly this, wrong or not.
    Says(Options),
    /// Confirms options in a packet that is none.
    Garbles,
}

#[derive(Clone, Debug)]
pub struct Server {
    pub port: u16,
    pub files: BTreeMap<String, Vec<u8>>,
    pub manner: Manner,
    /// The number after 65535.
    pub rollover: u16,
    /// What it claims the size to be, where that is not the truth.
    pub claimed_size: Option<u64>,
    /// Deaf and dumb from one moment to another.
    pub absent: Option<(Instant, Instant)>,
    /// Requests that it has seen.
    pub requests: u32,
    /// The most blocks that all open transfers together might have had under way.
    pub most_in_flight: u64,
    /// Whether transfers use the request port too.
    pub single_port: bool,
    /// Blocks sent beyond each window.
    pub overshoot: u64,
    /// Full blocks sent behind the last one, as far as the window goes.
    pub beyond: u64,
    /// Index from 0 of a block that is left out the first time.
    pub left_out: Option<u64>,
    /// The time from an acknowledged OACK to the first block.
    pub first_block_takes: Duration,
    /// The time that it takes over the second window.
    pub hesitates: Duration,
    /// Loses its way when it is told twice what it has received: sends the last block over and over, or ends the transfer with these words.
    pub bewildered: Option<&'static [u8]>,
    /// Transfers at the same time; more requests are not answered.
    pub at_once: usize,
    /// Acknowledgements that it has seen.
    pub acknowledgements: u64,
    next_port: u16,
    transfers: Vec<Transfer>,
}

#[derive(Clone, Debug)]
struct Transfer {
    port: u16,
    client: SocketAddrV4,
    file: Vec<u8>,
    block_size: usize,
    window: u64,
    timeout: Duration,
    /// The OACK, as long as it is not acknowledged.
    opening: Option<Options>,
    /// Index from 0 of the first block that is not acknowledged.
    base: u64,
    send_at: Instant,
    tries: u32,
    over: bool,
    /// As for the server.
    overshoot: u64,
    beyond: u64,
    left_out: Option<u64>,
    first_block_takes: Duration,
    hesitates: Duration,
    bewildered: Option<&'static [u8]>,
    lost: bool,
    rollover: u16,
}

impl Server {
    pub fn new(manner: Manner) -> Self {
        Self {
            port: 69,
            files: BTreeMap::new(),
            manner,
            rollover: 0,
            claimed_size: None,
            absent: None,
            requests: 0,
            most_in_flight: 0,
            single_port: false,
            overshoot: 0,
            beyond: 0,
            left_out: None,
            first_block_takes: Duration::ZERO,
            hesitates: Duration::ZERO,
            bewildered: None,
            at_once: usize::MAX,
            acknowledgements: 0,
            next_port: 2000,
            transfers: Vec::new(),
        }
    }

    pub fn with(mut self, path: &str, file: Vec<u8>) -> Self {
        self.files.insert(path.into(), file);
        self
    }

    fn away(&self, now: Instant) -> bool {
        self.absent.is_some_and(|(from, to)| from <= now && now < to)
    }

    /// Transfers that have not ended.
    pub fn open_transfers(&self) -> usize {
        self.transfers.iter().filter(|transfer| !transfer.over).count()
    }

    pub fn on_packet(&mut self, now: Instant, datagram: &Datagram) -> Vec<Datagram> {
        if self.away(now) {
            return Vec::new();
        }
        let packet = Packet::parse(&datagram.bytes).expect("the client sends only well-formed packets");
        if let Packet::ReadRequest { path, options } = packet {
            assert_eq!(datagram.to.port(), self.port, "requests go to the server's port");
            assert!(datagram.bytes.len() <= LARGEST_REQUEST);
            return self.request(now, datagram.from, path, options);
        }
        let port = datagram.to.port();
        let Some(transfer) =
            self.transfers.iter_mut().rev().find(|transfer| transfer.port == port && transfer.client == datagram.from)
        else {
            return Vec::new();
        };
        match packet {
            Packet::Acknowledgement { block } => {
                self.acknowledgements += 1;
                transfer.acknowledged(now, block)
            }
            Packet::Error { .. } => {
                transfer.over = true;
                Vec::new()
            }
            other => panic!("a client never sends {other:?}"),
        }
    }

    pub fn on_time(&mut self, now: Instant) -> Vec<Datagram> {
        if self.away(now) {
            return Vec::new();
        }
        self.transfers.iter_mut().flat_map(|transfer| transfer.on_time(now)).collect()
    }

    pub fn deadline(&self) -> Option<Instant> {
        let due = self.transfers.iter().filter(|transfer| !transfer.over).map(|transfer| transfer.send_at).min()?;
        match self.absent {
            Some((from, to)) if from <= due && due < to => Some(to),
            _ => Some(due),
        }
    }

    fn request(&mut self, now: Instant, client: SocketAddrV4, path: &[u8], asked: Options) -> Vec<Datagram> {
        self.requests += 1;
        if self.open_transfers() >= self.at_once {
            return Vec::new();
        }
        let from = SocketAddrV4::new(ADDRESS, self.port);
        let Some(file) = std::str::from_utf8(path).ok().and_then(|path| self.files.get(path)).cloned() else {
            return vec![datagram(from, client, &Packet::Error { code: code::NOT_FOUND, message: b"File not found" })];
        };
        let has_options = asked != Options::NONE;
        if self.manner == Manner::Refuses && has_options {
            return vec![datagram(from, client, &Packet::Error { code: code::OPTIONS, message: b"no options here" })];
        }
        let granted = match self.manner {
            _ if !has_options => Options::NONE,
            Manner::Grants { block_size, window } => Options {
                block_size: asked.block_size.map(|value| value.min(block_size)),
                transfer_size: asked.transfer_size.map(|_| self.claimed_size.unwrap_or(file.len() as u64)),
                timeout: asked.timeout,
                window: if window == 0 { None } else { asked.window.map(|value| value.min(window)) },
            },
            Manner::Garbles => {
                let bytes = b"\0\x06blksize\x001468\0tsize\0-1\0".to_vec();
                return vec![Datagram { from: SocketAddrV4::new(ADDRESS, self.port + 1), to: client, bytes }];
            }
            Manner::Ignores | Manner::Refuses => Options::NONE,
            Manner::Says(options) => options,
        };
        if !self.single_port {
            self.next_port += 1;
        }
        let mut transfer = Transfer {
            port: if self.single_port { self.port } else { self.next_port },
            client,
            file,
            block_size: granted.block_size.unwrap_or(512) as usize,
            window: granted.window.unwrap_or(1),
            timeout: Duration::from_secs(granted.timeout.unwrap_or(5)),
            opening: (granted != Options::NONE).then_some(granted),
            base: 0,
            send_at: now,
            tries: 0,
            over: false,
            overshoot: self.overshoot,
            beyond: self.beyond,
            left_out: self.left_out,
            first_block_takes: self.first_block_takes,
            hesitates: self.hesitates,
            bewildered: self.bewildered,
            lost: false,
            rollover: self.rollover,
        };
        let answer = transfer.send(now);
        self.transfers.push(transfer);
        let open = self.transfers.iter().filter(|transfer| !transfer.over);
        self.most_in_flight = self.most_in_flight.max(open.map(|transfer| transfer.window).sum());
        answer
    }
}

impl Transfer {
    /// Blocks of the file; the last one is shorter than a full one, or empty.
    fn blocks(&self) -> u64 {
        (self.file.len() / self.block_size.max(1)) as u64 + 1
    }

    /// The number on the wire of the block with this index.
    fn number(&self, index: u64) -> u16 {
        if index < 65_535 {
            return index as u16 + 1;
        }
        let cycle = 65_536 - u64::from(self.rollover);
        ((index - 65_535) % cycle) as u16 + self.rollover
    }

    /// Indices of the blocks that may be under way.
    fn under_way(&self) -> std::ops::Range<u64> {
        self.base..(self.base + self.window + self.overshoot).min(self.blocks() + self.beyond)
    }

    /// Sends the present window, or the OACK.
    fn send(&mut self, now: Instant) -> Vec<Datagram> {
        let from = SocketAddrV4::new(ADDRESS, self.port);
        self.send_at = now.after(self.timeout);
        if let Some(options) = self.opening {
            return vec![datagram(from, self.client, &Packet::OptionAcknowledgement(options))];
        }
        if self.lost {
            self.send_at = now.after(Duration::from_millis(1));
            let bytes = &self.file[(self.base as usize - 1) * self.block_size..][..self.block_size];
            let block = Packet::Data { block: self.number(self.base - 1), bytes };
            return vec![datagram(from, self.client, &block); 500];
        }
        let under_way = self.under_way();
        let left_out = self.left_out.take_if(|index| under_way.contains(index));
        let indices = under_way.filter(|index| Some(*index) != left_out);
        let junk = vec![0xbb; self.block_size];
        indices
            .map(|index| {
                let start = index as usize * self.block_size;
                let bytes = self.file.get(start..).map(|rest| rest.get(..self.block_size).unwrap_or(rest));
                let bytes = bytes.filter(|_| index < self.blocks()).unwrap_or(&junk);
                datagram(from, self.client, &Packet::Data { block: self.number(index), bytes })
            })
            .collect()
    }

    fn acknowledged(&mut self, now: Instant, block: u16) -> Vec<Datagram> {
        if self.over {
            return Vec::new();
        }
        if self.opening.is_some() {
            assert_eq!(block, 0, "an OACK is acknowledged with block 0");
            self.opening = None;
            self.tries = 0;
            if !self.first_block_takes.is_zero() {
                self.send_at = now.after(self.first_block_takes);
                return Vec::new();
            }
            return self.send(now);
        }
        let Some(index) = self.under_way().find(|&index| self.number(index) == block) else {
            let before = if self.base == 0 { 0 } else { self.number(self.base - 1) };
            // RFC 1123, 4.2.3.1: without a window, a repeated acknowledgement must not bring a block again. In a window it says
            // that the first block was lost (RFC 7440, section 4).
            if let Some(words) = self.bewildered.filter(|_| block == before && self.base > 0) {
                self.lost = words.is_empty();
                self.over = !self.lost;
                let from = SocketAddrV4::new(ADDRESS, self.port);
                let error = Packet::Error { code: code::NOT_DEFINED, message: words };
                return if self.lost { self.send(now) } else { vec![datagram(from, self.client, &error)] };
            }
            let busy = self.base == 0 && now < self.send_at && !self.first_block_takes.is_zero();
            return if block == before && self.window > 1 && !busy { self.send(now) } else { Vec::new() };
        };
        self.base = index + 1;
        self.tries = 0;
        if self.base >= self.blocks() {
            self.over = true;
            return Vec::new();
        }
        if !self.hesitates.is_zero() {
            self.send_at = now.after(std::mem::take(&mut self.hesitates));
            return Vec::new();
        }
        self.send(now)
    }

    fn on_time(&mut self, now: Instant) -> Vec<Datagram> {
        if self.over || now < self.send_at {
            return Vec::new();
        }
        self.tries += 1;
        if self.tries > 20 {
            self.over = true;
            return Vec::new();
        }
        self.send(now)
    }
}

fn datagram(from: SocketAddrV4, to: SocketAddrV4, packet: &Packet<'_>) -> Datagram {
    let mut bytes = vec![0; 66_000];
    let length = packet.emit(&mut bytes).unwrap();
    bytes.truncate(length);
    Datagram { from, to, bytes }
}
