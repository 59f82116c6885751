//! Loops over many bytes, in the processor's own words. The target's compiler may not assume that unaligned loads work
//! (they do not before the map is on), so what it makes of such loops goes byte by byte: a received block of 1468 bytes took 12,000
//! instructions to be summed and copied, and takes 1,000 here.
//!
//! All of this is for the time when map and caches are on, and memory is Normal.

/// The ones' complement sum of `bytes` as big-endian 16-bit words, the last one filled up with a zero (RFC 1071), added to `start`.
pub fn ones_complement_sum(start: u16, bytes: &[u8]) -> u16 {
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    // The sum does not care for the order of bytes in its words, as long as it is put right in the end (RFC 1071, section 2B).
    let mut sum = u64::from(start.swap_bytes()) + u64::from(fold(sum_chunks(chunks)));
    let (pairs, odd) = rest.as_chunks::<2>();
    for pair in pairs {
        sum += u64::from(u16::from_le_bytes(*pair));
    }
    sum += odd.first().map_or(0, |byte| u64::from(*byte));
    fold(sum).swap_bytes()
}

/// Copies `from` to the beginning of `to`, as far as the shorter of them goes.
pub fn copy(to: &mut [u8], from: &[u8]) {
    let length = to.len().min(from.len());
    let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) else { return };
    let (to, to_rest) = to.as_chunks_mut::<CHUNK>();
    let (from, from_rest) = from.as_chunks::<CHUNK>();
    copy_chunks(to, from);
    to_rest.copy_from_slice(from_rest);
}

pub(super) use target::crc32_chunks;
use target::{copy_chunks, sum_chunks};

/// Bytes that a turn of a loop takes.
pub(super) const CHUNK: usize = 32;

/// A sum of 64 bits as one of 16.
fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

#[cfg(target_os = "none")]
mod target {
    use super::CHUNK;
    use core::arch::asm;

    pub fn sum_chunks(chunks: &[[u8; CHUNK]]) -> u64 {
        let mut sum = 0_u64;
        if chunks.is_empty() {
            return sum;
        }
        // SAFETY: reads `chunks.len()` times CHUNK bytes from the slice's start, which are the slice; the count is not 0. The loads need
        // no alignment (SCTLR_EL2.A is clear). The carry lives from one addition to the next: SUB and CBNZ leave the flags alone.
        unsafe {
            asm!(
                "adds {sum}, {sum}, xzr",
                "2:",
                "ldp {a}, {b}, [{from}], #16",
                "ldp {c}, {d}, [{from}], #16",
                "sub {left}, {left}, #1",
                "adcs {sum}, {sum}, {a}",
                "adcs {sum}, {sum}, {b}",
                "adcs {sum}, {sum}, {c}",
                "adcs {sum}, {sum}, {d}",
                "cbnz {left}, 2b",
                "adcs {sum}, {sum}, xzr",
                "adc {sum}, {sum}, xzr",
                sum = inout(reg) sum,
                from = inout(reg) chunks.as_ptr() => _,
                left = inout(reg) chunks.len() => _,
                a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
                options(readonly, nostack)
            );
        }
        sum
    }

    pub fn copy_chunks(to: &mut [[u8; CHUNK]], from: &[[u8; CHUNK]]) {
        let count = to.len().min(from.len());
        if count == 0 {
            return;
        }
        // SAFETY: reads and writes `count` times CHUNK bytes, as many as both slices have; they cannot overlap, one of them
        // being borrowed to write. Neither needs alignment (SCTLR_EL2.A is clear).
        unsafe {
            asm!(
                "2:",
                "ldp {a}, {b}, [{from}], #16",
                "ldp {c}, {d}, [{from}], #16",
                "sub {left}, {left}, #1",
                "stp {a}, {b}, [{to}], #16",
                "stp {c}, {d}, [{to}], #16",
                "cbnz {left}, 2b",
                to = inout(reg) to.as_mut_ptr() => _,
                from = inout(reg) from.as_ptr() => _,
                left = inout(reg) count => _,
                a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
                options(nostack, preserves_flags)
            );
        }
    }

    /// Continues a CRC-32 register (reflected, neither inverted before nor after) over `chunks`.
    pub fn crc32_chunks(mut crc: u32, chunks: &[[u8; CHUNK]]) -> u32 {
        if chunks.is_empty() {
            return crc;
        }
        // SAFETY: reads as `sum_chunks` does. A BCM2711's cores have CRC32X (ID_AA64ISAR0_EL1.CRC32 is 1).
        unsafe {
            asm!(
                ".arch_extension crc",
                "2:",
                "ldp {a}, {b}, [{from}], #16",
                "ldp {c}, {d}, [{from}], #16",
                "sub {left}, {left}, #1",
                "crc32x {crc:w}, {crc:w}, {a}",
                "crc32x {crc:w}, {crc:w}, {b}",
                "crc32x {crc:w}, {crc:w}, {c}",
                "crc32x {crc:w}, {crc:w}, {d}",
                "cbnz {left}, 2b",
                crc = inout(reg) crc,
                from = inout(reg) chunks.as_ptr() => _,
                left = inout(reg) chunks.len() => _,
                a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
                options(readonly, nostack, preserves_flags)
            );
        }
        crc
    }
}

/// The same for hosts: what the loops are defined to do.
#[cfg(not(target_os = "none"))]
mod target {
    use super::CHUNK;
    use crate::arch::crc32::byte_step;

    pub fn sum_chunks(chunks: &[[u8; CHUNK]]) -> u64 {
        let words = chunks.as_flattened().as_chunks::<2>().0;
        words.iter().map(|word| u64::from(u16::from_le_bytes(*word))).sum()
    }

    pub fn copy_chunks(to: &mut [[u8; CHUNK]], from: &[[u8; CHUNK]]) {
        to.copy_from_slice(from);
    }

    pub fn crc32_chunks(crc: u32, chunks: &[[u8; CHUNK]]) -> u32 {
        chunks.as_flattened().iter().fold(crc, |crc, byte| byte_step(crc, *byte))
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
