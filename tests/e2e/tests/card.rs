//! Booting from an SD card: settings and files on it, what is not there fetched from the network, and cards with nothing of use.

use anyhow::{Context, Result, ensure};
use xenlift::config::LARGEST_FILE;
use xenlift_e2e::boot::{Board, Dom0, TREE, device_tree, fake_xen, kernel, pattern};
use xenlift_e2e::card::{Card, Controller, Kind};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::u_boot_tools::make_script;
use xenlift_e2e::{cache, emulator, emulator_with_ethernet};

/// Settings of an entry whose files are in the directory `prefix`.
fn settings(prefix: &str) -> String {
    format!(
        "timeout = 0\n[[entry]]\nname = \"card\"\ndevice-tree = \"{prefix}{TREE}\"\n[entry.xen]\n\
         image = \"{prefix}xen\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"{prefix}A long name of a kernel.img\"\n\
         ramdisk = \"{prefix}ramdisk\"\nargs = \"console=hvc0\"\n"
    )
}

fn dom0() -> Result<Dom0> {
    Dom0::new(0x4_5679)
}

fn tree() -> Result<Vec<u8>> {
    Ok(std::fs::read(device_tree()?)?)
}

/// A server of everything that such settings name, and of the settings.
fn served(dom0: &Dom0) -> Result<Network> {
    Network::new()?
        .with("xenlift/default.toml", settings("").as_bytes())?
        .with(TREE, &tree()?)?
        .with("xen", fake_xen()?)?
        .with("A long name of a kernel.img", &dom0.kernel)?
        .with("ramdisk", &dom0.ramdisk)
}

fn boots_from(controller: Controller, kind: Kind) -> Result<()> {
    let dom0 = dom0()?;
    let card = Card::with(
        kind,
        &[
            ("config.txt", b"kernel=loader.bin\n"),
            ("overlays/README", b"a directory before the one that is wanted"),
            ("Xen files/xen", fake_xen()?),
            ("Xen files/A long name of a kernel.img", &dom0.kernel),
            ("Xen files/ramdisk", &dom0.ramdisk),
            (&format!("Xen files/{TREE}"), &tree()?),
            // In another case, as Windows writes it.
            ("LOADER.TOML", settings("xen files/").as_bytes()),
        ],
    )?;
    let before = card.written()?;
    let mut board = Board::start(&emulator(&cache()?)?, None, |command| {
        card.attach(command, controller);
        Ok(())
    })?;
    let looked = board.line("Settings: loader.toml on the card.")?;
    ensure!(looked == " Looked at before: no initramfs.", "{looked:?}");
    let report = board.report()?;
    dom0.is_in(&report)?;
    ensure!(card.written()? == before, "the card was written to");
    Ok(())
}

#[test]
fn an_sdhc_card_in_the_slot_of_the_board_has_everything() -> Result<()> {
    boots_from(Controller::Emmc2, Kind::Large)
}

#[test]
fn a_small_card_in_the_slot_of_the_board_has_everything() -> Result<()> {
    boots_from(Controller::Emmc2, Kind::Small)
}

#[test]
fn a_card_where_qemu_puts_it_has_everything() -> Result<()> {
    boots_from(Controller::Emmc, Kind::Large)
}

/// Starts a board with a card and a network.
fn start(card: Option<&Card>, network: &Network, seed: u64) -> Result<Board> {
    Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(None), seed);
        if let Some(card) = card {
            card.attach(command, Controller::Emmc2);
        }
        Ok(())
    })
}

#[test]
fn what_the_card_lacks_comes_from_the_server() -> Result<()> {
    let dom0 = dom0()?;
    let card = Card::with(
        Kind::Large,
        &[("loader.toml", settings("").as_bytes()), (TREE, &tree()?), ("ramdisk", &dom0.ramdisk)],
    )?;
    let network = Network::new()?
        .with("xen", fake_xen()?)?
        .with("A long name of a kernel.img", &dom0.kernel)?
        .with("ramdisk", b"not this one, the card has its own")?;
    let mut board = start(Some(&card), &network, 11)?;
    board.says("Settings: loader.toml on the card.")?;
    board.says("ramdisk: 284281 bytes from the card")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn a_card_without_settings_or_none_or_garbage_leads_to_the_network() -> Result<()> {
    let dom0 = dom0()?;
    let network = served(&dom0)?;
    let without =
        Card::with(Kind::Large, &[("config.txt", b"kernel=loader.bin\n"), ("start4.elf", &pattern(100_000))])?;
    let garbage = Card::raw(64 << 20, &[(0, &pattern(1 << 20))])?;
    let mut gpt = vec![0; 512];
    gpt[446 + 4] = 0xee;
    gpt[446 + 8] = 1;
    gpt[446 + 12..446 + 16].fill(0xff);
    gpt[510..].copy_from_slice(&[0x55, 0xaa]);
    let gpt = Card::raw(64 << 20, &[(0, &gpt)])?;
    for (seed, (card, told)) in [
        (Some(&without), "the card has no loader.toml, boot.scr or extlinux.conf"),
        (None, "no card"),
        (Some(&garbage), "card: the card has no partition table (MBR) and no FAT file system"),
        (Some(&gpt), "card: the card's partition table is a GPT, which is not supported"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut board = start(card, &network, seed as u64)?;
        let looked = board.line("Settings: xenlift/default.toml.")?;
        ensure!(looked.starts_with(&format!(" Looked at before: no initramfs; {told}")), "{looked:?}");
        board.report()?.has_module(&dom0.kernel)?;
    }
    Ok(())
}

#[test]
fn what_is_wrong_on_the_card_is_told_with_its_name() -> Result<()> {
    let files: [(&str, &[u8]); 2] = [("loader.toml", b"[[entry]\n"), ("boot.scr", b"a script")];
    let card = Card::with(Kind::Small, &files)?;
    let mut board = Board::start(&emulator(&cache()?)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        Ok(())
    })?;
    let said = board.line("No settings: ")?;
    ensure!(said.starts_with("loader.toml on the card: line 1"), "{said:?}");
    board.says("Starting over in 5 s.")?;
    Ok(())
}

#[test]
fn a_boot_scr_on_the_card_loads_from_the_card_and_starts_what_it_says() -> Result<()> {
    let dom0 = dom0()?;
    let script = make_script(&format!(
        "load ${{devtype}} ${{devnum}}:${{distro_bootpart}} ${{fdt_addr_r}} {TREE}\n\
         fatload mmc 0:1 0x4000000 ${{prefix}}kernel\n\
         fdt addr ${{fdt_addr_r}}\nfdt resize 1024\n\
         fdt set /chosen \\#address-cells <1>\nfdt set /chosen \\#size-cells <1>\n\
         fdt mknod /chosen dom0\n\
         fdt set /chosen/dom0 compatible \"xen,linux-zimage\" \"xen,multiboot-module\" \"multiboot,module\"\n\
         fdt set /chosen/dom0 reg <0x4000000 0x${{filesize}}>\n\
         fdt set /chosen xen,xen-bootargs \"console=dtuart dom0_mem=256M\"\n\
         load mmc 0 ${{kernel_addr_r}} xen\nbooti ${{kernel_addr_r}} - ${{fdt_addr_r}}\n"
    ))?;
    let card = Card::with(
        Kind::Large,
        &[(TREE, &tree()?), ("boot/kernel", &dom0.kernel), ("xen", fake_xen()?), ("boot/boot.scr", &script)],
    )?;
    let mut board = Board::start(&emulator(&cache()?)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        Ok(())
    })?;
    board.says("Settings: boot/boot.scr on the card.")?;
    board.report()?.has_module(&dom0.kernel)
}

#[test]
fn an_extlinux_conf_on_the_card_is_found_before_a_script() -> Result<()> {
    let _dom0 = dom0()?;
    let menu = format!("DEFAULT one\nLABEL one\n  LINUX ../xen\n  FDT /{TREE}\n");
    let card = Card::with(
        Kind::Small,
        &[
            (TREE, &tree()?),
            ("xen", fake_xen()?),
            ("boot.scr", &make_script("echo not this one\n")?),
            ("extlinux/extlinux.conf", menu.as_bytes()),
        ],
    )?;
    let mut board = Board::start(&emulator(&cache()?)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        Ok(())
    })?;
    board.says("Settings: extlinux/extlinux.conf on the card.")?;
    board.report()?;
    Ok(())
}

#[test]
fn after_a_script_that_starts_nothing_the_network_is_next() -> Result<()> {
    let dom0 = dom0()?;
    let network = served(&dom0)?;
    let card =
        Card::with(Kind::Large, &[("boot.scr.uimg", &make_script("ls mmc 0\nload mmc 0:1 0x4000000 nothing\n")?)])?;
    let mut board = start(Some(&card), &network, 21)?;
    board.says("boot.scr.uimg")?;
    board.says("nothing: not on the card")?;
    board.says("Settings: xenlift/default.toml.")?;
    board.report()?.has_module(&dom0.kernel)
}

#[test]
fn after_a_script_that_is_too_long_the_network_is_next() -> Result<()> {
    let dom0 = dom0()?;
    let network = served(&dom0)?;
    // The longest that there may be, one byte less and one more than its file may have.
    let longest = |more: usize| make_script(&format!("echo it was run\n{}", "#".repeat(LARGEST_FILE - 72 - 16 + more)));
    let card = Card::with(Kind::Large, &[("boot.scr", &longest(0)?)])?;
    let mut board = start(Some(&card), &network, 22)?;
    board.says("Settings: boot.scr on the card.")?;
    board.says("it was run")?;
    board.says("Settings: xenlift/default.toml.")?;
    board.report()?.has_module(&dom0.kernel)?;

    let card = Card::with(Kind::Large, &[("boot.scr", &longest(1)?)])?;
    let mut board = start(Some(&card), &network, 23)?;
    let said = board.line("boot.scr on the card: ")?;
    ensure!(said == "it needs 262145 bytes or more and there is room for 262144.", "{said:?}");
    let looked = board.line("Settings: xenlift/default.toml.")?;
    ensure!(looked == " Looked at before: no initramfs; boot.scr on the card.", "{looked:?}");
    board.report()?.has_module(&dom0.kernel)
}

#[test]
fn a_card_that_is_pulled_out_in_mid_read_is_told_and_the_board_goes_on() -> Result<()> {
    let mut large = kernel(30 << 20)?;
    large[1 << 20..].fill(7);
    let text = settings("").replace("dom0_mem=256M", "dom0_mem=512M");
    let files: [(&str, &[u8]); 4] = [
        ("loader.toml", text.as_bytes()),
        (TREE, &std::fs::read(device_tree()?)?),
        ("xen", fake_xen()?),
        ("A long name of a kernel.img", &large),
    ];
    let card = Card::with(Kind::Large, &files)?;
    // The ramdisk is not reached.
    let network = Network::new()?.with("ramdisk", b"ramdisk")?;
    let mut board = start(Some(&card), &network, 31)?;
    board.says("xen: 24640 bytes from the card")?;
    network.qmp()?.command(r#"{"execute":"eject","arguments":{"device":"card","force":true}}"#)?;
    let said = board.line("Dom0 kernel (A long name of a kernel.img): ")?;
    ensure!(said == "the card no longer answers; was it taken out?", "{said:?}");
    let said = board.says("Starting over in 5 s.")?;
    ensure!(!said.contains("booted whole"), "{said}");
    // Any key starts over at once; the card is gone, and that is said.
    board.press(" ")?;
    board.says("Looked at before the network: no initramfs; no card.")?;
    board.says("No settings: ")?;
    Ok(())
}

#[test]
fn a_card_that_is_pulled_out_during_a_scripts_load_is_told_with_the_line() -> Result<()> {
    let large = kernel(30 << 20)?;
    let script = make_script("echo begins\n# a comment\nload mmc 0:1 0x4000000 large\n")?;
    let card = Card::with(Kind::Large, &[("boot.scr", &script), ("large", &large)])?;
    let network = Network::new()?.with("boot.scr.uimg", &make_script("echo from the server\n")?)?;
    let mut board = start(Some(&card), &network, 32)?;
    board.says("begins")?;
    network.qmp()?.command(r#"{"execute":"eject","arguments":{"device":"card","force":true}}"#)?;
    let said = board.line("boot.scr, line 3: ")?;
    ensure!(said == "load: large: the card no longer answers; was it taken out?", "{said:?}");
    board.says("boot.scr: the script came to its end, its last command failed")?;
    board.says("Settings: boot.scr.uimg.")?;
    board.says("from the server")?;
    Ok(())
}

/// A card with FAT16 and a boot.scr of several clusters, whose bytes `lie` has changed: it gets the file system, and in it the
/// offsets of the FAT and of the entry of boot.scr.
fn lying_card(lie: impl FnOnce(&mut [u8], usize, usize)) -> Result<Card> {
    const PARTITION: usize = 1 << 20;
    let script = make_script(&format!("echo never\n{}", "# more than one cluster\n".repeat(400)))?;
    let mut bytes = std::fs::read(Card::with(Kind::Small, &[("boot.scr", &script)])?.path())?;
    let volume = &mut bytes[PARTITION..];
    let word = |at: usize| usize::from(u16::from_le_bytes([volume[at], volume[at + 1]]));
    let (fat, root) = (word(14) * 512, (word(14) + 2 * word(22)) * 512);
    let entry = volume[root..].chunks(32).position(|entry| entry.starts_with(b"BOOT    SCR")).context("no entry")?;
    lie(volume, fat, root + entry * 32);
    Card::raw(bytes.len() as u64, &[(0, &bytes)])
}

#[test]
fn a_card_whose_file_system_lies_is_told_and_the_network_is_next() -> Result<()> {
    /// Where the FAT says which cluster follows the first one of the file.
    fn next(volume: &[u8], fat: usize, entry: usize) -> usize {
        fat + 2 * usize::from(u16::from_le_bytes([volume[entry + 26], volume[entry + 27]]))
    }
    let cards = [
        (
            lying_card(|volume, fat, entry| {
                let at = next(volume, fat, entry);
                volume.copy_within(entry + 26..entry + 28, at);
            })?,
            "the file system is damaged at cluster ",
        ),
        (
            lying_card(|volume, fat, entry| {
                let at = next(volume, fat, entry);
                volume[at..at + 2].copy_from_slice(&0xfff0_u16.to_le_bytes());
            })?,
            "the file system is damaged at cluster ",
        ),
        (
            lying_card(|volume, fat, entry| {
                let at = next(volume, fat, entry);
                volume[at..at + 2].copy_from_slice(&0xffff_u16.to_le_bytes());
            })?,
            " bytes, but there are 4096 at most",
        ),
        (lying_card(|volume, _, _| volume[13] = 0)?, "the FAT file system of partition 1 is damaged"),
    ];
    let network = Network::new()?.with("boot.scr.uimg", &make_script("echo from the server\n")?)?;
    for (seed, (card, told)) in cards.iter().enumerate() {
        let mut board = start(Some(card), &network, 40 + seed as u64)?;
        let said = board.says("from the server")?;
        ensure!(said.contains(told) && !said.contains("never"), "no {told:?} in {said}");
    }
    Ok(())
}
