//! What was typed: a buffer, and the two things that are noticed when a character comes in and not when somebody reads it.
//!
//! As in a terminal driver, Ctrl-C is not a character in a queue: what was typed before it is forgotten, and whoever works asks
//! [`Console::take_interrupt`](super::Console::take_interrupt). So a fetch can be ended by a key, and the line that was typed ahead while
//! it ran is still there afterwards. And whether somebody sits at the line at all is known before anybody reads it.

use alloc::collections::VecDeque;

/// Size in bytes of the input buffer: 10 KB pasted at once into a loader that reads nothing yet, and half as much again.
pub const INPUT_BUFFER: usize = 16 * 1024;

/// Control-C.
pub const INTERRUPT: u8 = 0x03;

/// Characters that were received and not yet read.
pub(super) struct Input {
    bytes: VecDeque<u8>,
    interrupted: bool,
    typed: bool,
    lost: u64,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { bytes: VecDeque::with_capacity(INPUT_BUFFER), interrupted: false, typed: false, lost: 0 }
    }

    /// Takes what came in together. `noise` says that there were line errors among it: then none of it tells of a person.
    pub(super) fn receive(&mut self, bytes: &[u8], noise: bool) {
        self.typed |= !noise && !bytes.is_empty() && bytes.iter().all(|byte| is_of_a_keyboard(*byte));
        for &byte in bytes {
            if byte == INTERRUPT {
                self.bytes.clear();
                self.interrupted = true;
            } else if self.bytes.len() < INPUT_BUFFER {
                self.bytes.push_back(byte);
            } else {
                self.lost = self.lost.saturating_add(1);
            }
        }
    }

    pub(super) fn read(&mut self) -> Option<u8> {
        self.bytes.pop_front()
    }

    pub(super) fn take_interrupt(&mut self) -> bool {
        core::mem::take(&mut self.interrupted)
    }

    /// Whether Ctrl-C has come and nobody has asked yet.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    pub(super) fn take_typed(&mut self) -> bool {
        core::mem::take(&mut self.typed)
    }

    /// Forgets what was typed, an interrupt too.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.interrupted = false;
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

/// Whether a terminal's keys send this byte. A break arrives as NUL, and the noise of an open pin has bytes of every value.
fn is_of_a_keyboard(byte: u8) -> bool {
    matches!(byte, INTERRUPT | 0x08 | b'\t' | b'\r' | b'\n' | 0x1b | b' '..=0x7f)
}
