//! Files, one after another and side by side.

use crate::server;
use crate::simulation::board::{Board, file};
use crate::simulation::lan::Lan;
use crate::simulation::server::{Manner, Server};
use std::time::Duration;
use xenlift::net::fetch::Error;

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
fn a_lossy_network_costs_time_but_no_byte() {
    let mut lan = Lan::new(server());
    lan.lost_permille = 20;
    let mut board = Board::new(lan);
    let losses: u32 = ["xen", "Image", "xen", "Image"].iter().map(|path| board.whole(path).losses).sum();
    assert!(losses > 0);
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
fn no_files_are_had_at_once() {
    let mut board = Board::new(Lan::new(server()));
    assert_eq!(board.all_whole(&[]), []);
}
