//! What a received block of a file costs: instructions, and accesses to device registers, ours beside Debian's U-Boot.
//!
//! Both run the same script from the same card, which fetches one file and resets the board. A plugin of QEMU (`tools/qemu/plugin`) counts what
//! the first processor does from start to end. Of two runs that differ in nothing but the file's length the difference is that of the blocks, and
//! all else cancels out: start, card, DHCP, the console.
//!
//! A server's pace is not a cost of the loader's. QEMU's own server answers at once, so with it everything counts. One with windows
//! is another process; what is done while there is nothing to be received (see the plugin) is left out there, for both loaders.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::counts::{self, Counts};
use super::figure::{Bar, Figure, median};
use super::place;
use super::scripted::{BLOCK, Bench, Contender, PEER, contenders, option};
use crate::cache::Cache;
use crate::emulator::{Machine, Uart};
use crate::process::announce;
use crate::qemu_build::BLOCKS;
use crate::serve::start_tftp;
use crate::servers::TFTP_PORT;

/// Blocks of the two files, the last of them not full.
const FEW: usize = 1_000;
const MANY: usize = 21_000;
/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(180);
/// The number of the server with windows among the addresses of [`place`].
const SERVER: u8 = 1;

/// What a block may cost.
const INSTRUCTIONS: f64 = 4_000.0;
const READS: f64 = 4.0;
const WRITES: f64 = 2.0;
/// Of what it costs U-Boot.
const INSTRUCTIONS_RATIO: f64 = 1.0 / 3.0;
const ACCESSES_RATIO: f64 = 0.5;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// QEMU's, without windows.
    Own,
    /// `cargo xtask serve`'s, with windows of 64.
    Windows,
}

impl Server {
    fn words(self) -> &'static str {
        match self {
            Self::Own => "one at a time, all included",
            Self::Windows => "in windows of 64, without waiting",
        }
    }
}

/// What a block costs `contender`: the difference of two runs, a block.
fn block(bench: &Bench, contender: &Contender, server: Server) -> Result<Counts> {
    let (all, waiting) = run(bench, contender, server, MANY)?;
    let (less, less_waiting) = run(bench, contender, server, FEW)?;
    let all = all.with(less, |more, less| more - less);
    let waiting = waiting.with(less_waiting, |more, less| more - less);
    let counted = match server {
        Server::Own => all,
        Server::Windows => all.with(waiting, |all, waiting| all - waiting),
    };
    let blocks = (MANY - FEW) as f64;
    Ok(counted.with(counted, |count, _| count / blocks))
}

fn run(bench: &Bench, contender: &Contender, server: Server, blocks: usize) -> Result<(Counts, Counts)> {
    let plugin = bench.emulator.path().with_file_name(BLOCKS);
    if !plugin.is_file() {
        bail!("there is no {BLOCKS} beside the emulator: it belongs to the one that `cargo xtask setup` builds");
    }
    let mut command = bench.board(contender, &script(server, &file(blocks)))?;
    command.arg("-plugin").arg(option(&plugin.to_string_lossy())).args(["-d", "plugin"]);
    let mut machine = Machine::start(command)?;
    machine.wait_for_end(LIMIT).with_context(|| contender.who.to_owned())?;
    let counted = counts::parse(&machine.emulator_log(), "blocks");
    let counted = *counted.first().context("the plugin did not say what it counted")?;
    let said = machine.transcript(Uart::Mini);
    if !said.contains(&length(blocks).to_string()) {
        bail!("{} did not fetch {} bytes:\n{said}", contender.who, length(blocks));
    }
    Ok(counted)
}

/// The file of so many blocks, the last one a byte short.
fn file(blocks: usize) -> String {
    format!("blocks-{blocks}")
}

const fn length(blocks: usize) -> usize {
    blocks * BLOCK - 1
}

/// What both loaders are told.
fn script(server: Server, file: &str) -> String {
    let (window, server) = match server {
        Server::Own => (1, String::new()),
        Server::Windows => (64, format!("{}:", place::address(SERVER))),
    };
    format!("setenv autoload no\ndhcp\nsetenv tftpwindowsize {window}\ntftpboot 0x1000000 {server}{file}\nreset\n")
}

/// Measures `rounds` times, taking turns. Wants the network namespace of `place`.
pub fn measure(cache: &Cache, rounds: u16) -> Result<Vec<Figure>> {
    let bench = Bench::new(cache)?;
    for blocks in [FEW, MANY] {
        bench.serve(&file(blocks), length(blocks))?;
    }
    start_tftp(bench.directory.path(), IpAddr::V4(place::address(SERVER)), TFTP_PORT)?;
    let [ours, theirs] = contenders(cache)?;
    let mut figures = race(&bench, &ours, &theirs, Server::Own, rounds)?;
    figures.extend(race(&bench, &ours, &theirs, Server::Windows, rounds)?);
    Ok(figures)
}

fn race(bench: &Bench, ours: &Contender, theirs: &Contender, server: Server, rounds: u16) -> Result<Vec<Figure>> {
    let (mut own, mut peer) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        own.push(block(bench, ours, server)?);
        peer.push(block(bench, theirs, server)?);
        let [(who, ours), (other, theirs)] = [(ours.who, own.last()), (theirs.who, peer.last())];
        announce(&format!(
            "blocks {}, round {} of {rounds}: {who} {ours:.1?}, {other} {theirs:.1?}",
            server.words(),
            round + 1
        ));
    }
    Ok(figures(server, middle(&own)?, middle(&peer)?))
}

/// The median of each number.
fn middle(rounds: &[Counts]) -> Result<Counts> {
    let of = |number: fn(&Counts) -> f64| median(&rounds.iter().map(number).collect::<Vec<_>>()).context("no rounds");
    Ok(Counts {
        instructions: of(|counts| counts.instructions)?,
        reads: of(|counts| counts.reads)?,
        writes: of(|counts| counts.writes)?,
        looks: of(|counts| counts.looks)?,
    })
}

fn figures(server: Server, ours: Counts, theirs: Counts) -> Vec<Figure> {
    let figure = |what: &str, unit, ours, theirs, bar| Figure {
        name: format!("{what} of a {BLOCK}-byte block, {}", server.words()),
        unit,
        ours,
        peer: Some((theirs, PEER)),
        bar,
        notes: Vec::new(),
    };
    let accesses = |counts: Counts| counts.reads + counts.writes;
    let instructions = |bar| figure("instructions", "instructions", ours.instructions, theirs.instructions, bar);
    vec![
        instructions(Bar::AtMost(INSTRUCTIONS)),
        instructions(Bar::Ratio(INSTRUCTIONS_RATIO)),
        figure("register reads", "reads", ours.reads, theirs.reads, Bar::AtMost(READS)),
        figure("register writes", "writes", ours.writes, theirs.writes, Bar::AtMost(WRITES)),
        figure("register accesses", "accesses", accesses(ours), accesses(theirs), Bar::Ratio(ACCESSES_RATIO)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_told_what_to_fetch_from_whom() {
        let expected = "setenv autoload no\ndhcp\nsetenv tftpwindowsize 1\ntftpboot 0x1000000 f\nreset\n";
        assert_eq!(script(Server::Own, "f"), expected);
        let windows = expected.replace("size 1", "size 64").replace(" f", " 198.18.69.1:f");
        assert_eq!(script(Server::Windows, "f"), windows);
    }
}
