//! The SD host controller with a card in it. It does not bear what silicon does not: what the specifications forbid, and what the
//! BCM2711 is known to hang on or lose, is a panic that says so.

use super::VirtualClock;
use crate::mmio::Bus;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

/// What is in the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Empty,
    /// SD of the first version: no CMD8, addressed by bytes.
    Standard,
    High,
    Emmc,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// The controller takes everything and reports nothing.
    Dead,
    ResetHangs,
    ClockNeverStable,
    /// The card never finishes powering up.
    NeverReady,
    /// So many of the next blocks have a wrong checksum.
    BadBlocks(u32),
    /// Blocks at more than 25 MHz have a wrong checksum.
    BadWhenFast,
    /// The card is taken out after so many more blocks.
    PulledAfter(u32),
    /// The same, and the controller notices.
    PulledAndSeenAfter(u32),
    /// The card does not take the command that makes its bus wider.
    NoFourLines,
}

const BASE_HERTZ: u64 = 100_000_000;
const RCA: u32 = 0x1234_0000;
const MMC_RCA: u32 = 0x0001_0000;

const COMMAND_COMPLETE: u32 = 1;
const TRANSFER_COMPLETE: u32 = 1 << 1;
const READ_READY: u32 = 1 << 5;
const COMMAND_TIMEOUT: u32 = 1 << 16;
const DATA_CRC: u32 = 1 << 21;

/// What a block holds: its own number in every word, so that no two are alike.
pub(crate) fn content(block: u32) -> Vec<u8> {
    (0..128u32)
        .flat_map(|word| (block.wrapping_mul(0x9e37_79b9) ^ word.wrapping_mul(0x0101_0007)).to_le_bytes())
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Ready,
    Identified,
    Standby,
    Transfer,
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Raise(u32),
    Block,
}

/// Both ends, to be looked at by a test.
#[derive(Clone)]
pub(crate) struct Model(Arc<Mutex<Inner>>);

struct Inner {
    clock: VirtualClock,
    slot: Slot,
    trouble: Trouble,
    written: BTreeMap<usize, u64>,
    block: u32,
    argument: u32,
    response: [u32; 4],
    control: u32,
    clock_control: u32,
    status: u32,
    enabled: u32,
    resetting_until: u64,
    stable_at: u64,
    card_clock_since: u64,
    command_inhibit: bool,
    data_inhibit: bool,
    /// An error that only a reset of the lines gets the controller out of.
    stuck: bool,
    events: VecDeque<(u64, Event)>,
    fifo: VecDeque<u32>,
    /// Blocks still to come, first to last.
    coming: VecDeque<Vec<u8>>,
    auto_stop: bool,
    // The card.
    state: State,
    application: bool,
    asked_first: Option<u64>,
    four_lines: bool,
    high_speed: bool,
    fastest: u64,
    commands: Vec<u8>,
}

impl Model {
    pub(crate) fn new(clock: &VirtualClock, slot: Slot, trouble: Trouble) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            clock: clock.clone(),
            slot,
            trouble,
            written: BTreeMap::new(),
            block: 0,
            argument: 0,
            response: [0; 4],
            control: 0,
            // As firmware leaves it: running.
            clock_control: 0x0000_0107,
            status: 0x0000_8001,
            enabled: 0,
            resetting_until: 0,
            stable_at: 0,
            card_clock_since: 0,
            command_inhibit: false,
            data_inhibit: false,
            stuck: false,
            events: VecDeque::new(),
            fifo: VecDeque::new(),
            coming: VecDeque::new(),
            auto_stop: false,
            state: State::Transfer,
            application: false,
            asked_first: None,
            four_lines: false,
            high_speed: false,
            fastest: 0,
            commands: Vec::new(),
        })))
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.0.lock().unwrap().trouble = trouble;
    }

    pub(crate) fn insert(&self, slot: Slot) {
        self.0.lock().unwrap().slot = slot;
    }

    /// Numbers of the commands that have come since the last look.
    pub(crate) fn commands(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap().commands)
    }

    /// The fastest clock that the card has had, in Hz.
    pub(crate) fn fastest(&self) -> u64 {
        self.0.lock().unwrap().fastest
    }
}

impl Bus for Model {
    fn read32(&self, offset: usize) -> u32 {
        assert!(offset.is_multiple_of(4), "{offset:#x}: only 32-bit accesses reach the controller");
        self.0.lock().unwrap().read(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        assert!(offset.is_multiple_of(4), "{offset:#x}: only 32-bit accesses reach the controller");
        self.0.lock().unwrap().write(offset, value);
    }
}

impl Inner {
    fn read(&mut self, offset: usize) -> u32 {
        let now = self.clock.nanos();
        self.catch_up(now);
        match offset {
            0x04 => self.block,
            0x08 => self.argument,
            0x10..0x20 => self.response[(offset - 0x10) / 4],
            0x20 => self.pop(now),
            0x24 => u32::from(self.command_inhibit) | u32::from(self.data_inhibit) << 1,
            0x28 => self.control,
            0x2c => {
                let resetting = self.trouble == Trouble::ResetHangs || now < self.resetting_until;
                let stable = now >= self.stable_at && self.clock_control & 1 != 0;
                let stable = stable && self.trouble != Trouble::ClockNeverStable;
                self.clock_control & !2 | u32::from(stable) << 1 | if resetting { 0x0700_0000 } else { 0 }
            }
            0x30 => self.status | u32::from(self.status >> 16 != 0) << 15,
            0x34 => self.enabled,
            // 3.3 and 1.8 V, high speed, base clock 100 MHz.
            0x40 => 0x0521_6432,
            0xfc => 0x1002_0000,
            _ => panic!("{offset:#x} is no register that this driver reads"),
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        let now = self.clock.nanos();
        self.catch_up(now);
        assert!(now >= self.resetting_until, "{offset:#x} was written during a reset");
        if self.clock_control & 4 != 0 {
            let two_clocks = 2_000_000_000 / self.hertz();
            let before = self.written.insert(offset, now);
            let lost = before.is_some_and(|before| now < before + two_clocks);
            assert!(!lost, "{offset:#x}: two writes within two clocks of the card, the second is lost");
        }
        match offset {
            0x04 => self.block = value,
            0x08 => self.argument = value,
            0x0c => self.command(now, value),
            0x28 => {
                if value >> 8 & 1 != 0 {
                    assert_eq!(value >> 9 & 7, 7, "the bus has power without its voltage being set");
                }
                self.control = value;
            }
            0x2c => self.set_clock(now, value),
            0x30 => self.status &= !value,
            0x34 => self.enabled = value,
            0x38 => assert_eq!(value, 0, "interrupts are enabled, and nobody takes them"),
            0x20 => panic!("data is written to the card"),
            _ => panic!("{offset:#x} is no register that this driver writes"),
        }
    }

    /// The card's clock.
    fn hertz(&self) -> u64 {
        let half = u64::from(self.clock_control >> 8 & 0xff | (self.clock_control >> 6 & 3) << 8);
        if half == 0 { BASE_HERTZ } else { BASE_HERTZ / (2 * half) }
    }

    fn set_clock(&mut self, now: u64, value: u32) {
        if value >> 24 != 0 {
            let kind = value >> 24;
            assert!([1, 2, 4].contains(&kind), "several resets at once");
            self.resetting_until = now + 10_000;
            if kind & 3 != 0 {
                self.command_inhibit = false;
                self.status &= !COMMAND_COMPLETE;
                self.stuck = false;
            }
            if kind & 5 != 0 {
                self.data_inhibit = false;
                self.status &= !(READ_READY | TRANSFER_COMPLETE);
                self.fifo.clear();
                self.coming.clear();
            }
            self.events.clear();
            if kind == 1 {
                (self.control, self.clock_control, self.enabled, self.status) = (0, 0, 0, 0);
            }
            return;
        }
        let old = self.clock_control;
        let divisor = |value: u32| value & 0xffc0;
        if divisor(value) != divisor(old) {
            assert!(old & 4 == 0, "the divisor changes while the card has its clock");
        }
        if value & 1 != 0 && (old & 1 == 0 || divisor(value) != divisor(old)) {
            self.stable_at = now + 50_000;
        }
        self.clock_control = value;
        if value & 4 == 0 {
            assert!(self.coming.is_empty(), "the card loses its clock in mid-transfer");
            return;
        }
        assert!(value & 1 != 0 && now >= self.stable_at, "the card gets a clock that is not stable");
        if old & 4 == 0 {
            self.card_clock_since = now;
        }
        let hertz = self.hertz();
        assert!(hertz >= 200_000, "{hertz} Hz: the BCM2711's controller hangs below 200 kHz");
        let most = match self.state {
            State::Transfer | State::Data if self.high_speed => 50_000_000,
            State::Transfer | State::Data => 25_000_000,
            _ => 400_000,
        };
        // After a reset of the controller the card does not know yet that it starts anew.
        assert!(hertz <= most, "{hertz} Hz for a card that bears {most}");
        self.fastest = self.fastest.max(hertz);
    }

    fn later(&mut self, now: u64, clocks: u64, event: Event) {
        self.events.push_back((now + clocks * 1_000_000_000 / self.hertz(), event));
    }

    fn catch_up(&mut self, now: u64) {
        while let Some((_, event)) = self.events.pop_front_if(|(at, _)| *at <= now) {
            match event {
                Event::Raise(bits) => {
                    if bits & COMMAND_COMPLETE != 0 {
                        self.command_inhibit = false;
                    }
                    if bits & TRANSFER_COMPLETE != 0 {
                        self.data_inhibit = false;
                        if self.auto_stop && self.state == State::Data {
                            self.state = State::Transfer;
                        }
                    }
                    if bits >> 16 != 0 {
                        self.stuck = true;
                    }
                    self.status |= bits & self.enabled;
                }
                Event::Block => self.block_arrives(),
            }
        }
    }

    fn block_arrives(&mut self) {
        let seen = self.trouble == Trouble::PulledAndSeenAfter(0);
        if seen || self.trouble == Trouble::PulledAfter(0) {
            if seen {
                self.control &= !(1 << 8);
                self.clock_control &= !4;
            }
            self.slot = Slot::Empty;
            return;
        }
        let fast = self.hertz() > 25_000_000;
        let lines_differ = (self.control >> 1 & 1 != 0) != self.four_lines;
        let edges_differ = fast && (self.control >> 2 & 1 != 0) != self.high_speed;
        let mut bad = lines_differ || edges_differ || fast && self.trouble == Trouble::BadWhenFast;
        match &mut self.trouble {
            Trouble::BadBlocks(0) => self.trouble = Trouble::None,
            Trouble::BadBlocks(left) => {
                *left -= 1;
                bad = true;
            }
            Trouble::PulledAfter(left) | Trouble::PulledAndSeenAfter(left) => *left -= 1,
            _ => {}
        }
        if bad {
            self.stuck = true;
            self.status |= DATA_CRC & self.enabled;
            return;
        }
        let block = self.coming.pop_front().unwrap();
        self.fifo = block.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        self.status |= READ_READY & self.enabled;
    }

    fn pop(&mut self, now: u64) -> u32 {
        let word = self.fifo.pop_front().expect("the data port was read while no data is ready");
        if self.fifo.is_empty() {
            match self.coming.front() {
                Some(block) => {
                    let clocks = block.len() as u64 * 8 / if self.four_lines { 4 } else { 1 };
                    self.later(now, clocks, Event::Block);
                }
                None => {
                    if !self.auto_stop {
                        self.state = if self.block >> 16 > 1 { State::Data } else { State::Transfer };
                    }
                    self.later(now, 20, Event::Raise(TRANSFER_COMPLETE));
                }
            }
        }
        word
    }

    fn command(&mut self, now: u64, value: u32) {
        let index = (value >> 24 & 0x3f) as u8;
        assert!(self.control >> 8 & 1 != 0, "CMD{index} without power on the bus");
        assert!(self.clock_control & 4 != 0, "CMD{index} without a clock");
        let clocks = (now - self.card_clock_since) * self.hertz() / 1_000_000_000;
        assert!(clocks >= 74 || self.state == State::Transfer, "CMD{index} before the card had 74 clocks");
        assert!(!self.command_inhibit, "CMD{index} while another is on the line");
        assert!(!self.stuck, "CMD{index} after an error without a reset of the lines");
        let data = value >> 21 & 1 != 0;
        assert!(!data || !self.data_inhibit, "CMD{index} with data while the data lines are in use");
        assert!(self.status & !(1 << 15) == 0, "CMD{index} while an old event stands in the status");
        self.commands.push(index);
        if self.trouble == Trouble::Dead {
            return;
        }
        self.command_inhibit = true;
        let application = std::mem::take(&mut self.application);
        let reply = self.card_command(now, index, application);
        let expects = value >> 16 & 3;
        match reply {
            None if expects == 0 => self.later(now, 100, Event::Raise(COMMAND_COMPLETE)),
            None => self.later(now, 150, Event::Raise(COMMAND_TIMEOUT)),
            Some((words, blocks)) => {
                assert_eq!(expects == 1, words[3] != 0, "CMD{index}: a response of another length is expected");
                self.response = words;
                self.later(now, 200, Event::Raise(COMMAND_COMPLETE));
                if expects == 3 {
                    self.data_inhibit = true;
                    self.later(now, 5000, Event::Raise(TRANSFER_COMPLETE));
                }
                if data {
                    self.start_transfer(now, value, blocks);
                }
            }
        }
    }

    fn start_transfer(&mut self, now: u64, value: u32, blocks: Vec<Vec<u8>>) {
        let (size, count) = (self.block & 0xfff, self.block >> 16);
        assert!(value >> 4 & 1 != 0, "the transfer goes to the card");
        let many = value >> 5 & 1 != 0;
        assert_eq!(many, value >> 24 & 0x3f == 18, "one block or many: command and transfer mode differ");
        assert!(!many || value >> 1 & 1 != 0, "many blocks without a count");
        self.auto_stop = value >> 2 & 3 == 1 || !many;
        self.data_inhibit = true;
        let Some(first) = blocks.first() else { return };
        assert_eq!(size as usize, first.len(), "the card's blocks have another size");
        self.coming = blocks.into_iter().take(count as usize).collect();
        self.state = State::Data;
        self.later(now, 4500, Event::Block);
    }

    /// What the card answers: words as the controller shows them, and blocks.
    fn card_command(&mut self, now: u64, index: u8, application: bool) -> Option<([u32; 4], Vec<Vec<u8>>)> {
        let (slot, argument) = (self.slot, self.argument);
        let mmc = slot == Slot::Emmc;
        if slot == Slot::Empty {
            return None;
        }
        let status = |state: State| [(state as u32) << 9 | 1 << 8, 0, 0, 0];
        let is_in = |state: State, wanted: State| assert_eq!(state, wanted, "CMD{index} in another state");
        let reply = |words| Some((words, Vec::new()));
        match (index, application) {
            (0, false) => {
                self.state = State::Idle;
                (self.four_lines, self.high_speed, self.asked_first) = (false, false, None);
                None
            }
            (8, false) if mmc && self.state == State::Transfer => Some((status(self.state), vec![extended()])),
            (8, false) if slot == Slot::High => reply([argument & 0xfff, 0, 0, 0]),
            (8, false) => None,
            (55, false) if mmc => None,
            (55, false) => {
                let address = if self.state == State::Idle { 0 } else { RCA };
                assert_eq!(argument, address, "CMD55 to another card");
                self.application = true;
                reply(status(self.state))
            }
            (41, true) | (1, false) => {
                if mmc != (index == 1) {
                    return None;
                }
                is_in(self.state, State::Idle);
                assert!(argument & 0x0030_0000 != 0, "3.3 V is not offered");
                assert!(slot != Slot::High || argument >> 30 & 1 != 0, "a card that addresses blocks waits for ever");
                let first = *self.asked_first.get_or_insert(now);
                let ready = now > first + 20_000_000 && self.trouble != Trouble::NeverReady;
                if ready {
                    self.state = State::Ready;
                }
                let by_blocks = u32::from(slot != Slot::Standard) << 30;
                reply([0x00ff_8000 | u32::from(ready) << 31 | if ready { by_blocks } else { 0 }, 0, 0, 0])
            }
            (2, false) => {
                is_in(self.state, State::Ready);
                self.state = State::Identified;
                reply([1, 2, 3, 4])
            }
            (3, false) => {
                is_in(self.state, State::Identified);
                self.state = State::Standby;
                reply(if mmc { status(State::Identified) } else { [RCA | 0x500, 0, 0, 0] })
            }
            (9, false) => {
                is_in(self.state, State::Standby);
                reply(match slot {
                    // 64 MiB: READ_BL_LEN 9, C_SIZE 4095, C_SIZE_MULT 3; command classes without the switch.
                    Slot::Standard => description(9 << 80 | 4095 << 62 | 3 << 47 | 0x1b5 << 84 | 1 << 120),
                    // 16 GiB.
                    Slot::High => description(1 << 126 | 0x7fff << 48 | 0x5b5 << 84 | 9 << 80),
                    _ => description(0xfff << 62 | 7 << 47 | 9 << 80 | 1 << 120),
                })
            }
            (7, false) => {
                is_in(self.state, State::Standby);
                self.state = State::Transfer;
                reply(status(State::Standby))
            }
            (13, false) => {
                assert_eq!(argument, if mmc { MMC_RCA } else { RCA }, "CMD13 to another card");
                reply(status(self.state))
            }
            (12, false) if self.state == State::Data => {
                self.state = State::Transfer;
                reply(status(State::Data))
            }
            (12, false) => None,
            (16, false) => {
                assert_eq!(argument, 512);
                is_in(self.state, State::Transfer);
                reply(status(self.state))
            }
            (51, true) => {
                is_in(self.state, State::Transfer);
                Some((status(self.state), vec![vec![0x02, 0x25, 0x80, 0x03, 0, 0, 0, 0]]))
            }
            (6, true) => {
                is_in(self.state, State::Transfer);
                if self.trouble == Trouble::NoFourLines {
                    return None;
                }
                assert_eq!(argument, 2);
                self.four_lines = true;
                reply(status(self.state))
            }
            (6, false) if mmc => {
                is_in(self.state, State::Transfer);
                match argument {
                    0x03b7_0100 => self.four_lines = true,
                    0x03b9_0100 => self.high_speed = true,
                    _ => panic!("{argument:#x} writes a byte that is no mode"),
                }
                reply(status(self.state))
            }
            (6, false) => {
                is_in(self.state, State::Transfer);
                assert_eq!(slot, Slot::High, "this card has no switch function");
                assert_eq!(argument, 0x80ff_fff1);
                let mut answer = vec![0; 64];
                (answer[13], answer[16]) = (0b11, 1);
                self.high_speed = true;
                Some((status(self.state), vec![answer]))
            }
            (17 | 18, false) => {
                is_in(self.state, State::Transfer);
                let first = if slot == Slot::Standard { argument / 512 } else { argument };
                let many = if index == 18 { self.block >> 16 } else { 1 };
                Some((status(self.state), (first..first + many).map(content).collect()))
            }
            _ => panic!("CMD{index} is no command for reading"),
        }
    }
}

/// A register of 128 bits as the controller shows it. Its highest word must not be zero, which tells it from a short response.
fn description(register: u128) -> [u32; 4] {
    let value = register >> 8;
    [value as u32, (value >> 32) as u32, (value >> 64) as u32, (value >> 96) as u32]
}

/// 8 GiB, high speed.
fn extended() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[212..216].copy_from_slice(&(16u32 << 20).to_le_bytes());
    bytes[196] = 0b11;
    bytes
}
