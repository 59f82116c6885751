//! Variables: `setenv`, `printenv`, `env`.

use super::language::run;
use crate::boot::digest::crc32;
use crate::range::PhysicalRange;
use crate::shell::environment::{CHECKSUM, NotDefined, TextFormat, checked};
use crate::shell::language::limits::VARIABLES;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "setenv",
        usage: "[-f] NAME [VALUE...]",
        help: "sets a variable; without a value takes it away",
        example: "setenv bootargs console=hvc0 root=/dev/ram0",
        run: set,
    },
    Command {
        name: "printenv",
        usage: "[NAME...]",
        help: "shows variables",
        example: "printenv bootcmd ipaddr",
        run: print,
    },
    Command {
        name: "showvar",
        usage: "[NAME...]",
        help: "shows what NAME=VALUE has set, which is no variable of the environment",
        example: "showvar",
        run: show_locals,
    },
    Command {
        name: "env",
        usage: ENV,
        help: "sets, shows, deletes, imports and exports variables",
        example: "env print -a",
        run: env,
    },
];

/// Commands of U-Boot's that are not here, and say what to use.
pub const NOT_HERE: &[Command] = &[
    Command { name: "saveenv", usage: "", help: "says why variables are not saved", example: "saveenv", run: save },
    Command {
        name: "editenv",
        usage: "NAME",
        help: "says how to change a variable",
        example: "editenv bootargs",
        run: edit,
    },
];

const ENV: &str = "set [-f] NAME [VALUE...]\nprint [NAME...]\ndefault -a\ndefault NAME...\ndelete NAME...\nexists NAME\nrun VARIABLE...\nimport [-d] [-t [-r] | -b | -c] ADDRESS [SIZE] [NAME...]\nexport [-t | -b | -c] [-s SIZE] ADDRESS [NAME...]";

/// The largest text that is imported, as in U-Boot.
const LARGEST: u64 = 1 << 20;

/// Bytes of a block of variables with a CRC-32 whose size is not said: those of `uboot.env` on this board.
const BLOCK: u64 = 0x4000;

type Run = fn(&mut Shell<'_>, &[String]) -> Outcome;

fn env(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    const KNOWN: [(&str, Run); 11] = [
        ("default", default),
        ("delete", delete),
        ("edit", edit),
        ("exists", exists),
        ("export", export),
        ("import", import),
        ("print", print),
        ("run", run),
        ("save", save),
        ("set", set),
        ("info", info),
    ];
    let Some((_, arguments)) = arguments.split_first() else { return Err(Failure::Usage) };
    let Some(name) = arguments.first() else { return Err(Failure::Usage) };
    let exact = KNOWN.iter().find(|(known, _)| known == name);
    let mut short = KNOWN.iter().filter(|(known, _)| known.starts_with(name.as_str()));
    match (exact, short.next(), short.next()) {
        (Some((_, run)), _, _) | (None, Some((_, run)), None) => run(shell, arguments),
        _ => Err(Failure::Usage),
    }
}

/// The letters of the options at the start of `arguments`, and what is behind them.
fn options<'a>(arguments: &'a [String], known: &str) -> Result<(String, &'a [String]), Failure> {
    let mut letters = String::new();
    let mut rest = arguments.get(1..).unwrap_or_default();
    while let Some((word, behind)) = rest.split_first().filter(|(word, _)| word.starts_with('-')) {
        letters.extend(word.chars().skip(1));
        rest = behind;
    }
    if letters.chars().all(|letter| known.contains(letter)) { Ok((letters, rest)) } else { Err(Failure::Usage) }
}

fn set(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (letters, rest) = options(arguments, "f")?;
    let Some((name, words)) = rest.split_first() else { return Err(Failure::Usage) };
    if name.contains('=') {
        return Err(Failure::because(format!("a name has no =, but \"{name}\" has; it is setenv NAME VALUE")));
    }
    let value = words.join(" ");
    check_access(shell, name, &value, letters.contains('f'))?;
    shell.store(name, &value)
}

/// Variables that a script finds set and changes only by force, as in U-Boot: what says which board this is.
const FIXED: [&str; 2] = ["ethaddr", "serial#"];

fn check_access(shell: &Shell<'_>, name: &str, value: &str, forced: bool) -> Result<(), Failure> {
    match shell.environment.get(name) {
        Some(there) if !forced && FIXED.contains(&name) && there != value => Err(Failure::because(format!(
            "{name} is this board's own, {there}; `env set -f {name} VALUE` changes it all the same"
        ))),
        _ => Ok(()),
    }
}

fn print(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (_, names) = options(arguments, "a")?;
    if names.is_empty() {
        let mut text = String::new();
        for (name, value) in shell.environment.iter() {
            text.push_str(&format!("{name}={value}\n"));
        }
        let size = text.len();
        shell.say(format_args!("{text}\nEnvironment size: {size}/{VARIABLES} bytes\n"))?;
        return Ok(true);
    }
    for name in names {
        let Some(value) = shell.environment.get(name) else {
            return Err(Failure::because(NotDefined::new(name, &shell.environment)));
        };
        let line = format!("{name}={value}\n");
        shell.say(format_args!("{line}"))?;
    }
    Ok(true)
}

/// `showvar [NAME...]`.
fn show_locals(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let names = arguments.get(1..).unwrap_or_default();
    let (mut text, mut all_known) = (String::new(), true);
    for (name, value) in shell.language.locals.iter() {
        if names.is_empty() || names.iter().any(|wanted| *wanted == *name) {
            text += &format!("{name}={value}\n");
        }
    }
    for name in names.iter().filter(|name| shell.language.locals.get(name).is_none()) {
        text += &format!("{name} is not set by NAME=VALUE\n");
        all_known = false;
    }
    shell.say(format_args!("{text}"))?;
    Ok(all_known)
}

fn default(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (letters, names) = options(arguments, "af")?;
    match (letters.contains('a'), names) {
        (true, []) => {
            shell.say(format_args!("## Resetting to default environment\n"))?;
            shell.environment = shell.defaults.clone();
        }
        (false, [_, ..]) => {
            for name in names {
                // What has no default stays as it is, as in U-Boot.
                if let Some(value) = shell.defaults.get(name).map(String::from) {
                    shell.store(name, &value)?;
                }
            }
        }
        _ => return Err(Failure::Usage),
    }
    if letters.contains('a') || names.iter().any(|name| name == "loadaddr") {
        shell.follow_load_address();
    }
    Ok(true)
}

fn delete(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (letters, names) = options(arguments, "f")?;
    let mut all_known = true;
    for name in names {
        check_access(shell, name, "", letters.contains('f'))?;
        all_known &= shell.environment.get(name).is_some();
        shell.environment.set(name, "");
    }
    Ok(all_known)
}

fn exists(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, name] = arguments else { return Err(Failure::Usage) };
    Ok(shell.environment.get(name).is_some())
}

fn info(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (letters, _) = options(arguments, "dpq")?;
    if !letters.contains('q') {
        shell.say(format_args!("variables cannot be saved: Xenlift writes to no card\n"))?;
    }
    // What a script asks by -p is whether they can.
    Ok(!letters.contains('p'))
}

fn save(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::because(
        "nothing is saved, because Xenlift never writes to a card; set the variable in boot.scr, or put it into uboot.env on another machine",
    ))
}

fn edit(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::because("variables are not edited in place; setenv NAME VALUE sets one, printenv NAME shows it"))
}

/// What the letters say about the format of a text in memory.
fn format_of(letters: &str) -> Result<Option<char>, Failure> {
    let mut formats = letters.chars().filter(|letter| "tbc".contains(*letter));
    match (formats.next(), formats.next()) {
        (format, None) => Ok(format),
        _ => Err(Failure::because("only one of -t, -b and -c can be the format")),
    }
}

fn import(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (letters, rest) = options(arguments, "tbcrd")?;
    let format = format_of(&letters)?;
    let Some((address, rest)) = rest.split_first() else { return Err(Failure::Usage) };
    if format.is_none() {
        shell.say(format_args!("## Warning: defaulting to text format\n"))?;
    }
    let format = format.unwrap_or('t');
    let start = number::hexadecimal(address)?;
    let separator = if format == 't' { b'\n' } else { 0 };
    let (size, names) = match rest.split_first() {
        Some((size, names)) if size != "-" => (Some(number::hexadecimal(size)?), names),
        Some((_, names)) => (None, names),
        None => (None, rest),
    };
    let mut range = match size {
        Some(size) => {
            if size > LARGEST {
                return Err(Failure::because(format!(
                    "{size} bytes are more than the {LARGEST} that can be variables"
                )));
            }
            PhysicalRange { start, end: start.saturating_add(size) }
        }
        None if format == 'c' => return Err(Failure::because("with -c the size must be said")),
        None => {
            let range = unsized_text(shell, start, separator)?;
            let size = range.size();
            shell.say(format_args!("## Info: input data size = {size} = 0x{size:X}\n"))?;
            range
        }
    };
    let block = shell.platform.memory(range)?;
    if format == 'c' {
        checked(block).map_err(Failure::because)?;
        range.start = range.start.saturating_add(CHECKSUM);
    }
    if letters.contains('d') {
        match names {
            [] => shell.environment = crate::shell::Environment::default(),
            names => names.iter().for_each(|name| shell.environment.set(name, "")),
        }
    }
    let format = TextFormat { separator, crlf: letters.contains('r') && separator == b'\n' };
    shell.import(format, range, &|name| names.is_empty() || names.iter().any(|wanted| *wanted == *name))?;
    Ok(true)
}

/// A text of variables of which only the start is known, with its end: a separator before a NUL.
fn unsized_text(shell: &Shell<'_>, start: u64, separator: u8) -> Result<PhysicalRange, Failure> {
    let bank = shell.platform.layout().banks().iter().find(|bank| bank.start <= start && start < bank.end);
    let end = bank.map_or(start.saturating_add(1), |bank| bank.end.min(start.saturating_add(LARGEST)));
    let bytes = shell.platform.memory(PhysicalRange { start, end }).map_err(Failure::because)?;
    let at = bytes.windows(2).position(|pair| pair == [separator, 0]);
    Ok(PhysicalRange { start, end: at.map_or(end, |at| start.saturating_add(at as u64 + 2)) })
}

fn export(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (mut letters, mut rest) = options(arguments, "tbcs")?;
    let mut size = None;
    if letters.contains('s') {
        size = Some(number::hexadecimal(rest.first().ok_or(Failure::Usage)?)?);
        let (more, behind) = options(rest, "tbc")?;
        letters.push_str(&more);
        rest = behind;
    }
    let format = format_of(&letters)?.unwrap_or('t');
    let separator = if format == 't' { '\n' } else { '\0' };
    let Some((address, names)) = rest.split_first() else { return Err(Failure::Usage) };
    let mut text = String::new();
    for (name, value) in shell.environment.iter() {
        if names.is_empty() || names.iter().any(|wanted| *wanted == *name) {
            text.push_str(name);
            text.push('=');
            for character in value.chars() {
                if character == separator || character == '\\' {
                    text.push('\\');
                }
                text.push(character);
            }
            text.push(separator);
        }
    }
    text.push('\0');
    let start = number::hexadecimal(address)?;
    let checksum = if format == 'c' { CHECKSUM } else { 0 };
    let length = text.len() as u64 + checksum;
    let block = size.or((format == 'c').then_some(BLOCK)).unwrap_or(length);
    if length > block {
        return Err(Failure::because(format!(
            "the variables have {length:#x} bytes, more than the {block:#x} allowed"
        )));
    }
    let range = PhysicalRange { start, end: start.saturating_add(block) };
    let bytes = shell.platform.memory_mut(range).map_err(Failure::because)?;
    bytes.fill(0);
    if let Some((crc, data)) = bytes.split_at_mut_checked(checksum as usize) {
        data.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        if format == 'c' {
            crc.copy_from_slice(&crc32(data).to_le_bytes());
        }
    }
    let size = if separator == '\n' { format!("{block:X}") } else { format!("{block:x}") };
    shell.store("filesize", &size)
}
