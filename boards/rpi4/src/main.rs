//! Xenlift for the Raspberry Pi 4: the firmware binary, `loader.bin`.
#![no_std]
#![no_main]

mod board;
mod devices;

use xenlift::arch::Entry;

xenlift::entry!(&board::RaspberryPi4, loader_main);

/// The boot, from the point where there are a map, caches and a heap.
fn loader_main(entry: Entry) -> ! {
    xenlift::boot::loader::run(devices::Devices::default(), entry)
}
