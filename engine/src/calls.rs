//! What the tables of calls at both ends share: the remembered deadline, and the way out to an HTTP stream.

use bytes::Bytes;

use crate::codec::envelope::PREFIX;
use crate::rpc::Sink;
use crate::{Fields, Head, HttpConnection, Instant, Reply, StartError, StreamKey};

/// The deadlines of all calls: only the earliest is remembered, and they are looked through when it is due. A call
/// that ends before its deadline, as nearly all do, costs one comparison.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    earliest: Option<Instant>,
    count: u32,
}

impl Deadlines {
    pub(crate) fn add(&mut self, deadline: Instant) {
        self.count += 1;
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
    }

    /// A call with a deadline has ended.
    pub(crate) fn remove(&mut self) {
        self.count = self.count.saturating_sub(1);
        if self.count == 0 {
            self.earliest = None;
        }
    }

    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Whether the calls must be looked through now.
    pub(crate) fn are_due(&self, now: Instant) -> bool {
        self.earliest.is_some_and(|earliest| earliest <= now)
    }

    /// Takes what was found when they were looked through.
    pub(crate) fn set_earliest(&mut self, earliest: Option<Instant>) {
        self.earliest = earliest.filter(|_| self.count > 0);
    }
}

/// A server's way out: a call's answer goes to its stream.
pub(crate) struct Answering<'a, H> {
    pub(crate) http: &'a mut H,
    pub(crate) now: Instant,
    pub(crate) key: StreamKey,
}

impl<H: HttpConnection> Sink for Answering<'_, H> {
    fn head(&mut self, head: &Head, end: bool) {
        // A stream that is gone takes nothing; the call learns it from its events.
        let _ = self.http.respond(self.now, self.key, head, end);
    }

    fn data(&mut self, bytes: &[u8]) {
        self.http.push(self.key, bytes);
    }

    fn data_bytes(&mut self, bytes: &Bytes) {
        self.http.push_bytes(self.key, bytes);
    }

    #[inline]
    fn message(&mut self, prefix: &[u8; PREFIX], payload: &[u8]) {
        self.http.push_message(self.key, prefix, payload);
    }

    fn trailers(&mut self, trailers: &Fields) {
        self.http.finish_with_trailers(self.key, trailers);
    }

    fn end(&mut self) {
        self.http.finish(self.key);
    }

    fn max_header_list(&self) -> usize {
        self.http.max_header_list()
    }

    fn reset(&mut self, code: u32) {
        self.http.reset(self.now, self.key, code);
    }

    #[inline]
    fn reply(&mut self, reply: &Reply<'_>) {
        let _ = self.http.reply(self.now, self.key, reply);
    }
}

/// A client's way out: a call's head opens a stream, and the rest goes there.
pub(crate) struct Requesting<'a, H> {
    http: &'a mut H,
    now: Instant,
    key: &'a mut Option<StreamKey>,
    /// Why no stream could be opened.
    pub(crate) refused: Option<StartError>,
}

impl<'a, H> Requesting<'a, H> {
    pub(crate) fn new(http: &'a mut H, now: Instant, key: &'a mut Option<StreamKey>) -> Self {
        Self { http, now, key, refused: None }
    }
}

impl<H: HttpConnection> Sink for Requesting<'_, H> {
    fn head(&mut self, head: &Head, end: bool) {
        match self.http.open(self.now, head, end) {
            Ok(key) => *self.key = Some(key),
            Err(error) => self.refused = Some(error),
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        if let Some(key) = *self.key {
            self.http.push(key, bytes);
        }
    }

    fn data_bytes(&mut self, bytes: &Bytes) {
        if let Some(key) = *self.key {
            self.http.push_bytes(key, bytes);
        }
    }

    #[inline]
    fn message(&mut self, prefix: &[u8; PREFIX], payload: &[u8]) {
        if let Some(key) = *self.key {
            self.http.push_message(key, prefix, payload);
        }
    }

    fn trailers(&mut self, trailers: &Fields) {
        if let Some(key) = *self.key {
            self.http.finish_with_trailers(key, trailers);
        }
    }

    fn end(&mut self) {
        if let Some(key) = *self.key {
            self.http.finish(key);
        }
    }

    fn reset(&mut self, code: u32) {
        if let Some(key) = *self.key {
            self.http.reset(self.now, key, code);
        }
    }
}
