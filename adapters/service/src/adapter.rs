//! What every adapter needs beside its sockets and timers, so that all of them behave alike.
//!
//! ```text
//!  Server   bind ─► accept ──────► Acceptor ─► serve_over(transport, peer)     a listener, and its connections
//!                     └ error ───► AcceptPause
//!  Connector          connect ───► connect_over(transport, peer) ─► Client    each with the next of the Configs
//! ```

use core::fmt::Display;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use antiphon::Config;

/// The configurations of one server's or connector's connections: the same, but for the
/// [seed](Config::seed), which grows by one with each, so that they do not all age at once. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Configs {
    base: Arc<Config>,
    count: Arc<AtomicU64>,
}

impl Configs {
    /// The configuration of the next connection.
    pub fn next(&self) -> Arc<Config> {
        if self.base.max_age.is_none() {
            // Nothing else is spread in time: all of them can share it.
            return Arc::clone(&self.base);
        }
        let mut config = Config::clone(&self.base);
        config.seed = config.seed.wrapping_add(self.count.fetch_add(1, Ordering::Relaxed));
        Arc::new(config)
    }
}

impl From<Config> for Configs {
    fn from(config: Config) -> Self {
        Self { base: Arc::new(config), count: Arc::default() }
    }
}

/// How long a listener rests after a failed accept: not at all when a client went away, longer and longer (8 ms to
/// about 1 s) when the system has no more descriptors to give.
#[derive(Clone, Debug, Default)]
pub struct AcceptPause(u32);

impl AcceptPause {
    /// The rest after this error.
    pub fn after(&mut self, error: &io::Error) -> Duration {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return Duration::ZERO;
        }
        self.0 = (self.0 + 1).min(8);
        Duration::from_millis(4 << self.0)
    }

    /// A connection was accepted: the next rest is short again.
    pub fn reset(&mut self) {
        self.0 = 0;
    }
}

/// An error of the system, of the same kind, with what was tried and where, such as
/// `cannot listen at 127.0.0.1:80: Permission denied (os error 13)`.
pub fn cannot(what: &str, address: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {address}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_a_seed_of_its_own_where_it_matters() {
        let mut config = Config::default();
        config.seed = 7;
        let plain = Configs::from(config.clone());
        assert!(Arc::ptr_eq(&plain.next(), &plain.next()));
        config.max_age = Some(Duration::from_secs(60));
        let aging = Configs::from(config);
        assert_eq!([aging.next().seed, aging.clone().next().seed, aging.next().seed], [7, 8, 9]);
    }

    #[test]
    fn a_listener_rests_longer_and_longer_but_never_for_a_client_that_went() {
        let mut pause = AcceptPause::default();
        assert_eq!(pause.after(&io::ErrorKind::ConnectionAborted.into()), Duration::ZERO);
        let full = io::Error::other("no descriptors");
        let first = pause.after(&full);
        assert!(first > Duration::ZERO && pause.after(&full) > first);
        for _ in 0..100 {
            assert!(pause.after(&full) <= Duration::from_millis(1024));
        }
        pause.reset();
        assert_eq!(pause.after(&full), first);
    }
}
