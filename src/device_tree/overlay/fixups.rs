//! Phandles in an overlay: where they are, and what they become in the tree that it is applied to.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::super::edit::{Editor, PHANDLE_LIMIT};
use super::super::label::Label;
use super::super::read::{Node, Property, Tree};
use super::{Error, Fragment, place};
use crate::sort::sort_by;

/// A cell of the overlay that is to have another value.
struct Patch {
    /// Offset of the property in the overlay.
    property: usize,
    /// Offset in the property's value.
    at: usize,
    value: u32,
}

/// All cells of an overlay that are to have other values, in the order of [`Patch::property`] once complete.
#[derive(Default)]
pub(super) struct Patches(Vec<Patch>);

impl Patches {
    /// Collects the references to labels of the tree that `editor` holds. A node that has a label but no phandle is given one.
    pub fn add_labels(&mut self, overlay: &Tree<'_>, editor: &mut Editor<'_>) -> Result<(), Error> {
        let Some(fixups) = overlay.root().child("__fixups__") else { return Ok(()) };
        for fixup in fixups.properties() {
            let tree = editor.tree()?;
            let symbols = tree.root().child("__symbols__");
            let no_label = Error::NoLabel { label: Label::new(fixup.name()), labels: symbols.is_some() };
            let path = symbols.and_then(|symbols| symbols.property(fixup.name())?.string()).ok_or(no_label)?;
            let path = tree.find(path).ok_or(no_label)?.path().to_string();
            let value = editor.new_phandle(&path)?;
            for place in fixup.strings() {
                self.add_label(overlay, place, value).ok_or(Error::BadFixup { what: Label::new(place) })?;
            }
        }
        self.sort();
        Ok(())
    }

    fn sort(&mut self) {
        sort_by(&mut self.0, |one, other| (one.property, one.at) < (other.property, other.at));
    }

    /// `place` is `path:property:offset`.
    fn add_label(&mut self, overlay: &Tree<'_>, place: &str, value: u32) -> Option<()> {
        let (place, at) = place.rsplit_once(':')?;
        let (path, name) = place.rsplit_once(':')?;
        let property = overlay.find(path)?.property(name)?;
        self.add(&property, at.parse().ok()?, value)
    }

    /// Collects the references among the overlay's own nodes, and what becomes of their phandles.
    pub fn add_own(&mut self, overlay: &Tree<'_>, fragments: &[Fragment<'_>], tree: &Tree<'_>) -> Result<(), Error> {
        let own = own_phandles(overlay, fragments, tree)?;
        for node in overlay.nodes() {
            for property in node.properties().filter(|property| matches!(property.name(), "phandle" | "linux,phandle"))
            {
                if let Some(new) = property.u32().and_then(|phandle| renumbered(&own, phandle)) {
                    self.add(&property, 0, new).ok_or(Error::BadFixup { what: property.name().into() })?;
                }
            }
        }
        if let Some(fixups) = overlay.root().child("__local_fixups__") {
            self.add_references(fixups, overlay.root(), &own)?;
        }
        self.sort();
        Ok(())
    }

    /// `fixups` mirrors `node`: a property of the same name lists where in the value the references are.
    fn add_references(&mut self, fixups: Node<'_>, node: Node<'_>, own: &[(u32, u32)]) -> Result<(), Error> {
        // Recursion is bounded by the depth of a checked tree.
        for fixup in fixups.properties() {
            let bad = Error::BadFixup { what: Label::new(fixup.name()) };
            let property = node.property(fixup.name()).ok_or(bad)?;
            for at in fixup.cells() {
                let at = at as usize;
                let cell = at.checked_add(4).and_then(|end| property.value().get(at..end)).ok_or(bad)?;
                let old = cell.try_into().map(u32::from_be_bytes).map_err(|_| bad)?;
                self.add(&property, at, renumbered(own, old).ok_or(bad)?).ok_or(bad)?;
            }
        }
        for child in fixups.children() {
            let same = node.children().find(|there| there.name() == child.name());
            self.add_references(child, same.ok_or(Error::BadFixup { what: Label::new(child.name()) })?, own)?;
        }
        Ok(())
    }

    fn add(&mut self, property: &Property<'_>, at: usize, value: u32) -> Option<()> {
        property.value().get(at..at.checked_add(4)?)?;
        self.0.push(Patch { property: property.offset, at, value });
        Some(())
    }

    fn of(&self, property: &Property<'_>) -> &[Patch] {
        let start = self.0.partition_point(|patch| patch.property < property.offset);
        let end = self.0.partition_point(|patch| patch.property <= property.offset);
        self.0.get(start..end).unwrap_or(&[])
    }

    /// What the cell at `at` of a property's value becomes, if it is another.
    pub fn at(&self, property: &Property<'_>, at: usize) -> Option<u32> {
        self.of(property).iter().find(|patch| patch.at == at).map(|patch| patch.value)
    }

    /// A property's value as it is to be in the other tree.
    pub fn value(&self, property: &Property<'_>) -> Vec<u8> {
        let mut value = property.value().to_vec();
        for patch in self.of(property) {
            if let Some(cell) = value.get_mut(patch.at..patch.at + 4) {
                cell.copy_from_slice(&patch.value.to_be_bytes());
            }
        }
        value
    }
}

/// What a phandle of the overlay's becomes.
fn renumbered(own: &[(u32, u32)], phandle: u32) -> Option<u32> {
    let index = own.binary_search_by_key(&phandle, |&(old, _)| old).ok()?;
    own.get(index).map(|&(_, new)| new)
}

/// The phandles of the overlay's nodes, in order, with what each becomes: above those that the tree has, or the very one that the
/// node has there.
fn own_phandles(overlay: &Tree<'_>, fragments: &[Fragment<'_>], tree: &Tree<'_>) -> Result<Vec<(u32, u32)>, Error> {
    let highest = tree.nodes().filter_map(|node| node.phandle()).filter(|&phandle| phandle < PHANDLE_LIMIT).max();
    let mut own = Vec::new();
    for node in overlay.nodes() {
        let Some(old) = node.phandle() else { continue };
        let there = place(&node.path().to_string(), fragments).and_then(|path| {
            // `find` may answer with a node that has a unit address where the overlay's has none; that is another node.
            let node = tree.find(&path)?;
            if node.path().to_string() == path { node.phandle() } else { None }
        });
        let moved = old.checked_add(highest.unwrap_or(0)).filter(|&phandle| phandle < PHANDLE_LIMIT);
        own.push((old, there.or(moved).ok_or(Error::NoPhandle)?));
    }
    sort_by(&mut own, |one, other| one < other);
    Ok(own)
}
