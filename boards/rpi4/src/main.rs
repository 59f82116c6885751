//! Xenlift for the Raspberry Pi 4: the firmware binary, `loader.bin`.
#![no_std]
#![no_main]

mod board;

use core::fmt::Write;
use xenlift::arch::hooks::RawOutput;
use xenlift::arch::{Entry, StartBoard, selftest::SelfTest};

xenlift::entry!(&board::RaspberryPi4, loader_main);

/// The boot, from the point where there are a map, caches and a heap.
fn loader_main(mut entry: Entry) -> ! {
    let mut output = RawOutput(&board::RaspberryPi4);
    let _ = writeln!(
        output,
        "\nXenlift {} at {}, loaded at {:#x}",
        env!("CARGO_PKG_VERSION"),
        entry.image,
        entry.found.loaded_at
    );
    match &entry.memory {
        Ok(memory) => {
            let _ = writeln!(output, "tree {} initrd {:?}", memory.tree, memory.initrd);
            if let Some(range) = memory.bootargs
                && let Ok(text) = entry.ram.copy(range)
                && let Some(test) = core::str::from_utf8(&text).ok().and_then(SelfTest::asked_for)
            {
                let _ = writeln!(output, "self-test: {test}");
                test.run();
            }
        }
        Err(error) => {
            let _ = writeln!(output, "{error}");
        }
    }
    board::RaspberryPi4.raw_drain();
    board::RaspberryPi4.reset()
}
