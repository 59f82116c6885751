//! A payload in Xen's place that says how it was entered and what it was given.
//!
//! It is an arm64 Image like Xen, relocates itself, zeroes its .bss, and reports on both UARTs at once: exception level, x0 to
//! x3, the system registers as found, a pending SError; then everything under `/chosen` in the tree from x0, and for every module there the
//! SHA-256 that it computes itself with the MMU and the caches off, so that bytes that are still in a cache show as a wrong
//! digest on silicon. It reads the tree with its own few lines (`tree.rs`), not with the loader's.
//!
//! Every line starts with `fake-xen:`; the last is `fake-xen: end`.
#![no_std]
#![no_main]

mod tree;
mod uart;

use core::fmt::Write;
use sha2::{Digest, Sha256};
use tree::{Item, Tree};
use uart::BothUarts;

#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("start.s"), options(raw));

/// What the first instructions found. `start.s` writes it, field for field.
#[repr(C)]
pub struct Found {
    x: [u64; 4],
    current_el: u64,
    sctlr: u64,
    hcr: u64,
    cptr: u64,
    daif: u64,
    isr: u64,
    spsel: u64,
    loaded_at: u64,
}

#[unsafe(no_mangle)]
extern "C" fn fake_xen(found: &Found) {
    let mut out = BothUarts;
    // Writing to a UART cannot fail here.
    let _ = report(found, &mut out);
    let _ = writeln!(out, "fake-xen: end");
}

fn report(found: &Found, out: &mut BothUarts) -> core::fmt::Result {
    let [x0, x1, x2, x3] = found.x;
    writeln!(out, "\nfake-xen: entered at {:#x} at EL{}", found.loaded_at, found.current_el >> 2)?;
    writeln!(out, "fake-xen: x0={x0:#x} x1={x1:#x} x2={x2:#x} x3={x3:#x}")?;
    writeln!(out, "fake-xen: SCTLR_EL2={:#x} HCR_EL2={:#x} CPTR_EL2={:#x}", found.sctlr, found.hcr, found.cptr)?;
    writeln!(out, "fake-xen: DAIF={:#x} SPSel={} pending SError={}", found.daif, found.spsel, found.isr >> 8 & 1)?;
    let Some(tree) = read_tree(x0) else {
        return writeln!(out, "fake-xen: no device tree at x0");
    };
    writeln!(out, "fake-xen: tree of {} bytes", tree.size())?;
    let walked = tree.chosen(|item| {
        // As above: the UARTs do not fail.
        let _ = show(out, &item);
    });
    if walked.is_none() {
        writeln!(out, "fake-xen: the tree is damaged")?;
    }
    Ok(())
}

fn show(out: &mut BothUarts, item: &Item<'_>) -> core::fmt::Result {
    match item {
        Item::Property { node, name, value } => {
            write!(out, "fake-xen: {node}:{name} =")?;
            match printable(value) {
                Some(text) => {
                    for part in text.split('\0') {
                        write!(out, " \"{part}\"")?;
                    }
                }
                None => {
                    for cell in value.chunks(4) {
                        write!(out, " ")?;
                        for byte in cell {
                            write!(out, "{byte:02x}")?;
                        }
                    }
                }
            }
            writeln!(out)
        }
        Item::Module { node, address, size } => {
            write!(out, "fake-xen: module {node} at {address:#x} size {size:#x} sha256 ")?;
            for byte in Sha256::digest(bytes(*address, *size)) {
                write!(out, "{byte:02x}")?;
            }
            writeln!(out)
        }
    }
}

/// The text of a property that is one or more NUL-terminated strings.
fn printable(value: &[u8]) -> Option<&str> {
    let text = value.strip_suffix(b"\0")?;
    let fine = !text.is_empty() && text.split(|byte| *byte == 0).all(|part| !part.is_empty());
    let fine = fine && text.iter().all(|byte| *byte == 0 || (0x20..0x7f).contains(byte));
    if fine { core::str::from_utf8(text).ok() } else { None }
}

fn read_tree(address: u64) -> Option<Tree<'static>> {
    if address == 0 || !address.is_multiple_of(8) {
        return None;
    }
    let size = tree::size(bytes(address, 8))?;
    Tree::new(bytes(address, u64::from(size)))
}

/// Memory at an address that the loader named.
fn bytes(address: u64, size: u64) -> &'static [u8] {
    // SAFETY: nothing vouches for the address, which is the point of this payload: a loader that names memory that is not
    // there must fail the test, and it does so by the abort that this read raises. Nothing writes to it meanwhile.
    unsafe { core::slice::from_raw_parts(address as *const u8, size as usize) }
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(BothUarts, "fake-xen: {information}");
    loop {
        core::hint::spin_loop();
    }
}
