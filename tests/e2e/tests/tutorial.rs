//! The tutorials' scripts on a card and a server as their readers have them: a card with config.txt, the loader and boot.scr, a TFTP server with
//! boot2.scr and the files, to a Dom0 of Debian's.
//!
//! The scripts are those of `tests/tutorial`, made with mkimage. boot.scr is unchanged, and the network is the one that it names. boot2.scr is changed where
//! its numbers belong to other files and another board: see the table in [`changed`].

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xenlift_e2e::boot::{Board, TREE, device_tree, loader_bin};
use xenlift_e2e::card::{Card, Controller, Kind};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::scripts::make;
use xenlift_e2e::{Release, cache, emulator_with_ethernet, packages};
use xtask::ramdisk::{READY, ramdisk};

/// The network that boot.scr names.
const NETWORK: &str = ",net=192.168.0.0/24,host=192.168.0.1";

fn tutorial(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tutorial").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// boot2.source for files of these sizes, on the emulated board.
fn changed(kernel: u64, ramdisk: u64) -> Result<String> {
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
    let mut text = tutorial("boot2.source")?;
    for (from, to) in changes {
        ensure!(text.matches(from).count() == 1, "{from:?} is not once in the tutorial's script");
        text = text.replace(from, &to);
    }
    Ok(text)
}

#[test]
fn the_tutorials_scripts_boot_dom0_from_a_card_with_nothing_but_loader_and_boot_scr() -> Result<()> {
    let cache = cache()?;
    let kernel = fs::read(packages::linux(&cache, Release::Bookworm)?.image)?;
    let ramdisk = fs::read(ramdisk(&cache, Release::Bookworm)?)?;
    let boot2 = make(&changed(kernel.len() as u64, ramdisk.len() as u64)?)?;
    let network = Network::new()?
        .with("boot2.scr", &boot2)?
        .with("xen", &fs::read(packages::xen(&cache, Release::Bookworm)?)?)?
        .with("Image-dom0", &kernel)?
        .with("rootfs.cpio", &ramdisk)?
        .with(TREE, &fs::read(device_tree()?)?)?;
    let loader = fs::read(loader_bin()?)?;
    let config = b"kernel=loader.bin\n\nenable_uart=1\n\narm_64bit=1\n";
    let card = Card::with(
        Kind::Large,
        &[("config.txt", config), ("loader.bin", &loader), ("boot.scr", &make(&tutorial("boot.source")?)?)],
    )?;
    let mut board = Board::start(&emulator_with_ethernet(&cache)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        network.attach_as(command, &(network.user(None) + NETWORK), 21);
        Ok(())
    })?;
    board.says("boot.scr on the card")?;
    board.says("Xen version 4.17.")?;
    let said = board.says(READY)?;
    ensure!(said.contains("hypervisor: xen"), "{said}");
    let refusals = network.refusals()?;
    ensure!(refusals.is_empty(), "{refusals:?}");
    Ok(())
}
