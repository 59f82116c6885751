//! The last steps: everything that was written leaves the caches, the caches and the MMU go off, the next program begins.
//!
//! The order matters (docs/architecture.md, "Hand-off"). Xen writes its boot page tables with the MMU off and then turns the caches
//! on without invalidating them (xen/arch/arm/arm64/mmu/head.S), so a line of ours that stayed valid over its image would be stale
//! data for its table walks: ranges are cleaned *and* invalidated, and after the caches are off, all levels once more by set
//! and way. That last part, `xenlift_leave` in `handoff.s`, touches no memory.

use super::{StartBoard, barrier, cache, hooks::Stage};
use crate::ram::{Claim, Ram};
use crate::range::PhysicalRange;
use core::fmt;

/// Why the jump was not made. The machine is as before, and the caller may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOffError {
    /// An SError is pending: a device reported an error late, and it would surface inside the next program.
    PendingSError,
    /// The entry point is not inside the image.
    EntryOutside {
        /// Where it would be.
        entry: u64,
        /// The image.
        image: PhysicalRange,
    },
    /// The entry point is no multiple of 4, or the tree's address none of 8.
    Unaligned {
        /// The address.
        address: u64,
        /// What it must be a multiple of.
        alignment: u64,
    },
}

impl fmt::Display for HandOffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PendingSError => write!(
                f,
                "an SError is pending: some device that was touched reported an error late; booting on would crash Xen. \
                 Try without the settings that touch extra devices"
            ),
            Self::EntryOutside { entry, image } => {
                write!(f, "the entry point {entry:#x} is not inside the image at {image}")
            }
            Self::Unaligned { address, alignment } => write!(f, "{address:#x} is not a multiple of {alignment}"),
        }
    }
}

/// Leaves for the program in `image`, a claim of its whole image_size, at `entry_offset` bytes into it, with the tree in `tree`.
///
/// On success it does not return: EL2, MMU and caches off, nothing of ours left in any cache, all exceptions masked, SPSel = 1,
/// x0 = the tree's address, x1 to x3 zero.
///
/// # Errors
/// [`HandOffError`], before anything has been changed; the claims are given back with it.
pub fn leave(
    board: &dyn StartBoard,
    ram: &Ram,
    image: &Claim,
    entry_offset: u64,
    tree: &Claim,
) -> Result<core::convert::Infallible, HandOffError> {
    let outside =
        HandOffError::EntryOutside { entry: image.range().start.saturating_add(entry_offset), image: image.range() };
    let entry = image.range().start.checked_add(entry_offset).ok_or(outside)?;
    if !image.range().contains(&PhysicalRange { start: entry, end: entry.saturating_add(4) }) {
        return Err(outside);
    }
    let tree = tree.range().start;
    for (address, alignment) in [(entry, 4), (tree, 8)] {
        if !address.is_multiple_of(alignment) {
            return Err(HandOffError::Unaligned { address, alignment });
        }
    }
    // An SError that is on its way arrives before the DSB completes; it is unmasked and would be reported. This sees one
    // that cannot be taken.
    barrier::dsb_sy();
    if serror_pending() {
        return Err(HandOffError::PendingSError);
    }
    board.stage(Stage::Leaving);
    // Every range that anybody could have written, the whole of `image` among them: it is a claim.
    for range in ram.touched() {
        cache::clean_invalidate(*range);
    }
    jump(tree, entry)
}

/// Whether ISR_EL1.A says that an SError waits.
fn serror_pending() -> bool {
    #[cfg(target_os = "none")]
    {
        let isr: u64;
        // SAFETY: reading ISR_EL1 has no side effect.
        unsafe { core::arch::asm!("mrs {}, isr_el1", out(reg) isr, options(nomem, nostack, preserves_flags)) };
        isr & 1 << 8 != 0
    }
    #[cfg(not(target_os = "none"))]
    false
}

#[cfg(target_os = "none")]
fn jump(tree: u64, entry: u64) -> ! {
    unsafe extern "C" {
        fn xenlift_leave(tree: u64, entry: u64) -> !;
    }
    // SAFETY: the routine gives the machine away and uses nothing of the loader's afterwards. `leave` checked that the entry
    // is in a claim, and wrote every claim back to memory.
    unsafe { xenlift_leave(tree, entry) }
}

#[cfg(not(target_os = "none"))]
fn jump(_tree: u64, _entry: u64) -> ! {
    barrier::panic_on_host("handoff::leave")
}
