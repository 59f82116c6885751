//! From QEMU's start to Xen's banner, ours and Debian's U-Boot doing the same job from the same server; and how much ours prints.
//!
//! Both run on the same emulator with the same settings, fetch the same files from the same TFTP server (QEMU's own: U-Boot's has
//! port 69 and no other), and take turns in one run, each being first as often as the other, so that a busy machine harms both alike.
//! The figure is the ratio of the medians.

mod card;
mod job;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::figure::{Bar, Figure, median};
use crate::cache::Cache;
use crate::emulator::{Emulator, Machine, Uart};
use crate::loader;
use crate::packages;
use crate::process::{announce, capture};
use crate::toolchain::Toolchain;

/// Of the time, as a part of the peer's.
const BAR: f64 = 0.4;
/// Of what an unattended boot prints, in bytes.
const PRINTED: f64 = 1500.0;
/// Xen's first line of its own, before which nothing is Xen's.
const FIRST: &[&str] = &[" Xen 4.", "(XEN) "];
/// By this Xen says which one it is.
const BANNER: &str = "Xen version";
/// How long one start may take.
const LIMIT: Duration = Duration::from_secs(180);

/// One start.
struct Start {
    /// Until Xen's banner, in seconds.
    time: f64,
    /// Bytes on the console before Xen's first.
    printed: usize,
}

/// Starts each of the two `rounds` times. `autonegotiation` is the emulated PHY's, in milliseconds.
pub fn measure(cache: &Cache, rounds: u16, autonegotiation: u32) -> Result<[Figure; 2]> {
    let emulator = Emulator::with_ethernet(cache)?;
    let directory = tempfile::Builder::new().prefix("xenlift-bench-").tempdir().context("no temporary directory")?;
    let directory = directory.path();
    let script = job::prepare(cache, directory)?;
    let card = directory.join("card.img");
    card::write(&card, "boot.scr", &script)?;
    let loader = loader::build(&Toolchain::find(cache)?)?;
    let u_boot = packages::u_boot(cache)?;
    let network = Network::of(&emulator, autonegotiation)?;

    let board = |kernel: &Path| {
        let mut command = emulator.board();
        command.arg("-kernel").arg(kernel).arg("-dtb").arg(directory.join(job::TREE));
        network.attach(&mut command, directory);
        command
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let mut start_ours = || start(board(&loader.bin), &mut ours).context("our loader");
        let mut start_theirs = || {
            let mut command = board(&u_boot);
            // A comma in a -drive option is written twice.
            let image = card.to_string_lossy().replace(',', ",,");
            command.arg("-drive").arg(format!("if=sd,format=raw,file={image}"));
            start(command, &mut theirs).context("U-Boot")
        };
        if round % 2 == 1 {
            start_ours()?;
            start_theirs()?;
        } else {
            start_theirs()?;
            start_ours()?;
        }
        let last = |starts: &[Start]| starts.last().map_or(0.0, |start| start.time);
        announce(&format!("round {round} of {rounds}: {:.2} s, U-Boot {:.2} s", last(&ours), last(&theirs)));
    }
    let times = |starts: &[Start]| starts.iter().map(|start| start.time).collect::<Vec<_>>();
    let (ours_times, theirs_times) = (times(&ours), times(&theirs));
    let time = Figure {
        name: "QEMU's start to Xen's banner".to_owned(),
        unit: "s",
        ours: median(&ours_times).context("no rounds")?,
        peer: Some((median(&theirs_times).context("no rounds")?, "Debian's U-Boot")),
        bar: Bar::Ratio(BAR),
        notes: vec![
            format!("medians of {rounds} rounds: {}; {}", range("ours", &ours_times), range("U-Boot", &theirs_times)),
            network.note(),
        ],
    };
    let printed: Vec<f64> = ours.iter().map(|start| start.printed as f64).collect();
    let printed = Figure {
        name: "bytes printed by an unattended boot".to_owned(),
        unit: "bytes",
        // The most, not the middle: the bar is for every boot.
        ours: printed.iter().copied().fold(f64::NAN, f64::max),
        peer: Some((
            median(&theirs.iter().map(|start| start.printed as f64).collect::<Vec<_>>()).context("no rounds")?,
            "U-Boot",
        )),
        bar: Bar::AtMost(PRINTED),
        notes: Vec::new(),
    };
    Ok([time, printed])
}

fn range(who: &str, times: &[f64]) -> String {
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    let most = times.iter().copied().fold(0.0, f64::max);
    format!("{who} {least:.2} to {most:.2} s")
}

fn start(command: Command, starts: &mut Vec<Start>) -> Result<()> {
    let mut machine = Machine::start(command)?;
    let said = machine.wait_for(Uart::Mini, BANNER, LIMIT)?;
    let time = machine.elapsed().as_secs_f64();
    starts.push(Start { time, printed: printed_before_xen(&said) });
    Ok(())
}

/// Bytes in front of Xen's first line. What is lost in making text of bytes is counted as it is then: a loader prints ASCII.
fn printed_before_xen(said: &str) -> usize {
    let line_starts =
        |text: &&str| said.starts_with(*text).then_some(0).or_else(|| said.find(&format!("\n{text}")).map(|at| at + 1));
    FIRST.iter().filter_map(line_starts).min().unwrap_or(said.len())
}

/// The board's network: QEMU's own servers of DHCP and TFTP.
struct Network {
    /// In milliseconds; `None` where the emulator has no such setting.
    autonegotiation: Option<u32>,
}

impl Network {
    /// The setting is our emulator's; another one may lack it.
    fn of(emulator: &Emulator, autonegotiation: u32) -> Result<Self> {
        let mut command = emulator.board();
        command.args(["-device", "bcm2838-genet,help"]);
        let has = capture(&mut command).is_ok_and(|text| String::from_utf8_lossy(&text).contains("autoneg-ms"));
        Ok(Self { autonegotiation: has.then_some(autonegotiation) })
    }

    fn attach(&self, board: &mut Command, directory: &Path) {
        let served = directory.to_string_lossy().replace(',', ",,");
        board.args(["-netdev", &format!("user,id=net,tftp={served},bootfile={}", job::SETTINGS)]);
        board.args(["-net", "nic,netdev=net"]);
        if let Some(time) = self.autonegotiation {
            board.args(["-global", &format!("bcm2838-genet.autoneg-ms={time}")]);
        }
    }

    fn note(&self) -> String {
        match self.autonegotiation {
            Some(time) => format!("autonegotiation takes {time} ms, for both"),
            None => "autonegotiation takes what the emulator has it take, for both".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_before_xens_first_line_is_counted() {
        assert_eq!(printed_before_xen("Xenlift\r\nXen 4.17 at 0\r\n Xen 4.17.5\r\n(XEN) Xen version"), 24);
        assert_eq!(printed_before_xen("(XEN) Xen version"), 0);
        assert_eq!(printed_before_xen("all"), 3);
    }
}
