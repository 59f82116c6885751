//! The emulator itself, shown on a loader known to work on silicon: Debian's U-Boot, unmodified.

use std::time::Duration;

use anyhow::Result;
use xenlift_e2e::{Machine, Release, Uart, cache, emulator, packages};

const U_BOOT: Duration = Duration::from_secs(60);

#[test]
fn u_boot_starts_and_takes_commands_on_the_mini_uart() -> Result<()> {
    let cache = cache()?;
    let tree = packages::linux(&cache, Release::Bookworm)?.device_trees.join("bcm2711-rpi-4-b.dtb");
    let mut command = emulator(&cache)?.board();
    command.arg("-kernel").arg(packages::u_boot(&cache)?).arg("-dtb").arg(tree);

    let mut board = Machine::start(command)?;
    // Its own tree says PL011, the board's the mini UART, where it goes on.
    board.wait_for(Uart::Pl011, "U-Boot 20", U_BOOT)?;
    board.wait_for(Uart::Mini, "stop autoboot", U_BOOT)?;
    board.send(Uart::Mini, "\r")?;
    board.wait_for(Uart::Mini, "U-Boot> ", U_BOOT)?;
    // The answer differs from what is typed, so that an echo alone does not pass.
    board.send(Uart::Mini, "setexpr sum 0x1200 + 0x34; echo sum=$sum\r")?;
    board.wait_for(Uart::Mini, "sum=1234", U_BOOT)?;
    Ok(())
}
