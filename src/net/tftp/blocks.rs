//! Which block is which: 16-bit numbers on the wire, counted past their end, in windows.

use super::LARGEST_WINDOW;

/// Blocks of which it can be remembered that they came early: a power of two, so that the numbers' rollover is none here.
const REMEMBERED: usize = 256;
const _: () = assert!((LARGEST_WINDOW as usize) < REMEMBERED);

/// A server that went back to a gap is told to skip what came behind it only where that spares it so many blocks: one answer costs about
/// as much as a few blocks, and the server sends some more until it has it.
const WORTH_SKIPPING: u16 = 8;

/// Where a received block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the one that is wanted.
    Next,
    /// It lies so many blocks further on in the window: something before it was lost, or overtaken.
    Ahead(u16),
    /// It was received before, or is no block of this window.
    Other,
}

/// The receiver's view of the sequence of blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    /// The last one's number on the wire; 0 before the first. Behind a gap nothing counts, whether it has come or not.
    last: u16,
    /// The next one's number on the wire.
    next: u16,
    /// Blocks between two acknowledgements.
    window: u16,
    /// Blocks received since the last acknowledgement.
    unacknowledged: u16,
    /// The present gap has been answered.
    gap_answered: bool,
    /// Blocks that came early: how many, which, and the furthest of them.
    kept: u16,
    early: [u64; REMEMBERED / 64],
    furthest: u16,
    /// The last block that the server would have sent without its going back to the gap.
    burst_end: u16,
    /// When this block comes again, the server has gone back in the middle of a burst, so it reads what it is told while it sends.
    telling: Option<u16>,
}

impl Blocks {
    /// Before the first block, in windows of `window` (at least 1).
    pub fn new(window: u16) -> Self {
        Self {
            last: 0,
            next: 1,
            window: window.max(1),
            unacknowledged: 0,
            gap_answered: false,
            kept: 0,
            early: [0; REMEMBERED / 64],
            furthest: 0,
            burst_end: 0,
            telling: None,
        }
    }

    /// The number to acknowledge: the last block received in order.
    pub fn last(&self) -> u16 {
        self.last
    }

    pub fn window(&self) -> u16 {
        self.window
    }

    /// Where the block numbered `number` stands.
    ///
    /// After 65535 comes 0, or 1 with some servers. Without a window the two cannot be confused, because the server waits for
    /// its acknowledgement; inside a window a 1 might also follow a lost 0, so there it counts as ahead.
    #[inline]
    pub fn place(&self, number: u16) -> Place {
        match number.wrapping_sub(self.next) {
            0 => Place::Next,
            1 if self.window == 1 && self.next == 0 => Place::Next,
            distance if distance < self.window => Place::Ahead(distance),
            _ => Place::Other,
        }
    }

    /// Counts the block `number`, whose place is [`Place::Next`]; says whether its window is complete.
    #[inline]
    pub fn accept(&mut self, number: u16) -> bool {
        self.last = number;
        self.next = number.wrapping_add(1);
        self.gap_answered = false;
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        self.unacknowledged >= self.window
    }

    /// Whether blocks behind the next one have come.
    #[inline]
    pub fn has_kept(&self) -> bool {
        self.kept > 0
    }

    /// The furthest block that came early, if one did.
    pub fn furthest(&self) -> Option<u16> {
        (self.kept > 0).then_some(self.furthest)
    }

    /// Whether the block `number` has come early.
    pub fn is_kept(&self, number: u16) -> bool {
        let (word, bit) = place_of(number);
        self.early.get(word).is_some_and(|early| early & bit != 0)
    }

    /// Remembers the block `number`, whose place is [`Place::Ahead`].
    pub fn keep(&mut self, number: u16) {
        let (word, bit) = place_of(number);
        if let Some(early) = self.early.get_mut(word) {
            *early |= bit;
        }
        if self.kept == 0 || is_behind(number, self.furthest) {
            self.furthest = number;
        }
        self.kept += 1;
    }

    /// The gap is filled: counts the blocks that came early, up to the next gap. Says how many, and whether a window is complete.
    pub fn join(&mut self) -> (u16, bool) {
        let filled = self.last;
        let mut joined = 0;
        while self.is_kept(self.next) {
            let (word, bit) = place_of(self.next);
            if let Some(early) = self.early.get_mut(word) {
                *early &= !bit;
            }
            self.accept(self.next);
            joined += 1;
        }
        self.kept = self.kept.saturating_sub(joined);
        if joined >= WORTH_SKIPPING && is_behind(self.burst_end, self.furthest) {
            self.telling = Some(filled.wrapping_add(1));
        }
        (joined, self.unacknowledged >= self.window)
    }

    /// A block came again. True where the server sends once more what came behind a gap and can be told, once, to skip that.
    pub fn can_skip(&mut self, number: u16) -> bool {
        let telling = self.telling == Some(number);
        if telling {
            self.telling = None;
        }
        telling
    }

    /// An acknowledgement goes out: the server starts its next window behind it.
    #[inline]
    pub fn acknowledged(&mut self) {
        self.unacknowledged = 0;
    }

    /// A block came from ahead; says whether that is the first sign of this gap, which alone is answered.
    pub fn gap(&mut self) -> bool {
        if self.gap_answered {
            return false;
        }
        self.gap_answered = true;
        self.telling = None;
        self.burst_end = self.last.wrapping_add(self.window.saturating_sub(self.unacknowledged));
        true
    }

    /// Whether the number that rolls over is wanted, and blocks came that lie behind it: perhaps the server skips 0.
    pub fn stuck_at_rollover(&self) -> bool {
        self.next == 0 && self.window > 1 && self.gap_answered
    }
}

/// Where it is kept whether the block `number` has come.
fn place_of(number: u16) -> (usize, u64) {
    let place = usize::from(number) % REMEMBERED;
    (place / 64, 1 << (place % 64))
}

/// Whether `number` comes after `other`, less than half of all numbers further on.
pub(super) fn is_behind(number: u16, other: u16) -> bool {
    (1..0x8000).contains(&number.wrapping_sub(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(count: u64, window: u16) -> Blocks {
        let mut blocks = Blocks::new(window);
        for number in 1..=count {
            assert_eq!(blocks.place(number as u16), Place::Next);
            if blocks.accept(number as u16) {
                blocks.acknowledged();
            }
        }
        blocks
    }

    #[test]
    fn a_window_is_complete_with_its_last_block() {
        let mut blocks = Blocks::new(3);
        assert_eq!([blocks.accept(1), blocks.accept(2), blocks.accept(3)], [false, false, true]);
        blocks.acknowledged();
        assert!(!blocks.accept(4));
    }

    #[test]
    fn numbers_go_on_with_zero_after_65535() {
        let blocks = after(65_535, 4);
        assert_eq!(blocks.place(0), Place::Next);
        assert_eq!(blocks.place(1), Place::Ahead(1));
        assert_eq!(blocks.place(65_535), Place::Other);
        assert_eq!(after(65_536 + 10, 4).last(), 10);
    }

    #[test]
    fn without_a_window_numbers_may_go_on_with_one() {
        let mut blocks = after(65_535, 1);
        assert_eq!(blocks.place(1), Place::Next);
        blocks.accept(1);
        assert_eq!((blocks.place(2), blocks.place(1)), (Place::Next, Place::Other));
    }

    #[test]
    fn only_blocks_of_this_window_lie_ahead() {
        let blocks = after(10, 4);
        assert_eq!([11, 12, 14, 15, 10, 0].map(|number| blocks.place(number)), {
            use Place::{Ahead, Next, Other};
            [Next, Ahead(1), Ahead(3), Other, Other, Other]
        });
    }

    #[test]
    fn a_gap_is_answered_once_until_its_block_comes() {
        let mut blocks = after(4, 8);
        assert_eq!([blocks.gap(), blocks.gap()], [true, false]);
        blocks.accept(5);
        assert!(blocks.gap());
    }

    #[test]
    fn what_came_early_counts_once_the_gap_is_filled_also_past_the_rollover() {
        let mut blocks = after(65_534, 8);
        for number in [0, 1, 3] {
            assert!(matches!(blocks.place(number), Place::Ahead(_)) && !blocks.is_kept(number));
            blocks.keep(number);
        }
        assert_eq!((blocks.last(), blocks.furthest()), (65_534, Some(3)));
        blocks.accept(65_535);
        assert_eq!(blocks.join().0, 2);
        assert_eq!((blocks.last(), blocks.place(2), blocks.has_kept()), (1, Place::Next, true));
        blocks.accept(2);
        assert_eq!(blocks.join().0, 1);
        assert_eq!((blocks.last(), blocks.furthest()), (3, None));
    }

    #[test]
    fn only_a_server_that_went_back_in_mid_burst_is_told_to_skip() {
        // Blocks 2 to `seen` came after the gap at 1; then 1, and 2 again.
        let skips = |seen: u16| {
            let mut blocks = Blocks::new(64);
            blocks.gap();
            blocks.acknowledged();
            (2..=seen).for_each(|number| blocks.keep(number));
            blocks.accept(1);
            blocks.join();
            [blocks.can_skip(3), blocks.can_skip(2), blocks.can_skip(2)]
        };
        assert_eq!(skips(20), [false, true, false]);
        assert_eq!(skips(64), [false, false, false], "it may have sent its burst to the end first");
        assert_eq!(skips(4), [false, false, false], "it is not worth it");
    }
}
