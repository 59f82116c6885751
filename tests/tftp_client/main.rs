//! The TFTP client against a server and a network that exist only here, with every fault that a seed can bring.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod agreement;
mod any_network;
mod blocks;
mod questions;
mod scripted;
mod silence;
#[path = "../simulation/mod.rs"]
mod simulation;

use simulation::memory::Memory;
use simulation::network::{Datagram, Faults, Network, Random};
use simulation::server::{ADDRESS, Manner, Server};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use xenlift::net::tftp::packet::Packet;
use xenlift::net::tftp::{Action, Client, Error, Parameters};
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
