//! The client over any bad network, and handed any packets.

use crate::simulation::memory::Memory;
use crate::simulation::network::Faults;
use crate::simulation::server::{ADDRESS, Manner, Server};
use crate::{fetched, file, run};
use proptest::prelude::*;
use std::net::SocketAddrV4;
use std::time::Duration;
use xenlift::net::tftp::{Client, Error, Parameters};
use xenlift::time::Instant;

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
