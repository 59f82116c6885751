//! Who lies where, and what is free: what `memory` and `selftest` show at the prompt.

use super::layout::Layout;
use crate::range::PhysicalRange;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// Writes a line for each bank of `layout`, and below it for each thing in it and each gap between them. `others` lie there too, beside what the
/// layout knows. What has a range that was told already is not told again: a page can be reserved for several reasons.
///
/// # Errors
/// Those of `out`.
pub fn write(layout: &Layout, others: &[(PhysicalRange, &str)], out: &mut dyn fmt::Write) -> fmt::Result {
    let mut all: Vec<(PhysicalRange, &str)> = Vec::new();
    let mut add = |range: PhysicalRange, name| {
        // A bank before what lies in it. They are few, and a sort is five kilobytes of code.
        let before = |(other, _): &(PhysicalRange, &str)| (other.start, range.end) <= (range.start, other.end);
        let index = all.partition_point(before);
        if index
            .checked_sub(1)
            .and_then(|index| all.get(index))
            .is_none_or(|(other, of)| *other != range || *of == MEMORY)
        {
            all.insert(index, (range, name));
        }
    };
    layout.banks().iter().for_each(|bank| add(*bank, MEMORY));
    layout.occupants().iter().for_each(|occupant| add(occupant.range, &occupant.name));
    let mut taken = layout.clone();
    for (range, name) in others {
        add(*range, name);
        // It may lie anywhere, and what is free is what nobody has.
        let _ = taken.reserve("", *range);
    }
    taken.free().iter().for_each(|range| add(*range, "free"));
    all.iter().try_for_each(|(range, name)| {
        let inside = if *name == MEMORY { "" } else { "  " };
        writeln!(out, "{inside}{range} {:>12}  {name}", Size(range.size()))
    })
}

/// What a bank is called.
const MEMORY: &str = "memory";

/// A number of bytes, in the largest unit of which it has a hundred or more.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            bytes if bytes >= 100 << 20 => (bytes >> 20, "MiB"),
            bytes if bytes >= 100 << 10 => (bytes >> 10, "KiB"),
            bytes => (bytes, "bytes"),
        };
        f.pad(&format!("{number} {unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn each_range_is_told_once_and_gaps_are_told_as_free() {
        let range = |start, end| PhysicalRange { start, end };
        let mut layout = Layout::new([range(0, 0x3b40_0000), range(0x4000_0000, 0x8000_0000)]).unwrap();
        for _ in 0..2 {
            layout.reserve("memory that the firmware reserves", range(0, 0x1000)).unwrap();
        }
        layout.reserve("the loader", range(0x3a40_0000, 0x3b40_0000)).unwrap();
        let mut text = String::new();
        write(&layout, &[(range(0x40_0000, 0x40_0123), "kernel")], &mut text).unwrap();
        assert_eq!(
            text,
            "\
0x00000000-0x3b3fffff      948 MiB  memory
  0x00000000-0x00000fff   4096 bytes  page 0
  0x00001000-0x003fffff     4092 KiB  free
  0x00400000-0x00400122    291 bytes  kernel
  0x00401000-0x3a3fffff      927 MiB  free
  0x3a400000-0x3b3fffff    16384 KiB  the loader
0x40000000-0x7fffffff     1024 MiB  memory
  0x40000000-0x7fffffff     1024 MiB  free
"
        );
    }
}
