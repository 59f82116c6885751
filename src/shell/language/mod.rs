//! The language itself: U-Boot's, as its older parser (2023.01's only one, and still the default) understands it.
//!
//! `docs/u-boot.md` is the description for people. In short: a text is read a line at a time, or, where it comes from a variable, at once
//! (`parser::Unit`); `lexer` makes words and separators of it, `parser` lists of commands, `interpreter` runs those, and `command_line` a single command.
//!
//! The one thing that surprises: a command in which a variable stands is put together as text and split into words again, so
//! quotes, backslashes and `#` in values count (`;`, `&`, `|` and `$` do not). Scripts rely on it (`setenv args 'a b'; cmd $args`), and the
//! answers in `tests/shell/cases`, recorded from a real U-Boot, hold us to it.
//!
//! Everything is bounded, because a script can come from anywhere: `limits`.

mod command_line;
mod expansion;
mod interpreter;
mod lexer;
pub mod limits;
mod parser;
#[cfg(test)]
mod tests;
mod typed;

pub(in crate::shell) use command_line::find;
pub use lexer::SyntaxError;
pub use typed::is_unfinished;

use super::Environment;
use alloc::string::String;
use alloc::vec::Vec;

/// What the language keeps between commands.
#[derive(Default)]
pub(super) struct State {
    /// Variables that `name=value` sets. They are looked at where the environment has none of that name.
    pub(super) locals: Environment,
    /// `$?`.
    pub(super) status: u8,
    pub(super) budget: limits::Budget,
    /// Variables of the command under way that have no value, the first few of them.
    unset: Vec<String>,
    /// What runs was typed at the prompt.
    typed: bool,
}
