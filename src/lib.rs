//! Xenlift: a bare-metal second-stage loader for the Raspberry Pi 4 that boots Xen.
//!
//! The module list below is the architecture. Dependencies point one way:
//! `shell -> boot -> {net, device_tree, config, card, drivers} -> {mmio, dma, ram} -> arch`; `boot::script`, the board under the shell, and
//! the flow that calls it stand above both. `device_tree`, `config`, `card`, `shell`, `terminal`, `menu`, `boot::layout`, `boot::plan` and
//! `net::tftp` import nothing from `arch` or `drivers`: they are tested on the host.
//! `docs/architecture.md` says the same at more length, with the reasons.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

#[allow(unsafe_code)]
pub mod arch;
pub mod banner;
pub mod board;
pub mod boot;
pub mod card;
pub mod config;
pub mod console;
pub mod device_tree;
#[allow(unsafe_code)]
pub mod dma;
pub mod drivers;
pub mod logger;
pub mod menu;
#[allow(unsafe_code)]
pub mod mmio;
pub mod net;
#[allow(unsafe_code)]
pub mod ram;
pub mod range;
pub mod shell;
mod sort;
pub mod terminal;
pub mod time;
