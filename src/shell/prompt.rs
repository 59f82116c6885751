//! The prompt: lines that a person types, run one after the other by the same interpreter as scripts.
//!
//! It knows no console. Bytes come from the [`Platform`](super::Platform) and text goes there, so that all of it can be tried on a host. What is
//! typed or pasted while a command runs stays in the platform's buffer and is run afterwards; Ctrl-C ends a command, and forgets
//! the line that was begun.
//!
//! A line with which something came that nobody types is not run: bytes that no keyboard sends, errors of the line, characters that were lost, quotes and dashes
//! that only look like ASCII's. Half a command is another command, and what noise makes of one as well: after noise no line is run until the line has been
//! quiet for a moment ([`CALM`]). Of noise that is text all through nothing can be told here.
//!
//! A terminal that was made larger or smaller does not say so. It is asked anew with Ctrl-L, and with the first key after a while; its answer is taken when
//! it comes.
//!
//! Each line has the limits of a script for itself. Quotes, `if` and loops that a line leaves open go on in the next one, behind `> `.

use super::language::is_unfinished;
use super::{Failure, Leave, Shell};
use crate::terminal::burst::CALM;
use crate::terminal::key::{Decoder, Key};
use crate::terminal::line::{LONGEST_LINE, LineEditor, Outcome};
use crate::terminal::query::Query;
use crate::terminal::{Kind, is_misleading};
use crate::time::{Duration, Instant};
use alloc::string::String;
use core::fmt;

/// How long nobody may type before the prompt is left by itself.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// How long it may take from one command to the next that exists, whatever is typed meanwhile: noise types, too.
const LONGEST_NOISE: Duration = Duration::from_secs(3600);

/// Nobody has typed for so long: the terminal may be another size by now.
const LONG_AGO: Duration = Duration::from_secs(30);

/// Bytes of lines that are one command. What is typed is looked at anew with each line of it.
const LONGEST: usize = 16 << 10;

/// The key that clears the screen.
const CLEAR: Key = Key::Control(b'l');

const PROMPT: &str = "=> ";
const CONTINUATION: &str = "> ";

/// Why a line is not run.
enum Damage {
    Noise,
    AfterNoise,
    Lost,
    Misleading(char),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noise => f.write_str("bytes came with it that nobody types, as from noise on the line.")?,
            Self::AfterNoise => return f.write_str("it came right behind noise."),
            Self::Lost => f.write_str("characters of it were lost.")?,
            Self::Misleading(character) => write!(
                f,
                "U+{:04X} was in it, a quote, dash or blank of a word processor that is not ASCII's.",
                u32::from(*character)
            )?,
        }
        f.write_str(" Type it again, or look at it with the Up key.")
    }
}

/// Whoever sits at the prompt: his terminal, his history, and how long he may keep still.
pub struct Visitor {
    editor: LineEditor,
    decoder: Decoder,
    /// The question what the terminal is, as long as nobody else has asked it.
    query: Option<Query>,
    /// Whether the answer to it finds a screen that has just been cleared.
    cleared: bool,
    /// Garbage among what was typed that has been seen to, and when a byte came last.
    garbage: u32,
    heard: Instant,
    /// Whether a line was noise, and the line has not been quiet since.
    noisy: bool,
    /// Whether characters of the line were lost, and which is not what it looks like.
    lost: bool,
    misleading: Option<char>,
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
            cleared: false,
            garbage: 0,
            heard: Instant::default(),
            noisy: false,
            lost: false,
            misleading: None,
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
                    shell.platform.print(format_args!("Not run: {damage}\n"));
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
    /// What came with the line that was not typed.
    fn take_damage(&mut self, shell: &mut Shell<'_>) -> Option<Damage> {
        let garbage = core::mem::replace(&mut self.garbage, self.decoder.garbage()) != self.garbage;
        let lost = core::mem::take(&mut self.lost) | shell.platform.take_input_lost();
        let misleading = core::mem::take(&mut self.misleading);
        let noise = shell.platform.take_line_errors() | garbage;
        let was_noisy = self.noisy;
        self.noisy |= noise;
        match (noise, misleading) {
            (true, _) => Some(Damage::Noise),
            _ if was_noisy => Some(Damage::AfterNoise),
            _ if lost => Some(Damage::Lost),
            (false, misleading) => misleading.map(Damage::Misleading),
        }
    }

    /// The terminal has answered.
    fn take_kind(&mut self, now: Instant, shell: &mut Shell<'_>, out: &mut String) {
        let kind = self.query.map_or(Kind::Plain, |query| query.kind());
        shell.platform.set_terminal(kind);
        if kind == self.editor.kind() {
            return;
        }
        if core::mem::take(&mut self.cleared) {
            // What was drawn on the clear screen may have wrapped.
            self.editor.set_kind(kind, &mut String::new());
            _ = self.editor.key(now, CLEAR, shell, out);
        } else {
            self.editor.set_kind(kind, out);
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
                        (self.noisy, self.lost, self.misleading) = (false, false, None);
                        _ = shell.platform.take_line_errors();
                    }
                    self.editor.idle(now, shell, &mut out);
                    shell.platform.idle();
                    self.decoder.idle(now)
                }
            };
            let mut outcome = None;
            if let Some(key) = key {
                let is_back = now.since(self.typed) >= LONG_AGO && self.editor.kind() != Kind::Plain;
                self.typed = now;
                if let Key::Char(character) = key
                    && is_misleading(character)
                {
                    // The editor has no place for it: what is left is not what was pasted.
                    self.misleading = Some(character);
                }
                if self.query.as_mut().is_some_and(|query| query.key(key)) {
                    self.take_kind(now, shell, &mut out);
                } else {
                    outcome = self.editor.key(now, key, shell, &mut out);
                    if outcome.is_none() && (is_back || key == CLEAR) {
                        self.query = Some(Query::ask(now, &mut out));
                        self.cleared = key == CLEAR;
                    }
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
