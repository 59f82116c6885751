//! The prompt: lines that a person types, run one after the other by the same interpreter as scripts.
//!
//! It knows no console. Bytes come from the [`Platform`](super::Platform) and text goes there, so that all of it can be tried on a host. What is
//! typed or pasted while a command runs stays in the platform's buffer and is run afterwards; Ctrl-C ends a command, and forgets
//! the line that was begun.
//!
//! A line with which something came that nobody types is not run: bytes that no keyboard sends, errors of the line, characters that were lost. Half a command
//! is another command, and what noise makes of one as well. Of noise that is text all through nothing can be told here.
//!
//! Each line has the limits of a script for itself. Quotes, `if` and loops that a line leaves open go on in the next one, behind `> `.

use super::language::is_unfinished;
use super::{Failure, Leave, Shell};
use crate::terminal::burst::CALM;
use crate::terminal::key::{Decoder, Key};
use crate::terminal::line::{LONGEST_LINE, LineEditor, Outcome};
use crate::terminal::query::Query;
use crate::terminal::{Kind, is_one_cell};
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

/// Whoever sits at the prompt: his terminal, his history, and how long he may keep still.
pub struct Visitor {
    editor: LineEditor,
    decoder: Decoder,
    /// The question what the terminal is, as long as nobody else has asked it.
    query: Option<Query>,
    /// Garbage among what was typed that has been seen to, and when a byte came last.
    garbage: u32,
    heard: Instant,
    /// Whether characters of the line were lost, or not known.
    lost: bool,
    foreign: bool,
    /// When a key was typed last, and when a command last succeeded.
    typed: Instant,
    succeeded: Instant,
}

impl Default for Visitor {
    fn default() -> Self {
        Self {
            editor: LineEditor::new(Kind::Plain),
            decoder: Decoder::new(),
            query: None,
            garbage: 0,
            heard: Instant::default(),
            lost: false,
            foreign: false,
            typed: Instant::default(),
            succeeded: Instant::default(),
        }
    }
}

/// Lets a person type commands until he leaves. `kind` is what his terminal is, which is asked here if nobody has; `patience` is how long nobody
/// may type; without it, as long as he likes.
pub fn run(shell: &mut Shell<'_>, visitor: &mut Visitor, kind: Option<Kind>, patience: Option<Duration>) -> Leave {
    let now = shell.platform.now();
    visitor.decoder = Decoder::new();
    visitor.garbage = 0;
    (visitor.typed, visitor.succeeded) = (now, now);
    if let Some(kind) = kind {
        visitor.editor.set_kind(kind, &mut String::new());
    } else if visitor.query.is_none() {
        // The answer is not waited for: it is taken when it comes, and until then nothing is lost but the looks.
        let mut question = String::new();
        visitor.query = Some(Query::ask(now, &mut question));
        shell.platform.print(format_args!("{question}"));
    }
    let mut text = String::new();
    loop {
        let prompt = if text.is_empty() { PROMPT } else { CONTINUATION };
        let line = match visitor.line(shell, prompt, patience) {
            Some(Outcome::Entered(line)) => match visitor.take_damage(shell) {
                None => line,
                // Nothing was typed that could be missed.
                Some(_) if line.is_empty() => continue,
                Some(damage) => {
                    shell
                        .platform
                        .print(format_args!("Not run: {damage}. Type it again, or look at it with the Up key.\n"));
                    text.clear();
                    continue;
                }
            },
            Some(Outcome::TooLong) => {
                shell.platform.print(format_args!("a line has at most {LONGEST_LINE} bytes; nothing was run\n"));
                text.clear();
                continue;
            }
            Some(Outcome::Interrupted) => {
                text.clear();
                continue;
            }
            Some(Outcome::EndOfInput) if text.is_empty() => return Leave::Menu,
            Some(Outcome::EndOfInput) => continue,
            None => {
                shell.platform.print(format_args!("\nNobody is here: the prompt is left.\n"));
                return Leave::Idle;
            }
        };
        text.push_str(&line);
        text.push('\n');
        if text.len() <= LONGEST && is_unfinished(&text) {
            continue;
        }
        let outcome = shell.run_typed(&core::mem::take(&mut text));
        match outcome {
            Err(Failure::Leave(leave)) => return leave,
            Err(Failure::Interrupted) => shell.platform.print(format_args!("^C\n")),
            _ => {}
        }
        visitor.typed = shell.platform.now();
        if shell.status() == 0 {
            // Nobody's noise.
            visitor.succeeded = visitor.typed;
        }
    }
}

impl Visitor {
    /// What his terminal is, if it was asked here and has answered.
    pub fn terminal(&self) -> Option<Kind> {
        self.query.map(|query| query.kind()).filter(|kind| *kind != Kind::Plain)
    }

    /// What came with the line that was not typed, in words.
    fn take_damage(&mut self, shell: &mut Shell<'_>) -> Option<&'static str> {
        let garbage = core::mem::replace(&mut self.garbage, self.decoder.garbage()) != self.garbage;
        let lost = core::mem::take(&mut self.lost) | shell.platform.take_input_lost();
        let foreign = core::mem::take(&mut self.foreign);
        match shell.platform.take_line_errors() | garbage {
            true => Some("bytes came with it that nobody types, as from noise on the line"),
            false if lost => Some("characters of it were lost"),
            false if foreign => Some("it has characters that are not known here"),
            false => None,
        }
    }

    /// A line, or how it ended otherwise; `None` where patience has.
    fn line(&mut self, shell: &mut Shell<'_>, prompt: &str, patience: Option<Duration>) -> Option<Outcome> {
        if shell.platform.take_input_lost() {
            shell.platform.print(format_args!("Typed characters were lost: look at what came before you go on.\n"));
            // What is left of them comes with this line.
            self.lost = true;
        }
        // The editor writes while it asks the shell for names, so it writes here first.
        let mut out = String::new();
        self.editor.begin(prompt, "", &mut out);
        loop {
            let interrupted = shell.platform.interrupted();
            let now = shell.platform.now();
            let byte = if interrupted { None } else { shell.platform.typed() };
            let key = match byte {
                _ if interrupted => Some(Key::Control(b'c')),
                Some(byte) => {
                    self.heard = now;
                    self.decoder.byte(now, byte)
                }
                None => {
                    if self.editor.is_empty() && now.since(self.heard) >= CALM {
                        // What is typed now has nothing to do with the noise before it.
                        self.garbage = self.decoder.garbage();
                        (self.lost, self.foreign) = (false, false);
                        _ = shell.platform.take_line_errors();
                    }
                    self.editor.idle(now, shell, &mut out);
                    self.decoder.idle(now)
                }
            };
            let mut outcome = None;
            if let Some(key) = key {
                self.typed = now;
                // The editor has no place for it: what is left is not what was pasted.
                self.foreign |= matches!(key, Key::Char(character) if !is_one_cell(character));
                if self.query.as_mut().is_some_and(|query| query.key(key)) {
                    self.editor.set_kind(self.query.map_or(Kind::Plain, |query| query.kind()), &mut out);
                } else {
                    outcome = self.editor.key(now, key, shell, &mut out);
                }
            }
            if !out.is_empty() {
                shell.platform.print(format_args!("{out}"));
                out.clear();
            }
            if outcome.is_some() {
                return outcome;
            }
            let still = |since: Instant, longest: Duration| now.since(since) >= longest;
            if patience.is_some_and(|patience| still(self.typed, patience) || still(self.succeeded, LONGEST_NOISE)) {
                return None;
            }
        }
    }
}

#[cfg(test)]
#[path = "prompt_tests.rs"]
mod tests;
