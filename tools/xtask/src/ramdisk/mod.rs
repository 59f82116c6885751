//! The ramdisk of the demonstration's Dom0: BusyBox, an init that says what it sees, and the modules of the board's Ethernet.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cache::{Cache, Entry, file_sha256};
use crate::cpio::{Kind, Writer};
use crate::kernel_modules::Modules;
use crate::packages::{self, Release};

/// What init prints once user space is up and all that its command line asked for is done.
pub const READY: &str = "XENLIFT-DOM0-READY";

const INIT: &str = include_str!("init.sh");
const DHCP_EVENT: &str = include_str!("dhcp-event.sh");

/// The controller, its MDIO bus, and the driver of the PHY on the board.
const MODULES: [&str; 3] = ["genet", "mdio-bcm-unimac", "broadcom"];

/// The ramdisk for `release`'s kernel: a cpio archive, not compressed.
pub fn ramdisk(cache: &Cache, release: Release) -> Result<PathBuf> {
    let busybox = packages::busybox(cache)?;
    let linux = packages::linux(cache, release)?;
    let kernel = file_sha256(&linux.image)?;
    let describes = format!("a ramdisk for Debian {}'s kernel", release.name());
    let entry =
        Entry::new("ramdisks", release.name(), &describes).input(INIT).input(DHCP_EVENT).input(file_sha256(&busybox)?);
    let place = cache.entry(&entry.input(kernel).input(MODULES.join(" ")), |staging| {
        let modules = Modules::below(&linux.modules)?.in_order(&MODULES)?;
        let out = File::create(staging.join("rootfs.cpio")).context("cannot create the ramdisk")?;
        let mut archive = Writer::new(BufWriter::new(out));
        for directory in ["bin", "dev", "modules"] {
            archive.add(directory, Kind::Directory(0o755), &[])?;
        }
        // Linux opens it for init before anything is mounted.
        archive.add("dev/console", Kind::CharacterDevice(0o600, 5, 1), &[])?;
        archive.add("init", Kind::File(0o755), INIT.as_bytes())?;
        archive.add("bin/dhcp-event", Kind::File(0o755), DHCP_EVENT.as_bytes())?;
        let program = fs::read(&busybox).with_context(|| format!("cannot read {}", busybox.display()))?;
        archive.add("bin/busybox", Kind::File(0o755), &program)?;
        let mut order = String::new();
        for module in &modules {
            let name = format!("{}.ko", module.name);
            archive.add(&format!("modules/{name}"), Kind::File(0o644), &module.bytes)?;
            order.push_str(&name);
            order.push('\n');
        }
        archive.add("modules/order", Kind::File(0o644), order.as_bytes())?;
        archive.finish()?;
        Ok(())
    })?;
    Ok(place.join("rootfs.cpio"))
}
