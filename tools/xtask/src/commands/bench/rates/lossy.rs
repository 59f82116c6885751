//! A bad network: a relay before a server with windows, atftpd, that loses datagrams by chance, in both directions. Chance comes from a seed.
//!
//! It is not the server of `cargo xtask serve`, which gives a file up after six losses, however far apart: U-Boot never came to the end of one.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use super::super::place;
use crate::cache::Cache;
use crate::servers::{self, TFTP_PORT};

/// Numbers of addresses that nobody else has; each relay takes the next one, because those before go on until the program ends.
const FIRST: u8 = 100;
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Opcode of a read request (RFC 1350).
const READ_REQUEST: [u8; 2] = [0, 1];
const LARGEST_DATAGRAM: usize = 65_536;
const SEED: u64 = 0x1234_5678_9abc_def1;

/// A relay that works until the program ends.
pub struct Lossy {
    /// Its address, port 69.
    pub address: Ipv4Addr,
    chance: Arc<Chance>,
    /// The server behind it.
    _server: servers::Server,
}

/// What becomes of datagrams.
struct Chance {
    permille: u64,
    state: Mutex<u64>,
    passed: AtomicU64,
    lost: AtomicU64,
}

impl Chance {
    fn new(permille: u64) -> Self {
        Self { permille, state: Mutex::new(SEED), passed: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Whether the next one passes (xorshift64*).
    fn passes(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        let passes = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let passes = passes % 1000 >= self.permille;
        if passes { &self.passed } else { &self.lost }.fetch_add(1, Ordering::SeqCst);
        passes
    }
}

/// One client's transfer: our socket towards the server, and where in the server it goes on.
struct Transfer {
    socket: UdpSocket,
    to: Mutex<SocketAddr>,
}

impl Lossy {
    /// Shows `directory` behind a relay that loses so many of a thousand datagrams each way.
    pub fn start(cache: &Cache, directory: &Path, permille: u64) -> Result<Self> {
        let number = FIRST.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst) as u8);
        let address = place::address(number);
        let public = UdpSocket::bind((address, TFTP_PORT)).context("no port for the relay")?;
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let server = servers::atftpd(cache, directory, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), &[])?;
        let chance = Arc::new(Chance::new(permille));
        let (to, shared) = (SocketAddr::V4(server.address), Arc::clone(&chance));
        thread::spawn(move || serve(&Arc::new(public), to, &shared));
        Ok(Self { address, chance, _server: server })
    }

    /// Datagrams that passed, and that were lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.chance.passed.load(Ordering::SeqCst), self.chance.lost.load(Ordering::SeqCst))
    }
}

fn serve(public: &Arc<UdpSocket>, server: SocketAddr, chance: &Arc<Chance>) {
    let mut transfers: HashMap<SocketAddr, Arc<Transfer>> = HashMap::new();
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    while let Ok((length, client)) = public.recv_from(&mut buffer) {
        let datagram = buffer.get(..length).unwrap_or_default();
        if !chance.passes() {
            continue;
        }
        if datagram.starts_with(&READ_REQUEST) {
            let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { continue };
            let transfer = Arc::new(Transfer { socket, to: Mutex::new(server) });
            transfers.insert(client, Arc::clone(&transfer));
            let (public, chance) = (Arc::clone(public), Arc::clone(chance));
            thread::spawn(move || answer(&transfer, &public, client, &chance));
        }
        if let Some(transfer) = transfers.get(&client) {
            let to = *transfer.to.lock().unwrap_or_else(PoisonError::into_inner);
            // What cannot be sent is lost, as on any network.
            let _ = transfer.socket.send_to(datagram, to);
        }
    }
}

/// Passes on what the server sends to one client.
fn answer(transfer: &Transfer, public: &UdpSocket, client: SocketAddr, chance: &Chance) {
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    while let Ok((length, from)) = transfer.socket.recv_from(&mut buffer) {
        *transfer.to.lock().unwrap_or_else(PoisonError::into_inner) = from;
        if chance.passes() {
            let _ = public.send_to(buffer.get(..length).unwrap_or_default(), client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_lost_as_was_said_and_the_same_ones_each_time() {
        let fates = |permille| {
            let chance = Chance::new(permille);
            let fates: Vec<bool> = (0..100_000).map(|_| chance.passes()).collect();
            (fates, chance.lost.load(Ordering::SeqCst))
        };
        let (first, lost) = fates(10);
        assert!((900..1100).contains(&lost), "{lost}");
        assert_eq!(first.iter().filter(|passes| !**passes).count() as u64, lost);
        assert_eq!(fates(10).0, first);
        assert_eq!(fates(0).1, 0);
    }
}
