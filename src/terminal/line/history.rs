//! The lines that were entered, and the walk through them.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Lines that are kept.
pub const LINES: usize = 64;

/// Bytes that they have together at most, so that pasted scripts do not fill the heap.
const BYTES: usize = 32 * 1024;

/// The latest lines, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    lines: VecDeque<String>,
    bytes: usize,
    /// The line that is looked at, while one is.
    at: Option<usize>,
    /// What stood in the editor before the walk began.
    unsaved: String,
}

impl History {
    /// Keeps `line`, unless it is blank or the same as the one before. Ends the walk.
    pub fn add(&mut self, line: &str) {
        self.stop();
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        self.lines.push_back(line.into());
        self.bytes += line.len();
        while self.lines.len() > LINES || self.bytes > BYTES {
            self.bytes -= self.lines.pop_front().map_or(self.bytes, |oldest| oldest.len());
        }
    }

    /// Ends the walk.
    pub fn stop(&mut self) {
        self.at = None;
        self.unsaved.clear();
    }

    /// The line before the one that is looked at; `current` is what stands in the editor.
    pub fn older(&mut self, current: impl FnOnce() -> String) -> Option<&str> {
        let at = self.at.unwrap_or(self.lines.len()).checked_sub(1)?;
        if self.at.is_none() {
            self.unsaved = current();
        }
        self.at = Some(at);
        self.lines.get(at).map(String::as_str)
    }

    /// The line after the one that is looked at, after the last one what stood in the editor before.
    pub fn newer(&mut self) -> Option<&str> {
        let at = self.at? + 1;
        self.at = (at < self.lines.len()).then_some(at);
        Some(self.lines.get(at).unwrap_or(&self.unsaved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_and_the_same_again_are_not_kept() {
        let mut history = History::default();
        for line in ["a", "", "  ", "a", "b", "a"] {
            history.add(line);
        }
        assert_eq!(history.lines, ["a", "b", "a"]);
    }

    #[test]
    fn the_oldest_go_by_number_and_by_bytes() {
        let mut history = History::default();
        for number in 0..100 {
            history.add(&format!("line {number}"));
        }
        assert_eq!((history.lines.len(), history.lines[0].as_str()), (LINES, "line 36"));
        for number in 0..20 {
            history.add(&format!("{number:04096}"));
        }
        assert_eq!((history.lines.len(), history.bytes), (8, BYTES));
    }

    #[test]
    fn the_walk_stops_at_the_oldest_and_ends_with_the_unsaved_line() {
        let mut history = History::default();
        history.add("one");
        history.add("two");
        assert_eq!(history.newer(), None);
        assert_eq!(history.older(|| "thr".into()), Some("two"));
        assert_eq!(history.older(|| "edited".into()), Some("one"));
        assert_eq!(history.older(|| "edited".into()), None);
        assert_eq!(history.newer(), Some("two"));
        assert_eq!(history.newer(), Some("thr"));
        assert_eq!(history.newer(), None);
    }
}
