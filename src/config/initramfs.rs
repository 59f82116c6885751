//! What the firmware's `initramfs` blob is.
//!
//! `initramfs` in config.txt is the one way to hand a loader a file without drivers, and at the same time what every card with a Linux on
//! it already uses for its ramdisk (`auto_initramfs` loads that one unasked). So the blob is looked at before it is taken for settings:
//!
//! 1. A cpio archive whose first member is the manifest is a bundle; from there on whatever is wrong with it is an error.
//! 2. A script that mkimage made is one for U-Boot, and is run.
//! 3. Known formats (gzip, zstd … , a cpio archive without manifest, a device tree, an executable) are not settings.
//! 4. What is left is settings **if its first 512 bytes are text**: no NUL and no control characters but tab and line ends, UTF-8 not
//!    required. Such a file was meant for us, so a mistake in it (TOML, encoding, size) is an error with line and column, not ignored.
//! 5. Everything else is not settings. It stays available as `ramdisk = "initramfs"`.

use core::fmt;

use super::bundle::{self, Bundle};

/// How many bytes must be text for a blob to count as settings.
const LOOKED_AT: usize = 512;

/// What the blob is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initramfs<'a> {
    /// A bare `loader.toml`; not yet parsed, and perhaps wrong.
    Settings(&'a [u8]),
    /// A bundle.
    Bundle(Bundle<'a>),
    /// A script of U-Boot's (`mkimage -T script`), not looked at yet.
    Script(&'a [u8]),
    /// Not settings: what it seems to be.
    NotSettings(Content),
}

/// What a blob that is not settings seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing at all.
    Empty,
    /// Something with a well-known beginning; its name.
    Known(&'static str),
    /// Something else; its first four bytes, missing ones as 0.
    Unknown([u8; 4]),
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Known(name) => f.write_str(name),
            Self::Unknown([a, b, c, d]) => write!(f, "binary data that begins {a:02x} {b:02x} {c:02x} {d:02x}"),
        }
    }
}

/// Beginnings of files and what they belong to (Linux `lib/decompress.c`, the formats' own documents).
const MAGIC: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x02\x21\x4c\x18", "an lz4 file"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"BZh", "a bzip2 file"),
    (b"\x89LZO\0", "an lzop file"),
    (b"\x5d\0\0", "an lzma file"),
    (b"070707", "a cpio archive in an old format"),
    (b"\xc7\x71", "a cpio archive in an old format"),
    (b"\xd0\x0d\xfe\xed", "a device tree"),
    (b"\x27\x05\x19\x56", "a U-Boot image"),
    (b"\x7fELF", "an ELF file"),
    (b"hsqs", "a squashfs image"),
];

/// Looks at the blob.
///
/// # Errors
/// Only for a bundle that is damaged; other blobs are something or other.
pub fn identify(bytes: &[u8]) -> Result<Initramfs<'_>, bundle::Error> {
    if bundle::is_bundle(bytes) {
        return Bundle::parse(bytes).map(Initramfs::Bundle);
    }
    if bundle::is_newc(bytes) {
        return Ok(Initramfs::NotSettings(Content::Known("a cpio archive without our manifest")));
    }
    if is_script(bytes) {
        return Ok(Initramfs::Script(bytes));
    }
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Ok(Initramfs::NotSettings(Content::Known(name)));
    }
    // A size that was rounded up shows as zeros at the end.
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = bytes.get(..length).unwrap_or_default();
    let beginning = text.get(..text.len().min(LOOKED_AT)).unwrap_or_default();
    if beginning.is_empty() {
        return Ok(Initramfs::NotSettings(Content::Empty));
    }
    let utf16 = beginning.starts_with(&[0xff, 0xfe]) || beginning.starts_with(&[0xfe, 0xff]);
    if utf16 || beginning.iter().all(|byte| is_text(*byte)) {
        return Ok(Initramfs::Settings(text));
    }
    let mut first = [0; 4];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    Ok(Initramfs::NotSettings(Content::Unknown(first)))
}

/// Whether `bytes` begin as what mkimage makes of a script (U-Boot `include/image.h`: the magic number, and the type at byte 30).
pub fn is_script(bytes: &[u8]) -> bool {
    const SCRIPT: u8 = 6;
    bytes.starts_with(b"\x27\x05\x19\x56") && bytes.get(30) == Some(&SCRIPT)
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r') || (byte >= 0x20 && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn known(bytes: &[u8]) -> &'static str {
        match identify(bytes) {
            Ok(Initramfs::NotSettings(Content::Known(name))) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ramdisks_of_others_are_left_alone() {
        assert_eq!(known(b"\x1f\x8b\x08\0rest"), "a gzip file");
        assert_eq!(known(b"\x28\xb5\x2f\xfd"), "a zstd file");
        assert_eq!(known(b"070701not quite a header"), "a cpio archive without our manifest");
        assert_eq!(known(b"\xd0\x0d\xfe\xed\0\0"), "a device tree");
        assert_eq!(identify(b""), Ok(Initramfs::NotSettings(Content::Empty)));
        assert_eq!(identify(&[0; 64]), Ok(Initramfs::NotSettings(Content::Empty)));
        assert_eq!(identify(b"\x01\x02\x03"), Ok(Initramfs::NotSettings(Content::Unknown([1, 2, 3, 0]))));
    }

    #[test]
    fn text_is_settings_even_with_mistakes_in_it() {
        for text in ["timeout = 0\n", "\u{feff}timeout = 0\r\n", "timout 0", "# Einstellungen für den Lader\n"] {
            assert_eq!(identify(text.as_bytes()), Ok(Initramfs::Settings(text.as_bytes())));
        }
        assert_eq!(identify(b"timeout = 0\n\0\0\0"), Ok(Initramfs::Settings(b"timeout = 0\n")));
        assert_eq!(
            identify(b"a = \"\xe4\""),
            Ok(Initramfs::Settings(b"a = \"\xe4\"")),
            "Latin-1 is a mistake to be told"
        );
        let utf16: Vec<u8> = "\u{feff}timeout".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(matches!(identify(&utf16), Ok(Initramfs::Settings(_))));
    }

    #[test]
    fn a_hundred_megabytes_of_text_are_refused_by_their_size() {
        let text = alloc::vec![b'a'; 100 << 20];
        let Ok(Initramfs::Settings(text)) = identify(&text) else { panic!("text") };
        let error = settings::parse(text).unwrap_err().to_string();
        assert_eq!(error, "the file has 104857600 bytes, settings have at most 131072; is it really loader.toml?");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_something(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let _ = identify(&bytes);
        }
    }
}
