//! End-to-end tests on an emulated board: what each file of `tests/` starts from.
//!
//! The tests never reach out: `cargo xtask test` (or `cargo xtask setup`) has fetched what they need, and a test whose requirement is
//! missing fails and says what is missing. They are not among the workspace's default members, so that `cargo test` stays a host test.
//!
//! A file named `full_*.rs` is left out by `cargo xtask test --quick`.

pub mod boot;
pub mod card;
pub mod ethernet;
pub mod plain_tftp;
pub mod qmp;
pub mod relay;
pub mod servers;
pub mod terminal;
pub mod u_boot;

use std::path::PathBuf;

use anyhow::{Context, Result};
use xtask::cache::Cache;
use xtask::toolchain::Toolchain;

pub use xtask::emulator::{Emulator, Machine, Uart};
pub use xtask::loader::Loader;
pub use xtask::packages;
pub use xtask::packages::Release;
pub use xtask::u_boot_tools;

/// The cache, from which nothing is fetched.
pub fn cache() -> Result<Cache> {
    Cache::open(true)
}

/// The emulator, as `cargo xtask` finds it.
pub fn emulator(cache: &Cache) -> Result<Emulator> {
    Emulator::find(cache).context("no emulator: `cargo xtask setup` gets one, or set QEMU")
}

/// An emulator whose board has Ethernet: `$QEMU`, or ours, linked again if the model has changed.
pub fn emulator_with_ethernet(cache: &Cache) -> Result<Emulator> {
    Emulator::with_ethernet(cache).context("no emulator with Ethernet: `cargo xtask setup` builds one, or set QEMU")
}

/// The loader as it is in the sources now, compiled if need be, and checked.
pub fn loader(cache: &Cache) -> Result<Loader> {
    xtask::loader::build(&toolchain(cache)?)
}

/// Another program for the board, such as a payload that stands in for Xen: its ELF file.
pub fn board_program(cache: &Cache, package: &str, binary: &str) -> Result<PathBuf> {
    xtask::loader::build_package(&toolchain(cache)?, package, binary)
}

fn toolchain(cache: &Cache) -> Result<Toolchain> {
    Toolchain::find(cache).context("no Rust for the board: `cargo xtask setup` gets one")
}
