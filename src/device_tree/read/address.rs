//! `reg` as the CPU sees it: through the `ranges` of every bus between a node and the root.

use super::super::check::DEEPEST;
use super::super::label::Label;
use super::Error;
use super::node::Node;
use super::property::Property;
use crate::range::PhysicalRange;

/// How many 32-bit cells an address and a size have among a node's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Cells {
    pub address: usize,
    pub size: usize,
}

impl Cells {
    /// Cells of an address and a size together.
    fn entry(self) -> usize {
        self.address + self.size
    }
}

/// Reads numbers of one or two cells off a property's value.
#[derive(Clone, Copy)]
struct CellReader<'a>(&'a [u8]);

impl CellReader<'_> {
    /// The next number of `cells` cells (0 is the number 0).
    fn take(&mut self, cells: usize) -> Option<u64> {
        let mut value = 0u64;
        for _ in 0..cells {
            let (cell, rest) = self.0.split_first_chunk::<4>()?;
            value = (value << 32) | u64::from(u32::from_be_bytes(*cell));
            self.0 = rest;
        }
        Some(value)
    }
}

/// The address and size pairs of a `reg` value whose numbers have `cells` cells; an incomplete last pair is left out.
pub(in super::super) fn pairs(value: &[u8], cells: Cells) -> Pairs<'_> {
    Pairs { reader: CellReader(value), cells }
}

/// Iterator over [`pairs`].
#[derive(Clone)]
pub(in super::super) struct Pairs<'a> {
    reader: CellReader<'a>,
    cells: Cells,
}

impl Iterator for Pairs<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        // Entries without cells would never come to an end.
        if self.cells.entry() == 0 {
            return None;
        }
        Some((self.reader.take(self.cells.address)?, self.reader.take(self.cells.size)?))
    }
}

impl<'a> Node<'a> {
    /// The cells that this node's children use in `reg`; 2 and 1 where it does not say (Devicetree Specification, 2.3.5).
    ///
    /// # Errors
    /// [`Error::Cells`] if it says something other than 0, 1 or 2: an address of this project has 64 bits.
    pub(in super::super) fn child_cells(&self) -> Result<Cells, Error> {
        let wrong = || Error::Cells { bus: Label::new(self.name()) };
        let count = |name: &str, default: usize| match self.property(name) {
            None => Ok(default),
            Some(property) => property.u32().map(|cells| cells as usize).filter(|&cells| cells <= 2).ok_or_else(wrong),
        };
        Ok(Cells { address: count("#address-cells", 2)?, size: count("#size-cells", 1)? })
    }

    /// Entry `index` of its `reg` as physical addresses of the CPU.
    ///
    /// # Errors
    /// [`Error::NoRegister`] if there is no such entry, [`Error::NotMapped`] if a bus on the way does not map it,
    /// [`Error::Cells`] and [`Error::Wraps`] where the tree makes no sense.
    pub fn register(&self, index: usize) -> Result<PhysicalRange, Error> {
        let missing = || Error::NoRegister { node: Label::new(self.name()), index };
        let mut buses = [None; DEEPEST];
        let mut depth = 0usize;
        self.ancestors(|ancestor| {
            if let Some(slot) = buses.get_mut(depth) {
                *slot = Some(ancestor);
                depth += 1;
            }
        });
        let buses = buses.get(..depth).unwrap_or(&[]);
        let bus: Node<'a> = buses.last().copied().flatten().ok_or_else(missing)?;
        let value = self.property("reg").ok_or_else(missing)?.value();
        let (mut address, size) = pairs(value, bus.child_cells()?).nth(index).ok_or_else(missing)?;
        // From the bus the node is on up to the root, whose addresses are the CPU's.
        for pair in buses.windows(2).rev() {
            if let [Some(parent), Some(bus)] = pair {
                address = through(*bus, *parent, address)?;
            }
        }
        PhysicalRange::sized(address, size).ok_or_else(|| Error::Wraps { node: Label::new(self.name()), address, size })
    }
}

/// An address on `bus` as an address on its parent.
fn through(bus: Node<'_>, parent: Node<'_>, address: u64) -> Result<u64, Error> {
    let not_mapped = || Error::NotMapped { bus: Label::new(bus.name()), address };
    let ranges: Property<'_> = bus.property("ranges").ok_or_else(not_mapped)?;
    if ranges.value().is_empty() {
        return Ok(address);
    }
    let (child, parent) = (bus.child_cells()?, parent.child_cells()?);
    let entry = (child.entry() + parent.address) * 4;
    let mut reader = CellReader(ranges.value());
    while entry > 0 && reader.0.len() >= entry {
        let (Some(from), Some(to), Some(size)) =
            (reader.take(child.address), reader.take(parent.address), reader.take(child.size))
        else {
            break;
        };
        if let Some(distance) = address.checked_sub(from).filter(|&distance| distance < size) {
            return to.checked_add(distance).ok_or_else(not_mapped);
        }
    }
    Err(not_mapped())
}
