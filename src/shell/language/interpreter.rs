//! Runs lists of commands.

use super::lexer::{SyntaxError, Word, is_name};
use super::limits::{COMMAND, DEPTH, Exceeded, TEXT, TOKENS};
use super::parser::{Action, Entry, Link, Mode, Parser, Unit};
use crate::shell::environment::NotDefined;
use crate::shell::{Failure, Outcome, Shell};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Where messages say that something happened.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    script: &'a str,
    line: u32,
}

/// In front of a message. What was typed has no name, and needs none.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.script.is_empty() { Ok(()) } else { write!(f, "{}, line {}: ", self.script, self.line) }
    }
}

impl Shell<'_> {
    /// Runs `text`, a line at a time. `name` is what messages call it: `boot.scr`, `the script at 0x2400000`.
    ///
    /// Mistakes are reported where they happen, with name and line. After one in the language the script ends; a command that fails
    /// changes `$?`, and the script goes on. What comes back is whether the last command succeeded.
    ///
    /// The text cannot change while it runs: it is the caller's copy, not the machine's memory, which the script may overwrite.
    ///
    /// # Errors
    /// What ends all scripts: [`Failure::Interrupted`], of which nothing has been said yet, [`Failure::Ended`], [`Failure::Abandoned`].
    pub fn run_script(&mut self, name: &str, text: &str) -> Outcome {
        self.run_text(name, text, Unit::Line)
    }

    /// Runs the commands in the variable `name`, which are understood as a whole before the first is run.
    ///
    /// # Errors
    /// As [`run_script`](Self::run_script), and [`Failure::Reason`] where there is no such variable.
    pub fn run_variable(&mut self, name: &str) -> Outcome {
        let Some(text) = self.environment.get(name).map(String::from) else {
            return Err(Failure::because(NotDefined::new(name, &self.environment)));
        };
        self.run_text(name, &text, Unit::Whole)
    }

    /// The exit status of the last command: 0 for success.
    pub fn status(&self) -> u8 {
        self.language.status
    }

    fn run_text(&mut self, name: &str, text: &str, unit: Unit) -> Outcome {
        let budget = &mut self.language.budget;
        budget.begin();
        let here = Place { script: name, line: 1 };
        if budget.depth >= DEPTH {
            return Err(self.abandon(here, Exceeded::Depth));
        }
        if budget.text.saturating_add(text.len()) > TEXT {
            return Err(self.abandon(here, Exceeded::Text));
        }
        budget.depth += 1;
        budget.text += text.len();
        let outcome = self.run_units(name, text, unit);
        let budget = &mut self.language.budget;
        budget.depth -= 1;
        budget.text -= text.len();
        match outcome {
            Err(Failure::Exit(status)) => {
                self.language.status = status;
                Ok(status == 0)
            }
            other => other,
        }
    }

    fn run_units(&mut self, name: &str, text: &str, unit: Unit) -> Outcome {
        let budget = &self.language.budget;
        let mut parser = Parser::new(text, unit, budget.tokens, budget.nesting);
        let mut succeeded = true;
        if let Some((lines, _)) = text.split_once("\r\n") {
            let line = lines.matches('\n').count() as u32 + 1;
            let what = "ends in CR LF: a CR is part of the last word here as in U-Boot, end lines in LF alone";
            self.complain(Place { script: name, line }, &what)?;
        }
        loop {
            let list = match parser.next() {
                Ok(Some(list)) => list,
                Ok(None) => return Ok(succeeded),
                Err(SyntaxError::Exceeded(exceeded)) => {
                    return Err(self.abandon(Place { script: name, line: parser.line() }, exceeded));
                }
                Err(error) => {
                    self.complain(Place { script: name, line: parser.line() }, &format_args!("syntax error: {error}"))?;
                    self.language.status = 1;
                    return Ok(false);
                }
            };
            if list.iter().all(|entry| entry.action == Action::Nothing) {
                // An empty line is no command that could succeed.
                continue;
            }
            let tokens = count(&list);
            self.language.budget.tokens += tokens;
            let outcome = self.run_list(name, &list);
            self.language.budget.tokens -= tokens;
            succeeded = outcome?;
        }
    }

    /// Runs a list; whether the last command that was run succeeded.
    fn run_list(&mut self, script: &str, list: &[Entry]) -> Outcome {
        // What the loops of the list hold.
        let mut held = 0;
        let outcome = self.run_entries(script, list, &mut held);
        self.language.budget.tokens -= held;
        outcome
    }

    fn run_entries(&mut self, script: &str, list: &[Entry], held: &mut usize) -> Outcome {
        let mut succeeded = true;
        // Whether the condition has failed: of the branch that is being looked at, and of the last one that was tried.
        let (mut refused, mut failed) = (false, false);
        // After `&&` and `||`: entries behind this word are skipped, up to the next `;`.
        let mut skipping: Option<Mode> = None;
        let mut may_skip = true;
        let mut first: Option<usize> = None;
        let mut again = false;
        let mut values: Option<alloc::vec::IntoIter<String>> = None;
        let mut index = 0;
        while let Some(entry) = list.get(index) {
            let at = index;
            index += 1;
            let mode = entry.mode;
            let place = Place { script, line: entry.line };
            if matches!(mode, Mode::While | Mode::Until | Mode::For) && first.is_none() {
                first = Some(at);
                again = false;
            }
            if skipping == Some(mode) && may_skip {
                may_skip = entry.link != Link::Always;
                continue;
            }
            may_skip = true;
            skipping = None;
            match mode {
                Mode::Then => {
                    refused = failed;
                    if refused {
                        continue;
                    }
                }
                Mode::Else => {
                    refused = failed;
                    if !refused {
                        continue;
                    }
                }
                Mode::Elif if !refused => break,
                Mode::In => continue,
                Mode::Do if !again => continue,
                Mode::Done => {
                    match first {
                        Some(start) if again => index = start,
                        _ => first = None,
                    }
                    continue;
                }
                Mode::For => {
                    let Action::Command(words) = &entry.action else { continue };
                    if values.is_none() {
                        let Some(Action::Command(words)) = list.get(index).map(|next| &next.action) else { continue };
                        let found = self.values(place, words)?;
                        *held += found.len();
                        self.language.budget.tokens += found.len();
                        values = Some(found.into_iter());
                        again = true;
                    }
                    let Some(value) = values.as_mut().and_then(Iterator::next) else {
                        values = None;
                        again = false;
                        continue;
                    };
                    self.tick(place)?;
                    let name = words.first().and_then(Word::plain).unwrap_or_default();
                    if !is_name(name) {
                        self.complain(place, &format_args!("\"{name}\" cannot be the name of a variable"))?;
                        self.language.status = 1;
                        return Ok(false);
                    }
                    self.set_local(place, name, &value)?;
                    self.language.status = 0;
                    succeeded = true;
                    continue;
                }
                _ => {}
            }
            succeeded = match &entry.action {
                Action::Nothing => continue,
                Action::Command(words) => self.run_words(place, words)?,
                Action::Group(list) => {
                    // There may be no command in it, and it may be the condition of a loop.
                    self.tick(place)?;
                    self.language.budget.nesting += 1;
                    let outcome = self.run_list(script, list);
                    self.language.budget.nesting -= 1;
                    outcome?
                }
            };
            self.language.status = u8::from(!succeeded);
            match mode {
                Mode::If | Mode::Elif => failed = !succeeded,
                Mode::While => again = succeeded,
                Mode::Until => again = !succeeded,
                _ => {}
            }
            let skip = if succeeded { Link::OnFailure } else { Link::OnSuccess };
            if entry.link == skip {
                skipping = Some(mode);
            }
        }
        Ok(succeeded)
    }

    /// The values of a `for`: what stands between spaces, quoted or not.
    fn values(&mut self, place: Place<'_>, words: &[Word]) -> Result<Vec<String>, Failure> {
        let mut values = Vec::new();
        let mut bytes = 0_usize;
        for word in words {
            let text = self.expand(word).map_err(|exceeded| self.abandon(place, exceeded))?;
            bytes = bytes.saturating_add(text.len());
            if bytes > COMMAND {
                return Err(self.abandon(place, Exceeded::Command));
            }
            values.extend(text.split(' ').filter(|value| !value.is_empty()).map(String::from));
            if self.language.budget.tokens.saturating_add(values.len()) > TOKENS {
                return Err(self.abandon(place, Exceeded::Tokens));
            }
        }
        Ok(values)
    }

    /// Counts a command, and looks whether Ctrl-C was pressed.
    pub(super) fn tick(&mut self, place: Place<'_>) -> Result<(), Failure> {
        if self.platform.interrupted() {
            return Err(Failure::Interrupted);
        }
        self.language.budget.command().map_err(|exceeded| self.abandon(place, exceeded))
    }

    pub(super) fn set_local(&mut self, place: Place<'_>, name: &str, value: &str) -> Result<(), Failure> {
        self.language.set_local(name, value).map_err(|exceeded| self.abandon(place, exceeded))
    }

    pub(super) fn complain(&mut self, place: Place<'_>, what: &dyn fmt::Display) -> Result<(), Failure> {
        self.say(format_args!("{place}{what}\n"))
    }

    /// Says which limit a script went beyond. It and all that started it end: they would only do it again.
    pub(super) fn abandon(&mut self, place: Place<'_>, exceeded: Exceeded) -> Failure {
        // The last word of all scripts under way, so it needs not be counted; it may say that too much has been printed.
        self.platform.print(format_args!("{place}{exceeded}\n"));
        Failure::Abandoned
    }
}

/// Words and separators in a list.
fn count(list: &[Entry]) -> usize {
    list.iter()
        .map(|entry| {
            1 + match &entry.action {
                Action::Nothing => 0,
                Action::Command(words) => words.iter().map(|word| 1 + word.pieces.len()).sum(),
                Action::Group(list) => count(list),
            }
        })
        .sum()
}
