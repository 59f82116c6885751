//! Getting onto the network: link, lease, and an answer from the next hop, each waited for with a bound.

use super::turn::{FRAMES_PER_TURN, Transfer};
use super::{Error, Event, Observer, Session, Waiting};
use crate::net::device::{EthernetController, Link};
use crate::time::{Clock, Duration, Instant};
use core::net::Ipv4Addr;

/// With the link up and questions out, silence for so long lets the controller try another way.
const NO_ANSWER: Duration = Duration::from_secs(3);

/// Times between ARP requests: the first is doubled each time, up to the last.
const FIRST_ASKED_AGAIN: Duration = Duration::from_millis(100);
const LAST_ASKED_AGAIN: Duration = Duration::from_millis(800);

/// How long a DHCP server is waited for where the lease that is to be renewed still lasts.
const RENEWAL: Duration = Duration::from_secs(1);

impl<C: EthernetController, K: Clock> Session<C, K> {
    /// Waits until there is a link and an address. Where a lease is half over and nobody renews it, it serves as long as it lasts.
    ///
    /// # Errors
    /// [`Error::NoLink`], [`Error::NoLease`], [`Error::Interface`], [`Error::Aborted`].
    pub fn connect(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        observer.event(Event::Waiting { what: Waiting::Link, limit: self.limits.link });
        let result = self.until_connected(observer);
        observer.event(Event::Waited { came: result.is_ok() });
        result
    }

    fn until_connected(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let (mut since, mut for_lease) = (self.clock.now(), false);
        loop {
            let now = self.clock.now();
            if !observer.poll(now) {
                return Err(Error::Aborted);
            }
            if self.advance(now, observer)? {
                return Ok(());
            }
            let waited = now.since(since);
            if for_lease && waited >= RENEWAL && self.goes_on_with_lease(now) {
                return Ok(());
            }
            if for_lease && waited >= self.limits.lease {
                let answers = self.interface.dhcp_answers();
                self.stop_asking();
                let (link, frames) = (self.interface.link(), self.interface.counters().received);
                return Err(Error::NoLease { waited, link, frames, answers });
            }
            if !for_lease && self.link_up {
                (since, for_lease) = (now, true);
                observer.event(Event::Waited { came: true });
                observer.event(Event::Waiting { what: Waiting::Lease, limit: self.limits.lease });
            } else if !for_lease && waited >= self.limits.link {
                return Err(Error::NoLink { waited });
            }
        }
    }

    /// Asks later for a lease that still lasts; false where there is none.
    fn goes_on_with_lease(&mut self, now: Instant) -> bool {
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.lasts(now)) else { return false };
        lease.put_renewal_off(now);
        self.stop_asking();
        true
    }

    /// Goes on towards link and address without waiting for either; true once both are there. For whoever waits for something
    /// else, a key perhaps: called every now and then, it has DHCP servers asked the moment that the link is up. `observer` is told
    /// of link and lease, and not polled.
    ///
    /// # Errors
    /// [`Error::Interface`] where an address that settings or DHCP give cannot be used.
    pub fn advance(&mut self, now: Instant, observer: &mut dyn Observer) -> Result<bool, Error> {
        let link_was_up = self.link_up;
        self.look_at_link(now, observer);
        let lease_holds = self.lease.as_ref().is_some_and(|lease| !lease.is_old(now));
        match (self.network.address, self.interface.address()) {
            (Some(_), Some(_)) => {}
            (Some(own), None) => self.interface.configure(own.address, own.prefix, self.network.gateway)?,
            (None, Some(_)) if lease_holds => {}
            (None, _) if self.link_up => {
                if self.asking.is_none() || !link_was_up {
                    self.ask_anew(now);
                }
                return self.ask_for_lease(now, observer);
            }
            (None, _) => {}
        }
        self.serve(now, &mut []);
        Ok(self.link_up)
    }

    pub(super) fn look_at_link(&mut self, now: Instant, observer: &mut dyn Observer) {
        let link = self.interface.poll_link(now);
        let up = link != Link::Down;
        if up != self.link_up {
            (self.link_up, self.way_works) = (up, false);
            observer.event(Event::Link(link));
        }
    }

    /// Waits for the link to come back; says how long that took.
    pub(super) fn wait_for_return(&mut self, lost_at: Instant, observer: &mut dyn Observer) -> Result<Duration, Error> {
        observer.event(Event::Waiting { what: Waiting::Link, limit: self.limits.link_return });
        let result = self.until_return(lost_at, observer);
        observer.event(Event::Waited { came: result.is_ok() });
        result
    }

    fn until_return(&mut self, lost_at: Instant, observer: &mut dyn Observer) -> Result<Duration, Error> {
        loop {
            let now = self.clock.now();
            let waited = now.since(lost_at);
            if !observer.poll(now) {
                return Err(Error::Aborted);
            }
            self.look_at_link(now, observer);
            if self.link_up {
                return Ok(waited);
            }
            if waited >= self.limits.link_return {
                return Err(Error::LinkLost { waited });
            }
        }
    }

    /// Starts to ask for a lease, from the beginning. An address that is there stays in use meanwhile.
    fn ask_anew(&mut self, now: Instant) {
        self.interface.start_dhcp(now);
        self.asking = Some(now);
    }

    pub(super) fn stop_asking(&mut self) {
        self.interface.stop_dhcp();
        self.asking = None;
    }

    /// Looks for answers of DHCP servers and sends what is due; true once there is a lease, whose address is taken. Answers come
    /// first: if nobody has looked for a while, one may be waiting that the next DISCOVER would make void.
    fn ask_for_lease(&mut self, now: Instant, observer: &mut dyn Observer) -> Result<bool, Error> {
        let mut frames = 0;
        while frames < FRAMES_PER_TURN && self.interface.receive(now) {
            frames += 1;
            // At once: smoltcp's buffer holds one packet only, and the next might be another server's.
            if let Some(lease) = self.interface.poll_dhcp(now) {
                self.stop_asking();
                self.way_works = true;
                observer.event(Event::Lease(&lease));
                self.interface.configure(lease.address, lease.prefix, lease.gateway)?;
                self.lease = Some(lease);
                return Ok(true);
            }
        }
        self.interface.poll_dhcp(now);
        self.interface.transmit(now);
        let mut silent_since = self.asking.unwrap_or(now);
        let heard = frames == FRAMES_PER_TURN || self.interface.dhcp_answers() > 0;
        if !heard && self.try_another_way(now, &mut silent_since, observer) {
            self.ask_anew(now);
        }
        Ok(false)
    }

    /// Asks for the next hop to `server` until it answers, while `transfers` go on.
    pub(in crate::net) fn wait_for_neighbor(
        &mut self,
        server: Ipv4Addr,
        limit: Duration,
        transfers: &mut [Transfer<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let Some(neighbor) = self.interface.next_hop(server) else {
            let (address, prefix) = self.interface.address().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
            return Err(Error::Unreachable { server, address, prefix });
        };
        observer.event(Event::Waiting { what: Waiting::Neighbor(neighbor), limit });
        let result = self.until_answer(server, neighbor, limit, transfers, observer);
        observer.event(Event::Waited { came: result.is_ok() });
        result
    }

    fn until_answer(
        &mut self,
        server: Ipv4Addr,
        neighbor: Ipv4Addr,
        limit: Duration,
        transfers: &mut [Transfer<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let start = self.clock.now();
        let (mut silent_since, mut interval, mut ask_at) = (start, FIRST_ASKED_AGAIN, start);
        self.interface.forget_answer();
        loop {
            let now = self.clock.now();
            if now >= ask_at {
                self.interface.ask(neighbor);
                ask_at = now.after(interval);
                interval = (interval * 2).min(LAST_ASKED_AGAIN);
            }
            self.turn(transfers, observer)?;
            if self.interface.answered() {
                self.way_works = true;
                return Ok(());
            }
            let waited = now.since(start);
            if waited >= limit {
                let (link, frames) = (self.interface.link(), self.interface.counters().received);
                return Err(Error::NoNeighbor { server, neighbor, waited, link, frames });
            }
            if self.try_another_way(now, &mut silent_since, observer) {
                (interval, ask_at) = (FIRST_ASKED_AGAIN, now);
            }
        }
    }

    /// After long enough without any answer, tells the controller; true if it tries something else now.
    fn try_another_way(&mut self, now: Instant, silent_since: &mut Instant, observer: &mut dyn Observer) -> bool {
        if !self.link_up {
            *silent_since = now;
        }
        if self.way_works || self.ways_exhausted || now.since(*silent_since) < NO_ANSWER {
            return false;
        }
        *silent_since = now;
        match self.interface.controller().no_answer(now) {
            Some(way) => observer.event(Event::OtherWay(way)),
            None => self.ways_exhausted = true,
        }
        !self.ways_exhausted
    }
}
