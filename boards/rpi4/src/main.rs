//! Xenlift for the Raspberry Pi 4: the firmware binary, `loader.bin`.
#![no_std]
#![no_main]

extern crate alloc;

mod board;
mod bring_up;
mod devices;

use alloc::string::ToString;
use xenlift::arch::timer::SystemClock;
use xenlift::arch::{Entry, StartBoard, selftest::SelfTest};
use xenlift::device_tree::Tree;
use xenlift::println;
use xenlift::time::Duration;

xenlift::entry!(&board::RaspberryPi4, loader_main);

/// The boot, from the point where there are a map, caches and a heap.
fn loader_main(mut entry: Entry) -> ! {
    let clock = SystemClock::new(board::RaspberryPi4.counter_frequency());
    // SAFETY: `loader_main` runs once, and start-up has called its last hook.
    let devices = unsafe { devices::Devices::take() };
    let range = entry.memory.as_ref().map(|memory| memory.tree).map_err(ToString::to_string);
    let copy = range.and_then(|range| entry.ram.copy(range).map_err(|error| error.to_string()));
    let tree =
        copy.as_deref().map_err(Clone::clone).and_then(|copy| Tree::new(copy).map_err(|error| error.to_string()));
    let board = bring_up::bring_up(&entry, devices, clock, tree.as_ref().map_err(|error| error.as_str()));
    log::info!("the firmware's MAC address: {:02x?}", board.firmware.mac);

    if let Some(test) = tree.ok().and_then(|tree| tree.bootargs()).and_then(SelfTest::asked_for) {
        println!("self-test: {test}");
        xenlift::console::with(|console| console.drain(Duration::from_millis(100)));
        test.run();
    }
    board.reset()
}
