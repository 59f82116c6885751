//! The board's end of the wire: the real session of the loader over a simulated controller, clock and memory.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use xenlift::config::source::{ServerAddress, Source};
use xenlift::config::{InterfaceAddress, Network};
use xenlift::net::device::{Counters, EthernetController, FrameReceiver, FrameSender, Link};
use xenlift::net::fetch::{Error, Event, FetchReport, Job, Observer, Session};
use xenlift::net::tftp::{Refusal, Sink};
use xenlift::time::{Clock, Instant};

use super::path::{Conditions, World};
use super::server::{self, Server};

const STATION: [u8; 6] = [0xdc, 0xa6, 0x32, 1, 2, 3];
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// Nanoseconds that a look at an empty ring takes (one read of a register), and a turn of the session's loop.
const EMPTY_LOOK: u64 = 200;
const TURN: u64 = 500;

/// How long the session may look at nothing, so that its timers are met.
const LONGEST_IDLE: u64 = 100_000;

type Shared = Rc<RefCell<World>>;

struct SimulatedClock(Shared);

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.borrow().now / 1000)
    }
}

struct Controller {
    receiver: Receiver,
    sender: Sender,
}

struct Receiver {
    world: Shared,
    frame: Option<Vec<u8>>,
}

struct Sender(Shared);

impl FrameReceiver for Receiver {
    fn frame(&mut self) -> Option<&[u8]> {
        if self.frame.is_none() {
            let mut world = self.world.borrow_mut();
            self.frame = world.take();
            if self.frame.is_none() {
                world.pass(EMPTY_LOOK);
            }
        }
        self.frame.as_deref()
    }

    fn release(&mut self) {
        self.frame = None;
        self.world.borrow_mut().release();
    }
}

impl FrameSender for Sender {
    fn ready(&mut self) -> bool {
        true
    }

    fn send<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        self.0.borrow_mut().send(frame);
        Some(result)
    }
}

impl EthernetController for Controller {
    type Receiver = Receiver;
    type Sender = Sender;

    fn address(&self) -> [u8; 6] {
        STATION
    }

    fn poll_link(&mut self, _now: Instant) -> Link {
        Link::Up { megabits: self.sender.0.borrow().conditions.megabits as u16, full_duplex: true }
    }

    fn no_answer(&mut self, _now: Instant) -> Option<&'static str> {
        None
    }

    fn halves(&mut self) -> (&mut Receiver, &mut Sender) {
        (&mut self.receiver, &mut self.sender)
    }

    fn counters(&self) -> Counters {
        let world = self.sender.0.borrow();
        Counters { received: world.received, discarded: world.ring_drops, ..Counters::default() }
    }
}

struct Watcher(Shared);

impl Observer for Watcher {
    fn poll(&mut self, _now: Instant) -> bool {
        let mut world = self.0.borrow_mut();
        world.pass(TURN);
        world.idle(LONGEST_IDLE);
        true
    }

    fn event(&mut self, _event: Event<'_>) {}
}

/// Where a file goes: nothing is kept but which blocks have come. Each carries its offset.
#[derive(Default)]
struct Landing {
    come: Vec<bool>,
    ended: Option<u64>,
}

impl Sink for Landing {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        let blocks = size.ok_or(Refusal::Other("the server knows its size"))? / super::BLOCK + 1;
        self.come = vec![false; blocks as usize];
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let right = bytes.len() < 8 || bytes[..8] == offset.to_be_bytes();
        match self.come.get_mut((offset / super::BLOCK) as usize) {
            Some(come) if right && offset.is_multiple_of(super::BLOCK) && !*come => *come = true,
            _ => return Err(Refusal::Other("a block out of its place, or twice")),
        }
        Ok(())
    }

    fn end(&mut self, size: u64) {
        self.ended = Some(size);
    }
}

/// A board on its own wire, with its session.
pub struct Board {
    world: Shared,
    session: Session<Controller, SimulatedClock>,
}

impl Board {
    pub fn new(conditions: Conditions, server: Server, seed: u64) -> Result<Self, Error> {
        let world = Rc::new(RefCell::new(World::new(conditions, server, seed)));
        let receiver = Receiver { world: world.clone(), frame: None };
        let controller = Controller { receiver, sender: Sender(world.clone()) };
        let network = Network {
            address: Some(InterfaceAddress { address: ADDRESS, prefix: 24 }),
            gateway: None,
            server: Some(ServerAddress { address: server::ADDRESS, port: 69 }),
        };
        let session = Session::new(controller, SimulatedClock(world.clone()), network, seed)?;
        Ok(Self { world, session })
    }

    /// Windows of so many blocks from now on, instead of those that the session finds right.
    pub fn set_window(&mut self, window: u16) {
        self.session.set_window(Some(window));
    }

    /// Fetches `files` side by side; every one has come whole, each block once and in its place, or it is an error.
    pub fn fetch(&mut self, files: usize) -> Result<Vec<FetchReport>, Error> {
        let source = Source::Path("file".to_owned());
        let mut landings: Vec<_> = (0..files).map(|_| Landing::default()).collect();
        let mut jobs: Vec<_> = landings.iter_mut().map(|sink| Job { source: &source, sink }).collect();
        let reports =
            self.session.fetch_all(&mut jobs, &mut Watcher(self.world.clone())).map_err(|(_, error)| error)?;
        let Server { size, confused, .. } = self.world.borrow().server;
        let whole = |landing: &Landing| landing.ended == Some(size) && landing.come.iter().all(|come| *come);
        match landings.iter().all(whole) && confused == 0 {
            true => Ok(reports),
            false => Err(Error::Unsupported(
                "a file did not come whole, or the server got frames of which it could make nothing",
            )),
        }
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.world.borrow().now
    }

    /// Frames that had no room in the receive ring.
    pub fn ring_drops(&self) -> u64 {
        self.world.borrow().ring_drops
    }

    /// Frames that had no room in the switch.
    pub fn switch_drops(&self) -> u64 {
        self.world.borrow().switch_drops
    }
}
