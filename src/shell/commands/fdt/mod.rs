//! The `fdt` commands: everything that scripts do with a device tree, on the tree at the address that `fdt addr` named.
//!
//! Forms, values and output are U-Boot's (`cmd/fdt.c`; the tests have recorded answers). What differs, on purpose: the tree grows by itself
//! ([`working_tree`](crate::shell::working_tree)), whatever goes wrong is said in words and leaves the tree as it was, and what U-Boot passes over in silence
//! is noted. New nodes and properties come first, as in U-Boot, since domains are numbered in the order of their nodes.
//!
//! `value` – what `fdt set` sets. `change`, `get`, `place`, `print` – the commands.

pub(super) mod change;
mod get;
mod place;
pub(super) mod print;
mod value;

use super::super::{Command, Failure, Outcome, Shell};
use crate::shell::completion::nearest_word;
use alloc::format;
use alloc::string::String;

/// The commands of this module.
pub const COMMANDS: &[Command] = &[Command {
    name: "fdt",
    usage: "addr [-c] [-q] [ADDRESS [SIZE]]
resize [EXTRA]
set PATH PROPERTY [VALUE...]
mknode PATH NAME
rm PATH [PROPERTY]
get value VARIABLE PATH PROPERTY [INDEX]
get name VARIABLE PATH INDEX
get addr VARIABLE PATH PROPERTY
get size VARIABLE PATH [PROPERTY]
print [PATH [PROPERTY]]
list [PATH [PROPERTY]]
apply ADDRESS
chosen [START SIZE]
memory ADDRESS SIZE
rsvmem print
rsvmem add ADDRESS SIZE
rsvmem delete INDEX
header [get VARIABLE MEMBER]
move FROM TO [SIZE]
bootcpu ID
boardsetup
systemsetup",
    help: "work on a device tree; VALUE is <CELLS>, [BYTES] or texts; a PATH without / begins with an alias",
    example: "fdt addr $fdt_addr; fdt set /chosen bootargs console=hvc0",
    run,
}];

/// What one of the commands does: its arguments are those behind its name.
type Work = fn(&mut Shell<'_>, &[String]) -> Outcome;

/// The commands by what their names begin with, in the order in which U-Boot looks: `fdt mknod` and `fdt p` are what scripts say.
const WORK: &[(&str, Work)] = &[
    ("ad", place::address),
    ("mo", place::move_to),
    ("sys", already_done),
    ("mk", change::make_node),
    ("se", change::set),
    ("g", get::get),
    ("p", print::print),
    ("l", print::list),
    ("rm", change::remove),
    ("h", print::header),
    ("boo", change::boot_processor),
    ("me", change::memory),
    ("rs", change::reservations),
    ("boa", already_done),
    ("cho", change::chosen),
    ("che", not_checked),
    ("ap", change::apply),
    ("re", place::resize),
];

fn run(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, name, rest @ ..] = arguments else { return Err(Failure::Usage) };
    let (_, work) = WORK.iter().find(|(start, _)| name.starts_with(start)).ok_or_else(|| {
        match COMMANDS.first().and_then(|fdt| nearest_word(fdt, name)) {
            Some(near) => Failure::because(format!("fdt has no {name}: did you mean fdt {near}?")),
            None => Failure::because(format!("fdt has no {name}; `help fdt` shows what it has")),
        }
    })?;
    work(shell, rest)
}

/// `fdt boardsetup`, `fdt systemsetup`.
fn already_done(shell: &mut Shell<'_>, _: &[String]) -> Outcome {
    shell.tree()?;
    shell.say(format_args!(
        "note: fdt boardsetup and systemsetup change nothing: what the firmware knows is in its own tree\n"
    ))?;
    Ok(true)
}

/// `fdt checksign`.
fn not_checked(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::because("signatures are not checked by this loader; take the command out if the image may be trusted"))
}

/// There is no node at `path`, because `component` of it is not there.
fn no_node(path: &str, component: &str) -> Failure {
    if path.trim_matches('/') == component {
        return Failure::because(format!("the device tree has no node {path}"));
    }
    Failure::because(format!("the device tree has no node {path}: no {component} there"))
}

fn no_property(path: &str, name: &str) -> Failure {
    Failure::because(format!("device tree node {path} has no property {name}"))
}

/// A count from 0, in `base`.
fn index(text: &str, base: u32) -> Result<usize, Failure> {
    let digits = if base == 16 { text.strip_prefix("0x").unwrap_or(text) } else { text };
    usize::from_str_radix(digits, base).map_err(|_| Failure::because(format!("{text:?} is no index")))
}
