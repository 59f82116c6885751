//! Where a file of a script lands: exactly where its command said, and no byte beyond what that has room for.

use crate::arch::bytes::copy;
use crate::net::tftp::{Refusal, Sink};
use crate::ram::Workspace;
use crate::range::PhysicalRange;

/// A sink into a place in memory.
pub(super) struct Touchdown<'w> {
    pub workspace: &'w mut Workspace,
    pub place: PhysicalRange,
}

impl Touchdown<'_> {
    #[inline]
    fn check(&self, size: u64) -> Result<(), Refusal> {
        let room = self.place.size();
        if size > room { Err(Refusal::TooLarge { size, room }) } else { Ok(()) }
    }
}

impl Sink for Touchdown<'_> {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.check(size.unwrap_or(0))
    }

    #[inline]
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let length = bytes.len() as u64;
        self.check(offset.saturating_add(length))?;
        let start = self.place.start.saturating_add(offset);
        // Only what is written counts as written, so the place is taken piece by piece.
        let target = PhysicalRange::sized(start, length).and_then(|range| self.workspace.bytes_mut(range));
        match target {
            Some(target) => {
                copy(target, bytes);
                Ok(())
            }
            None => Err(Refusal::Other("there is no free memory where the script wants it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ram::Ram;

    const FIRST: u64 = 0x100_0000;

    fn range(start: u64, end: u64) -> PhysicalRange {
        PhysicalRange { start: FIRST + start, end: FIRST + end }
    }

    #[test]
    fn a_file_lands_where_the_script_says_and_only_its_bytes_count_as_written() {
        let mut ram = Ram::simulated(FIRST, 0x10_0000);
        let mut workspace = ram.lend_free().unwrap();
        let mut touchdown = Touchdown { workspace: &mut workspace, place: range(0x1000, 0x10_0000) };
        touchdown.begin(Some(6)).unwrap();
        touchdown.write(0, b"abc").unwrap();
        touchdown.write(3, b"def").unwrap();
        assert_eq!(workspace.bytes(range(0x1000, 0x1006)).unwrap(), b"abcdef");
        assert_eq!(workspace.written(), [range(0x1000, 0x1006)]);
    }

    #[test]
    fn nothing_is_written_beyond_the_place() {
        let mut ram = Ram::simulated(FIRST, 0x10_0000);
        let mut workspace = ram.lend_free().unwrap();
        let mut touchdown = Touchdown { workspace: &mut workspace, place: range(0, 8) };
        assert_eq!(touchdown.begin(Some(9)), Err(Refusal::TooLarge { size: 9, room: 8 }));
        touchdown.begin(None).unwrap();
        assert_eq!(touchdown.write(5, b"abcd"), Err(Refusal::TooLarge { size: 9, room: 8 }));
        assert_eq!(touchdown.write(u64::MAX, b"a"), Err(Refusal::TooLarge { size: u64::MAX, room: 8 }));
        assert_eq!(workspace.written(), []);
    }

    #[test]
    fn a_place_that_is_no_free_memory_takes_nothing() {
        let mut ram = Ram::simulated(FIRST, 0x10_0000);
        let mut workspace = ram.lend_free().unwrap();
        let mut touchdown = Touchdown { workspace: &mut workspace, place: PhysicalRange { start: 0, end: 0x1000 } };
        assert!(matches!(touchdown.write(0, b"a"), Err(Refusal::Other(_))));
    }
}
