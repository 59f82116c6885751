//! The prompt: lines that a person types, run one after the other by the same interpreter as scripts.
//!
//! It knows no console. Bytes come from the [`Platform`](super::Platform) and text goes there, so that all of it can be tried on a host. What is
//! typed or pasted while a command runs stays in the platform's buffer and is run afterwards; Ctrl-C ends a command, and forgets
//! the line that was begun.
//!
//! Each line has the limits of a script for itself. Quotes, `if` and loops that a line leaves open go on in the next one, behind `> `.

use super::language::is_unfinished;
use super::{Failure, Leave, Shell};
use crate::terminal::key::{Decoder, Key};
use crate::time::{Duration, Instant};
use alloc::string::String;

/// How long nobody may type before the prompt is left by itself.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// How long it may take from one command to the next that exists, whatever is typed meanwhile: noise types, too.
const LONGEST_NOISE: Duration = Duration::from_secs(3600);

/// Bytes of lines that are one command. What is typed is looked at anew with each line of it.
const LONGEST: usize = 16 << 10;

const PROMPT: &str = "=> ";
const CONTINUATION: &str = "> ";

/// What is remembered of whoever sits at the prompt.
#[derive(Default)]
pub struct Visitor {}

/// Lets a person type commands until he leaves. `patience` is how long nobody may type; without it, as long as he likes.
pub fn run(shell: &mut Shell<'_>, _visitor: &mut Visitor, patience: Option<Duration>) -> Leave {
    let mut keyboard = Keyboard { decoder: Decoder::new(), patience, typed: shell.platform.now() };
    let mut command = shell.platform.now();
    let mut text = String::new();
    loop {
        let prompt = if text.is_empty() { PROMPT } else { CONTINUATION };
        let line = match keyboard.line(shell, prompt) {
            Typed::Line(line) => line,
            Typed::Interrupt => {
                shell.platform.print(format_args!("^C\n"));
                text.clear();
                continue;
            }
            Typed::End if text.is_empty() => {
                shell.platform.print(format_args!("exit\n"));
                return Leave::Menu;
            }
            Typed::End => continue,
            Typed::Nothing => {
                shell.platform.print(format_args!("\nNobody types: the prompt is left.\n"));
                return Leave::Idle;
            }
        };
        text.push_str(&line);
        text.push('\n');
        if text.len() <= LONGEST && is_unfinished(&text) {
            continue;
        }
        let outcome = shell.run_typed(&text);
        text.clear();
        let now = shell.platform.now();
        // A command has run: that was nobody's noise.
        if shell.status() == 0 {
            command = now;
        }
        keyboard.typed = now;
        match outcome {
            Err(Failure::Leave(leave)) => return leave,
            Err(Failure::Interrupted) => shell.platform.print(format_args!("^C\n")),
            _ => {}
        }
        if patience.is_some() && now.since(command) > LONGEST_NOISE {
            shell.platform.print(format_args!("No command for an hour: the prompt is left.\n"));
            return Leave::Idle;
        }
    }
}

/// What comes of waiting for a line.
enum Typed {
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D in an empty line.
    End,
    /// Nobody has typed for longer than the patience.
    Nothing,
}

/// Whoever types.
struct Keyboard {
    decoder: Decoder,
    patience: Option<Duration>,
    /// When a key was typed last.
    typed: Instant,
}

impl Keyboard {
    fn line(&mut self, shell: &mut Shell<'_>, prompt: &str) -> Typed {
        shell.platform.print(format_args!("{prompt}"));
        let mut line = String::new();
        loop {
            if shell.platform.interrupted() {
                return Typed::Interrupt;
            }
            let now = shell.platform.now();
            let key = match shell.platform.typed() {
                Some(byte) => self.decoder.byte(now, byte),
                None => self.decoder.idle(now),
            };
            let Some(key) = key else {
                if self.patience.is_some_and(|patience| now.since(self.typed) >= patience) {
                    return Typed::Nothing;
                }
                continue;
            };
            self.typed = now;
            match key {
                Key::Enter => {
                    shell.platform.print(format_args!("\n"));
                    return Typed::Line(line);
                }
                Key::Char(character) if line.len() < 4096 => {
                    line.push(character);
                    shell.platform.print(format_args!("{}", crate::terminal::shown(character)));
                }
                Key::Backspace if line.pop().is_some() => shell.platform.print(format_args!("\u{8} \u{8}")),
                Key::Control(b'd') if line.is_empty() => return Typed::End,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "prompt_tests.rs"]
mod tests;
