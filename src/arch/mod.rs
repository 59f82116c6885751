//! What only the processor can do: assembly and system registers, and nothing else.
//!
//! * [`hooks`] – what the start-up code asks of a board before there are drivers.
//! * [`firmware_memory`] – a bounded reader of the memory map in the firmware's tree, used before there is a heap.
//! * [`placement`] – where the loader moves itself to.
//! * [`start`] – from the first instruction to `main`: place, copy, relocate, map, heap.
//! * [`unpacked`] – how a packed loader gets to itself.
//! * [`exception`] – the report of an exception or a panic, and the reset after it. [`backtrace`] – who called whom.
//! * [`mmu`] – the identity map. [`cache`], [`barrier`], [`timer`] – single instructions as safe functions.
//! * [`crc32`] – the instructions of that name. [`bytes`] – sums and copies of many bytes.
//! * [`handoff`] – caches and MMU off, and the jump.
//! * [`heap`] – the global allocator.
//! * [`selftest`] – the loader broken on purpose, to see the reports.
//!
//! Everything has a host twin, so that all code above is compiled and tested on a workstation: on another target than the bare
//! board, maintenance does nothing, the timer counts calls, and what cannot return panics.

pub mod backtrace;
pub mod barrier;
pub mod bytes;
pub mod cache;
pub mod crc32;
pub mod exception;
pub mod firmware_memory;
pub mod handoff;
pub mod heap;
pub mod hooks;
pub mod mmu;
pub mod placement;
pub mod selftest;
pub mod start;
pub mod timer;
pub mod unpacked;

mod image;
mod syndrome;

pub use hooks::{Fault, Stage, StartBoard, WatchdogAtEntry};
pub use start::Entry;

// One block, because the macro of the first file is used in the others.
#[cfg(target_os = "none")]
core::arch::global_asm!(
    include_str!("set_way.s"),
    include_str!("start.s"),
    include_str!("vectors.s"),
    include_str!("handoff.s"),
    options(raw)
);
