//! Images made by the real mkimage (Debian: u-boot-tools), read, verified, taken apart, and damaged.

// A test's way to fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod starting;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use xenlift::boot::digest::crc32;
use xenlift::boot::fit;
use xenlift::boot::legacy_image::{Compression, Error, Kind, LegacyImage};
use xenlift::device_tree::Tree;
use xenlift::range::PhysicalRange;
use xenlift::shell::commands::image;
use xenlift::shell::simulation::{FileMap, Simulation};
use xenlift::shell::{Environment, Failure, Loaded, Platform, Shell};

const SCRIPT: &str = "echo hello\ntftpb 0xC00000 boot2.scr\n";
const ADDRESS: u64 = 0x240_0000;

/// A directory that goes with the test.
struct Workshop(PathBuf);

impl Workshop {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xenlift-images-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    }

    fn mkimage(&self, arguments: &[&str]) -> Vec<u8> {
        let image = self.0.join("image");
        let output = Command::new("mkimage")
            .args(arguments)
            .arg(&image)
            .current_dir(&self.0)
            .output()
            .unwrap_or_else(|error| panic!("mkimage does not start ({error}): install u-boot-tools"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(image).unwrap()
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(Path::new(&self.0));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip").arg("-9n").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let packed = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap().unwrap();
    packed
}

/// As the tutorials say it.
fn script() -> Vec<u8> {
    let workshop = Workshop::new();
    let source = workshop.file("boot.source", SCRIPT.as_bytes());
    workshop.mkimage(&[
        "-T",
        "script",
        "-A",
        "arm64",
        "-C",
        "none",
        "-a",
        "0x2400000",
        "-e",
        "0x2400000",
        "-d",
        &source,
    ])
}

fn kernel() -> Vec<u8> {
    (0..100_000u32).map(|index| index.wrapping_mul(index) as u8).collect()
}

/// Two files in one.
fn multi(compression: &str, data: &[u8]) -> Vec<u8> {
    let workshop = Workshop::new();
    let (first, second) = (workshop.file("first", data), workshop.file("second", b"12345"));
    workshop.mkimage(&[
        "-T",
        "multi",
        "-A",
        "arm64",
        "-C",
        compression,
        "-n",
        "two files",
        "-d",
        &format!("{first}:{second}"),
    ])
}

/// A FIT image in the shape of ImageBuilder's.
fn fit(algorithm: &str, options: &[&str]) -> Vec<u8> {
    let workshop = Workshop::new();
    workshop.file("boot.source", SCRIPT.as_bytes());
    workshop.file("kernel", &kernel());
    workshop.file("kernel.gz", &gzip(&kernel()));
    let image = |name: &str, file: &str, kind: &str, compression: &str| {
        format!(
            r#"{name} {{ description = "{name}"; data = /incbin/("{file}"); type = "{kind}"; arch = "arm64"; os = "linux"; load = <0xe00000>; entry = <0xe00000>; compression = "{compression}"; hash-1 {{ algo = "{algorithm}"; }}; }};"#
        )
    };
    let source = format!(
        r#"/dts-v1/; / {{ description = "test"; #address-cells = <1>;
        images {{ {} {} {} }};
        configurations {{ default = "config-1"; config-1 {{ kernel = "dom0_linux"; script = "boot_scr"; }}; other {{ kernel = "packed"; }}; }}; }};"#,
        image("boot_scr", "boot.source", "script", "none"),
        image("dom0_linux", "kernel", "kernel", "none"),
        image("packed", "kernel.gz", "kernel", "gzip"),
    );
    let source = workshop.file("image.its", source.as_bytes());
    workshop.mkimage(&[options, &["-f", &source]].concat())
}

struct Session {
    machine: Simulation,
    environment: Environment,
    loaded: Vec<Loaded>,
}

impl Session {
    fn with(image: &[u8]) -> Self {
        Self::on(Simulation::raspberry_pi_4(FileMap::default()).unwrap(), image)
    }

    fn on(mut machine: Simulation, image: &[u8]) -> Self {
        let range = PhysicalRange::sized(ADDRESS, image.len() as u64).unwrap();
        machine.memory_mut(range).unwrap().copy_from_slice(image);
        Self {
            machine,
            environment: Environment::default(),
            loaded: vec![Loaded { name: "boot.scr".into(), range, spent: false }],
        }
    }

    fn shell<T>(&mut self, work: impl FnOnce(&mut Shell<'_>) -> T) -> T {
        let mut shell = Shell::new(&mut self.machine, std::mem::take(&mut self.environment));
        shell.loaded = self.loaded.clone();
        let result = work(&mut shell);
        self.loaded = std::mem::take(&mut shell.loaded);
        self.environment = shell.environment;
        result
    }

    fn run(&mut self, line: &str) -> Result<bool, Failure> {
        let words: Vec<String> = line.split(' ').map(String::from).collect();
        let command = image::COMMANDS.iter().find(|command| command.name == words[0]).unwrap();
        self.shell(|shell| (command.run)(shell, &words))
    }

    fn script(&mut self, place: &str) -> Result<(String, Option<String>), String> {
        self.shell(|shell| shell.script_text(Some(place).filter(|place| !place.is_empty()))).map_err(reason)
    }

    fn bytes(&self, start: u64, size: usize) -> &[u8] {
        self.machine.memory(PhysicalRange::sized(start, size as u64).unwrap()).unwrap()
    }
}

fn reason(failure: Failure) -> String {
    match failure {
        Failure::Reason(reason) => reason.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_made_as_the_tutorials_say_is_read() {
    let bytes = script();
    let image = LegacyImage::parse(&bytes).unwrap();
    assert_eq!(
        (image.header.kind, image.header.compression, image.header.load),
        (Kind::Script, Compression::None, 0x240_0000)
    );
    assert_eq!(image.header.check_data(crc32(image.data)), Ok(()));
    assert_eq!(image.script().unwrap(), SCRIPT.as_bytes());
    let mut session = Session::with(&bytes);
    for place in ["2400000", "0x2400000", "2400000:"] {
        assert_eq!(session.script(place).unwrap(), (SCRIPT.to_string(), None), "{place}");
    }
    session.environment.set("loadaddr", "2400000");
    assert_eq!(session.script("").unwrap().0, SCRIPT);
}

#[test]
fn a_plain_text_file_is_a_script_as_far_as_it_was_loaded() {
    let mut session = Session::with(SCRIPT.as_bytes());
    assert_eq!(session.script("2400000").unwrap().0, SCRIPT);
    assert!(session.script("2400004").unwrap_err().starts_with("no script at 0x2400004"));
    let mut session = Session::with(b"echo\0binary");
    assert!(session.script("2400000").unwrap_err().starts_with("no script at 0x2400000"));
}

#[test]
fn a_damaged_script_is_refused_unless_verify_says_no() {
    let mut bytes = script();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    let found = crc(&bytes[64..]);
    let mut session = Session::with(&bytes);
    let refusal = session.script("2400000").unwrap_err();
    let expected = u32::from_be_bytes(bytes[24..28].try_into().unwrap());
    assert!(refusal.contains(&format!("CRC-32 {found:08x}, its header says {expected:08x}")), "{refusal}");
    session.environment.set("verify", "no");
    assert!(session.script("2400000").is_ok());
    bytes[40] ^= 1;
    let refusal = Session::with(&bytes).script("2400000").unwrap_err();
    assert!(refusal.starts_with("the image's header is damaged: CRC-32 "), "{refusal}");
}

/// CRC-32 bit by bit, another way than the library's.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn the_files_of_an_image_come_out_where_mkimage_put_them() {
    let data = b"1234567";
    let mut session = Session::with(&multi("none", data));
    assert!(session.run("imxtract 2400000 1 3000000").unwrap());
    assert_eq!(session.bytes(0x300_0000, 5), b"12345");
    assert_eq!(session.environment.get("filesize"), Some("5"));
    // Header, two lengths and a zero, the first file filled up to four bytes.
    assert_eq!(session.environment.get("fileaddr"), Some(format!("{:x}", ADDRESS + 64 + 12 + 8).as_str()));
    for first in ["imxtract 2400000 0", "imxtract 2400000"] {
        session.environment.set("filesize", "");
        assert!(session.run(first).unwrap());
        assert_eq!(session.environment.get("filesize"), Some("7"), "{first}");
    }
    let refusal = reason(session.run("imxtract 2400000 2").unwrap_err());
    assert_eq!(refusal, "the image has no part number 2: there are 2");
    assert!(reason(session.run("imxtract 3000000 0").unwrap_err()).starts_with("no image at 0x3000000"));
}

#[test]
fn iminfo_shows_and_verifies() {
    let mut bytes = script();
    let mut session = Session::with(&bytes);
    assert!(session.run("iminfo 2400000").unwrap());
    assert!(session.machine.output.contains("Load Address: 02400000\n"), "{}", session.machine.output);
    assert!(session.machine.output.contains(&format!("Image 0: {} Bytes", SCRIPT.len())));
    bytes[70] ^= 4;
    assert!(reason(Session::with(&bytes).run("iminfo 2400000").unwrap_err()).contains("data is damaged"));
    let mut session = Session::with(&fit("sha256", &[]));
    assert!(session.run("iminfo 2400000").unwrap());
    let said = session.machine.output;
    assert!(said.contains("Image dom0_linux (dom0_linux): kernel, 100000 Bytes, not compressed; verified"), "{said}");
    assert!(said.contains("Configuration config-1, the default: kernel dom0_linux; script boot_scr;"), "{said}");
}

#[test]
fn files_of_a_fit_image_are_found_by_name_verified_and_unpacked() {
    for algorithm in ["crc32", "md5", "sha1", "sha256"] {
        for options in [&[][..], &["-E"], &["-E", "-p", "0x8000"]] {
            let mut session = Session::with(&fit(algorithm, options));
            assert!(session.run("imxtract 2400000 dom0_linux 3000000").unwrap(), "{algorithm} {options:?}");
            assert_eq!(session.bytes(0x300_0000, 100_000), kernel());
            assert!(session.run("imxtract 2400000 packed 3100000").unwrap());
            assert_eq!(session.bytes(0x310_0000, 100_000), kernel());
            assert_eq!(session.environment.get("filesize"), Some("186a0"));
            assert_eq!(
                session.loaded.last().unwrap().range,
                PhysicalRange { start: 0x310_0000, end: 0x310_0000 + 100_000 }
            );
            for place in ["2400000:boot_scr", "2400000#config-1", "2400000#", "2400000"] {
                assert_eq!(
                    session.script(place).unwrap(),
                    (SCRIPT.to_string(), None),
                    "{place} {algorithm} {options:?}"
                );
            }
            assert_eq!(session.machine.output.matches("note").count(), 0);
        }
    }
}

#[test]
fn what_a_fit_image_does_not_have_is_said() {
    let mut session = Session::with(&fit("crc32", &[]));
    assert_eq!(
        reason(session.run("imxtract 2400000 nothing").unwrap_err()),
        "the FIT image has no file nothing; `iminfo` shows what it has"
    );
    assert_eq!(
        reason(session.run("imxtract 2400000 packed").unwrap_err()),
        "packed is packed (gzip): say where to unpack it"
    );
    assert!(
        session.script("2400000#other").unwrap_err().contains("configuration other of the FIT image has no script")
    );
    assert!(session.script("2400000#third").unwrap_err().contains("no configuration third"));
    assert!(
        reason(session.run("imxtract 2400000 packed 0").unwrap_err()).contains("page 0 is at 0x00000000-0x00000fff")
    );
    assert!(reason(session.run("imxtract 2400000 packed 2410000").unwrap_err()).contains("would write over itself"));
}

#[test]
fn a_damaged_file_of_a_fit_image_is_refused_unless_verify_says_no() {
    for algorithm in ["crc32", "md5", "sha1", "sha256"] {
        let mut bytes = fit(algorithm, &["-E"]);
        let at = bytes.len() - 30;
        bytes[at] ^= 1;
        let mut session = Session::with(&bytes);
        let refusal = reason(session.run("imxtract 2400000 packed 3000000").unwrap_err());
        assert!(refusal.starts_with(&format!("packed of the FIT image is damaged: {algorithm} ")), "{refusal}");
        assert!(reason(session.run("iminfo 2400000").unwrap_err()).contains("packed of the FIT image is damaged"));
        session.environment.set("verify", "n");
        // gzip has a checksum of its own.
        assert!(reason(session.run("imxtract 2400000 packed 3000000").unwrap_err()).contains("gzip file is"));
    }
}

#[test]
fn a_digest_that_is_not_computed_is_named() {
    for algorithm in ["sha384", "sha512"] {
        let mut session = Session::with(&fit(algorithm, &[]));
        let (text, note) = session.script("2400000:boot_scr").unwrap();
        assert_eq!(text, SCRIPT);
        assert!(note.as_deref().unwrap().ends_with(algorithm), "{note:?}");
        assert!(session.run("imxtract 2400000 dom0_linux 3000000").unwrap());
        assert!(session.machine.output.contains(&format!(
            "note: dom0_linux: not verified, because this loader does not compute it: {algorithm}\n"
        )));
    }
}

proptest! {
    #[test]
    fn a_mutated_legacy_image_is_answered(at in 0usize..400, value in any::<u8>(), cut in 0usize..400) {
        let image = {
            static IMAGE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            IMAGE.get_or_init(|| multi("none", &[7; 200]))
        };
        let mut bytes = image.clone();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        // Both checksums put right, so that what they protect is looked at.
        let data = crc(&bytes[64..]);
        bytes[24..28].copy_from_slice(&data.to_be_bytes());
        bytes[4..8].fill(0);
        let header = crc(&bytes[..64]);
        bytes[4..8].copy_from_slice(&header.to_be_bytes());
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        match LegacyImage::parse(&bytes) {
            Ok(image) => {
                let parts: usize = image.parts().filter_map(Result::ok).map(<[u8]>::len).sum();
                prop_assert!(parts <= image.data.len());
                let _ = (image.script(), image.part(1), image.header.check_data(crc32(image.data)));
            }
            Err(error) => prop_assert!(!matches!(error, Error::HeaderChecksum { .. }), "{}", error),
        }
    }

}

proptest! {
    // Each has a machine of its own.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_mutated_fit_image_is_answered(changes in prop::collection::vec((0usize..2000, any::<u8>()), 1..4)) {
        let image = {
            static IMAGE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            IMAGE.get_or_init(|| fit("crc32", &["-E"]))
        };
        let mut bytes = vec![0u64; image.len().div_ceil(8)].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        bytes[..image.len()].copy_from_slice(image);
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Ok(tree) = Tree::new(&bytes) {
            let _ = fit::extent(&tree);
            if let Ok(fit) = fit::Fit::parse(&bytes) {
                let _ = fit.default_script();
                for image in fit.images().into_iter().flatten().flatten() {
                    let _ = (image.digests(), image.compression());
                }
            }
        }
        // Little memory: a size may be that of all of it, and a digest of gigabytes takes an hour in a program that is not optimised.
        let bank = PhysicalRange { start: ADDRESS, end: 0x304_0000 };
        let mut session = Session::on(Simulation::new([bank], FileMap::default()).unwrap(), &bytes);
        let _ = (session.run("iminfo 2400000"), session.run("imxtract 2400000 packed 3000000"), session.script("2400000"));
    }
}
