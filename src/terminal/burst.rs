//! Tells a person's keys from noise, where one key could boot something.
//!
//! A receive pin that floats, a cable pulled, the wrong speed: all bring bytes, among them what would be an Enter. But noise comes in
//! bursts, with line errors or with bytes that no keyboard sends, and a person's keys come one by one: even a held key repeats
//! only every 30 ms. A script's few (`2`, Enter) come together and are let through. A terminal's answer counts as a key.
//!
//! Noise does not keep its bursts together: a pause in the middle of a flood is no reason to take the single byte after it for a key. So after a
//! burst of noise only [`CALM`] brings keys back.
//!
//! A line that is looped back, so that whatever is printed comes in again, is a long burst.

use super::key::{Decoder, Key};
use crate::time::{Duration, Instant};
use alloc::collections::VecDeque;

/// Bytes less than this apart belong together: 10 characters at 9600 baud.
pub const GAP: Duration = Duration::from_millis(10);

/// How long the line must be quiet after noise before what comes counts as keys again. Longer than a person needs to see that a key did nothing.
pub const CALM: Duration = Duration::from_millis(500);

/// A longer burst is noise. Four cursor keys and an Enter fit, and so does the answer to the question for the size with a key.
pub const LONGEST: usize = 16;

/// A [`Decoder`] that gives its keys out once it is sure that nothing but keys came.
#[derive(Clone, Debug)]
pub struct Guard {
    decoder: Decoder,
    /// The decoder's count when the burst began.
    swallowed: u32,
    /// Bytes of the burst that is under way; 0 while none is.
    length: usize,
    /// Whether the burst is known to be noise.
    noise: bool,
    /// When the last byte or line error came.
    last: Instant,
    /// When the last burst of noise ended.
    noise_ended: Option<Instant>,
    /// The keys of the burst.
    held: VecDeque<Key>,
    /// Keys of bursts that are over.
    ready: VecDeque<Key>,
    ignored: u32,
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

impl Guard {
    /// A guard that has heard nothing.
    pub const fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            swallowed: 0,
            length: 0,
            noise: false,
            last: Instant::from_micros(0),
            noise_ended: None,
            held: VecDeque::new(),
            ready: VecDeque::new(),
            ignored: 0,
        }
    }

    /// Takes a byte that came at `now`.
    pub fn byte(&mut self, now: Instant, byte: u8) {
        self.look(now);
        self.last = now;
        self.length = self.length.saturating_add(1);
        if self.length > LONGEST || self.noise_ended.is_some_and(|ended| now.since(ended) < CALM) {
            self.noise = true;
        }
        let key = self.decoder.byte(now, byte);
        self.hold(key);
    }

    /// Notes that the line had an error (framing, parity, break, overrun) before `now`: what came and comes with it is noise.
    pub fn line_error(&mut self, now: Instant) {
        self.look(now);
        self.last = now;
        self.length = self.length.max(1);
        self.noise = true;
    }

    /// The oldest key that is a key for sure, [`GAP`] after it came or a little later. Asked for often, as
    /// [`Decoder::idle`] is.
    pub fn key(&mut self, now: Instant) -> Option<Key> {
        self.look(now);
        self.ready.pop_front()
    }

    /// Whether no burst is under way: what came so far is known to be keys, or noise.
    pub fn is_quiet(&self) -> bool {
        self.length == 0
    }

    /// Bursts that were ignored since the start.
    pub fn ignored(&self) -> u32 {
        self.ignored
    }

    fn hold(&mut self, key: Option<Key>) {
        if !self.noise {
            self.held.extend(key);
        }
    }

    /// Ends the burst if it is over.
    fn look(&mut self, now: Instant) {
        if self.length == 0 || now.since(self.last) < GAP {
            return;
        }
        let key = self.decoder.idle(now);
        self.hold(key);
        if self.decoder.is_within_key() && !self.noise {
            // A lone Escape, or half a sequence: the next tens of milliseconds tell.
            return;
        }
        if self.noise || self.decoder.swallowed() != self.swallowed {
            self.ignored = self.ignored.saturating_add(1);
            self.noise_ended = Some(self.last);
            self.held.clear();
        }
        // Keys that nobody fetches are not kept without bound.
        if self.ready.len() <= LONGEST {
            self.ready.append(&mut self.held);
        }
        if self.decoder.is_within_key() {
            // Half a sequence that is noise must not swallow the next key.
            self.decoder = Decoder::new();
        }
        self.swallowed = self.decoder.swallowed();
        self.length = 0;
        self.noise = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::key::{ESCAPE_ALONE, HALF_SEQUENCE};
    use proptest::prelude::*;

    const CHARACTER: Duration = Duration::from_micros(87);

    /// A guard and the time, which goes on as bytes come.
    struct Bench(Guard, Instant);

    impl Bench {
        fn new() -> Self {
            Self(Guard::new(), Instant::from_micros(1_000_000))
        }

        fn send(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                self.1 = self.1.after(CHARACTER);
                self.0.byte(self.1, byte);
            }
        }

        fn keys_after(&mut self, silence: Duration) -> Vec<Key> {
            self.1 = self.1.after(silence);
            core::iter::from_fn(|| self.0.key(self.1)).collect()
        }
    }

    #[test]
    fn a_few_keys_that_come_together_pass_after_the_gap() {
        let mut bench = Bench::new();
        bench.send(b"2\r");
        assert_eq!(bench.keys_after(Duration::from_millis(9)), []);
        assert_eq!(bench.keys_after(Duration::from_millis(1)), [Key::Char('2'), Key::Enter]);
        bench.send(b"\x1b[B\x1b[B\x1b[B\x1b[B\r");
        assert_eq!(bench.keys_after(GAP).len(), 5);
        bench.send(b"\x1b[24;80R2\r");
        assert_eq!(bench.keys_after(GAP).len(), 3);
        assert_eq!(bench.0.ignored(), 0);
    }

    #[test]
    fn a_long_burst_is_ignored_and_what_comes_after_it_counts() {
        let mut bench = Bench::new();
        bench.send(b"\r1234567890123456\r");
        assert_eq!(bench.keys_after(CALM), []);
        bench.send(b"\r");
        assert_eq!(bench.keys_after(GAP), [Key::Enter]);
        assert_eq!(bench.0.ignored(), 1);
    }

    #[test]
    fn anything_that_is_no_key_spoils_its_burst() {
        for noise in [&b"\r\0"[..], b"\xff\r", b"\r\xc3", b"\x1b[\r", b"\x1bO\x80\r", b"2\r\x1b["] {
            let mut bench = Bench::new();
            bench.send(noise);
            assert_eq!(bench.keys_after(HALF_SEQUENCE + CALM), [], "{noise:?}");
            bench.send(b"1");
            assert_eq!(bench.keys_after(GAP), [Key::Char('1')], "{noise:?}");
        }
    }

    #[test]
    fn a_line_error_spoils_what_comes_with_it_before_and_after() {
        let mut bench = Bench::new();
        bench.send(b"\r");
        bench.0.line_error(bench.1);
        bench.send(b"\r");
        assert_eq!(bench.keys_after(GAP), []);
        bench.0.line_error(bench.1);
        bench.send(b"\r");
        assert_eq!(bench.keys_after(CALM), []);
        bench.send(b"\r");
        assert_eq!(bench.keys_after(GAP), [Key::Enter]);
    }

    #[test]
    fn a_pause_in_the_middle_of_noise_makes_no_key_of_what_follows() {
        let mut bench = Bench::new();
        bench.send(b"\r1234567890123456\xff");
        for _ in 0..10 {
            assert_eq!(bench.keys_after(Duration::from_millis(400)), []);
            bench.send(b"\r");
        }
        assert_eq!(bench.keys_after(CALM), []);
        bench.send(b"\r");
        assert_eq!(bench.keys_after(GAP), [Key::Enter]);
    }

    #[test]
    fn a_lone_escape_passes_when_it_is_known_to_be_one() {
        let mut bench = Bench::new();
        bench.send(b"\x1b");
        assert_eq!(bench.keys_after(GAP), []);
        assert_eq!(bench.keys_after(ESCAPE_ALONE), [Key::Escape]);
        bench.send(b"\x1b");
        bench.1 = bench.1.after(ESCAPE_ALONE);
        bench.send(b"d");
        assert_eq!(bench.keys_after(GAP), [Key::Escape, Key::Char('d')]);
    }

    #[test]
    fn a_looped_back_line_presses_no_key() {
        let mut bench = Bench::new();
        bench.send(b"Xenlift 0.1.0\r\n1  xen\r\n2  rescue\r\nStarting xen in 3 s\r");
        assert_eq!(bench.keys_after(GAP), []);
    }

    proptest! {
        #[test]
        fn noise_without_pauses_presses_nothing_and_is_kept_nowhere(bytes in proptest::collection::vec(any::<u8>(), 17..600)) {
            let mut bench = Bench::new();
            bench.send(&bytes);
            prop_assert!(bench.0.held.len() <= LONGEST && bench.0.ready.is_empty());
            prop_assert_eq!(bench.keys_after(HALF_SEQUENCE + CALM), []);
            bench.send(b"\r");
            prop_assert_eq!(bench.keys_after(GAP), [Key::Enter]);
        }

        #[test]
        fn any_bytes_at_any_pace_are_bounded(steps in proptest::collection::vec((any::<u8>(), 0..300_u64, any::<bool>()), 0..300)) {
            let mut bench = Bench::new();
            for (byte, milliseconds, error) in steps {
                bench.1 = bench.1.after(Duration::from_millis(milliseconds));
                if error {
                    bench.0.line_error(bench.1);
                }
                bench.0.byte(bench.1, byte);
                prop_assert!(bench.0.held.len() <= LONGEST && bench.0.ready.len() <= 2 * LONGEST + 2);
            }
        }
    }
}
