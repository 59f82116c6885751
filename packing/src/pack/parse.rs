//! The shortest way through an image.

use alloc::vec;
use alloc::vec::Vec;

use super::Codes;
use super::matches::Match;
use crate::format::*;

/// Of a match longer than this, shorter parts are hardly ever better.
const LONG: usize = 300;
/// How many of the longest parts of such a match are tried.
const TRIED: usize = 8;

/// One step of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where in the image.
    pub place: usize,
    /// How many bytes.
    pub length: usize,
    /// What it is a match with; `None` for a byte that stands for itself.
    pub distance: Option<Distance>,
}

/// How far back a match is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// As far as the match before.
    Same,
    /// So many bytes.
    New(usize),
}

impl Step {
    /// Its first symbol.
    pub fn symbol(&self, image: &[u8]) -> usize {
        match self.distance {
            None => usize::from(image[self.place]),
            Some(Distance::New(_)) => 256 + length_slot(self.length).symbol,
            Some(Distance::Same) => 256 + LENGTHS + length_slot(self.length).symbol,
        }
    }

    /// Its distance, where that is written.
    pub fn new_distance(&self) -> Option<usize> {
        match self.distance {
            Some(Distance::New(distance)) => Some(distance),
            _ => None,
        }
    }
}

/// The best that is known of how to come to a place.
#[derive(Clone, Copy)]
struct Arrival {
    bits: u32,
    length: usize,
    distance: Option<Distance>,
}

/// The steps that take the fewest bits, if the codes were these. Not quite: which distance is the last one depends on the way, and of all ways to a
/// place only the shortest is followed.
pub fn shortest(image: &[u8], matches: &[Vec<Match>], codes: &[Codes]) -> Vec<Step> {
    let nowhere = Arrival { bits: u32::MAX, length: 1, distance: None };
    let mut arrivals = vec![nowhere; image.len() + 1];
    arrivals[0].bits = 0;
    let mut last = vec![0; image.len()];
    for place in 0..image.len() {
        let Arrival { bits, length, distance } = arrivals[place];
        last[place] = match distance {
            Some(Distance::New(distance)) => distance,
            _ => place.checked_sub(length).map_or(0, |from| last[from]),
        };
        let codes = &codes[place / BLOCK];
        let lane = &codes.lanes[place % LANES];
        let mut come = |length: usize, bits: u32, distance| {
            let arrival = &mut arrivals[place + length];
            if bits < arrival.bits {
                *arrival = Arrival { bits, length, distance };
            }
        };
        come(1, bits + lane.cost(usize::from(image[place])), None);

        if last[place] > 0 {
            let there = image[place - last[place]..].iter();
            let length = there.zip(&image[place..]).take(LONGEST_MATCH).take_while(|(one, other)| one == other).count();
            for length in parts(SHORTEST_MATCH, length) {
                let Slot { symbol, bits: extra, .. } = length_slot(length);
                come(length, bits + lane.cost(256 + LENGTHS + symbol) + extra, Some(Distance::Same));
            }
        }
        let mut first = SHORTEST_MATCH;
        for &Match { length, distance } in &matches[place] {
            let Slot { symbol: distance_symbol, bits: distance_extra, .. } = distance_slot(distance);
            for length in parts(first, length) {
                let Slot { symbol, bits: extra, .. } = length_slot(length);
                let code = &codes.distances[distance_code(length)];
                let cost = lane.cost(256 + symbol) + extra + code.cost(distance_symbol) + distance_extra;
                come(length, bits + cost, Some(Distance::New(distance)));
            }
            first = length + 1;
        }
    }
    let mut steps = Vec::new();
    let mut end = image.len();
    while end > 0 {
        let Arrival { length, distance, .. } = arrivals[end];
        end -= length;
        steps.push(Step { place: end, length, distance });
    }
    steps.reverse();
    steps
}

/// The lengths that are tried of a match of `length` bytes.
fn parts(first: usize, length: usize) -> core::ops::RangeInclusive<usize> {
    if length > LONG { first.max(length - TRIED)..=length } else { first..=length }
}
