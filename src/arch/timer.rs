//! The clock: the generic timer's counter (Arm ARM DDI 0487, D11).

use crate::time::{Clock, Instant};

/// Counter ticks as microseconds, without overflow for any tick count and any frequency that CNTFRQ_EL0 can say: 32 bits, so that the rest of a
/// second, in millionths, has at most 52. Every loop of the loader reads the clock, and division in 128 bits is a function of a hundred instructions.
const fn micros(ticks: u64, frequency: u32) -> u64 {
    let frequency = if frequency == 0 { 1 } else { frequency as u64 };
    let (seconds, rest) = (ticks / frequency, ticks % frequency);
    seconds.saturating_mul(1_000_000).saturating_add(rest * 1_000_000 / frequency)
}

/// The system counter, read as the virtual one: that is never trapped, not even at EL1, where the loader only says that it should be at
/// EL2; and start-up has zeroed the offset between the two. Its frequency is read (54 MHz on silicon, 62.5 MHz in QEMU), never assumed.
///
/// The host twin counts its readings, a microsecond each: waits end, and take no time.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    frequency: u32,
}

impl SystemClock {
    /// The clock, with the frequency in CNTFRQ_EL0 or, where the firmware left that at zero, `fallback` Hz.
    pub fn new(fallback: u32) -> Self {
        let found = read_frequency();
        Self { frequency: if found == 0 { fallback.max(1) } else { found } }
    }

    /// Ticks a second.
    pub const fn frequency(&self) -> u32 {
        self.frequency
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_micros(micros(read_counter(), self.frequency))
    }
}

#[cfg(target_os = "none")]
fn read_frequency() -> u32 {
    let value: u64;
    // SAFETY: reading CNTFRQ_EL0 has no side effect. Only bits 31:0 hold the frequency.
    unsafe { core::arch::asm!("mrs {}, cntfrq_el0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value as u32
}

#[cfg(target_os = "none")]
#[inline]
fn read_counter() -> u64 {
    let value: u64;
    // SAFETY: reading CNTVCT_EL0 has no side effect. The ISB keeps it from being read early (D11.2.1); no `nomem`, so that
    // the compiler does not move device accesses past a time-out's check.
    unsafe { core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack, preserves_flags)) };
    value
}

#[cfg(not(target_os = "none"))]
fn read_frequency() -> u32 {
    1_000_000
}

#[cfg(not(target_os = "none"))]
#[inline]
fn read_counter() -> u64 {
    use core::sync::atomic::{AtomicU64, Ordering};
    static READINGS: AtomicU64 = AtomicU64::new(0);
    READINGS.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn ticks_become_microseconds_without_overflow() {
        assert_eq!(micros(54_000_000, 54_000_000), 1_000_000);
        assert_eq!(micros(27, 54_000_000), 0);
        assert_eq!(micros(54 * 7, 54_000_000), 7);
        assert_eq!(micros(62_500_000 * 3600 + 125, 62_500_000), 3_600_000_002);
        assert_eq!(micros(u64::MAX, 54_000_000), 341_606_371_735_362_066);
        assert_eq!(micros(5, 0), 5_000_000);
        assert_eq!(micros(u64::MAX, u32::MAX), 4_294_967_297_000_000);
    }

    #[test]
    fn a_wait_on_the_host_twin_ends() {
        assert!(!SystemClock::new(54_000_000).wait_until(Duration::from_millis(1), || false));
    }
}
