//! How long a connection may live: keepalive, idle time and age. Mechanisms are floor c's; when to use them is decided
//! here.

use core::time::Duration;

use crate::{Config, Instant, Keepalive};

/// The timers of the connection's policies.
#[derive(Debug)]
pub(crate) struct Policy {
    max_idle: Option<Duration>,
    max_age: Option<Duration>,
    grace: Option<Duration>,
    /// When the last call was dropped, or the connection first saw time; `None` while calls are held.
    idle_since: Option<Instant>,
    /// When the connection grows too old.
    old: Option<Instant>,
    /// When the grace after that ends.
    end: Option<Instant>,
    draining: bool,
    /// Only of HTTP/2, which has PING.
    keepalive: Option<Keepalive>,
    /// When something was last received.
    heard: Option<Instant>,
    /// When a PING was sent since.
    pinged: Option<Instant>,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Nothing,
    Ping,
    /// The other side has not answered.
    Dead,
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
            keepalive: None,
            heard: None,
            pinged: None,
        }
    }

    /// The connection speaks HTTP/2: it can be asked whether it lives.
    pub(crate) fn keep_alive(&mut self, keepalive: Option<Keepalive>) {
        self.keepalive = keepalive;
    }

    /// The connection speaks HTTP/1.1, which has no PING: one that is idle for as long as it would take to find another
    /// dead is given up, unless a shorter time is set.
    pub(crate) fn idle_at_most(&mut self, keepalive: Option<Keepalive>) {
        if let Some(keepalive) = keepalive {
            let most = keepalive.time.saturating_add(keepalive.timeout);
            self.max_idle = Some(self.max_idle.map_or(most, |idle| idle.min(most)));
        }
    }

    /// Time is seen: the first moment starts the timers.
    pub(crate) fn tick(&mut self, now: Instant, held: u32) {
        if self.old.is_none() {
            self.old = self.max_age.map(|age| now + age);
        }
        if held > 0 {
            self.idle_since = None;
        } else if self.idle_since.is_none() {
            self.idle_since = Some(now);
        }
    }

    /// Something was received.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = Some(now);
        self.pinged = None;
    }

    pub(crate) fn timeout(&self, held: u32) -> Option<Instant> {
        let life = if self.draining {
            self.end
        } else {
            let idle =
                self.idle_since.filter(|_| held == 0).zip(self.max_idle).map(|(since, most)| since + most);
            [idle, self.old].into_iter().flatten().min()
        };
        [life, self.silence_ends(held)].into_iter().flatten().min()
    }

    /// When silence is to be ended: by a PING, or by giving up.
    fn silence_ends(&self, held: u32) -> Option<Instant> {
        let keepalive = self.keepalive.filter(|keepalive| held > 0 || keepalive.without_calls)?;
        Some(match self.pinged {
            Some(pinged) => pinged + keepalive.timeout,
            None => self.heard? + keepalive.time,
        })
    }

    /// What is due at `now`; each is told once.
    pub(crate) fn due(&mut self, now: Instant, held: u32) -> Due {
        if self.silence_ends(held).is_some_and(|due| due <= now) {
            if self.pinged.is_some() {
                self.keepalive = None;
                return Due::Dead;
            }
            self.pinged = Some(now);
            return Due::Ping;
        }
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
