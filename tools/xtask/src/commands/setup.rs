//! `cargo xtask setup`: everything the other commands need, ahead of time, such as before going offline.

use std::path::PathBuf;

use anyhow::Result;

use crate::apt::install::ensure_installed;
use crate::busybox_build;
use crate::cache::Cache;
use crate::emulator::Emulator;
use crate::packages::{self, Release, Server};
use crate::ramdisk::ramdisk;
use crate::tmux;
use crate::toolchain::Toolchain;

/// What tests call that a machine with Rust may lack.
const PACKAGES: [&str; 5] = ["cpio", "device-tree-compiler", tmux::PACKAGE, "u-boot-tools", "xz-utils"];

/// Everything the other commands need.
pub struct Needed {
    /// Compiles for the board.
    pub toolchain: Toolchain,
    /// Each part's name and where it lies.
    pub parts: Vec<(String, PathBuf)>,
}

/// Fetches, installs and builds what is not there.
pub fn everything(cache: &Cache) -> Result<Needed> {
    ensure_installed(cache, &PACKAGES, "the tests")?;
    let toolchain = Toolchain::find(cache)?;
    let mut parts = vec![("emulator".to_owned(), Emulator::find(cache)?.path().to_owned())];
    parts.push(("emulator with Ethernet".to_owned(), Emulator::with_ethernet(cache)?.path().to_owned()));
    for release in [Release::Bookworm, Release::Trixie] {
        let linux = packages::linux(cache, release)?;
        for (name, path) in [
            ("xen", packages::xen(cache, release)?),
            ("linux", linux.image),
            ("device trees", linux.device_trees),
            ("network modules", linux.modules),
            ("ramdisk", ramdisk(cache, release)?),
        ] {
            parts.push((format!("{name} ({})", release.name()), path));
        }
    }
    parts.push(("busybox".to_owned(), packages::busybox(cache)?));
    parts.push(("busybox's TFTP server".to_owned(), busybox_build::busybox(cache)?));
    parts.push(("u-boot".to_owned(), packages::u_boot(cache)?));
    for server in Server::ALL {
        parts.push((format!("{server:?}"), packages::server(cache, server)?.path));
    }
    Ok(Needed { toolchain, parts })
}

/// Does all that, then prints a line for each part.
pub fn run(cache: &Cache) -> Result<()> {
    let needed = everything(cache)?;
    println!("toolchain: {:?}", needed.toolchain);
    for (name, path) in needed.parts {
        println!("{name}: {}", path.display());
    }
    Ok(())
}
