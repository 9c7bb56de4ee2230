//! Time as the engine sees it: a number that the caller supplies.

use core::ops::Add;
use core::time::Duration;

/// A point in monotonic time: the duration since an epoch that the caller chooses.
///
/// The engine never reads a clock. Whoever drives a [`Machine`](crate::Machine) says what time it is, so that a
/// test, a replay or a simulation can choose it. All instants given to one machine must share one epoch; a machine
/// that is given an instant earlier than the largest it has seen uses the largest.
///
/// The resolution is one nanosecond and the range 584 years; arithmetic saturates.
///
/// ```
/// use antiphon::Instant;
/// use core::time::Duration;
///
/// let start = Instant::EPOCH + Duration::from_secs(5);
/// let later = start + Duration::from_millis(250);
/// assert_eq!(later.duration_since(start), Duration::from_millis(250));
/// assert_eq!(start.duration_since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The caller's epoch.
    pub const EPOCH: Self = Self(0);
    /// The end of time: a deadline that never comes.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The instant `since_epoch` after the epoch.
    pub const fn from_epoch(since_epoch: Duration) -> Self {
        Self(saturating_nanos(since_epoch))
    }

    /// The duration since the epoch.
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub const fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved `by` into the future, at most to [`Instant::FAR_FUTURE`].
    pub const fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(by)))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        self.saturating_add(by)
    }
}

const fn saturating_nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Instant::from_epoch(Duration::MAX), Instant::FAR_FUTURE);
        assert_eq!(Instant::FAR_FUTURE + Duration::from_secs(1), Instant::FAR_FUTURE);
        assert_eq!(Instant::EPOCH.duration_since(Instant::FAR_FUTURE), Duration::ZERO);
    }
}
