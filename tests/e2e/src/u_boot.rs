//! Debian's unmodified U-Boot on the emulated board, at its prompt: the peer that knows what scripts mean, and that the board is in order.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::u_boot_tools::make_script;

use crate::boot::{LIMIT, device_tree};
use crate::{Emulator, Machine, Uart, cache, emulator, packages};

const PROMPT: &str = "U-Boot> ";

/// Where scripts lie: the first one here, the others behind it at this distance.
const SCRIPTS: usize = 0x1000_0000;
const DISTANCE: usize = 0x4000;

/// U-Boot, waiting for a line on the mini UART.
pub struct UBoot {
    /// The emulator.
    pub machine: Machine,
}

impl UBoot {
    /// The emulator's command line for a board that U-Boot starts on, with Debian's tree.
    pub fn board(emulator: &Emulator) -> Result<Command> {
        let mut command = emulator.board();
        command.arg("-kernel").arg(packages::u_boot(&cache()?)?).arg("-dtb").arg(device_tree()?);
        Ok(command)
    }

    /// Starts it.
    pub fn start(board: Command) -> Result<Self> {
        Self::on(Machine::start(board)?)
    }

    /// The one that `machine` is about to run, its countdown stopped.
    pub fn on(mut machine: Machine) -> Result<Self> {
        machine.wait_for(Uart::Mini, "stop autoboot", LIMIT)?;
        machine.send(Uart::Mini, "\r")?;
        machine.wait_for(Uart::Mini, PROMPT, LIMIT)?;
        Ok(Self { machine })
    }

    /// What it prints for `line`.
    ///
    /// # Errors
    /// There was no prompt again within [`LIMIT`].
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.machine.send(Uart::Mini, &format!("{line}\r"))?;
        let said = self.machine.wait_for(Uart::Mini, PROMPT, LIMIT)?.replace('\r', "");
        let (_, said) =
            said.split_once(&format!("{line}\n")).with_context(|| format!("no echo of {line:?} in {said:?}"))?;
        Ok(said.trim_end_matches(PROMPT).to_owned())
    }

    /// Runs the script at a physical address.
    fn source(&mut self, address: usize) -> Result<Said> {
        let said = self.ask(&format!("source {address:x}"))?;
        let start = format!("## Executing script at {address:08x}\n");
        let printed = said.strip_prefix(&start).with_context(|| format!("{said:?} does not start with {start:?}"))?;
        Ok(Said { printed: printed.to_owned(), status: self.ask("echo $?")?.trim().to_owned() })
    }
}

/// What a script said.
pub struct Said {
    /// All that was printed.
    pub printed: String,
    /// `$?` after it.
    pub status: String,
}

/// What `scripts` say, one after the other on one board; `files` lie at physical addresses from the start.
pub fn run_scripts<'a>(scripts: impl IntoIterator<Item = &'a str>, files: &[(usize, &[u8])]) -> Result<Vec<Said>> {
    let mut packed = Vec::new();
    for source in scripts {
        let mut script = make_script(source)?;
        ensure!(script.len() <= DISTANCE, "too long: {source}");
        script.resize(DISTANCE, 0);
        packed.extend(script);
    }
    let directory = tempfile::tempdir().context("no temporary directory")?;
    // Stock QEMU: ours has no loader device, and no network is needed.
    let mut command = UBoot::board(&emulator(&cache()?)?)?;
    for (address, bytes) in files.iter().copied().chain([(SCRIPTS, packed.as_slice())]) {
        let path = directory.path().join(format!("{address:x}"));
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        command.arg("-device").arg(format!("loader,file={},addr={address:#x},force-raw=on", path.display()));
    }
    let mut board = UBoot::start(command)?;
    (SCRIPTS..SCRIPTS + packed.len()).step_by(DISTANCE).map(|address| board.source(address)).collect()
}
