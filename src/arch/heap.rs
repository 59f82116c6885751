//! The global allocator: a fixed area behind the loader's image.
//!
//! It is given memory only once the MMU and the caches are on, because the lock around it uses exclusive accesses, which
//! are not defined on memory of Device type (Arm ARM DDI 0487, B2.12). Until then every allocation fails.

/// Size in bytes. Files do not go through it (they are fetched straight into their place): it holds settings, trees, the
/// network stack's buffers and what the firmware passed.
pub const SIZE: usize = 8 << 20;

#[cfg(target_os = "none")]
mod target {
    use super::SIZE;
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::UnsafeCell;
    use core::mem::MaybeUninit;
    use core::ptr::{NonNull, null_mut};
    use linked_list_allocator::Heap;
    use spin::Mutex;

    struct Allocator(Mutex<Heap>);

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator(Mutex::new(Heap::empty()));

    #[repr(align(4096))]
    struct Area(UnsafeCell<MaybeUninit<[u8; SIZE]>>);

    // SAFETY: the cell's content is touched by the heap alone, under its lock.
    unsafe impl Sync for Area {}

    #[unsafe(link_section = ".noinit")]
    static AREA: Area = Area(UnsafeCell::new(MaybeUninit::uninit()));

    // SAFETY: linked_list_allocator gives out disjoint, aligned blocks of AREA, and the lock makes each operation atomic.
    unsafe impl GlobalAlloc for Allocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.0.lock().allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr)
        }
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            if let Some(block) = NonNull::new(block) {
                // SAFETY: the caller of `dealloc` vouches that `block` came from `alloc` with this layout.
                unsafe { self.0.lock().deallocate(block, layout) };
            }
        }
    }

    /// Gives the allocator its memory; a second call does nothing. MMU and caches must be on.
    pub(in super::super) fn init() {
        let mut heap = ALLOCATOR.0.lock();
        if heap.size() == 0 {
            // SAFETY: AREA is SIZE bytes, static, and handed over only here, once: the heap is empty until now.
            unsafe { heap.init(AREA.0.get().cast(), SIZE) };
        }
    }
}

#[cfg(target_os = "none")]
pub(super) use target::init;
