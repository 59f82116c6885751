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
