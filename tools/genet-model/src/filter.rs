//! Which frames the receiver takes: UMAC's own address, the 17-entry MDF filter, promiscuous mode; and the hardware filter block (HFB), which
//! picks the ring.
//!
//! Source: Linux `bcmgenet_set_rx_mode` (entry 0 is bit 16 of MDF_CTRL), `bcmgenet_hfb_*` (48 filters of 128 half-words).

use crate::registers::{HFB, HFB_END, UMAC_MDF_ADDR};

const ENTRIES: usize = 17;
const FILTERS: usize = 48;
const FILTER_WORDS: usize = 128;
const HFB_ENABLE: u32 = 1;

/// The destination of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Broadcast,
    Multicast,
    Unicast,
}

impl Destination {
    pub(crate) fn of(address: [u8; 6]) -> Self {
        match address {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => Self::Broadcast,
            [first, ..] if first & 1 != 0 => Self::Multicast,
            _ => Self::Unicast,
        }
    }
}

/// The address filter.
#[derive(Debug)]
pub(crate) struct AddressFilter {
    pub(crate) control: u32,
    words: [u32; ENTRIES * 2],
}

impl AddressFilter {
    pub(crate) fn new() -> Self {
        Self { control: 0, words: [0; ENTRIES * 2] }
    }
    pub(crate) fn word(&self, offset: u32) -> u32 {
        self.words.get((offset - UMAC_MDF_ADDR) as usize / 4).copied().unwrap_or(0)
    }
    pub(crate) fn set_word(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.words.get_mut((offset - UMAC_MDF_ADDR) as usize / 4) {
            *word = value;
        }
    }
    /// Whether a frame to `address` passes; `own` is UMAC_MAC0/1.
    ///
    /// With no entry enabled the MAC still knows its own address and broadcast (U-Boot programs no more than that).
    pub(crate) fn passes(&self, address: [u8; 6], own: [u8; 6], promiscuous: bool) -> bool {
        if promiscuous {
            return true;
        }
        if self.control == 0 {
            return address == own || Destination::of(address) == Destination::Broadcast;
        }
        self.words.chunks_exact(2).enumerate().any(|(entry, words)| {
            let [high, low] = words else { return false };
            let [_, _, a, b] = high.to_be_bytes();
            let [c, d, e, f] = low.to_be_bytes();
            self.control >> (ENTRIES - 1 - entry) & 1 != 0 && address == [a, b, c, d, e, f]
        })
    }
}

/// The hardware filter block.
#[derive(Debug)]
pub(crate) struct RingFilter {
    control: u32,
    /// Filters 32..48, then 0..32, as the registers lie.
    enable: [u32; 2],
    lengths: [u32; FILTERS / 4],
    words: Vec<u32>,
}

impl RingFilter {
    pub(crate) fn new() -> Self {
        Self { control: 0, enable: [0; 2], lengths: [0; FILTERS / 4], words: vec![0; FILTERS * FILTER_WORDS] }
    }
    /// The first filter that matches `frame`.
    pub(crate) fn matching(&self, frame: &[u8]) -> Option<usize> {
        if self.control & HFB_ENABLE == 0 {
            return None;
        }
        (0..FILTERS).find(|&filter| self.enabled(filter) && self.matches(filter, frame))
    }
    fn enabled(&self, filter: usize) -> bool {
        let [high, low] = self.enable;
        let word = if filter < 32 { low } else { high };
        word >> (filter % 32) & 1 != 0
    }
    fn matches(&self, filter: usize, frame: &[u8]) -> bool {
        let length =
            self.lengths.get((FILTERS - 1 - filter) / 4).map_or(0, |word| word >> (8 * (filter % 4)) & 0xff) as usize;
        let Some(words) = self.words.get(filter * FILTER_WORDS..).and_then(|rest| rest.get(..length)) else {
            return false;
        };
        length > 0
            && words.iter().zip(frame.chunks_exact(2)).all(|(word, pair)| {
                let mask = (0..4)
                    .filter(|nibble| word >> (16 + nibble) & 1 != 0)
                    .fold(0u16, |mask, nibble| mask | 0xf << (4 * nibble));
                let found = pair.try_into().map_or(0, u16::from_be_bytes);
                (found ^ *word as u16) & mask == 0
            })
    }
    pub(crate) fn read(&self, offset: u32) -> u32 {
        self.locate(offset).copied().unwrap_or(0)
    }
    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        match offset {
            HFB..HFB_END => {
                if let Some(word) = self.words.get_mut((offset - HFB) as usize / 4) {
                    *word = value;
                }
            }
            0xfc00 => self.control = value,
            0xfc04 => self.enable[0] = value,
            0xfc08 => self.enable[1] = value,
            0xfc1c.. => {
                if let Some(word) = self.lengths.get_mut((offset - 0xfc1c) as usize / 4) {
                    *word = value;
                }
            }
            _ => {}
        }
    }
    fn locate(&self, offset: u32) -> Option<&u32> {
        match offset {
            HFB..HFB_END => self.words.get((offset - HFB) as usize / 4),
            0xfc00 => Some(&self.control),
            0xfc04 => self.enable.first(),
            0xfc08 => self.enable.last(),
            0xfc1c.. => self.lengths.get((offset - 0xfc1c) as usize / 4),
            _ => None,
        }
    }
}
