//! A script as ImageBuilder writes it for Dom0 and two domains that Xen starts by itself, to a marker from each.

use std::fs;

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, TREE, device_tree};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::scripts::make;
use xenlift_e2e::{Release, cache, emulator_with_ethernet, packages};
use xtask::ramdisk::{READY, ramdisk};

/// Drivers of devices that the emulated board lacks.
const NOT_THERE: &str = "initcall_blacklist=brcmstb_l2_driver_init,brcm_pcie_driver_init,brcmstb_i2c_driver_init";

/// What ImageBuilder 2023.2 writes for one domU, its kernel and ramdisk at these addresses.
fn domain(number: u32, kernel: (u64, usize), ramdisk: (u64, usize)) -> String {
    let ((kernel, kernel_size), (ramdisk, ramdisk_size)) = (kernel, ramdisk);
    format!(
        r#"fdt mknod /chosen domU{number}
fdt set /chosen/domU{number} compatible "xen,domain"
fdt set /chosen/domU{number} \#address-cells <0x2>
fdt set /chosen/domU{number} \#size-cells <0x2>
fdt set /chosen/domU{number} memory <0 131072>
fdt set /chosen/domU{number} cpus <1>
fdt set /chosen/domU{number} vpl011 <0x1>
fdt mknod /chosen/domU{number} module{kernel:#x}
fdt set /chosen/domU{number}/module{kernel:#x} compatible  "multiboot,kernel" "multiboot,module"
fdt set /chosen/domU{number}/module{kernel:#x} reg <0x0 {kernel:#x} 0x0 {kernel_size:#x} >
fdt set /chosen/domU{number}/module{kernel:#x} bootargs "console=ttyAMA0 rdinit=/init"
fdt mknod /chosen/domU{number} module{ramdisk:#x}
fdt set /chosen/domU{number}/module{ramdisk:#x} compatible  "multiboot,ramdisk" "multiboot,module"
fdt set /chosen/domU{number}/module{ramdisk:#x} reg <0x0 {ramdisk:#x} 0x0 {ramdisk_size:#x} >
"#
    )
}

#[test]
fn dom0_and_two_domains_of_a_script_all_reach_their_user_space() -> Result<()> {
    let cache = cache()?;
    let kernel = fs::read(packages::linux(&cache, Release::Bookworm)?.image)?;
    let ramdisk = fs::read(ramdisk(&cache, Release::Bookworm)?)?;
    let (kernels, ramdisks) = ([0x100_0000, 0x400_0000, 0x900_0000], [0x3c0_0000, 0x700_0000, 0xc00_0000]);
    let loads: String = kernels.iter().map(|at| format!("tftpb {at:#x} Image\n")).collect::<String>()
        + &ramdisks.iter().map(|at| format!("tftpb {at:#x} rootfs.cpio\n")).collect::<String>();
    let (kernel_size, ramdisk_size) = (kernel.len(), ramdisk.len());
    let [dom0, first, second] = kernels;
    let [dom0_ramdisk, first_ramdisk, second_ramdisk] = ramdisks;
    let script = format!(
        r#"{loads}tftpb 0xE00000 xen
tftpb 0xf00000 {TREE}
fdt addr 0xf00000
fdt resize 1024
fdt set /chosen \#address-cells <0x2>
fdt set /chosen \#size-cells <0x2>
fdt set /chosen xen,xen-bootargs "console=dtuart dtuart=serial1 dom0_mem=256M dom0_max_vcpus=1 bootscrub=0 vwfi=native "
fdt mknod /chosen dom0
fdt set /chosen/dom0 compatible  "xen,linux-zimage" "xen,multiboot-module" "multiboot,module"
fdt set /chosen/dom0 reg <0x0 {dom0:#x} 0x0 {kernel_size:#x} >
fdt set /chosen xen,dom0-bootargs "console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0 {NOT_THERE}"
fdt mknod /chosen dom0-ramdisk
fdt set /chosen/dom0-ramdisk compatible  "xen,linux-initrd" "xen,multiboot-module" "multiboot,module"
fdt set /chosen/dom0-ramdisk reg <0x0 {dom0_ramdisk:#x} 0x0 {ramdisk_size:#x} >
{}{}setenv fdt_high 0xffffffffffffffff
booti 0xE00000 - 0xf00000
"#,
        domain(0, (first, kernel_size), (first_ramdisk, ramdisk_size)),
        domain(1, (second, kernel_size), (second_ramdisk, ramdisk_size)),
    );
    let network = Network::new()?
        .with("boot.scr.uimg", &make(&script)?)?
        .with("xen", &fs::read(packages::xen(&cache, Release::Bookworm)?)?)?
        .with("Image", &kernel)?
        .with("rootfs.cpio", &ramdisk)?
        .with(TREE, &fs::read(device_tree()?)?)?;
    // Nothing says where settings are: the last name that is looked for is U-Boot's own.
    let mut board = Board::start(&emulator_with_ethernet(&cache)?, None, |command| {
        network.attach_as(command, &network.user(None), 31);
        Ok(())
    })?;
    board.says("Settings: boot.scr.uimg.")?;
    // Each in a time of its own: they share the machine's processors, and come in any order.
    let mut said = String::new();
    for _ in 0..3 {
        said += &board.says(READY)?;
    }
    for domain in ["DOM1: ", "DOM2: "] {
        ensure!(said.contains(&format!("{domain}{READY}")), "no {domain}{READY} in {said}");
    }
    ensure!(said.contains("hypervisor: xen"), "{said}");
    Ok(())
}
