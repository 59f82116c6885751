//! `fdt addr`, `fdt move` and `fdt resize`: which tree is worked on, and where it lies.

use crate::boot::layout::PAGE;
use crate::range::PhysicalRange;
use crate::shell::working_tree::{Error, tree_at};
use crate::shell::{Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;

/// `fdt addr [-c] [-q] [ADDRESS [SIZE]]`.
pub fn address(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (mut control, mut quiet) = (false, false);
    let mut rest = arguments;
    while let [option, behind @ ..] = rest
        && let Some(letters) = option.strip_prefix('-')
    {
        for letter in letters.chars() {
            match letter {
                'c' => control = true,
                'q' => quiet = true,
                _ => return Err(Failure::Usage),
            }
        }
        rest = behind;
    }
    let (address, size) = match rest {
        [] => return tell(shell, control),
        [_] | [_, _] if control => {
            return Err(Failure::because(
                "the loader's own tree is the firmware's and stays where it is; leave out -c to work on another one",
            ));
        }
        [address] => (number::hexadecimal(address)?, None),
        [address, size] => (number::hexadecimal(address)?, Some(number::hexadecimal(size)?)),
        _ => return Err(Failure::Usage),
    };
    let length = match tree_at(shell.platform, address) {
        Ok(tree) => tree.bytes().len() as u64,
        Err(_) if quiet => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    work_on(shell, address, quiet)?;
    match size {
        Some(size) if size >= length => drop(shell.claim_tree(&|_| size)?),
        Some(size) if !quiet => {
            shell.say(format_args!("New length {size} < existing length {length}, ignoring\n"))?;
        }
        _ => {}
    }
    Ok(true)
}

/// Says where the tree lies.
fn tell(shell: &mut Shell<'_>, control: bool) -> Outcome {
    let (kind, address) = if control {
        ("Control", shell.platform.facts().firmware_tree.map(|tree| tree.start))
    } else {
        ("Working", shell.working_tree)
    };
    let address = address.ok_or(Error::None)?;
    tree_at(shell.platform, address)?;
    shell.say(format_args!("{kind} fdt: {address:08x}\n"))?;
    Ok(true)
}

fn work_on(shell: &mut Shell<'_>, address: u64, quiet: bool) -> Result<(), Failure> {
    shell.working_tree = Some(address);
    shell.environment.set("fdtaddr", &format!("{address:x}"));
    if !quiet {
        shell.say(format_args!("Working FDT set to {address:x}\n"))?;
    }
    Ok(())
}

/// `fdt move FROM TO [SIZE]`: copies a tree and works on the copy.
pub fn move_to(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (from, to, size) = match arguments {
        [from, to] => (from, to, None),
        [from, to, size] => (from, to, Some(number::hexadecimal(size)?)),
        _ => return Err(Failure::Usage),
    };
    let (from, to) = (number::hexadecimal(from)?, number::hexadecimal(to)?);
    let length = tree_at(shell.platform, from)?.bytes().len() as u64;
    if let Some(size) = size.filter(|size| *size < length) {
        return Err(Error::Claim { used: length, claimed: size }.into());
    }
    // A checked tree does not pass the end of memory.
    let source = PhysicalRange { start: from, end: from.saturating_add(length) };
    shell.copy(source, to)?;
    work_on(shell, to, false)?;
    shell.claim_tree(&|_| size.unwrap_or(length))?;
    Ok(true)
}

/// `fdt resize [EXTRA]`: lets the header claim what the tree takes, five reservations and EXTRA more, up to the end of a page.
///
/// Nothing here needs it, since the tree grows by itself; but scripts read the size.
pub fn resize(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    const RESERVATIONS: u64 = 5 * 16;
    let extra = match arguments {
        [] => 0,
        [extra, ..] => number::hexadecimal(extra)?,
    };
    let within = shell.working_tree.unwrap_or_default() % PAGE;
    let end = |used: u64| within.checked_add(used)?.checked_add(RESERVATIONS)?.checked_add(extra);
    let size = |used| end(used).and_then(|end| end.checked_next_multiple_of(PAGE)).map_or(u64::MAX, |end| end - within);
    shell.claim_tree(&size)?;
    Ok(true)
}
