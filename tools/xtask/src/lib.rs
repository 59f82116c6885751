//! The work behind `cargo xtask`, as a library, so that the end-to-end tests use the same pieces.
//!
//! * [`process`] runs programs; [`cache`] keeps what was built or fetched once.
//! * [`apt`] reaches Debian's archive; [`packages`] names what is taken from it.
//! * [`emulator`] finds QEMU and runs the board in it.
//! * [`commands`] is what each command does.

pub mod apt;
pub mod cache;
pub mod commands;
pub mod emulator;
pub mod packages;
pub mod process;
