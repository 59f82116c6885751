//! Silence and losses: what is sent again, when, how often, and when a server is given up.

use crate::scripted::{GRANTED, Scripted};
use crate::simulation::memory::Memory;
use crate::simulation::network::Faults;
use crate::simulation::server::{ADDRESS, Server};
use crate::{FULL, NO_WINDOW, fetched, file, run};
use std::net::SocketAddrV4;
use std::time::Duration;
use xenlift::net::tftp::packet::{Options, Packet};
use xenlift::net::tftp::{Action, Client, Error, Parameters};
use xenlift::time::Instant;

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

#[test]
fn the_last_acknowledgement_is_repeated_for_a_server_that_did_not_get_it() {
    for seed in 0..200 {
        let faults = Faults { lost_permille: 300, ..Faults::NONE };
        let run = fetched(Server::new(FULL).with("f", file(10)), faults, seed);
        assert_eq!(run.server.open_transfers(), 0, "seed {seed}: the server is left waiting");
    }
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
