//! What a connection waits for no longer than it says.

use core::time::Duration;

use crate::Instant;

/// How long a server that has said all it has to say waits for the peer to close (RFC 9112 §9.6).
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// How long a client reads the rest of a response that nobody wants, to use the connection again.
pub(super) const CLIENT_DRAIN: Duration = Duration::from_secs(1);

/// When to give up what; `None` where nothing is waited for.
#[derive(Clone, Copy, Default)]
pub(super) struct Timers {
    /// A server: the first head is complete, from the first time seen.
    pub(super) first: Option<Instant>,
    /// A head that has begun is complete.
    pub(super) head: Option<Instant>,
    /// The peer has closed.
    pub(super) linger: Option<Instant>,
    /// The rest of an unwanted body has come.
    pub(super) drain: Option<Instant>,
    /// The last bytes of a finished message go out.
    pub(super) send: Option<Instant>,
}

impl Timers {
    /// The earliest of them.
    pub(super) fn earliest(&self) -> Option<Instant> {
        [self.first, self.head, self.linger, self.drain, self.send].into_iter().flatten().min()
    }
}

/// Whether `timer` runs and has run out.
pub(super) fn is_due(timer: Option<Instant>, now: Instant) -> bool {
    timer.is_some_and(|deadline| deadline <= now)
}
