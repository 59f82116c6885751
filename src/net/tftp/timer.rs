//! When to send again: a time-out that follows the measured round trip, as RFC 6298 computes it for TCP.
//!
//! A round trip is measured from a packet to the first new one that it brings. After a retransmission nothing is measured until
//! the next fresh packet, because the answer might be to either (Karn's algorithm), and every further one doubles the time-out.
//!
//! With windows there is a question before that. What is lost at the end of a window, or with an acknowledgement, leaves nothing behind
//! that shows a gap, and the shortest time-out is as long as a hundred windows. So the first silence is asked about after the measured
//! time-out alone, as TCP's probe for a lost tail does (RFC 8985, section 7); if the server was only slow, it sends a window twice.
//! What comes after a question is not measured either, so the question learns by itself: where something comes twice after it, it was
//! needless and the next one waits twice as long, up to a real time-out, until a round trip is measured again. Where nothing does, it was needed, and the next one comes sooner:
//! a switch on the way that is just too small for the window loses the end of each.

use crate::time::Instant;

/// Before anything was measured, in microseconds: long for a local network, short for a person.
const FIRST: u64 = 250_000;
/// Shorter than this, a server that reads its disk would be taken for a lost packet.
const SHORTEST: u64 = 100_000;
/// The same for the question about silence, at first and where questions turned out to be needed.
const FIRST_QUESTION: u64 = 20_000;
const SOONEST_QUESTION: u64 = 2_000;
/// The same for a server that must not be asked again where it was only slow: longer than the second after which it does so itself.
const SHORTEST_OF_PATIENT: u64 = 3_000_000;
/// Longer than this, a server that is back would be left waiting.
const LONGEST: u64 = 2_000_000;

/// The retransmission timer of one transfer. It counts in microseconds, as the clock does: it is set twice for each block, and arithmetic
/// of `Duration` would be a fifth of what a block costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    /// The smoothed round trip and its variation, once there is a measurement.
    round_trip: Option<(u64, u64)>,
    /// The time-out without back-off, and the least that it may be.
    timeout: u64,
    shortest: u64,
    /// How often the time-out has been doubled since the last answer.
    doublings: u32,
    /// When the packet was sent whose answer is to be measured.
    measured_from: Option<Instant>,
    deadline: Instant,
    /// The first silence is asked about early.
    asks: bool,
    /// The least time to a question.
    question: u64,
    /// A question was asked, and whether it was needed has not been seen yet.
    asked: bool,
}

impl Timer {
    pub fn new(now: Instant) -> Self {
        Self {
            round_trip: None,
            timeout: FIRST,
            shortest: SHORTEST,
            doublings: 0,
            measured_from: None,
            deadline: now,
            asks: false,
            question: FIRST_QUESTION,
            asked: false,
        }
    }

    /// One for a server to which nothing should be said twice.
    pub fn patient(now: Instant) -> Self {
        Self { shortest: SHORTEST_OF_PATIENT, ..Self::new(now) }
    }

    /// Blocks come in windows from now on, or not.
    pub fn set_windows(&mut self, windows: bool) {
        self.asks = windows && self.shortest == SHORTEST;
    }

    /// Whether what runs now is the time to the question about silence, not a time-out yet.
    #[inline]
    pub fn is_question(&self) -> bool {
        self.asks && self.doublings == 0
    }

    /// Something came twice: the server still sends, and has sent again what was asked about although it was on its way.
    pub fn came_twice(&mut self, now: Instant) {
        if core::mem::take(&mut self.asked) {
            self.question = self.question.saturating_mul(2).min(SHORTEST);
        }
        self.still_sending(now);
    }

    /// Something came that was not next: the server still sends, so there is no silence yet.
    pub fn still_sending(&mut self, now: Instant) {
        if self.is_question() {
            self.restart(now);
        }
    }

    /// A fresh packet goes out now.
    #[inline]
    pub fn sent(&mut self, now: Instant) {
        self.measured_from = Some(now);
        self.restart(now);
    }

    /// A packet goes out whose answer may be on its way already, so that it says nothing about the round trip.
    pub fn sent_early(&mut self, now: Instant) {
        self.was_needed();
        self.measured_from = None;
        self.restart(now);
    }

    /// The same packet goes out again.
    pub fn sent_again(&mut self, now: Instant) {
        if self.is_question() {
            self.was_needed();
            self.asked = true;
        }
        self.measured_from = None;
        self.doublings = self.doublings.saturating_add(1);
        self.restart(now);
    }

    /// Something new came in: the server lives.
    #[inline]
    pub fn answered(&mut self, now: Instant) {
        if let Some(from) = self.measured_from.take() {
            self.measure(now.micros().saturating_sub(from.micros()));
        }
        self.doublings = 0;
        self.restart(now);
    }

    /// Nothing could pass until now: the time-out is over, and starts from its shortest.
    pub fn resume(&mut self, now: Instant) {
        self.measured_from = None;
        self.doublings = 0;
        self.deadline = now;
    }

    #[inline]
    pub fn expired(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    #[inline]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time-out as it is now, back-off included, in microseconds.
    #[inline]
    fn interval(&self) -> u64 {
        if self.is_question() {
            // Not later than a real time-out.
            return self.timeout.max(self.question).min(self.timeout.max(SHORTEST)).min(LONGEST);
        }
        let factor = 1_u64.checked_shl(self.doublings).unwrap_or(u64::MAX);
        self.timeout.saturating_mul(factor).clamp(self.shortest, LONGEST.max(self.shortest))
    }

    #[inline]
    fn restart(&mut self, now: Instant) {
        self.deadline = Instant::from_micros(now.micros().saturating_add(self.interval()));
    }

    /// Nothing has come twice since the last question, if there was one and nothing else says what became of it.
    fn was_needed(&mut self) {
        if core::mem::take(&mut self.asked) {
            self.question = (self.question / 2).max(SOONEST_QUESTION);
        }
    }

    /// RFC 6298, section 2, with its constants: alpha 1/8, beta 1/4, K 4.
    #[inline]
    fn measure(&mut self, sample: u64) {
        // More than an hour is no round trip, and keeps the sums far from overflow.
        let sample = sample.min(1 << 32);
        let (smoothed, variation) = match self.round_trip {
            None => (sample, sample / 2),
            Some((smoothed, variation)) => {
                ((smoothed * 7 + sample) / 8, (variation * 3 + smoothed.abs_diff(sample)) / 4)
            }
        };
        self.round_trip = Some((smoothed, variation));
        self.was_needed();
        self.question = self.question.min(FIRST_QUESTION);
        self.timeout = smoothed + variation * 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    #[test]
    fn the_clock_starts_when_the_packet_is_sent() {
        let mut timer = Timer::new(at(0));
        timer.sent(at(1000));
        assert!(!timer.expired(at(1249)));
        assert!(timer.expired(at(1250)));
    }

    #[test]
    fn a_patient_one_asks_nothing_and_leaves_the_server_its_own_second() {
        let mut timer = Timer::patient(at(0));
        timer.set_windows(true);
        for again in [false, true, true] {
            if again {
                timer.sent_again(at(0))
            } else {
                timer.sent(at(0))
            }
            assert!(!timer.is_question() && !timer.expired(at(2999)) && timer.expired(at(3000)));
        }
        timer.answered(at(1));
        assert!(!timer.expired(at(3000)) && timer.expired(at(3001)));
    }

    #[test]
    fn the_first_measurement_gives_three_round_trips() {
        let mut timer = Timer::new(at(0));
        timer.sent(at(0));
        timer.answered(at(80));
        assert_eq!(timer.interval(), 240_000);
    }

    #[test]
    fn a_steady_round_trip_comes_down_to_the_floor_and_no_further() {
        let mut timer = Timer::new(at(0));
        for turn in 0..50 {
            timer.sent(at(turn * 10));
            timer.answered(at(turn * 10 + 1));
        }
        assert_eq!(timer.interval(), SHORTEST);
    }

    #[test]
    fn each_retransmission_doubles_up_to_the_ceiling_and_an_answer_ends_it() {
        let mut timer = Timer::new(at(0));
        timer.sent(at(0));
        timer.answered(at(50));
        let mut intervals = Vec::new();
        for _ in 0..6 {
            intervals.push(timer.interval() / 1000);
            timer.sent_again(at(1000));
        }
        assert_eq!(intervals, [150, 300, 600, 1200, 2000, 2000]);
        timer.answered(at(2000));
        assert_eq!(timer.interval() / 1000, 150);
    }

    #[test]
    fn an_answer_after_a_retransmission_is_not_measured() {
        let mut timer = Timer::new(at(0));
        timer.sent(at(0));
        timer.sent_again(at(250));
        timer.answered(at(251));
        assert_eq!(timer.interval(), FIRST);
    }

    #[test]
    fn a_way_that_becomes_slower_is_asked_about_once_and_known_then() {
        let mut timer = Timer::new(at(0));
        timer.set_windows(true);
        for turn in 0..20 {
            timer.sent(at(turn * 16));
            timer.answered(at(turn * 16 + 16));
        }
        let mut now = 1000;
        let mut questions = 0;
        for _ in 0..20 {
            timer.sent(at(now));
            if timer.expired(at(now + 35)) {
                questions += 1;
                timer.sent_again(at(now + 20));
                timer.answered(at(now + 36));
                timer.sent(at(now + 36));
                timer.came_twice(at(now + 37));
                now += 36;
            }
            timer.answered(at(now + 36));
            now += 36;
        }
        assert_eq!(questions, 1);
    }

    #[test]
    fn needless_questions_come_later_up_to_a_real_time_out_and_needed_ones_sooner() {
        let mut timer = Timer::new(at(0));
        timer.sent(at(0));
        timer.answered(at(0));
        timer.set_windows(true);
        let mut waits = |needed: bool| {
            [(); 5].map(|()| {
                timer.sent(at(0));
                let wait = timer.interval();
                timer.sent_again(at(0));
                timer.answered(at(0));
                if !needed {
                    timer.came_twice(at(0));
                    timer.came_twice(at(0));
                }
                wait / 1000
            })
        };
        assert_eq!(waits(false), [20, 40, 80, 100, 100]);
        assert_eq!(waits(true), [100, 100, 50, 25, 12]);
        assert_eq!(waits(true), [6, 3, 2, 2, 2]);
        timer.sent(at(0));
        timer.came_twice(at(0));
        timer.answered(at(1));
        assert_eq!(timer.question, 2 * SOONEST_QUESTION);
    }

    #[test]
    fn a_question_never_comes_before_the_measured_round_trip_and_a_measurement_ends_long_waits() {
        let mut timer = Timer::new(at(0));
        timer.sent(at(0));
        timer.answered(at(10));
        timer.set_windows(true);
        for _ in 0..6 {
            timer.sent_again(at(0));
            timer.answered(at(0));
        }
        assert_eq!(timer.interval(), 30_000);
        for _ in 0..6 {
            timer.sent_again(at(0));
            timer.came_twice(at(0));
            timer.answered(at(0));
        }
        assert_eq!(timer.interval(), SHORTEST);
        timer.sent(at(0));
        timer.answered(at(10));
        assert!(timer.interval() < 30_000);
    }

    #[test]
    fn no_number_of_retransmissions_overflows() {
        let mut timer = Timer::new(at(0));
        for _ in 0..100 {
            timer.sent_again(at(0));
        }
        assert_eq!(timer.interval(), LONGEST);
    }

    #[test]
    fn with_windows_the_first_silence_is_asked_about_early_and_only_once() {
        let mut timer = Timer::new(at(0));
        timer.sent(at(0));
        timer.answered(at(1));
        timer.set_windows(true);
        timer.still_sending(at(5));
        assert!(timer.is_question() && !timer.expired(at(24)) && timer.expired(at(25)));
        timer.sent_again(at(25));
        timer.still_sending(at(80));
        assert!(!timer.is_question() && !timer.expired(at(124)) && timer.expired(at(125)));
        timer.answered(at(126));
        assert!(timer.is_question());
    }
}
