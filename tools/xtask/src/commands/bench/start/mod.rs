//! From QEMU's start to Xen's banner, ours and Debian's U-Boot doing the same job from the same server; and how much ours prints.
//!
//! All run on the same emulator with the same settings, fetch the same files from the same TFTP server (QEMU's own: U-Boot's has
//! port 69 and no other), and take turns in one run. The figures are ratios of medians.
//!
//! * [`measure`] – each loader as its users set it up: ours with loader.toml on the server, U-Boot with its scripts, and also without its countdown and
//!   its look for USB devices. The link is up for all; and once more with a link that has to come up, with U-Boot as it is.
//! * [`measure_scripts`] – ours in U-Boot's place: the same card with the tutorials' script for both; U-Boot also without its countdown
//!   and its look for USB devices. The link is up for all. And how long it takes ours to have a script, and settings, from the card.

mod from_card;
pub(super) mod http;
mod job;
mod link;
mod race;
pub(super) mod steps;
pub(super) mod u_boot_environment;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use self::job::Scripts;
pub use self::link::Link;
pub(super) use self::link::Network;
use self::race::{Contender, race};
use super::figure::{Bar, Figure};
use crate::cache::Cache;
use crate::card::{self, Kind};
use crate::emulator::Emulator;
use crate::loader;
use crate::packages;
use crate::toolchain::Toolchain;
use crate::tutorial;

/// Of U-Boot's time, and of the time of a U-Boot that waits for nothing.
const BAR: f64 = 0.3;
const TUNED_BAR: f64 = 0.6;
/// The same where both wait for the link, or the tutorials' scripts say what to do.
const WAITING_BAR: f64 = 0.4;
const SCRIPTS_TUNED_BAR: f64 = 0.8;
/// Of what an unattended boot prints, in bytes.
const PRINTED: f64 = 1500.0;

const OURS: &str = "ours";
const U_BOOT: &str = "U-Boot";
const TUNED: &str = "U-Boot without preboot and bootdelay";

/// Everything that the loaders are given.
struct Bench {
    emulator: Emulator,
    network: Network,
    /// What QEMU's servers are told of addresses.
    addresses: &'static str,
    directory: TempDir,
    script: Vec<u8>,
    loader: PathBuf,
    u_boot: PathBuf,
}

impl Bench {
    fn new(cache: &Cache, link: Link, scripts: Scripts) -> Result<Self> {
        let emulator = Emulator::with_ethernet(cache)?;
        let directory =
            tempfile::Builder::new().prefix("xenlift-bench-").tempdir().context("no temporary directory")?;
        Ok(Self {
            network: Network::of(&emulator, link)?,
            addresses: if scripts == Scripts::Tutorial { tutorial::NETWORK } else { "" },
            script: job::prepare(cache, directory.path(), scripts)?,
            loader: loader::build(&Toolchain::find(cache)?)?.bin,
            u_boot: packages::u_boot(cache)?,
            emulator,
            directory,
        })
    }

    /// A card with the script and `others`.
    fn card(&self, name: &str, others: &[(&str, &[u8])]) -> Result<PathBuf> {
        let image = self.directory.path().join(name);
        let mut files = vec![("boot.scr", &self.script[..])];
        files.extend(others);
        card::write(&image, Kind::Small, &files)?;
        Ok(image)
    }

    fn board(&self, kernel: &Path, card: Option<&Path>) -> Command {
        self.board_on(&self.network, kernel, card)
    }

    fn board_on(&self, network: &Network, kernel: &Path, card: Option<&Path>) -> Command {
        let directory = self.directory.path();
        let mut command = self.emulator.board();
        command.arg("-kernel").arg(kernel).arg("-dtb").arg(directory.join(job::TREE));
        network.attach(&mut command, directory, self.addresses);
        if let Some(card) = card {
            // A comma in a -drive option is written twice.
            let image = card.to_string_lossy().replace(',', ",,");
            command.arg("-drive").arg(format!("if=sd,format=raw,file={image}"));
        }
        command
    }

    fn figure(&self, name: String, ours: &Contender<'_>, theirs: &Contender<'_>, bar: f64) -> Result<Figure> {
        Ok(Figure {
            name,
            unit: "s",
            ours: ours.time()?,
            peer: Some((theirs.time()?, theirs.who)),
            bar: Bar::Ratio(bar),
            notes: vec![format!("medians; {}; {}", ours.range(), theirs.range()), self.network.note()],
        })
    }
}

/// Starts ours and U-Boot, as it is and tuned, `rounds` times, each as its users have it: with the link up, and with one that comes up like `link`.
pub fn measure(cache: &Cache, rounds: u16, link: Link) -> Result<Vec<Figure>> {
    let bench = Bench::new(cache, Link::READY, Scripts::Own)?;
    let waiting = Network::of(&bench.emulator, link)?;
    let card = bench.card("card.img", &[])?;
    let environment = u_boot_environment::without_waiting(&bench.u_boot)?;
    let tuned = bench.card("tuned.img", &[("uboot.env", &environment)])?;
    let mut contenders = [
        Contender::new(OURS, || bench.board(&bench.loader, None)),
        Contender::new(U_BOOT, || bench.board(&bench.u_boot, Some(&card))),
        Contender::new(TUNED, || bench.board(&bench.u_boot, Some(&tuned))),
    ];
    race(&mut contenders, rounds)?;
    let mut with_link = [
        Contender::new(OURS, || bench.board_on(&waiting, &bench.loader, None)),
        Contender::new(U_BOOT, || bench.board_on(&waiting, &bench.u_boot, Some(&card))),
    ];
    race(&mut with_link, rounds)?;
    let [ours, stock, tuned] = &contenders;
    let [waited, theirs] = &with_link;
    let printed = Figure {
        name: "bytes printed by an unattended boot".to_owned(),
        unit: "bytes",
        ours: ours.most_printed().max(waited.most_printed()),
        peer: Some((stock.most_printed(), stock.who)),
        bar: Bar::AtMost(PRINTED),
        notes: Vec::new(),
    };
    let mut slow = bench.figure("the same, the link coming up meanwhile".to_owned(), waited, theirs, WAITING_BAR)?;
    slow.notes = vec![slow.notes.swap_remove(0), waiting.note()];
    Ok(vec![
        bench.figure("QEMU's start to Xen's banner".to_owned(), ours, stock, BAR)?,
        bench.figure("the same, U-Boot without waiting".to_owned(), ours, tuned, TUNED_BAR)?,
        slow,
        printed,
    ])
}

/// Starts ours and U-Boot, as it is and tuned, `rounds` times from the same card.
pub fn measure_scripts(cache: &Cache, rounds: u16) -> Result<Vec<Figure>> {
    let bench = Bench::new(cache, Link::READY, Scripts::Tutorial)?;
    let card = bench.card("card.img", &[])?;
    let environment = u_boot_environment::without_waiting(&bench.u_boot)?;
    let tuned = bench.card("tuned.img", &[("uboot.env", &environment)])?;
    let mut contenders = [
        Contender::new(OURS, || bench.board(&bench.loader, Some(&card))),
        Contender::new(U_BOOT, || bench.board(&bench.u_boot, Some(&card))),
        Contender::new(TUNED, || bench.board(&bench.u_boot, Some(&tuned))),
    ];
    race(&mut contenders, rounds)?;
    let [ours, stock, tuned] = &contenders;
    let mut figures = vec![
        bench.figure("QEMU's start to Xen's banner by the tutorials' scripts".to_owned(), ours, stock, WAITING_BAR)?,
        bench.figure("the same, U-Boot without waiting".to_owned(), ours, tuned, SCRIPTS_TUNED_BAR)?,
    ];
    figures.extend(from_card::measure(&bench)?);
    Ok(figures)
}
