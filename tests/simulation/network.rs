//! Datagrams under way: lost, doubled, delayed and so reordered, as a seeded generator says.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddrV4;
use std::time::Duration;
use xenlift::time::Instant;

/// A small generator (xorshift64*), so that a seed is all that a failing run needs to be repeated.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        if limit == 0 { 0 } else { self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit }
    }

    /// True `permille` times out of a thousand.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }
}

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub lost_permille: u64,
    pub doubled_permille: u64,
    /// The time that each datagram takes.
    pub delay: Duration,
    /// What comes on top at most; more than the time between two datagrams reorders them.
    pub jitter: Duration,
    /// Datagrams that are lost for certain at the start, in both directions together.
    pub lost_at_start: u32,
    /// Longer datagrams vanish, as on a path with a small MTU that does not fragment.
    pub longest: usize,
}

impl Faults {
    pub const NONE: Self = Self {
        lost_permille: 0,
        doubled_permille: 0,
        delay: Duration::from_micros(60),
        jitter: Duration::ZERO,
        lost_at_start: 0,
        longest: usize::MAX,
    };
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datagram {
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub bytes: Vec<u8>,
}

pub struct Network {
    pub faults: Faults,
    random: Random,
    under_way: BinaryHeap<Reverse<(Instant, u64, Datagram)>>,
    sent: u64,
}

impl Network {
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, random: Random::new(seed), under_way: BinaryHeap::new(), sent: 0 }
    }

    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        if self.faults.lost_at_start > 0 {
            self.faults.lost_at_start -= 1;
            return;
        }
        let copies = 1 + u32::from(self.random.chance(self.faults.doubled_permille));
        for _ in 0..copies {
            if datagram.bytes.len() > self.faults.longest || self.random.chance(self.faults.lost_permille) {
                continue;
            }
            let jitter = self.random.below(self.faults.jitter.as_micros() as u64 + 1);
            let arrival = now.after(self.faults.delay + Duration::from_micros(jitter));
            self.sent += 1;
            self.under_way.push(Reverse((arrival, self.sent, datagram.clone())));
        }
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse((at, _, _))| *at)
    }

    pub fn receive(&mut self, now: Instant) -> Option<Datagram> {
        if self.next_arrival()? > now {
            return None;
        }
        self.under_way.pop().map(|Reverse((_, _, datagram))| datagram)
    }
}
