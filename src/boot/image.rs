//! Kernels and hypervisors: what a file is, whether it is whole, and how much memory it needs.
//!
//! The arm64 Image header is described in Linux `Documentation/arch/arm64/booting.rst`; Xen has the same one. Both are PE/COFF files too
//! (Microsoft's PE Format), whose section table says how long the file must be: the only way to see that one was cut, since `image_size`
//! counts memory and not the file. What Xen accepts as a domain's kernel: `xen/arch/arm/kernel.c`.

use crate::console;
use core::fmt;

use super::gzip::is_gzip;
use super::legacy_image::{self, Compression, Kind};

/// Alignment in bytes at which an arm64 Image's base must lie.
pub const ALIGNMENT: u64 = 2 << 20;
/// Length of the arm64 Image header in bytes.
pub const HEADER_SIZE: usize = 64;
/// A header that asks for more than this many bytes is not believed: the largest board has 8 GiB.
pub const LARGEST: u64 = 1 << 30;
/// Text offset of Images from before Linux 3.17, whose headers have no `image_size`.
const OLD_TEXT_OFFSET: u64 = 0x80000;

/// The header of an arm64 Image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where the image begins, in bytes from a 2 MiB boundary.
    pub text_offset: u64,
    /// Memory in bytes that the image uses from its beginning on, .bss included; 0 in headers from before Linux 3.17.
    pub image_size: u64,
    /// Whether the 2 MiB boundary may be anywhere in memory; if not, it should be as low as can be.
    pub anywhere: bool,
}

impl Header {
    /// Reads the header of an arm64 Image and checks it and the file's length.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::of_beginning(bytes, bytes.len() as u64)
    }

    /// As [`parse`](Self::parse), from the first bytes of a file of `length` bytes (`u64::MAX` where that is not known).
    pub fn of_beginning(bytes: &[u8], length: u64) -> Result<Self, Error> {
        if bytes.get(56..60) != Some(b"ARM\x64") {
            return Err(Error::NoMagic { found: Known::of(bytes), length });
        }
        if bytes.len() < HEADER_SIZE {
            return Err(Error::Cut { length, expected: HEADER_SIZE as u64 });
        }
        let field = |at| u64_at(bytes, at).ok_or(Error::Cut { length, expected: HEADER_SIZE as u64 });
        let (text_offset, image_size, flags) = (field(8)?, field(16)?, field(24)?);
        if flags & 1 != 0 {
            return Err(Error::BigEndian);
        }
        // Cortex-A72 translates in granules of 4 and 64 KiB only (its TRM, ID_AA64MMFR0_EL1.TGran16).
        if flags >> 1 & 3 == 2 {
            return Err(Error::PageSize);
        }
        if image_size > LARGEST || text_offset >= ALIGNMENT {
            return Err(Error::Header { text_offset, image_size });
        }
        if let Some(expected) = pe_length(bytes).filter(|expected| *expected > length) {
            return Err(Error::Cut { length, expected });
        }
        let text_offset = if image_size == 0 { OLD_TEXT_OFFSET } else { text_offset };
        Ok(Self { text_offset, image_size, anywhere: flags & 8 != 0 })
    }

    /// The memory in bytes that an image of that header needs, given the length of its file.
    pub fn memory_size(&self, file: u64) -> u64 {
        self.image_size.max(file)
    }
}

/// The least length of the file by the PE/COFF section table; `None` where there is none.
fn pe_length(bytes: &[u8]) -> Option<u64> {
    /// The largest number of sections that is looked at; Linux and Xen have two or three.
    const MOST_SECTIONS: u16 = 16;
    let pe = u32_at(bytes, 0x3c)? as usize;
    if !bytes.starts_with(b"MZ") || pe < HEADER_SIZE {
        return None;
    }
    if bytes.get(pe..pe.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let sections = u16_at(bytes, pe + 6)?.min(MOST_SECTIONS);
    let table = pe + 24 + usize::from(u16_at(bytes, pe + 20)?);
    let mut end = 0;
    for index in 0..usize::from(sections) {
        let section = table + index * 40;
        // A table that is cut is a file that is cut.
        let end_of_table = section as u64 + 40;
        let (size, start) = (u32_at(bytes, section + 16), u32_at(bytes, section + 20));
        let (Some(size), Some(start)) = (size, start) else { return Some(end_of_table) };
        end = end.max(u64::from(start) + u64::from(size));
    }
    Some(end)
}

/// What a domain's kernel is; Xen's loader takes all of these as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// An arm64 Image.
    Image(Header),
    /// A gzip file, which Xen unpacks. Two domains cannot share one.
    Gzip,
    /// A U-Boot image (uImage) for arm64.
    UImage {
        /// Whether its contents are a gzip file.
        gzip: bool,
    },
    /// A zImage of 32-bit Arm.
    Arm32,
}

impl Kernel {
    /// Looks at a domain's kernel as Xen will.
    pub fn identify(bytes: &[u8]) -> Result<Self, Error> {
        let length = bytes.len() as u64;
        if is_gzip(bytes) {
            return Ok(Self::Gzip);
        }
        if legacy_image::Header::is_at(bytes) {
            return uimage(bytes);
        }
        if bytes.get(36..40) == Some(&0x016f_2818u32.to_le_bytes()) {
            let (start, end) = (u32_at(bytes, 40).unwrap_or(0), u32_at(bytes, 44).unwrap_or(u32::MAX));
            let expected = u64::from(end.saturating_sub(start));
            return if expected > length { Err(Error::Cut { length, expected }) } else { Ok(Self::Arm32) };
        }
        Header::parse(bytes).map(Self::Image)
    }
}

/// Whether Xen takes a U-Boot image as a domain's kernel. It leaves the header's CRC-32 alone.
fn uimage(bytes: &[u8]) -> Result<Kernel, Error> {
    const ARM64: u8 = 22;
    let cut = |expected| Error::Cut { length: bytes.len() as u64, expected };
    let header = legacy_image::Header::read(bytes).map_err(|_| cut(legacy_image::HEADER_SIZE as u64))?;
    let legacy_image::Header { kind, architecture, compression, .. } = header;
    let gzip = match compression {
        Compression::None => false,
        Compression::Gzip => true,
        Compression::Other(_) => return Err(Error::UImage { kind, architecture, compression }),
    };
    if kind != Kind::Kernel || architecture != ARM64 {
        return Err(Error::UImage { kind, architecture, compression });
    }
    let expected = header.total_size();
    if expected > bytes.len() as u64 { Err(cut(expected)) } else { Ok(Kernel::UImage { gzip }) }
}

/// What the text in an image says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Xen.
    Xen {
        /// Major and minor version, where it could be read.
        version: Option<(u16, u16)>,
        /// Whether it knows the Raspberry Pi 4 (Xen 4.14 and newer do).
        raspberry_pi_4: bool,
    },
    /// Linux.
    Linux,
    /// Neither of the two, by what can be read.
    Unknown,
}

impl System {
    /// Searches `bytes`, the whole image, for what gives Xen and Linux away: the beginning of their first message.
    pub fn identify(bytes: &[u8]) -> Self {
        let needles: [&[u8]; 4] = [b"Xen version %d.%d", b"xen,xen-", b"brcm,bcm2711\0", b"Linux version "];
        // Xen with all that is asked of it is nothing else, whatever follows.
        let [xen, version_behind, board, linux] = find(bytes, needles, 3);
        match (xen, linux) {
            (Some(_), _) => Self::Xen {
                version: version_behind.and_then(|at| version(bytes.get(at..)?)),
                raspberry_pi_4: board.is_some(),
            },
            (None, Some(_)) => Self::Linux,
            (None, None) => Self::Unknown,
        }
    }
}

/// Where each of `needles` ends for the first time, all found in one pass, which ends early once the first `enough` of them are found.
///
/// An image has megabytes, so most bytes are not looked at (Horspool's search, for several needles): the byte at the end of a window of
/// [`WINDOW`] bytes tells how far the window can move on before any needle's beginning could fill it. Each needle has at least that length.
fn find<const N: usize>(bytes: &[u8], needles: [&[u8]; N], enough: usize) -> [Option<usize>; N] {
    let mut steps = [WINDOW as u8; 256];
    for needle in needles {
        for (place, byte) in needle.iter().take(WINDOW).enumerate() {
            if let Some(step) = steps.get_mut(usize::from(*byte)) {
                *step = (*step).min((WINDOW - 1 - place) as u8);
            }
        }
    }
    let mut found = [None; N];
    let (mut last, mut look) = (WINDOW - 1, 0);
    while let Some(byte) = bytes.get(last) {
        if last >= look {
            console::poll();
            look = last + SEARCHED_AT_ONCE;
        }
        let step = steps.get(usize::from(*byte)).copied().unwrap_or(0);
        if step > 0 {
            last += usize::from(step);
            continue;
        }
        let at = last + 1 - WINDOW;
        let rest = bytes.get(at..).unwrap_or_default();
        for (needle, found) in needles.iter().zip(&mut found) {
            if found.is_none() && rest.starts_with(needle) {
                *found = Some(at + needle.len());
            }
        }
        if found.iter().take(enough).all(Option::is_some) {
            break;
        }
        last += 1;
    }
    found
}

/// Bytes that are searched between two looks at the console: 0.2 ms.
const SEARCHED_AT_ONCE: usize = 128 * 1024;

/// Bytes of a needle's beginning that [`find`] looks for.
const WINDOW: usize = 8;

/// Reads `4.17` and whatever follows.
fn version(bytes: &[u8]) -> Option<(u16, u16)> {
    let text = bytes.get(..bytes.len().min(12))?;
    let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(text.len());
    let (major, minor) = core::str::from_utf8(text.get(..end)?).ok()?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// What a file that is no arm64 Image seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A gzip file.
    Gzip,
    /// An ELF file.
    Elf,
    /// A U-Boot image.
    UImage,
    /// A device tree.
    DeviceTree,
    /// Text, perhaps a server's error page.
    Text,
    /// A cpio archive.
    Cpio,
    /// Something else; its first four bytes, missing ones as 0.
    Other([u8; 4]),
}

impl Known {
    fn of(bytes: &[u8]) -> Self {
        let mut first = [0; 4];
        for (to, from) in first.iter_mut().zip(bytes) {
            *to = *from;
        }
        match &first {
            _ if is_gzip(bytes) => Self::Gzip,
            b"\x7fELF" => Self::Elf,
            first if legacy_image::Header::is_at(first) => Self::UImage,
            [0xd0, 0x0d, 0xfe, 0xed] => Self::DeviceTree,
            b"0707" => Self::Cpio,
            _ if first.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')) => Self::Text,
            _ => Self::Other(first),
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip => f.write_str("a gzip file"),
            Self::Elf => f.write_str("an ELF file (make an Image of it with objcopy -O binary)"),
            Self::UImage => f.write_str("a U-Boot image"),
            Self::DeviceTree => f.write_str("a device tree"),
            Self::Text => f.write_str("text"),
            Self::Cpio => f.write_str("a cpio archive"),
            Self::Other([a, b, c, d]) => write!(f, "something that begins {a:02x} {b:02x} {c:02x} {d:02x}"),
        }
    }
}

/// Why a file cannot be a kernel or hypervisor. The texts go on after the file's name and a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No arm64 magic.
    NoMagic {
        /// What it seems to be.
        found: Known,
        /// Its length in bytes; `u64::MAX` where that is not known yet.
        length: u64,
    },
    /// The file is shorter than its own headers say.
    Cut {
        /// Its length in bytes.
        length: u64,
        /// The least length in bytes by its headers.
        expected: u64,
    },
    /// For big-endian processors.
    BigEndian,
    /// For pages of 16 KiB.
    PageSize,
    /// A header whose numbers cannot be right.
    Header {
        /// Its text offset in bytes.
        text_offset: u64,
        /// Its image size in bytes.
        image_size: u64,
    },
    /// A U-Boot image that is no arm64 kernel, by its header.
    UImage {
        /// What it is for.
        kind: Kind,
        /// The processor's code; 22 is arm64.
        architecture: u8,
        /// How it is packed.
        compression: Compression,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMagic { found, length: u64::MAX } => write!(f, "no arm64 Image: it is {found}"),
            Self::NoMagic { found, length } => write!(f, "no arm64 Image ({length} bytes): it is {found}"),
            Self::Cut { length, expected } => {
                write!(f, "cut off: {length} bytes, its headers say at least {expected}; copy it again")
            }
            Self::BigEndian => f.write_str("an arm64 Image for big-endian systems, which Xen does not start"),
            Self::PageSize => f.write_str(
                "an arm64 Image for 16 KiB pages, which this processor lacks (kernel_2712.img is for the Pi 5)",
            ),
            Self::Header { text_offset, image_size } => {
                write!(f, "its arm64 header is damaged: text_offset {text_offset:#x}, image_size {image_size:#x}")
            }
            Self::UImage { kind, architecture, compression } => write!(
                f,
                "a U-Boot image: {kind}, architecture {architecture}, {compression}; \
                 expected a kernel, architecture 22 (arm64), gzip or not compressed"
            ),
        }
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
