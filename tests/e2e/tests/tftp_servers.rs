//! The TFTP client against the servers that people run: tftpd-hpa, atftpd and dnsmasq, unmodified, over the loopback interface.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../loopback/mod.rs"]
mod loopback;

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use loopback::{fetch, fetch_with_losses, file, free_port, local};
use xenlift::net::tftp::{Error, Parameters};
use xenlift_e2e::{cache, packages};

/// A file for each length at which a block, or the file, ends in another way.
const LENGTHS: [usize; 9] = [0, 1, 511, 512, 1468, 1468 * 3, 1468 * 64, 1_500_000, 4_300_000];

/// A server that runs until it is dropped.
struct Server {
    process: Child,
    address: SocketAddrV4,
    /// What comes before a file's name in a request.
    prefix: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Fetches every file, twice, and one that is not there.
    fn is_read_whole(&self, granted_window: u16) {
        for _ in 0..2 {
            for length in LENGTHS {
                let fetched = fetch(self.address, &self.path(&length.to_string()), Parameters::default()).unwrap();
                assert!(fetched.bytes == file(length), "{length} bytes differ");
                assert_eq!((fetched.client.window(), fetched.client.block_size()), (granted_window, 1468));
                assert_eq!(fetched.client.size().unwrap_or(0), length as u64);
            }
        }
        let error = fetch(self.address, &self.path("nothing"), Parameters::default()).err();
        assert!(matches!(error, Some(Error::Server { code: 1, .. })), "{error:?}");
    }

    /// Fetches more blocks than there are numbers.
    fn rolls_over(&self, window: u16) {
        // atftpd refuses blocks in which its confirmation of the options has no room.
        let parameters = Parameters { block_size: 64, window, ..Parameters::default() };
        let fetched = fetch(self.address, &self.path("4300000"), parameters).unwrap();
        assert!(fetched.bytes == file(4_300_000));
        assert!(fetched.client.counts().blocks > 65_536);
    }

    /// Fetches a file of some hundred blocks, of which some do not arrive.
    fn survives_losses(&self) {
        let patience = Duration::from_secs(60);
        for window in [1, 8, 64] {
            let parameters = Parameters { window, patience, block_size: 512 };
            let fetched = fetch_with_losses(self.address, &self.path("93952"), parameters, 15).unwrap();
            assert!(fetched.bytes == file(93_952), "window {window}");
            assert!(fetched.client.counts().losses > 0, "window {window}: nothing was lost");
        }
    }
}

/// A directory with the files, which anybody may read.
fn directory(name: &str) -> Result<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory)?;
    for length in LENGTHS {
        fs::write(directory.join(length.to_string()), file(length))?;
    }
    Ok(directory)
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

fn tftpd_hpa(name: &str, options: &[&str]) -> Result<Server> {
    let directory = directory(name)?;
    let address = local(free_port());
    let program = packages::server(&cache()?, packages::Server::TftpdHpa)?.command();
    let mut command = as_root(program)?;
    command.args(["--foreground", "--listen", "--address", &address.to_string(), "--user", "root"]);
    command.args(options).arg(&directory);
    // Without a change of root, which not everybody may do, it wants whole paths.
    start(command, address, format!("{}/", directory.display()))
}

fn atftpd(name: &str, options: &[&str]) -> Result<Server> {
    let directory = directory(name)?;
    let address = local(free_port());
    let mut command = packages::server(&cache()?, packages::Server::Atftpd)?.command();
    let port = address.port().to_string();
    command.args(["--daemon", "--no-fork", "--bind-address", "127.0.0.1", "--port", &port]);
    command.args(["--user", &format!("{}.{}", own_name("-un")?, own_name("-gn")?)]);
    command.args(options).arg(&directory);
    start(command, address, String::new())
}

/// dnsmasq's TFTP has port 69 and no other.
fn dnsmasq(name: &str, host: u8, options: &[&str]) -> Result<Server> {
    let directory = directory(name)?;
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 0, 69, host), 69);
    let mut command = packages::server(&cache()?, packages::Server::Dnsmasq)?.command();
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces", "--enable-tftp"]);
    command.arg(format!("--listen-address={}", address.ip())).arg(format!("--tftp-root={}", directory.display()));
    command.arg(format!("--user={}", own_name("-un")?)).arg("--pid-file=").args(options);
    start(command, address, String::new())
}

/// Runs `body` where port 69 may be opened: here, or in a network namespace of its own, in which this test starts again.
fn where_port_69_is_free(test: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
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

#[test]
fn tftpd_hpa_serves_files_of_every_awkward_length() -> Result<()> {
    tftpd_hpa("hpa", &[])?.is_read_whole(1);
    Ok(())
}

#[test]
fn tftpd_hpa_may_refuse_options() -> Result<()> {
    let server = tftpd_hpa("hpa-refuses", &["--refuse", "blksize", "--refuse", "tsize", "--refuse", "timeout"])?;
    for length in LENGTHS {
        let fetched = fetch(server.address, &server.path(&length.to_string()), Parameters::default())?;
        assert!(fetched.bytes == file(length), "{length} bytes differ");
        assert_eq!((fetched.client.size(), fetched.client.block_size()), (None, 512));
    }
    Ok(())
}

#[test]
fn tftpd_hpa_rolls_over_and_survives_losses() -> Result<()> {
    let server = tftpd_hpa("hpa-losses", &[])?;
    server.rolls_over(1);
    server.survives_losses();
    Ok(())
}

#[test]
fn atftpd_serves_files_of_every_awkward_length_in_windows() -> Result<()> {
    atftpd("atftpd", &[])?.is_read_whole(64);
    Ok(())
}

#[test]
fn atftpd_without_options_serves_plain_blocks() -> Result<()> {
    let server = atftpd("atftpd-plain", &["--no-blksize", "--no-tsize", "--no-timeout", "--no-windowsize"])?;
    for length in LENGTHS {
        let fetched = fetch(server.address, &server.path(&length.to_string()), Parameters::default())?;
        assert!(fetched.bytes == file(length), "{length} bytes differ");
        assert_eq!((fetched.client.window(), fetched.client.block_size()), (1, 512));
    }
    Ok(())
}

#[test]
fn atftpd_rolls_over_and_survives_losses() -> Result<()> {
    let server = atftpd("atftpd-losses", &[])?;
    server.rolls_over(1);
    server.rolls_over(64);
    server.survives_losses();
    Ok(())
}

#[test]
fn dnsmasq_serves_files_of_every_awkward_length() -> Result<()> {
    where_port_69_is_free("dnsmasq_serves_files_of_every_awkward_length", || {
        dnsmasq("dnsmasq", 1, &[])?.is_read_whole(1);
        Ok(())
    })
}

#[test]
fn dnsmasq_rolls_over_and_survives_losses() -> Result<()> {
    where_port_69_is_free("dnsmasq_rolls_over_and_survives_losses", || {
        let server = dnsmasq("dnsmasq-losses", 3, &[])?;
        server.rolls_over(1);
        server.survives_losses();
        Ok(())
    })
}
