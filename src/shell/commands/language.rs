//! Commands of the language itself: what scripts say, wait for and decide by.

use crate::shell::language::find;
use crate::shell::{Command, Failure, Leave, Outcome, Shell, commands, number};
use crate::time::Duration;
use alloc::format;
use alloc::string::String;

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "help",
        usage: "[COMMAND...]",
        help: "what there is, or how a command is called",
        example: "help fdt",
        run: help,
    },
    Command { name: "?", usage: "[COMMAND...]", help: "the same as help", example: "? boot", run: help },
    Command { name: "version", usage: "", help: "which loader this is", example: "version", run: version },
    Command {
        name: "echo",
        usage: "[-n] [TEXT...]",
        help: "prints; -n without ending the line",
        example: "echo $serverip",
        run: echo,
    },
    Command { name: "true", usage: "", help: "succeeds", example: "true && echo yes", run: |_, _| Ok(true) },
    Command { name: "false", usage: "", help: "fails", example: "false || echo no", run: |_, _| Ok(false) },
    Command {
        name: "sleep",
        usage: "SECONDS",
        help: "waits; fractions count, Ctrl-C ends it",
        example: "sleep 0.5",
        run: sleep,
    },
    Command {
        name: "exit",
        usage: "[STATUS]",
        help: "ends the script, or leaves the prompt",
        example: "exit",
        run: exit,
    },
    Command { name: "run", usage: "VARIABLE...", help: "runs the commands in variables", example: "run bootcmd", run },
];

/// As wide as the overview may be.
const COLUMNS: usize = 79;

fn help(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let names = arguments.get(1..).unwrap_or_default();
    if names.is_empty() {
        return overview(shell).map(|()| true);
    }
    let mut all_known = true;
    for name in names {
        match find(name) {
            Ok(command) => {
                shell.say(format_args!("{} - {}\n", command.name, command.help))?;
                shell.print_usage(command, "")?;
                shell.say(format_args!("    example: {}\n", command.example))?;
            }
            Err(unknown) => {
                shell.say(format_args!("unknown command '{name}'{unknown}\n"))?;
                all_known = false;
            }
        }
    }
    Ok(all_known)
}

/// All commands on one screen of 80x24: a line each for what one needs first, and the names of the rest.
fn overview(shell: &mut Shell<'_>) -> Result<(), Failure> {
    for (kind, lists) in commands::GROUPS {
        let mut line = format!("{kind:<12}");
        for command in lists.iter().flat_map(|list| list.iter()) {
            if kind.is_empty() {
                shell.say(format_args!("{:<12}{}\n", command.name, command.help))?;
                continue;
            }
            if line.len() + command.name.len() >= COLUMNS {
                shell.say(format_args!("{}\n", line.trim_end()))?;
                line = format!("{:<12}", "");
            }
            line.push_str(command.name);
            line.push(' ');
        }
        if !kind.is_empty() {
            shell.say(format_args!("{}\n", line.trim_end()))?;
        }
    }
    shell.say(format_args!("help COMMAND: its forms and an example. Tab completes, Ctrl-C ends anything.\n"))
}

fn version(shell: &mut Shell<'_>, _: &[String]) -> Outcome {
    shell.say(format_args!("Xenlift {}, which runs U-Boot's scripts\n", env!("CARGO_PKG_VERSION")))?;
    Ok(true)
}

fn echo(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let words = arguments.get(1..).unwrap_or_default();
    let (words, end) = match words.split_first() {
        Some((option, words)) if option == "-n" => (words, ""),
        _ => (words, "\n"),
    };
    shell.say(format_args!("{}{end}", words.join(" ")))?;
    Ok(true)
}

fn sleep(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, seconds] = arguments else { return Err(Failure::Usage) };
    if !seconds.starts_with(|first: char| first.is_ascii_digit()) {
        // As with U-Boot, that is no failure.
        shell.say(format_args!("Note: \"{seconds}\" is no number of seconds: nothing is waited for.\n"))?;
    }
    let whole = number::leading(seconds, 10).min(u64::from(u32::MAX));
    let fraction = seconds.split_once('.').map_or("", |(_, fraction)| fraction);
    let mut micros = whole * 1_000_000;
    let mut unit = 100_000;
    for digit in fraction.chars().take(6) {
        micros += u64::from(digit.to_digit(10).unwrap_or(0)) * unit;
        unit /= 10;
    }
    shell.wait(Duration::from_micros(micros))?;
    Ok(true)
}

fn exit(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    if shell.is_typed() {
        return Err(Failure::Leave(Leave::Menu));
    }
    let status = arguments.get(1).map_or(0, |status| number::leading(status, 10));
    // Whatever does not fit is a failure all the same.
    Err(Failure::Exit(u8::try_from(status).unwrap_or(u8::MAX)))
}

pub(super) fn run(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let names = arguments.get(1..).unwrap_or_default();
    if names.is_empty() {
        return Err(Failure::Usage);
    }
    for name in names {
        if !shell.run_variable(name)? {
            return Ok(false);
        }
    }
    Ok(true)
}
