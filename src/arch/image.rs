//! Where the loader's own image lies: the linker script's symbols behind functions.
//!
//! On the host a fictitious image at 48 MiB stands in, with the proportions of the real one.

use crate::range::PhysicalRange;

macro_rules! symbols {
    ($($(#[$doc:meta])* $name:ident = $symbol:ident, $host:expr;)*) => {
        $($(#[$doc])*
        pub fn $name() -> u64 {
            #[cfg(target_os = "none")]
            {
                unsafe extern "C" {
                    static $symbol: u8;
                }
                // Its address is all that is taken; ADRP gives the one at which this code runs.
                (&raw const $symbol) as u64
            }
            #[cfg(not(target_os = "none"))]
            {
                0x0300_0000 + $host
            }
        })*
    };
}

symbols! {
    /// The first byte.
    start = __image_start, 0;
    /// The end of the code.
    text_end = __text_end, 0x3_0000;
    /// The end of constants and relocated pointers.
    rodata_end = __rodata_end, 0x4_0000;
    /// The end of what is in the file.
    #[cfg(target_os = "none")]
    file_end = __file_end, 0x4_8000;
    /// The unmapped page below the main stack.
    stack_guard = __stack_guard, 0x58_0000;
    /// The lowest byte of the main stack.
    stack_bottom = __stack_bottom, 0x58_1000;
    /// The end of the main stack.
    stack_top = __stack_top, 0x5c_1000;
    /// The end of the image.
    end = __image_end, 0x5c_1000;
}

/// All memory that the loader runs in.
pub fn range() -> PhysicalRange {
    PhysicalRange { start: start(), end: end() }
}

/// The loader's code.
pub fn text() -> PhysicalRange {
    PhysicalRange { start: start(), end: text_end() }
}

/// The loader's constants.
pub fn constants() -> PhysicalRange {
    PhysicalRange { start: text_end(), end: rodata_end() }
}

/// Data, page tables, heap, DMA arena: everything writable below the stack's guard page.
pub fn data() -> PhysicalRange {
    PhysicalRange { start: rodata_end(), end: stack_guard() }
}

/// The main stack.
pub fn stack() -> PhysicalRange {
    PhysicalRange { start: stack_bottom(), end: stack_top() }
}

/// The unmapped page below the main stack.
pub fn guard() -> PhysicalRange {
    PhysicalRange { start: stack_guard(), end: stack_bottom() }
}
