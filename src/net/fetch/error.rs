//! Why a file did not come.

use super::report::LinkState;
use crate::net::device::Link;
use crate::net::{http, interface, tftp};
use crate::time::Duration;
use core::fmt;
use core::net::Ipv4Addr;

/// Why a file did not come. The file's name is known to the caller, which puts it in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The observer gave it up.
    Aborted,
    /// The link did not come up.
    NoLink {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The link went down during a transfer and did not come back.
    LinkLost {
        /// How long it was waited for.
        waited: Duration,
    },
    /// No DHCP server gave a lease.
    NoLease {
        /// How long it was asked for.
        waited: Duration,
        /// The link at the end.
        link: Link,
        /// Frames of any kind received since the controller was started.
        frames: u64,
        /// Answers of DHCP servers that gave no usable lease.
        answers: u32,
    },
    /// The address or gateway that settings or DHCP give cannot be used.
    Interface(interface::Error),
    /// Neither settings nor DHCP say which server has the files.
    NoServer,
    /// The server lies outside of our network, and there is no gateway, or it has our own address.
    Unreachable {
        /// The server.
        server: Ipv4Addr,
        /// Our own address.
        address: Ipv4Addr,
        /// Length of our network prefix in bits.
        prefix: u8,
    },
    /// The server, or the router to it, does not answer to ARP.
    NoNeighbor {
        /// The server.
        server: Ipv4Addr,
        /// Who was asked for: the server, or the router.
        neighbor: Ipv4Addr,
        /// How long.
        waited: Duration,
        /// The link at the end.
        link: Link,
        /// Frames of any kind received since the controller was started.
        frames: u64,
    },
    /// The transfer failed.
    Tftp(tftp::Error),
    /// The transfer by HTTP failed.
    Http(http::Error),
    /// Files cannot be had this way.
    Unsupported(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Aborted => f.write_str("given up at the console"),
            Self::NoLink { waited } => write!(
                f,
                "no link in {} s: is the cable plugged in at both ends, and is the switch's port on?",
                waited.as_secs()
            ),
            Self::LinkLost { waited } => {
                write!(f, "the link went down and did not come back in {} s: look at the cable", waited.as_secs())
            }
            Self::NoLease { waited, link, frames, answers: 0 } => write!(
                f,
                "no lease: no DHCP server answered in {} s; {}, {frames} frames received. Is there a DHCP server in this \
                 network? A switch port with spanning tree passes nothing for 30 s; a static address goes into [network]",
                waited.as_secs(),
                LinkState(link)
            ),
            Self::NoLease { waited, link, frames, answers } => write!(
                f,
                "no lease: DHCP servers answered {answers} times in {} s, but gave no address (refused, or with an \
                 invalid subnet mask); {}, {frames} frames received. Look at the DHCP server's log",
                waited.as_secs(),
                LinkState(link)
            ),
            Self::Interface(error) => error.fmt(f),
            Self::NoServer => f.write_str(
                "no server: DHCP named none and [network] has no `server`. Write server = \"ADDRESS\" there, or \
                 tftp://ADDRESS/PATH for the file",
            ),
            Self::Unreachable { server, address, prefix } => {
                write!(f, "no way to {server}: it is not in the network of {address}/{prefix}, which has no gateway")
            }
            Self::NoNeighbor { server, neighbor, waited, link, frames } => {
                if server == neighbor {
                    write!(f, "no answer from {server}: it does not answer to ARP")?;
                } else {
                    write!(f, "no answer from {server}: the gateway {neighbor} does not answer to ARP")?;
                }
                let link = LinkState(link);
                write!(f, ", {} s long; {link}, {frames} frames received. Is it on?", waited.as_secs())
            }
            Self::Tftp(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
            Self::Unsupported(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for Error {}

impl From<interface::Error> for Error {
    fn from(error: interface::Error) -> Self {
        Self::Interface(error)
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        Self::Http(error)
    }
}

impl From<tftp::Error> for Error {
    fn from(error: tftp::Error) -> Self {
        Self::Tftp(error)
    }
}
