//! Trivial File Transfer Protocol, the reading side: RFC 1350 with options (RFC 2347), block size (RFC 2348), time-out and
//! transfer size (RFC 2349) and windows of blocks (RFC 7440), and the receiver's duties of RFC 1123 section 4.2.3.
//!
//! Nothing here does I/O or reads a clock. [`packet`] is the wire format; [`Client`] is one transfer as a state machine that is
//! given packets and the time and says what to send; received bytes go to a [`Sink`]. Whoever owns a socket drives it
//! (`net::fetch` on the board, a `std` socket in the tests), so loss, duplication and delay are tested without a network.
//!
//! How a transfer goes:
//!
//! 1. The request asks for every option. A server that refuses them (ERROR 8) or confirms something that was not asked for is
//!    asked again without any; one that ignores them (DATA 1 at once) is taken at its word.
//! 2. Every block goes to the sink; the last one of each window is acknowledged. On a gap the last block before it is
//!    acknowledged once, at once, which makes the server start again behind it. What comes from behind the gap is kept, so nothing but
//!    the gap need come again; a server that listens while it sends is told so and skips what is there.
//! 3. Duplicates are never acknowledged when they arrive (RFC 1123's "sorcerer's apprentice"). What was lost without a gap is found by the
//!    retransmission timer alone, whose time-out follows the measured round trip.
//! 4. No progress for the client's patience is an error. A server that comes back before that goes on where it stopped.

mod blocks;
mod client;
mod error;
mod options;
pub mod packet;
mod timer;

pub use client::{Action, Client, Counts};
pub use error::{Error, Message};
pub use options::Parameters;

/// The port on which servers wait for requests (RFC 1350, section 4).
pub const PORT: u16 = 69;

/// Bytes of a DATA packet that fill an Ethernet frame: 1500 less the IPv4, UDP and TFTP headers (20, 8 and 4 bytes).
pub const ETHERNET_BLOCK_SIZE: u16 = 1500 - 20 - 8 - 4;

/// The most blocks that may be in flight: a receive ring of 256 frames must hold them, with room for other traffic.
pub const LARGEST_WINDOW: u16 = 192;

/// Bytes at the start of a file that come in their order, because what they say may decide where the file goes.
pub const BEGINNING: u64 = 64;

/// Where a file's bytes go.
///
/// Offsets count bytes from the start of the file. The first [`BEGINNING`] bytes are written in their order, in pieces of any length. After that a part
/// may come before what lies in front of it, but no further ahead than a window, and each byte comes once. When a transfer ends, all of the file has
/// been written.
pub trait Sink {
    /// A transfer of `size` bytes begins; `None` where the server did not say, or said zero, which is also what servers
    /// answer that do not know. Called again where a transfer starts over: all that was written before is void.
    ///
    /// # Errors
    /// The [`Refusal`] ends the transfer.
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal>;

    /// `bytes` belong at `offset`.
    ///
    /// # Errors
    /// The [`Refusal`] ends the transfer.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal>;

    /// All `size` bytes have been written, and that is what the server had announced.
    fn end(&mut self, size: u64) {
        let _ = size;
    }

    /// Nothing is to be received at this moment, and the first `complete` bytes have all been written: there is time for some 50 µs of
    /// work on them, a digest perhaps. False where there is none to do.
    fn idle(&mut self, complete: u64) -> bool {
        let _ = complete;
        false
    }
}

/// Why a sink does not take a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The file needs `size` bytes (or more), and there is room for `room`.
    TooLarge {
        /// Bytes of the file, or of the part of it that has been seen.
        size: u64,
        /// Bytes of room.
        room: u64,
    },
    /// Another reason, in words.
    Other(&'static str),
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLarge { size, room } => write!(f, "it needs {size} bytes or more and there is room for {room}"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}
