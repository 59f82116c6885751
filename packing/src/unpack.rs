//! The side of the board.

use core::cell::Cell;
use core::fmt;

use crate::branches;
use crate::format::*;

/// Unpacks what `pack` made into the beginning of `room`; says how many bytes it is. `checksum` is the function that it was packed with.
///
/// # Errors
/// Damage that makes no sense is found where it is met, all other by the checksum. Nothing outside of `room` is written; what is in it
/// after an error means nothing.
pub fn unpack(packed: &[u8], room: &mut [u8], checksum: fn(&[u8]) -> u32) -> Result<usize, Error> {
    let cut = Error::Cut { length: packed.len() };
    let (header, blocks) = packed.split_at_checked(HEADER).ok_or(cut)?;
    let [length, expected] =
        [&header[..4], &header[4..]].map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
    let available = room.len();
    let image = room.get_mut(..length as usize).ok_or(Error::TooLarge { length, room: available })?;
    let mut bits = Bits { rest: blocks, held: 0, count: 0 };
    let mut codes = Codes::EMPTY;
    let (mut place, mut distance) = (0, 0);
    while place < image.len() {
        let read = codes.read(&mut bits).and_then(|()| block(&codes, &mut bits, image, place, &mut distance));
        // Whoever runs out of bits cannot go on, and has left fewer than are taken at once.
        let damage = if bits.rest.len() < AT_ONCE { cut } else { Error::Damaged { after: place } };
        place = read.ok_or(damage)?;
    }
    branches::relative(image);
    let found = checksum(image);
    if found == expected { Ok(image.len()) } else { Err(Error::Checksum { expected, found }) }
}

/// Writes the block that begins at `place` to `image`, and as far behind it as the last match reaches; says where that is. `None` where what is
/// read makes no sense.
///
/// Each instruction in here is executed some hundred thousand times. Sums wrap where a check behind them finds it.
fn block(codes: &Codes, bits: &mut Bits, image: &mut [u8], mut place: usize, distance: &mut usize) -> Option<usize> {
    let end = image.len().min((place / BLOCK + 1) * BLOCK);
    while place < end {
        bits.refill()?;
        let symbol = bits.symbol(&codes.lanes[place % LANES])?;
        let Some(symbol) = symbol.checked_sub(256) else {
            *image.get_mut(place)? = symbol as u8;
            place += 1;
            continue;
        };
        let new = symbol < LENGTHS;
        let (extra, base) = of_length(if new { symbol } else { symbol - LENGTHS });
        let length = base + bits.take(extra);
        if new {
            bits.refill()?;
            let symbol = bits.symbol(&codes.distances[distance_code(length)])?;
            let (extra, base, shift) = of_distance(symbol);
            *distance = (base + bits.take(extra) + 1) << shift;
        }
        repeat(image, place, *distance, length)?;
        place = place.wrapping_add(length);
    }
    Some(place)
}

/// Writes `length` bytes at `place`, of what lies `distance` bytes before: the same bytes again and again where that is less.
#[inline(always)]
fn repeat(image: &mut [u8], place: usize, distance: usize, length: usize) -> Option<()> {
    let from = place.checked_sub(distance).filter(|_| distance > 0)?;
    let cells = Cell::from_mut(image).as_slice_of_cells();
    let to = cells.get(place..place.wrapping_add(length))?;
    // Bytes, because matches are short and the compiler takes unaligned words apart.
    cells.get(from..)?.iter().zip(to).for_each(|(from, to)| to.set(from.get()));
    Some(())
}

/// Bytes that are read at once.
const AT_ONCE: usize = 4;

/// The stream of bits.
struct Bits<'a> {
    rest: &'a [u8],
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// Holds at least 32 bits.
    #[inline(always)]
    fn refill(&mut self) -> Option<()> {
        if self.count < u32::BITS {
            let (word, rest) = self.rest.split_first_chunk::<AT_ONCE>()?;
            self.held |= u64::from(u32::from_le_bytes(*word)) << self.count;
            self.count += u32::BITS;
            self.rest = rest;
        }
        Some(())
    }

    /// The next `count` bits, of those that are held.
    #[inline(always)]
    fn take(&mut self, count: u32) -> usize {
        let bits = self.held & !(u64::MAX << (count % u64::BITS));
        self.held >>= count % u64::BITS;
        self.count = self.count.wrapping_sub(count);
        bits as usize
    }

    /// The next symbol of a code with this table.
    #[inline(always)]
    fn symbol<const SIZE: usize>(&mut self, table: &[Leaf; SIZE]) -> Option<usize> {
        let Leaf(leaf) = table[self.held as usize % SIZE];
        let length = u32::from(leaf) % 16;
        self.held >>= length;
        self.count = self.count.wrapping_sub(length);
        (length != 0).then_some(usize::from(leaf / 16))
    }
}

/// A symbol, and in the lowest four bits the length of its code; 0 where there is no such code.
#[derive(Clone, Copy)]
struct Leaf(u16);

/// Tables of a block's codes, by the bits that come next.
struct Codes {
    lanes: [[Leaf; 1 << LONGEST]; LANES],
    distances: [[Leaf; 1 << LONGEST_DISTANCE]; DISTANCE_CODES],
}

impl Codes {
    const EMPTY: Self =
        Self { lanes: [[Leaf(0); 1 << LONGEST]; LANES], distances: [[Leaf(0); 1 << LONGEST_DISTANCE]; DISTANCE_CODES] };

    /// Reads the codes at the beginning of a block.
    fn read(&mut self, bits: &mut Bits) -> Option<()> {
        let mut lengths = [0; CODE_LENGTHS];
        for length in &mut lengths {
            bits.refill()?;
            *length = bits.take(3) as u8;
        }
        let mut code = [Leaf(0); 1 << LONGEST_CODE_LENGTH];
        fill(&mut code, &lengths)?;

        let mut all = [0; LANES * SYMBOLS + DISTANCE_CODES * DISTANCES];
        let mut next = 0;
        while next < all.len() {
            bits.refill()?;
            let symbol = bits.symbol(&code)?;
            if symbol == ZEROES {
                next += FEWEST_ZEROES + bits.take(ZEROES_BITS);
                continue;
            }
            *all.get_mut(next)? = symbol as u8;
            next += 1;
        }
        let (lanes, distances) = all.split_at(LANES * SYMBOLS);
        let lanes = self.lanes.iter_mut().zip(lanes.chunks(SYMBOLS));
        let distances = self.distances.iter_mut().zip(distances.chunks(DISTANCES));
        lanes.map(|(table, lengths)| fill(table, lengths)).collect::<Option<()>>()?;
        distances.map(|(table, lengths)| fill(table, lengths)).collect()
    }
}

/// Makes the table of the canonical code with these lengths (RFC 1951, 3.2.2); `None` where there can be no such code.
fn fill(table: &mut [Leaf], lengths: &[u8]) -> Option<()> {
    let longest = table.len().ilog2() as usize;
    let mut counts = [0_usize; 16];
    lengths.iter().for_each(|length| counts[usize::from(length % 16)] += 1);
    counts[0] = 0;
    // The first code of each length. All codes of one length and those before them fit into as many as there are.
    let mut codes = [0_usize; 16];
    for length in 1..16 {
        codes[length] = (codes[length - 1] + counts[length - 1]) * 2;
        if counts[length] > 0 && (length > longest || codes[length] + counts[length] > 1 << length) {
            return None;
        }
    }
    table.fill(Leaf(0));
    for (symbol, length) in (0_u16..).zip(lengths).filter(|(_, length)| **length > 0) {
        let length = usize::from(length % 16);
        // The first bit of a code is the lowest that was read.
        let first = codes[length].reverse_bits() >> (usize::BITS as usize - length);
        codes[length] += 1;
        table
            .get_mut(first..)?
            .iter_mut()
            .step_by(1 << length)
            .for_each(|leaf| *leaf = Leaf(symbol * 16 + length as u16));
    }
    Some(())
}

/// Why something was not unpacked. The texts go on after its name and a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It ends before its data does.
    Cut {
        /// Its length in bytes.
        length: usize,
    },
    /// It is longer than there is room for.
    TooLarge {
        /// Bytes of the image.
        length: u32,
        /// The room in bytes.
        room: usize,
    },
    /// Its data makes no sense after so many bytes of output.
    Damaged {
        /// Bytes that were unpacked before.
        after: usize,
    },
    /// It unpacks to something else than was packed.
    Checksum {
        /// The checksum in it.
        expected: u32,
        /// That of what was unpacked.
        found: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { length } => write!(f, "cut off after {length} bytes"),
            Self::TooLarge { length, room } => write!(f, "{length} bytes, with room for {room}"),
            Self::Damaged { after } => write!(f, "damaged, nothing sensible after {after} unpacked bytes"),
            Self::Checksum { expected, found } => {
                write!(f, "damaged, its checksum is {found:08x} and not {expected:08x}")
            }
        }
    }
}
