//! `md`, `mw`, `cp`, `cmp`, `bdinfo`: looking at memory and filling it, by U-Boot's rules and in its spelling; `digest`: what is in it, in a number.
//!
//! Addresses, counts and values are hexadecimal; a count is one of objects, whose size the command's suffix says (`.b` `.w` `.l` `.q`: 1, 2, 4, 8 bytes; 4 without
//! one), except for digests, which count bytes. Only memory can be reached: reading a device's register can hang the board or change the
//! device, and what the loader and the firmware keep is not overwritten.

pub mod digest;

use crate::range::PhysicalRange;
use crate::shell::memory::PIECE;
use crate::shell::platform::NotMemory;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::fmt::Write as _;

/// The commands of this module.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "md",
        usage: "ADDRESS [COUNT]",
        help: "show memory (md.b, md.w, md.l, md.q)",
        example: "md.l 0x1000000 10",
        run: show,
    },
    Command {
        name: "mw",
        usage: "ADDRESS VALUE [COUNT]",
        help: "fill memory (mw.b, mw.w, mw.l, mw.q)",
        example: "mw.b 0x1000000 0 100",
        run: fill,
    },
    Command {
        name: "cp",
        usage: "FROM TO COUNT",
        help: "copy memory (cp.b, cp.w, cp.l, cp.q)",
        example: "cp.b 0x1000000 0x2000000 100",
        run: copy,
    },
    Command {
        name: "cmp",
        usage: "FIRST SECOND COUNT",
        help: "compare memory (cmp.b, cmp.w, cmp.l, cmp.q)",
        example: "cmp.b 0x1000000 0x2000000 100",
        run: compare,
    },
    Command {
        name: "base",
        usage: "[0]",
        help: "show the offset of addresses, which is always 0",
        example: "base",
        run: base,
    },
    Command {
        name: "bdinfo",
        usage: "",
        help: "show the board's memory, and who lies where",
        example: "bdinfo",
        run: board_info,
    },
];

/// Commands of U-Boot's that are not here, and say what to use.
pub const NOT_HERE: &[Command] = &[
    Command {
        name: "mm",
        usage: "ADDRESS",
        help: "not here: use md and mw",
        example: "md 0x1000000; mw 0x1000000 1",
        run: not_by_hand,
    },
    Command {
        name: "nm",
        usage: "ADDRESS",
        help: "not here: use md and mw",
        example: "md 0x1000000; mw 0x1000000 1",
        run: not_by_hand,
    },
];

/// Bytes in a line of `md`.
const LINE: usize = 16;

/// The size of a command's objects, by the suffix of its name.
fn width(name: &str) -> Result<usize, Failure> {
    match name.split_once('.').map(|(_, suffix)| suffix) {
        None | Some("l") => Ok(4),
        Some("b") => Ok(1),
        Some("w") => Ok(2),
        Some("q") => Ok(8),
        Some(other) => Err(Failure::because(format!("there is no size .{other}: .b .w .l .q are 1, 2, 4 and 8 bytes"))),
    }
}

/// `count` objects of `width` bytes from `address` on.
fn objects(address: u64, count: u64, width: usize) -> Result<PhysicalRange, Failure> {
    let range = count.checked_mul(width as u64).and_then(|size| PhysicalRange::sized(address, size));
    range.ok_or_else(|| Failure::because(format!("{count:#x} objects from {address:#x} on pass the end of memory")))
}

/// What cannot be reached, in words.
fn unreachable(error: NotMemory) -> Failure {
    match error {
        NotMemory::Outside(range) => Failure::because(format!(
            "{range} is not memory, and devices' registers are left alone here; `bdinfo` shows what is memory"
        )),
        taken => taken.into(),
    }
}

/// An object as a number; memory is little-endian.
fn value(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// `md ADDRESS [COUNT]`.
fn show(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    const COUNT: u64 = 0x40;
    let (name, address, count) = match arguments {
        [name, address] => (name, address, COUNT),
        [name, address, count] => (name, address, number::hexadecimal(count)?),
        _ => return Err(Failure::Usage),
    };
    let width = width(name)?;
    let range = objects(number::hexadecimal(address)?, count, width)?;
    shell.platform.memory(range).map_err(unreachable)?;
    let mut start = range.start;
    while start < range.end {
        let end = start.saturating_add(LINE as u64).min(range.end);
        let bytes = shell.platform.memory(PhysicalRange { start, end }).map_err(unreachable)?;
        let mut line = format!("{start:08x}:");
        for object in bytes.chunks(width) {
            let _ = write!(line, " {:0digits$x}", value(object), digits = 2 * width);
        }
        let missing = (LINE - bytes.len()) / width * (2 * width + 1);
        let _ = write!(line, "{:missing$}  ", "");
        line.extend(bytes.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }));
        shell.say(format_args!("{line}\n"))?;
        if shell.platform.interrupted() {
            return Err(Failure::Interrupted);
        }
        start = end;
    }
    Ok(true)
}

/// `mw ADDRESS VALUE [COUNT]`.
fn fill(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (name, address, value, count) = match arguments {
        [name, address, value] => (name, address, value, 1),
        [name, address, value, count] => (name, address, value, number::hexadecimal(count)?),
        _ => return Err(Failure::Usage),
    };
    let width = width(name)?;
    let range = objects(number::hexadecimal(address)?, count, width)?;
    let value = number::hexadecimal(value)?.to_le_bytes();
    let object = value.get(..width).unwrap_or(&value);
    shell.platform.memory_mut(range).map_err(unreachable)?;
    shell.walk(name, range.size(), &mut |shell, piece| {
        let bytes = shell.platform.memory_mut(piece.at(range.start))?;
        bytes.chunks_exact_mut(width).for_each(|target| target.copy_from_slice(object));
        Ok(true)
    })?;
    Ok(true)
}

/// `cp FROM TO COUNT`.
fn copy(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [name, from, to, count] = arguments else { return Err(Failure::Usage) };
    let source = objects(number::hexadecimal(from)?, number::hexadecimal(count)?, width(name)?)?;
    let target = objects(number::hexadecimal(to)?, number::hexadecimal(count)?, width(name)?)?;
    shell.platform.memory(source).map_err(unreachable)?;
    shell.platform.memory_mut(target).map_err(unreachable)?;
    shell.copy(source, target.start)?;
    Ok(true)
}

/// `cmp FIRST SECOND COUNT`.
fn compare(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [name, first, second, count] = arguments else { return Err(Failure::Usage) };
    let (width, count) = (width(name)?, number::hexadecimal(count)?);
    let kind = match width {
        8 => "double word",
        4 => "word",
        2 => "halfword",
        _ => "byte",
    };
    let first = objects(number::hexadecimal(first)?, count, width)?;
    let second = objects(number::hexadecimal(second)?, count, width)?;
    shell.platform.memory(second).map_err(unreachable)?;
    let mut same = 0u64;
    let mut differs = None;
    let mut left = vec![0; PIECE.min(first.size()) as usize];
    shell.platform.memory(first).map_err(unreachable)?;
    shell.walk(name, first.size(), &mut |shell, piece| {
        let left = left.get_mut(..piece.length as usize).unwrap_or_default();
        left.copy_from_slice(shell.platform.memory(piece.at(first.start))?);
        let right = shell.platform.memory(piece.at(second.start))?;
        let mut pairs = left.chunks_exact(width).zip(right.chunks_exact(width));
        let equal = pairs.by_ref().take_while(|(left, right)| left == right).count();
        same += equal as u64;
        let at = |bytes: &[u8]| bytes.chunks_exact(width).nth(equal).map(value);
        differs = at(left).zip(at(right));
        Ok(differs.is_none())
    })?;
    if let Some((left, right)) = differs {
        let offset = same * width as u64;
        shell.say(format_args!(
            "{kind} at {:#010x} ({left:#0width$x}) != {kind} at {:#010x} ({right:#0width$x})\n",
            first.start + offset,
            second.start + offset,
        ))?;
    }
    shell.say(format_args!("Total of {same} {kind}(s) were the same\n"))?;
    Ok(differs.is_none())
}

/// `base [0]`.
fn base(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments.get(1).map(|offset| number::hexadecimal(offset)).transpose()? {
        None | Some(0) => {
            shell.say(format_args!("Base Address: 0x00000000\n"))?;
            Ok(true)
        }
        Some(_) => Err(Failure::because("addresses have no offset here: say them whole")),
    }
}

/// `bdinfo`.
fn board_info(shell: &mut Shell<'_>, _: &[String]) -> Outcome {
    let mut text = String::new();
    let mut line = |name: &str, value: u64| {
        let _ = writeln!(text, "{name:<12}= {value:#018x}");
    };
    let layout = shell.platform.layout();
    for (index, bank) in layout.banks().iter().enumerate() {
        line("DRAM bank", index as u64);
        line("-> start", bank.start);
        line("-> size", bank.size());
    }
    if let Some(tree) = shell.platform.facts().firmware_tree {
        line("fdt_blob", tree.start);
    }
    for name in ["ethaddr", "ipaddr", "serverip"] {
        if let Some(value) = shell.environment.get(name) {
            let _ = writeln!(text, "{name:<12}= {value}");
        }
    }
    text += "kept:\n";
    for occupant in layout.occupants() {
        let _ = writeln!(text, "  {}  {}", occupant.range, occupant.name);
    }
    text += "loaded:\n";
    for loaded in &shell.loaded {
        let _ = writeln!(text, "  {}  {}", loaded.range, loaded.name);
    }
    if let Some(tree) = shell.tree_range() {
        let _ = writeln!(text, "  {tree}  the working tree");
    }
    shell.say(format_args!("{text}"))?;
    Ok(true)
}

/// `mm`, `nm`.
fn not_by_hand(_: &mut Shell<'_>, _: &[String]) -> Outcome {
    Err(Failure::because("memory is not edited by hand here: md shows it, mw changes it"))
}

#[cfg(test)]
mod tests;
