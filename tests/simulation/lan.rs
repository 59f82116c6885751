//! A local network with one machine on it (ARP, DHCP, TFTP), web servers there and beside it, and the controller of the board, down to the frames.

use super::network::{Datagram, Random};
use super::server::{ADDRESS, Server};
use super::web::Web;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress,
    EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;
use xenlift::net::device::{Counters, EthernetController, FrameReceiver, FrameSender, Link};
use xenlift::net::fetch::{Event, Observer};
use xenlift::time::{Clock, Instant};

pub const BOARD: EthernetAddress = EthernetAddress([0xdc, 0xa6, 0x32, 1, 2, 3]);
pub const MACHINE: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
pub const BOARD_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// A port on which nobody serves anything.
pub const STRANGER: u16 = 4321;
const DELAY: Duration = Duration::from_micros(50);

/// How the DHCP server behaves.
#[derive(Clone, Debug)]
pub struct Dhcp {
    pub silent: bool,
    /// Offers, and then refuses.
    pub refuses: bool,
    /// The time it takes to offer, as servers do that probe the address first.
    pub slow: Duration,
    pub siaddr: Ipv4Addr,
    pub boot_file: &'static str,
    pub router: Ipv4Addr,
    pub lease_seconds: u32,
    /// Whether it says how long the network's prefix is.
    pub mask: bool,
}

impl Default for Dhcp {
    fn default() -> Self {
        Self {
            silent: false,
            refuses: false,
            slow: Duration::ZERO,
            siaddr: ADDRESS,
            boot_file: "",
            router: ADDRESS,
            lease_seconds: 3600,
            mask: true,
        }
    }
}

type UnderWay = BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>;

/// All that is on the other side of the board's controller.
pub struct Lan {
    pub server: Server,
    /// Web servers: one on the machine, others with stations of their own.
    pub webs: Vec<Web>,
    pub dhcp: Dhcp,
    /// The link is down in these times.
    pub link_down: Vec<(Instant, Instant)>,
    /// Frames lost for certain, both directions, from now on.
    pub lose: u32,
    pub lost_permille: u64,
    /// The machine hears nothing until the controller has been told that nobody answers.
    pub wrong_way: bool,
    pub arp_silent: bool,
    /// The server stands in another network, at this address, and the machine is the router to it.
    pub remote: Option<Ipv4Addr>,
    /// This station sends a block of a file, too, whenever the board asks the server for something.
    pub stranger: Option<Ipv4Addr>,
    /// Datagrams that come from [`STRANGER`] on the server's own machine with everything but a request that the board sends.
    pub interruptions: Vec<Vec<u8>>,
    /// What the board has told it.
    pub told_stranger: Vec<Vec<u8>>,
    /// How often each datagram of the server reaches the board.
    pub copies: u32,
    pub discovers: u32,
    pub arp_requests: u32,
    random: Random,
    to_board: UnderWay,
    to_machine: UnderWay,
    sent: u64,
    received: u64,
    no_answers: u32,
}

impl Lan {
    pub fn new(server: Server) -> Self {
        Self {
            server,
            webs: Vec::new(),
            dhcp: Dhcp::default(),
            link_down: Vec::new(),
            lose: 0,
            lost_permille: 0,
            wrong_way: false,
            arp_silent: false,
            remote: None,
            stranger: None,
            interruptions: Vec::new(),
            told_stranger: Vec::new(),
            copies: 1,
            discovers: 0,
            arp_requests: 0,
            random: Random::new(1),
            to_board: BinaryHeap::new(),
            to_machine: BinaryHeap::new(),
            sent: 0,
            received: 0,
            no_answers: 0,
        }
    }

    fn up(&self, now: Instant) -> bool {
        !self.link_down.iter().any(|(from, to)| (*from..*to).contains(&now))
    }

    fn carry(&mut self, now: Instant, delay: Duration, frame: Vec<u8>, to_board: bool) {
        let lost = self.lose > 0 || !self.up(now) || self.random.chance(self.lost_permille);
        self.lose = self.lose.saturating_sub(1);
        if lost {
            return;
        }
        self.sent += 1;
        let entry = Reverse((now.after(delay), self.sent, frame));
        if to_board { self.to_board.push(entry) } else { self.to_machine.push(entry) }
    }

    /// Puts a frame on the wire to the board, whatever it is.
    pub fn inject(&mut self, now: Instant, frame: Vec<u8>) {
        self.carry(now, DELAY, frame, true);
    }

    /// The board has sent a frame.
    pub fn sent_by_board(&mut self, now: Instant, frame: Vec<u8>) {
        self.carry(now, DELAY, frame, false);
    }

    /// The next frame that has arrived at the board.
    pub fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.to_board.peek().filter(|Reverse((at, _, _))| *at <= now)?;
        self.received += 1;
        self.to_board.pop().map(|Reverse((_, _, frame))| frame)
    }

    /// Lets the machine do what is due.
    pub fn advance(&mut self, now: Instant) {
        while self.to_machine.peek().is_some_and(|Reverse((at, _, _))| *at <= now) {
            let Some(Reverse((_, _, frame))) = self.to_machine.pop() else { break };
            if !self.wrong_way {
                self.frame(now, &frame);
            }
        }
        for datagram in self.server.on_time(now) {
            self.answer(now, &datagram);
        }
        for index in 0..self.webs.len() {
            let web = &mut self.webs[index];
            let answers_arp = web.station != MACHINE;
            for frame in web.advance(now) {
                if answers_arp || EthernetFrame::new_unchecked(&frame[..]).ethertype() != EthernetProtocol::Arp {
                    self.carry(now, DELAY, frame, true);
                }
            }
        }
    }

    fn next_event(&mut self, now: Instant) -> Option<Instant> {
        let first = |queue: &UnderWay| queue.peek().map(|Reverse((at, _, _))| *at);
        let webs = self.webs.iter_mut().filter_map(|web| web.deadline(now)).min();
        [first(&self.to_board), first(&self.to_machine), self.server.deadline(), webs].into_iter().flatten().min()
    }

    fn frame(&mut self, now: Instant, bytes: &[u8]) {
        let frame = EthernetFrame::new_checked(bytes).unwrap();
        assert_eq!(frame.src_addr(), BOARD);
        let to = frame.dst_addr();
        for web in self.webs.iter_mut().filter(|web| to == web.station || to.is_broadcast()) {
            web.receive(bytes);
        }
        if self.webs.iter().any(|web| to == web.station && web.station != MACHINE) {
            return;
        }
        assert!(to == MACHINE || to.is_broadcast(), "sent to {to}");
        match frame.ethertype() {
            EthernetProtocol::Arp => self.arp(now, &ArpPacket::new_checked(frame.payload()).unwrap()),
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
                let ip = Ipv4Repr::parse(&packet, &ChecksumCapabilities::default()).unwrap();
                if ip.next_header != IpProtocol::Udp {
                    return;
                }
                let datagram = UdpPacket::new_checked(packet.payload()).unwrap();
                let (source, destination) = (ip.src_addr.into(), ip.dst_addr.into());
                UdpRepr::parse(&datagram, &source, &destination, &ChecksumCapabilities::default()).unwrap();
                if datagram.dst_port() == 67 {
                    return self.dhcp(now, datagram.payload());
                }
                if ip.dst_addr != self.remote.unwrap_or(ADDRESS) {
                    return;
                }
                let datagram = Datagram {
                    from: SocketAddrV4::new(ip.src_addr, datagram.src_port()),
                    to: SocketAddrV4::new(ADDRESS, datagram.dst_port()),
                    bytes: datagram.payload().to_vec(),
                };
                if let Some(stranger) = self.stranger {
                    let from = SocketAddrV4::new(stranger, STRANGER);
                    self.send_datagram(now, DELAY, &Datagram { from, to: datagram.from, bytes: vec![0, 3, 0, 1, 0] });
                }
                if datagram.to.port() == STRANGER {
                    self.told_stranger.push(datagram.bytes);
                    return;
                }
                // Before the server has answered, any port might be its.
                let interruptions =
                    if datagram.to.port() == self.server.port { Vec::new() } else { self.interruptions.clone() };
                for bytes in interruptions {
                    let from = SocketAddrV4::new(ADDRESS, STRANGER);
                    self.send_datagram(now, DELAY, &Datagram { from, to: datagram.from, bytes });
                }
                for answer in self.server.on_packet(now, &datagram) {
                    self.answer(now, &answer);
                }
            }
            other => panic!("the board sent {other}"),
        }
    }

    fn arp(&mut self, now: Instant, packet: &ArpPacket<&[u8]>) {
        let ArpRepr::EthernetIpv4 {
            operation, source_hardware_addr, source_protocol_addr, target_protocol_addr, ..
        } = ArpRepr::parse(packet).unwrap()
        else {
            panic!("an ARP packet of another kind");
        };
        if operation != ArpOperation::Request || target_protocol_addr != ADDRESS {
            return;
        }
        self.arp_requests += 1;
        if self.arp_silent {
            return;
        }
        let answer = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: MACHINE,
            source_protocol_addr: ADDRESS,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        let mut body = vec![0; answer.buffer_len()];
        answer.emit(&mut ArpPacket::new_unchecked(&mut body[..]));
        self.carry(now, DELAY, framed(BOARD, EthernetProtocol::Arp, &body), true);
    }

    /// Answers as RFC 2131 says, and looks whether the board sends what U-Boot does.
    fn dhcp(&mut self, now: Instant, payload: &[u8]) {
        let packet = DhcpPacket::new_checked(payload).unwrap();
        let request = DhcpRepr::parse(&packet).unwrap();
        let option =
            |kind| packet.options().find(|option: &DhcpOption<'_>| option.kind == kind).map(|option| option.data);
        assert_eq!(option(60), Some(&b"U-Boot.armv8"[..]), "vendor class");
        assert_eq!(option(93), Some(&[0, 0x16][..]), "client architecture");
        assert_eq!(option(94), Some(&[1, 0, 0][..]), "client interface");
        assert!(option(55).is_some_and(|list| [1, 3, 66, 67].iter().all(|wanted| list.contains(wanted))));
        self.discovers += u32::from(request.message_type == DhcpMessageType::Discover);
        if self.dhcp.silent {
            return;
        }
        let message_type = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if self.dhcp.refuses => DhcpMessageType::Nak,
            DhcpMessageType::Request => DhcpMessageType::Ack,
            other => panic!("the board sent {other:?}"),
        };
        let delay = if message_type == DhcpMessageType::Offer { self.dhcp.slow } else { Duration::ZERO };
        let answer = DhcpRepr {
            message_type,
            your_ip: BOARD_ADDRESS,
            server_ip: self.dhcp.siaddr,
            router: Some(self.dhcp.router),
            subnet_mask: self.dhcp.mask.then_some(Ipv4Addr::new(255, 255, 255, 0)),
            server_identifier: Some(ADDRESS),
            client_identifier: None,
            requested_ip: None,
            parameter_request_list: None,
            max_size: None,
            lease_duration: Some(self.dhcp.lease_seconds),
            additional_options: &[],
            ..request
        };
        let mut body = vec![0; answer.buffer_len()];
        answer.emit(&mut DhcpPacket::new_unchecked(&mut body[..])).unwrap();
        body[108..108 + self.dhcp.boot_file.len()].copy_from_slice(self.dhcp.boot_file.as_bytes());
        let datagram =
            Datagram { from: SocketAddrV4::new(ADDRESS, 67), to: SocketAddrV4::new(BOARD_ADDRESS, 68), bytes: body };
        self.send_datagram(now, DELAY + delay, &datagram);
    }

    fn answer(&mut self, now: Instant, datagram: &Datagram) {
        for _ in 0..self.copies {
            self.send_datagram(now, DELAY, datagram);
        }
    }

    fn send_datagram(&mut self, now: Instant, delay: Duration, datagram: &Datagram) {
        let udp = UdpRepr { src_port: datagram.from.port(), dst_port: datagram.to.port() };
        let own = udp.src_port == 67;
        let ip = Ipv4Repr {
            src_addr: self.remote.filter(|_| !own).unwrap_or(*datagram.from.ip()),
            dst_addr: *datagram.to.ip(),
            next_header: IpProtocol::Udp,
            payload_len: udp.header_len() + datagram.bytes.len(),
            hop_limit: 64,
        };
        let mut body = vec![0; ip.buffer_len() + ip.payload_len];
        let mut packet = Ipv4Packet::new_unchecked(&mut body[..]);
        ip.emit(&mut packet, &ChecksumCapabilities::default());
        udp.emit(
            &mut UdpPacket::new_unchecked(packet.payload_mut()),
            &ip.src_addr.into(),
            &ip.dst_addr.into(),
            datagram.bytes.len(),
            |payload| payload.copy_from_slice(&datagram.bytes),
            &ChecksumCapabilities::default(),
        );
        self.carry(now, delay, framed(BOARD, EthernetProtocol::Ipv4, &body), true);
    }
}

fn framed(dst_addr: EthernetAddress, ethertype: EthernetProtocol, body: &[u8]) -> Vec<u8> {
    let header = EthernetRepr { src_addr: MACHINE, dst_addr, ethertype };
    let mut bytes = vec![0; header.buffer_len() + body.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    header.emit(&mut frame);
    frame.payload_mut().copy_from_slice(body);
    // Short frames arrive padded.
    let length = bytes.len().max(60);
    bytes.resize(length, 0);
    bytes
}

/// The test's clock. It moves only when the observer is polled.
#[derive(Clone)]
pub struct SimulatedClock(Rc<Cell<Instant>>);

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        self.0.get()
    }
}

/// The board's end of the wire.
pub struct Controller {
    receiver: Receiver,
    sender: Sender,
}

pub struct Receiver {
    lan: Rc<RefCell<Lan>>,
    clock: SimulatedClock,
    frame: Option<Vec<u8>>,
}

pub struct Sender {
    lan: Rc<RefCell<Lan>>,
    clock: SimulatedClock,
}

impl FrameReceiver for Receiver {
    fn frame(&mut self) -> Option<&[u8]> {
        if self.frame.is_none() {
            self.frame = self.lan.borrow_mut().arrived(self.clock.now());
        }
        self.frame.as_deref()
    }

    fn release(&mut self) {
        assert!(self.frame.take().is_some(), "a frame is released once");
    }
}

impl FrameSender for Sender {
    fn ready(&mut self) -> bool {
        true
    }

    fn send<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        if length > 1514 {
            return None;
        }
        let mut frame = vec![0xee; length];
        let result = fill(&mut frame);
        self.lan.borrow_mut().sent_by_board(self.clock.now(), frame);
        Some(result)
    }
}

impl EthernetController for Controller {
    type Receiver = Receiver;
    type Sender = Sender;

    fn address(&self) -> [u8; 6] {
        BOARD.0
    }

    fn poll_link(&mut self, now: Instant) -> Link {
        if self.receiver.lan.borrow().up(now) { Link::Up { megabits: 1000, full_duplex: true } } else { Link::Down }
    }

    fn no_answer(&mut self, _now: Instant) -> Option<&'static str> {
        let mut lan = self.receiver.lan.borrow_mut();
        lan.no_answers += 1;
        lan.wrong_way = false;
        (lan.no_answers == 1).then_some("the other delays are tried")
    }

    fn halves(&mut self) -> (&mut Receiver, &mut Sender) {
        (&mut self.receiver, &mut self.sender)
    }

    fn counters(&self) -> Counters {
        Counters { received: self.receiver.lan.borrow().received, ..Counters::default() }
    }
}

/// Moves the clock from event to event, and keeps what it is told.
pub struct Watcher {
    lan: Rc<RefCell<Lan>>,
    clock: SimulatedClock,
    pub events: Vec<String>,
    /// Gives up at this moment.
    pub abort_at: Option<Instant>,
}

impl Watcher {
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    pub fn told(&self, words: &str) -> bool {
        self.events.iter().any(|event| event.contains(words))
    }
}

impl Observer for Watcher {
    fn poll(&mut self, now: Instant) -> bool {
        assert!(now < Instant::from_micros(1_000_000_000), "it takes for ever");
        let mut lan = self.lan.borrow_mut();
        lan.advance(now);
        // The next thing on the wire, or a little later, so that the session's own timers are met, too.
        let a_little = now.after(Duration::from_micros(500));
        let next = lan.next_event(now).map_or(a_little, |next| next.min(a_little));
        self.clock.0.set(next.max(now.after(Duration::from_micros(2))));
        drop(lan);
        let now = self.clock.now();
        self.lan.borrow_mut().advance(now);
        self.abort_at.is_none_or(|at| now < at)
    }

    fn event(&mut self, event: Event<'_>) {
        self.events.push(event.to_string());
    }
}

/// A board plugged into `lan`, at one second after its power came.
pub fn plug(lan: Lan) -> (Rc<RefCell<Lan>>, Controller, SimulatedClock, Watcher) {
    let lan = Rc::new(RefCell::new(lan));
    let clock = SimulatedClock(Rc::new(Cell::new(Instant::from_micros(1_000_000))));
    let receiver = Receiver { lan: lan.clone(), clock: clock.clone(), frame: None };
    let sender = Sender { lan: lan.clone(), clock: clock.clone() };
    let watcher = Watcher { lan: lan.clone(), clock: clock.clone(), events: Vec::new(), abort_at: None };
    (lan, Controller { receiver, sender }, clock, watcher)
}
