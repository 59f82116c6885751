//! The look at the link: how often, what counts as up, and when a PHY that finds none is told to try again.

use super::error::Error;
use super::phy::{Phy, TransmitDelay};
use crate::mmio::Bus;
use crate::net::device::Link;
use crate::time::{Clock, Duration, Instant};

/// Between two looks while there is no link.
const LOOK_DOWN: Duration = Duration::from_millis(20);
/// Between two looks at a link that is up.
const LOOK_UP: Duration = Duration::from_millis(100);
/// A PHY that finds no link for this long negotiates anew (a real link takes about 3 s).
const PATIENCE: Duration = Duration::from_secs(5);
/// Later attempts, each with a reset, leave more time: a negotiation that steps down in speed needs several rounds.
const LATER_PATIENCE: Duration = Duration::from_secs(15);
/// So many looks in a row may fail before the link counts as lost.
const FAILURES: u32 = 3;

/// What a look at the link brought to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// There is a link now.
    Up(Link),
    /// The link is gone.
    Down,
}

/// The link as last seen.
#[derive(Debug)]
pub(super) struct Monitor {
    link: Link,
    next_look: Instant,
    /// Since when there has been neither a link nor a new attempt at one.
    without_since: Instant,
    attempts: u32,
    failures: u32,
    /// Looks that failed, since the start.
    pub failed_looks: u64,
    /// Links lost, since the start.
    pub losses: u64,
}

impl Monitor {
    pub const fn new(now: Instant) -> Self {
        Self {
            link: Link::Down,
            next_look: now,
            without_since: now,
            attempts: 0,
            failures: 0,
            failed_looks: 0,
            losses: 0,
        }
    }

    pub const fn link(&self) -> Link {
        self.link
    }

    /// One step: asks the PHY, or fetches its answer, or does nothing because it is too early. Costs one or two register accesses,
    /// and a handful of MDIO accesses when something has changed.
    pub fn poll<B: Bus + Copy, C: Clock + Copy>(
        &mut self,
        phy: &mut Phy<B, C>,
        delay: TransmitDelay,
        now: Instant,
    ) -> Option<Change> {
        if !phy.is_asked() {
            if now < self.next_look {
                return None;
            }
            return match phy.begin_status() {
                Ok(()) => None,
                Err(error) => self.failed(error, now),
            };
        }
        let answer = phy.finish_status(now)?;
        let up = match answer {
            Ok(up) => up,
            Err(error) => return self.failed(error, now),
        };
        self.failures = 0;
        match (self.link, up) {
            (Link::Down, true) => match phy.resolve() {
                Ok(link) => {
                    self.link = link;
                    self.attempts = 0;
                    self.next_look = now.after(LOOK_UP);
                    Some(Change::Up(link))
                }
                Err(error) => self.failed(error, now),
            },
            (Link::Up { .. }, false) => Some(self.lost(now)),
            (Link::Up { .. }, true) => {
                self.next_look = now.after(LOOK_UP);
                None
            }
            (Link::Down, false) => {
                self.next_look = now.after(LOOK_DOWN);
                self.try_again(phy, delay, now);
                None
            }
        }
    }

    fn lost(&mut self, now: Instant) -> Change {
        self.link = Link::Down;
        self.losses += 1;
        self.without_since = now;
        // The status register latches a loss: the link may be back already.
        self.next_look = now;
        Change::Down
    }

    fn failed(&mut self, error: Error, now: Instant) -> Option<Change> {
        self.failed_looks += 1;
        self.failures += 1;
        self.next_look = now.after(LOOK_DOWN);
        if self.failures == FAILURES {
            log::warn!("{error}");
        }
        if self.failures < FAILURES || self.link == Link::Down {
            return None;
        }
        Some(self.lost(now))
    }

    fn try_again<B: Bus + Copy, C: Clock + Copy>(&mut self, phy: &mut Phy<B, C>, delay: TransmitDelay, now: Instant) {
        let patience = if self.attempts == 0 { PATIENCE } else { LATER_PATIENCE };
        if now.since(self.without_since) < patience {
            return;
        }
        self.without_since = now;
        let result = if self.attempts == 0 { phy.negotiate() } else { phy.start_over(delay) };
        self.attempts = self.attempts.saturating_add(1);
        match result {
            Ok(()) => log::info!("Ethernet: no link for {} s, PHY negotiates anew", patience.as_secs()),
            Err(error) => log::warn!("{error}"),
        }
    }
}
