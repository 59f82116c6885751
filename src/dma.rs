//! Memory that a device reads and writes on its own, behind the back of the CPU's caches.
//!
//! The BCM2711's bus masters are not coherent with the Cortex-A72's caches. A [`DmaMemory`] therefore has two views, the CPU's
//! and the device's, joined only by the two `give`/`take` operations. On the board both views are the same RAM and the
//! operations are cache maintenance; on the host they are two arrays, so a driver that forgets one of them fails its test.

use core::ops::Range;

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
    /// Takes `range` back after the device has written it: orders the descriptor read before it, then invalidates its cache
    /// lines, because the CPU may have speculatively loaded stale ones while the device owned them.
    fn take(&mut self, range: Range<usize>);
}

/// Size in bytes of a Cortex-A72 data-cache line (Cortex-A72 TRM, section 6.1), the granule of ownership.
pub const LINE: usize = 64;
