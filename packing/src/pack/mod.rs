//! The side of the build.
//!
//! What is shortest depends on the codes, and the codes on what is chosen. So it is chosen several times over, each time by the lengths of the codes
//! that the last choice made (as Zopfli does for deflate).

mod code;
mod matches;
mod parse;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::branches;
use crate::format::*;
use code::{Code, Writer};
use parse::Step;

/// How often it is chosen anew: more make it a few bytes shorter.
const ROUNDS: usize = 6;

/// An image is longer than the format can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Bytes of the image.
    pub length: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an image of {} bytes cannot be packed, at most {LARGEST} can", self.length)
    }
}

impl core::error::Error for TooLarge {}

/// `image`, packed. The same image always gives the same bytes.
///
/// # Errors
/// Images of more than [`LARGEST`] bytes.
pub fn pack(image: &[u8], checksum: fn(&[u8]) -> u32) -> Result<Vec<u8>, TooLarge> {
    let too_large = TooLarge { length: image.len() };
    let length = u32::try_from(image.len()).ok().filter(|_| image.len() <= LARGEST).ok_or(too_large)?;
    let mut absolute = image.to_vec();
    branches::absolute(&mut absolute);
    let matches = matches::find(&absolute);
    let mut codes = vec![Codes::guess(); image.len().div_ceil(BLOCK)];
    let mut steps = Vec::new();
    for _ in 0..ROUNDS {
        steps = parse::shortest(&absolute, &matches, &codes);
        codes = Codes::of(&absolute, &steps);
    }
    let mut out = Writer::default();
    out.bytes(&length.to_le_bytes());
    out.bytes(&checksum(image).to_le_bytes());
    for (number, codes) in codes.iter().enumerate() {
        let block = number * BLOCK..(number + 1) * BLOCK;
        let first = steps.partition_point(|step| step.place < block.start);
        let end = steps.partition_point(|step| step.place < block.end);
        if let Some(steps) = steps.get(first..end).filter(|steps| !steps.is_empty()) {
            codes.write(&mut out);
            steps.iter().for_each(|step| codes.write_step(&mut out, &absolute, step));
        }
    }
    Ok(out.finish())
}

/// The codes of a block.
#[derive(Clone, Debug)]
struct Codes {
    lanes: Vec<Code>,
    distances: Vec<Code>,
}

impl Codes {
    /// Lengths to begin with.
    fn guess() -> Self {
        let lane = (0..SYMBOLS).map(|symbol| if symbol < 256 { 7 } else { 6 }).collect();
        Self { lanes: vec![Code::guess(lane); LANES], distances: vec![Code::guess(vec![5; DISTANCES]); DISTANCE_CODES] }
    }

    /// The best codes for these steps, of each block.
    fn of(image: &[u8], steps: &[Step]) -> Vec<Self> {
        let blocks = image.len().div_ceil(BLOCK);
        let mut lanes = vec![vec![vec![0_u32; SYMBOLS]; LANES]; blocks];
        let mut distances = vec![vec![vec![0_u32; DISTANCES]; DISTANCE_CODES]; blocks];
        for step in steps {
            let block = step.place / BLOCK;
            lanes[block][step.place % LANES][step.symbol(image)] += 1;
            if let Some(distance) = step.new_distance() {
                distances[block][distance_code(step.length)][distance_slot(distance).symbol] += 1;
            }
        }
        let codes = |counts: Vec<Vec<u32>>, longest| counts.iter().map(|counts| Code::new(counts, longest)).collect();
        let blocks = lanes.into_iter().zip(distances);
        blocks
            .map(|(lanes, distances)| Self {
                lanes: codes(lanes, LONGEST),
                distances: codes(distances, LONGEST_DISTANCE),
            })
            .collect()
    }

    fn write(&self, out: &mut Writer) {
        let lengths: Vec<u8> = self.lanes.iter().chain(&self.distances).flat_map(Code::lengths).copied().collect();
        // Runs of zeroes, as long as they can be written; everything else alone.
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for length in lengths {
            match runs.last_mut() {
                Some((0, run)) if length == 0 && *run < FEWEST_ZEROES + (1 << ZEROES_BITS) - 1 => *run += 1,
                _ => runs.push((usize::from(length), 1)),
            }
        }
        let symbol = |(length, run): &(usize, usize)| if *run < FEWEST_ZEROES { *length } else { ZEROES };
        let mut counts = [0; CODE_LENGTHS];
        runs.iter().for_each(|run| counts[symbol(run)] += 1);
        let code = Code::new(&counts, LONGEST_CODE_LENGTH);
        code.lengths().iter().for_each(|length| out.bits(u64::from(*length), 3));
        for run in &runs {
            code.write(out, symbol(run));
            if symbol(run) == ZEROES {
                out.bits((run.1 - FEWEST_ZEROES) as u64, ZEROES_BITS);
            }
        }
    }

    fn write_step(&self, out: &mut Writer, image: &[u8], step: &Step) {
        self.lanes[step.place % LANES].write(out, step.symbol(image));
        if step.distance.is_some() {
            let Slot { bits, extra, .. } = length_slot(step.length);
            out.bits(extra as u64, bits);
        }
        if let Some(distance) = step.new_distance() {
            let Slot { symbol, bits, extra } = distance_slot(distance);
            self.distances[distance_code(step.length)].write(out, symbol);
            out.bits(extra as u64, bits);
        }
    }
}
