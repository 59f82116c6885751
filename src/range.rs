//! Ranges of physical addresses, the common coin of memory nodes, reservations, layout and error messages.

use core::fmt;

/// The half-open range `start..end` of physical addresses, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysicalRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last.
    pub end: u64,
}

impl PhysicalRange {
    /// `size` bytes from `start`; `None` if that passes the end of the address space.
    pub const fn sized(start: u64, size: u64) -> Option<Self> {
        match start.checked_add(size) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }
    /// Length in bytes; zero if `end` is not after `start`.
    pub const fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
    /// Whether there is no byte in it.
    pub const fn is_empty(&self) -> bool {
        self.end <= self.start
    }
    /// Whether a byte is in both.
    pub const fn overlaps(&self, other: &Self) -> bool {
        !self.is_empty() && !other.is_empty() && self.start < other.end && other.start < self.end
    }
    /// Whether all of `other` lies in this range.
    pub const fn contains(&self, other: &Self) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }
}

/// As the console shows a range: `0x00200000-0x00335fff`, both bytes included; `empty at 0x…` where there is none.
impl fmt::Display for PhysicalRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            write!(f, "empty at {:#010x}", self.start)
        } else {
            write!(f, "{:#010x}-{:#010x}", self.start, self.end - 1)
        }
    }
}
