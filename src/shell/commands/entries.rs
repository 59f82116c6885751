//! What can be booted by name: `entries`, `plan`, `boot`, `reload`.

use super::machine::tell;
use crate::config::Entry;
use crate::config::nearest::nearest;
use crate::shell::platform::Report;
use crate::shell::{Command, Failure, Leave, Outcome, Shell};
use alloc::format;
use alloc::string::String;

const BOOT: &str = "[ENTRY]";

/// Entries that are named where somebody forgot to.
const MOST_HINTED: usize = 8;

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command { name: "entries", usage: "", help: "what can be booted by name", example: "entries", run: entries },
    Command {
        name: "plan",
        usage: "ENTRY",
        help: "what booting an entry would take, without doing it",
        example: "plan xen",
        run: plan,
    },
    Command {
        name: "boot",
        usage: BOOT,
        help: "boot an entry; without one, run bootcmd",
        example: "boot xen",
        run: boot,
    },
    Command {
        name: "reload",
        usage: "",
        help: "look for the settings and read them anew",
        example: "reload",
        run: reload,
    },
];

/// Another name for one of them.
pub const SAME: &[Command] =
    &[Command { name: "bootd", usage: BOOT, help: "the same as boot", example: "bootd", run: boot }];

fn entries(shell: &mut Shell<'_>, _: &[String]) -> Outcome {
    // Its names go to the console, which is the platform's too.
    let mut text = String::new();
    for (index, entry) in shell.platform.entries().iter().enumerate() {
        let title = entry.title.as_deref().unwrap_or_default();
        text.push_str(&format!("{:>3}  {:<12} {title}\n", index + 1, entry.name));
    }
    if text.is_empty() {
        return Err(Failure::because("there are none: no loader.toml with an [[entry]] was found"));
    }
    shell.say(format_args!("{text}"))?;
    Ok(true)
}

fn plan(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, name] = arguments else { return Err(Failure::Usage) };
    let index = find(shell.platform.entries(), name)?;
    tell(shell, Report::Plan(index))
}

fn boot(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments {
        [_] => {
            if shell.is_typed() {
                hint(shell)?;
            }
            // U-Boot's meaning.
            shell.run_variable("bootcmd")
        }
        [_, name] => Err(Failure::Leave(Leave::Boot(find(shell.platform.entries(), name)?))),
        _ => Err(Failure::Usage),
    }
}

/// What else somebody may have meant who says `boot` and nothing more.
fn hint(shell: &mut Shell<'_>) -> Result<(), Failure> {
    let mut names = String::new();
    for entry in shell.platform.entries().iter().take(MOST_HINTED) {
        names.push_str(if names.is_empty() { "" } else { ", " });
        names.push_str(&entry.name);
    }
    if names.is_empty() {
        return Ok(());
    }
    let more = if shell.platform.entries().len() > MOST_HINTED { ", ..." } else { "" };
    shell.say(format_args!("Running bootcmd, as U-Boot does. `boot ENTRY` boots an entry: {names}{more}\n"))
}

fn reload(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::Leave(Leave::Reload))
}

/// The entry called `name`, or with the number that the list shows.
fn find(entries: &[Entry], name: &str) -> Result<usize, Failure> {
    if let Some(index) = entries.iter().position(|entry| entry.name == name) {
        return Ok(index);
    }
    let number = name.parse().ok().and_then(|number: usize| number.checked_sub(1));
    if let Some(index) = number.filter(|index| *index < entries.len()) {
        return Ok(index);
    }
    let near = nearest(name, entries.iter().map(|entry| entry.name.as_str()));
    Err(Failure::because(match near {
        Some(near) => format!("there is no entry {name}: did you mean {near}?"),
        None => format!("there is no entry {name} (entries lists all)"),
    }))
}
