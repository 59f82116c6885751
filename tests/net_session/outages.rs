//! Servers and links that go away, for a while or for good, and somebody who gives up.

use crate::simulation::board::{Board, at};
use crate::simulation::lan::Lan;
use crate::simulation::server::Manner;
use crate::{NEVER, own_address, server};
use std::net::Ipv4Addr;
use std::time::Duration;
use xenlift::net::fetch::Error;
use xenlift::net::tftp;
use xenlift::time::Instant;

#[test]
fn a_server_that_is_off_is_said_not_to_answer() {
    let mut board = Board::with(Lan::new(server()), own_address(None, Ipv4Addr::new(10, 0, 2, 77)));
    let error = board.fetch("xen").0.unwrap_err().to_string();
    assert!(error.starts_with("no answer from 10.0.2.77: it does not answer to ARP, 8 s long; link is up"), "{error}");

    let mut board = Board::with(Lan::new(server()), own_address(None, Ipv4Addr::new(192, 168, 9, 9)));
    let error = board.fetch("xen").0.unwrap_err().to_string();
    assert!(error.starts_with("no way to 192.168.9.9: it is not in the network of 10.0.2.15/24"), "{error}");

    let mut lan = Lan::new(server());
    lan.server.absent = Some((Instant::default(), NEVER));
    let mut board = Board::new(lan);
    let error = board.fetch("xen").0.unwrap_err().to_string();
    assert!(error.starts_with("no answer from 10.0.2.2:69 in 15 s"), "{error}");
    assert!(board.seconds() < 17.0);
}

#[test]
fn a_server_that_stops_half_way_and_comes_back_in_time_goes_on() {
    let mut lan = Lan::new(server());
    lan.server.absent = Some((at(0.004), at(8.0)));
    let mut board = Board::new(lan);
    board.whole("Image");
    assert!((8.0..11.0).contains(&board.seconds()), "{}", board.seconds());
    assert!(!board.watcher.told("trying again"));
}

#[test]
fn a_server_that_stops_half_way_and_comes_back_late_is_asked_again() {
    let mut lan = Lan::new(server());
    lan.server.absent = Some((at(0.004), at(22.0)));
    let mut board = Board::new(lan);
    let report = board.whole("Image");
    assert!(board.watcher.told("10.0.2.2:2001 fell silent for 15 s"), "{:?}", board.watcher.events);
    assert_eq!(report.window, 16);
}

#[test]
fn a_server_that_stops_half_way_for_good_is_given_up() {
    let mut lan = Lan::new(server());
    lan.server.absent = Some((at(0.004), NEVER));
    let mut board = Board::new(lan);
    let (error, _) = board.fetch("Image");
    assert!(matches!(error, Err(Error::Tftp(tftp::Error::NoAnswer { .. }))), "{error:?}");
    assert!((45.0..50.0).contains(&board.seconds()), "{}", board.seconds());
}

#[test]
fn a_server_that_loses_its_way_when_it_is_told_something_twice_is_told_everything_once() {
    for (words, told) in
        [("", "over and over"), ("cb is not a function", "(TFTP error 0: \"cb is not a function\"); trying again")]
    {
        let mut lan = Lan::new(server());
        lan.server.manner = Manner::Grants { block_size: 1468, window: 4 };
        lan.server.hesitates = Duration::from_millis(500);
        lan.server.bewildered = Some(words.as_bytes());
        let mut board = Board::new(lan);
        let report = board.whole("Image");
        assert!(board.watcher.told(told), "{:?}", board.watcher.events);
        assert!(board.seconds() < 2.0, "{}", board.seconds());
        assert_eq!((report.window, board.lan.borrow().server.requests), (1, 2));
        board.whole("xen");
        assert_eq!(board.lan.borrow().server.requests, 3, "it is known now");
    }
}

#[test]
fn a_server_that_grants_less_and_falls_silent_is_asked_for_a_quarter_of_that() {
    let mut lan = Lan::new(server());
    lan.server.manner = Manner::Grants { block_size: 1468, window: 8 };
    lan.server.absent = Some((at(0.004), at(22.0)));
    let mut board = Board::new(lan);
    assert_eq!(board.whole("Image").window, 2);
}

#[test]
fn a_link_that_comes_back_soon_costs_only_its_outage() {
    let mut lan = Lan::new(server());
    lan.link_down = vec![(at(0.004), at(2.0))];
    let mut board = Board::new(lan);
    board.whole("Image");
    assert!((2.0..2.5).contains(&board.seconds()), "{}", board.seconds());
    assert!(board.watcher.told("link is down") && !board.watcher.told("trying again"));
}

#[test]
fn a_link_that_comes_back_late_starts_the_transfer_again() {
    let mut lan = Lan::new(server());
    lan.link_down = vec![(at(0.004), at(20.0))];
    let mut board = Board::new(lan);
    board.whole("Image");
    assert!((20.0..20.5).contains(&board.seconds()), "{}", board.seconds());
    assert!(board.watcher.told("trying again"));
}

#[test]
fn a_link_that_does_not_come_back_is_said() {
    let mut lan = Lan::new(server());
    lan.link_down = vec![(at(0.004), NEVER)];
    let mut board = Board::new(lan);
    let error = board.fetch("Image").0.unwrap_err();
    assert!(matches!(error, Error::LinkLost { .. }), "{error:?}");
    assert!((30.0..30.1).contains(&board.seconds()), "{}", board.seconds());
}

#[test]
fn an_outage_starts_only_those_files_again_that_have_not_come() {
    let mut lan = Lan::new(server());
    lan.link_down = vec![(at(0.003), at(20.0))];
    let mut board = Board::new(lan);
    let reports = board.all_whole(&["empty", "Image", "xen", "Image"]);
    assert!((20.0..20.5).contains(&board.seconds()), "{}", board.seconds());
    assert!(board.watcher.told("Image: the link went down") && !board.watcher.told("empty: the link"));
    assert!(reports[1].elapsed > Duration::from_secs(19) && reports[0].elapsed < Duration::from_secs(1));
}

#[test]
fn a_key_ends_any_wait_at_once() {
    for prepare in [
        |lan: &mut Lan| lan.link_down = vec![(Instant::default(), NEVER)],
        |lan: &mut Lan| lan.dhcp.silent = true,
        |lan: &mut Lan| lan.arp_silent = true,
        |lan: &mut Lan| lan.server.absent = Some((at(0.004), NEVER)),
        |lan: &mut Lan| lan.link_down = vec![(at(0.004), NEVER)],
    ] {
        let mut lan = Lan::new(server());
        prepare(&mut lan);
        let mut board = Board::new(lan);
        board.watcher.abort_at = Some(at(1.5));
        assert_eq!(board.fetch("Image").0.unwrap_err(), Error::Aborted);
        assert!(board.seconds() < 1.51, "{}", board.seconds());
    }
}

#[test]
fn a_key_ends_all_files_at_once() {
    let mut board = Board::new(Lan::new(server()));
    board.watcher.abort_at = Some(at(0.004));
    assert_eq!(board.fetch_all(&["Image", "Image"]).0.unwrap_err(), (0, Error::Aborted));
    board.idle_until(board.seconds() + 0.01);
    assert_eq!(board.lan.borrow().server.open_transfers(), 0);
}

#[test]
fn after_an_aborted_transfer_the_session_goes_on_and_the_server_is_told() {
    let mut board = Board::new(Lan::new(server()));
    board.watcher.abort_at = Some(at(0.004));
    assert_eq!(board.fetch("Image").0.unwrap_err(), Error::Aborted);
    board.watcher.abort_at = None;
    board.whole("xen");
    board.idle_until(board.seconds() + 0.01);
    assert_eq!(board.lan.borrow().server.open_transfers(), 0);
}
