//! What is owed to the peer besides streams: state, not a queue that grows.

use bytes::BytesMut;

use crate::Http2Code;
use crate::http2::frame::{self, flag, kind};

/// PINGs whose answer is owed; with so many the peer must take some before it is read on.
const MAX_PONGS: usize = 10;
/// Bytes of owed answers with which the peer must take some before it is read on.
const MAX_OWED: usize = 64 * 1024;

/// Acknowledgements, resets, updates and the last word.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// The preface and our SETTINGS are still to go.
    pub(super) start: bool,
    /// SETTINGS to acknowledge, one by one and in order (RFC 9113 §6.5.3).
    pub(super) settings_acks: u32,
    pub(super) pongs: Vec<[u8; 8]>,
    /// PINGs of our own: that of a drain, and that of a keepalive.
    pub(super) pings: Vec<[u8; 8]>,
    pub(super) goaway: Option<(u32, Http2Code, &'static str)>,
    /// At most one for each stream.
    pub(super) resets: Vec<(u32, u32)>,
    /// Streams whose window may be due.
    pub(super) updates: Vec<u32>,
}

impl Control {
    pub(super) fn new() -> Self {
        Self { start: true, ..Self::default() }
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        let any = self.pongs.len() | self.settings_acks as usize | self.resets.len();
        any > 0 && self.is_overfull()
    }

    /// Nothing can be sent any more.
    #[cold]
    pub(super) fn forget_answers(&mut self) {
        self.settings_acks = 0;
        self.pongs.clear();
        self.resets.clear();
    }

    fn is_overfull(&self) -> bool {
        self.pongs.len() >= MAX_PONGS || self.settings_acks as usize * 9 + self.resets.len() * 13 >= MAX_OWED
    }

    pub(super) fn is_owed(&self) -> bool {
        self.start
            || self.settings_acks > 0
            || self.goaway.is_some()
            || !(self.pongs.is_empty()
                && self.pings.is_empty()
                && self.resets.is_empty()
                && self.updates.is_empty())
    }

    /// Appends acknowledgements.
    pub(super) fn put_answers(&mut self, out: &mut BytesMut) {
        for _ in 0..std::mem::take(&mut self.settings_acks) {
            frame::put(out, kind::SETTINGS, flag::ACK, 0, &[]);
        }
        for pong in self.pongs.drain(..) {
            frame::put(out, kind::PING, flag::ACK, 0, &pong);
        }
    }

    /// Appends PINGs of ours.
    pub(super) fn put_pings(&mut self, out: &mut BytesMut) {
        for ping in self.pings.drain(..) {
            frame::put(out, kind::PING, 0, 0, &ping);
        }
    }

    /// Appends RST_STREAMs.
    pub(super) fn put_resets(&mut self, out: &mut BytesMut) {
        for (stream, code) in self.resets.drain(..) {
            frame::put_number(out, kind::RST_STREAM, stream, code);
        }
    }

    /// Appends a GOAWAY, with the broken rule as its debug data (RFC 9113 §6.8).
    pub(super) fn put_goaway(&mut self, out: &mut BytesMut) {
        if let Some((last, code, reason)) = self.goaway.take() {
            let mut payload = Vec::with_capacity(8 + reason.len());
            payload.extend_from_slice(&last.to_be_bytes());
            payload.extend_from_slice(&code.0.to_be_bytes());
            payload.extend_from_slice(reason.as_bytes());
            frame::put(out, kind::GOAWAY, 0, 0, &payload);
        }
    }

    pub(super) fn shrink(&mut self) {
        self.pongs.shrink_to_fit();
        self.pings.shrink_to_fit();
        self.resets.shrink_to_fit();
        self.updates.shrink_to_fit();
    }
}
