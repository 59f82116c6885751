//! A relay before a TFTP server, through which a test makes the server fall silent in the middle of a file.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// Opcode of a read request (RFC 1350).
const READ_REQUEST: [u8; 2] = [0, 1];
const LARGEST_DATAGRAM: usize = 65_536;

/// A relay that works until the program ends.
pub struct Relay {
    /// Its port on the loopback address.
    pub port: u16,
    /// How many packets of the server still pass.
    left: Arc<AtomicI64>,
}

/// One client's transfer: our socket towards the server, and where in the server it goes on.
struct Transfer {
    socket: UdpSocket,
    to: Mutex<SocketAddr>,
}

impl Relay {
    /// A relay before the server at `server`, of which `packets` packets pass before silence.
    pub fn before(server: SocketAddr, packets: i64) -> Result<Self> {
        let public = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the relay")?;
        let port = public.local_addr().context("no port for the relay")?.port();
        let left = Arc::new(AtomicI64::new(packets));
        let gate = Arc::clone(&left);
        thread::spawn(move || serve(&Arc::new(public), server, &gate));
        Ok(Self { port, left })
    }

    /// Whether the server is silent now.
    pub fn is_silent(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    /// Lets the server speak again, for good.
    pub fn speak(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
    }
}

fn serve(public: &Arc<UdpSocket>, server: SocketAddr, gate: &Arc<AtomicI64>) {
    let mut transfers: HashMap<SocketAddr, Arc<Transfer>> = HashMap::new();
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    while let Ok((length, client)) = public.recv_from(&mut buffer) {
        let datagram = buffer.get(..length).unwrap_or_default();
        if gate.load(Ordering::SeqCst) <= 0 {
            continue;
        }
        if datagram.starts_with(&READ_REQUEST) {
            let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { continue };
            let transfer = Arc::new(Transfer { socket, to: Mutex::new(server) });
            transfers.insert(client, Arc::clone(&transfer));
            let (public, gate) = (Arc::clone(public), Arc::clone(gate));
            thread::spawn(move || answer(&transfer, &public, client, &gate));
        }
        if let Some(transfer) = transfers.get(&client) {
            let to = *transfer.to.lock().unwrap_or_else(PoisonError::into_inner);
            // What cannot be sent is lost, as on any network.
            let _ = transfer.socket.send_to(datagram, to);
        }
    }
}

/// Passes on what the server sends to one client.
fn answer(transfer: &Transfer, public: &UdpSocket, client: SocketAddr, gate: &AtomicI64) {
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    while let Ok((length, from)) = transfer.socket.recv_from(&mut buffer) {
        *transfer.to.lock().unwrap_or_else(PoisonError::into_inner) = from;
        let passes = |left: i64| (left > 0).then(|| left.saturating_sub(1));
        if gate.fetch_update(Ordering::SeqCst, Ordering::SeqCst, passes).is_ok() {
            let _ = public.send_to(buffer.get(..length).unwrap_or_default(), client);
        }
    }
}
