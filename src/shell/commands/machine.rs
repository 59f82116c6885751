//! What a bring-up engineer asks of the machine: `net`, `memory`, `log`, `timing`, `watchdog`, `selftest`.
//!
//! All but `memory` are the machine's own reports ([`Report`]): the commands only print them, and can be left by Ctrl-C while they do.

use crate::boot::memory_map;
use crate::shell::platform::Report;
use crate::shell::{Command, Failure, Outcome, Shell};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use log::LevelFilter;

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "net",
        usage: "[registers]",
        help: "link, address, server, counters",
        example: "net registers",
        run: net,
    },
    Command { name: "memory", usage: "", help: "what lies where, and what is free", example: "memory", run: memory },
    Command {
        name: "log",
        usage: "[error|warn|info|debug|trace]",
        help: "the diagnosis of late; it is kept up to the level asked for",
        example: "log warn",
        run: log,
    },
    Command {
        name: "timing",
        usage: "",
        help: "when each step of the boot was taken",
        example: "timing",
        run: |shell, arguments| plain(shell, arguments, Report::Timing),
    },
    Command {
        name: "watchdog",
        usage: "",
        help: "whether it runs, who armed it, what it has left",
        example: "watchdog",
        run: |shell, arguments| plain(shell, arguments, Report::Watchdog),
    },
    Command {
        name: "selftest",
        usage: "",
        help: "what this board is and has, for a bug report",
        example: "selftest",
        run: |shell, arguments| plain(shell, arguments, Report::SelfTest),
    },
];

/// Bytes of a report that are kept; what is longer is cut.
const LONGEST_REPORT: usize = 64 << 10;

/// A report as it comes.
#[derive(Default)]
pub(super) struct Text(pub String);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len().saturating_add(text.len()) > LONGEST_REPORT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

impl Shell<'_> {
    /// Prints a long text line by line, with a look at the keyboard before each.
    pub(super) fn say_lines(&mut self, text: &str) -> Result<(), Failure> {
        for line in text.split_inclusive('\n') {
            if self.platform.interrupted() {
                return Err(Failure::Interrupted);
            }
            self.say(format_args!("{line}"))?;
        }
        Ok(())
    }
}

/// Prints the machine's report about `topic`.
pub(super) fn tell(shell: &mut Shell<'_>, topic: Report) -> Outcome {
    let mut text = Text::default();
    let result = shell.platform.report(topic, &mut text);
    shell.say_lines(&text.0)?;
    result.map(|()| true)
}

fn plain(shell: &mut Shell<'_>, arguments: &[String], topic: Report) -> Outcome {
    if arguments.len() > 1 { Err(Failure::Usage) } else { tell(shell, topic) }
}

fn net(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments {
        [_] => tell(shell, Report::Network),
        [_, what] if "registers".starts_with(what.as_str()) => tell(shell, Report::NetworkRegisters),
        _ => Err(Failure::Usage),
    }
}

fn log(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let level = match arguments {
        [_] => LevelFilter::Info,
        [_, name] => name.parse().map_err(|_| Failure::Usage)?,
        _ => return Err(Failure::Usage),
    };
    tell(shell, Report::Log(level))
}

/// Who lies where: what must stay, what was loaded, and what is free.
fn memory(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    if arguments.len() > 1 {
        return Err(Failure::Usage);
    }
    let loaded = shell.loaded.iter().map(|loaded| (loaded.range, loaded.name.as_str()));
    let tree = shell.tree_range().map(|range| (range, "the tree of the fdt commands"));
    let others: Vec<_> = loaded.chain(tree).collect();
    let mut text = Text::default();
    // Into a text that is cut where it is too long.
    let _ = memory_map::write(shell.platform.layout(), &others, &mut text);
    shell.say_lines(&text.0)?;
    Ok(true)
}
