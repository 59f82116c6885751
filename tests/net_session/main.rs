//! A whole session (link, DHCP, ARP, TFTP) over a simulated local network, with what can go wrong there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod any_frame;
mod connect;
mod files;
mod outages;
mod settings;
#[path = "../simulation/mod.rs"]
mod simulation;

use simulation::board::file;
use simulation::lan::BOARD_ADDRESS;
use simulation::server::{Manner, Server};
use std::net::Ipv4Addr;
use xenlift::config::source::ServerAddress;
use xenlift::config::{InterfaceAddress, Network};
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
