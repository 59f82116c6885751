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

/// Commands of a kind, and what `help` calls the kind: without a name of its own, each has a line there.
pub type Group = (&'static str, &'static [&'static [Command]]);

/// All commands, in the order of `help`: what one needs first, and last what only says that it is not here.
pub const GROUPS: &[Group] = &[
    ("", &[entries::COMMANDS, machine::COMMANDS, tree::COMMANDS]),
    ("files", &[network::COMMANDS, files::COMMANDS, devices::COMMANDS, boot::COMMANDS, entries::SAME]),
    (
        "scripts",
        &[
            language::COMMANDS,
            conditions::COMMANDS,
            variables::COMMANDS,
            setexpr::COMMANDS,
            source::COMMANDS,
            menu::COMMANDS,
        ],
    ),
    ("in memory", &[fdt::COMMANDS, image::COMMANDS, memory::COMMANDS, memory::digest::COMMANDS]),
    ("no effect", &[devices::IDLE]),
    ("not here", &[files::NOT_HERE, boot::NOT_HERE, variables::NOT_HERE, memory::NOT_HERE, devices::NOT_HERE]),
];

/// All commands.
pub fn all() -> impl Iterator<Item = &'static Command> {
    GROUPS.iter().flat_map(|(_, lists)| lists.iter()).flat_map(|list| list.iter())
}

#[cfg(test)]
mod tests;
