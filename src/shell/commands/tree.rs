//! `tree`: the device tree to look at, and what became of the firmware's.

use super::fdt::print;
use super::machine::Text;
use crate::device_tree::Tree;
use crate::device_tree::difference::{self, difference};
use crate::shell::working_tree::tree_at;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::string::String;

/// The command.
pub const COMMANDS: &[Command] = &[Command {
    name: "tree",
    usage: "print [PATH [PROPERTY]]\ndiff [ADDRESS]",
    help: "the tree of the fdt commands; what differs from the firmware's",
    example: "tree diff",
    run: tree,
}];

fn tree(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, what, rest @ ..] = arguments else { return Err(Failure::Usage) };
    match what.as_str() {
        what if "print".starts_with(what) => {
            let named = shell.working_tree;
            shell.working_tree = Some(address(shell)?);
            let outcome = print::print(shell, rest);
            shell.working_tree = named;
            outcome
        }
        what if "diff".starts_with(what) => {
            let address = match rest {
                [] => address(shell)?,
                [text] => number::hexadecimal(text)?,
                _ => return Err(Failure::Usage),
            };
            diff(shell, address)
        }
        _ => Err(Failure::Usage),
    }
}

/// Where the tree is that the `fdt` commands work on; without one, the firmware's.
fn address(shell: &Shell<'_>) -> Result<u64, Failure> {
    let firmware = shell.platform.facts().firmware_tree.map(|range| range.start);
    let address = shell.working_tree.or(firmware);
    address.ok_or_else(|| Failure::because("there is no tree: the firmware passed none, and `fdt addr` named none"))
}

fn diff(shell: &mut Shell<'_>, address: u64) -> Outcome {
    let firmware = shell.platform.firmware_tree().and_then(|bytes| Tree::new(bytes).ok());
    let firmware = firmware.ok_or_else(|| Failure::because("the firmware passed no device tree to compare with"))?;
    let tree = tree_at(shell.platform, address)?;
    let mut text = Text::default();
    let result = difference(&firmware, &tree, &mut text);
    shell.say_lines(&text.0)?;
    match result {
        Ok(0) => shell.say(format_args!("The tree at {address:#x} is as the firmware passed it.\n"))?,
        Ok(_) => {}
        Err(difference::Error::Output) => shell.say(format_args!("and more\n"))?,
        Err(error) => return Err(Failure::because(error)),
    }
    Ok(true)
}
