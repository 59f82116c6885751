//! A TFTP server as the first ones were (RFC 1350): blocks of 512 bytes, one at a time, and of options at most the file's size. It writes down
//! what was asked for, and when.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

const BLOCK: usize = 512;
const READ_REQUEST: u8 = 1;
const DATA: u8 = 3;
const ACKNOWLEDGEMENT: u8 = 4;
const ERROR: u8 = 5;
const OPTION_ACKNOWLEDGEMENT: u8 = 6;

/// Time after which a packet is sent again, and how often that is done.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const TIMES: usize = 20;

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was asked for.
    Asked(String),
    /// The last acknowledgement of it came.
    Came(String),
    /// The client gave it up.
    GivenUp(String),
}

/// A file to serve.
#[derive(Clone)]
pub struct Served {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether its size is told.
    pub tells_size: bool,
    /// How long the server takes for each block.
    pub pause: Duration,
}

/// A server that works until the program ends.
pub struct PlainTftp {
    /// Its port on the loopback address.
    pub port: u16,
    log: Arc<Mutex<Vec<Event>>>,
}

impl PlainTftp {
    /// A server of `files`.
    pub fn start(files: HashMap<String, Served>) -> Result<Self> {
        let public = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the server")?;
        let port = public.local_addr().context("no port for the server")?.port();
        let log = Arc::<Mutex<Vec<Event>>>::default();
        let written = Arc::clone(&log);
        thread::spawn(move || listen(&public, &files, &written));
        Ok(Self { port, log })
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.log).clone()
    }

    /// How many files were on their way at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        let (mut now, mut most) = (0_usize, 0);
        for event in self.events() {
            now = match event {
                Event::Asked(_) => now + 1,
                Event::Came(_) | Event::GivenUp(_) => now.saturating_sub(1),
            };
            most = most.max(now);
        }
        most
    }
}

fn lock(log: &Mutex<Vec<Event>>) -> MutexGuard<'_, Vec<Event>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(public: &UdpSocket, files: &HashMap<String, Served>, log: &Arc<Mutex<Vec<Event>>>) {
    let mut buffer = [0; 2048];
    let mut clients = HashSet::new();
    while let Ok((length, client)) = public.recv_from(&mut buffer) {
        let request = buffer.get(..length).unwrap_or_default();
        let Some([0, READ_REQUEST]) = request.get(..2) else { continue };
        if !clients.insert(client) {
            // It has not heard yet, and will: what is not acknowledged is sent again.
            continue;
        }
        let words: Vec<String> = (request.get(2..).unwrap_or_default().split(|byte| *byte == 0))
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let Some(name) = words.first().cloned() else { continue };
        let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else { continue };
        let Some(file) = files.get(&name).cloned() else {
            clients.remove(&client);
            // What cannot be sent is lost, as on any network.
            let _ = socket.send_to(b"\0\x05\0\x01no such file\0", client);
            continue;
        };
        let asks_for_size = words.iter().any(|word| word.eq_ignore_ascii_case("tsize"));
        let log = Arc::clone(log);
        lock(&log).push(Event::Asked(name.clone()));
        thread::spawn(move || {
            let came = send(&socket, client, &file, asks_for_size).is_some();
            lock(&log).push(if came { Event::Came(name) } else { Event::GivenUp(name) });
        });
    }
}

/// Sends a file; `None` if the client gave it up.
fn send(socket: &UdpSocket, client: SocketAddr, file: &Served, asks_for_size: bool) -> Option<()> {
    socket.set_read_timeout(Some(AGAIN_AFTER)).ok()?;
    if asks_for_size && file.tells_size {
        let mut packet = vec![0, OPTION_ACKNOWLEDGEMENT];
        packet.extend_from_slice(format!("tsize\0{}\0", file.bytes.len()).as_bytes());
        deliver(socket, client, &packet, 0)?;
    }
    // The last block is shorter than the others, and may be empty.
    for index in 0..=file.bytes.len() / BLOCK {
        thread::sleep(file.pause);
        let number = (index as u16).wrapping_add(1);
        let mut packet = vec![0, DATA];
        packet.extend_from_slice(&number.to_be_bytes());
        let end = file.bytes.len().min((index + 1) * BLOCK);
        packet.extend_from_slice(file.bytes.get(index * BLOCK..end)?);
        deliver(socket, client, &packet, number)?;
    }
    Some(())
}

/// Sends a packet until it is acknowledged.
fn deliver(socket: &UdpSocket, client: SocketAddr, packet: &[u8], number: u16) -> Option<()> {
    let [high, low] = number.to_be_bytes();
    for _ in 0..TIMES {
        let _ = socket.send_to(packet, client);
        let mut answer = [0; 600];
        while let Ok((_, from)) = socket.recv_from(&mut answer) {
            match answer {
                _ if from != client => {}
                [0, ACKNOWLEDGEMENT, a, b, ..] if (a, b) == (high, low) => return Some(()),
                [0, ERROR, ..] => return None,
                _ => {}
            }
        }
    }
    None
}
