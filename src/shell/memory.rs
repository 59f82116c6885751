//! What commands do with memory as a whole: copying it from place to place.

use super::Shell;
use super::platform::NotMemory;
use crate::range::PhysicalRange;
use alloc::vec;

/// Bytes that are copied at once: only one place of the platform's memory can be looked at at a time, so they go over the heap.
const CHUNK: u64 = 32 << 10;

impl Shell<'_> {
    /// Copies the bytes in `source` to `to`. Both may overlap.
    ///
    /// # Errors
    /// [`NotMemory`] of either; nothing has been written then.
    pub fn copy(&mut self, source: PhysicalRange, to: u64) -> Result<PhysicalRange, NotMemory> {
        let size = source.size();
        let target =
            PhysicalRange::sized(to, size).ok_or(NotMemory::Outside(PhysicalRange { start: to, end: u64::MAX }))?;
        self.platform.memory(source)?;
        self.platform.memory_mut(target)?;
        let mut chunk = vec![0; CHUNK.min(size) as usize];
        let mut done = 0;
        while done < size {
            let length = CHUNK.min(size - done);
            // From the end where the target lies behind, so that no byte is overwritten before it was copied.
            let offset = if to > source.start { size - done - length } else { done };
            let part = chunk.get_mut(..length as usize).unwrap_or_default();
            let at = |start: u64| PhysicalRange { start: start + offset, end: start + offset + length };
            part.copy_from_slice(self.platform.memory(at(source.start))?);
            self.platform.memory_mut(at(to))?.copy_from_slice(part);
            done += length;
        }
        Ok(target)
    }
}
