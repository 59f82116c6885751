//! What each command of `cargo xtask` does.

pub mod bench;
pub mod bundle;
pub mod demo;
pub mod image;
pub mod qemu;
pub mod screenshots;
pub mod script;
pub mod serve;
pub mod setup;
pub mod test;
