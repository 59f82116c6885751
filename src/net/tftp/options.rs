//! What is asked of the server, and what of its answer is accepted.

use super::packet::Options;
use super::{ETHERNET_BLOCK_SIZE, LARGEST_WINDOW};
use crate::time::Duration;

/// Bytes of a full block where nothing else was agreed upon (RFC 1350), and the least that any path carries whole.
pub(super) const PLAIN_BLOCK_SIZE: u16 = 512;

/// Sizes to try, one after the other, where blocks do not get through: what an MTU of 1460 (PPPoE, GRE), 1420 (VXLAN, WireGuard) or 1280
/// bytes (the least that IPv6 lets a path have, so many tunnels' too) carries whole.
const SMALLER_BLOCK_SIZES: [u16; 4] = [1428, 1388, 1248, PLAIN_BLOCK_SIZE];

/// The smallest block that may be agreed upon (RFC 2348).
const SMALLEST_BLOCK_SIZE: u16 = 8;

/// The time-out asked of the server, in seconds: the shortest that RFC 2349 can say.
const SERVER_TIMEOUT: u64 = 1;

/// What to ask the server for, and how patient to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Bytes of a full block, 8 to [`ETHERNET_BLOCK_SIZE`].
    pub block_size: u16,
    /// Blocks in flight, 1 to [`LARGEST_WINDOW`].
    pub window: u16,
    /// How long the server may make no progress before the transfer is given up.
    pub patience: Duration,
    /// Whether nothing is to be said twice as long as the server may come to it by itself, because it does not bear that.
    pub patient: bool,
}

impl Parameters {
    /// The same, within what the protocol and the receive ring allow.
    pub(super) fn bounded(self) -> Self {
        Self {
            block_size: self.block_size.clamp(SMALLEST_BLOCK_SIZE, ETHERNET_BLOCK_SIZE),
            window: self.window.clamp(1, LARGEST_WINDOW),
            ..self
        }
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self { block_size: ETHERNET_BLOCK_SIZE, window: 64, patience: Duration::from_secs(15), patient: false }
    }
}

/// What has been asked for in the present attempt; each fallback asks for less, so there are only a few.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Whether any option is sent.
    pub options: bool,
    pub block_size: u16,
    pub window: u16,
}

impl Asked {
    /// The next smaller size of a block to try, if there is one.
    pub fn smaller_blocks(&self) -> Option<Self> {
        let block_size = SMALLER_BLOCK_SIZES.into_iter().find(|size| *size < self.block_size)?;
        Some(Self { block_size, ..*self })
    }

    pub fn options(&self) -> Options {
        if !self.options {
            return Options::NONE;
        }
        Options {
            block_size: (self.block_size != PLAIN_BLOCK_SIZE).then_some(self.block_size.into()),
            transfer_size: Some(0),
            timeout: Some(SERVER_TIMEOUT),
            window: (self.window > 1).then_some(self.window.into()),
        }
    }

    /// Block size and window, if the server granted no more than was asked for.
    pub fn agree(&self, granted: &Options) -> Option<(u16, u16)> {
        let within = |value: Option<u64>, default: u16, least: u16, most: u16| match value {
            None => Some(default),
            Some(value) => u16::try_from(value).ok().filter(|value| (least..=most).contains(value)),
        };
        let block_size = within(granted.block_size, PLAIN_BLOCK_SIZE, SMALLEST_BLOCK_SIZE, self.block_size)?;
        let window = within(granted.window, 1, 1, self.window)?;
        Some((block_size, window))
    }
}
