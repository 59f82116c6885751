//! What a file's bytes were found to be, for the summary and for whoever compares it with the file on the server.
//!
//! SHA-256 takes some ten cycles a byte on a processor without instructions for it, a quarter of a second for a kernel. So it is
//! computed where somebody said what it must be (loader.toml, a bundle's manifest). Where nobody did, whoever watches the boot gets the CRC-32
//! that `gzip -l -v`, zip and U-Boot's `crc32` show; a boot that nobody watches does not read all of its files once more for it.

use crate::console;
use core::fmt;
use sha2::Digest as _;

/// Bytes of which a CRC-32 is computed between two looks at the console: 0.1 ms, less than an instruction a byte.
const CHECKED_AT_ONCE: usize = 128 * 1024;

/// A file's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256, compared with what it had to be.
    Sha256([u8; 32]),
    /// CRC-32 (ISO-HDLC), compared with nothing.
    Crc32(u32),
}

impl Digest {
    /// The CRC-32 of `bytes`. The console is looked at between two pieces.
    pub fn crc32(bytes: &[u8]) -> Self {
        Self::Crc32(bytes.chunks(CHECKED_AT_ONCE).fold(0, |crc, piece| {
            console::poll();
            crc32_continued(crc, piece)
        }))
    }
}

/// The SHA-256 of what is added piece by piece, so that there is time for other things in between.
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Adds `bytes` at the end.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of everything that was added.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The SHA-256 of a file that is still coming: of as much of its beginning as is there.
#[derive(Clone, Debug, Default)]
pub struct Following {
    sha256: Sha256,
    done: usize,
}

impl Following {
    /// Bytes that are in it.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Adds the next bytes of `beginning`, at most `most` of them; false where there is none.
    pub fn follow(&mut self, beginning: &[u8], most: usize) -> bool {
        let rest = beginning.get(self.done..).unwrap_or_default();
        let piece = rest.get(..most).unwrap_or(rest);
        self.sha256.add(piece);
        self.done += piece.len();
        !piece.is_empty()
    }

    /// Of everything that it followed.
    pub fn finish(self) -> [u8; 32] {
        self.sha256.finish()
    }
}

/// The CRC-32 (ISO-HDLC) of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32_continued(0, bytes)
}

/// The CRC-32 of what `crc` is the CRC-32 of with `bytes` behind it.
pub fn crc32_continued(crc: u32, bytes: &[u8]) -> u32 {
    crate::arch::crc32::update(crc, bytes)
}

/// The kind and the first eight digits; with `{:#}` the first sixteen of a SHA-256.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => {
                f.write_str("sha256 ")?;
                let shown = if f.alternate() { 8 } else { 4 };
                digest.iter().take(shown).try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Crc32(crc) => write!(f, "crc32 {crc:08x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, Following, Sha256};
    use alloc::format;

    #[test]
    fn digests_are_those_that_other_programs_show() {
        assert_eq!(format!("{}", Digest::crc32(b"123456789")), "crc32 cbf43926");
        let mut sha256 = Sha256::default();
        sha256.add(b"a");
        sha256.add(b"bc");
        let mut following = Following::default();
        assert!(following.follow(b"a", 2) && !following.follow(b"a", 2));
        assert!(following.follow(b"abc", 1) && following.follow(b"abc", 16));
        assert_eq!((following.done(), following.finish()), (3, sha256.clone().finish()));
        let sha256 = Digest::Sha256(sha256.finish());
        assert_eq!(format!("{sha256}, {sha256:#}"), "sha256 ba7816bf, sha256 ba7816bf8f01cfea");
    }
}
