//! The second half of a packed loader: from the program that unpacks it to the loader itself.
//!
//! `loader.bin` is a small program of the same start-up code with the loader proper, compressed, inside. It moves itself up, turns
//! map and caches on (unpacking without them would take a second on the board), unpacks the loader into `room`, and
//! goes on there (`go_on`) as the firmware would: caches and MMU off, x0 as it was. The loader then starts as from anywhere else
//! and moves itself to where it wants to be; the memory that it was unpacked in is free again.
//!
//! Where the firmware put the file is all that the loader cannot see any more. It stands in a reserved word of the unpacked
//! image's header.

/// Bytes into an image: the first reserved word of an arm64 header (Linux, Documentation/arch/arm64/booting.rst).
#[cfg(any(test, target_os = "none"))]
const FROM: usize = 32;

/// Where the firmware put the file that this loader was packed in; `None` if it was not.
pub fn from() -> Option<u64> {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            #[link_name = "packed_file"]
            static FROM_FIRMWARE: u64;
        }
        // SAFETY: a word of start.s, in this program's text, which nothing writes to while it runs. Volatile, because to the compiler
        // it is a constant zero of nobody's.
        let from = unsafe { (&raw const FROM_FIRMWARE).read_volatile() };
        (from != 0).then_some(from)
    }
    #[cfg(not(target_os = "none"))]
    None
}

/// Writes into the unpacked `image` where the file was loaded; `false` where it is too short for a header.
#[cfg(any(test, target_os = "none"))]
fn note(image: &mut [u8], loaded_at: u64) -> bool {
    let word = image.get_mut(FROM..FROM + 8);
    word.map(|word| word.copy_from_slice(&loaded_at.to_le_bytes())).is_some()
}

#[cfg(target_os = "none")]
mod target {
    use super::note;
    use crate::arch::cache;
    use crate::arch::start::Found;
    use crate::range::PhysicalRange;
    use core::cell::UnsafeCell;
    use core::mem::MaybeUninit;
    use core::sync::atomic::{AtomicBool, Ordering};

    /// The most bytes that a loader can have.
    const ROOM: usize = 2 << 20;

    /// The loader's flags say that it runs at any 4 KiB address.
    #[repr(C, align(4096))]
    struct Room(UnsafeCell<MaybeUninit<[u8; ROOM]>>);

    // SAFETY: `room` gives the only reference out, once.
    unsafe impl Sync for Room {}

    // SAFETY: the name is used nowhere else; tests look for it.
    #[unsafe(export_name = "xenlift_room")]
    #[unsafe(link_section = ".noinit")]
    static SPACE: Room = Room(UnsafeCell::new(MaybeUninit::uninit()));
    static TAKEN: AtomicBool = AtomicBool::new(false);

    /// Where the loader is unpacked; empty when it is asked for again. The bytes are zeroes.
    pub fn room() -> &'static mut [u8] {
        if TAKEN.swap(true, Ordering::Relaxed) {
            return &mut [];
        }
        let bytes = SPACE.0.get().cast::<u8>();
        // SAFETY: SPACE has ROOM bytes, which are initialised here before there is a reference to them, and TAKEN says that there
        // is no other reference.
        unsafe {
            bytes.write_bytes(0, ROOM);
            core::slice::from_raw_parts_mut(bytes, ROOM)
        }
    }

    /// Goes on in the loader that `room` holds. Comes back only where that is too short for one.
    pub fn go_on(found: &Found, room: &'static mut [u8]) {
        unsafe extern "C" {
            fn xenlift_leave(tree: u64, entry: u64) -> !;
        }
        if !note(room, found.loaded_at) {
            return;
        }
        let start = room.as_ptr() as u64;
        cache::clean_invalidate(PhysicalRange { start, end: start + room.len() as u64 });
        // SAFETY: the routine gives the machine away and uses nothing of this program's afterwards; the loader's bytes, which are
        // all that it will find, are in memory.
        unsafe { xenlift_leave(found.x[0], start) }
    }
}

#[cfg(target_os = "none")]
pub use target::{go_on, room};

#[cfg(test)]
mod tests {
    use super::note;

    #[test]
    fn the_note_is_in_the_reserved_word_and_nowhere_else() {
        let mut image = [0x55; 64];
        assert!(note(&mut image, 0x8_0000));
        assert_eq!(image[32..40], 0x8_0000_u64.to_le_bytes());
        assert!(image[..32].iter().chain(&image[40..]).all(|byte| *byte == 0x55));
        assert!(!note(&mut image[..39], 0x8_0000));
    }
}
