//! Time limits: of the handshake, of a header block, of what stalls, and of the last bytes.

use core::time::Duration;

use crate::http2::connection::{Connection, Life};
use crate::http2::goaway::Drain;
use crate::http2::lifecycle::Finished;
use crate::http2::settings::Role;
use crate::{ConnectionError, Http2Code, Instant, ReceiveEnd};

/// How long the peer's last bytes are read and dropped, so that they do not turn our last ones into a reset.
const LINGER: Duration = Duration::from_secs(2);
/// How long a connection without streams keeps its buffers warm.
const WARM: Duration = Duration::from_secs(1);

/// What the clock is watched for.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// The first time seen.
    started: Option<Instant>,
    pub(super) settings_received: bool,
    /// When our SETTINGS went out, until they are acknowledged.
    pub(super) settings_sent: Option<Instant>,
    pub(super) settings_acked: bool,
    /// Since when a header block is on its way.
    pub(super) block_since: Option<Instant>,
    /// No stream can be overdue before this time.
    scan: Option<Instant>,
    /// When that stalls which begins now.
    stall: Instant,
    linger: Option<Instant>,
    /// When the buffers of an idle connection are given back.
    pub(super) trim: Option<Instant>,
}

impl Timers {
    /// Time goes on.
    pub(super) fn tick(&mut self, now: Instant, stall: Duration) {
        self.started.get_or_insert(now);
        self.stall = now + stall;
    }

    /// Whether any time was told yet.
    #[inline]
    pub(super) fn is_started(&self) -> bool {
        self.started.is_some()
    }

    /// A stream that makes no progress from now on is overdue at some time.
    #[inline]
    pub(super) fn watch_stall(&mut self) {
        self.watch(self.stall);
    }

    /// A stream may be overdue at `deadline`.
    #[inline]
    pub(super) fn watch(&mut self, deadline: Instant) {
        if self.scan.is_none_or(|scan| deadline < scan) {
            self.scan = Some(deadline);
        }
    }

    pub(super) fn linger(&mut self, now: Instant) {
        self.linger = Some(now + LINGER);
    }

    /// When to give up waiting for answers although nothing can be sent.
    pub(super) fn linger_for(&mut self, now: Instant, time: Duration) {
        self.linger = Some(now + time);
    }

    /// Notes whether connection is without streams.
    #[inline]
    pub(super) fn idle(&mut self, now: Instant, idle: bool) {
        self.trim = idle.then(|| now + WARM);
    }
}

impl Connection {
    /// The time by which the peer's SETTINGS, or its acknowledgement of ours, must have come.
    fn handshake_deadline(&self) -> Option<Instant> {
        let timers = &self.timers;
        let since = if timers.settings_received { timers.settings_sent } else { timers.started };
        since.map(|since| since + self.limits.handshake)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let timers = &self.timers;
        match self.life {
            Life::Closed => return None,
            Life::Closing => return timers.linger,
            Life::Open if timers.started.is_none() => return Some(Instant::EPOCH),
            Life::Open => {}
        }
        let block = timers.block_since.map(|since| since + self.limits.handshake);
        [
            self.handshake_deadline(),
            block,
            timers.scan,
            self.goaway.drain_deadline,
            timers.linger,
            timers.trim,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn run_timers(&mut self) {
        let now = self.now;
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.timers.linger) && self.life != Life::Closed {
            if self.life == Life::Open {
                self.error = Some(ConnectionError::Lost);
                self.lose_streams(ReceiveEnd::Lost);
            }
            self.life = Life::Closed;
        }
        if self.life != Life::Open {
            return;
        }
        if due(self.handshake_deadline()) {
            return self.time_out("the peer's SETTINGS, or their acknowledgement, did not come");
        }
        if due(self.timers.block_since.map(|since| since + self.limits.handshake)) {
            return self.time_out("a header block did not end");
        }
        if due(self.goaway.drain_deadline) && self.goaway.drain == Drain::Announced {
            self.finish_drain();
        }
        if due(self.timers.scan) {
            self.scan_streams();
        }
        if due(self.timers.trim) {
            self.timers.trim = None;
            self.trim();
        }
    }

    fn time_out(&mut self, what: &'static str) {
        let error = ConnectionError::TimedOut(what);
        self.end_with(error, Http2Code::SETTINGS_TIMEOUT, what, ReceiveEnd::Lost);
    }

    /// Ends streams whose last bytes, or whose message under assembly, made no progress.
    fn scan_streams(&mut self) {
        self.timers.scan = None;
        for index in 0..self.store.len() {
            let slot = self.store.slot(index);
            if !slot.open {
                continue;
            }
            let finished = slot.is_finished(self.role).then(|| slot.progress + self.limits.stall);
            let assembly = slot.credit.deadline();
            if finished.is_some_and(|deadline| deadline <= self.now) {
                self.reset_stream(index, Http2Code::CANCEL.0, ReceiveEnd::Stalled);
            } else if assembly.is_some_and(|deadline| deadline <= self.now) {
                self.stall_assembly(index);
            } else if let Some(deadline) = finished.into_iter().chain(assembly).min() {
                self.timers.watch(deadline);
            }
        }
    }

    /// A message held its reservation for too long. A server may still answer.
    fn stall_assembly(&mut self, index: u32) {
        match self.role {
            Role::Client => self.reset_stream(index, Http2Code::CANCEL.0, ReceiveEnd::Stalled),
            Role::Server => self.discard(index, ReceiveEnd::Stalled),
        }
    }

    /// Gives back what an idle connection does not need.
    fn trim(&mut self) {
        // Lists may still name slots that nobody uses.
        let unlisted = self.ring.is_empty() && self.starved.is_empty() && self.ready.is_empty();
        if unlisted && self.control.updates.is_empty() && self.store.in_use() == 0 {
            self.store.clear();
        }
        self.store.shrink();
        self.control.shrink();
        self.block.shrink();
        self.decoder.shrink();
        self.encoder.shrink();
        self.templates = Default::default();
        self.scratch_head = crate::Head::default();
        self.scratch = Vec::new();
        for list in [&mut self.ring, &mut self.starved, &mut self.ready] {
            list.shrink_to_fit();
        }
    }
}
