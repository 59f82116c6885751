//! Xenlift for the Raspberry Pi 4, packed: what the firmware gets as `loader.bin`. It unpacks the loader and goes on there.
#![no_std]
#![no_main]

mod board;

use board::RaspberryPi4;
use core::fmt::Write;
use xenlift::arch::hooks::{Fault, RawOutput, StartBoard};
use xenlift::arch::{Entry, unpacked};
use xenlift::boot::digest::crc32;

xenlift::entry!(&RaspberryPi4, unpack);

/// `loader`, as a flat image, packed. Whoever builds this program says where it is.
static LOADER: &[u8] = include_bytes!(env!("XENLIFT_PACKED"));

/// Unpacks the loader and goes on there.
fn unpack(entry: Entry) -> ! {
    let room = unpacked::room();
    let damage = match packing::unpack(LOADER, room, crc32) {
        Ok(_) => {
            unpacked::go_on(&entry.found, room);
            None
        }
        Err(error) => Some(error),
    };
    let mut out = RawOutput(&RaspberryPi4);
    // Writing to the UART by polling cannot fail.
    let _ = match damage {
        Some(error) => writeln!(out, "\nXenlift: loader.bin does not unpack: {error}. Copy it to the card again."),
        None => writeln!(out, "\nXenlift: there is no loader in loader.bin. Build it again."),
    };
    loop {
        RaspberryPi4.flash(Fault::Damaged);
    }
}
