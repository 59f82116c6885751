//! The boot from its first line to its end: settings, the choice, attempts, and what happens when they fail.
//!
//! Nothing here gives up for good: a board on a shelf must come up by itself once the server is back. So when nothing could be
//! booted the reason stands on the console, and after a pause, which grows, all starts over with the settings. A key cuts it short.

use crate::arch;
use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::boot::choice::{self, End};
use crate::boot::keyboard::Keyboard;
use crate::boot::prompt;
use crate::boot::script::{self, Ended, Script};
use crate::boot::settings::{self, Found};
use crate::config::Settings;
use crate::console::{self, Console};
use crate::println;
use crate::shell::Leave;
use crate::terminal::key::Key;
use crate::time::{Clock, Duration};

/// The first pause after a failure, and the longest: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Boots the board. `found` is the machine as start-up leaves it.
pub fn run<B: Board>(board: B, found: arch::Entry) -> ! {
    let mut machine = Machine::bring_up(board, found);
    let mut pause = FIRST_PAUSE;
    loop {
        if let Next::SettingsAnew = round(&mut machine) {
            continue;
        }
        println!("Starting over in {} s. Any key: now. S: shell. R: reset.", pause.as_secs());
        match key_within(&mut machine, pause) {
            Some(Key::Char('r' | 'R')) => machine.keeper.reset(),
            Some(Key::Char('s' | 'S')) => _ = prompt::run(&mut machine, &Settings::default(), false),
            // Whoever cuts the pause short wants it tried now, and not to be asked in a menu.
            _ => {
                console::with(Console::forget_typing);
                machine.keeper.watched = false;
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What comes after settings, or after there were none.
enum Next {
    /// They are looked for anew, because somebody wants it.
    SettingsAnew,
    /// The same, after a pause: nobody is there to want it.
    Pause,
}

/// Looks for settings, and boots by them.
fn round<B: Board>(machine: &mut Machine<B>) -> Next {
    let mut found = settings::find(machine, None);
    // As with U-Boot: after a script comes the next on the card, and then the network.
    while let Ok(Found::Script(script)) = &found
        && script.partition.is_some()
    {
        if let Some(Leave::Reload) = run_script(machine, script) {
            return Next::SettingsAnew;
        }
        found = settings::find(machine, Some(script));
    }
    match found {
        Ok(Found::Settings { settings, from_card }) => match choice::run(machine, &settings, from_card) {
            End::Reload => Next::SettingsAnew,
            End::Failed => Next::Pause,
        },
        Ok(Found::Script(script)) => match run_script(machine, &script) {
            Some(_) => Next::SettingsAnew,
            None => Next::Pause,
        },
        Err(reason) => {
            println!("No settings: {reason}");
            Next::Pause
        }
    }
}

/// Runs a script that was found in the place of settings. Whoever has pressed a key comes to the prompt: before it, as with a U-Boot that is stopped,
/// or after it if it started nothing; its variables and files are still there. How the prompt was left.
fn run_script<B: Board>(machine: &mut Machine<B>, found: &settings::Script) -> Option<Leave> {
    machine.keeper.breathe();
    if machine.keeper.watched {
        println!("A key was pressed: {} waits. `exit` runs it.", found.path);
        if prompt::run(machine, &Settings::default(), false) == Leave::Reload {
            return Some(Leave::Reload);
        }
        machine.keeper.watched = false;
    }
    let ended = started(machine, found);
    println!("{}: {ended}.", found.path);
    machine.keeper.watched.then(|| prompt::run(machine, &Settings::default(), false))
}

/// How the script ended that started nothing.
fn started<B: Board>(machine: &mut Machine<B>, found: &settings::Script) -> Ended {
    let settings::Script { path, partition, bytes } = found;
    let script = match partition {
        None => Script::from_network(path, bytes),
        Some(_) if found.is_saved_command() => Script::saved_command(path),
        Some(partition) => Script::on_card(path, *partition, bytes),
    };
    script::run(machine, &script)
}

/// The key that is pressed within `limit`.
fn key_within<B: Board>(machine: &mut Machine<B>, limit: Duration) -> Option<Key> {
    let clock = machine.board.clock();
    let mut keyboard = Keyboard::default();
    let mut key = None;
    clock.wait_until(limit, || {
        key = keyboard.wait(&mut machine.keeper);
        key.is_some()
    });
    key
}
