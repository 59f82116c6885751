//! The driver on the strict model.

use super::*;
use crate::drivers::models::VirtualClock;
use crate::drivers::models::sdhci::{Model, Slot, Trouble, content};
use crate::time::Duration;

type Driver = Sdhci<Model, VirtualClock>;

fn driver(slot: Slot, trouble: Trouble) -> (Driver, Model, VirtualClock) {
    let clock = VirtualClock::default();
    let model = Model::new(&clock, slot, trouble);
    let limits = Limits { base_hertz: Some(100_000_000), high_speed: true };
    (Sdhci::new(model.clone(), clock.clone(), limits), model, clock)
}

fn opened(slot: Slot) -> (Driver, Model, VirtualClock) {
    let (mut driver, model, clock) = driver(slot, Trouble::None);
    driver.open().unwrap();
    model.commands();
    (driver, model, clock)
}

/// The time since `before` (ns).
fn elapsed(clock: &VirtualClock, before: u64) -> Duration {
    Duration::from_nanos(clock.nanos() - before)
}

/// Blocks `first` and on, as the card has them.
fn blocks(first: u32, count: u32) -> Vec<u8> {
    (first..first + count).flat_map(content).collect()
}

fn read(driver: &mut Driver, first: u32, count: u32) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; count as usize * BLOCK];
    driver.read(first, &mut bytes).map(|()| bytes)
}

#[test]
fn a_new_driver_touches_nothing() {
    struct Untouchable;
    impl Bus for Untouchable {
        fn read32(&self, _: usize) -> u32 {
            panic!("read")
        }
        fn write32(&self, _: usize, _: u32) {
            panic!("written")
        }
    }
    let mut driver = Sdhci::new(Untouchable, VirtualClock::default(), Limits { base_hertz: None, high_speed: true });
    assert_eq!(driver.card(), None);
    assert_eq!(driver.read(0, &mut [0; 512]), Err(Error::NoCard));
}

#[test]
fn every_kind_of_card_is_found_as_fast_as_it_can_be_and_read() {
    for (slot, kind, count, hertz, lines) in [
        (Slot::Standard, Kind::Standard, 131_072, 25_000_000, 4),
        (Slot::High, Kind::High, 32 << 20, 50_000_000, 4),
        (Slot::Emmc, Kind::Mmc, 16 << 20, 50_000_000, 4),
    ] {
        let (mut driver, model, _) = driver(slot, Trouble::None);
        let card = driver.open().unwrap();
        assert_eq!((card.kind, card.blocks, card.hertz, card.lines), (kind, count, hertz, lines), "{slot:?}");
        assert_eq!(model.fastest(), u64::from(hertz));
        for (first, blocks_read) in [(0, 1), (7, 1), (2048, 3), (count - 300, 300)] {
            assert_eq!(read(&mut driver, first, blocks_read), Ok(blocks(first, blocks_read)), "{slot:?} {first}");
        }
    }
}

#[test]
fn many_blocks_take_one_command() {
    let (mut driver, model, _) = opened(Slot::High);
    read(&mut driver, 100, MOST_BLOCKS as u32 + 2).unwrap();
    assert_eq!(model.commands(), [18, 18]);
    read(&mut driver, 100, 1).unwrap();
    assert_eq!(model.commands(), [17]);
}

#[test]
fn what_is_no_whole_block_is_left_alone() {
    let (mut driver, ..) = opened(Slot::High);
    let mut bytes = vec![0xaa; 2 * BLOCK + 100];
    driver.read(5, &mut bytes).unwrap();
    assert_eq!(bytes[..2 * BLOCK], blocks(5, 2));
    assert_eq!(bytes[2 * BLOCK..], [0xaa; 100]);
    driver.read(5, &mut bytes[..100]).unwrap();
}

#[test]
fn an_empty_slot_costs_a_few_milliseconds() {
    let (mut driver, model, clock) = driver(Slot::Empty, Trouble::None);
    let before = clock.nanos();
    assert_eq!(driver.open(), Err(Error::NoCard));
    assert!(elapsed(&clock, before) < Duration::from_millis(10), "{:?}", elapsed(&clock, before));
    model.insert(Slot::High);
    assert_eq!(driver.open().map(|card| card.kind), Ok(Kind::High));
}

#[test]
fn whatever_hangs_is_told_and_bounded() {
    for (trouble, wait) in [
        (Trouble::Dead, Wait::Command(0)),
        (Trouble::ResetHangs, Wait::Reset),
        (Trouble::ClockNeverStable, Wait::Clock),
        (Trouble::NeverReady, Wait::PowerUp),
    ] {
        let (mut driver, _, clock) = driver(Slot::High, trouble);
        let before = clock.nanos();
        match driver.open() {
            Err(Error::Timeout { wait: found, limit }) => {
                assert_eq!(found, wait, "{trouble:?}");
                assert!(elapsed(&clock, before) < limit + Duration::from_millis(20), "{trouble:?}");
            }
            other => panic!("{trouble:?}: {other:?}"),
        }
        assert_eq!(driver.card(), None);
    }
}

#[test]
fn registers_of_ones_or_zeros_are_no_controller() {
    struct Constant(u32);
    impl Bus for Constant {
        fn read32(&self, _: usize) -> u32 {
            self.0
        }
        fn write32(&self, _: usize, _: u32) {}
    }
    let limits = Limits { base_hertz: Some(100_000_000), high_speed: true };
    for (word, wait) in [(0, Wait::Clock), (u32::MAX, Wait::Reset)] {
        let error = Sdhci::new(Constant(word), VirtualClock::default(), limits).open().unwrap_err();
        assert!(matches!(error, Error::Timeout { wait: found, .. } if found == wait), "{error}");
    }
}

#[test]
fn a_card_that_is_pulled_out_in_mid_read_is_told_and_bounded() {
    let pulled = |after| [Trouble::PulledAfter(after), Trouble::PulledAndSeenAfter(after)];
    for trouble in [0, 1, 50].into_iter().flat_map(pulled) {
        let (mut driver, model, clock) = opened(Slot::High);
        model.trouble(trouble);
        let before = clock.nanos();
        assert_eq!(read(&mut driver, 0, 100).map(drop), Err(Error::Removed), "{trouble:?}");
        assert!(elapsed(&clock, before) < Duration::from_millis(500), "{trouble:?}: {:?}", elapsed(&clock, before));
        assert_eq!(read(&mut driver, 0, 1).map(drop), Err(Error::NoCard));
        assert_eq!(driver.open(), Err(Error::NoCard));
        model.trouble(Trouble::None);
        model.insert(Slot::High);
        driver.open().unwrap();
        assert_eq!(read(&mut driver, 9, 2), Ok(blocks(9, 2)));
    }
}

#[test]
fn a_bad_checksum_is_read_again_and_three_are_an_error() {
    for slot in [Slot::Standard, Slot::High, Slot::Emmc] {
        for count in [1, 5] {
            let (mut driver, model, _) = opened(slot);
            model.trouble(Trouble::BadBlocks(2));
            assert_eq!(read(&mut driver, 40, count), Ok(blocks(40, count)), "{slot:?} {count}");
            assert_eq!(driver.card().map(|card| card.hertz), Some(25_000_000));
            model.trouble(Trouble::BadBlocks(3));
            let index = if count == 1 { 17 } else { 18 };
            let error = Error::Command { index, fault: Fault::Crc };
            assert_eq!(read(&mut driver, 40, count).map(drop), Err(error), "{slot:?} {count}");
            assert_eq!(read(&mut driver, 40, count), Ok(blocks(40, count)), "{slot:?} {count}");
        }
    }
}

#[test]
fn a_card_that_cannot_be_read_at_high_speed_is_read_at_25_megahertz() {
    for slot in [Slot::High, Slot::Emmc] {
        let (mut driver, model, _) = driver(slot, Trouble::BadWhenFast);
        assert_eq!(driver.open().map(|card| card.hertz), Ok(25_000_000));
        assert_eq!(model.fastest(), 50_000_000);
        assert_eq!(read(&mut driver, 3, 4), Ok(blocks(3, 4)));
    }
}

#[test]
fn a_controller_for_25_megahertz_is_not_asked_for_more() {
    let clock = VirtualClock::default();
    let model = Model::new(&clock, Slot::High, Trouble::None);
    let mut driver = Sdhci::new(model.clone(), clock, Limits { base_hertz: None, high_speed: false });
    assert_eq!(driver.open().map(|card| card.hertz), Ok(25_000_000));
    assert_eq!(model.fastest(), 25_000_000);
}

#[test]
fn a_card_with_one_line_is_read_by_one_line() {
    let (mut driver, _, _) = driver(Slot::High, Trouble::NoFourLines);
    assert_eq!(driver.open().map(|card| card.lines), Ok(1));
    assert_eq!(read(&mut driver, 3, 4), Ok(blocks(3, 4)));
}

#[test]
fn blocks_that_the_card_does_not_have_are_not_asked_for() {
    let (mut driver, model, _) = opened(Slot::Standard);
    let error = Error::OutOfRange { first: 131_071, count: 2, blocks: 131_072 };
    assert_eq!(read(&mut driver, 131_071, 2).map(drop), Err(error));
    assert!(read(&mut driver, u32::MAX, 1).is_err());
    assert_eq!(model.commands(), []);
    assert_eq!(read(&mut driver, 131_071, 1), Ok(content(131_071)));
}

#[test]
fn a_base_clock_that_makes_no_clock_for_a_card_is_refused() {
    for hertz in [1000, 1_000_000_000, u32::MAX] {
        let clock = VirtualClock::default();
        let model = Model::new(&clock, Slot::High, Trouble::None);
        let mut driver = Sdhci::new(model, clock, Limits { base_hertz: Some(hertz), high_speed: true });
        assert_eq!(driver.open(), Err(Error::BaseClock { hertz }));
    }
}
