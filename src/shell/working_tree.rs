//! The device tree that the `fdt` commands work on: it lies in the machine's memory, where the script put it, and is read and edited there.
//!
//! Nothing is kept between two commands but its address, because anything may write over it in between. So each command checks it anew:
//! what is no tree any more is an error in words.
//!
//! In U-Boot a tree has as much room as its header claims (`totalsize`), and `fdt resize` has to ask for more before anything is added. Here it grows as
//! far as nothing else lies: up to the next file that the script loaded, the next thing that the layout keeps, the end of the memory. The header's claim
//! is kept up all the same, and never shrinks by an edit, because scripts read it (`fdt header get`) to place what comes behind the tree.

use super::platform::{NotMemory, Platform};
use super::{Failure, Loaded, Shell};
use crate::device_tree::{Editor, Tree, edit, overlay, read};
use crate::range::PhysicalRange;
use alloc::string::String;
use core::fmt;

/// Bytes that a tree may have: more than Xen takes (`xen/include/xen/device_tree.h`, MAX_FDT_SIZE).
pub const LARGEST: u64 = 2 << 20;

/// Bytes of a header up to and with its total size.
const HEADER_START: u64 = 8;
/// Where a header says the total size.
const TOTAL_SIZE: u64 = 4;

/// The tree at `address`, checked.
///
/// # Errors
/// [`Error::Memory`], [`Error::NoTree`].
pub fn tree_at(platform: &dyn Platform, address: u64) -> Result<Tree<'_>, Error> {
    let bytes = platform.memory(sized(address, claimed_at(platform, address)?)?)?;
    Tree::new(bytes).map_err(|error| Error::NoTree { address, error })
}

/// The bytes that the tree at `address` claims, which is not checked; those of a header's start where it is none.
fn claimed_at(platform: &dyn Platform, address: u64) -> Result<u64, Error> {
    let start = platform.memory(sized(address, HEADER_START)?)?;
    // Without the magic number the size means nothing, and what is said about the tree is said of its first bytes.
    let claimed = match start.as_chunks::<4>().0 {
        [magic, size] if *magic == [0xd0, 0x0d, 0xfe, 0xed] => u64::from(u32::from_be_bytes(*size)),
        _ => HEADER_START,
    };
    if claimed > LARGEST {
        return Err(Error::TooLarge { address, size: claimed });
    }
    Ok(claimed)
}

fn sized(address: u64, size: u64) -> Result<PhysicalRange, Error> {
    let past_the_end = Error::Memory(NotMemory::Outside(PhysicalRange { start: address, end: u64::MAX }));
    PhysicalRange::sized(address, size).ok_or(past_the_end)
}

/// How far a tree may grow, and what is in the way there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Room {
    end: u64,
    obstacle: Obstacle,
}

impl Room {
    /// Makes it end at `end`, if that is earlier.
    fn limit(&mut self, end: u64, obstacle: impl FnOnce() -> Obstacle) {
        if end < self.end {
            *self = Self { end, obstacle: obstacle() };
        }
    }
}

impl Shell<'_> {
    /// The working tree.
    ///
    /// # Errors
    /// [`Error::None`] where there is none, and as [`tree_at`].
    pub fn tree(&self) -> Result<Tree<'_>, Error> {
        tree_at(self.platform, self.working_tree.ok_or(Error::None)?)
    }

    /// Where the working tree lies, as far as its header claims; `None` where there is none, or no tree any more.
    pub fn tree_range(&self) -> Option<PhysicalRange> {
        let size = self.tree().ok()?.bytes().len() as u64;
        PhysicalRange::sized(self.working_tree?, size)
    }

    /// Edits the working tree where it lies, letting it grow if need be and possible. What is added comes first, as with libfdt.
    ///
    /// # Errors
    /// What `edit` says; [`Error::NoRoom`] with what is in the way; as [`Shell::tree`].
    pub fn edit_tree(&mut self, edit: &mut dyn FnMut(&mut Editor<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let address = self.working_tree.ok_or(Error::None)?;
        let claimed = claimed_at(self.platform, address)?;
        let room = self.room(address, claimed)?;
        let memory = self.platform.memory_mut(PhysicalRange { start: address, end: room.end })?;
        let editor = Editor::new(memory).map_err(|error| match error {
            edit::Error::Tree(error) => Error::NoTree { address, error },
            error => Error::Edit(error),
        })?;
        let mut editor = editor.newest_first();
        let result = edit(&mut editor);
        let size = editor.as_bytes().len() as u64;
        self.claim(address, claimed.max(size))?;
        result.map_err(|error| match error.no_room() {
            Some(needed) => Error::NoRoom { address, needed: needed as u64, obstacle: room.obstacle },
            None => error,
        })
    }

    /// Packs the working tree and makes its header claim `size(used)` bytes, `used` being what it takes.
    ///
    /// # Errors
    /// [`Error::NoRoom`] where something lies in what it would claim; [`Error::Claim`] for less than it takes.
    pub fn claim_tree(&mut self, size: &dyn Fn(u64) -> u64) -> Result<u64, Error> {
        let mut used = 0;
        self.edit_tree(&mut |editor| {
            used = editor.as_bytes().len() as u64;
            Ok(())
        })?;
        let address = self.working_tree.ok_or(Error::None)?;
        let claimed = size(used);
        if claimed < used {
            return Err(Error::Claim { used, claimed });
        }
        let room = self.room(address, used)?;
        if claimed > room.end - address {
            return Err(Error::NoRoom { address, needed: claimed, obstacle: room.obstacle });
        }
        self.claim(address, claimed)?;
        Ok(claimed)
    }

    /// Writes the total size of the tree at `address`.
    fn claim(&mut self, address: u64, size: u64) -> Result<(), Error> {
        let field = sized(address.saturating_add(TOTAL_SIZE), 4)?;
        self.platform.memory_mut(field)?.copy_from_slice(&(size as u32).to_be_bytes());
        Ok(())
    }

    /// How far the tree at `address`, which claims `claimed` bytes, may grow.
    fn room(&self, address: u64, claimed: u64) -> Result<Room, Error> {
        if !address.is_multiple_of(8) {
            return Err(Error::Misaligned { address });
        }
        let tree = sized(address, claimed)?;
        let layout = self.platform.layout();
        let bank = layout.banks().iter().find(|bank| bank.contains(&tree)).ok_or(NotMemory::Outside(tree))?;
        let mut room = Room { end: bank.end, obstacle: Obstacle::EndOfMemory };
        room.limit(address.saturating_add(LARGEST), || Obstacle::Largest);
        for occupant in layout.occupants().iter().filter(|occupant| occupant.range.start > address) {
            room.limit(occupant.range.start, || Obstacle::of(&occupant.name, occupant.range));
        }
        for Loaded { name, range, .. } in self.loaded.iter().filter(|loaded| loaded.range.start != address) {
            if range.start > address {
                room.limit(range.start, || Obstacle::of(name, *range));
            } else if range.end > address {
                // It lies inside a file of several parts, the next of which may come right behind it.
                room.limit(tree.end, || Obstacle::of(name, *range));
            }
        }
        if room.end < tree.end {
            return Err(Error::Overlapped { tree, obstacle: room.obstacle });
        }
        Ok(room)
    }
}

/// What keeps a tree from growing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The end of the bank of memory that it lies in.
    EndOfMemory,
    /// [`LARGEST`].
    Largest,
    /// Something that lies there.
    Taken {
        /// What it is called.
        name: String,
        /// Where it lies.
        range: PhysicalRange,
    },
}

impl Obstacle {
    fn of(name: &str, range: PhysicalRange) -> Self {
        Self::Taken { name: String::from(name), range }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndOfMemory => f.write_str("the end of the memory"),
            Self::Largest => write!(f, "the {LARGEST} bytes that Xen takes at most"),
            Self::Taken { name, range } => write!(f, "{name} at {range}"),
        }
    }
}

/// Why the working tree could not be read or edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// None was named.
    None,
    /// It does not lie in memory that can be used.
    Memory(NotMemory),
    /// It is no tree, or is none any more.
    NoTree {
        /// Where it should be.
        address: u64,
        /// What is there.
        error: read::Error,
    },
    /// It claims to be larger than any tree may be.
    TooLarge {
        /// Where it lies.
        address: u64,
        /// Bytes that its header claims.
        size: u64,
    },
    /// It does not lie where it can be edited.
    Misaligned {
        /// Where it lies.
        address: u64,
    },
    /// Something was loaded over its end.
    Overlapped {
        /// The tree, as its header claims.
        tree: PhysicalRange,
        /// What lies there.
        obstacle: Obstacle,
    },
    /// It cannot grow far enough.
    NoRoom {
        /// Where it lies.
        address: u64,
        /// Bytes that it would have.
        needed: u64,
        /// What is in the way.
        obstacle: Obstacle,
    },
    /// It was to be made shorter than it is.
    Claim {
        /// Bytes that it takes.
        used: u64,
        /// Bytes that it was to have.
        claimed: u64,
    },
    /// An edit was not made.
    Edit(edit::Error),
    /// An overlay was not applied.
    Overlay(overlay::Error),
}

impl Error {
    /// The bytes that an edit needed and did not have.
    fn no_room(&self) -> Option<usize> {
        match *self {
            Self::Edit(edit::Error::NoRoom { needed, .. })
            | Self::Overlay(overlay::Error::Edit(edit::Error::NoRoom { needed, .. })) => Some(needed),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no device tree to work on: say where one lies with `fdt addr ADDRESS`"),
            Self::Memory(error) => error.fmt(f),
            Self::NoTree { address, error } => write!(f, "no device tree at {address:#x}: {error}"),
            Self::TooLarge { address, size } => {
                write!(f, "the device tree at {address:#x} claims {size} bytes, expected at most {LARGEST}")
            }
            Self::Misaligned { address } => {
                write!(f, "the device tree at {address:#x} cannot be edited there: load it at a multiple of 8")
            }
            Self::Overlapped { tree, obstacle } => {
                write!(f, "the device tree at {tree} runs into {obstacle}: load one of them somewhere else")
            }
            Self::NoRoom { address, needed, obstacle } => write!(
                f,
                "the device tree at {address:#x} would need {needed} bytes, and runs into {obstacle}: load one of them somewhere else, or `fdt move` the tree"
            ),
            Self::Claim { used, claimed } => write!(f, "the device tree takes {used} bytes, not {claimed}"),
            Self::Edit(error) => error.fmt(f),
            Self::Overlay(error) => error.fmt(f),
        }
    }
}

impl From<NotMemory> for Error {
    fn from(error: NotMemory) -> Self {
        Self::Memory(error)
    }
}

impl From<edit::Error> for Error {
    fn from(error: edit::Error) -> Self {
        Self::Edit(error)
    }
}

impl From<overlay::Error> for Error {
    fn from(error: overlay::Error) -> Self {
        Self::Overlay(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::because(error)
    }
}
