//! The boot from its first line to its end: settings, the choice, attempts, and what happens when they fail.
//!
//! Nothing here gives up for good: a board on a shelf must come up by itself once the server is back. So when nothing could be
//! booted the reason stands on the console, and after a pause, which grows, all starts over with the settings. A key cuts it short.

use crate::arch::Entry as Found;
use crate::board::Board;
use crate::boot::attempt;
use crate::boot::bring_up::Machine;
use crate::config::initramfs::{self, Initramfs};
use crate::config::settings;
use crate::config::{Entry, Settings, Timeout};
use crate::console;
use crate::print;
use crate::println;
use crate::ram::Claim;
use crate::time::{Clock, Duration};
use alloc::format;
use alloc::string::{String, ToString};

/// The first pause after a failure, and the longest: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Boots the board. `found` is the machine as start-up leaves it.
pub fn run<B: Board>(board: B, found: Found) -> ! {
    let mut machine = Machine::bring_up(board, found);
    let mut pause = FIRST_PAUSE;
    loop {
        match find_settings(&mut machine) {
            Ok(settings) => match choose(&mut machine, &settings) {
                Some(entry) => boot_with_fallbacks(&mut machine, &settings, entry),
                None => println!("The settings have no [[entry]]: nothing to boot."),
            },
            Err(reason) => println!("No settings: {reason}"),
        }
        println!("Starting over in {} s. Any key: now. R: reset.", pause.as_secs());
        if let Some(b'r' | b'R') = key_within(&mut machine, pause) {
            machine.keeper.reset();
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The settings that apply, the overrides of the firmware's command line included.
fn find_settings<B: Board>(machine: &mut Machine<B>) -> Result<Settings, String> {
    let bytes = machine.initramfs.as_ref().map(Claim::bytes);
    let (text, origin) = match bytes.map(initramfs::identify) {
        None => return Err("the firmware loaded no initramfs".into()),
        Some(Err(error)) => return Err(format!("the bundle in the firmware's initramfs: {error}")),
        Some(Ok(Initramfs::NotSettings(content))) => {
            return Err(format!("the firmware's initramfs is {content}"));
        }
        Some(Ok(Initramfs::Settings(text))) => (text, "loader.toml (initramfs)"),
        Some(Ok(Initramfs::Bundle(bundle))) => {
            let member = bundle.settings().ok_or("the bundle has no loader.toml")?;
            member.verify().map_err(|error| error.to_string())?;
            (member.data, "loader.toml in the bundle (initramfs)")
        }
    };
    let mut settings = settings::parse(text).map_err(|error| format!("{origin}: {error}"))?;
    println!("Settings: {origin}.");
    for error in machine.overrides.apply(&mut settings) {
        println!("On the firmware's command line (cmdline.txt): {error}");
    }
    Ok(settings)
}

/// The entry to boot: the default, unless somebody presses a key in time and chooses another.
fn choose<'s, B: Board>(machine: &mut Machine<B>, settings: &'s Settings) -> Option<&'s Entry> {
    let default = settings.default_entry()?;
    match settings.timeout {
        Timeout::Seconds(0) => return Some(default),
        Timeout::Seconds(seconds) => {
            println!("{} in {seconds} s. Any key: choose.", default.title());
            if key_within(machine, Duration::from_secs(seconds.into())).is_none() {
                return Some(default);
            }
        }
        Timeout::Never => {}
    }
    for (number, entry) in settings.entries.iter().enumerate() {
        println!("{:>3}  {}", number + 1, entry.title());
    }
    println!("Number and Enter, or Enter alone for {}:", default.title());
    loop {
        match read_number(machine) {
            None => return Some(default),
            Some(number) => match number.checked_sub(1).and_then(|index| settings.entries.get(index)) {
                Some(entry) => return Some(entry),
                None => println!("There is no entry {number}, they are 1 to {}.", settings.entries.len()),
            },
        }
    }
}

/// The number that is typed before Enter; `None` if none is. Everything but digits and Enter is ignored.
fn read_number<B: Board>(machine: &mut Machine<B>) -> Option<usize> {
    let mut number: Option<usize> = None;
    loop {
        match key_within(machine, Duration::MAX) {
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

/// Boots `entry`; if that fails its fallback, and so on. Settings have no circles of fallbacks.
fn boot_with_fallbacks<B: Board>(machine: &mut Machine<B>, settings: &Settings, entry: &Entry) {
    let mut next = Some(entry);
    while let Some(entry) = next {
        println!("Booting {}.", entry.title());
        let error = attempt::boot(machine, entry);
        println!("{} was not booted: {error}", entry.name);
        next = entry.fallback.as_deref().and_then(|name| settings.entry(name));
    }
}

/// The key that is pressed within `limit`.
fn key_within<B: Board>(machine: &mut Machine<B>, limit: Duration) -> Option<u8> {
    let clock = machine.board.clock();
    let mut key = None;
    clock.wait_until(limit, || {
        machine.keeper.breathe();
        key = console::with(console::Console::read).flatten();
        key.is_some()
    });
    key
}
