//! Running a script on the board: the machine is lent to it, and taken back when it has started nothing.

use super::board::BoardPlatform;
use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::shell::Shell;
use crate::shell::boot_script::{Ended, Script, environment};
use crate::shell::platform::Platform;
use alloc::string::ToString;

/// Runs `script`. Comes back only if it started nothing.
pub fn run<B: Board>(machine: &mut Machine<B>, script: &Script<'_>) -> Ended {
    let mut platform = match BoardPlatform::new(machine) {
        Ok(platform) => platform,
        Err(error) => return Ended::NotRun(error.to_string()),
    };
    let configured = platform.configured();
    let environment = environment(platform.facts(), platform.leased().as_ref(), &configured);
    let ended = Shell::new(&mut platform, environment).run_boot_script(script, &configured);
    platform.give_back();
    ended
}
