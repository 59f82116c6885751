//! Settings with hundreds of entries, and with none.

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, bundle, fake_xen, kernel};
use xenlift_e2e::{cache, emulator};

fn entry(number: usize) -> String {
    let fallback = if number == 0 { "" } else { "fallback = \"machine-000\"\n" };
    format!(
        "\n# Machine {number}, with as much text around it as people write: who it is for, where it stands, and what was tried before it\n\
         # was found that the console has to be named twice. {}\n[[entry]]\nname = \"machine-{number:03}\"\n\
         title = \"Xen and Debian, machine {number}\"\ndevice-tree = \"firmware\"\n{fallback}[entry.xen]\n\
         image = \"xen\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel\"\nargs = \"console=hvc0 machine={number:03}\"\n",
        "And so on. ".repeat(15),
    )
}

#[test]
fn the_last_of_two_hundred_entries_is_booted() -> Result<()> {
    let entries: String = (0..200).map(entry).collect();
    let settings = format!("timeout = 0\ndefault = \"machine-199\"\n{entries}");
    ensure!(settings.len() > 110 * 1024, "{} bytes", settings.len());
    let bundle = bundle(&settings, &[("xen", fake_xen()?), ("kernel", &kernel(0x1_0000)?)])?;
    let mut board = Board::start(&emulator(&cache()?)?, Some(&bundle), |_| Ok(()))?;
    board.report()?.says("/chosen:xen,dom0-bootargs = \"console=hvc0 machine=199\"")
}

#[test]
fn a_mistake_in_the_last_of_them_is_told_with_its_line() -> Result<()> {
    let entries: String = (0..200).map(entry).collect();
    let settings = format!("timeout = 0\n{entries}").replace("machine=199\"", "machine=199");
    let line = settings.lines().count();
    let bundle = bundle(&settings, &[("xen", fake_xen()?)])?;
    let mut board = Board::start(&emulator(&cache()?)?, Some(&bundle), |_| Ok(()))?;
    let told = board.line("No settings: loader.toml")?;
    ensure!(told.contains(&format!("line {line}, column")) && told.contains("not TOML"), "{told}");
    Ok(())
}

#[test]
fn without_entries_it_says_so_and_starts_over() -> Result<()> {
    let bundle = bundle("timeout = 0\n", &[("xen", fake_xen()?)])?;
    let mut board = Board::start(&emulator(&cache()?)?, Some(&bundle), |_| Ok(()))?;
    board.says("The settings have no [[entry]]: nothing to boot.")?;
    board.press("x")?;
    board.says("Starting over in 10 s.")?;
    Ok(())
}
