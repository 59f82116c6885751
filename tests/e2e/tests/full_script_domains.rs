//! Scripts as ImageBuilder writes them, on a card with nothing of ours but the loader, to a marker from each domain that Xen starts.

use std::fs;

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, TREE, device_tree, loader_bin};
use xenlift_e2e::card::{Card, Controller, Kind};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::u_boot_tools::{make_overlay, make_script};
use xenlift_e2e::{Release, cache, emulator_with_ethernet, packages};
use xtask::image_builder::{Config, Domain, File};
use xtask::ramdisk::{READY, ramdisk};

const XEN_COMMAND_LINE: &str = "console=dtuart dtuart=serial1 dom0_mem=256M dom0_max_vcpus=1 bootscrub=0 vwfi=native ";
const DOM0_COMMAND_LINE: &str =
    "console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0 dom0.show=/proc/device-tree/from-an-overlay";
/// Where the files may lie: QEMU puts its tree at 128 MiB.
const MEMORY_START: u64 = 0x1000_0000;

/// Is seen in Dom0.
const SEEN: &str = r#"/dts-v1/; /plugin/; &{/} { from-an-overlay = "applied"; };"#;
/// Takes out devices that the emulated board lacks: without it, their drivers end Dom0.
const NOT_THERE: &str = r#"/dts-v1/; /plugin/;
&{/soc/interrupt-controller@7ef00100} { status = "disabled"; };
&{/scb/pcie@7d500000} { status = "disabled"; };
&{/soc/i2c@7ef04500} { status = "disabled"; };
&{/soc/i2c@7ef09500} { status = "disabled"; };
"#;

/// Debian's files, and the overlays.
fn files() -> Result<[(&'static str, Vec<u8>); 6]> {
    let cache = cache()?;
    Ok([
        ("Image", fs::read(packages::linux(&cache, Release::Bookworm)?.image)?),
        ("rootfs.cpio", fs::read(ramdisk(&cache, Release::Bookworm)?)?),
        ("xen", fs::read(packages::xen(&cache, Release::Bookworm)?)?),
        (TREE, fs::read(device_tree()?)?),
        ("seen.dtbo", make_overlay(SEEN)?),
        ("not-there.dtbo", make_overlay(NOT_THERE)?),
    ])
}

/// A network with all of them on its server.
fn server(files: &[(&'static str, Vec<u8>)]) -> Result<Network> {
    files.iter().try_fold(Network::new()?, |network, (name, bytes)| network.with(name, bytes))
}

/// What `write` makes of Dom0 with a ramdisk, the overlays, and `guests` domains that Xen starts by itself.
fn script(
    files: &[(&'static str, Vec<u8>); 6],
    load: &str,
    guests: usize,
    write: impl Fn(&Config<'_>) -> String,
) -> String {
    let [kernel, ramdisk, xen, tree, overlays @ ..] = files.each_ref().map(|(name, bytes)| File::new(name, bytes));
    let dom0 = Domain { kernel, ramdisk: Some(ramdisk), command_line: DOM0_COMMAND_LINE };
    let guests = vec![Domain { command_line: "console=ttyAMA0 rdinit=/init", ..dom0 }; guests];
    let xen_command_line = XEN_COMMAND_LINE;
    write(&Config {
        memory_start: MEMORY_START,
        load,
        xen,
        xen_command_line,
        tree,
        overlays: &overlays,
        dom0,
        guests: &guests,
    })
}

/// A board with a card on which are config.txt, the loader, `script` as boot.scr, and `others`; with `network`.
fn start(script: &str, others: &[(&str, &[u8])], network: &Network) -> Result<(Board, Card)> {
    let config = b"kernel=loader.bin\n\nenable_uart=1\n\narm_64bit=1\n";
    let (loader, script) = (fs::read(loader_bin()?)?, make_script(script)?);
    let mut files: Vec<(&str, &[u8])> = vec![("config.txt", config), ("loader.bin", &loader), ("boot.scr", &script)];
    files.extend_from_slice(others);
    let card = Card::with(Kind::Large, &files)?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        network.attach_as(command, &network.user(None), 31);
        Ok(())
    })?;
    board.says("Settings: boot.scr on the card.")?;
    Ok((board, card))
}

/// Waits for the markers of Dom0 and of `guests` domains, before which no line of the script failed.
fn all_are_there(board: &mut Board, guests: usize) -> Result<()> {
    let mut said = board.says("Xen version 4.17.")?;
    ensure!(!said.contains("boot.scr, line"), "{said}");
    // Each in a time of its own: they share the machine's processors, and come in any order.
    for _ in 0..=guests {
        said += &board.says(READY)?;
    }
    for number in 1..=guests {
        ensure!(said.contains(&format!("DOM{number}: {READY}")), "no marker of domain {number} in {said}");
    }
    for text in ["hypervisor: xen", "/proc/device-tree/from-an-overlay: applied"] {
        ensure!(said.contains(text), "no {text:?} in {said}");
    }
    Ok(())
}

#[test]
fn a_script_that_calculates_starts_dom0_and_two_domains_from_the_server() -> Result<()> {
    let files = files()?;
    let network = server(&files)?;
    let script = script(&files, "tftpb", 2, |config| config.calculating_script());
    let (mut board, _card) = start(&script, &[], &network)?;
    all_are_there(&mut board, 2)?;
    let refusals = network.refusals()?;
    ensure!(refusals.is_empty(), "{refusals:?}");
    Ok(())
}

#[test]
fn a_script_for_the_card_starts_dom0_and_a_domain_from_there() -> Result<()> {
    let files = files()?;
    let on_card: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    // A domain fewer, because the emulator takes its time to read so much from a card.
    let script = script(&files, "load mmc 0:1", 1, |config| config.script());
    // Nothing is on the server.
    let (mut board, card) = start(&script, &on_card, &Network::new()?)?;
    let before = card.written()?;
    all_are_there(&mut board, 1)?;
    ensure!(card.written()? == before, "the card was written to");
    Ok(())
}

#[test]
fn a_script_without_a_ramdisk_starts_a_dom0_that_looks_for_its_root() -> Result<()> {
    let files = files()?;
    let network = server(&files)?;
    let script = script(&files, "tftpb", 0, |config| {
        Config { dom0: Domain { ramdisk: None, ..config.dom0 }, ..*config }.script()
    });
    let (mut board, _card) = start(&script, &[], &network)?;
    // There is none on the emulated board.
    let said = board.says("VFS: Unable to mount root fs")?;
    ensure!(said.contains("Xen version 4.17.") && !said.contains("boot.scr, line"), "{said}");
    Ok(())
}
