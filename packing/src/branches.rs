//! Calls and page addresses in AArch64 code, made independent of where they stand.
//!
//! `BL` and `ADRP` (Arm ARM DDI 0487, C6.2) hold their target relative to themselves. With the instruction's own place added, all that
//! refer to one target are the same word, which packs better: by 4 %. Only the immediate changes, modulo its width, so [`relative`] undoes
//! [`absolute`] in whatever bytes, code or not.

/// Makes targets absolute in `image`, as if it were loaded at 0.
#[cfg(any(test, feature = "pack"))]
pub fn absolute(image: &mut [u8]) {
    moved(image, |immediate, place| immediate.wrapping_add(place));
}

/// Makes them relative again.
pub fn relative(image: &mut [u8]) {
    moved(image, |immediate, place| immediate.wrapping_sub(place));
}

#[inline(always)]
fn moved(image: &mut [u8], change: impl Fn(u32, u32) -> u32) {
    const BL: u32 = 0x9400_0000;
    const BL_TARGET: u32 = 0x03ff_ffff;
    const ADRP: u32 = 0x9000_0000;
    /// The lowest two bits of ADRP's immediate, and the others.
    const LOW: u32 = 0x6000_0000;
    const HIGH: u32 = 0x00ff_ffe0;
    let (words, _) = image.as_chunks_mut::<4>();
    for (number, bytes) in (0_u32..).zip(words) {
        let word = u32::from_le_bytes(*bytes);
        if word & !BL_TARGET == BL {
            let target = change(word & BL_TARGET, number) & BL_TARGET;
            *bytes = (BL | target).to_le_bytes();
        } else if word & 0x9f00_0000 == ADRP {
            let immediate = (word & LOW) >> 29 | (word & HIGH) >> 3;
            let page = change(immediate, number >> 10);
            *bytes = (word & !(LOW | HIGH) | (page << 29) & LOW | (page << 3) & HIGH).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{absolute, relative};
    use proptest::prelude::*;

    fn image(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn calls_of_one_function_become_the_same_word() {
        // nop; bl #0x100; bl #0xfc; bl #-12
        let mut code = image(&[0xd503_201f, 0x9400_0040, 0x9400_003f, 0x97ff_fffd]);
        absolute(&mut code);
        assert_eq!(code, image(&[0xd503_201f, 0x9400_0041, 0x9400_0041, 0x9400_0000]));
    }

    #[test]
    fn addresses_in_one_page_become_the_same_word() {
        // adrp x1, 0x5000 in pages 0, 1 and 3; adrp x2 of the page before page 3.
        let mut code = vec![0; 4 * 4096];
        let words = [(0, 0xb000_0021), (4096, 0x9000_0021), (3 * 4096, 0xd000_0001), (3 * 4096 + 4, 0xf0ff_ffe2_u32)];
        for (place, word) in words {
            code[place..place + 4].copy_from_slice(&word.to_le_bytes());
        }
        absolute(&mut code);
        let found = words.map(|(place, _)| u32::from_le_bytes(code[place..place + 4].try_into().unwrap_or_default()));
        assert_eq!(found, [0xb000_0021, 0xb000_0021, 0xb000_0021, 0xd000_0002]);
    }

    proptest! {
        #[test]
        fn whatever_it_is_comes_back(words in prop::collection::vec(prop_oneof![any::<u32>(), any::<u32>().prop_map(|word| word & 0x03ff_ffff | 0x9400_0000),
            any::<u32>().prop_map(|word| word & 0x60ff_ffff | 0x9000_0000)], 0..3000), rest in 0..4usize) {
            let mut bytes = image(&words);
            bytes.extend(vec![0x97; rest]);
            let before = bytes.clone();
            absolute(&mut bytes);
            relative(&mut bytes);
            prop_assert_eq!(bytes, before);
        }
    }
}
