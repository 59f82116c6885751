//! The sending half.
//!
//! Cost of a frame in register accesses: one write (producer index) where the slot's descriptor already says what it is to say, as it does for one
//! acknowledgement after the other; else three (buffer address, length and flags). The consumer index is read only when the queue
//! looks full. Completion is not waited for.
//!
//! **Descriptors that stay.** All known drivers write a descriptor for every frame, so none of them tells whether the controller leaves a
//! transmitted one as it was (U-Boot shows that for the received ones: it names their buffers once). So it is asked: in the first
//! round each slot's descriptor is read before it would be written as it was, and only after a whole round without a difference is it taken for granted.
//! One difference, or a queue that was stuck, and every frame has its three writes until the next start.

use super::registers::{DESCRIPTOR, DESCRIPTORS};
use super::ring::{BUFFER_SIZE, Ring};
use crate::arch::bytes::copy;
use crate::dma::{DmaMemory, LINE};
use crate::mmio::Bus;
use crate::net::device::FrameSender;
use crate::time::{Clock, Duration, Instant};
use tock_registers::interfaces::Readable;

/// Frames that can wait to be sent. Divides 65536, so that index modulo this names a buffer.
const QUEUE: u16 = 32;
/// Bytes of DMA memory that the sending half needs: 32 buffers of 2 KiB.
pub const SEND_MEMORY: usize = QUEUE as usize * BUFFER_SIZE;

/// Shortest and longest frame without its check sequence; the longest has a VLAN tag.
const SHORTEST: usize = 60;
const LONGEST: usize = 1518;
/// What Linux writes for "no priority tag".
const NO_QTAG: u32 = 0x3f;
/// A queue that does not move for this long with the link up is stuck. A full one takes 40 ms at 10 Mb/s.
const STALL: Duration = Duration::from_secs(1);
/// Between two checks for that.
const CHECK: Duration = Duration::from_millis(100);
/// How long the last frames (an acknowledgement, say) may take to leave before the controller is stopped.
const DRAIN_LIMIT: Duration = Duration::from_millis(50);

/// Whether the controller leaves descriptors of sent frames as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// So it seems; so many are still to be looked at.
    Perhaps {
        left: usize,
    },
    Yes,
    No,
}

/// The sending half: slots in turn, 32 of them in use at a time.
#[derive(Debug)]
pub struct Sender<B: Bus + Copy, D: DmaMemory> {
    ring: Ring<B>,
    pub(super) memory: D,
    /// Frames queued, modulo 65536.
    queued: u16,
    /// Frames that the controller has sent, as last read.
    done: u16,
    /// Bytes of the frame that each slot's descriptor was last written for; 0 where it has not been since the ring was set up.
    described: [u16; DESCRIPTORS],
    keeps: Keeps,
    /// Frames are taken: the controller runs and there is a link.
    pub(super) open: bool,
    /// When the queue was last seen empty, or to have moved.
    moved: Instant,
    /// `done` at the last check for a queue that is stuck.
    checked: u16,
    next_check: Instant,
    pub(super) sent: u64,
    /// Frames lost in a queue that was stuck.
    pub(super) lost: u64,
}

impl<B: Bus + Copy, D: DmaMemory> Sender<B, D> {
    pub(super) fn new(bus: B, memory: D) -> Self {
        Self {
            ring: Ring::transmit(bus),
            memory,
            queued: 0,
            done: 0,
            described: [0; DESCRIPTORS],
            keeps: Keeps::No,
            open: false,
            moved: Instant::default(),
            checked: 0,
            next_check: Instant::default(),
            sent: 0,
            lost: 0,
        }
    }

    pub(super) const fn ring(&self) -> &Ring<B> {
        &self.ring
    }

    /// Empties the ring. The controller must be stopped.
    pub(super) fn set_up(&mut self, now: Instant) {
        self.lost += u64::from(self.waiting().min(QUEUE));
        self.memory.give(0..SEND_MEMORY);
        let first = self.memory.device_address();
        let progress = self.ring.set_up(|slot| first + place(slot as u16) as u64);
        self.queued = progress.index;
        self.done = progress.index;
        self.described = [0; DESCRIPTORS];
        self.keeps = Keeps::Perhaps { left: DESCRIPTORS };
        self.excuse(now);
    }

    /// From now on every frame's descriptor is written.
    pub(super) fn distrust(&mut self) {
        self.keeps = Keeps::No;
    }

    /// Has the next slot's descriptor say that a frame of `length` bytes lies at `address`.
    fn describe(&mut self, length: usize, address: u64) {
        let status = DESCRIPTOR::LENGTH.val(length as u32)
            + DESCRIPTOR::SOP::SET
            + DESCRIPTOR::EOP::SET
            + DESCRIPTOR::APPEND_CRC::SET
            + DESCRIPTOR::QTAG.val(NO_QTAG);
        let Some(described) = self.described.get_mut(usize::from(self.queued) % DESCRIPTORS) else { return };
        if usize::from(*described) == length {
            match self.keeps {
                Keeps::Yes => return,
                Keeps::Perhaps { left } => {
                    let kept = self.ring.status(self.queued).get() == status.value
                        && self.ring.address_low(self.queued) == address as u32;
                    self.keeps = match left {
                        _ if !kept => Keeps::No,
                        0 | 1 => Keeps::Yes,
                        _ => Keeps::Perhaps { left: left - 1 },
                    };
                    if !matches!(self.keeps, Keeps::Perhaps { .. }) {
                        log::debug!("Ethernet: descriptors of sent frames stay as they were: {kept}");
                    }
                    if kept {
                        return;
                    }
                }
                Keeps::No => {}
            }
        }
        // The high half of the address stays from set-up: Linux for 32-bit Arm does not write it for each frame either.
        self.ring.set_address_low(self.queued, address);
        self.ring.set_status(self.queued, status.value);
        *described = length as u16;
    }

    /// Frames queued and not known to be sent. More than [`QUEUE`] if the hardware's index is out of its mind: then nothing is
    /// taken until it is back, or the ring is restarted.
    const fn waiting(&self) -> u16 {
        self.queued.wrapping_sub(self.done)
    }

    fn refresh(&mut self) {
        self.done = self.ring.progress().index;
    }

    /// Whether frames have been waiting for a second and none has left. To be asked while there is a link, as often as one
    /// likes: it looks ten times a second.
    pub(super) fn is_stuck(&mut self, now: Instant) -> bool {
        if now < self.next_check {
            return false;
        }
        self.next_check = now.after(CHECK);
        self.refresh();
        if self.done != self.checked || self.waiting() == 0 {
            self.moved = now;
        }
        self.checked = self.done;
        now.since(self.moved) >= STALL
    }

    /// The queue starts its second anew: what waited while there was no link is not stuck.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.moved = now;
        self.checked = self.done;
        self.next_check = now.after(CHECK);
    }

    /// Waits, for at most 50 ms, until all frames have left.
    pub(super) fn drain<C: Clock + Copy>(&mut self, clock: C) {
        clock.wait_until(DRAIN_LIMIT, || {
            self.refresh();
            self.waiting() == 0
        });
    }
}

/// Where the buffer of the slot of `index` starts.
const fn place(index: u16) -> usize {
    (index % QUEUE) as usize * BUFFER_SIZE
}

impl<B: Bus + Copy, D: DmaMemory> FrameSender for Sender<B, D> {
    fn ready(&mut self) -> bool {
        if !self.open {
            return false;
        }
        if self.waiting() >= QUEUE {
            self.refresh();
        }
        self.waiting() < QUEUE
    }

    fn send<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        if length > LONGEST || !self.ready() {
            return None;
        }
        let start = place(self.queued);
        let padded = length.max(SHORTEST);
        let lines = start..start + padded.next_multiple_of(LINE);
        self.memory.take(lines.clone());
        let (frame, padding) = self.memory.bytes_mut(start..start + padded).split_at_mut(length);
        let result = fill(frame);
        copy(padding, &[0; SHORTEST]);
        self.memory.give(lines);

        self.describe(padded, self.memory.device_address() + start as u64);
        self.queued = self.queued.wrapping_add(1);
        self.ring.set_driver_index(self.queued);
        self.sent += 1;
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::super::registers::TDMA;
    use super::super::rig::{DEVICE_ADDRESS, Registers, TwoViews};
    use super::*;
    use crate::drivers::models::VirtualClock;

    fn sender(registers: &Registers, index: u32) -> Sender<&Registers, TwoViews> {
        registers.script(TDMA.hardware_index(), &[index]);
        let mut sender = Sender::new(registers, TwoViews::new(SEND_MEMORY));
        sender.set_up(Instant::default());
        sender.open = true;
        registers.forget();
        sender
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::from_micros(milliseconds * 1000)
    }

    #[test]
    fn set_up_aligns_the_index_and_names_a_buffer_for_every_slot() {
        let registers = Registers::default();
        registers.script(TDMA.hardware_index(), &[0x1fe]);
        let mut sender = Sender::new(&registers, TwoViews::new(SEND_MEMORY));
        sender.set_up(at(0));
        assert_eq!(registers.written(TDMA.hardware_index()), [0]);
        assert_eq!(registers.peek(TDMA.driver_index()), 0x1fe);
        assert_eq!(registers.peek(TDMA.hardware_pointer()), 254 * 3);
        assert_eq!(registers.peek(TDMA.driver_pointer()), 254 * 3);
        assert_eq!(registers.peek(TDMA.flow()), 0);
        assert_eq!(registers.peek(TDMA.done_threshold()), 1);
        assert_eq!(registers.peek(TDMA.ring_config()), 1 << 16);
        for slot in 0..256 {
            let address = DEVICE_ADDRESS + u64::from(slot % 32) * 2048;
            assert_eq!(registers.peek(TDMA.descriptor(slot) + 4), address as u32);
            assert_eq!(registers.peek(TDMA.descriptor(slot) + 8), 1);
        }
        assert!(!sender.ready(), "without a link nothing is taken");
    }

    #[test]
    fn a_frame_is_in_the_controllers_view_before_the_doorbell_rings_with_three_writes() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0xffff);
        assert_eq!(sender.send(700, |frame| frame.fill(0x11)), Some(()));
        let slot = TDMA.descriptor(0xffff);
        let status = 700 << 16 | 3 << 13 | 0x3f << 7 | 1 << 6;
        let buffer = 31 * 2048;
        let address = (DEVICE_ADDRESS + buffer as u64) as u32;
        assert_eq!(*registers.writes.borrow(), [(slot + 4, address), (slot, status), (TDMA.driver_index(), 0)]);
        assert_eq!(registers.reads.get(), 0);
        assert_eq!(sender.memory.device_reads(buffer..buffer + 700), [0x11; 700]);
        assert_eq!(sender.sent, 1);
    }

    /// Sends a frame of `length` bytes, which leaves at once, and gives the writes that it took.
    fn writes_for(sender: &mut Sender<&Registers, TwoViews>, registers: &Registers, length: usize) -> usize {
        registers.forget();
        assert!(sender.send(length, |_| ()).is_some());
        registers.poke(TDMA.hardware_index(), sender.queued.into());
        registers.writes.borrow().len()
    }

    #[test]
    fn descriptors_that_stay_are_looked_at_for_a_round_and_then_left_alone() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0xff80);
        for _ in 0..256 {
            assert_eq!(writes_for(&mut sender, &registers, 60), 3);
        }
        for _ in 0..256 {
            assert_eq!(writes_for(&mut sender, &registers, 60), 1);
            assert!(registers.reads.get() >= 2, "length and address");
        }
        for _ in 0..300 {
            assert_eq!(writes_for(&mut sender, &registers, 46), 1, "padded to the same length");
            assert!(registers.reads.get() <= 1, "the consumer index, now and then");
        }
        let slot = TDMA.descriptor(sender.queued);
        assert_eq!(writes_for(&mut sender, &registers, 61), 3);
        assert_eq!(registers.peek(slot) >> 16, 61);
        for _ in 0..255 {
            assert_eq!(writes_for(&mut sender, &registers, 60), 1);
        }
        assert_eq!(writes_for(&mut sender, &registers, 60), 3, "the slot of the longer frame");
    }

    #[test]
    fn one_descriptor_that_did_not_stay_has_all_of_them_written() {
        for word in [0, 4] {
            let registers = Registers::default();
            let mut sender = sender(&registers, 0);
            for _ in 0..256 {
                writes_for(&mut sender, &registers, 60);
            }
            let slot = TDMA.descriptor(255) + word;
            let was = registers.peek(slot);
            registers.poke(slot, was ^ 1 << 20);
            for _ in 0..255 {
                assert_eq!(writes_for(&mut sender, &registers, 60), 1);
            }
            for _ in 0..520 {
                assert_eq!(writes_for(&mut sender, &registers, 60), 3);
            }
            assert_eq!(registers.peek(slot), was);
            sender.set_up(at(0));
            assert_eq!(writes_for(&mut sender, &registers, 60), 3, "a new start knows no descriptors");
        }
    }

    #[test]
    fn a_distrusted_controller_has_every_descriptor_written() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0);
        sender.distrust();
        for _ in 0..600 {
            assert_eq!(writes_for(&mut sender, &registers, 60), 3);
        }
    }

    #[test]
    fn short_frames_are_padded_with_zeroes_to_sixty_octets() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0);
        for length in [0, 42, 59, 60, 61] {
            assert_eq!(sender.send(length, |frame| frame.fill(0xee)), Some(()));
            let index = sender.queued - 1;
            let sent = (registers.peek(TDMA.descriptor(index)) >> 16) as usize;
            assert_eq!(sent, length.max(60));
            let start = place(index);
            let bytes = sender.memory.device_reads(start..start + sent);
            assert!(bytes[..length].iter().all(|byte| *byte == 0xee));
            assert!(bytes[length..].iter().all(|byte| *byte == 0), "no old bytes leak into the padding");
        }
    }

    #[test]
    fn a_frame_longer_than_ethernet_bears_is_refused() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0);
        assert_eq!(sender.send(1519, |_| panic!("not to be filled")), None);
        assert_eq!(sender.send(1518, |frame| frame.len()), Some(1518));
        assert_eq!(sender.sent, 1);
    }

    #[test]
    fn thirty_two_frames_wait_and_the_next_only_when_one_has_left() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0xfff0);
        for _ in 0..32 {
            assert!(sender.send(60, |_| ()).is_some());
        }
        assert!(!sender.ready());
        assert_eq!(sender.send(60, |_| panic!("not to be filled")), None);
        registers.poke(TDMA.hardware_index(), 0xfff1);
        assert!(sender.ready());
        assert!(sender.send(60, |_| ()).is_some());
        assert!(!sender.ready());
        registers.poke(TDMA.hardware_index(), 0x0011);
        assert!(sender.ready());
        assert_eq!(sender.waiting(), 0);
    }

    #[test]
    fn an_index_that_the_hardware_cannot_have_frees_nothing() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0);
        for _ in 0..32 {
            assert!(sender.send(60, |_| ()).is_some());
        }
        registers.poke(TDMA.hardware_index(), 0xffff);
        assert!(!sender.ready());
        registers.poke(TDMA.hardware_index(), 33);
        assert!(!sender.ready());
        registers.poke(TDMA.hardware_index(), 1);
        assert!(sender.ready(), "and it goes on once the index is right again");
        registers.poke(TDMA.hardware_index(), 40);
        assert!(!sender.is_stuck(at(100)));
        assert!(sender.is_stuck(at(1100)));
        sender.set_up(at(1100));
        assert_eq!(sender.lost, 32);
    }

    #[test]
    fn a_queue_that_does_not_move_for_a_second_is_stuck() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0);
        assert!(!sender.is_stuck(at(5000)), "an empty queue is not stuck");
        assert!(sender.send(60, |_| ()).is_some());
        assert!(sender.send(60, |_| ()).is_some());
        assert!(!sender.is_stuck(at(5900)));
        registers.poke(TDMA.hardware_index(), 1);
        assert!(!sender.is_stuck(at(6050)), "it moved");
        assert!(!sender.is_stuck(at(7000)));
        assert!(sender.is_stuck(at(7100)));
        sender.excuse(at(7100));
        assert!(!sender.is_stuck(at(8000)));
        assert!(sender.is_stuck(at(8100)));
        sender.set_up(at(8100));
        assert_eq!(sender.lost, 1, "the one that had not left");
        assert!(!sender.is_stuck(at(9200)));
    }

    #[test]
    fn progress_that_a_full_queue_noticed_counts() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0);
        for _ in 0..32 {
            assert!(sender.send(60, |_| ()).is_some());
        }
        assert!(!sender.is_stuck(at(900)));
        registers.poke(TDMA.hardware_index(), 5);
        assert!(sender.ready());
        assert!(!sender.is_stuck(at(1000)));
        assert!(!sender.is_stuck(at(1900)));
        assert!(sender.is_stuck(at(2000)));
    }

    #[test]
    fn looking_for_a_stuck_queue_reads_once_in_a_tenth_of_a_second() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0);
        for millisecond in 0..1000 {
            sender.is_stuck(at(millisecond));
        }
        assert_eq!(registers.reads.get(), 9);
    }

    #[test]
    fn draining_ends_when_all_have_left_or_after_fifty_milliseconds() {
        let registers = Registers::default();
        let mut sender = sender(&registers, 0);
        let clock = VirtualClock::default();
        assert!(sender.send(60, |_| ()).is_some());
        registers.script(TDMA.hardware_index(), &[0, 0, 0, 1]);
        sender.drain(&clock);
        assert_eq!(registers.reads.get(), 4);
        assert!(sender.send(60, |_| ()).is_some());
        let before = clock.now();
        sender.drain(&clock);
        let took = clock.now().since(before).as_millis();
        assert!((50..52).contains(&took), "{took} ms");
    }
}
