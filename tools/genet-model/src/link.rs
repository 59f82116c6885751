//! The copper side of the PHY: cable, link partner, and autonegotiation that takes its time (IEEE 802.3 clauses 28 and 40).

use crate::moment::Moment;
use crate::settings::{Abilities, Settings};
use core::time::Duration;

/// What a link runs at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// 10, 100 or 1000, in Mb/s.
    pub megabits: u16,
    /// Both directions at once.
    pub full_duplex: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    Training { until: Moment, result: Option<Mode> },
    Up(Mode),
}

#[derive(Debug)]
pub(crate) struct Line {
    cable: bool,
    partner: Abilities,
    takes: Duration,
    state: State,
    up_since: Moment,
    previous: Option<Mode>,
    /// BMSR's link bit is latched low until it is read.
    fell: bool,
}

impl Line {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            cable: settings.cable,
            partner: settings.partner,
            takes: settings.autonegotiation,
            state: State::Down,
            up_since: Moment::default(),
            previous: None,
            fell: true,
        }
    }
    pub(crate) fn mode(&self) -> Option<Mode> {
        if let State::Up(mode) = self.state { Some(mode) } else { None }
    }
    /// Since when the link has been up; meaningless while it is down.
    pub(crate) fn up_since(&self) -> Moment {
        self.up_since
    }
    /// What the link before this one ran at.
    pub(crate) fn previous(&self) -> Option<Mode> {
        self.previous
    }
    /// What the partner has told of itself: nothing until negotiation is over.
    pub(crate) fn partner_seen(&self) -> Abilities {
        if self.mode().is_some() { self.partner } else { Abilities::from_bits(0) }
    }
    pub(crate) fn set_cable(&mut self, present: bool) {
        self.cable = present;
    }
    pub(crate) fn set_partner(&mut self, partner: Abilities) {
        self.partner = partner;
    }
    pub(crate) fn down(&mut self) {
        if let State::Up(mode) = self.state {
            self.previous = Some(mode);
        }
        self.state = State::Down;
        self.fell = true;
    }
    pub(crate) fn negotiated(&mut self, ours: Abilities) {
        if let (true, Some(mode)) = (self.cable, best(ours.common(self.partner))) {
            self.state = State::Up(mode);
        }
    }
    pub(crate) fn negotiate(&mut self, now: Moment, ours: Abilities) {
        let result = best(ours.common(self.partner));
        self.train(now, result);
    }
    /// A forced mode: a partner that has that speed finds it by parallel detection.
    pub(crate) fn force(&mut self, now: Moment, mode: Mode) {
        let wanted = match mode.megabits {
            10 => Abilities::HALF_10 | Abilities::FULL_10,
            _ => Abilities::HALF_100 | Abilities::FULL_100,
        };
        let found = self.partner.common(wanted).bits() != 0;
        self.train(now, found.then_some(mode));
    }
    fn train(&mut self, now: Moment, result: Option<Mode>) {
        self.down();
        if self.cable {
            self.state = State::Training { until: now.after(self.takes), result };
        }
    }
    /// Puts what goes on back by `time`: it began before the model's zero.
    pub(crate) fn skip(&mut self, time: Duration) {
        if let State::Training { until, .. } = &mut self.state {
            *until = Moment::default().after(until.since(Moment::default().after(time)));
        }
        self.advance(Moment::default());
    }
    pub(crate) fn due(&self) -> Option<Moment> {
        if let State::Training { until, .. } = self.state { Some(until) } else { None }
    }
    pub(crate) fn advance(&mut self, now: Moment) {
        if let State::Training { until, result } = self.state
            && until <= now
        {
            self.state = result.map_or(State::Down, State::Up);
            self.up_since = until;
        }
    }
    /// BMSR's link bit: low once after the link fell, even if it is up again.
    pub(crate) fn link_since_last_look(&mut self) -> bool {
        let up = self.mode().is_some();
        let latched = core::mem::replace(&mut self.fell, !up);
        up && !latched
    }
}

/// The highest common mode, by the priority of clause 28B.3.
fn best(common: Abilities) -> Option<Mode> {
    [
        (Abilities::FULL_1000, 1000, true),
        (Abilities::HALF_1000, 1000, false),
        (Abilities::FULL_100, 100, true),
        (Abilities::HALF_100, 100, false),
        (Abilities::FULL_10, 10, true),
        (Abilities::HALF_10, 10, false),
    ]
    .into_iter()
    .find(|&(ability, ..)| common.has(ability))
    .map(|(_, megabits, full_duplex)| Mode { megabits, full_duplex })
}
