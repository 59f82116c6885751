//! Running a script: its file to where U-Boot would have put it, the variables that it expects, and what is said when it ends.

use super::board::BoardPlatform;
use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::config::LARGEST_FILE;
use crate::println;
use crate::range::PhysicalRange;
use crate::shell::platform::Platform;
use crate::shell::{Environment, Failure, Shell, number, variables};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

/// A script to run.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// What messages call it: its path.
    pub name: &'a str,
    /// Its file: mkimage's, or plain text.
    pub bytes: &'a [u8],
    /// Variables that it finds beside the board's.
    pub variables: &'a [(&'a str, &'a str)],
}

/// How a script ended that started nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It came to its end; the exit status of its last command.
    Status(u8),
    /// Ctrl-C.
    Interrupted,
    /// It was ended, and that has been said.
    Abandoned,
    /// It could not be run.
    NotRun(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(0) => f.write_str("the script came to its end and started nothing"),
            Self::Status(status) => write!(f, "the script came to its end, its last command failed (status {status})"),
            Self::Interrupted => f.write_str("interrupted by Ctrl-C"),
            Self::Abandoned => f.write_str("the script was ended"),
            Self::NotRun(reason) => f.write_str(reason),
        }
    }
}

/// The variables of the board as scripts find them.
pub fn environment<B: Board>(platform: &BoardPlatform<'_, B>) -> Environment {
    let mut environment = variables::of_board(platform.facts());
    if let Some(lease) = platform.leased() {
        lease.set_variables(&mut environment);
    }
    platform.configured().set_variables(&mut environment);
    environment
}

/// Runs `script`. Comes back only if it started nothing.
pub fn run<B: Board>(machine: &mut Machine<B>, script: &Script<'_>) -> Ended {
    let kept = machine.kept.take_visited();
    let mut platform = match BoardPlatform::new(machine) {
        Ok(platform) => platform,
        Err(error) => return Ended::NotRun(error.to_string()),
    };
    let configured = platform.configured();
    let (mut shell, saved) = match kept {
        Some(kept) => (Shell::resume(&mut platform, kept), Ok(0)),
        None => {
            let variables = environment(&platform);
            let mut shell = Shell::new(&mut platform, variables);
            let saved = shell.load_saved_variables();
            (shell, saved)
        }
    };
    // Settings were written for this board as it is now, and a U-Boot saved what it knew at some time.
    configured.set_variables(&mut shell.environment);
    for (name, value) in script.variables {
        shell.environment.set(name, value);
    }
    println!("Running {}.", script.name);
    let outcome = saved.and_then(|_| place(&mut shell, script)).and_then(|address| shell.run_loaded(Some(&address)));
    let status = shell.status();
    let left = shell.suspend();
    platform.give_back();
    machine.kept.keep(left);
    match outcome {
        Ok(_) => Ended::Status(status),
        Err(Failure::Interrupted) => Ended::Interrupted,
        Err(Failure::Reason(reason)) => Ended::NotRun(reason.to_string()),
        Err(_) => Ended::Abandoned,
    }
}

/// Puts the script's file to `scriptaddr`, where a script may look for itself; gives that address.
fn place(shell: &mut Shell<'_>, script: &Script<'_>) -> Result<String, Failure> {
    let size = script.bytes.len() as u64;
    if script.bytes.len() > LARGEST_FILE {
        return Err(Failure::because(format!("the file has {size} bytes, scripts have at most {LARGEST_FILE}")));
    }
    let address = number::hexadecimal(shell.environment.get("scriptaddr").unwrap_or_default())?;
    let landing = shell.landing(address)?;
    if size > landing.place.size() {
        return Err(landing.too_small(script.name, size));
    }
    let range = PhysicalRange { start: address, end: address.saturating_add(size) };
    shell.platform.memory_mut(range)?.copy_from_slice(script.bytes);
    shell.landed(script.name, range)?;
    Ok(format!("{address:x}"))
}
