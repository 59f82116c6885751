//! What is left behind when the driver goes.

use crate::desk::*;
use genet_model::host::{Bench, ModelBus};
use genet_model::{Abilities, Faults, PhyStart, Settings as Board};
use std::time::Duration;
use xenlift::drivers::genet::{Genet, RECEIVE_MEMORY, SEND_MEMORY, Settings};
use xenlift::mmio::Bus;
use xenlift::net::device::{EthernetController, FrameReceiver, FrameSender, Link};
use xenlift::time::Clock;

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
    let partners = [Abilities::GIGABIT, Abilities::FAST, Abilities::FULL_10];
    // With a transmitter that takes what it can get, and with one that leaves everything in the ring until the wire is free.
    for (partner, transmit_ahead) in partners.into_iter().flat_map(|partner| [(partner, 0), (partner, 4096)]) {
        let desk = Desk::new(Board { partner, transmit_ahead, ..quick(16) });
        let mut driver = desk.linked();
        for number in 0..8 {
            send(&mut driver, &numbered(number, 1000));
        }
        driver.stop().unwrap();
        assert_eq!(desk.bench.sent().len(), 8, "{partner:?}, {transmit_ahead} bytes taken ahead");
        let before = desk.bench.elapsed();
        driver.stop().unwrap();
        assert!(desk.bench.elapsed() - before < Duration::from_micros(1), "the second time there is nothing to do");
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
            wait_for_link(&bench, &mut driver);
            storm.raging.set(true);
            driver.stop().unwrap();
            storm.raging.set(false);
            assert_eq!(bench.left_running(), Vec::<&str>::new());
        }
        storm.raging.set(true);
        driver.start().unwrap();
        wait_for_link(&bench, &mut driver);
        storm.raging.set(false);
        drain(&mut driver);
        bench.inject(&numbered(1, 200));
        bench.advance(Duration::from_millis(1));
        assert_eq!(driver.halves().0.frame(), Some(&numbered(1, 200)[..]));
        bench.assert_clean();
    }
}

#[test]
fn frames_that_piled_up_behind_stopped_dma_reach_nobody() {
    // As the firmware's network boot leaves it: DMA off, the receiver on (raspberrypi/firmware#1882).
    let left = |desk: &Desk| {
        std::mem::forget(desk.linked());
        for ctrl in [0x3044, 0x5044] {
            desk.bus.write32(ctrl, desk.bus.read32(ctrl) & !1);
            desk.bench.advance(Duration::from_millis(1));
            desk.bus.write32(ctrl, 0);
        }
        for number in 0..10 {
            desk.bench.inject(&numbered(number, 500));
        }
        desk.bench.advance(Duration::from_millis(1));
    };
    let desk = Desk::new(quick(31));
    left(&desk);
    assert_ne!(desk.bench.left_running(), Vec::<&str>::new());
    desk.driver().silence().unwrap();
    assert_eq!(desk.bench.left_running(), Vec::<&str>::new());

    left(&desk);
    let mut driver = desk.linked();
    assert_eq!(receive(&mut driver), None);
    exchange(&desk, &mut driver, 1);
    desk.bench.assert_clean();
}

/// A bus that keeps a journal of what is written, with the moment of each write.
struct Journal {
    bus: ModelBus,
    bench: Bench,
    writes: std::cell::RefCell<Vec<(usize, u32, Duration)>>,
}

impl Bus for Journal {
    fn read32(&self, offset: usize) -> u32 {
        self.bus.read32(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.writes.borrow_mut().push((offset, value, self.bench.elapsed()));
        self.bus.write32(offset, value);
    }
}

const RBUF_FLUSH_CTRL: usize = 0x008;
const UMAC_CMD: usize = 0x808;
const UMAC_TX_FLUSH: usize = 0xb34;
const RDMA_CTRL: usize = 0x3044;
const TDMA_CTRL: usize = 0x5044;

#[test]
fn stop_goes_from_the_wire_inwards_and_flushes_what_is_left() {
    let bench = Bench::new(quick(41));
    let clock = bench.clock();
    let bus = Journal { bus: bench.bus(), bench: bench.clone(), writes: Default::default() };
    let (receive, send) = (bench.memory(RECEIVE_MEMORY), bench.memory(SEND_MEMORY));
    let mut driver = Genet::new(&bus, &clock, receive, send, Settings { address: ADDRESS, phy_address: None }).unwrap();
    driver.start().unwrap();
    wait_for_link(&bench, &mut driver);
    assert_eq!(bus.read32(UMAC_CMD) & 3, 3, "transmitter and receiver are on");
    bus.writes.borrow_mut().clear();
    driver.stop().unwrap();

    let writes = bus.writes.borrow();
    let first = |what: &str, wanted: &dyn Fn(usize, u32) -> bool| {
        let found = writes.iter().position(|(offset, value, _)| wanted(*offset, *value));
        found.unwrap_or_else(|| panic!("{what}: never in {writes:x?}"))
    };
    let receiver_off = first("RX_EN clear, TX_EN still set", &|at, value| at == UMAC_CMD && value & 3 == 1);
    let receive_dma_off = first("RDMA off", &|at, value| at == RDMA_CTRL && value & 1 == 0);
    let transmit_dma_off = first("TDMA off", &|at, value| at == TDMA_CTRL && value & 1 == 0);
    let transmitter_off = first("TX_EN clear", &|at, value| at == UMAC_CMD && value & 3 == 0);
    assert!(receiver_off < receive_dma_off, "the receiver stops before its engine");
    assert!(transmit_dma_off < transmitter_off, "the transmit engine stops before its transmitter");

    for (what, at, bit, after) in
        [("receive buffer", RBUF_FLUSH_CTRL, 1, receive_dma_off), ("transmit FIFO", UMAC_TX_FLUSH, 1, transmitter_off)]
    {
        let flush = first(what, &|offset, value| offset == at && value & bit != 0);
        assert!(flush > after, "{what}: flushed before it was cut off");
        let rest = &writes[flush..];
        let end = rest.iter().find(|(offset, value, _)| *offset == at && value & bit == 0);
        let (.., end) = end.unwrap_or_else(|| panic!("{what}: the flush never ends"));
        assert!(*end - writes[flush].2 >= Duration::from_micros(10), "{what}: flushed for too short a time");
    }
    assert_eq!(bus.read32(RBUF_FLUSH_CTRL) & 3, 0, "neither flush nor reset is held");
}
