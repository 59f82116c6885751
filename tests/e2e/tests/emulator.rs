//! The emulator itself, shown on a loader known to work on silicon: Debian's U-Boot, unmodified.

use anyhow::{Result, ensure};
use xenlift_e2e::boot::LIMIT;
use xenlift_e2e::u_boot::UBoot;
use xenlift_e2e::{Uart, cache, emulator};

#[test]
fn u_boot_starts_and_takes_commands_on_the_mini_uart() -> Result<()> {
    let mut u_boot = UBoot::start(UBoot::board(&emulator(&cache()?)?)?)?;
    // Its own tree says PL011, the board's the mini UART, where it goes on.
    u_boot.machine.wait_for(Uart::Pl011, "U-Boot 20", LIMIT)?;
    let said = u_boot.ask("setexpr sum 0x1200 + 0x34; echo sum=$sum")?;
    ensure!(said.contains("sum=1234"), "{said}");
    Ok(())
}
