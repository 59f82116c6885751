//! What commands do with memory as a whole: going through it in pieces, copying it, digests of it.
//!
//! A script, a header or a file can say a size of gigabytes. Console, watchdog and Ctrl-C are looked after all the same, because whatever goes through memory does so by
//! [`Shell::walk`].

use super::platform::NotMemory;
use super::{Failure, Shell};
use crate::boot::digest::{Algorithm, Running, crc32_continued};
use crate::range::PhysicalRange;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes that are worked on between two looks at the keyboard. The slowest work, SHA-256, takes a tenth of a millisecond for them on the board.
pub const PIECE: u64 = 16 << 10;

/// A piece of something that is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) struct Piece {
    /// Where it begins, in bytes from the beginning of the whole.
    pub offset: u64,
    /// Its bytes, at most [`PIECE`].
    pub length: u64,
}

impl Piece {
    /// Where it lies if the whole begins at `start`.
    pub fn at(self, start: u64) -> PhysicalRange {
        let start = start.saturating_add(self.offset);
        PhysicalRange { start, end: start.saturating_add(self.length) }
    }
}

impl Shell<'_> {
    /// Goes through `size` bytes in pieces, with a look at the keyboard before each, for as long as `each` says that it wants more. `what` is what
    /// that is called where it is shown how far it is.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] by Ctrl-C, and what `each` says.
    pub(in crate::shell) fn walk(
        &mut self,
        what: &str,
        size: u64,
        each: &mut dyn FnMut(&mut Shell<'_>, Piece) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut offset = 0;
        let mut walked = Ok(true);
        while offset < size && matches!(walked, Ok(true)) {
            if self.platform.interrupted() {
                walked = Err(Failure::Interrupted);
                break;
            }
            self.platform.progress(what, offset, size);
            let length = PIECE.min(size - offset);
            walked = each(self, Piece { offset, length });
            offset += length;
        }
        self.platform.worked(what, walked.is_ok());
        walked.map(drop)
    }

    /// Copies the bytes in `source` to `to`. Both may overlap.
    ///
    /// # Errors
    /// [`NotMemory`] of either, where nothing has been written; [`Failure::Interrupted`], where a part has.
    pub fn copy(&mut self, source: PhysicalRange, to: u64) -> Result<PhysicalRange, Failure> {
        let size = source.size();
        let target =
            PhysicalRange::sized(to, size).ok_or(NotMemory::Outside(PhysicalRange { start: to, end: u64::MAX }))?;
        self.platform.memory(source)?;
        self.platform.memory_mut(target)?;
        // Only one place of the platform's memory can be looked at at a time, so the bytes go over the heap.
        let mut bytes = vec![0; PIECE.min(size) as usize];
        self.walk("copying", size, &mut |shell, piece| {
            // From the end where the target lies behind, so that no byte is overwritten before it was copied.
            let offset = if to > source.start { size - piece.offset - piece.length } else { piece.offset };
            let piece = Piece { offset, ..piece };
            let bytes = bytes.get_mut(..piece.length as usize).unwrap_or_default();
            bytes.copy_from_slice(shell.platform.memory(piece.at(source.start))?);
            shell.platform.memory_mut(piece.at(to))?.copy_from_slice(bytes);
            Ok(true)
        })?;
        Ok(target)
    }

    /// The CRC-32 of the bytes in `range`.
    ///
    /// # Errors
    /// [`NotMemory`], [`Failure::Interrupted`].
    pub fn crc32(&mut self, range: PhysicalRange) -> Result<u32, Failure> {
        let mut crc = 0;
        self.walk("crc32", range.size(), &mut |shell, piece| {
            crc = crc32_continued(crc, shell.platform.memory(piece.at(range.start))?);
            Ok(true)
        })?;
        Ok(crc)
    }

    /// The digest of the bytes in `range`.
    ///
    /// # Errors
    /// As [`Shell::crc32`].
    pub fn digest(&mut self, algorithm: Algorithm, range: PhysicalRange) -> Result<Vec<u8>, Failure> {
        let mut running = Running::new(algorithm);
        self.walk(algorithm.name(), range.size(), &mut |shell, piece| {
            running.add(shell.platform.memory(piece.at(range.start))?);
            Ok(true)
        })?;
        Ok(running.finish())
    }
}
