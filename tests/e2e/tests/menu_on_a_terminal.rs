//! The menu in a real terminal, with real keys, on a screen of the usual size and on a small one.

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use xenlift_e2e::boot::{COUNTDOWN, TREE, bundle, device_tree, fake_xen, kernel, loader_bin};
use xenlift_e2e::terminal::{Kind, Size, Terminal};
use xenlift_e2e::u_boot_tools::made;
use xenlift_e2e::{cache, emulator};

const BOTH: [Size; 2] = [Size::USUAL, Size::SMALL];

/// What the menu has below its entries.
const KEYS: &str = "Enter: boot";

fn entry(name: &str, title: &str) -> String {
    format!(
        "[[entry]]\nname = \"{name}\"\ntitle = \"{title}\"\ndevice-tree = \"firmware\"\n[entry.xen]\nimage = \"xen\"\n\
         args = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel\"\nargs = \"console=hvc0 entry={name}\"\n"
    )
}

/// Three entries that tell themselves apart by Dom0's command line, with the payload in Xen's place.
fn three(timeout: &str) -> Result<Vec<u8>> {
    let entries = [entry("one", "First of them"), entry("two", "Second of them"), entry("three", "The third")];
    with(&format!("timeout = {timeout}\n{}", entries.concat()))
}

fn with(settings: &str) -> Result<Vec<u8>> {
    bundle(settings, &[("xen", fake_xen()?), ("kernel", &kernel(0x1_0000)?)])
}

fn boots(terminal: &Terminal, name: &str) -> Result<()> {
    terminal.report()?.says(&format!("/chosen:xen,dom0-bootargs = \"console=hvc0 entry={name}\""))
}

#[test]
fn a_key_stops_the_countdown_and_arrows_and_digits_choose() -> Result<()> {
    for size in BOTH {
        let terminal = Terminal::start(size, &three("600")?, &[])?;
        terminal.shows("Boots in 5")?;
        terminal.chooses(">  1  First of them (default)")?;
        terminal.press(&["Down"])?;
        terminal.chooses(">  2  Second of them")?;
        terminal.hides("Boots in")?;
        for (keys, chosen) in [
            (["Down"], "3"),
            (["Up"], "2"),
            (["Home"], "1"),
            (["End"], "3"),
            (["1"], "1"),
            (["S"], "2"),
            (["PageDown"], "3"),
            (["PageUp"], "1"),
            (["3"], "3"),
            (["2"], "2"),
        ] {
            terminal.press(&keys)?;
            terminal.chooses(&format!(">  {chosen}  "))?;
        }
        let screen = terminal.rests()?;
        ensure!(screen.matches(KEYS).count() == 1 && !screen.contains("Boots in"), "{screen}");
        terminal.press(&["Enter"])?;
        boots(&terminal, "two")?;
    }
    Ok(())
}

#[test]
fn a_command_line_that_is_edited_is_what_xen_gets() -> Result<()> {
    for size in BOTH {
        let terminal = Terminal::start(size, &three("\"never\"")?, &[])?;
        terminal.shows(KEYS)?;
        terminal.press(&["Down", "e"])?;
        terminal.shows("Second of them: command lines")?;
        terminal.press(&["Down"])?;
        terminal.chooses("> Dom0  console=hvc0 entry=two")?;
        terminal.press(&["Enter"])?;
        terminal.shows("Dom0: console=hvc0 entry=two")?;
        // A word before the last: Control-W, and back to the beginning, and a line that is wider than a small screen.
        terminal.press(&["C-w"])?;
        terminal.types("quiet entry=two-edited")?;
        terminal.press(&["C-a"])?;
        terminal.types("earlycon=xen ")?;
        terminal.press(&["C-e"])?;
        terminal.types(" one")?;
        terminal.press(&["BSpace", "BSpace", "BSpace", "BSpace", "Enter"])?;
        terminal.chooses("> Dom0* earlycon=xen console=hvc0")?;
        terminal.press(&["b"])?;
        let report = terminal.report()?;
        report.says("/chosen:xen,dom0-bootargs = \"earlycon=xen console=hvc0 quiet entry=two-edited\"")?;
        report.says("/chosen:xen,xen-bootargs = \"dom0_mem=256M")?;
    }
    Ok(())
}

#[test]
fn details_help_shell_and_reload_come_back_to_the_menu() -> Result<()> {
    for size in BOTH {
        let terminal = Terminal::start(size, &three("\"never\"")?, &[])?;
        terminal.shows(KEYS)?;
        terminal.press(&["d"])?;
        terminal.shows("What would be done")?;
        terminal.press(&["Escape"])?;
        terminal.hides("read on")?;
        terminal.press(&["?"])?;
        terminal.shows("Up, Down, Page Up")?;
        terminal.press(&["End"])?;
        terminal.shows("timeout =")?;
        terminal.press(&["q"])?;
        terminal.hides("read on")?;
        terminal.press(&["s"])?;
        // On a small screen the menu had all of it, and the prompt is in its first row.
        terminal.shows("=>")?;
        terminal.types("echo within 'the shell'\r")?;
        terminal.shows("\nwithin the shell")?;
        terminal.types("exit\r")?;
        terminal.shows_that("the menu below the prompt", |screen| screen.rfind(KEYS) > screen.rfind("exit"))?;
        terminal.press(&["r"])?;
        terminal.says_times("Settings: loader.toml", 2)?;
        terminal.shows_that("the menu below", |screen| screen.rfind(KEYS) > screen.rfind("Settings: loader.toml"))?;
        terminal.press(&["3", "Enter"])?;
        boots(&terminal, "three")?;
    }
    Ok(())
}

#[test]
fn details_tell_files_addresses_and_arguments() -> Result<()> {
    let terminal = Terminal::start(Size::USUAL, &three("\"never\"")?, &[])?;
    terminal.shows(KEYS)?;
    terminal.press(&["2", "d"])?;
    for text in ["What would be done", "xen", "kernel", "dom0_mem=256M", "console=hvc0 entry=two"] {
        terminal.shows(text)?;
    }
    Ok(())
}

#[test]
fn two_hundred_entries_on_a_small_screen() -> Result<()> {
    let entries: String = (1..=200).map(|number| entry(&format!("e{number}"), &format!("Machine {number}"))).collect();
    let terminal = Terminal::start(Size::SMALL, &with(&format!("timeout = \"never\"\n{entries}"))?, &[])?;
    terminal.shows("Machine 1 ")?;
    terminal.press(&["End"])?;
    terminal.chooses(">200  Machine 200")?;
    terminal.press(&["PageUp"])?;
    terminal.chooses(">193  Machine 193")?;
    terminal.press(&["1", "5", "0"])?;
    terminal.chooses(">150  Machine 150")?;
    terminal.press(&["Up"])?;
    terminal.chooses(">149  Machine 149")?;
    terminal.shows_that("rows of the menu alone: entries around the chosen one, and the keys", |screen| {
        screen.contains("Xenlift: what to boot") && screen.contains(KEYS) && screen.matches("  Machine 1").count() == 7
    })?;
    terminal.press(&["Enter"])?;
    boots(&terminal, "e149")
}

#[test]
fn titles_with_control_characters_draw_only_in_their_row() -> Result<()> {
    let title = "Evil \\u001b[2J\\u001b[1;1H\\u001b[7m\\n\\r\\u0007\\u009b2J\\u202e end";
    let settings = format!("timeout = \"never\"\n{}{}", entry("one", "Good"), entry("two", title));
    for size in BOTH {
        let terminal = Terminal::start(size, &with(&settings)?, &[])?;
        terminal.shows(KEYS)?;
        terminal.chooses(">  1  Good (default)")?;
        terminal.shows("\n   2  Evil ?[2J?[1;1H?[7m")?;
        let said = terminal.said()?;
        ensure!(said.contains("Xenlift 0.") && said.contains("Settings: loader.toml"), "the banner is gone:\n{said}");
        terminal.press(&["Down"])?;
        terminal.chooses(">  2  Evil ?[2J?[1;1H?[7m")?;
        terminal.press(&["Enter"])?;
        boots(&terminal, "two")?;
    }
    Ok(())
}

/// Bytes of a floating pin, or of a wrong speed: any, by a generator with this seed.
fn garbage(seed: u32, count: usize) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(next).collect()
}

#[test]
fn a_flood_of_garbage_boots_nothing_and_the_menu_still_works() -> Result<()> {
    for (size, seed) in BOTH.into_iter().zip([0x5eed_0001, 0x5eed_0002]) {
        let terminal = Terminal::start(size, &three("600")?, &[])?;
        terminal.shows(KEYS)?;
        for round in 0..8 {
            terminal.floods(&garbage(seed + round, 2000))?;
        }
        // As soon as the line is quiet the menu obeys, and it is whole.
        terminal.presses_until_chosen("End", ">  3  The third")?;
        let said = terminal.said()?;
        ensure!(!said.contains("Booting"), "garbage booted something:\n{said}");
        terminal.press(&["Up"])?;
        terminal.chooses(">  2  Second of them")?;
        terminal.rests()?;
        terminal.shows_that("one menu", |screen| screen.matches(KEYS).count() == 1)?;
        terminal.press(&["Enter"])?;
        boots(&terminal, "two")?;
    }
    Ok(())
}

/// A board whose console is the PL011, the one of its UARTs on which the emulator has breaks, on a terminal's keyboard with QEMU's keys.
fn on_the_pl011(initramfs: &[u8], directory: &TempDir) -> Result<Terminal> {
    let tree = directory.path().join(TREE);
    let put = ["-t", "s", "out", "/chosen", "stdout-path", "/soc/serial@7e201000"];
    let edited = made("fdtput", &put, &[("out", &std::fs::read(device_tree()?)?)])?;
    std::fs::write(&tree, edited).context("cannot write the tree")?;
    let file = directory.path().join("initramfs");
    std::fs::write(&file, initramfs).context("cannot write the initramfs")?;
    let mut qemu = emulator(&cache()?)?.board();
    qemu.arg("-kernel").arg(loader_bin()?).arg("-dtb").arg(tree).arg("-initrd").arg(file);
    Terminal::on(Size::USUAL, qemu.args(["-serial", "mon:stdio", "-serial", "null"]))
}

#[test]
fn breaks_are_no_keys() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let terminal = on_the_pl011(&three("\"never\"")?, &directory)?;
    terminal.shows("console: PL011")?;
    terminal.shows(KEYS)?;
    for _ in 0..5 {
        // Whoever pulls a cable makes such bytes.
        terminal.sends_break(&["Enter"])?;
    }
    terminal.presses_until_chosen("End", ">  3  The third")?;
    let said = terminal.said()?;
    ensure!(!said.contains("Booting"), "a break booted something:\n{said}");
    terminal.press(&["Up"])?;
    terminal.chooses(">  2  Second of them")?;
    terminal.press(&["Enter"])?;
    boots(&terminal, "two")
}

#[test]
fn a_dumb_terminal_gets_one_line_of_countdown_and_a_list_by_lines() -> Result<()> {
    for size in BOTH {
        let terminal = Terminal::start_on(Kind::Dumb, size, &three("600")?, &[])?;
        terminal.says(COUNTDOWN)?;
        terminal.rests()?;
        let said = terminal.said()?;
        ensure!(said.matches(COUNTDOWN).count() == 1, "{said}");
        // What such a terminal leaves of escape sequences: the one question.
        ensure!(said.matches('[').count() == 2 && said.contains("7[999;999H[6n8First of them"), "{said}");
        terminal.press(&["Down"])?;
        let said = terminal.says("Number and Enter, or Enter alone for First of them")?;
        for row in ["  1  First of them  (", "  2  Second of them  (", "  3  The third  ("] {
            ensure!(said.lines().any(|line| line.starts_with(row)), "no {row:?} in {said}");
        }
        terminal.types("e2\r")?;
        terminal.says("Xen: dom0_mem=256M")?;
        terminal.press(&["Enter"])?;
        terminal.says("Dom0: console=hvc0 entry=two")?;
        terminal.types("-edited\r")?;
        terminal.says_times("Number and Enter", 2)?;
        terminal.types("7\r")?;
        terminal.says("There is no entry 7, they are 1 to 3.")?;
        terminal.types("2\r")?;
        boots(&terminal, "two-edited")?;
    }
    Ok(())
}

#[test]
fn nobody_at_a_terminal_gets_the_default() -> Result<()> {
    let terminal = Terminal::start(Size::USUAL, &three("1")?, &[])?;
    boots(&terminal, "one")
}
