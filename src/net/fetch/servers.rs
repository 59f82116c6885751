//! What servers, and the ways to them, turned out to bear: kept as long as the loader runs.
//!
//! A window is agreed upon with the request and stays for the transfer, so what one file teaches is for the next. Too small a window
//! leaves the wire idle for a round trip in each; too large a one overflows a switch on the way, or the receive ring where several
//! transfers run at once.

use super::FetchReport;
use crate::net::tftp::{self, LARGEST_WINDOW};
use alloc::vec::Vec;
use core::net::SocketAddrV4;

/// Blocks in flight of the first file from a server: what a common switch holds of a burst.
const FIRST_WINDOW: u16 = 64;

/// The same where transfers share the ring: so many at once, and the others wait, rather than all of them with windows so small that
/// the wire is idle. Servers without windows are not held up by it: one block in flight leaves room for everybody.
const SHARED_WINDOW: u16 = LARGEST_WINDOW / 3;

/// A window is too large where more than one in so many was not received whole.
const TOLERATED: u64 = 4;

/// The part of the ring that one of `files` may have that are still to come.
pub(super) fn share(files: usize) -> u16 {
    (LARGEST_WINDOW / u16::try_from(files.max(1)).unwrap_or(u16::MAX)).max(SHARED_WINDOW)
}

/// What is known of all servers.
#[derive(Debug)]
pub(super) struct Servers {
    known: Vec<Known>,
    /// The first and the largest window.
    first_window: u16,
    most_window: u16,
    block_size: u16,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    server: SocketAddrV4,
    window: u16,
    /// No window larger than this: a larger one has lost blocks.
    most_window: u16,
    block_size: u16,
    /// It has lost its way when something was said twice.
    bewildered: bool,
}

impl Default for Servers {
    fn default() -> Self {
        Self {
            known: Vec::new(),
            first_window: FIRST_WINDOW,
            most_window: LARGEST_WINDOW,
            block_size: tftp::ETHERNET_BLOCK_SIZE,
        }
    }
}

impl Servers {
    /// Bounds the windows, or leaves them open.
    pub fn set_window(&mut self, window: Option<u16>) {
        self.most_window = window.unwrap_or(LARGEST_WINDOW).clamp(1, LARGEST_WINDOW);
        self.first_window = window.map_or(FIRST_WINDOW, |_| self.most_window);
    }

    /// Bounds the blocks.
    pub fn set_block_size(&mut self, size: u16) {
        self.block_size = size.min(tftp::ETHERNET_BLOCK_SIZE);
    }

    /// Blocks in flight that the next file from `server` may have, if that is one of `files` that are still to come.
    pub fn window(&self, server: SocketAddrV4, files: usize) -> u16 {
        let window = self.find(server).map_or(self.first_window, |known| known.window);
        window.min(self.most_window).min(share(files)).max(1)
    }

    /// Bytes of a full block to ask `server` for.
    pub fn block_size(&self, server: SocketAddrV4) -> u16 {
        self.find(server).map_or(self.block_size, |known| known.block_size.min(self.block_size))
    }

    /// A file has come that was asked for in windows of `asked` blocks.
    pub fn learn(&mut self, report: &FetchReport, asked: u16) {
        let blocks = report.bytes / u64::from(report.block_size.max(1)) + 1;
        let window = u64::from(report.window);
        // The end of a window that is lost shows no gap: it had to be asked for.
        let losses = report.losses.saturating_add(report.retransmissions);
        let known = self.entry(report.server);
        if u64::from(losses) * window * TOLERATED > blocks && losses > 1 {
            known.window = (asked / 2).max(1);
            // Halfway back is tried once more, and what was lost in before never again.
            known.most_window = (asked - asked / 4).min(known.most_window);
        } else if losses == 0 && report.window == asked && asked == known.window && blocks > 2 * window {
            // A server that grants less has said what it bears, and few blocks say nothing.
            known.window = asked.saturating_mul(2).min(known.most_window);
        }
    }

    /// The server fell silent in windows of twice as many blocks and more.
    pub fn bears_no_more_than(&mut self, server: SocketAddrV4, window: u16) {
        self.entry(server).window = window;
    }

    /// The server lost its way when something was said twice.
    pub fn was_bewildered(&mut self, server: SocketAddrV4) {
        self.entry(server).bewildered = true;
    }

    /// Whether nothing should be said twice to `server`.
    pub fn is_bewildered(&self, server: SocketAddrV4) -> bool {
        self.find(server).is_some_and(|known| known.bewildered)
    }

    /// Only blocks of at most `size` bytes get through from `server`.
    pub fn passes(&mut self, server: SocketAddrV4, size: u16) {
        self.entry(server).block_size = size;
    }

    fn find(&self, server: SocketAddrV4) -> Option<&Known> {
        self.known.iter().find(|known| known.server == server)
    }

    fn entry(&mut self, server: SocketAddrV4) -> &mut Known {
        let (window, most_window, block_size) = (self.first_window, LARGEST_WINDOW, tftp::ETHERNET_BLOCK_SIZE);
        let new = Known { server, window, most_window, block_size, bewildered: false };
        let index = self.known.iter().position(|known| known.server == server).unwrap_or_else(|| {
            self.known.push(new);
            self.known.len() - 1
        });
        // It was found or made above.
        &mut self.known[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    const SERVER: SocketAddrV4 = SocketAddrV4::new(core::net::Ipv4Addr::new(10, 0, 0, 1), 69);
    const OTHER: SocketAddrV4 = SocketAddrV4::new(core::net::Ipv4Addr::new(10, 0, 0, 2), 69);

    fn came(blocks: u64, window: u16, losses: u32) -> FetchReport {
        let elapsed = Duration::from_secs(1);
        let (bytes, server, block_size) = (blocks * 1468 - 1, SERVER, 1468);
        FetchReport { bytes, elapsed, losses, retransmissions: 0, window, block_size, server }
    }

    #[test]
    fn windows_grow_after_clean_files_up_to_the_ring_and_halve_after_loss() {
        let mut servers = Servers::default();
        let mut next = |losses, asked| {
            servers.learn(&came(5000, asked, losses), asked);
            servers.window(SERVER, 1)
        };
        assert_eq!([next(0, 64), next(0, 128), next(0, 192)], [128, 192, 192]);
        assert_eq!([next(20, 192), next(1, 96), next(0, 96), next(40, 144)], [96, 96, 144, 72]);
        assert_eq!([next(0, 72), next(0, 108)], [108, 108], "not again so many as were lost in");
        assert_eq!(servers.window(OTHER, 1), 64);
    }

    #[test]
    fn a_server_that_grants_less_and_a_short_file_teach_nothing() {
        let mut servers = Servers::default();
        servers.learn(&came(5000, 16, 0), 64);
        servers.learn(&came(100, 64, 0), 64);
        assert_eq!(servers.window(SERVER, 1), 64);
    }

    #[test]
    fn files_side_by_side_share_the_ring_but_not_in_crumbs() {
        let mut servers = Servers::default();
        servers.learn(&came(5000, 64, 0), 64);
        servers.learn(&came(5000, 128, 0), 128);
        assert_eq!([1, 2, 3, 20, 100_000].map(|files| servers.window(SERVER, files)), [192, 96, 64, 64, 64]);
    }

    #[test]
    fn settings_bound_what_was_learnt() {
        let mut servers = Servers::default();
        servers.set_window(Some(8));
        assert_eq!(servers.window(SERVER, 1), 8);
        servers.learn(&came(5000, 8, 0), 8);
        assert_eq!(servers.window(SERVER, 1), 8);
        servers.set_window(Some(100));
        assert_eq!(servers.window(OTHER, 1), 100);
        servers.set_window(None);
        assert_eq!([servers.window(SERVER, 1), servers.window(OTHER, 1)], [16, 64]);
        servers.passes(SERVER, 1388);
        assert_eq!([servers.block_size(SERVER), servers.block_size(OTHER)], [1388, 1468]);
        servers.set_block_size(512);
        assert_eq!(servers.block_size(SERVER), 512);
    }
}
