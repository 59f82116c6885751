//! Xenlift for the Raspberry Pi 4, packed: what the firmware gets as `loader.bin`. It unpacks the loader and goes on there.
#![no_std]
#![no_main]

mod board;

use xenlift::arch::{Entry, unpacked};
use xenlift::boot::gzip::gunzip;

xenlift::entry!(&board::RaspberryPi4, unpack);

/// `loader`, as a flat image, in gzip's format. Whoever builds this program says where it is.
static LOADER: &[u8] = include_bytes!(env!("XENLIFT_PACKED"));

/// Unpacks the loader and goes on there.
fn unpack(entry: Entry) -> ! {
    let room = unpacked::room();
    match gunzip(LOADER, room) {
        Ok(_) => unpacked::go_on(&entry.found, room),
        Err(error) => panic!("loader.bin does not unpack: {error}. Copy it to the card again"),
    }
}
