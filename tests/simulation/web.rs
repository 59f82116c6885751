//! A web server on smoltcp's TCP, and what servers and networks do to connections.

use super::lan::BOARD;
use super::network::Random;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpCidr};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;
use xenlift::time::Instant;

/// Connections that are served at the same time.
const SOCKETS: usize = 8;

const PORT: u16 = 80;

/// What becomes of a connection after some bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Ends,
    Resets,
    FallsSilent,
}

pub struct Web {
    pub address: Ipv4Addr,
    pub station: EthernetAddress,
    pub files: BTreeMap<String, Vec<u8>>,
    pub redirects: BTreeMap<String, String>,
    /// Answers to the letter, one after another for the same path; the last of them for ever.
    pub said: BTreeMap<String, VecDeque<Vec<u8>>>,
    /// Whether it sends parts of files.
    pub ranges: bool,
    /// What becomes of one connection after the other, and after how many bytes of an answer, or after all of it; later ones stay whole.
    pub cuts: VecDeque<(usize, Cut)>,
    /// How long nobody listens after a connection was cut.
    pub absence: Duration,
    absent_until: Instant,
    /// Frames in which a byte is changed on the way to the board.
    pub damaged_permille: u64,
    pub damaged: u32,
    /// Request lines, with the range where one was asked for.
    pub requests: Vec<String>,
    pub connections: u32,
    random: Random,
    interface: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    serving: Vec<Serving>,
}

struct Serving {
    handle: SocketHandle,
    open: bool,
    asked: Vec<u8>,
    answer: Vec<u8>,
    said: usize,
    cut: Option<(usize, Cut)>,
}

#[derive(Default)]
struct Wire {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

impl Web {
    pub fn new(address: Ipv4Addr, station: EthernetAddress) -> Self {
        let mut wire = Wire::default();
        let start = smoltcp::time::Instant::from_micros(0);
        let mut interface = Interface::new(Config::new(station.into()), &mut wire, start);
        interface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(address.into(), 24)).unwrap());
        let mut sockets = SocketSet::new(Vec::new());
        let serving = (0..SOCKETS).map(|_| {
            let buffer = || SocketBuffer::new(vec![0; 1 << 17]);
            let handle = sockets.add(Socket::new(buffer(), buffer()));
            Serving { handle, open: false, asked: Vec::new(), answer: Vec::new(), said: 0, cut: None }
        });
        let serving = serving.collect();
        Self {
            address,
            station,
            files: BTreeMap::new(),
            redirects: BTreeMap::new(),
            said: BTreeMap::new(),
            ranges: true,
            cuts: VecDeque::new(),
            absence: Duration::ZERO,
            absent_until: Instant::default(),
            damaged_permille: 0,
            damaged: 0,
            requests: Vec::new(),
            connections: 0,
            random: Random::new(7),
            interface,
            sockets,
            wire,
            serving,
        }
    }

    pub fn with(mut self, path: &str, file: Vec<u8>) -> Self {
        self.files.insert(path.into(), file);
        self
    }

    /// The same server, which answers requests for `path` so.
    pub fn saying(mut self, path: &str, answers: &[&[u8]]) -> Self {
        self.said.insert(path.into(), answers.iter().map(|answer| answer.to_vec()).collect());
        self
    }

    /// A frame has arrived.
    pub fn receive(&mut self, frame: &[u8]) {
        self.wire.incoming.push_back(frame.to_vec());
    }

    /// What is due; gives the frames that it sends.
    pub fn advance(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let time = smoltcp::time::Instant::from_micros(now.micros() as i64);
        self.interface.poll(time, &mut self.wire, &mut self.sockets);
        for index in 0..self.serving.len() {
            self.serve(index, now);
        }
        self.interface.poll(time, &mut self.wire, &mut self.sockets);
        let mut frames = std::mem::take(&mut self.wire.outgoing);
        for frame in &mut frames {
            let segment = EthernetFrame::new_checked(&frame[..]).unwrap().ethertype() == EthernetProtocol::Ipv4;
            if segment && self.random.chance(self.damaged_permille) {
                let at = 34 + self.random.below(frame.len() as u64 - 34) as usize;
                frame[at] ^= 0x10;
                self.damaged += 1;
            }
        }
        frames
    }

    /// When it has something to do without being told anything.
    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let time = smoltcp::time::Instant::from_micros(now.micros() as i64);
        let at = self.interface.poll_at(time, &self.sockets)?;
        Some(Instant::from_micros(at.total_micros() as u64))
    }

    fn serve(&mut self, index: usize, now: Instant) {
        let present = now >= self.absent_until;
        let serving = &mut self.serving[index];
        let socket = self.sockets.get_mut::<Socket<'_>>(serving.handle);
        if !socket.is_open() {
            serving.open = false;
            if present {
                socket.listen(PORT).unwrap();
            }
            return;
        }
        if socket.is_listening() {
            if !present {
                socket.abort();
            }
            return;
        }
        if !serving.open && socket.may_send() {
            self.connections += 1;
            *serving = Serving {
                handle: serving.handle,
                open: true,
                asked: Vec::new(),
                answer: Vec::new(),
                said: 0,
                cut: self.cuts.pop_front(),
            };
        }
        while socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), serving.asked.extend_from_slice(bytes))).unwrap();
        }
        if serving.said == serving.answer.len()
            && let Some(end) = serving.asked.windows(4).position(|bytes| bytes == b"\r\n\r\n")
        {
            let request: Vec<u8> = serving.asked.drain(..end + 4).collect();
            let request = String::from_utf8(request).unwrap();
            let (asked, answer) = answer(&self.files, &self.redirects, self.ranges, self.address, &request);
            let path = asked.split(' ').next().unwrap_or_default();
            let answer = match self.said.get_mut(path) {
                Some(said) if said.len() > 1 => said.pop_front().unwrap(),
                Some(said) => said[0].clone(),
                None => answer,
            };
            self.requests.push(asked);
            (serving.answer, serving.said) = (answer, 0);
        }
        let end = serving.cut.map_or(usize::MAX, |(bytes, _)| bytes).min(serving.answer.len());
        if serving.said < end && socket.can_send() {
            serving.said += socket.send_slice(&serving.answer[serving.said..end]).unwrap();
        }
        match serving.cut {
            Some((bytes, cut))
                if !serving.answer.is_empty()
                    && serving.said >= bytes.min(serving.answer.len())
                    && socket.send_queue() == 0 =>
            {
                serving.cut = None;
                self.absent_until = now.after(self.absence);
                match cut {
                    Cut::Ends => socket.close(),
                    Cut::Resets => socket.abort(),
                    // As long as the other end does not give up.
                    Cut::FallsSilent => serving.answer.clear(),
                }
            }
            _ if socket.state() == State::CloseWait => socket.close(),
            _ => {}
        }
    }
}

/// The answer to a request, as servers answer it, and what was asked in short.
fn answer(
    files: &BTreeMap<String, Vec<u8>>,
    redirects: &BTreeMap<String, String>,
    ranges: bool,
    address: Ipv4Addr,
    request: &str,
) -> (String, Vec<u8>) {
    let mut lines = request.split("\r\n");
    let line = lines.next().unwrap();
    let path =
        line.strip_prefix("GET ").and_then(|rest| rest.strip_suffix(" HTTP/1.1")).expect("a request by the book");
    let header = |name: &str| request.split("\r\n").find_map(|line| line.strip_prefix(name));
    assert_eq!(header("Host: "), Some(&*address.to_string()), "{request}");
    let asked = format!("{path}{}", header("Range: ").map(|range| format!(" {range}")).unwrap_or_default());
    if let Some(location) = redirects.get(path) {
        let page = "<p>over there";
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: {}\r\n\r\n", page.len());
        return (asked, (head + page).into_bytes());
    }
    let Some(file) = files.get(path) else {
        return (asked, b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone".to_vec());
    };
    let size = file.len();
    let tag = format!("\"{size}\"");
    let from = header("Range: bytes=").filter(|_| ranges && header("If-Range: ") == Some(&*tag));
    let (head, body) = match from.map(|range| range.strip_suffix('-').unwrap().parse::<usize>().unwrap()) {
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{size}", size - 1);
            (format!("HTTP/1.1 206 Partial Content\r\n{range}"), &file[from..])
        }
        None => ("HTTP/1.1 200 OK".to_string(), &file[..]),
    };
    let head = format!("{head}\r\nETag: {tag}\r\nContent-Length: {}\r\n\r\n", body.len());
    (asked, [head.as_bytes(), body].concat())
}

impl Device for Wire {
    type RxToken<'t> = Incoming;
    type TxToken<'t> = Outgoing<'t>;

    fn receive(&mut self, _now: smoltcp::time::Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let frame = self.incoming.pop_front()?;
        Some((Incoming(frame), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _now: smoltcp::time::Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

struct Incoming(Vec<u8>);

impl RxToken for Incoming {
    fn consume<T, F: FnOnce(&[u8]) -> T>(self, read: F) -> T {
        read(&self.0)
    }
}

struct Outgoing<'t>(&'t mut Vec<Vec<u8>>);

impl TxToken for Outgoing<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, write: F) -> T {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        assert_eq!(EthernetFrame::new_checked(&frame[..]).unwrap().dst_addr(), BOARD);
        self.0.push(frame);
        result
    }
}
