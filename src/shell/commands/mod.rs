//! The commands, one file a subject.

pub mod fdt;
pub mod image;

use super::Command;

/// All commands; their order is that of `help`.
pub fn all() -> impl Iterator<Item = &'static Command> {
    const LISTS: &[&[Command]] = &[fdt::COMMANDS, image::COMMANDS];
    LISTS.iter().flat_map(|list| list.iter())
}
