//! Both UARTs at once, as the loader left them.

use core::fmt;

const PL011_DATA: usize = 0xfe20_1000;
const PL011_FLAGS: usize = 0xfe20_1018;
const PL011_FULL: u32 = 1 << 5;
const MINI_DATA: usize = 0xfe21_5040;
const MINI_LINE_STATUS: usize = 0xfe21_5054;
const MINI_EMPTY: u32 = 1 << 5;
/// Looks at a UART that does not take the byte, before it is given up.
const PATIENCE: u32 = 1_000_000;

/// The PL011 and the mini UART.
pub struct BothUarts;

fn read(address: usize) -> u32 {
    // SAFETY: the UARTs of the BCM2711, with the MMU off.
    unsafe { core::ptr::read_volatile(address as *const u32) }
}

fn send(address: usize, byte: u8, ready: impl Fn() -> bool) {
    if (0..PATIENCE).any(|_| ready()) {
        // SAFETY: as in `read`.
        unsafe { core::ptr::write_volatile(address as *mut u32, u32::from(byte)) };
    }
}

impl fmt::Write for BothUarts {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let carriage_return = (byte == b'\n').then_some(b'\r');
            for byte in carriage_return.into_iter().chain([byte]) {
                send(PL011_DATA, byte, || read(PL011_FLAGS) & PL011_FULL == 0);
                send(MINI_DATA, byte, || read(MINI_LINE_STATUS) & MINI_EMPTY != 0);
            }
        }
        Ok(())
    }
}
