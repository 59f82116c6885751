//! From the first instruction to `main`. The assembly is `start.s`; this is what it calls.
//!
//! In order: where loaded, writing only inside the file, `choose_place` picks free memory; the assembly copies and relocates
//! there, zeroes .bss and sets the stacks; then the map, the caches, the heap, and `main` with an [`Entry`].

use super::firmware_memory::{FirmwareMemory, FirmwareMemoryError};
use super::{hooks::StartBoard, placement};
use crate::ram::Ram;
use crate::range::PhysicalRange;

/// The registers that start-up found, before it changed them. `start.s` writes it, field for field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Found {
    /// x0 to x3. x0 should be the device tree, the others zero.
    pub x: [u64; 4],
    /// SCTLR_EL2.
    pub sctlr_el2: u64,
    /// HCR_EL2.
    pub hcr_el2: u64,
    /// CPTR_EL2.
    pub cptr_el2: u64,
    /// DAIF, the interrupt masks, in bits 9:6.
    pub daif: u64,
    /// Where the firmware put the first byte of the file.
    pub loaded_at: u64,
}

/// What `main` is given: the machine as it was found, and the keys to it.
#[derive(Debug)]
pub struct Entry {
    /// Registers as found.
    pub found: Found,
    /// Where the loader runs now, with heap and stack.
    pub image: PhysicalRange,
    /// What the firmware's tree says about memory; without one, why not, and then `ram` has only the loader's own memory
    /// until [`Ram::add_bank`].
    pub memory: Result<FirmwareMemory, FirmwareMemoryError>,
    /// Physical memory, the only way to it.
    pub ram: Ram,
}

/// Reads the memory map from the tree at `x0`, if one is there.
///
/// Nothing is read outside `certain`: garbage in x0 must not touch a bus where nothing answers. `read` gives the bytes of a range inside
/// it.
///
/// # Errors
/// As [`FirmwareMemory::read`], and where x0 does not lead to a tree at all.
pub fn memory_from<'a>(
    x0: u64,
    certain: PhysicalRange,
    read: impl Fn(PhysicalRange) -> &'a [u8],
) -> Result<FirmwareMemory, FirmwareMemoryError> {
    let outside = FirmwareMemoryError::Address { address: x0 };
    let header = PhysicalRange::sized(x0, 40).ok_or(outside)?;
    if !x0.is_multiple_of(4) || !certain.contains(&header) || header.overlaps(&placement::PAGE_ZERO) {
        return Err(outside);
    }
    let size = FirmwareMemory::claimed_size(read(header))?;
    let whole = PhysicalRange::sized(x0, size as u64).ok_or(outside)?;
    if !certain.contains(&whole) {
        return Err(FirmwareMemoryError::Size { size: size as u32 });
    }
    FirmwareMemory::read(read(whole), x0)
}

/// Where the image of `size` bytes, whose file lies at `file`, goes: the highest free block; else where it is, if that is free.
/// Without a tree, where it is, if RAM is certainly there: nothing can be overwritten that anybody could find.
pub fn choose(
    board: &dyn StartBoard,
    memory: &Result<FirmwareMemory, FirmwareMemoryError>,
    file: PhysicalRange,
    size: u64,
) -> Option<u64> {
    let here = PhysicalRange::sized(file.start, size)?;
    match memory {
        Ok(memory) => placement::highest_free(memory, file, size, board.place_below())
            .or_else(|| placement::is_free(memory, here).then_some(file.start)),
        Err(_) => (board.certain_ram().contains(&here) && !here.overlaps(&placement::PAGE_ZERO)).then_some(file.start),
    }
}

#[cfg(target_os = "none")]
mod target {
    use super::super::hooks::{Fault, RawOutput, Stage, StartBoard};
    use super::super::{barrier, heap, image, mmu, unpacked};
    use super::{Entry, FirmwareMemory, FirmwareMemoryError, Found, PhysicalRange, Ram, choose, memory_from};
    use core::fmt::Write;

    unsafe extern "Rust" {
        // SAFETY: `entry!` defines both with these types; without it the program does not link.
        safe static XENLIFT_BOARD: &'static dyn StartBoard;
        safe fn xenlift_main(entry: Entry) -> !;
    }

    /// The board that `entry!` installed.
    pub fn board() -> &'static dyn StartBoard {
        XENLIFT_BOARD
    }

    /// Reads memory that the firmware filled, before anything is mapped.
    fn read_early(range: PhysicalRange) -> &'static [u8] {
        // SAFETY: `memory_from` asks only for ranges inside the board's certain RAM, not at address 0, and nothing writes there
        // while the slice lives: this core writes only its own file then, and no other runs.
        unsafe { core::slice::from_raw_parts(range.start as *const u8, range.size() as usize) }
    }

    fn firmware_memory(x0: u64) -> Result<FirmwareMemory, FirmwareMemoryError> {
        memory_from(x0, board().certain_ram(), read_early)
    }

    /// Called where the firmware put the file: where the image is to go. Never returns if there is no such place.
    #[unsafe(no_mangle)]
    extern "C" fn xenlift_choose_place(x0: u64, loaded_at: u64) -> u64 {
        let board = board();
        board.stage(Stage::Entered);
        // Characters that say: entered, and (below) moved, twice where the loader was packed. The banner is far off, and may
        // never come.
        if unpacked::from().is_none() {
            let _ = RawOutput(board).write_str("\nX");
        }
        let file = PhysicalRange { start: loaded_at, end: image::file_end() };
        let size = image::end() - image::start();
        match choose(board, &firmware_memory(x0), file, size) {
            Some(place) => place,
            None => {
                let _ = write!(
                    RawOutput(board),
                    "\nXenlift: no free {size:#x} bytes below {:#x} to run in. Try a smaller gpu_mem or initramfs.\n",
                    board.place_below()
                );
                flash_for_ever(board, Fault::NoPlace)
            }
        }
    }

    /// Called at the place where the image stays, on the main stack, with .bss zeroed.
    #[unsafe(no_mangle)]
    extern "C" fn xenlift_start(found: &Found) -> ! {
        let board = board();
        let memory = firmware_memory(found.x[0]);
        let unknown = FirmwareMemory::without_tree(&[image::range()]);
        let known = memory.as_ref().unwrap_or(&unknown);
        // SAFETY: start.s calls this function once, with the MMU off, right after it emptied the caches.
        let space = unsafe { mmu::turn_on(known, board.devices()) };
        heap::init();
        unmask_serror();
        let _ = RawOutput(board).write_str("L");
        board.stage(Stage::Mapped);
        // SAFETY: the one call, with the map that was just turned on; all that the loader uses lies in its image.
        let ram = unsafe { Ram::new(known, image::range(), space) };
        xenlift_main(Entry { found: *found, image: image::range(), memory, ram })
    }

    /// Called in place of all else when the firmware started the loader at another level than EL2.
    #[unsafe(no_mangle)]
    extern "C" fn xenlift_wrong_level(level: u64) -> ! {
        let board = board();
        let _ = write!(
            RawOutput(board),
            "\nXenlift: started at EL{level}, but Xen needs EL2. On a Raspberry Pi 4, put arm_64bit=1 into config.txt and \
             remove any armstub= line.\n"
        );
        flash_for_ever(board, Fault::WrongLevel)
    }

    fn flash_for_ever(board: &dyn StartBoard, fault: Fault) -> ! {
        loop {
            board.flash(fault);
        }
    }

    /// From here an SError is reported when it happens, not when Xen unmasks it.
    fn unmask_serror() {
        barrier::dsb_sy();
        // SAFETY: VBAR_EL2 and SP_EL2 are set, so the exception this may raise at once is reported.
        unsafe { core::arch::asm!("msr daifclr, #4", "isb", options(nostack, preserves_flags)) };
    }
}

#[cfg(target_os = "none")]
pub use target::board;

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
