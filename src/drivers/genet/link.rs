//! The look at the link: how often, what counts as up, and when a PHY that finds none is told to try again.

use super::broadcom::TransmitDelay;
use super::error::Error;
use super::phy::Phy;
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
            return match phy.begin_status(now) {
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

#[cfg(test)]
mod tests {
    use super::super::rig::{BCM54213PE, Management};
    use super::*;
    use crate::drivers::models::VirtualClock;

    const GIGABIT: Link = Link::Up { megabits: 1000, full_duplex: true };
    const NOTHING: u16 = 0x7949;
    const LINK: u16 = 0x796d;

    struct Watch<'a> {
        bus: &'a Management,
        phy: Phy<&'a Management, &'a VirtualClock>,
        monitor: Monitor,
        milliseconds: u64,
    }

    impl<'a> Watch<'a> {
        fn new(bus: &'a Management, clock: &'a VirtualClock) -> Self {
            bus.set(25, 0x0700);
            let phy = Phy::find(bus, clock, None).unwrap();
            bus.accesses.borrow_mut().clear();
            Self { bus, phy, monitor: Monitor::new(Instant::default()), milliseconds: 0 }
        }
        /// Polls once a millisecond; the changes with the time of each.
        fn run(&mut self, milliseconds: u64) -> Vec<(u64, Change)> {
            let mut changes = Vec::new();
            for _ in 0..milliseconds {
                let now = Instant::from_micros(self.milliseconds * 1000);
                if let Some(change) = self.monitor.poll(&mut self.phy, TransmitDelay::Controller, now) {
                    changes.push((self.milliseconds, change));
                }
                self.milliseconds += 1;
            }
            changes
        }
        fn run_until(&mut self, wanted: impl Fn(&Monitor) -> bool) {
            for _ in 0..1000 {
                self.run(1);
                if wanted(&self.monitor) {
                    return;
                }
            }
            panic!("not within a second: {:?}", self.monitor);
        }
        fn looks(&self) -> usize {
            self.bus.accesses.borrow().iter().filter(|(register, _)| *register == 1).count()
        }
    }

    #[test]
    fn a_link_that_is_there_is_seen_at_once_and_looked_at_ten_times_a_second() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        bus.set(1, LINK);
        let mut watch = Watch::new(&bus, &clock);
        // Busy for two reads: asked at 0, still on its way at 1 and 2, there at 3.
        assert_eq!(watch.run(1000), [(3, Change::Up(GIGABIT))]);
        assert_eq!(watch.monitor.link(), GIGABIT);
        let looks = watch.looks();
        assert!((9..=11).contains(&looks), "{looks} looks in a second");
    }

    #[test]
    fn without_a_link_it_looks_fifty_times_a_second() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut watch = Watch::new(&bus, &clock);
        assert_eq!(watch.run(1000), []);
        let looks = watch.looks();
        assert!((40..=50).contains(&looks), "{looks} looks in a second");
    }

    #[test]
    fn a_loss_and_a_return_are_seen_also_when_the_return_came_first() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        bus.set(1, LINK);
        let mut watch = Watch::new(&bus, &clock);
        watch.run(50);
        bus.set(1, NOTHING);
        let lost = watch.run(100);
        assert!(matches!(lost[..], [(_, Change::Down)]), "{lost:?}");
        assert_eq!(watch.monitor.link(), Link::Down);
        assert_eq!(watch.monitor.losses, 1);
        bus.set(1, LINK);
        bus.set(25, 0x0500);
        let back = watch.run(30);
        assert!(matches!(back[..], [(_, Change::Up(Link::Up { megabits: 100, full_duplex: true }))]), "{back:?}");

        // Latched: reads 0 once, then what is.
        bus.set(1, NOTHING);
        watch.run_until(|monitor| monitor.link() == Link::Down);
        bus.set(1, LINK);
        let back = watch.run(4);
        assert!(matches!(back[..], [(_, Change::Up(_))]), "at once, not after 20 ms: {back:?}");
        assert_eq!(watch.monitor.losses, 2);
    }

    #[test]
    fn a_phy_without_a_link_negotiates_anew_after_five_seconds_and_is_reset_each_fifteen() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut watch = Watch::new(&bus, &clock);
        watch.run(5000);
        assert_eq!(bus.written(0), []);
        watch.run(100);
        assert_eq!(bus.written(0), [0x1200], "first without a reset");
        watch.run(14_900);
        assert_eq!(bus.written(0), [0x1200]);
        watch.run(200);
        assert_eq!(bus.written(0), [0x1200, 0x9000, 0x1200]);
        assert_eq!(bus.auxiliary.borrow()[7], 0x100, "the reset's loss of delays is made good");
        watch.run(15_200);
        assert_eq!(bus.written(0), [0x1200, 0x9000, 0x1200, 0x9000, 0x1200]);
    }

    #[test]
    fn after_a_link_the_five_seconds_start_anew() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut watch = Watch::new(&bus, &clock);
        watch.run(5500);
        assert_eq!(bus.written(0), [0x1200]);
        bus.set(1, LINK);
        watch.run(10_000);
        bus.set(1, NOTHING);
        watch.run(4900);
        assert_eq!(bus.written(0), [0x1200]);
        watch.run(400);
        assert_eq!(bus.written(0), [0x1200, 0x1200], "and the next attempt is the gentle one again");
    }

    #[test]
    fn two_failed_looks_are_borne_the_third_loses_the_link() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        bus.set(1, LINK);
        let mut watch = Watch::new(&bus, &clock);
        watch.run(50);
        bus.phy.set(9);
        watch.run_until(|monitor| monitor.failed_looks == 2);
        assert_eq!(watch.monitor.link(), GIGABIT);
        bus.phy.set(1);
        assert_eq!(watch.run(500), []);
        assert_eq!(watch.monitor.link(), GIGABIT);
        bus.phy.set(9);
        watch.run_until(|monitor| monitor.failed_looks == 4);
        assert_eq!(watch.monitor.link(), GIGABIT, "it takes three in a row");
        watch.run_until(|monitor| monitor.link() == Link::Down);
        assert_eq!(watch.monitor.failed_looks, 5);
        assert_eq!(watch.monitor.losses, 1);
        bus.phy.set(1);
        let back = watch.run(100);
        assert!(matches!(back[..], [(_, Change::Up(GIGABIT))]), "{back:?}");
    }

    #[test]
    fn a_bus_that_stays_busy_is_counted_and_hangs_nothing() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        let mut watch = Watch::new(&bus, &clock);
        bus.busy_reads.set(usize::MAX);
        let before = clock.now();
        watch.run(1000);
        assert!(watch.monitor.failed_looks > 10);
        assert!(clock.now().since(before) < Duration::from_millis(10), "no poll waited");
    }

    #[test]
    fn an_access_in_between_does_not_end_the_watch() {
        let (bus, clock) = (Management::new(1, BCM54213PE), VirtualClock::default());
        bus.set(1, LINK);
        let mut watch = Watch::new(&bus, &clock);
        watch.run(1);
        assert!(watch.phy.is_asked());
        watch.phy.set_delays(TransmitDelay::Phy).unwrap();
        assert!(matches!(watch.run(10)[..], [(_, Change::Up(GIGABIT))]));
    }
}
