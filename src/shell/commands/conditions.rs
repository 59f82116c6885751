//! `test` and `itest`: what scripts decide by.
//!
//! Both read numbers as U-Boot does: as far as they go, so that what is no number is 0. `test` takes them as C writes them (`0x10`, `010`,
//! `10`), `itest` as hexadecimal.

use crate::range::PhysicalRange;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;
use core::cmp::Ordering;

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        usage: TEST,
        help: "decides: strings, numbers, files",
        example: "if test -e mmc 0:1 boot.scr; then echo there; fi",
        run: test,
    },
    Command {
        name: "[",
        usage: "TEST ]",
        help: "the same as test",
        example: "[ \"$board_rev\" = \"0x11\" ] && echo 4B",
        run: bracket,
    },
    Command {
        name: "itest",
        usage: ITEST,
        help: "compares numbers (.b .w .l .q) or strings (.s), in memory by *",
        example: "itest $filesize -gt 0 && echo loaded",
        run: itest,
    },
];

const TEST: &str = "A = B (!= < > -eq -ne -lt -le -gt -ge)\n-z TEXT\n-n TEXT\n-e INTERFACE DEVICE[:PARTITION] FILE\n! TEST\nTEST -a TEST (-o)";
const ITEST: &str = "[*]A == [*]B (!= <> < <= > >= -eq -ne -lt -le -gt -ge)";

fn bracket(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments.split_last() {
        Some((end, arguments)) if end == "]" => test(shell, arguments),
        _ => Err(Failure::because("the closing ] is missing")),
    }
}

/// What stands between two tests.
#[derive(Clone, Copy)]
enum Joint {
    And,
    Or,
}

fn test(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let mut rest = arguments.get(1..).unwrap_or_default();
    if rest.len() < 2 {
        return Ok(false);
    }
    let (mut holds, mut before) = (false, false);
    let mut inverted = false;
    let mut joint: Option<Joint> = None;
    loop {
        if rest.is_empty() {
            return Ok(holds);
        }
        let words: [&str; 4] = core::array::from_fn(|index| rest.get(index).map_or("", String::as_str));
        let (found, taken) = match words {
            [a, operator, b, _] if rest.len() >= 2 && is_comparison(operator) => {
                if rest.len() < 3 {
                    return Ok(true);
                }
                (compare(a, operator, b), 3)
            }
            ["!", ..] => {
                inverted = !inverted;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            ["-o", ..] | ["-a", ..] => {
                before = holds;
                joint = Some(if words[0] == "-o" { Joint::Or } else { Joint::And });
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            ["-z", text, ..] if rest.len() >= 2 => (text.is_empty(), 2),
            ["-n", text, ..] if rest.len() >= 2 => (!text.is_empty(), 2),
            ["-e", interface, device, path] if rest.len() >= 4 => (exists(shell, interface, device, path)?, 4),
            // A word by itself, as U-Boot takes it: true, and what follows is not looked at.
            _ => return Ok(true),
        };
        holds = found != inverted;
        inverted = false;
        holds = match joint.take() {
            Some(Joint::And) => before && holds,
            Some(Joint::Or) => before || holds,
            None => holds,
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
}

fn is_comparison(operator: &str) -> bool {
    matches!(operator, "=" | "!=" | "<" | ">" | "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge")
}

fn compare(a: &str, operator: &str, b: &str) -> bool {
    let order = if operator.starts_with('-') {
        number::signed(a).cmp(&number::signed(b))
    } else {
        a.as_bytes().cmp(b.as_bytes())
    };
    matches(operator, order)
}

/// Whether `order` is what `operator` asks for.
fn matches(operator: &str, order: Ordering) -> bool {
    match operator {
        "=" | "==" | "-eq" => order.is_eq(),
        "!=" | "<>" | "-ne" => order.is_ne(),
        "<" | "-lt" => order.is_lt(),
        "<=" | "-le" => order.is_le(),
        ">" | "-gt" => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn exists(shell: &mut Shell<'_>, interface: &str, device: &str, path: &str) -> Outcome {
    let partition = super::files::partition(interface, device)?;
    match shell.platform.find(&partition, path) {
        Ok(found) => Ok(found.is_some()),
        Err(Failure::Reason(reason)) => {
            // Scripts ask for one file after another: once is enough.
            if !core::mem::replace(&mut shell.has_noted, true) {
                shell.say(format_args!("note: test -e {partition}: {reason}\n"))?;
            }
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

/// What the letter behind a command's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// This many bytes.
    Bytes(u64),
    /// A string.
    Text,
}

/// The width that a command's name asks for: `.b`, `.w`, `.l`, `.q`, `.s`; four bytes without.
pub(super) fn width(name: &str) -> Result<Width, Failure> {
    Ok(match name.rsplit_once('.') {
        None => Width::Bytes(4),
        Some((_, "b")) => Width::Bytes(1),
        Some((_, "w")) => Width::Bytes(2),
        Some((_, "l")) => Width::Bytes(4),
        Some((_, "q")) => Width::Bytes(8),
        Some((_, "s")) => Width::Text,
        Some((_, other)) => {
            return Err(Failure::because(format!(
                "there is no width .{other}, only .b .w .l .q (1, 2, 4, 8 bytes) and .s"
            )));
        }
    })
}

/// The number in memory at `address`, of `bytes` bytes, as this little-endian board reads it.
pub(super) fn peek(shell: &Shell<'_>, address: &str, bytes: u64) -> Result<u64, Failure> {
    let start = number::hexadecimal(address)?;
    let range = PhysicalRange { start, end: start.saturating_add(bytes) };
    let bytes = shell.platform.memory(range).map_err(Failure::because)?;
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The string in memory at `address`, up to its NUL.
pub(super) fn peek_text(shell: &Shell<'_>, address: &str) -> Result<String, Failure> {
    /// As far as U-Boot looks.
    const LONGEST: u64 = 64 << 10;
    let start = number::hexadecimal(address)?;
    let bank = shell.platform.layout().banks().iter().find(|bank| bank.start <= start && start < bank.end);
    let end = bank.map_or(start.saturating_add(1), |bank| bank.end.min(start.saturating_add(LONGEST)));
    let bytes = shell.platform.memory(PhysicalRange { start, end }).map_err(Failure::because)?;
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn itest(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [name, a, operator, b] = arguments else { return Err(Failure::Usage) };
    let known = ["==", "!=", "<>", "<", "<=", ">", ">=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge"];
    if !known.contains(&operator.as_str()) {
        return Err(Failure::because(format!("there is no comparison \"{operator}\"; there are {}", known.join(" "))));
    }
    let order = match width(name)? {
        Width::Text => {
            let text = |argument: &str| match argument.strip_prefix('*') {
                Some(address) => peek_text(shell, address),
                None => Ok(String::from(argument)),
            };
            text(a)?.as_bytes().cmp(text(b)?.as_bytes())
        }
        Width::Bytes(bytes) => {
            let mask = if bytes >= 8 { u64::MAX } else { (1 << (bytes * 8)) - 1 };
            let value = |argument: &str| match argument.strip_prefix('*') {
                Some(address) => peek(shell, address, bytes),
                None => Ok(number::leading(argument, 16) & mask),
            };
            value(a)?.cast_signed().cmp(&value(b)?.cast_signed())
        }
    };
    Ok(matches(operator, order))
}
