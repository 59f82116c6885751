//! The menu: which entry is booted, and how somebody at the console chooses another.

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, bundle, fake_xen, kernel};
use xenlift_e2e::{cache, emulator};

/// Two entries that tell themselves apart by Dom0's command line.
fn start(timeout: &str) -> Result<Board> {
    let entry = |name: &str, title: &str| {
        format!(
            "[[entry]]\nname = \"{name}\"\ntitle = \"{title}\"\ndevice-tree = \"firmware\"\n[entry.xen]\nimage = \"xen\"\n\
             args = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel\"\nargs = \"console=hvc0 entry={name}\"\n"
        )
    };
    let settings = format!(
        "timeout = {timeout}\ndefault = \"one\"\n{}{}",
        entry("one", "The first one"),
        entry("two", "The second one")
    );
    let bundle = bundle(&settings, &[("xen", fake_xen()?), ("kernel", &kernel(0x1_0000)?)])?;
    Board::start(&emulator(&cache()?)?, Some(&bundle), |_| Ok(()))
}

fn boots(board: &mut Board, name: &str) -> Result<()> {
    let report = board.report()?;
    report.says(&format!("/chosen:xen,dom0-bootargs = \"console=hvc0 entry={name}\""))
}

#[test]
fn a_number_chooses_an_entry_and_one_that_is_not_there_is_told() -> Result<()> {
    let mut board = start("\"never\"")?;
    let menu = board.says("Number and Enter, or Enter alone for The first one:")?;
    ensure!(menu.contains("  1  The first one") && menu.contains("  2  The second one"), "{menu}");
    board.press("9\r")?;
    board.says("There is no entry 9, they are 1 to 2.")?;
    board.press("x2\r")?;
    boots(&mut board, "two")
}

#[test]
fn enter_alone_chooses_the_default() -> Result<()> {
    let mut board = start("\"never\"")?;
    board.says("Number and Enter")?;
    board.press("\r")?;
    boots(&mut board, "one")
}

#[test]
fn a_key_stops_the_countdown() -> Result<()> {
    let mut board = start("600")?;
    board.says("The first one in 600 s. Any key: choose.")?;
    board.press(" ")?;
    board.says("Number and Enter")?;
    board.press("2\r")?;
    boots(&mut board, "two")
}

#[test]
fn without_a_key_the_countdown_ends_in_the_default() -> Result<()> {
    let mut board = start("1")?;
    board.says("The first one in 1 s.")?;
    boots(&mut board, "one")
}
