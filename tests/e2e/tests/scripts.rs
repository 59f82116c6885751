//! U-Boot's scripts, run by the loader: to the payload in Xen's place, which says what it was given, and to real programs.

use std::fs;

use anyhow::{Context, Result, ensure};
use xenlift_e2e::boot::{Board, Dom0, LIMIT, TREE, device_tree, fake_xen, pattern};
use xenlift_e2e::card::{Card, Controller, Kind};
use xenlift_e2e::ethernet::{Network, PAYLOAD, crc32, payload};
use xenlift_e2e::servers::atftpd;
use xenlift_e2e::u_boot::UBoot;
use xenlift_e2e::u_boot_tools::{made, make_overlay, make_script};
use xenlift_e2e::{Release, Uart, cache, emulator_with_ethernet, packages};
use xtask::image_builder::{Config, Domain, File};
use xtask::ramdisk::{READY, ramdisk};

/// Settings with one entry, a script on the server.
const SETTINGS: &[u8] = b"timeout = 0\n[[entry]]\nname = \"old\"\nscript = \"boot.scr\"\n";

/// A board with `network`, on which `initramfs` is what the firmware loaded.
fn start(network: &Network, initramfs: &[u8], seed: u64) -> Result<Board> {
    Board::on(network, Some(initramfs), seed)
}

/// Is seen in what the payload reports.
const OVERLAY: &str = "/dts-v1/; /plugin/; &{/chosen} { from-an-overlay = \"applied\"; };";

fn dom0() -> Result<Dom0> {
    Dom0::new(0x4_5679)
}

/// A server of `dom0`'s files, the payload and the tree, with a script.
fn served(dom0: &Dom0, script: &str) -> Result<Network> {
    Network::new()?
        .with("xen", fake_xen()?)?
        .with("Image-dom0", &dom0.kernel)?
        .with("rootfs.cpio.gz", &dom0.ramdisk)?
        .with(TREE, &fs::read(device_tree()?)?)?
        .with("boot.scr", &make_script(script)?)
}

/// What ImageBuilder is told for Dom0 with a ramdisk.
fn config(dom0: &Dom0) -> Result<Config<'static>> {
    let kernel = File::new("Image-dom0", &dom0.kernel);
    let ramdisk = Some(File::new("rootfs.cpio.gz", &dom0.ramdisk));
    let command_line = "console=hvc0 earlycon=xen earlyprintk=xen clk_ignore_unused root=/dev/ram0";
    Ok(Config {
        memory_start: 0,
        load: "tftpb",
        xen: File::new("xen", fake_xen()?),
        xen_command_line: "console=dtuart dtuart=serial1 dom0_mem=256M dom0_max_vcpus=1 bootscrub=0 vwfi=native sched=null   ",
        tree: File::new(TREE, &fs::read(device_tree()?)?),
        overlays: &[],
        dom0: Domain { kernel, ramdisk, command_line },
        guests: &[],
    })
}

#[test]
fn what_image_builder_writes_boots_with_every_byte_in_place() -> Result<()> {
    let dom0 = dom0()?;
    let network = served(&dom0, &config(&dom0)?.script())?;
    let mut board = start(&network, SETTINGS, 1)?;
    board.says("Running boot.scr.")?;
    let report = board.report()?;
    dom0.is_in(&report)?;
    // Where the script says, and nowhere else.
    for text in ["0xe00000", "0x1200000", "/chosen:xen,dom0-bootargs = \"console=hvc0 earlycon=xen"] {
        report.says(text)?;
    }
    ensure!(network.refusals()?.is_empty());
    Ok(())
}

#[test]
fn sizes_that_a_script_computes_on_the_board_are_right() -> Result<()> {
    let dom0 = dom0()?;
    let network = served(&dom0, &config(&dom0)?.calculating_script())?;
    let mut board = start(&network, SETTINGS, 2)?;
    dom0.is_in(&board.report()?)
}

#[test]
fn a_program_is_moved_where_something_lies_in_the_memory_that_it_will_use() -> Result<()> {
    let dom0 = dom0()?;
    // The tree right behind Xen's file, in what will be its .bss; the kernel where 2 MiB are not met.
    let text = config(&dom0)?.script().replace("0x1400000", "0x1410000");
    let network = served(&dom0, &text)?;
    let mut board = start(&network, SETTINGS, 3)?;
    board.says("Xen was moved from 0x1410000 to ")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn every_mistake_of_a_script_is_told_with_its_line_and_the_board_goes_on() -> Result<()> {
    let cut = {
        let mut bytes = make_script("echo whole")?;
        *bytes.last_mut().context("an empty script")? ^= 1;
        bytes
    };
    let cut_xen = fs::read(packages::xen(&cache()?, Release::Bookworm)?)?;
    let cut_xen = cut_xen.get(..0x1_0000).context("a short Xen")?;
    let scripts: [(&str, Vec<u8>, &str); 8] = [
        ("crc", cut, "CRC"),
        ("unknown", make_script("echo one\ntftpbot 0x1000000 xen\n")?, "tftpboot"),
        ("unterminated", make_script("if test a = a; then\necho never\n")?, "fi"),
        ("itself", make_script("source ${scriptaddr}\n")?, "does one run itself?"),
        ("missing", make_script("echo here\ntftpb 0x1000000 nowhere\n")?, "nowhere"),
        (
            "cut",
            make_script(&format!("tftpb 0x1800000 xen-cut; tftpb 0x1a00000 {TREE}; booti 0x1800000 - 0x1a00000\n"))?,
            "xen-cut: cut off: 65536 bytes, its headers say at least ",
        ),
        (
            "resize",
            make_script(&format!("tftpb 1600000 {TREE}; tftpb 1607000 xen-cut; fdt addr 1600000\nfdt resize 10000\n"))?,
            "resize.scr, line 2: fdt: the device tree at 0x1600000 would need ",
        ),
        ("page0", make_script("tftpb 0x100 xen\n")?, "page 0 is at 0x00000000-0x00000fff"),
    ];
    let mut settings = "timeout = 0\n".to_owned();
    let mut network = served(&dom0()?, "echo the last script\n")?.with("xen-cut", cut_xen)?;
    for (index, (name, bytes, _)) in scripts.iter().enumerate() {
        let next = scripts.get(index + 1).map_or("last", |(name, ..)| name);
        settings += &format!("[[entry]]\nname = \"{name}\"\nscript = \"{name}.scr\"\nfallback = \"{next}\"\n");
        network = network.with(&format!("{name}.scr"), bytes)?;
    }
    settings += "[[entry]]\nname = \"last\"\nscript = \"boot.scr\"\n";
    let mut board = start(&network, settings.as_bytes(), 4)?;
    for (name, _, expected) in &scripts {
        let said = board.says(&format!("{name} was not booted: "))? + &board.says("\n")?;
        ensure!(said.contains(expected), "{name}: no {expected:?} in {said}");
    }
    board.says("the last script")?;
    board.says("Starting over in 5 s.")?;
    Ok(())
}

#[test]
fn ctrl_c_ends_an_endless_loop() -> Result<()> {
    let network = served(&dom0()?, "echo looping\nwhile true; do sleep 0.1; done\necho never\n")?;
    let mut board = start(&network, SETTINGS, 5)?;
    board.says("looping")?;
    board.press("\x03")?;
    let said = board.says("old was not booted: interrupted by Ctrl-C")?;
    ensure!(!said.contains("never"), "{said}");
    Ok(())
}

#[test]
fn another_u_boot_can_be_started_as_a_safety_net_and_finds_network_and_card_in_order() -> Result<()> {
    let u_boot_bin = fs::read(packages::u_boot(&cache()?)?)?;
    let on_card = pattern(0x10_2345);
    // Both have been at work when U-Boot starts.
    let script = make_script(&format!("tftpb 4000000 {PAYLOAD}\nload mmc 0:1 80000 u-boot.bin\ngo 80000\n"))?;
    let card = Card::with(Kind::Large, &[("boot.scr", &script), ("u-boot.bin", &u_boot_bin), ("on-card", &on_card)])?;
    let network = Network::with_payload(0x40_1234)?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(None), 6);
        card.attach(command, Controller::Emmc2);
        Ok(())
    })?;
    board.says("Jumping to 0x80000")?;
    let mut u_boot = UBoot::on(board.machine)?;
    let said = u_boot.ask("version")?;
    ensure!(said.contains("U-Boot 20"), "{said}");
    let said = u_boot.ask("setenv autoload no; dhcp")?;
    ensure!(said.contains("DHCP client bound to address 10.0.2.15"), "{said}");
    for (load, bytes) in [
        (format!("tftpboot 1000000 {PAYLOAD}"), payload(0x40_1234)),
        ("load mmc 1:1 1000000 on-card".to_owned(), on_card),
    ] {
        let loaded = u_boot.ask(&load)?;
        let said = u_boot.ask("crc32 1000000 ${filesize}")?;
        ensure!(said.contains(&format!("==> {:08x}", crc32(&bytes))), "{loaded}{said}");
    }
    let refusals = network.refusals()?;
    ensure!(refusals.is_empty(), "{refusals:?}");
    Ok(())
}

#[test]
fn linux_boots_by_booti_with_the_variable_bootargs_and_its_ramdisk() -> Result<()> {
    let cache = cache()?;
    // The PL011 is its console: QEMU's mini UART keeps its interrupt raised for a native Linux.
    let script = format!(
        "tftpb ${{kernel_addr_r}} Image; tftpb ${{ramdisk_addr_r}} rootfs.cpio; tftpb ${{fdt_addr_r}} {TREE}\n\
         fdt addr ${{fdt_addr_r}}\nfdt rm /soc/serial@7e201000/bluetooth\n\
         setenv bootargs console=ttyAMA0,115200 clk_ignore_unused rdinit=/init \
         initcall_blacklist=brcmstb_l2_driver_init,brcm_pcie_driver_init,brcmstb_i2c_driver_init\n\
         booti ${{kernel_addr_r}} ${{ramdisk_addr_r}} ${{fdt_addr_r}}\n"
    );
    let network = Network::new()?
        .with("Image", &fs::read(packages::linux(&cache, Release::Bookworm)?.image)?)?
        .with("rootfs.cpio", &fs::read(ramdisk(&cache, Release::Bookworm)?)?)?
        .with(TREE, &fs::read(device_tree()?)?)?
        .with("boot.scr", &make_script(&script)?)?;
    let mut board = start(&network, SETTINGS, 7)?;
    // The usual address of a kernel is none at which it can run.
    board.says("kernel was moved from 0x80000 to ")?;
    board.says("The next line is the kernel's")?;
    board.machine.wait_for(Uart::Pl011, READY, LIMIT)?;
    Ok(())
}

#[test]
fn a_script_on_the_card_loads_everything_from_there() -> Result<()> {
    let dom0 = dom0()?;
    let text = config(&dom0)?.script().replace("tftpb ", "load ${devtype} ${devnum}:1 ");
    let tree = fs::read(device_tree()?)?;
    let card = Card::with(
        Kind::Small,
        &[
            ("boot/boot.scr", &make_script(&text)?),
            ("xen", fake_xen()?),
            ("Image-dom0", &dom0.kernel),
            ("rootfs.cpio.gz", &dom0.ramdisk),
            (TREE, &tree),
        ],
    )?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        Ok(())
    })?;
    board.says("boot/boot.scr on the card")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn a_script_that_the_firmware_loaded_as_initramfs_is_run() -> Result<()> {
    let dom0 = dom0()?;
    let text = format!("dhcp 3000000 xen; {}", config(&dom0)?.script());
    let network = served(&dom0, "false\n")?;
    let mut board = start(&network, &make_script(&text)?, 8)?;
    board.says("Settings: boot.scr (initramfs).")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn a_script_that_dhcp_names_is_run_with_the_variables_of_its_lease() -> Result<()> {
    let dom0 = dom0()?;
    let text = config(&dom0)?.script();
    let network = served(&dom0, "false\n")?
        .with("pi/boot.scr.uimg", &make_script(&format!("echo from ${{serverip}} to ${{ipaddr}}\n{text}"))?)?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(Some("pi/boot.scr.uimg")), 9);
        Ok(())
    })?;
    board.says("Settings: pi/boot.scr.uimg.")?;
    board.says("from 10.0.2.2 to 10.0.2.15")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn a_program_in_an_image_of_mkimage_is_started_with_an_overlay_in_its_tree() -> Result<()> {
    let dom0 = dom0()?;
    let image = ["-A", "arm64", "-O", "linux", "-T", "kernel", "-C", "none", "-a", "0x80000", "-e", "0x80000"];
    let image = made("mkimage", &[&image[..], &["-d", "in", "out"]].concat(), &[("in", fake_xen()?)])?;
    let overlay = make_overlay(OVERLAY)?;
    let text = Config { overlays: &[File::new("test.dtbo", &overlay)], ..config(&dom0)? }
        .script()
        .replace("tftpb 0x1400000 xen", "tftpb 0x1c00000 uImage")
        .replace("booti 0x1400000", "bootm 0x1c00000");
    let network = served(&dom0, &text)?.with("uImage", &image)?.with("test.dtbo", &overlay)?;
    let mut board = start(&network, SETTINGS, 13)?;
    let report = board.report()?;
    report.says("/chosen:from-an-overlay = \"applied\"")?;
    dom0.is_in(&report)
}

#[test]
fn a_fit_image_of_mkimage_has_the_script_and_every_file_that_it_places() -> Result<()> {
    let dom0 = dom0()?;
    // As ImageBuilder writes it with FIT, the script in the same image.
    let mut script = "fit_addr=$fileaddr\n".to_owned() + &config(&dom0)?.script();
    let tree = fs::read(device_tree()?)?;
    let parts: [(&str, &str, &[u8]); 4] = [
        ("dom0_linux", "Image-dom0", &dom0.kernel),
        ("dom0_ramdisk", "rootfs.cpio.gz", &dom0.ramdisk),
        ("host_kernel", "xen", fake_xen()?),
        ("host_fdt", TREE, &tree),
    ];
    for (name, file, _) in parts {
        let load = script.lines().find(|line| line.starts_with("tftpb") && line.ends_with(file));
        let load = load.context("a file that is not loaded")?.to_owned();
        let address = load.split(' ').nth(1).context("no address")?;
        script = script.replace(&load, &format!("imxtract $fit_addr {name} {address}"));
    }
    let parts = [&[("boot_scr", "boot.source", script.as_bytes())], &parts[..]].concat();
    let image = |(name, file, _): &(&str, &str, &[u8])| {
        let kind = if *name == "boot_scr" { "script" } else { "firmware" };
        format!(
            "{name} {{ description = \"{name}\"; data = /incbin/(\"{file}\"); type = \"{kind}\"; arch = \"arm64\"; os = \"linux\"; \
             compression = \"none\"; hash-1 {{ algo = \"sha256\"; }}; }};\n"
        )
    };
    let images: String = parts.iter().map(image).collect();
    let source = format!(
        "/dts-v1/; / {{ description = \"files\"; #address-cells = <1>; images {{ {images} }}; configurations {{ }}; }};"
    );
    let mut inputs: Vec<(&str, &[u8])> = parts.iter().map(|(_, file, bytes)| (*file, *bytes)).collect();
    inputs.push(("fit.its", source.as_bytes()));
    let fit = made("mkimage", &["-f", "fit.its", "out"], &inputs)?;
    let network = served(&dom0, "tftpb 9000000 boot.fit\nsource ${fileaddr}:boot_scr\n")?.with("boot.fit", &fit)?;
    let mut board = start(&network, SETTINGS, 14)?;
    dom0.is_in(&board.report()?)?;

    // A byte of the kernel in it is another one.
    let mut damaged = fit;
    let at = damaged.windows(64).position(|bytes| bytes == &dom0.kernel[0x1000..0x1040]).context("no kernel")?;
    damaged[at] ^= 1;
    let network = served(&dom0, "tftpb 9000000 boot.fit\nsource ${fileaddr}:boot_scr\n")?.with("boot.fit", &damaged)?;
    let mut board = start(&network, SETTINGS, 15)?;
    board.says("dom0_linux of the FIT image is damaged: sha256 ")?;
    board.says("old was not booted: ")?;
    Ok(())
}

#[test]
fn a_menu_goes_on_to_the_label_that_starts_and_applies_its_overlay() -> Result<()> {
    let overlay = make_overlay(OVERLAY)?;
    let menu = format!(
        "DEFAULT gone\nLABEL good\n  LINUX /xen\n  FDT /{TREE}\n  FDTOVERLAYS /none.dtbo /test.dtbo\nLABEL gone\n  LINUX /gone\n"
    );
    let tree = fs::read(device_tree()?)?;
    let card = Card::with(
        Kind::Small,
        &[(TREE, &tree), ("xen", fake_xen()?), ("test.dtbo", &overlay), ("extlinux/extlinux.conf", menu.as_bytes())],
    )?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        Ok(())
    })?;
    board.says("the next label is tried")?;
    board.says("overlay /none.dtbo is left out: ")?;
    board.report()?.says("/chosen:from-an-overlay = \"applied\"")
}

#[test]
fn the_server_and_the_address_of_the_settings_hold_for_their_script() -> Result<()> {
    let dom0 = dom0()?;
    let text = config(&dom0)?.script();
    let told = "echo ${ipaddr} ${netmask} ${gatewayip} ${serverip} end\n";
    let served = served(&dom0, &format!("{told}{text}"))?;
    let server = atftpd(&served.served(), &[])?;
    for (seed, (network, expected)) in [
        ("", "10.0.2.15 255.255.255.0 10.0.2.2 10.0.2.2 end"),
        ("address = \"10.0.2.40/25\"\ngateway = \"10.0.2.3\"\n", "10.0.2.40 255.255.255.128 10.0.2.3 10.0.2.2 end"),
    ]
    .into_iter()
    .enumerate()
    {
        let port = server.address.port();
        let settings = format!(
            "timeout = 0\n[network]\n{network}server = \"10.0.2.2:{port}\"\n[[entry]]\nname = \"old\"\nscript = \"boot.scr\"\n"
        );
        // What DHCP names has none of it.
        let network = Network::new()?;
        let mut board = start(&network, settings.as_bytes(), 30 + seed as u64)?;
        board.says(expected)?;
        dom0.is_in(&board.report()?)?;
    }
    Ok(())
}

#[test]
fn ping_reaches_the_host_and_nobody_where_nobody_is() -> Result<()> {
    let script = "setenv ipaddr 10.0.2.15; setenv netmask 255.255.255.0\nif ping 10.0.2.2; then echo it is there; fi\n\
                  ping 10.0.2.99 || echo nobody there\n";
    let network = Network::new()?.with("boot.scr", &make_script(script)?)?;
    let mut board = start(&network, SETTINGS, 10)?;
    board.says("it is there")?;
    board.says("nobody there")?;
    Ok(())
}

#[test]
fn a_boot_that_is_refused_leaves_everything_for_the_next() -> Result<()> {
    let dom0 = dom0()?;
    let good = config(&dom0)?.script();
    // Dom0's kernel is the ramdisk at first, which Xen would stop over.
    let wrong = good
        .replace("reg <0x0 0xE00000", "reg <0x0 0x1200000")
        .replace("booti 0x1400000 - 0x1600000", "booti 0x1400000 - 0x1600000 || echo refused");
    let right =
        format!("fdt set /chosen/dom0 reg <0x0 0xE00000 0x0 {:#x}>\nbooti 0x1400000 - 0x1600000\n", dom0.kernel.len());
    let network = served(&dom0, &(wrong + &right))?;
    let mut board = start(&network, SETTINGS, 11)?;
    board.says("Dom0 kernel")?;
    board.says("refused")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn the_firmwares_tree_can_be_edited_and_booted_where_it_lies() -> Result<()> {
    let dom0 = dom0()?;
    let text = config(&dom0)?
        .script()
        .replace(&format!("tftpb 0x1600000 {TREE}\n"), "")
        .replace("fdt addr 0x1600000", "fdt addr ${fdt_addr}")
        .replace("booti 0x1400000 - 0x1600000", "booti 0x1400000 - ${fdt_addr}");
    let network = served(&dom0, &text)?;
    let mut board = start(&network, SETTINGS, 12)?;
    board.says("from the firmware")?;
    let report = board.report()?;
    dom0.is_in(&report)?;
    // The settings were the firmware's initramfs, which Xen would take for another ramdisk of Dom0's.
    ensure!(!report.0.contains("linux,initrd"), "{}", report.0);
    Ok(())
}
