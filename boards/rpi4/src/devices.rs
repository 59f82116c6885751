//! Where this board's devices are, for the drivers.
//!
//! Addresses as in `board`. Each block is given out once, so that no two drivers drive the same device; the hooks of start-up use
//! some of them too, but only before there are drivers, or when everything has failed.

use crate::board::RaspberryPi4;
use xenlift::arch::StartBoard;
use xenlift::arch::timer::SystemClock;
use xenlift::board::{Block, Board};
use xenlift::dma::DmaBlock;
use xenlift::drivers::genet::WINDOW;
use xenlift::drivers::sdhci;
use xenlift::mmio::Mmio;

/// The devices of a Raspberry Pi 4B, 400 or CM4, those that have been given out marked.
#[derive(Default)]
pub struct Devices {
    given: [bool; BLOCKS.len()],
}

/// Blocks, their physical addresses and lengths in bytes.
const BLOCKS: [(Block, usize, usize); 8] = [
    (Block::Gpio, 0xfe20_0000, 0xf4),
    (Block::Pl011, 0xfe20_1000, 0x90),
    (Block::Auxiliary, 0xfe21_5000, 0x6c),
    (Block::Mailbox, 0xfe00_b880, 0x40),
    (Block::PowerManagement, 0xfe10_0000, 0x28),
    (Block::Ethernet, 0xfd58_0000, WINDOW),
    (Block::Emmc2, 0xfe34_0000, sdhci::WINDOW),
    (Block::Emmc, 0xfe30_0000, sdhci::WINDOW),
];

impl Board for Devices {
    type Registers = Mmio;
    type Memory = DmaBlock;
    type Clock = SystemClock;

    fn start(&self) -> &'static dyn StartBoard {
        &RaspberryPi4
    }
    fn clock(&self) -> SystemClock {
        SystemClock::new(RaspberryPi4.counter_frequency())
    }
    fn registers(&mut self, block: Block) -> Option<Mmio> {
        let index = BLOCKS.iter().position(|(known, ..)| *known == block)?;
        let (_, address, length) = BLOCKS.get(index)?;
        let given = self.given.get_mut(index)?;
        if core::mem::replace(given, true) {
            return None;
        }
        // SAFETY: every BCM2711 has these blocks at these addresses, inside the window that start-up mapped as Device memory;
        // `given` makes this the only handle, and the hooks run only when no driver does.
        Some(unsafe { Mmio::new(*address, *length) })
    }
    fn dma_memory(&mut self, size: usize) -> Option<DmaBlock> {
        DmaBlock::take(size).ok()
    }
}
