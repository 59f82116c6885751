//! Getting onto the network: link, lease, and an answer from the next hop, each waited for with a bound.

use super::{Error, Event, FRAMES_PER_TURN, Observer, Session, Waiting};
use crate::net::device::{EthernetController, Link};
use crate::net::dhcp::Lease;
use crate::time::{Clock, Duration, Instant};
use core::net::Ipv4Addr;

/// With the link up and questions out, silence for so long lets the controller try another way.
const NO_ANSWER: Duration = Duration::from_secs(3);

/// Times between ARP requests: the first is doubled each time, up to the last.
const FIRST_ASKED_AGAIN: Duration = Duration::from_millis(100);
const LAST_ASKED_AGAIN: Duration = Duration::from_millis(800);

impl<C: EthernetController, K: Clock> Session<C, K> {
    /// Waits until there is a link and an address.
    ///
    /// # Errors
    /// [`Error::NoLink`], [`Error::NoLease`], [`Error::Interface`], [`Error::Aborted`].
    pub fn connect(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.wait_for_link(observer)?;
        match self.network.address {
            Some(own) if self.interface.address().is_none() => {
                Ok(self.interface.configure(own.address, own.prefix, self.network.gateway)?)
            }
            Some(_) => Ok(()),
            None => self.wait_for_lease(observer),
        }
    }

    pub(super) fn look_at_link(&mut self, now: Instant, observer: &mut dyn Observer) {
        let link = self.interface.poll_link(now);
        let up = link != Link::Down;
        if up != self.link_up {
            self.link_up = up;
            observer.event(Event::Link(link));
        }
    }

    fn wait_for_link(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        observer.event(Event::Waiting { what: Waiting::Link, limit: self.limits.link });
        let result = self.until_link(observer);
        observer.event(Event::Waited { came: result.is_ok() });
        result
    }

    fn until_link(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let start = self.clock.now();
        loop {
            self.turn(&mut [], observer)?;
            if self.link_up {
                return Ok(());
            }
            let waited = self.clock.now().since(start);
            if waited >= self.limits.link {
                return Err(Error::NoLink { waited });
            }
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

    /// Waits for a lease, unless there is one that is not half over.
    fn wait_for_lease(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let start = self.clock.now();
        if self.lease.as_ref().is_some_and(|lease| !lease.is_old(start)) && self.interface.address().is_some() {
            return Ok(());
        }
        observer.event(Event::Waiting { what: Waiting::Lease, limit: self.limits.lease });
        self.interface.start_dhcp(start);
        let result = self.ask_for_lease(start, observer);
        self.interface.stop_dhcp();
        if let Ok(lease) = &result {
            observer.event(Event::Lease(lease));
        }
        observer.event(Event::Waited { came: result.is_ok() });
        let lease = result?;
        self.interface.configure(lease.address, lease.prefix, lease.gateway)?;
        self.lease = Some(lease);
        Ok(())
    }

    fn ask_for_lease(&mut self, start: Instant, observer: &mut dyn Observer) -> Result<Lease, Error> {
        let mut silent_since = start;
        loop {
            let now = self.clock.now();
            if !observer.poll(now) {
                return Err(Error::Aborted);
            }
            self.look_at_link(now, observer);
            self.interface.transmit(now);
            for _ in 0..FRAMES_PER_TURN {
                if !self.interface.receive(now) {
                    break;
                }
                // At once: smoltcp's buffer holds one packet only, and the next might be another server's.
                if let Some(lease) = self.interface.poll_dhcp(now) {
                    return Ok(lease);
                }
            }
            self.interface.poll_dhcp(now);
            let waited = now.since(start);
            if waited >= self.limits.lease {
                return Err(Error::NoLease {
                    waited,
                    link: self.interface.link(),
                    frames: self.interface.counters().received,
                    answers: self.interface.dhcp_answers(),
                });
            }
            let heard = self.interface.dhcp_answers() > 0;
            if !heard && self.try_another_way(now, &mut silent_since, observer) {
                self.interface.start_dhcp(now);
            }
        }
    }

    /// Asks for the next hop to `server` until it answers.
    pub(in crate::net) fn wait_for_neighbor(
        &mut self,
        server: Ipv4Addr,
        limit: Duration,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let Some(neighbor) = self.interface.next_hop(server) else {
            let (address, prefix) = self.interface.address().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
            return Err(Error::Unreachable { server, address, prefix });
        };
        observer.event(Event::Waiting { what: Waiting::Neighbor(neighbor), limit });
        let result = self.until_answer(server, neighbor, limit, observer);
        observer.event(Event::Waited { came: result.is_ok() });
        result
    }

    fn until_answer(
        &mut self,
        server: Ipv4Addr,
        neighbor: Ipv4Addr,
        limit: Duration,
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
            self.turn(&mut [], observer)?;
            if self.interface.answered() {
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
        if self.ways_exhausted || now.since(*silent_since) < NO_ANSWER {
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
