//! The link: speeds, loss and return, and the two ways to delay the transmit clock.

use crate::desk::*;
use genet_model::{Abilities, Faults, Mode, Settings as Board};
use std::time::Duration;
use xenlift::drivers::genet::TransmitDelay;
use xenlift::mmio::Bus;
use xenlift::net::device::{EthernetController, FrameSender, Link};
use xenlift::time::Clock;

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

#[test]
fn pause_frames_are_neither_heeded_nor_sent() {
    let desk = Desk::new(quick(27));
    let _driver = desk.linked();
    let command = desk.bus.read32(0x808);
    assert_eq!(command & (1 << 28 | 1 << 8), 1 << 28 | 1 << 8, "{command:#010x}");
}
