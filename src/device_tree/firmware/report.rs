//! What was carried over and what was not, for the summary on the console.

use alloc::vec::Vec;
use core::fmt;

use super::super::label::Label;

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written to the tree.
    Carried,
    /// The tree already said so.
    Same,
    /// The firmware's tree does not have it.
    NotGiven,
    /// The tree has no such device.
    NoPlace,
    /// The two trees write addresses with different numbers of cells there, so the value would mean something else.
    DifferentCells,
    /// The firmware's tree has more of it than any real one.
    TooLarge,
}

/// An item and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is, for people: `memory`, `pcie0 dma-ranges`.
    pub what: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// The tree is for a board other than the one that the firmware runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The first `compatible` of the firmware's tree.
    pub board: Label,
    /// The first `compatible` of the other tree; empty if it has none.
    pub tree: Label,
    /// Whether it is for the same chip at least.
    pub same_chip: bool,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, tree, same_chip } = self;
        write!(f, "the device tree is for {tree:?}, this board is {board:?}")?;
        f.write_str(if *same_chip { ": some devices may not work" } else { ", another chip: it will not boot" })
    }
}

/// All items, in the order in which they were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Every item there is.
    pub entries: Vec<Entry>,
    /// Whether the tree is for another board.
    pub warning: Option<Warning>,
}

impl Report {
    pub(super) fn add(&mut self, what: &'static str, outcome: Outcome) {
        self.entries.push(Entry { what, outcome });
    }

    /// The items that ended as `outcome`.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &'static str> + '_ {
        self.entries.iter().filter(move |entry| entry.outcome == outcome).map(|entry| entry.what)
    }

    /// What became of the item called `what`.
    pub fn outcome(&self, what: &str) -> Option<Outcome> {
        self.entries.iter().find(|entry| entry.what == what).map(|entry| entry.outcome)
    }
}

/// One line: what was carried, and what could not be, with the reason. Nothing is said of what was the same or not given.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("from the firmware's tree: ")?;
        if self.with(Outcome::Carried).next().is_none() {
            f.write_str("nothing")?;
        }
        list(f, self.with(Outcome::Carried))?;
        for (outcome, reason) in [
            (Outcome::NoPlace, "not in this tree"),
            (Outcome::DifferentCells, "not carried, other #cells"),
            (Outcome::TooLarge, "not carried, too much of it"),
        ] {
            if self.with(outcome).next().is_some() {
                write!(f, "; {reason}: ")?;
                list(f, self.with(outcome))?;
            }
        }
        Ok(())
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = &'static str>) -> fmt::Result {
    for (index, item) in items.enumerate() {
        write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
    }
    Ok(())
}
