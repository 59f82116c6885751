//! Lines that a person types at the prompt.

use super::lexer::SyntaxError;
use super::parser::{Parser, Unit};
use crate::shell::{Outcome, Shell};

/// Whether `text`, lines that were typed so far, breaks off within quotes, an `if` or a loop, so that more has to come before it can be
/// run.
pub fn is_unfinished(text: &str) -> bool {
    let mut parser = Parser::new(text, Unit::Line, 0, 0);
    loop {
        match parser.next() {
            Ok(Some(_)) => {}
            Err(SyntaxError::Quote { .. } | SyntaxError::Unfinished { .. }) => return true,
            Ok(None) | Err(_) => return false,
        }
    }
}

impl Shell<'_> {
    /// Runs what was typed, as a script of its own: limits count anew. `exit` leaves the prompt.
    ///
    /// # Errors
    /// As [`run_script`](Self::run_script), and [`Failure::Leave`](crate::shell::Failure::Leave).
    pub fn run_typed(&mut self, text: &str) -> Outcome {
        self.language.typed = true;
        let outcome = self.run_script("", text);
        self.language.typed = false;
        if outcome.is_err() {
            self.language.status = 1;
        }
        outcome
    }

    /// Whether the command that is running was typed by itself, and is not part of a script.
    pub(in crate::shell) fn is_typed(&self) -> bool {
        self.language.typed && self.language.budget.depth == 1
    }
}
