//! Variables put into words.

use super::State;
use super::lexer::{Piece, Word};
use super::limits::{COMMAND, Exceeded};
use crate::shell::{Failure, Outcome, Shell};
use alloc::string::String;
use core::fmt::Write as _;

/// Variables without a value that a message names, and bytes of the name of one.
const MOST_UNSET: usize = 4;
const LONGEST_UNSET: usize = 64;

impl State {
    /// Sets a local variable. An empty value changes nothing, as in U-Boot.
    pub(in crate::shell) fn set_local(&mut self, name: &str, value: &str) -> Result<(), Exceeded> {
        if value.is_empty() { Ok(()) } else { self.locals.store(name, value) }
    }
}

impl Shell<'_> {
    /// A variable's value: the environment's, or else the local one.
    pub(in crate::shell) fn value(&self, name: &str) -> Option<&str> {
        self.environment.get(name).or_else(|| self.language.locals.get(name))
    }

    /// Sets a variable of the environment, within the limits of what it may hold.
    pub(in crate::shell) fn store(&mut self, name: &str, value: &str) -> Outcome {
        self.environment.store(name, value).map_err(Failure::because)?;
        if name == "loadaddr" {
            self.follow_load_address();
        }
        Ok(true)
    }

    /// Puts a word's variables in. Where it has any, its newlines become spaces.
    pub(super) fn expand(&mut self, word: &Word) -> Result<String, Exceeded> {
        let mut text = String::new();
        for piece in &word.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                // Into a String: cannot fail.
                Piece::Status => drop(write!(text, "{}", self.language.status)),
                Piece::Variable(reference) => self.look_up(reference, &mut text)?,
            }
            if text.len() > COMMAND {
                return Err(Exceeded::Command);
            }
        }
        Ok(if word.variables() > 0 { text.replace('\n', " ") } else { text })
    }

    /// `name`, `name:-default`, `name:=default`, `name:+other`.
    fn look_up(&mut self, reference: &str, text: &mut String) -> Result<(), Exceeded> {
        let (name, operation) = reference.split_once(':').unwrap_or((reference, ""));
        let other = operation.get(1..).unwrap_or_default();
        match (self.value(name).filter(|value| !value.is_empty()), operation.chars().next()) {
            (Some(_), Some('+')) => {}
            (Some(value), _) => text.push_str(value),
            (None, Some('=')) => {
                self.language.set_local(name, other)?;
                text.push_str(other);
            }
            (None, Some('-' | '+')) => text.push_str(other),
            (None, _) => {
                let unset = &mut self.language.unset;
                if unset.len() < MOST_UNSET && name.len() <= LONGEST_UNSET && !unset.iter().any(|known| known == name) {
                    unset.push(String::from(name));
                }
            }
        }
        Ok(())
    }
}
