//! The TFTP client against a server and a network that exist only here, with every fault that a seed can bring.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod simulation;

use proptest::prelude::*;
use simulation::memory::Memory;
use simulation::network::{Datagram, Faults, Network, Random};
use simulation::server::{ADDRESS, Manner, Server};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use xenlift::net::tftp::packet::{Options, Packet};
use xenlift::net::tftp::{Action, Client, Error, Parameters, Refusal, Sink};
use xenlift::time::Instant;

const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 15), 50_000);
const FULL: Manner = Manner::Grants { block_size: 1468, window: 64 };
/// As tftpd-hpa and dnsmasq are: all options but windowsize.
const NO_WINDOW: Manner = Manner::Grants { block_size: 1468, window: 0 };

struct Run {
    outcome: Result<u64, Error>,
    sink: Memory,
    client: Client,
    server: Server,
    took: Duration,
    /// Datagrams that the client sent.
    sent: u64,
    acknowledgements: u64,
    errors: Vec<(u16, u16)>,
}

fn file(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    (0..length).map(|_| random.below(256) as u8).collect()
}

/// Runs one transfer of "f" to its end, and 20 s beyond, so that what happens afterwards is seen too.
fn run(server: Server, faults: Faults, seed: u64, parameters: Parameters) -> Run {
    run_into(Memory::new(1 << 30), server, faults, seed, parameters)
}

fn run_into(mut sink: Memory, mut server: Server, faults: Faults, seed: u64, parameters: Parameters) -> Run {
    let mut network = Network::new(faults, seed);
    let mut now = Instant::from_micros(1_000_000);
    let started = now;
    let target = SocketAddrV4::new(ADDRESS, server.port);
    let mut client = Client::new(now, target, "f", parameters).unwrap();
    let (mut took, mut sent, mut acknowledgements, mut errors) = (None, 0, 0, Vec::new());
    loop {
        let mut outgoing = Vec::new();
        let mut note = |action: Action<'_>| {
            if let Action::Send { to, datagram } = action {
                outgoing.push(Datagram { from: CLIENT, to, bytes: datagram.to_vec() });
            }
        };
        while let Some(datagram) = network.receive(now) {
            if datagram.to == CLIENT {
                note(client.on_packet(now, datagram.from, &datagram.bytes, &mut sink));
            } else {
                for answer in server.on_packet(now, &datagram) {
                    network.send(now, answer);
                }
            }
        }
        note(client.on_time(now));
        for datagram in outgoing {
            sent += 1;
            match Packet::parse(&datagram.bytes).unwrap() {
                Packet::Acknowledgement { .. } => acknowledgements += 1,
                Packet::Error { code, .. } => errors.push((datagram.to.port(), code)),
                _ => {}
            }
            network.send(now, datagram);
        }
        for answer in server.on_time(now) {
            network.send(now, answer);
        }
        if client.outcome().is_some() && took.is_none() {
            took = Some(now.since(started));
        }
        let soonest = [network.next_arrival(), client.deadline(), server.deadline()].into_iter().flatten().min();
        let end = took.map(|took| started.after(took + Duration::from_secs(20)));
        match (soonest, end) {
            (_, Some(end)) if now >= end => break,
            (Some(at), end) => now = at.min(end.unwrap_or(at)).max(now.after(Duration::from_micros(1))),
            (None, Some(_)) => break,
            (None, None) => panic!("the client waits for nothing: it hangs"),
        }
        assert!(now.since(started) < Duration::from_secs(3600), "the transfer takes for ever");
    }
    let outcome = client.outcome().unwrap();
    Run { outcome, sink, client, server, took: took.unwrap(), sent, acknowledgements, errors }
}

/// A transfer that is to succeed.
fn fetched(server: Server, faults: Faults, seed: u64) -> Run {
    let expected = server.files["f"].clone();
    // A server without the timeout option repeats a lost block every 5 s, and the repetitions may be lost, too.
    let patience = if faults.lost_permille > 0 { Duration::from_secs(300) } else { Parameters::default().patience };
    let run = run(server, faults, seed, Parameters { patience, ..Parameters::default() });
    assert_eq!(run.outcome, Ok(expected.len() as u64), "seed {seed}");
    assert!(run.sink.bytes == expected, "seed {seed}: the file differs");
    assert_eq!(run.sink.ended, Some(expected.len() as u64));
    run
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
fn a_server_that_refuses_options_is_asked_again_without_and_at_once() {
    let run = fetched(Server::new(Manner::Refuses).with("f", file(3000)), Faults::NONE, 1);
    assert_eq!(run.server.requests, 2);
    assert!(run.took < Duration::from_millis(10), "{:?}", run.took);
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
    let run = run(server.clone(), Faults::NONE, 1, Parameters::default());
    assert_eq!(run.outcome, Err(Error::Shorter { received: 5000, announced: 6000 }));
    assert_eq!(run.sink.ended, None);
    server.claimed_size = Some(4000);
    let run = self::run(server, Faults::NONE, 1, Parameters::default());
    assert!(matches!(run.outcome, Err(Error::Longer { announced: 4000, .. })));
    assert_eq!(run.server.open_transfers(), 0, "the server is told");
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
fn a_file_that_is_not_there_is_said_to_be_missing() {
    let run = run(Server::new(FULL), Faults::NONE, 1, Parameters::default());
    let error = run.outcome.unwrap_err();
    assert_eq!(error.to_string(), "file not found on the server (TFTP error 1: \"File not found\")");
}

#[test]
fn a_silent_server_is_given_up_after_the_clients_patience() {
    let mut server = Server::new(FULL).with("f", file(10));
    server.absent = Some((Instant::default(), Instant::from_micros(u64::MAX)));
    let run = run(server, Faults::NONE, 1, Parameters::default());
    assert!(matches!(run.outcome, Err(Error::NoAnswer { stranger: None, .. })));
    assert!(run.took >= Duration::from_secs(15) && run.took < Duration::from_secs(17), "{:?}", run.took);
    assert!((8..=12).contains(&run.sent), "{} requests", run.sent);
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
fn first_frames_lost_cost_a_quarter_of_a_second_each_at_first() {
    let faults = Faults { lost_at_start: 1, ..Faults::NONE };
    let run = fetched(Server::new(FULL).with("f", file(10)), faults, 1);
    assert!(run.took < Duration::from_millis(300), "{:?}", run.took);
}

#[test]
fn a_server_that_comes_back_in_time_goes_on_where_it_stopped() {
    let mut server = Server::new(FULL).with("f", file(3_000_000));
    server.absent = Some((Instant::from_micros(1_002_000), Instant::from_micros(11_000_000)));
    let run = fetched(server, Faults::NONE, 1);
    assert!(run.took > Duration::from_secs(10) && run.took < Duration::from_secs(13), "{:?}", run.took);
    assert_eq!(run.sink.begun, 1);
}

#[test]
fn a_server_that_stays_away_is_given_up_with_what_had_come() {
    let mut server = Server::new(FULL).with("f", file(3_000_000));
    server.absent = Some((Instant::from_micros(1_002_000), Instant::from_micros(u64::MAX)));
    let run = run(server, Faults::NONE, 1, Parameters::default());
    assert!(
        matches!(run.outcome, Err(Error::Stalled { received: 1.., size: Some(3_000_000), .. })),
        "{:?}",
        run.outcome
    );
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

#[test]
fn repeated_acknowledgements_do_not_storm() {
    let faults = Faults { doubled_permille: 1000, ..Faults::NONE };
    let run = fetched(Server::new(NO_WINDOW).with("f", file(300 * 1468)), faults, 1);
    assert_eq!(run.acknowledgements, 302, "each block is acknowledged once, and the OACK");
}

#[test]
fn a_gap_costs_one_acknowledgement() {
    let server = SocketAddrV4::new(ADDRESS, 69);
    let transfer = SocketAddrV4::new(ADDRESS, 4000);
    let now = Instant::from_micros(1);
    let mut sink = Memory::new(1 << 20);
    let mut client = Client::new(now, server, "f", Parameters::default()).unwrap();
    client.on_time(now);
    let mut buffer = [0; 2000];
    let granted = Options { block_size: Some(1468), window: Some(64), ..Options::NONE };
    let length = Packet::OptionAcknowledgement(granted).emit(&mut buffer).unwrap();
    client.on_packet(now, transfer, &buffer[..length], &mut sink);
    let mut answers = Vec::new();
    for block in [1, 2, 4, 5, 6, 7, 8] {
        let length = Packet::Data { block, bytes: &[0; 1468] }.emit(&mut buffer).unwrap();
        if let Action::Send { datagram, .. } = client.on_packet(now, transfer, &buffer[..length], &mut sink) {
            answers.push((block, datagram.to_vec()));
        }
    }
    assert_eq!(answers, [(4, vec![0, 4, 0, 2])]);
}

/// A client that has sent its request, and what is needed to hand it packets.
struct Scripted {
    client: Client,
    sink: Memory,
    now: Instant,
}

impl Scripted {
    fn new() -> Self {
        let now = Instant::from_micros(1);
        let server = SocketAddrV4::new(ADDRESS, 69);
        let mut client = Client::new(now, server, "f", Parameters::default()).unwrap();
        assert!(matches!(client.on_time(now), Action::Send { .. }));
        Self { client, sink: Memory::new(1 << 20), now }
    }

    /// Hands over a packet from the server's port `from`; the answer, with the port that it goes to.
    fn packet(&mut self, from: u16, packet: Packet<'_>) -> Option<(u16, Vec<u8>)> {
        let mut buffer = [0; 2000];
        let length = packet.emit(&mut buffer).unwrap();
        let from = SocketAddrV4::new(ADDRESS, from);
        match self.client.on_packet(self.now, from, &buffer[..length], &mut self.sink) {
            Action::Send { to, datagram } => Some((to.port(), datagram.to_vec())),
            Action::Wait => None,
        }
    }

    /// Lets time pass in steps of 10 ms; what is sent meanwhile.
    fn pass(&mut self, time: Duration) -> Vec<(u16, Vec<u8>)> {
        let end = self.now.after(time);
        let mut sent = Vec::new();
        while self.now < end {
            self.now = self.now.after(Duration::from_millis(10));
            if let Action::Send { to, datagram } = self.client.on_time(self.now) {
                sent.push((to.port(), datagram.to_vec()));
            }
        }
        sent
    }
}

const GRANTED: Options = Options { block_size: Some(1468), window: Some(64), ..Options::NONE };

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
fn after_the_end_only_the_last_block_is_acknowledged_again_and_not_at_once() {
    let mut scripted = Scripted::new();
    let full = [0; 1468];
    scripted.packet(4000, Packet::OptionAcknowledgement(GRANTED));
    assert_eq!(scripted.packet(4000, Packet::Data { block: 1, bytes: &full }), None);
    let last = Packet::Data { block: 2, bytes: b"end" };
    let acknowledgement = Some((4000, vec![0, 4, 0, 2]));
    assert_eq!(scripted.packet(4000, last), acknowledgement);
    assert_eq!(scripted.packet(4000, last), None);
    assert_eq!(scripted.pass(Duration::from_secs(3)), []);
    assert_eq!(scripted.packet(4000, Packet::Data { block: 1, bytes: &full }), None);
    assert_eq!(scripted.packet(4000, last), acknowledgement);
    assert_eq!(scripted.packet(4000, last), None);
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

#[test]
fn the_last_acknowledgement_is_repeated_for_a_server_that_did_not_get_it() {
    for seed in 0..200 {
        let faults = Faults { lost_permille: 300, ..Faults::NONE };
        let run = fetched(Server::new(FULL).with("f", file(10)), faults, seed);
        assert_eq!(run.server.open_transfers(), 0, "seed {seed}: the server is left waiting");
    }
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

fn manners() -> impl Strategy<Value = Manner> {
    prop_oneof![
        (8_u64..1500, 0_u64..70).prop_map(|(block_size, window)| Manner::Grants { block_size, window }),
        Just(Manner::Ignores),
        Just(Manner::Refuses),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_file_comes_whole_over_a_bad_network(
        manner in manners(),
        length in 0_usize..40_000,
        lost_permille in 0_u64..120,
        doubled_permille in 0_u64..200,
        delay in 1_u64..3000,
        jitter in 0_u64..3000,
        lost_at_start in 0_u32..4,
        single_port: bool,
        seed: u64,
    ) {
        let faults = Faults {
            lost_permille,
            doubled_permille,
            delay: Duration::from_micros(delay),
            jitter: Duration::from_micros(jitter),
            lost_at_start,
            longest: usize::MAX,
        };
        let mut server = Server::new(manner).with("f", file(length));
        server.single_port = single_port;
        // A server with one port for all transfers takes a request that was doubled on its way for a new one and forgets where it
        // was: no client can tell, and the transfer is started again by who wanted it.
        let requests_doubled = single_port && doubled_permille > 0;
        let patience = Duration::from_secs(300);
        let first = run(server.clone(), faults, seed, Parameters { patience, ..Parameters::default() });
        match first.outcome {
            Err(Error::Stalled { .. }) if requests_doubled => {
                fetched(server, Faults { doubled_permille: 0, ..faults }, seed);
            }
            _ => {
                fetched(server, faults, seed);
            }
        }
    }

    #[test]
    fn no_packet_panics_the_client_or_keeps_it_from_ending(
        packets in proptest::collection::vec(
            (0_u16..8, prop_oneof![0_u16..4, any::<u16>()], "[a-z0-9\\x00]{0,20}", any::<bool>(), 0_u64..400_000),
            0..120,
        ),
    ) {
        let server = SocketAddrV4::new(ADDRESS, 69);
        let mut now = Instant::from_micros(1);
        let mut sink = Memory::new(1 << 16);
        let mut client = Client::new(now, server, "f", Parameters::default()).unwrap();
        for (operation, number, body, from_peer, later) in packets {
            client.on_time(now);
            let mut bytes = operation.to_be_bytes().to_vec();
            bytes.extend(number.to_be_bytes());
            bytes.extend(body.as_bytes());
            let from = SocketAddrV4::new(ADDRESS, if from_peer { 4000 } else { 4001 });
            client.on_packet(now, from, &bytes, &mut sink);
            now = now.after(Duration::from_micros(later));
        }
        for _ in 0..1000 {
            let Some(deadline) = client.deadline() else { break };
            now = now.max(deadline);
            client.on_time(now);
        }
        prop_assert!(client.outcome().is_some());
    }
}
