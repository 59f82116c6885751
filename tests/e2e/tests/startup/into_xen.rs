//! From a hostile start to the last instruction: a payload in Xen's place (`tests/fake-xen`) says how it was entered and what it was
//! given.

use std::fs;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use xenlift_e2e::Uart;
use xenlift_e2e::boot::{fake_xen, kernel, pattern};

use crate::board::{Board, TREE, real_tree};
use crate::{BANKS, unharmed};

const SETTINGS: &str = r#"
default = "xen"
timeout = 0

[[entry]]
name = "xen"
device-tree = "firmware"

[entry.xen]
image = "fake-xen"
args = "console=dtuart dtuart=UART dom0_mem=256M"

[entry.dom0]
kernel = "kernel"
ramdisk = "ramdisk"
args = "console=hvc0 root=/dev/ram0 a=\"b c\""
"#;

/// The value of `name=` in what was said.
fn value<'a>(said: &'a str, name: &str) -> Result<&'a str> {
    let at = said.find(&format!("{name}=")).with_context(|| format!("no {name}= in {said}"))?;
    let rest = said.get(at + name.len() + 1..).unwrap_or_default();
    rest.split_whitespace().next().with_context(|| format!("{name}= is empty"))
}

fn number(text: &str) -> Result<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).with_context(|| format!("{text} is no number"))
}

/// A module's line: its address, its size and its digest.
fn module(said: &str, bytes: &[u8]) -> Result<u64> {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let end = format!("size {:#x} sha256 {digest}", bytes.len());
    let line = said.lines().find(|line| line.contains("fake-xen: module") && line.contains(&end));
    let line = line.with_context(|| format!("no module of {end} in {said}"))?;
    let address = line.split(" at ").nth(1).and_then(|rest| rest.split_whitespace().next());
    number(address.context("a module without an address")?)
}

#[test]
fn xen_is_entered_as_the_protocol_says_with_every_byte_of_its_modules() -> Result<()> {
    let (kernel, ramdisk, xen) = (kernel(0x32_1001)?, pattern(0x4_5677), fake_xen()?);
    for (uart, path, load_at) in
        [(Uart::Mini, "/soc/serial@7e215040", 0x20_0000), (Uart::Pl011, "/soc/serial@7e201000", 0x8_0000)]
    {
        let directory = tempfile::tempdir().context("no temporary directory")?;
        let settings = SETTINGS.replace("UART", path);
        let files: [(&str, &[u8]); 4] =
            [("loader.toml", settings.as_bytes()), ("fake-xen", xen), ("kernel", &kernel), ("ramdisk", &ramdisk)];
        for (name, bytes) in files {
            fs::write(directory.path().join(name), bytes).with_context(|| format!("cannot write {name}"))?;
        }
        let bundle = xtask::bundle::of_directory(directory.path())?;
        let size = bundle.len() as u64;
        let initrd = ((TREE - size) / 4096 * 4096, size);
        let board = Board {
            load_at,
            uart,
            tree: Some(real_tree(BANKS, initrd, "coherent_pool=1M 8250.nr_uarts=1")?),
            initrd: Some(bundle),
            ..Board::default()
        };
        let mut loaded = board.start()?;
        loaded.wait_for("fake-xen: entered at ")?;
        let said = loaded.wait_for("fake-xen: end")?;
        let other = if uart == Uart::Mini { Uart::Pl011 } else { Uart::Mini };
        // Each byte goes to one UART after the other, so the board may not be stopped before both have all.
        loaded.wait_for_on(other, "fake-xen: end").context("the other UART is silent")?;
        loaded.stop()?;

        let entered = number(said.split_whitespace().next().context("nothing said")?)?;
        ensure!(entered % 0x20_0000 == 0, "entered at {entered:#x}");
        ensure!(said.contains(" at EL2"), "not at EL2: {said}");
        let tree = number(value(&said, "x0")?)?;
        ensure!(tree % 8 == 0, "the tree is at {tree:#x}");
        for register in ["x1", "x2", "x3"] {
            ensure!(number(value(&said, register)?)? == 0, "{register} is not zero: {said}");
        }
        ensure!(number(value(&said, "SCTLR_EL2")?)? == 0x30c5_0830, "SCTLR_EL2: {said}");
        ensure!(number(value(&said, "DAIF")?)? == 0x3c0, "DAIF: {said}");
        ensure!(value(&said, "SPSel")? == "1" && value(&said, "SError")? == "0", "{said}");

        // The modules: their bytes, and that none lies in what Xen's image takes.
        let image_size = xen.get(16..24).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let image_end = entered + image_size.context("no header")?;
        let places =
            [(module(&said, &kernel)?, kernel.len()), (module(&said, &ramdisk)?, ramdisk.len()), (tree, 0x1_0000)];
        for (address, size) in places {
            ensure!(address >= image_end || address + size as u64 <= entered, "{address:#x} lies in Xen's memory");
        }
        ensure!(said.contains("/chosen:xen,xen-bootargs = \"console=dtuart"), "{said}");
        ensure!(said.contains("/chosen:xen,dom0-bootargs = \"console=hvc0 root=/dev/ram0 a=\"b c\"\""), "{said}");
        ensure!(!said.contains("linux,initrd-"), "a stale initrd: {said}");

        // The stub's page is what the other cores wait in.
        loaded.placed.retain(|(what, ..)| *what == "page 0");
        ensure!(!loaded.placed.is_empty(), "no page 0 to look at");
        unharmed(&mut loaded)?;
    }
    Ok(())
}
