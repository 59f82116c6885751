//! What a session tells while it works, and what it says of a file that has come.

use crate::net::device::Link;
use crate::net::dhcp::Lease;
use crate::time::{Duration, Instant};
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

/// Whoever looks after the rest of the machine while the network is waited for.
pub trait Observer {
    /// Called many times a millisecond, with the present time: for the console, the watchdog, the keyboard. False gives up what
    /// the session is doing, with an error that says so.
    fn poll(&mut self, now: Instant) -> bool;

    /// Something happened that the user may want to know.
    fn event(&mut self, event: Event<'_>);
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// The link came up, or went down.
    Link(Link),
    /// Nobody has answered with the link up, and the controller now tries another way.
    OtherWay(&'static str),
    /// There is a lease.
    Lease(&'a Lease),
    /// Something is waited for from now on, nobody knows how long.
    Waiting {
        /// What.
        what: Waiting,
        /// When it is given up.
        limit: Duration,
    },
    /// What was waited for has come, or was given up.
    Waited {
        /// Whether it has come.
        came: bool,
    },
    /// A part of a file has come. Not more often than four times a second.
    Progress {
        /// The file's name.
        file: &'a str,
        /// How much, and how fast.
        progress: Progress,
    },
    /// Nothing more of a file will come.
    Ended {
        /// The file's name.
        file: &'a str,
        /// Whether all of it has come.
        came: bool,
    },
    /// A transfer did not work, and starts again.
    Again {
        /// The file's name.
        file: &'a str,
        /// Why.
        reason: super::Error,
    },
}

/// What is waited for, where no share of it can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The link.
    Link,
    /// An address from a DHCP server.
    Lease,
    /// An answer to ARP, of a server or of the router to it.
    Neighbor(Ipv4Addr),
    /// The server's answers to questions for settings.
    Settings(Ipv4Addr),
    /// A card that powers up.
    Card,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("Ethernet: no link yet"),
            Self::Lease => f.write_str("DHCP: no address yet"),
            Self::Neighbor(address) => write!(f, "Waiting for {address}"),
            Self::Card => f.write_str("Card: powering up"),
            Self::Settings(address) => write!(f, "Asking {address} for settings"),
        }
    }
}

/// As the console shows it, on a line of its own.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => write!(f, "{}", LinkState(*link)),
            Self::OtherWay(way) => write!(f, "nobody answers; {way}"),
            Self::Lease(lease) => write!(f, "{lease}"),
            Self::Waiting { what, .. } => what.fmt(f),
            Self::Waited { came: true } => f.write_str("that has come"),
            Self::Waited { came: false } => f.write_str("that was given up"),
            Self::Progress { file, progress } => write!(f, "{file}: {progress}"),
            Self::Ended { file, came: true } => write!(f, "{file}: all has come"),
            Self::Ended { file, came: false } => write!(f, "{file}: given up"),
            Self::Again { file, reason } => write!(f, "{file}: {reason}; trying again"),
        }
    }
}

/// A link in words.
pub(super) struct LinkState(pub Link);

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Link::Down => f.write_str("link is down"),
            Link::Up { megabits, full_duplex } => {
                write!(f, "link is up, {megabits} Mb/s{}", if full_duplex { "" } else { " half duplex" })
            }
        }
    }
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes received.
    pub received: u64,
    /// Bytes of the file, where the server has said.
    pub size: Option<u64>,
    /// Time since the request.
    pub elapsed: Duration,
    /// Times at which something was lost.
    pub losses: u32,
    /// Packets of ours sent again because nothing came.
    pub retransmissions: u32,
}

impl Progress {
    /// How much has come, 0 to 100; `None` where the size is not known.
    pub fn percent(&self) -> Option<u8> {
        let size = u128::from(self.size?.max(1));
        let percent = (u128::from(self.received) * 100 / size).min(100);
        u8::try_from(percent).ok()
    }

    /// Bytes a second, on average since the request.
    pub fn rate(&self) -> u64 {
        rate(self.received, self.elapsed)
    }

    /// How long the rest takes if it goes on like that; `None` where nobody can know.
    pub fn left(&self) -> Option<Duration> {
        let rest = self.size?.saturating_sub(self.received);
        let rate = self.rate();
        (rate > 0).then(|| Duration::from_secs(rest.div_ceil(rate)))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent() {
            Some(percent) => write!(f, "{percent} %")?,
            None => write!(f, "{} bytes", self.received)?,
        }
        write!(f, ", {}", Rate(self.rate()))?;
        if self.losses > 0 { write!(f, ", {} lost", self.losses) } else { Ok(()) }
    }
}

/// A file that has come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchReport {
    /// Bytes of the file.
    pub bytes: u64,
    /// Time from the first request to the last byte, attempts that failed included.
    pub elapsed: Duration,
    /// Times at which something was lost, in the attempt that worked.
    pub losses: u32,
    /// Packets of ours sent again, likewise.
    pub retransmissions: u32,
    /// Blocks in flight, as the server granted them.
    pub window: u16,
    /// Bytes of a block, as the server granted them.
    pub block_size: u16,
    /// The server.
    pub server: SocketAddrV4,
}

/// As the console shows it, after the file's name.
impl fmt::Display for FetchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.elapsed.as_millis() / 100;
        write!(f, "{} bytes in {}.{} s", self.bytes, tenths / 10, tenths % 10)?;
        write!(f, ", {}", Rate(rate(self.bytes, self.elapsed)))?;
        if self.losses > 0 { write!(f, ", {} lost", self.losses) } else { Ok(()) }
    }
}

/// Bytes a second, as people read them.
pub(crate) struct Rate(pub u64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 / (1024 * 1024 / 10);
        if tenths >= 10 {
            write!(f, "{}.{} MiB/s", tenths / 10, tenths % 10)
        } else if self.0 >= 1024 {
            write!(f, "{} KiB/s", self.0 / 1024)
        } else {
            write!(f, "{} B/s", self.0)
        }
    }
}

fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_percent_rate_and_losses() {
        let progress = Progress {
            received: 15 * 1024 * 1024,
            size: Some(30 * 1024 * 1024),
            elapsed: Duration::from_secs(2),
            losses: 0,
            retransmissions: 0,
        };
        assert_eq!(progress.to_string(), "50 %, 7.5 MiB/s");
        assert_eq!(progress.left(), Some(Duration::from_secs(2)));
        assert_eq!(Progress { size: None, ..progress }.left(), None);
        assert_eq!(Progress { received: 0, ..progress }.left(), None);
        assert_eq!(Progress { losses: 3, ..progress }.to_string(), "50 %, 7.5 MiB/s, 3 lost");
        assert_eq!(Progress { size: None, received: 2048, ..progress }.to_string(), "2048 bytes, 1 KiB/s");
        assert_eq!(Progress { size: None, received: 80, ..progress }.to_string(), "80 bytes, 40 B/s");
    }

    #[test]
    fn no_time_and_no_size_divide_nothing_by_zero() {
        let progress = Progress { received: u64::MAX, size: Some(0), elapsed: Duration::ZERO, ..Progress::default() };
        assert_eq!((progress.percent(), progress.rate()), (Some(100), u64::MAX));
    }
}
