//! Keys out of bytes: the encodings of the terminals that people have, and harmlessness of everything else.
//!
//! Sources: xterm's "Control Sequences" (cursor keys, modifiers), console_codes(4) of Linux, rxvt's technical reference, PuTTY's
//! manual, section 4.4, ECMA-48, sections 5.4 (control sequences) and 5.6 (strings), RFC 3629 for UTF-8. A key has many encodings
//! and an encoding one meaning, so nothing has to be set.

use crate::time::{Duration, Instant};

/// An Escape after which nothing comes for this long was the key. A sequence comes without pauses; at 9600 baud a byte takes 1 ms.
pub const ESCAPE_ALONE: Duration = Duration::from_millis(50);

/// A sequence that stands still for this long is half of one. Longer than [`ESCAPE_ALONE`], because nobody types its beginning, and
/// a network between the terminal and the line may pause anywhere.
pub const HALF_SEQUENCE: Duration = Duration::from_millis(250);

/// The largest modifier of a key: 1 and the bits of Shift, Alt, Control and Meta.
const LARGEST_MODIFIER: u16 = 16;

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character that is no control character: ASCII, or anything else that came as UTF-8.
    Char(char),
    /// Carriage return, line feed, or both in this order.
    Enter,
    /// The tabulator, Control-I.
    Tab,
    /// Rubs out to the left: DEL or BS, whatever the terminal is set to.
    Backspace,
    /// Rubs out under the cursor.
    Delete,
    /// The key itself, after [`ESCAPE_ALONE`].
    Escape,
    /// Cursor up.
    Up,
    /// Cursor down.
    Down,
    /// Cursor left.
    Left,
    /// Cursor right.
    Right,
    /// Cursor left with Control or Alt, or Alt-B.
    WordLeft,
    /// Cursor right with Control or Alt, or Alt-F.
    WordRight,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// A page back.
    PageUp,
    /// A page on.
    PageDown,
    /// Control with this lower-case ASCII letter. Never `h`, `i`, `j`, `m`, which are Backspace, Tab and Enter.
    Control(u8),
    /// The terminal's answer to the question where its cursor is, counted from 1.
    Report {
        /// The cursor's row.
        row: u16,
        /// The cursor's column.
        column: u16,
    },
}

/// Where in an encoding the decoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between keys.
    Ground,
    /// After an Escape.
    Escape,
    /// After `ESC [` or `ESC O`, in parameters.
    Sequence,
    /// After `ESC [ [`: one more byte makes a function key of the Linux console.
    FunctionKey,
    /// In a string for or from the terminal (DCS, OSC, SOS, PM, APC).
    Text,
    /// In a UTF-8 character of which so many bytes are missing.
    Utf8 { missing: u8 },
}

/// Makes keys of bytes. What is no key (NUL, which a break is received as, half, unknown and overlong sequences, 8-bit control
/// characters, bytes that are not UTF-8) is swallowed.
///
/// Moments must not go back. A caller asks [`Decoder::idle`] often, and before bytes that came after a pause: only it can tell a
/// lone Escape.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    /// When the last byte came.
    last: Instant,
    /// Whether the last byte was a carriage return.
    after_return: bool,
    /// Whether an Escape came before the one that begins the sequence: Alt, as rxvt and PuTTY send it.
    alt: bool,
    sequence: Sequence,
    /// The bits of a UTF-8 character so far, and the smallest value that needs its length.
    utf8: (u32, u32),
    swallowed: u32,
    garbage: u32,
}

/// The parameters of a control sequence.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    /// Begun by `ESC O`, not `ESC [`.
    single_shift: bool,
    /// The first two parameters, 0 where none is given.
    parameters: [u16; 2],
    /// Separators so far.
    separators: usize,
    /// Whether it has only digits and separators, no private or intermediate bytes.
    plain: bool,
}

impl Sequence {
    const fn new(single_shift: bool) -> Self {
        Self { single_shift, parameters: [0; 2], separators: 0, plain: true }
    }

    fn add(&mut self, byte: u8) {
        match byte {
            b'0'..=b'9' => {
                if let Some(value) = self.parameters.get_mut(self.separators) {
                    *value = value.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                }
            }
            b';' => self.separators = self.separators.saturating_add(1),
            _ => self.plain = false,
        }
    }

    /// The key that it is when `last` ends it.
    fn key(self, last: u8, alt: bool) -> Option<Key> {
        let [first, second] = self.parameters;
        if !self.plain || self.separators > 1 {
            return None;
        }
        if last == b'R' && !self.single_shift && first > 0 && second > 0 {
            return Some(Key::Report { row: first, column: second });
        }
        // A key's modifier is the second parameter; `ESC O 5 C` and `ESC [ 5 C` of old terminals have it as the only one.
        let modifier = if last == b'~' || self.separators == 1 { second } else { first };
        if modifier > LARGEST_MODIFIER || (last != b'~' && self.separators == 1 && first > 1) {
            return None;
        }
        let by_word = alt || modifier.saturating_sub(1) & 0b0110 != 0;
        let key = match last {
            b'A' => Key::Up,
            b'B' => Key::Down,
            b'C' if by_word => Key::WordRight,
            b'D' if by_word => Key::WordLeft,
            b'C' => Key::Right,
            b'D' => Key::Left,
            b'H' => Key::Home,
            b'F' => Key::End,
            // rxvt: with Shift after `ESC [`, with Control after `ESC O`.
            b'a' => Key::Up,
            b'b' => Key::Down,
            b'c' if self.single_shift => Key::WordRight,
            b'd' if self.single_shift => Key::WordLeft,
            b'c' if self.parameters == [0; 2] => Key::Right,
            b'd' if self.parameters == [0; 2] => Key::Left,
            // The keypad's Enter, and PuTTY's End in its rxvt mode.
            b'M' if self.single_shift => Key::Enter,
            b'w' if self.single_shift => Key::End,
            // rxvt ends with `^` for Control and `@` for Control and Shift.
            b'~' | b'^' | b'@' if !self.single_shift => match first {
                1 | 7 => Key::Home,
                4 | 8 => Key::End,
                3 => Key::Delete,
                5 => Key::PageUp,
                6 => Key::PageDown,
                _ => return None,
            },
            _ => return None,
        };
        Some(key)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder between two keys.
    pub const fn new() -> Self {
        Self {
            state: State::Ground,
            last: Instant::from_micros(0),
            after_return: false,
            alt: false,
            sequence: Sequence::new(false),
            utf8: (0, 0),
            swallowed: 0,
            garbage: 0,
        }
    }

    /// Takes a byte that came at `now`; the key that it ends, if it ends one.
    pub fn byte(&mut self, now: Instant, byte: u8) -> Option<Key> {
        if self.has_stopped(now) {
            self.give_up();
        }
        self.last = now;
        let after_return = core::mem::take(&mut self.after_return);
        match self.state {
            State::Ground => self.ground(byte, after_return),
            State::Escape => self.escape(byte),
            State::Sequence => self.in_sequence(byte),
            State::FunctionKey => {
                self.give_up();
                (byte < b' ').then(|| self.ground(byte, false)).flatten()
            }
            State::Text => match byte {
                // Its end: BEL, as xterm has it, or `ESC \`. Any other control character shows that it was none.
                0x07 => self.swallow(),
                0x00..=0x1f => {
                    self.give_up();
                    self.ground(byte, false)
                }
                _ => None,
            },
            State::Utf8 { missing } => self.continuation(byte, missing),
        }
    }

    /// Notices what only silence tells: a lone Escape, which it returns, and half a sequence, which it forgets.
    pub fn idle(&mut self, now: Instant) -> Option<Key> {
        if !self.has_stopped(now) {
            return None;
        }
        if self.state == State::Escape {
            self.reset();
            return Some(Key::Escape);
        }
        self.give_up();
        None
    }

    /// Whether the bytes so far end in the middle of a key, so that [`Decoder::idle`] has something to wait for.
    pub fn is_within_key(&self) -> bool {
        self.state != State::Ground
    }

    /// How often something came that is no key, since the start: a byte or a sequence counts as one.
    pub fn swallowed(&self) -> u32 {
        self.swallowed
    }

    /// How often something came that no key of any keyboard sends: control characters without a letter, NUL, what is not UTF-8. A key that is unknown here
    /// is no such thing.
    pub fn garbage(&self) -> u32 {
        self.garbage
    }

    fn has_stopped(&self, now: Instant) -> bool {
        let silence = now.since(self.last);
        match self.state {
            State::Ground => false,
            State::Escape => silence >= ESCAPE_ALONE,
            _ => silence >= HALF_SEQUENCE,
        }
    }

    fn reset(&mut self) {
        self.state = State::Ground;
        self.alt = false;
    }

    /// What is under way is no key.
    fn give_up(&mut self) {
        self.swallowed = self.swallowed.saturating_add(1);
        self.reset();
    }

    fn swallow(&mut self) -> Option<Key> {
        self.give_up();
        None
    }

    fn discard(&mut self) -> Option<Key> {
        self.garbage = self.garbage.saturating_add(1);
        self.swallow()
    }

    fn ground(&mut self, byte: u8, after_return: bool) -> Option<Key> {
        let key = match byte {
            b'\r' => {
                self.after_return = true;
                Key::Enter
            }
            b'\n' if after_return => return None,
            b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | 0x7f => Key::Backspace,
            0x01..=0x1a => Key::Control(byte | 0x60),
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            b' '..=b'~' => Key::Char(char::from(byte)),
            0xc2..=0xdf => return self.lead(byte & 0x1f, 1, 0x80),
            0xe0..=0xef => return self.lead(byte & 0x0f, 2, 0x800),
            0xf0..=0xf4 => return self.lead(byte & 0x07, 3, 0x1_0000),
            _ => return self.discard(),
        };
        Some(key)
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'[' | b'O' => {
                self.sequence = Sequence::new(byte == b'O');
                self.state = State::Sequence;
                None
            }
            0x1b => {
                self.alt = true;
                None
            }
            b'P' | b']' | b'X' | b'^' | b'_' => {
                self.state = State::Text;
                None
            }
            b'b' => self.found(Key::WordLeft),
            b'f' => self.found(Key::WordRight),
            // Alt-Backspace rubs out a word, as Control-W.
            0x08 | 0x7f => self.found(Key::Control(b'w')),
            0x00..=0x1f => {
                self.give_up();
                self.ground(byte, false)
            }
            _ => self.swallow(),
        }
    }

    fn found(&mut self, key: Key) -> Option<Key> {
        self.reset();
        Some(key)
    }

    fn in_sequence(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b' '..=b'?' => {
                self.sequence.add(byte);
                None
            }
            b'[' if !self.sequence.single_shift => {
                self.state = State::FunctionKey;
                None
            }
            b'@'..=b'~' => match self.sequence.key(byte, self.alt) {
                Some(key) => self.found(key),
                None => self.swallow(),
            },
            // Cut off by something else, which counts: Control-C must not be lost to a stray Escape.
            0x00..=0x1f => {
                self.give_up();
                self.ground(byte, false)
            }
            0x7f.. => self.discard(),
        }
    }

    fn lead(&mut self, bits: u8, missing: u8, smallest: u32) -> Option<Key> {
        self.utf8 = (u32::from(bits), smallest);
        self.state = State::Utf8 { missing };
        None
    }

    fn continuation(&mut self, byte: u8, missing: u8) -> Option<Key> {
        if byte & 0xc0 != 0x80 {
            self.discard();
            return self.ground(byte, false);
        }
        let (bits, smallest) = self.utf8;
        let bits = bits << 6 | u32::from(byte & 0x3f);
        if missing > 1 {
            self.utf8.0 = bits;
            self.state = State::Utf8 { missing: missing - 1 };
            return None;
        }
        // Values below the smallest are overlong forms; U+0080 to U+009F are control characters.
        match char::from_u32(bits).filter(|_| bits >= smallest) {
            Some(character) if !character.is_control() => self.found(Key::Char(character)),
            _ => self.discard(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The keys of bytes that come a byte a millisecond, and of the silence after them.
    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        let mut now = Instant::from_micros(1_000_000);
        let mut keys = Vec::new();
        for &byte in bytes {
            now = now.after(Duration::from_millis(1));
            keys.extend(decoder.idle(now));
            keys.extend(decoder.byte(now, byte));
        }
        keys.extend(decoder.idle(now.after(HALF_SEQUENCE)));
        keys
    }

    #[test]
    fn every_encoding_of_a_key_is_that_key() {
        let encodings: &[(Key, &[&str])] = &[
            (Key::Up, &["\x1b[A", "\x1bOA", "\x1b[a", "\x1bOa", "\x1b[1;2A", "\x1b\x1b[A"]),
            (Key::Down, &["\x1b[B", "\x1bOB", "\x1b[b", "\x1bOb"]),
            (Key::Right, &["\x1b[C", "\x1bOC", "\x1b[1;2C", "\x1b[c"]),
            (Key::Left, &["\x1b[D", "\x1bOD", "\x1b[1D", "\x1b[d"]),
            (
                Key::WordRight,
                &["\x1b[1;5C", "\x1b[1;3C", "\x1b[5C", "\x1bO5C", "\x1bOc", "\x1b\x1b[C", "\x1b\x1bOC", "\x1bf"],
            ),
            (Key::WordLeft, &["\x1b[1;5D", "\x1b[1;3D", "\x1b[5D", "\x1bO5D", "\x1bOd", "\x1b\x1b[D", "\x1bb"]),
            (Key::Home, &["\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x1b[1;5H", "\x1b[7^"]),
            (Key::End, &["\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x1bOw", "\x1b[8@"]),
            (Key::Delete, &["\x1b[3~", "\x1b[3;5~"]),
            (Key::PageUp, &["\x1b[5~", "\x1b[5;2~"]),
            (Key::PageDown, &["\x1b[6~"]),
            (Key::Backspace, &["\x7f", "\x08"]),
            (Key::Enter, &["\r", "\n", "\r\n", "\x1bOM"]),
            (Key::Tab, &["\t"]),
            (Key::Escape, &["\x1b", "\x1b\x1b"]),
            (Key::Control(b'a'), &["\x01"]),
            (Key::Control(b'z'), &["\x1a"]),
            (Key::Control(b'w'), &["\x17", "\x1b\x7f"]),
            (Key::Char('~'), &["~"]),
            (Key::Char('ä'), &["ä"]),
            (Key::Char('€'), &["€"]),
            (Key::Char('😀'), &["😀"]),
            (Key::Report { row: 24, column: 80 }, &["\x1b[24;80R", "\x1b[024;0080R"]),
        ];
        for (key, forms) in encodings {
            for form in *forms {
                assert_eq!(keys(form.as_bytes()), [*key], "{form:?}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_swallowed_whole() {
        let none: &[&[u8]] = &[
            b"\0",
            b"\x1b[",
            b"\x1b[1;",
            b"\x1bO",
            b"\x1b[15~",
            b"\x1b[[A",
            b"\x1bx",
            b"\x1b[?1;2c",
            b"\x1b[>41;354;0c",
            b"\x1b[0n",
            b"\x1b[200~",
            b"\x1b[99999999999999999999999999999999999;1;1;1;1;1;1;1;1;1;1~",
            b"\x1b[;R",
            b"\x1b]11;rgb:ffff/ffff/ffff\x07",
            b"\x1bP>|terminal 1.0\x1b\\",
            b"\x80\x9b\xff\xfe",
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"\xed\xa0\x80",
            b"\xc2\x9b",
            b"\xf4\x90\x80\x80",
            b"\x1c\x1d\x1e\x1f",
        ];
        for bytes in none {
            assert_eq!(keys(bytes), [], "{bytes:?}");
            let and_a_key = [*bytes, b"\0\rx"].concat();
            assert_eq!(keys(&and_a_key), [Key::Enter, Key::Char('x')], "{bytes:?}, then more");
        }
    }

    #[test]
    fn the_question_for_the_size_sent_back_by_a_looped_line_is_no_key() {
        assert_eq!(keys(b"\x1b7\x1b[999;999H\x1b[6n\x1b8"), []);
    }

    #[test]
    fn a_cut_off_sequence_does_not_take_the_next_key_with_it() {
        assert_eq!(keys(b"\x1b[1;\x03"), [Key::Control(b'c')]);
        assert_eq!(keys(b"\x1b[1;\x1b[A"), [Key::Up]);
        assert_eq!(keys(b"\xe2\x82a"), [Key::Char('a')]);
        assert_eq!(keys(b"\x1b]junk\rls"), [Key::Enter, Key::Char('l'), Key::Char('s')]);
    }

    #[test]
    fn an_escape_is_a_key_after_its_time_and_no_sooner() {
        let mut decoder = Decoder::new();
        let start = Instant::from_micros(5_000_000);
        assert_eq!(decoder.byte(start, 0x1b), None);
        assert!(decoder.is_within_key());
        assert_eq!(decoder.idle(start.after(Duration::from_millis(49))), None);
        assert_eq!(decoder.idle(start.after(ESCAPE_ALONE)), Some(Key::Escape));
        assert_eq!(decoder.idle(start.after(ESCAPE_ALONE * 2)), None);
        assert_eq!((decoder.is_within_key(), decoder.swallowed()), (false, 0));
    }

    #[test]
    fn a_bracket_typed_after_escape_is_a_bracket() {
        let mut decoder = Decoder::new();
        let start = Instant::from_micros(5_000_000);
        let later = start.after(Duration::from_millis(200));
        assert_eq!(decoder.byte(start, 0x1b), None);
        assert_eq!(decoder.byte(later, b'['), Some(Key::Char('[')));
        assert_eq!(decoder.byte(later, b'A'), Some(Key::Char('A')));
    }

    #[test]
    fn half_a_sequence_is_forgotten_after_its_time() {
        let mut decoder = Decoder::new();
        let start = Instant::from_micros(5_000_000);
        for byte in *b"\x1b[" {
            assert_eq!(decoder.byte(start, byte), None);
        }
        assert_eq!(decoder.idle(start.after(Duration::from_millis(249))), None);
        assert!(decoder.is_within_key());
        assert_eq!(decoder.byte(start.after(HALF_SEQUENCE), b'A'), Some(Key::Char('A')));
        assert_eq!(decoder.swallowed(), 1);
    }

    #[test]
    fn a_line_feed_counts_unless_it_belongs_to_the_carriage_return_before_it() {
        assert_eq!(keys(b"\r\n\n\r\r\n"), [Key::Enter; 4]);
        assert_eq!(keys(b"a\n\nb").len(), 4);
    }

    proptest! {
        #[test]
        fn a_byte_makes_at_most_one_key_and_a_carriage_return_ends_anything(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(keys(&bytes).len() <= bytes.len());
            let mut ended = bytes.clone();
            ended.extend(b"\rx");
            let keys = keys(&ended);
            prop_assert!(keys.ends_with(&[Key::Enter, Key::Char('x')]), "{:?}", keys);
        }

        #[test]
        fn any_text_comes_out_as_it_went_in(text in "\\PC{0,50}") {
            let typed: String = keys(text.as_bytes()).into_iter().filter_map(|key| match key { Key::Char(c) => Some(c), _ => None }).collect();
            prop_assert_eq!(typed, text);
        }
    }
}
