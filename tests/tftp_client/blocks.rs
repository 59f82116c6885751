//! Blocks: all of them, each at its place, and none that was not agreed upon.

use crate::scripted::{GRANTED, Scripted};
use crate::simulation::memory::Memory;
use crate::simulation::network::Faults;
use crate::simulation::server::{ADDRESS, Manner, Server};
use crate::{FULL, NO_WINDOW, fetched, file, run};
use std::net::SocketAddrV4;
use xenlift::net::tftp::packet::{Options, Packet};
use xenlift::net::tftp::{Action, Client, Error, Parameters, Refusal, Sink};
use xenlift::time::Instant;

#[test]
fn a_file_comes_whole_in_windows_of_sixty_four() {
    let run = fetched(Server::new(FULL).with("f", file(1_000_000)), Faults::NONE, 1);
    assert_eq!((run.client.window(), run.client.block_size()), (64, 1468));
    assert_eq!(run.sink.announced, Some(1_000_000));
    // 682 blocks in 11 windows, the request and the acknowledgement of the OACK.
    assert_eq!((run.sent, run.client.counts().superfluous), (13, 0));
    assert_eq!(run.server.open_transfers(), 0);
}

#[test]
fn files_of_every_awkward_length_come_whole() {
    for manner in [FULL, NO_WINDOW, Manner::Ignores, Manner::Refuses, Manner::Grants { block_size: 8, window: 3 }] {
        for length in [0, 1, 7, 8, 511, 512, 513, 1467, 1468, 1469, 2 * 1468, 512 * 5, 64 * 1468, 64 * 1468 + 1] {
            let run = fetched(Server::new(manner).with("f", file(length)), Faults::NONE, 1);
            assert_eq!(run.client.counts().losses, 0, "{manner:?} {length}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_missing() {
    let run = run(Server::new(FULL), Faults::NONE, 1, Parameters::default());
    let error = run.outcome.unwrap_err();
    assert_eq!(error.to_string(), "file not found on the server (TFTP error 1: \"File not found\")");
}

#[test]
fn block_numbers_roll_over_to_zero_in_every_mode() {
    let length = 70_000 * 8 + 3;
    for window in [0, 1, 7, 64] {
        fetched(Server::new(Manner::Grants { block_size: 8, window }).with("f", file(length)), Faults::NONE, 1);
    }
}

#[test]
fn block_numbers_may_roll_over_to_one() {
    let length = 140_000 * 8 + 3;
    let mut server = Server::new(Manner::Grants { block_size: 8, window: 0 }).with("f", file(length));
    server.rollover = 1;
    fetched(server, Faults::NONE, 1);
    let mut server = Server::new(Manner::Grants { block_size: 8, window: 64 }).with("f", file(length));
    server.rollover = 1;
    let run = fetched(server, Faults::NONE, 1);
    assert_eq!((run.client.window(), run.server.requests, run.sink.begun), (1, 2, 2));
}

#[test]
fn a_file_longer_than_what_the_server_announced_is_refused_and_so_is_a_shorter_one() {
    let mut server = Server::new(FULL).with("f", file(5000));
    server.claimed_size = Some(6000);
    let short = run(server.clone(), Faults::NONE, 1, Parameters::default());
    assert_eq!(short.outcome, Err(Error::Shorter { received: 5000, announced: 6000 }));
    assert_eq!(short.sink.ended, None);
    server.claimed_size = Some(4000);
    let long = run(server, Faults::NONE, 1, Parameters::default());
    assert!(matches!(long.outcome, Err(Error::Longer { announced: 4000, .. })));
    assert_eq!(long.server.open_transfers(), 0, "the server is told");
}

#[test]
fn a_block_longer_than_agreed_ends_the_transfer_before_it_is_written() {
    let mut scripted = Scripted::new();
    scripted.packet(4000, Packet::OptionAcknowledgement(GRANTED));
    let answer = scripted.packet(4000, Packet::Data { block: 1, bytes: &[0; 1469] });
    assert!(answer.is_some_and(|(to, datagram)| to == 4000 && datagram.starts_with(&[0, 5, 0, 4])));
    assert_eq!(scripted.client.outcome(), Some(Err(Error::LongBlock { length: 1469, block_size: 1468 })));
    assert!(scripted.sink.bytes.is_empty());
}

#[test]
fn a_last_block_with_others_behind_it_ends_the_transfer_whichever_comes_first() {
    let full = [0; 1468];
    let full = |block| Packet::Data { block, bytes: &full };
    let last = |block| Packet::Data { block, bytes: b"end" };
    for packets in [
        // 2 is missing; the last one, and one behind it.
        vec![full(1), last(4), full(5)],
        vec![full(1), last(4), last(5)],
        // The other way round.
        vec![full(1), full(5), last(4)],
        // What is missing turns out to be the last one.
        vec![full(1), full(2), full(3), full(5), last(4)],
    ] {
        let mut scripted = Scripted::new();
        scripted.packet(4000, Packet::OptionAcknowledgement(GRANTED));
        let answers: Vec<_> = packets.iter().map(|packet| scripted.packet(4000, *packet)).collect();
        let told = |(to, datagram): &(u16, Vec<u8>)| *to == 4000 && datagram.starts_with(&[0, 5, 0, 4]);
        assert!(answers.last().unwrap().as_ref().is_some_and(told), "{packets:?}");
        assert_eq!(scripted.client.outcome(), Some(Err(Error::Behind { size: 3 * 1468 + 3 })), "{packets:?}");
        assert_eq!((scripted.sink.ended, scripted.packet(4000, full(2))), (None, None));
    }
}

/// Checks that each block is where it belongs, and keeps nothing.
struct Endless {
    blocks: u64,
}

impl Sink for Endless {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        assert_eq!(size, Some(FIVE_GIB));
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        assert_eq!((offset, &bytes[..8]), (self.blocks * 1468, &self.blocks.to_le_bytes()[..]));
        self.blocks += 1;
        Ok(())
    }
}

const FIVE_GIB: u64 = 5 << 30;

#[test]
fn a_file_of_more_bytes_than_32_bits_can_count_comes_whole() {
    let now = Instant::from_micros(1);
    let (server, transfer) = (SocketAddrV4::new(ADDRESS, 69), SocketAddrV4::new(ADDRESS, 4000));
    let mut client = Client::new(now, server, "f", Parameters::default()).unwrap();
    client.on_time(now);
    let mut sink = Endless { blocks: 0 };
    let mut packet = [0; 2000];
    let granted = Options { transfer_size: Some(FIVE_GIB), ..GRANTED };
    let length = Packet::OptionAcknowledgement(granted).emit(&mut packet).unwrap();
    client.on_packet(now, transfer, &packet[..length], &mut sink);
    packet[..2].copy_from_slice(&[0, 3]);
    let mut answers = 0;
    for index in 0..=FIVE_GIB / 1468 {
        packet[2..4].copy_from_slice(&(index as u16).wrapping_add(1).to_be_bytes());
        packet[4..12].copy_from_slice(&index.to_le_bytes());
        let length = (FIVE_GIB - index * 1468).min(1468) as usize;
        answers += u64::from(client.on_packet(now, transfer, &packet[..4 + length], &mut sink) != Action::Wait);
    }
    assert_eq!((client.outcome(), client.received()), (Some(Ok(FIVE_GIB)), FIVE_GIB));
    assert_eq!((client.counts().losses, answers), (0, sink.blocks.div_ceil(64)));
}

#[test]
fn strangers_are_turned_away_while_the_transfer_goes_on() {
    let server = SocketAddrV4::new(ADDRESS, 69);
    let [transfer, stranger] = [4000, 4001].map(|port| SocketAddrV4::new(ADDRESS, port));
    let now = Instant::from_micros(1);
    let mut sink = Memory::new(1 << 20);
    let mut client = Client::new(now, server, "f", Parameters::default()).unwrap();
    client.on_time(now);
    let mut buffer = [0; 600];
    let length = Packet::Data { block: 1, bytes: &[7; 512] }.emit(&mut buffer).unwrap();
    client.on_packet(now, transfer, &buffer[..length], &mut sink);
    match client.on_packet(now, stranger, &buffer[..length], &mut sink) {
        Action::Send { to, datagram } => {
            assert_eq!((to, &datagram[..4]), (stranger, &[0, 5, 0, 5][..]));
        }
        Action::Wait => panic!("the stranger got no answer"),
    }
    let length = Packet::Error { code: 0, message: b"I kill you" }.emit(&mut buffer).unwrap();
    assert_eq!(client.on_packet(now, stranger, &buffer[..length], &mut sink), Action::Wait);
    let length = Packet::Data { block: 2, bytes: b"end" }.emit(&mut buffer).unwrap();
    client.on_packet(now, transfer, &buffer[..length], &mut sink);
    assert_eq!(client.outcome(), Some(Ok(515)));
}
