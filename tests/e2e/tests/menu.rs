//! The menu: which entry is booted, and how somebody at the console chooses another.

use anyhow::{Result, ensure};
use std::time::Duration;
use xenlift_e2e::boot::{Board, COUNTDOWN, bundle, fake_xen, kernel};
use xenlift_e2e::{Uart, cache, emulator};

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
    let menu = board.says("Number and Enter, or Enter alone for The first one;")?;
    ensure!(menu.contains("  1  The first one") && menu.contains("  2  The second one"), "{menu}");
    board.press("9\r")?;
    board.says("There is no entry 9, they are 1 to 2.")?;
    board.press("x\r")?;
    board.says("'x' is not understood; ? is help.")?;
    board.press("2\r")?;
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
    board.says(COUNTDOWN)?;
    board.press(" ")?;
    board.says("Number and Enter")?;
    board.press("2\r")?;
    boots(&mut board, "two")
}

#[test]
fn a_terminal_that_answers_late_gets_the_menu_then_and_the_countdown_goes_on() -> Result<()> {
    let mut board = start("600")?;
    // It was waited for, and the plain line has been said: whoever answers now was late.
    let said = board.says(COUNTDOWN)?;
    ensure!(said.contains("\x1b[6n"), "nobody asked what the terminal is: {said:?}");
    board.press("\x1b[12;40R")?;
    let menu = board.says("r: reload")?;
    ensure!(menu.contains("Xenlift: what to boot") && menu.contains("Boots in "), "{menu:?}");
    // The size is that of the answer: the keys have two rows.
    ensure!(menu.contains("e: edit\r\n"), "{menu:?}");
    board.press("\x1b[B")?;
    board.says("\x1b[7m>  2  The second one")?;
    board.press("\r")?;
    boots(&mut board, "two")
}

#[test]
fn without_a_key_the_countdown_ends_in_the_default() -> Result<()> {
    let mut board = start("3")?;
    board.says(COUNTDOWN)?;
    boots(&mut board, "one")
}

#[test]
fn a_command_line_is_edited_for_this_boot() -> Result<()> {
    let mut board = start("600")?;
    board.says(COUNTDOWN)?;
    board.press("e")?;
    board.says("Number and Enter")?;
    board.press(" 2\r")?;
    board.says("Xen: dom0_mem=256M")?;
    board.press("\r")?;
    board.says("Dom0: console=hvc0 entry=two")?;
    board.press("-edited\r")?;
    board.says("Number and Enter")?;
    board.press("2\r")?;
    boots(&mut board, "two-edited")
}

#[test]
fn details_tell_what_would_be_done() -> Result<()> {
    let mut board = start("\"never\"")?;
    board.says("Number and Enter")?;
    board.press("d 2\r")?;
    let details = board.says("Number and Enter")?;
    ensure!(details.contains("What would be done") && details.contains("entry=two"), "{details}");
    board.press("\r")?;
    boots(&mut board, "one")
}

#[test]
fn the_shell_is_left_for_the_menu() -> Result<()> {
    let mut board = start("\"never\"")?;
    board.says("Number and Enter")?;
    board.press("s\r")?;
    board.says("=> ")?;
    board.press("echo in the 'shell'; exit\r")?;
    board.says("in the shell")?;
    board.says("Number and Enter")?;
    board.press("2\r")?;
    boots(&mut board, "two")
}

/// Bytes as an open receive pin makes them, Enter among them.
#[test]
fn noise_boots_nothing_and_the_menu_is_still_there() -> Result<()> {
    let mut board = start("\"never\"")?;
    board.says("Number and Enter")?;
    let mut state = 0x2545_f491_u32;
    let noise: String = (0..4096)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // One character a byte on the line; Control-C and what is no ASCII are left to the host's tests.
            match (state >> 24) as u8 & 0x7f {
                3 => '\r',
                byte => char::from(byte),
            }
        })
        .collect();
    board.press(&noise)?;
    // Keys count again once the line was quiet for a while, whenever the noise has come through: a number that boots nothing tells.
    let mut heard = false;
    for _ in 0..30 {
        board.press("9\r")?;
        heard = board.machine.wait_for(Uart::Mini, "There is no entry 9", Duration::from_secs(2)).is_ok();
        if heard {
            break;
        }
    }
    ensure!(heard, "no key counts after the noise");
    board.press("2\r")?;
    boots(&mut board, "two")
}
