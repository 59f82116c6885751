//! The keyboard of whoever sits at the console, guarded against noise where a key can boot something.

use crate::board::Board;
use crate::boot::bring_up::Keeper;
use crate::console::{self, Console};
use crate::drivers::uart::LineErrors;
use crate::terminal::burst::Guard;
use crate::terminal::key::{Decoder, Key};
use crate::time::Instant;

/// Keys out of the console's bytes: by way of the guard where a key can boot something, and all of them where a text is edited.
#[derive(Default)]
pub struct Keyboard {
    guard: Guard,
    decoder: Decoder,
    /// Faults of the line that the guard knows of; those from before the first look are nobody's who types now.
    faults: Option<u32>,
}

impl Keyboard {
    /// Forgets keys that have come and were not asked for.
    pub fn forget(&mut self) {
        self.guard = Guard::default();
        self.decoder = Decoder::default();
    }

    /// The next key that acts, if it has come.
    pub fn key(&mut self, now: Instant, console: &mut Console) -> Option<Key> {
        if console.take_interrupt_typed() {
            return Some(Key::Control(b'c'));
        }
        let faults = count(console.line_errors());
        if self.faults.replace(faults).is_some_and(|known| known != faults) {
            self.guard.line_error(now);
        }
        while let Some(byte) = console.read() {
            self.guard.byte(now, byte);
        }
        self.guard.key(now)
    }

    /// The next key of a text, which may be pasted.
    pub fn text_key(&mut self, now: Instant, console: &mut Console) -> Option<Key> {
        if console.take_interrupt_key() {
            return Some(Key::Control(b'c'));
        }
        while let Some(byte) = console.read() {
            let key = self.decoder.byte(now, byte);
            if key.is_some() {
                return key;
            }
        }
        self.decoder.idle(now)
    }

    /// One look at the console: the key that has come, the last one of several that came together, and no terminal's answer.
    pub fn wait<B: Board>(&mut self, keeper: &mut Keeper<B>) -> Option<Key> {
        keeper.breathe();
        let now = keeper.now();
        let keys = console::with(|console| core::iter::from_fn(|| self.key(now, console)).last()).flatten();
        keys.filter(|key| !matches!(key, Key::Report { .. }))
    }
}

fn count(errors: LineErrors) -> u32 {
    let LineErrors { overruns, framing, parity, breaks } = errors;
    overruns.wrapping_add(framing).wrapping_add(parity).wrapping_add(breaks)
}
