//! What is looked for a second time: the next name on a card, another card, and a FIT image that both kinds of files come out of.

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, TREE, device_tree, fake_xen, kernel, pattern};
use xenlift_e2e::card::{Card, Controller, Kind};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::u_boot_tools::{made, make_overlay, make_script};
use xenlift_e2e::{cache, emulator_with_ethernet};

fn start(card: &Card, network: &Network, seed: u64) -> Result<Board> {
    Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(None), seed);
        card.attach(command, Controller::Emmc2);
        Ok(())
    })
}

/// Takes the card in the slot out and puts another one in.
fn exchange(network: &Network, card: &Card) -> Result<()> {
    let arguments = format!(r#"{{"device":"card","format":"raw","filename":"{}"}}"#, card.path().display());
    let mut qmp = network.qmp()?;
    qmp.command(&format!(r#"{{"execute":"blockdev-change-medium","arguments":{arguments}}}"#)).map(drop)
}

/// A script that starts the payload in Xen's place from the card.
fn starting() -> Result<Vec<u8>> {
    make_script(&format!(
        "load mmc 0:1 0x1000000 xen; load mmc 0:1 0x2000000 {TREE}; fdt addr 0x2000000\n\
         fdt set /chosen xen,xen-bootargs \"dom0_mem=256M\"; booti 0x1000000 - 0x2000000\n"
    ))
}

#[test]
fn scripts_that_end_without_starting_anything_give_way_to_the_next_names_on_the_card() -> Result<()> {
    let tree = std::fs::read(device_tree()?)?;
    let card = Card::with(
        Kind::Large,
        &[
            ("extlinux/extlinux.conf", b"label gone\n  kernel /not-there\n"),
            ("boot.scr.uimg", &make_script("echo the first; false\n")?),
            ("boot.scr", &make_script("echo the second\n")?),
            ("boot/boot.scr", &starting()?),
            ("xen", fake_xen()?),
            (TREE, &tree),
        ],
    )?;
    // Whoever asked the network would be told this.
    let network = Network::new()?.with("boot.scr.uimg", &make_script("echo from the server\n")?)?;
    let mut board = start(&card, &network, 51)?;
    let said = board.says("fake-xen: entered at ")?;
    let mut rest = said.as_str();
    for expected in [
        "Settings: extlinux/extlinux.conf on the card.",
        "not-there",
        "Settings: boot.scr.uimg on the card.",
        "the first",
        "Settings: boot.scr on the card.",
        "the second",
        "boot.scr: the script came to its end and started nothing.",
        "Settings: boot/boot.scr on the card.",
    ] {
        let at = rest.find(expected);
        ensure!(at.is_some(), "no {expected:?} after the ones before it in {said}");
        rest = rest.get(at.unwrap_or(0) + expected.len()..).unwrap_or_default();
    }
    ensure!(!said.contains("from the server"), "{said}");
    Ok(())
}

#[test]
fn another_card_is_found_when_the_board_starts_over() -> Result<()> {
    let first = Card::with(Kind::Large, &[("boot.scr", &make_script("echo the first card\n")?)])?;
    let tree = std::fs::read(device_tree()?)?;
    let second = Card::with(Kind::Small, &[("boot.scr", &starting()?), ("xen", fake_xen()?), (TREE, &tree)])?;
    let network = Network::new()?;
    let mut board = start(&first, &network, 52)?;
    board.says("the first card")?;
    board.says("Starting over in 5 s.")?;
    exchange(&network, &second)?;
    let said = board.says("Settings: boot.scr on the card.")?;
    ensure!(!said.contains("the first card"), "{said}");
    board.report().map(drop)
}

#[test]
fn a_script_sees_that_the_card_was_exchanged() -> Result<()> {
    // The name of the file is what differs.
    let waiting = "if test -e mmc 0:1 one; then echo one is there; fi\n\
        while test ! -e mmc 0:1 two; do sleep 0.1; mmc rescan; done\n\
        test -e mmc 0:1 one || echo one is gone\nload mmc 0:1 0x1000000 two; crc32 0x1000000 $filesize\n";
    let first = Card::with(Kind::Large, &[("boot.scr", &make_script(waiting)?), ("one", b"1")])?;
    let two = pattern(100_000);
    let second = Card::with(Kind::Small, &[("two", &two)])?;
    let network = Network::new()?;
    let mut board = start(&first, &network, 53)?;
    board.says("one is there")?;
    exchange(&network, &second)?;
    board.says("one is gone")?;
    let said = board.line("==> ")?;
    ensure!(said == format!("{:08x}", xenlift_e2e::ethernet::crc32(&two)), "{said}");
    Ok(())
}

#[test]
fn a_fit_image_starts_xen_with_its_modules_where_they_are_to_lie() -> Result<()> {
    let dom0 = kernel(0x12_3456)?;
    // What ImageBuilder's scripts write with `fdt set`, as an overlay in the image.
    let chosen = make_overlay(&format!(
        "/dts-v1/; /plugin/; &{{/chosen}} {{ #address-cells = <1>; #size-cells = <1>; xen,xen-bootargs = \"dom0_mem=256M\"; \
         dom0 {{ compatible = \"multiboot,kernel\", \"multiboot,module\"; reg = <0x9000000 {:#x}>; }}; }};",
        dom0.len()
    ))?;
    let image = |name: &str, kind: &str, load: &str| {
        format!(
            "{name} {{ data = /incbin/(\"{name}\"); type = \"{kind}\"; arch = \"arm64\"; os = \"linux\"; compression = \"none\"; {load} hash-1 {{ algo = \"sha256\"; }}; }};"
        )
    };
    let source = format!(
        "/dts-v1/; / {{ description = \"Xen\"; #address-cells = <1>; images {{ {} {} {} {} }};\n\
         configurations {{ default = \"a\"; a {{ kernel = \"xen\"; fdt = \"tree\", \"chosen\"; loadables = \"dom0\"; }}; }}; }};",
        image("xen", "kernel", "load = <0x200000>; entry = <0x200000>;"),
        image("tree", "flat_dt", ""),
        image("chosen", "flat_dt", "load = <0x7000000>;"),
        image("dom0", "kernel", "load = <0x9000000>; entry = <0x9000000>;"),
    );
    let tree = std::fs::read(device_tree()?)?;
    let files: [(&str, &[u8]); 5] =
        [("in.its", source.as_bytes()), ("xen", fake_xen()?), ("tree", &tree), ("chosen", &chosen), ("dom0", &dom0)];
    let fit = made("mkimage", &["-f", "in.its", "out"], &files)?;
    let script = make_script("load mmc 0:1 0x3000000 image.fit\nbootm 0x3000000\n")?;
    let card = Card::with(Kind::Large, &[("boot.scr", &script), ("image.fit", &fit)])?;
    let network = Network::new()?;
    let mut board = start(&card, &network, 54)?;
    let report = board.report()?;
    report.has_module(&dom0)?;
    report.says("0x9000000")
}
