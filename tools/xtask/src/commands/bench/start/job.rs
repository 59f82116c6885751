//! The job that both loaders are given: the files, and what each is told to do with them.
//!
//! Ours is told in settings. U-Boot is told what a user writes by hand for it: a script on the card that gets an address and fetches
//! another one, which fetches the files and writes `/chosen` with addresses and sizes worked out beforehand, as ImageBuilder writes it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::image_builder::{Config, Domain, File};
use crate::packages::{self, Release};
use crate::ramdisk::ramdisk;
use crate::tutorial;
use crate::u_boot_tools::make_script;

/// Our settings, which DHCP names as the boot file.
pub const SETTINGS: &str = "loader.toml";
/// U-Boot's script on the server.
const SECOND_SCRIPT: &str = "boot2.scr";
/// The file that is started.
pub const XEN: &str = "xen";
const KERNEL: &str = "Image-dom0";
const RAMDISK: &str = "rootfs.cpio";
/// The tree of the board that the emulator is.
pub const TREE: &str = "bcm2711-rpi-4-b.dtb";

/// What Xen is told.
pub const XEN_ARGUMENTS: &str =
    "console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=512M dom0_max_vcpus=1 bootscrub=0 vwfi=native";
// The blacklist names drivers of devices that the emulator lacks.
const DOM0_ARGUMENTS: &str = "console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0 \
    initcall_blacklist=brcmstb_l2_driver_init,brcm_pcie_driver_init,brcmstb_i2c_driver_init";

/// Where U-Boot puts its script.
const SCRIPT_ADDRESS: u64 = 0xc0_0000;

/// Whose scripts U-Boot runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// What a user writes for these files: DHCP, and addresses that suit them.
    Own,
    /// The tutorials'.
    Tutorial,
}

/// Fills `directory` with all that the server is to have, and gives the script that belongs on U-Boot's card.
pub fn prepare(cache: &Cache, directory: &Path, scripts: Scripts) -> Result<Vec<u8>> {
    let linux = packages::linux(cache, Release::Bookworm)?;
    for (from, name) in [
        (packages::xen(cache, Release::Bookworm)?, XEN),
        (linux.image, KERNEL),
        (ramdisk(cache, Release::Bookworm)?, RAMDISK),
        (linux.device_trees.join(TREE), TREE),
    ] {
        let to = directory.join(name);
        fs::copy(&from, &to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    let path = directory.join(SETTINGS);
    fs::write(&path, settings()).with_context(|| format!("cannot write {}", path.display()))?;
    let read = |name: &str| fs::read(directory.join(name)).with_context(|| format!("cannot read {name}"));
    let file = |name| read(name).map(|bytes| File::new(name, &bytes));
    let (kernel, ramdisk) = (file(KERNEL)?, file(RAMDISK)?);
    let (first, second) = match scripts {
        Scripts::Own => (first_script(), second_script(file(XEN)?, kernel, ramdisk, file(TREE)?)),
        Scripts::Tutorial => (tutorial::first()?, tutorial::second(kernel.size, ramdisk.size)?),
    };
    fs::write(directory.join(SECOND_SCRIPT), make_script(&second)?).context("cannot write U-Boot's script")?;
    make_script(&first)
}

fn settings() -> String {
    format!(
        "timeout = 0\n\n[[entry]]\nname = \"xen\"\ndevice-tree = \"{TREE}\"\n\n[entry.xen]\nimage = \"{XEN}\"\nargs = \"{XEN_ARGUMENTS}\"\n\n\
         [entry.dom0]\nkernel = \"{KERNEL}\"\nramdisk = \"{RAMDISK}\"\nargs = \"{DOM0_ARGUMENTS}\"\n"
    )
}

fn first_script() -> String {
    format!("setenv autoload no\ndhcp\ntftpboot {SCRIPT_ADDRESS:#x} {SECOND_SCRIPT}\nsource {SCRIPT_ADDRESS:#x}\n")
}

fn second_script(xen: File<'_>, kernel: File<'_>, ramdisk: File<'_>, tree: File<'_>) -> String {
    let dom0 = Domain { kernel, ramdisk: Some(ramdisk), command_line: DOM0_ARGUMENTS };
    let xen_command_line = XEN_ARGUMENTS;
    Config { memory_start: 0, load: "tftpboot", xen, xen_command_line, tree, overlays: &[], dom0, guests: &[] }.script()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_told_the_same() {
        let settings = xenlift::config::settings::parse(settings().as_bytes()).unwrap();
        let xenlift::config::Payload::Xen(xen) = &settings.default_entry().unwrap().payload else { panic!("not Xen") };
        let file = File::new("a", b"");
        let script = second_script(file, file, file, file);
        assert!(script.contains(&format!("xen,xen-bootargs \"{}\"", xen.args)));
        assert!(script.contains(&format!("xen,dom0-bootargs \"{}\"", xen.dom0.as_ref().unwrap().args)));
    }
}
