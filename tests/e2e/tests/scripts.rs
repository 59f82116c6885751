//! U-Boot's scripts, run by the loader: to the payload in Xen's place, which says what it was given, and to real programs.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xenlift_e2e::boot::{Board, LIMIT, Report, TREE, device_tree, fake_xen, kernel, pattern};
use xenlift_e2e::card::{Card, Controller, Kind};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::scripts::make;
use xenlift_e2e::servers::atftpd;
use xenlift_e2e::{Release, Uart, cache, emulator_with_ethernet, packages};
use xtask::ramdisk::{READY, ramdisk};

/// Settings with one entry, a script on the server.
const SETTINGS: &[u8] = b"timeout = 0\n[[entry]]\nname = \"old\"\nscript = \"boot.scr\"\n";

/// A board with `network`, on which `initramfs` is what the firmware loaded.
fn start(network: &Network, initramfs: &[u8], seed: u64) -> Result<Board> {
    Board::start(&emulator_with_ethernet(&cache()?)?, Some(initramfs), |command| {
        network.attach_as(command, &network.user(None), seed);
        Ok(())
    })
}

struct Files {
    kernel: Vec<u8>,
    ramdisk: Vec<u8>,
}

impl Files {
    fn new() -> Result<Self> {
        Ok(Self { kernel: kernel(0x2a_b123)?, ramdisk: pattern(0x4_5679) })
    }

    /// A network on which these are, the payload and the tree, with a script.
    fn on_server(&self, script: &str) -> Result<Network> {
        let tree = fs::read(device_tree()?)?;
        Network::new()?
            .with("xen", fake_xen()?)?
            .with("Image-dom0", &self.kernel)?
            .with("rootfs.cpio.gz", &self.ramdisk)?
            .with(TREE, &tree)?
            .with("boot.scr", &make(script)?)
    }

    /// Every byte of both is there.
    fn are_in(&self, report: &Report) -> Result<()> {
        report.has_module(&self.kernel)?;
        report.has_module(&self.ramdisk)
    }
}

/// What ImageBuilder 2023.2 writes for Dom0 with a ramdisk, for files of these sizes.
fn image_builder(kernel: usize, ramdisk: usize) -> String {
    format!(
        r#"tftpb 0xE00000 Image-dom0
tftpb 0x1600000 rootfs.cpio.gz
tftpb 0x1800000 xen
tftpb 0x1a00000 {TREE}
fdt addr 0x1a00000
fdt resize 1024
fdt set /chosen \#address-cells <0x2>
fdt set /chosen \#size-cells <0x2>
fdt set /chosen xen,xen-bootargs "console=dtuart dtuart=serial1 dom0_mem=256M dom0_max_vcpus=1 bootscrub=0 vwfi=native sched=null   "
fdt mknod /chosen dom0
fdt set /chosen/dom0 compatible  "xen,linux-zimage" "xen,multiboot-module" "multiboot,module"
fdt set /chosen/dom0 reg <0x0 0xE00000 0x0 {kernel:#X} >
fdt set /chosen xen,dom0-bootargs "console=hvc0 earlycon=xen earlyprintk=xen clk_ignore_unused root=/dev/ram0"
fdt mknod /chosen dom0-ramdisk
fdt set /chosen/dom0-ramdisk compatible  "xen,linux-initrd" "xen,multiboot-module" "multiboot,module"
fdt set /chosen/dom0-ramdisk reg <0x0 0x1600000 0x0 {ramdisk:#X} >
setenv fdt_high 0xffffffffffffffff
booti 0x1800000 - 0x1a00000
"#
    )
    .replace("0X", "0x")
}

#[test]
fn what_image_builder_writes_boots_with_every_byte_in_place() -> Result<()> {
    let files = Files::new()?;
    let network = files.on_server(&image_builder(files.kernel.len(), files.ramdisk.len()))?;
    let mut board = start(&network, SETTINGS, 1)?;
    board.says("Running boot.scr.")?;
    let report = board.report()?;
    files.are_in(&report)?;
    // Where the script says, and nowhere else.
    for text in ["0xe00000", "0x1600000", "/chosen:xen,dom0-bootargs = \"console=hvc0 earlycon=xen"] {
        report.says(text)?;
    }
    ensure!(network.refusals()?.is_empty());
    Ok(())
}

#[test]
fn sizes_that_a_script_computes_on_the_board_are_right() -> Result<()> {
    let files = Files::new()?;
    let module = |name: &str, kind: &str| {
        format!(
            "setexpr addr_hi ${{{name}_addr}} / 0x100000000\nsetexpr addr_lo ${{{name}_addr}} \\& 0xFFFFFFFF\n\
             setexpr size_hi ${{{name}_size}} / 0x100000000\nsetexpr size_lo ${{{name}_size}} \\& 0xFFFFFFFF\n\
             fdt mknod /chosen {name}@${{{name}_addr}}\n\
             fdt set /chosen/{name}@${{{name}_addr}} compatible \"{kind}\" \"xen,multiboot-module\" \"multiboot,module\"\n\
             fdt set /chosen/{name}@${{{name}_addr}} reg <0x${{addr_hi}} 0x${{addr_lo}} 0x${{size_hi}} 0x${{size_lo}}>\n"
        )
    };
    let load = |file: &str, name: &str| {
        format!(
            "tftpb ${{memaddr}} {file}\nsetenv {name}_addr ${{memaddr}}\nsetenv {name}_size ${{filesize}}\n\
             setexpr memaddr ${{memaddr}} \\+ ${{filesize}}\nsetexpr memaddr ${{memaddr}} \\+ 0x1FFFFF\n\
             setexpr memaddr ${{memaddr}} \\& 0xFFFFFFFFFFE00000\n"
        )
    };
    let script = [
        "setenv memaddr 0xE00000\n".to_owned(),
        load("Image-dom0", "dom0_linux"),
        load("rootfs.cpio.gz", "dom0_ramdisk"),
        load("xen", "host_kernel"),
        load(TREE, "host_fdt"),
        "fdt addr ${host_fdt_addr}\nfdt resize 1024\nfdt set /chosen \\#address-cells <0x2>\n\
         fdt set /chosen \\#size-cells <0x2>\nfdt set /chosen xen,xen-bootargs \"dom0_mem=256M\"\n\
         fdt set /chosen xen,dom0-bootargs \"console=hvc0\"\n"
            .to_owned(),
        module("dom0_linux", "xen,linux-zimage"),
        module("dom0_ramdisk", "xen,linux-initrd"),
        "booti ${host_kernel_addr} - ${host_fdt_addr}\n".to_owned(),
    ]
    .concat();
    let network = files.on_server(&script)?;
    let mut board = start(&network, SETTINGS, 2)?;
    files.are_in(&board.report()?)
}

#[test]
fn a_program_is_moved_where_something_lies_in_the_memory_that_it_will_use() -> Result<()> {
    let files = Files::new()?;
    // The tree right behind Xen's file, in what will be its .bss; the kernel where 2 MiB are not met.
    let text = image_builder(files.kernel.len(), files.ramdisk.len()).replace("0x1800000", "0x1810000");
    let network = files.on_server(&text)?;
    let mut board = start(&network, SETTINGS, 3)?;
    board.says("Xen was moved from 0x1810000 to ")?;
    files.are_in(&board.report()?)
}

#[test]
fn every_mistake_of_a_script_is_told_with_its_line_and_the_board_goes_on() -> Result<()> {
    let cut = {
        let mut bytes = make("echo whole")?;
        *bytes.last_mut().context("an empty script")? ^= 1;
        bytes
    };
    let cut_xen = fs::read(packages::xen(&cache()?, Release::Bookworm)?)?;
    let cut_xen = cut_xen.get(..0x1_0000).context("a short Xen")?;
    let scripts: [(&str, Vec<u8>, &str); 7] = [
        ("crc", cut, "CRC"),
        ("unknown", make("echo one\ntftpbot 0x1000000 xen\n")?, "tftpboot"),
        ("unterminated", make("if test a = a; then\necho never\n")?, "fi"),
        ("itself", make("source ${scriptaddr}\n")?, "does one run itself?"),
        ("missing", make("echo here\ntftpb 0x1000000 nowhere\n")?, "nowhere"),
        (
            "cut",
            make(&format!("tftpb 0x1800000 xen-cut; tftpb 0x1a00000 {TREE}; booti 0x1800000 - 0x1a00000\n"))?,
            "xen-cut: cut off: 65536 bytes, its headers say at least ",
        ),
        ("page0", make("tftpb 0x100 xen\n")?, "page 0 is at 0x00000000-0x00000fff"),
    ];
    let mut settings = "timeout = 0\n".to_owned();
    let mut network = Files::new()?.on_server("echo the last script\n")?.with("xen-cut", cut_xen)?;
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
    let network = Files::new()?.on_server("echo looping\nwhile true; do sleep 0.1; done\necho never\n")?;
    let mut board = start(&network, SETTINGS, 5)?;
    board.says("looping")?;
    board.press("\x03")?;
    let said = board.says("old was not booted: interrupted by Ctrl-C")?;
    ensure!(!said.contains("never"), "{said}");
    Ok(())
}

#[test]
fn another_u_boot_can_be_started_as_a_safety_net() -> Result<()> {
    let u_boot = fs::read(packages::u_boot(&cache()?)?)?;
    let script = "tftpb 80000 u-boot.bin\ngo 80000\n";
    let network = Network::new()?.with("u-boot.bin", &u_boot)?.with("boot.scr", &make(script)?)?;
    let mut board = start(&network, SETTINGS, 6)?;
    board.says("Jumping to 0x80000")?;
    board.says("stop autoboot")?;
    board.press("\r")?;
    board.says("U-Boot> ")?;
    board.press("version\r")?;
    board.says("U-Boot 20")?;
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
        .with("boot.scr", &make(&script)?)?;
    let mut board = start(&network, SETTINGS, 7)?;
    // The usual address of a kernel is none at which it can run.
    board.says("kernel was moved from 0x80000 to ")?;
    board.says("The next line is the kernel's")?;
    board.machine.wait_for(Uart::Pl011, READY, LIMIT)?;
    Ok(())
}

#[test]
fn a_script_on_the_card_loads_everything_from_there() -> Result<()> {
    let files = Files::new()?;
    let text = image_builder(files.kernel.len(), files.ramdisk.len()).replace("tftpb ", "load ${devtype} ${devnum}:1 ");
    let tree = fs::read(device_tree()?)?;
    let card = Card::with(
        Kind::Small,
        &[
            ("boot/boot.scr", &make(&text)?),
            ("xen", fake_xen()?),
            ("Image-dom0", &files.kernel),
            ("rootfs.cpio.gz", &files.ramdisk),
            (TREE, &tree),
        ],
    )?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        card.attach(command, Controller::Emmc2);
        Ok(())
    })?;
    board.says("boot/boot.scr on the card")?;
    files.are_in(&board.report()?)
}

#[test]
fn a_script_that_the_firmware_loaded_as_initramfs_is_run() -> Result<()> {
    let files = Files::new()?;
    let text = format!("dhcp 3000000 xen; {}", image_builder(files.kernel.len(), files.ramdisk.len()));
    let network = files.on_server("false\n")?;
    let mut board = start(&network, &make(&text)?, 8)?;
    board.says("Settings: boot.scr (initramfs).")?;
    files.are_in(&board.report()?)
}

#[test]
fn a_script_that_dhcp_names_is_run_with_the_variables_of_its_lease() -> Result<()> {
    let files = Files::new()?;
    let text = image_builder(files.kernel.len(), files.ramdisk.len());
    let network = files
        .on_server("false\n")?
        .with("pi/boot.scr.uimg", &make(&format!("echo from ${{serverip}} to ${{ipaddr}}\n{text}"))?)?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(Some("pi/boot.scr.uimg")), 9);
        Ok(())
    })?;
    board.says("Settings: pi/boot.scr.uimg.")?;
    board.says("from 10.0.2.2 to 10.0.2.15")?;
    files.are_in(&board.report()?)
}

/// What a program makes of `input`, a file `in` in a directory of its own, as the file `out`.
fn made(program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("in"), input)?;
    let output = Command::new(program).args(arguments).current_dir(directory.path()).output();
    let output = output.with_context(|| format!("{program} does not start"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    fs::read(directory.path().join("out")).context("nothing was made")
}

#[test]
fn a_program_in_an_image_of_mkimage_is_started_with_an_overlay_in_its_tree() -> Result<()> {
    let files = Files::new()?;
    let image = ["-A", "arm64", "-O", "linux", "-T", "kernel", "-C", "none", "-a", "0x80000", "-e", "0x80000"];
    let image = made("mkimage", &[&image[..], &["-d", "in", "out"]].concat(), fake_xen()?)?;
    let overlay = "/dts-v1/; /plugin/; &{/chosen} { from-an-overlay = \"applied\"; };";
    let overlay = made("dtc", &["-@", "-O", "dtb", "-o", "out", "in"], overlay.as_bytes())?;
    let text = image_builder(files.kernel.len(), files.ramdisk.len())
        .replace("fdt resize 1024\n", "fdt resize 1024\ntftpb 0x1c00000 test.dtbo\nfdt apply 0x1c00000\n")
        .replace("tftpb 0x1800000 xen", "tftpb 0x1900000 uImage")
        .replace("booti 0x1800000", "bootm 0x1900000");
    let network = files.on_server(&text)?.with("uImage", &image)?.with("test.dtbo", &overlay)?;
    let mut board = start(&network, SETTINGS, 13)?;
    let report = board.report()?;
    report.says("/chosen:from-an-overlay = \"applied\"")?;
    files.are_in(&report)
}

#[test]
fn a_menu_goes_on_to_the_label_that_starts_and_applies_its_overlay() -> Result<()> {
    let overlay = "/dts-v1/; /plugin/; &{/chosen} { from-an-overlay = \"applied\"; };";
    let overlay = made("dtc", &["-@", "-O", "dtb", "-o", "out", "in"], overlay.as_bytes())?;
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
    let files = Files::new()?;
    let text = image_builder(files.kernel.len(), files.ramdisk.len());
    let told = "echo ${ipaddr} ${netmask} ${gatewayip} ${serverip} end\n";
    let served = files.on_server(&format!("{told}{text}"))?;
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
        files.are_in(&board.report()?)?;
    }
    Ok(())
}

#[test]
fn ping_reaches_the_host_and_nobody_where_nobody_is() -> Result<()> {
    let script = "setenv ipaddr 10.0.2.15; setenv netmask 255.255.255.0\nif ping 10.0.2.2; then echo it is there; fi\n\
                  ping 10.0.2.99 || echo nobody there\n";
    let network = Network::new()?.with("boot.scr", &make(script)?)?;
    let mut board = start(&network, SETTINGS, 10)?;
    board.says("it is there")?;
    board.says("nobody there")?;
    Ok(())
}

#[test]
fn a_boot_that_is_refused_leaves_everything_for_the_next() -> Result<()> {
    let files = Files::new()?;
    let good = image_builder(files.kernel.len(), files.ramdisk.len());
    // Dom0's kernel is the ramdisk at first, which Xen would stop over.
    let wrong = good
        .replace("reg <0x0 0xE00000", "reg <0x0 0x1600000")
        .replace("booti 0x1800000 - 0x1a00000", "booti 0x1800000 - 0x1a00000 || echo refused");
    let right =
        format!("fdt set /chosen/dom0 reg <0x0 0xE00000 0x0 {:#x}>\nbooti 0x1800000 - 0x1a00000\n", files.kernel.len());
    let network = files.on_server(&(wrong + &right))?;
    let mut board = start(&network, SETTINGS, 11)?;
    board.says("Dom0 kernel")?;
    board.says("refused")?;
    files.are_in(&board.report()?)
}

#[test]
fn the_firmwares_tree_can_be_edited_and_booted_where_it_lies() -> Result<()> {
    let files = Files::new()?;
    let text = image_builder(files.kernel.len(), files.ramdisk.len())
        .replace(&format!("tftpb 0x1a00000 {TREE}\n"), "")
        .replace("fdt addr 0x1a00000", "fdt addr ${fdt_addr}")
        .replace("booti 0x1800000 - 0x1a00000", "booti 0x1800000 - ${fdt_addr}");
    let network = files.on_server(&text)?;
    let mut board = start(&network, SETTINGS, 12)?;
    board.says("from the firmware")?;
    let report = board.report()?;
    files.are_in(&report)?;
    // The settings were the firmware's initramfs, which Xen would take for another ramdisk of Dom0's.
    ensure!(!report.0.contains("linux,initrd"), "{}", report.0);
    Ok(())
}
