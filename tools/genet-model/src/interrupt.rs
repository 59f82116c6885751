//! INTRL2: two interrupt controllers of status, mask and their set and clear registers. All masked at reset, as on silicon.

/// MDIO transaction over.
pub(crate) const MDIO_DONE: u32 = 1 << 23;
/// MDIO read without an answer.
pub(crate) const MDIO_ERROR: u32 = 1 << 24;
/// RX ring 16: buffers done as often as DMA_MBUF_DONE_THRESH asks.
pub(crate) const RX_DONE: u32 = 1 << 13;
/// TX ring 16: the same.
pub(crate) const TX_DONE: u32 = 1 << 16;

/// One of the two.
#[derive(Debug)]
pub(crate) struct Intrl2 {
    status: u32,
    mask: u32,
}

impl Intrl2 {
    pub(crate) fn new() -> Self {
        Self { status: 0, mask: u32::MAX }
    }
    pub(crate) fn raise(&mut self, bits: u32) {
        self.status |= bits;
    }
    pub(crate) fn line(&self) -> bool {
        self.status & !self.mask != 0
    }
    /// `offset` inside the controller.
    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            0x00 => self.status,
            0x0c => self.mask,
            _ => 0,
        }
    }
    /// `offset` inside the controller; false where no register takes a write.
    pub(crate) fn write(&mut self, offset: u32, value: u32) -> bool {
        match offset {
            0x04 => self.status |= value,
            0x08 => self.status &= !value,
            0x10 => self.mask |= value,
            0x14 => self.mask &= !value,
            _ => return false,
        }
        true
    }
}
