//! The emulated Ethernet is not stricter than silicon: Debian's unmodified U-Boot, known to work there, passes on it, from any start values.

use std::time::Duration;

use anyhow::Result;
use xenlift_e2e::ethernet::{Network, PAYLOAD, crc32, payload};
use xenlift_e2e::{Machine, Release, Uart, cache, emulator_with_ethernet, packages};

const SIZE: usize = 24 << 20;
const START: Duration = Duration::from_secs(90);
/// Generous: the machine may be busy with other tests.
const COMMAND: Duration = Duration::from_secs(180);
const PROMPT: &str = "U-Boot> ";

fn u_boot(network: &Network, seed: u64) -> Result<Machine> {
    let cache = cache()?;
    let tree = packages::linux(&cache, Release::Bookworm)?.device_trees.join("bcm2711-rpi-4-b.dtb");
    let mut command = emulator_with_ethernet(&cache)?.board();
    command.arg("-kernel").arg(packages::u_boot(&cache)?).arg("-dtb").arg(tree);
    network.attach(&mut command, seed);
    let mut board = Machine::start(command)?;
    board.wait_for(Uart::Mini, "stop autoboot", START)?;
    board.send(Uart::Mini, "\r")?;
    board.wait_for(Uart::Mini, PROMPT, START)?;
    Ok(board)
}

fn command(board: &mut Machine, line: &str) -> Result<String> {
    board.send(Uart::Mini, &format!("{line}\r"))?;
    board.wait_for(Uart::Mini, PROMPT, COMMAND)
}

#[test]
fn u_boot_gets_a_lease_and_fetches_24_mib_intact() -> Result<()> {
    let network = Network::with_payload(SIZE)?;
    let mut board = u_boot(&network, 1)?;
    let said = command(&mut board, "setenv autoload no; dhcp")?;
    assert!(said.contains("DHCP client bound to address 10.0.2.15"), "{said}");
    // Twice: the second start of the driver finds indices that are not where the first one began.
    for address in ["0x1000000", "0x4000000"] {
        let said = command(&mut board, &format!("tftpboot {address} {PAYLOAD}"))?;
        assert!(said.contains("Bytes transferred = 25165824 (1800000 hex)"), "{said}");
        let said = command(&mut board, &format!("crc32 {address} ${{filesize}}"))?;
        assert!(said.contains(&format!("==> {:08x}", crc32(&payload(SIZE)))), "{said}");
    }
    assert_eq!(network.refusals()?, [""; 0]);
    // Nor is this refused, but a kernel would find it: U-Boot clears DMA_EN alone, never flushes, and goes by the other recipe of delays.
    let left = [
        "a ring is enabled in RDMA_CTRL",
        "a ring is enabled in TDMA_CTRL",
        "RBUF was not flushed after the receiver was last on",
        "ID_MODE_DIS is set in EXT_RGMII_OOB_CTRL",
    ];
    if let Some(told) = network.left_running()? {
        assert_eq!(told, left);
    }
    Ok(())
}

#[test]
fn u_boot_passes_from_other_start_values() -> Result<()> {
    for seed in [2, 3, 4] {
        let network = Network::with_payload(1 << 20)?;
        let mut board = u_boot(&network, seed)?;
        command(&mut board, "setenv autoload no; dhcp")?;
        let said = command(&mut board, &format!("tftpboot 0x1000000 {PAYLOAD}"))?;
        assert!(said.contains("Bytes transferred = 1048576"), "seed {seed}: {said}");
        assert_eq!(network.refusals()?, [""; 0], "seed {seed}");
    }
    Ok(())
}

/// A fact for whoever measures: U-Boot resets the PHY while it probes its drivers, so it waits for a whole negotiation however long ago power came,
/// and its two seconds of countdown are a part of that.
#[test]
fn u_boot_negotiates_again_on_a_board_that_has_had_power_for_long() -> Result<()> {
    let network = Network::with_payload(1 << 20)?.powered_for(Duration::from_secs(60));
    let mut board = u_boot(&network, 1)?;
    let said = command(&mut board, "setenv autoload no; dhcp")?;
    assert!(said.contains("DHCP client bound to address 10.0.2.15"), "{said}");
    assert!(said.contains("Waiting for PHY auto negotiation to complete"), "{said}");
    assert_eq!(network.refusals()?, [""; 0]);
    Ok(())
}

#[test]
fn pulling_the_cable_reaches_the_phy() -> Result<()> {
    let network = Network::with_payload(1 << 20)?;
    let mut board = u_boot(&network, 1)?;
    network.set_link(false)?;
    let said = command(&mut board, "setenv autoload no; dhcp")?;
    assert!(!said.contains("DHCP client bound"), "{said}");
    network.set_link(true)?;
    let said = command(&mut board, "dhcp")?;
    assert!(said.contains("DHCP client bound to address 10.0.2.15"), "{said}");
    assert_eq!(network.refusals()?, [""; 0]);
    Ok(())
}
