//! A strict model of the BCM2711's GENET v5 Ethernet controller, its UMAC and MDIO master, and the BCM54213PE PHY.
//!
//! Whatever silicon would not do is refused, and the refusal is logged with its reason and the register access that caused it
//! ([`Genet::refusals`]). It is written from public sources: the Linux, U-Boot and barebox drivers, read for register facts. Its users
//! are the host tests of xenlift's driver, through [`host`], and the emulated board, through the C interface in `tools/qemu`.
//!
//! Time is a parameter of every entry ([`Moment`]), start values come from a seed ([`Settings`]), and nothing is called back: an entry returns
//! the [`Effect`]s that the caller carries out. DMA goes through [`GuestMemory`], which the caller lends for the duration of an entry.
//!
//! Modules, from the bus inwards: `genet` (entries and time), `dispatch`, `rings` (descriptors, indices, both directions), `transmit` and `tbuf`, `receive` and
//! `rbuf`, `filter` (addresses, HFB), `umac` (command, reset), `statistics`, `interrupt` (INTRL2), `mdio`, `phy` (registers), `link` (copper side).
#![deny(unsafe_code)]

/// The README's example is compiled as a test.
#[cfg(all(doctest, feature = "host"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod dispatch;
mod effect;
mod filter;
mod frame;
mod genet;
#[cfg(feature = "host")]
pub mod host;
mod interrupt;
mod link;
mod mdio;
mod moment;
mod phy;
mod rbuf;
mod receive;
mod refusal;
mod registers;
mod rings;
mod seed;
mod settings;
mod statistics;
mod tbuf;
mod transmit;
mod umac;

pub use effect::{Effect, GuestMemory, NoMemory};
pub use genet::Genet;
pub use link::Mode;
pub use moment::Moment;
pub use receive::Damage;
pub use refusal::{Access, Direction, Reason, Refusal};
pub use registers::{WINDOW, name};
pub use settings::{Abilities, Faults, PhyStart, Settings, ShortFrames};
