//! What the firmware knows about this very board, carried into a tree that was made for all boards of its kind.
//!
//! A tree from a kernel package says `<0 0 0>` for memory and guesses which stepping of the chip it is for. The firmware has filled in
//! the tree that it passed in x0; what it filled in is listed here, after U-Boot's `update_fdt_from_fw` (board/raspberrypi/rpi/rpi.c)
//! and what the documentation of config.txt says about `/chosen`. Without it the SD card, USB, Bluetooth or Xen itself fail.
//!
//! Nodes are found by what they are - an alias, `compatible`, the role that another node gives them - because
//! Linux's own trees and the Raspberry Pi kernel's have different paths for the same device.

mod find;
mod report;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::edit::{Editor, Error};
use super::label::Label;
use super::read::{self, Node, Tree};
use crate::range::PhysicalRange;

use find::{blconfig, blpubkey, bluetooth, chosen, cma, emmc2_bus, ethernet, ethernet_phy, pcie, root, uart_clock};
pub use report::{Entry, Outcome, Report, Warning};

/// What is known about the board from elsewhere than the firmware's tree, where that lacks it: the mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The MAC address of the Ethernet controller.
    pub mac_address: Option<[u8; 6]>,
    /// The board's serial number.
    pub serial_number: Option<u64>,
}

/// A property that the firmware fills in.
struct Rule {
    /// As the report calls it.
    what: &'static str,
    find: fn(Tree<'_>) -> Option<Node<'_>>,
    property: &'static str,
    /// Whether the value has addresses or sizes, and means the same only under the same `#address-cells` and `#size-cells`.
    cells: bool,
}

const fn rule(what: &'static str, find: fn(Tree<'_>) -> Option<Node<'_>>, property: &'static str) -> Rule {
    Rule { what, find, property, cells: false }
}

const fn rule_with_cells(what: &'static str, find: fn(Tree<'_>) -> Option<Node<'_>>, property: &'static str) -> Rule {
    Rule { what, find, property, cells: true }
}

const RULES: &[Rule] = &[
    rule("model", root, "model"),
    rule("serial number", root, "serial-number"),
    rule("memreserve", root, "memreserve"),
    rule_with_cells("linux,cma size", cma, "size"),
    rule_with_cells("emmc2bus dma-ranges", emmc2_bus, "dma-ranges"),
    rule_with_cells("pcie0 dma-ranges", pcie, "dma-ranges"),
    rule_with_cells("blconfig reg", blconfig, "reg"),
    rule("blconfig status", blconfig, "status"),
    rule_with_cells("blpubkey reg", blpubkey, "reg"),
    rule("blpubkey status", blpubkey, "status"),
    rule("kaslr-seed", chosen, "kaslr-seed"),
    rule("rng-seed", chosen, "rng-seed"),
    rule("user-warnings", chosen, "user-warnings"),
    rule("log", chosen, "log"),
    rule("os_prefix", chosen, "os_prefix"),
    rule("overlay_prefix", chosen, "overlay_prefix"),
    rule("rpi-boardrev-ext", chosen, "rpi-boardrev-ext"),
    rule("PHY reg", ethernet_phy, "reg"),
    rule("MAC address", ethernet, "local-mac-address"),
    rule("local-bd-address", bluetooth, "local-bd-address"),
    rule("clk-uart clock-frequency", uart_clock, "clock-frequency"),
];

/// Nodes that the firmware makes, carried with all that is in them: as the report calls them, parent, name.
const NODES: &[(&str, &str, &str)] = &[
    ("bootloader node", "/chosen", "bootloader"),
    ("power node", "/chosen", "power"),
    ("log node", "/chosen", "log"),
    ("system node", "/", "system"),
];

/// Bytes in the structure block beyond which such a node is not carried, nor reservations beyond that number: a real one has a few hundred
/// bytes, a real tree three reservations, and each edit moves the whole tree.
const LARGEST_NODE: usize = 16 << 10;
const MOST_RESERVATIONS: usize = 256;

/// Carries what `firmware` (the tree that was passed in x0, where there was one) and `known` say about the board into the tree of `editor`.
/// `breathe` is called after each item, some tenths of a millisecond.
///
/// # Errors
/// [`Error::NoRoom`], with a part of the items carried. What one of the trees has no place for is no error but an entry of the report.
pub fn carry_over(
    firmware: Option<&Tree<'_>>,
    known: &Known,
    editor: &mut Editor<'_>,
    breathe: &mut dyn FnMut(),
) -> Result<Report, Error> {
    let mut report = Report::default();
    if let Some(firmware) = firmware {
        report.warning = other_board(firmware, &editor.tree()?);
        breathe();
        report.add("memory", carry_memory(firmware, editor)?);
        breathe();
        report.add("/memreserve/", carry_reservations(firmware, editor)?);
        for rule in RULES {
            breathe();
            report.add(rule.what, carry_property(rule, firmware, editor)?);
        }
        for (what, parent, name) in NODES {
            breathe();
            report.add(what, carry_node(firmware, parent, name, editor)?);
        }
        breathe();
    }
    if let Some(mac) = known.mac_address {
        report.add("MAC address (mailbox)", fill_in(editor, ethernet, "local-mac-address", &mac)?);
        breathe();
    }
    if let Some(serial) = known.serial_number {
        let text = format!("{serial:016x}\0");
        report.add("serial number (mailbox)", fill_in(editor, root, "serial-number", text.as_bytes())?);
    }
    Ok(report)
}

/// Makes the tree's memory nodes say exactly `ranges`, in this order: the first node keeps its place and gets them all, others go.
///
/// A range too large for the tree's `#size-cells` becomes several. Nothing changes if it says so already.
///
/// # Errors
/// [`Error::NoRoom`]; [`read::Error::Cells`] if a range cannot be said with the cells that the root has.
pub fn set_memory(editor: &mut Editor<'_>, ranges: &[PhysicalRange]) -> Result<(), Error> {
    let tree = editor.tree()?;
    let root = tree.root();
    let cells = root.child_cells()?;
    if tree.memory()?.eq(ranges.iter().copied()) {
        return Ok(());
    }
    let mut value = Vec::new();
    for range in ranges {
        memory_entries(*range, cells, &mut value)?;
    }
    let nodes: Vec<String> = root.children().filter(read::is_memory).map(|node| node.path().to_string()).collect();
    let path = match nodes.split_first() {
        Some((first, others)) => {
            for other in others {
                editor.delete_node(other)?;
            }
            first.clone()
        }
        None => {
            let name = format!("memory@{:x}", ranges.first().map_or(0, |range| range.start));
            editor.add_node("/", &name)?;
            format!("/{name}")
        }
    };
    editor.set_string(&path, "device_type", "memory")?;
    editor.set_property(&path, "reg", &value)?;
    match editor.delete_property(&path, "status") {
        Ok(()) | Err(Error::NoSuchProperty { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes `range` as one or more address and size pairs.
fn memory_entries(range: PhysicalRange, cells: read::Cells, value: &mut Vec<u8>) -> Result<(), Error> {
    let too_narrow = Error::Tree(read::Error::Cells { bus: Label::new("") });
    // The largest size that one cell can say and that is still whole gigabytes.
    let most = if cells.size >= 2 { u64::MAX } else { 0xc000_0000 };
    let mut start = range.start;
    while start < range.end {
        let size = (range.end - start).min(most);
        for (number, cells) in [(start, cells.address), (size, cells.size)] {
            match cells {
                2 => value.extend_from_slice(&number.to_be_bytes()),
                1 => value.extend_from_slice(&u32::try_from(number).map_err(|_| too_narrow)?.to_be_bytes()),
                _ => return Err(too_narrow),
            }
        }
        start += size;
    }
    Ok(())
}

fn carry_memory(firmware: &Tree<'_>, editor: &mut Editor<'_>) -> Result<Outcome, Error> {
    let ranges: Vec<PhysicalRange> = match firmware.memory() {
        Ok(memory) => memory.collect(),
        Err(_) => return Ok(Outcome::DifferentCells),
    };
    if ranges.is_empty() {
        return Ok(Outcome::NotGiven);
    }
    if editor.tree()?.memory().is_ok_and(|memory| memory.eq(ranges.iter().copied())) {
        return Ok(Outcome::Same);
    }
    match set_memory(editor, &ranges) {
        Ok(()) => Ok(Outcome::Carried),
        Err(Error::Tree(read::Error::Cells { .. })) => Ok(Outcome::DifferentCells),
        Err(error) => Err(error),
    }
}

fn carry_reservations(firmware: &Tree<'_>, editor: &mut Editor<'_>) -> Result<Outcome, Error> {
    if firmware.reservations().nth(MOST_RESERVATIONS).is_some() {
        return Ok(Outcome::TooLarge);
    }
    let mut outcome = if firmware.reservations().next().is_none() { Outcome::NotGiven } else { Outcome::Same };
    for range in firmware.reservations() {
        if !editor.tree()?.reservations().any(|there| there.contains(&range)) {
            editor.add_reservation(range)?;
            outcome = Outcome::Carried;
        }
    }
    Ok(outcome)
}

fn carry_property(rule: &Rule, firmware: &Tree<'_>, editor: &mut Editor<'_>) -> Result<Outcome, Error> {
    let Some(source) = (rule.find)(*firmware) else { return Ok(Outcome::NotGiven) };
    let Some(given) = source.property(rule.property) else { return Ok(Outcome::NotGiven) };
    let tree = editor.tree()?;
    let path = match (rule.find)(tree) {
        Some(target) if rule.cells && !same_cells(&source, &target) => return Ok(Outcome::DifferentCells),
        Some(target) if target.property(rule.property).is_some_and(|there| there.value() == given.value()) => {
            return Ok(Outcome::Same);
        }
        Some(target) => target.path().to_string(),
        // Only /chosen may be made: any other node stands for a device that the tree does not know.
        None if source.path().to_string() == "/chosen" => {
            editor.add_node("/", "chosen")?;
            "/chosen".into()
        }
        None => return Ok(Outcome::NoPlace),
    };
    editor.set_property(&path, rule.property, given.value())?;
    Ok(Outcome::Carried)
}

/// Copies a node of the firmware's with all below it; properties that the other tree has there already are replaced.
fn carry_node(firmware: &Tree<'_>, parent: &str, name: &str, editor: &mut Editor<'_>) -> Result<Outcome, Error> {
    let Some(top) = firmware.find(parent).and_then(|node| node.children().find(|child| child.name() == name)) else {
        return Ok(Outcome::NotGiven);
    };
    let end = top.end();
    if end - top.offset > LARGEST_NODE {
        return Ok(Outcome::TooLarge);
    }
    let mut outcome = Outcome::Same;
    for node in firmware.nodes().skip_while(|node| *node != top).take_while(|node| node.offset < end) {
        let path = node.path().to_string();
        let Some((parent, name)) = path.rsplit_once('/') else { continue };
        match editor.add_node(if parent.is_empty() { "/" } else { parent }, name) {
            Ok(()) => outcome = Outcome::Carried,
            Err(Error::Exists { .. }) => {}
            Err(Error::BadName { .. } | Error::NoSuchNode { .. }) => return Ok(Outcome::NoPlace),
            Err(error) => return Err(error),
        }
        // A phandle would be some other node's in the other tree.
        for property in node.properties().filter(|property| !matches!(property.name(), "phandle" | "linux,phandle")) {
            let there = editor.tree()?.find(&path).and_then(|node| node.property(property.name()));
            if there.is_some_and(|there| there.value() == property.value()) {
                continue;
            }
            match editor.set_property(&path, property.name(), property.value()) {
                Ok(()) => outcome = Outcome::Carried,
                Err(Error::BadName { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(outcome)
}

/// Sets a property that neither tree had, or had only zeroes in.
fn fill_in(
    editor: &mut Editor<'_>,
    find: fn(Tree<'_>) -> Option<Node<'_>>,
    name: &str,
    value: &[u8],
) -> Result<Outcome, Error> {
    let Some(node) = find(editor.tree()?) else { return Ok(Outcome::NoPlace) };
    if node.property(name).is_some_and(|there| there.value().iter().any(|&byte| byte != 0)) {
        return Ok(Outcome::Same);
    }
    let path = node.path().to_string();
    editor.set_property(&path, name, value)?;
    Ok(Outcome::Carried)
}

/// Whether addresses on, and above, both nodes have as many cells.
fn same_cells(left: &Node<'_>, right: &Node<'_>) -> bool {
    let cells = |node: &Node<'_>| {
        ["#address-cells", "#size-cells"].map(|name| node.property(name).and_then(|property| property.u32()))
    };
    cells(left) == cells(right) && left.parent().map(|node| cells(&node)) == right.parent().map(|node| cells(&node))
}

/// A warning if the tree is not made for the board that the firmware says this is.
fn other_board(firmware: &Tree<'_>, tree: &Tree<'_>) -> Option<Warning> {
    let firmware = firmware.root().property("compatible")?;
    let board = firmware.strings().next()?;
    if tree.root().is_compatible(board) {
        return None;
    }
    let first = tree.root().property("compatible").and_then(|property| property.string()).unwrap_or("");
    let same_chip = firmware.strings().last().is_some_and(|chip| tree.root().is_compatible(chip));
    Some(Warning { board: Label::new(board), tree: Label::new(first), same_chip })
}
