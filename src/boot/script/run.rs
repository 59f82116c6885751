//! Running a script on the board: the machine is lent to it, and taken back when it has started nothing.

use super::board::BoardPlatform;
use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::shell::Shell;
use crate::shell::boot_script::{Ended, Script, environment};
use crate::shell::platform::{Lease, Platform};
use alloc::string::ToString;

/// Runs `script`. Comes back only if it started nothing.
pub fn run<B: Board>(machine: &mut Machine<B>, script: &Script<'_>) -> Ended {
    let kept = machine.kept.take_visited();
    let mut platform = match BoardPlatform::new(machine) {
        Ok(platform) => platform,
        Err(error) => return Ended::NotRun(error.to_string()),
    };
    let mut configured = platform.configured();
    let mut shell = match kept {
        Some(kept) => {
            // What somebody has set at the prompt counts for more.
            configured = Lease::default();
            Shell::resume(&mut platform, kept)
        }
        None => {
            let environment = environment(platform.facts(), platform.leased().as_ref(), &configured);
            Shell::new(&mut platform, environment)
        }
    };
    let ended = shell.run_boot_script(script, &configured);
    let left = shell.suspend();
    platform.give_back();
    machine.kept.keep(left);
    ended
}
