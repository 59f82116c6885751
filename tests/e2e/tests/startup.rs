//! Start-up, from a state that no loader would wish for.
//!
//! The loader is entered by the hostile stub (`tests/armstub`) as a board's firmware enters it, with junk in memory, registers and
//! EL2, at several addresses, with the tree and an initrd in its way; and it is broken on purpose. What it must not touch is read back
//! from the board's memory while it runs.

#[path = "startup/board.rs"]
mod board;
#[path = "startup/handoff.rs"]
mod handoff;
#[path = "startup/into_xen.rs"]
mod into_xen;

use anyhow::{Result, ensure};
use board::{Board, Loaded, TREE, file_size, tree};
use xenlift_e2e::Uart;

/// What the firmware says of a board with 1 GB.
const BANKS: &[(u64, u64)] = &[(0, 0x3b40_0000)];
/// The place that such a board's loader moves to, if nothing is in the way: the highest 2 MiB block below the end.
fn highest(below: u64) -> Result<u64> {
    Ok((below - board::image_size()?) / 0x20_0000 * 0x20_0000)
}

/// Everything that the firmware left is as it was.
fn unharmed(loaded: &mut Loaded) -> Result<()> {
    for (what, address, bytes) in loaded.placed.clone() {
        let found = loaded.read(address, bytes.len())?;
        let changed = found.iter().zip(&bytes).position(|(found, placed)| found != placed);
        ensure!(changed.is_none(), "{what} changed at {:#x}", address + changed.unwrap_or(0) as u64);
    }
    Ok(())
}

/// The file went to `address` to be unpacked, and the loader in it to `place`.
fn runs_at(loaded: &mut Loaded, address: u64, place: u64) -> Result<()> {
    for (what, address) in [("file", address), ("loader", place)] {
        let magic = loaded.read(address + 56, 4)?;
        ensure!(magic == b"ARM\x64", "no {what} at {address:#x}, where it was to move");
    }
    Ok(())
}

/// Bytes at the low end of a stack of the image at `image` that are still as in the file, zero; the stack's ends from its start on.
fn unused_stack(loaded: &mut Loaded, image: u64, bottom: u64, top: u64) -> Result<usize> {
    let bytes = loaded.read(image + bottom, usize::try_from(top - bottom)?)?;
    Ok(bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len()))
}

#[test]
fn it_starts_at_any_page_and_moves_up_without_touching_anything() -> Result<()> {
    for (address, uart) in [
        (0x8_0000, Uart::Pl011),
        (0x20_0000, Uart::Mini),
        (0x34_5000, Uart::Pl011),
        (0x1fff_f000, Uart::Mini),
        // Across the place that it will move to, so the first choice is taken by its own file.
        (highest(0x3b40_0000)? + 0x1000, Uart::Pl011),
    ] {
        let initrd = (TREE - 0x40_0000, 0x12_3457);
        let mut loaded =
            Board { load_at: address, uart, tree: Some(tree(BANKS, Some(initrd), "")?), ..Board::default() }.start()?;
        let said = loaded.banner()?;
        let place = loaded.place()?;
        loaded.stop()?;
        unharmed(&mut loaded)?;
        let first = highest(0x3b40_0000)?;
        let expected = if address > first { highest(address)? } else { first };
        runs_at(&mut loaded, expected, place)?;
        if address == 0x20_0000 {
            let [bottom, top] = ["exception_stack_top", "early_stack_top"].map(board::unpackers_symbol);
            let early = unused_stack(&mut loaded, address, bottom?, top?)?;
            ensure!((0x400..0x1400).contains(&early), "the early stack has {early:#x} of 0x1400 bytes left");
        }
        // Behind the file, where .bss would begin, is still the junk: nothing but the file's own bytes was written there.
        if place != first || address < 0x3000_0000 {
            let behind = address + file_size()?.next_multiple_of(64);
            ensure!(loaded.is_junk(behind, 0x1_0000)?, "written behind the file at {address:#x}; it said {said}");
        }
    }
    Ok(())
}

#[test]
fn a_tree_and_an_initrd_at_the_top_are_left_alone() -> Result<()> {
    // The firmware puts them high on purpose: exactly where the loader would go.
    let top = highest(0x3b40_0000)?;
    for (tree_at, initrd) in [
        (0x3b3f_0000, (top, 0x1000)),
        (top + 0x10_0000, (0x3b30_0000, 0x10_0000)),
        (0x3b3f_f000, (0x3000_0000, 0xb3f_0001)),
    ] {
        let board = Board { tree_at, tree: Some(tree(BANKS, Some(initrd), "")?), ..Board::default() };
        let mut loaded = board.start()?;
        loaded.banner()?;
        let place = loaded.place()?;
        loaded.stop()?;
        unharmed(&mut loaded)?;
        runs_at(&mut loaded, highest(tree_at.min(initrd.0))?, place)?;
    }
    Ok(())
}

#[test]
fn memory_that_ends_early_or_is_reserved_is_respected() -> Result<()> {
    let board = Board { tree: Some(tree(&[(0, 0x2f00_0000)], None, "")?), ..Board::default() };
    let mut loaded = board.start()?;
    loaded.banner()?;
    let place = loaded.place()?;
    loaded.stop()?;
    unharmed(&mut loaded)?;
    runs_at(&mut loaded, highest(TREE)?, place)?;

    // Only a few megabytes: what it takes to unpack the loader, and then the loader beside it.
    let (whole, loader) = (board::image_size()?, board::symbol("__image_end")?);
    let bank = (0x100_0000, (whole + loader + 0x40_0000) & !0xfff);
    let tree = tree(&[bank, (TREE & !0xfff, 0x20_0000)], None, "")?;
    let mut loaded = Board { load_at: 0x100_0000, tree: Some(tree), ..Board::default() }.start()?;
    loaded.banner()?;
    let place = loaded.place()?;
    loaded.stop()?;
    unharmed(&mut loaded)?;
    runs_at(&mut loaded, highest(bank.0 + bank.1)?, place)?;
    ensure!((bank.0..=bank.0 + bank.1 - loader).contains(&place), "the loader runs at {place:#x}");
    Ok(())
}

#[test]
fn a_file_that_was_damaged_on_its_way_says_so() -> Result<()> {
    // In the middle of what is packed, which is most of the file.
    let at = usize::try_from(file_size()? / 2)?;
    let board = Board { damaged_at: Some(at), tree: Some(tree(BANKS, None, "")?), ..Board::default() };
    let mut loaded = board.start()?;
    loaded.wait_for("Xenlift: loader.bin does not unpack: ")?;
    loaded.wait_for("Copy it to the card again.")?;
    loaded.stop()?;
    unharmed(&mut loaded)
}

#[test]
fn without_room_it_says_so_and_does_not_overwrite_anything() -> Result<()> {
    let board = Board { tree: Some(tree(&[(0, 0x30_0000)], None, "")?), ..Board::default() };
    let mut loaded = board.start()?;
    loaded.wait_for("no free")?;
    loaded.wait_for("to run in")?;
    loaded.stop()?;
    unharmed(&mut loaded)
}

#[test]
fn without_a_tree_it_runs_where_it_is() -> Result<()> {
    // Nothing, QEMU's 0x100, odd, absent memory, the end of the address space, and a place with junk in it.
    for x0 in [0, 0x100, 0x2eff_6201, 0xfd58_0000, 0x3_0000_0000, u64::MAX - 7, 0x50_0000] {
        let mut loaded = Board { x0: Some(x0), ..Board::default() }.start()?;
        loaded.banner()?;
        let place = loaded.place()?;
        loaded.stop()?;
        unharmed(&mut loaded)?;
        runs_at(&mut loaded, 0x20_0000, place)?;
    }
    Ok(())
}

#[test]
fn a_damaged_tree_is_no_tree() -> Result<()> {
    let good = tree(BANKS, None, "")?;
    let patched = |at: usize, word: u32| {
        let mut blob = good.clone();
        blob.splice(at..at + 4, word.to_be_bytes());
        blob
    };
    let structure = u32::from_be_bytes([good[8], good[9], good[10], good[11]]) as usize;
    for blob in [
        // The size is none, is huge; the structure lies outside, begins with an end, has a property without an end.
        patched(4, 0),
        patched(4, u32::MAX),
        patched(8, 0x7fff_fff0),
        patched(structure, 2),
        patched(structure + 12, 0xffff_fff0),
    ] {
        let mut loaded = Board { tree: Some(blob), ..Board::default() }.start()?;
        loaded.banner()?;
        let place = loaded.place()?;
        loaded.stop()?;
        unharmed(&mut loaded)?;
        runs_at(&mut loaded, 0x20_0000, place)?;
    }
    Ok(())
}

#[test]
fn hostile_system_registers_and_a_running_watchdog_do_not_stop_it() -> Result<()> {
    // Traps of FP/SIMD and of everything else that CPTR has; HCR with stage 2 and all traps on; a watchdog's time.
    for (cptr, hcr, watchdog) in [(0xffff_ffff, 0, 0), (0, 0x7fff_ffff, 0xf_ffff), (0x400, 0x8000_0001, 0x1000)] {
        let board = Board { cptr, hcr, watchdog, tree: Some(tree(BANKS, None, "")?), ..Board::default() };
        let mut loaded = board.start()?;
        loaded.banner()?;
        loaded.stop()?;
        unharmed(&mut loaded)?;
    }
    Ok(())
}

#[test]
fn at_another_level_than_el2_it_says_what_to_change() -> Result<()> {
    // EL1h and EL3h; HCR_EL2.RW, because EL1 must be AArch64, and no traps to an EL2 where nobody is.
    for (spsr, level) in [(0x3c5, "EL1"), (0x3cd, "EL3")] {
        for uart in [Uart::Pl011, Uart::Mini] {
            let board = Board {
                spsr,
                uart,
                hcr: 1 << 31,
                cptr: 0x33ff,
                tree: Some(tree(BANKS, None, "")?),
                ..Board::default()
            };
            let mut loaded = board.start()?;
            loaded.wait_for(&format!("started at {level}"))?;
            loaded.wait_for("arm_64bit=1")?;
        }
    }
    Ok(())
}

#[test]
fn broken_on_purpose_it_reports_in_words_and_resets() -> Result<()> {
    for (test, words) in [
        ("write-text", &["cause: a write: the map forbids it", "in the loader's code, which is read-only"][..]),
        ("run-data", &["cause: a jump to memory that cannot be executed", "which is not executable"]),
        ("stack-overflow", &["cause: a write: nothing is mapped there", "STACK OVERFLOW"]),
        ("jump-to-nowhere", &["cause: a jump to memory that cannot be executed: nothing is mapped there"]),
        ("null-pointer", &["in page 0, which is not mapped: a null pointer?"]),
        ("panic", &["panicked at src/arch/selftest.rs"]),
    ] {
        let command_line = format!("console=ttyS0 xenlift.selftest={test} quiet");
        let board = Board { tree: Some(tree(BANKS, None, &command_line)?), ..Board::default() };
        let mut loaded = board.start()?;
        let place = loaded.place()?;
        loaded.wait_for("*** Xenlift")?;
        let report = loaded.wait_for("Resetting.")?;
        for words in words {
            ensure!(report.contains(words), "{test}: no {words:?} in {report}");
        }
        loaded.wait_for_reset()?;
        let [bottom, top] = ["exception_stack_bottom", "exception_stack_top"].map(board::symbol);
        let exceptions = unused_stack(&mut loaded, place, bottom?, top?)?;
        ensure!(exceptions >= 0x800, "{test}: the exception stack has {exceptions:#x} bytes left");
        let trace = report.lines().find_map(|line| line.strip_prefix("backtrace (loader.elf):")).unwrap_or_default();
        let names = board::names_of(trace)?;
        // An overflow's innermost calls fill the whole trace.
        let caller = if test == "stack-overflow" { "recurse" } else { "loader_main" };
        ensure!(names.iter().any(|name| name.contains(caller)), "{test}: {trace} is {names:?}: no {caller}");
    }
    Ok(())
}
