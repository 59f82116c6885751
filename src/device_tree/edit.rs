//! Editing a device tree in place, in a buffer that has room for it to grow.
//!
//! An [`Editor`] owns the buffer for as long as it lives. The tree in it is packed - header, reservations, structure, strings,
//! nothing between - and whole after every edit: what follows an edit's place is moved, so each block keeps its alignment and
//! [`Editor::tree`] can be read at any time. An edit that fails has changed nothing.
//!
//! Nodes are named by paths as [`Tree::find`] takes them. New properties come after a node's other properties and new nodes after
//! its other children: the order in which things are added is the order in which Xen and people read them. Whoever has to make the tree that
//! libfdt would make, as the shell's `fdt` commands, asks for [`Editor::newest_first`].
//!
//! Names of properties are shared: a name that is already in the strings block, if only as the end of a longer one, is used again.
//! [`Editor::compact`] takes out the names that nothing uses any more, and NOP tokens.

mod compact;
mod error;
mod name;
mod phandle;
mod splice;

use alloc::vec::Vec;

use self::name::{check_node_name, check_property_name};
use super::check::{self, check};
use super::header::{self, Header, padded};
use super::label::Label;
use super::read::{Node, Property, Tree};
use crate::range::PhysicalRange;

pub use error::{Error, NameFault};
pub use phandle::PHANDLE_LIMIT;

/// A device tree being edited.
pub struct Editor<'a> {
    buffer: &'a mut [u8],
    /// Of the tree in `buffer`: always packed, in the order reservations, structure, strings.
    header: Header,
    /// Whether what is added comes before what is there.
    newest_first: bool,
}

impl<'a> Editor<'a> {
    /// Takes the tree at the start of `buffer`, which it may fill to its last byte, and packs it.
    ///
    /// # Errors
    /// [`Error::Tree`] and [`Error::Misaligned`]; the buffer is unchanged then.
    pub fn new(buffer: &'a mut [u8]) -> Result<Self, Error> {
        let address = buffer.as_ptr().addr();
        if !address.is_multiple_of(8) {
            return Err(Error::Misaligned { address });
        }
        let header = check(buffer)?;
        let mut editor = Self { buffer, header, newest_first: false };
        editor.pack();
        Ok(editor)
    }

    /// Copies `tree` to the start of `buffer` and edits it there.
    ///
    /// # Errors
    /// As [`Editor::new`], and [`Error::NoRoom`].
    pub fn copy(tree: &[u8], buffer: &'a mut [u8]) -> Result<Self, Error> {
        let size = check(tree)?.total_size;
        let have = buffer.len();
        match (buffer.get_mut(..size), tree.get(..size)) {
            (Some(target), Some(source)) => target.copy_from_slice(source),
            _ => return Err(Error::NoRoom { needed: size, have }),
        }
        Self::new(buffer)
    }

    /// The same with new properties before a node's other properties and new nodes before its other children, as libfdt has it.
    /// Domains are numbered in the order of their nodes, so a script for U-Boot counts on it.
    pub fn newest_first(self) -> Self {
        Self { newest_first: true, ..self }
    }

    /// The tree as it is now.
    ///
    /// # Errors
    /// None that can be met: the buffer was checked and aligned when the editor was made.
    pub fn tree(&self) -> Result<Tree<'_>, Error> {
        Ok(Tree::from_checked(self.as_bytes(), self.header)?)
    }

    /// The bytes of the tree as it is now, as many as its total size.
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.header.total_size).unwrap_or(&[])
    }

    /// Bytes that the tree can still grow by.
    pub fn room(&self) -> usize {
        self.buffer.len().saturating_sub(self.header.total_size)
    }

    /// Ends the editing; gives the tree's bytes, as many as its total size.
    pub fn finish(self) -> &'a mut [u8] {
        let size = self.header.total_size;
        self.buffer.get_mut(..size).unwrap_or(&mut [])
    }

    /// Sets property `name` of the node at `path` to `value`, adding the property if it is not there.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], [`Error::BadName`], [`Error::NoRoom`].
    pub fn set_property(&mut self, path: &str, name: &str, value: &[u8]) -> Result<(), Error> {
        self.write_property(path, name, value, false)
    }

    /// As [`Editor::set_property`] with a list of 32-bit cells.
    ///
    /// # Errors
    /// As [`Editor::set_property`].
    pub fn set_cells(&mut self, path: &str, name: &str, cells: &[u32]) -> Result<(), Error> {
        let value: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        self.set_property(path, name, &value)
    }

    /// As [`Editor::set_property`] with a zero-terminated text.
    ///
    /// # Errors
    /// As [`Editor::set_property`].
    pub fn set_string(&mut self, path: &str, name: &str, text: &str) -> Result<(), Error> {
        self.set_strings(path, name, &[text])
    }

    /// As [`Editor::set_property`] with a list of zero-terminated texts.
    ///
    /// # Errors
    /// As [`Editor::set_property`].
    pub fn set_strings(&mut self, path: &str, name: &str, texts: &[&str]) -> Result<(), Error> {
        let value: Vec<u8> = texts.iter().flat_map(|text| text.bytes().chain([0])).collect();
        self.set_property(path, name, &value)
    }

    /// Adds `value` to the end of what property `name` of the node at `path` has; adds the property if it is not there.
    ///
    /// # Errors
    /// As [`Editor::set_property`].
    pub fn append_property(&mut self, path: &str, name: &str, value: &[u8]) -> Result<(), Error> {
        self.write_property(path, name, value, true)
    }

    /// Deletes property `name` of the node at `path`.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], [`Error::NoSuchProperty`].
    pub fn delete_property(&mut self, path: &str, name: &str) -> Result<(), Error> {
        let missing = Error::NoSuchProperty { path: Label::new(path), name: Label::new(name) };
        let property = self.node(path)?.property(name).ok_or(missing)?;
        let (offset, size) = (property.offset, property_size(property.value().len())?);
        self.splice_structure(offset, size, 0);
        Ok(())
    }

    /// Adds a node called `name` as the last child of the node at `parent` (the first one, if [`Editor::newest_first`] was asked for).
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], [`Error::BadName`], [`Error::Exists`], [`Error::TooDeep`], [`Error::NoRoom`].
    pub fn add_node(&mut self, parent: &str, name: &str) -> Result<(), Error> {
        check_node_name(name)?;
        let node = self.node(parent)?;
        if node.children().any(|child| child.name() == name) {
            return Err(Error::Exists { parent: Label::new(parent), name: Label::new(name) });
        }
        if node.depth() >= check::DEEPEST {
            return Err(Error::TooDeep { parent: Label::new(parent) });
        }
        let end = node.end() - header::TOKEN_SIZE;
        let first = if self.newest_first { node.children().next() } else { None };
        let at = first.map_or(end, |child| child.offset);
        let name_size = (name.len() + 1).next_multiple_of(header::TOKEN_SIZE);
        self.make_room(name_size + 2 * header::TOKEN_SIZE)?;
        self.splice_structure(at, 0, name_size + 2 * header::TOKEN_SIZE);
        self.put_word(at, header::BEGIN_NODE);
        self.put(at + header::TOKEN_SIZE, name.as_bytes());
        self.put_word(at + header::TOKEN_SIZE + name_size, header::END_NODE);
        Ok(())
    }

    /// Deletes the node at `path` and all below it.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], [`Error::Root`].
    pub fn delete_node(&mut self, path: &str) -> Result<(), Error> {
        let node = self.node(path)?;
        if node == self.tree()?.root() {
            return Err(Error::Root);
        }
        let (start, end) = (node.offset, node.end());
        self.splice_structure(start, end - start, 0);
        Ok(())
    }

    /// Adds `range` to `/memreserve/`, behind what is there.
    ///
    /// # Errors
    /// [`Error::EmptyReservation`], [`Error::NoRoom`].
    pub fn add_reservation(&mut self, range: PhysicalRange) -> Result<(), Error> {
        if range.is_empty() {
            return Err(Error::EmptyReservation { address: range.start });
        }
        self.make_room(header::RESERVATION_SIZE)?;
        let at = self.header.reservations_offset + self.header.reservations_size - header::RESERVATION_SIZE;
        self.splice_reservations(at, 0, header::RESERVATION_SIZE);
        self.put(at, &range.start.to_be_bytes());
        self.put(at + 8, &range.size().to_be_bytes());
        Ok(())
    }

    /// Deletes the entry of `/memreserve/` that is exactly `range`.
    ///
    /// # Errors
    /// [`Error::NoSuchReservation`].
    pub fn delete_reservation(&mut self, range: PhysicalRange) -> Result<(), Error> {
        let wanted = [range.start.to_be_bytes(), range.size().to_be_bytes()];
        let start = self.header.reservations_offset;
        let block = self.buffer.get(start..start + self.header.reservations_size).unwrap_or(&[]);
        // The last entry is the terminating one; a range of no bytes would be just that.
        let entry = block
            .chunks_exact(header::RESERVATION_SIZE)
            .position(|entry| entry == wanted.as_flattened() && !range.is_empty())
            .map(|index| start + index * header::RESERVATION_SIZE)
            .ok_or(Error::NoSuchReservation(range))?;
        self.splice_reservations(entry, header::RESERVATION_SIZE, 0);
        Ok(())
    }

    fn node(&self, path: &str) -> Result<Node<'_>, Error> {
        self.tree()?
            .walk(path)
            .map_err(|component| Error::NoSuchNode { path: Label::new(path), component: Label::new(component) })
    }

    fn write_property(&mut self, path: &str, name: &str, value: &[u8], append: bool) -> Result<(), Error> {
        check_property_name(name)?;
        let node = self.node(path)?;
        let Some(property) = node.property(name) else {
            let last = if self.newest_first { None } else { node.properties().last() };
            let at = last.map_or(Ok(node.body), |last| property_end(&last))?;
            return self.insert_property(at, name, value);
        };
        let at = property.offset;
        let old = property.value().len();
        let keep = if append { old } else { 0 };
        let new = keep.saturating_add(value.len());
        let (old_size, new_size) = (property_size(old)?, property_size(new)?);
        self.make_room(new_size.saturating_sub(old_size))?;
        if new_size >= old_size {
            self.splice_structure(at + old_size, 0, new_size - old_size);
        } else {
            self.splice_structure(at + new_size, old_size - new_size, 0);
        }
        let start = at + header::PROPERTY_HEADER_SIZE;
        self.put_word(at + 4, new as u32);
        self.put(start + keep, value);
        if let Some(padding) = self.buffer.get_mut(start + new..at + new_size) {
            padding.fill(0);
        }
        Ok(())
    }

    fn insert_property(&mut self, at: usize, name: &str, value: &[u8]) -> Result<(), Error> {
        let size = property_size(value.len())?;
        let known = self.find_string(name);
        let name_size = if known.is_some() { 0 } else { name.len() + 1 };
        self.make_room(size.saturating_add(name_size))?;
        let name_offset = match known {
            Some(offset) => offset,
            None => self.push_string(name),
        };
        self.splice_structure(at, 0, size);
        self.put_word(at, header::PROPERTY);
        self.put_word(at + 4, value.len() as u32);
        self.put_word(at + 8, name_offset as u32);
        self.put(at + header::PROPERTY_HEADER_SIZE, value);
        Ok(())
    }
}

/// Bytes of a property in the structure block whose value has `length` bytes.
fn property_size(length: usize) -> Result<usize, Error> {
    u32::try_from(length)
        .ok()
        .and_then(|_| padded(length))
        .and_then(|length| length.checked_add(header::PROPERTY_HEADER_SIZE))
        .ok_or(Error::NoRoom { needed: usize::MAX, have: 0 })
}

fn property_end(property: &Property<'_>) -> Result<usize, Error> {
    Ok(property.offset + property_size(property.value().len())?)
}
