//! The loader broken on purpose, to see on a real board (and in tests) that a failure is reported and not a silent hang.
//!
//! Asked for by the word `xenlift.selftest=NAME` on the firmware's command line. It is part of the shipped loader, not of a test
//! build, because the report has to be seen on the board that one has, from the very binary that failed there. It gives
//! nobody a power: whoever writes the command line also chooses the loader.

use super::image;
use core::fmt;

/// The word that asks for one.
pub const WORD: &str = "xenlift.selftest=";

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTest {
    /// Writes to the loader's code.
    WriteText,
    /// Executes data.
    RunData,
    /// Recurses until the stack ends.
    StackOverflow,
    /// Jumps to an address where nothing is mapped.
    JumpToNowhere,
    /// Reads through a null pointer.
    NullPointer,
    /// Panics.
    Panic,
}

const NAMES: [(&str, SelfTest); 6] = [
    ("write-text", SelfTest::WriteText),
    ("run-data", SelfTest::RunData),
    ("stack-overflow", SelfTest::StackOverflow),
    ("jump-to-nowhere", SelfTest::JumpToNowhere),
    ("null-pointer", SelfTest::NullPointer),
    ("panic", SelfTest::Panic),
];

impl fmt::Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, test)| test == self).map_or("?", |(name, _)| name);
        f.write_str(name)
    }
}

impl SelfTest {
    /// The test that a command line asks for; a name that is none is no test.
    pub fn asked_for(command_line: &str) -> Option<Self> {
        let name = command_line.split_whitespace().find_map(|word| word.strip_prefix(WORD))?;
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, test)| *test)
    }

    /// Fails in the way asked for. On the host, panics.
    #[expect(clippy::panic, reason = "a panic is one of the failures asked for")]
    pub fn run(self) {
        match self {
            Self::WriteText => poke(image::start() + 0x100),
            Self::RunData => jump(image::rodata_end()),
            Self::StackOverflow => {
                recurse(0);
            }
            Self::JumpToNowhere => jump(0x70_0000_0000),
            Self::NullPointer => poke(8),
            Self::Panic => panic!("self-test"),
        }
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let room = core::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    recurse(depth + 1).wrapping_add(room.iter().sum())
}

fn poke(address: u64) {
    #[cfg(target_os = "none")]
    // SAFETY: none of these addresses is writable, so the store is an exception and changes nothing.
    unsafe {
        core::ptr::write_volatile(address as *mut u32, 0);
    }
    #[cfg(not(target_os = "none"))]
    nothing_happens(address);
}

fn jump(address: u64) {
    #[cfg(target_os = "none")]
    // SAFETY: none of these addresses is executable, so the call is an exception.
    unsafe {
        core::arch::asm!("blr {}", in(reg) address, clobber_abi("C"));
    }
    #[cfg(not(target_os = "none"))]
    nothing_happens(address);
}

#[cfg(not(target_os = "none"))]
fn nothing_happens(address: u64) -> ! {
    super::barrier::panic_on_host(&alloc::format!("the self-test at {address:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_names_a_test() {
        let line = "console=ttyS0 xenlift.selftest=stack-overflow quiet";
        assert_eq!(SelfTest::asked_for(line), Some(SelfTest::StackOverflow));
        assert_eq!(SelfTest::asked_for("xenlift.selftest=no-such"), None);
        assert_eq!(SelfTest::asked_for("x.xenlift.selftest=panic"), None);
        assert_eq!(SelfTest::asked_for(""), None);
    }
}
