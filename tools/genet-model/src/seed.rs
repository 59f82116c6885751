//! Start values that differ from run to run but can be repeated: SplitMix64 (Steele, Lea, Flood 2014), seeded by the caller.

/// A stream of junk.
#[derive(Clone, Debug)]
pub(crate) struct Junk(u64);

impl Junk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
    pub(crate) fn word32(&mut self) -> u32 {
        (self.word() >> 32) as u32
    }
    pub(crate) fn flag(&mut self) -> bool {
        self.word() >> 63 == 1
    }
    /// A DMA index that is neither 0 nor a multiple of the ring size, so that a driver which assumes 0 fails at once.
    pub(crate) fn index(&mut self) -> u16 {
        let index = (self.word() >> 48) as u16;
        if index.is_multiple_of(256) { index.wrapping_add(37) } else { index }
    }
}
