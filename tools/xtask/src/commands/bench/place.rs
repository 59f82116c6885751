//! A network of this command's own, where port 69 is free.
//!
//! U-Boot fetches from port 69 and from no other, and QEMU's own server has that port at the address that the board takes for the host's. Every other
//! server so needs an address of its own that both loaders reach: not a loopback address, which no loader should fetch from, and none of
//! the machine's networks. So the command starts again in a network namespace with nothing in it but its loopback interface, which has
//! addresses of the range that is set aside for measurements (RFC 2544, appendix C.2.2). QEMU passes on whatever the board sends there.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::servers::TFTP_PORT;

/// Set in the namespace, so that a failure there does not start it over and over.
const INSIDE: &str = "XENLIFT_BENCH_NAMESPACE";

/// What has to be done in the namespace before the command starts again.
const ENTER: &str = "ip link set lo up && ip address add 198.18.0.0/16 dev lo && exec \"$0\" \"$@\"";

/// The address of the server with that number, from 1.
pub const fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 69, number)
}

/// Goes on only where servers can be started at [`address`]; elsewhere this program starts again where they can be, and this does not return.
///
/// Nothing can be fetched from there: whatever is needed must be in the cache.
pub fn enter() -> Result<()> {
    let error = match UdpSocket::bind((address(254), TFTP_PORT)) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    if std::env::var_os(INSIDE).is_some() {
        bail!("no server can listen on {}:{TFTP_PORT} in a network namespace of its own: {error}", address(254));
    }
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new("unshare");
    if !is_root()? {
        command.arg("--map-root-user");
    }
    command.args(["--net", "sh", "-c", ENTER]).arg(program).args(std::env::args_os().skip(1)).env(INSIDE, "1");
    let error = command.exec();
    Err(anyhow!(error).context("cannot start `unshare`: install util-linux"))
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("`id` is missing: install coreutils")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
