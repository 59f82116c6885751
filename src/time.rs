//! Time as a parameter: nothing in the library reads a clock that it was not given.

pub use core::time::Duration;

/// A moment, in microseconds since the clock's own zero (on the board, the power-on of the system counter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Instant {
    micros: u64,
}

impl Instant {
    /// The moment `micros` microseconds after the clock's zero.
    pub const fn from_micros(micros: u64) -> Self {
        Self { micros }
    }
    /// Microseconds since the clock's zero.
    pub const fn micros(self) -> u64 {
        self.micros
    }
    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros.saturating_sub(earlier.micros))
    }
    /// This moment moved on by `duration`, at most to the end of time.
    pub const fn after(self, duration: Duration) -> Self {
        let micros = duration.as_micros();
        let micros = if micros > u64::MAX as u128 { u64::MAX } else { micros as u64 };
        Self { micros: self.micros.saturating_add(micros) }
    }
}

/// A clock that only goes forward.
pub trait Clock {
    /// The present moment.
    fn now(&self) -> Instant;

    /// Polls `condition` until it is true or `limit` has passed; says whether it became true.
    ///
    /// The condition is looked at once more after the limit, so a poll that was held up (by a slow emulator, say) does not
    /// report a time-out for something that has happened.
    fn wait_until(&self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool
    where
        Self: Sized,
    {
        let end = self.now().after(limit);
        loop {
            if condition() {
                return true;
            }
            if self.now() >= end {
                return condition();
            }
        }
    }

    /// Waits for `duration`. Only for settling times that the hardware's manual asks for.
    fn delay(&self, duration: Duration)
    where
        Self: Sized,
    {
        self.wait_until(duration, || false);
    }
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> Instant {
        (**self).now()
    }
}
