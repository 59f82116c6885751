//! The scripts of the tutorials that people follow (`tests/tutorial`), for tests and for the bench.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::loader::workspace;

/// What `-netdev user` has to say for the addresses that the first script names.
pub const NETWORK: &str = ",net=192.168.0.0/24,host=192.168.0.1";

/// The script for the card, as it is.
pub fn first() -> Result<String> {
    script("boot.source")
}

/// The script for the server, for a kernel and a ramdisk of these sizes in bytes, on the emulated board: changed where its numbers belong to
/// other files and another board, and nowhere else.
pub fn second(kernel: u64, ramdisk: u64) -> Result<String> {
    let changes = [
        // The ramdisk is loaded, and behind today's larger kernel.
        ("#tftpb 0x2200000 xen-image-minimal-raspberrypi4-64.cpio.gz", "tftpb 0x4000000 rootfs.cpio".to_owned()),
        ("<0x1000000 0x108AA00>", format!("<0x1000000 {kernel:#x}>")),
        ("<0x2200000 0x6013E86>", format!("<0x4000000 {ramdisk:#x}>")),
        // The emulated board has less memory, and its header the mini UART.
        ("dom0_mem=1G", "dom0_mem=512M".to_owned()),
        ("dtuart=serial0", "dtuart=serial1".to_owned()),
        // Drivers of devices that the emulated board lacks.
        (
            "root=/dev/ram0\"",
            "root=/dev/ram0 initcall_blacklist=brcmstb_l2_driver_init,brcm_pcie_driver_init,brcmstb_i2c_driver_init\""
                .to_owned(),
        ),
    ];
    let mut text = script("boot2.source")?;
    for (from, to) in changes {
        ensure!(text.matches(from).count() == 1, "{from:?} is not once in the tutorial's script");
        text = text.replace(from, &to);
    }
    Ok(text)
}

fn script(name: &str) -> Result<String> {
    let path = workspace().join("tests/tutorial").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
