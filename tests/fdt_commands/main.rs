//! The `fdt` commands against recorded answers of a real U-Boot (`cases/`, `../tutorial/`), and against libfdt's own tools: what a script does to a tree, fdtput and fdtoverlay do to another, and dtc shows the same source, in the
//! same order. Install device-tree-compiler to run it.

// A test's way to fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code, reason = "each test program that includes it uses a part of it")]
#[path = "../device_tree/oracle.rs"]
mod oracle;

/// The form of the files in `cases`.
#[allow(dead_code, reason = "each test program that includes it uses a part of it")]
#[path = "../shell/cases.rs"]
mod cases;
mod edit;
mod grow;
mod read;
mod replay;
mod session;
