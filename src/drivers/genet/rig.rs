//! For the unit tests of this driver: registers that only remember, counting accesses, and DMA memory with two views and an owner for
//! each cache line. How the driver does on a model of the whole controller is seen in `tests/genet.rs`.

use crate::dma::{DmaMemory, LINE};
use crate::mmio::Bus;
use core::cell::{Cell, RefCell};
use core::ops::Range;
use std::collections::{BTreeMap, VecDeque};

/// Registers that keep what is written, unless a script has values for reads of one.
#[derive(Default)]
pub(super) struct Registers {
    values: RefCell<BTreeMap<usize, u32>>,
    scripts: RefCell<BTreeMap<usize, VecDeque<u32>>>,
    /// All writes in order: offset and value.
    pub writes: RefCell<Vec<(usize, u32)>>,
    pub reads: Cell<usize>,
}

impl Registers {
    pub fn poke(&self, offset: usize, value: u32) {
        self.values.borrow_mut().insert(offset, value);
    }
    pub fn peek(&self, offset: usize) -> u32 {
        self.values.borrow().get(&offset).copied().unwrap_or(0)
    }
    /// The next reads of `offset` find these, the later ones the last of them.
    pub fn script(&self, offset: usize, values: &[u32]) {
        self.scripts.borrow_mut().insert(offset, values.iter().copied().collect());
    }
    /// The values written to `offset`, in order.
    pub fn written(&self, offset: usize) -> Vec<u32> {
        self.writes.borrow().iter().filter(|(at, _)| *at == offset).map(|(_, value)| *value).collect()
    }
    pub fn forget(&self) {
        self.writes.borrow_mut().clear();
        self.reads.set(0);
    }
}

impl Bus for Registers {
    fn read32(&self, offset: usize) -> u32 {
        self.reads.set(self.reads.get() + 1);
        if let Some(next) = self.scripts.borrow_mut().get_mut(&offset).and_then(VecDeque::pop_front) {
            self.poke(offset, next);
        }
        self.peek(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.writes.borrow_mut().push((offset, value));
        self.poke(offset, value);
    }
}

/// DMA memory as the CPU and as the device see it. Panics where one touches what belongs to the other.
pub(super) struct TwoViews {
    cpu: Vec<u8>,
    device: Vec<u8>,
    device_owns: Vec<bool>,
}

/// Where the device sees byte 0: above 4 GiB, so that a lost upper half shows.
pub(super) const DEVICE_ADDRESS: u64 = 0x1_2340_0000;

impl TwoViews {
    pub fn new(size: usize) -> Self {
        Self { cpu: vec![0xc5; size], device: vec![0xd5; size], device_owns: vec![false; size / LINE] }
    }
    /// What the device reads from memory that it owns.
    pub fn device_reads(&self, range: Range<usize>) -> &[u8] {
        assert!(self.lines(&range).all(|line| self.device_owns[line]), "the device does not own {range:?}");
        &self.device[range]
    }
    /// The device writes into memory that it owns.
    pub fn device_writes(&mut self, at: usize, bytes: &[u8]) {
        let range = at..at + bytes.len();
        assert!(self.lines(&range).all(|line| self.device_owns[line]), "the device does not own {range:?}");
        self.device[range].copy_from_slice(bytes);
    }
    pub fn owned_by_device(&self) -> usize {
        self.device_owns.iter().filter(|owned| **owned).count() * LINE
    }
    fn lines(&self, range: &Range<usize>) -> Range<usize> {
        range.start / LINE..range.end.div_ceil(LINE)
    }
    fn whole_lines(&self, range: &Range<usize>) -> Range<usize> {
        assert!(range.start.is_multiple_of(LINE) && range.end.is_multiple_of(LINE), "{range:?} is not whole lines");
        self.lines(range)
    }
    fn check(&self, range: &Range<usize>) {
        assert!(self.lines(range).all(|line| !self.device_owns[line]), "the CPU does not own {range:?}");
    }
}

impl DmaMemory for TwoViews {
    fn size(&self) -> usize {
        self.cpu.len()
    }
    fn device_address(&self) -> u64 {
        DEVICE_ADDRESS
    }
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.check(&range);
        &self.cpu[range]
    }
    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.check(&range);
        &mut self.cpu[range]
    }
    fn give(&mut self, range: Range<usize>) {
        for line in self.whole_lines(&range) {
            self.device_owns[line] = true;
        }
        self.device[range.clone()].copy_from_slice(&self.cpu[range]);
    }
    fn take(&mut self, range: Range<usize>) {
        for line in self.whole_lines(&range) {
            assert!(self.device_owns[line], "line {line} taken back twice");
            self.device_owns[line] = false;
        }
        self.cpu[range.clone()].copy_from_slice(&self.device[range]);
    }
}

/// A management bus with one PHY on it: registers that remember, shadow and expansion registers behind their windows.
pub(super) struct Management {
    pub phy: Cell<u8>,
    pub registers: RefCell<[u16; 32]>,
    /// Behind register 0x18, by number.
    pub auxiliary: RefCell<[u16; 8]>,
    /// Behind register 0x1c, by number.
    pub shadow: RefCell<[u16; 32]>,
    pub expansion: RefCell<BTreeMap<u16, u16>>,
    /// Reads of the command register that find an access still running; `usize::MAX` for ever.
    pub busy_reads: Cell<usize>,
    /// Accesses in order: register and, for a write, the value.
    pub accesses: RefCell<Vec<(u8, Option<u16>)>>,
    /// BMCR's reset bit stays.
    pub reset_stays: Cell<bool>,
    /// Reads of the control register until the reset bit clears.
    pub reset_reads: Cell<u32>,
    /// Writes other than to BMCR are ignored in power-down.
    pub deaf_in_power_down: Cell<bool>,
    /// PHY addresses that were asked.
    pub asked: RefCell<Vec<u8>>,
    command: Cell<u32>,
    busy_left: Cell<usize>,
    pub divider: Cell<u32>,
}

pub(super) const BCM54213PE: u32 = 0x600d_84a2;

impl Management {
    /// A PHY at `phy` that is negotiating, as after power-on.
    pub fn new(phy: u8, id: u32) -> Self {
        let mut registers = [0; 32];
        registers[0] = 0x1000;
        registers[1] = 0x7949;
        registers[2] = (id >> 16) as u16;
        registers[3] = id as u16;
        registers[4] = 0x0de1;
        registers[9] = 0x0300;
        Self {
            phy: Cell::new(phy),
            registers: RefCell::new(registers),
            auxiliary: RefCell::new([0; 8]),
            shadow: RefCell::new([0; 32]),
            expansion: RefCell::default(),
            busy_reads: Cell::new(2),
            accesses: RefCell::default(),
            reset_stays: Cell::new(false),
            reset_reads: Cell::new(0),
            deaf_in_power_down: Cell::new(false),
            asked: RefCell::default(),
            command: Cell::new(0),
            busy_left: Cell::new(0),
            divider: Cell::new(0x0a1),
        }
    }
    pub fn set(&self, register: u8, value: u16) {
        self.registers.borrow_mut()[usize::from(register)] = value;
    }
    pub fn get(&self, register: u8) -> u16 {
        self.registers.borrow()[usize::from(register)]
    }
    /// The values written to `register`, in order.
    pub fn written(&self, register: u8) -> Vec<u16> {
        self.accesses.borrow().iter().filter(|access| access.0 == register).filter_map(|access| access.1).collect()
    }
    fn read(&self, register: u8) -> u16 {
        self.accesses.borrow_mut().push((register, None));
        match register {
            0 => {
                let value = self.get(0);
                if value & 0x8000 != 0 && !self.reset_stays.get() {
                    match self.reset_reads.get() {
                        0 => self.set(0, value & 0x7fff),
                        left => self.reset_reads.set(left - 1),
                    }
                }
                self.get(0)
            }
            0x15 => self.expansion.borrow().get(&self.get(0x17)).copied().unwrap_or(0),
            0x18 => self.auxiliary.borrow()[usize::from(self.get(0x18) >> 12 & 7)],
            0x1c => self.get(0x1c) & 0x7c00 | self.shadow.borrow()[usize::from(self.get(0x1c) >> 10 & 0x1f)],
            _ => self.get(register),
        }
    }
    fn write(&self, register: u8, value: u16) {
        self.accesses.borrow_mut().push((register, Some(value)));
        if self.deaf_in_power_down.get() && register != 0 && self.get(0) & 0x0800 != 0 {
            return;
        }
        match register {
            1..=3 => {}
            0x15 => drop(self.expansion.borrow_mut().insert(self.get(0x17), value)),
            0x18 if value & 7 == 7 && value & 0x8000 != 0 => self.auxiliary.borrow_mut()[7] = value & 0x7ff8,
            0x1c if value & 0x8000 != 0 => self.shadow.borrow_mut()[usize::from(value >> 10 & 0x1f)] = value & 0x3ff,
            _ => self.set(register, value),
        }
    }
}

impl Bus for Management {
    fn read32(&self, offset: usize) -> u32 {
        match offset {
            0xe14 if self.busy_left.get() > 0 => {
                if self.busy_left.get() != usize::MAX {
                    self.busy_left.set(self.busy_left.get() - 1);
                }
                self.command.get() | 1 << 29
            }
            0xe14 => self.command.get(),
            0xe18 => self.divider.get(),
            _ => panic!("read of {offset:#x}"),
        }
    }
    fn write32(&self, offset: usize, value: u32) {
        if offset == 0xe18 {
            return self.divider.set(value);
        }
        assert_eq!(offset, 0xe14);
        assert_eq!(self.busy_left.get(), 0, "an access while another runs");
        assert_ne!(value & 1 << 29, 0, "a command that does not start");
        self.busy_left.set(self.busy_reads.get());
        let (phy, register) = ((value >> 21 & 31) as u8, (value >> 16 & 31) as u8);
        let command = value & !(1 << 29);
        if phy != self.phy.get() {
            self.asked.borrow_mut().push(phy);
            return self.command.set(command & 0xffff_0000 | 0xffff | 1 << 28);
        }
        match value >> 26 & 3 {
            1 => {
                self.write(register, value as u16);
                self.command.set(command);
            }
            2 => self.command.set(command & 0xffff_0000 | u32::from(self.read(register))),
            other => panic!("MDIO operation {other}"),
        }
    }
}
