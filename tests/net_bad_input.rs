//! What servers and networks can send that they should not, through a whole session: an error in words or the right bytes, never a byte out of
//! place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod simulation;

use simulation::board::{Board, file};
use simulation::lan::{Lan, MACHINE};
use simulation::server::{ADDRESS, Manner, Server};
use simulation::web::{Cut, Web};
use xenlift::net::fetch::Error;
use xenlift::net::http;
use xenlift::net::tftp::packet::{Options, Packet};
use xenlift::net::tftp::{self, Refusal};

const FULL: Manner = Manner::Grants { block_size: 1468, window: 64 };
const NO_WINDOW: Manner = Manner::Grants { block_size: 1468, window: 0 };
const GRANTED: Options = Options { block_size: Some(1468), transfer_size: None, timeout: None, window: Some(64) };
const GIB: u64 = 1 << 30;
/// Room of a sink in these tests.
const ROOM: u64 = 1 << 24;

fn server(manner: Manner) -> Server {
    Server::new(manner).with("xen", file(300_000)).with("empty", Vec::new())
}

fn plugged(server: Server) -> Board {
    Board::new(Lan::new(server))
}

fn web_board(web: Web) -> Board {
    let mut lan = Lan::new(server(FULL));
    lan.webs.push(web);
    Board::new(lan)
}

fn web() -> Web {
    Web::new(ADDRESS, MACHINE).with("/xen", file(300_000)).with("/empty", Vec::new())
}

/// A web server with one answer for everything that is asked of `/xen`.
fn says(answer: &[u8]) -> Board {
    web_board(web().saying("/xen", &[answer]))
}

fn packet(packet: &Packet<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 2000];
    let length = packet.emit(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn grants_of_more_than_was_asked_for_or_of_nothing_are_not_taken() {
    for options in [
        Options { window: Some(65), ..GRANTED },
        Options { window: Some(0), ..GRANTED },
        Options { window: Some(u64::MAX), ..GRANTED },
        Options { block_size: Some(0), ..GRANTED },
        Options { block_size: Some(7), ..GRANTED },
        Options { block_size: Some(1469), ..GRANTED },
        Options { block_size: Some(65_536 + 1468), ..GRANTED },
    ] {
        let mut board = plugged(server(Manner::Says(options)));
        let report = board.whole("xen");
        assert_eq!((report.block_size, report.window), (512, 1), "{options:?}");
        assert_eq!(board.lan.borrow().server.requests, 2, "it is asked once more, without options");
        board.whole("empty");
    }
}

#[test]
fn a_confirmation_that_cannot_be_read_is_one_of_nothing() {
    let mut board = plugged(server(Manner::Garbles));
    let report = board.whole("xen");
    assert_eq!((report.block_size, report.window), (512, 1));
    assert_eq!(board.lan.borrow().server.requests, 2, "it is asked once more, without options");
    assert!(board.seconds() < 0.5, "{}", board.seconds());
}

#[test]
fn a_window_larger_than_agreed_brings_the_right_bytes() {
    for (window, overshoot) in [(0, 1), (0, 7), (4, 1), (4, 60), (64, 64), (64, 150)] {
        let mut server = server(Manner::Grants { block_size: 1468, window });
        server.overshoot = overshoot;
        let mut board = plugged(server);
        let report = board.whole("xen");
        assert_eq!(report.window, window.max(1) as u16);
        let blocks = 300_000 / 1468 + 1;
        let acknowledgements = board.lan.borrow().server.acknowledgements;
        let most = blocks / window.max(1) + 3;
        assert!(acknowledgements <= most, "{window}+{overshoot}: {acknowledgements} answers, not {most}");
    }
}

#[test]
fn blocks_behind_the_last_one_are_no_part_of_the_file() {
    for manner in [FULL, NO_WINDOW, Manner::Ignores] {
        let mut server = server(manner);
        (server.beyond, server.overshoot) = (5, 6);
        let mut board = plugged(server);
        board.whole("xen");
        board.whole("empty");
        board.whole("xen");
    }
}

#[test]
fn a_block_behind_the_last_one_that_comes_while_another_is_missing_ends_the_transfer_in_words() {
    let mut server = server(FULL);
    let blocks = 300_000 / 1468 + 1;
    (server.beyond, server.left_out) = (5, Some(blocks - 3));
    let mut board = plugged(server);
    assert_eq!(board.error("xen"), "the server ended it after 300000 bytes and had sent more: was it being written?");
    board.idle_until(board.seconds() + 0.01);
    assert_eq!(board.lan.borrow().server.open_transfers(), 0, "it is told");
}

#[test]
fn a_size_that_is_not_the_files_is_told_whichever_way_it_lies() {
    for (claimed, words) in [
        (299_999, "300000 bytes came where the server had announced 299999: was it being written?"),
        (1, "1468 bytes came where the server had announced 1: was it being written?"),
        (300_001, "it ended after 300000 bytes, shorter than the 300001 that the server had announced"),
    ] {
        let mut server = server(FULL);
        server.claimed_size = Some(claimed);
        let error = plugged(server).error("xen");
        assert!(error.starts_with(words), "{claimed}: {error}");
    }
    // An announced length is where the file ends (RFC 9112, section 6.3), and what follows it is no answer to anything.
    let mut board = says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world");
    let (report, memory) = board.fetch("http://10.0.2.2/xen");
    assert_eq!((report.unwrap().bytes, &memory.bytes[..]), (5, &b"hello"[..]));
    board.whole_by_http("/empty");
    assert_eq!(board.lan.borrow().webs[0].connections, 2);
    // A longer one is never reached: the same as a connection that breaks every time.
    let mut short = web().saying("/xen", &[b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nhello, world"]);
    short.cuts = vec![(usize::MAX, Cut::Ends); 9].into();
    let error = web_board(short).error("http://10.0.2.2/xen");
    assert_eq!(error, "10.0.2.2:80 ended the connection after 12 bytes of 13");
}

#[test]
fn a_file_of_no_bytes_is_one() {
    for manner in [FULL, NO_WINDOW, Manner::Ignores, Manner::Refuses] {
        assert_eq!(plugged(server(manner)).whole("empty").bytes, 0);
    }
    assert_eq!(web_board(web()).whole_by_http("/empty").bytes, 0);
    // One that announced more has not come.
    let mut server = server(FULL);
    server.claimed_size = Some(1);
    assert!(plugged(server).error("empty").starts_with("it ended after 0 bytes"));
}

#[test]
fn a_file_of_four_gigabytes_and_more_is_refused_before_its_first_byte() {
    for size in [4 * GIB, 4 * GIB + 1, u64::MAX] {
        let refusal = Refusal::TooLarge { size, room: ROOM };
        let mut server = server(FULL);
        server.claimed_size = Some(size);
        let mut board = plugged(server);
        let (result, memory) = board.fetch("xen");
        assert_eq!(result, Err(Error::Tftp(tftp::Error::Refused(refusal))));
        assert!(memory.bytes.is_empty());
        board.idle_until(board.seconds() + 0.01);
        assert_eq!(board.lan.borrow().server.open_transfers(), 0, "the server is told");

        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\nhello");
        let (result, memory) = says(head.as_bytes()).fetch("http://10.0.2.2/xen");
        assert_eq!(result, Err(Error::Http(http::Error::Refused(refusal))));
        assert!(memory.bytes.is_empty());
    }
}

#[test]
fn lengths_that_no_number_of_64_bits_holds_are_told() {
    for length in ["18446744073709551616", "4294967296000000000000", "-1", "0x10", "5, 5", "5\r\nContent-Length: 6"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello");
        let error = says(head.as_bytes()).error("http://10.0.2.2/xen");
        assert!(error.starts_with("the server says a length that is none: \""), "{length}: {error}");
    }
    // Of TFTP's packets such a one is none, and the server is asked as long as any that is silent.
    let mut board = plugged(server(FULL));
    board.lan.borrow_mut().interruptions = vec![b"\0\x06tsize\x0018446744073709551616\0".to_vec()];
    board.whole("xen");
}

#[test]
fn more_blocks_than_there_are_numbers_come_whole() {
    let length = 66_000 * 512 / 2;
    for manner in [Manner::Grants { block_size: 200, window: 64 }, Manner::Grants { block_size: 200, window: 0 }] {
        let mut board = plugged(Server::new(manner).with("long", file(length)));
        let mut memory = simulation::memory::Memory::new(length);
        let source = xenlift::config::source::Source::parse("long").unwrap();
        let report = board.session.fetch(&source, &mut memory, &mut board.watcher).unwrap();
        assert!(report.bytes / 200 > 65_536 && memory.bytes == file(length));
    }
}

#[test]
fn a_storm_of_duplicates_is_answered_once() {
    for manner in [FULL, NO_WINDOW, Manner::Ignores] {
        let acknowledgements = |copies| {
            let mut lan = Lan::new(server(manner));
            lan.copies = copies;
            let mut board = Board::new(lan);
            assert_eq!(board.whole("xen").losses, 0);
            board.advance_until(board.seconds() + 1.0);
            board.lan.borrow().server.acknowledgements
        };
        assert_eq!(acknowledgements(200), acknowledgements(1), "{manner:?}");
    }
}

#[test]
fn foreign_transfers_are_told_so_and_change_nothing() {
    let junk = [0xbb; 1468];
    for interruption in [
        Packet::Data { block: 1, bytes: &junk },
        Packet::Data { block: 2, bytes: b"end" },
        Packet::OptionAcknowledgement(Options { block_size: Some(512), window: Some(2), ..GRANTED }),
        Packet::Acknowledgement { block: 1 },
        Packet::Error { code: 0, message: b"go away" },
    ] {
        for manner in [FULL, NO_WINDOW, Manner::Ignores] {
            let mut lan = Lan::new(server(manner));
            lan.interruptions = vec![packet(&interruption)];
            let mut board = Board::new(lan);
            assert_eq!(board.whole("xen").losses, 0);
            let told = &board.lan.borrow().told_stranger;
            if matches!(interruption, Packet::Error { .. }) {
                assert!(told.is_empty(), "an error is never answered");
            } else {
                assert!(told.len() > 1 && told.iter().all(|told| told.starts_with(&[0, 5, 0, 5])), "{told:?}");
            }
        }
    }
}

#[test]
fn a_head_without_end_is_told() {
    let lines = [&b"HTTP/1.1 200 OK\r\n"[..], &b"X-Filler: and so on\r\n".repeat(100_000)].concat();
    let line = [&b"HTTP/1.1 200 OK\r\nX-Filler: "[..], &b"x".repeat(2_000_000)].concat();
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    for head in [lines, line] {
        let error = says(&head).error("http://10.0.2.2/xen");
        assert!(error.starts_with("the head of the answer has too many lines, or more than"), "{error}");
    }
    let error = says(&interim).error("http://10.0.2.2/xen");
    assert_eq!(error, "the server does not send the file (HTTP status 100 \"Continue\")");
    // One that stops in the middle and stays silent.
    let mut board = says(b"HTTP/1.1 200 OK\r\nContent-Le");
    let error = board.error("http://10.0.2.2/xen");
    assert!(error.starts_with("10.0.2.2:80 fell silent for 15 s after 0 bytes"), "{error}");
}

#[test]
fn redirects_in_a_circle_are_told() {
    let mut web = web();
    for (from, to) in [("/self", "/self"), ("/a", "http://10.0.2.2/b"), ("/b", "a"), ("/grows", "grows/x")] {
        web.redirects.insert(from.into(), to.into());
    }
    let mut board = web_board(web);
    for path in ["/self", "/a", "/b"] {
        let error = board.error(&format!("http://10.0.2.2{path}"));
        assert!(error.starts_with("redirected more than 5 times, at last to "), "{error}");
    }
    assert!(board.error("http://10.0.2.2/grows").starts_with("file not found on the server"));
}
