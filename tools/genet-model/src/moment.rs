//! Time inside the model: nanoseconds since the model's own zero, given by the caller at every entry.

use core::time::Duration;

/// A moment in nanoseconds since the model's zero (in QEMU the virtual clock, on the host bench its own counter).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment `nanos` nanoseconds after zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }
    /// Nanoseconds since zero.
    pub const fn nanos(self) -> u64 {
        self.0
    }
    /// This moment moved on by `duration`, at most to the end of time.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
