//! The Debian packages whose contents are used without installing them: what the loader boots, and programs for tests.
//!
//! They are downloaded by [`Apt`], unpacked into the [`Cache`], and found there by the functions below.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::apt::debian::debian_archive;
use crate::apt::machine::{Distribution, architecture, base_source, own_sources};
use crate::apt::{Apt, Installed, unpack};
use crate::cache::{Cache, Entry};

/// Bump when what is kept of a package changes, so that older caches are not taken for it.
const LAYOUT: &str = "1";

/// A Debian release whose packages are used on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 12: Xen 4.17, Linux 6.1.
    Bookworm,
    /// Debian 13: Xen 4.20, Linux 6.12.
    Trixie,
}

impl Release {
    /// As in the archive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    fn xen_package(self) -> &'static str {
        match self {
            Self::Bookworm => "xen-hypervisor-4.17-arm64",
            Self::Trixie => "xen-hypervisor-4.20-arm64",
        }
    }
}

/// Xen: an arm64 Image, not compressed.
pub fn xen(cache: &Cache, release: Release) -> Result<PathBuf> {
    let root = board_package(cache, release, release.xen_package(), |path| path.starts_with("boot"))?;
    find_one(&root.join("boot"), "xen-", "-arm64")
}

/// A Linux kernel with the board's device trees and network modules.
#[derive(Clone, Debug)]
pub struct Linux {
    /// An arm64 Image, not compressed.
    pub image: PathBuf,
    /// The directory of `bcm2711-rpi-4-b.dtb` and its like.
    pub device_trees: PathBuf,
    /// `lib/modules/VERSION`, with `kernel/drivers/net` only.
    pub modules: PathBuf,
}

/// Debian's kernel: what the metapackage linux-image-arm64 depends on.
pub fn linux(cache: &Cache, release: Release) -> Result<Linux> {
    let root = board_package(cache, release, "linux-image-arm64", kept_of_linux)?;
    let trees = find_one(&root.join("usr/lib"), "linux-image-", "-arm64")?.join("broadcom");
    let modules = ["usr/lib/modules", "lib/modules"].map(|path| root.join(path)).into_iter().find(|path| path.is_dir());
    Ok(Linux {
        image: find_one(&root.join("boot"), "vmlinuz-", "-arm64")?,
        device_trees: trees,
        modules: find_one(&modules.context("the kernel package has no lib/modules")?, "", "-arm64")?,
    })
}

/// Hundreds of megabytes of modules are of no use on the board's ramdisk.
fn kept_of_linux(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let broadcom_tree = text.starts_with("usr/lib/linux-image-") && text.contains("/broadcom/");
    let modules = text.trim_start_matches("usr/").starts_with("lib/modules/");
    path.starts_with("boot")
        || broadcom_tree
        || (modules && (!text.contains("/kernel/") || text.contains("/kernel/drivers/net/")))
}

/// A static arm64 BusyBox.
pub fn busybox(cache: &Cache) -> Result<PathBuf> {
    let root = board_package(cache, Release::Bookworm, "busybox-static", |path| path.ends_with("bin/busybox"))?;
    let candidates = ["bin/busybox", "usr/bin/busybox"].map(|path| root.join(path));
    candidates.into_iter().find(|path| path.is_file()).context("busybox-static has no busybox")
}

/// Debian's U-Boot for the Raspberry Pi 4: `u-boot.bin`, the peer in measurements and the emulator's witness in tests.
pub fn u_boot(cache: &Cache) -> Result<PathBuf> {
    let root = board_package(cache, Release::Bookworm, "u-boot-rpi", |path| path.starts_with("usr/lib/u-boot/rpi_4"))?;
    find_one(&root.join("usr/lib/u-boot/rpi_4"), "u-boot", ".bin")
}

/// Unpacks one package for the board (of a metapackage named linux-image-*, the real kernel).
fn board_package(cache: &Cache, release: Release, package: &str, wanted: fn(&Path) -> bool) -> Result<PathBuf> {
    let describes = format!("Debian {}'s {package} for arm64", release.name());
    let name = format!("{package}-{}", release.name());
    let entry = Entry::new("packages", &name, &describes).input(LAYOUT).needs_network();
    cache.entry(&entry, |staging| {
        let source = debian_archive(cache)?.for_suite(release.name(), "arm64");
        let state = format!("{}-arm64", release.name());
        let apt = Apt::open(cache, &state, &[source], "arm64", Installed::Nothing)?;
        let mut packages = vec![package.to_owned()];
        if package.starts_with("linux-image-") {
            let kernels = apt.depends(package)?.into_iter().filter(|name| name.starts_with("linux-image-"));
            packages = kernels.take(1).collect();
        }
        for file in apt.download(&packages)? {
            unpack(&file, staging, wanted)?;
        }
        Ok(())
    })
}

/// A program of this machine's distribution, unpacked with the libraries that the machine lacks. Servers among them would be started if
/// they were installed, and some conflict with each other.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// The directories for `LD_LIBRARY_PATH`; empty where none is needed.
    pub libraries: Vec<PathBuf>,
}

impl Program {
    /// A command that finds the unpacked libraries.
    pub fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.path);
        if let Ok(joined) = std::env::join_paths(&self.libraries)
            && !joined.is_empty()
        {
            command.env("LD_LIBRARY_PATH", joined);
        }
        command
    }
}

/// A TFTP server that the loader is tested against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The one most tutorials name; no RFC 7440 windows.
    TftpdHpa,
    /// RFC 7440 windows.
    Atftpd,
    /// DHCP and TFTP.
    Dnsmasq,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::TftpdHpa, Self::Atftpd, Self::Dnsmasq];

    fn package_and_program(self) -> (&'static str, &'static str) {
        match self {
            Self::TftpdHpa => ("tftpd-hpa", "in.tftpd"),
            Self::Atftpd => ("atftpd", "atftpd"),
            Self::Dnsmasq => ("dnsmasq-base", "dnsmasq"),
        }
    }
}

/// A server, unpacked.
pub fn server(cache: &Cache, server: Server) -> Result<Program> {
    let (package, program) = server.package_and_program();
    host_program(cache, &[package], program, None)
}

/// Unpacks `packages` with what the machine lacks of their dependencies, and finds `program` in them. `suite` is one beyond the machine's
/// own sources, such as its backports.
pub fn host_program(cache: &Cache, packages: &[&str], program: &str, suite: Option<&str>) -> Result<Program> {
    let describes =
        format!("{}{}", packages.join(", "), suite.map(|suite| format!(" from {suite}")).unwrap_or_default());
    let entry = Entry::new("programs", program, &describes)
        .input(LAYOUT)
        .input(packages.join(" "))
        .input(suite.unwrap_or_default());
    let root = cache.entry(&entry.needs_network(), |staging| {
        let files = host_apt(cache, suite)?.download_with_dependencies(packages, suite)?;
        files.iter().try_for_each(|file| unpack(file, staging, not_documentation))
    })?;
    let directories = ["usr/sbin", "usr/bin", "sbin", "bin"];
    let path = directories.iter().map(|directory| root.join(directory).join(program)).find(|path| path.is_file());
    let path = path.with_context(|| format!("{} have no program {program}", packages.join(", ")))?;
    Ok(Program { path, libraries: library_directories(&root)? })
}

fn not_documentation(path: &Path) -> bool {
    !path.starts_with("usr/share/doc") && !path.starts_with("usr/share/man") && !path.starts_with("usr/share/locale")
}

/// apt for packages of this machine's own distribution and architecture; `suite` is one beyond its own sources.
pub fn host_apt(cache: &Cache, suite: Option<&str>) -> Result<Apt> {
    let distribution = Distribution::of_this_machine()?;
    let architecture = architecture()?;
    let mut sources = own_sources(&distribution)?;
    if let Some(suite) = suite {
        sources.push(base_source(&sources, &distribution)?.for_suite(suite, &architecture));
    }
    let state = format!("host{}", suite.map(|suite| format!("-{suite}")).unwrap_or_default());
    Apt::open(cache, &state, &sources, &architecture, Installed::AsOnThisMachine)
}

/// Every directory of the tree that holds shared libraries where the loader of the machine would look: `lib` and `lib/TRIPLET`.
pub fn library_directories(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for base in ["usr/lib", "lib"].map(|path| root.join(path)).into_iter().filter(|path| path.is_dir()) {
        for entry in fs::read_dir(&base).with_context(|| format!("cannot list {}", base.display()))? {
            let path = entry?.path();
            if path.is_dir() && path.to_string_lossy().ends_with("-linux-gnu") {
                found.push(path);
            }
        }
        found.push(base);
    }
    Ok(found)
}

/// The one entry of `directory` whose name starts and ends like this; of several, the last by name.
pub fn find_one(directory: &Path, prefix: &str, suffix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let found = names.iter().rev().find(|name| name.starts_with(prefix) && name.ends_with(suffix));
    let found = found
        .with_context(|| format!("no {prefix}*{suffix} in {} (there is: {})", directory.display(), names.join(" ")))?;
    Ok(directory.join(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_kernel_package_the_image_trees_and_network_modules_are_kept() {
        for kept in [
            "boot/vmlinuz-6.1.0-41-arm64",
            "usr/lib/linux-image-6.1.0-41-arm64/broadcom/bcm2711-rpi-4-b.dtb",
            "lib/modules/6.1.0-41-arm64/modules.order",
            "lib/modules/6.1.0-41-arm64/kernel/drivers/net/phy/broadcom.ko",
            "usr/lib/modules/6.12.0-arm64/kernel/drivers/net/phy/broadcom.ko.xz",
        ] {
            assert!(kept_of_linux(Path::new(kept)), "{kept}");
        }
        for dropped in ["lib/modules/6.1.0-41-arm64/kernel/sound/core/snd.ko", "usr/share/doc/linux-image/copyright"] {
            assert!(!kept_of_linux(Path::new(dropped)), "{dropped}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_reported_with_what_is() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("xen-4.17-arm64.gz"), "").unwrap();
        let error = find_one(directory.path(), "xen-", "-arm64").unwrap_err().to_string();
        assert!(error.contains("(there is: xen-4.17-arm64.gz)"), "{error}");
    }
}
