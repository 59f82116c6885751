//! The TFTP servers of [`xtask::servers`] on the loopback interface, from the cache alone.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
pub use xtask::servers::Server;
use xtask::servers::TFTP_PORT;

use crate::cache;

/// A port of the loopback address that was free a moment ago.
pub fn free_port() -> Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(socket.local_addr().context("no free port")?.port())
}

fn free_address() -> Result<SocketAddrV4> {
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port()?))
}

/// tftpd-hpa, showing `directory`.
pub fn tftpd_hpa(directory: &Path, options: &[&str]) -> Result<Server> {
    xtask::servers::tftpd_hpa(&cache()?, directory, free_address()?, options)
}

/// atftpd, showing `directory`.
pub fn atftpd(directory: &Path, options: &[&str]) -> Result<Server> {
    xtask::servers::atftpd(&cache()?, directory, free_address()?, options)
}

/// dnsmasq, whose TFTP has port 69 and no other, at 127.0.69.`host`, showing `directory`.
pub fn dnsmasq(directory: &Path, host: u8, options: &[&str]) -> Result<Server> {
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 0, 69, host), TFTP_PORT);
    xtask::servers::dnsmasq(&cache()?, directory, address, options)
}

/// BusyBox's, showing `directory`.
pub fn busybox(directory: &Path) -> Result<Server> {
    xtask::servers::busybox(&cache()?, directory, free_address()?)
}

/// Runs `body` where port 69 may be opened: here, or in a network namespace of its own, in which this test starts again.
pub fn where_port_69_is_free(test: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    let bound = UdpSocket::bind((Ipv4Addr::new(127, 0, 69, 254), 69));
    if bound.err().is_none_or(|error| error.kind() != ErrorKind::PermissionDenied) {
        return body();
    }
    let script = "ip link set lo up && exec \"$0\" \"$@\"";
    let again = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", script]).arg(again).args(["--exact", test, "--nocapture"]);
    let status = command.status().context("`unshare` is missing: install util-linux")?;
    if !status.success() {
        bail!(
            "`{command:?}` failed: {status}. It needs unprivileged user namespaces and `ip` (iproute2), or run it as root"
        );
    }
    Ok(())
}
