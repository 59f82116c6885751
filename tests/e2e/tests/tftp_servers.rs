//! The TFTP client against the servers that people run: tftpd-hpa, atftpd, dnsmasq and BusyBox's, unmodified, over the loopback interface.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../../loopback/mod.rs"]
mod loopback;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use loopback::{fetch, fetch_with_losses, file};
use xenlift::net::tftp::{Error, Parameters};
use xenlift_e2e::servers::{self, where_port_69_is_free};

/// A file for each length at which a block, or the file, ends in another way.
const LENGTHS: [usize; 9] = [0, 1, 511, 512, 1468, 1468 * 3, 1468 * 64, 1_500_000, 4_300_000];

/// A server with the files.
struct Server(servers::Server);

impl Server {
    fn path(&self, name: &str) -> String {
        self.0.path(name)
    }

    /// Fetches every file, twice, and one that is not there.
    fn is_read_whole(&self, granted_window: u16) {
        for _ in 0..2 {
            for length in LENGTHS {
                let fetched = fetch(self.0.address, &self.path(&length.to_string()), Parameters::default()).unwrap();
                assert!(fetched.bytes == file(length), "{length} bytes differ");
                assert_eq!((fetched.client.window(), fetched.client.block_size()), (granted_window, 1468));
                assert_eq!(fetched.client.size().unwrap_or(0), length as u64);
            }
        }
        let error = fetch(self.0.address, &self.path("nothing"), Parameters::default()).err();
        assert!(matches!(error, Some(Error::Server { code: 1, .. })), "{error:?}");
    }

    /// Fetches more blocks than there are numbers.
    fn rolls_over(&self, window: u16) {
        // atftpd refuses blocks in which its confirmation of the options has no room.
        let parameters = Parameters { block_size: 64, window, ..Parameters::default() };
        let fetched = fetch(self.0.address, &self.path("4300000"), parameters).unwrap();
        assert!(fetched.bytes == file(4_300_000));
        assert!(fetched.client.counts().blocks > 65_536);
    }

    /// Fetches a file of some hundred blocks, of which some do not arrive.
    fn survives_losses(&self) {
        let patience = Duration::from_secs(60);
        for window in [1, 8, 64] {
            let parameters = Parameters { window, patience, block_size: 512, ..Parameters::default() };
            let fetched = fetch_with_losses(self.0.address, &self.path("93952"), parameters, 15).unwrap();
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

fn tftpd_hpa(name: &str, options: &[&str]) -> Result<Server> {
    servers::tftpd_hpa(&directory(name)?, options).map(Server)
}

fn atftpd(name: &str, options: &[&str]) -> Result<Server> {
    servers::atftpd(&directory(name)?, options).map(Server)
}

fn busybox(name: &str) -> Result<Server> {
    servers::busybox(&directory(name)?).map(Server)
}

fn dnsmasq(name: &str, host: u8, options: &[&str]) -> Result<Server> {
    servers::dnsmasq(&directory(name)?, host, options).map(Server)
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
        let fetched = fetch(server.0.address, &server.path(&length.to_string()), Parameters::default())?;
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
        let fetched = fetch(server.0.address, &server.path(&length.to_string()), Parameters::default())?;
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
fn busybox_serves_files_of_every_awkward_length() -> Result<()> {
    busybox("busybox")?.is_read_whole(1);
    Ok(())
}

#[test]
fn busybox_rolls_over_and_survives_losses() -> Result<()> {
    let server = busybox("busybox-losses")?;
    server.rolls_over(1);
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
