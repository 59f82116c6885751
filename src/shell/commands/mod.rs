//! The commands, one file a subject.

use super::Command;

/// All commands; their order is that of `help`.
pub fn all() -> impl Iterator<Item = &'static Command> {
    const LISTS: &[&[Command]] = &[];
    LISTS.iter().flat_map(|list| list.iter())
}
