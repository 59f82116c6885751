//! The TFTP servers that people run, unmodified: tftpd-hpa, atftpd and dnsmasq, each showing one directory on the loopback interface.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{cache, packages};

/// A server that runs until it is dropped.
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddrV4,
    /// What comes before a file's name in a request.
    pub prefix: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// The name by which it is asked for the file `name` of its directory.
    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// A port of the loopback address that was free a moment ago.
pub fn free_port() -> Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(socket.local_addr().context("no free port")?.port())
}

fn free_address() -> Result<SocketAddrV4> {
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port()?))
}

/// The name and group of whoever runs the test, as whom the servers then run, too.
fn own_name(option: &str) -> Result<String> {
    let output = Command::new("id").arg(option).output().context("`id` is missing: install coreutils")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// tftpd-hpa insists on setting its groups, which wants root: the real one, or one of a user namespace (util-linux and uidmap).
fn as_root(program: Command) -> Result<Command> {
    if own_name("-u")? == "0" {
        return Ok(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--map-auto"]).arg(program.get_program());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ok(command)
}

fn start(mut command: Command, address: SocketAddrV4, prefix: String) -> Result<Server> {
    // What a server that cannot start says is shown with the test's failure.
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let process = process.with_context(|| format!("cannot start {command:?}"))?;
    Ok(Server { process, address, prefix })
}

/// tftpd-hpa, showing `directory`.
pub fn tftpd_hpa(directory: &Path, options: &[&str]) -> Result<Server> {
    let address = free_address()?;
    let program = packages::server(&cache()?, packages::Server::TftpdHpa)?.command();
    let mut command = as_root(program)?;
    command.args(["--foreground", "--listen", "--address", &address.to_string(), "--user", "root"]);
    command.args(options).arg(directory);
    // Without a change of root, which not everybody may do, it wants whole paths.
    start(command, address, format!("{}/", directory.display()))
}

/// atftpd, showing `directory`.
pub fn atftpd(directory: &Path, options: &[&str]) -> Result<Server> {
    let address = free_address()?;
    let mut command = packages::server(&cache()?, packages::Server::Atftpd)?.command();
    let port = address.port().to_string();
    command.args(["--daemon", "--no-fork", "--bind-address", "127.0.0.1", "--port", &port]);
    command.args(["--user", &format!("{}.{}", own_name("-un")?, own_name("-gn")?)]);
    command.args(options).arg(directory);
    start(command, address, String::new())
}

/// dnsmasq, whose TFTP has port 69 and no other, at 127.0.69.`host`, showing `directory`.
pub fn dnsmasq(directory: &Path, host: u8, options: &[&str]) -> Result<Server> {
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 0, 69, host), 69);
    let mut command = packages::server(&cache()?, packages::Server::Dnsmasq)?.command();
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces", "--enable-tftp"]);
    command.arg(format!("--listen-address={}", address.ip())).arg(format!("--tftp-root={}", directory.display()));
    command.arg(format!("--user={}", own_name("-un")?)).arg("--pid-file=").args(options);
    start(command, address, String::new())
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
