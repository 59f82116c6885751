//! A client that is handed packets one by one, by a server whose every word the test has written.

use crate::simulation::memory::Memory;
use crate::simulation::server::ADDRESS;
use std::net::SocketAddrV4;
use std::time::Duration;
use xenlift::net::tftp::packet::{Options, Packet};
use xenlift::net::tftp::{Action, Client, Parameters};
use xenlift::time::Instant;

/// A client that has sent its request, and what is needed to hand it packets.
pub struct Scripted {
    pub client: Client,
    pub sink: Memory,
    pub now: Instant,
}

impl Scripted {
    pub fn new() -> Self {
        let now = Instant::from_micros(1);
        let server = SocketAddrV4::new(ADDRESS, 69);
        let mut client = Client::new(now, server, "f", Parameters::default()).unwrap();
        assert!(matches!(client.on_time(now), Action::Send { .. }));
        Self { client, sink: Memory::new(1 << 20), now }
    }

    /// Hands over a packet from the server's port `from`; the answer, with the port that it goes to.
    pub fn packet(&mut self, from: u16, packet: Packet<'_>) -> Option<(u16, Vec<u8>)> {
        let mut buffer = [0; 2000];
        let length = packet.emit(&mut buffer).unwrap();
        let from = SocketAddrV4::new(ADDRESS, from);
        match self.client.on_packet(self.now, from, &buffer[..length], &mut self.sink) {
            Action::Send { to, datagram } => Some((to.port(), datagram.to_vec())),
            Action::Wait => None,
        }
    }

    /// Lets time pass in steps of 10 ms; what is sent meanwhile.
    pub fn pass(&mut self, time: Duration) -> Vec<(u16, Vec<u8>)> {
        let end = self.now.after(time);
        let mut sent = Vec::new();
        while self.now < end {
            self.now = self.now.after(Duration::from_millis(10));
            if let Action::Send { to, datagram } = self.client.on_time(self.now) {
                sent.push((to.port(), datagram.to_vec()));
            }
        }
        sent
    }

    /// Lets time pass until something is sent: after how many milliseconds, and what.
    pub fn silence(&mut self) -> (u64, Vec<u8>) {
        let from = self.now;
        loop {
            self.now = self.now.after(Duration::from_millis(1));
            if let Action::Send { datagram, .. } = self.client.on_time(self.now) {
                return (self.now.since(from).as_millis() as u64, datagram.to_vec());
            }
            assert!(self.now.since(from) < Duration::from_secs(60), "nothing is sent any more");
        }
    }
}

/// Large blocks in windows of 64.
pub const GRANTED: Options = Options { block_size: Some(1468), window: Some(64), ..Options::NONE };
