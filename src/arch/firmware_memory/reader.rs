//! One pass over the tree's two blocks, token by token, without a heap and without recursion.

use super::{FirmwareMemory, FirmwareMemoryError, Reservation};
use crate::range::PhysicalRange;

pub(super) const BEGIN_NODE: u32 = 1;
pub(super) const END_NODE: u32 = 2;
pub(super) const PROPERTY: u32 = 3;
pub(super) const NOP: u32 = 4;
pub(super) const END: u32 = 9;

/// The big-endian word at `offset`, or `None` past the end.
pub(super) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The big-endian double word at `offset`.
fn double_word(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// A number of one or two cells that fills all of `value`: both are in use for `linux,initrd-start`.
fn number(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 => word(value, 0).map(u64::from),
        8 => double_word(value, 0),
        _ => None,
    }
}

/// How many cells an address and a size have, where a node's children are described.
#[derive(Clone, Copy)]
struct Cells {
    address: u32,
    size: u32,
}

/// Devicetree Specification 2.3.5: what holds where a node says nothing.
const DEFAULT_CELLS: Cells = Cells { address: 2, size: 1 };

/// What a node is to this reader.
#[derive(Clone, Copy, PartialEq)]
enum Node {
    Root,
    Memory,
    Reserved,
    ReservedChild,
    Chosen,
    Other,
}

/// The properties of one node that wait for its end, because they are only understood together.
#[derive(Clone, Copy)]
struct Pending<'a> {
    node: Node,
    reg: &'a [u8],
    no_map: bool,
    disabled: bool,
    is_memory: bool,
}

struct Reader<'a, 'm> {
    blob: &'a [u8],
    map: &'m mut FirmwareMemory,
}

/// Adds to `map` what `blob`, a whole tree by its header's size, says. By reference, because the map is large and the early stack small.
pub(super) fn read(blob: &[u8], map: &mut FirmwareMemory) -> Result<(), FirmwareMemoryError> {
    let mut reader = Reader { blob, map };
    reader.reservation_block()?;
    reader.structure_block()
}

impl<'a> Reader<'a, '_> {
    fn header(&self, offset: usize) -> Result<usize, FirmwareMemoryError> {
        word(self.blob, offset).map(|value| value as usize).ok_or(FirmwareMemoryError::Structure { offset })
    }

    fn reserve(&mut self, start: u64, size: u64, no_map: bool) -> Result<(), FirmwareMemoryError> {
        if size == 0 {
            return Ok(());
        }
        let range = PhysicalRange { start, end: start.saturating_add(size) };
        self.map.reserved.push(Reservation { range, no_map })
    }

    fn reservation_block(&mut self) -> Result<(), FirmwareMemoryError> {
        let mut offset = self.header(16)?;
        loop {
            let damaged = FirmwareMemoryError::Structure { offset };
            let start = double_word(self.blob, offset).ok_or(damaged)?;
            let size = offset.checked_add(8).and_then(|offset| double_word(self.blob, offset)).ok_or(damaged)?;
            if start == 0 && size == 0 {
                return Ok(());
            }
            self.reserve(start, size, false)?;
            offset += 16;
        }
    }

    fn structure_block(&mut self) -> Result<(), FirmwareMemoryError> {
        let mut offset = self.header(8)?;
        let strings = self.header(12)?;
        if !offset.is_multiple_of(4) {
            return Err(FirmwareMemoryError::Structure { offset });
        }
        let mut depth = 0_usize;
        let mut root_cells = DEFAULT_CELLS;
        let mut reserved_cells = DEFAULT_CELLS;
        let mut parent = Node::Other;
        let mut pending: Option<Pending<'a>> = None;
        let mut initrd = (None, None);
        loop {
            let damaged = FirmwareMemoryError::Structure { offset };
            let tag = word(self.blob, offset).ok_or(damaged)?;
            offset += 4;
            match tag {
                BEGIN_NODE => {
                    self.finish(pending.take(), root_cells, reserved_cells)?;
                    let name = self.name(offset).ok_or(damaged)?;
                    offset = (offset + name.len() + 1).next_multiple_of(4);
                    depth += 1;
                    let stem = name.split(|byte| *byte == b'@').next().unwrap_or_default();
                    let node = match (depth, stem) {
                        (1, _) => Node::Root,
                        (2, b"memory") => Node::Memory,
                        (2, b"reserved-memory") => Node::Reserved,
                        (2, b"chosen") => Node::Chosen,
                        (3, _) if parent == Node::Reserved => Node::ReservedChild,
                        _ => Node::Other,
                    };
                    if depth == 2 {
                        parent = node;
                    }
                    pending = Some(Pending {
                        node,
                        reg: &[],
                        no_map: false,
                        disabled: false,
                        is_memory: node == Node::Memory,
                    });
                }
                END_NODE => {
                    self.finish(pending.take(), root_cells, reserved_cells)?;
                    depth = depth.checked_sub(1).ok_or(damaged)?;
                }
                PROPERTY => {
                    let length = word(self.blob, offset).ok_or(damaged)? as usize;
                    let name = word(self.blob, offset + 4).ok_or(damaged)? as usize;
                    let end = (offset + 8).checked_add(length).ok_or(damaged)?;
                    let value = self.blob.get(offset + 8..end).ok_or(damaged)?;
                    let name = strings.checked_add(name).and_then(|at| self.name(at)).ok_or(damaged)?;
                    let value_at = offset + 8;
                    offset = end.next_multiple_of(4);
                    // A property after a child node has no owner here; the specification puts them before.
                    let Some(owner) = pending.as_mut() else { continue };
                    match (owner.node, name) {
                        (Node::Root, b"#address-cells") => root_cells.address = word(value, 0).ok_or(damaged)?,
                        (Node::Root, b"#size-cells") => root_cells.size = word(value, 0).ok_or(damaged)?,
                        (Node::Reserved, b"#address-cells") => {
                            reserved_cells.address = word(value, 0).ok_or(damaged)?
                        }
                        (Node::Reserved, b"#size-cells") => reserved_cells.size = word(value, 0).ok_or(damaged)?,
                        (Node::Chosen, b"linux,initrd-start") => initrd.0 = number(value),
                        (Node::Chosen, b"linux,initrd-end") => initrd.1 = number(value),
                        (Node::Chosen, b"bootargs") => self.map.bootargs = self.text_range(value, value_at),
                        (_, b"device_type") if depth == 2 && value == b"memory\0" => owner.is_memory = true,
                        (_, b"reg") => owner.reg = value,
                        (_, b"no-map") => owner.no_map = true,
                        (_, b"status") => owner.disabled = !matches!(value, b"okay\0" | b"ok\0"),
                        _ => {}
                    }
                }
                NOP => {}
                END if depth == 0 => break,
                _ => return Err(damaged),
            }
        }
        if let (Some(start), Some(end)) = initrd
            && start < end
        {
            self.map.initrd = Some(PhysicalRange { start, end });
        }
        Ok(())
    }

    /// The NUL-terminated bytes at `offset`, without the NUL.
    fn name(&self, offset: usize) -> Option<&'a [u8]> {
        let rest = self.blob.get(offset..)?;
        rest.get(..rest.iter().position(|byte| *byte == 0)?)
    }

    /// Where the text of a string property lies in memory.
    fn text_range(&self, value: &[u8], offset: usize) -> Option<PhysicalRange> {
        let length = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
        PhysicalRange::sized(self.map.tree.start.checked_add(offset as u64)?, length as u64)
    }

    /// Takes over what a node's properties say once all of them have been seen.
    fn finish(
        &mut self,
        pending: Option<Pending<'a>>,
        root_cells: Cells,
        reserved_cells: Cells,
    ) -> Result<(), FirmwareMemoryError> {
        let Some(node) = pending else { return Ok(()) };
        if node.is_memory && !node.disabled {
            for (start, size) in Entries::new(node.reg, root_cells) {
                if size != 0 {
                    self.map.banks.push(PhysicalRange { start, end: start.saturating_add(size) })?;
                }
            }
        }
        // A disabled reservation counts as well: leaving memory alone that one might use costs nothing here.
        if node.node == Node::ReservedChild {
            for (start, size) in Entries::new(node.reg, reserved_cells) {
                self.reserve(start, size, node.no_map)?;
            }
        }
        Ok(())
    }
}

/// The (address, size) pairs of a `reg` property. A cell count that no 64-bit number has gives none.
struct Entries<'a> {
    rest: &'a [u8],
    cells: Cells,
}

impl<'a> Entries<'a> {
    fn new(reg: &'a [u8], cells: Cells) -> Self {
        let known = (1..=2).contains(&cells.address) && (1..=2).contains(&cells.size);
        Self { rest: if known { reg } else { &[] }, cells }
    }
    fn take(&mut self, cells: u32) -> Option<u64> {
        let (value, rest) = self.rest.split_at_checked(cells as usize * 4)?;
        self.rest = rest;
        number(value)
    }
}

impl Iterator for Entries<'_> {
    type Item = (u64, u64);
    fn next(&mut self) -> Option<(u64, u64)> {
        let start = self.take(self.cells.address)?;
        Some((start, self.take(self.cells.size)?))
    }
}
