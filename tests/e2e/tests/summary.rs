//! The last lines before the jump: a table where somebody has pressed a key, a few lines where nobody has.

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, COUNTDOWN, bundle, fake_xen, kernel};
use xenlift_e2e::{cache, emulator};

/// One entry, with a slip of the keyboard in Xen's command line.
fn start(timeout: &str) -> Result<Board> {
    let settings = format!(
        "timeout = {timeout}\n[[entry]]\nname = \"one\"\ntitle = \"The only one\"\ndevice-tree = \"firmware\"\n[entry.xen]\n\
         image = \"xen\"\nargs = \"dom0_mem=256M bootscrubb=0\"\n[entry.dom0]\nkernel = \"kernel\"\nargs = \"console=hvc0\"\n"
    );
    let bundle = bundle(&settings, &[("xen", fake_xen()?), ("kernel", &kernel(0x1_0000)?)])?;
    Board::start(&emulator(&cache()?)?, Some(&bundle), |_| Ok(()))
}

const SLIP: &str = "Xen does not know \"bootscrubb\" of its args";

#[test]
fn whoever_has_pressed_a_key_gets_the_table() -> Result<()> {
    let mut board = start("600")?;
    board.says(COUNTDOWN)?;
    board.press(" ")?;
    board.says("Number and Enter")?;
    board.press("\r")?;
    let said = board.says("The next line is Xen's.")?;
    // A line may end between any two words.
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "what where bytes digest file",
        "Xen args: dom0_mem=256M",
        "Also in memory:",
        "EL2, device tree in x0",
        "this console).",
    ] {
        ensure!(said.contains(expected), "no {expected:?} in {said}");
    }
    ensure!(said.matches(SLIP).count() == 1, "{said}");
    // Digests of everything, the tree's too.
    ensure!(said.matches(" crc32 ").count() + said.matches(" sha256 ").count() >= 3, "{said}");
    board.report().map(|_| ())
}

#[test]
fn a_boot_that_nobody_watches_gets_a_line_a_file_and_the_same_warnings() -> Result<()> {
    let mut board = start("0")?;
    let said = board.says("the next line is Xen's.")?;
    ensure!(said.contains("Xen args: dom0_mem=256M"), "{said}");
    ensure!(!said.contains("Also in memory:") && !said.contains('\x1b'), "{said}");
    ensure!(said.matches(SLIP).count() == 1, "{said}");
    board.report().map(|_| ())
}
