//! Frames, good and bad, both ways.

use crate::desk::*;
use genet_model::Damage;
use genet_model::host::{Bench, ModelBus};
use std::time::Duration;
use xenlift::drivers::genet::{Genet, RECEIVE_MEMORY, SEND_MEMORY, Settings};
use xenlift::mmio::Bus;
use xenlift::net::device::{Counters, EthernetController, FrameSender};
use xenlift::time::Clock;

#[test]
fn thousands_of_frames_each_way_arrive_whole_and_in_order() {
    let desk = Desk::new(quick(6));
    let mut driver = desk.linked();
    let mut injected = 0_u32;
    let mut received = 0_u32;
    let mut queued = 0_u32;
    let mut on_the_wire = 0_u32;
    // 70,000 frames take the 16-bit indices round, wherever they started.
    while received < 70_000 {
        for _ in 0..injected % 97 + 1 {
            let length = 60 + (injected as usize * 37) % 1459;
            desk.bench.inject(&numbered(injected, length));
            injected += 1;
        }
        desk.bench.advance(Duration::from_millis(3));
        while let Some(frame) = receive(&mut driver) {
            assert_eq!(frame, numbered(received, 60 + (received as usize * 37) % 1459));
            received += 1;
            if received.is_multiple_of(3) && driver.halves().1.ready() {
                send(&mut driver, &numbered(queued, 60 + queued as usize % 1459));
                queued += 1;
            }
        }
        assert_eq!(received, injected);
        for frame in desk.bench.sent() {
            assert_eq!(frame, numbered(on_the_wire, 60 + on_the_wire as usize % 1459));
            on_the_wire += 1;
        }
    }
    for frame in desk.sent() {
        assert_eq!(frame, numbered(on_the_wire, 60 + on_the_wire as usize % 1459));
        on_the_wire += 1;
    }
    assert_eq!(on_the_wire, queued);
    let counted = driver.counters();
    assert_eq!(counted, Counters { received: received.into(), sent: queued.into(), discarded: 0, errors: 0 });
    desk.bench.assert_clean();
}

#[test]
fn a_full_ring_loses_frames_counts_them_and_goes_on() {
    let desk = Desk::new(quick(7));
    let mut driver = desk.linked();
    let mut discarded = 0;
    for round in 1..=3_u32 {
        // The buffer of the frame that was exchanged waits for its batch.
        let room = if round == 1 { 256 } else { 255 };
        for number in 0..400 {
            desk.bench.inject(&numbered(number, 100));
        }
        desk.bench.advance(Duration::from_millis(10));
        for number in 0..room {
            assert_eq!(receive(&mut driver), Some(numbered(number, 100)), "round {round}");
        }
        assert_eq!(receive(&mut driver), None);
        discarded += u64::from(400 - room);
        assert_eq!(driver.counters().discarded, discarded);
        exchange(&desk, &mut driver, round);
        assert_eq!(receive(&mut driver), None);
    }
    desk.bench.assert_clean();
}

#[test]
fn damaged_frames_are_dropped_and_counted_by_reason() {
    let desk = Desk::new(quick(8));
    let mut driver = desk.linked();
    for damage in [Damage::CheckSequence, Damage::SymbolError, Damage::Overrun, Damage::Alignment] {
        desk.bench.inject_damaged(&numbered(9, 200), damage);
        desk.bench.advance(Duration::from_millis(1));
        assert_eq!(receive(&mut driver), None, "{damage:?}");
    }
    let errors = driver.statistics().receive_errors;
    assert_eq!(errors.total(), 4, "{errors:?}");
    for (count, name) in [(errors.crc, "crc"), (errors.symbol, "symbol"), (errors.overrun, "overrun")] {
        assert_eq!(count, 1, "{name}: {errors:?}");
    }
    assert_eq!(driver.counters().errors, 4);
    exchange(&desk, &mut driver, 1);
    desk.bench.assert_clean();
}

#[test]
fn a_frame_longer_than_a_buffer_is_dropped_whole_and_counts_once() {
    let desk = Desk::new(quick(9));
    let mut driver = desk.linked();
    for length in [2100, 4500, 9000] {
        desk.bench.inject(&numbered(1, length));
        desk.bench.inject(&numbered(2, 90));
        desk.bench.advance(Duration::from_millis(1));
        assert_eq!(receive(&mut driver), Some(numbered(2, 90)), "after one of {length} bytes");
        assert_eq!(receive(&mut driver), None);
    }
    let errors = driver.statistics().receive_errors;
    assert_eq!(errors.total(), 3, "{errors:?}");
    exchange(&desk, &mut driver, 1);
    desk.bench.assert_clean();
}

#[test]
fn frames_of_every_legal_size_pass_a_vlan_tag_included() {
    let desk = Desk::new(quick(10));
    let mut driver = desk.linked();
    for length in [60, 61, 62, 63, 64, 65, 127, 128, 1000, 1513, 1514, 1515, 1518] {
        let one = numbered(length as u32, length);
        desk.bench.inject(&one);
        send(&mut driver, &one);
        assert_eq!(desk.sent(), std::slice::from_ref(&one), "{length} bytes");
        assert_eq!(receive(&mut driver), Some(one), "{length} bytes, nothing before and nothing after");
    }
    assert!(driver.halves().1.send(1519, |_| ()).is_none());
    desk.bench.assert_clean();
}

#[test]
fn short_frames_leave_padded_with_zeroes() {
    let desk = Desk::new(quick(11));
    let mut driver = desk.linked();
    // The buffers hold something else first.
    for number in 0..64 {
        send(&mut driver, &numbered(number, 300));
        desk.sent();
    }
    for length in [14, 42, 59] {
        let mut expected = frame(BROADCAST, &vec![0x5a; length - 14]);
        send(&mut driver, &expected);
        expected.resize(60, 0);
        assert_eq!(desk.sent(), [expected]);
    }
    desk.bench.assert_clean();
}

#[test]
fn strangers_frames_are_filtered_broadcast_and_our_own_pass() {
    let desk = Desk::new(quick(12));
    let mut driver = desk.linked();
    for other in [PARTNER, [0x01, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1], [0xdc, 0xa6, 0x32, 0x11, 0x22, 0x34]] {
        desk.bench.inject(&frame(other, &[1; 50]));
    }
    desk.bench.inject(&frame(BROADCAST, &[2; 50]));
    desk.bench.inject(&frame(ADDRESS, &[3; 50]));
    desk.bench.advance(Duration::from_millis(1));
    assert_eq!(receive(&mut driver), Some(frame(BROADCAST, &[2; 50])));
    assert_eq!(receive(&mut driver), Some(frame(ADDRESS, &[3; 50])));
    assert_eq!(receive(&mut driver), None);
    assert_eq!(driver.address(), ADDRESS);
    desk.bench.assert_clean();
}

/// A bus that counts.
struct Counting {
    bus: ModelBus,
    reads: std::cell::Cell<u32>,
    writes: std::cell::Cell<u32>,
}

impl Bus for Counting {
    fn read32(&self, offset: usize) -> u32 {
        self.reads.set(self.reads.get() + 1);
        self.bus.read32(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.writes.set(self.writes.get() + 1);
        self.bus.write32(offset, value);
    }
}

/// Register reads and writes for each block of a transfer that acknowledges every `window` blocks.
fn accesses_per_block(window: u32) -> (f64, f64) {
    let bench = Bench::new(quick(30));
    let clock = bench.clock();
    let bus = Counting { bus: bench.bus(), reads: Default::default(), writes: Default::default() };
    let (receive, send) = (bench.memory(RECEIVE_MEMORY), bench.memory(SEND_MEMORY));
    let mut driver = Genet::new(&bus, &clock, receive, send, Settings { address: ADDRESS, phy_address: None }).unwrap();
    driver.start().unwrap();
    wait_for_link(&bench, &mut driver);
    // Two rounds of the ring, after which the driver knows that descriptors stay.
    for _ in 0..512 {
        assert!(driver.halves().1.send(46, |bytes| bytes.fill(0)).is_some());
        bench.advance(Duration::from_millis(1));
    }
    bus.reads.set(0);
    bus.writes.set(0);
    let windows = 50;
    for _ in 0..windows {
        for number in 0..window {
            bench.inject(&numbered(number, 1514));
        }
        bench.advance(Duration::from_millis(1));
        driver.poll_link(clock.now());
        assert_eq!(drain(&mut driver), window as usize);
        assert!(driver.halves().1.send(46, |bytes| bytes.fill(0)).is_some());
    }
    assert_eq!(driver.counters().received, u64::from(windows * window));
    bench.assert_clean();
    let blocks = f64::from(windows * window);
    (f64::from(bus.reads.get()) / blocks, f64::from(bus.writes.get()) / blocks)
}

#[test]
fn a_block_costs_few_register_accesses() {
    let (reads, writes) = accesses_per_block(1);
    assert!(reads <= 4.0 && writes <= 1.2, "two frames a block: {reads} reads, {writes} writes");
    let (reads, writes) = accesses_per_block(64);
    assert!(reads <= 1.2 && writes <= 0.2, "windows of 64: {reads} reads, {writes} writes");
}
