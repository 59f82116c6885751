//! Files by HTTP in a whole session, over a simulated network and another TCP's web servers, with what can go wrong there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod simulation;

use simulation::board::{Board, file};
use simulation::lan::{Lan, MACHINE};
use simulation::server::{ADDRESS, Manner, Server};
use simulation::web::{Cut, Web};
use smoltcp::wire::EthernetAddress;
use std::net::Ipv4Addr;
use std::time::Duration;
use xenlift::net::fetch::Error;
use xenlift::net::http;
use xenlift::time::Instant;

const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
const OTHER_STATION: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 3]);

fn web() -> Web {
    Web::new(ADDRESS, MACHINE)
        .with("/boot/xen", file(900_000))
        .with("/initrd", file(3_000_000))
        .with("/empty", Vec::new())
}

fn plugged(webs: Vec<Web>) -> Board {
    let mut lan = Lan::new(Server::new(Manner::Grants { block_size: 1468, window: 64 }).with("dtb", file(50_001)));
    lan.webs = webs;
    Board::new(lan)
}

fn requests(board: &Board) -> Vec<String> {
    board.lan.borrow().webs[0].requests.clone()
}

#[test]
fn files_come_one_after_another_on_one_connection() {
    let mut board = plugged(vec![web()]);
    for path in ["/boot/xen", "/initrd", "/empty", "/boot/xen"] {
        let report = board.whole_by_http(path);
        assert_eq!((report.losses, report.window, report.block_size), (0, 192, 1460));
    }
    assert_eq!((requests(&board).len(), board.lan.borrow().webs[0].connections), (4, 1));
    assert!(board.seconds() < 1.0, "{}", board.seconds());
}

#[test]
fn a_connection_that_the_server_has_ended_meanwhile_is_opened_anew() {
    let mut board = plugged(vec![web()]);
    board.lan.borrow_mut().webs[0].cuts = [(usize::MAX, Cut::Ends), (usize::MAX, Cut::Resets)].into();
    for _ in 0..4 {
        assert_eq!(board.whole_by_http("/boot/xen").losses, 0);
        board.advance_until(board.seconds() + 0.1);
    }
    assert_eq!(board.lan.borrow().webs[0].connections, 3);
}

#[test]
fn http_and_tftp_go_side_by_side() {
    let mut board = plugged(vec![web()]);
    let urls = ["http://10.0.2.2/initrd", "dtb", "http://10.0.2.2/boot/xen", "http://10.0.2.2/empty"];
    let (reports, places) = board.fetch_all(&urls);
    let reports = reports.unwrap();
    assert_eq!(reports.iter().map(|report| report.bytes).collect::<Vec<_>>(), [3_000_000, 50_001, 900_000, 0]);
    assert!(places[0].bytes == file(3_000_000) && places[1].bytes == file(50_001) && places[2].bytes == file(900_000));
    // All windows together fit the controller's ring.
    // Three share the controller's ring; the fourth began when one of them had come, and had its share of what was left.
    assert!(reports.iter().take(3).all(|report| report.window <= 64));
}

#[test]
fn files_of_different_servers_come_side_by_side() {
    let other = Web::new(OTHER, OTHER_STATION).with("/mirror/initrd", file(3_000_000));
    let mut board = plugged(vec![web(), other]);
    let urls = ["tftp://10.0.2.2/dtb", "http://10.0.2.3/mirror/initrd", "http://10.0.2.2/boot/xen", "dtb"];
    let (reports, places) = board.fetch_all(&urls);
    let reports = reports.unwrap();
    for (place, size) in places.iter().zip([50_001, 3_000_000, 900_000, 50_001]) {
        assert!(place.bytes == file(size) && place.ended == Some(size as u64), "{size}");
    }
    assert_eq!(reports.iter().map(|report| report.server.to_string()).collect::<Vec<_>>(), {
        ["10.0.2.2:69", "10.0.2.3:80", "10.0.2.2:80", "10.0.2.2:69"]
    });
    // One that does not have its file ends them all, and is named.
    let (result, _) = board.fetch_all(&["dtb", "http://10.0.2.2/boot/xen", "http://10.0.2.3/none"]);
    assert!(matches!(result, Err((2, Error::Http(http::Error::Status { code: 404, .. })))), "{result:?}");
}

#[test]
fn a_redirect_is_followed_on_the_server_and_to_another_one() {
    let mut board = plugged(vec![web(), Web::new(OTHER, OTHER_STATION).with("/mirror/xen", file(900_000))]);
    board.lan.borrow_mut().webs[0].redirects = [
        ("/xen".into(), "boot/xen".into()),
        ("/far".into(), "http://10.0.2.3/mirror/xen".into()),
        ("/safe".into(), "https://10.0.2.2/xen".into()),
        ("/named".into(), "http://mirror.example/xen".into()),
        ("/circle".into(), "/circle".into()),
    ]
    .into();
    let (report, memory) = board.fetch("http://10.0.2.2/xen");
    assert!(memory.bytes == file(900_000) && report.is_ok());
    assert_eq!(
        (requests(&board), board.lan.borrow().webs[0].connections),
        (vec!["/xen".into(), "/boot/xen".into()], 1)
    );
    let (report, memory) = board.fetch("http://10.0.2.2/far");
    assert!(memory.bytes == file(900_000) && report.is_ok());
    assert_eq!(board.lan.borrow().webs[1].requests, ["/mirror/xen"]);
    assert!(board.error("http://10.0.2.2/safe").contains("https cannot be had here"));
    assert!(board.error("http://10.0.2.2/named").contains("names of hosts are not resolved"));
    assert!(board.error("http://10.0.2.2/circle").contains("redirected more than 5 times"));
}

#[test]
fn what_a_cut_connection_had_brought_is_not_asked_for_again() {
    for cut in [Cut::Ends, Cut::Resets] {
        let mut board = plugged(vec![web()]);
        board.lan.borrow_mut().webs[0].cuts = [(500_000, cut), (1_000_000, cut), (100, cut), (20, cut)].into();
        assert_eq!(board.whole_by_http("/initrd").losses, 4);
        let requests = requests(&board);
        assert_eq!((requests.len(), requests[0].as_str()), (5, "/initrd"));
        assert!(requests[1..].iter().all(|request| request.starts_with("/initrd bytes=")), "{requests:?}");
        assert!(board.watcher.told("initrd: 10.0.2.2:80 ended the connection after"), "{:?}", board.watcher.events);
    }
}

#[test]
fn a_server_without_ranges_sends_the_file_from_its_start() {
    let mut board = plugged(vec![web()]);
    board.lan.borrow_mut().webs[0].ranges = false;
    board.lan.borrow_mut().webs[0].cuts = [(2_000_000, Cut::Ends), (1_000_000, Cut::Resets)].into();
    assert_eq!(board.whole_by_http("/initrd").losses, 2);
}

#[test]
fn connections_that_bring_nothing_new_are_five_at_most() {
    let mut board = plugged(vec![web()]);
    board.lan.borrow_mut().webs[0].ranges = false;
    board.lan.borrow_mut().webs[0].cuts = vec![(700_000, Cut::Ends); 100].into();
    let error = board.error("http://10.0.2.2/boot/xen");
    assert!(error.starts_with("10.0.2.2:80 ended the connection after 69"), "{error}");
    assert!((2..=6).contains(&requests(&board).len()), "{:?}", requests(&board));
}

#[test]
fn a_server_that_is_started_anew_is_waited_for() {
    let mut board = plugged(vec![web()]);
    board.lan.borrow_mut().webs[0].cuts = [(1_000_000, Cut::Resets)].into();
    board.lan.borrow_mut().webs[0].absence = Duration::from_secs(5);
    board.whole_by_http("/initrd");
    assert!((5.0..8.0).contains(&board.seconds()), "{}", board.seconds());
    assert!(board.watcher.told("10.0.2.2:80 refuses the connection"), "{:?}", board.watcher.events);
}

#[test]
fn a_server_that_falls_silent_in_the_middle_is_asked_for_the_rest() {
    let mut board = plugged(vec![web()]);
    board.lan.borrow_mut().webs[0].cuts = [(1_000_000, Cut::FallsSilent)].into();
    assert_eq!(board.whole_by_http("/initrd").losses, 1);
    assert!(board.watcher.told("10.0.2.2:80 fell silent for 15 s after"), "{:?}", board.watcher.events);
    assert!((15.0..17.0).contains(&board.seconds()), "{}", board.seconds());
}

#[test]
fn a_cable_that_is_out_for_a_while_costs_that_time() {
    let mut board = plugged(vec![web()]);
    board.whole_by_http("/empty");
    let now = board.watcher.now();
    let later = |millis: u64| Instant::from_micros(now.micros() + millis * 1000);
    board.lan.borrow_mut().link_down = vec![(later(5), later(2_000)), (later(4_000), later(10_000))];
    board.whole_by_http("/initrd");
    board.whole_by_http("/boot/xen");
}

#[test]
fn lost_and_damaged_frames_cost_time_and_no_byte() {
    let mut board = plugged(vec![web()]);
    board.whole_by_http("/empty");
    board.lan.borrow_mut().lost_permille = 10;
    board.lan.borrow_mut().webs[0].damaged_permille = 10;
    board.whole_by_http("/initrd");
    assert!(board.lan.borrow().webs[0].damaged > 5, "{}", board.lan.borrow().webs[0].damaged);
}

#[test]
fn what_a_server_does_not_have_is_told_in_words() {
    let mut board = plugged(vec![web()]);
    let error = board.error("http://10.0.2.2/none");
    assert_eq!(error, "file not found on the server (HTTP status 404 \"Not Found\")");
    let (result, _) = board.fetch("http://10.0.2.2:81/xen");
    let server = "10.0.2.2:81".parse().unwrap();
    assert_eq!(result, Err(Error::Http(http::Error::NoServer { server })));
    assert!(board.seconds() < 1.0, "{}", board.seconds());
    let mut board = plugged(Vec::new());
    let error = board.error("http://10.0.2.2/xen");
    assert!(error.starts_with("no answer from 10.0.2.2:80 in 15 s: does a web server run there"), "{error}");
}

#[test]
fn heads_are_understood_however_they_are_written() {
    let body = file(5000);
    let lengthy =
        format!("HTTP/1.1 200 OK\r\n{}Content-Length: 5000\r\n\r\n", "X-Note: something or other\r\n".repeat(40));
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        "HTTP/1.1 200 \r\nContent-Length: 5000\r\n\r\n",
        "HTTP/1.1 200\r\nContent-Length: 5000\r\n\r\n",
        "HTTP/1.0 200 OK\ncontent-length:5000\n\n",
        "HTTP/1.1 200 OK\r\nCONTENT-LENGTH: \t5000 \r\nContent-Length: 5000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\n\tthree\r\nContent-Length: 5000\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 05000\r\nContent-Encoding: identity\r\nETag: W/\"x\"\r\n\r\n",
        &lengthy,
    ] {
        let answer = [head.as_bytes(), &body].concat();
        let mut board = plugged(vec![web().saying("/odd", &[&answer])]);
        let (report, memory) = board.fetch("http://10.0.2.2/odd");
        assert_eq!(report.map(|report| report.bytes), Ok(5000), "{head}");
        assert!(memory.bytes == body);
        // The connection is in order afterwards, or another one is opened.
        board.whole_by_http("/boot/xen");
    }
}

#[test]
fn a_connection_is_not_used_again_where_the_server_says_so() {
    for (option, connections) in [("keep-alive", 1), ("close", 2), ("Keep-Alive, CLOSE", 2)] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: {option}\r\n\r\nhello");
        let mut board = plugged(vec![web().saying("/said", &[answer.as_bytes()])]);
        assert!(board.fetch("http://10.0.2.2/said").0.is_ok());
        board.whole_by_http("/empty");
        assert_eq!(board.lan.borrow().webs[0].connections, connections, "{option}");
    }
}

#[test]
fn a_rest_that_is_answered_with_the_whole_file_or_with_another_one_is_taken_from_its_start() {
    let old = [&b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 5000\r\n\r\n"[..], &[7; 5000]].concat();
    let new = [&b"HTTP/1.1 200 OK\r\nETag: \"2\"\r\nContent-Length: 4000\r\n\r\n"[..], &[8; 4000]].concat();
    let rest =
        [&b"HTTP/1.1 206 x\r\nETag: \"2\"\r\nContent-Range: bytes 1000-3999/4000\r\n\r\n"[..], &[9; 3000]].concat();
    for answers in [
        vec![&old[..], &new],
        vec![&old, &rest, &new],
        vec![&old, b"HTTP/1.1 416 x\r\nContent-Length: 0\r\n\r\n", &new],
    ] {
        let mut web = web().saying("/odd", &answers);
        web.cuts = [(1000, Cut::Ends)].into();
        let mut board = plugged(vec![web]);
        let (report, memory) = board.fetch("http://10.0.2.2/odd");
        assert_eq!(report.map(|report| report.bytes), Ok(4000));
        assert!(memory.bytes == [8; 4000]);
    }
}
