//! The allocator on the memory maps of real boards, against an oracle that searches in another way.

use super::*;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn range(start: u64, end: u64) -> PhysicalRange {
    PhysicalRange { start, end }
}

/// The banks that the firmware describes on boards of 1, 2, 4 and 8 GB.
fn boards() -> [Vec<PhysicalRange>; 4] {
    let low = range(0, 0x3b40_0000);
    [
        vec![low],
        vec![low, range(0x4000_0000, 0x8000_0000)],
        vec![low, range(0x4000_0000, 0xfc00_0000)],
        vec![
            low,
            range(0x4000_0000, 0xfc00_0000),
            range(0x1_0000_0000, 0x1_8000_0000),
            range(0x1_8000_0000, 0x2_0000_0000),
        ],
    ]
}

fn one_gigabyte() -> Layout {
    Layout::new(boards()[0].clone()).unwrap()
}

#[test]
fn page_0_is_never_given_out() {
    let mut layout = one_gigabyte();
    assert_eq!(layout.allocate("a", Request::new(1)), Ok(range(0x1000, 0x1001)));
    let error = layout.place("b", range(0, 16)).unwrap_err();
    assert_eq!(error.to_string(), "b at 0x00000000-0x0000000f would overlap page 0 at 0x00000000-0x00000fff");
}

#[test]
fn two_things_never_share_a_page() {
    let mut layout = one_gigabyte();
    assert_eq!(layout.allocate("a", Request::new(0x1001)), Ok(range(0x1000, 0x2001)));
    assert_eq!(layout.allocate("b", Request::new(0x1000)), Ok(range(0x3000, 0x4000)));
    assert_eq!(layout.allocate("c", Request::new(1)), Ok(range(0x4000, 0x4001)));
    layout.reserve("r", range(0x5fff, 0x6001)).unwrap();
    assert_eq!(layout.allocate("d", Request::new(1)), Ok(range(0x7000, 0x7001)));
    assert_eq!(layout.occupants()[1].block, range(0x1000, 0x3000));
}

#[test]
fn xen_gets_pieces_of_2_mib_for_itself() {
    let mut layout = one_gigabyte();
    assert_eq!(layout.allocate("xen", Request::xen(0x1360c8)), Ok(range(0x20_0000, 0x33_60c8)));
    // The rest of its piece stays free of others.
    let next = layout.allocate("kernel", Request::new(0x1f_f001)).unwrap();
    assert_eq!(next.start, 0x40_0000);
    let below = layout.allocate("tree", Request::new(0x1f_f000)).unwrap();
    assert_eq!(below, range(0x1000, 0x20_0000));
}

#[test]
fn high_requests_come_down_from_the_end_of_the_limit() {
    let mut layout = Layout::new(boards()[2].clone()).unwrap();
    assert_eq!(layout.allocate("a", Request::new(1).high()), Ok(range(0xfbff_f000, 0xfbff_f001)));
    assert_eq!(layout.allocate("b", Request::new(1).high().aligned(MIB)), Ok(range(0xfbe0_0000 + MIB, 0xfbf0_0001)));
    let low = Request::new(3 * MIB).high().below(LOW_MEMORY_END);
    assert_eq!(layout.allocate("c", low), Ok(range(0x3b10_0000, 0x3b40_0000)));
    let within = Request::new(PAGE).within(range(0x5000_0123, 0x5000_2fff));
    assert_eq!(layout.allocate("d", within), Ok(range(0x5000_1000, 0x5000_2000)));
    assert!(matches!(layout.allocate("e", within), Err(Error::NoRoom { largest: 0, .. })));
}

#[test]
fn what_does_not_fit_is_told_with_the_largest_free_block() {
    let mut layout = Layout::new([range(0, 0x10_0000), range(0x20_0000, 0x50_0000)]).unwrap();
    let error = layout.allocate("Image-dom0", Request::new(3 * MIB + 1).aligned(MIB)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no room for Image-dom0: 3145729 bytes aligned to 0x100000, the largest free block has 3145728"
    );
    let huge = layout.allocate("x", Request::new(u64::MAX)).unwrap_err();
    assert!(matches!(huge, Error::NoRoom { .. }));
    assert!(matches!(layout.allocate("x", Request::new(u64::MAX - 5000)), Err(Error::NoRoom { .. })));
    assert!(matches!(layout.allocate("x", Request::new(u64::MAX - 5000).high()), Err(Error::NoRoom { .. })));
    let unreachable = Request::new(PAGE).aligned(1 << 63);
    assert!(matches!(layout.allocate("x", unreachable), Err(Error::NoRoom { largest: 0, .. })));
    assert_eq!(layout.allocate("x", Request::new(0)), Err(Error::Empty { name: "x".into() }));
}

#[test]
fn banks_are_taken_as_they_come() {
    assert_eq!(Layout::new([]), Err(Error::NoMemory));
    assert_eq!(Layout::new([range(0, 0), range(0x1001, 0x2fff)]), Err(Error::NoMemory));
    let odd = Layout::new([range(0x5000, 0x7fff), range(0x1001, 0x4000), range(0x6000, 0x9001), range(0x9000, 0xa000)]);
    assert_eq!(odd.unwrap().banks(), [range(0x2000, 0x4000), range(0x5000, 0x9000), range(0x9000, 0xa000)]);
    let end = Layout::new([range(u64::MAX - 0x2fff, u64::MAX)]).unwrap();
    assert_eq!(end.banks(), [range(u64::MAX - 0x2fff, u64::MAX - 0xfff)]);
    let inside = Layout::new([range(0, 0x9000), range(0x2000, 0x4000)]).unwrap();
    assert_eq!(inside.banks(), [range(0, 0x9000)]);
}

#[test]
fn a_block_never_spans_two_banks_that_touch() {
    let mut layout = Layout::new([range(0x1000, 0x3000), range(0x3000, 0x8000)]).unwrap();
    assert_eq!(layout.allocate("a", Request::new(0x3000)), Ok(range(0x3000, 0x6000)));
    let error = layout.place("b", range(0x2000, 0x3001)).unwrap_err();
    assert_eq!(error, Error::NotMemory { name: "b".into(), range: range(0x2000, 0x3001) });
}

#[test]
fn reservations_may_overlap_each_other_and_leave_memory() {
    let mut layout = one_gigabyte();
    layout.reserve("memreserve", range(0, 0x8_0000)).unwrap();
    layout.reserve("reserved-memory", range(0x4_0000, 0x10_0000)).unwrap();
    layout.reserve("far", range(0x3000_0000, u64::MAX)).unwrap();
    layout.reserve("nothing", range(0x20_0000, 0x20_0000)).unwrap();
    assert_eq!(layout.free(), [range(0x10_0000, 0x3000_0000)]);
    assert_eq!(layout.occupants().len(), 4);
}

#[test]
fn a_reservation_that_comes_too_late_is_refused_with_both_ranges() {
    let mut layout = one_gigabyte();
    layout.allocate("xen", Request::xen(MIB)).unwrap();
    let error = layout.reserve("overlay's region", range(0x20_1000, 0x20_2000)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "overlay's region at 0x00201000-0x00201fff would overlap xen at 0x00200000-0x002fffff"
    );
    // Even where only the pages kept for it are touched.
    assert!(layout.reserve("r", range(0x3f_ffff, 0x40_0000)).is_err());
    assert!(layout.reserve("r", range(0x40_0000, 0x40_0001)).is_ok());
}

#[test]
fn fixed_places_are_refused_with_both_ranges() {
    let mut layout = one_gigabyte();
    layout.place("ramdisk", range(0x80_0000, 0x80_1801)).unwrap();
    let error = layout.place("kernel", range(0x70_0000, 0x80_0001)).unwrap_err();
    assert_eq!(error.to_string(), "kernel at 0x00700000-0x00800000 would overlap ramdisk at 0x00800000-0x00801800");
    assert!(layout.place("kernel", range(0x80_1fff, 0x80_2000)).is_err(), "the same page");
    layout.place("kernel", range(0x80_2000, 0x80_2001)).unwrap();
    assert_eq!(
        layout.place("x", range(0x3b3f_f000, 0x3b40_0001)).unwrap_err().to_string(),
        "x at 0x3b3ff000-0x3b400000 is not within one bank of memory"
    );
    assert!(matches!(layout.place("x", range(u64::MAX - 1, u64::MAX)), Err(Error::NotMemory { .. })));
    assert_eq!(layout.place("x", range(5, 5)), Err(Error::Empty { name: "x".into() }));
    assert_eq!(
        layout.shrink(range(0x80_0000, 0x80_1801), 1),
        Ok(range(0x80_0000, 0x80_0001)),
        "it is placed, not reserved"
    );
}

#[test]
fn something_of_unknown_size_takes_the_largest_block_and_gives_the_rest_back() {
    let mut layout = Layout::new(boards()[2].clone()).unwrap();
    let first = layout.allocate("xen", Request::xen(MIB)).unwrap();
    let room = layout.allocate_largest("Image", 2 * MIB, range(0, LOW_MEMORY_END)).unwrap();
    assert_eq!(room, range(0x40_0000, 0x3b40_0000));
    assert_eq!(layout.allocate("tree", Request::new(0x20_0000)).unwrap().start, 0x4000_0000, "it has all of it");
    let exact = layout.shrink(room, 0x123_4567).unwrap();
    assert_eq!(exact, range(0x40_0000, 0x163_4567));
    assert_eq!(layout.allocate("ramdisk", Request::new(0x20_0000)).unwrap().start, 0x163_5000);
    assert_eq!(
        layout.shrink(exact, 0x123_4568),
        Err(Error::Larger { name: "Image".into(), range: exact, size: 0x123_4568 })
    );
    assert_eq!(layout.shrink(exact, 0x123_4567), Ok(exact));
    assert_eq!(layout.shrink(exact, 0), Err(Error::Empty { name: "Image".into() }));
    assert_eq!(layout.shrink(room, 1), Err(Error::NotPlaced { range: room }));
    assert_eq!(layout.release(room), Err(Error::NotPlaced { range: room }));
    layout.release(first).unwrap();
    assert_eq!(layout.allocate("again", Request::xen(MIB)), Ok(first));
}

#[test]
fn of_equally_large_blocks_the_lowest_is_taken() {
    let mut layout = Layout::new([range(0x1000, 0x3000), range(0x8000, 0xa000)]).unwrap();
    assert_eq!(layout.allocate_largest("a", 1, EVERYWHERE), Ok(range(0x1000, 0x3000)));
    assert_eq!(layout.allocate_largest("b", 1, EVERYWHERE), Ok(range(0x8000, 0xa000)));
    let error = Error::NoRoom { name: "c".into(), size: PAGE, alignment: PAGE, largest: 0 };
    assert_eq!(layout.allocate_largest("c", 1, EVERYWHERE), Err(error));
}

#[test]
fn reservations_cannot_shrink_but_can_be_given_back() {
    let mut layout = one_gigabyte();
    let initrd = range(0x2e00_0000, 0x2e12_3456);
    layout.reserve("initrd", initrd).unwrap();
    assert_eq!(layout.shrink(initrd, 1), Err(Error::NotPlaced { range: initrd }));
    layout.release(initrd).unwrap();
    assert_eq!(layout.free(), [range(0x1000, 0x3b40_0000)]);
}

#[test]
fn what_lies_where_is_listed_by_address() {
    let mut layout = one_gigabyte();
    layout.allocate("high", Request::new(1).high()).unwrap();
    layout.allocate("low", Request::new(1)).unwrap();
    layout.reserve("middle", range(0x10_0000, 0x10_0001)).unwrap();
    let names: Vec<&str> = layout.occupants().iter().map(|occupant| occupant.name.as_str()).collect();
    assert_eq!(names, ["page 0", "low", "middle", "high"]);
}

/// The place that a request must get, found by trying every place where a block could begin or end against everything that is there.
fn oracle(layout: &Layout, request: Request) -> Option<u64> {
    let size = request.size.div_ceil(request.granule).checked_mul(request.granule)?;
    let mut candidates: Vec<u64> = Vec::new();
    let edges = layout.occupants.iter().flat_map(|occupant| [occupant.block.start, occupant.block.end]);
    let edges = edges.chain(layout.banks.iter().flat_map(|bank| [bank.start, bank.end]));
    for edge in edges.chain([request.within.start, request.within.end]) {
        candidates.extend(edge.div_ceil(request.alignment).checked_mul(request.alignment));
        if edge >= size {
            candidates.push((edge - size) - (edge - size) % request.alignment);
        }
    }
    let fits = |start: &u64| {
        let Some(end) = start.checked_add(size) else { return false };
        let inside = |outer: &PhysicalRange| outer.start <= *start && end <= outer.end;
        layout.banks.iter().any(inside)
            && inside(&request.within)
            && layout.occupants.iter().all(|occupant| end <= occupant.block.start || occupant.block.end <= *start)
    };
    let fitting = candidates.into_iter().filter(fits);
    if request.high { fitting.max() } else { fitting.min() }
}

/// What must hold at any time.
fn check(layout: &Layout) {
    let placed: Vec<&Occupant> = layout.occupants.iter().filter(|occupant| !occupant.reserved).collect();
    for occupant in &placed {
        assert!(occupant.block.contains(&occupant.range) && !occupant.range.is_empty());
        assert!(layout.banks.iter().any(|bank| bank.contains(&occupant.block)), "{occupant:?} is outside memory");
        assert_eq!((occupant.block.start % PAGE, occupant.block.end % PAGE), (0, 0));
        for other in &layout.occupants {
            assert!(
                core::ptr::eq(*occupant, other) || !occupant.block.overlaps(&other.block),
                "{occupant:?} {other:?}"
            );
        }
    }
    let free = layout.free();
    for pair in free.windows(2) {
        assert!(pair[0].end <= pair[1].start);
    }
    assert!(free.iter().all(|gap| !gap.is_empty()));
    // Every page of a bank is either free or taken.
    for bank in &layout.banks {
        let mut taken: Vec<PhysicalRange> = layout.occupants.iter().map(|occupant| occupant.block).collect();
        taken.extend(free.iter().copied().filter(|gap| bank.contains(gap)));
        taken.sort_unstable();
        let mut covered = bank.start;
        for piece in taken.iter().filter(|piece| piece.overlaps(bank)) {
            assert!(piece.start <= covered, "{covered:#x} of {bank} is neither free nor taken");
            covered = covered.max(piece.end);
        }
        assert!(covered >= bank.end);
        for gap in &free {
            assert!(layout.occupants.iter().all(|occupant| !occupant.block.overlaps(gap)));
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(u64, u64),
    Allocate(Request),
    Largest(u64, u64),
    Place(u64, u64),
    Shrink(usize, u64),
    Release(usize),
}

fn sizes() -> impl Strategy<Value = u64> {
    prop_oneof![1u64..0x3000, 1u64..0x400_0000, 1u64..0x8000_0000, Just(PAGE), Just(u64::MAX)]
}

fn addresses() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..0x10_0000, 0u64..0x4000_0000, 0u64..0x2_1000_0000, any::<u64>()]
}

fn requests() -> impl Strategy<Value = Request> {
    (sizes(), 0u32..32, any::<bool>(), prop::option::of((addresses(), addresses())), any::<bool>()).prop_map(
        |(size, alignment, high, within, xen)| {
            let request = if xen { Request::xen(size) } else { Request::new(size).aligned(1 << alignment) };
            let request = match within {
                Some((a, b)) => request.within(range(a.min(b), a.max(b))),
                None => request,
            };
            if high { request.high() } else { request }
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (addresses(), 0u64..0x100_0000).prop_map(|(start, size)| Step::Reserve(start, size)),
        6 => requests().prop_map(Step::Allocate),
        1 => (0u32..24, addresses()).prop_map(|(alignment, end)| Step::Largest(1 << alignment, end)),
        2 => (addresses(), sizes()).prop_map(|(start, size)| Step::Place(start, size)),
        2 => (any::<usize>(), sizes()).prop_map(|(which, size)| Step::Shrink(which, size)),
        1 => any::<usize>().prop_map(Step::Release),
    ]
}

fn pick(layout: &Layout, which: usize) -> Option<Occupant> {
    let placed: Vec<&Occupant> = layout.occupants.iter().filter(|occupant| !occupant.reserved).collect();
    if placed.is_empty() { None } else { placed.get(which % placed.len()).map(|occupant| (*occupant).clone()) }
}

fn take(layout: &mut Layout, step: &Step) {
    match *step {
        Step::Reserve(start, size) => {
            let reserved = range(start, start.saturating_add(size));
            let overlap = overlap_by_pages(layout, reserved);
            let result = layout.reserve("r", reserved);
            assert_eq!(result.is_err(), !reserved.is_empty() && overlap);
        }
        Step::Allocate(request) => {
            let expected = oracle(layout, request);
            let found = layout.allocate("a", request);
            assert_eq!(found.as_ref().ok().map(|range| range.start), expected, "{request:?}");
            if let Ok(found) = found {
                assert_eq!(found.size(), request.size);
                assert_eq!(found.start % request.alignment, 0);
            }
        }
        Step::Largest(alignment, end) => {
            let within = range(0, end);
            let gaps = layout.gaps(within);
            let best =
                gaps.iter().map(|gap| gap.end.saturating_sub(gap.start.next_multiple_of(alignment.max(PAGE)))).max();
            match layout.allocate_largest("l", alignment, within) {
                Ok(found) => {
                    assert_eq!(Some(found.size()), best);
                    assert_eq!(found.start % alignment, 0);
                }
                Err(_) => assert_eq!(best.unwrap_or(0), 0),
            }
        }
        Step::Place(start, size) => {
            let place = range(start, start.saturating_add(size));
            let before = layout.clone();
            let result = layout.place("p", place);
            let inside = before.banks.iter().any(|bank| bank.contains(&place));
            let touched = before.occupants.iter().any(|o| {
                o.block.overlaps(&range(
                    place.start / PAGE * PAGE,
                    place.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX),
                ))
            });
            assert_eq!(result.is_ok(), inside && !touched);
        }
        Step::Shrink(which, size) => {
            let Some(occupant) = pick(layout, which) else { return };
            let size = size % (occupant.range.size() + 2);
            let result = layout.shrink(occupant.range, size);
            assert_eq!(result.is_ok(), (1..=occupant.range.size()).contains(&size));
        }
        Step::Release(which) => {
            let Some(occupant) = pick(layout, which) else { return };
            let before = layout.occupants.len();
            layout.release(occupant.range).unwrap();
            assert_eq!(layout.occupants.len(), before - 1);
            assert!(!layout.occupants.contains(&occupant));
        }
    }
}

fn overlap_by_pages(layout: &Layout, reserved: PhysicalRange) -> bool {
    let first = reserved.start / PAGE;
    let last = reserved.end.saturating_sub(1) / PAGE;
    layout.occupants.iter().any(|o| !o.reserved && o.block.start / PAGE <= last && first < o.block.end / PAGE)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// On the memory of every board, with reservations anywhere: never an overlap, always aligned and inside one bank, always the
    /// lowest (or highest) place there is, and no refusal where there is one.
    #[test]
    fn every_board_is_laid_out_right(steps in prop::collection::vec(steps(), 1..40)) {
        for banks in boards() {
            let mut layout = Layout::new(banks.clone()).unwrap();
            let mut again = Layout::new(banks.into_iter().rev()).unwrap();
            for step in &steps {
                take(&mut layout, step);
                check(&layout);
                take(&mut again, step);
            }
            prop_assert_eq!(layout, again, "the same requests get the same places");
        }
    }

    /// A whole boot: Xen, tree, kernel and ramdisk of any sizes, with the firmware's things high and a loader anywhere.
    #[test]
    fn a_boot_is_packed_at_the_bottom(
        image_size in 1u64..0x40_0000,
        kernel in 1u64..0x400_0000,
        ramdisk in 1u64..0x800_0000,
        loader in 0x3000_0000u64..0x3b00_0000,
    ) {
        for banks in boards() {
            let mut layout = Layout::new(banks).unwrap();
            layout.reserve("loader", range(loader, loader + 0x20_0000)).unwrap();
            let xen = layout.allocate("xen", Request::xen(image_size)).unwrap();
            let tree = layout.allocate("tree", Request::new(0x2_0000)).unwrap();
            let kernel = layout.allocate("kernel", Request::new(kernel)).unwrap();
            let ramdisk = layout.allocate("ramdisk", Request::new(ramdisk)).unwrap();
            check(&layout);
            prop_assert_eq!(xen.start, XEN_ALIGNMENT);
            prop_assert_eq!(tree.start, PAGE);
            let used = image_size + kernel.size() + ramdisk.size() + 8 * MIB;
            prop_assert!(kernel.end.max(ramdisk.end) < used, "packed: {} {}", kernel, ramdisk);
        }
    }
}
