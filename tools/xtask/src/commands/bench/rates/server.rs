//! The servers that the rates are measured at.

use std::net::{IpAddr, SocketAddrV4};
use std::path::Path;

use anyhow::Result;

use super::super::place;
use crate::cache::Cache;
use crate::serve::start_tftp;
use crate::servers::{self, TFTP_PORT};

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// QEMU's own.
    Own,
    /// Debian's tftpd-hpa.
    TftpdHpa,
    /// Debian's dnsmasq.
    Dnsmasq,
    /// BusyBox's, compiled from Debian's source.
    Busybox,
    /// Debian's atftpd.
    Atftpd,
    /// That of `cargo xtask serve`.
    Serve,
}

/// A server that shows a directory.
pub struct Running {
    /// Ended when this is dropped, if it is another program.
    server: Option<servers::Server>,
    /// In front of its paths in a script: address and colon, or nothing for the one that DHCP names.
    before: String,
}

impl Running {
    /// What a script calls `file`.
    pub fn path(&self, file: &str) -> String {
        let path = self.server.as_ref().map_or_else(|| file.to_owned(), |server| server.path(file));
        format!("{}{path}", self.before)
    }
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Own, Self::TftpdHpa, Self::Dnsmasq, Self::Busybox, Self::Atftpd, Self::Serve];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "QEMU's own",
            Self::TftpdHpa => "tftpd-hpa",
            Self::Dnsmasq => "dnsmasq",
            Self::Busybox => "BusyBox",
            Self::Atftpd => "atftpd",
            Self::Serve => "cargo xtask serve",
        }
    }

    /// The windows in which it serves: one block where it knows no windows.
    pub fn windows(self) -> &'static [u16] {
        match self {
            Self::Own | Self::TftpdHpa | Self::Dnsmasq | Self::Busybox => &[1],
            Self::Atftpd | Self::Serve => &[1, 4, 16, 64, 192],
        }
    }

    /// Starts it, showing `directory`. One that is a part of this program goes on until it ends.
    pub fn start(self, cache: &Cache, directory: &Path) -> Result<Running> {
        let address = place::address(10 + self as u8);
        let socket = SocketAddrV4::new(address, TFTP_PORT);
        let before = format!("{address}:");
        let server = match self {
            Self::Own => return Ok(Running { server: None, before: String::new() }),
            Self::Serve => {
                start_tftp(directory, IpAddr::V4(address), TFTP_PORT)?;
                return Ok(Running { server: None, before });
            }
            Self::TftpdHpa => servers::tftpd_hpa(cache, directory, socket, &[])?,
            Self::Dnsmasq => servers::dnsmasq(cache, directory, socket, &[])?,
            Self::Busybox => servers::busybox(cache, directory, socket)?,
            Self::Atftpd => servers::atftpd(cache, directory, socket, &[])?,
        };
        Ok(Running { server: Some(server), before })
    }
}
