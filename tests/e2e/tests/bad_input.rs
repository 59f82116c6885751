//! Bad input from the firmware's side: settings, bundles and their files. Each mistake is told in one line that says what failed, what
//! was expected and what was found; nothing is lost by it, and there is a way on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xenlift_e2e::boot::{Board, bundle, device_tree, fake_xen, gzip, kernel, pattern};
use xenlift_e2e::{Release, cache, emulator, packages};

/// The settings of one entry that boots.
const GOOD: &str = r#"
[[entry]]
name = "good"
device-tree = "firmware"
[entry.xen]
image = "xen"
args = "dom0_mem=256M"
[entry.dom0]
kernel = "kernel"
ramdisk = "ramdisk"
args = "console=hvc0"
"#;

/// One entry of which something is wrong, and the end of the line that says so.
struct Mistake {
    name: &'static str,
    tree: &'static str,
    xen: &'static str,
    /// TOML values, quotes included.
    kernel: &'static str,
    args: String,
    line: String,
}

impl Mistake {
    fn new(name: &'static str, line: impl Into<String>) -> Self {
        let args = "dom0_mem=256M".to_owned();
        Self { name, tree: "firmware", xen: "xen", kernel: "\"kernel\"", args, line: line.into() }
    }

    fn entry(&self, fallback: &str) -> String {
        let Self { name, tree, xen, kernel, args, .. } = self;
        format!(
            "[[entry]]\nname = \"{name}\"\ndevice-tree = \"{tree}\"\nfallback = \"{fallback}\"\n[entry.xen]\n\
             image = \"{xen}\"\nargs = \"{args}\"\n[entry.dom0]\nkernel = {kernel}\nargs = \"console=hvc0\"\n"
        )
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn with_word(mut bytes: Vec<u8>, at: usize, word: &[u8]) -> Result<Vec<u8>> {
    bytes.get_mut(at..at + word.len()).context("too short")?.copy_from_slice(word);
    Ok(bytes)
}

#[test]
fn every_bad_file_is_told_in_a_line_and_the_last_fallback_still_boots_whole() -> Result<()> {
    let cache = cache()?;
    let linux = read(&packages::linux(&cache, Release::Bookworm)?.image)?;
    let xen = read(&packages::xen(&cache, Release::Bookworm)?)?;
    let tree = read(&device_tree()?)?;
    let (good_kernel, ramdisk) = (kernel(0x12_3457)?, pattern(0x4_5679));
    let text = b"<html><body>404 not found</body></html>\n".repeat(4);
    let cut_linux = linux.get(..0x1_0000).context("a short kernel")?;
    let cut_xen = xen.get(..0x1_0000).context("a short Xen")?;
    let huge_xen = with_word(fake_xen()?.to_vec(), 16, &0x3c00_0000_u64.to_le_bytes())?;
    let huge_kernel = with_word(good_kernel.clone(), 16, &0x2000_0000_u64.to_le_bytes())?;
    let cut_tree = tree.get(..tree.len() / 2).context("a short tree")?;
    let small_tree = with_word(tree.clone(), 4, &0x30_u32.to_be_bytes())?;
    let huge_tree = with_word(tree.clone(), 4, &0x7fff_ffff_u32.to_be_bytes())?;
    let packed_xen = gzip(fake_xen()?)?;
    let cut_packed = packed_xen.get(..packed_xen.len() / 2).context("a short Xen")?;
    let at = packed_xen.len() - 6;
    let bad_checksum = with_word(packed_xen.clone(), at, &[!*packed_xen.get(at).context("a short Xen")?])?;
    let greedy_packed = gzip(&with_word(fake_xen()?.to_vec(), 16, &0x800_u64.to_le_bytes())?)?;
    let packed_text = gzip(&text)?;
    let files: [(&str, &[u8]); 17] = [
        ("xen-cut.gz", cut_packed),
        ("xen-damaged.gz", &bad_checksum),
        ("xen-greedy.gz", &greedy_packed),
        ("page.html.gz", &packed_text),
        ("xen", fake_xen()?),
        ("kernel", &good_kernel),
        ("ramdisk", &ramdisk),
        ("page.html", &text),
        ("empty", &[]),
        ("linux-cut", cut_linux),
        ("xen-cut", cut_xen),
        ("xen-huge", &huge_xen),
        ("kernel-huge", &huge_kernel),
        ("tree-cut.dtb", cut_tree),
        ("tree-small.dtb", &small_tree),
        ("tree-huge.dtb", &huge_tree),
        ("Image-dom0", &linux[..0x100]),
    ];
    let mistakes = [
        Mistake {
            kernel: "\"page.html\"",
            ..Mistake::new("kernel-is-text", "Dom0 kernel (page.html): no arm64 Image (160 bytes): it is text")
        },
        Mistake {
            kernel: "\"linux-cut\"",
            ..Mistake::new("kernel-cut", "Dom0 kernel (linux-cut): cut off: 65536 bytes, its headers say at least ")
        },
        Mistake { kernel: "\"empty\"", ..Mistake::new("kernel-empty", "Dom0 kernel (empty): the file is empty") },
        Mistake {
            kernel: "{ path = \"kernel\", sha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\" }",
            ..Mistake::new("kernel-other", "Dom0 kernel (kernel): SHA-256 is ")
        },
        Mistake {
            kernel: "\"kernel-huge\"",
            ..Mistake::new(
                "kernel-huge",
                "Dom0 kernel (kernel-huge): it takes 512 MiB of memory (image_size in its header), its domain gets 256 MiB",
            )
        },
        Mistake {
            kernel: "\"Image-domO\"",
            ..Mistake::new("kernel-absent", "Dom0 kernel: \"Image-domO\" is not in the bundle; nearest: Image-dom0")
        },
        Mistake {
            xen: "page.html",
            ..Mistake::new("xen-is-text", "Xen (page.html): no arm64 Image (160 bytes): it is text")
        },
        Mistake {
            xen: "xen-cut.gz",
            ..Mistake::new(
                "packed-cut",
                format!("Xen (xen-cut.gz): the gzip file is cut off after {} bytes", cut_packed.len()),
            )
        },
        Mistake {
            xen: "xen-damaged.gz",
            ..Mistake::new("packed-damaged", "Xen (xen-damaged.gz): the gzip file is damaged: CRC-32 ")
        },
        Mistake {
            xen: "xen-greedy.gz",
            ..Mistake::new(
                "packed-greedy",
                "Xen (xen-greedy.gz): it unpacks to more than the 2048 bytes there is room for",
            )
        },
        Mistake {
            xen: "page.html.gz",
            ..Mistake::new("packed-text", "Xen (page.html.gz): no arm64 Image: it is text")
        },
        Mistake {
            xen: "xen-cut",
            ..Mistake::new("xen-cut", "Xen (xen-cut): cut off: 65536 bytes, its headers say at least ")
        },
        Mistake {
            xen: "xen-huge",
            ..Mistake::new(
                "xen-huge",
                "Xen (xen-huge): no room for Xen: 1006632960 bytes aligned to 0x200000, the largest free block has ",
            )
        },
        Mistake {
            tree: "page.html",
            ..Mistake::new(
                "tree-is-text",
                "device tree (page.html): not a device tree: it starts with 0x3c68746d, expected 0xd00dfeed",
            )
        },
        Mistake {
            tree: "tree-cut.dtb",
            ..Mistake::new(
                "tree-cut",
                format!(
                    "device tree (tree-cut.dtb): device tree is cut: its header says {} bytes, {} are there",
                    tree.len(),
                    tree.len() / 2
                ),
            )
        },
        Mistake {
            tree: "tree-small.dtb",
            ..Mistake::new("tree-small", "device tree (tree-small.dtb): device tree's ")
        },
        Mistake {
            tree: "tree-huge.dtb",
            ..Mistake::new(
                "tree-huge",
                "device tree (tree-huge.dtb): device tree is cut: its header says 2147483647 bytes",
            )
        },
        Mistake {
            args: "dom0_mem=64G".to_owned(),
            ..Mistake::new(
                "greedy",
                "dom0_mem=65536M: the firmware left 960 MiB, and Xen and its modules need some of them; write dom0_mem=768M",
            )
        },
    ];
    let mut settings = String::from("timeout = 0\ndefault = \"kernel-is-text\"\n");
    let names = mistakes.iter().map(|mistake| mistake.name).chain(["good"]).skip(1);
    for (mistake, fallback) in mistakes.iter().zip(names) {
        settings += &mistake.entry(fallback);
    }
    settings += GOOD;
    let bundle = bundle(&settings, &files)?;
    let mut board = Board::start(&emulator(&cache)?, Some(&bundle), |_| Ok(()))?;
    for Mistake { name, line, .. } in &mistakes {
        let said = board.line(&format!("{name} was not booted: "))?;
        ensure!(said.starts_with(line.as_str()), "{name}: {said:?}, expected {line:?}");
    }
    let report = board.report()?;
    report.has_module(&good_kernel)?;
    report.has_module(&ramdisk)?;
    // What the failed attempts took is free again: the modules are packed as low as in a first attempt.
    report.says("fake-xen: module /chosen/")
}

/// Starts the loader with `initramfs`, and gives its complaint.
fn complaint(initramfs: &[u8]) -> Result<(Board, String)> {
    let mut board = Board::start(&emulator(&cache()?)?, Some(initramfs), |_| Ok(()))?;
    let said = board.line("No settings: ")?;
    Ok((board, said))
}

#[test]
fn a_mistake_in_the_settings_is_told_with_line_column_and_the_nearest_key() -> Result<()> {
    let with_args = |args: &str| GOOD.replace("dom0_mem=256M", args);
    for (text, line) in [
        (
            GOOD.replace("args = \"dom0", "agrs = \"dom0"),
            "line 7, column 1: unknown key \"agrs\" in [entry.xen]; nearest known key: args",
        ),
        (GOOD.replace("[[entry]]", "[[entry]"), "line 2, column "),
        // Cut in the middle of a string, as by a card that was pulled out.
        (GOOD.split("el\"").next().unwrap_or_default().to_owned(), "line 9, column "),
        (GOOD.replace("\"xen\"", "4"), "line 6, column 9: image: expected "),
        (
            with_args(&"x".repeat(1100)),
            "line 7, column 8: args: expected a command line of at most 1023 bytes (Xen cuts the rest), not 1100; found ",
        ),
        (with_args("dom0_mem=lots"), "line 7, column 8: args: expected "),
    ] {
        let (_board, said) = complaint(text.as_bytes())?;
        ensure!(said.starts_with(&format!("loader.toml (initramfs): {line}")), "{said:?}, expected {line:?}");
    }
    Ok(())
}

#[test]
fn settings_of_100_megabytes_are_refused_by_their_size() -> Result<()> {
    let text = b"# no settings have so many comments\n".repeat(100_000_000 / 36);
    let (_board, said) = complaint(&text)?;
    let expected =
        "loader.toml (initramfs): the file has 99999972 bytes, settings have at most 131072; is it really loader.toml?";
    ensure!(said == expected, "{said}");
    Ok(())
}

#[test]
fn what_is_no_settings_is_named_and_the_next_source_is_asked() -> Result<()> {
    let mut board = Board::start(&emulator(&cache()?)?, Some(b"\x1f\x8b\x08\0not really"), |_| Ok(()))?;
    board.says("The firmware's initramfs is a gzip file, not settings.")?;
    let said = board.line("No settings: ")?;
    // QEMU's own board has no Ethernet.
    ensure!(
        said.contains("no network: the firmware's device tree has no enabled brcm,bcm2711-genet-v5 node"),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_damaged_bundle_is_told_and_nothing_of_it_is_booted() -> Result<()> {
    let good = bundle(
        &format!("timeout = 0\n{GOOD}"),
        &[("xen", fake_xen()?), ("kernel", &kernel(0x8000)?), ("ramdisk", b"ramdisk")],
    )?;
    let at = good.len() - good.len() / 4;
    let mut flipped = good.clone();
    *flipped.get_mut(at).context("a short bundle")? ^= 1;
    let mut board = Board::start(&emulator(&cache()?)?, Some(&flipped), |_| Ok(()))?;
    let said = board.line("good was not booted: ")?;
    ensure!(said.contains("SHA-256") && said.contains("manifest"), "{said}");

    let (_board, said) = complaint(good.get(..at).context("a short bundle")?)?;
    ensure!(said.starts_with("the bundle in the firmware's initramfs: "), "{said}");
    Ok(())
}

#[test]
fn after_a_failure_a_key_starts_over_and_r_resets() -> Result<()> {
    let (mut board, _) = complaint(b"timeuot = 3\n")?;
    for pause in [5, 10] {
        let said = board.says("R: reset.")?;
        ensure!(said.contains(&format!("Starting over in {pause} s. Any key: now.")), "{said}");
        board.press(" ")?;
        board.says("unknown key \"timeuot\"")?;
    }
    board.says("Starting over in 20 s.")?;
    board.press("r")?;
    board.says("Resetting.")?;
    // The emulator ends where a board would reset.
    board.machine.wait_for_end(xenlift_e2e::boot::LIMIT)?;
    Ok(())
}

#[test]
fn without_a_key_it_starts_over_by_itself() -> Result<()> {
    let (mut board, first) = complaint(b"timeuot = 3\n")?;
    board.says("Starting over in 5 s.")?;
    let second = board.line("No settings: ")?;
    ensure!(first == second, "{first:?}, then {second:?}");
    board.says("Starting over in 10 s.")?;
    Ok(())
}

#[test]
fn settings_without_an_entry_are_told() -> Result<()> {
    let mut board = Board::start(&emulator(&cache()?)?, Some(b"timeout = 3\n"), |_| Ok(()))?;
    board.says("The settings have no [[entry]]: nothing to boot.")?;
    board.says("Starting over in 5 s.")?;
    Ok(())
}
