//! The device windows that drivers are given, each once.
//!
//! Addresses: BCM2711 ARM Peripherals (2022-01-18), section 1.2.4, low peripheral mode, which the firmware sets. All of these are
//! in the chip itself, so they answer on every board; a device that may be absent or switched off is taken from the tree.

use xenlift::mmio::Mmio;

/// The windows of the chip's own devices.
pub struct Devices {
    /// General-purpose pins.
    pub gpio: Mmio,
    /// UART0.
    pub pl011: Mmio,
    /// The auxiliary block with the mini UART, UART1.
    pub auxiliary: Mmio,
    /// The mailbox to the firmware.
    pub mailbox: Mmio,
    /// Power management: watchdog and resets.
    pub power_management: Mmio,
}

impl Devices {
    /// All of them.
    ///
    /// # Safety
    /// Once. The hooks of [`super::board`] use some of them too: they may run only before the first driver does, or once no
    /// driver runs any more (an exception, a reset).
    pub unsafe fn take() -> Self {
        // SAFETY: every window is the whole register block of a device inside the BCM2711, inside the range that
        // `StartBoard::devices` has start-up map as Device memory; the caller vouches for there being one taker.
        unsafe {
            Self {
                gpio: Mmio::new(0xfe20_0000, 0xf4),
                pl011: Mmio::new(0xfe20_1000, 0x90),
                auxiliary: Mmio::new(0xfe21_5000, 0x6c),
                mailbox: Mmio::new(0xfe00_b880, 0x40),
                power_management: Mmio::new(0xfe10_0000, 0x28),
            }
        }
    }
}
