//! End-to-end tests on an emulated board: what each file of `tests/` starts from.
//!
//! The tests never reach out: `cargo xtask test` (or `cargo xtask setup`) has fetched what they need, and a test whose requirement is
//! missing fails and says what is missing. They are not among the workspace's default members, so that `cargo test` stays a host test.
//!
//! A file named `full_*.rs` is left out by `cargo xtask test --quick`.

use anyhow::{Context, Result};
use xtask::cache::Cache;

pub use xtask::emulator::{Emulator, Machine, Uart};
pub use xtask::packages;
pub use xtask::packages::Release;

/// The cache, from which nothing is fetched.
pub fn cache() -> Result<Cache> {
    Cache::open(true)
}

/// The emulator, as `cargo xtask` finds it.
pub fn emulator(cache: &Cache) -> Result<Emulator> {
    Emulator::find(cache).context("no emulator: `cargo xtask setup` gets one, or set QEMU")
}
