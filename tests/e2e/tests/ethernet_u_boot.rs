//! The emulated Ethernet is not stricter than silicon: Debian's unmodified U-Boot, known to work there, passes on it, from any start values.

use std::time::Duration;

use anyhow::Result;
use xenlift_e2e::ethernet::{Network, PAYLOAD, crc32, payload};
use xenlift_e2e::u_boot::UBoot;
use xenlift_e2e::{cache, emulator_with_ethernet};

const SIZE: usize = 24 << 20;

fn u_boot(network: &Network, seed: u64) -> Result<UBoot> {
    let mut command = UBoot::board(&emulator_with_ethernet(&cache()?)?)?;
    network.attach(&mut command, seed);
    UBoot::start(command)
}

#[test]
fn u_boot_gets_a_lease_and_fetches_24_mib_intact() -> Result<()> {
    let network = Network::with_payload(SIZE)?;
    let mut board = u_boot(&network, 1)?;
    let said = board.ask("setenv autoload no; dhcp")?;
    assert!(said.contains("DHCP client bound to address 10.0.2.15"), "{said}");
    // Twice: the second start of the driver finds indices that are not where the first one began.
    for address in ["0x1000000", "0x4000000"] {
        let said = board.ask(&format!("tftpboot {address} {PAYLOAD}"))?;
        assert!(said.contains("Bytes transferred = 25165824 (1800000 hex)"), "{said}");
        let said = board.ask(&format!("crc32 {address} ${{filesize}}"))?;
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
        board.ask("setenv autoload no; dhcp")?;
        let said = board.ask(&format!("tftpboot 0x1000000 {PAYLOAD}"))?;
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
    let said = board.ask("setenv autoload no; dhcp")?;
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
    let said = board.ask("setenv autoload no; dhcp")?;
    assert!(!said.contains("DHCP client bound"), "{said}");
    network.set_link(true)?;
    let said = board.ask("dhcp")?;
    assert!(said.contains("DHCP client bound to address 10.0.2.15"), "{said}");
    assert_eq!(network.refusals()?, [""; 0]);
    Ok(())
}
