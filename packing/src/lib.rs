//! How `loader.bin` is packed: a format for AArch64 programs, with both of its sides.
//!
//! Deflate makes 57 % of a loader and takes 29 instructions a byte to undo. What is known about this one file makes it 44 % and takes fewer:
//!
//! * Instructions are words. So the bytes of each place within a word have a code of their own ([`format::LANES`]), and distances that are
//!   multiples of four are written in words.
//! * A call's target is written relative to the call, so that two calls of one function are different words. Before it is
//!   packed they are made the same ([`branches`]).
//! * The unpacked bytes all stay in memory, so a match may lie anywhere before it; and often it is as far away as the last was.
//!
//! Codes are Huffman's as in deflate (RFC 1951), so a table tells each symbol in one step. An adaptive arithmetic coder (LZMA's) would make 42 % of it
//! but takes some ten instructions for each of several million binary decisions.
//!
//! [`format`] says what the bytes are, [`unpack`](fn@unpack) and, with the feature `pack`, `pack` are its two sides.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "pack")]
extern crate alloc;

pub mod branches;
pub mod format;
#[cfg(feature = "pack")]
mod pack;
mod unpack;

#[cfg(feature = "pack")]
pub use pack::{TooLarge, pack};
pub use unpack::{Error, unpack};

#[cfg(all(test, feature = "pack"))]
mod tests;
