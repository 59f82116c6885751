//! The loader on an emulated board with a test's own files, and what stands on the console.
//!
//! Where a test is about the loader and not about Xen, the payload in Xen's place (`tests/fake-xen`) ends the boot: it starts in a
//! moment, and tells the digest of everything it was given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use xenlift::config::bundle::{MANIFEST, SETTINGS};
use xtask::cpio::{Kind, Writer};
use xtask::product;

use crate::ethernet::Network;
use crate::{Emulator, Machine, Release, Uart, board_program, cache, emulator_with_ethernet, loader, packages};

/// How long a line may be in coming. Everything here takes a second or two on an idle machine, but the loader's own patience with a
/// network is 30 s.
pub const LIMIT: Duration = Duration::from_secs(180);

/// How the report of an exception begins.
const EXCEPTION: &str = "*** Xenlift";

/// What is said of a countdown once: how the line ends that begins with the entry and its seconds, of which a busy host may have let one pass.
pub const COUNTDOWN: &str = " s. Any key: choose.";

/// The file name of the board's tree.
pub const TREE: &str = "bcm2711-rpi-4-b.dtb";

/// loader.bin, built once for a test program.
pub fn loader_bin() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| Ok(cache().and_then(|cache| loader(&cache)).map_err(|e| format!("{e:#}"))?.bin));
    built.as_deref().map_err(|error| anyhow!("{error}"))
}

/// The payload in Xen's place, as a flat image; built once for a test program.
pub fn fake_xen() -> Result<&'static [u8]> {
    static BUILT: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let build = || {
        let elf = board_program(&cache()?, "fake-xen", "fake-xen")?;
        let bytes = fs::read(&elf).with_context(|| format!("cannot read {}", elf.display()))?;
        Ok(product::check(&bytes).context("the payload is not what it should be")?.image)
    };
    let built = BUILT.get_or_init(|| build().map_err(|error: anyhow::Error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow!("{error}"))
}

/// Debian's tree of the board.
pub fn device_tree() -> Result<PathBuf> {
    Ok(packages::linux(&cache()?, Release::Bookworm)?.device_trees.join(TREE))
}

/// `size` bytes in which no two places are alike.
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size as u32).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 11) as u8).collect()
}

/// What passes for the kernel of a domain: an arm64 header before a pattern of `size` bytes in all.
pub fn kernel(size: usize) -> Result<Vec<u8>> {
    let mut image = pattern(size);
    image.get_mut(..64).context("too small")?.copy_from_slice(fake_xen()?.get(..64).context("no header")?);
    image.get_mut(16..24).context("too small")?.copy_from_slice(&(size as u64 + 0x10_0000).to_le_bytes());
    Ok(image)
}

/// What passes for a Dom0 in front of the payload in Xen's place.
pub struct Dom0 {
    /// Its kernel.
    pub kernel: Vec<u8>,
    /// Its ramdisk.
    pub ramdisk: Vec<u8>,
}

impl Dom0 {
    /// A kernel large enough for something to happen while it comes, and a ramdisk of `ramdisk` bytes.
    pub fn new(ramdisk: usize) -> Result<Self> {
        Ok(Self { kernel: kernel(0x2a_b123)?, ramdisk: pattern(ramdisk) })
    }

    /// Whether every byte of both is there.
    pub fn is_in(&self, report: &Report) -> Result<()> {
        report.has_module(&self.kernel)?;
        report.has_module(&self.ramdisk)
    }
}

/// `bytes` as `gzip -9` packs them.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let file = directory.path().join("file");
    fs::write(&file, bytes).context("cannot write the file to pack")?;
    let output = Command::new("gzip").arg("-9c").arg(&file).output().context("`gzip` is missing: install gzip")?;
    ensure!(output.status.success(), "gzip failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bundle of `files`. Unlike the one that `cargo xtask bundle` makes, it may hold mistakes.
pub fn bundle(settings: &str, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let members: Vec<(&str, &[u8])> =
        [(SETTINGS, settings.as_bytes())].into_iter().chain(files.iter().copied()).collect();
    let manifest: String =
        members.iter().map(|(name, bytes)| format!("{} {} {name}\n", sha256(bytes), bytes.len())).collect();
    let mut archive = Writer::new(Vec::new());
    archive.add(MANIFEST, Kind::File(0o644), manifest.as_bytes())?;
    for (name, bytes) in members {
        archive.add(name, Kind::File(0o644), bytes)?;
    }
    archive.finish()
}

/// A board with the loader running, its console on the mini UART.
pub struct Board {
    /// The emulator.
    pub machine: Machine,
    _directory: TempDir,
}

impl Board {
    /// Starts the loader as the firmware does, with its tree, and `initramfs` if any. `more` adds to QEMU's command line.
    pub fn start(
        emulator: &Emulator,
        initramfs: Option<&[u8]>,
        more: impl FnOnce(&mut Command) -> Result<()>,
    ) -> Result<Self> {
        Self::start_with_tree(emulator, Some(&device_tree()?), initramfs, more)
    }

    /// The same on `network`, as QEMU's own server has it; `seed` is that of the Ethernet controller.
    pub fn on(network: &Network, initramfs: Option<&[u8]>, seed: u64) -> Result<Self> {
        Self::start(&emulator_with_ethernet(&cache()?)?, initramfs, |command| {
            network.attach_as(command, &network.user(None), seed);
            Ok(())
        })
    }

    /// As [`start`](Self::start) does, with another tree in x0, or none.
    pub fn start_with_tree(
        emulator: &Emulator,
        tree: Option<&Path>,
        initramfs: Option<&[u8]>,
        more: impl FnOnce(&mut Command) -> Result<()>,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("xenlift-boot-").tempdir().context("no temporary directory")?;
        let mut command = emulator.board();
        command.arg("-kernel").arg(loader_bin()?);
        if let Some(tree) = tree {
            command.arg("-dtb").arg(tree);
        }
        if let Some(bytes) = initramfs {
            let path = directory.path().join("initramfs");
            fs::write(&path, bytes).context("cannot write the initramfs")?;
            command.arg("-initrd").arg(path);
        }
        more(&mut command)?;
        Ok(Self { machine: Machine::start(command)?, _directory: directory })
    }

    /// Waits until `text` is said; everything said up to there. A report of an exception or a panic ends the wait.
    pub fn says(&mut self, text: &str) -> Result<String> {
        let (which, said) = self.machine.wait_for_any(Uart::Mini, &[text, EXCEPTION], LIMIT)?;
        if which > 0 {
            let report = self.machine.wait_for(Uart::Mini, "Resetting.", LIMIT).unwrap_or_default();
            bail!("waited for {text:?}, but the loader reports {said}{report}");
        }
        Ok(said)
    }

    /// Waits for `start` and gives the rest of its line.
    pub fn line(&mut self, start: &str) -> Result<String> {
        self.says(start)?;
        let rest = self.says("\n")?;
        Ok(rest.trim_end().to_owned())
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.machine.send(Uart::Mini, keys)
    }

    /// Waits for the payload's report, and gives it.
    pub fn report(&mut self) -> Result<Report> {
        self.says("fake-xen: entered at ")?;
        Ok(Report(self.says("fake-xen: end")?))
    }
}

/// What the payload in Xen's place said of itself.
pub struct Report(pub String);

impl Report {
    /// Whether a module is there with these bytes, and with its exact size.
    pub fn has_module(&self, bytes: &[u8]) -> Result<()> {
        let end = format!("size {:#x} sha256 {}", bytes.len(), sha256(bytes));
        ensure!(
            self.0.lines().any(|line| line.contains("fake-xen: module") && line.ends_with(&end)),
            "no module of {end} in {}",
            self.0
        );
        Ok(())
    }

    /// Whether it said so.
    pub fn says(&self, text: &str) -> Result<()> {
        ensure!(self.0.contains(text), "no {text:?} in {}", self.0);
        Ok(())
    }
}
