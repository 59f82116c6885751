//! Huffman codes of bounded length, and the stream that they are written to.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::format::PADDING;

/// A canonical code.
#[derive(Clone, Debug)]
pub struct Code {
    lengths: Vec<u8>,
    /// The first bit is the lowest.
    words: Vec<u64>,
    /// What a symbol that has no code yet is taken to cost.
    longest: u32,
}

impl Code {
    /// The shortest code, in which no symbol has more than `longest` bits, for symbols that occur so often.
    pub fn new(counts: &[u32], longest: usize) -> Self {
        let mut weights = counts.to_vec();
        let mut lengths = lengths(&weights);
        // Not the very best code with this bound, but it is seldom met, and by rare symbols only.
        while lengths.iter().any(|length| usize::from(*length) > longest) {
            weights.iter_mut().filter(|weight| **weight > 0).for_each(|weight| *weight = *weight / 2 + 1);
            lengths = self::lengths(&weights);
        }
        let mut words = vec![0; counts.len()];
        let mut code = 0_u64;
        for length in 1..=longest as u32 {
            for (word, _) in words.iter_mut().zip(&lengths).filter(|(_, found)| u32::from(**found) == length) {
                *word = code.reverse_bits() >> (u64::BITS - length);
                code += 1;
            }
            code *= 2;
        }
        Self { lengths, words, longest: longest as u32 }
    }

    /// What symbols are taken to cost before they have been counted. It cannot be written with.
    pub fn guess(lengths: Vec<u8>) -> Self {
        Self { words: Vec::new(), longest: 0, lengths }
    }

    /// Bits of each symbol's code; 0 where it has none.
    pub fn lengths(&self) -> &[u8] {
        &self.lengths
    }

    /// The bits that `symbol` takes.
    pub fn cost(&self, symbol: usize) -> u32 {
        let length = u32::from(self.lengths[symbol]);
        if length == 0 { self.longest } else { length }
    }

    /// Writes `symbol`.
    pub fn write(&self, out: &mut Writer, symbol: usize) {
        out.bits(self.words[symbol], u32::from(self.lengths[symbol]));
    }
}

/// The lengths of Huffman's code.
fn lengths(weights: &[u32]) -> Vec<u8> {
    let mut heap: BinaryHeap<_> = (0..)
        .zip(weights)
        .filter(|(_, weight)| **weight > 0)
        .map(|(node, weight)| Reverse((u64::from(*weight), node)))
        .collect();
    let mut lengths = vec![0_u8; weights.len()];
    if let (1, Some(Reverse((_, only)))) = (heap.len(), heap.peek()) {
        lengths[*only] = 1;
        return lengths;
    }
    let mut parents = vec![0_usize; 2 * weights.len()];
    let mut next = weights.len();
    while let (Some(Reverse((one, first))), Some(Reverse((other, second)))) = (heap.pop(), heap.pop()) {
        (parents[first], parents[second]) = (next, next);
        heap.push(Reverse((one + other, next)));
        next += 1;
    }
    // Parents have higher numbers than their children; the last is the root.
    let root = next - 1;
    let mut depths = vec![0_u8; next];
    for node in (0..root).rev() {
        depths[node] = depths[parents[node]].saturating_add(u8::from(parents[node] != 0));
    }
    for ((length, depth), weight) in lengths.iter_mut().zip(depths).zip(weights) {
        *length = if *weight > 0 { depth } else { 0 };
    }
    lengths
}

/// A stream of bits, the least significant first.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Writer {
    /// Whole bytes, before any bits.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The lowest `count` bits, at most 32, of `value`, which has no others.
    pub fn bits(&mut self, value: u64, count: u32) {
        self.held |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// All of it, with the padding.
    pub fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.held as u8);
        }
        self.bytes.extend_from_slice(&[0; PADDING]);
        self.bytes
    }
}
