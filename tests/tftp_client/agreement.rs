//! What is agreed upon with a server, and the steps back from it.

use crate::scripted::{GRANTED, Scripted};
use crate::simulation::memory::Memory;
use crate::simulation::network::Faults;
use crate::simulation::server::{ADDRESS, Manner, Server};
use crate::{FULL, NO_WINDOW, fetched, file, run_into};
use std::net::SocketAddrV4;
use std::time::Duration;
use xenlift::net::tftp::packet::{Options, Packet};
use xenlift::net::tftp::{Action, Client, Error, Parameters, Refusal};
use xenlift::time::Instant;

#[test]
fn a_server_that_refuses_options_is_asked_again_without_and_at_once() {
    let run = fetched(Server::new(Manner::Refuses).with("f", file(3000)), Faults::NONE, 1);
    assert_eq!(run.server.requests, 2);
    assert!(run.took < Duration::from_millis(10), "{:?}", run.took);
}

#[test]
fn a_refusal_of_options_that_was_doubled_does_not_end_the_transfer_without_them() {
    let server = SocketAddrV4::new(ADDRESS, 69);
    let refusal = [&[0, 5, 0, 8][..], b"no options here\0"].concat();
    let block = [&[0, 3, 0, 1][..], &[7; 512]].concat();
    let mut sink = Memory::new(1 << 16);
    let mut now = Instant::from_micros(1);
    let mut client = Client::new(now, server, "f", Parameters::default()).unwrap();
    client.on_time(now);
    for packet in [&refusal, &refusal, &block, &refusal] {
        now = now.after(Duration::from_millis(1));
        client.on_packet(now, server, packet, &mut sink);
        client.on_time(now);
    }
    assert_eq!((client.outcome(), client.received()), (None, 512));
    client.on_packet(now, server, &[0, 3, 0, 2], &mut sink);
    assert_eq!(client.outcome(), Some(Ok(512)));
}

#[test]
fn a_server_that_refuses_every_request_is_given_up_with_its_own_words() {
    let server = SocketAddrV4::new(ADDRESS, 69);
    let mut now = Instant::from_micros(1);
    let mut client = Client::new(now, server, "f", Parameters::default()).unwrap();
    while let Some(deadline) = client.deadline() {
        now = now.max(deadline);
        if let Action::Send { .. } = client.on_time(now) {
            client.on_packet(now, server, b"\0\x05\0\x08never", &mut Memory::new(10));
        }
    }
    assert!(now < Instant::from_micros(20_000_000));
    let error = client.outcome().unwrap().unwrap_err();
    assert!(error.to_string().contains("never"), "{error}");
}

#[test]
fn a_server_that_grants_less_is_taken_at_its_word() {
    let run =
        fetched(Server::new(Manner::Grants { block_size: 1024, window: 5 }).with("f", file(100_000)), Faults::NONE, 1);
    assert_eq!((run.client.window(), run.client.block_size()), (5, 1024));
}

#[test]
fn grants_beyond_what_was_asked_are_refused_and_the_file_comes_plainly() {
    let base = Options { block_size: Some(1468), transfer_size: Some(3000), timeout: Some(1), window: Some(64) };
    for wrong in [
        Options { block_size: Some(0), ..base },
        Options { block_size: Some(7), ..base },
        Options { block_size: Some(1469), ..base },
        Options { block_size: Some(u64::MAX), ..base },
        Options { window: Some(0), ..base },
        Options { window: Some(65), ..base },
        Options { window: Some(70_000), ..base },
    ] {
        let run = fetched(Server::new(Manner::Says(wrong)).with("f", file(3000)), Faults::NONE, 1);
        assert_eq!(run.errors, [(2001, 8)], "{wrong:?}");
        assert_eq!(run.client.block_size(), 512);
    }
}

#[test]
fn a_tsize_of_zero_means_unknown() {
    let mut server = Server::new(FULL).with("f", file(5000));
    server.claimed_size = Some(0);
    let run = fetched(server, Faults::NONE, 1);
    assert_eq!(run.sink.announced, None);
}

#[test]
fn a_file_without_room_is_refused_before_its_first_byte_and_the_server_is_told() {
    let server = Server::new(FULL).with("f", file(5000));
    let run = run_into(Memory::new(4999), server, Faults::NONE, 1, Parameters::default());
    assert_eq!(run.outcome, Err(Error::Refused(Refusal::TooLarge { size: 5000, room: 4999 })));
    assert_eq!((run.errors, run.sink.bytes.len()), (vec![(2001, 3)], 0));
    let server = Server::new(Manner::Ignores).with("f", file(5000));
    let run = run_into(Memory::new(4999), server, Faults::NONE, 1, Parameters::default());
    assert_eq!(run.outcome, Err(Error::Refused(Refusal::TooLarge { size: 5000, room: 4999 })));
    assert_eq!(run.errors, [(2001, 3)]);
}

#[test]
fn names_that_fit_no_request_are_refused_before_anything_is_sent() {
    let server = SocketAddrV4::new(ADDRESS, 69);
    let now = Instant::default();
    for path in ["", "a\0b", &"x".repeat(500)] {
        let error = Client::new(now, server, path, Parameters::default()).unwrap_err();
        assert_eq!(error, Error::Path { length: path.len() });
    }
    assert!(Client::new(now, server, &"x".repeat(440), Parameters::default()).is_ok());
}

#[test]
fn blocks_too_long_for_the_path_are_asked_for_smaller() {
    let faults = Faults { longest: 1000, ..Faults::NONE };
    let run = fetched(Server::new(FULL).with("f", file(100_000)), faults, 1);
    assert_eq!((run.client.block_size(), run.client.window()), (512, 64));
    assert!(run.took < Duration::from_secs(6), "{:?}", run.took);
}

#[test]
fn with_a_server_of_a_single_port_the_fallbacks_work_too() {
    let mut server = Server::new(FULL).with("f", file(100_000));
    server.single_port = true;
    let faults = Faults { longest: 1000, ..Faults::NONE };
    fetched(server, faults, 1);
}

/// A client whose first attempt was opened and brought no block, with a second one on its way.
fn stepped_down() -> Scripted {
    let mut scripted = Scripted::new();
    scripted.packet(4000, Packet::OptionAcknowledgement(GRANTED));
    let sent = scripted.pass(Duration::from_secs(2));
    let asked =
        sent.iter().find(|(to, _)| *to == 69).map(|(_, datagram)| String::from_utf8_lossy(datagram).into_owned());
    assert!(asked.unwrap().contains("blksize\x001428\0"), "{sent:?}");
    assert!(
        sent.iter().all(|(to, datagram)| *to == 69 || datagram == &[0, 4, 0, 0]),
        "it is not given up yet: {sent:?}"
    );
    scripted
}

const SMALLER: Options = Options { block_size: Some(1428), ..GRANTED };

#[test]
fn a_server_that_was_only_slow_brings_the_blocks_that_were_agreed_upon_first() {
    let full = [7; 1468];
    for second_answers in [false, true] {
        let mut scripted = stepped_down();
        if second_answers {
            scripted.packet(4001, Packet::OptionAcknowledgement(SMALLER));
        }
        assert_eq!(scripted.packet(4000, Packet::Data { block: 9999, bytes: &full }), None);
        assert_eq!(scripted.packet(4000, Packet::OptionAcknowledgement(GRANTED)), None);
        assert_eq!(scripted.packet(4000, Packet::Data { block: 1, bytes: &full }), None);
        let answer = scripted.packet(4001, Packet::Data { block: 1, bytes: &full[..1428] });
        assert!(answer.is_some_and(|(to, datagram)| to == 4001 && datagram.starts_with(&[0, 5, 0, 5])));
        assert_eq!(scripted.packet(4000, Packet::Data { block: 2, bytes: b"end" }), Some((4000, vec![0, 4, 0, 2])));
        assert_eq!((scripted.client.outcome(), scripted.client.asked_block_size()), (Some(Ok(1471)), 1468));
        assert_eq!(scripted.sink.bytes, [&full[..], b"end"].concat());
    }
}

#[test]
fn smaller_blocks_that_come_end_the_first_attempt_and_its_server_is_told() {
    let full = [7; 1468];
    let mut scripted = stepped_down();
    scripted.packet(4001, Packet::OptionAcknowledgement(SMALLER));
    assert_eq!(scripted.packet(4001, Packet::Data { block: 1, bytes: &full[..1428] }), None);
    let told = scripted.pass(Duration::from_millis(10));
    assert!(matches!(&told[..], [(4000, datagram)] if datagram.starts_with(&[0, 5])), "{told:?}");
    let answer = scripted.packet(4000, Packet::Data { block: 1, bytes: &full });
    assert!(answer.is_some_and(|(to, datagram)| to == 4000 && datagram.starts_with(&[0, 5, 0, 5])));
    scripted.packet(4001, Packet::Data { block: 2, bytes: b"end" });
    assert_eq!((scripted.client.outcome(), scripted.client.asked_block_size()), (Some(Ok(1431)), 1428));
}

#[test]
fn a_first_attempt_that_its_server_ends_is_not_waited_for() {
    let mut scripted = stepped_down();
    assert_eq!(scripted.packet(4000, Packet::Error { code: 0, message: b"timeout" }), None);
    scripted.packet(4001, Packet::Data { block: 1, bytes: b"new" });
    assert_eq!((scripted.client.outcome(), &scripted.sink.bytes[..]), (Some(Ok(3)), &b"new"[..]));
}

#[test]
fn a_server_that_takes_seconds_for_its_first_block_is_waited_for_with_large_ones() {
    for manner in [FULL, NO_WINDOW] {
        for (millis, single_port) in [(1000, false), (3000, false), (8000, false), (3000, true), (5000, true)] {
            let mut server = Server::new(manner).with("f", file(500_000));
            (server.first_block_takes, server.single_port) = (Duration::from_millis(millis), single_port);
            let run = fetched(server, Faults::NONE, 1);
            assert_eq!(run.client.block_size(), 1468, "{manner:?}, {millis} ms, {single_port}");
            let most = Duration::from_millis(millis + 1200);
            assert!(run.took < most, "{manner:?}, {millis} ms, {single_port}: {:?}", run.took);
            assert_eq!(run.server.open_transfers(), 0);
        }
    }
}
