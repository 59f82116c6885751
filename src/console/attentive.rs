//! A clock for drivers that wait, and walks that take long: whatever it is, the console is looked at meanwhile.

use crate::time::{Clock, Duration, Instant};

/// Time between two looks: half of what the mini UART's FIFO takes to overflow.
const INTERVAL: Duration = Duration::from_micros(300);

/// Items of a walk between two looks: nodes of a tree take some 2 us each.
const ITEMS: usize = 64;

/// `items`, with looks at the console in between: a tree has hundreds of nodes, or as many as somebody likes.
pub fn attentively<T>(items: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    items.enumerate().map(|(index, item)| {
        if index % ITEMS == 0 {
            super::poll();
        }
        item
    })
}

/// A clock whose waits look at the one console: drivers know none, and a card may take a second to power up.
#[derive(Clone, Copy, Debug)]
pub struct Attentive<C>(pub C);

impl<C: Clock> Clock for Attentive<C> {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wait_until(&self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        super::poll();
        let mut looked = self.now();
        let end = looked.after(limit);
        loop {
            if condition() {
                return true;
            }
            let now = self.now();
            if now >= end {
                return condition();
            }
            if now.since(looked) >= INTERVAL {
                super::poll();
                looked = now;
            }
        }
    }
}
