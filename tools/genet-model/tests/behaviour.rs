//! What the controller does for a driver that treats it well, as the sources of the drivers that work on silicon tell.

mod scripted;

use core::time::Duration;
use genet_model::host::Bench;
use genet_model::{Abilities, Damage, Faults, PhyStart, Settings};
use scripted::{BROADCAST, Driver, Recipe, STATION, frame};
use xenlift::mmio::Bus;

const RBUF_CTRL: usize = 0x300;
const RDMA_RING: usize = 0x2000 + 0xc00 + 16 * 0x40;
const TDMA_RING: usize = 0x4000 + 0xc00 + 16 * 0x40;
const RDMA_CTRL: usize = 0x2000 + 0x1044;
const TDMA_CTRL: usize = 0x4000 + 0x1044;
const RUNNING: u32 = 1 << 17 | 1;

fn settings() -> Settings {
    Settings { seed: 11, autonegotiation: Duration::from_millis(20), ..Settings::default() }
}

fn started(settings: Settings) -> (Bench, Driver) {
    let bench = Bench::new(settings);
    let mut driver = Driver::new(&bench, Recipe::B, None);
    assert_eq!(driver.start(), Ok(()));
    (bench, driver)
}

/// The status word of the RX descriptor that the index `after` the consumer's stands for.
fn status(driver: &Driver, after: u32) -> u32 {
    let slot = (driver.bus.read32(RDMA_RING + 0x0c) + after) % 256;
    driver.bus.read32(0x2000 + slot as usize * 12)
}

#[test]
fn a_doorbell_rung_while_dma_is_off_is_heard_once_it_is_on() {
    let (bench, mut driver) = started(settings());
    driver.bus.write32(TDMA_CTRL, 0);
    let out = frame(BROADCAST, 100, 1);
    assert_eq!(driver.send(&out), Err("TX never completes".into()));
    assert!(bench.sent().is_empty());
    driver.bus.write32(TDMA_CTRL, RUNNING);
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.sent(), [out]);
    bench.assert_clean();
}

#[test]
fn transmission_does_not_end_inside_the_doorbell_write() {
    let (bench, mut driver) = started(settings());
    assert_eq!(driver.send(&frame(BROADCAST, 60, 1)), Ok(()));
    let before = driver.bus.read32(TDMA_RING + 0x08);
    driver.bus.write32(TDMA_RING + 0x0c, before.wrapping_add(1) & 0xffff);
    assert_eq!(driver.bus.read32(TDMA_RING + 0x08), before);
    bench.advance(Duration::from_micros(100));
    assert_eq!(driver.bus.read32(TDMA_RING + 0x08), before.wrapping_add(1) & 0xffff);
}

#[test]
fn indices_start_anywhere_and_keep_their_value_over_a_restart_of_the_dma() {
    let (bench, mut driver) = started(settings());
    let fresh = Bench::new(settings());
    let (rx, tx) = (fresh.bus().read32(RDMA_RING + 0x08), fresh.bus().read32(TDMA_RING + 0x08));
    assert!(rx != 0 && tx != 0 && rx != tx, "{rx} {tx}");
    for number in 0..3 {
        assert_eq!(driver.send(&frame(BROADCAST, 60, number)), Ok(()));
    }
    let consumed = driver.bus.read32(TDMA_RING + 0x08);
    driver.bus.write32(TDMA_CTRL, RUNNING & !1);
    driver.bus.write32(TDMA_CTRL, RUNNING);
    assert_eq!(driver.bus.read32(TDMA_RING + 0x08), consumed);
    bench.assert_clean();
}

#[test]
fn a_full_ring_drops_frames_and_counts_them() {
    let (bench, mut driver) = started(settings());
    for number in 0..300 {
        bench.inject(&frame(STATION, 60, number as u8));
    }
    let index = driver.bus.read32(RDMA_RING + 0x08);
    let waiting = index.wrapping_sub(driver.bus.read32(RDMA_RING + 0x0c)) & 0xffff;
    assert_eq!((index >> 16, waiting), (44, 256));
    for number in 0..256 {
        assert_eq!(driver.receive(), Some(frame(STATION, 60, number as u8)));
    }
    assert_eq!(driver.receive(), None);
    bench.inject(&frame(STATION, 60, 7));
    assert_eq!(driver.receive(), Some(frame(STATION, 60, 7)));
    bench.assert_clean();
}

#[test]
fn a_frame_longer_than_a_buffer_takes_several_descriptors() {
    let (bench, driver) = started(settings());
    driver.bus.write32(RDMA_CTRL, 0);
    driver.bus.write32(RDMA_RING + 0x10, 256 << 16 | 256);
    driver.bus.write32(RDMA_CTRL, RUNNING);
    bench.inject(&frame(STATION, 600, 1));
    // With the two bytes of RBUF_ALIGN_2B: 602 = 256 + 256 + 90; SOP in the first only, EOP in the last only.
    assert_eq!([0, 1, 2].map(|after| status(&driver, after)), [256 << 16 | 0x2000, 256 << 16, 90 << 16 | 0x4000]);
    bench.assert_clean();
}

#[test]
fn damage_shows_in_the_descriptor() {
    let (bench, driver) = started(settings());
    let damages = [
        (Damage::CheckSequence, 0x02),
        (Damage::SymbolError, 0x04),
        (Damage::Overrun, 0x01),
        (Damage::Alignment, 0x0a),
        (Damage::None, 0),
    ];
    for (damage, _) in damages {
        bench.inject_damaged(&frame(STATION, 100, 1), damage);
    }
    for (after, (damage, flags)) in damages.into_iter().enumerate() {
        assert_eq!(status(&driver, after as u32), 102 << 16 | 0x6000 | flags, "{damage:?}");
    }
}

#[test]
fn runts_are_filtered_unless_asked_for() {
    let (bench, mut driver) = started(settings());
    bench.inject(&frame(STATION, 40, 1));
    assert_eq!(driver.receive(), None);
    driver.bus.write32(0x808, driver.bus.read32(0x808) | 1 << 30);
    bench.inject(&frame(STATION, 40, 1));
    assert_eq!(status(&driver, 0), 42 << 16 | 0x6004);
}

#[test]
fn a_tagged_frame_may_be_four_bytes_longer() {
    let (bench, mut driver) = started(settings());
    driver.bus.write32(0x814, 1518);
    let mut tagged = frame(STATION, 1518, 1);
    tagged[12..14].copy_from_slice(&[0x81, 0x00]);
    bench.inject(&tagged);
    bench.inject(&frame(STATION, 1518, 1));
    assert_eq!([0, 1].map(|after| status(&driver, after) & 0x10), [0, 0x10]);
    assert_eq!(driver.receive().as_deref(), Some(&tagged[..]));
    assert_eq!(driver.send(&tagged), Ok(()));
    assert_eq!(bench.sent(), [tagged]);
    bench.assert_clean();
}

#[test]
fn the_check_sequence_counts_only_where_it_is_asked_for() {
    let (bench, mut driver) = started(settings());
    driver.bus.write32(0x808, driver.bus.read32(0x808) | 1 << 6);
    let mut sent = frame(STATION, 60, 0);
    sent[..60].fill(0);
    sent[..6].copy_from_slice(&STATION);
    bench.inject(&sent);
    let received = driver.receive().unwrap_or_default();
    assert_eq!((&received[..60], received.len()), (&sent[..], 64));
    // The residue of a frame with its own check sequence (IEEE 802.3, 3.2.9).
    let residue = received.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 != 0 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    assert_eq!(residue, 0xdebb_20e3);
}

#[test]
fn the_status_block_comes_before_the_frame_with_length_and_sum() {
    let (bench, mut driver) = started(settings());
    driver.bus.write32(RBUF_CTRL, 3);
    driver.bus.write32(0x314, 1);
    let mut sent = frame(STATION, 60, 0);
    sent[14..].fill(0);
    sent[14..18].copy_from_slice(&[0xff, 0xff, 0x00, 0x02]);
    bench.inject(&sent);
    // Length 64 + 2 + 60; the script's `receive` leaves out two bytes of what lies in memory.
    assert_eq!(status(&driver, 0) >> 16, 126);
    let block = driver.receive().unwrap_or_default();
    assert_eq!(block[0..2], 126_u16.to_le_bytes());
    // 0xffff + 0x0002 with the carry brought round.
    assert_eq!(block[6..10], 2_u32.to_le_bytes());
    assert_eq!(block[64..], sent);
}

#[test]
fn a_checksum_is_filled_in_only_where_the_descriptor_and_the_status_block_ask_for_it() {
    let (bench, mut driver) = started(settings());
    let mut wrong = frame(BROADCAST, 60, 0);
    wrong[14..].fill(0);
    wrong[30..32].copy_from_slice(&[0x12, 0x34]);
    assert_eq!(driver.send(&wrong), Ok(()));
    assert_eq!(bench.sent(), [wrong], "a checksum must not be repaired unasked");
    bench.assert_clean();
}

#[test]
fn frames_that_come_while_dma_is_off_wait_in_the_receive_buffer() {
    let (bench, mut driver) = started(settings());
    driver.bus.write32(RDMA_CTRL, 0);
    bench.inject(&frame(STATION, 60, 1));
    assert!(bench.left_running().contains(&"frames are left in RBUF"));
    assert_eq!(driver.receive(), None);
    driver.bus.write32(RDMA_CTRL, RUNNING);
    assert_eq!(driver.receive(), Some(frame(STATION, 60, 1)));
    driver.bus.write32(RDMA_CTRL, 0);
    bench.inject(&frame(STATION, 60, 2));
    assert_eq!(driver.stop(), Ok(()));
    assert_eq!(bench.left_running(), [""; 0]);
    bench.assert_clean();
}

/// The driver's stop without the flush of RBUF, with a frame that comes between the DMA's end and the receiver's.
fn leave_a_frame_behind(bench: &Bench, driver: &Driver) {
    driver.bus.write32(RDMA_CTRL, 0);
    bench.inject(&frame(STATION, 100, 9));
    driver.bus.write32(0x808, 0);
}

#[test]
fn what_is_left_in_the_receive_buffer_comes_first_at_the_next_start() {
    let (bench, driver) = started(settings());
    leave_a_frame_behind(&bench, &driver);
    // The MAC's reset, by either of its bits, flushes nothing (Linux had both, and needed the flush).
    let mut next = Driver::new(&bench, Recipe::B, None);
    assert_eq!(next.start(), Ok(()));
    bench.inject(&frame(STATION, 60, 1));
    assert_eq!(next.receive(), Some(frame(STATION, 100, 9)));
    assert_eq!(next.receive(), Some(frame(STATION, 60, 1)));
    bench.assert_clean();
}

#[test]
fn what_is_left_in_the_receive_buffer_has_no_status_block_for_the_kernel_that_wants_one() {
    let (bench, driver) = started(settings());
    leave_a_frame_behind(&bench, &driver);
    let mut next = Driver::new(&bench, Recipe::B, None);
    driver.bus.write32(RBUF_CTRL, 3);
    assert_eq!(next.start(), Ok(()));
    // 2 + 100 bytes, and none of a block, although RBUF_64B_EN is set by now.
    assert_eq!(status(&next, 0) >> 16, 102);
    assert_eq!(next.receive(), Some(frame(STATION, 100, 9)));
}

#[test]
fn the_firmwares_network_boot_leaves_a_frame_in_the_receive_buffer() {
    let left = Settings { phy_start: PhyStart::Negotiated, ..settings() };
    for (flushes, stale) in [(false, true), (true, false)] {
        let bench = Bench::new(left);
        let mut driver = Driver::new(&bench, Recipe::B, None);
        if flushes {
            driver.bus.write32(0x008, 1);
            bench.advance(Duration::from_micros(10));
            driver.bus.write32(0x008, 0);
        }
        assert_eq!(driver.start(), Ok(()));
        assert_eq!(driver.receive().is_some(), stale);
        bench.assert_clean();
    }
}

#[test]
fn the_statistics_lie_where_the_registers_do() {
    let (bench, mut driver) = started(settings());
    for length in [60, 600, 1514] {
        assert_eq!(driver.send(&frame(BROADCAST, length, 1)), Ok(()));
        bench.inject(&frame(STATION, length, 1));
    }
    assert_eq!(driver.send(&frame([2; 6], 60, 1)), Ok(()));
    bench.inject_damaged(&frame(STATION, 60, 1), Damage::CheckSequence);
    bench.inject(&frame(STATION, 40, 1));
    let read = |offset: usize| driver.bus.read32(0xc00 + offset);
    // 64 bytes, 512-1023, 1024-1518; packets, bytes, broadcast, check sequence, good, unicast (Linux's order). Check sequences count.
    assert_eq!([0x00, 0x10, 0x14, 0x28, 0x2c, 0x34, 0x38, 0x64, 0x68].map(read), [2, 1, 1, 4, 2250, 0, 1, 3, 4]);
    // The same of TX, after a gap of three words: 64 bytes, packets, broadcast, bytes, good, unicast.
    assert_eq!([0x80, 0xa8, 0xb0, 0xe8, 0xec, 0xf0].map(read), [2, 4, 3, 2250, 4, 1]);
    assert_eq!(driver.counted(), (3, 4));
    assert_eq!([0x100, 0x10c].map(read), [1, 44], "runts and their bytes");
    for (bit, zero, others) in [(1, 0x28, [0xa8, 0x100]), (2, 0x100, [0xa8, 0xa8]), (4, 0xa8, [0xa8, 0xa8])] {
        let before = others.map(read);
        driver.bus.write32(0xd80, bit);
        assert_eq!(read(zero), 0);
        driver.bus.write32(0xd80, 0);
        assert!(bit == 4 || others.map(read) == before, "bit {bit}");
    }
}

#[test]
fn an_empty_ring_is_not_an_empty_transmitter() {
    let (bench, mut driver) = started(Settings { transmit_ahead: 4096, ..settings() });
    for number in 0..3 {
        driver.queue(&frame(BROADCAST, 1514, number));
    }
    bench.advance(Duration::from_micros(5));
    assert_eq!(driver.bus.read32(TDMA_RING + 0x08), driver.bus.read32(TDMA_RING + 0x0c));
    assert_eq!(bench.sent().len(), 1);
    // Each takes (1514 + 24) * 8 ns.
    bench.advance(Duration::from_micros(25));
    assert_eq!(bench.sent().len(), 2);
    bench.assert_clean();
}

#[test]
fn a_phy_that_has_had_power_for_a_while_has_been_negotiating_for_as_long() {
    let negotiation = Duration::from_secs(3);
    let up_after = |powered: u64| {
        let powered = Duration::from_millis(powered);
        let bench = Bench::new(Settings { powered, autonegotiation: negotiation, ..settings() });
        assert!(bench.wait_for_link());
        (bench.elapsed().as_millis(), bench)
    };
    assert_eq!(up_after(0).0, 3000);
    assert_eq!(up_after(1000).0, 2000);
    assert_eq!(up_after(3000).0, 0);
    // Who restarts it waits for all of it.
    for control in [0x8000, 0x1340] {
        let (_, bench) = up_after(9000);
        let driver = Driver::new(&bench, Recipe::B, None);
        assert!(driver.mdio(0, Some(control)).is_ok());
        bench.advance(Duration::from_millis(6));
        assert_eq!(bench.link(), None);
        assert!(bench.wait_for_link());
        assert!(bench.elapsed() >= negotiation, "{:?}", bench.elapsed());
    }
}

#[test]
fn the_filter_takes_its_entries_only() {
    let (bench, mut driver) = started(settings());
    let stranger = frame([0x02, 9, 9, 9, 9, 9], 60, 1);
    let multicast = frame([0x01, 0, 0x5e, 0, 0, 1], 60, 2);
    for frame in [&stranger, &multicast] {
        bench.inject(frame);
        assert_eq!(driver.receive(), None);
    }
    // Without entries, the station's own address and broadcast pass.
    driver.bus.write32(0xe50, 0);
    bench.inject(&stranger);
    assert_eq!(driver.receive(), None);
    for to in [STATION, BROADCAST] {
        bench.inject(&frame(to, 60, 3));
        assert_eq!(driver.receive(), Some(frame(to, 60, 3)));
    }
    driver.bus.write32(0x808, driver.bus.read32(0x808) | 1 << 4);
    bench.inject(&stranger);
    assert_eq!(driver.receive(), Some(stranger));
    bench.assert_clean();
}

#[test]
fn only_the_filter_block_feeds_another_ring_than_16() {
    let (bench, driver) = started(settings());
    let bus = &driver.bus;
    let ring_0 = 0x2000 + 0xc00;
    bus.write32(RDMA_CTRL, 0);
    // Ring 0 on the same 256 descriptors, as Linux since 6.15 uses it: filter 0 with a mask that takes anything.
    for (offset, value) in [(0x10, 256 << 16 | 2048), (0x14, 0), (0x1c, 767), (0x08, 5), (0x0c, 5)] {
        bus.write32(ring_0 + offset, value);
    }
    bus.write32(0x2000 + 0x1040, 1 << 16 | 1);
    bus.write32(RDMA_CTRL, RUNNING | 2);
    let produced = || (bus.read32(ring_0 + 0x08), bus.read32(RDMA_RING + 0x08));
    let before = produced();
    bench.inject(&frame(STATION, 60, 1));
    assert_eq!(produced(), (before.0, before.1 + 1));
    bus.write32(0xfc1c + (47 / 4) * 4, 4);
    bus.write32(0xfc08, 1);
    bus.write32(0xfc00, 1);
    bench.inject(&frame(STATION, 60, 1));
    assert_eq!(produced(), (before.0 + 1, before.1 + 1));
    // The first half-word of the destination, all four nibbles compared: another station's frames go to ring 16 again.
    bus.write32(0x8000, 0xf_0000 | 0x0123);
    bench.inject(&frame(STATION, 60, 1));
    assert_eq!(produced(), (before.0 + 1, before.1 + 2));
    bench.assert_clean();
}

#[test]
fn interrupts_are_masked_until_asked_for() {
    let (bench, driver) = started(settings());
    bench.inject(&frame(STATION, 60, 1));
    assert!(!bench.interrupt(0));
    driver.bus.write32(0x214, 1 << 13);
    assert!(bench.interrupt(0));
    driver.bus.write32(0x208, u32::MAX);
    assert!(!bench.interrupt(0));
    bench.inject(&frame(STATION, 60, 2));
    assert!(bench.interrupt(0));
    driver.bus.write32(0x210, u32::MAX);
    assert!(!bench.interrupt(0));
}

#[test]
fn negotiation_takes_its_time_and_its_result_is_told() {
    let cases = [
        (Abilities::GIGABIT, 7, 0x3800, 0x41e1),
        (Abilities::HALF_1000 | Abilities::FULL_100, 6, 0x3400, 0x4101),
        (Abilities::FAST, 5, 0, 0x41e1),
        (Abilities::HALF_100, 3, 0, 0x4081),
        (Abilities::FULL_10 | Abilities::HALF_10, 2, 0, 0x4061),
        (Abilities::HALF_10, 1, 0, 0x4021),
    ];
    for (partner, found, gigabit, ability) in cases {
        let bench = Bench::new(Settings { partner, ..settings() });
        let driver = Driver::new(&bench, Recipe::B, None);
        assert_eq!(driver.mdio(9, Some(0x0300)), Ok(0x0300), "both duplexes of gigabit are advertised");
        assert!(driver.mdio(0, Some(0x1340)).is_ok());
        bench.advance(Duration::from_millis(19));
        assert_eq!(driver.mdio(1, None), Ok(0x7949));
        assert_eq!(driver.mdio(0x19, None), Ok(0));
        bench.advance(Duration::from_millis(2));
        assert_eq!(driver.mdio(1, None), Ok(0x7969), "the link bit is latched low until it has been read");
        assert_eq!(driver.mdio(1, None), Ok(0x796d));
        assert_eq!(driver.mdio(0x19, None).map(|status| status >> 8 & 7), Ok(found), "{partner:?}");
        assert_eq!(driver.mdio(0x0a, None), Ok(gigabit), "{partner:?}");
        assert_eq!(driver.mdio(5, None), Ok(ability), "{partner:?}");
    }
}

#[test]
fn a_pulled_cable_is_seen_and_a_returning_one_negotiates_again() {
    let (bench, driver) = started(settings());
    assert_eq!(driver.mdio(1, None).map(|status| status & 4), Ok(4));
    bench.set_link(false);
    assert_eq!(driver.mdio(1, None).map(|status| status & 4), Ok(0));
    bench.set_link(true);
    assert_eq!(bench.link(), None);
    bench.advance(Duration::from_millis(21));
    assert_eq!(driver.mdio(1, None).map(|status| status & 4), Ok(0));
    assert_eq!(driver.mdio(1, None).map(|status| status & 4), Ok(4));
}

#[test]
fn the_phy_is_found_as_the_firmware_left_it() {
    let bench = Bench::new(Settings { phy_start: PhyStart::Negotiated, ..settings() });
    assert!(bench.link().is_some());
    let bench = Bench::new(Settings { phy_start: PhyStart::PoweredDown, ..settings() });
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.link(), None);
    let driver = Driver::new(&bench, Recipe::B, None);
    assert_eq!(driver.mdio(0, None).map(|control| control & 0x0800), Ok(0x0800));
    assert!(driver.mdio(0, Some(0x1340)).is_ok());
    assert!(bench.wait_for_link());
}

#[test]
fn the_phys_delays_differ_from_seed_to_seed_and_outlive_a_reset_of_the_board() {
    let mut seen = Vec::new();
    for seed in 0..16 {
        let bench = Bench::new(Settings { seed, ..settings() });
        let driver = Driver::new(&bench, Recipe::B, None);
        let delays = || {
            let selected = driver.mdio(0x18, Some(0x7007)).and(driver.mdio(0x1c, Some(3 << 10)));
            assert!(selected.is_ok());
            (driver.mdio(0x18, None).map(|misc| misc & 0x100), driver.mdio(0x1c, None).map(|clock| clock & 0x200))
        };
        let before = delays();
        bench.warm_reset();
        assert_eq!(delays(), before);
        assert!(driver.mdio(0, Some(0x8000)).is_ok());
        bench.advance(Duration::from_millis(10));
        assert_eq!(delays(), (Ok(0x100), Ok(0x200)), "the PHY's own reset goes back to its straps");
        if !seen.contains(&before) {
            seen.push(before);
        }
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn planted_faults_are_never_ending() {
    let fault = |faults| {
        let bench = Bench::new(Settings { faults, ..settings() });
        let mut driver = Driver::new(&bench, Recipe::B, None);
        driver.start().and_then(|()| driver.send(&frame(BROADCAST, 60, 1))).and_then(|()| driver.stop())
    };
    let none = Faults::default();
    assert_eq!(fault(none), Ok(()));
    assert_eq!(fault(Faults { mdio_never_done: true, ..none }), Err("MDIO stays busy".into()));
    assert_eq!(fault(Faults { phy_absent: true, ..none }), Err("no PHY at address 1".into()));
    assert_eq!(fault(Faults { phy_reset_never_ends: true, ..none }), Err("the PHY stays in reset".into()));
    assert_eq!(fault(Faults { transmit_stuck: true, ..none }), Err("TX never completes".into()));
    assert_eq!(fault(Faults { dma_never_stops: true, ..none }), Err("DMA does not stop".into()));
}

#[test]
fn a_board_may_want_recipe_a() {
    let settings = Settings { faults: Faults { only_recipe_a: true, ..Faults::default() }, ..settings() };
    for (recipe, passes) in [(Recipe::A, true), (Recipe::B, false)] {
        let bench = Bench::new(settings);
        let mut driver = Driver::new(&bench, recipe, None);
        assert_eq!(driver.start().and_then(|()| driver.send(&frame(BROADCAST, 60, 1))), Ok(()));
        assert_eq!(!bench.sent().is_empty(), passes, "{recipe:?}");
    }
}
