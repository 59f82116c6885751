//! Reading a device tree: nodes by path, alias, phandle and `compatible`, properties, and addresses as the CPU sees them.
//!
//! A [`Tree`] exists only over bytes that passed [`check()`]; it is a few words and a [`Header`], copied freely, and nothing is
//! allocated. Properties are parsed by fdt-rs (`Cursor` is the only place that calls it), nodes and their relations are ours: fdt-rs's own nodes
//! refuse a whole tree for a name of 30 characters, which is legal. The way past a token is ours, too: a look for one property passes thousands.
//!
//! Contents are not trusted: a property of the wrong length reads as `None`, never as zero.

mod address;
mod node;
mod property;
mod system;

use core::fmt;

use fdt_rs::base::DevTree;
use fdt_rs::base::iters::DevTreeParseIter;
use fdt_rs::base::parse::ParsedTok;
use fdt_rs::prelude::FallibleIterator;

use super::check::{self, check};
use super::header::{self, Header, padded, word};
use super::label::Label;

pub(super) use address::Cells;
pub use node::{Children, Node, NodePath, Nodes, Properties};
pub use property::Property;
pub(super) use system::is_memory;
pub use system::{Compatible, Memory, Reservations, ReservedMemory, ReservedRegion};

/// What keeps a tree, or an address in it, from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes are not a well-formed tree.
    Malformed(check::Error),
    /// The tree lies at an address that is not a multiple of 4.
    Misaligned {
        /// Where it lies.
        address: usize,
    },
    /// The node has no `reg`, or not that many entries.
    NoRegister {
        /// The node's name.
        node: Label,
        /// Which entry was wanted, from 0.
        index: usize,
    },
    /// `#address-cells` or `#size-cells` of a bus is missing its value or is more than two cells.
    Cells {
        /// The bus's name; empty for the root.
        bus: Label,
    },
    /// A bus has no `ranges`, or none of them contains the address.
    NotMapped {
        /// The bus's name.
        bus: Label,
        /// The address on that bus.
        address: u64,
    },
    /// Address and size pass the end of the address space.
    Wraps {
        /// The node's name.
        node: Label,
        /// The address.
        address: u64,
        /// The size in bytes.
        size: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Misaligned { address } => write!(f, "device tree at {address:#x}, expected a multiple of 4"),
            Self::NoRegister { node, index } => write!(f, "device tree node {node} has no reg entry number {index}"),
            Self::Cells { bus } => {
                write!(f, "device tree node /{bus} has #address-cells or #size-cells that are not 0, 1 or 2")
            }
            Self::NotMapped { bus, address } => {
                write!(
                    f,
                    "device tree bus {bus} does not map its address {address:#x} to the CPU (its ranges do not contain it)"
                )
            }
            Self::Wraps { node, address, size } => {
                write!(f, "device tree node {node}: {size:#x} bytes from {address:#x} pass the end of memory")
            }
        }
    }
}

impl core::error::Error for Error {}

impl From<check::Error> for Error {
    fn from(error: check::Error) -> Self {
        Self::Malformed(error)
    }
}

/// A checked device tree.
#[derive(Clone, Copy)]
pub struct Tree<'a> {
    /// Exactly the tree's total size, at an address that is a multiple of 4.
    bytes: &'a [u8],
    header: Header,
    /// The same bytes for fdt-rs.
    fdt: DevTree<'a>,
}

impl<'a> Tree<'a> {
    /// Checks the tree at the start of `bytes`; bytes after its total size are ignored.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::Misaligned`] if the tree does not lie on a multiple of 4 bytes.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let header = check(bytes)?;
        Self::from_checked(bytes, header)
    }

    /// The tree in `bytes`, of which `header` is what [`check()`] would say.
    pub(super) fn from_checked(bytes: &'a [u8], header: Header) -> Result<Self, Error> {
        let bytes = bytes.get(..header.total_size).unwrap_or(bytes);
        match fdt(bytes) {
            Some(fdt) => Ok(Self { bytes, header, fdt }),
            None => Err(Error::Misaligned { address: bytes.as_ptr().addr() }),
        }
    }

    /// The whole tree, as long as its total size.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where its blocks lie.
    pub fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn cursor(&self, offset: usize) -> Cursor<'a> {
        Cursor { tree: *self, offset }
    }

    /// The strings block from `offset` on.
    fn strings(&self, offset: usize) -> Option<&'a [u8]> {
        let start = self.header.strings_offset;
        self.bytes.get(start..start.checked_add(self.header.strings_size)?)?.get(offset..)
    }

    /// Whether the text at `offset` of the strings block is `name`.
    fn is_string(&self, offset: usize, name: &str) -> bool {
        let behind = self.strings(offset).and_then(|strings| strings.strip_prefix(name.as_bytes()));
        behind.is_some_and(|behind| behind.first() == Some(&0))
    }
}

impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("header", &self.header).finish_non_exhaustive()
    }
}

/// fdt-rs's view of a tree: `None` unless `bytes` are aligned and as long as the tree says.
// fdt-rs offers no safe constructor; this is the one unsafe call outside of arch, mmio, dma and ram.
#[allow(unsafe_code)]
fn fdt(bytes: &[u8]) -> Option<DevTree<'_>> {
    let whole = word(bytes, header::field::TOTAL_SIZE).is_some_and(|size| size as usize == bytes.len());
    if !whole || !bytes.as_ptr().addr().is_multiple_of(4) {
        return None;
    }
    // SAFETY: `DevTree::new` asks for a buffer that is 32-bit aligned and exactly as long as the header's totalsize: both were
    // looked at in the lines above.
    unsafe { DevTree::new(bytes) }.ok()
}

/// A token of the structure block.
pub(super) enum Token<'a> {
    BeginNode(&'a str),
    EndNode,
    Property { name: &'a str, value: &'a [u8] },
    Nop,
}

/// A token that is only passed: what it takes to see whether it is the one that is looked for.
pub(super) enum Passed<'a> {
    /// With the node's name.
    BeginNode(&'a [u8]),
    EndNode,
    /// With the offset of its name in the strings block.
    Property(usize),
    Nop,
}

/// A position in the structure block, in bytes from the tree's start, always on a token.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    tree: Tree<'a>,
    pub offset: usize,
}

impl<'a> Cursor<'a> {
    /// The token here, moving on behind it; `None` at END.
    pub fn step(&mut self) -> Option<Token<'a>> {
        let at = *self;
        Some(match self.pass()? {
            Passed::BeginNode(name) => Token::BeginNode(core::str::from_utf8(name).ok()?),
            Passed::EndNode => Token::EndNode,
            Passed::Nop => Token::Nop,
            Passed::Property(name) => {
                let property = at.property(name)?;
                Token::Property { name: property.name(), value: property.value() }
            }
        })
    }

    /// Moves on behind the token here without a look at its contents, which is most of the way to anything; `None` at END.
    pub fn pass(&mut self) -> Option<Passed<'a>> {
        let bytes = self.tree.bytes;
        let behind = self.offset.checked_add(header::TOKEN_SIZE)?;
        let (passed, end) = match word(bytes, self.offset)? {
            header::BEGIN_NODE => {
                let name = check::terminated(bytes, behind)?;
                (Passed::BeginNode(name), behind.checked_add(name.len() + 1)?)
            }
            header::PROPERTY => {
                let (length, name) = (word(bytes, behind)?, word(bytes, behind.checked_add(4)?)?);
                let value = self.offset.checked_add(header::PROPERTY_HEADER_SIZE)?;
                (Passed::Property(name as usize), value.checked_add(length as usize)?)
            }
            header::END_NODE => (Passed::EndNode, behind),
            header::NOP => (Passed::Nop, behind),
            _ => return None,
        };
        self.offset = padded(end)?;
        Some(passed)
    }

    /// The property whose token is here, if one is, with its name at `name` of the strings block.
    fn property(&self, name: usize) -> Option<Property<'a>> {
        let mut tokens = DevTreeParseIter { offset: self.offset, fdt: &self.tree.fdt };
        let ParsedTok::Prop(property) = tokens.next().ok()?? else { return None };
        let name = check::terminated(self.tree.strings(name)?, 0)?;
        Some(Property::new(core::str::from_utf8(name).ok()?, property.prop_buf, self.offset))
    }
}
