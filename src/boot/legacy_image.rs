//! Legacy images: what mkimage makes of a script, a kernel or several files (uImage).
//!
//! A header of 64 bytes, big-endian, with its own CRC-32 and that of the data behind it (U-Boot `include/image.h`, struct legacy_img_hdr). The data of a script or
//! of several files begins with the files' lengths, a zero, and then the files, each but the last filled up to a multiple of four bytes.

use super::digest::crc32;
use core::fmt;

/// Bytes of the header.
pub const HEADER_SIZE: usize = 64;
const MAGIC: u32 = 0x2705_1956;
/// Where the header has its own CRC-32, which is computed with zeroes there.
const HEADER_CRC: core::ops::Range<usize> = 4..8;

/// Files of an image that are looked for: the list of their lengths can be as long as the memory.
const MOST_PARTS: usize = 1024;

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A kernel, which is put at its load address; or one that runs where it lies.
    Kernel,
    /// A ramdisk.
    Ramdisk,
    /// Several files.
    Multi,
    /// A script.
    Script,
    /// A device tree.
    DeviceTree,
    /// Anything else.
    Other(u8),
}

impl From<u8> for Kind {
    fn from(code: u8) -> Self {
        match code {
            2 | 14 => Self::Kernel,
            3 => Self::Ramdisk,
            4 => Self::Multi,
            6 => Self::Script,
            8 => Self::DeviceTree,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel"),
            Self::Ramdisk => f.write_str("ramdisk"),
            Self::Multi => f.write_str("several files"),
            Self::Script => f.write_str("script"),
            Self::DeviceTree => f.write_str("device tree"),
            Self::Other(code) => write!(f, "type {code}"),
        }
    }
}

/// How an image's data is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// In a way that is not unpacked here.
    Other(u8),
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const OTHERS: [&str; 7] = ["none", "gzip", "bzip2", "lzma", "lzo", "lz4", "zstd"];
        match self {
            Self::None => f.write_str("not compressed"),
            Self::Gzip => f.write_str("gzip"),
            Self::Other(code) => f.write_str(OTHERS.get(usize::from(*code)).unwrap_or(&"unknown compression")),
        }
    }
}

/// The header of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// When it was made, in seconds since 1970.
    pub time: u32,
    /// Bytes of its data.
    pub size: u32,
    /// Where a kernel's data is to lie.
    pub load: u32,
    /// Where a kernel begins.
    pub entry: u32,
    header_crc: u32,
    data_crc: u32,
    /// The operating system's code; Linux is 5.
    pub system: u8,
    /// The processor's code; arm64 is 22.
    pub architecture: u8,
    /// What it is for.
    pub kind: Kind,
    /// How it is packed.
    pub compression: Compression,
    name: [u8; 32],
}

impl Header {
    /// Reads a header and checks its CRC-32.
    ///
    /// # Errors
    /// [`Error::TooShort`], [`Error::NoMagic`], [`Error::HeaderChecksum`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let header = Self::read(bytes)?;
        let mut without = bytes.first_chunk::<HEADER_SIZE>().copied().unwrap_or([0; HEADER_SIZE]);
        without.get_mut(HEADER_CRC).unwrap_or_default().fill(0);
        let (expected, found) = (header.header_crc, crc32(&without));
        if expected == found { Ok(header) } else { Err(Error::HeaderChecksum { expected, found }) }
    }

    /// Reads a header and leaves its CRC-32 alone, as Xen does.
    ///
    /// # Errors
    /// [`Error::TooShort`], [`Error::NoMagic`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let length = bytes.len() as u64;
        let header = bytes.first_chunk::<HEADER_SIZE>().ok_or(Error::TooShort { length })?;
        let word = |index: usize| header.as_chunks::<4>().0.get(index).map_or(0, |word| u32::from_be_bytes(*word));
        if word(0) != MAGIC {
            return Err(Error::NoMagic { found: word(0) });
        }
        let [system, architecture, kind, compression] = word(7).to_be_bytes();
        Ok(Self {
            time: word(2),
            size: word(3),
            load: word(4),
            entry: word(5),
            header_crc: word(1),
            data_crc: word(6),
            system,
            architecture,
            kind: kind.into(),
            compression: match compression {
                0 => Compression::None,
                1 => Compression::Gzip,
                other => Compression::Other(other),
            },
            name: header.last_chunk().copied().unwrap_or_default(),
        })
    }

    /// Whether an image begins here.
    pub fn is_at(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC.to_be_bytes())
    }

    /// The name that its maker gave it.
    pub fn name(&self) -> &str {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        self.name.get(..end).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or_default()
    }

    /// Compares `found`, the CRC-32 of the image's data, with what it is to be.
    ///
    /// # Errors
    /// [`Error::DataChecksum`].
    pub fn check_data(&self, found: u32) -> Result<(), Error> {
        let expected = self.data_crc;
        if expected == found { Ok(()) } else { Err(Error::DataChecksum { expected, found }) }
    }

    /// Bytes of header and data.
    pub fn total_size(&self) -> u64 {
        HEADER_SIZE as u64 + u64::from(self.size)
    }
}

/// An image: its header and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyImage<'a> {
    /// Its header.
    pub header: Header,
    /// Its data, as it is packed.
    pub data: &'a [u8],
}

impl<'a> LegacyImage<'a> {
    /// The image at the start of `bytes`; what lies behind it is left alone.
    ///
    /// # Errors
    /// As [`Header::parse`], and [`Error::Cut`] where the data is not all there.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let header = Header::parse(bytes)?;
        let end = HEADER_SIZE.saturating_add(header.size as usize);
        let cut = Error::Cut { length: bytes.len() as u64, expected: header.total_size() };
        Ok(Self { header, data: bytes.get(HEADER_SIZE..end).ok_or(cut)? })
    }

    /// The files in a script or in an image of several files, as far as they are there; nothing where the list of their lengths has no end among
    /// the first 1024.
    pub fn parts(&self) -> impl Iterator<Item = Result<&'a [u8], Error>> + use<'a> {
        let lengths = self.data.as_chunks::<4>().0;
        let lengths = lengths.get(..MOST_PARTS).unwrap_or(lengths);
        let count = lengths.iter().position(|length| *length == [0; 4]);
        let lengths = lengths.get(..count.unwrap_or(0)).unwrap_or_default();
        let mut rest = self.data.get((lengths.len() + 1) * 4..).unwrap_or_default();
        lengths.iter().enumerate().map(move |(index, length)| {
            let length = u32::from_be_bytes(*length) as usize;
            let part = rest.get(..length).ok_or(Error::PartCut { index, length: length as u64 })?;
            rest = length.checked_next_multiple_of(4).and_then(|end| rest.get(end..)).unwrap_or_default();
            Ok(part)
        })
    }

    /// Part `index` of a script or of several files.
    ///
    /// # Errors
    /// [`Error::NoParts`] where it is something else, [`Error::NoPart`], [`Error::PartCut`].
    pub fn part(&self, index: usize) -> Result<&'a [u8], Error> {
        if !matches!(self.header.kind, Kind::Script | Kind::Multi) {
            return Err(Error::NoParts(self.header.kind));
        }
        self.parts().nth(index).ok_or(Error::NoPart { index, parts: self.parts().count() })?
    }

    /// The text of a script.
    ///
    /// # Errors
    /// [`Error::NotAScript`], and as [`LegacyImage::part`].
    pub fn script(&self) -> Result<&'a [u8], Error> {
        if self.header.kind != Kind::Script {
            return Err(Error::NotAScript(self.header.kind));
        }
        self.part(0)
    }
}

/// Why an image cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is shorter than a header.
    TooShort {
        /// Its length in bytes.
        length: u64,
    },
    /// It does not begin as one.
    NoMagic {
        /// What it begins with.
        found: u32,
    },
    /// The header is damaged.
    HeaderChecksum {
        /// CRC-32 in the header.
        expected: u32,
        /// CRC-32 of the header.
        found: u32,
    },
    /// It ends before its data does.
    Cut {
        /// Its length in bytes.
        length: u64,
        /// The length that the header says.
        expected: u64,
    },
    /// The data is damaged.
    DataChecksum {
        /// CRC-32 in the header.
        expected: u32,
        /// CRC-32 of the data.
        found: u32,
    },
    /// It is not made of parts.
    NoParts(Kind),
    /// It has no such part.
    NoPart {
        /// Which one, from 0.
        index: usize,
        /// How many there are.
        parts: usize,
    },
    /// A part ends behind the image's end.
    PartCut {
        /// Which one, from 0.
        index: usize,
        /// Bytes that it should have.
        length: u64,
    },
    /// It is something else than a script.
    NotAScript(Kind),
    /// It is packed in a way that is not unpacked here.
    Compression(Compression),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { length } => write!(f, "{length} bytes, expected an image with a header of {HEADER_SIZE}"),
            Self::NoMagic { found } => {
                write!(f, "not an image made by mkimage: it begins with {found:08x}, expected {MAGIC:08x}")
            }
            Self::HeaderChecksum { expected, found } => {
                write!(f, "the image's header is damaged: CRC-32 {found:08x}, it says {expected:08x}; copy it again")
            }
            Self::Cut { length, expected } => write!(f, "the image is cut: {length} bytes, its header says {expected}"),
            Self::DataChecksum { expected, found } => write!(
                f,
                "the image's data is damaged: CRC-32 {found:08x}, its header says {expected:08x}; copy it again (`setenv verify no` takes it as it is)"
            ),
            Self::NoParts(kind) => {
                write!(f, "the image has no parts: it is a {kind}, expected several files or a script")
            }
            Self::NoPart { index, parts } => write!(f, "the image has no part number {index}: there are {parts}"),
            Self::PartCut { index, length } => {
                write!(f, "part {index} of the image should have {length} bytes, and the image ends before that")
            }
            Self::NotAScript(kind) => write!(f, "the image is a {kind}, expected a script (mkimage -T script)"),
            Self::Compression(compression) => write!(
                f,
                "the image is packed with {compression}; only gzip can be unpacked: make it with mkimage -C gzip or -C none"
            ),
        }
    }
}
