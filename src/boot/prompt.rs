//! The shell's prompt on the board: what a person finds there, and what is kept for the next time.
//!
//! The loop itself is [`shell::prompt`](crate::shell::prompt), which knows no board. What is kept ([`Kept`]) is what the last script or the last visit
//! left: whoever watches a script fail finds its variables and its files.

use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::boot::script::BoardPlatform;
use crate::config::{Settings, Timeout};
use crate::println;
use crate::shell::boot_script::environment;
use crate::shell::prompt::{self, PATIENCE, Visitor};
use crate::shell::{Leave, Platform, Shell, Suspended};

/// What outlives a script, and a visit to the prompt.
#[derive(Default)]
pub struct Kept {
    shell: Option<Suspended>,
    visitor: Visitor,
    /// Where the tree lies that was made for an entry which was not started.
    tree: Option<u64>,
    /// Somebody has been at the prompt, so that the variables may be what he wants.
    visited: bool,
}

impl Kept {
    /// Keeps what a script left.
    pub fn keep(&mut self, shell: Suspended) {
        self.shell = Some(shell);
    }

    /// Keeps where the tree of an attempt that failed lies, to be looked at.
    pub fn keep_tree(&mut self, address: Option<u64>) {
        self.tree = address;
    }

    /// The shell that somebody has had in hand at the prompt: a script that is started afterwards finds its variables, as with U-Boot.
    pub fn take_visited(&mut self) -> Option<Suspended> {
        self.forget_memory();
        self.shell.take_if(|_| self.visited)
    }

    /// Forgets what lies in memory, because an entry is about to use that.
    pub fn forget_memory(&mut self) {
        self.tree = None;
        if let Some(shell) = &mut self.shell {
            shell.forget_memory();
        }
    }
}

/// Lets a person work at the prompt until he leaves it. `settings` has the entries that can be booted by name, `from_card` says that it came from the
/// card.
///
/// Without a key for ten minutes it is left by itself ([`Leave::Idle`]), unless the settings wait for ever: what was taken for a key may have
/// been noise, and a board must come up by itself.
pub fn run<B: Board>(machine: &mut Machine<B>, settings: &Settings, from_card: bool) -> Leave {
    let patience = match settings.timeout {
        Timeout::Never => None,
        Timeout::Seconds(_) => Some(PATIENCE),
    };
    let kind = machine.keeper.terminal;
    let Kept { shell: suspended, mut visitor, tree, .. } = core::mem::take(&mut machine.kept);
    let mut platform = match BoardPlatform::with_entries(machine, &settings.entries, from_card) {
        Ok(platform) => platform,
        Err(error) => {
            println!("No shell: {error}.");
            return Leave::Idle;
        }
    };
    let mut shell = match suspended {
        Some(suspended) => Shell::resume(&mut platform, suspended),
        None => {
            let configured = platform.configured();
            let variables = environment(platform.facts(), platform.leased().as_ref(), &configured);
            let mut shell = Shell::new(&mut platform, variables);
            // Ctrl-C is the one mistake that it can make, and then it is not wanted.
            let _ = shell.load_saved_variables();
            configured.set_variables(&mut shell.environment);
            shell
        }
    };
    if let Some(address) = tree {
        shell.working_tree = Some(address);
        shell.platform.print(format_args!(
            "The device tree of the attempt that failed, as far as it was made, is at {address:#x}: see `tree diff`, `fdt print`.\n"
        ));
    }
    let leave = prompt::run(&mut shell, &mut visitor, kind, patience);
    let shell = Some(shell.suspend());
    platform.give_back();
    machine.kept = Kept { shell, visitor, tree: None, visited: true };
    leave
}
