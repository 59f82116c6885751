//! What was printed and has not yet left: a buffer, with the line ends that a terminal wants, and the count of what a dead line cost.

use crate::drivers::uart::Uart;
use alloc::collections::VecDeque;

/// Size in bytes of the output buffer: 1.4 s of a line at 115,200 baud, and ten times a whole unattended boot.
pub const OUTPUT_BUFFER: usize = 16 * 1024;

/// Room that the note about lost output needs.
const NOTE: usize = 64;

/// Bytes that were printed and have not yet gone to the UART.
pub(super) struct Output {
    bytes: VecDeque<u8>,
    after_return: bool,
    /// How far into an escape sequence the terminal is by what has left.
    sequence: Sequence,
    /// The line was taken for dead, and has not moved since.
    pub(super) stalled: bool,
    printed: u64,
    lost: u64,
    lost_unreported: u64,
}

/// A place in an escape sequence (ECMA-48, 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    /// In none.
    None,
    /// Behind the Escape.
    Escape,
    /// Behind `ESC [`.
    Control,
}

impl Sequence {
    /// The place one byte on.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (_, ESCAPE) => Self::Escape,
            (Self::Escape, b'[') => Self::Control,
            (Self::Control, b' '..=b'?') => Self::Control,
            _ => Self::None,
        }
    }
}

const ESCAPE: u8 = 0x1b;

/// Ends reverse and bold.
const PLAIN: &[u8] = b"\x1b[m";

impl Output {
    pub(super) fn new() -> Self {
        Self {
            bytes: VecDeque::with_capacity(OUTPUT_BUFFER),
            after_return: false,
            sequence: Sequence::None,
            stalled: false,
            printed: 0,
            lost: 0,
            lost_unreported: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() < OUTPUT_BUFFER
    }

    pub(super) fn buffered(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn printed(&self) -> u64 {
        self.printed
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether `byte` has to be sent with a carriage return before it; it counts as sent.
    pub(super) fn wants_return(&mut self, byte: u8) -> bool {
        let wanted = byte == b'\n' && !self.after_return;
        self.after_return = byte == b'\r';
        wanted
    }

    /// Adds `byte`; without room it is lost, and counted.
    pub(super) fn put(&mut self, byte: u8) {
        if self.has_room() {
            self.bytes.push_back(byte);
            self.printed = self.printed.saturating_add(1);
        } else {
            self.lost = self.lost.saturating_add(1);
            self.lost_unreported = self.lost_unreported.saturating_add(1);
        }
    }

    /// Drops what has not left. A terminal is left in no half of a sequence, and in no style that was to end in what is dropped.
    pub(super) fn discard(&mut self) {
        let mut sequence = self.sequence;
        let mut kept = 0;
        while sequence != Sequence::None
            && let Some(byte) = self.bytes.get(kept)
        {
            sequence = sequence.after(*byte);
            kept += 1;
        }
        let styled = self.bytes.range(kept..).any(|byte| *byte == ESCAPE);
        self.after_return &= kept == self.bytes.len();
        self.bytes.truncate(kept);
        if styled {
            self.bytes.extend(PLAIN);
        }
    }

    /// Hands the UART what it takes; how many bytes that were.
    pub(super) fn transmit(&mut self, uart: &mut dyn Uart) -> usize {
        let mut count = 0;
        while let Some(byte) = self.bytes.front()
            && uart.try_write(*byte)
        {
            self.sequence = self.sequence.after(*byte);
            self.bytes.pop_front();
            count += 1;
        }
        self.stalled &= count == 0;
        count
    }

    /// How many bytes are missing from the output and not yet told, once there is room to tell it.
    pub(super) fn loss_to_report(&mut self) -> Option<u64> {
        let room = self.bytes.len() + NOTE <= OUTPUT_BUFFER;
        (room && self.lost_unreported > 0).then(|| core::mem::take(&mut self.lost_unreported))
    }
}
