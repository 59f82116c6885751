//! Drives the TFTP client over a real socket on the loopback interface.

#![allow(dead_code, reason = "each test program that includes it uses a part of it")]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;
use xenlift::net::tftp::{Action, Client, Error, Parameters, Refusal, Sink};
use xenlift::time::Instant;

/// A file as it came: its bytes, and the client, which knows what happened on the way.
pub struct Fetched {
    pub bytes: Vec<u8>,
    pub client: Client,
}

struct Memory(Vec<u8>);

impl Sink for Memory {
    fn begin(&mut self, _size: Option<u64>) -> Result<(), Refusal> {
        self.0.clear();
        Ok(())
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        self.0.resize(self.0.len().max(end), 0);
        self.0[start..end].copy_from_slice(bytes);
        Ok(())
    }
}

/// The server at `port` of the loopback address.
pub fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// Fetches `path` from `server`.
pub fn fetch(server: SocketAddrV4, path: &str, parameters: Parameters) -> Result<Fetched, Error> {
    fetch_with_losses(server, path, parameters, 0)
}

/// Fetches `path` from `server` where `lost_permille` of a thousand datagrams are lost in each direction, always the same ones.
pub fn fetch_with_losses(
    server: SocketAddrV4,
    path: &str,
    parameters: Parameters,
    lost_permille: u64,
) -> Result<Fetched, Error> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let zero = std::time::Instant::now();
    let now = || Instant::from_micros(zero.elapsed().as_micros() as u64);
    let mut sink = Memory(Vec::new());
    let mut client = Client::new(now(), server, path, parameters)?;
    let mut numbers = Numbers::new();
    let send = |action: Action<'_>, lost: bool| {
        if let (Action::Send { to, datagram }, false) = (action, lost) {
            socket.send_to(datagram, to).unwrap();
        }
    };
    let mut buffer = [0; 70_000];
    while client.outcome().is_none() {
        send(client.on_time(now()), numbers.next() % 1000 < lost_permille);
        let wait = client.deadline().map(|deadline| deadline.since(now())).unwrap_or_default();
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
        // An error is a time-out, or a closed port that an earlier datagram met: the client's own time-out is the judge.
        if let Ok((length, SocketAddr::V4(from))) = socket.recv_from(&mut buffer)
            && numbers.next() % 1000 >= lost_permille
        {
            let action = client.on_packet(now(), from, &buffer[..length], &mut sink);
            send(action, numbers.next() % 1000 < lost_permille);
        }
    }
    client.outcome().unwrap().map(|_| Fetched { bytes: sink.0, client })
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// `length` bytes in which no two blocks are alike.
pub fn file(length: usize) -> Vec<u8> {
    let mut numbers = Numbers::new();
    (0..length).map(|_| numbers.next() as u8).collect()
}

/// Numbers that look random and are the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn new() -> Self {
        Self(0x1234_5678_9abc_def1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }
}
