//! Why an overlay was not applied, in words.

use core::fmt;

use super::super::label::Label;
use super::super::{edit, read};
use super::LARGEST;

/// Why an overlay was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is larger than [`LARGEST`].
    TooLarge {
        /// Its total size in bytes.
        size: usize,
    },
    /// It has no fragment: it is an ordinary tree.
    NoFragment,
    /// The tree has no such label.
    NoLabel {
        /// The label.
        label: Label,
        /// Whether the tree has labels at all.
        labels: bool,
    },
    /// A fragment has no target that is in the tree.
    NoTarget {
        /// The fragment's name.
        fragment: Label,
        /// The `target-path`, or `target`.
        wanted: Label,
    },
    /// An entry of `__fixups__` or `__local_fixups__` is not about a cell of the overlay.
    BadFixup {
        /// The entry, or the property's name.
        what: Label,
    },
    /// No phandles are left for the overlay's nodes.
    NoPhandle,
    /// The tree could not be read.
    Tree(read::Error),
    /// The tree could not be edited.
    Edit(edit::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size } => write!(f, "overlay of {size} bytes, expected at most {LARGEST}"),
            Self::NoFragment => {
                f.write_str("not an overlay: no node in it has an __overlay__ (is it a whole device tree?)")
            }
            Self::NoLabel { label, labels: true } => {
                write!(
                    f,
                    "overlay needs the label {label}, which the device tree does not have (is it for another kernel's tree?)"
                )
            }
            Self::NoLabel { label, labels: false } => {
                write!(
                    f,
                    "overlay needs the label {label}, but the device tree has no __symbols__: compile it with dtc -@"
                )
            }
            Self::NoTarget { fragment, wanted } => {
                write!(f, "overlay's {fragment}: its target ({wanted}) is not in the device tree")
            }
            Self::BadFixup { what } => write!(f, "overlay is damaged: fix-up {what} is not about a cell in it"),
            Self::NoPhandle => write!(f, "overlay needs more phandles than there are below {}", edit::PHANDLE_LIMIT),
            Self::Tree(error) => error.fmt(f),
            Self::Edit(error) => write!(f, "overlay: {error}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<read::Error> for Error {
    fn from(error: read::Error) -> Self {
        Self::Tree(error)
    }
}

impl From<edit::Error> for Error {
    fn from(error: edit::Error) -> Self {
        Self::Edit(error)
    }
}
