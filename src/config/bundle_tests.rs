//! Bundles, whole and damaged.

use super::*;
use alloc::format;
use alloc::vec;
use proptest::prelude::*;

/// Appends a newc member as GNU cpio writes it.
fn member(archive: &mut Vec<u8>, name: &str, mode: u32, data: &[u8]) {
    let fields = [0, mode, 0, 0, 1, 0, data.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    archive.extend_from_slice(b"070701");
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(data);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

fn line(path: &str, data: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(data).into();
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits} {} {path}\n", data.len())
}

fn archive(manifest: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    member(&mut bytes, MANIFEST, 0o100_644, manifest.as_bytes());
    for (path, data) in files {
        member(&mut bytes, path, 0o100_644, data);
    }
    member(&mut bytes, TRAILER, 0, b"");
    bytes
}

fn bundle(files: &[(&str, &[u8])]) -> Vec<u8> {
    let manifest: String = files.iter().map(|(path, data)| line(path, data)).collect();
    archive(&manifest, files)
}

const FILES: &[(&str, &[u8])] = &[(SETTINGS, b"timeout = 0\n"), ("xen", b"seven by"), ("overlays/a b.dtbo", b"1")];

#[test]
fn files_are_found_where_they_lie_and_verified() {
    let bytes = bundle(FILES);
    let parsed = Bundle::parse(&bytes).unwrap();
    assert!(is_bundle(&bytes));
    assert_eq!(parsed.length(), bytes.len());
    assert_eq!(parsed.members().len(), 3);
    assert_eq!(parsed.settings().unwrap().data, b"timeout = 0\n");
    for (path, data) in FILES {
        let found = parsed.find(path).unwrap();
        assert_eq!(found.data, *data);
        assert_eq!(&bytes[found.offset..found.offset + data.len()], *data);
        assert_eq!(found.verify(), Ok(()));
    }
    assert_eq!(parsed.find("/xen"), parsed.find("./xen"));
    assert_eq!(parsed.find("overlays"), None);
}

#[test]
fn directories_and_zeros_behind_the_end_are_passed_over() {
    let mut bytes = Vec::new();
    member(&mut bytes, "./xenlift.manifest", 0o100_644, line(SETTINGS, b"").as_bytes());
    member(&mut bytes, ".", 0o040_755, b"");
    member(&mut bytes, "./loader.toml", 0o100_644, b"");
    member(&mut bytes, TRAILER, 0, b"");
    bytes.resize(bytes.len() + 300, 0);
    assert_eq!(Bundle::parse(&bytes).unwrap().members().len(), 1);
    bytes.push(7);
    let end = bytes.len() - 301;
    assert_eq!(Bundle::parse(&bytes), Err(Error::Trailing { offset: bytes.len() - 1, end }));
}

#[test]
fn a_changed_byte_is_found_when_the_file_is_used() {
    let mut bytes = bundle(FILES);
    let offset = Bundle::parse(&bytes).unwrap().find("xen").unwrap().offset;
    bytes[offset + 2] ^= 1;
    let parsed = Bundle::parse(&bytes).unwrap();
    assert!(matches!(parsed.find("xen").unwrap().verify(), Err(Error::Digest { path, .. }) if path == "xen"));
    assert_eq!(parsed.settings().unwrap().verify(), Ok(()));
}

#[test]
fn every_cut_is_refused() {
    let bytes = bundle(FILES);
    for length in 0..bytes.len() {
        // The end mark's name ends with its NUL and three bytes of padding, which may be missing.
        let result = Bundle::parse(&bytes[..length]);
        let padding = bytes.len() - length <= 3 && bytes[length..].iter().all(|byte| *byte == 0);
        assert!(result.is_err() || padding, "cut to {length} bytes");
    }
    let cut = &bytes[..bytes.len() - 130];
    assert!(matches!(Bundle::parse(cut), Err(Error::Truncated { length, .. }) if length == cut.len()));
}

#[test]
fn the_manifest_and_the_archive_must_agree() {
    let good = line(SETTINGS, b"x");
    type Case<'c> = (String, Vec<(&'c str, &'c [u8])>, Error);
    let cases: Vec<Case<'_>> = vec![
        (good.clone(), vec![(SETTINGS, b"xy")], Error::Size { path: SETTINGS.into(), expected: 1, found: 2 }),
        (good.clone(), vec![(SETTINGS, b"x"), ("xen", b"")], Error::NotInManifest("xen".into())),
        (good.clone() + &line("xen", b""), vec![(SETTINGS, b"x")], Error::Missing("xen".into())),
        (good.clone() + &good, vec![(SETTINGS, b"x")], Error::Duplicate(SETTINGS.into())),
        (good.clone(), vec![(SETTINGS, b"x"), (SETTINGS, b"x")], Error::Duplicate(SETTINGS.into())),
        (line("xen", b""), vec![("xen", b"")], Error::NoSettings),
        (good.clone() + "junk\n", vec![(SETTINGS, b"x")], Error::ManifestLine(2)),
        (good.replace(" 1 ", " +1 "), vec![(SETTINGS, b"x")], Error::ManifestLine(1)),
        (good.replace(" 1 ", " one "), vec![(SETTINGS, b"x")], Error::ManifestLine(1)),
        (good[1..].into(), vec![(SETTINGS, b"x")], Error::ManifestLine(1)),
    ];
    for (manifest, files, error) in cases {
        assert_eq!(Bundle::parse(&archive(&manifest, &files)), Err(error), "{manifest}");
    }
}

#[test]
fn paths_stay_within_the_bundle() {
    for path in ["/etc/xen", "../xen", "a/../xen", "a//b", "a/", "a\\b", "a\u{7f}b", MANIFEST] {
        let files: &[(&str, &[u8])] = &[(SETTINGS, b""), (path, b"")];
        assert!(matches!(Bundle::parse(&bundle(files)), Err(Error::Path(_))), "{path:?}");
        // Not in the manifest, but in the archive: still refused for its path.
        let unlisted = archive(&line(SETTINGS, b""), files);
        assert!(matches!(Bundle::parse(&unlisted), Err(Error::Path(_))), "{path:?}");
    }
}

#[test]
fn links_and_devices_are_refused() {
    let mut bytes = Vec::new();
    member(&mut bytes, MANIFEST, 0o100_644, (line(SETTINGS, b"") + &line("xen", b"a")).as_bytes());
    member(&mut bytes, SETTINGS, 0o100_644, b"");
    member(&mut bytes, "xen", 0o120_777, b"a");
    member(&mut bytes, TRAILER, 0, b"");
    assert_eq!(Bundle::parse(&bytes), Err(Error::NotAFile { path: "xen".into(), mode: 0o120_777 }));
}

#[test]
fn numbers_of_files_and_bytes_are_bounded() {
    let names: Vec<String> = (0..=MOST_FILES).map(|n| format!("f{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(Bundle::parse(&bundle(&files)), Err(Error::TooMany));
    let long = "x".repeat(LARGEST_MANIFEST + 1);
    assert_eq!(Bundle::parse(&archive(&long, &[])), Err(Error::LongManifest(LARGEST_MANIFEST + 1)));
}

#[test]
fn an_archive_of_others_is_no_bundle() {
    let mut bytes = Vec::new();
    member(&mut bytes, "init", 0o100_755, b"#!/bin/sh");
    member(&mut bytes, MANIFEST, 0o100_644, b"");
    member(&mut bytes, TRAILER, 0, b"");
    assert!(!is_bundle(&bytes));
    assert_eq!(Bundle::parse(&bytes), Err(Error::NoManifest));
}

#[test]
fn errors_read_well() {
    let error = Error::Size { path: "Image-dom0".into(), expected: 33_000_000, found: 12 };
    assert_eq!(format!("{error}"), "bundle: \"Image-dom0\" has 12 bytes, xenlift.manifest says 33000000");
    let error = Error::Digest { path: "xen".into(), expected: [0; 32], found: [0xab; 32] };
    assert_eq!(
        format!("{error}"),
        "bundle: \"xen\" is damaged: SHA-256 abababababababab..., xenlift.manifest says 0000000000000000..."
    );
}

proptest! {
    #[test]
    fn whatever_comes_is_answered(
        edits in prop::collection::vec((0usize..2000, any::<u8>()), 0..12),
        cut in 0usize..2000,
        tail in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = bundle(FILES);
        for (at, value) in edits {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(cut);
        bytes.extend_from_slice(&tail);
        is_bundle(&bytes);
        if let Ok(bundle) = Bundle::parse(&bytes) {
            for member in bundle.members() {
                prop_assert_eq!(&bytes[member.offset..member.offset + member.data.len()], member.data);
            }
        }
    }
}
