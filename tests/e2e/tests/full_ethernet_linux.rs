//! The emulated Ethernet is not stricter than silicon: Debian's unmodified Linux, with its own bcmgenet and Broadcom PHY modules, passes on it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use xenlift_e2e::ethernet::{Network, PAYLOAD};
use xenlift_e2e::{Machine, Release, Uart, cache, emulator_with_ethernet, packages};
use xtask::cache::file_sha256;
use xtask::{ramdisk, serve};

const SIZE: usize = 24 << 20;
/// Generous: four processors are emulated on a machine that may be busy with other tests.
const WHOLE_RUN: Duration = Duration::from_secs(420);
/// Drivers of devices that the emulated board lacks.
const NOT_THERE: &str = "initcall_blacklist=brcmstb_l2_driver_init,brcm_pcie_driver_init,brcmstb_i2c_driver_init";

#[test]
fn linux_6_1_gets_a_lease_and_fetches_24_mib_intact() -> Result<()> {
    let release = Release::Bookworm;
    let cache = cache()?;
    let network = Network::with_payload(SIZE)?;
    let file = network.served().join(PAYLOAD);
    // TCP has dozens of frames on their way at once, and Linux lets the controller sum them up in both directions.
    let port = serve::start_http(&network.served(), IpAddr::V4(Ipv4Addr::LOCALHOST), 0)?.port();
    let linux = packages::linux(&cache, release)?;
    let mut command = emulator_with_ethernet(&cache)?.board();
    let tree = network.served().join("tree.dtb");
    fs::copy(linux.device_trees.join("bcm2711-rpi-4-b.dtb"), &tree)?;
    // Without Bluetooth on it the PL011 is a console. The mini UART is none for a native Linux here: as soon as the 8250 driver takes its
    // interrupt, QEMU's keeps it raised on an idle machine, and the kernel does nothing else any more.
    let status = Command::new("fdtput").arg("-r").arg(&tree).arg("/soc/serial@7e201000/bluetooth").status()?;
    assert!(status.success(), "fdtput (package device-tree-compiler): {status}");
    command.arg("-kernel").arg(&linux.image).arg("-dtb").arg(&tree);
    command.arg("-initrd").arg(ramdisk::ramdisk(&cache, release)?);
    command.arg("-append").arg(format!(
        "console=ttyAMA0,115200 {NOT_THERE} clk_ignore_unused panic=-1 rdinit=/init \
         dom0.modules=1 dom0.dhcp=1 dom0.fetch=http://10.0.2.2:{port}/{PAYLOAD}"
    ));
    network.attach(&mut command, 1);

    let mut board = Machine::start(command)?;
    let said = board.wait_for(Uart::Pl011, ramdisk::READY, WHOLE_RUN)?;
    assert!(said.contains("lease: 10.0.2.15/24"), "{said}");
    assert!(said.contains(&format!("fetched: {}", file_sha256(&file)?)), "{said}");
    for complaint in ["hw csum failure", "transmit queue", "dma_flag", "oversized packet", "fragmented packet"] {
        assert!(!said.contains(complaint), "{said}");
    }
    assert_eq!(network.refusals()?, [""; 0]);
    Ok(())
}
