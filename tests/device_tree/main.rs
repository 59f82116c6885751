//! Device trees against their oracle: what dtc compiles we read, and what we edit dtc accepts.
//!
//! `dtc`, `fdtget` and `fdtput` (Debian: device-tree-compiler) must be on PATH; the tests fail, and say so, if they are not.

// A test's way to fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blob;
mod board;
mod check;
mod edit;
mod firmware;
mod model;
mod mutants;
#[allow(dead_code, reason = "each test program that includes it uses a part of it")]
mod oracle;
mod overlay;
mod read;
mod sequences;
mod text;
