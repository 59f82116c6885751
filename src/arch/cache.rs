//! What the processor says of itself and its caches, and maintenance of the data cache by address, to the point of coherency (Arm ARM DDI 0487, D7.5.9).
//!
//! Safe functions: none of them can lose a byte, except [`invalidate`], whose rule is in its own documentation.

use crate::dma::LINE;
use crate::range::PhysicalRange;

/// The smallest data-cache line of any level, in bytes (CTR_EL0.DminLine); on the host, [`LINE`].
#[inline]
pub fn line_size() -> u64 {
    #[cfg(target_os = "none")]
    {
        let ctr: u64;
        // SAFETY: reading CTR_EL0 at EL2 has no side effect.
        unsafe { core::arch::asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) };
        4 << ((ctr >> 16) & 0xf)
    }
    #[cfg(not(target_os = "none"))]
    {
        LINE as u64
    }
}

/// What the processor says that it is (MIDR_EL1): 0x410fd083 is the Cortex-A72 r0p3 of a Raspberry Pi 4; on the host 0.
pub fn processor() -> u64 {
    #[cfg(target_os = "none")]
    {
        let midr: u64;
        // SAFETY: reading MIDR_EL1 at EL2 has no side effect.
        unsafe { core::arch::asm!("mrs {}, midr_el1", out(reg) midr, options(nomem, nostack, preserves_flags)) };
        midr
    }
    #[cfg(not(target_os = "none"))]
    {
        0
    }
}

macro_rules! by_address {
    ($range:expr, $instruction:literal) => {{
        let line = line_size();
        let start = $range.start & !(line - 1);
        // No memory is that high; an address that went past the end of all would begin again at 0.
        let end = $range.end.min(line.wrapping_neg());
        if start < end {
            #[cfg(target_os = "none")]
            // SAFETY: maintenance by address of mapped memory; the caller of `invalidate` answers for what it discards, the
            // other operations discard nothing. It ends: `end` is no higher than the last line's start.
            unsafe {
                core::arch::asm!(
                    "2:",
                    concat!("dc ", $instruction, ", {address}"),
                    "add {address}, {address}, {line}",
                    "cmp {address}, {end}",
                    "b.lo 2b",
                    address = inout(reg) start => _, line = in(reg) line, end = in(reg) end,
                    options(nostack)
                );
            }
        }
        super::barrier::dsb_sy();
    }};
}

/// Writes `range`'s lines back to memory. The range must be mapped.
pub fn clean(range: PhysicalRange) {
    by_address!(range, "cvac");
}

/// Writes `range`'s lines back to memory and drops them. The range must be mapped.
#[inline]
pub fn clean_invalidate(range: PhysicalRange) {
    by_address!(range, "civac");
}

/// Drops `range`'s lines without writing them back. Only whole lines are dropped: `None`, and nothing done, where the range does
/// not start and end on a multiple of [`LINE`], because then its neighbours' bytes would be lost. For memory that a device has
/// written and the CPU has not touched since it gave the range away; anything else in it is lost.
#[inline]
pub fn invalidate(range: PhysicalRange) -> Option<()> {
    let line = LINE as u64;
    if !range.start.is_multiple_of(line) || !range.end.is_multiple_of(line) {
        return None;
    }
    by_address!(range, "ivac");
    Some(())
}
