//! Hardware that does not answer: every wait ends, with an error of its own.

use crate::desk::*;
use genet_model::{Faults, PhyStart, Settings as Board};
use std::time::Duration;
use xenlift::drivers::genet::{Direction, Error, Found};
use xenlift::mmio::Bus;
use xenlift::net::device::{EthernetController, FrameSender, Link};

/// Starts on a board with faults; the result and how long it took.
fn start_with(faults: Faults, phy_start: PhyStart) -> (Result<Found, Error>, Duration, Vec<&'static str>) {
    let desk = Desk::new(Board { faults, phy_start, ..quick(22) });
    let mut driver = desk.driver();
    let before = desk.bench.elapsed();
    let result = driver.start();
    assert_eq!(desk.bus.read32(0xe50), 0, "a start that failed cleans up: UMAC_MDF_CTRL");
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
    while driver.halves().1.ready() && queued < 1000 {
        send(&mut driver, &numbered(queued, 100));
        queued += 1;
    }
    assert_eq!(queued, 32);
    desk.poll_for(&mut driver, Duration::from_millis(1200));
    let statistics = driver.statistics();
    assert_eq!((statistics.transmit_stalls, statistics.transmit_lost), (1, 32));
    assert_eq!(desk.bus.read32(0x5044), 1 << 17 | 1, "transmit DMA runs again");
    assert_eq!(desk.bus.read32(0x808) & 3, 3, "and so does the transmitter");
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
fn what_waited_without_a_link_has_its_second_when_the_link_is_back() {
    let desk = Desk::new(Board { faults: Faults { transmit_stuck: true, ..Faults::default() }, ..quick(32) });
    let mut driver = desk.linked();
    send(&mut driver, &numbered(1, 100));
    desk.bench.set_link(false);
    desk.poll_until(&mut driver, Duration::from_millis(120), |link| link == Link::Down);
    desk.poll_for(&mut driver, Duration::from_secs(3));
    desk.bench.set_link(true);
    desk.poll_until(&mut driver, Duration::from_millis(200), |link| link != Link::Down);
    desk.poll_for(&mut driver, Duration::from_millis(900));
    assert_eq!(driver.statistics().transmit_stalls, 0);
    desk.poll_for(&mut driver, Duration::from_millis(300));
    assert_eq!(driver.statistics().transmit_stalls, 1);
}
