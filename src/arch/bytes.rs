//! Loops over many bytes, in the processor's own words. The target's compiler may not assume that unaligned loads work
//! (they do not before the map is on), so what it makes of such loops goes byte by byte: a received block of 1468 bytes took 12,000
//! instructions to be summed and copied, and takes 400 here.
//!
//! All of this is for the time when map and caches are on, and memory is Normal.

/// The ones' complement sum of `bytes` as big-endian 16-bit words, the last one filled up with a zero (RFC 1071), added to `start`.
#[inline]
pub fn ones_complement_sum(start: u16, bytes: &[u8]) -> u16 {
    // The sum does not care for the order of bytes in its words, as long as it is put right in the end (RFC 1071, section 2B).
    let mut sum = u64::from(start.swap_bytes());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_at_checked(LONGEST_SUMMED) {
        sum = sum.wrapping_add(target::sum(first));
        rest = behind;
    }
    fold(sum.wrapping_add(target::sum(rest))).swap_bytes()
}

/// Copies `from` to the beginning of `to`, as far as the shorter of them goes.
#[inline]
pub fn copy(to: &mut [u8], from: &[u8]) {
    let length = to.len().min(from.len());
    let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) else { return };
    target::copy(to, from);
}

/// Bytes that are summed at once: an even number, and so few that a lane of 32 bits, which has two words of every 64 bytes, does not overflow.
const LONGEST_SUMMED: usize = 64 << 14;

/// A sum of 64 bits as one of 16.
#[inline]
fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

#[cfg(target_os = "none")]
mod target {
    use core::arch::asm;

    /// The sum of `bytes` as little-endian words, the last one filled up with a zero. At most [`super::LONGEST_SUMMED`] bytes.
    #[inline]
    pub fn sum(bytes: &[u8]) -> u64 {
        let sum;
        // SAFETY: reads as many bytes as the slice has from its start: 64 at a time while there are as many, then those that the six lower
        // bits of the length count. Subtracting 64 changes none of these. The loads need no alignment (SCTLR_EL2.A is clear).
        unsafe {
            asm!(
                "movi v4.2d, #0",
                "movi v5.2d, #0",
                "movi v6.2d, #0",
                "movi v7.2d, #0",
                "subs {left}, {left}, #64",
                "b.lo 3f",
                "2:",
                "ldp q0, q1, [{from}], #32",
                "ldp q2, q3, [{from}], #32",
                "uadalp v4.4s, v0.8h",
                "uadalp v5.4s, v1.8h",
                "uadalp v6.4s, v2.8h",
                "uadalp v7.4s, v3.8h",
                "subs {left}, {left}, #64",
                "b.hs 2b",
                "3:",
                "tbz {left}, #5, 4f",
                "ldp q0, q1, [{from}], #32",
                "uadalp v4.4s, v0.8h",
                "uadalp v5.4s, v1.8h",
                "4:",
                "tbz {left}, #4, 5f",
                "ldr q0, [{from}], #16",
                "uadalp v6.4s, v0.8h",
                // The shorter loads clear the rest of their register.
                "5:",
                "tbz {left}, #3, 6f",
                "ldr d0, [{from}], #8",
                "uadalp v7.4s, v0.8h",
                "6:",
                "tbz {left}, #2, 7f",
                "ldr s0, [{from}], #4",
                "uadalp v4.4s, v0.8h",
                "7:",
                "tbz {left}, #1, 8f",
                "ldr h0, [{from}], #2",
                "uadalp v5.4s, v0.8h",
                "8:",
                "tbz {left}, #0, 9f",
                "ldr b0, [{from}]",
                "uadalp v6.4s, v0.8h",
                "9:",
                "uaddlv d4, v4.4s",
                "uaddlv d5, v5.4s",
                "uaddlv d6, v6.4s",
                "uaddlv d7, v7.4s",
                "add d4, d4, d5",
                "add d6, d6, d7",
                "add d4, d4, d6",
                "fmov {sum}, d4",
                sum = lateout(reg) sum,
                from = inout(reg) bytes.as_ptr() => _,
                left = inout(reg) bytes.len() => _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                options(readonly, nostack)
            );
        }
        sum
    }

    /// Copies; both have the same length.
    #[inline(never)]
    pub fn copy(to: &mut [u8], from: &[u8]) {
        // SAFETY: reads and writes as many bytes as the shorter slice has, counted as in `sum`; they cannot overlap, one of them
        // being borrowed to write. Neither needs alignment (SCTLR_EL2.A is clear).
        unsafe {
            asm!(
                "subs {left}, {left}, #64",
                "b.lo 3f",
                "2:",
                "ldp q0, q1, [{from}], #32",
                "ldp q2, q3, [{from}], #32",
                "subs {left}, {left}, #64",
                "stp q0, q1, [{to}], #32",
                "stp q2, q3, [{to}], #32",
                "b.hs 2b",
                "3:",
                "tbz {left}, #5, 4f",
                "ldp q0, q1, [{from}], #32",
                "stp q0, q1, [{to}], #32",
                "4:",
                "tbz {left}, #4, 5f",
                "ldr q0, [{from}], #16",
                "str q0, [{to}], #16",
                "5:",
                "tbz {left}, #3, 6f",
                "ldr d0, [{from}], #8",
                "str d0, [{to}], #8",
                "6:",
                "tbz {left}, #2, 7f",
                "ldr s0, [{from}], #4",
                "str s0, [{to}], #4",
                "7:",
                "tbz {left}, #1, 8f",
                "ldr h0, [{from}], #2",
                "str h0, [{to}], #2",
                "8:",
                "tbz {left}, #0, 9f",
                "ldr b0, [{from}]",
                "str b0, [{to}]",
                "9:",
                to = inout(reg) to.as_mut_ptr() => _,
                from = inout(reg) from.as_ptr() => _,
                left = inout(reg) to.len().min(from.len()) => _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                options(nostack)
            );
        }
    }
}

/// The same for hosts: what the loops are defined to do.
#[cfg(not(target_os = "none"))]
mod target {
    #[inline]
    pub fn sum(bytes: &[u8]) -> u64 {
        let (words, odd) = bytes.as_chunks::<2>();
        let words = words.iter().map(|word| u64::from(u16::from_le_bytes(*word)));
        words.chain(odd.iter().map(|byte| u64::from(*byte))).sum()
    }

    pub fn copy(to: &mut [u8], from: &[u8]) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_rfc() {
        // RFC 1071, section 3.
        assert_eq!(ones_complement_sum(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        let bytes: Vec<u8> = (0..3000_u32).map(|value| ((value * value) >> 3) as u8).collect();
        for length in [0, 1, 2, 31, 32, 33, 63, 64, 65, 1467, 1468, 3000] {
            let part = &bytes[..length];
            assert_eq!(ones_complement_sum(0, part), plain_sum(part), "{length}");
            let (first, second) = part.split_at(length / 4 * 2);
            assert_eq!(ones_complement_sum(ones_complement_sum(0, first), second), plain_sum(part), "{length}");
        }
        assert_eq!(ones_complement_sum(0xffff, &[0xff; 64]), 0xffff);
        assert_eq!(ones_complement_sum(1, &[0xff; 64]), 1);
    }

    /// Word by word, as the RFC writes it.
    fn plain_sum(bytes: &[u8]) -> u16 {
        bytes.chunks(2).fold(0_u32, |sum, pair| {
            let sum = sum + u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            (sum >> 16) + (sum & 0xffff)
        }) as u16
    }

    #[test]
    fn a_copy_ends_with_the_shorter() {
        let from: Vec<u8> = (0..200).collect();
        for (to_length, from_length) in [(0, 200), (200, 0), (31, 200), (32, 200), (200, 33), (100, 100), (150, 151)] {
            let mut to = vec![0xee; to_length];
            copy(&mut to, &from[..from_length]);
            let copied = to_length.min(from_length);
            assert_eq!(to[..copied], from[..copied]);
            assert!(to[copied..].iter().all(|byte| *byte == 0xee));
        }
    }
}
