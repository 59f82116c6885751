//! Short texts inside error values.

use core::fmt;

/// A copy of a name or a path, at most [`Label::CAPACITY`] bytes of it, so that an error can say what it is about and still be
/// `Copy`. A text that does not fit keeps its end, which is the telling part of a path, behind `..`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label {
    bytes: [u8; Self::CAPACITY],
    length: u8,
}

impl Label {
    /// Bytes that a label can hold: the longest node name of the specification and some of its parent.
    pub const CAPACITY: usize = 46;

    /// Copies `text`, shortened from the left if it is too long.
    pub fn new(text: &str) -> Self {
        let mut label = Self { bytes: [0; Self::CAPACITY], length: 0 };
        if text.len() <= Self::CAPACITY {
            label.push(text);
            return label;
        }
        label.push("..");
        let mut start = text.len() - (Self::CAPACITY - 2);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        label.push(text.get(start..).unwrap_or(""));
        label
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.length)).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            if let Some(slot) = self.bytes.get_mut(usize::from(self.length)) {
                *slot = byte;
                self.length += 1;
            }
        }
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_kept_and_a_long_one_keeps_its_end() {
        assert_eq!(Label::new("/chosen").as_str(), "/chosen");
        let exact = "x".repeat(Label::CAPACITY);
        assert_eq!(Label::new(&exact).as_str(), exact);
        let long = Label::new(&("a".repeat(100) + "/chosen/module@0"));
        assert_eq!(long.as_str().len(), Label::CAPACITY);
        assert!(long.as_str().starts_with("..aaa"));
        assert!(long.as_str().ends_with("aaa/chosen/module@0"));
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let long = Label::new(&"é".repeat(100));
        assert!(long.as_str().starts_with("..é"));
        assert_eq!(long.as_str().chars().filter(|&c| c == 'é').count(), 22);
        assert_eq!(Label::new(&("é".repeat(100) + "x")).as_str().chars().filter(|&c| c == 'é').count(), 21);
    }
}
