//! The tutorials' scripts on a card and a server as their readers have them: a card with config.txt, the loader and boot.scr, a TFTP server with
//! boot2.scr and the files, to a Dom0 of Debian's.
//!
//! The scripts are those of `tests/tutorial`, made with mkimage. boot.scr is unchanged, and the network is the one that it names. boot2.scr is changed where
//! its numbers belong to other files and another board: `tests/tutorial/README.md` lists how.

use std::fs;

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, TREE, device_tree, loader_bin};
use xenlift_e2e::card::{Card, Controller, Kind};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::u_boot_tools::make_script;
use xenlift_e2e::{Release, cache, emulator_with_ethernet, packages};
use xtask::ramdisk::{READY, ramdisk};
use xtask::tutorial;

#[test]
fn the_tutorials_scripts_boot_dom0_from_a_card_with_nothing_but_loader_and_boot_scr() -> Result<()> {
    let cache = cache()?;
    let kernel = fs::read(packages::linux(&cache, Release::Bookworm)?.image)?;
    let ramdisk = fs::read(ramdisk(&cache, Release::Bookworm)?)?;
    let boot2 = make_script(&tutorial::second(kernel.len() as u64, ramdisk.len() as u64)?)?;
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
        &[("config.txt", config), ("loader.bin", &loader), ("boot.scr", &make_script(&tutorial::first()?)?)],
    )?;
    let mut board = Board::start(&emulator_with_ethernet(&cache)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        network.attach_as(command, &(network.user(None) + tutorial::NETWORK), 21);
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
