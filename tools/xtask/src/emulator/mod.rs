//! QEMU's Raspberry Pi 4: finding one, and running the board under control of a program, its serial lines captured.

mod machine;
mod serial;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

pub use self::machine::{Machine, Uart};
pub use self::serial::{Missed, Serial};
use crate::apt::machine::Distribution;
use crate::cache::Cache;
use crate::packages::{Program, host_program};
use crate::process::{capture_text, find_program};
use crate::qemu_build;

/// The machine model every emulator must have. QEMU has it since 9.0.
const BOARD: &str = "raspi4b";
const PROGRAM: &str = "qemu-system-aarch64";

/// An emulator that has the board.
#[derive(Clone, Debug)]
pub struct Emulator {
    program: Program,
    /// Where its ROMs and keymaps are, if not where it looks itself.
    data: Option<PathBuf>,
}

impl Emulator {
    /// `$QEMU`; else the one on the `PATH`, if it has the board; else the distribution's backports', unpacked into the cache.
    pub fn find(cache: &Cache) -> Result<Self> {
        if let Some(path) = std::env::var_os("QEMU").filter(|value| !value.is_empty()) {
            let emulator = Self::installed(PathBuf::from(path));
            if !emulator.has_board()? {
                bail!("QEMU={} has no machine {BOARD} (QEMU has it since 9.0)", emulator.program.path.display());
            }
            return Ok(emulator);
        }
        if let Some(path) = find_program(PROGRAM) {
            let emulator = Self::installed(path);
            if emulator.has_board()? {
                return Ok(emulator);
            }
        }
        Self::from_backports(cache)
    }

    /// One whose board has Ethernet: `$QEMU`, if set, is believed to; else ours, built if it is not in the cache.
    pub fn with_ethernet(cache: &Cache) -> Result<Self> {
        if std::env::var_os("QEMU").is_some_and(|value| !value.is_empty()) {
            return Self::find(cache);
        }
        Ok(Self::installed(qemu_build::emulator(cache)?))
    }

    fn installed(path: PathBuf) -> Self {
        Self { program: Program { path, libraries: Vec::new() }, data: None }
    }

    fn from_backports(cache: &Cache) -> Result<Self> {
        let suite = format!("{}-backports", Distribution::of_this_machine()?.codename);
        let program = host_program(cache, &["qemu-system-arm"], PROGRAM, Some(&suite))?;
        let data = program.path.parent().map(|bin| bin.join("../share/qemu"));
        let emulator = Self { program, data };
        if !emulator.has_board()? {
            bail!(
                "neither the {PROGRAM} on the PATH nor that of {suite} has the machine {BOARD} (QEMU has it since 9.0); set QEMU to one"
            );
        }
        Ok(emulator)
    }

    fn has_board(&self) -> Result<bool> {
        let text = capture_text(self.command().args(["-machine", "help"]))
            .context("cannot ask the emulator for its machines")?;
        Ok(text.lines().any(|line| line.split_whitespace().next() == Some(BOARD)))
    }

    /// The executable.
    pub fn path(&self) -> &std::path::Path {
        &self.program.path
    }

    /// The emulator as the board, with nothing else on it: no display, no default devices, ending instead of a reset.
    ///
    /// All four processors share one thread. The three that wait in the firmware's spin table sleep on silicon (WFE); with a thread
    /// each they would spin, and on a host with two processors take most of the time from the one that works. In one thread a
    /// WFE passes the turn on.
    pub fn board(&self) -> Command {
        let mut command = self.command();
        command.args(["-machine", BOARD, "-accel", "tcg,thread=single"]);
        command.args(["-m", "2G", "-display", "none", "-no-reboot"]);
        command
    }

    fn command(&self) -> Command {
        let mut command = self.program.command();
        if let Some(data) = &self.data {
            command.arg("-L").arg(data);
        }
        command
    }
}
