//! What a file costs by HTTP beside what it costs by TFTP, both ours, from the two servers of `cargo xtask serve`.
//!
//! Scripts know no HTTP, and neither does Debian's U-Boot, which has no `wget`. So ours boots Xen by settings whose ramdisk has an address; of two boots whose
//! ramdisks differ by 20,000 blocks the difference is that of the blocks. It is counted up to Xen's first instruction, so a block's part of
//! the hand-off is in it: the cleaning of its 23 cache lines. Servers are other processes; what is done while nothing is there to be received is left out of
//! what is counted, and in the time, of course, it is not.

use std::fs;
use std::net::IpAddr;

use anyhow::{Context, Result};

use super::super::counts::{self, Counts};
use super::super::figure::{Bar, Figure, median};
use super::super::place;
use super::super::scripted::{BLOCK, option};
use super::Bench;
use super::job::{self, Scripts};
use super::link::Link;
use super::race::{BANNER, LIMIT};
use super::steps::IMAGE;
use crate::cache::Cache;
use crate::emulator::{Machine, Uart};
use crate::process::announce;
use crate::qemu_build::BLOCKS;
use crate::serve::{start_http, start_tftp};
use crate::servers::TFTP_PORT;

/// Blocks of the two ramdisks.
const FEW: usize = 1_000;
const MANY: usize = 21_000;

/// The number of the servers among the addresses of [`place`].
const SERVER: u8 = 40;

/// The programs that start before Xen: the one that unpacks the loader, and the loader.
const BEFORE_XEN: usize = 2;

/// A protocol: its name, and what is in front of a file's.
struct Protocol {
    name: &'static str,
    before: String,
}

/// What a block costs.
#[derive(Clone, Copy, Debug)]
struct Cost {
    counts: Counts,
    seconds: f64,
}

/// Measures `rounds` times, taking turns. Wants [`place::enter`].
pub fn measure(cache: &Cache, rounds: u16) -> Result<Vec<Figure>> {
    let bench = Bench::new(cache, Link::READY, Scripts::Own)?;
    let directory = bench.directory.path();
    for blocks in [FEW, MANY] {
        let bytes: Vec<u8> =
            (0..(blocks * BLOCK) as u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 11) as u8).collect();
        fs::write(directory.join(file(blocks)), bytes).context("cannot write a file for the servers")?;
    }
    let address = place::address(SERVER);
    start_tftp(directory, IpAddr::V4(address), TFTP_PORT)?;
    let http = start_http(directory, IpAddr::V4(address), 0)?;
    let protocols = [
        Protocol { name: "HTTP", before: format!("http://{http}/") },
        Protocol { name: "TFTP", before: format!("tftp://{address}/") },
    ];
    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for (protocol, costs) in protocols.iter().zip(&mut costs) {
            let cost = block(&bench, protocol)?;
            announce(&format!("a block by {}, round {} of {rounds}: {cost:.1?}", protocol.name, round + 1));
            costs.push(cost);
        }
    }
    let middle = |costs: &[Cost], number: fn(&Cost) -> f64| {
        median(&costs.iter().map(number).collect::<Vec<_>>()).context("no rounds")
    };
    let figure = |what: &str, unit, number: fn(&Cost) -> f64| -> Result<Figure> {
        let [ours, peer] = [middle(&costs[0], number)?, middle(&costs[1], number)?];
        let (name, notes) = (format!("{what} by HTTP"), Vec::new());
        Ok(Figure { name, unit, ours, peer: Some((peer, "ours by TFTP")), bar: Bar::Reported, notes })
    };
    Ok(vec![
        figure("instructions of 1468 bytes", "instructions", |cost| cost.counts.instructions)?,
        figure("register accesses of 1468 bytes", "accesses", |cost| cost.counts.reads + cost.counts.writes)?,
        figure("rate", "MB/s", |cost| BLOCK as f64 / cost.seconds / 1e6)?,
    ])
}

fn file(blocks: usize) -> String {
    format!("ramdisk-{blocks}")
}

/// What a block costs: counted in two boots, and timed in two others, because counting takes time.
fn block(bench: &Bench, protocol: &Protocol) -> Result<Cost> {
    let blocks = (MANY - FEW) as f64;
    let (more, less) = (count(bench, protocol, MANY)?, count(bench, protocol, FEW)?);
    let counts = more.with(less, |more, less| (more - less) / blocks);
    let (long, short) = (start(bench, protocol, MANY, false)?.elapsed(), start(bench, protocol, FEW, false)?.elapsed());
    Ok(Cost { counts, seconds: (long.as_secs_f64() - short.as_secs_f64()) / blocks })
}

/// What was done up to Xen's first instruction, without waiting.
fn count(bench: &Bench, protocol: &Protocol, blocks: usize) -> Result<Counts> {
    let log = start(bench, protocol, blocks, true)?.emulator_log();
    let images = counts::parse(&log, IMAGE);
    let (all, waiting) = images.get(BEFORE_XEN).with_context(|| format!("the plugin did not see Xen start:\n{log}"))?;
    Ok(all.with(*waiting, |all, waiting| all - waiting))
}

/// A board on which Xen has said its version.
fn start(bench: &Bench, protocol: &Protocol, blocks: usize, counted: bool) -> Result<Machine> {
    let settings = settings(&format!("{}{}", protocol.before, file(blocks)));
    fs::write(bench.directory.path().join(job::SETTINGS), settings).context("cannot write the settings")?;
    let mut command = bench.board(&bench.loader, None);
    if counted {
        let plugin = bench.emulator.path().with_file_name(BLOCKS);
        command.arg("-plugin").arg(option(&plugin.to_string_lossy())).args(["-d", "plugin"]);
    }
    let mut machine = Machine::start(command)?;
    machine.wait_for(Uart::Mini, BANNER, LIMIT).with_context(|| protocol.name.to_owned())?;
    Ok(machine)
}

/// Settings with that ramdisk. Xen is its own Dom0's kernel: it has the header, and nobody gets as far as to start it.
fn settings(ramdisk: &str) -> String {
    let (xen, tree, xen_arguments) = (job::XEN, job::TREE, job::XEN_ARGUMENTS);
    format!(
        "timeout = 0\n\n[[entry]]\nname = \"xen\"\ndevice-tree = \"{tree}\"\n\n[entry.xen]\nimage = \"{xen}\"\nargs = \"{xen_arguments}\"\n\n\
         [entry.dom0]\nkernel = \"{xen}\"\nramdisk = \"{ramdisk}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramdisk_comes_from_where_it_is_said() {
        for address in ["http://198.18.69.40:8080/ramdisk-1", "tftp://198.18.69.40/ramdisk-1"] {
            let settings = xenlift::config::settings::parse(settings(address).as_bytes()).unwrap();
            let xenlift::config::Payload::Xen(xen) = &settings.default_entry().unwrap().payload else {
                panic!("not Xen")
            };
            assert!(format!("{:?}", xen.dom0).contains("ramdisk-1"), "{:?}", xen.dom0);
        }
    }
}
