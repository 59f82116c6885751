//! A TFTP server as the first ones were (RFC 1350): blocks of 512 bytes, one at a time, and of options at most the file's size. It writes down
//! what was asked for, and when.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::boot::LIMIT;

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
    /// Its last block is about to be sent: nothing that the client does after the file can be written down before this.
    Last(String),
    /// The last acknowledgement of it came.
    Came(String),
    /// The client said that it gave it up.
    GivenUp(String),
    /// The client acknowledges no more, and says nothing.
    Silent(String),
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
    /// Whether its last block waits for [`PlainTftp::release`].
    pub held: bool,
}

/// What holds last blocks back.
type Gate = Arc<(Mutex<bool>, Condvar)>;

/// A server that works until the program ends.
pub struct PlainTftp {
    /// Its port on the loopback address.
    pub port: u16,
    log: Arc<Mutex<Vec<Event>>>,
    gate: Gate,
}

impl PlainTftp {
    /// A server of `files`.
    pub fn start(files: HashMap<String, Served>) -> Result<Self> {
        let public = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the server")?;
        let port = public.local_addr().context("no port for the server")?.port();
        let log = Arc::<Mutex<Vec<Event>>>::default();
        let gate = Gate::default();
        let (written, closed) = (Arc::clone(&log), Arc::clone(&gate));
        thread::spawn(move || listen(&public, &files, &written, &closed));
        Ok(Self { port, log, gate })
    }

    /// Lets the last blocks go that are held, now and from now on.
    pub fn release(&self) {
        *lock(&self.gate.0) = true;
        self.gate.1.notify_all();
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.log).clone()
    }

    /// How many files were on their way at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        let (mut now, mut most) = (HashSet::new(), 0);
        for event in self.events() {
            match event {
                Event::Asked(name) => now.insert(name),
                Event::Last(name) | Event::Came(name) | Event::GivenUp(name) | Event::Silent(name) => now.remove(&name),
            };
            most = most.max(now.len());
        }
        most
    }

    /// Waits for the first event that is `wanted`.
    ///
    /// # Errors
    /// There was none within [`LIMIT`].
    pub fn until(&self, wanted: impl Fn(&Event) -> bool) -> Result<()> {
        let end = Instant::now() + LIMIT;
        while !self.events().iter().any(&wanted) {
            if Instant::now() > end {
                bail!("waited {} s in vain: {:?}", LIMIT.as_secs(), self.events());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(public: &UdpSocket, files: &HashMap<String, Served>, log: &Arc<Mutex<Vec<Event>>>, gate: &Gate) {
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
        let (log, gate) = (Arc::clone(log), Arc::clone(gate));
        lock(&log).push(Event::Asked(name.clone()));
        thread::spawn(move || {
            let last = || {
                let mut open = lock(&gate.0);
                while file.held && !*open {
                    open = gate.1.wait(open).unwrap_or_else(PoisonError::into_inner);
                }
                drop(open);
                lock(&log).push(Event::Last(name.clone()));
            };
            let end: fn(String) -> Event = match send(&socket, client, &file, asks_for_size, last) {
                Ok(()) => Event::Came,
                Err(Lost::GivenUp) => Event::GivenUp,
                Err(Lost::Silent) => Event::Silent,
            };
            lock(&log).push(end(name));
        });
    }
}

/// Why a client did not get a packet.
enum Lost {
    /// It answered with an error.
    GivenUp,
    /// It did not answer.
    Silent,
}

/// Sends a file; says with `last` that the last block is next.
fn send(
    socket: &UdpSocket,
    client: SocketAddr,
    file: &Served,
    asks_for_size: bool,
    last: impl Fn(),
) -> std::result::Result<(), Lost> {
    socket.set_read_timeout(Some(AGAIN_AFTER)).map_err(|_| Lost::Silent)?;
    if asks_for_size && file.tells_size {
        let mut packet = vec![0, OPTION_ACKNOWLEDGEMENT];
        packet.extend_from_slice(format!("tsize\0{}\0", file.bytes.len()).as_bytes());
        deliver(socket, client, &packet, 0)?;
    }
    let (blocks, rest) = file.bytes.as_chunks::<BLOCK>();
    // The last block is shorter than the others, and may be empty.
    for (index, block) in blocks.iter().map(<[u8; BLOCK]>::as_slice).chain([rest]).enumerate() {
        thread::sleep(file.pause);
        let number = (index as u16).wrapping_add(1);
        let mut packet = vec![0, DATA];
        packet.extend_from_slice(&number.to_be_bytes());
        packet.extend_from_slice(block);
        if index == blocks.len() {
            last();
        }
        deliver(socket, client, &packet, number)?;
    }
    Ok(())
}

/// Sends a packet until it is acknowledged.
fn deliver(socket: &UdpSocket, client: SocketAddr, packet: &[u8], number: u16) -> std::result::Result<(), Lost> {
    let [high, low] = number.to_be_bytes();
    for _ in 0..TIMES {
        let _ = socket.send_to(packet, client);
        let mut answer = [0; 600];
        while let Ok((_, from)) = socket.recv_from(&mut answer) {
            match answer {
                _ if from != client => {}
                [0, ACKNOWLEDGEMENT, a, b, ..] if (a, b) == (high, low) => return Ok(()),
                [0, ERROR, ..] => return Err(Lost::GivenUp),
                _ => {}
            }
        }
    }
    Err(Lost::Silent)
}
