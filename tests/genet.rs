//! The GENET driver on the strict model of the controller: whatever silicon would not do, the model refuses and logs.

#![allow(clippy::unwrap_used)] // in helpers, too: a bench that cannot be set up is a failed test

use genet_model::host::{Bench, ModelBus, ModelClock, TwoViewMemory};
use genet_model::{Abilities, Damage, Faults, Mode, PhyStart, Settings as Board};
use std::time::Duration;
use xenlift::drivers::genet::{
    Direction, Error, Found, Genet, Negotiation, RECEIVE_MEMORY, ReceiveErrors, SEND_MEMORY, Settings, TransmitDelay,
};
use xenlift::mmio::Bus;
use xenlift::net::device::{Counters, EthernetController, FrameReceiver, FrameSender, Link};
use xenlift::time::Clock;

const ADDRESS: [u8; 6] = [0xdc, 0xa6, 0x32, 0x11, 0x22, 0x33];
const PARTNER: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
const BROADCAST: [u8; 6] = [0xff; 6];
const GIGABIT: Link = Link::Up { megabits: 1000, full_duplex: true };

type Driver<'a> = Genet<&'a ModelBus, TwoViewMemory, &'a ModelClock>;

/// A bench with what a driver holds of it.
struct Desk {
    bench: Bench,
    bus: ModelBus,
    clock: ModelClock,
}

impl Desk {
    fn new(board: Board) -> Self {
        let bench = Bench::new(board);
        Self { bus: bench.bus(), clock: bench.clock(), bench }
    }
    fn driver(&self) -> Driver<'_> {
        self.driver_for(Settings { address: ADDRESS, phy_address: Some(1) })
    }
    fn driver_for(&self, settings: Settings) -> Driver<'_> {
        let (receive, send) = (self.bench.memory(RECEIVE_MEMORY), self.bench.memory(SEND_MEMORY));
        Genet::new(&self.bus, &self.clock, receive, send, settings).unwrap()
    }
    /// A driver that has been started and has a link.
    fn linked(&self) -> Driver<'_> {
        let mut driver = self.driver();
        driver.start().unwrap();
        self.poll_until(&mut driver, Duration::from_secs(6), |link| link != Link::Down);
        driver
    }
    /// Polls each millisecond until `wanted`; panics after `limit`.
    fn poll_until(&self, driver: &mut Driver<'_>, limit: Duration, wanted: impl Fn(Link) -> bool) -> Link {
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
    fn poll_for(&self, driver: &mut Driver<'_>, time: Duration) {
        let end = self.bench.elapsed() + time;
        while self.bench.elapsed() < end {
            driver.poll_link(self.clock.now());
            self.bench.advance(Duration::from_millis(1));
        }
    }
    /// Frames that have reached the wire once everything queued had time to.
    fn sent(&self) -> Vec<Vec<u8>> {
        self.bench.advance(Duration::from_millis(50));
        self.bench.sent()
    }
    /// Reads a register of the PHY at `phy` behind the driver's back.
    fn phy_read(&self, phy: u32, register: u32) -> u16 {
        self.mdio(2 << 26 | phy << 21 | register << 16)
    }
    fn phy_write(&self, phy: u32, register: u32, value: u16) {
        self.mdio(1 << 26 | phy << 21 | register << 16 | u32::from(value));
    }
    fn mdio(&self, command: u32) -> u16 {
        while self.bus.read32(0xe14) & 1 << 29 != 0 {}
        self.bus.write32(0xe14, command | 1 << 29);
        while self.bus.read32(0xe14) & 1 << 29 != 0 {}
        self.bus.read32(0xe14) as u16
    }
}

/// A board on which negotiation takes 20 ms, so that tests are short.
fn quick(seed: u64) -> Board {
    Board { seed, autonegotiation: Duration::from_millis(20), ..Board::default() }
}

fn frame(to: [u8; 6], payload: &[u8]) -> Vec<u8> {
    [&to[..], &PARTNER, &[0x88, 0xb5], payload].concat()
}

/// A frame of `length` bytes that differs from others with another `number`.
fn numbered(number: u32, length: usize) -> Vec<u8> {
    let mut frame = frame(ADDRESS, &number.to_be_bytes());
    frame.extend((0..length.saturating_sub(frame.len())).map(|at| (at as u32 ^ number) as u8));
    frame
}

fn send(driver: &mut Driver<'_>, frame: &[u8]) {
    let queued = driver.halves().1.send(frame.len(), |bytes| bytes.copy_from_slice(frame));
    assert!(queued.is_some(), "the queue takes a frame");
}

fn receive(driver: &mut Driver<'_>) -> Option<Vec<u8>> {
    let receiver = driver.halves().0;
    let frame = receiver.frame().map(<[u8]>::to_vec);
    receiver.release();
    frame
}

/// One frame each way.
fn exchange(desk: &Desk, driver: &mut Driver<'_>, number: u32) {
    let arriving = numbered(number, 300);
    desk.bench.inject(&arriving);
    desk.bench.advance(Duration::from_millis(2));
    assert_eq!(receive(driver), Some(arriving), "{:?}", desk.bench.refusals());
    let leaving = numbered(number ^ 0xffff, 200);
    send(driver, &leaving);
    assert_eq!(desk.sent(), [leaving], "{:?}", desk.bench.refusals());
}

#[test]
fn whatever_the_firmware_left_frames_pass_both_ways_and_nothing_is_refused() {
    for seed in 0..60 {
        for phy_start in [PhyStart::Negotiating, PhyStart::Negotiated, PhyStart::PoweredDown] {
            let desk = Desk::new(Board { phy_start, ..quick(seed) });
            let mut driver = desk.linked();
            exchange(&desk, &mut driver, seed as u32);
            driver.stop().unwrap();
            assert_eq!(desk.bench.left_running(), Vec::<&str>::new(), "seed {seed}, {phy_start:?}");
            desk.bench.assert_clean();
        }
    }
}

#[test]
fn bring_up_takes_milliseconds_and_does_not_wait_for_the_link() {
    for (phy_start, negotiation, milliseconds) in [
        (PhyStart::Negotiating, Negotiation::Running, 5),
        (PhyStart::Negotiated, Negotiation::Complete, 5),
        // 5 ms of these are the PHY's reset.
        (PhyStart::PoweredDown, Negotiation::Started, 10),
    ] {
        let desk = Desk::new(Board { phy_start, ..Board::default() });
        let mut driver = desk.driver();
        let before = desk.bench.elapsed();
        let found = driver.start().unwrap();
        let took = desk.bench.elapsed() - before;
        assert!(took < Duration::from_millis(milliseconds), "{phy_start:?}: {took:?}");
        let Found { revision, phy_address, phy_id, phy_known, negotiation: said } = found;
        assert_eq!(revision >> 24 & 0xf, 6);
        assert_eq!((phy_address, phy_id, phy_known), (1, 0x600d_84a2, true));
        assert_eq!(said, negotiation);
        desk.bench.assert_clean();
    }
}

#[test]
fn a_phy_that_the_firmware_used_has_its_link_at_once() {
    let desk = Desk::new(Board { phy_start: PhyStart::Negotiated, ..Board::default() });
    let mut driver = desk.driver();
    driver.start().unwrap();
    let before = desk.bench.elapsed();
    assert_eq!(desk.poll_until(&mut driver, Duration::from_millis(30), |link| link != Link::Down), GIGABIT);
    assert!(desk.bench.elapsed() - before < Duration::from_millis(30));
    exchange(&desk, &mut driver, 1);
    desk.bench.assert_clean();
}

#[test]
fn a_real_negotiation_of_three_seconds_is_left_to_end() {
    let desk = Desk::new(Board::default());
    let mut driver = desk.driver();
    driver.start().unwrap();
    assert_eq!(desk.poll_until(&mut driver, Duration::from_millis(3100), |link| link != Link::Down), GIGABIT);
    exchange(&desk, &mut driver, 1);
    desk.bench.assert_clean();
}

#[test]
fn every_speed_and_duplex_is_followed() {
    let modes = [
        (Abilities::HALF_10, 10, false),
        (Abilities::FULL_10, 10, true),
        (Abilities::HALF_100, 100, false),
        (Abilities::FULL_100, 100, true),
        (Abilities::FAST, 100, true),
        (Abilities::HALF_1000, 1000, false),
        (Abilities::FULL_1000, 1000, true),
        (Abilities::GIGABIT, 1000, true),
    ];
    for (partner, megabits, full_duplex) in modes {
        let desk = Desk::new(Board { partner, ..quick(u64::from(partner.bits())) });
        let mut driver = desk.linked();
        assert_eq!(driver.poll_link(desk.clock.now()), Link::Up { megabits, full_duplex });
        assert_eq!(desk.bench.link(), Some(Mode { megabits, full_duplex }));
        exchange(&desk, &mut driver, 7);
        desk.bench.assert_clean();
    }
}

#[test]
fn another_partner_brings_another_speed_without_a_restart() {
    let desk = Desk::new(quick(3));
    let mut driver = desk.linked();
    for (partner, megabits) in [(Abilities::FAST, 100), (Abilities::FULL_10, 10), (Abilities::GIGABIT, 1000)] {
        desk.bench.set_partner(partner);
        desk.poll_until(&mut driver, Duration::from_secs(1), |link| link == Link::Down);
        let link = desk.poll_until(&mut driver, Duration::from_secs(1), |link| link != Link::Down);
        assert_eq!(link, Link::Up { megabits, full_duplex: true });
        exchange(&desk, &mut driver, megabits.into());
    }
    assert_eq!(driver.statistics().link_losses, 3);
    desk.bench.assert_clean();
}

#[test]
fn a_pulled_cable_is_seen_and_its_return_too() {
    let desk = Desk::new(quick(4));
    let mut driver = desk.linked();
    for round in 1..=3 {
        desk.bench.set_link(false);
        desk.poll_until(&mut driver, Duration::from_millis(120), |link| link == Link::Down);
        assert!(!driver.halves().1.ready(), "without a link nothing is taken");
        assert!(driver.halves().1.send(60, |_| ()).is_none());
        desk.bench.set_link(true);
        desk.poll_until(&mut driver, Duration::from_millis(200), |link| link == GIGABIT);
        exchange(&desk, &mut driver, round);
        assert_eq!(driver.statistics().link_losses, u64::from(round));
    }
    desk.bench.assert_clean();
}

#[test]
fn without_a_cable_it_tries_again_and_finds_the_link_when_it_comes() {
    let desk = Desk::new(Board { cable: false, ..quick(5) });
    let mut driver = desk.driver();
    driver.start().unwrap();
    desk.poll_for(&mut driver, Duration::from_secs(40));
    assert_eq!(driver.poll_link(desk.clock.now()), Link::Down);
    desk.bench.set_link(true);
    desk.poll_until(&mut driver, Duration::from_millis(200), |link| link == GIGABIT);
    exchange(&desk, &mut driver, 1);
    desk.bench.assert_clean();
}

#[test]
fn thousands_of_frames_each_way_arrive_whole_and_in_order() {
    let desk = Desk::new(quick(6));
    let mut driver = desk.linked();
    let mut injected = 0_u32;
    let mut received = 0_u32;
    let mut queued = 0_u32;
    let mut on_the_wire = 0_u32;
    // 70,000 frames take the 16-bit indices round, wherever they started.
    while received < 70_000 {
        for _ in 0..injected % 97 + 1 {
            let length = 60 + (injected as usize * 37) % 1459;
            desk.bench.inject(&numbered(injected, length));
            injected += 1;
        }
        desk.bench.advance(Duration::from_millis(3));
        while let Some(frame) = receive(&mut driver) {
            assert_eq!(frame, numbered(received, 60 + (received as usize * 37) % 1459));
            received += 1;
            if received.is_multiple_of(3) && driver.halves().1.ready() {
                send(&mut driver, &numbered(queued, 60 + queued as usize % 1459));
                queued += 1;
            }
        }
        assert_eq!(received, injected);
        for frame in desk.bench.sent() {
            assert_eq!(frame, numbered(on_the_wire, 60 + on_the_wire as usize % 1459));
            on_the_wire += 1;
        }
    }
    for frame in desk.sent() {
        assert_eq!(frame, numbered(on_the_wire, 60 + on_the_wire as usize % 1459));
        on_the_wire += 1;
    }
    assert_eq!(on_the_wire, queued);
    let counted = driver.counters();
    assert_eq!(counted, Counters { received: received.into(), sent: queued.into(), discarded: 0, errors: 0 });
    desk.bench.assert_clean();
}

#[test]
fn a_full_ring_loses_frames_counts_them_and_goes_on() {
    let desk = Desk::new(quick(7));
    let mut driver = desk.linked();
    for round in 1..=3_u32 {
        for number in 0..400 {
            desk.bench.inject(&numbered(number, 100));
        }
        desk.bench.advance(Duration::from_millis(10));
        for number in 0..256 {
            assert_eq!(receive(&mut driver), Some(numbered(number, 100)), "round {round}");
        }
        assert_eq!(receive(&mut driver), None);
        assert_eq!(driver.counters().discarded, u64::from(round) * 144);
        exchange(&desk, &mut driver, round);
        assert_eq!(receive(&mut driver), None, "an empty ring gives its last buffers back");
    }
    desk.bench.assert_clean();
}

#[test]
fn damaged_frames_are_dropped_and_counted_by_reason() {
    let desk = Desk::new(quick(8));
    let mut driver = desk.linked();
    for damage in [Damage::CheckSequence, Damage::SymbolError, Damage::Overrun, Damage::Alignment] {
        desk.bench.inject_damaged(&numbered(9, 200), damage);
        desk.bench.advance(Duration::from_millis(1));
        assert_eq!(receive(&mut driver), None, "{damage:?}");
    }
    let errors = driver.statistics().receive_errors;
    assert_eq!(errors.total(), 4, "{errors:?}");
    for (count, name) in [(errors.crc, "crc"), (errors.symbol, "symbol"), (errors.overrun, "overrun")] {
        assert_eq!(count, 1, "{name}: {errors:?}");
    }
    assert_eq!(driver.counters().errors, 4);
    exchange(&desk, &mut driver, 1);
    desk.bench.assert_clean();
}

#[test]
fn a_frame_longer_than_a_buffer_is_dropped_whole_and_counts_once() {
    let desk = Desk::new(quick(9));
    let mut driver = desk.linked();
    for length in [2100, 4500, 9000] {
        desk.bench.inject(&numbered(1, length));
        desk.bench.inject(&numbered(2, 90));
        desk.bench.advance(Duration::from_millis(1));
        assert_eq!(receive(&mut driver), Some(numbered(2, 90)), "after one of {length} bytes");
        assert_eq!(receive(&mut driver), None);
    }
    let errors = driver.statistics().receive_errors;
    assert_eq!(errors.total(), 3, "{errors:?}");
    exchange(&desk, &mut driver, 1);
    desk.bench.assert_clean();
}

#[test]
fn frames_of_every_legal_size_pass_a_vlan_tag_included() {
    let desk = Desk::new(quick(10));
    let mut driver = desk.linked();
    for length in [60, 61, 62, 63, 64, 65, 127, 128, 1000, 1513, 1514, 1515, 1518] {
        let one = numbered(length as u32, length);
        desk.bench.inject(&one);
        send(&mut driver, &one);
        assert_eq!(desk.sent(), std::slice::from_ref(&one), "{length} bytes");
        assert_eq!(receive(&mut driver), Some(one), "{length} bytes, nothing before and nothing after");
    }
    assert!(driver.halves().1.send(1519, |_| ()).is_none());
    desk.bench.assert_clean();
}

#[test]
fn short_frames_leave_padded_with_zeroes() {
    let desk = Desk::new(quick(11));
    let mut driver = desk.linked();
    // The buffers hold something else first.
    for number in 0..64 {
        send(&mut driver, &numbered(number, 300));
        desk.sent();
    }
    for length in [14, 42, 59] {
        let mut expected = frame(BROADCAST, &vec![0x5a; length - 14]);
        send(&mut driver, &expected);
        expected.resize(60, 0);
        assert_eq!(desk.sent(), [expected]);
    }
    desk.bench.assert_clean();
}

#[test]
fn strangers_frames_are_filtered_broadcast_and_our_own_pass() {
    let desk = Desk::new(quick(12));
    let mut driver = desk.linked();
    for other in [PARTNER, [0x01, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1], [0xdc, 0xa6, 0x32, 0x11, 0x22, 0x34]] {
        desk.bench.inject(&frame(other, &[1; 50]));
    }
    desk.bench.inject(&frame(BROADCAST, &[2; 50]));
    desk.bench.inject(&frame(ADDRESS, &[3; 50]));
    desk.bench.advance(Duration::from_millis(1));
    assert_eq!(receive(&mut driver), Some(frame(BROADCAST, &[2; 50])));
    assert_eq!(receive(&mut driver), Some(frame(ADDRESS, &[3; 50])));
    assert_eq!(receive(&mut driver), None);
    assert_eq!(driver.address(), ADDRESS);
    desk.bench.assert_clean();
}

#[test]
fn the_phy_is_found_wherever_it_is() {
    for (phy_address, told) in
        [(0, Some(1)), (1, Some(0)), (1, None), (0, None), (2, Some(0)), (31, Some(1)), (3, Some(3)), (1, Some(77))]
    {
        let desk = Desk::new(Board { phy_address, ..quick(13) });
        let mut driver = desk.driver_for(Settings { address: ADDRESS, phy_address: told });
        assert_eq!(driver.start().unwrap().phy_address, phy_address, "the tree says {told:?}");
        desk.poll_until(&mut driver, Duration::from_secs(1), |link| link == GIGABIT);
        exchange(&desk, &mut driver, 1);
        desk.bench.assert_clean();
    }
}

#[test]
fn a_board_that_wants_the_other_delays_gets_them_and_it_is_said() {
    let desk = Desk::new(Board { faults: Faults { only_recipe_a: true, ..Faults::default() }, ..quick(14) });
    let mut driver = desk.linked();
    assert_eq!(driver.transmit_delay(), TransmitDelay::Controller);
    send(&mut driver, &numbered(1, 100));
    assert_eq!(desk.sent(), Vec::<Vec<u8>>::new());
    let said = driver.no_answer(desk.clock.now()).unwrap();
    assert!(said.contains("recipe A"), "{said}");
    assert_eq!(driver.transmit_delay(), TransmitDelay::Phy);
    exchange(&desk, &mut driver, 2);
    let said = driver.no_answer(desk.clock.now()).unwrap();
    assert!(said.contains("recipe B"), "{said}");
    assert_eq!(driver.transmit_delay(), TransmitDelay::Controller);
    assert_eq!(driver.no_answer(desk.clock.now()), None, "both were tried");
}

#[test]
fn both_ways_of_delaying_work_and_a_new_link_may_try_both_again() {
    let desk = Desk::new(quick(15));
    let mut driver = desk.driver();
    driver.start().unwrap();
    assert_eq!(driver.no_answer(desk.clock.now()), None, "nobody can answer without a link");
    desk.poll_until(&mut driver, Duration::from_secs(1), |link| link == GIGABIT);
    for round in 0..2 {
        assert!(driver.no_answer(desk.clock.now()).is_some());
        exchange(&desk, &mut driver, round);
        assert!(driver.no_answer(desk.clock.now()).is_some());
        exchange(&desk, &mut driver, round + 10);
        assert_eq!(driver.no_answer(desk.clock.now()), None);
        desk.bench.set_link(false);
        desk.poll_until(&mut driver, Duration::from_secs(1), |link| link == Link::Down);
        desk.bench.set_link(true);
        desk.poll_until(&mut driver, Duration::from_secs(1), |link| link == GIGABIT);
    }
    desk.bench.assert_clean();
}

/// The PHY's GTXCLK delay (shadow 3 of register 0x1c, bit 9) and RXC skew (shadow 7 of register 0x18, bit 8).
fn phy_delays(desk: &Desk) -> (bool, bool) {
    desk.phy_write(1, 0x1c, 3 << 10);
    let gtxclk = desk.phy_read(1, 0x1c) & 1 << 9 != 0;
    desk.phy_write(1, 0x18, 7 << 12 | 7);
    (gtxclk, desk.phy_read(1, 0x18) & 1 << 8 != 0)
}

#[test]
fn stop_leaves_the_delays_that_device_trees_expect_at_both_ends() {
    for seed in 0..8 {
        let desk = Desk::new(quick(seed));
        let mut driver = desk.linked();
        driver.no_answer(desk.clock.now()).unwrap();
        exchange(&desk, &mut driver, 1);
        assert_eq!(phy_delays(&desk), (true, true));
        driver.stop().unwrap();
        assert_eq!(phy_delays(&desk), (false, true));
        assert_eq!(desk.bus.read32(0x08c) & 1 << 16, 0, "ID_MODE_DIS");
        assert_eq!(desk.bench.left_running(), Vec::<&str>::new());
        desk.bench.assert_clean();
    }
}

#[test]
fn stop_lets_the_last_frames_out_and_can_be_called_twice() {
    for partner in [Abilities::GIGABIT, Abilities::FAST, Abilities::FULL_10] {
        let desk = Desk::new(Board { partner, ..quick(16) });
        let mut driver = desk.linked();
        for number in 0..8 {
            send(&mut driver, &numbered(number, 1000));
        }
        driver.stop().unwrap();
        assert_eq!(desk.bench.sent().len(), 8, "{partner:?}");
        driver.stop().unwrap();
        assert_eq!(driver.poll_link(desk.clock.now()), Link::Down);
        assert!(!driver.halves().1.ready());
        assert_eq!(driver.no_answer(desk.clock.now()), None);
        assert_eq!(desk.bench.left_running(), Vec::<&str>::new());
        desk.bench.assert_clean();
    }
}

#[test]
fn frames_that_arrive_after_stop_reach_no_memory_and_do_not_stay_in_the_controller() {
    let desk = Desk::new(quick(17));
    let mut driver = desk.linked();
    for number in 0..10 {
        desk.bench.inject(&numbered(number, 500));
    }
    driver.stop().unwrap();
    for number in 0..10 {
        desk.bench.inject(&numbered(number, 500));
    }
    desk.bench.advance(Duration::from_millis(10));
    assert_eq!(desk.bench.left_running(), Vec::<&str>::new());
    assert_eq!(receive(&mut driver), None, "nor are those in the ring handed up");
    desk.bench.assert_clean();
}

#[test]
fn a_second_start_after_stop_goes_on_where_the_indices_stand() {
    let desk = Desk::new(quick(18));
    let mut driver = desk.linked();
    for round in 0..5_u32 {
        for number in 0..round * 60 + 1 {
            exchange(&desk, &mut driver, number);
        }
        driver.stop().unwrap();
        desk.bench.inject(&numbered(99, 100));
        driver.start().unwrap();
        desk.poll_until(&mut driver, Duration::from_secs(1), |link| link == GIGABIT);
        assert_eq!(receive(&mut driver), None, "nothing of what came while it was stopped");
    }
    assert_eq!(driver.counters().discarded, 0);
    desk.bench.assert_clean();
}

#[test]
fn a_start_without_a_stop_takes_a_running_controller_over() {
    let desk = Desk::new(quick(19));
    let mut first = desk.linked();
    exchange(&desk, &mut first, 1);
    send(&mut first, &numbered(2, 100));
    first.start().unwrap();
    desk.poll_until(&mut first, Duration::from_secs(1), |link| link == GIGABIT);
    desk.bench.sent();
    exchange(&desk, &mut first, 3);
    desk.bench.assert_clean();
}

#[test]
fn after_a_warm_reset_of_the_board_it_starts_whatever_delays_the_phy_kept() {
    for seed in 0..20 {
        let desk = Desk::new(quick(seed));
        let mut driver = desk.linked();
        exchange(&desk, &mut driver, 1);
        if seed % 2 == 0 {
            driver.no_answer(desk.clock.now()).unwrap();
        }
        desk.bench.warm_reset();
        driver.start().unwrap();
        desk.poll_until(&mut driver, Duration::from_secs(1), |link| link == GIGABIT);
        exchange(&desk, &mut driver, 2);
        desk.bench.assert_clean();
    }
}

#[test]
fn a_driver_that_goes_out_of_scope_stops_the_controller() {
    let desk = Desk::new(quick(20));
    let driver = desk.linked();
    assert_ne!(desk.bench.left_running(), Vec::<&str>::new());
    drop(driver);
    assert_eq!(desk.bench.left_running(), Vec::<&str>::new());
    desk.bench.assert_clean();
}

#[test]
fn a_driver_that_was_not_started_touches_nothing() {
    let desk = Desk::new(Board { faults: Faults { mdio_never_done: true, ..Faults::default() }, ..quick(21) });
    let before = desk.bench.elapsed();
    let mut driver = desk.driver();
    driver.stop().unwrap();
    assert_eq!(receive(&mut driver), None);
    assert_eq!(driver.poll_link(desk.clock.now()), Link::Down);
    drop(driver);
    assert!(desk.bench.elapsed() - before < Duration::from_micros(20));
    desk.bench.assert_clean();
}

/// Starts on a board with faults; the result and how long it took.
fn start_with(faults: Faults, phy_start: PhyStart) -> (Result<Found, Error>, Duration, Vec<&'static str>) {
    let desk = Desk::new(Board { faults, phy_start, ..quick(22) });
    let mut driver = desk.driver();
    let before = desk.bench.elapsed();
    let result = driver.start();
    (result, desk.bench.elapsed() - before, desk.bench.left_running())
}

#[test]
fn a_management_bus_that_never_ends_is_reported() {
    let (result, took, running) =
        start_with(Faults { mdio_never_done: true, ..Faults::default() }, PhyStart::Negotiated);
    assert!(matches!(result, Err(Error::MdioBusy { milliseconds: 10, .. })), "{result:?}");
    assert!(took < Duration::from_millis(40), "{took:?}");
    assert_eq!(running, Vec::<&str>::new());
}

#[test]
fn a_phy_that_is_absent_is_reported() {
    let (result, took, running) = start_with(Faults { phy_absent: true, ..Faults::default() }, PhyStart::Negotiated);
    assert_eq!(result, Err(Error::NoPhy { wanted: 1 }));
    assert!(took < Duration::from_millis(20), "{took:?}");
    assert_eq!(running, Vec::<&str>::new());
}

#[test]
fn a_phy_that_stays_in_reset_is_reported() {
    let faults = Faults { phy_reset_never_ends: true, ..Faults::default() };
    let (result, took, running) = start_with(faults, PhyStart::PoweredDown);
    assert_eq!(result, Err(Error::PhyReset { phy: 1, milliseconds: 500 }));
    assert!(took < Duration::from_millis(520), "{took:?}");
    assert_eq!(running, Vec::<&str>::new());
}

#[test]
fn dma_that_does_not_stop_is_reported_by_stop_and_hinders_no_start() {
    let desk = Desk::new(Board { faults: Faults { dma_never_stops: true, ..Faults::default() }, ..quick(22) });
    let mut driver = desk.linked();
    exchange(&desk, &mut driver, 1);
    let before = desk.bench.elapsed();
    let result = driver.stop();
    let stuck = |direction| Error::DmaRuns { direction, status: 0, milliseconds: 5 };
    assert_eq!(result, Err(stuck(Direction::Receive)));
    assert!(desk.bench.elapsed() - before < Duration::from_millis(20));
    assert_eq!(driver.stop(), Ok(()), "there is no more that it could do");
    for register in [0x3044, 0x5044, 0x808] {
        assert_eq!(desk.bus.read32(register), 0, "all the rest was done, {register:#x}");
    }
    driver.start().unwrap();
    // A second start finds both engines running and goes on, too.
    let before = desk.bench.elapsed();
    driver.start().unwrap();
    assert!(desk.bench.elapsed() - before > Duration::from_millis(10), "each was waited for");
    desk.poll_until(&mut driver, Duration::from_secs(1), |link| link == GIGABIT);
    exchange(&desk, &mut driver, 2);
}

#[test]
fn a_transmitter_that_is_stuck_is_restarted_each_second_and_hangs_nothing() {
    let desk = Desk::new(Board { faults: Faults { transmit_stuck: true, ..Faults::default() }, ..quick(23) });
    let mut driver = desk.linked();
    let mut queued = 0;
    while driver.halves().1.ready() {
        send(&mut driver, &numbered(queued, 100));
        queued += 1;
    }
    assert_eq!(queued, 32);
    desk.poll_for(&mut driver, Duration::from_millis(1200));
    let statistics = driver.statistics();
    assert_eq!((statistics.transmit_stalls, statistics.transmit_lost), (1, 32));
    send(&mut driver, &numbered(1, 100));
    // Receiving does not suffer.
    desk.bench.inject(&numbered(5, 100));
    desk.bench.advance(Duration::from_millis(1));
    assert_eq!(receive(&mut driver), Some(numbered(5, 100)));
    desk.poll_for(&mut driver, Duration::from_millis(1200));
    assert_eq!(driver.statistics().transmit_stalls, 2);
    let before = desk.bench.elapsed();
    let _ = driver.stop();
    assert!(desk.bench.elapsed() - before < Duration::from_millis(80));
    assert_eq!(desk.bench.left_running(), Vec::<&str>::new());
}

#[test]
fn an_idle_link_is_not_taken_for_a_stuck_one() {
    let desk = Desk::new(quick(24));
    let mut driver = desk.linked();
    exchange(&desk, &mut driver, 1);
    desk.poll_for(&mut driver, Duration::from_secs(5));
    assert_eq!(driver.statistics().transmit_stalls, 0);
    exchange(&desk, &mut driver, 2);
    desk.bench.assert_clean();
}

#[test]
fn memory_that_is_too_small_and_addresses_that_are_none_are_refused() {
    let desk = Desk::new(quick(25));
    let settings = Settings { address: ADDRESS, phy_address: None };
    let make = |receive: usize, send: usize, settings: Settings| {
        Genet::new(&desk.bus, &desk.clock, desk.bench.memory(receive), desk.bench.memory(send), settings).err()
    };
    assert_eq!(make(RECEIVE_MEMORY, SEND_MEMORY, settings), None);
    let small = Error::Memory { direction: Direction::Receive, needed: RECEIVE_MEMORY, given: RECEIVE_MEMORY - 64 };
    assert_eq!(make(RECEIVE_MEMORY - 64, SEND_MEMORY, settings), Some(small));
    let small = Error::Memory { direction: Direction::Transmit, needed: SEND_MEMORY, given: SEND_MEMORY - 64 };
    assert_eq!(make(RECEIVE_MEMORY, SEND_MEMORY - 64, settings), Some(small));
    for given in [[0; 6], BROADCAST, [0x01, 0, 0x5e, 0, 0, 1]] {
        let settings = Settings { address: given, phy_address: None };
        assert_eq!(make(RECEIVE_MEMORY, SEND_MEMORY, settings), Some(Error::Address { given }));
    }
}

#[test]
fn the_dump_says_how_things_stand_and_disturbs_nothing() {
    let desk = Desk::new(quick(26));
    let mut driver = desk.linked();
    exchange(&desk, &mut driver, 1);
    let mut text = String::new();
    driver.dump(&mut text).unwrap();
    for part in [
        "GENET",
        "major 6",
        "1000 Mb/s",
        "TX on",
        "RX on",
        "TXC delayed by the controller",
        "RDMA",
        "TDMA",
        "id 0x600d84a2",
        "1 frames received, 0 with wrong FCS, 0 lost in RBUF, 1 sent",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    exchange(&desk, &mut driver, 2);
    desk.poll_for(&mut driver, Duration::from_millis(500));
    assert_eq!(driver.poll_link(desk.clock.now()), GIGABIT);
    driver.stop().unwrap();
    text.clear();
    driver.dump(&mut text).unwrap();
    assert!(text.contains("PHY      not started"), "{text}");
    assert_eq!(driver.statistics().receive_errors, ReceiveErrors::default());
    desk.bench.assert_clean();
}

/// Leaves the controller as a driver that used everything might: interrupts unmasked, status blocks both ways, check sequences kept,
/// another station's filter, a filter that sends all frames to ring 0, a short longest frame, a flow control that is off.
fn leave_as_somebody_else_would(desk: &Desk) {
    let bus = &desk.bus;
    for controller in [0x200, 0x240] {
        bus.write32(controller + 0x14, u32::MAX);
    }
    bus.write32(0x808, 0);
    bus.write32(0x808, 1 << 13 | 1 << 15);
    desk.bench.advance(Duration::from_micros(10));
    bus.write32(0x808, 0);
    bus.write32(0x80c, 0x0200_0000);
    bus.write32(0x810, 0x0009);
    bus.write32(0x814, 100);
    bus.write32(0x300, bus.read32(0x300) | 3);
    bus.write32(0x600, bus.read32(0x600) | 1);
    bus.write32(0xe54, 0x0200);
    bus.write32(0xe58, 0x0009);
    bus.write32(0xe50, 1 << 16);
    bus.write32(0xfc00, 1);
    bus.write32(0x08c, bus.read32(0x08c) | 1 << 16 | 1 << 5 | 1 << 4);
    bus.write32(0x004, 0);
    bus.write32(0x808, 1 << 6 | 1 << 4 | 1 << 10 | 3);
    desk.bench.take_refusals();
}

#[test]
fn what_another_driver_left_is_undone() {
    for seed in 0..10 {
        let desk = Desk::new(Board { phy_start: PhyStart::Negotiated, ..quick(seed) });
        leave_as_somebody_else_would(&desk);
        let mut driver = desk.linked();
        assert_eq!(desk.bus.read32(0xfc00), 0, "no frame goes to another queue");
        assert_eq!((desk.bus.read32(0x80c), desk.bus.read32(0x810) & 0xffff), (0xdca6_3211, 0x2233));
        for length in [60, 1518] {
            desk.bench.inject(&numbered(1, length));
            send(&mut driver, &numbered(2, length));
            assert_eq!(desk.sent(), [numbered(2, length)]);
            assert_eq!(receive(&mut driver), Some(numbered(1, length)));
        }
        desk.bench.inject(&frame(PARTNER, &[1; 50]));
        desk.bench.inject(&frame([2, 0, 0, 0, 0, 9], &[1; 50]));
        desk.bench.advance(Duration::from_millis(1));
        assert_eq!(receive(&mut driver), None, "neither promiscuous nor the other station's filter");
        assert!(!desk.bench.interrupt(0) && !desk.bench.interrupt(1), "everything is polled");
        driver.stop().unwrap();
        assert!(!desk.bench.interrupt(0) && !desk.bench.interrupt(1));
        assert_eq!(desk.bench.left_running(), Vec::<&str>::new());
        desk.bench.assert_clean();
    }
}

#[test]
fn a_controller_that_somebody_else_left_running_is_silenced_without_a_word_to_the_phy() {
    let desk = Desk::new(Board { phy_start: PhyStart::Negotiated, ..quick(29) });
    std::mem::forget(desk.linked());
    for number in 0..20 {
        desk.bench.inject(&numbered(number, 500));
    }
    assert_ne!(desk.bench.left_running(), Vec::<&str>::new());
    let before = phy_delays(&desk);
    let mut driver = desk.driver();
    driver.silence().unwrap();
    assert_eq!(desk.bench.left_running(), Vec::<&str>::new());
    assert_eq!(phy_delays(&desk), before);
    assert!(desk.bench.link().is_some(), "the link stays");
    driver.silence().unwrap();
    desk.bench.assert_clean();
}

#[test]
fn pause_frames_are_neither_heeded_nor_sent() {
    let desk = Desk::new(quick(27));
    let _driver = desk.linked();
    let command = desk.bus.read32(0x808);
    assert_eq!(command & (1 << 28 | 1 << 8), 1 << 28 | 1 << 8, "{command:#010x}");
}

#[test]
fn stop_clears_what_a_driver_would_assume_to_be_in_its_reset_state() {
    let desk = Desk::new(quick(28));
    let mut driver = desk.linked();
    exchange(&desk, &mut driver, 1);
    driver.stop().unwrap();
    let read = |offset| desk.bus.read32(offset);
    assert_eq!(read(0x808), 0, "UMAC_CMD");
    assert_eq!(read(0xe50), 0, "UMAC_MDF_CTRL");
    assert_eq!(read(0x300) & 3, 0, "RBUF_CTRL");
    assert_eq!(read(0x08c) & (1 << 4 | 1 << 16), 0, "RGMII_LINK and ID_MODE_DIS");
    assert_eq!(read(0x008), 0, "SYS_RBUF_FLUSH_CTRL");
    assert_eq!(read(0xb34), 0, "UMAC_TX_FLUSH");
    assert_eq!((read(0x200), read(0x240)), (0, 0), "INTRL2_CPU_STAT");
    for (ctrl, status) in [(0x3044, 0x3048), (0x5044, 0x5048)] {
        assert_eq!(read(ctrl), 0, "DMA_CTRL");
        assert_eq!(read(status) & 1, 1, "DMA_STATUS");
    }
    desk.bench.assert_clean();
}

/// A bus on whose cable frames never stop: one more arrives with every register write while `raging`.
struct Storm {
    bus: ModelBus,
    bench: Bench,
    raging: std::cell::Cell<bool>,
}

impl Bus for Storm {
    fn read32(&self, offset: usize) -> u32 {
        self.bus.read32(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        if self.raging.get() {
            self.bench.inject(&frame(BROADCAST, &[0x77; 100]));
        }
        self.bus.write32(offset, value);
    }
}

#[test]
fn a_storm_of_broadcasts_during_stop_and_start_leaves_nothing_behind() {
    for seed in 0..5 {
        let bench = Bench::new(quick(seed));
        let clock = bench.clock();
        let storm = Storm { bus: bench.bus(), bench: bench.clone(), raging: std::cell::Cell::new(false) };
        let (receive, send) = (bench.memory(RECEIVE_MEMORY), bench.memory(SEND_MEMORY));
        let settings = Settings { address: ADDRESS, phy_address: None };
        let mut driver = Genet::new(&storm, &clock, receive, send, settings).unwrap();
        for _ in 0..2 {
            driver.start().unwrap();
            while driver.poll_link(clock.now()) == Link::Down {
                bench.advance(Duration::from_millis(1));
            }
            storm.raging.set(true);
            driver.stop().unwrap();
            storm.raging.set(false);
            assert_eq!(bench.left_running(), Vec::<&str>::new());
        }
        storm.raging.set(true);
        driver.start().unwrap();
        while driver.poll_link(clock.now()) == Link::Down {
            bench.advance(Duration::from_millis(1));
        }
        storm.raging.set(false);
        while driver.halves().0.frame().is_some() {
            driver.halves().0.release();
        }
        bench.inject(&numbered(1, 200));
        bench.advance(Duration::from_millis(1));
        assert_eq!(driver.halves().0.frame(), Some(&numbered(1, 200)[..]));
        bench.assert_clean();
    }
}

/// A bus that counts.
struct Counting {
    bus: ModelBus,
    reads: std::cell::Cell<u32>,
    writes: std::cell::Cell<u32>,
}

impl Bus for Counting {
    fn read32(&self, offset: usize) -> u32 {
        self.reads.set(self.reads.get() + 1);
        self.bus.read32(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.writes.set(self.writes.get() + 1);
        self.bus.write32(offset, value);
    }
}

/// Register reads and writes for each block of a transfer that acknowledges every `window` blocks.
fn accesses_per_block(window: u32) -> (f64, f64) {
    let bench = Bench::new(quick(30));
    let clock = bench.clock();
    let bus = Counting { bus: bench.bus(), reads: Default::default(), writes: Default::default() };
    let (receive, send) = (bench.memory(RECEIVE_MEMORY), bench.memory(SEND_MEMORY));
    let mut driver = Genet::new(&bus, &clock, receive, send, Settings { address: ADDRESS, phy_address: None }).unwrap();
    driver.start().unwrap();
    while driver.poll_link(clock.now()) == Link::Down {
        bench.advance(Duration::from_millis(1));
    }
    bus.reads.set(0);
    bus.writes.set(0);
    let windows = 50;
    for _ in 0..windows {
        for number in 0..window {
            bench.inject(&numbered(number, 1514));
        }
        bench.advance(Duration::from_millis(1));
        driver.poll_link(clock.now());
        while driver.halves().0.frame().is_some() {
            driver.halves().0.release();
        }
        assert!(driver.halves().1.send(46, |bytes| bytes.fill(0)).is_some());
    }
    assert_eq!(driver.counters().received, u64::from(windows * window));
    bench.assert_clean();
    let blocks = f64::from(windows * window);
    (f64::from(bus.reads.get()) / blocks, f64::from(bus.writes.get()) / blocks)
}

#[test]
fn a_block_costs_few_register_accesses() {
    let (reads, writes) = accesses_per_block(1);
    assert!(reads <= 4.0 && writes <= 4.0, "two frames a block: {reads} reads, {writes} writes");
    let (reads, writes) = accesses_per_block(64);
    assert!(reads <= 1.2 && writes <= 0.2, "windows of 64: {reads} reads, {writes} writes");
}
