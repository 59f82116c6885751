//! A bundle: settings and all images in one file, for a boot without network.
//!
//! A bundle is a cpio archive in the "newc" format (the one of initramfs, Linux `Documentation/driver-api/early-userspace/
//! buffer-format.rst`) whose **first** member is `xenlift.manifest`: one line `SHA256 SIZE PATH` for every other file, the digest in 64
//! hexadecimal digits, the size in decimal, the path being the rest of the line. `loader.toml` is among them. `cargo xtask bundle`
//! writes it, the firmware loads it through `initramfs` in config.txt, and the files are used where they lie.
//!
//! Sizes, names and completeness are checked by [`Bundle::parse`] at once; a file's digest by [`Member::verify`] when it is used, so
//! that an entry pays only for its own files.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use sha2::{Digest, Sha256};

use super::reader::shown;
use super::source::parse_sha256;

/// The name of the first member.
pub const MANIFEST: &str = "xenlift.manifest";
/// The name of the settings.
pub const SETTINGS: &str = "loader.toml";
/// The most files in a bundle.
pub const MOST_FILES: usize = 256;
/// The largest manifest in bytes.
pub const LARGEST_MANIFEST: usize = 128 * 1024;
/// The longest path in bytes.
pub const LONGEST_PATH: usize = 255;

const HEADER: usize = 110;
const TRAILER: &str = "TRAILER!!!";
const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// A file in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its path, without a leading `./`.
    pub path: &'a str,
    /// Its bytes, where they lie in the bundle. Aligned to 4 bytes from the bundle's start, to nothing else.
    pub data: &'a [u8],
    /// Where `data` begins, in bytes from the bundle's start.
    pub offset: usize,
    /// What the manifest says of it.
    pub sha256: [u8; 32],
}

impl Member<'_> {
    /// Compares the bytes with the manifest's digest.
    pub fn verify(&self) -> Result<(), Error> {
        self.check(&Sha256::digest(self.data).into())
    }

    /// Compares the SHA-256 that was found with the manifest's.
    ///
    /// # Errors
    /// [`Error::Digest`].
    pub fn check(&self, found: &[u8; 32]) -> Result<(), Error> {
        if *found == self.sha256 {
            Ok(())
        } else {
            Err(Error::Digest { path: shown(self.path), expected: self.sha256, found: *found })
        }
    }
}

/// A bundle whose structure has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    members: Vec<Member<'a>>,
    length: usize,
}

impl<'a> Bundle<'a> {
    /// Reads a bundle. Every file must be in the manifest with its size, and every line of the manifest in the archive.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut archive = Archive { bytes, offset: 0 };
        let manifest = match archive.next()? {
            Some(first) if first.name == MANIFEST => manifest(first.data)?,
            _ => return Err(Error::NoManifest),
        };
        let mut members: Vec<Member<'a>> = Vec::new();
        while let Some(found) = archive.next()? {
            match found.mode & FILE_TYPE {
                DIRECTORY if found.data.is_empty() => continue,
                REGULAR => {}
                _ => return Err(Error::NotAFile { path: shown(found.name), mode: found.mode }),
            }
            check_path(found.name)?;
            if members.iter().any(|other| other.path == found.name) {
                return Err(Error::Duplicate(shown(found.name)));
            }
            let line = manifest.iter().find(|line| line.path == found.name);
            let line = line.ok_or_else(|| Error::NotInManifest(shown(found.name)))?;
            if line.size != found.data.len() as u64 {
                let (expected, found_size) = (line.size, found.data.len() as u64);
                return Err(Error::Size { path: shown(found.name), expected, found: found_size });
            }
            let Archived { name: path, data, offset, .. } = found;
            members.push(Member { path, data, offset, sha256: line.sha256 });
        }
        if let Some(missing) = manifest.iter().find(|line| !members.iter().any(|member| member.path == line.path)) {
            return Err(Error::Missing(shown(missing.path)));
        }
        if !members.iter().any(|member| member.path == SETTINGS) {
            return Err(Error::NoSettings);
        }
        // The firmware may round the size up; anything but zeros is data that would be lost.
        if let Some(more) = bytes.get(archive.offset..).and_then(|rest| rest.iter().position(|byte| *byte != 0)) {
            return Err(Error::Trailing { offset: archive.offset + more, end: archive.offset });
        }
        Ok(Self { members, length: archive.offset })
    }

    /// `loader.toml`.
    pub fn settings(&self) -> Option<&Member<'a>> {
        self.find(SETTINGS)
    }

    /// The file of that path; a leading `/` or `./` makes no difference.
    pub fn find(&self, path: &str) -> Option<&Member<'a>> {
        let path = path.trim_start_matches('/');
        let path = path.strip_prefix("./").unwrap_or(path);
        self.members.iter().find(|member| member.path == path)
    }

    /// All files, in the archive's order, without the manifest.
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// Length of the archive in bytes, without what is after its end mark.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// Whether `bytes` begin as a newc archive whose first member is a manifest.
pub fn is_bundle(bytes: &[u8]) -> bool {
    matches!(Archive { bytes, offset: 0 }.next(), Ok(Some(first)) if first.name == MANIFEST)
}

/// Whether `bytes` begin with the magic number of a newc archive, with or without checksums.
pub fn is_newc(bytes: &[u8]) -> bool {
    bytes.starts_with(b"070701") || bytes.starts_with(b"070702")
}

struct Line<'a> {
    sha256: [u8; 32],
    size: u64,
    path: &'a str,
}

fn manifest(bytes: &[u8]) -> Result<Vec<Line<'_>>, Error> {
    if bytes.len() > LARGEST_MANIFEST {
        return Err(Error::LongManifest(bytes.len()));
    }
    let text = core::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Error::ManifestLine(before.iter().filter(|byte| **byte == b'\n').count() + 1)
    })?;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let bad = || Error::ManifestLine(index + 1);
        let mut parts = line.splitn(3, ' ');
        let (digest, size, path) = match (parts.next(), parts.next(), parts.next()) {
            (Some(digest), Some(size), Some(path)) => (digest, size, path),
            _ => return Err(bad()),
        };
        check_path(path)?;
        if lines.iter().any(|other| other.path == path) {
            return Err(Error::Duplicate(shown(path)));
        }
        if lines.len() >= MOST_FILES {
            return Err(Error::TooMany);
        }
        let size = if size.starts_with('+') { None } else { size.parse().ok() };
        lines.push(Line { sha256: parse_sha256(digest).ok_or_else(bad)?, size: size.ok_or_else(bad)?, path });
    }
    Ok(lines)
}

/// A path stays within the bundle and can be shown: relative, no empty, `.` or `..` component, no control characters, no backslash.
fn check_path(path: &str) -> Result<(), Error> {
    let plain = path.len() <= LONGEST_PATH
        && path.split('/').all(|component| !matches!(component, "" | "." | ".."))
        && !path.chars().any(|c| c.is_control() || c == '\\');
    if plain && path != MANIFEST { Ok(()) } else { Err(Error::Path(shown(path))) }
}

/// A cpio archive being read.
struct Archive<'a> {
    bytes: &'a [u8],
    offset: usize,
}

struct Archived<'a> {
    name: &'a str,
    mode: u32,
    data: &'a [u8],
    offset: usize,
}

impl<'a> Archive<'a> {
    /// The next member; `None` at the archive's end mark.
    fn next(&mut self) -> Result<Option<Archived<'a>>, Error> {
        let start = self.offset;
        let cut = Error::Truncated { offset: start, length: self.bytes.len() };
        let header = self.slice(start, HEADER).ok_or(cut.clone())?;
        if !is_newc(header) {
            return Err(Error::Header(start));
        }
        let field = |at: usize| header.get(at..at + 8).and_then(hexadecimal).ok_or(Error::Header(start));
        let (mode, size, name_size) = (field(14)?, field(54)? as usize, field(94)? as usize);
        // The name's size counts its final NUL.
        if name_size == 0 || name_size > LONGEST_PATH + 3 {
            return Err(Error::Header(start));
        }
        let name = self.slice(start + HEADER, name_size).ok_or(cut.clone())?;
        let name = match name.split_last() {
            Some((0, name)) if !name.contains(&0) => core::str::from_utf8(name).map_err(|_| Error::Header(start))?,
            _ => return Err(Error::Header(start)),
        };
        let data_offset = aligned(start + HEADER + name_size);
        let data = self.slice(data_offset, size).ok_or(Error::Truncated { offset: start, length: self.bytes.len() })?;
        // The last member's padding may be missing where a tool cut the archive to the byte.
        self.offset = aligned(data_offset + size).min(self.bytes.len());
        if name == TRAILER {
            return Ok(None);
        }
        let name = name.strip_prefix("./").unwrap_or(name);
        Ok(Some(Archived { name, mode, data, offset: data_offset }))
    }

    fn slice(&self, start: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(start..start.checked_add(length)?)
    }
}

/// Members and their data begin at multiples of 4 bytes.
fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

/// Eight hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// What is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The first member is not [`MANIFEST`].
    NoManifest,
    /// The manifest has so many bytes, more than [`LARGEST_MANIFEST`].
    LongManifest(usize),
    /// A line of the manifest, counted from 1, is not `SHA256 SIZE PATH`.
    ManifestLine(usize),
    /// More than [`MOST_FILES`] files.
    TooMany,
    /// There is no [`SETTINGS`] in it.
    NoSettings,
    /// The header at this offset is not one of a newc archive.
    Header(usize),
    /// The member whose header is at `offset` goes on behind the end.
    Truncated {
        /// Where its header is, in bytes.
        offset: usize,
        /// How many bytes there are.
        length: usize,
    },
    /// Something other than zeros follows the end mark.
    Trailing {
        /// Where the first such byte is.
        offset: usize,
        /// Where the archive ends.
        end: usize,
    },
    /// A path that leads out of the bundle or cannot be shown.
    Path(String),
    /// A link or device.
    NotAFile {
        /// Its path.
        path: String,
        /// Its mode as in `st_mode`.
        mode: u32,
    },
    /// A path that appears twice.
    Duplicate(String),
    /// A file that the manifest does not have.
    NotInManifest(String),
    /// A line of the manifest whose file is not there.
    Missing(String),
    /// A file of another size than the manifest says.
    Size {
        /// Its path.
        path: String,
        /// Bytes by the manifest.
        expected: u64,
        /// Bytes in the archive.
        found: u64,
    },
    /// A file whose contents are not what the manifest says.
    Digest {
        /// Its path.
        path: String,
        /// The manifest's SHA-256.
        expected: [u8; 32],
        /// The file's SHA-256.
        found: [u8; 32],
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bundle: ")?;
        match self {
            Self::NoManifest => write!(f, "its first file is not {MANIFEST}; make it with cargo xtask bundle"),
            Self::LongManifest(bytes) => write!(f, "{MANIFEST} has {bytes} bytes, at most {LARGEST_MANIFEST} are read"),
            Self::ManifestLine(line) => write!(f, "{MANIFEST} line {line}: expected SHA256 SIZE PATH"),
            Self::TooMany => write!(f, "more than {MOST_FILES} files"),
            Self::NoSettings => write!(f, "there is no {SETTINGS} in it"),
            Self::Header(offset) => write!(f, "no cpio (newc) header at offset {offset}; the file is damaged"),
            Self::Truncated { offset, length } => {
                write!(
                    f,
                    "cut off: the file whose header is at offset {offset} goes on behind the end at {length}; copy it again"
                )
            }
            Self::Trailing { offset, end } => {
                write!(f, "data at offset {offset}, behind its end at {end}; load nothing else through initramfs")
            }
            Self::Path(path) => write!(f, "path \"{path}\" is not one within the bundle"),
            Self::NotAFile { path, mode } => write!(f, "\"{path}\" is no plain file (mode {mode:o})"),
            Self::Duplicate(path) => write!(f, "\"{path}\" is in it twice"),
            Self::NotInManifest(path) => write!(f, "\"{path}\" is not in {MANIFEST}"),
            Self::Missing(path) => write!(f, "\"{path}\" is in {MANIFEST} but not in the archive"),
            Self::Size { path, expected, found } => {
                write!(f, "\"{path}\" has {found} bytes, {MANIFEST} says {expected}")
            }
            Self::Digest { path, expected, found } => {
                write!(f, "\"{path}\" is damaged: SHA-256 {}, {MANIFEST} says {}", Short(found), Short(expected))
            }
        }
    }
}

/// The first eight bytes of a digest in hexadecimal: enough for a person to tell two apart.
struct Short<'d>(&'d [u8; 32]);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(8) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("...")
    }
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
