//! RBUF: where received frames wait for the DMA, and its flush.
//!
//! Frames lie in it as RBUF_CTRL asked for when they came. What nobody flushes is delivered to whoever enables the DMA next: a kernel that wants a
//! status block before each frame finds none before those of a boot loader that had it off, and takes the frame's own bytes for one (Linux
//! 0a6380cb4c6b, "Reset RBUF on first open"). That commit also tells what flushes: bit 0 of SYS_RBUF_FLUSH_CTRL, which Linux sets for 10 us, and not bit 1, the
//! MAC's reset, which Linux had pulsed all along.

use crate::moment::Moment;
use crate::refusal::Reason;
use crate::registers::FLUSH_RX;
use core::time::Duration;
use std::collections::VecDeque;

/// How much RBUF holds while the DMA does not take it away.
const CAPACITY: usize = 16 * 1024;
/// For how long the flush is known to have to be held: every driver waits 10 us, and a clock of whole microseconds may see one less.
const HOLD: Duration = Duration::from_micros(9);

/// A frame in RBUF, as it will lie in memory.
#[derive(Debug)]
pub(crate) struct Buffered {
    /// Status block and alignment if there were any, frame, frame check sequence.
    pub(crate) bytes: Vec<u8>,
    /// How many of them count in the descriptor's length.
    pub(crate) length: usize,
    /// Where in them the frame itself starts.
    pub(crate) start: usize,
    /// The descriptor's flags.
    pub(crate) flags: u32,
}

impl Buffered {
    /// The frame, with its frame check sequence.
    pub(crate) fn frame(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or(&[])
    }
}

/// The receive buffer.
#[derive(Debug, Default)]
pub(crate) struct Rbuf {
    frames: VecDeque<Buffered>,
    bytes: usize,
    /// Since when the flush bit is set.
    flushing: Option<Moment>,
    /// The receiver has been on since the last flush.
    used: bool,
}

impl Rbuf {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
    pub(crate) fn flushing(&self) -> bool {
        self.flushing.is_some()
    }
    /// Whether a frame may be left over, or a part of one.
    pub(crate) fn unflushed(&self) -> bool {
        self.used
    }
    /// The receiver is on.
    pub(crate) fn note_use(&mut self) {
        self.used = true;
    }

    /// A write of SYS_RBUF_FLUSH_CTRL. The flush has happened when its bit is taken back; one under a running receiver empties RBUF for no
    /// longer than until the next frame.
    pub(crate) fn write_control(&mut self, now: Moment, value: u32, receives: bool) -> Option<Reason> {
        if value & FLUSH_RX != 0 {
            self.flushing = self.flushing.or(Some(now));
            return None;
        }
        let held = now.since(self.flushing.take()?);
        if held < HOLD {
            return Some(Reason::FlushTooShort { nanoseconds: held.as_nanos() as u32 });
        }
        self.frames.clear();
        self.bytes = 0;
        self.used = receives;
        None
    }

    /// The oldest frame; none while RBUF is being flushed.
    pub(crate) fn front(&self) -> Option<&Buffered> {
        if self.flushing() { None } else { self.frames.front() }
    }
    /// Takes a frame in; false if there is no room.
    pub(crate) fn push(&mut self, buffered: Buffered) -> bool {
        if self.bytes + buffered.bytes.len() > CAPACITY {
            return false;
        }
        self.bytes += buffered.bytes.len();
        self.frames.push_back(buffered);
        true
    }
    pub(crate) fn pop(&mut self) -> Option<Buffered> {
        let buffered = self.frames.pop_front()?;
        self.bytes -= buffered.bytes.len();
        Some(buffered)
    }
}
