//! The system's monotonic clock.

use std::time;

use antiphon_service::Instant;
use antiphon_service::blocking::Clock;

/// The system's monotonic clock, counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    epoch: time::Instant,
}

impl SystemClock {
    /// A clock whose epoch is now.
    pub fn new() -> Self {
        Self { epoch: time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_epoch(self.epoch.elapsed())
    }
}
