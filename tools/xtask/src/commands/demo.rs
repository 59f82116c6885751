//! `cargo xtask demo`: the main job. Debian's Xen, kernel and a ramdisk, booted by the loader to a Dom0 shell on the emulated board.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bundle;
use crate::cache::Cache;
use crate::emulator::{Emulator, Machine, Uart};
use crate::loader::{self, workspace};
use crate::packages::{self, Release};
use crate::process::{announce, run_interactively, shown};
use crate::ramdisk::{READY, ramdisk};
use crate::toolchain::Toolchain;

/// The settings of the demonstration, as a user would write them.
const SETTINGS: &str = include_str!("demo.toml");

/// The tree of the board that the emulator is.
pub const TREE: &str = "bcm2711-rpi-4-b.dtb";

/// How long Dom0 may take to come up. It takes about 8 s on two idle cores.
const BOOT: Duration = Duration::from_secs(180);

/// Boots and leaves the user at Dom0's shell; with `check` ends at Dom0's marker, and fails without it.
pub fn run(cache: &Cache, check: bool) -> Result<()> {
    let emulator = Emulator::find(cache)?;
    let loader = loader::build(&Toolchain::find(cache)?)?;
    loader::announce_product(&loader);
    let directory = workspace().join("target/demo");
    prepare(cache, Release::Bookworm, &directory)?;
    let bundle = workspace().join("target/demo.cpio");
    fs::write(&bundle, bundle::of_directory(&directory)?)
        .with_context(|| format!("cannot write {}", bundle.display()))?;

    let mut command = emulator.board();
    command.arg("-kernel").arg(&loader.bin).arg("-initrd").arg(&bundle).arg("-dtb").arg(directory.join(TREE));
    if !check {
        command.args(["-serial", "null", "-serial", "mon:stdio"]);
        announce(&format!("{} (end with Ctrl-A X)", shown(&command)));
        return run_interactively(&mut command);
    }
    let mut board = Machine::start(command)?;
    board.wait_for(Uart::Mini, READY, BOOT)?;
    println!("{}", board.transcript(Uart::Mini));
    announce(&format!("Dom0 is ready after {:.1} s", board.elapsed().as_secs_f32()));
    Ok(())
}

/// Fills `directory` with the settings and the files they name, and the board's tree.
pub fn prepare(cache: &Cache, release: Release, directory: &Path) -> Result<()> {
    let linux = packages::linux(cache, release)?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let settings = directory.join("loader.toml");
    fs::write(&settings, SETTINGS).with_context(|| format!("cannot write {}", settings.display()))?;
    for (from, name) in [
        (packages::xen(cache, release)?, "xen"),
        (linux.image, "Image-dom0"),
        (ramdisk(cache, release)?, "rootfs.cpio"),
        (linux.device_trees.join(TREE), TREE),
    ] {
        copy(&from, &directory.join(name))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_what_the_loader_takes() {
        let settings = xenlift::config::settings::parse(SETTINGS.as_bytes()).unwrap();
        assert_eq!(settings.default_entry().unwrap().name, "xen");
    }
}
