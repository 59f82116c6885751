//! How fast files come on the emulator: at each server that people run, in each window, ours beside Debian's U-Boot; and what 1 % of loss does
//! to both.
//!
//! A loader says a word before and after each fetch; what passes between them, by the host's clock, is the fetch. The emulator's board is as
//! fast as its host lets it be, so the rates say nothing of a board; what they say is how the two compare, and what a server's windows are
//! worth to each of them. A real wire is simulated in [`super::link`].

mod lossy;
mod server;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::lossy::Lossy;
use self::server::{Running, Server};
use super::figure::{Bar, Figure, median};
use super::scripted::{BLOCK, Bench, Contender, PEER, contenders};
use crate::cache::Cache;
use crate::emulator::{Machine, Uart};
use crate::process::announce;

/// The file of the rates, in blocks, the last of them not full, and its name.
const BLOCKS: usize = 20_000;
const LENGTH: usize = BLOCKS * BLOCK - 1;
const FILE: &str = "blocks";

/// The file that comes over a bad network.
const LOSSY_LENGTH: usize = 1 << 20;
const LOSSY_FILE: &str = "mebibyte";
/// Of a thousand datagrams, in each direction.
const LOST_PERMILLE: u64 = 10;
/// How many times as long U-Boot takes then, at least.
const LOSSY_BAR: f64 = 20.0;

/// How long one fetch may take, and one over a bad network, where U-Boot waits 5 s for each lost datagram.
const LIMIT: Duration = Duration::from_secs(120);
const LOSSY_LIMIT: Duration = Duration::from_secs(600);

/// Windows larger than this are ours alone.
const LARGEST_OF_PEER: u16 = 64;

/// One rate.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Who serves.
    pub server: &'static str,
    /// Blocks in a window.
    pub window: u16,
    /// Megabytes a second, the medians.
    pub ours: f64,
    /// The same of U-Boot, where it takes part.
    pub peer: Option<f64>,
}

/// Measures the rates `rounds` times, taking turns. Wants the network namespace of `place`.
pub fn measure(cache: &Cache, rounds: u16) -> Result<(Vec<Figure>, Vec<Rate>)> {
    let bench = Bench::new(cache)?;
    bench.serve(FILE, LENGTH)?;
    let [ours, theirs] = contenders(cache)?;
    let mut rates = Vec::new();
    for server in Server::ALL {
        let running = server.start(cache, bench.directory.path())?;
        for window in server.windows() {
            let mut times = [Vec::new(), Vec::new()];
            for round in 0..rounds {
                // Each is first as often as the other.
                for turn in 0..2 {
                    let (contender, times) = match (round + turn) % 2 {
                        0 => (&ours, &mut times[0]),
                        _ if *window > LARGEST_OF_PEER => continue,
                        _ => (&theirs, &mut times[1]),
                    };
                    times.push(fetch(&bench, contender, &running, *window)?);
                }
            }
            let [ours, peer] = times.map(|times| median(&times).map(rate));
            let measured = Rate { server: server.name(), window: *window, ours: ours.context("no round")?, peer };
            announce(&figure(&measured).as_text());
            rates.push(measured);
        }
    }
    Ok((rates.iter().map(figure).collect(), rates))
}

/// Megabytes a second, of the file in so many seconds.
fn rate(seconds: f64) -> f64 {
    LENGTH as f64 / 1e6 / seconds
}

fn figure(rate: &Rate) -> Figure {
    Figure {
        name: format!("rate from {}, window {}", rate.server, rate.window),
        unit: "MB/s",
        ours: rate.ours,
        peer: rate.peer.map(|peer| (peer, PEER)),
        bar: if rate.peer.is_some() { Bar::RatioAtLeast(1.0) } else { Bar::Reported },
        notes: Vec::new(),
    }
}

/// What a contender is told: a fetch, with a word before and after it.
fn script(before: &str, path: &str) -> String {
    format!("setenv autoload no\n{before}\ndhcp\necho begin.\ntftpboot 0x1000000 {path}\necho end.\nreset\n")
}

/// Lets `contender` fetch the file in such windows on a board that has just started, and gives the seconds that it took.
fn fetch(bench: &Bench, contender: &Contender, server: &Running, window: u16) -> Result<f64> {
    let script = script(&format!("setenv tftpwindowsize {window}"), &server.path(FILE));
    let mut machine = Machine::start(bench.board(contender, &script)?)?;
    between(&mut machine, LENGTH, LIMIT).with_context(|| contender.who.to_owned())
}

/// Seconds from the word before a fetch to the one after it, which has brought `length` bytes.
fn between(machine: &mut Machine, length: usize, limit: Duration) -> Result<f64> {
    machine.wait_for(Uart::Mini, "begin.", limit)?;
    let begin = machine.elapsed();
    let said = machine.wait_for(Uart::Mini, "end.", limit)?;
    let took = machine.elapsed() - begin;
    if !said.contains(&length.to_string()) {
        bail!("{length} bytes were to come:\n{said}");
    }
    Ok(took.as_secs_f64())
}

/// How long 1 MiB takes where 1 % of the datagrams are lost in each direction, once: ours as it is, and U-Boot as it is, which is in windows
/// of one block; but for its patience, because after ten losses it gives up.
pub fn measure_loss(cache: &Cache) -> Result<Vec<Figure>> {
    let bench = Bench::new(cache)?;
    bench.serve(LOSSY_FILE, LOSSY_LENGTH)?;
    let mut times = Vec::new();
    let mut notes = Vec::new();
    for contender in contenders(cache)? {
        // The same chance for both, from the same seed.
        let lossy = Lossy::start(cache, bench.directory.path(), LOST_PERMILLE)?;
        let script = script("setenv tftptimeoutcountmax 1000", &format!("{}:{LOSSY_FILE}", lossy.address));
        let mut machine = Machine::start(bench.board(&contender, &script)?)?;
        let took = between(&mut machine, LOSSY_LENGTH, LOSSY_LIMIT).with_context(|| contender.who.to_owned())?;
        let (passed, lost) = lossy.counts();
        notes.push(format!("{}: {took:.2} s, {lost} of {} datagrams lost", contender.who, passed + lost));
        announce(&format!("1 % loss: {}", notes.last().map_or("", String::as_str)));
        times.push(took);
    }
    let [ours, theirs] = times[..] else { bail!("two loaders were to take part") };
    Ok(vec![Figure {
        name: "1 MiB at 1 % loss".to_owned(),
        unit: "s",
        ours,
        peer: Some((theirs, PEER)),
        bar: Bar::Ratio(1.0 / LOSSY_BAR),
        notes,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_a_word_around_the_fetch() {
        let expected = "setenv autoload no\na\ndhcp\necho begin.\ntftpboot 0x1000000 1:f\necho end.\nreset\n";
        assert_eq!(script("a", "1:f"), expected);
    }

    #[test]
    fn ours_must_not_be_slower_where_the_peer_takes_part() {
        let slower = Rate { server: "x", window: 4, ours: 9.9, peer: Some(10.0) };
        assert!(!figure(&slower).ok());
        assert!(figure(&Rate { ours: 10.0, ..slower.clone() }).ok());
        assert!(figure(&Rate { peer: None, ..slower }).ok());
    }

    #[test]
    fn a_rate_is_the_whole_file_in_its_time() {
        assert!((rate(2.0) - 14.68).abs() < 0.001);
    }
}
