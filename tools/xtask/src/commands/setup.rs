//! `cargo xtask setup`: everything the other commands need, ahead of time, such as before going offline.

use anyhow::Result;

use crate::cache::Cache;
use crate::emulator::Emulator;
use crate::packages::{self, Release, Server};
use crate::ramdisk;
use crate::toolchain::Toolchain;

/// Fetches and builds what is not there, then prints a line for each part: its name and its path.
pub fn run(cache: &Cache) -> Result<()> {
    println!("toolchain: {:?}", Toolchain::find(cache)?);
    println!("emulator: {}", Emulator::find(cache)?.path().display());
    for release in [Release::Bookworm, Release::Trixie] {
        let name = release.name();
        let linux = packages::linux(cache, release)?;
        println!("xen ({name}): {}", packages::xen(cache, release)?.display());
        println!("linux ({name}): {}", linux.image.display());
        println!("device trees ({name}): {}", linux.device_trees.display());
        println!("ramdisk ({name}): {}", ramdisk::ramdisk(cache, release)?.display());
        println!("network modules ({name}): {}", linux.modules.display());
    }
    println!("busybox: {}", packages::busybox(cache)?.display());
    println!("u-boot: {}", packages::u_boot(cache)?.display());
    for server in Server::ALL {
        let program = packages::server(cache, server)?;
        println!("{server:?}: {}", program.path.display());
    }
    Ok(())
}
