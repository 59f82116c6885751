//! `fdt print`, `fdt list` and `fdt header`: the tree as U-Boot shows it, to the letter, because people compare.

use super::{no_node, no_property};
use crate::device_tree::{self as tree, Node, Property};
use crate::shell::{Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::fmt::Write as _;

/// Bytes of text that are put together before they are printed: the tree lies in the memory of the platform that prints, so it is one or the other.
/// For each the tree is walked through from its beginning.
const PAGE: usize = 32 << 10;
/// A longer value is shown as where it lies and how long it is, as U-Boot does where `fdt_max_dump` says so: a tree has megabytes, the heap too.
const LONGEST_SHOWN: u64 = 0x4000;

/// `fdt print [PATH [PROPERTY]]`: a node and all below it.
pub fn print(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    show(shell, arguments, usize::MAX)
}

/// `fdt list [PATH [PROPERTY]]`: a node and the names below it.
pub fn list(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    show(shell, arguments, 1)
}

fn show(shell: &mut Shell<'_>, arguments: &[String], depth: usize) -> Outcome {
    let path = arguments.first().map_or("/", String::as_str);
    let asked = shell.environment.get("fdt_max_dump").map(number::hexadecimal).transpose()?;
    let longest = asked.unwrap_or(LONGEST_SHOWN).min(LONGEST_SHOWN);
    let mut printed = 0;
    loop {
        let tree = shell.tree()?;
        // What the tree's bytes are away from their place in memory: nothing on the board.
        let shift = shell.working_tree.unwrap_or_default().wrapping_sub(tree.bytes().as_ptr().addr() as u64);
        let node = tree.walk(path).map_err(|component| no_node(path, component))?;
        let mut page = Page { skip: printed, text: String::new(), depth, longest, shift };
        let all = match arguments.get(1) {
            None => page.node(node, 0),
            Some(name) => {
                let property = node.property(name).ok_or_else(|| no_property(path, name))?;
                page.line(0, 0, &OfNode { path, value: page.value(property) })
            }
        };
        let text = page.text;
        shell.say(format_args!("{text}"))?;
        if all.is_ok() {
            return Ok(true);
        }
        printed += text.lines().count();
        if shell.platform.interrupted() {
            return Err(Failure::Interrupted);
        }
    }
}

/// Some lines of a tree's text.
struct Page {
    /// Lines that were printed already.
    skip: usize,
    text: String,
    /// How deep nodes are shown.
    depth: usize,
    /// Bytes of the longest value that is shown.
    longest: u64,
    shift: u64,
}

impl Page {
    fn node(&mut self, node: Node<'_>, level: usize) -> fmt::Result {
        if level > self.depth {
            return Ok(());
        }
        let name = if level == 0 && node.parent().is_none() { "/" } else { node.name() };
        self.line(level, level, &format_args!("{name} {{"))?;
        for property in node.properties() {
            let value = self.value(property);
            self.line(level + 1, level + 1, &format_args!("{value};"))?;
        }
        for child in node.children() {
            self.node(child, level + 1)?;
        }
        self.line(level, level, &"};")
    }

    /// A line of something at `level`; an error where the page is full.
    fn line(&mut self, level: usize, tabs: usize, text: &dyn fmt::Display) -> fmt::Result {
        if level > self.depth {
            return Ok(());
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        if self.text.len() >= PAGE {
            return Err(fmt::Error);
        }
        self.text.extend(core::iter::repeat_n('\t', tabs));
        writeln!(self.text, "{text}")
    }

    fn value<'a>(&self, property: Property<'a>) -> Value<'a> {
        let address = self.shift.wrapping_add(property.value().as_ptr().addr() as u64);
        Value { property, address, longest: self.longest }
    }
}

/// A property as `fdt print` shows it: `name = <0x00000001>`, or its name alone where it has no value.
struct Value<'a> {
    property: Property<'a>,
    /// Where the value lies.
    address: u64,
    longest: u64,
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.property.value();
        f.write_str(self.property.name())?;
        if value.is_empty() {
            return Ok(());
        }
        f.write_str(" = ")?;
        if value.len() as u64 > self.longest {
            return write!(f, "* 0x{:016x} [0x{:08x}]", self.address, value.len());
        }
        tree::Value::as_it_is(value).fmt(f)
    }
}

/// A property that was asked for by name: where it has no value, the node's path is in front.
struct OfNode<'a> {
    path: &'a str,
    value: Value<'a>,
}

impl fmt::Display for OfNode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.property.value().is_empty() {
            write!(f, "{} ", self.path)?;
        }
        self.value.fmt(f)
    }
}

/// `fdt header [get VARIABLE MEMBER]`.
pub fn header(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    const VERSION: (u32, u32) = (17, 16);
    let tree = shell.tree()?;
    let header = tree.header();
    let members = [
        ("magic", 0xd00d_feed),
        ("totalsize", header.total_size),
        ("off_dt_struct", header.structure_offset),
        ("off_dt_strings", header.strings_offset),
        ("off_mem_rsvmap", header.reservations_offset),
        ("version", VERSION.0 as usize),
        ("last_comp_version", VERSION.1 as usize),
        ("boot_cpuid_phys", header.boot_cpu as usize),
        ("size_dt_strings", header.strings_size),
        ("size_dt_struct", header.structure_size),
    ];
    let reservations = tree.reservations().count();
    match arguments {
        [] => {}
        [get, name, member] if get.starts_with('g') => {
            let Some((_, value)) = members.iter().find(|(name, _)| name == member) else {
                return Err(Failure::because(format!(
                    "the header of a device tree has no {member}; it has {}",
                    members.map(|(name, _)| name).join(", ")
                )));
            };
            return shell.store(name, &format!("{value:x}"));
        }
        _ => return Err(Failure::Usage),
    }
    let mut text = String::new();
    for (name, value) in members {
        // The columns are U-Boot's.
        let tabs = "\t".repeat(3 - (name.len() + 1) / 8);
        let value = match name {
            "totalsize" => format!("{value:#x} ({value})"),
            "version" | "last_comp_version" => value.to_string(),
            _ => format!("{value:#x}"),
        };
        let _ = writeln!(text, "{name}:{tabs}{value}");
    }
    shell.say(format_args!("{text}number mem_rsv:\t\t{reservations:#x}\n\n"))?;
    Ok(true)
}
