//! A whole session (link, DHCP, ARP, TFTP) over a simulated local network, with what can go wrong there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod simulation;

use proptest::prelude::*;
use simulation::board::{Board, at, file};
use simulation::lan::{BOARD_ADDRESS, Dhcp, Lan, MACHINE};
use simulation::server::{ADDRESS, Manner, Server};
use simulation::web::Web;
use smoltcp::wire::EthernetAddress;
use std::net::Ipv4Addr;
use std::time::Duration;
use xenlift::config::LARGEST_FILE;
use xenlift::config::source::ServerAddress;
use xenlift::config::{InterfaceAddress, Network};
use xenlift::net::fetch::Error;
use xenlift::net::settings;
use xenlift::net::tftp;
use xenlift::time::Instant;

const FULL: Manner = Manner::Grants { block_size: 1468, window: 128 };

fn server() -> Server {
    Server::new(FULL).with("xen", file(300_000)).with("Image", file(3_000_000)).with("empty", Vec::new())
}

const NEVER: Instant = Instant::from_micros(u64::MAX);

fn own_address(gateway: Option<Ipv4Addr>, server: Ipv4Addr) -> Network {
    Network {
        address: Some(InterfaceAddress { address: BOARD_ADDRESS, prefix: 24 }),
        gateway,
        server: Some(ServerAddress { address: server, port: 69 }),
    }
}

#[test]
fn many_files_come_one_after_another_in_one_session() {
    let mut board = Board::new(Lan::new(server()));
    let files = ["xen", "Image", "empty", "xen", "Image", "xen", "empty", "xen", "xen", "Image"];
    let reports = files.map(|path| board.whole(path));
    assert!(reports.iter().all(|report| (report.block_size, report.losses) == (1468, 0)));
    // The ring would hold more, but the server grants no more than 128.
    assert_eq!(reports.map(|report| report.window), [64, 128, 128, 128, 128, 128, 128, 128, 128, 128]);
    let lan = board.lan.borrow();
    assert_eq!((lan.discovers, lan.arp_requests), (1, 10));
    assert!(board.watcher.told("link is up, 1000 Mb/s"));
    assert!(board.watcher.told("10.0.2.15/24 from 10.0.2.2, gateway 10.0.2.2, server 10.0.2.2"));
    assert!(board.seconds() < 1.0, "{}", board.seconds());
}

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
fn the_servers_own_words_reach_the_console() {
    let mut board = Board::new(Lan::new(server()));
    let error = board.fetch("nothing").0.unwrap_err().to_string();
    assert_eq!(error, "file not found on the server (TFTP error 1: \"File not found\")");
    board.whole("xen");
}

#[test]
fn a_server_on_another_port_and_in_a_url() {
    let mut server = server();
    server.port = 6969;
    let mut board = Board::new(Lan::new(server));
    let (report, memory) = board.fetch("tftp://10.0.2.2:6969/xen");
    assert_eq!((report.unwrap().bytes, memory.bytes.len()), (300_000, 300_000));
    assert!(matches!(board.fetch("mmc://0/xen").0, Err(Error::Unsupported(_))));
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
fn a_server_that_was_slow_once_is_asked_for_full_blocks_the_next_time_too() {
    let mut lan = Lan::new(server());
    lan.server.first_block_takes = Duration::from_secs(4);
    let mut board = Board::new(lan);
    for _ in 0..2 {
        assert_eq!(board.whole("xen").block_size, 1468);
    }
    let reports = board.all_whole(&["xen", "Image", "empty"]);
    assert!(reports.iter().all(|report| report.block_size == 1468), "{reports:?}");
    assert!((12.0..12.5).contains(&board.seconds()), "{}", board.seconds());
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
fn after_an_aborted_transfer_the_session_goes_on_and_the_server_is_told() {
    let mut board = Board::new(Lan::new(server()));
    board.watcher.abort_at = Some(at(0.004));
    assert_eq!(board.fetch("Image").0.unwrap_err(), Error::Aborted);
    board.watcher.abort_at = None;
    board.whole("xen");
    board.idle_until(board.seconds() + 0.01);
    assert_eq!(board.lan.borrow().server.open_transfers(), 0);
}

#[test]
fn a_lossy_network_costs_time_but_no_byte() {
    let mut lan = Lan::new(server());
    lan.lost_permille = 20;
    let mut board = Board::new(lan);
    let losses: u32 = ["xen", "Image", "xen", "Image"].iter().map(|path| board.whole(path).losses).sum();
    assert!(losses > 0);
}

#[test]
fn files_come_side_by_side_and_their_windows_fit_the_ring_together() {
    let mut board = Board::new(Lan::new(server()));
    let paths = ["Image", "xen", "empty", "xen", "Image", "tftp://10.0.2.2/xen"];
    let (reports, places) = board.fetch_all(&paths);
    let reports = reports.unwrap();
    assert_eq!(places.iter().map(|place| place.ended).collect::<Vec<_>>(), {
        [3_000_000, 300_000, 0, 300_000, 3_000_000, 300_000].map(Some)
    });
    for (path, place) in paths.iter().zip(&places) {
        assert!(place.bytes == board.lan.borrow().server.files[path.trim_start_matches("tftp://10.0.2.2/")], "{path}");
    }
    assert!(reports.iter().all(|report| report.losses == 0 && report.window >= 64));
    assert_eq!(board.lan.borrow().server.most_in_flight, 192);
    assert_eq!((board.lan.borrow().arp_requests, board.lan.borrow().discovers), (1, 1));
}

#[test]
fn without_windows_files_side_by_side_take_as_long_as_the_longest() {
    let server = || {
        let names = ["a", "b", "c", "d"];
        let server = Server::new(Manner::Grants { block_size: 1468, window: 0 });
        names.iter().fold(server, |server, name| server.with(name, file(300_000)))
    };
    // The first three ask for windows, and there is room for more once they have been told that there are none.
    let mut one_after_another = Board::new(Lan::new(server()));
    let mut side_by_side = Board::new(Lan::new(server()));
    for path in ["a", "b", "c", "d"] {
        one_after_another.whole(path);
    }
    side_by_side.all_whole(&["a", "b", "c", "d"]);
    assert!(one_after_another.seconds() > 2.5 * side_by_side.seconds());
}

#[test]
fn a_server_that_serves_one_file_at_a_time_is_waited_for() {
    let mut server = server();
    (server.at_once, server.first_block_takes) = (1, Duration::from_secs(10));
    let mut board = Board::new(Lan::new(server));
    board.all_whole(&["xen", "Image", "xen"]);
    assert!((30.0..40.0).contains(&board.seconds()), "{}", board.seconds());
    assert!(board.watcher.told("no answer from 10.0.2.2:69 in 15 s"), "{:?}", board.watcher.events);
    // Nothing that was learnt of it makes the next windows smaller.
    board.lan.borrow_mut().server.first_block_takes = Duration::ZERO;
    assert!(board.whole("Image").window >= 64);
}

#[test]
fn a_file_that_cannot_be_had_ends_all_and_every_server_is_told() {
    let mut board = Board::new(Lan::new(server()));
    let (result, _) = board.fetch_all(&["Image", "xen", "nothing", "Image"]);
    let (job, error) = result.unwrap_err();
    assert_eq!(job, 2);
    assert!(error.to_string().starts_with("file not found on the server"), "{error}");
    board.idle_until(board.seconds() + 0.01);
    assert_eq!(board.lan.borrow().server.open_transfers(), 0);
    for path in ["Image", "nothing"] {
        assert!(board.watcher.told(&format!("{path}: given up")), "{:?}", board.watcher.events);
    }
    board.all_whole(&["xen", "Image"]);

    let (result, places) = board.fetch_all(&["xen", "mmc://0/xen"]);
    assert!(matches!(result, Err((1, Error::Unsupported(_)))));
    assert!(places.iter().all(|place| place.begun == 0), "nothing is begun that cannot be finished");
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
fn no_files_are_had_at_once() {
    let mut board = Board::new(Lan::new(server()));
    assert_eq!(board.all_whole(&[]), []);
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

#[test]
fn settings_are_looked_for_in_their_order() {
    let files = ["xenlift/10000000abcdef01.toml", "xenlift/dc-a6-32-01-02-03.toml", "xenlift/default.toml"];
    for first in 0..files.len() {
        let mut server = Server::new(FULL);
        for path in &files[first..] {
            server = server.with(path, path.as_bytes().to_vec());
        }
        let mut board = Board::new(Lan::new(server));
        let found = settings::probe(&mut board.session, Some("10000000abcdef01"), &mut board.watcher).unwrap().unwrap();
        assert_eq!((found.path.as_str(), found.bytes.as_slice()), (files[first], files[first].as_bytes()));
        assert!(board.seconds() < 0.1);
    }
}

#[test]
fn dhcps_boot_file_wins_if_it_is_settings_or_a_script() {
    for (boot_file, expected) in
        [("pi/my.toml", "pi/my.toml"), ("boot.scr", "boot.scr"), ("u-boot.bin", "xenlift/default.toml")]
    {
        let server = Server::new(FULL)
            .with("pi/my.toml", b"mine".to_vec())
            .with("boot.scr", b"script".to_vec())
            .with("u-boot.bin", b"another loader".to_vec())
            .with("xenlift/default.toml", b"default".to_vec());
        let mut lan = Lan::new(server);
        lan.dhcp.boot_file = boot_file;
        let mut board = Board::new(lan);
        let found = settings::probe(&mut board.session, None, &mut board.watcher).unwrap().unwrap();
        assert_eq!(found.path, expected);
    }
}

/// What is found with such a boot file, where a web server has some of the files.
fn found_by(boot_file: &'static str) -> (Result<Option<settings::Found>, settings::Error>, f64) {
    let mut lan =
        Lan::new(Server::new(FULL).with("xenlift/default.toml", b"default".to_vec()).with("my.toml", b"mine".to_vec()));
    lan.dhcp.boot_file = boot_file;
    let other = Web::new(Ipv4Addr::new(10, 0, 2, 3), EthernetAddress([2, 0, 0, 0, 0, 3]));
    let mut web = Web::new(ADDRESS, MACHINE).with("/pi/boot.scr", b"script".to_vec());
    web.redirects.insert("/far.toml".into(), "http://10.0.2.3/moved.toml".into());
    web.redirects.insert("/lost.toml".into(), "http://10.0.2.77/moved.toml".into());
    lan.webs = vec![web, other.with("/moved.toml", b"moved".to_vec())];
    let mut board = Board::new(lan);
    let found = settings::probe(&mut board.session, None, &mut board.watcher);
    (found, board.seconds())
}

#[test]
fn dhcps_boot_file_may_be_a_url() {
    for (boot_file, contents) in [
        ("http://10.0.2.2/pi/boot.scr", "script"),
        ("http://10.0.2.2/far.toml", "moved"),
        ("http://10.0.2.3/moved.toml", "moved"),
        ("tftp://10.0.2.2/my.toml", "mine"),
    ] {
        let (found, seconds) = found_by(boot_file);
        let found = found.unwrap().unwrap();
        assert_eq!((found.path.as_str(), found.bytes.as_slice()), (boot_file, contents.as_bytes()));
        assert!(seconds < 0.3, "{boot_file}: {seconds}");
    }
}

#[test]
fn a_url_that_has_nothing_is_passed_over_and_one_that_nobody_can_go_to_is_told() {
    for boot_file in [
        "http://10.0.2.2/none.toml",
        "http://10.0.2.2:81/none.toml",
        "http://10.0.2.77/none.toml",
        "http://10.0.2.2/lost.toml",
        "tftp://10.0.2.77/none.toml",
    ] {
        let (found, seconds) = found_by(boot_file);
        assert_eq!(found.unwrap().unwrap().path, "xenlift/default.toml", "{boot_file}");
        assert!(seconds < 1.2, "{boot_file}: {seconds}");
    }
    for boot_file in ["https://10.0.2.2/my.toml", "http://server.example/my.toml", "nfs://10.0.2.2/my.toml"] {
        let error = found_by(boot_file).0.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{boot_file}: DHCP's boot file is no URL that can be fetched")), "{error}");
    }
}

#[test]
fn no_settings_anywhere_cost_nothing_and_a_silent_server_a_second() {
    let mut board = Board::new(Lan::new(server()));
    assert_eq!(settings::probe(&mut board.session, None, &mut board.watcher), Ok(None));
    assert!(board.seconds() < 0.1);
    board.whole("xen");

    for prepare in
        [|lan: &mut Lan| lan.server.absent = Some((Instant::default(), NEVER)), |lan: &mut Lan| lan.arp_silent = true]
    {
        let mut lan = Lan::new(server());
        prepare(&mut lan);
        let mut board = Board::new(lan);
        assert_eq!(settings::probe(&mut board.session, None, &mut board.watcher), Ok(None));
        assert!((0.9..1.05).contains(&board.seconds()), "{}", board.seconds());
    }
}

#[test]
fn settings_too_large_are_an_error_that_names_the_file() {
    let server = Server::new(FULL).with("xenlift/default.toml", vec![b'#'; LARGEST_FILE + 1]);
    let mut board = Board::new(Lan::new(server));
    let error = settings::probe(&mut board.session, None, &mut board.watcher).unwrap_err().to_string();
    assert!(
        error.starts_with("xenlift/default.toml: it needs 262145 bytes or more and there is room for 262144"),
        "{error}"
    );

    let server = Server::new(Manner::Ignores).with("xenlift/default.toml", vec![b'#'; LARGEST_FILE]);
    let mut board = Board::new(Lan::new(server));
    let found = settings::probe(&mut board.session, None, &mut board.watcher).unwrap().unwrap();
    assert_eq!(found.bytes.len(), LARGEST_FILE);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_frame_panics_the_session_or_spoils_a_file(
        frames in proptest::collection::vec(
            (0_u8..4, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..120)),
            0..200,
        ),
    ) {
        let mut board = Board::new(Lan::new(server()));
        board.whole("empty");
        for (kind, to_board, body) in frames {
            // Ethernet to us or to all, then IPv4, ARP, something else, or UDP to us with a body that is junk.
            let mut frame = if to_board { vec![0xdc, 0xa6, 0x32, 1, 2, 3] } else { vec![0xff; 6] };
            frame.extend([2, 0, 0, 0, 0, 9]);
            frame.extend([[0x08, 0x00], [0x08, 0x06], [0x12, 0x34], [0x08, 0x00]][usize::from(kind)]);
            if kind == 3 {
                let length = (20 + body.len() as u16).to_be_bytes();
                frame.extend([0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 2, 9, 10, 0, 2, 15]);
            }
            frame.extend(body);
            let now = board.session.now();
            board.lan.borrow_mut().inject(now, frame);
        }
        board.whole("xen");
    }
}
