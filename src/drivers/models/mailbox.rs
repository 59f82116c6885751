//! The firmware at the other end of the mailbox, and memory with two views.

use super::VirtualClock;
use crate::dma::{DmaMemory, LINE};
use crate::mmio::Bus;
use crate::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Memory as the CPU sees it through its caches, and as the device sees it. A byte belongs to one of the two; the CPU may
/// look only at its own.
pub(crate) struct TwoViews {
    address: u64,
    cpu: Vec<u8>,
    device: Arc<Mutex<DeviceView>>,
}

/// The device's side: the bytes, and which cache lines are its own.
struct DeviceView {
    bytes: Vec<u8>,
    owned: Vec<bool>,
}

impl TwoViews {
    /// Both views hold junk, different junk.
    pub(crate) fn new(address: u64, size: usize) -> Self {
        let device = DeviceView { bytes: vec![0xa5; size], owned: vec![false; size / LINE] };
        Self { address, cpu: vec![0x5a; size], device: Arc::new(Mutex::new(device)) }
    }

    fn lines(&self, range: &Range<usize>) -> Range<usize> {
        assert!(
            range.start.is_multiple_of(LINE) && range.end.is_multiple_of(LINE),
            "{range:?} is not whole cache lines"
        );
        range.start / LINE..range.end / LINE
    }

    fn assert_ours(&self, range: &Range<usize>) {
        let device = self.device.lock().unwrap();
        let foreign = device.owned[range.start / LINE..range.end.div_ceil(LINE)].iter().any(|owned| *owned);
        assert!(!foreign, "the CPU looked at {range:?} while the device owned it");
    }
}

impl DmaMemory for TwoViews {
    fn size(&self) -> usize {
        self.cpu.len()
    }
    fn device_address(&self) -> u64 {
        self.address
    }
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.assert_ours(&range);
        &self.cpu[range]
    }
    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.assert_ours(&range);
        &mut self.cpu[range]
    }
    fn give(&mut self, range: Range<usize>) {
        let lines = self.lines(&range);
        let mut device = self.device.lock().unwrap();
        device.bytes[range.clone()].copy_from_slice(&self.cpu[range]);
        device.owned[lines].fill(true);
    }
    fn take(&mut self, range: Range<usize>) {
        let lines = self.lines(&range);
        let mut device = self.device.lock().unwrap();
        self.cpu[range.clone()].copy_from_slice(&device.bytes[range]);
        device.owned[lines].fill(false);
    }
}

/// How the firmware treats a message.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// As it should, in 100 µs.
    Answers,
    /// As it should, in this time.
    Takes(Duration),
    /// Never.
    Silent,
    /// As it should, but another word comes before, while the message is not yet answered.
    AfterStray(u32),
    /// Its question FIFO stays full.
    Full,
    /// As it should, but for one word of the message.
    Garbles(usize, u32),
}

/// The firmware. It checks that a message lies where the VideoCore can reach it and in lines that were handed over.
#[derive(Clone)]
pub(crate) struct Firmware(Arc<Mutex<State>>);

struct State {
    clock: VirtualClock,
    address: u64,
    device: Arc<Mutex<DeviceView>>,
    behaviour: Behaviour,
    /// Words for the ARM, each with the moment (ns) from which it is there.
    answers: VecDeque<(u64, u32)>,
    /// When (ns) the message will be answered, and how.
    answering: Option<(u64, Option<(usize, u32)>)>,
    messages: usize,
    unknown: BTreeSet<u32>,
    rates: BTreeMap<u32, u32>,
    /// The core clock's rate in Hz once the ARM's is set, if it changes along.
    core_with_arm: Option<u32>,
    reboot_flags: u32,
}

impl Firmware {
    pub(crate) fn new(clock: &VirtualClock, memory: &TwoViews, behaviour: Behaviour) -> Self {
        Self(Arc::new(Mutex::new(State {
            clock: clock.clone(),
            address: memory.address,
            device: memory.device.clone(),
            behaviour,
            answers: VecDeque::new(),
            answering: None,
            messages: 0,
            unknown: BTreeSet::new(),
            rates: BTreeMap::from([(2, 48_000_000), (3, 600_000_000), (4, 500_000_000)]),
            core_with_arm: None,
            reboot_flags: 0,
        })))
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.0.lock().unwrap().behaviour = behaviour;
    }

    /// Messages answered so far.
    pub(crate) fn messages(&self) -> usize {
        self.0.lock().unwrap().messages
    }

    /// Makes the core clock one that is at `hertz` once the ARM's is set.
    pub(crate) fn raise_core_with_arm(&self, hertz: u32) {
        self.0.lock().unwrap().core_with_arm = Some(hertz);
    }

    /// Makes a tag one that this firmware is too old for.
    pub(crate) fn forget(&self, tag: u32) {
        self.0.lock().unwrap().unknown.insert(tag);
    }
}

impl Bus for Firmware {
    fn read32(&self, offset: usize) -> u32 {
        let mut state = self.0.lock().unwrap();
        let now = state.clock.nanos();
        state.work(now);
        let there = state.answers.front().is_some_and(|(from, _)| *from <= now);
        match offset {
            0x00 => {
                assert!(there, "the answer register was read while it was empty");
                state.answers.pop_front().unwrap().1
            }
            0x18 => u32::from(!there) << 30,
            0x38 => u32::from(matches!(state.behaviour, Behaviour::Full)) << 31,
            _ => panic!("{offset:#x} is no register that a driver reads"),
        }
    }

    fn write32(&self, offset: usize, value: u32) {
        assert_eq!(offset, 0x20, "only the question register is written");
        self.0.lock().unwrap().question(value);
    }
}

impl State {
    fn question(&mut self, value: u32) {
        assert!(!matches!(self.behaviour, Behaviour::Full), "a word was written to a full mailbox");
        assert_eq!(value & 0xf, 8, "not the property channel");
        let bus_address = value & !0xf;
        assert_eq!(bus_address >> 30, 3, "{bus_address:#x} is not in the uncached alias");
        assert_eq!(u64::from(bus_address & 0x3fff_ffff), self.address, "the message is elsewhere");
        let (delay, stray, garbled) = match self.behaviour {
            Behaviour::Silent | Behaviour::Full => return,
            Behaviour::Takes(time) => (time, None, None),
            Behaviour::AfterStray(word) => (Duration::from_micros(100), Some(word), None),
            Behaviour::Garbles(index, word) => (Duration::from_micros(100), None, Some((index, word))),
            Behaviour::Answers => (Duration::from_micros(100), None, None),
        };
        let at = self.clock.nanos() + delay.as_nanos() as u64;
        self.answers.extend(stray.map(|word| (at - delay.as_nanos() as u64 / 2, word)));
        self.answers.push_back((at, value));
        self.answering = Some((at, garbled));
    }

    /// Does what the firmware has done by now.
    fn work(&mut self, now: u64) {
        if let Some((_, garbled)) = self.answering.take_if(|(at, _)| *at <= now) {
            self.answer_message(garbled);
            self.messages += 1;
        }
    }

    fn answer_message(&mut self, garbled: Option<(usize, u32)>) {
        let device = self.device.clone();
        let mut device = device.lock().unwrap();
        let words: Vec<u32> =
            device.bytes.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect();
        let size = words[0] as usize;
        assert!(size.is_multiple_of(4) && size >= 12 && size <= device.bytes.len(), "a message of {size} bytes");
        assert!(device.owned[..size.div_ceil(LINE)].iter().all(|owned| *owned), "the message was not handed over");
        assert_eq!(words[1], 0, "not a request");
        let mut words = words;
        words[1] = 0x8000_0000;
        let mut position = 2;
        while words[position] != 0 {
            let (tag, room) = (words[position], words[position + 1] as usize);
            assert_eq!(words[position + 2] >> 31, 0, "the tag is not a request");
            assert!(room.is_multiple_of(4));
            let value = position + 3..position + 3 + room / 4;
            assert!(value.end * 4 < size, "tag {tag:#x} reaches over the end of the message");
            if let Some(answer) = self.answer(tag, &words[value.clone()]) {
                words[position + 2] = 0x8000_0000 | answer.len() as u32;
                let mut padded = answer;
                padded.resize(room.max(padded.len()), 0);
                for (word, bytes) in words[value.clone()].iter_mut().zip(padded.chunks_exact(4)) {
                    *word = u32::from_le_bytes(bytes.try_into().unwrap());
                }
            }
            position = value.end;
        }
        assert_eq!(position * 4 + 4, size, "the size is not that of the tags");
        if let Some((index, word)) = garbled {
            words[index] = word;
        }
        for (place, word) in device.bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }

    fn answer(&mut self, tag: u32, arguments: &[u32]) -> Option<Vec<u8>> {
        if self.unknown.contains(&tag) {
            return None;
        }
        let words = |words: &[u32]| Some(words.iter().flat_map(|word| word.to_le_bytes()).collect());
        match tag {
            0x0000_0001 => words(&[0x6543_2100]),
            0x0001_0001 => words(&[0]),
            0x0001_0002 => words(&[0x00c0_3114]),
            // Device 3 is the last that there is; what is asked for is done.
            0x0002_8001 => words(&[arguments[0], if arguments[0] > 3 { 2 } else { arguments[1] & 1 }]),
            0x0001_0003 => Some(vec![0xdc, 0xa6, 0x32, 0x01, 0x02, 0x03]),
            0x0001_0004 => words(&[0xabcd_ef01, 0x1000_0000]),
            0x0001_0005 => words(&[0, 0x3b40_0000]),
            0x0001_0006 => words(&[0x3b40_0000, 0x04c0_0000]),
            0x0003_0002 => words(&[arguments[0], self.rates.get(&arguments[0]).copied().unwrap_or(0)]),
            0x0003_0004 => words(&[arguments[0], 1_800_000_000]),
            0x0003_0047 => words(&[arguments[0], 499_987_654]),
            0x0003_8002 => {
                assert_eq!(arguments[2], 0, "the voltage is to follow the rate");
                self.rates.insert(arguments[0], arguments[1]);
                if let (3, Some(core)) = (arguments[0], self.core_with_arm) {
                    self.rates.insert(4, core);
                }
                words(&arguments[..2])
            }
            0x0003_0006 => words(&[0, 51_123]),
            0x0003_0046 => words(&[0x4_0001]),
            0x0003_0048 => Some(Vec::new()),
            0x0003_0064 => words(&[self.reboot_flags]),
            0x0003_8064 => {
                self.reboot_flags = arguments[0];
                words(&[self.reboot_flags])
            }
            _ => panic!("tag {tag:#x} does not exist"),
        }
    }
}
