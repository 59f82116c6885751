//! What a file's bytes were found to be, for the summary and for whoever compares it with the file on the server.
//!
//! SHA-256 takes some ten cycles a byte on a processor without instructions for it, a quarter of a second for a kernel. So it is
//! computed where somebody said what it must be (loader.toml, a bundle's manifest). Where nobody did, whoever watches the boot gets the CRC-32
//! that `gzip -l -v`, zip and U-Boot's `crc32` show; a boot that nobody watches does not read all of its files once more for it.
//!
//! A FIT image says by which [`Algorithm`] its files are to be verified: MD5 and SHA-1 among them, which show that a file is whole, not who made it.

use alloc::vec::Vec;
use core::fmt;
use sha2::Digest as _;

/// A file's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256, compared with what it had to be.
    Sha256([u8; 32]),
    /// CRC-32 (ISO-HDLC), compared with nothing.
    Crc32(u32),
}

/// A way to compute a digest: those that mkimage writes into FIT images unless it is asked for a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32 (ISO-HDLC), big-endian.
    Crc32,
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (FIPS 180-4).
    Sha1,
    /// SHA-256 (FIPS 180-4).
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Crc32, Self::Md5, Self::Sha1, Self::Sha256];

    /// The one that FIT images and U-Boot's `hash` call `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its name there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// How many bytes its digests have.
    pub const fn length(self) -> usize {
        match self {
            Self::Crc32 => 4,
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// A digest of what is added piece by piece.
#[derive(Clone, Debug)]
pub enum Running {
    /// The CRC-32 so far.
    Crc32(u32),
    /// An MD5.
    Md5(md5::Md5),
    /// A SHA-1.
    Sha1(sha1::Sha1),
    /// A SHA-256.
    Sha256(Sha256),
}

impl Running {
    /// Of nothing so far.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(0),
            Algorithm::Md5 => Self::Md5(Default::default()),
            Algorithm::Sha1 => Self::Sha1(Default::default()),
            Algorithm::Sha256 => Self::Sha256(Sha256::default()),
        }
    }

    /// Adds `bytes` at the end.
    pub fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(crc) => *crc = crc32_continued(*crc, bytes),
            Self::Md5(digest) => digest.update(bytes),
            Self::Sha1(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.add(bytes),
        }
    }

    /// Of everything that was added: [`Algorithm::length`] bytes.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(crc) => crc.to_be_bytes().to_vec(),
            Self::Md5(digest) => digest.finalize().to_vec(),
            Self::Sha1(digest) => digest.finalize().to_vec(),
            Self::Sha256(digest) => digest.finish().to_vec(),
        }
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
    use super::{Algorithm, Digest, Following, Running, Sha256, crc32};
    use alloc::format;
    use alloc::string::String;

    /// The digests of "abc", each from the standard that defines it.
    #[test]
    fn every_algorithm_computes_what_its_standard_says() {
        let expected = [
            (Algorithm::Crc32, "352441c2"),
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        assert_eq!(expected.map(|(algorithm, _)| algorithm), Algorithm::ALL);
        for (algorithm, digest) in expected {
            let mut running = Running::new(algorithm);
            running.add(b"a");
            running.add(b"bc");
            let found = running.finish();
            assert_eq!(found.len(), algorithm.length());
            assert_eq!(found.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), digest);
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::named("sha384"), None);
    }

    #[test]
    fn digests_are_those_that_other_programs_show() {
        assert_eq!(format!("{}", Digest::Crc32(crc32(b"123456789"))), "crc32 cbf43926");
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
