//! How much heap the settings parser takes for the worst of texts: the loader's heap has 4 MiB, and an allocation that fails there is
//! the end of the boot.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use xenlift::config::settings::{LARGEST, parse};

/// Five eighths of the loader's heap: the rest is for everything else.
const MOST: usize = 5 << 19;

/// The system's allocator, counting bytes.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to `System` with the arguments as they came, and counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(now, Ordering::SeqCst);
        // SAFETY: the caller's promises about `layout` are the ones that `System` wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: `block` came from `alloc` above, thus from `System`, with the same `layout`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_worst_of_texts_leave_room_on_the_loaders_heap() {
    let endless =
        ["[", "{", "a.", "a=1\n", "[a]\n", "[[entry]]\n", ",", "\"", "x", "\n", " #\n", "=", ".", "1,", "{a=1},"];
    for piece in endless {
        for beginning in ["", "a=[", "[[entry]]\noverlays=["] {
            measure(beginning, |_| String::from(piece));
        }
    }
    // Many tables, each of its own name, cost more than anything that is said twice.
    measure("", |n| format!("a{n}.b=1\n"));
    measure("", |n| format!("[a{n}]\nb=1\n"));
    measure("", |n| format!("a{n}={{b=1}}\n"));
    measure("a=[", |n| format!("{{a{n}.b=1}},"));
    measure("[[entry]]\n", |n| format!("a.b.c.d{n}.e.f=1\n"));
}

/// Parses `beginning` and as many pieces as are accepted.
fn measure(beginning: &str, piece: impl Fn(usize) -> String) {
    let mut text = String::from(beginning);
    for n in 0.. {
        let piece = piece(n);
        if text.len() + piece.len() > LARGEST {
            break;
        }
        text.push_str(&piece);
    }
    let before = NOW.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    let _ = parse(text.as_bytes());
    let taken = PEAK.load(Ordering::SeqCst) - before;
    let start: String = text.chars().take(40).collect();
    assert!(taken <= MOST, "{taken} bytes for {} bytes of {start:?}", text.len());
}
