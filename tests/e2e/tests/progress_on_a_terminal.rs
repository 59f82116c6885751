//! A fetch over a slow network and the summary after it, in a real terminal, as somebody sees them who has pressed a key.

use anyhow::{Context, Result, ensure};
use xenlift_e2e::boot::{fake_xen, kernel};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::terminal::{Kind, Size, Terminal};

const SETTINGS: &str = "timeout = \"never\"\n[[entry]]\nname = \"slow\"\ntitle = \"Slow network\"\ndevice-tree = \"firmware\"\n\
    [entry.xen]\nimage = \"xen\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel\"\nargs = \"console=hvc0\"\n";

/// The network holds packets back for so many microseconds, which makes the kernel take seconds.
const SLOW: &str = "filter-buffer,id=slow,netdev=n,interval=4000";

/// Bytes of the kernel.
const KERNEL: usize = 0x8_0000;

/// A terminal at a board that somebody has told to boot over a slow network.
fn booting(kind: Kind, size: Size) -> Result<(Terminal, Network)> {
    let network = Network::new()?.with("xen", fake_xen()?)?.with("kernel", &kernel(KERNEL)?)?;
    let served = network.served();
    let served = served.to_str().context("a path that is no text")?;
    let options = ["--tftp", served, "--", "-object", SLOW];
    let terminal = Terminal::start_on(kind, size, SETTINGS.as_bytes(), &options)?;
    match kind {
        Kind::Real => terminal.shows("Enter: boot")?,
        Kind::Dumb => terminal.says("Number and Enter, or Enter alone for Slow network")?,
    };
    terminal.press(&["Enter"])?;
    Ok((terminal, network))
}

/// What is left of it once the file has come: a line of its own, and no bar.
fn is_tidy(terminal: &Terminal) -> Result<String> {
    terminal.report()?.says("/chosen:xen,dom0-bootargs = \"console=hvc0\"")?;
    let said = terminal.said()?;
    let done = said.matches(&format!("\nkernel: {KERNEL} bytes in ")).count();
    ensure!(done == 1 && !said.contains("##"), "{said}");
    Ok(said)
}

#[test]
fn a_slow_file_has_a_bar_that_becomes_one_line_and_the_summary_follows() -> Result<()> {
    for size in [Size::USUAL, Size::SMALL] {
        let (terminal, _network) = booting(Kind::Real, size)?;
        let is_bar = |row: &str| row.contains("[##") && !row.contains("]]");
        let screen = terminal.shows_that("a bar", |screen| screen.lines().any(is_bar) && screen.contains(" %"))?;
        ensure!(screen.lines().filter(|row| is_bar(row)).count() == 1, "{screen}");
        ensure!(screen.lines().any(|row| row.starts_with("kernel")), "{screen}");
        let said = is_tidy(&terminal)?;
        for text in ["what ", "Dom0 kernel", "dom0_mem=256M", "next line is Xen's"] {
            ensure!(said.contains(text), "no {text:?} before the jump in {said}");
        }
    }
    Ok(())
}

#[test]
fn a_dumb_terminal_gets_lines_and_nothing_is_drawn_over() -> Result<()> {
    let (terminal, _network) = booting(Kind::Dumb, Size::USUAL)?;
    let said = is_tidy(&terminal)?;
    let shares = said.lines().filter(|row| row.starts_with("kernel") && row.contains(" %")).count();
    // A loaded machine brings more than a tenth at a time.
    ensure!((2..=9).contains(&shares), "{shares} line(s) with a share in {said}");
    ensure!(said.matches("[K").count() + said.matches("[J").count() == 0, "{said}");
    Ok(())
}
