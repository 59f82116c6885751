//! Access to device registers, one 32-bit word at a time.
//!
//! A driver is written against [`Bus`], so the same code runs on the board (where the bus is [`Mmio`], volatile loads and
//! stores) and on the host (where it is a model of the device). [`Reg`] ties an offset on a bus to the field definitions that
//! `tock_registers::register_bitfields!` makes. No Rust reference to device memory ever exists: a reference would let the
//! compiler read it when it likes (tock/tock#3114), which is why `register_structs!` is not used.

use core::marker::PhantomData;
use tock_registers::RegisterLongName;
use tock_registers::interfaces::{Readable, Writeable};

/// A window of 32-bit little-endian device registers.
///
/// Reads may have side effects (a FIFO is popped), so an implementation performs exactly the accesses that it is asked for,
/// in that order.
pub trait Bus {
    /// Reads the 32-bit register `offset` bytes into the window. `offset` is a multiple of 4 inside the window.
    fn read32(&self, offset: usize) -> u32;
    /// Writes the 32-bit register `offset` bytes into the window. `offset` is a multiple of 4 inside the window.
    fn write32(&self, offset: usize, value: u32);
}

impl<B: Bus + ?Sized> Bus for &B {
    fn read32(&self, offset: usize) -> u32 {
        (**self).read32(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        (**self).write32(offset, value);
    }
}

/// The real bus: a physical window, mapped as Device memory at its own address.
#[derive(Debug)]
pub struct Mmio {
    base: usize,
    length: usize,
}

impl Mmio {
    /// A window of `length` bytes at physical address `base`.
    ///
    /// # Safety
    /// `base..base + length` must be the registers of a device that exists on this board (reading an absent one may raise an
    /// SError), mapped as Device memory or not mapped at all (MMU off), and no other `Mmio` may drive the same device.
    pub const unsafe fn new(base: usize, length: usize) -> Self {
        Self { base, length }
    }

    /// The physical address of the register at `offset`; outside the window it is the window's first register.
    fn address(&self, offset: usize) -> usize {
        debug_assert!(offset.is_multiple_of(4) && offset < self.length);
        if offset < self.length { self.base + offset } else { self.base }
    }
}

impl Bus for Mmio {
    fn read32(&self, offset: usize) -> u32 {
        // SAFETY: `address` is 4-byte aligned and inside the window, which `new`'s caller vouched for.
        unsafe { core::ptr::read_volatile(self.address(offset) as *const u32) }
    }
    fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as in `read32`.
        unsafe { core::ptr::write_volatile(self.address(offset) as *mut u32, value) }
    }
}

/// One register: an offset on a bus, with the fields `R` that it is made of.
///
/// Made where it is used and thrown away: `Reg::<_, CMD::Register>::new(&bus, 0x008).modify(CMD::RX_EN::SET)`.
#[derive(Debug)]
pub struct Reg<'a, B: Bus, R: RegisterLongName = ()> {
    bus: &'a B,
    offset: usize,
    fields: PhantomData<R>,
}

impl<'a, B: Bus, R: RegisterLongName> Reg<'a, B, R> {
    /// The register `offset` bytes into `bus`.
    pub const fn new(bus: &'a B, offset: usize) -> Self {
        Self { bus, offset, fields: PhantomData }
    }
}

impl<B: Bus, R: RegisterLongName> Readable for Reg<'_, B, R> {
    type T = u32;
    type R = R;
    fn get(&self) -> u32 {
        self.bus.read32(self.offset)
    }
}

impl<B: Bus, R: RegisterLongName> Writeable for Reg<'_, B, R> {
    type T = u32;
    type R = R;
    fn set(&self, value: u32) {
        self.bus.write32(self.offset, value);
    }
}
