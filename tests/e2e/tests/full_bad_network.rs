//! Trouble on the network: each is told in a line that says what failed and what to look at, and the board comes up by itself, or at a
//! key, once the trouble is over.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use xenlift_e2e::boot::{Board, Dom0, LIMIT, fake_xen};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::relay::Relay;
use xenlift_e2e::servers::free_port;
use xenlift_e2e::{Uart, cache, emulator_with_ethernet};
use xtask::serve::start_tftp;

const SETTINGS: &str = "xenlift/default.toml";

/// An entry for the payload in Xen's place.
fn entry(name: &str, kernel: &str, ramdisk: &str, more: &str) -> String {
    format!(
        "[[entry]]\nname = \"{name}\"\ndevice-tree = \"firmware\"\n{more}\n[entry.xen]\nimage = \"xen\"\n\
         args = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"{kernel}\"\nramdisk = \"{ramdisk}\"\nargs = \"console=hvc0\"\n"
    )
}

fn good() -> String {
    format!("timeout = 0\n{}", entry("good", "kernel", "ramdisk", ""))
}

fn dom0() -> Result<Dom0> {
    Dom0::new(0x4_5679)
}

/// A server of the files that such an entry names.
fn served(dom0: &Dom0) -> Result<Network> {
    Network::new()?.with("xen", fake_xen()?)?.with("kernel", &dom0.kernel)?.with("ramdisk", &dom0.ramdisk)
}

/// A board on QEMU's own network, before its first instruction if `held`.
fn start(network: &Network, held: bool) -> Result<Board> {
    start_on(network, &network.user(None), held)
}

fn start_on(network: &Network, netdev: &str, held: bool) -> Result<Board> {
    Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, netdev, 1);
        if held {
            command.arg("-S");
        }
        Ok(())
    })
}

#[test]
fn files_that_the_server_lacks_or_memory_cannot_hold_are_told_and_the_fallback_boots() -> Result<()> {
    let dom0 = dom0()?;
    let text = format!(
        "timeout = 0\ndefault = \"absent\"\n{}{}{}",
        entry("absent", "kernal", "ramdisk", "fallback = \"large\""),
        entry("large", "kernel", "huge", "fallback = \"good\""),
        entry("good", "kernel", "ramdisk", "")
    );
    let network = served(&dom0)?.with(SETTINGS, text.as_bytes())?;
    let huge = File::create(network.served().join("huge")).context("cannot create a file")?;
    huge.set_len(1_900_000_000).context("no sparse files here")?;
    let mut board = start(&network, false)?;
    let said = board.line("absent was not booted: ")?;
    ensure!(said.starts_with("Dom0 kernel (kernal): file not found on the server (TFTP error 1: "), "{said}");
    let said = board.line("large was not booted: ")?;
    let expected = "Dom0 ramdisk (huge): no room for Dom0 ramdisk: 1900000000 bytes aligned to 0x1000, the largest free block has ";
    ensure!(said.starts_with(expected), "{said}");
    dom0.is_in(&board.report()?)
}

#[test]
fn without_settings_on_the_server_the_names_that_were_tried_are_told_and_a_key_tries_again() -> Result<()> {
    let dom0 = dom0()?;
    let network = served(&dom0)?;
    let mut board = start(&network, false)?;
    let said = board.line("No settings: ")?;
    let expected = "the TFTP server 10.0.2.2:69 has none of xenlift/";
    ensure!(said.starts_with(expected) && said.contains("xenlift/default.toml"), "{said}");
    board.says("Any key: now.")?;
    let _network = network.with(SETTINGS, good().as_bytes())?;
    board.press(" ")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn settings_of_100_megabytes_on_the_server_are_refused_by_their_size() -> Result<()> {
    let network = Network::new()?.with(SETTINGS, b"")?;
    let huge = File::create(network.served().join(SETTINGS)).context("cannot create a file")?;
    huge.set_len(100_000_000).context("no sparse files here")?;
    let mut board = start(&network, false)?;
    let said = board.line("No settings: ")?;
    ensure!(said.starts_with("xenlift/default.toml: ") && said.contains("100000000 bytes"), "{said}");
    board.says("Starting over in 5 s.")?;
    Ok(())
}

#[test]
fn a_server_that_nobody_runs_is_told_with_its_address_and_port() -> Result<()> {
    let port = free_port()?;
    let text = format!("{}[network]\nserver = \"10.0.2.2:{port}\"\n", good());
    let network = Network::new()?.with(SETTINGS, text.as_bytes())?;
    let mut board = start(&network, false)?;
    let said = board.line("good was not booted: ")?;
    let expected = format!("Xen (xen): no answer from 10.0.2.2:{port} in ");
    ensure!(said.starts_with(&expected) && said.contains(" s: does a TFTP server run there"), "{said}");
    board.says("Starting over in 5 s.")?;
    Ok(())
}

/// A network whose files come through a relay that falls silent after `packets` packets.
fn relayed(dom0: &Dom0, packets: i64, settings: &str) -> Result<(Network, Network, Relay)> {
    let served = served(dom0)?;
    let port = free_port()?;
    start_tftp(&served.served(), IpAddr::V4(Ipv4Addr::LOCALHOST), port)?;
    let relay = Relay::before(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), packets)?;
    let text = format!("{settings}[network]\nserver = \"10.0.2.2:{}\"\n", relay.port);
    let network = Network::new()?.with(SETTINGS, text.as_bytes())?;
    Ok((network, served, relay))
}

#[test]
fn a_server_that_falls_silent_in_the_middle_and_comes_back_serves_every_byte() -> Result<()> {
    let dom0 = dom0()?;
    let (network, _served, relay) = relayed(&dom0, 800, &good())?;
    let mut board = start(&network, false)?;
    let said = board.line("kernel: 10.0.2.2:")?;
    ensure!(said.contains(" fell silent for 15 s after ") && said.ends_with("; trying again."), "{said}");
    ensure!(relay.is_silent(), "the relay let everything pass: {said}");
    relay.speak();
    dom0.is_in(&board.report()?)
}

#[test]
fn whoever_watches_at_a_terminal_sees_a_bar_stand_still_with_its_losses_and_go_on() -> Result<()> {
    let dom0 = dom0()?;
    let settings = format!("timeout = \"never\"\n{}", entry("good", "kernel", "ramdisk", ""));
    let (network, _served, relay) = relayed(&dom0, 800, &settings)?;
    let mut board = start(&network, false)?;
    board.says("\x1b[6n")?;
    board.press("\x1b[24;80R")?;
    board.says("r: reload")?;
    board.press("\r")?;
    let said = board.says(" sent again")?;
    ensure!(said.contains("\rkernel [#") && said.contains(" % ") && said.contains(" lost  "), "{said:?}");
    relay.speak();
    // The bar goes, and a line of each file stays, in the order of the settings.
    let said = board.says("\x1b[Jxen: ")?;
    ensure!(!said.contains('\n'), "{said:?}");
    board.says("kernel: 2797859 bytes in ")?;
    board.says("The next line is Xen's.")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn a_link_that_is_lost_in_the_middle_of_a_file_and_returns_costs_no_byte() -> Result<()> {
    let dom0 = dom0()?;
    let (network, _served, relay) = relayed(&dom0, 800, &good())?;
    let mut board = start(&network, false)?;
    board.says("link is up")?;
    // Silence, so that the cable is pulled in the middle of the kernel and not behind its end.
    while !relay.is_silent() {
        ensure!(board.machine.elapsed() < LIMIT, "the fetch did not begin:\n{}", board.machine.transcript(Uart::Mini));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    network.set_link(false)?;
    board.says("link is down.")?;
    relay.speak();
    network.set_link(true)?;
    board.says("link is up")?;
    dom0.is_in(&board.report()?)
}

#[test]
fn without_a_link_at_start_it_says_so_and_boots_once_the_cable_is_in() -> Result<()> {
    let dom0 = dom0()?;
    let network = served(&dom0)?.with(SETTINGS, good().as_bytes())?;
    let mut board = start(&network, true)?;
    let mut qmp = network.qmp()?;
    qmp.set_link("net", false)?;
    qmp.go_on()?;
    let said = board.line("No settings: ")?;
    let expected = " s: is the cable plugged in at both ends, and is the switch's port on?";
    ensure!(said.starts_with("no link in ") && said.ends_with(expected), "{said:?}, expected {expected:?}");
    board.says("Any key: now.")?;
    qmp.set_link("net", true)?;
    // Nobody is there to press a key.
    dom0.is_in(&board.report()?)
}

#[test]
fn without_a_dhcp_server_it_says_how_long_it_asked_and_what_to_do() -> Result<()> {
    let network = Network::new()?;
    // A hub without anybody else.
    let mut board = start_on(&network, "hubport,id=net,hubid=9", false)?;
    let said = board.line("No settings: ")?;
    for part in [
        "no lease: no DHCP server answered in ",
        " s; link is up, 1000 Mb/s, 0 frames received.",
        "goes into [network]",
    ] {
        ensure!(said.contains(part), "no {part:?} in {said}");
    }
    board.says("Starting over in 5 s.")?;
    Ok(())
}

#[test]
fn control_c_ends_a_wait_and_r_resets() -> Result<()> {
    let network = Network::new()?;
    let mut board = start_on(&network, "hubport,id=net,hubid=9", false)?;
    board.says("link is up")?;
    board.press("\x03")?;
    let said = board.line("No settings: ")?;
    ensure!(said == "given up at the console", "{said}");
    board.says("R: reset.")?;
    board.press("R")?;
    board.machine.wait_for_end(LIMIT).map(|_| ())
}

#[test]
fn without_a_tree_in_x0_there_is_no_network_and_the_console_says_why() -> Result<()> {
    let network = Network::new()?;
    let emulator = emulator_with_ethernet(&cache()?)?;
    let mut board = Board::start_with_tree(&emulator, None, None, |command| {
        network.attach_as(command, &network.user(None), 1);
        Ok(())
    })?;
    // Without a tree to tell, the console is the PL011.
    let said = board.machine.wait_for(Uart::Pl011, "Starting over in 5 s.", LIMIT)?;
    for expected in
        ["no tree: x0 = 0x100", "No settings: no network: there is no device tree to name an Ethernet controller"]
    {
        ensure!(said.contains(expected), "no {expected:?} in {said}");
    }
    Ok(())
}
