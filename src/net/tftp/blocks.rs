//! Which block is which: 16-bit numbers on the wire, counted past their end, in windows.

/// Where a received block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the one that is wanted.
    Next,
    /// It lies further on in the window: something before it was lost, or overtaken.
    Ahead,
    /// It was received before, or is no block of this window.
    Other,
}

/// The receiver's view of the sequence of blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    /// The last one's number on the wire; 0 before the first.
    last: u16,
    /// The next one's number on the wire.
    next: u16,
    /// Blocks between two acknowledgements.
    window: u16,
    /// Blocks received since the last acknowledgement.
    unacknowledged: u16,
    /// The present gap has been answered.
    gap_answered: bool,
}

impl Blocks {
    /// Before the first block, in windows of `window` (at least 1).
    pub fn new(window: u16) -> Self {
        Self { last: 0, next: 1, window: window.max(1), unacknowledged: 0, gap_answered: false }
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
    pub fn place(&self, number: u16) -> Place {
        match number.wrapping_sub(self.next) {
            0 => Place::Next,
            1 if self.window == 1 && self.next == 0 => Place::Next,
            distance if distance < self.window => Place::Ahead,
            _ => Place::Other,
        }
    }

    /// Counts the block `number`, whose place is [`Place::Next`]; says whether its window is complete.
    pub fn accept(&mut self, number: u16) -> bool {
        self.last = number;
        self.next = number.wrapping_add(1);
        self.gap_answered = false;
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        self.unacknowledged >= self.window
    }

    /// An acknowledgement goes out: the server starts its next window behind it.
    pub fn acknowledged(&mut self) {
        self.unacknowledged = 0;
    }

    /// A block came from ahead; says whether that is the first sign of this gap, which alone is answered.
    pub fn gap(&mut self) -> bool {
        !core::mem::replace(&mut self.gap_answered, true)
    }

    /// Whether the number that rolls over is wanted, and blocks came that lie behind it: perhaps the server skips 0.
    pub fn stuck_at_rollover(&self) -> bool {
        self.next == 0 && self.window > 1 && self.gap_answered
    }
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
        assert_eq!(blocks.place(1), Place::Ahead);
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
            [Next, Ahead, Ahead, Other, Other, Other]
        });
    }

    #[test]
    fn a_gap_is_answered_once_until_its_block_comes() {
        let mut blocks = after(4, 8);
        assert_eq!([blocks.gap(), blocks.gap()], [true, false]);
        blocks.accept(5);
        assert!(blocks.gap());
    }
}
