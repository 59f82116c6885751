//! Properties, and their values as numbers and texts.

use core::fmt;

/// A property of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Property<'a> {
    name: &'a str,
    value: &'a [u8],
    /// Offset of its PROP token.
    pub(in super::super) offset: usize,
}

impl fmt::Debug for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:02x?}", self.name, self.value)
    }
}

impl<'a> Property<'a> {
    pub(super) fn new(name: &'a str, value: &'a [u8], offset: usize) -> Self {
        Self { name, value, offset }
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its value as it lies in the tree.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The value, if it is exactly one cell.
    pub fn u32(&self) -> Option<u32> {
        self.value.try_into().ok().map(u32::from_be_bytes)
    }

    /// The value, if it is exactly two cells.
    pub fn u64(&self) -> Option<u64> {
        self.value.try_into().ok().map(u64::from_be_bytes)
    }

    /// The value as a number of one or two cells.
    pub fn number(&self) -> Option<u64> {
        self.u32().map(u64::from).or_else(|| self.u64())
    }

    /// The value as 32-bit cells; bytes that do not fill a cell are left out.
    pub fn cells(&self) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + Clone + use<'a> {
        let (cells, _) = self.value.as_chunks::<4>();
        cells.iter().map(|cell| u32::from_be_bytes(*cell))
    }

    /// The value, if it is one zero-terminated UTF-8 text; of a list of texts, the first.
    pub fn string(&self) -> Option<&'a str> {
        let end = self.value.iter().position(|&byte| byte == 0)?;
        core::str::from_utf8(self.value.get(..end)?).ok()
    }

    /// The value as a list of zero-terminated texts; what is no UTF-8 or lacks its zero is left out.
    pub fn strings(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let end = self.value.iter().rposition(|&byte| byte == 0).unwrap_or(0);
        let terminated = self.value.get(..end).unwrap_or(&[]);
        let entries = if self.value.contains(&0) { Some(terminated.split(|&byte| byte == 0)) } else { None };
        entries.into_iter().flatten().filter_map(|entry| core::str::from_utf8(entry).ok())
    }

    /// Whether `text` is one of [`strings`](Self::strings).
    pub fn lists(&self, text: &str) -> bool {
        let end = self.value.iter().rposition(|&byte| byte == 0);
        let terminated = end.and_then(|end| self.value.get(..end));
        terminated.is_some_and(|value| value.split(|&byte| byte == 0).any(|entry| entry == text.as_bytes()))
    }
}
