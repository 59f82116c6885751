//! What the boot asks of a board: where its devices are, and nothing of how they work.
//!
//! A board is a value. It gives each block of registers out once, so that no two drivers can drive the same device; the drivers
//! over them are the library's. Start-up, before there is a heap, asks [`StartBoard`] instead.

use crate::arch::StartBoard;
use crate::dma::DmaMemory;
use crate::mmio::Bus;
use crate::time::Clock;

/// A block of device registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Pins: multiplexer, levels, pulls.
    Gpio,
    /// UART0.
    Pl011,
    /// The auxiliary block, with the mini UART in it.
    Auxiliary,
    /// The property mailbox to the firmware.
    Mailbox,
    /// Watchdog and reset.
    PowerManagement,
    /// The GENET Ethernet controller. Touched only where the tree names it.
    Ethernet,
    /// EMMC2, the SD host controller of the card slot. Touched only where the tree names it.
    Emmc2,
    /// The older SD host controller. Touched only where the tree names it.
    Emmc,
}

/// A kind of board. Its devices are reached through it once each.
pub trait Board {
    /// The bus on which its registers are.
    type Registers: Bus + Send + 'static;
    /// Memory that is shared with its devices.
    type Memory: DmaMemory + Send + 'static;
    /// Its clock.
    type Clock: Clock + Copy + Send + 'static;

    /// What start-up and the exception report use of it.
    fn start(&self) -> &'static dyn StartBoard;
    /// The clock, which runs since power-on.
    fn clock(&self) -> Self::Clock;
    /// The registers of `block`; `None` if they have been given out.
    fn registers(&mut self, block: Block) -> Option<Self::Registers>;
    /// At least `size` bytes to share with a device, in whole cache lines, below 1 GiB; `None` if there are none left.
    fn dma_memory(&mut self, size: usize) -> Option<Self::Memory>;
}
