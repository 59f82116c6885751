//! The header of a flattened device tree and its numbers (Devicetree Specification v0.4, 5.2 to 5.4).

/// The first four bytes, big-endian.
pub(super) const MAGIC: u32 = 0xd00d_feed;
/// Bytes of a version 17 header: ten big-endian words.
pub(super) const HEADER_SIZE: usize = 40;
/// The version that this project reads and writes.
pub(super) const VERSION: u32 = 17;
/// The oldest version that a version 17 tree can be read as.
pub(super) const LAST_COMPATIBLE_VERSION: u32 = 16;
/// Bytes of an entry in the memory reservation block: address and size, 64 bits each.
pub(super) const RESERVATION_SIZE: usize = 16;

/// Tokens of the structure block.
pub(super) const BEGIN_NODE: u32 = 1;
pub(super) const END_NODE: u32 = 2;
pub(super) const PROPERTY: u32 = 3;
pub(super) const NOP: u32 = 4;
pub(super) const END: u32 = 9;

/// Bytes of a token.
pub(super) const TOKEN_SIZE: usize = 4;
/// Bytes of a property before its value: token, length of the value, offset of its name.
pub(super) const PROPERTY_HEADER_SIZE: usize = 12;

/// Offsets of the header's words, in bytes.
pub(super) mod field {
    pub const MAGIC: usize = 0;
    pub const TOTAL_SIZE: usize = 4;
    pub const STRUCTURE_OFFSET: usize = 8;
    pub const STRINGS_OFFSET: usize = 12;
    pub const RESERVATIONS_OFFSET: usize = 16;
    pub const VERSION: usize = 20;
    pub const LAST_COMPATIBLE_VERSION: usize = 24;
    pub const BOOT_CPU: usize = 28;
    pub const STRINGS_SIZE: usize = 32;
    pub const STRUCTURE_SIZE: usize = 36;
}

/// Where the blocks of a checked tree lie. Offsets are bytes from the start of the tree.
///
/// Only [`check()`](super::check()) makes one, so its numbers are true: each block lies within `total_size`, and no two share a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole tree, as its header says.
    pub total_size: usize,
    /// Offset of the memory reservation block, a multiple of 8.
    pub reservations_offset: usize,
    /// Bytes of the memory reservation block with its terminating entry.
    pub reservations_size: usize,
    /// Offset of the structure block, a multiple of 4.
    pub structure_offset: usize,
    /// Bytes of the structure block up to and with its END token; the header may claim more.
    pub structure_size: usize,
    /// Offset of the strings block.
    pub strings_offset: usize,
    /// Bytes of the strings block.
    pub strings_size: usize,
    /// Physical id of the boot CPU.
    pub boot_cpu: u32,
}

/// The big-endian word at `offset`.
pub(super) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let end = offset.checked_add(4)?;
    bytes.get(offset..end)?.try_into().ok().map(u32::from_be_bytes)
}

/// The big-endian double word at `offset`.
pub(super) fn double_word(bytes: &[u8], offset: usize) -> Option<u64> {
    let end = offset.checked_add(8)?;
    bytes.get(offset..end)?.try_into().ok().map(u64::from_be_bytes)
}

/// `length` rounded up to whole tokens.
pub(super) const fn padded(length: usize) -> Option<usize> {
    length.checked_next_multiple_of(TOKEN_SIZE)
}
