//! Link, lease and the way to a server: waited for, or worked on while nobody waits.

use crate::simulation::board::{Board, at};
use crate::simulation::lan::{Dhcp, Lan};
use crate::simulation::server::ADDRESS;
use crate::{NEVER, own_address, server};
use std::net::Ipv4Addr;
use std::time::Duration;
use xenlift::net::fetch::Error;
use xenlift::time::Instant;

#[test]
fn the_first_frames_after_link_up_may_be_lost() {
    let mut lan = Lan::new(server());
    lan.lose = 1;
    let mut board = Board::new(lan);
    board.whole("empty");
    assert!(board.seconds() < 0.6, "a lost DISCOVER costs half a second, not {}", board.seconds());

    let mut lan = Lan::new(server());
    lan.lose = 1;
    let mut board = Board::with(lan, own_address(None, ADDRESS));
    board.whole("empty");
    assert!(board.seconds() < 0.2, "a lost ARP request costs a tenth of a second, not {}", board.seconds());
}

#[test]
fn the_first_discover_goes_out_with_the_link() {
    let mut lan = Lan::new(server());
    lan.link_down = vec![(Instant::default(), at(3.2))];
    let mut board = Board::new(lan);
    board.whole("empty");
    assert!((3.2..3.3).contains(&board.seconds()), "{}", board.seconds());
}

#[test]
fn no_link_is_said_after_ten_seconds() {
    let mut lan = Lan::new(server());
    lan.link_down = vec![(Instant::default(), NEVER)];
    let mut board = Board::new(lan);
    let error = board.fetch("xen").0.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no link in 10 s: is the cable plugged in at both ends, and is the switch's port on?"
    );
    assert!((10.0..10.1).contains(&board.seconds()));
}

#[test]
fn no_dhcp_server_is_said_with_what_is_known() {
    let mut lan = Lan::new(server());
    lan.dhcp.silent = true;
    let mut board = Board::new(lan);
    let error = board.fetch("xen").0.unwrap_err().to_string();
    assert!(
        error.starts_with("no lease: no DHCP server answered in 30 s; link is up, 1000 Mb/s, 0 frames received"),
        "{error}"
    );
    assert!(board.watcher.told("the other delays are tried"));
    assert!((30.0..30.1).contains(&board.seconds()));
    assert!(board.lan.borrow().discovers >= 10);
}

#[test]
fn a_dhcp_server_that_refuses_is_told_from_one_that_is_silent() {
    let mut lan = Lan::new(server());
    lan.dhcp.refuses = true;
    let mut board = Board::new(lan);
    let error = board.fetch("xen").0.unwrap_err();
    assert!(matches!(error, Error::NoLease { answers: 2.., .. }), "{error:?}");
}

#[test]
fn a_dhcp_server_that_takes_its_time_still_gives_a_lease() {
    for slow in [700, 1500, 3200] {
        let mut lan = Lan::new(server());
        lan.dhcp = Dhcp { slow: Duration::from_millis(slow), ..Dhcp::default() };
        Board::new(lan).whole("empty");
    }
}

#[test]
fn a_lease_without_a_subnet_mask_is_one_of_the_addresss_class() {
    let mut lan = Lan::new(server());
    lan.dhcp.mask = false;
    let mut board = Board::new(lan);
    board.whole("xen");
    assert_eq!(board.session.interface().address(), Some((Ipv4Addr::new(10, 0, 2, 15), 8)));
}

#[test]
fn a_controller_with_another_way_is_told_to_try_it() {
    let mut lan = Lan::new(server());
    lan.wrong_way = true;
    let mut board = Board::new(lan);
    board.whole("xen");
    assert!(board.watcher.told("the other delays are tried"));
    assert!((3.0..3.2).contains(&board.seconds()), "{}", board.seconds());

    let mut lan = Lan::new(server());
    lan.wrong_way = true;
    let mut board = Board::with(lan, own_address(None, ADDRESS));
    board.whole("xen");
    assert!((3.0..3.2).contains(&board.seconds()), "{}", board.seconds());
}

#[test]
fn who_is_silent_where_others_have_answered_is_not_there_and_no_other_way_is_tried() {
    // A lease and a file show that the way is right; another one would break what goes on meanwhile.
    let absent = Ipv4Addr::new(10, 0, 2, 77);
    let mut board = Board::new(Lan::new(server()));
    board.whole("xen");
    assert!(!board.session.ping(absent, &mut board.watcher).unwrap());
    assert!(!board.watcher.told("the other delays are tried"));
    board.whole("xen");
}

#[test]
fn a_lease_half_over_is_asked_for_again() {
    let mut lan = Lan::new(server());
    lan.dhcp.lease_seconds = 2;
    let mut board = Board::new(lan);
    board.whole("xen");
    board.whole("xen");
    assert_eq!(board.lan.borrow().discovers, 1);
    board.idle_until(1.5);
    board.whole("xen");
    assert_eq!(board.lan.borrow().discovers, 2);
}

#[test]
fn a_lease_that_nobody_renews_serves_until_its_end() {
    let mut lan = Lan::new(server());
    lan.dhcp.lease_seconds = 20;
    let mut board = Board::new(lan);
    board.whole("xen");
    board.lan.borrow_mut().dhcp.silent = true;
    board.idle_until(11.0);
    board.whole("xen");
    assert!((12.0..12.1).contains(&board.seconds()), "{}", board.seconds());
    board.whole("xen");
    assert!(board.seconds() < 12.2, "not waited for again so soon: {}", board.seconds());
    board.idle_until(17.0);
    board.whole("xen");
    assert!((18.0..18.1).contains(&board.seconds()), "{}", board.seconds());
    board.idle_until(20.1);
    assert!(matches!(board.fetch("xen").0, Err(Error::NoLease { answers: 0, .. })));
    assert!((50.0..50.5).contains(&board.seconds()), "{}", board.seconds());
    board.lan.borrow_mut().dhcp.silent = false;
    board.whole("xen");
}

#[test]
fn a_server_in_another_network_is_reached_through_the_gateway() {
    let remote = Ipv4Addr::new(192, 168, 9, 9);
    let mut lan = Lan::new(server());
    lan.remote = Some(remote);
    Board::with(lan, own_address(Some(ADDRESS), remote)).whole("xen");

    let mut lan = Lan::new(server());
    lan.remote = Some(remote);
    lan.dhcp.siaddr = remote;
    Board::new(lan).whole("xen");
}

#[test]
fn strangers_that_cannot_be_answered_hold_nothing_up() {
    for stranger in [Ipv4Addr::new(192, 168, 77, 7), Ipv4Addr::new(10, 0, 2, 99)] {
        let mut lan = Lan::new(server());
        lan.dhcp.router = Ipv4Addr::UNSPECIFIED;
        lan.stranger = Some(stranger);
        let mut board = Board::new(lan);
        assert_eq!(board.whole("xen").losses, 0);
        assert!(board.seconds() < 0.2, "{}", board.seconds());
    }
}

#[test]
fn wrong_addresses_in_settings_are_said() {
    let network = own_address(Some(Ipv4Addr::new(10, 9, 9, 9)), ADDRESS);
    let error = Board::with(Lan::new(server()), network).fetch("xen").0.unwrap_err();
    assert!(error.to_string().contains("the gateway 10.9.9.9 does not lie in the network of 10.0.2.15/24"), "{error}");
}

#[test]
fn link_and_lease_need_nobody_who_waits() {
    let mut lan = Lan::new(server());
    lan.link_down = vec![(Instant::default(), at(3.2))];
    lan.dhcp.slow = Duration::from_millis(700);
    let mut board = Board::new(lan);
    board.advance_until(3.25);
    assert_eq!(board.lan.borrow().discovers, 1, "asked for the moment that the link is up");
    board.advance_until(10.0);
    assert!(board.session.lease().is_some());
    assert!(board.watcher.told("link is up") && board.watcher.told("10.0.2.15/24"));
    board.whole("xen");
    assert!((10.0..10.05).contains(&board.seconds()), "{}", board.seconds());
}

#[test]
fn an_offer_that_came_while_nobody_looked_is_taken() {
    let mut board = Board::new(Lan::new(server()));
    board.advance_until(0.00001);
    board.idle_until(5.0);
    board.whole("empty");
    assert_eq!(board.lan.borrow().discovers, 1);
    assert!(board.seconds() < 5.01, "{}", board.seconds());
}

#[test]
fn a_lease_is_asked_for_again_without_waiting_and_the_old_one_serves_meanwhile() {
    let mut lan = Lan::new(server());
    lan.dhcp.lease_seconds = 20;
    let mut board = Board::new(lan);
    board.whole("xen");
    board.lan.borrow_mut().dhcp.silent = true;
    board.advance_until(11.0);
    assert!(board.session.interface().address().is_some());
    board.lan.borrow_mut().dhcp.silent = false;
    board.advance_until(16.0);
    let before = board.seconds();
    board.whole("xen");
    assert!(board.seconds() - before < 0.05);
}

#[test]
fn an_address_from_settings_ends_the_asking_for_a_lease() {
    let mut lan = Lan::new(server());
    lan.dhcp.silent = true;
    let mut board = Board::new(lan);
    board.advance_until(0.7);
    assert_eq!(board.lan.borrow().discovers, 2);
    board.session.set_network(own_address(None, ADDRESS));
    board.whole("xen");
    board.advance_until(5.0);
    assert_eq!(board.lan.borrow().discovers, 2);
}
