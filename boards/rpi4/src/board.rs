//! What is this board's: addresses, and the hooks of start-up.
//!
//! Addresses: BCM2711 ARM Peripherals (2022-01-18), sections 1.2.4 (low peripheral mode, which the firmware sets), 2.1 (auxiliary
//! UART), 5 (GPIO), 11 (PL011); the power-management block as in Linux' drivers/watchdog/bcm2835_wdt.c.

use xenlift::arch::barrier;
use xenlift::arch::timer::SystemClock;
use xenlift::arch::{Fault, Stage, StartBoard, WatchdogAtEntry};
use xenlift::mmio::{Bus, Mmio};
use xenlift::range::PhysicalRange;
use xenlift::time::{Clock, Duration};

/// The Raspberry Pi 4B, 400 and CM4.
pub struct RaspberryPi4;

/// GPIO: function select 1 (GPIO 10-19) and 4 (40-49), output set 1 and clear 1 (32-57).
const GPIO: usize = 0xfe20_0000;
const GPFSEL1: usize = 0x04;
const GPFSEL4: usize = 0x10;
const GPSET1: usize = 0x20;
const GPCLR1: usize = 0x2c;
/// The green activity LED, lit by a high level.
const ACTIVITY_LED: u32 = 42;

const PL011: usize = 0xfe20_1000;
const PL011_DR: usize = 0x00;
const PL011_FR: usize = 0x18;
const PL011_FR_TX_FULL: u32 = 1 << 5;
const PL011_FR_BUSY: u32 = 1 << 3;
const PL011_CR: usize = 0x30;
/// UARTEN and TXE.
const PL011_CR_CAN_SEND: u32 = 1 | 1 << 8;

const AUX: usize = 0xfe21_5000;
const AUX_ENABLES: usize = 0x04;
const MINI_UART_IO: usize = 0x40;
const MINI_UART_CNTL: usize = 0x60;
const MINI_UART_CNTL_TX: u32 = 1 << 1;
const MINI_UART_STAT: usize = 0x64;
const MINI_UART_STAT_SPACE: u32 = 1 << 1;
const MINI_UART_STAT_DONE: u32 = 1 << 9;

/// Power management: reset control, reset status, watchdog. Writes carry a password.
const PM: usize = 0xfe10_0000;
const PM_RSTC: usize = 0x1c;
const PM_RSTS: usize = 0x20;
const PM_WDOG: usize = 0x24;
const PM_PASSWORD: u32 = 0x5a00_0000;

/// One character takes 87 us at 115200 baud; a UART that takes none in this time is left alone.
const LONGEST_CHARACTER: Duration = Duration::from_millis(10);
/// Both FIFOs together hold less than this takes at 9600 baud.
const LONGEST_DRAIN: Duration = Duration::from_millis(50);
const FLASH: Duration = Duration::from_millis(150);
const PAUSE: Duration = Duration::from_millis(900);

/// The UART that is on GPIO 14, if one is and is enabled.
enum HeaderUart {
    Pl011(Mmio),
    Mini(Mmio),
}

fn gpio() -> Mmio {
    // SAFETY: the GPIO block is on every BCM2711 at this address; the hooks run one at a time, before or instead of any driver.
    unsafe { Mmio::new(GPIO, 0xf4) }
}

fn power_management() -> Mmio {
    // SAFETY: as for `gpio`.
    unsafe { Mmio::new(PM, 0x28) }
}

fn header_uart() -> Option<HeaderUart> {
    // Three bits a pin; GPIO 14 is the fifth of its register. 4 is ALT0, 2 is ALT5.
    match gpio().read32(GPFSEL1) >> 12 & 7 {
        4 => {
            // SAFETY: as for `gpio`.
            let uart = unsafe { Mmio::new(PL011, 0x90) };
            (uart.read32(PL011_CR) & PL011_CR_CAN_SEND == PL011_CR_CAN_SEND).then_some(HeaderUart::Pl011(uart))
        }
        2 => {
            // SAFETY: as for `gpio`. The mini UART's own registers answer only while AUX_ENABLES has it on.
            let uart = unsafe { Mmio::new(AUX, 0x6c) };
            let on = uart.read32(AUX_ENABLES) & 1 == 1 && uart.read32(MINI_UART_CNTL) & MINI_UART_CNTL_TX != 0;
            on.then_some(HeaderUart::Mini(uart))
        }
        _ => None,
    }
}

fn light(on: bool) {
    let gpio = gpio();
    let shift = (ACTIVITY_LED % 10) * 3;
    let functions = gpio.read32(GPFSEL4);
    gpio.write32(GPFSEL4, functions & !(7 << shift) | 1 << shift);
    gpio.write32(if on { GPSET1 } else { GPCLR1 }, 1 << (ACTIVITY_LED % 32));
}

impl RaspberryPi4 {
    fn clock(&self) -> SystemClock {
        SystemClock::new(self.counter_frequency())
    }
}

impl StartBoard for RaspberryPi4 {
    /// Every board has at least 1 GB, part of which is the GPU's, but answers.
    fn certain_ram(&self) -> PhysicalRange {
        PhysicalRange { start: 0, end: 0x4000_0000 }
    }
    /// Where the ARM's memory below 1 GiB ends with the usual 76 MiB for the GPU.
    fn place_below(&self) -> u64 {
        0x3b40_0000
    }
    fn devices(&self) -> PhysicalRange {
        PhysicalRange { start: 0xfc00_0000, end: 0x1_0000_0000 }
    }
    fn counter_frequency(&self) -> u32 {
        54_000_000
    }
    fn stage(&self, stage: Stage) {
        light(matches!(stage, Stage::Entered | Stage::Leaving));
    }
    fn flash(&self, fault: Fault) {
        let clock = self.clock();
        light(false);
        clock.delay(PAUSE);
        for _ in 0..fault.flashes() {
            light(true);
            clock.delay(FLASH);
            light(false);
            clock.delay(FLASH);
        }
    }
    fn raw_byte(&self, byte: u8) {
        let clock = self.clock();
        match header_uart() {
            Some(HeaderUart::Pl011(uart)) => {
                let space = || uart.read32(PL011_FR) & PL011_FR_TX_FULL == 0;
                if !clock.wait_until(LONGEST_CHARACTER, space) {
                    return;
                }
                uart.write32(PL011_DR, u32::from(byte));
            }
            Some(HeaderUart::Mini(uart)) => {
                let space = || uart.read32(MINI_UART_STAT) & MINI_UART_STAT_SPACE != 0;
                if !clock.wait_until(LONGEST_CHARACTER, space) {
                    return;
                }
                uart.write32(MINI_UART_IO, u32::from(byte));
            }
            None => {}
        }
    }
    fn raw_drain(&self) {
        let clock = self.clock();
        match header_uart() {
            Some(HeaderUart::Pl011(uart)) => {
                clock.wait_until(LONGEST_DRAIN, || uart.read32(PL011_FR) & PL011_FR_BUSY == 0);
            }
            Some(HeaderUart::Mini(uart)) => {
                clock.wait_until(LONGEST_DRAIN, || uart.read32(MINI_UART_STAT) & MINI_UART_STAT_DONE != 0);
            }
            None => {}
        }
    }
    fn watchdog_at_entry(&self) -> WatchdogAtEntry {
        let pm = power_management();
        WatchdogAtEntry { control: pm.read32(PM_RSTC), remaining: pm.read32(PM_WDOG), reset_status: pm.read32(PM_RSTS) }
    }
    fn reset(&self) -> ! {
        let pm = power_management();
        barrier::dsb_sy();
        // Ten ticks of 15 us, then a full reset (WRCFG = 2, bits 5:4), from the partition that this boot came from.
        pm.write32(PM_WDOG, PM_PASSWORD | 10);
        let control = pm.read32(PM_RSTC) & 0xffff_ffcf;
        pm.write32(PM_RSTC, PM_PASSWORD | control & 0x00ff_ffff | 0x20);
        barrier::park()
    }
}
