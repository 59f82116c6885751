//! DMA memory with two views. The CPU's view is what `bytes` shows; the device's is what the controller reads and writes. `give` copies the
//! CPU's lines to the device and poisons them for the CPU (a cache that was invalidated); `take` copies the device's lines back. A byte that was
//! never synchronised is junk, and whoever touches a line that the other owns is logged.

use super::Shared;
use crate::seed::Junk;
use crate::{Access, GuestMemory, NoMemory, Reason};
use core::ops::Range;
use std::cell::RefCell;
use std::rc::Rc;
use xenlift::dma::{DmaMemory, LINE};

/// What the CPU reads from a line that the device owns.
const POISON: u8 = 0xdd;
/// Where blocks lie, in turn: below and above 4 GiB, since descriptors carry 64-bit addresses.
const REGIONS: [u64; 2] = [0x3000_0000, 0x1_4000_0000];
/// Blocks of one region are this far apart, so that running off the end of one hits nothing.
const SPACING: u64 = 0x0100_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Cpu,
    /// The CPU's, and written since.
    CpuDirty,
    Device,
}

#[derive(Debug)]
struct Block {
    base: u64,
    bytes: Vec<u8>,
    owners: Vec<Owner>,
}

/// The device's views of all blocks.
#[derive(Debug)]
pub(super) struct DeviceSide {
    blocks: Vec<Block>,
    complaints: RefCell<Vec<(Access, Reason)>>,
    junk: Junk,
}

impl DeviceSide {
    pub(super) fn new(seed: u64) -> Self {
        Self { blocks: Vec::new(), complaints: RefCell::default(), junk: Junk::new(seed ^ 0x5eed) }
    }
    pub(super) fn take_complaints(&mut self) -> Vec<(Access, Reason)> {
        self.complaints.take()
    }
    fn complain(&self, access: Access, reason: Reason) {
        let mut complaints = self.complaints.borrow_mut();
        // One block's worth of lines at once is one mistake, not hundreds.
        if complaints.len() < 64 {
            complaints.push((access, reason));
        }
    }
    fn junk(&mut self, size: usize) -> Vec<u8> {
        (0..size.div_ceil(8)).flat_map(|_| self.junk.word().to_le_bytes()).take(size).collect()
    }
    fn add(&mut self, size: usize) -> (usize, u64) {
        let number = self.blocks.len();
        let region = REGIONS[number % REGIONS.len()];
        let base = region + (number / REGIONS.len()) as u64 * SPACING.max(size.next_power_of_two() as u64);
        let bytes = self.junk(size);
        self.blocks.push(Block { base, bytes, owners: vec![Owner::Cpu; size / LINE] });
        (number, base)
    }
    fn find(&self, address: u64, length: usize) -> Option<(usize, Range<usize>)> {
        self.blocks.iter().enumerate().find_map(|(number, block)| {
            let start = usize::try_from(address.checked_sub(block.base)?).ok()?;
            let end = start.checked_add(length)?;
            (end <= block.bytes.len()).then_some((number, start..end))
        })
    }
    /// Complains once if a line of `range` is in a state that `wrong` names.
    fn check(
        &self,
        number: usize,
        range: &Range<usize>,
        wrong: impl Fn(Owner) -> bool,
        access: Access,
        reason: impl Fn(u64) -> Reason,
    ) {
        let Some(block) = self.blocks.get(number) else { return };
        let mut lines = range.start / LINE..range.end.div_ceil(LINE);
        if let Some(line) = lines.find(|&line| block.owners.get(line).is_some_and(|&owner| wrong(owner))) {
            self.complain(access, reason(block.base + (line * LINE).max(range.start) as u64));
        }
    }
}

impl GuestMemory for DeviceSide {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), NoMemory> {
        let (number, range) = self.find(address, bytes.len()).ok_or(NoMemory)?;
        self.check(
            number,
            &range,
            |owner| owner != Owner::Device,
            Access::Controller,
            |address| Reason::DeviceReadOfCpuLine { address },
        );
        let found = self.blocks.get(number).and_then(|block| block.bytes.get(range)).ok_or(NoMemory)?;
        bytes.copy_from_slice(found);
        Ok(())
    }
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), NoMemory> {
        let (number, range) = self.find(address, bytes.len()).ok_or(NoMemory)?;
        self.check(
            number,
            &range,
            |owner| owner != Owner::Device,
            Access::Controller,
            |address| Reason::DeviceWriteOfCpuLine { address },
        );
        let place = self.blocks.get_mut(number).and_then(|block| block.bytes.get_mut(range)).ok_or(NoMemory)?;
        place.copy_from_slice(bytes);
        Ok(())
    }
}

/// A block of DMA memory, as the driver holds it.
#[derive(Debug)]
pub struct TwoViewMemory {
    shared: Rc<RefCell<Shared>>,
    number: usize,
    base: u64,
    cpu: Vec<u8>,
}

impl TwoViewMemory {
    pub(super) fn new(shared: Rc<RefCell<Shared>>, size: usize) -> Self {
        let size = size.next_multiple_of(LINE);
        let (number, base, cpu) = {
            let memory = &mut shared.borrow_mut().memory;
            let (number, base) = memory.add(size);
            (number, base, memory.junk(size))
        };
        Self { shared, number, base, cpu }
    }

    /// Whole lines inside the block; anything else is logged and cut.
    fn lines(&self, range: &Range<usize>) -> Range<usize> {
        let whole = range.start.is_multiple_of(LINE) && range.end.is_multiple_of(LINE);
        if !whole || range.start > range.end || range.end > self.cpu.len() {
            let reason = Reason::UnalignedMaintenance { start: range.start, end: range.end };
            self.shared.borrow().memory.complain(Access::Memory, reason);
        }
        let end = range.end.next_multiple_of(LINE).min(self.cpu.len());
        (range.start / LINE * LINE).min(end)..end
    }

    /// Goes through the lines of a range: `copy(cpu, device, owner)` says who owns the line afterwards.
    fn each_line(&mut self, range: Range<usize>, copy: impl Fn(&mut [u8], &mut [u8], Owner) -> Owner) {
        let range = self.lines(&range);
        let mut guard = self.shared.borrow_mut();
        let Some(block) = guard.memory.blocks.get_mut(self.number) else { return };
        let cpu_lines = self.cpu.chunks_exact_mut(LINE);
        let device_lines = block.bytes.chunks_exact_mut(LINE);
        let lines = cpu_lines.zip(device_lines).zip(&mut block.owners);
        for ((cpu, device), owner) in lines.take(range.end / LINE).skip(range.start / LINE) {
            *owner = copy(cpu, device, *owner);
        }
    }
}

impl DmaMemory for TwoViewMemory {
    fn size(&self) -> usize {
        self.cpu.len()
    }
    fn device_address(&self) -> u64 {
        self.base
    }
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        let shared = self.shared.borrow();
        let wrong = |owner| owner == Owner::Device;
        shared
            .memory
            .check(self.number, &range, wrong, Access::Memory, |address| Reason::CpuReadOfDeviceLine { address });
        &self.cpu[range]
    }
    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        let mut guard = self.shared.borrow_mut();
        let wrong = |owner| owner == Owner::Device;
        guard
            .memory
            .check(self.number, &range, wrong, Access::Memory, |address| Reason::CpuWriteOfDeviceLine { address });
        let block = guard.memory.blocks.get_mut(self.number);
        let owners = block.and_then(|block| block.owners.get_mut(range.start / LINE..range.end.div_ceil(LINE)));
        for owner in owners.into_iter().flatten().filter(|owner| **owner == Owner::Cpu) {
            *owner = Owner::CpuDirty;
        }
        &mut self.cpu[range]
    }
    fn give(&mut self, range: Range<usize>) {
        self.each_line(range, |cpu, device, owner| {
            // A line that the device has already is clean: cleaning it once more does nothing.
            if owner != Owner::Device {
                device.copy_from_slice(cpu);
                cpu.fill(POISON);
            }
            Owner::Device
        });
    }
    fn take(&mut self, range: Range<usize>) {
        {
            let shared = self.shared.borrow();
            let wrong = |owner| owner == Owner::CpuDirty;
            shared
                .memory
                .check(self.number, &range, wrong, Access::Memory, |address| Reason::TakeOfDirtyLine { address });
        }
        self.each_line(range, |cpu, device, _| {
            cpu.copy_from_slice(device);
            Owner::Cpu
        });
    }
}
