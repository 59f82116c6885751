//! The command language against answers that a real U-Boot gave (`cases/`), and against texts that nobody would write.

// A test's way to fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod cases;
mod network;
mod properties;
mod replay;
mod saved;
