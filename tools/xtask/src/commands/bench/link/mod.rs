//! What the receive path does with a wire, in simulated time: the loader's own session over a model of server, switch, link, receive
//! ring and processor. It shows what an emulator cannot, whose time is its host's.
//!
//! * `path`: wires, switch, ring; loss from a seed. `server`: a server with windows, which listens while it sends or does not. `board`:
//!   the session on top.
//! * The bar of a rate is the formula of windows: for each of them the wire is idle for a round trip. What the session does
//!   beyond that, asking for the file included, may cost 5 %.
//!
//! The same numbers come out of every run, so tests hold them to their bars as well.

mod board;
mod path;
mod server;

use anyhow::{Context, Result, ensure};
use xenlift::net::fetch::FetchReport;

use self::board::Board;
use self::path::Conditions;
use self::server::{Listens, Server};
use super::figure::{Bar, Figure};

/// Bytes of a full block, and of its frame.
const BLOCK: u64 = 1468;
const BLOCK_FRAME: usize = 14 + 20 + 8 + 4 + 1468;

const MIB: u64 = 1 << 20;

/// Bytes that the switch holds for a port: what small ones have.
const SWITCH_BUFFER: usize = 64 * 1024;

/// The largest window that a server grants here, when asked.
const ANY_WINDOW: u64 = 65_535;

/// What is compared with the formula, at least.
const OF_FORMULA: f64 = 95.0;

/// The same where each window is larger than what the switch holds, which nobody would choose twice.
const NO_COLLAPSE: f64 = 60.0;

/// Goodput at 1 % loss, of that without, at least.
const OF_LOSSLESS: f64 = 50.0;

/// Files side by side, against one after the other, at least.
const SIDE_BY_SIDE: f64 = 2.5;

/// A link without loss.
fn conditions(megabits: u64, round_trip: u64) -> Conditions {
    // 6,000 instructions for a block and 3,000 for an answer at 1.5 GHz and one instruction a cycle.
    Conditions { megabits, round_trip, buffer: SWITCH_BUFFER, lost_permille: 0, receive_cost: 4_000, send_cost: 2_000 }
}

/// The links that are simulated.
fn links() -> impl Iterator<Item = Conditions> {
    [(100, 100_000), (100, 1_000_000), (1000, 100_000), (1000, 1_000_000)]
        .into_iter()
        .map(|(rate, time)| conditions(rate, time))
}

fn name(link: &Conditions) -> String {
    format!("link {} Mb/s, {} ms", link.megabits, link.round_trip as f64 / 1e6)
}

/// What one transfer, or several, came to.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// Bytes a second.
    goodput: f64,
    report: FetchReport,
    switch_drops: u64,
}

/// Fetches a file of `size` bytes in windows of `window` blocks.
fn one_file(link: Conditions, listens: Listens, window: u16, size: u64) -> Result<Outcome> {
    let most = if window == 1 { 1 } else { ANY_WINDOW };
    let mut board = Board::new(link, Server::new(listens, most, size), 1)?;
    board.set_window(window);
    outcome(&mut board)
}

fn outcome(board: &mut Board) -> Result<Outcome> {
    let switch = board.switch_drops();
    let report = *board.fetch(1)?.first().context("one file has one report")?;
    let goodput = report.bytes as f64 / report.elapsed.as_secs_f64();
    // Windows together are smaller than the ring, so that this cannot be.
    ensure!(board.ring_drops() == 0, "the receive ring dropped {} frames", board.ring_drops());
    Ok(Outcome { goodput, report, switch_drops: board.switch_drops() - switch })
}

/// What a window of so many blocks brings, of what the formula says; the worse of the two kinds of server.
fn of_formula(link: Conditions, window: u16, size: u64) -> Result<Figure> {
    let both = [one_file(link, Listens::Always, window, size)?, one_file(link, Listens::BetweenWindows, window, size)?];
    let worst = if both[0].goodput < both[1].goodput { both[0] } else { both[1] };
    let formula = link.formula(window.into());
    let fits = link.holds(window);
    let words = if fits { "" } else { ", more than the switch holds" };
    Ok(Figure {
        name: format!("{}, window {window}{words}", name(&link)),
        unit: "% of the formula",
        ours: 100.0 * worst.goodput / formula,
        peer: None,
        bar: Bar::AtLeast(if fits { OF_FORMULA } else { NO_COLLAPSE }),
        notes: vec![format!(
            "{:.2} MB/s, {} gaps, {} frames dropped by the switch, none by the ring",
            worst.goodput / 1e6,
            worst.report.losses,
            worst.switch_drops
        )],
    })
}

/// What the session comes to on its own, after a few files.
fn chosen(link: Conditions, size: u64) -> Result<Figure> {
    let mut board = Board::new(link, Server::new(Listens::Always, ANY_WINDOW, size), 1)?;
    let outcomes = (0..6).map(|_| outcome(&mut board)).collect::<Result<Vec<_>>>()?;
    let last = outcomes.last().context("there are six")?;
    let windows: Vec<_> = outcomes.iter().map(|outcome| outcome.report.window.to_string()).collect();
    let rates: Vec<_> = outcomes.iter().map(|outcome| format!("{:.2}", outcome.goodput / 1e6)).collect();
    Ok(Figure {
        name: format!("{}, window as chosen", name(&link)),
        unit: "% of the formula",
        ours: 100.0 * last.goodput / link.formula(last.report.window.into()),
        peer: None,
        bar: Bar::AtLeast(OF_FORMULA),
        notes: vec![format!("file after file: windows {}; MB/s {}", windows.join(", "), rates.join(", "))],
    })
}

/// What is left of the goodput where one frame in a hundred is lost, each way; the worse of the two kinds of server.
fn with_loss(link: Conditions, window: u16, size: u64) -> Result<Figure> {
    let lossy = Conditions { lost_permille: 10, ..link };
    let mut left = f64::INFINITY;
    let mut notes = Vec::new();
    let without = one_file(link, Listens::Always, window, size)?;
    for listens in [Listens::Always, Listens::BetweenWindows] {
        let with = one_file(lossy, listens, window, size)?;
        left = left.min(100.0 * with.goodput / without.goodput);
        notes.push(format!(
            "{listens:?}: {:.2} of {:.2} MB/s, {} gaps, {} questions and time-outs",
            with.goodput / 1e6,
            without.goodput / 1e6,
            with.report.losses,
            with.report.retransmissions
        ));
    }
    Ok(Figure {
        name: format!("{}, window {window}, 1 % loss", name(&link)),
        unit: "% of lossless",
        ours: left,
        peer: None,
        bar: Bar::AtLeast(OF_LOSSLESS),
        notes,
    })
}

/// Four files of `size` bytes from a server without windows, side by side and one after the other.
fn four_files(link: Conditions, size: u64) -> Result<Figure> {
    let board = || {
        let mut board = Board::new(link, Server::new(Listens::BetweenWindows, 1, size), 1)?;
        // The way to the server is known, as after the first file of a boot.
        board.fetch(0)?;
        Ok::<_, anyhow::Error>(board)
    };
    let (mut one_by_one, mut at_once) = (board()?, board()?);
    let start = [one_by_one.now(), at_once.now()];
    for _ in 0..4 {
        one_by_one.fetch(1)?;
    }
    at_once.fetch(4)?;
    let took = [one_by_one.now() - start[0], at_once.now() - start[1]].map(|time| time as f64 / 1e9);
    Ok(Figure {
        name: format!("{}, four files of {} KiB without windows", name(&link), size / 1024),
        unit: "times as fast as one after the other",
        ours: took[0] / took[1],
        peer: None,
        bar: Bar::AtLeast(SIDE_BY_SIDE),
        notes: vec![format!("{:.2} s one after the other, {:.2} s side by side", took[0], took[1])],
    })
}

/// On a slow link with a short round trip two transfers fill the wire, so four cannot be 2.5 times as fast as one.
fn leaves_room_for_four(link: &Conditions) -> bool {
    link.formula(1) * SIDE_BY_SIDE < link.formula(ANY_WINDOW)
}

/// Simulates it all.
pub fn measure(mut print: impl FnMut(Figure)) -> Result<()> {
    for link in links() {
        print(of_formula(link, 1, 2 * MIB)?);
        for window in [16, 48, 64, 192] {
            print(of_formula(link, window, 16 * MIB)?);
        }
        print(chosen(link, 16 * MIB)?);
        for window in [64, 192] {
            print(with_loss(link, window, 16 * MIB)?);
        }
    }
    for link in links().filter(leaves_room_for_four) {
        print(four_files(link, 8 * MIB)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleared(figure: Result<Figure>) {
        let figure = figure.unwrap();
        assert!(figure.ok(), "{}", figure.as_text());
    }

    #[test]
    fn every_window_brings_what_the_formula_says() {
        for link in links() {
            cleared(of_formula(link, 1, MIB / 2));
            cleared(of_formula(link, 64, 8 * MIB));
        }
        cleared(of_formula(conditions(1000, 100_000), 192, 8 * MIB));
    }

    #[test]
    fn the_session_finds_a_window_that_the_way_bears() {
        for link in [conditions(100, 1_000_000), conditions(1000, 100_000)] {
            cleared(chosen(link, 4 * MIB));
        }
    }

    #[test]
    fn one_frame_in_a_hundred_costs_no_more_than_half() {
        cleared(with_loss(conditions(1000, 100_000), 64, 8 * MIB));
        cleared(with_loss(conditions(100, 1_000_000), 192, 4 * MIB));
    }

    #[test]
    fn four_files_at_once_make_up_for_missing_windows() {
        for link in links().filter(leaves_room_for_four) {
            cleared(four_files(link, MIB / 4));
        }
    }

    #[test]
    fn a_processor_that_is_too_slow_for_the_wire_overflows_no_ring() {
        let slow = Conditions { receive_cost: 20_000, ..conditions(1000, 100_000) };
        let outcome = one_file(slow, Listens::Always, 192, 4 * MIB).unwrap();
        assert_eq!(outcome.report.losses, 0);
        let mut board = Board::new(slow, Server::new(Listens::Always, ANY_WINDOW, 2 * MIB), 1).unwrap();
        assert_eq!(board.fetch(8).unwrap().len(), 8);
        assert_eq!(board.ring_drops(), 0);
    }

    #[test]
    fn a_run_can_be_had_again() {
        let lossy = Conditions { lost_permille: 10, ..conditions(1000, 100_000) };
        let run = || one_file(lossy, Listens::Always, 64, MIB).unwrap().report;
        assert_eq!(run(), run());
    }
}
