//! How much heap the settings parser takes for the worst of texts: an allocation that fails on the loader's heap is the end of the boot.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use xenlift::arch::heap::SIZE;
use xenlift::config::Settings;
use xenlift::config::settings::{Error, LARGEST, LARGEST_PIECE, parse};

/// Half of the loader's heap: the rest is for everything else.
const MOST: usize = SIZE / 2;

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
    let kept = most_kept();
    let endless =
        ["[", "{", "a.", "a=1\n", "[a]\n", "[[\"entry\"]]\n", ",", "\"", "x", "\n", " #\n", "=", ".", "1,", "{a=1},"];
    for piece in endless {
        for beginning in ["", "a=[", "[[entry]]\noverlays=["] {
            measure(&kept, beginning, |_| String::from(piece));
        }
    }
    // Many tables, each of its own name, cost more than anything that is said twice.
    measure(&kept, "", |n| format!("a{n}.b=1\n"));
    measure(&kept, "", |n| format!("[a{n}]\nb=1\n"));
    measure(&kept, "", |n| format!("a{n}={{b=1}}\n"));
    measure(&kept, "a=[", |n| format!("{{a{n}.b=1}},"));
    measure(&kept, "[[entry]]\n", |n| format!("a.b.c.d{n}.e.f=1\n"));
}

/// Settings that keep as much on the heap as any: of what takes little text, as much as pieces and file hold.
fn most_kept() -> String {
    let mut text = String::new();
    let mut entries = 0;
    loop {
        let mut entry = format!("[[entry]]\nname=\"e{entries}\"\n[entry.xen]\nimage=\"x\"\n");
        for n in 0.. {
            let domain = format!("[[entry.domu]]\nname=\"d{n}\"\nmemory=\"1G\"\nkernel=\"k\"\n");
            if entry.len() + domain.len() > LARGEST_PIECE {
                break;
            }
            entry.push_str(&domain);
        }
        // Room for one piece more, which is the worst for the parser.
        if text.len() + entry.len() + LARGEST_PIECE > LARGEST {
            break;
        }
        text.push_str(&entry);
        entries += 1;
    }
    let (taken, settings) = peak(&text);
    assert_eq!(settings.map(|settings| settings.entries.len()), Ok(entries));
    assert!(taken <= MOST, "{taken} bytes for {entries} entries full of domains");
    text
}

/// What parsing `text` takes of the heap at its peak, the text itself not counted.
fn peak(text: &str) -> (usize, Result<Settings, Error>) {
    let before = NOW.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    let result = parse(text.as_bytes());
    (PEAK.load(Ordering::SeqCst) - before, result)
}

/// Parses `beginning` and as many pieces as are accepted, alone and behind `kept`.
fn measure(kept: &str, beginning: &str, piece: impl Fn(usize) -> String) {
    const ENTRY: &str = "[[entry]]\n";
    let mut worst = String::from(beginning);
    for n in 0.. {
        let piece = piece(n);
        if ENTRY.len() + worst.len() + piece.len() > LARGEST_PIECE {
            break;
        }
        worst.push_str(&piece);
    }
    // Behind others it is an entry, as everything is.
    let entry = if worst.starts_with(ENTRY) { "" } else { ENTRY };
    for text in [worst.clone(), format!("{kept}{entry}{worst}")] {
        let (taken, _) = peak(&text);
        let start: String = worst.chars().take(40).collect();
        assert!(taken <= MOST, "{taken} bytes for {} bytes of {start:?}", text.len());
    }
}
