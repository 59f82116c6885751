//! What a U-Boot saved on the card before its place was taken: its variables, and the command that somebody set to boot by.

use std::fs;

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, TREE, device_tree, fake_xen, kernel};
use xenlift_e2e::card::{Card, Controller, Kind};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::u_boot_tools::{make_script, saved_variables};
use xenlift_e2e::{cache, emulator, emulator_with_ethernet};

/// Commands that boot Xen and a kernel from the card, on one line.
fn boots() -> String {
    format!(
        "load mmc 0:1 ${{fdt_addr_r}} {TREE}; fatload mmc 0 0x4000000 kernel; fdt addr ${{fdt_addr_r}}; fdt resize 1024; \
         fdt set /chosen \\#address-cells <1>; fdt set /chosen \\#size-cells <1>; fdt mknod /chosen dom0; \
         fdt set /chosen/dom0 compatible xen,linux-zimage xen,multiboot-module multiboot,module; \
         fdt set /chosen/dom0 reg <0x4000000 0x${{filesize}}>; fdt set /chosen xen,xen-bootargs ${{xen_args}}; \
         load mmc 0:1 ${{loadaddr}} xen; booti ${{loadaddr}} - ${{fdt_addr_r}}"
    )
}

/// A card with the files of that boot, `uboot.env` of these variables, and others.
fn card(kernel: &[u8], variables: &str, others: &[(&str, &[u8])]) -> Result<Card> {
    let (tree, saved) = (fs::read(device_tree()?)?, saved_variables(variables)?);
    let mut files: Vec<(&str, &[u8])> =
        vec![(TREE, &tree), ("kernel", kernel), ("xen", fake_xen()?), ("uboot.env", &saved)];
    files.extend_from_slice(others);
    Card::with(Kind::Large, &files)
}

fn start(card: &Card) -> Result<Board> {
    Board::start(&emulator(&cache()?)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        Ok(())
    })
}

#[test]
fn a_saved_bootcmd_boots_the_board_and_comes_before_boot_scr() -> Result<()> {
    let kernel = kernel(0x2a_b123)?;
    let variables = format!(
        "bootdelay=2\npreboot=usb start; echo before\nxen_args=dom0_mem=256M\nbootcmd={}\n",
        boots().replace('\\', "\\\\")
    );
    let card = card(&kernel, &variables, &[("boot.scr", &make_script("echo not this one\n")?)])?;
    let mut board = start(&card)?;
    board.says("Settings: bootcmd of uboot.env on the card.")?;
    board.says("Variables: 4 from uboot.env on the card.")?;
    board.says("before")?;
    let report = board.report()?;
    report.has_module(&kernel)?;
    report.says("/chosen:xen,xen-bootargs = \"dom0_mem=256M")
}

#[test]
fn what_every_u_boot_saves_leads_to_boot_scr_which_finds_the_variables() -> Result<()> {
    let kernel = kernel(0x2a_b123)?;
    let script = make_script(&format!("echo ${{mine}}\n{}\n", boots()))?;
    let variables = "bootcmd=run distro_bootcmd\nmine=saved by somebody\nxen_args=dom0_mem=256M\n";
    let card = card(&kernel, variables, &[("boot.scr", &script)])?;
    let mut board = start(&card)?;
    board.says("Settings: boot.scr on the card.")?;
    board.says("saved by somebody")?;
    board.report()?.has_module(&kernel)
}

#[test]
fn settings_come_before_a_saved_bootcmd_and_damage_keeps_it_from_being_run() -> Result<()> {
    let kernel = kernel(0x2a_b123)?;
    let settings = format!(
        "timeout = 0\n[[entry]]\nname = \"card\"\ndevice-tree = \"{TREE}\"\n[entry.xen]\nimage = \"xen\"\n\
         args = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel\"\n"
    );
    let first = card(&kernel, "bootcmd=echo not this one\n", &[("loader.toml", settings.as_bytes())])?;
    let mut board = start(&first)?;
    board.says("Settings: loader.toml on the card.")?;
    board.report()?.has_module(&kernel)?;

    let script = make_script(&format!("setenv xen_args dom0_mem=256M; {}\n", boots()))?;
    let mut damaged = saved_variables("bootcmd=echo not this one\n")?;
    damaged[8] ^= 1;
    let tree = fs::read(device_tree()?)?;
    let card = Card::with(
        Kind::Small,
        &[
            (TREE, &tree),
            ("kernel", &kernel),
            ("xen", fake_xen()?),
            ("uboot.env", &damaged),
            ("boot/boot.scr", &script),
        ],
    )?;
    let mut board = start(&card)?;
    board.says("Settings: boot/boot.scr on the card.")?;
    board.says("uboot.env on the card: the variables are damaged")?;
    board.report()?.has_module(&kernel)
}

#[test]
fn after_a_saved_bootcmd_that_starts_nothing_the_network_is_next() -> Result<()> {
    let network = Network::new()?.with("boot.scr.uimg", &make_script("echo from the server\n")?)?;
    let saved = saved_variables("bootcmd=load mmc 0:1 1000000 nothing\n")?;
    let card = Card::with(Kind::Large, &[("uboot.env", &saved)])?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(None), 41);
        card.attach(command, Controller::Emmc2);
        Ok(())
    })?;
    board.says("nothing: not on the card")?;
    let said = board.line("bootcmd of uboot.env: ")?;
    ensure!(said.contains("its last command failed"), "{said}");
    board.says("Settings: boot.scr.uimg.")?;
    board.says("from the server")?;
    Ok(())
}
