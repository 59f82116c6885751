//! The board's devices, each over a [`crate::mmio::Bus`], so that every driver runs unchanged against a model on the host.
//!
//! * [`uart`] is what a console needs of a serial port; [`pl011`] and [`mini_uart`] are the two that reach the header, and
//!   [`uart_choice`] says which of them does.
//! * [`gpio`] is the pin multiplexer, which is where that answer comes from, and the activity LED.
//! * [`mailbox`] asks the firmware: clocks, memory, serial number, MAC address. [`board_revision`] is one of its answers.
//! * [`watchdog`] feeds and restores the one that the firmware may have armed, resets the board, and says why it was reset.
//! * [`genet`] is the Ethernet controller with its PHY.
//! * [`sdhci`] reads the SD card, or a Compute Module's eMMC.

pub mod arm_clock;
pub mod board_revision;
pub mod genet;
pub mod gpio;
pub mod mailbox;
pub mod mini_uart;
#[cfg(test)]
pub(crate) mod models;
pub mod pl011;
pub mod sdhci;
pub mod uart;
pub mod uart_choice;
pub mod watchdog;
