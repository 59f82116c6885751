//! The whole way of a file: TFTP, smoltcp, the GENET driver, and the strict model of the controller with its two views of memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod simulation;

use genet_model::Settings as Board;
use genet_model::host::{Bench, ModelBus, ModelClock, TwoViewMemory};
use simulation::lan::{BOARD, Lan};
use simulation::memory::Memory;
use simulation::network::Random;
use simulation::server::{Manner, Server};
use std::time::Duration;
use xenlift::config::Network;
use xenlift::config::source::Source;
use xenlift::drivers::genet::{Genet, RECEIVE_MEMORY, SEND_MEMORY, Settings};
use xenlift::net::fetch::{Event, FetchReport, Observer, Session};
use xenlift::time::Instant;

type Driver<'a> = Genet<&'a ModelBus, TwoViewMemory, &'a ModelClock>;

/// Carries frames between the controller and the network, and keeps what it is told.
struct Wire {
    bench: Bench,
    lan: Lan,
    events: Vec<String>,
    /// The cable is out between these moments.
    pulled: Option<(Instant, Instant)>,
}

impl Wire {
    fn new(server: Server, board: Board) -> Self {
        Self { bench: Bench::new(board), lan: Lan::new(server), events: Vec::new(), pulled: None }
    }
}

impl Observer for Wire {
    fn poll(&mut self, now: Instant) -> bool {
        assert!(now < Instant::from_micros(120_000_000), "it takes for ever: {:?}", self.events);
        if let Some((from, to)) = self.pulled
            && now >= from
        {
            self.bench.set_link(now >= to);
            self.pulled = (now < to).then_some((to, to));
        }
        self.bench.advance(Duration::from_micros(50));
        for frame in self.bench.sent() {
            self.lan.sent_by_board(now, frame);
        }
        self.lan.advance(now);
        while let Some(frame) = self.lan.arrived(now) {
            self.bench.inject(&frame);
        }
        true
    }

    fn event(&mut self, event: Event<'_>) {
        self.events.push(event.to_string());
    }
}

fn file(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    (0..length).map(|_| random.below(256) as u8).collect()
}

fn server() -> Server {
    Server::new(Manner::Grants { block_size: 1468, window: 64 }).with("xen", file(1_000_000)).with("dtb", file(50_001))
}

/// Runs `body` with a session over a driver that was started on the model; the model must have refused nothing.
fn on_the_model(wire: &mut Wire, body: impl FnOnce(&mut Session<Driver<'_>, &ModelClock>, &mut Wire)) {
    let (bench, bus, clock) = (wire.bench.clone(), wire.bench.bus(), wire.bench.clock());
    let memory = (bench.memory(RECEIVE_MEMORY), bench.memory(SEND_MEMORY));
    let settings = Settings { address: BOARD.0, phy_address: Some(1) };
    let mut driver = Genet::new(&bus, &clock, memory.0, memory.1, settings).unwrap();
    driver.start().unwrap();
    let mut session = Session::new(driver, &clock, Network::default(), 7).unwrap();
    body(&mut session, wire);
    session.controller().stop().unwrap();
    drop(session);
    bench.assert_clean();
    assert_eq!(bench.left_running(), [""; 0]);
}

fn whole(session: &mut Session<Driver<'_>, &ModelClock>, wire: &mut Wire, path: &str) -> FetchReport {
    let mut memory = Memory::new(1 << 22);
    let report = session.fetch(&Source::Path(path.into()), &mut memory, wire);
    let report = report.unwrap_or_else(|error| panic!("{path}: {error}; {:?}", wire.events));
    assert!(memory.bytes == wire.lan.server.files[path], "{path} differs");
    report
}

#[test]
fn files_come_whole_one_after_another() {
    for seed in [1, 2] {
        let mut wire = Wire::new(server(), Board { seed, ..Board::default() });
        on_the_model(&mut wire, |session, wire| {
            for path in ["xen", "dtb", "xen", "dtb", "dtb"] {
                let report = whole(session, wire, path);
                assert_eq!((report.losses, report.window), (0, 64));
            }
        });
        assert_eq!(wire.lan.discovers, 1);
    }
}

#[test]
fn lost_frames_cost_time_but_no_byte() {
    let mut wire = Wire::new(server(), Board::default());
    wire.lan.lost_permille = 20;
    on_the_model(&mut wire, |session, wire| {
        assert!(whole(session, wire, "xen").losses > 0);
    });
}

#[test]
fn a_cable_pulled_during_a_transfer_and_put_in_again_costs_time_but_no_byte() {
    let mut wire = Wire::new(server(), Board::default());
    on_the_model(&mut wire, |session, wire| {
        whole(session, wire, "dtb");
        let now = session.now();
        wire.pulled = Some((now.after(Duration::from_millis(1)), now.after(Duration::from_secs(1))));
        whole(session, wire, "xen");
        assert!(wire.events.iter().any(|event| event == "link is down"), "{:?}", wire.events);
    });
}

#[test]
fn with_nobody_listening_the_other_delays_are_tried() {
    let mut wire = Wire::new(server(), Board::default());
    wire.lan.dhcp.silent = true;
    on_the_model(&mut wire, |session, wire| {
        let error = session.connect(wire).unwrap_err().to_string();
        assert!(error.starts_with("no lease: no DHCP server answered in 30 s; link is up, 1000 Mb/s"), "{error}");
        assert!(wire.events.iter().any(|event| event.starts_with("nobody answers; ")), "{:?}", wire.events);
    });
}
