//! The memory map in the firmware's device tree, read before there is a heap, a map or a cache.
//!
//! The full reader of the tree (`device_tree`) wants an allocator and a tree that has been checked. This one answers one question,
//! "which memory is there and which is taken", from a blob of which nothing is believed: every offset is checked, every list
//! is bounded, every loop moves forward. It knows the layout of Devicetree Specification 0.4, chapter 5, and of that
//! chapter 3.4 (`/memory`), 3.5 (`/reserved-memory`) and the `/chosen` properties of Linux' booting protocol.

use crate::range::PhysicalRange;
use core::fmt;
use reader::word;

mod reader;

/// A tree larger than this is refused: Xen takes no larger one, and the firmware's is about 50 KiB.
pub const LARGEST_TREE: usize = 2 << 20;
/// Memory banks that are kept. The largest Pi 4 has four.
pub const BANKS: usize = 16;
/// Reservations that are kept.
pub const RESERVATIONS: usize = 32;

const MAGIC: u32 = 0xd00d_feed;
const HEADER: usize = 40;

/// Why a blob gives no memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirmwareMemoryError {
    /// The address is zero, not a multiple of 4, or not where RAM certainly is.
    Address {
        /// What the firmware passed.
        address: u64,
    },
    /// No device tree's magic number.
    Magic {
        /// The word found.
        found: u32,
    },
    /// The header's size is impossible.
    Size {
        /// What it says, in bytes.
        size: u32,
    },
    /// A block, a property or a name passes the end of what holds it, or the tags make no tree.
    Structure {
        /// Offset of the trouble in the blob, in bytes.
        offset: usize,
    },
    /// More banks or reservations than are kept: what is not kept might be overwritten.
    TooMany {
        /// How many are kept.
        kept: usize,
    },
    /// No node describes any memory.
    NoMemory,
}

impl fmt::Display for FirmwareMemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address } => write!(f, "x0 = {address:#x} is no place for a device tree"),
            Self::Magic { found } => write!(f, "no device tree at x0: magic {found:#010x}, expected {MAGIC:#010x}"),
            Self::Size { size } => {
                write!(
                    f,
                    "the firmware's device tree says it is {size} bytes long: expected {HEADER} to {LARGEST_TREE}"
                )
            }
            Self::Structure { offset } => write!(f, "the firmware's device tree is damaged at offset {offset:#x}"),
            Self::TooMany { kept } => write!(f, "the firmware's device tree has more than {kept} ranges in one list"),
            Self::NoMemory => write!(f, "the firmware's device tree describes no memory"),
        }
    }
}

/// A reserved range and how it may be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Where.
    pub range: PhysicalRange,
    /// It must not be mapped (`no-map`), because even a speculative read may do harm.
    pub no_map: bool,
}

/// A list with a fixed capacity that refuses to overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedList<T: Copy, const N: usize> {
    items: [T; N],
    length: usize,
}

impl<T: Copy, const N: usize> FixedList<T, N> {
    const fn filled_with(item: T) -> Self {
        Self { items: [item; N], length: 0 }
    }
    fn push(&mut self, item: T) -> Result<(), FirmwareMemoryError> {
        let slot = self.items.get_mut(self.length).ok_or(FirmwareMemoryError::TooMany { kept: N })?;
        *slot = item;
        self.length += 1;
        Ok(())
    }
    /// What is in it.
    pub fn as_slice(&self) -> &[T] {
        self.items.get(..self.length).unwrap_or_default()
    }
}

/// What the firmware's tree says about memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareMemory {
    /// Memory banks, in the tree's order, empty ones left out.
    pub banks: FixedList<PhysicalRange, BANKS>,
    /// `/memreserve/` entries and the children of `/reserved-memory` that have a place.
    pub reserved: FixedList<Reservation, RESERVATIONS>,
    /// The tree itself.
    pub tree: PhysicalRange,
    /// What the firmware loaded as initramfs, if anything.
    pub initrd: Option<PhysicalRange>,
    /// The command line, `/chosen/bootargs` without its NUL.
    pub bootargs: Option<PhysicalRange>,
}

const EMPTY: PhysicalRange = PhysicalRange { start: 0, end: 0 };

impl FirmwareMemory {
    /// A map that knows only `banks`, for a board whose firmware passed no tree. More than [`BANKS`] are left out.
    pub fn without_tree(banks: &[PhysicalRange]) -> Self {
        let mut map = Self::empty(EMPTY);
        for bank in banks {
            if map.banks.push(*bank).is_err() {
                break;
            }
        }
        map
    }

    const fn empty(tree: PhysicalRange) -> Self {
        Self {
            banks: FixedList::filled_with(EMPTY),
            reserved: FixedList::filled_with(Reservation { range: EMPTY, no_map: false }),
            tree,
            initrd: None,
            bootargs: None,
        }
    }

    /// The size in bytes that the header of a tree claims, from at least its first 8 bytes.
    ///
    /// # Errors
    /// The magic number is not there, or the size is not between a header's and [`LARGEST_TREE`].
    pub fn claimed_size(header: &[u8]) -> Result<usize, FirmwareMemoryError> {
        let found = word(header, 0).unwrap_or(0);
        if found != MAGIC {
            return Err(FirmwareMemoryError::Magic { found });
        }
        let size = word(header, 4).unwrap_or(0);
        match usize::try_from(size) {
            Ok(bytes) if (HEADER..=LARGEST_TREE).contains(&bytes) => Ok(bytes),
            _ => Err(FirmwareMemoryError::Size { size }),
        }
    }

    /// Reads the map from a tree of `blob.len()` bytes at `address`.
    ///
    /// # Errors
    /// Whatever makes the map unsure: a damaged tree, more ranges than are kept, no memory at all.
    pub fn read(blob: &[u8], address: u64) -> Result<Self, FirmwareMemoryError> {
        let size = Self::claimed_size(blob)?;
        let blob = blob.get(..size).ok_or(FirmwareMemoryError::Size { size: size as u32 })?;
        let tree = PhysicalRange::sized(address, size as u64).ok_or(FirmwareMemoryError::Address { address })?;
        let mut map = Self::empty(tree);
        reader::read(blob, &mut map)?;
        if map.banks.as_slice().is_empty() {
            return Err(FirmwareMemoryError::NoMemory);
        }
        Ok(map)
    }
}

#[cfg(test)]
#[path = "firmware_memory_tests.rs"]
pub(crate) mod tests;
