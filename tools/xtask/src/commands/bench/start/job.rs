//! The job that both loaders are given: the files, and what each is told to do with them.
//!
//! Ours is told in settings. U-Boot is told what a user writes by hand for it: a script on the card that gets an address and fetches
//! another one, which fetches the files and writes `/chosen` with addresses and sizes worked out beforehand, in the form of
//! ImageBuilder's scripts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::packages::{self, Release};
use crate::process::{capture, find_program};
use crate::ramdisk::ramdisk;
use crate::tutorial;

/// Our settings, which DHCP names as the boot file.
pub const SETTINGS: &str = "loader.toml";
/// U-Boot's script on the server.
const SECOND_SCRIPT: &str = "boot2.scr";
const XEN: &str = "xen";
const KERNEL: &str = "Image-dom0";
const RAMDISK: &str = "rootfs.cpio";
/// The tree of the board that the emulator is.
pub const TREE: &str = "bcm2711-rpi-4-b.dtb";

const XEN_ARGUMENTS: &str =
    "console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=512M dom0_max_vcpus=1 bootscrub=0 vwfi=native";
// The blacklist names drivers of devices that the emulator lacks.
const DOM0_ARGUMENTS: &str = "console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0 \
    initcall_blacklist=brcmstb_l2_driver_init,brcm_pcie_driver_init,brcmstb_i2c_driver_init";

/// Where U-Boot puts its script, and the first file behind it.
const SCRIPT_ADDRESS: u64 = 0xc0_0000;
const FIRST_FILE: u64 = 0xe0_0000;
/// What Xen wants of its own address; the other files get the same, as users do it.
const ALIGNMENT: u64 = 2 << 20;

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
    let files = Files {
        xen: memory_of_image(&directory.join(XEN))?,
        kernel: memory_of_image(&directory.join(KERNEL))?,
        kernel_file: length(&directory.join(KERNEL))?,
        ramdisk: length(&directory.join(RAMDISK))?,
    };
    let (first_text, second_text) = match scripts {
        Scripts::Own => (first_script(), second_script(files)),
        Scripts::Tutorial => (tutorial::first()?, tutorial::second(files.kernel_file, files.ramdisk)?),
    };
    make_script(&second_text, &directory.join(SECOND_SCRIPT))?;
    let first = directory.join("boot.scr");
    make_script(&first_text, &first)?;
    let script = fs::read(&first).with_context(|| format!("cannot read {}", first.display()))?;
    Ok(script)
}

/// Sizes in bytes.
#[derive(Clone, Copy)]
struct Files {
    /// What Xen takes in memory.
    xen: u64,
    /// What the kernel takes in memory.
    kernel: u64,
    /// What Xen is told that the kernel has.
    kernel_file: u64,
    ramdisk: u64,
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

fn second_script(files: Files) -> String {
    let behind = |address: u64, size: u64| (address + size).next_multiple_of(ALIGNMENT);
    let xen = FIRST_FILE;
    let kernel = behind(xen, files.xen);
    let ramdisk = behind(kernel, files.kernel.max(files.kernel_file));
    let tree = behind(ramdisk, files.ramdisk);
    let (kernel_size, ramdisk_size) = (files.kernel_file, files.ramdisk);
    format!(
        r#"tftpboot {kernel:#x} {KERNEL}
tftpboot {ramdisk:#x} {RAMDISK}
tftpboot {xen:#x} {XEN}
tftpboot {tree:#x} {TREE}
fdt addr {tree:#x}
fdt resize 1024
fdt set /chosen \#address-cells <0x2>
fdt set /chosen \#size-cells <0x2>
fdt set /chosen xen,xen-bootargs "{XEN_ARGUMENTS}"
fdt mknod /chosen dom0
fdt set /chosen/dom0 compatible "xen,linux-zimage" "xen,multiboot-module" "multiboot,module"
fdt set /chosen/dom0 reg <0x0 {kernel:#x} 0x0 {kernel_size:#x} >
fdt set /chosen xen,dom0-bootargs "{DOM0_ARGUMENTS}"
fdt mknod /chosen dom0-ramdisk
fdt set /chosen/dom0-ramdisk compatible "xen,linux-initrd" "xen,multiboot-module" "multiboot,module"
fdt set /chosen/dom0-ramdisk reg <0x0 {ramdisk:#x} 0x0 {ramdisk_size:#x} >
setenv fdt_high 0xffffffffffffffff
booti {xen:#x} - {tree:#x}
"#
    )
}

/// Wraps `script` as U-Boot's `source` takes it.
fn make_script(script: &str, target: &Path) -> Result<()> {
    let mkimage = find_program("mkimage").context("mkimage is missing: install u-boot-tools")?;
    let source = target.with_extension("source");
    fs::write(&source, script).with_context(|| format!("cannot write {}", source.display()))?;
    let mut command = std::process::Command::new(mkimage);
    command.args(["-A", "arm64", "-T", "script", "-C", "none", "-d"]).arg(&source).arg(target);
    capture(&mut command).map(|_| ())
}

fn length(path: &Path) -> Result<u64> {
    Ok(path.metadata().with_context(|| format!("cannot find {}", path.display()))?.len())
}

/// The `image_size` of an arm64 Image (Linux, Documentation/arch/arm64/booting.rst): with its .bss, which is not in the file.
fn memory_of_image(path: &Path) -> Result<u64> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = bytes.get(16..24).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    size.with_context(|| format!("{} is no arm64 Image", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_told_the_same() {
        let settings = xenlift::config::settings::parse(settings().as_bytes()).unwrap();
        let xenlift::config::Payload::Xen(xen) = &settings.default_entry().unwrap().payload else { panic!("not Xen") };
        let script = second_script(Files { xen: 1, kernel: 1, kernel_file: 1, ramdisk: 1 });
        assert!(script.contains(&format!("xen,xen-bootargs \"{}\"", xen.args)));
        assert!(script.contains(&format!("xen,dom0-bootargs \"{}\"", xen.dom0.as_ref().unwrap().args)));
    }

    #[test]
    fn files_lie_behind_what_the_ones_before_take_in_memory() {
        let files = Files { xen: 0x20_0001, kernel: 0x40_0000, kernel_file: 0x30_0000, ramdisk: 0x123 };
        let script = second_script(files);
        for line in [
            "tftpboot 0xe00000 xen",
            "tftpboot 0x1200000 Image-dom0",
            "tftpboot 0x1600000 rootfs.cpio",
            "fdt addr 0x1800000",
            "fdt set /chosen/dom0 reg <0x0 0x1200000 0x0 0x300000 >",
            "fdt set /chosen/dom0-ramdisk reg <0x0 0x1600000 0x0 0x123 >",
            "booti 0xe00000 - 0x1800000",
        ] {
            assert!(script.lines().any(|there| there == line), "{line} in:\n{script}");
        }
    }
}
