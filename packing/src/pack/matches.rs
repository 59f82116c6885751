//! What lies before that repeats.

use alloc::vec;
use alloc::vec::Vec;

use crate::format::LONGEST_MATCH;

/// Candidates that are looked at for a place: more of them make the result hardly shorter.
const DEPTH: usize = 400;

/// A match as long as this is not searched for a longer one.
const LONG_ENOUGH: usize = 256;

/// A match of two bytes is worth its distance only where that is small.
const NEAR: usize = 32 * 1024;

/// A match: of so many bytes, and all shorter ones, so far back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Bytes.
    pub length: usize,
    /// Bytes back.
    pub distance: usize,
}

/// For each place of `image` its matches, the nearer before the longer.
pub fn find(image: &[u8]) -> Vec<Vec<Match>> {
    /// No place.
    const NONE: u32 = u32::MAX;
    const HASH_BITS: u32 = 18;
    let mut pairs = vec![NONE; 1 << 16];
    let mut latest = vec![NONE; 1 << HASH_BITS];
    let mut before = vec![NONE; image.len()];
    let mut all = Vec::with_capacity(image.len());
    for place in 0..image.len() {
        let mut found = Vec::new();
        let rest = &image[place..];
        let longest = rest.len().min(LONGEST_MATCH);
        if let [first, second, ..] = *rest {
            let last = &mut pairs[usize::from(u16::from_le_bytes([first, second]))];
            let distance = place.wrapping_sub(*last as usize);
            if *last != NONE && distance < NEAR {
                found.push(Match { length: 2, distance });
            }
            *last = place as u32;
        }
        if let [first, second, third, ..] = *rest {
            let hash = u32::from_le_bytes([first, second, third, 0]).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS);
            let mut best = 2;
            let mut candidate = latest[hash as usize];
            for _ in 0..DEPTH {
                if candidate == NONE || best >= longest.min(LONG_ENOUGH) {
                    break;
                }
                let there = &image[candidate as usize..];
                // The byte that would make it longer is looked at first.
                if there[best] == rest[best] {
                    let length = there.iter().zip(&rest[..longest]).take_while(|(one, other)| one == other).count();
                    if length > best {
                        best = length;
                        found.push(Match { length, distance: place - candidate as usize });
                    }
                }
                candidate = before[candidate as usize];
            }
            before[place] = latest[hash as usize];
            latest[hash as usize] = place as u32;
        }
        all.push(found);
    }
    all
}
