//! What the bytes of a packed image are.
//!
//! ```text
//! length     u32, little-endian: bytes of the image
//! checksum   u32, little-endian: of the image, by whatever function both sides agree on
//! blocks     a stream of bits, least significant first, as in deflate
//! padding    PADDING bytes of zero, so that whoever reads can always take four
//! ```
//! A block describes the image from a multiple of [`BLOCK`] bytes on, up to the next or to the end. A match that begins in it may
//! reach into the next. It begins with the lengths of its codes, of 0 to 12 bits: fourteen lengths of 3 bits each for the code that follows, in
//! which the lengths of all symbols are written: [`LANES`] codes of [`SYMBOLS`] symbols, then [`DISTANCE_CODES`] codes of [`DISTANCES`]; the
//! symbol [`ZEROES`] stands for 2 to 33 lengths of 0, as the 5 bits behind it say. The codes are canonical, as in deflate.
//!
//! Then come symbols, each by the code of its place's lane, until the block is full:
//!
//! * below 256: a byte;
//! * then [`LENGTHS`] for a match with a new distance, then as many for one with the distance of the match before. The length's extra bits
//!   follow; then, where the distance is new, its symbol, by the code for matches of this length, and its extra bits.

/// Bytes of the image that one set of codes describes.
pub const BLOCK: usize = 64 * 1024;

/// The most bytes of an image: what distances can reach.
pub const LARGEST: usize = 2 << 20;

/// Bytes before the first block.
pub const HEADER: usize = 8;

/// Bytes of zero at the end, so that whoever reads four bytes at a time always can.
pub const PADDING: usize = 8;

/// Codes for bytes and lengths, by the place in the word.
pub const LANES: usize = 4;

/// Symbols of each of these.
pub const SYMBOLS: usize = 256 + 2 * LENGTHS;

/// Symbols for the length of a match.
pub const LENGTHS: usize = EXACT + 20;

/// Codes for distances: for matches of two bytes, of three, and of more.
pub const DISTANCE_CODES: usize = 3;

/// Symbols of each of these: for distances in words, then in bytes.
pub const DISTANCES: usize = 2 * FAR;

/// Bits of the longest code of a lane.
pub const LONGEST: usize = 12;

/// Bits of the longest code for distances.
pub const LONGEST_DISTANCE: usize = 10;

/// Symbols of the code for lengths of codes: these lengths, and a run of zeroes.
pub const CODE_LENGTHS: usize = LONGEST + 2;

/// Bits of that code's longest.
pub const LONGEST_CODE_LENGTH: usize = 7;

/// The symbol for a run of lengths of 0, the bits that say how many, and the fewest.
pub const ZEROES: usize = LONGEST + 1;
/// Bits behind [`ZEROES`].
pub const ZEROES_BITS: u32 = 5;
/// What the bits count from.
pub const FEWEST_ZEROES: usize = 2;

/// The shortest match.
pub const SHORTEST_MATCH: usize = 2;

/// The longest match. Longer ones would hardly make a program shorter.
pub const LONGEST_MATCH: usize = SHORTEST_MATCH + EXACT + 1023;

/// Lengths that have a symbol each.
const EXACT: usize = 16;

/// Symbols of distances in bytes, of which the largest has 20 bits.
const FAR: usize = 42;

/// A symbol with the bits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The symbol.
    pub symbol: usize,
    /// How many bits follow.
    pub bits: u32,
    /// The number that they make.
    pub extra: usize,
}

/// Two symbols for each power of two: a number's two highest bits; the others follow.
const fn slot(value: usize) -> Slot {
    if value < 4 {
        return Slot { symbol: value, bits: 0, extra: 0 };
    }
    let bits = value.ilog2() - 1;
    Slot { symbol: 2 * bits as usize + (value >> bits), bits, extra: value & ((1 << bits) - 1) }
}

/// The bits that follow a symbol of [`slot`], and what is added to them.
const fn of_slot(symbol: usize) -> (u32, usize) {
    if symbol < 4 {
        return (0, symbol);
    }
    let bits = (symbol / 2 - 1) as u32;
    (bits, (2 + symbol % 2) << bits)
}

/// How the length of a match is written.
pub const fn length_slot(length: usize) -> Slot {
    let value = length - SHORTEST_MATCH;
    if value < EXACT {
        return Slot { symbol: value, bits: 0, extra: 0 };
    }
    let Slot { symbol, bits, extra } = slot(value - EXACT);
    Slot { symbol: EXACT + symbol, bits, extra }
}

/// The bits that follow a length's symbol, and what is added to them.
pub const fn of_length(symbol: usize) -> (u32, usize) {
    if symbol < EXACT {
        return (0, symbol + SHORTEST_MATCH);
    }
    let (bits, base) = of_slot(symbol - EXACT);
    (bits, base + EXACT + SHORTEST_MATCH)
}

/// How a distance in bytes is written.
pub const fn distance_slot(distance: usize) -> Slot {
    if distance.is_multiple_of(LANES) {
        return slot(distance / LANES - 1);
    }
    let Slot { symbol, bits, extra } = slot(distance - 1);
    Slot { symbol: FAR + symbol, bits, extra }
}

/// The bits that follow a distance's symbol, what is added to them, and by how many bits the sum is moved up after one has been added to it.
pub const fn of_distance(symbol: usize) -> (u32, usize, u32) {
    if symbol < FAR {
        let (bits, base) = of_slot(symbol);
        return (bits, base, LANES.ilog2());
    }
    let (bits, base) = of_slot(symbol - FAR);
    (bits, base, 0)
}

/// The code for the distance of a match of `length` bytes.
pub const fn distance_code(length: usize) -> usize {
    let code = length - SHORTEST_MATCH;
    if code < DISTANCE_CODES { code } else { DISTANCE_CODES - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_what_its_symbol_and_bits_say() {
        for length in SHORTEST_MATCH..=LONGEST_MATCH {
            let Slot { symbol, bits, extra } = length_slot(length);
            assert!(symbol < LENGTHS && extra < 1 << bits);
            assert_eq!(of_length(symbol), (bits, length - extra));
        }
    }

    #[test]
    fn every_distance_is_what_its_symbol_and_bits_say() {
        for distance in 1..=LARGEST {
            let Slot { symbol, bits, extra } = distance_slot(distance);
            assert!(symbol < DISTANCES && extra < 1 << bits);
            let (expected, base, shift) = of_distance(symbol);
            assert_eq!((expected, (base + extra + 1) << shift), (bits, distance));
        }
    }

    #[test]
    fn neither_length_nor_distance_takes_more_bits_than_are_held() {
        let length = (0..LENGTHS).map(|symbol| of_length(symbol).0).max().unwrap_or(0);
        let distance = (0..DISTANCES).map(|symbol| of_distance(symbol).0).max().unwrap_or(0);
        assert!(LONGEST as u32 + length <= 32 && LONGEST_DISTANCE as u32 + distance <= 32, "{length} {distance}");
    }
}
