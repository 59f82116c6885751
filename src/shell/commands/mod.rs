//! The commands, one file a subject.

pub mod boot;
mod conditions;
pub mod devices;
mod entries;
pub mod fdt;
pub mod files;
mod fit;
pub mod image;
mod language;
mod machine;
pub mod memory;
pub mod menu;
pub mod network;
mod setexpr;
mod source;
mod tree;
mod variables;

use super::Command;

/// All commands; their order is that of `help`.
pub fn all() -> impl Iterator<Item = &'static Command> {
    const LISTS: &[&[Command]] = &[
        language::COMMANDS,
        conditions::COMMANDS,
        variables::COMMANDS,
        setexpr::COMMANDS,
        network::COMMANDS,
        files::COMMANDS,
        source::COMMANDS,
        boot::COMMANDS,
        menu::COMMANDS,
        entries::COMMANDS,
        machine::COMMANDS,
        devices::COMMANDS,
        fdt::COMMANDS,
        tree::COMMANDS,
        image::COMMANDS,
        memory::COMMANDS,
        memory::digest::COMMANDS,
    ];
    LISTS.iter().flat_map(|list| list.iter())
}

#[cfg(test)]
mod tests;
