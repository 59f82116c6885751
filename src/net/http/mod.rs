//! HTTP/1.1, the part of it that brings files: GET with ranges (RFC 9110, RFC 9112).
//!
//! Nothing here does I/O or reads a clock. [`Client`] is one file as a state machine: it says when it wants a connection and to whom, what
//! to send on it, and takes what comes, in pieces of any size; the file's bytes go to the same [`Sink`](super::tftp::Sink) as those of
//! TFTP. Whoever owns TCP drives it (`net::fetch` on the board, a few lines in the tests).
//!
//! What is done, and what is not:
//!
//! * A file's length must be known before its first byte (`Content-Length`). A body that ends where the connection ends cannot be told from
//!   one that a dying server cut, so it is refused; so are chunks, which servers use for what they make up while they send it, and
//!   compressed bodies, which nobody asked for.
//! * A connection that is lost in the middle costs what was in flight: the rest is asked for by its range, if the server has named the
//!   file's version (`ETag`, or `Last-Modified`), so that two versions are never joined. A server that answers with the whole file is
//!   taken at its word, and the file starts over.
//! * Redirects are followed five times, to addresses: host names are not resolved, and there is no TLS, so `https` is refused in words.
//! * A head has at most 8 KiB. Everything else that a server can get wrong is an [`Error`] that says what came.

mod client;
mod error;
mod head;
mod location;

pub use client::Client;
pub use error::Error;

/// The most bytes of a head: status line and headers.
pub const LARGEST_HEAD: usize = 8192;

/// Redirects that are followed for one file.
pub const MOST_REDIRECTS: u8 = 5;
