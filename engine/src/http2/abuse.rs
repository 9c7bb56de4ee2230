//! What a peer may make us do for nothing: token buckets on the caller's time.
//!
//! Buckets, never counts over the life of a connection: honest traffic of any length stays below them.

use crate::http2::Fault;
use crate::limits::Tokens;
use crate::{Http2Code, Instant, Limits};

/// Bytes of DATA, either way, that earn back one glitch.
const DATA_PER_GLITCH: usize = 4096;
/// WINDOW_UPDATEs that are free at the start, and for each DATA frame that we send.
const FREE_UPDATES: u32 = 10;
const UPDATES_PER_DATA: u32 = 2;

/// The counts behind [`Stats`](crate::http2::Stats) and the buckets that end a connection.
#[derive(Debug)]
pub(super) struct Abuse {
    resets: Tokens,
    provoked: Tokens,
    glitches: Tokens,
    data: usize,
    free_updates: u32,
    pub(super) counted: Stats,
}

/// What a peer has done that is bounded, since the connection began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Streams that were opened, by either side.
    pub opened: u64,
    /// Streams of the peer that were refused because too many were open or held.
    pub refused: u64,
    /// Streams that the peer reset before they were answered.
    pub resets: u64,
    /// Errors of the peer for which we reset a stream.
    pub provoked: u64,
    /// Frames that did no work.
    pub glitches: u64,
}

impl Abuse {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            resets: Tokens::new(limits.resets),
            provoked: Tokens::new(limits.provoked),
            glitches: Tokens::new(limits.glitches),
            data: 0,
            free_updates: FREE_UPDATES,
            counted: Stats::default(),
        }
    }

    /// The peer reset a stream that was not answered (CVE-2023-44487).
    pub(super) fn reset(&mut self, now: Instant) -> Result<(), Fault> {
        self.counted.resets += 1;
        calm(self.resets.take(now, 1), "too_many_resets")
    }

    /// A stream ended cleanly: that earns a reset.
    pub(super) fn clean_end(&mut self) {
        self.resets.earn();
    }

    /// The peer made an error for which we reset a stream (CVE-2025-8671).
    pub(super) fn provoked(&mut self, now: Instant) -> Result<(), Fault> {
        self.counted.provoked += 1;
        calm(self.provoked.take(now, 1), "too_many_stream_errors")
    }

    /// A frame, or `count` parts of one, that did no work.
    pub(super) fn glitch(&mut self, now: Instant, count: u32) -> Result<(), Fault> {
        self.counted.glitches += u64::from(count);
        calm(self.glitches.take(now, count), "too_many_idle_frames")
    }

    /// Bytes of DATA passed, either way.
    pub(super) fn data(&mut self, bytes: usize) {
        self.data += bytes;
        while self.data >= DATA_PER_GLITCH {
            self.data -= DATA_PER_GLITCH;
            self.glitches.earn();
        }
    }

    /// We sent a DATA frame: the peer may return its credit.
    pub(super) fn data_sent(&mut self, bytes: usize) {
        self.free_updates = self.free_updates.saturating_add(UPDATES_PER_DATA);
        self.data(bytes);
    }

    /// A WINDOW_UPDATE came.
    pub(super) fn window_update(&mut self, now: Instant) -> Result<(), Fault> {
        match self.free_updates.checked_sub(1) {
            Some(left) => self.free_updates = left,
            None => self.glitch(now, 1)?,
        }
        Ok(())
    }
}

fn calm(enough: bool, reason: &'static str) -> Result<(), Fault> {
    if enough { Ok(()) } else { Err(Fault { code: Http2Code::ENHANCE_YOUR_CALM, reason }) }
}
