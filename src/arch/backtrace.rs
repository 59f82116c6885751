//! Who called whom: the chain of frame records on the stack.
//!
//! `-Cforce-frame-pointers` makes every function of ours push one. Nothing on the stack is believed: the chain is followed only upwards,
//! only inside the stack, and only through addresses of the loader's code.

use crate::range::PhysicalRange;

/// Return addresses that a backtrace has at most.
pub const DEEPEST: usize = 24;

/// Follows the chain of frame records (AAPCS64, 6.4.6) from `frame_pointer`, reading words of `stack` with `read`, which is asked only for
/// addresses inside it. Gives how many of `found` were filled. Each address is that of the call, not of the return, so that
/// addr2line names the calling line.
///
/// At an exception the link register, `link_register`, may hold the caller of a function that has made no record (yet): it goes first. It
/// may as well be left over from a call that has returned, so the first address is a hint, the others are certain.
pub fn backtrace(
    mut frame_pointer: u64,
    link_register: Option<u64>,
    stack: PhysicalRange,
    text: PhysicalRange,
    read: impl Fn(u64) -> u64,
    found: &mut [u64],
) -> usize {
    let mut count = 0;
    if let (Some(link), Some(slot)) = (link_register, found.first_mut()) {
        let call = link.wrapping_sub(4);
        if within(text, call) {
            *slot = call;
            count = 1;
        }
    }
    let mut innermost = true;
    while let Some(slot) = found.get_mut(count) {
        let Some(record) = PhysicalRange::sized(frame_pointer, 16) else { break };
        if !frame_pointer.is_multiple_of(8) || !stack.contains(&record) {
            break;
        }
        let caller = read(frame_pointer);
        let call = read(frame_pointer + 8).wrapping_sub(4);
        if !within(text, call) {
            break;
        }
        *slot = call;
        // A function that has made its record and called nobody yet has the same address in the link register.
        let known = core::mem::take(&mut innermost) && count == 1 && link_register == Some(call.wrapping_add(4));
        if !known {
            count += 1;
        }
        // The stack grows down, so a caller's record is above; anything else would be a loop.
        if caller <= frame_pointer {
            break;
        }
        frame_pointer = caller;
    }
    count
}

/// Whether `address` is in `range`.
pub fn within(range: PhysicalRange, address: u64) -> bool {
    range.start <= address && address < range.end
}

#[cfg(test)]
#[path = "backtrace_tests.rs"]
mod tests;
