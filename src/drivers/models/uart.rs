//! The two UARTs, with their FIFOs at the speed of a real line.

use super::{Bus, VirtualClock};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// A character that arrives: when (ns), and the data register's word for it, error bits (8 to 11) included.
type Arrival = (u64, u32);

/// What both UARTs have in common: two FIFOs, and a line that takes ten bit times a character.
pub(crate) struct Line {
    clock: VirtualClock,
    nanos_per_character: u64,
    depth: usize,
    transmit: VecDeque<u8>,
    shift_ends: Option<u64>,
    shifting: Option<u8>,
    stopped: bool,
    sent: Vec<u8>,
    arrivals: VecDeque<Arrival>,
    receive: VecDeque<u32>,
    overrun: bool,
}

impl Line {
    fn new(clock: VirtualClock, depth: usize) -> Self {
        Self {
            clock,
            nanos_per_character: 10_000_000_000 / 115_200,
            depth,
            transmit: VecDeque::new(),
            shift_ends: None,
            shifting: None,
            stopped: false,
            sent: Vec::new(),
            arrivals: VecDeque::new(),
            receive: VecDeque::new(),
            overrun: false,
        }
    }

    /// Lets the line do what it has done by now.
    fn catch_up(&mut self) {
        let now = self.clock.nanos();
        while !self.stopped {
            match self.shift_ends {
                Some(end) if end <= now => {
                    self.sent.extend(self.shifting.take());
                    self.shifting = self.transmit.pop_front();
                    self.shift_ends = self.shifting.map(|_| end + self.nanos_per_character);
                }
                Some(_) => break,
                None => {
                    let Some(byte) = self.transmit.pop_front() else { break };
                    self.shifting = Some(byte);
                    self.shift_ends = Some(now + self.nanos_per_character);
                }
            }
        }
        while let Some((at, word)) = self.arrivals.front().copied() {
            if at > now {
                break;
            }
            self.arrivals.pop_front();
            if self.receive.len() < self.depth {
                self.receive.push_back(word);
            } else {
                self.overrun = true;
            }
        }
    }

    fn put(&mut self, byte: u8) {
        assert!(self.transmit.len() < self.depth, "a byte was written to a full transmit FIFO");
        self.transmit.push_back(byte);
        self.catch_up();
    }

    /// Nobody turns the transmitter off in the middle of a character that would have ended.
    fn assert_whole_characters(&self, turned_off: bool) {
        assert!(
            !turned_off || self.stopped || self.idle(),
            "the transmitter was turned off in the middle of a character"
        );
    }

    fn idle(&self) -> bool {
        self.transmit.is_empty() && self.shifting.is_none()
    }
}

/// What a test does with either UART model.
pub(crate) struct Peer<M>(Arc<Mutex<M>>);

impl<M> Clone for Peer<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: HasLine> Peer<M> {
    fn lock(&self) -> MutexGuard<'_, M> {
        let mut model = self.0.lock().unwrap();
        model.line().catch_up();
        model
    }

    /// What has left the pin.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.lock().line().sent.clone()
    }

    pub(crate) fn sent_text(&self) -> String {
        String::from_utf8_lossy(&self.sent()).into_owned()
    }

    /// Holds the transmitter (flow control, or a dead clock), or lets it go.
    pub(crate) fn stop_transmitter(&self, stopped: bool) {
        self.lock().line().stopped = stopped;
    }

    /// The speed of the line in both directions, from now on; 115,200 without it.
    #[allow(dead_code, reason = "for tests/serial")]
    pub(crate) fn set_baud(&self, baud: u64) {
        self.lock().line().nanos_per_character = 10_000_000_000 / baud;
    }

    /// Sends `words` to the UART back to back from now on, at the speed of the line.
    pub(crate) fn type_words(&self, words: &[u32]) {
        let now = self.0.lock().unwrap().line().clock.nanos();
        self.type_words_at(now, words);
    }

    /// Sends `words` from `start` (ns) on, or after what was to be sent before.
    pub(crate) fn type_words_at(&self, start: u64, words: &[u32]) {
        let mut model = self.lock();
        let line = model.line();
        let start = line.arrivals.back().map_or(start, |last| last.0.max(start));
        for (index, word) in words.iter().enumerate() {
            line.arrivals.push_back((start + (index as u64 + 1) * line.nanos_per_character, *word));
        }
    }

    /// When (ns) the last of what was typed arrives; `None` if all has.
    #[allow(dead_code, reason = "for tests/serial")]
    pub(crate) fn types_until(&self) -> Option<u64> {
        self.lock().line().arrivals.back().map(|last| last.0)
    }

    pub(crate) fn type_text(&self, text: &str) {
        self.type_words(&text.bytes().map(u32::from).collect::<Vec<_>>());
    }

    /// A register's value as the model holds it.
    pub(crate) fn register(&self, offset: usize) -> u32 {
        self.0.lock().unwrap().registers()[offset / 4]
    }

    /// Presets a register, as the firmware would have.
    pub(crate) fn preset(&self, offset: usize, value: u32) {
        self.0.lock().unwrap().registers()[offset / 4] = value;
    }

    /// Offsets written so far, in order.
    pub(crate) fn writes(&self) -> Vec<usize> {
        self.0.lock().unwrap().line_writes().clone()
    }
}

pub(crate) trait HasLine {
    fn new(clock: VirtualClock) -> Self;
    fn line(&mut self) -> &mut Line;
    fn registers(&mut self) -> &mut Vec<u32>;
    fn line_writes(&mut self) -> &mut Vec<usize>;
    fn read(&mut self, offset: usize) -> u32;
    fn write(&mut self, offset: usize, value: u32);
}

impl<M: HasLine> Peer<M> {
    pub(crate) fn new(clock: &VirtualClock) -> Self {
        Self(Arc::new(Mutex::new(M::new(clock.clone()))))
    }
}

impl<M: HasLine> Bus for Peer<M> {
    fn read32(&self, offset: usize) -> u32 {
        self.lock().read(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        let mut model = self.lock();
        model.line_writes().push(offset);
        model.write(offset, value);
    }
}

/// The PL011 as it is after reset: disabled, no divisor. FIFOs of 16. It refuses to be programmed while enabled.
pub(crate) struct Pl011Model {
    line: Line,
    registers: Vec<u32>,
    writes: Vec<usize>,
}

impl HasLine for Pl011Model {
    fn new(clock: VirtualClock) -> Self {
        let mut registers = vec![0; 0x50 / 4];
        registers[0x30 / 4] = 0x300;
        Self { line: Line::new(clock, 16), registers, writes: Vec::new() }
    }
    fn line(&mut self) -> &mut Line {
        &mut self.line
    }
    fn registers(&mut self) -> &mut Vec<u32> {
        &mut self.registers
    }
    fn line_writes(&mut self) -> &mut Vec<usize> {
        &mut self.writes
    }

    fn read(&mut self, offset: usize) -> u32 {
        match offset {
            0x00 => {
                let word =
                    self.line.receive.pop_front().expect("the data register was read with an empty receive FIFO");
                word | u32::from(std::mem::take(&mut self.line.overrun)) << 11
            }
            0x18 => {
                u32::from(self.line.transmit.len() >= self.line.depth) << 5
                    | u32::from(self.line.receive.is_empty()) << 4
                    | u32::from(!self.line.idle()) << 3
            }
            _ => self.registers[offset / 4],
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        let enabled = self.registers[0x30 / 4] & 1 != 0;
        match offset {
            0x00 => {
                assert!(self.registers[0x30 / 4] & 0x101 == 0x101, "a byte was sent with the transmitter disabled");
                self.line.put(value as u8);
            }
            0x30 => {
                self.line.assert_whole_characters(value & 1 == 0);
                self.registers[offset / 4] = value;
            }
            0x24 | 0x28 | 0x2c => {
                assert!(!enabled, "{offset:#x} was programmed while the UART was enabled");
                self.registers[offset / 4] = value;
            }
            _ => self.registers[offset / 4] = value,
        }
    }
}

/// The auxiliary block with its mini UART as it is after reset: disabled, no divisor. FIFOs of 8. Its registers do not answer
/// before the block's enable bit is set.
pub(crate) struct MiniUartModel {
    line: Line,
    registers: Vec<u32>,
    writes: Vec<usize>,
}

impl HasLine for MiniUartModel {
    fn new(clock: VirtualClock) -> Self {
        Self { line: Line::new(clock, 8), registers: vec![0; 0x70 / 4], writes: Vec::new() }
    }
    fn line(&mut self) -> &mut Line {
        &mut self.line
    }
    fn registers(&mut self) -> &mut Vec<u32> {
        &mut self.registers
    }
    fn line_writes(&mut self) -> &mut Vec<usize> {
        &mut self.writes
    }

    fn read(&mut self, offset: usize) -> u32 {
        assert!(offset == 0x04 || self.registers[1] & 1 != 0, "{offset:#x} was read while the mini UART was disabled");
        match offset {
            0x40 => {
                self.line.receive.pop_front().expect("the data register was read with an empty receive FIFO") & 0xff
            }
            0x54 => {
                u32::from(self.line.idle()) << 6
                    | u32::from(self.line.transmit.len() < self.line.depth) << 5
                    | u32::from(std::mem::take(&mut self.line.overrun)) << 1
                    | u32::from(!self.line.receive.is_empty())
            }
            _ => self.registers[offset / 4],
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        assert!(
            offset == 0x04 || self.registers[1] & 1 != 0,
            "{offset:#x} was written while the mini UART was disabled"
        );
        match offset {
            0x40 => {
                assert!(self.registers[0x60 / 4] & 2 != 0, "a byte was sent with the transmitter disabled");
                self.line.put(value as u8);
            }
            0x60 => {
                self.line.assert_whole_characters(value & 2 == 0);
                self.registers[offset / 4] = value;
            }
            0x48 if value & 0b110 == 0b110 => {
                self.line.receive.clear();
                self.line.transmit.clear();
            }
            _ => self.registers[offset / 4] = value,
        }
    }
}
