//! Bring-up, whatever state controller and PHY are found in.

use crate::desk::*;
use genet_model::{PhyStart, Settings as Board};
use std::time::Duration;
use xenlift::drivers::genet::{
    Direction, Error, Found, Genet, Negotiation, RECEIVE_MEMORY, ReceiveErrors, SEND_MEMORY, Settings,
};
use xenlift::mmio::Bus;
use xenlift::net::device::{EthernetController, Link};
use xenlift::time::Clock;

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
        "GENET v5.0, external PHY\n",
        ": 1000 Mb/s, full duplex, TX on, RX on",
        ": on, link, TXC delayed by the controller\n",
        "UMAC_MDF   0x00018000: 2 addresses let through\n",
        "RDMA       0x00020001: on, runs; index 1, driver's ",
        "TDMA       0x00020001: on, runs; index 1, driver's 1, discarded 0\n",
        "0x600d84a2 (BCM54213PE or near kin) at address ",
        ": negotiates\n",
        ": link, negotiated\n",
        ": partner offers ",
        ": negotiated 1000 full\n",
        "1 received, 0 with wrong FCS, 0 lost in RBUF; 1 sent\n",
        "trouble    none counted\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(text.lines().all(|line| line.len() < 80), "{text}");
    exchange(&desk, &mut driver, 2);
    desk.poll_for(&mut driver, Duration::from_millis(500));
    assert_eq!(driver.poll_link(desk.clock.now()), GIGABIT);
    driver.stop().unwrap();
    text.clear();
    driver.dump(&mut text).unwrap();
    assert!(text.contains("PHY        not started\n"), "{text}");
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
        assert_eq!(desk.bus.read32(0xd80), 0, "the statistics count");
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
