//! TBUF: frames between the TX DMA and the wire.
//!
//! A frame in it has left the ring (TDMA_CONS_INDEX counts it) and waits for the one before it to leave the wire. So an empty ring is not an empty
//! transmitter: Linux lets 10 ms pass between switching off the TX DMA and clearing TX_EN (`bcmgenet_dma_teardown`).

use std::collections::VecDeque;

/// A frame as its descriptors described it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    /// Of the first descriptor.
    pub(crate) flags: u32,
    pub(crate) slot: u16,
}

/// The transmit buffer.
#[derive(Debug, Default)]
pub(crate) struct Tbuf {
    frames: VecDeque<Outgoing>,
    bytes: usize,
}

impl Tbuf {
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
    pub(crate) fn push(&mut self, frame: Outgoing) {
        self.bytes += frame.bytes.len();
        self.frames.push_back(frame);
    }
    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.bytes.len();
        Some(frame)
    }
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
