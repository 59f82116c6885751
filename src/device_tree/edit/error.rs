//! Why an edit was not made, in words.

use core::fmt;

use super::super::check::{self, LONGEST_NAME};
use super::super::label::Label;
use super::super::read;
use super::PHANDLE_LIMIT;
use crate::range::PhysicalRange;

/// Why an edit was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The buffer does not hold a well-formed tree, or what it says about addresses makes no sense.
    Tree(read::Error),
    /// The buffer does not lie on a multiple of 8 bytes, as Xen wants a tree.
    Misaligned {
        /// Where it lies.
        address: usize,
    },
    /// The buffer is too small.
    NoRoom {
        /// Bytes the tree would have after the edit.
        needed: usize,
        /// Bytes the buffer has.
        have: usize,
    },
    /// There is no such node.
    NoSuchNode {
        /// The path that was asked for.
        path: Label,
        /// The part of it that is not there.
        component: Label,
    },
    /// The node has no such property.
    NoSuchProperty {
        /// The node's path.
        path: Label,
        /// The property's name.
        name: Label,
    },
    /// There is no such memory reservation.
    NoSuchReservation(PhysicalRange),
    /// The parent already has a child of that name.
    Exists {
        /// The parent's path.
        parent: Label,
        /// The name.
        name: Label,
    },
    /// A name that no node, or no property, may have.
    BadName {
        /// The name.
        name: Label,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// The root node cannot be deleted.
    Root,
    /// The node would lie deeper than [`check::DEEPEST`].
    TooDeep {
        /// The parent's path.
        parent: Label,
    },
    /// A reservation without a byte, which would read as the end of the list.
    EmptyReservation {
        /// Where it would start.
        address: u64,
    },
    /// Every phandle below [`PHANDLE_LIMIT`] is in use.
    NoPhandle,
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// It is empty.
    Empty,
    /// It is longer than [`LONGEST_NAME`] bytes.
    TooLong,
    /// It has a character that the Devicetree Specification (2.2.1, 2.2.4) does not allow.
    Character(char),
    /// A node's name has more than one `@`.
    SecondUnitAddress,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree(error) => error.fmt(f),
            Self::Misaligned { address } => write!(f, "device tree buffer at {address:#x}, expected a multiple of 8"),
            Self::NoRoom { needed, have } => {
                write!(f, "device tree does not fit: it needs {needed} bytes, its buffer has {have}")
            }
            Self::NoSuchNode { path, component } if path == component => write!(f, "device tree has no node {path}"),
            Self::NoSuchNode { path, component } => write!(f, "device tree has no node {path}: no {component} there"),
            Self::NoSuchProperty { path, name } => write!(f, "device tree node {path} has no property {name}"),
            Self::NoSuchReservation(range) => write!(f, "device tree has no memory reservation {range}"),
            Self::Exists { parent, name } => write!(f, "device tree node {parent} already has a child {name}"),
            Self::BadName { name, fault } => {
                write!(f, "{name:?} is no name in a device tree: ")?;
                match fault {
                    NameFault::Empty => f.write_str("it is empty"),
                    NameFault::TooLong => write!(f, "it is longer than {LONGEST_NAME} bytes"),
                    NameFault::Character(character) => write!(f, "{character:?} is not allowed"),
                    NameFault::SecondUnitAddress => f.write_str("it has more than one @"),
                }
            }
            Self::Root => f.write_str("the root of a device tree cannot be deleted"),
            Self::TooDeep { parent } => {
                write!(f, "device tree nodes below {parent} would nest deeper than {}", check::DEEPEST)
            }
            Self::EmptyReservation { address } => write!(f, "a memory reservation of no bytes at {address:#x}"),
            Self::NoPhandle => write!(f, "device tree has no phandle left below {PHANDLE_LIMIT}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<check::Error> for Error {
    fn from(error: check::Error) -> Self {
        Self::Tree(read::Error::Malformed(error))
    }
}

impl From<read::Error> for Error {
    fn from(error: read::Error) -> Self {
        Self::Tree(error)
    }
}
