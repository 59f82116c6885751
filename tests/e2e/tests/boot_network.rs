//! Booting over the network: an address by DHCP, settings and files by TFTP, through the emulated board's Ethernet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use xenlift_e2e::boot::{Board, Dom0, Report, TREE, device_tree, fake_xen, gzip, kernel, sha256};
use xenlift_e2e::ethernet::{Network, payload};
use xenlift_e2e::relay::Relay;
use xenlift_e2e::servers::{self, where_port_69_is_free};
use xenlift_e2e::{Release, cache, emulator_with_ethernet, packages};
use xtask::ramdisk::{READY, ramdisk};
use xtask::serve::start_tftp;

/// Where the board looks for settings if nothing else is said.
const SETTINGS: &str = "xenlift/default.toml";

/// `TX_EN` and `RX_EN` of UMAC_CMD, and DMA_CTRL in both directions, in which a bit enables the DMA and one each ring.
const UMAC_CMD: u64 = 0xfd58_0808;
const RDMA_CTRL: u64 = 0xfd58_3044;
const TDMA_CTRL: u64 = 0xfd58_5044;

/// Settings of an entry for the payload in Xen's place: the tree, and four files that come at once, in the directory `prefix`.
fn settings(network: &str, prefix: &str) -> String {
    format!(
        "timeout = 0\n{network}\n[[entry]]\nname = \"net\"\ndevice-tree = \"{prefix}{TREE}\"\n[entry.xen]\n\
         image = \"{prefix}xen\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"{prefix}kernel\"\n\
         ramdisk = \"{prefix}ramdisk\"\nargs = \"console=hvc0\"\n\
         [[entry.domu]]\nname = \"guest\"\nmemory = \"128M\"\nkernel = \"{prefix}guest\"\n"
    )
}

/// The files that such settings name.
struct Files {
    dom0: Dom0,
    guest: Vec<u8>,
}

impl Files {
    fn new() -> Result<Self> {
        Ok(Self { dom0: Dom0::new(0x14_5679)?, guest: kernel(0x1d_0001)? })
    }

    fn on(&self, network: Network) -> Result<Network> {
        let tree = std::fs::read(device_tree()?)?;
        network
            .with("xen", fake_xen()?)?
            .with("kernel", &self.dom0.kernel)?
            .with("ramdisk", &self.dom0.ramdisk)?
            .with("guest", &self.guest)?
            .with(TREE, &tree)
    }

    /// Every byte has come, and the tree from the server has what only the firmware knows.
    fn are_in(&self, report: &Report) -> Result<()> {
        self.dom0.is_in(report)?;
        report.has_module(&self.guest)
    }
}

/// Starts the loader on a board with `network`.
fn start(network: &Network, boot_file: Option<&str>, seed: u64) -> Result<Board> {
    Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(boot_file), seed);
        Ok(())
    })
}

/// Nothing moves frames or memory any more, and the controller was never used as silicon does not bear.
fn is_silent(network: &Network) -> Result<()> {
    let mut qmp = network.qmp()?;
    for (name, address, bits) in [("UMAC_CMD", UMAC_CMD, 3), ("RDMA_CTRL", RDMA_CTRL, !0), ("TDMA_CTRL", TDMA_CTRL, !0)]
    {
        let value = qmp.register(address)?;
        ensure!(value & bits == 0, "{name} is {value:#x} after the hand-off");
    }
    // One at a time may ask.
    drop(qmp);
    let left = network.left_running()?.unwrap_or_default();
    ensure!(left.is_empty(), "after the hand-off: {left:?}");
    let refusals = network.refusals()?;
    ensure!(refusals.is_empty(), "{refusals:?}");
    Ok(())
}

/// Boots with settings from QEMU's own server and files from another one at `server`.
fn from_server(files: &Files, server: SocketAddr, prefix: &str, seed: u64) -> Result<()> {
    let text = settings(&format!("[network]\nserver = \"{server}\""), prefix);
    let network = Network::new()?.with(SETTINGS, text.as_bytes())?;
    let mut board = start(&network, None, seed)?;
    let report = board.report()?;
    files.are_in(&report)?;
    is_silent(&network)
}

/// A server at a port of the host's loopback address, as the board sees it.
fn seen_from_board(port: u16) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 2, 2), port).into()
}

#[test]
fn everything_comes_from_the_server_that_dhcp_names_and_ethernet_is_silent_after_the_hand_off() -> Result<()> {
    let files = Files::new()?;
    let network = files.on(Network::new()?)?.with(SETTINGS, settings("", "").as_bytes())?;
    let mut board = start(&network, None, 1)?;
    board.says("10.0.2.15/24 from 10.0.2.2")?;
    board.says("Settings: xenlift/default.toml.")?;
    let report = board.report()?;
    files.are_in(&report)?;
    report.says("/chosen:xen,xen-bootargs = \"")?;
    report.says("/chosen:xen,dom0-bootargs = \"console=hvc0\"")?;
    ensure!(!report.0.contains("linux,initrd"), "{}", report.0);
    is_silent(&network)
}

#[test]
fn a_boot_file_that_dhcp_names_is_the_settings() -> Result<()> {
    let files = Files::new()?;
    let wrong = b"[[entry]]\nname = \"wrong\"\n[entry.xen]\nimage = \"wrong\"\n";
    let network =
        files.on(Network::new()?)?.with("boards/one.toml", settings("", "").as_bytes())?.with(SETTINGS, wrong)?;
    let mut board = start(&network, Some("boards/one.toml"), 2)?;
    board.says("Settings: boards/one.toml.")?;
    files.are_in(&board.report()?)
}

#[test]
fn what_the_firmwares_command_line_says_needs_no_dhcp_and_wins_over_other_settings() -> Result<()> {
    let files = Files::new()?;
    let wrong = b"[[entry]]\nname = \"wrong\"\n[entry.xen]\nimage = \"wrong\"\n";
    let network =
        files.on(Network::new()?)?.with("boards/two.toml", settings("", "").as_bytes())?.with(SETTINGS, wrong)?;
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(None), 8);
        command.args([
            "-append",
            "8250.nr_uarts=1 xenlift.address=10.0.2.77/24 xenlift.server=10.0.2.2 xenlift.config=boards/two.toml",
        ]);
        Ok(())
    })?;
    let said = board.says("Settings: boards/two.toml.")?;
    ensure!(!said.contains("10.0.2.15"), "DHCP was asked: {said}");
    files.are_in(&board.report()?)
}

#[test]
fn a_server_with_windows_serves_every_byte() -> Result<()> {
    let files = Files::new()?;
    let served = files.on(Network::new()?)?;
    let port = servers::free_port()?;
    start_tftp(&served.served(), IpAddr::V4(Ipv4Addr::LOCALHOST), port)?;
    from_server(&files, seen_from_board(port), "", 3)
}

#[test]
fn tftpd_hpa_serves_every_byte() -> Result<()> {
    let files = Files::new()?;
    let served = files.on(Network::new()?)?;
    let server = servers::tftpd_hpa(&served.served(), &[])?;
    from_server(&files, seen_from_board(server.address.port()), &server.prefix, 4)
}

#[test]
fn atftpd_serves_every_byte() -> Result<()> {
    let files = Files::new()?;
    let served = files.on(Network::new()?)?;
    let server = servers::atftpd(&served.served(), &[])?;
    from_server(&files, seen_from_board(server.address.port()), &server.prefix, 5)
}

#[test]
fn busybox_serves_every_byte() -> Result<()> {
    let files = Files::new()?;
    let served = files.on(Network::new()?)?;
    let server = servers::busybox(&served.served())?;
    from_server(&files, seen_from_board(server.address.port()), &server.prefix, 9)
}

#[test]
fn dnsmasq_serves_every_byte() -> Result<()> {
    where_port_69_is_free("dnsmasq_serves_every_byte", || {
        let files = Files::new()?;
        let served = files.on(Network::new()?)?;
        let server = servers::dnsmasq(&served.served(), 7, &[])?;
        // The board sees of the host only 127.0.0.1, and port 69 there as QEMU's own server.
        let relay = Relay::before(server.address.into(), i64::MAX)?;
        from_server(&files, seen_from_board(relay.port), &server.prefix, 6)
    })
}

#[test]
fn packed_programs_are_unpacked_while_they_come() -> Result<()> {
    let files = Files::new()?;
    let (xen, packed_kernel) = (gzip(fake_xen()?)?, gzip(&files.dom0.kernel)?);
    let text = settings("", "")
        .replace("\"xen\"\nargs", &format!("{{ path = \"xen.gz\", sha256 = \"{}\" }}\nargs", sha256(&xen)))
        .replace("\"kernel\"", "\"kernel.gz\"");
    let network = files
        .on(Network::new()?)?
        .with("xen.gz", &xen)?
        .with("kernel.gz", &packed_kernel)?
        .with("guest", &gzip(&files.guest)?)?
        .with(SETTINGS, text.as_bytes())?;
    let mut board = start(&network, None, 10)?;
    let said = board.says("fake-xen: entered at ")?;
    for (name, packed) in [("xen.gz", &xen), ("kernel.gz", &packed_kernel)] {
        ensure!(said.contains(&format!("{name} (gzip, {} bytes)", packed.len())), "{said}");
    }
    let report = Report(board.says("fake-xen: end")?);
    files.are_in(&report)?;
    // What was left to do with a file after its last byte.
    for rest in ["xen.gz, SHA-256", "xen.gz, gunzip", "kernel.gz, gunzip", "guest, gunzip"] {
        report.says(&format!("\"{rest}\""))?;
    }
    is_silent(&network)
}

/// Bytes of what stays on a console, without what was gone over in its line: a file that takes long is shown there, and on a busy host all do.
fn bytes_left(said: &str) -> usize {
    let lines = said.split_inclusive('\n');
    lines.map(|line| line.len() - line.trim_end().rfind('\r').map_or(0, |end| end + 1)).sum()
}

#[test]
fn dom0_boots_with_few_words_and_its_own_driver_finds_ethernet_as_after_a_reset() -> Result<()> {
    const FETCHED: usize = 3 << 20;
    let cache = cache()?;
    let text = format!(
        "timeout = 0\n[[entry]]\nname = \"xen\"\ndevice-tree = \"{TREE}\"\n[entry.xen]\nimage = \"xen.gz\"\n\
         args = \"console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=512M dom0_max_vcpus=1 bootscrub=0\"\n\
         [entry.dom0]\nkernel = \"Image-dom0.gz\"\nramdisk = \"rootfs.cpio\"\n\
         args = \"console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0 dom0.modules=1 dom0.dhcp=1 \
         dom0.fetch=10.0.2.2:payload dom0.show=/proc/device-tree/chosen/xenlift/span-names \
         initcall_blacklist=brcmstb_l2_driver_init,brcm_pcie_driver_init,brcmstb_i2c_driver_init\"\n"
    );
    let mut network = Network::with_payload(FETCHED)?.with(SETTINGS, text.as_bytes())?;
    for (name, path) in [
        ("xen.gz", packages::xen(&cache, Release::Bookworm)?),
        ("Image-dom0.gz", packages::linux(&cache, Release::Bookworm)?.image),
        ("rootfs.cpio", ramdisk(&cache, Release::Bookworm)?),
        (TREE, device_tree()?),
    ] {
        let bytes = std::fs::read(path)?;
        network = network.with(name, &if name.ends_with(".gz") { gzip(&bytes)? } else { bytes })?;
    }
    let mut board = start(&network, None, 7)?;
    let said = board.says("(XEN) ")?;
    let ours = said.trim_end_matches("(XEN) ");
    let left = bytes_left(ours);
    ensure!(left <= 1500, "an unattended boot printed {left} bytes:\n{ours}");
    let said = board.says(READY)?;
    for expected in
        ["hypervisor: xen", "lease: 10.0.2.15/24", &format!("fetched: {} payload", sha256(&payload(FETCHED)))]
    {
        ensure!(said.contains(expected), "no {expected:?} in {said}");
    }
    // What Xen made of the tree still has what the loader measured.
    let spans = said.lines().find_map(|line| line.split_once("/chosen/xenlift/span-names: "));
    let (_, spans) = spans.with_context(|| format!("nothing of the loader's in Dom0's tree: {said}"))?;
    for file in ["xen.gz", "Image-dom0.gz", "rootfs.cpio"] {
        ensure!(spans.split_whitespace().any(|name| name == file), "no {file} in {spans}");
    }
    for rest in ["xen.gz, gunzip", "Image-dom0.gz, gunzip"] {
        ensure!(spans.contains(rest), "no {rest} in {spans}");
    }
    let refusals = network.refusals()?;
    ensure!(refusals.is_empty(), "{refusals:?}");
    Ok(())
}
