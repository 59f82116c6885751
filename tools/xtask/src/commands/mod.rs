//! What each command of `cargo xtask` does.

pub mod setup;
