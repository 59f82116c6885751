//! What was typed: a buffer, and the two things that are noticed when a character comes in and not when somebody reads it.
//!
//! As in a terminal driver, Ctrl-C is not a character in a queue: what was typed before it is forgotten, and whoever works asks
//! [`Console::take_interrupt`](super::Console::take_interrupt). So a fetch can be ended by a key, and the line that was typed ahead while
//! it ran is still there afterwards. And whether somebody sits at the line at all is known before anybody reads it, by what also tells keys
//! from noise in the menu ([`Guard`]): a few milliseconds after the key.

use crate::terminal::burst::Guard;
use crate::terminal::key::Key;
use crate::time::Instant;
use alloc::collections::VecDeque;

/// Size in bytes of the input buffer: 10 KB pasted at once into a loader that reads nothing yet, and half as much again.
pub const INPUT_BUFFER: usize = 16 * 1024;

/// Control-C.
pub const INTERRUPT: u8 = 0x03;

/// Characters that were received and not yet read.
pub(super) struct Input {
    bytes: VecDeque<u8>,
    interrupted: bool,
    guard: Guard,
    typed: bool,
    interrupt_typed: bool,
    /// The first look has been: what it found had come before the console was there.
    begun: bool,
    lost: u64,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            bytes: VecDeque::with_capacity(INPUT_BUFFER),
            interrupted: false,
            guard: Guard::new(),
            typed: false,
            interrupt_typed: false,
            begun: false,
            lost: 0,
        }
    }

    /// Takes what came in until `now`, since the last look. `noise` says that there were line errors among it.
    pub(super) fn receive(&mut self, now: Instant, bytes: &[u8], noise: bool) {
        self.listen(now, bytes, noise);
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

    /// Looks whether a person has typed.
    fn listen(&mut self, now: Instant, bytes: &[u8], noise: bool) {
        if !core::mem::replace(&mut self.begun, true) {
            // Keys that were pressed while the firmware worked. Whatever else lies there is no reason to mistrust what comes.
            self.typed = !noise && !bytes.is_empty() && bytes.iter().all(|byte| is_of_a_keyboard(*byte));
            return;
        }
        if noise {
            self.guard.line_error(now);
        }
        for &byte in bytes {
            self.guard.byte(now, byte);
        }
        while let Some(key) = self.guard.key(now) {
            // A terminal answers whether somebody sits at it or not.
            self.typed |= !matches!(key, Key::Report { .. });
            // Whoever has acted on it already does not want it twice.
            self.interrupt_typed |= key == Key::Control(b'c') && self.interrupted;
        }
    }

    pub(super) fn read(&mut self) -> Option<u8> {
        self.bytes.pop_front()
    }

    pub(super) fn take_interrupt(&mut self) -> bool {
        self.interrupt_typed = false;
        core::mem::take(&mut self.interrupted)
    }

    /// Whether Ctrl-C has come and nobody has asked yet.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    pub(super) fn take_typed(&mut self) -> bool {
        core::mem::take(&mut self.typed)
    }

    /// Whether Ctrl-C was a key for sure. One that turned out to be noise is forgotten.
    pub(super) fn take_interrupt_typed(&mut self) -> bool {
        if self.guard.is_quiet() {
            self.interrupted = false;
        }
        let typed = core::mem::take(&mut self.interrupt_typed);
        self.interrupted &= !typed;
        typed
    }

    /// Takes no key for a sign of somebody that has come so far.
    pub(super) fn forget_typing(&mut self) {
        self.guard = Guard::new();
        self.typed = false;
        self.interrupt_typed = false;
    }

    /// Forgets what was typed, an interrupt too.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.interrupted = false;
        self.interrupt_typed = false;
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

/// Whether a terminal's keys send this byte. A break arrives as NUL, and the noise of an open pin has bytes of every value.
fn is_of_a_keyboard(byte: u8) -> bool {
    matches!(byte, INTERRUPT | 0x08 | b'\t' | b'\r' | b'\n' | 0x1b | b' '..=0x7f)
}
