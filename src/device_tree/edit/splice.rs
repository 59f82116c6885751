//! Moving the bytes: packing, making room, and the header that says where things are.

use super::super::header::{self, HEADER_SIZE, field};
use super::{Editor, Error};
use crate::sort::sort_by;

impl Editor<'_> {
    /// Puts the blocks behind each other in the order reservations, structure, strings.
    ///
    /// The header has 40 bytes, an entry of the reservations 16, a token 4: packed in this order every block has its alignment.
    pub(super) fn pack(&mut self) {
        let old = self.header;
        // Rank in the target order, offset, size.
        let mut blocks = [
            (0, old.reservations_offset, old.reservations_size),
            (1, old.structure_offset, old.structure_size),
            (2, old.strings_offset, old.strings_size),
        ];
        // Slide each down to the end of the one before it, in the order they lie: none reaches one that has not moved yet.
        sort_by(&mut blocks, |one, other| (one.1, one.2) < (other.1, other.2));
        let mut end = HEADER_SIZE;
        for (_, offset, size) in &mut blocks {
            self.shift(*offset, *size, end);
            *offset = end;
            end += *size;
        }
        // Three blocks are in order after at most three exchanges of neighbours.
        for first in [0, 1, 0] {
            let Some([left, right]) = blocks.get_mut(first..first + 2) else { continue };
            if left.0 > right.0 {
                if let Some(both) = self.buffer.get_mut(left.1..left.1 + left.2 + right.2) {
                    both.rotate_left(left.2);
                }
                (*left, *right) = ((right.0, left.1, right.2), (left.0, left.1 + right.2, left.2));
            }
        }
        self.header.reservations_offset = HEADER_SIZE;
        self.update();
    }

    /// Makes sure that the tree can grow by `more` bytes.
    pub(super) fn make_room(&self, more: usize) -> Result<(), Error> {
        // The header's numbers have 32 bits.
        let have = self.buffer.len().min(u32::MAX as usize);
        let needed = self.header.total_size.saturating_add(more);
        if needed <= have { Ok(()) } else { Err(Error::NoRoom { needed, have }) }
    }

    /// Replaces `remove` bytes at `at` of the structure block by `insert` zeroes, for which there is room.
    pub(super) fn splice_structure(&mut self, at: usize, remove: usize, insert: usize) {
        self.splice(at, remove, insert);
        self.header.structure_size = self.header.structure_size + insert - remove;
        self.update();
    }

    /// Replaces `remove` bytes at `at` of the memory reservation block by `insert` zeroes, for which there is room.
    pub(super) fn splice_reservations(&mut self, at: usize, remove: usize, insert: usize) {
        self.splice(at, remove, insert);
        self.header.reservations_size = self.header.reservations_size + insert - remove;
        self.update();
    }

    /// Adds a name to the strings block, for which there is room; gives its offset there.
    pub(super) fn push_string(&mut self, name: &str) -> usize {
        let offset = self.header.strings_size;
        let at = self.header.strings_offset + offset;
        self.splice(at, 0, name.len() + 1);
        self.put(at, name.as_bytes());
        self.header.strings_size += name.len() + 1;
        self.update();
        offset
    }

    /// Where `name` with its zero is in the strings block, be it as the end of a longer name.
    pub(super) fn find_string(&self, name: &str) -> Option<usize> {
        let start = self.header.strings_offset;
        let strings = self.buffer.get(start..start + self.header.strings_size)?;
        strings.windows(name.len() + 1).position(|window| window.split_last() == Some((&0, name.as_bytes())))
    }

    /// Writes `bytes` at `at`.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(target) = self.buffer.get_mut(at..at + bytes.len()) {
            target.copy_from_slice(bytes);
        }
    }

    /// Writes a big-endian word at `at`.
    pub(super) fn put_word(&mut self, at: usize, word: u32) {
        self.put(at, &word.to_be_bytes());
    }

    /// Replaces `remove` bytes at `at` by `insert` zeroes, moving what follows.
    fn splice(&mut self, at: usize, remove: usize, insert: usize) {
        let behind = at + remove;
        self.shift(behind, self.header.total_size - behind, at + insert);
        if let Some(gap) = self.buffer.get_mut(at..at + insert) {
            gap.fill(0);
        }
    }

    /// Moves `length` bytes from `from` to `to`, all of them inside the buffer.
    pub(super) fn shift(&mut self, from: usize, length: usize, to: usize) {
        self.buffer.copy_within(from..from + length, to);
    }

    /// Derives the offsets of the packed blocks from their sizes and writes the header.
    pub(super) fn update(&mut self) {
        let header = &mut self.header;
        header.structure_offset = header.reservations_offset + header.reservations_size;
        header.strings_offset = header.structure_offset + header.structure_size;
        header.total_size = header.strings_offset + header.strings_size;
        let header = self.header;
        for (at, value) in [
            (field::MAGIC, header::MAGIC),
            (field::TOTAL_SIZE, header.total_size as u32),
            (field::STRUCTURE_OFFSET, header.structure_offset as u32),
            (field::STRINGS_OFFSET, header.strings_offset as u32),
            (field::RESERVATIONS_OFFSET, header.reservations_offset as u32),
            (field::VERSION, header::VERSION),
            (field::LAST_COMPATIBLE_VERSION, header::LAST_COMPATIBLE_VERSION),
            (field::BOOT_CPU, header.boot_cpu),
            (field::STRINGS_SIZE, header.strings_size as u32),
            (field::STRUCTURE_SIZE, header.structure_size as u32),
        ] {
            self.put_word(at, value);
        }
    }
}
