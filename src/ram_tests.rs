use super::*;
use alloc::format;
use proptest::prelude::*;

const FIRST: u64 = 0x100_0000;

fn at(start: u64, end: u64) -> PhysicalRange {
    PhysicalRange { start: FIRST + start, end: FIRST + end }
}

#[test]
fn a_claim_is_memory_of_ones_own() {
    let mut ram = Ram::simulated(FIRST, 0x1_0000);
    let mut first = ram.claim(at(0, 0x1000)).unwrap();
    let second = ram.claim(at(0x1000, 0x2000)).unwrap();
    first.bytes_mut().fill(0xaa);
    assert_eq!(first.bytes().len(), 0x1000);
    assert!(first.bytes().iter().all(|byte| *byte == 0xaa));
    assert!(second.bytes().iter().all(|byte| *byte == 0));
    assert_eq!(
        ram.claim(at(0xfff, 0x1001)).unwrap_err(),
        RamError::Claimed { range: at(0xfff, 0x1001), taken: at(0, 0x1000) }
    );
}

#[test]
fn what_is_released_can_be_claimed_again_and_keeps_its_bytes() {
    let mut ram = Ram::simulated(FIRST, 0x1_0000);
    let mut claim = ram.claim(at(0x100, 0x200)).unwrap();
    claim.bytes_mut().fill(7);
    ram.release(claim);
    assert_eq!(ram.copy(at(0xff, 0x201)).unwrap()[..2], [0, 7]);
    assert!(ram.claim(at(0, 0x1000)).is_ok());
}

#[test]
fn a_claim_that_is_not_released_stays_taken() {
    let mut ram = Ram::simulated(FIRST, 0x1_0000);
    ram.claim(at(0, 0x1000)).unwrap();
    assert!(matches!(ram.claim(at(0, 0x1000)), Err(RamError::Claimed { .. })));
}

#[test]
fn memory_that_is_not_there_is_refused_by_name() {
    let mut ram = Ram::simulated(FIRST, 0x1_0000);
    assert_eq!(ram.claim(at(0, 0)).unwrap_err(), RamError::Empty { address: FIRST });
    assert_eq!(ram.claim(at(5, 1)).unwrap_err(), RamError::Empty { address: FIRST + 5 });
    for range in [at(0xffff, 0x1_0001), at(0x1_0000, 0x1_0001), PhysicalRange { start: FIRST - 1, end: FIRST + 1 }] {
        let error = ram.claim(range).unwrap_err();
        assert_eq!(error, RamError::NotRam { range });
        assert!(format!("{error}").contains("is not RAM"));
    }
    assert!(matches!(ram.claim(PhysicalRange { start: 0, end: u64::MAX }), Err(RamError::NotRam { .. })));
}

fn simulated_with(memory: &FirmwareMemory, image: PhysicalRange) -> Ram {
    let bytes = alloc::vec![0_u8; 0x1_0000].leak().as_mut_ptr();
    Ram::with_space(memory, image, Space::Simulated { first: FIRST, bytes })
}

#[test]
fn reserved_memory_page_zero_and_the_loader_are_never_given_out() {
    use crate::arch::firmware_memory::tests::Tree;
    let memory = Tree::new().memory(0, FIRST + 0x1_0000).reserved_node(FIRST + 0x4000, 0x1000, false).read();
    let mut ram = simulated_with(&memory, at(0x8000, 0xa000));
    for (range, taken) in [
        (at(0x4fff, 0x5000), at(0x4000, 0x5000)),
        (at(0x3000, 0x4001), at(0x4000, 0x5000)),
        (at(0x7000, 0x8001), at(0x8000, 0xa000)),
        (PhysicalRange { start: 0xfff, end: 0x2000 }, PAGE_ZERO),
    ] {
        assert_eq!(ram.claim(range).unwrap_err(), RamError::Reserved { range, taken });
    }
    assert!(ram.claim(at(0x5000, 0x8000)).is_ok());
}

#[test]
fn everything_ever_given_out_is_remembered() {
    let mut ram = Ram::simulated(FIRST, 0x1_0000);
    let first = ram.claim(at(0, 0x1000)).unwrap();
    ram.release(first);
    let _second = ram.claim(at(0x2000, 0x3000)).unwrap();
    let _third = ram.claim(at(0x1000, 0x2000)).unwrap();
    let _apart = ram.claim(at(0x8000, 0x8001)).unwrap();
    let mut touched = ram.touched().to_vec();
    touched.sort();
    assert_eq!(touched, [at(0, 0x3000), at(0x8000, 0x8001)]);
}

#[test]
fn what_is_behind_a_claim_that_was_shortened_can_be_claimed() {
    let mut ram = Ram::simulated(FIRST, 0x4000);
    let mut first = ram.claim(at(0, 0x4000)).unwrap();
    first.bytes_mut().fill(7);
    ram.shorten(&mut first, 0x1001);
    assert_eq!((first.range(), first.bytes().len()), (at(0, 0x1001), 0x1001));
    assert!(ram.claim(at(0x1000, 0x3000)).is_err());
    let second = ram.claim(at(0x2000, 0x4000)).unwrap();
    ram.shorten(&mut first, 0x4000);
    assert_eq!(first.range(), at(0, 0x1001));
    ram.release(second);
    ram.release(first);
    ram.claim(at(0, 0x4000)).unwrap();
}

proptest! {
    /// Whatever is claimed and released: live claims never overlap, and `touched` covers exactly what was given out.
    #[test]
    fn claims_never_overlap(steps in prop::collection::vec((0_u64..64, 1_u64..16, any::<bool>()), 1..60)) {
        let mut ram = Ram::simulated(FIRST, 64 * 64);
        let mut live: Vec<Claim> = Vec::new();
        let mut touched = [false; 64];
        for (start, length, release) in steps {
            if release && !live.is_empty() {
                let claim = live.swap_remove(start as usize % live.len());
                ram.release(claim);
            }
            let range = at(start * 64, (start + length) * 64);
            let free = start + length <= 64 && live.iter().all(|claim| !claim.range().overlaps(&range));
            match ram.claim(range) {
                Ok(claim) => {
                    prop_assert!(free);
                    live.push(claim);
                    touched[start as usize..(start + length) as usize].fill(true);
                }
                Err(_) => prop_assert!(!free),
            }
        }
        for (unit, was_touched) in touched.iter().enumerate() {
            let unit = at(unit as u64 * 64, unit as u64 * 64 + 64);
            let covering = ram.touched().iter().filter(|range| range.overlaps(&unit)).count();
            prop_assert_eq!(covering, usize::from(*was_touched));
        }
    }
}
