//! `cargo xtask serve`: a server on the desk for a real board.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::announce;
use crate::serve::{start_http, start_tftp};

/// What is served, and where.
#[derive(Args)]
pub struct Arguments {
    /// The directory with loader.toml and the images
    directory: PathBuf,
    /// The address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    address: IpAddr,
    /// The UDP port of TFTP; another than 69 is `server = "ADDRESS:PORT"` in loader.toml
    #[arg(long, default_value_t = 69)]
    tftp_port: u16,
    /// The TCP port of HTTP
    #[arg(long, default_value_t = 80)]
    http_port: u16,
}

/// Serves until it is ended from outside.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { directory, address, tftp_port, http_port } = arguments;
    if !directory.is_dir() {
        bail!("{} is not a directory", directory.display());
    }
    start_tftp(directory, *address, *tftp_port)?;
    let http = start_http(directory, *address, *http_port)?;
    announce(&format!("{} over TFTP on {address}:{tftp_port}, HTTP on {http}; end with Ctrl-C", directory.display()));
    loop {
        std::thread::park();
    }
}
