//! A bench with what a driver holds of it, and the frames that go over it.

use genet_model::Settings as Board;
use genet_model::host::{Bench, ModelBus, ModelClock, TwoViewMemory};
use std::time::Duration;
use xenlift::drivers::genet::{Genet, RECEIVE_MEMORY, SEND_MEMORY, Settings};
use xenlift::mmio::Bus;
use xenlift::net::device::{EthernetController, FrameReceiver, FrameSender, Link};
use xenlift::time::Clock;

pub const ADDRESS: [u8; 6] = [0xdc, 0xa6, 0x32, 0x11, 0x22, 0x33];

pub const PARTNER: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

pub const BROADCAST: [u8; 6] = [0xff; 6];

pub const GIGABIT: Link = Link::Up { megabits: 1000, full_duplex: true };

pub type Driver<'a> = Genet<&'a ModelBus, TwoViewMemory, &'a ModelClock>;

/// A bench with what a driver holds of it.
pub struct Desk {
    pub bench: Bench,
    pub bus: ModelBus,
    pub clock: ModelClock,
}

impl Desk {
    pub fn new(board: Board) -> Self {
        let bench = Bench::new(board);
        Self { bus: bench.bus(), clock: bench.clock(), bench }
    }
    pub fn driver(&self) -> Driver<'_> {
        self.driver_for(Settings { address: ADDRESS, phy_address: Some(1) })
    }
    pub fn driver_for(&self, settings: Settings) -> Driver<'_> {
        let (receive, send) = (self.bench.memory(RECEIVE_MEMORY), self.bench.memory(SEND_MEMORY));
        Genet::new(&self.bus, &self.clock, receive, send, settings).unwrap()
    }
    /// A driver that has been started and has a link.
    pub fn linked(&self) -> Driver<'_> {
        let mut driver = self.driver();
        driver.start().unwrap();
        self.poll_until(&mut driver, Duration::from_secs(6), |link| link != Link::Down);
        driver
    }
    /// Polls each millisecond until `wanted`; panics after `limit`.
    pub fn poll_until(&self, driver: &mut Driver<'_>, limit: Duration, wanted: impl Fn(Link) -> bool) -> Link {
        let end = self.bench.elapsed() + limit;
        loop {
            let link = driver.poll_link(self.clock.now());
            if wanted(link) {
                return link;
            }
            assert!(self.bench.elapsed() < end, "link is {link:?} after {limit:?}: {:?}", self.bench.refusals());
            self.bench.advance(Duration::from_millis(1));
        }
    }
    pub fn poll_for(&self, driver: &mut Driver<'_>, time: Duration) {
        let end = self.bench.elapsed() + time;
        while self.bench.elapsed() < end {
            driver.poll_link(self.clock.now());
            self.bench.advance(Duration::from_millis(1));
        }
    }
    /// Frames that have reached the wire once everything queued had time to.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.bench.advance(Duration::from_millis(50));
        self.bench.sent()
    }
    /// Reads a register of the PHY at `phy` behind the driver's back.
    pub fn phy_read(&self, phy: u32, register: u32) -> u16 {
        self.mdio(2 << 26 | phy << 21 | register << 16)
    }
    pub fn phy_write(&self, phy: u32, register: u32, value: u16) {
        self.mdio(1 << 26 | phy << 21 | register << 16 | u32::from(value));
    }
    pub fn mdio(&self, command: u32) -> u16 {
        while self.bus.read32(0xe14) & 1 << 29 != 0 {}
        self.bus.write32(0xe14, command | 1 << 29);
        while self.bus.read32(0xe14) & 1 << 29 != 0 {}
        self.bus.read32(0xe14) as u16
    }
}

/// A board on which negotiation takes 20 ms, so that tests are short, and whose transmitter takes more of its ring than the wire has
/// room for.
pub fn quick(seed: u64) -> Board {
    Board { seed, autonegotiation: Duration::from_millis(20), transmit_ahead: 4096, ..Board::default() }
}

pub fn frame(to: [u8; 6], payload: &[u8]) -> Vec<u8> {
    [&to[..], &PARTNER, &[0x88, 0xb5], payload].concat()
}

/// A frame of `length` bytes that differs from others with another `number`.
pub fn numbered(number: u32, length: usize) -> Vec<u8> {
    let mut frame = frame(ADDRESS, &number.to_be_bytes());
    frame.extend((0..length.saturating_sub(frame.len())).map(|at| (at as u32 ^ number) as u8));
    frame
}

pub fn send(driver: &mut Driver<'_>, frame: &[u8]) {
    let queued = driver.halves().1.send(frame.len(), |bytes| bytes.copy_from_slice(frame));
    assert!(queued.is_some(), "the queue takes a frame");
}

pub fn receive(driver: &mut Driver<'_>) -> Option<Vec<u8>> {
    let receiver = driver.halves().0;
    let frame = receiver.frame().map(<[u8]>::to_vec);
    receiver.release();
    frame
}

/// One frame each way.
pub fn exchange(desk: &Desk, driver: &mut Driver<'_>, number: u32) {
    let arriving = numbered(number, 300);
    desk.bench.inject(&arriving);
    desk.bench.advance(Duration::from_millis(2));
    assert_eq!(receive(driver), Some(arriving), "{:?}", desk.bench.refusals());
    let leaving = numbered(number ^ 0xffff, 200);
    send(driver, &leaving);
    assert_eq!(desk.sent(), [leaving], "{:?}", desk.bench.refusals());
}

/// The PHY's GTXCLK delay (shadow 3 of register 0x1c, bit 9) and RXC skew (shadow 7 of register 0x18, bit 8).
pub fn phy_delays(desk: &Desk) -> (bool, bool) {
    desk.phy_write(1, 0x1c, 3 << 10);
    let gtxclk = desk.phy_read(1, 0x1c) & 1 << 9 != 0;
    desk.phy_write(1, 0x18, 7 << 12 | 7);
    (gtxclk, desk.phy_read(1, 0x18) & 1 << 8 != 0)
}

/// Polls a driver on any bus until it has a link, for at most a second.
pub fn wait_for_link(bench: &Bench, driver: &mut impl EthernetController) {
    for _ in 0..1000 {
        if driver.poll_link(bench.clock().now()) != Link::Down {
            return;
        }
        bench.advance(Duration::from_millis(1));
    }
    panic!("no link within a second: {:?}", bench.refusals());
}

/// Takes all frames that have arrived; how many there were.
pub fn drain(driver: &mut impl EthernetController) -> usize {
    for count in 0..1000 {
        let receiver = driver.halves().0;
        if receiver.frame().is_none() {
            return count;
        }
        receiver.release();
    }
    panic!("more frames than were sent");
}
