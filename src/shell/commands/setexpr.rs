//! `setexpr`: arithmetic, texts by pattern, and formats.

use super::conditions::{Width, peek, peek_text, width};
use crate::shell::environment::NotDefined;
use crate::shell::language::limits::{COMMAND, Exceeded};
use crate::shell::pattern::Pattern;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;

/// The command.
pub const COMMANDS: &[Command] = &[Command {
    name: "setexpr",
    usage: USAGE,
    help: "sets a variable to the result of an expression",
    example: "setexpr next $fileaddr + $filesize",
    run: setexpr,
}];

const USAGE: &str = "NAME [*]A (+ - * / % & | ^) [*]B\nNAME [*]A\nNAME gsub PATTERN TEXT [IN]\nNAME sub PATTERN TEXT [IN]\nNAME fmt FORMAT [VALUE...]";

fn setexpr(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments {
        [_, name, word, pattern, text, rest @ ..] if (word == "gsub" || word == "sub") && rest.len() <= 1 => {
            substitute(shell, name, pattern, text, rest.first(), word == "gsub")
        }
        [_, name, word, form, values @ ..] if word == "fmt" => {
            let text = formatted(shell, form, values)?;
            shell.store(name, &text)
        }
        [command, name, a] => {
            let text = match width(command)? {
                Width::Text => text_operand(shell, a)?,
                Width::Bytes(bytes) => format!("{:x}", operand(shell, a, bytes)?),
            };
            shell.store(name, &text)
        }
        [command, name, a, operator, b] => {
            let text = match width(command)? {
                Width::Text if operator == "+" => text_operand(shell, a)? + &text_operand(shell, b)?,
                Width::Text => return Err(Failure::because("texts have only +")),
                Width::Bytes(bytes) => {
                    let (a, b) = (operand(shell, a, bytes)?, operand(shell, b, bytes)?);
                    format!("{:x}", calculate(a, operator, b)?)
                }
            };
            shell.store(name, &text)
        }
        _ => Err(Failure::Usage),
    }
}

fn operand(shell: &Shell<'_>, text: &str, bytes: u64) -> Result<u64, Failure> {
    match text.strip_prefix('*') {
        Some(address) => peek(shell, address, bytes),
        None => Ok(number::leading(text, 16)),
    }
}

fn text_operand(shell: &Shell<'_>, text: &str) -> Result<String, Failure> {
    match text.strip_prefix('*') {
        Some(address) => peek_text(shell, address),
        None => Err(Failure::because("with .s an operand is *ADDRESS")),
    }
}

fn calculate(a: u64, operator: &str, b: u64) -> Result<u64, Failure> {
    let zero = || Failure::because(format!("{a:x} {operator} 0: there is no division by 0"));
    Ok(match operator {
        "|" => a | b,
        "&" => a & b,
        "^" => a ^ b,
        "+" => a.wrapping_add(b),
        "-" => a.wrapping_sub(b),
        "*" => a.wrapping_mul(b),
        "/" => a.checked_div(b).ok_or_else(zero)?,
        "%" => a.checked_rem(b).ok_or_else(zero)?,
        _ => {
            return Err(Failure::because(format!("there is no operator \"{operator}\"; there are + - * / % & | ^")));
        }
    })
}

fn substitute(shell: &mut Shell<'_>, name: &str, pattern: &str, by: &str, text: Option<&String>, all: bool) -> Outcome {
    let text = match text {
        Some(text) => text.clone(),
        None => match shell.environment.get(name) {
            Some(text) => String::from(text),
            None => return Err(Failure::because(NotDefined::new(name, &shell.environment))),
        },
    };
    let pattern = Pattern::new(pattern).map_err(Failure::because)?;
    match pattern.replace(&text, by, all).map_err(Failure::because)? {
        None => {
            shell.say(format_args!("{text}: No match\n"))?;
            Ok(false)
        }
        Some(result) => {
            shell.say(format_args!("{name}={result}\n"))?;
            shell.store(name, &result)
        }
    }
}

/// The result of `fmt`: `%d %i %u %x %X %o %c %s %%`, with a width and the flags `-` and `0`. Values are numbers as C writes them.
fn formatted(shell: &Shell<'_>, form: &str, values: &[String]) -> Result<String, Failure> {
    const WIDEST: usize = 256;
    let mut values = values.iter();
    let mut result = String::new();
    let mut rest = form.chars();
    while let Some(character) = rest.next() {
        if result.len() > COMMAND {
            break;
        }
        if character != '%' {
            result.push(character);
            continue;
        }
        let (mut left, mut zeroes, mut width) = (false, false, 0_usize);
        let letter = loop {
            match rest.next() {
                Some('-') => left = true,
                Some('0') if width == 0 => zeroes = true,
                Some(digit @ '0'..='9') => {
                    width = (width * 10 + digit.to_digit(10).unwrap_or(0) as usize).min(WIDEST);
                }
                Some('l' | '#' | '+') => {}
                Some(letter) => break letter,
                None => return Err(Failure::because(format!("the format \"{form}\" ends behind a %"))),
            }
        };
        if letter == '%' {
            result.push('%');
            continue;
        }
        let value = values.next().map_or("0", String::as_str);
        let bits = match value.strip_prefix('*') {
            Some(address) => peek(shell, address, 8)?,
            None => number::signed(value).cast_unsigned(),
        };
        let text = match letter {
            'd' | 'i' => format!("{}", bits.cast_signed()),
            'u' => format!("{bits}"),
            'x' => format!("{bits:x}"),
            'X' => format!("{bits:X}"),
            'o' => format!("{bits:o}"),
            's' => String::from(value),
            'c' => value.chars().take(1).collect(),
            other => return Err(Failure::because(format!("there is no format %{other}; there are d i u x X o c s"))),
        };
        let padding = width.saturating_sub(text.chars().count());
        let fill = |with: char| core::iter::repeat_n(with, padding);
        match (left, zeroes && !matches!(letter, 's' | 'c')) {
            (true, _) => {
                result.push_str(&text);
                result.extend(fill(' '));
            }
            (false, false) => {
                result.extend(fill(' '));
                result.push_str(&text);
            }
            (false, true) => {
                let digits = text.strip_prefix('-');
                result.push_str(if digits.is_some() { "-" } else { "" });
                result.extend(fill('0'));
                result.push_str(digits.unwrap_or(&text));
            }
        }
    }
    // Not only where it is kept: a format of 64 KiB could ask for megabytes.
    if result.len() > COMMAND { Err(Failure::because(Exceeded::Value)) } else { Ok(result) }
}
