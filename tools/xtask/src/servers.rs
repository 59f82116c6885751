//! The TFTP servers that people run, unmodified: tftpd-hpa, atftpd, dnsmasq and BusyBox's, each showing one directory at a given address.

use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cache::Cache;
use crate::{busybox_build, packages};

/// The one port of dnsmasq's TFTP, and the usual one of all.
pub const TFTP_PORT: u16 = 69;

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
        // Both fail only if it has ended already.
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

/// The name and group of whoever runs this, as whom the servers then run, too.
fn own_name(option: &str) -> Result<String> {
    let output = Command::new("id").arg(option).output().context("`id` is missing: install coreutils")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// tftpd-hpa insists on setting its groups, BusyBox's server on a root of its own; both want root: the real one, or one of a user namespace (util-linux and uidmap).
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
    // What a server that cannot start says is shown with the failure of whoever wanted it.
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let process = process.with_context(|| format!("cannot start {command:?}"))?;
    Ok(Server { process, address, prefix })
}

/// tftpd-hpa, showing `directory`.
pub fn tftpd_hpa(cache: &Cache, directory: &Path, address: SocketAddrV4, options: &[&str]) -> Result<Server> {
    let program = packages::server(cache, packages::Server::TftpdHpa)?.command();
    let mut command = as_root(program)?;
    command.args(["--foreground", "--listen", "--address", &address.to_string(), "--user", "root"]);
    command.args(options).arg(directory);
    // Without a change of root, which not everybody may do, it wants whole paths.
    start(command, address, format!("{}/", directory.display()))
}

/// atftpd, showing `directory`.
pub fn atftpd(cache: &Cache, directory: &Path, address: SocketAddrV4, options: &[&str]) -> Result<Server> {
    let mut command = packages::server(cache, packages::Server::Atftpd)?.command();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    command.args(["--daemon", "--no-fork", "--bind-address", &host, "--port", &port]);
    command.args(["--user", &format!("{}.{}", own_name("-un")?, own_name("-gn")?)]);
    command.args(options).arg(directory);
    start(command, address, String::new())
}

/// dnsmasq, whose TFTP has [`TFTP_PORT`] and no other, showing `directory`.
pub fn dnsmasq(cache: &Cache, directory: &Path, address: SocketAddrV4, options: &[&str]) -> Result<Server> {
    ensure!(address.port() == TFTP_PORT, "dnsmasq serves TFTP on port {TFTP_PORT} only, not {}", address.port());
    let mut command = packages::server(cache, packages::Server::Dnsmasq)?.command();
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces", "--enable-tftp"]);
    command.arg(format!("--listen-address={}", address.ip())).arg(format!("--tftp-root={}", directory.display()));
    command.arg(format!("--user={}", own_name("-un")?)).arg("--pid-file=").args(options);
    start(command, address, String::new())
}

/// BusyBox's, showing `directory`: started by its `udpsvd` for each client anew, as inetd would.
pub fn busybox(cache: &Cache, directory: &Path, address: SocketAddrV4) -> Result<Server> {
    let program = busybox_build::busybox(cache)?;
    let mut command = as_root(Command::new(&program))?;
    command.args(["udpsvd", "-E", &address.ip().to_string(), &address.port().to_string()]);
    command.arg(program).args(["tftpd", "-r"]).arg(directory);
    start(command, address, String::new())
}
