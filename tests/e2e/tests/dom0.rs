//! The main job, on real parts: a bundle with Debian's Xen and kernel, booted to Dom0's user space.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xenlift_e2e::{Machine, Release, Uart, cache, emulator, loader};
use xtask::bundle;
use xtask::commands::demo::{TREE, prepare};
use xtask::ramdisk::READY;

/// About 8 s on two idle cores; tests share theirs.
const BOOT: Duration = Duration::from_secs(240);

/// Boots what is in `directory` and returns everything said on `uart` up to Dom0's marker.
fn boot(directory: &Path, uart: Uart) -> Result<String> {
    let cache = cache()?;
    let file = directory.with_extension("cpio");
    fs::write(&file, bundle::of_directory(directory)?).context("cannot write the bundle")?;
    let mut command = emulator(&cache)?.board();
    command.arg("-kernel").arg(loader(&cache)?.bin).arg("-initrd").arg(&file).arg("-dtb").arg(directory.join(TREE));
    Machine::start(command)?.wait_for(uart, READY, BOOT)
}

fn to_dom0(release: Release, xen: &str, linux: &str) -> Result<()> {
    let outer = tempfile::tempdir().context("no temporary directory")?;
    let directory = outer.path().join("files");
    prepare(&cache()?, release, &directory)?;
    let said = boot(&directory, Uart::Mini)?;
    for expected in [format!("Xen version {xen}."), format!("kernel: Linux {linux}."), "hypervisor: xen".to_owned()] {
        ensure!(said.contains(&expected), "no `{expected}` in:\n{said}");
    }
    Ok(())
}

#[test]
fn a_bundle_boots_xen_4_17_with_linux_6_1_to_dom0() -> Result<()> {
    to_dom0(Release::Bookworm, "4.17", "6.1")
}

#[test]
fn a_bundle_boots_xen_4_20_with_linux_6_12_to_dom0() -> Result<()> {
    to_dom0(Release::Trixie, "4.20", "6.12")
}

#[test]
fn on_a_board_with_the_pl011_on_its_header_loader_xen_and_dom0_all_speak_there() -> Result<()> {
    let outer = tempfile::tempdir().context("no temporary directory")?;
    let directory = outer.path().join("files");
    prepare(&cache()?, Release::Bookworm, &directory)?;
    // What `dtoverlay=disable-bt` does, as far as a loader can see it.
    let status = Command::new("fdtput")
        .args(["-t", "s"])
        .arg(directory.join(TREE))
        .args(["/chosen", "stdout-path", "/soc/serial@7e201000:115200n8"])
        .status();
    ensure!(status.context("fdtput does not start: install device-tree-compiler")?.success(), "fdtput fails");
    let path = directory.join("loader.toml");
    let settings = fs::read_to_string(&path).context("cannot read the settings")?;
    fs::write(&path, settings.replace("serial@7e215040", "serial@7e201000")).context("cannot write the settings")?;
    // Xen stops with "IRQ 153 is already used" if uart2 to uart5 are left in the tree.
    let said = boot(&directory, Uart::Pl011)?;
    for expected in ["console: PL011, stdout-path", "Xen version 4.17.", "hypervisor: xen"] {
        ensure!(said.contains(expected), "no `{expected}` in:\n{said}");
    }
    Ok(())
}
