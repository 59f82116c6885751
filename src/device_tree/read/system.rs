//! What a tree says about the machine as a whole: memory, reservations, console, initrd, devices by kind.

use super::super::header::{self, double_word};
use super::address::{Cells, Pairs, pairs};
use super::node::{Children, Node, Nodes};
use super::{Error, Tree};
use crate::range::PhysicalRange;

impl<'a> Tree<'a> {
    /// The entries of `/memreserve/`, empty ones left out.
    pub fn reservations(&self) -> Reservations<'a> {
        Reservations { bytes: self.bytes(), offset: self.header().reservations_offset }
    }

    /// The memory that the tree describes: every non-empty `reg` entry of the root's enabled memory nodes.
    ///
    /// A tree that was shipped with a kernel says `<0 0 0>`: that is no memory, and the iterator is empty.
    ///
    /// # Errors
    /// [`Error::Cells`] if the root's cells make no sense.
    pub fn memory(&self) -> Result<Memory<'a>, Error> {
        let root = self.root();
        let cells = root.child_cells()?;
        Ok(Memory { cells, nodes: root.children(), pairs: pairs(&[], cells) })
    }

    /// The regions of `/reserved-memory` that have an address. Those that the operating system is to place itself (a `size`
    /// without `reg`) and disabled ones are left out.
    ///
    /// # Errors
    /// [`Error::Cells`] if the cells of `/reserved-memory` make no sense.
    pub fn reserved_memory(&self) -> Result<ReservedMemory<'a>, Error> {
        let Some(parent) = self.root().child("reserved-memory") else {
            return Ok(ReservedMemory { cells: Cells { address: 2, size: 1 }, nodes: None, current: None });
        };
        Ok(ReservedMemory { cells: parent.child_cells()?, nodes: Some(parent.children()), current: None })
    }

    /// Every node that lists `name` in `compatible`, disabled ones too.
    pub fn compatible<'n>(&self, name: &'n str) -> Compatible<'a, 'n> {
        Compatible { nodes: self.nodes(), name }
    }

    /// The node that `/chosen` names for console output (`stdout-path`, or the older `linux,stdout-path`), and the options
    /// behind the `:` (`115200n8`), which may be empty.
    pub fn stdout(&self) -> Option<(Node<'a>, &'a str)> {
        let chosen = self.root().child("chosen")?;
        let path = chosen.property("stdout-path").or_else(|| chosen.property("linux,stdout-path"))?.string()?;
        let (path, options) = path.split_once(':').unwrap_or((path, ""));
        Some((self.find(path)?, options))
    }

    /// The command line in `/chosen`.
    pub fn bootargs(&self) -> Option<&'a str> {
        self.root().child("chosen")?.property("bootargs")?.string()
    }

    /// Where the firmware put an initial ramdisk: `linux,initrd-start` and `-end` of `/chosen`, of one or two cells each.
    pub fn initrd(&self) -> Option<PhysicalRange> {
        let chosen = self.root().child("chosen")?;
        let start = chosen.property("linux,initrd-start")?.number()?;
        let end = chosen.property("linux,initrd-end")?.number()?;
        (start < end).then_some(PhysicalRange { start, end })
    }
}

/// Iterator over [`Tree::reservations`].
#[derive(Clone)]
pub struct Reservations<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Iterator for Reservations<'_> {
    type Item = PhysicalRange;

    fn next(&mut self) -> Option<PhysicalRange> {
        loop {
            let address = double_word(self.bytes, self.offset)?;
            let size = double_word(self.bytes, self.offset.checked_add(8)?)?;
            if address == 0 && size == 0 {
                return None;
            }
            self.offset += header::RESERVATION_SIZE;
            if let Some(range) = PhysicalRange::sized(address, size).filter(|range| !range.is_empty()) {
                return Some(range);
            }
        }
    }
}

/// Whether a child of the root describes memory: by `device_type`, or by its name where that is missing.
pub(in super::super) fn is_memory(node: &Node<'_>) -> bool {
    match node.property("device_type") {
        Some(kind) => kind.string() == Some("memory"),
        None => node.name() == "memory" || node.name().starts_with("memory@"),
    }
}

/// Iterator over [`Tree::memory`].
#[derive(Clone)]
pub struct Memory<'a> {
    cells: Cells,
    nodes: Children<'a>,
    pairs: Pairs<'a>,
}

impl Iterator for Memory<'_> {
    type Item = PhysicalRange;

    fn next(&mut self) -> Option<PhysicalRange> {
        loop {
            let Some((start, size)) = self.pairs.next() else {
                let node = self.nodes.find(|node| is_memory(node) && node.is_enabled())?;
                self.pairs = pairs(node.property("reg").map_or(&[], |reg| reg.value()), self.cells);
                continue;
            };
            if let Some(range) = PhysicalRange::sized(start, size).filter(|range| !range.is_empty()) {
                return Some(range);
            }
        }
    }
}

/// A part of memory that `/reserved-memory` keeps for a purpose.
#[derive(Clone, Copy, Debug)]
pub struct ReservedRegion<'a> {
    /// The node that says so.
    pub node: Node<'a>,
    /// The memory.
    pub range: PhysicalRange,
    /// Whether it must not even be mapped.
    pub no_map: bool,
}

/// Iterator over [`Tree::reserved_memory`].
#[derive(Clone)]
pub struct ReservedMemory<'a> {
    cells: Cells,
    nodes: Option<Children<'a>>,
    current: Option<(Node<'a>, Pairs<'a>)>,
}

impl<'a> Iterator for ReservedMemory<'a> {
    type Item = ReservedRegion<'a>;

    fn next(&mut self) -> Option<ReservedRegion<'a>> {
        loop {
            let Some((node, pairs)) = &mut self.current else {
                let node = self.nodes.as_mut()?.find(Node::is_enabled)?;
                let value = node.property("reg").map_or(&[][..], |reg| reg.value());
                self.current = Some((node, pairs(value, self.cells)));
                continue;
            };
            let (node, pair) = (*node, pairs.next());
            let Some((start, size)) = pair else {
                self.current = None;
                continue;
            };
            if let Some(range) = PhysicalRange::sized(start, size).filter(|range| !range.is_empty()) {
                return Some(ReservedRegion { node, range, no_map: node.property("no-map").is_some() });
            }
        }
    }
}

/// Iterator over [`Tree::compatible`].
#[derive(Clone)]
pub struct Compatible<'a, 'n> {
    nodes: Nodes<'a>,
    name: &'n str,
}

impl<'a> Iterator for Compatible<'a, '_> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let name = self.name;
        self.nodes.find(|node| node.is_compatible(name))
    }
}
