//! What is on a card: its partitions, and the files of those that are FAT16 or FAT32, with long names. Reading only.
//!
//! Pure: blocks come from a [`BlockDevice`], whatever it is; a file's bytes go to a [`Sink`], as those of the network do.
//!
//! * [`partition`] – the table in the first block. [`volume`] – where a FAT file system has what, and its chains of clusters.
//! * [`directory`] – entries and names. [`FileSystem`] – paths and files.
//!
//! A card is written by many programs and pulled out of running machines, so nothing on it is believed. Numbers are checked against the
//! volume's and the device's size, a chain of clusters that leads round in a circle or off the volume is an error, a directory has an
//! end. No crate on offer keeps to that: embedded-sdmmc 0.10, the best kept of them, reads a block at a time and panics or loops where
//! a file system lies (cluster numbers below 2, a circle in a directory's chain, a lone surrogate in a long name), and fatfs has
//! no release for stable Rust without `std`. On the host, fatfs makes the images for the tests and is their oracle.
//!
//! Sources: Microsoft's FAT specification of 2000 ("fatgen103") and the UEFI specification's notes on it.

pub mod directory;
mod files;
pub mod partition;
#[cfg(test)]
mod tests;
pub mod volume;

use crate::net::tftp::Refusal;
#[cfg(doc)]
use crate::net::tftp::Sink;
use core::fmt;
pub use files::FileSystem;

/// Bytes of a block.
pub const BLOCK: usize = 512;

/// Something that has blocks of [`BLOCK`] bytes.
pub trait BlockDevice {
    /// How many.
    fn blocks(&self) -> u32;

    /// Fills `into`, whole blocks, from block `first` on.
    ///
    /// # Errors
    /// [`Unreadable`]. Why, the device knows.
    fn read(&mut self, first: u32, into: &mut [u8]) -> Result<(), Unreadable>;
}

/// Blocks could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// What a partition has where a FAT file system was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// ext2, ext3 or ext4.
    Ext,
    /// exFAT.
    ExFat,
    /// NTFS.
    Ntfs,
    /// FAT12.
    Fat12,
    /// FAT with sectors of this many bytes.
    Sectors(u16),
    /// Something else, or nothing.
    Unknown,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ext => f.write_str("ext2/3/4"),
            Self::ExFat => f.write_str("exFAT"),
            Self::Ntfs => f.write_str("NTFS"),
            Self::Fat12 => f.write_str("FAT12"),
            Self::Sectors(bytes) => write!(f, "FAT with sectors of {bytes} bytes"),
            Self::Unknown => f.write_str("no file system that is known here"),
        }
    }
}

/// Why a file cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Blocks could not be read, from this one on.
    Unreadable {
        /// The first of them.
        block: u32,
    },
    /// The first block has neither a partition table nor a FAT file system.
    NoTable,
    /// The partition table is a GPT.
    Gpt,
    /// There is no such partition.
    NoPartition {
        /// Its number; `None` where any with a FAT file system would have done.
        number: Option<u32>,
    },
    /// The partition is not FAT16 or FAT32.
    NotFat {
        /// The number of the partition.
        number: u32,
        /// What it is.
        content: Content,
    },
    /// The FAT file system's own description cannot be true.
    Damaged {
        /// The number of the partition.
        number: u32,
    },
    /// There is no such file or directory.
    NotFound,
    /// A part of the path before its last is a file.
    NotADirectory,
    /// It is a directory.
    IsADirectory,
    /// A chain of clusters leads off the volume, over a free or bad cluster, or round in a circle.
    Chain {
        /// The cluster at which that shows.
        cluster: u32,
    },
    /// A directory has no end.
    Endless,
    /// The file is shorter on the volume than its directory entry says.
    Short {
        /// Bytes by its entry.
        size: u32,
        /// Bytes that there are at most.
        found: u64,
    },
    /// Whoever receives the file does not take it.
    Refused(Refusal),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { block } => write!(f, "block {block} of the card cannot be read"),
            Self::NoTable => f.write_str("the card has no partition table (MBR) and no FAT file system"),
            Self::Gpt => f.write_str(
                "the card's partition table is a GPT, which is not supported; the Raspberry Pi's own tools make an MBR",
            ),
            Self::NoPartition { number: Some(number) } => write!(f, "the card has no partition {number}"),
            Self::NoPartition { number: None } => f.write_str("the card has no partition with a FAT file system"),
            Self::NotFat { number, content } => {
                write!(f, "partition {number} has {content}; FAT16 and FAT32 can be read")
            }
            Self::Damaged { number } => {
                write!(f, "the FAT file system of partition {number} is damaged; `fsck.fat` on a computer may help")
            }
            Self::NotFound => f.write_str("not on the card"),
            Self::NotADirectory => f.write_str("a part of the path is a file and not a directory"),
            Self::IsADirectory => f.write_str("it is a directory"),
            Self::Chain { cluster } => {
                write!(f, "the file system is damaged at cluster {cluster}; `fsck.fat` on a computer may help")
            }
            Self::Endless => f.write_str("a directory has no end; `fsck.fat` on a computer may help"),
            Self::Short { size, found } => write!(
                f,
                "its directory entry says {size} bytes, but there are {found} at most; `fsck.fat` on a computer may help"
            ),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

/// Reads one block.
fn read_block(device: &mut dyn BlockDevice, block: u32) -> Result<[u8; BLOCK], Error> {
    let mut bytes = [0; BLOCK];
    device.read(block, &mut bytes).map_err(|Unreadable| Error::Unreadable { block })?;
    Ok(bytes)
}

/// Little-endian numbers at an offset that is inside by construction; zero where it is not.
fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
