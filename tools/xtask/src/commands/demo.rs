//! `cargo xtask demo`: the main job. Debian's Xen, kernel and a ramdisk, booted by the loader to a Dom0 shell on the emulated board.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bundle;
use crate::cache::Cache;
use crate::emulator::{Emulator, Machine, Uart};
use crate::loader::{self, workspace};
use crate::packages::{self, Release};
use crate::process::announce;
use crate::ramdisk::{READY, ramdisk};
use crate::serve;
use crate::terminal;
use crate::toolchain::Toolchain;

/// The settings of the demonstration, as a user would write them.
const SETTINGS: &str = include_str!("demo.toml");

/// The tree of the board that the emulator is.
pub const TREE: &str = "bcm2711-rpi-4-b.dtb";

/// Where the servers of the demonstration listen.
pub(super) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How long Dom0 may take to come up. It takes about 8 s on two idle cores.
const BOOT: Duration = Duration::from_secs(180);

/// Boots and leaves the user at Dom0's shell; with `check` ends at Dom0's marker, and fails without it. With `bundle` from one file
/// on a stock emulator instead of over the network.
pub fn run(cache: &Cache, check: bool, bundle: bool) -> Result<()> {
    let emulator = if bundle { Emulator::find(cache)? } else { Emulator::with_ethernet(cache)? };
    let loader = loader::build(&Toolchain::find(cache)?)?;
    loader::announce_product(&loader);
    let directory = workspace().join("target/demo");
    prepare(cache, Release::Bookworm, &directory)?;

    let mut command = emulator.board();
    command.arg("-kernel").arg(&loader.bin).arg("-dtb").arg(directory.join(TREE));
    if bundle {
        let file = workspace().join("target/demo.cpio");
        fs::write(&file, bundle::of_directory(&directory)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        command.arg("-initrd").arg(file);
    } else {
        connect(&mut command, &directory)?;
    }
    if !check {
        return terminal::run(&mut command, &[]);
    }
    let mut board = Machine::start(command)?;
    board.wait_for(Uart::Mini, READY, BOOT)?;
    println!("{}", board.transcript(Uart::Mini));
    announce(&format!("Dom0 is ready after {:.1} s", board.elapsed().as_secs_f32()));
    Ok(())
}

/// Puts the board on a network whose DHCP server is the emulator's, with the settings on the emulator's own TFTP server, and the files
/// on one with windows that is started here: the two places that a real network would have.
fn connect(command: &mut Command, directory: &Path) -> Result<()> {
    let port = free_port()?;
    serve::start_tftp(directory, LOOPBACK, port)?;
    announce(&format!("serving {} by TFTP, with windows, on {LOOPBACK}:{port}", directory.display()));
    let near = workspace().join("target/demo-settings");
    let settings = near.join("xenlift/default.toml");
    fs::create_dir_all(near.join("xenlift")).with_context(|| format!("cannot create {}", near.display()))?;
    let text = SETTINGS.replace("[[entry]]", &format!("[network]\nserver = \"10.0.2.2:{port}\"\n\n[[entry]]"));
    fs::write(&settings, text).with_context(|| format!("cannot write {}", settings.display()))?;
    command.arg("-netdev").arg(user_network(&near)).args(["-net", "nic,netdev=n"]);
    Ok(())
}

/// The emulator's user-mode network with `directory` on its TFTP server.
pub fn user_network(directory: &Path) -> String {
    // A comma in an option is written twice.
    format!("user,id=n,tftp={}", directory.display().to_string().replace(',', ",,"))
}

/// A UDP port that nobody listens on at this moment.
pub(super) fn free_port() -> Result<u16> {
    let socket = UdpSocket::bind((LOOPBACK, 0)).context("cannot open a UDP port on the loopback interface")?;
    Ok(socket.local_addr().context("a UDP socket has no address")?.port())
}

/// Fills `directory` with the settings and the files they name, and the board's tree.
pub fn prepare(cache: &Cache, release: Release, directory: &Path) -> Result<()> {
    let linux = packages::linux(cache, release)?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let settings = directory.join("loader.toml");
    fs::write(&settings, SETTINGS).with_context(|| format!("cannot write {}", settings.display()))?;
    for (from, name) in [
        (packages::xen(cache, release)?, "xen"),
        (linux.image, "Image-dom0"),
        (ramdisk(cache, release)?, "rootfs.cpio"),
        (linux.device_trees.join(TREE), TREE),
    ] {
        copy(&from, &directory.join(name))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(|_| ()).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_what_the_loader_takes() {
        let settings = xenlift::config::settings::parse(SETTINGS.as_bytes()).unwrap();
        assert_eq!(settings.default_entry().unwrap().name, "xen");
    }
}
