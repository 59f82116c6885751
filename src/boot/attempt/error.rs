//! Why an entry was not booted.

use crate::boot::dom0_memory::Shortage;
use crate::boot::script::Ended;
use crate::boot::{departure, layout, plan, store, supply, xen};
use crate::device_tree::{edit, overlay, read};
use alloc::string::String;
use core::fmt;

/// Why an entry was not booted.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// It cannot work as the settings have it, or a file is not what it should be.
    Plan(plan::Error),
    /// A file could not be had.
    Supply {
        /// Its name.
        file: String,
        /// Why.
        error: supply::Error,
    },
    /// A file found no place.
    Store {
        /// Its name.
        file: String,
        /// Why.
        error: store::Error,
    },
    /// Dom0 and the domains ask for more memory than is free.
    Shortage(Shortage),
    /// A device tree is none.
    Tree {
        /// Its name.
        file: String,
        /// Why.
        error: read::Error,
    },
    /// An overlay could not be applied.
    Overlay {
        /// Its name.
        file: String,
        /// Why.
        error: overlay::Error,
    },
    /// The tree could not be changed as needed.
    Edit(edit::Error),
    /// The device tree is too large for Xen.
    TreeSize(xen::TooLarge),
    /// Memory could not be laid out.
    Layout(layout::Error),
    /// A script ended without starting anything.
    Script(Ended),
    /// Everything was there, and could not be started.
    Departure(departure::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::Shortage(shortage) => shortage.fmt(f),
            Self::Supply { file, error } => write!(f, "{file}: {error}"),
            Self::Store { file, error } => write!(f, "{file}: {error}"),
            Self::Tree { file, error } => write!(f, "{file}: {error}"),
            Self::Overlay { file, error } => write!(f, "{file}: {error}"),
            Self::Edit(error) => write!(f, "the device tree: {error}"),
            Self::TreeSize(error) => error.fmt(f),
            Self::Layout(error) => error.fmt(f),
            Self::Script(ended) => ended.fmt(f),
            Self::Departure(error) => error.fmt(f),
        }
    }
}

impl From<departure::Error> for Error {
    fn from(error: departure::Error) -> Self {
        Self::Departure(error)
    }
}

impl From<plan::Error> for Error {
    fn from(error: plan::Error) -> Self {
        Self::Plan(error)
    }
}

impl From<edit::Error> for Error {
    fn from(error: edit::Error) -> Self {
        Self::Edit(error)
    }
}

impl From<layout::Error> for Error {
    fn from(error: layout::Error) -> Self {
        Self::Layout(error)
    }
}
