//! How long a connection may live: idle time and age. Mechanisms are floor c's; when to use them is decided
//! here.

use core::time::Duration;

use crate::{Config, Instant};

/// The timers of the connection's policies.
#[derive(Debug)]
pub(crate) struct Policy {
    max_idle: Option<Duration>,
    max_age: Option<Duration>,
    grace: Option<Duration>,
    /// When the last call was dropped, or the connection first saw time; while calls are held it has no meaning.
    idle_since: Option<Instant>,
    /// When the connection grows too old.
    old: Option<Instant>,
    /// When the grace after that ends.
    end: Option<Instant>,
    draining: bool,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Nothing,
    Drain,
    Abort,
}

impl Policy {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            max_idle: config.max_idle,
            max_age: config.spread_age(),
            grace: config.age_grace,
            idle_since: None,
            old: None,
            end: None,
            draining: false,
        }
    }

    /// Time is seen: the first moment starts the timers.
    pub(crate) fn received(&mut self, now: Instant, held: u32) {
        if self.old.is_none() {
            self.old = self.max_age.map(|age| now + age);
        }
        if held > 0 {
            self.idle_since = None;
        } else if self.idle_since.is_none() {
            self.idle_since = Some(now);
        }
    }

    pub(crate) fn timeout(&self, held: u32) -> Option<Instant> {
        if self.draining {
            return self.end;
        }
        let idle = self.idle_since.filter(|_| held == 0).zip(self.max_idle).map(|(since, most)| since + most);
        [idle, self.old].into_iter().flatten().min()
    }

    /// What is due at `now`; told once.
    pub(crate) fn due(&mut self, now: Instant, held: u32) -> Due {
        if self.timeout(held).is_none_or(|due| due > now) {
            return Due::Nothing;
        }
        if self.draining {
            self.end = None;
            return Due::Abort;
        }
        self.draining = true;
        if self.old.is_some_and(|old| old <= now) {
            self.end = self.grace.map(|grace| now + grace);
        }
        Due::Drain
    }
}
