//! Memory that a device reads and writes on its own, behind the back of the CPU's caches.
//!
//! The BCM2711's bus masters are not coherent with the Cortex-A72's caches. A [`DmaMemory`] therefore has two views, the CPU's
//! and the device's, joined only by the two `give`/`take` operations. On the board both views are the same RAM and the
//! operations are cache maintenance; on the host they are two arrays, so a driver that forgets one of them fails its test.

use crate::arch::{barrier, cache};
use crate::range::PhysicalRange;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A block of memory shared with a bus master.
///
/// Every byte is owned either by the CPU or by the device. The driver hands ownership over with [`give`](Self::give) and takes it
/// back with [`take`](Self::take); it reads and writes only bytes that it owns. Ranges start and end on multiples of
/// [`LINE`], so that no cache line has two owners.
pub trait DmaMemory {
    /// Size in bytes, a multiple of [`LINE`].
    fn size(&self) -> usize;
    /// The address at which the device sees byte 0.
    fn device_address(&self) -> u64;
    /// The CPU's view of `range`.
    fn bytes(&self, range: Range<usize>) -> &[u8];
    /// The CPU's view of `range`, to write.
    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8];
    /// Hands `range` to the device: cleans (writes back) and invalidates its cache lines, then orders that before any later
    /// doorbell write. Wanted before the device reads what the CPU wrote, and before the device writes at all, because a dirty
    /// line evicted later would overwrite the device's data.
    fn give(&mut self, range: Range<usize>);
    /// Hands back to the device what the CPU has taken and then only read. None of its lines is dirty, so nothing can be written over the
    /// device's data, and stale copies that the CPU may have are dropped by the next [`take`](Self::take).
    fn give_unwritten(&mut self, range: Range<usize>) {
        self.give(range);
    }
    /// Takes `range` back after the device has written it: orders the descriptor read before it, then invalidates its cache
    /// lines, because the CPU may have speculatively loaded stale ones while the device owned them.
    fn take(&mut self, range: Range<usize>);
}

/// Size in bytes of a Cortex-A72 data-cache line (Cortex-A72 TRM, section 6.1), the granule of ownership.
pub const LINE: usize = 64;

/// Size in bytes of all memory that can be shared with devices: GENET's 512 buffers of 2 KiB, and 64 KiB for all else.
pub const ARENA: usize = (1 << 20) + (64 << 10);

/// Inside the loader's image, so it lies below 1 GiB (where the mailbox can reach it) and is reserved as long as the loader runs.
#[repr(align(4096))]
struct Arena(UnsafeCell<MaybeUninit<[u8; ARENA]>>);

// SAFETY: its bytes are reached only through the blocks that `DmaBlock::take` cuts from it, and TAKEN only grows, so no two
// blocks share a byte.
unsafe impl Sync for Arena {}

#[cfg_attr(target_os = "none", unsafe(link_section = ".noinit"))]
static MEMORY: Arena = Arena(UnsafeCell::new(MaybeUninit::uninit()));

/// Bytes given out, from the start of the arena; nothing is given back, because devices are set up once. Not in the arena itself, which starts
/// with whatever is in RAM.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Why there is no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaFull {
    /// Bytes wanted.
    pub wanted: usize,
    /// Bytes left.
    pub left: usize,
}

impl fmt::Display for ArenaFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes wanted for a device, {} of {ARENA} left", self.wanted, self.left)
    }
}

/// A block of the arena: Normal cached memory, kept coherent by hand.
#[derive(Debug)]
pub struct DmaBlock {
    base: *mut u8,
    size: usize,
}

// SAFETY: a block is the only owner of its bytes, wherever it is moved.
unsafe impl Send for DmaBlock {}

impl DmaBlock {
    /// A zeroed block of at least `size` bytes, rounded up to whole cache lines, for good.
    ///
    /// # Errors
    /// The arena has not that much left.
    pub fn take(size: usize) -> Result<Self, ArenaFull> {
        let mut found = TAKEN.load(Ordering::Relaxed);
        loop {
            let left = ARENA - found;
            if size > left {
                return Err(ArenaFull { wanted: size, left });
            }
            // ARENA is a multiple of LINE, and so is `found`, so the rounded size fits as well.
            let size = size.next_multiple_of(LINE);
            match TAKEN.compare_exchange_weak(found, found + size, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    // SAFETY: `found + size <= ARENA`, so the block lies inside MEMORY, and no other block has these bytes,
                    // because TAKEN moved past them in one step.
                    let base = unsafe {
                        let base = MEMORY.0.get().cast::<u8>().add(found);
                        base.write_bytes(0, size);
                        base
                    };
                    return Ok(Self { base, size });
                }
                Err(other) => found = other,
            }
        }
    }

    /// The physical range of `range`'s bytes; an end past the block's is the block's.
    #[inline(always)]
    fn physical(&self, range: &Range<usize>) -> PhysicalRange {
        let start = self.base as u64;
        PhysicalRange { start: start + range.start.min(self.size) as u64, end: start + range.end.min(self.size) as u64 }
    }
}

impl DmaMemory for DmaBlock {
    fn size(&self) -> usize {
        self.size
    }
    fn device_address(&self) -> u64 {
        self.base as u64
    }
    #[inline]
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        // SAFETY: `take` gave this block `size` initialised bytes at `base` that nothing else refers to. What a device writes
        // meanwhile it writes to memory, not to the cache lines that are read here, and by the trait's rule the driver reads only
        // what it owns.
        let block = unsafe { core::slice::from_raw_parts(self.base, self.size) };
        block.get(range).unwrap_or_default()
    }
    #[inline]
    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes this the only slice.
        let block = unsafe { core::slice::from_raw_parts_mut(self.base, self.size) };
        block.get_mut(range).unwrap_or_default()
    }
    #[inline]
    fn give(&mut self, range: Range<usize>) {
        cache::clean_invalidate(self.physical(&range));
    }
    fn give_unwritten(&mut self, _range: Range<usize>) {}
    #[inline]
    fn take(&mut self, range: Range<usize>) {
        // The read that told the driver "it is yours" comes before the first look at the data.
        barrier::dmb_sy();
        let whole = cache::invalidate(self.physical(&range));
        debug_assert!(whole.is_some(), "a range of DMA memory that shares cache lines with its neighbours");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_zeroed_lines_and_never_overlap() {
        let mut first = DmaBlock::take(100).unwrap();
        let second = DmaBlock::take(1).unwrap();
        assert_eq!((first.size(), second.size()), (128, LINE));
        assert_eq!(second.device_address() % LINE as u64, 0);
        first.bytes_mut(0..128).fill(0xff);
        assert!(second.bytes(0..LINE).iter().all(|byte| *byte == 0));
        let ends = [first.physical(&(0..128)), second.physical(&(0..LINE))];
        assert!(!ends[0].overlaps(&ends[1]));
    }

    #[test]
    fn a_block_larger_than_what_is_left_is_refused() {
        let error = DmaBlock::take(ARENA + 1).unwrap_err();
        assert_eq!(error.wanted, ARENA + 1);
        assert!(DmaBlock::take(usize::MAX).is_err());
    }

    #[test]
    fn a_range_past_the_block_is_empty() {
        let mut block = DmaBlock::take(64).unwrap();
        assert!(block.bytes(0..65).is_empty());
        assert!(block.bytes_mut(65..70).is_empty());
    }
}
