//! The shell's prompt in a real terminal, with real keys.

use anyhow::{Result, ensure};
use xenlift_e2e::boot::bundle;
use xenlift_e2e::terminal::{Size, Terminal};

/// A terminal at the prompt, by way of the menu.
fn at_prompt(size: Size) -> Result<Terminal> {
    let settings = "timeout = \"never\"\n[[entry]]\nname = \"script\"\nscript = \"boot.scr\"\n";
    let terminal = Terminal::start(size, &bundle(settings, &[])?, &[])?;
    terminal.shows("Enter: boot")?;
    terminal.press(&["s"])?;
    terminal.shows("\n=>")?;
    Ok(terminal)
}

#[test]
fn a_paste_of_ten_kilobytes_arrives_whole_and_in_order() -> Result<()> {
    let terminal = at_prompt(Size::USUAL)?;
    let words = |number: u32| format!("{number:03} {:016x}", u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let lines: Vec<String> = (0..220).map(|number| format!("{} {}", words(number), words(number + 1000))).collect();
    let paste: String = lines.iter().map(|line| format!("echo {line}\n")).collect();
    ensure!(paste.len() > 9_900, "{} bytes", paste.len());
    terminal.floods(paste.as_bytes())?;
    terminal.types("setenv left here; echo that was ${left}\r")?;
    let said = terminal.says("\nthat was here")?;
    let answers: Vec<&str> =
        said.lines().map(str::trim_end).filter(|line| line.starts_with(char::is_numeric)).collect();
    ensure!(answers == lines, "{} of {} lines: {answers:#?}", answers.len(), lines.len());
    Ok(())
}

#[test]
fn a_line_is_corrected_and_control_c_gives_a_new_one_on_a_small_screen() -> Result<()> {
    let terminal = at_prompt(Size::SMALL)?;
    terminal.types("echo wronh")?;
    terminal.press(&["BSpace"])?;
    terminal.types("g; echo second of them; echo and the third, which does not fit in 40 columns\r")?;
    terminal.says("\nand the third, which does not fit in 40 columns")?;
    terminal.types("while true; do true; done\r")?;
    terminal.press(&["C-c"])?;
    terminal.says("^C")?;
    terminal.types("echo still here\r")?;
    terminal.says("\nstill here")?;
    Ok(())
}

#[test]
fn tab_completes_and_the_arrows_bring_lines_back() -> Result<()> {
    for size in [Size::USUAL, Size::SMALL] {
        let terminal = at_prompt(size)?;
        terminal.types("selft")?;
        // A Tab that comes with other keys is a paste's, and a blank.
        terminal.shows("\n=> selft")?;
        terminal.rests()?;
        terminal.press(&["Tab"])?;
        terminal.shows("\n=> selftest")?;
        terminal.press(&["C-u"])?;
        terminal.hides("=> selftest")?;
        terminal.types("echo first\recho second\r")?;
        terminal.says("\nsecond")?;
        terminal.press(&["Up", "Up"])?;
        terminal.shows_that("the first line, once more", |screen| screen.trim_end().ends_with("=> echo first"))?;
        terminal.press(&["Down", "Home", "Right", "Delete", "Delete", "Delete"])?;
        terminal.shows_that("the second, without its middle", |screen| screen.trim_end().ends_with("=> e second"))?;
        terminal.types("cho")?;
        terminal.press(&["Enter"])?;
        terminal.says_times("\nsecond", 2)?;
    }
    Ok(())
}
