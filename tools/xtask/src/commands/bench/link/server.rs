//! A TFTP server with windows (RFC 7440) that sends one block after the other, as its wire lets it.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use xenlift::net::tftp::packet::{Options, Packet};

pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const STATION: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Nanoseconds until it repeats what was not acknowledged: the second that our client asks for.
const TIMEOUT: u64 = 1_000_000_000;

/// When the server looks whether something was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listens {
    /// Before each block, as the RFC wants it: a gap makes it go back in the middle of a window.
    Always,
    /// At the end of a window, to one acknowledgement after the other.
    BetweenWindows,
}

/// The server, with one file of `size` bytes under every name.
pub struct Server {
    pub listens: Listens,
    /// The largest window that it grants; 1 where it does not know the option.
    pub most_window: u64,
    pub size: u64,
    transfers: Vec<Transfer>,
    /// Frames that go out before anything else.
    answers: VecDeque<Vec<u8>>,
    /// Frames of which it could make nothing: there should be none.
    pub confused: u64,
    /// Where the board is.
    board: ([u8; 6], Ipv4Addr),
}

struct Transfer {
    /// The board's port; the server's own follows from the number of the transfer.
    to: u16,
    block_size: u64,
    window: u64,
    opening: bool,
    /// The first block that is not acknowledged, and the next one to send, counted from 0.
    base: u64,
    next: u64,
    inbox: VecDeque<u16>,
    silent_since: u64,
    sent_at: u64,
    over: bool,
}

const FIRST_PORT: u16 = 2000;

impl Server {
    pub fn new(listens: Listens, most_window: u64, size: u64) -> Self {
        let board = ([0; 6], Ipv4Addr::UNSPECIFIED);
        Self { listens, most_window, size, transfers: Vec::new(), answers: VecDeque::new(), confused: 0, board }
    }

    /// When it next does something by itself, where its wire is free at `free`.
    pub fn wakes_at(&self, free: u64) -> Option<u64> {
        if !self.answers.is_empty() {
            return Some(free);
        }
        let open = self.transfers.iter().filter(|transfer| !transfer.over);
        open.map(|transfer| if transfer.is_sending(self.size) { free } else { transfer.silent_since + TIMEOUT }).min()
    }

    /// A frame has come.
    pub fn receive(&mut self, now: u64, frame: &[u8]) {
        let understood = match frame.get(12..14) {
            Some([0x08, 0x06]) => self.answer_arp(frame),
            Some([0x08, 0x00]) => self.datagram(now, frame),
            _ => None,
        };
        self.confused += u64::from(understood.is_none());
    }

    fn answer_arp(&mut self, frame: &[u8]) -> Option<()> {
        let station: [u8; 6] = frame.get(22..28)?.try_into().ok()?;
        let address: [u8; 4] = frame.get(28..32)?.try_into().ok()?;
        self.board = (station, address.into());
        let answer = [8, 6, 0, 1, 8, 0, 6, 4, 0, 2];
        let mut answer = [&station[..], &STATION, &answer, &STATION, &ADDRESS.octets(), &station, &address].concat();
        answer.resize(60, 0);
        self.answers.push_back(answer);
        Some(())
    }

    fn datagram(&mut self, now: u64, frame: &[u8]) -> Option<()> {
        let number = |at: usize| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
        let (from, to, length) = (number(34)?, number(36)?, usize::from(number(38)?));
        match Packet::parse(frame.get(42..34 + length)?).ok()? {
            Packet::ReadRequest { options, .. } => self.request(now, from, &options),
            Packet::Acknowledgement { block } => {
                let transfer = self.transfers.get_mut(usize::from(to.checked_sub(FIRST_PORT)?))?;
                transfer.inbox.push_back(block);
                if self.listens == Listens::Always || !transfer.is_sending(self.size) {
                    transfer.read(now, self.size);
                }
            }
            Packet::Error { .. } => self.transfers.get_mut(usize::from(to.checked_sub(FIRST_PORT)?))?.over = true,
            // A client never sends anything else.
            _ => return None,
        }
        Some(())
    }

    fn request(&mut self, now: u64, from: u16, asked: &Options) {
        // One that is repeated is the same transfer: its confirmation was lost.
        let known = self.transfers.iter().position(|transfer| transfer.to == from);
        let index = known.unwrap_or_else(|| {
            self.transfers.push(Transfer {
                to: from,
                block_size: asked.block_size.unwrap_or(512),
                window: asked.window.unwrap_or(1).min(self.most_window),
                opening: true,
                base: 0,
                next: 0,
                inbox: VecDeque::new(),
                silent_since: now,
                sent_at: 0,
                over: false,
            });
            self.transfers.len() - 1
        });
        self.confirm(index);
    }

    fn confirm(&mut self, index: usize) {
        let Transfer { to, block_size, window, .. } = self.transfers[index];
        let options = Options {
            block_size: Some(block_size),
            transfer_size: Some(self.size),
            timeout: Some(1),
            window: (window > 1).then_some(window),
        };
        let frame = self.frame(index, to, &Packet::OptionAcknowledgement(options));
        self.answers.push_back(frame);
    }

    /// The next frame that it sends, now that its wire is free.
    pub fn send(&mut self, now: u64) -> Option<Vec<u8>> {
        for index in 0..self.transfers.len() {
            let transfer = &mut self.transfers[index];
            if !transfer.over && !transfer.is_sending(self.size) && now >= transfer.silent_since + TIMEOUT {
                transfer.silent_since = now;
                transfer.next = transfer.base;
                if transfer.opening {
                    self.confirm(index);
                }
            }
        }
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        let size = self.size;
        let sending = self.transfers.iter_mut().enumerate().filter(|(_, transfer)| transfer.is_sending(size));
        let (index, transfer) = sending.min_by_key(|(_, transfer)| transfer.sent_at)?;
        let (block, to) = (transfer.next, transfer.to);
        transfer.next += 1;
        (transfer.sent_at, transfer.silent_since) = (now, now);
        let offset = block * transfer.block_size;
        let length = transfer.block_size.min(size - offset) as usize;
        if !transfer.is_sending(size) {
            transfer.read(now, size);
        }
        let mut bytes = vec![0; length];
        let stamp = offset.to_be_bytes();
        let stamped = length.min(stamp.len());
        bytes[..stamped].copy_from_slice(&stamp[..stamped]);
        Some(self.frame(index, to, &Packet::Data { block: (block + 1) as u16, bytes: &bytes }))
    }

    /// A datagram in its frame. It has no UDP checksum, which is a sender's right.
    fn frame(&self, index: usize, to: u16, packet: &Packet<'_>) -> Vec<u8> {
        let mut payload = vec![0; 1500];
        // Nothing that it sends is longer than a block that fits a frame.
        let length = packet.emit(&mut payload).unwrap_or_default();
        let (station, address) = self.board;
        let total = (20 + 8 + length) as u16;
        let mut header = vec![0x45, 0, (total >> 8) as u8, total as u8, 0, 0, 0, 0, 64, 17, 0, 0];
        header.extend([ADDRESS.octets(), address.octets()].concat());
        let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut frame = [&station[..], &STATION, &[8, 0], &header].concat();
        for number in [FIRST_PORT + index as u16, to, 8 + length as u16, 0] {
            frame.extend(number.to_be_bytes());
        }
        frame.extend(&payload[..length]);
        frame.resize(frame.len().max(60), 0);
        frame
    }
}

impl Transfer {
    /// Blocks of a file of `size` bytes; the last is short, or empty.
    fn blocks(&self, size: u64) -> u64 {
        size / self.block_size + 1
    }

    /// Whether there is something to send.
    fn is_sending(&self, size: u64) -> bool {
        !self.over && !self.opening && self.next < (self.base + self.window).min(self.blocks(size))
    }

    /// Reads what was acknowledged, until that leaves something to send.
    fn read(&mut self, now: u64, size: u64) {
        while let Some(block) = self.inbox.pop_front() {
            self.acknowledged(now, block, size);
            if self.is_sending(size) {
                return;
            }
        }
    }

    fn acknowledged(&mut self, now: u64, block: u16, size: u64) {
        if self.opening {
            self.opening = block != 0;
            self.silent_since = now;
            return;
        }
        let further = u64::from(block.wrapping_sub(self.base as u16));
        // Without windows a repeated acknowledgement brings nothing (RFC 1123, 4.2.3.1); in a window it says that the first block was
        // lost.
        if further > self.window || self.base + further > self.blocks(size) || (further == 0 && self.window == 1) {
            return;
        }
        self.base += further;
        self.next = self.base;
        self.silent_since = now;
        self.over = self.base == self.blocks(size);
    }
}
