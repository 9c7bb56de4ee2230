//! What every adapter needs beside its sockets and timers, so that all of them behave alike.
//!
//! ```text
//!  Server   bind ─► accept ──────► Acceptor ─► serve_over(transport, peer)     a listener, and its connections
//!                     └ error ───► AcceptPause
//!  Connector          connect ───► connect_over(transport, peer) ─► Client    each with the next of the Configs
//! ```

use core::fmt::Display;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon::Config;
use antiphon::rpc::HttpVersion;

use crate::Shutdown;
use crate::wait::thread_waker;

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

/// Whether a connector can speak this version of HTTP: it must be asked before anything is connected.
///
/// # Errors
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for what no client here speaks, with what to use instead.
pub fn check_version(version: HttpVersion) -> io::Result<()> {
    let (name, instead) = match version {
        HttpVersion::Http11 | HttpVersion::Http2 => return Ok(()),
        HttpVersion::Http10 => ("HTTP/1.0", "HttpVersion::Http11"),
        HttpVersion::Http3 => ("HTTP/3", "HttpVersion::Http2"),
    };
    let text = format!("clients here do not speak {name}: use {instead}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
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

/// How many connections a server has at once: a listener takes a place for each before it accepts it. Those that find
/// none wait where the system lets them, in the listener's queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places(Arc<Room>);

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Room>);

#[derive(Debug)]
struct Room {
    max: usize,
    state: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    /// The listener, while it waits.
    waker: Option<Waker>,
}

impl Places {
    /// So many connections at once, and at least one.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Room { max: max.max(1), state: Mutex::default() }))
    }

    /// Waits for a place. Only one may wait: the one listener.
    pub async fn take(&self) -> Place {
        poll_fn(|context| self.poll_take(context)).await
    }

    /// Blocks until there is a place: `None` when the server is to end first.
    pub fn wait(&self, shutdown: &Shutdown) -> Option<Place> {
        let waker = thread_waker();
        let _awake = shutdown.wake_at_drain(&waker);
        loop {
            if shutdown.is_draining() {
                return None;
            }
            if let Poll::Ready(place) = self.poll_take(&mut Context::from_waker(&waker)) {
                return Some(place);
            }
            std::thread::park();
        }
    }

    fn poll_take(&self, context: &mut Context<'_>) -> Poll<Place> {
        let fresh = context.waker().clone();
        let mut state = self.0.state();
        if state.count < self.0.max {
            state.count += 1;
            return Poll::Ready(Place(Arc::clone(&self.0)));
        }
        let old = state.waker.replace(fresh);
        drop(state);
        drop(old);
        Poll::Pending
    }
}

/// As many as the system lets in.
impl Default for Places {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Room {
    fn state(&self) -> MutexGuard<'_, Taken> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.state();
            state.count -= 1;
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

/// An error of the system, of the same kind, with what was tried and where, such as
/// `cannot listen at 127.0.0.1:80: Permission denied (os error 13)`; and with what an address is, if it looks like none.
pub fn cannot(what: &str, address: impl Display, error: &io::Error) -> io::Error {
    let address = address.to_string();
    let port = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok());
    let hint =
        if port { "" } else { " (an address is a host and a port, such as 127.0.0.1:8080, and no URL)" };
    io::Error::new(error.kind(), format!("cannot {what} {address}: {error}{hint}"))
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
    fn a_version_that_is_not_spoken_is_refused_with_one_that_is() {
        assert!(check_version(HttpVersion::Http11).is_ok() && check_version(HttpVersion::Http2).is_ok());
        for (version, instead) in [(HttpVersion::Http10, "Http11"), (HttpVersion::Http3, "Http2")] {
            let error = check_version(version).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().ends_with(instead), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_what_one_is() {
        let text = |address| cannot("connect to", address, &io::Error::other("no")).to_string();
        assert_eq!(text("localhost:80"), "cannot connect to localhost:80: no");
        assert_eq!(text("[::1]:80"), "cannot connect to [::1]:80: no");
        for address in ["", "localhost", ":80", "80", "http://localhost:80", "localhost:80/", "1.2.3.4:99999"]
        {
            assert!(text(address).contains("such as 127.0.0.1:8080"), "{address}");
        }
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
