//! Our loader and Debian's U-Boot, each told by the same script on the same card what to fetch.
//!
//! U-Boot has a `uboot.env` without countdown and without its look for USB devices, so that nothing but the script takes time. Both are on the same
//! emulator, with the same tree, the same network, and the link up.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::start::{Link, Network, u_boot_environment};
use crate::cache::Cache;
use crate::card::{self, Kind};
use crate::emulator::Emulator;
use crate::loader;
use crate::packages::{self, Release};
use crate::toolchain::Toolchain;
use crate::u_boot_tools::make_script;

/// The name of the peer.
pub const PEER: &str = "U-Boot";

/// Bytes of a block that fills an Ethernet frame.
pub const BLOCK: usize = 1468;

/// A loader.
pub struct Contender {
    /// What lines call it.
    pub who: &'static str,
    kernel: PathBuf,
    /// U-Boot's `uboot.env`.
    environment: Option<Vec<u8>>,
}

/// Everything that both are given.
pub struct Bench {
    /// The emulator of both.
    pub emulator: Emulator,
    network: Network,
    tree: PathBuf,
    /// What servers show.
    pub directory: TempDir,
}

impl Bench {
    /// A bench whose servers show nothing yet.
    pub fn new(cache: &Cache) -> Result<Self> {
        let emulator = Emulator::with_ethernet(cache)?;
        let directory =
            tempfile::Builder::new().prefix("xenlift-bench-").tempdir().context("no temporary directory")?;
        let tree = packages::linux(cache, Release::Bookworm)?.device_trees.join("bcm2711-rpi-4-b.dtb");
        Ok(Self { network: Network::of(&emulator, Link::READY)?, emulator, tree, directory })
    }

    /// Puts a file of `length` bytes on the servers.
    pub fn serve(&self, name: &str, length: usize) -> Result<()> {
        let bytes: Vec<u8> = (0..length as u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 11) as u8).collect();
        std::fs::write(self.directory.path().join(name), bytes).context("cannot write a file for the server")
    }

    /// The board with `contender`, which runs `script` from its card.
    pub fn board(&self, contender: &Contender, script: &str) -> Result<Command> {
        let image = self.directory.path().join("card.img");
        let script = make_script(script)?;
        let mut files = vec![("boot.scr", &script[..])];
        files.extend(contender.environment.as_deref().map(|environment| ("uboot.env", environment)));
        card::write(&image, Kind::Small, &files)?;
        let mut command = self.emulator.board();
        command.arg("-kernel").arg(&contender.kernel).arg("-dtb").arg(&self.tree);
        command.arg("-drive").arg(format!("if=sd,format=raw,file={}", option(&image.to_string_lossy())));
        self.network.attach(&mut command, self.directory.path(), "");
        Ok(command)
    }
}

/// Ours, and U-Boot.
pub fn contenders(cache: &Cache) -> Result<[Contender; 2]> {
    let u_boot = packages::u_boot(cache)?;
    let environment = u_boot_environment::without_waiting(&u_boot)?;
    let kernel = loader::build(&Toolchain::find(cache)?)?.bin;
    Ok([
        Contender { who: "ours", kernel, environment: None },
        Contender { who: PEER, kernel: u_boot, environment: Some(environment) },
    ])
}

/// A text within an option of QEMU's, in which a comma is written twice.
pub fn option(text: &str) -> String {
    text.replace(',', ",,")
}
