//! The receiving half.
//!
//! Cost of a frame in register accesses: one read (its descriptor), and shares of a read of the producer index (one for
//! all frames that it announces) and of a write of the consumer index (one for [`RETURN_BATCH`] frames).
//!
//! Length and status could be had without that read: with RBUF_64B_EN the controller puts them, and a sum, in front of each frame in
//! memory, as Linux lets it. It is left off: every frame would bring 64 bytes more to invalidate and to look at, and of the drivers that are known to
//! work on the board only one relies on it.

use super::registers::{DESCRIPTOR, DESCRIPTORS};
use super::ring::{BUFFER_SIZE, Ring};
use crate::dma::{DmaMemory, LINE};
use crate::mmio::Bus;
use crate::net::device::FrameReceiver;
use core::ops::Range;
use tock_registers::LocalRegisterCopy;
use tock_registers::interfaces::Readable;

/// Bytes of DMA memory that the receiving half needs: 256 buffers of 2 KiB, which bear more than 3 ms at line rate.
pub const RECEIVE_MEMORY: usize = DESCRIPTORS * BUFFER_SIZE;

/// Bytes that RBUF_ALIGN_2B puts before each frame.
const ALIGNMENT: usize = 2;
/// Destination, source, type: less is no frame. (UniMAC drops what is shorter than 64 octets on the wire by itself.)
const HEADER: usize = 14;
/// Buffers given back with one write. Far below 256, so the ring does not run dry for those that wait for their batch.
const RETURN_BATCH: u16 = 16;

/// Received frames that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveErrors {
    /// Wrong frame check sequence.
    pub crc: u64,
    /// The receive FIFO overflowed in mid-frame.
    pub overrun: u64,
    /// Longer than a frame may be.
    pub too_long: u64,
    /// Not a whole number of octets.
    pub not_octets: u64,
    /// The PHY signalled an error in mid-frame.
    pub symbol: u64,
    /// In more than one descriptor: longer than a buffer.
    pub fragmented: u64,
    /// Shorter than a header, or a length that no buffer has.
    pub length: u64,
    /// The producer index was farther ahead than a ring can be.
    pub out_of_step: u64,
}

impl ReceiveErrors {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.crc
            + self.overrun
            + self.too_long
            + self.not_octets
            + self.symbol
            + self.fragmented
            + self.length
            + self.out_of_step
    }
}

/// The receiving half: 256 slots, each with its own buffer.
#[derive(Debug)]
pub struct Receiver<B: Bus + Copy, D: DmaMemory> {
    ring: Ring<B>,
    pub(super) memory: D,
    /// Frames that the controller has put into the ring, as last read.
    produced: u16,
    /// Frames that were handed up or dropped.
    consumed: u16,
    /// `consumed` as the controller knows it.
    returned: u16,
    /// Where the frame at `consumed` lies, if it was looked at and is good.
    current: Option<Range<usize>>,
    /// The last descriptor was not the last one of its frame.
    in_fragment: bool,
    discards: u16,
    /// The ring is set up and the controller has not been stopped.
    open: bool,
    pub(super) received: u64,
    pub(super) discarded: u64,
    pub(super) errors: ReceiveErrors,
}

impl<B: Bus + Copy, D: DmaMemory> Receiver<B, D> {
    pub(super) fn new(bus: B, memory: D) -> Self {
        Self {
            ring: Ring::receive(bus),
            memory,
            produced: 0,
            consumed: 0,
            returned: 0,
            current: None,
            in_fragment: false,
            discards: 0,
            open: false,
            received: 0,
            discarded: 0,
            errors: ReceiveErrors::default(),
        }
    }

    pub(super) const fn ring(&self) -> &Ring<B> {
        &self.ring
    }

    /// Empties the ring and gives all of its buffers to the controller, which must be stopped.
    pub(super) fn set_up(&mut self) {
        self.memory.give(0..RECEIVE_MEMORY);
        let first = self.memory.device_address();
        let progress = self.ring.set_up(|slot| first + (slot * BUFFER_SIZE) as u64);
        self.produced = progress.index;
        self.consumed = progress.index;
        self.returned = progress.index;
        self.discards = progress.discards;
        self.current = None;
        self.in_fragment = false;
        self.open = true;
    }

    /// No more frames: the memory may soon be somebody else's.
    pub(super) fn close(&mut self) {
        self.current = None;
        self.open = false;
    }

    /// Asks how far the controller is, and counts what it threw away meanwhile.
    pub(super) fn refresh(&mut self) {
        let progress = self.ring.progress();
        self.discarded += u64::from(progress.discards.wrapping_sub(self.discards));
        self.discards = progress.discards;
        self.produced = progress.index;
        if usize::from(self.produced.wrapping_sub(self.consumed)) > DESCRIPTORS {
            self.errors.out_of_step += 1;
            self.consumed = self.produced;
            self.current = None;
            self.give_back();
        }
    }

    /// Where in the slot's buffer the frame lies, or why there is none.
    fn judge(&mut self, status: LocalRegisterCopy<u32, DESCRIPTOR::Register>) -> Option<Range<usize>> {
        let first = status.is_set(DESCRIPTOR::SOP);
        let last = status.is_set(DESCRIPTOR::EOP);
        if !(first && last) {
            // One frame, one count, however many descriptors it has.
            if first || !self.in_fragment {
                self.errors.fragmented += 1;
            }
            self.in_fragment = !last;
            return None;
        }
        self.in_fragment = false;
        let reason = if status.is_set(DESCRIPTOR::OVERRUN) {
            &mut self.errors.overrun
        } else if status.is_set(DESCRIPTOR::TOO_LONG) {
            &mut self.errors.too_long
        } else if status.is_set(DESCRIPTOR::NOT_OCTETS) {
            &mut self.errors.not_octets
        } else if status.is_set(DESCRIPTOR::CRC_ERROR) {
            &mut self.errors.crc
        } else if status.is_set(DESCRIPTOR::RECEIVE_ERROR) {
            &mut self.errors.symbol
        } else {
            let length = status.read(DESCRIPTOR::LENGTH) as usize;
            if (ALIGNMENT + HEADER..=BUFFER_SIZE).contains(&length) {
                let start = usize::from(self.consumed) % DESCRIPTORS * BUFFER_SIZE;
                return Some(start..start + length);
            }
            &mut self.errors.length
        };
        *reason += 1;
        None
    }

    /// Where the oldest good frame lies; those before it are dropped.
    fn find(&mut self) -> Option<Range<usize>> {
        if !self.open {
            return None;
        }
        // No more than a ring of bad frames at a time: a flood of them must not keep the caller here.
        for _ in 0..DESCRIPTORS {
            if self.consumed == self.produced {
                self.refresh();
                if self.consumed == self.produced {
                    return None;
                }
            }
            let status = LocalRegisterCopy::new(self.ring.status(self.consumed).get());
            if let Some(used) = self.judge(status) {
                self.memory.take(lines(&used));
                self.received += 1;
                return Some(used);
            }
            self.advance();
        }
        None
    }

    /// Done with the slot at `consumed`.
    fn advance(&mut self) {
        self.consumed = self.consumed.wrapping_add(1);
        if self.consumed.wrapping_sub(self.returned) >= RETURN_BATCH {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if self.returned != self.consumed {
            self.returned = self.consumed;
            self.ring.set_driver_index(self.consumed);
        }
    }
}

/// The cache lines that `used` touches, from the start of its buffer on. Whole lines, because a line has one owner.
const fn lines(used: &Range<usize>) -> Range<usize> {
    used.start..used.end.next_multiple_of(LINE)
}

impl<B: Bus + Copy, D: DmaMemory> FrameReceiver for Receiver<B, D> {
    fn frame(&mut self) -> Option<&[u8]> {
        if self.current.is_none() {
            self.current = self.find();
        }
        let used = self.current.clone()?;
        self.memory.bytes(used).get(ALIGNMENT..)
    }

    fn release(&mut self) {
        let Some(used) = self.current.take() else {
            return;
        };
        // A received frame is only ever read, so its lines are clean.
        self.memory.give_unwritten(lines(&used));
        self.advance();
    }
}

#[cfg(test)]
mod tests {
    use super::super::registers::RDMA;
    use super::super::rig::{DEVICE_ADDRESS, Registers, TwoViews};
    use super::*;

    const GOOD: u32 = 3 << 13;
    const FIRST: u32 = 1 << 13;
    const LAST: u32 = 1 << 14;

    struct Wire<'a> {
        registers: &'a Registers,
        receiver: Receiver<&'a Registers, TwoViews>,
    }

    /// A receiver whose index starts at `index`; the hardware does not let it be set to 0.
    fn wire(registers: &Registers, index: u32) -> Wire<'_> {
        registers.script(RDMA.hardware_index(), &[index]);
        let mut receiver = Receiver::new(registers, TwoViews::new(RECEIVE_MEMORY));
        receiver.set_up();
        registers.forget();
        Wire { registers, receiver }
    }

    impl Wire<'_> {
        /// The controller puts `bytes`, after two of alignment, into the next slot with the given flags.
        fn arrives(&mut self, bytes: &[u8], flags: u32) {
            let produced = self.registers.peek(RDMA.hardware_index());
            let slot = produced as usize % 256;
            self.receiver.memory.device_writes(slot * BUFFER_SIZE + 2, bytes);
            self.registers.poke(RDMA.descriptor(slot as u16), (bytes.len() as u32 + 2) << 16 | flags);
            self.registers.poke(RDMA.hardware_index(), produced & 0xffff_0000 | (produced + 1) & 0xffff);
        }
        fn next(&mut self) -> Option<Vec<u8>> {
            let frame = self.receiver.frame().map(<[u8]>::to_vec);
            self.receiver.release();
            frame
        }
        fn returned(&self) -> u32 {
            self.registers.peek(RDMA.driver_index())
        }
    }

    #[test]
    fn set_up_goes_on_from_the_index_that_the_hardware_keeps() {
        let registers = Registers::default();
        registers.script(RDMA.hardware_index(), &[0x0007_fffe]);
        for offset in (RDMA.ring..RDMA.control).step_by(4) {
            registers.poke(offset, 0xdead_beef);
        }
        let mut receiver = Receiver::new(&registers, TwoViews::new(RECEIVE_MEMORY));
        receiver.set_up();
        assert_eq!(registers.written(RDMA.hardware_index()), [0], "0 is tried");
        assert_eq!(registers.peek(RDMA.driver_index()), 0xfffe, "and what stayed is gone on from");
        assert_eq!(registers.peek(RDMA.hardware_pointer()), 254 * 3);
        assert_eq!(registers.peek(RDMA.driver_pointer()), 254 * 3);
        assert_eq!(registers.peek(RDMA.start()), 0);
        assert_eq!(registers.peek(RDMA.end()), 767);
        for wide in [RDMA.start(), RDMA.end(), RDMA.hardware_pointer(), RDMA.driver_pointer()] {
            assert_eq!(registers.peek(wide + 4), 0, "upper half of {wide:#x}");
        }
        assert_eq!(registers.peek(RDMA.buffer_size()), 256 << 16 | 2048);
        assert_eq!(registers.peek(RDMA.burst_size()), 8);
        assert_eq!(registers.peek(RDMA.flow()), 5 << 16 | 16);
        assert_eq!(registers.peek(RDMA.ring_config()), 1 << 16);
        assert_eq!(receiver.memory.owned_by_device(), RECEIVE_MEMORY);
        for slot in 0..256 {
            let address = DEVICE_ADDRESS + u64::from(slot) * 2048;
            assert_eq!(registers.peek(RDMA.descriptor(slot) + 4), address as u32);
            assert_eq!(registers.peek(RDMA.descriptor(slot) + 8), 1);
            assert_eq!(registers.written(RDMA.descriptor(slot)), [0]);
        }
        receiver.refresh();
        assert_eq!(receiver.discarded, 0, "what was thrown away before does not count");
    }

    #[test]
    fn frames_come_in_order_across_both_wraps() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 0xff80);
        for number in 0..600_u32 {
            let frame = [&number.to_be_bytes()[..], &[0xaa; 60]].concat();
            wire.arrives(&frame, GOOD);
            assert_eq!(wire.next(), Some(frame), "frame {number}");
        }
        assert_eq!(wire.next(), None);
        assert_eq!(wire.returned(), (0xff80 + 600 / 16 * 16) % 65536);
        assert_eq!(wire.receiver.received, 600);
        assert_eq!(wire.receiver.memory.owned_by_device(), RECEIVE_MEMORY, "every buffer is the controller's again");
    }

    #[test]
    fn a_frame_stays_until_it_is_released_and_lines_after_it_stay_the_controllers() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 0);
        wire.arrives(&[7; 100], GOOD);
        assert_eq!(wire.receiver.frame(), Some(&[7; 100][..]));
        assert_eq!(wire.receiver.frame(), Some(&[7; 100][..]));
        assert_eq!(wire.receiver.received, 1);
        assert_eq!(wire.receiver.memory.owned_by_device(), RECEIVE_MEMORY - 128);
        wire.receiver.release();
        wire.receiver.release();
        assert_eq!(wire.receiver.frame(), None);
        assert_eq!(wire.receiver.consumed, 1, "a second release does nothing");
        wire.arrives(&[8; 60], GOOD);
        assert_eq!(wire.receiver.frame(), Some(&[8; 60][..]));
        assert_eq!(wire.receiver.memory.owned_by_device(), RECEIVE_MEMORY - 64);
    }

    #[test]
    fn a_full_ring_costs_one_read_a_frame_and_one_write_for_sixteen() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 3);
        for _ in 0..256 {
            wire.arrives(&[1; 60], GOOD);
        }
        registers.forget();
        for count in 1..=256_u32 {
            assert!(wire.next().is_some());
            assert_eq!(wire.returned(), 3 + count / 16 * 16);
        }
        assert_eq!(registers.reads.get(), 257);
        assert_eq!(registers.writes.borrow().len(), 16);
    }

    #[test]
    fn buffers_go_back_sixteen_at_a_time_however_often_the_ring_is_empty() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 0);
        for count in 1..=32 {
            wire.arrives(&[1; 60], GOOD);
            assert!(wire.next().is_some());
            assert!(wire.next().is_none());
            assert_eq!(wire.returned(), count / 16 * 16);
        }
        assert_eq!(registers.written(RDMA.driver_index()), [16, 32]);
    }

    #[test]
    fn each_error_is_dropped_and_counted_by_its_reason() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 250);
        for flag in 0..5 {
            wire.arrives(&[1; 60], GOOD | 1 << flag);
        }
        wire.arrives(&[2; 60], GOOD);
        assert_eq!(wire.next(), Some(vec![2; 60]));
        let expected =
            ReceiveErrors { overrun: 1, crc: 1, symbol: 1, not_octets: 1, too_long: 1, ..Default::default() };
        assert_eq!(wire.receiver.errors, expected);
        assert_eq!(wire.receiver.errors.total(), 5);
        assert_eq!(wire.receiver.received, 1);
    }

    #[test]
    fn a_length_that_no_frame_has_is_dropped() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 0);
        for length in [0, 2, 15, 2049, 4095] {
            wire.arrives(&[], 0);
            let slot = registers.peek(RDMA.hardware_index()) - 1;
            registers.poke(RDMA.descriptor(slot as u16), length << 16 | GOOD);
        }
        assert_eq!(wire.next(), None);
        assert_eq!(wire.receiver.errors, ReceiveErrors { length: 5, ..Default::default() });
        wire.arrives(&[3; 14], GOOD);
        wire.arrives(&[4; 2046], GOOD);
        assert_eq!(wire.next(), Some(vec![3; 14]));
        assert_eq!(wire.next(), Some(vec![4; 2046]));
        assert_eq!(wire.receiver.errors.total(), 5);
    }

    #[test]
    fn a_frame_in_several_descriptors_counts_once() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 0);
        for flags in [FIRST, 0, 0, LAST, FIRST, LAST, GOOD, LAST, 0, LAST, FIRST, FIRST, LAST, GOOD] {
            wire.arrives(&[9; 60], flags);
        }
        assert_eq!(wire.next(), Some(vec![9; 60]));
        assert_eq!(wire.receiver.errors.fragmented, 2);
        assert_eq!(wire.next(), Some(vec![9; 60]));
        // An end without a start, a middle without a start with its end, and two starts of which one has an end.
        assert_eq!(wire.receiver.errors.fragmented, 6);
        assert_eq!(wire.next(), None);
        assert_eq!(wire.receiver.consumed, 14);
        for flags in [FIRST, GOOD, LAST] {
            wire.arrives(&[9; 60], flags);
        }
        assert_eq!(wire.next(), Some(vec![9; 60]));
        assert_eq!(wire.next(), None);
        assert_eq!(wire.receiver.errors.fragmented, 8, "an end after a whole frame belongs to nothing before");
    }

    #[test]
    fn discards_are_counted_and_do_not_disturb_the_index() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 0xfff0_0010);
        wire.arrives(&[1; 60], GOOD);
        registers.poke(RDMA.hardware_index(), 0x0005_0011);
        assert!(wire.next().is_some());
        assert_eq!(wire.receiver.discarded, 0x15, "the counter wraps, too");
        assert!(wire.next().is_none());
        assert_eq!(wire.receiver.discarded, 0x15);
    }

    #[test]
    fn a_flood_of_bad_frames_does_not_keep_the_caller() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 0);
        for slot in 0..256 {
            registers.poke(RDMA.descriptor(slot), 62 << 16 | GOOD | 2);
        }
        // At each look there is another whole ring of them.
        registers.script(RDMA.hardware_index(), &[256, 512, 768, 1024, 1280]);
        assert_eq!(wire.next(), None);
        assert_eq!(wire.receiver.errors.crc, 256);
        assert_eq!(wire.next(), None);
        assert_eq!(wire.receiver.errors.crc, 512);
    }

    #[test]
    fn an_index_beyond_the_ring_is_counted_and_gone_on_from() {
        let registers = Registers::default();
        let mut wire = wire(&registers, 100);
        registers.poke(RDMA.hardware_index(), 357);
        assert_eq!(wire.next(), None);
        assert_eq!(wire.receiver.errors, ReceiveErrors { out_of_step: 1, ..Default::default() });
        assert_eq!(wire.returned(), 357);
        wire.arrives(&[1; 60], GOOD);
        assert_eq!(wire.next(), Some(vec![1; 60]));
    }
}
