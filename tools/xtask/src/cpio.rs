//! Writing cpio archives in the "newc" format, which Linux's initramfs and our bundles use (Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::io::{self, Write};

use anyhow::{Context, Result, bail};

const TRAILER: &str = "TRAILER!!!";
const ALIGNMENT: usize = 4;

/// What a member is, with its permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File(u32),
    /// A directory.
    Directory(u32),
    /// A symbolic link; its data is the target.
    Link,
    /// A character device: permission bits, major, minor.
    CharacterDevice(u32, u32, u32),
}

impl Kind {
    fn mode(self) -> u32 {
        match self {
            Self::File(bits) => 0o100_000 | bits,
            Self::Directory(bits) => 0o040_000 | bits,
            Self::Link => 0o120_777,
            Self::CharacterDevice(bits, ..) => 0o020_000 | bits,
        }
    }
}

/// Writes members one after the other. Every date and owner is 0, so the same input gives the same bytes.
pub struct Writer<W> {
    out: W,
    members: u32,
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        Self { out, members: 0 }
    }

    /// Adds one member. `path` is relative, with `/` between its parts.
    pub fn add(&mut self, path: &str, kind: Kind, data: &[u8]) -> Result<()> {
        if path.is_empty() || path.starts_with('/') || path == TRAILER || path.contains('\0') {
            bail!("`{path}` cannot be the name of a member of a cpio archive");
        }
        let size = u32::try_from(data.len())
            .with_context(|| format!("{path} is larger than 4 GiB, which newc cannot hold"))?;
        let device = match kind {
            Kind::CharacterDevice(_, major, minor) => (major, minor),
            _ => (0, 0),
        };
        self.members += 1;
        // Inode, mode, uid, gid, links, mtime, size, device of the file system (2), of the file (2), name size, check.
        let links = if matches!(kind, Kind::Directory(_)) { 2 } else { 1 };
        self.member(path, [self.members, kind.mode(), 0, 0, links, 0, size, 0, 0, device.0, device.1], data)
            .with_context(|| format!("cannot write {path} into the archive"))
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<W> {
        let ended = self.member(TRAILER, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], &[]).and_then(|()| self.out.flush());
        ended.context("cannot write the end of the archive")?;
        Ok(self.out)
    }

    fn member(&mut self, name: &str, fields: [u32; 11], data: &[u8]) -> io::Result<()> {
        let mut header = b"070701".to_vec();
        let name_size = name.len() as u32 + 1;
        for field in fields.into_iter().chain([name_size, 0]) {
            write!(header, "{field:08x}")?;
        }
        header.extend_from_slice(name.as_bytes());
        header.push(0);
        header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
        self.out.write_all(&header)?;
        self.out.write_all(data)?;
        let padding = data.len().next_multiple_of(ALIGNMENT) - data.len();
        self.out.write_all([0; ALIGNMENT].get(..padding).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{capture_text, find_program};
    use std::process::Command;

    #[test]
    fn header_names_and_data_lie_as_the_format_says() {
        let mut writer = Writer::new(Vec::new());
        writer.add("init", Kind::File(0o755), b"hello").unwrap();
        let bytes = writer.finish().unwrap();
        let header: String =
            ["070701", "00000001", "000081ed", "00000000", "00000000", "00000001", "00000000", "00000005"].concat();
        assert!(bytes.starts_with(header.as_bytes()));
        assert_eq!(&bytes[94..110], b"0000000500000000", "name size with its NUL, check");
        assert_eq!(&bytes[110..116], b"init\0\0", "110 + 5 is padded to 116");
        assert_eq!(&bytes[116..124], b"hello\0\0\0");
        assert_eq!(&bytes[124 + 110..124 + 121], b"TRAILER!!!\0");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn the_real_cpio_reads_it() {
        let cpio =
            find_program("cpio").expect("this test wants cpio: `cargo xtask setup` or `sudo apt-get install cpio`");
        let mut writer = Writer::new(Vec::new());
        writer.add("dev", Kind::Directory(0o755), b"").unwrap();
        writer.add("dev/console", Kind::CharacterDevice(0o600, 5, 1), b"").unwrap();
        writer.add("bin", Kind::Link, b"usr/bin").unwrap();
        writer.add("init", Kind::File(0o755), b"#!/bin/sh\n").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("archive");
        std::fs::write(&archive, writer.finish().unwrap()).unwrap();
        let listing = capture_text(Command::new(cpio).args(["-itv", "--quiet", "-F"]).arg(&archive)).unwrap();
        let lines: Vec<&str> = listing.lines().collect();
        assert_eq!(lines.len(), 4, "{listing}");
        assert!(lines[1].starts_with("crw-------") && lines[1].contains("5,   1"), "{listing}");
        assert!(lines[2].ends_with("bin -> usr/bin"), "{listing}");
        assert!(lines[3].starts_with("-rwxr-xr-x"), "{listing}");
    }

    #[test]
    fn names_that_would_not_come_back_are_refused() {
        let mut writer = Writer::new(Vec::new());
        for name in ["", "/etc/passwd", TRAILER, "a\0b"] {
            assert!(writer.add(name, Kind::File(0o644), b"").is_err(), "{name:?}");
        }
    }
}
