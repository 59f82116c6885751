//! One command: its variables put in, its name looked up, itself run.

use super::interpreter::Place;
use super::lexer::{Lexer, Rules, SyntaxError, Token, Word, assignment};
use super::limits::{COMMAND, Exceeded};
use crate::config::nearest::nearest;
use crate::shell::completion::nearest_word;
use crate::shell::{Command, Failure, Outcome, Shell, commands};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

impl Shell<'_> {
    /// A command with what stands before it, `name=value`.
    pub(super) fn run_words(&mut self, place: Place<'_>, words: &[Word]) -> Outcome {
        self.tick(place)?;
        self.language.unset.clear();
        let mut variables: usize = words.iter().map(Word::variables).sum();
        let assignments = words.iter().take_while(|word| word.is_assignment()).count();
        let (assigned, words) = words.split_at_checked(assignments).unwrap_or((words, &[]));
        for word in assigned {
            let text = self.expand(word).map_err(|exceeded| self.abandon(place, exceeded))?;
            if let Some((name, value)) = assignment(&text) {
                self.set_local(place, name, value)?;
            }
            variables = variables.saturating_sub(usize::from(word.variables() > 0));
        }
        if words.is_empty() {
            return Ok(true);
        }
        if variables == 0 {
            let arguments = words.iter().map(|word| word.plain().unwrap_or_default().to_string()).collect();
            return self.run_command(place, arguments);
        }
        // A mistake in a value leaves $? as it was, and so does a command of which nothing is left.
        let unchanged = self.language.status == 0;
        let text = self.put_together(place, words)?;
        let Some(mut arguments) = self.split_again(place, &text)? else { return Ok(unchanged) };
        // A command can start scripts; nothing is kept for it that it does not need.
        drop(text);
        let assignments = arguments.iter().take_while(|text| assignment(text).is_some()).count();
        for text in arguments.drain(..assignments.min(arguments.len())) {
            if let Some((name, value)) = assignment(&text) {
                self.set_local(place, name, value)?;
            }
        }
        if arguments.is_empty() {
            return Ok(assignments > 0 || unchanged);
        }
        self.run_command(place, arguments)
    }

    /// The words of a command with its variables put in; `None` after a mistake, which has been told.
    fn split_again(&mut self, place: Place<'_>, text: &str) -> Result<Option<Vec<String>>, Failure> {
        let mut lexer = Lexer::new(text, Rules::Expanded, self.language.budget.tokens);
        let mut arguments = Vec::new();
        loop {
            match lexer.next() {
                Ok(Some(Token::Word(word))) => arguments.push(word.plain().unwrap_or_default().to_string()),
                Ok(_) => return Ok(Some(arguments)),
                Err(SyntaxError::Exceeded(exceeded)) => return Err(self.abandon(place, exceeded)),
                Err(error) => {
                    self.complain(place, &format_args!("syntax error with its variables put in: {error}\n    {text}"))?;
                    return Ok(None);
                }
            }
        }
    }

    /// The text of a command with its variables put in: what is quoted stays together by single quotes.
    fn put_together(&mut self, place: Place<'_>, words: &[Word]) -> Result<String, Failure> {
        let mut text = String::new();
        for word in words {
            if !text.is_empty() {
                text.push(' ');
            }
            let quote = if word.quoted { "'" } else { "" };
            let expanded = self.expand(word).map_err(|exceeded| self.abandon(place, exceeded))?;
            text.push_str(quote);
            text.push_str(&expanded);
            text.push_str(quote);
            if text.len() > COMMAND {
                return Err(self.abandon(place, Exceeded::Command));
            }
        }
        Ok(text)
    }

    fn run_command(&mut self, place: Place<'_>, arguments: Vec<String>) -> Outcome {
        let Some(name) = arguments.first() else { return Ok(true) };
        let command = match find(name) {
            // A list of commands in one word is a variable that was to be `run`.
            _ if name.contains(';') => Err(Unknown::List),
            found => found,
        };
        let mut unset = Unset(core::mem::take(&mut self.language.unset));
        let command = match command {
            Ok(command) => command,
            Err(unknown) => {
                self.complain(place, &format_args!("unknown command '{name}'{unknown}{unset}"))?;
                return Ok(false);
            }
        };
        if !unset.0.is_empty() && goes_wrong_in_silence(command, &arguments) {
            self.complain(place, &format_args!("note:{unset}"))?;
            unset.0.clear();
        }
        // They stay while the command runs, which can be a script.
        let bytes: usize = arguments.iter().map(String::len).sum();
        let budget = &mut self.language.budget;
        budget.tokens += arguments.len();
        budget.text += bytes;
        let outcome = (command.run)(self, &arguments);
        let budget = &mut self.language.budget;
        budget.tokens -= arguments.len();
        budget.text -= bytes;
        match outcome {
            Err(Failure::Usage) => {
                let word = arguments.get(1).map_or("", String::as_str);
                match nearest_word(command, word).filter(|near| *near != word) {
                    Some(near) => {
                        self.complain(place, &format_args!("{name} has no {word}: did you mean {near}?{unset}"))?
                    }
                    None => self.complain(place, &format_args!("{name} does not take these arguments{unset}"))?,
                }
                self.print_usage(command, word)?;
                Ok(false)
            }
            Err(Failure::Reason(reason)) => {
                self.complain(place, &format_args!("{name}: {reason}{unset}"))?;
                Ok(false)
            }
            other => other,
        }
    }

    /// The forms of a command: those that begin with `word`, where there are any.
    pub(in crate::shell) fn print_usage(&mut self, command: &Command, word: &str) -> Result<(), Failure> {
        let is_meant = |form: &&str| {
            let first = form.split(' ').next().unwrap_or_default();
            !first.is_empty() && !word.is_empty() && (first.starts_with(word) || word.starts_with(first))
        };
        let all = !command.usage.lines().any(|form| is_meant(&form));
        for form in command.usage.lines().filter(|form| all || is_meant(form)) {
            let space = if form.is_empty() { "" } else { " " };
            self.say(format_args!("    {}{space}{form}\n", command.name))?;
        }
        Ok(())
    }
}

/// Commands that Debian's U-Boot for this board does not have: they do not stand in the way of what its scripts shorten (`h`, `en`, `re`).
const OWN: &[&str] =
    &["entries", "hash", "log", "memory", "plan", "reload", "selftest", "sha256sum", "timing", "tree", "watchdog"];

/// Variables without a value, behind a message.
struct Unset(Vec<String>);

impl fmt::Display for Unset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| write!(f, " (${{{name}}} is not set)"))
    }
}

/// Whether `command` may well succeed with a word less or an empty value, and do something else than was meant: one that takes an address, where
/// one is missing, or `fdt set`.
fn goes_wrong_in_silence(command: &Command, arguments: &[String]) -> bool {
    let fewest = match command.name {
        "fdt" => return arguments.get(1).is_some_and(|word| word.starts_with("se")),
        "tftpboot" | "dhcp" => 3,
        "load" | "fatload" => 5,
        "source" => 2,
        "booti" | "bootm" => 4,
        _ => return false,
    };
    arguments.len() < fewest
}

/// The command called `name` up to the first `.`, or the only one that begins so.
pub(in crate::shell) fn find(name: &str) -> Result<&'static Command, Unknown> {
    let stem = name.split('.').next().unwrap_or_default();
    if let Some(exact) = commands::all().find(|command| command.name == stem) {
        return Ok(exact);
    }
    for own in [false, true] {
        let is_meant = |command: &&Command| command.name.starts_with(stem) && OWN.contains(&command.name) == own;
        let mut short = commands::all().filter(is_meant).filter(|_| !stem.is_empty());
        match (short.next(), short.next()) {
            (Some(only), None) => return Ok(only),
            (Some(one), Some(other)) => return Err(Unknown::Ambiguous(one.name, other.name)),
            (None, _) => {}
        }
    }
    Err(nearest(stem, commands::all().map(|command| command.name)).map_or(Unknown::Far, Unknown::Near))
}

/// Why there is no such command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) enum Unknown {
    /// None is called similarly.
    Far,
    /// This one is called similarly.
    Near(&'static str),
    /// It is short for more than one, of which these are two.
    Ambiguous(&'static str, &'static str),
    /// It is a list of commands.
    List,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Far => f.write_str(" (help lists all)"),
            Self::Near(name) => write!(f, ": did you mean {name}?"),
            Self::Ambiguous(one, other) => write!(f, ": it is short for {one} and for {other}"),
            Self::List => f.write_str(": commands in a variable are started with run"),
        }
    }
}
