//! The boot from its first line to its end: settings, the choice, attempts, and what happens when they fail.
//!
//! Nothing here gives up for good: a board on a shelf must come up by itself once the server is back. So when nothing could be
//! booted the reason stands on the console, and after a pause, which grows, all starts over with the settings. A key cuts it short.

use crate::arch;
use crate::board::Board;
use crate::boot::attempt;
use crate::boot::bring_up::Machine;
use crate::boot::prompt;
use crate::boot::script::{self, Ended, Script};
use crate::boot::settings::{self, Found};
use crate::config::{Entry, Payload, Settings, Timeout};
use crate::console;
use crate::print;
use crate::println;
use crate::shell::Leave;
use crate::time::{Clock, Duration, Instant};

/// The first pause after a failure, and the longest: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long the list of entries waits in all, where the settings do not say "never": a key that was noise on an open line must not
/// keep a board from booting.
const LIST_PATIENCE: Duration = Duration::from_secs(60);

/// Boots the board. `found` is the machine as start-up leaves it.
pub fn run<B: Board>(board: B, found: arch::Entry) -> ! {
    let mut machine = Machine::bring_up(board, found);
    let mut pause = FIRST_PAUSE;
    loop {
        let mut found = settings::find(&mut machine, None);
        // As with U-Boot: after the card comes the network.
        if let Ok(Found::Script(script)) = &found
            && script.partition.is_some()
        {
            let ended = run_script(&mut machine, script);
            println!("{}: {ended}.", script.path);
            match stay(&mut machine, &Settings::default(), false) {
                Some(Leave::Reload) => continue,
                _ => found = settings::find(&mut machine, Some(script)),
            }
        }
        match found {
            Ok(Found::Settings { settings, from_card }) => match choose(&mut machine, &settings) {
                Some(entry) => {
                    if boot_with_fallbacks(&mut machine, &settings, entry, from_card) {
                        continue;
                    }
                }
                None => println!("The settings have no [[entry]]: nothing to boot."),
            },
            Ok(Found::Script(script)) => {
                let ended = run_script(&mut machine, &script);
                println!("{}: {ended}.", script.path);
                if stay(&mut machine, &Settings::default(), false).is_some() {
                    continue;
                }
            }
            Err(reason) => println!("No settings: {reason}"),
        }
        println!("Starting over in {} s. Any key: now. R: reset.", pause.as_secs());
        if let Some(b'r' | b'R') = key_within(&mut machine, pause) {
            machine.keeper.reset();
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The prompt after a script that started nothing, for somebody who has watched it: its variables and files are still there.
fn stay<B: Board>(machine: &mut Machine<B>, settings: &Settings, from_card: bool) -> Option<Leave> {
    machine.keeper.watched.then(|| prompt::run(machine, settings, from_card))
}

/// Runs a script that was found in the place of settings.
fn run_script<B: Board>(machine: &mut Machine<B>, found: &settings::Script) -> Ended {
    let settings::Script { path, partition, bytes } = found;
    let script = match partition {
        None => Script::from_network(path, bytes),
        Some(_) if found.is_saved_command() => Script::saved_command(path),
        Some(partition) => Script::on_card(path, *partition, bytes),
    };
    script::run(machine, &script)
}

/// The entry to boot: the default, unless somebody presses a key in time and chooses another.
fn choose<'s, B: Board>(machine: &mut Machine<B>, settings: &'s Settings) -> Option<&'s Entry> {
    let default = settings.default_entry()?;
    let patience = match settings.timeout {
        Timeout::Seconds(0) => return Some(default),
        Timeout::Seconds(seconds) => {
            println!("{} in {seconds} s. Any key: choose.", default.title());
            if key_within(machine, Duration::from_secs(seconds.into())).is_none() {
                return Some(default);
            }
            LIST_PATIENCE
        }
        Timeout::Never => Duration::MAX,
    };
    for (number, entry) in settings.entries.iter().enumerate() {
        println!("{:>3}  {}", number + 1, entry.title());
    }
    println!("Number and Enter, or Enter alone for {}:", default.title());
    let end = machine.board.clock().now().after(patience);
    loop {
        match read_number(machine, end) {
            None => return Some(default),
            Some(number) => match number.checked_sub(1).and_then(|index| settings.entries.get(index)) {
                Some(entry) => return Some(entry),
                None => println!("There is no entry {number}, they are 1 to {}.", settings.entries.len()),
            },
        }
    }
}

/// The number that is typed before Enter; `None` if none is, or no Enter comes before `end`. Everything but digits is ignored.
fn read_number<B: Board>(machine: &mut Machine<B>, end: Instant) -> Option<usize> {
    let mut number: Option<usize> = None;
    loop {
        let now = machine.board.clock().now();
        match key_within(machine, end.since(now)) {
            None => {
                println!();
                return None;
            }
            Some(digit @ b'0'..=b'9') => {
                print!("{}", char::from(digit));
                number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(usize::from(digit - b'0')));
            }
            Some(b'\r' | b'\n') => {
                println!();
                return number;
            }
            _ => {}
        }
    }
}

/// Boots `entry`; if that fails its fallback, and so on. Settings have no circles of fallbacks. Where somebody watches a script fail, the prompt
/// comes instead, and what is booted from there; true once he has left it.
fn boot_with_fallbacks<B: Board>(
    machine: &mut Machine<B>,
    settings: &Settings,
    entry: &Entry,
    from_card: bool,
) -> bool {
    let mut next = Some(entry);
    let mut at_prompt = false;
    while let Some(entry) = next {
        println!("Booting {}.", entry.title());
        let error = attempt::boot(machine, entry, from_card);
        println!("{} was not booted: {error}", entry.name);
        at_prompt |= machine.keeper.watched && matches!(entry.payload, Payload::Script(_));
        next = match at_prompt {
            false => entry.fallback.as_deref().and_then(|name| settings.entry(name)),
            true => match prompt::run(machine, settings, from_card) {
                Leave::Boot(index) => settings.entries.get(index),
                Leave::Menu | Leave::Reload | Leave::Idle => None,
            },
        };
    }
    at_prompt
}

/// The key that is pressed within `limit`: a printable character, Enter or Ctrl-C. Other bytes are noise, or part of an escape sequence.
fn key_within<B: Board>(machine: &mut Machine<B>, limit: Duration) -> Option<u8> {
    let clock = machine.board.clock();
    let mut key = None;
    clock.wait_until(limit, || {
        machine.keeper.breathe();
        if machine.keeper.take_interrupt() {
            key = Some(console::INTERRUPT);
            return true;
        }
        let byte = console::with(console::Console::read).flatten();
        key = byte.filter(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n'));
        key.is_some()
    });
    machine.keeper.watched |= key.is_some();
    key
}
