//! A hostile stand-in for the firmware's EL3 stub (raspberrypi/tools, armstubs/armstub8.S).
//!
//! An emulator's own entry is much cleaner than a board's: memory, registers and EL2 start as zeros. This stub runs where the
//! firmware's runs, at address 0 in EL3, and does what that does: it parks cores 1 to 3 in the spin table and enters core 0
//! at EL2 with SCTLR_EL2 = 0x30c50830 and everything masked. But first it fills memory with junk, every register and EL2's
//! system registers too, so a loader that relies on a zero nobody promised fails here.
//!
//! A test finds the block of settings in the ELF file by its magic, fills it in ([`src/stub.s`](stub.s) has the layout), and
//! gives the ELF to QEMU as `-kernel`; QEMU enters an ELF on all cores at EL3.
#![no_std]
#![no_main]

#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("stub.s"), options(raw));

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
