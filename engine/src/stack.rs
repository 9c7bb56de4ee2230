//! HTTP of whichever version: at a server told by the first bytes of the client, at a client chosen.

use bytes::{Bytes, BytesMut};

use crate::codec::envelope::PREFIX;
use crate::rpc::{HttpCaps, HttpVersion};
use crate::{
    Closing, Config, ConnectionError, Fields, Head, HttpConnection, InputEnd, Instant, Limits, Machine,
    Misuse, Output, ReceiveEnd, Reply, SendError, StartError, StreamEvent, StreamKey, http1, http2,
};
use std::sync::Arc;

/// What an HTTP/2 client sends first (RFC 9113 §3.4). No HTTP/1 request begins so: `PRI` is reserved, and a request of
/// this method differs from the preface at the latest in its version.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a client say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Guess {
    /// They are the beginning of the preface.
    Undecided,
    Http1,
    Http2,
}

fn guess(input: &[u8]) -> Guess {
    if input.len() >= PREFACE.len() && input.starts_with(PREFACE) {
        Guess::Http2
    } else if PREFACE.starts_with(input) {
        Guess::Undecided
    } else {
        Guess::Http1
    }
}

/// One end of a connection of HTTP/1.1 or HTTP/2. A server may begin without knowing which: exactly the 24 bytes of the
/// preface mean HTTP/2 with prior knowledge (RFC 9113 §3.3), anything else HTTP/1.1.
#[derive(Debug)]
pub(crate) enum Http<S> {
    Sniffing(Sniffer),
    Http1(Box<S>),
    Http2(Box<http2::Connection>),
}

/// A server's end.
pub(crate) type ServerHttp = Http<http1::Server>;
/// A client's end.
pub(crate) type ClientHttp = Http<http1::Client>;

/// Makes the machines of one role.
pub(crate) trait Role: HttpConnection + Sized {
    fn http1(limits: Limits) -> Self;
    fn http2(limits: Limits) -> http2::Connection;
}

impl Role for http1::Server {
    fn http1(limits: Limits) -> Self {
        Self::new(limits)
    }

    fn http2(limits: Limits) -> http2::Connection {
        http2::Connection::server(limits)
    }
}

impl Role for http1::Client {
    fn http1(limits: Limits) -> Self {
        Self::new(limits)
    }

    fn http2(limits: Limits) -> http2::Connection {
        http2::Connection::client(limits)
    }
}

/// The state before the version is known.
#[derive(Debug)]
pub(crate) struct Sniffer {
    config: Arc<Config>,
    /// The first time seen: one timer runs from here on, and a peer that says nothing is not waited for any longer
    /// than one that says too little.
    since: Option<Instant>,
    /// A byte has come.
    begun: bool,
    draining: bool,
    error: Option<ConnectionError>,
    closed: bool,
}

macro_rules! delegate {
    ($self:expr, $http:ident => $call:expr, else $sniffing:expr) => {
        match $self {
            Self::Http2($http) => $call,
            Self::Http1($http) => $call,
            Self::Sniffing(_) => $sniffing,
        }
    };
}

impl<S: Role> Http<S> {
    pub(crate) fn sniffing(config: Arc<Config>) -> Self {
        Self::Sniffing(Sniffer {
            config,
            since: None,
            begun: false,
            draining: false,
            error: None,
            closed: false,
        })
    }

    pub(crate) fn http1(config: &Config) -> Self {
        Self::Http1(Box::new(S::http1(config.http_limits())))
    }

    pub(crate) fn http2(config: &Config) -> Self {
        Self::Http2(Box::new(S::http2(config.http_limits())))
    }

    pub(crate) fn new(config: &Config, version: HttpVersion) -> Self {
        match version {
            HttpVersion::Http2 | HttpVersion::Http3 => Self::http2(config),
            HttpVersion::Http10 | HttpVersion::Http11 => Self::http1(config),
        }
    }

    pub(crate) fn version(&self) -> Option<HttpVersion> {
        match self {
            Self::Sniffing(_) => None,
            Self::Http1(_) => Some(HttpVersion::Http11),
            Self::Http2(_) => Some(HttpVersion::Http2),
        }
    }

    pub(crate) fn caps(&self) -> HttpCaps {
        if matches!(self, Self::Http2(_)) { HttpCaps::HTTP2 } else { HttpCaps::HTTP1 }
    }

    pub(crate) fn as_http2(&mut self) -> Option<&mut http2::Connection> {
        match self {
            Self::Http2(http) => Some(http),
            _ => None,
        }
    }

    /// Feeds a machine that was made for the version that `input` tells.
    fn decide(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ConnectionError> {
        let Self::Sniffing(sniffer) = self else { return Ok(()) };
        let (since, draining) = (sniffer.since.unwrap_or(now), sniffer.draining);
        let decided = match guess(input) {
            Guess::Undecided => return Ok(()),
            Guess::Http1 => Self::http1(&sniffer.config),
            Guess::Http2 => Self::http2(&sniffer.config),
        };
        *self = decided;
        // Its time runs on from the first moment.
        self.handle_timeout(since);
        let fed = self.handle_input(now, input);
        if draining {
            self.drain(now);
        }
        fed
    }
}

impl Sniffer {
    fn fail(&mut self, error: ConnectionError) -> Result<(), ConnectionError> {
        self.closed = true;
        Err(*self.error.get_or_insert(error))
    }
}

impl<S: Role> Machine for Http<S> {
    type Event = StreamEvent;

    fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ConnectionError> {
        delegate!(self, http => return http.handle_input(now, input), else ());
        let Self::Sniffing(sniffer) = self else { return Ok(()) };
        if sniffer.closed {
            input.clear();
            return sniffer.error.map_or(Ok(()), Err);
        }
        if input.is_empty() {
            return Ok(());
        }
        sniffer.since.get_or_insert(now);
        sniffer.begun = true;
        self.decide(now, input)
    }

    fn handle_end(&mut self, now: Instant, end: InputEnd) -> Result<(), ConnectionError> {
        match self {
            Self::Http2(http) => http.handle_end(now, end),
            Self::Http1(http) => http.handle_end(now, end),
            Self::Sniffing(sniffer) if end == InputEnd::Eof && !sniffer.begun => {
                sniffer.closed = true;
                Ok(())
            }
            Self::Sniffing(sniffer) => sniffer.fail(ConnectionError::Lost),
        }
    }

    fn handle_output_lost(&mut self, now: Instant) {
        match self {
            Self::Http2(http) => http.handle_output_lost(now),
            Self::Http1(http) => http.handle_output_lost(now),
            Self::Sniffing(sniffer) => sniffer.closed = true,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        delegate!(self, http => return http.handle_timeout(now), else ());
        let Self::Sniffing(sniffer) = self else { return };
        let since = *sniffer.since.get_or_insert(now);
        if !sniffer.closed && since + sniffer.config.limits.handshake <= now {
            let _ =
                sniffer.fail(ConnectionError::TimedOut("the first bytes did not tell the version of HTTP"));
        }
    }

    fn poll_event(&mut self) -> Option<StreamEvent> {
        delegate!(self, http => http.poll_event(), else None)
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Output) -> bool {
        delegate!(self, http => http.poll_transmit(now, out), else false)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Http2(http) => http.poll_timeout(),
            Self::Http1(http) => http.poll_timeout(),
            Self::Sniffing(sniffer) if sniffer.closed => None,
            Self::Sniffing(sniffer) => {
                let handshake = sniffer.config.limits.handshake;
                Some(sniffer.since.map_or(Instant::EPOCH, |since| since + handshake))
            }
        }
    }

    fn wants_input(&self) -> bool {
        match self {
            Self::Http2(http) => http.wants_input(),
            Self::Http1(http) => http.wants_input(),
            Self::Sniffing(sniffer) => !sniffer.closed,
        }
    }

    fn wants_output(&self) -> bool {
        delegate!(self, http => http.wants_output(), else false)
    }

    fn closing(&self) -> Closing {
        match self {
            Self::Http2(http) => http.closing(),
            Self::Http1(http) => http.closing(),
            Self::Sniffing(sniffer) if sniffer.closed => Closing::Closed,
            Self::Sniffing(_) => Closing::Open,
        }
    }
}

impl<S: Role> HttpConnection for Http<S> {
    fn open(&mut self, now: Instant, head: &Head, end: bool) -> Result<StreamKey, StartError> {
        delegate!(self, http => http.open(now, head, end), else Err(StartError::Misuse(Misuse::WrongState)))
    }

    fn head(&self, key: StreamKey) -> Option<&Head> {
        delegate!(self, http => http.head(key), else None)
    }

    fn max_header_list(&self) -> usize {
        delegate!(self, http => http.max_header_list(), else usize::MAX)
    }

    fn trailers(&self, key: StreamKey) -> Option<&Fields> {
        delegate!(self, http => http.trailers(key), else None)
    }

    fn body(&mut self, key: StreamKey) -> Option<&mut BytesMut> {
        delegate!(self, http => http.body(key), else None)
    }

    #[inline]
    fn poll_arrival(&mut self) -> Option<(StreamKey, Option<ReceiveEnd>)> {
        delegate!(self, http => http.poll_arrival(), else None)
    }

    #[inline]
    fn received(&mut self, key: StreamKey) -> Option<(&mut BytesMut, Option<ReceiveEnd>)> {
        delegate!(self, http => http.received(key), else None)
    }

    fn receive_end(&self, key: StreamKey) -> Option<ReceiveEnd> {
        delegate!(self, http => http.receive_end(key), else None)
    }

    #[inline]
    fn release(&mut self, now: Instant, key: StreamKey, bytes: usize) -> Result<(), Misuse> {
        delegate!(self, http => http.release(now, key, bytes), else Err(Misuse::UnknownCall))
    }

    fn demand(&mut self, now: Instant, key: StreamKey, need: usize) -> Result<(), Misuse> {
        delegate!(self, http => http.demand(now, key, need), else Err(Misuse::UnknownCall))
    }

    fn stop_reading(&mut self, now: Instant, key: StreamKey) {
        delegate!(self, http => http.stop_reading(now, key), else ());
    }

    fn respond(&mut self, now: Instant, key: StreamKey, head: &Head, end: bool) -> Result<(), SendError> {
        delegate!(self, http => http.respond(now, key, head, end), else Err(Misuse::UnknownCall.into()))
    }

    #[inline]
    fn reply(&mut self, now: Instant, key: StreamKey, reply: &Reply<'_>) -> Result<(), SendError> {
        delegate!(self, http => http.reply(now, key, reply), else Err(Misuse::UnknownCall.into()))
    }

    fn poll_room(&mut self, key: StreamKey) -> Result<(), SendError> {
        delegate!(self, http => http.poll_room(key), else Err(Misuse::UnknownCall.into()))
    }

    fn push(&mut self, key: StreamKey, bytes: &[u8]) {
        delegate!(self, http => http.push(key, bytes), else ());
    }

    fn push_bytes(&mut self, key: StreamKey, bytes: &Bytes) {
        delegate!(self, http => http.push_bytes(key, bytes), else ());
    }

    #[inline]
    fn push_message(&mut self, key: StreamKey, prefix: &[u8; PREFIX], payload: &[u8]) {
        delegate!(self, http => http.push_message(key, prefix, payload), else ());
    }

    #[inline]
    fn try_message(
        &mut self,
        key: StreamKey,
        prefix: &[u8; PREFIX],
        payload: &[u8],
    ) -> Result<(), SendError> {
        delegate!(self, http => http.try_message(key, prefix, payload), else Err(Misuse::UnknownCall.into()))
    }

    fn finish(&mut self, key: StreamKey) {
        delegate!(self, http => http.finish(key), else ());
    }

    fn finish_with_trailers(&mut self, key: StreamKey, trailers: &Fields) {
        delegate!(self, http => http.finish_with_trailers(key, trailers), else ());
    }

    fn reset(&mut self, now: Instant, key: StreamKey, code: u32) {
        delegate!(self, http => http.reset(now, key, code), else ());
    }

    #[inline]
    fn drop_stream(&mut self, now: Instant, key: StreamKey) {
        delegate!(self, http => http.drop_stream(now, key), else ());
    }

    fn knows(&self, key: StreamKey) -> bool {
        delegate!(self, http => http.knows(key), else false)
    }

    fn drain(&mut self, now: Instant) {
        match self {
            Self::Http2(http) => http.drain(now),
            Self::Http1(http) => http.drain(now),
            // The first request may be on its way.
            Self::Sniffing(sniffer) => {
                sniffer.draining = true;
                sniffer.since.get_or_insert(now);
            }
        }
    }

    fn abort(&mut self, now: Instant, code: u32) {
        match self {
            Self::Http2(http) => http.abort(now, code),
            Self::Http1(http) => http.abort(now, code),
            Self::Sniffing(sniffer) => {
                let _ = sniffer.fail(ConnectionError::Aborted);
            }
        }
    }

    fn can_open(&self) -> bool {
        delegate!(self, http => http.can_open(), else false)
    }

    fn worst_case_bytes(&self) -> usize {
        match self {
            Self::Http2(http) => size_of::<http2::Connection>() + http.worst_case_bytes(),
            Self::Http1(http) => size_of::<S>() + http.worst_case_bytes(),
            // The peer chooses.
            Self::Sniffing(sniffer) => {
                let (config, preface) = (&sniffer.config, PREFACE.len());
                let either = [Self::http1(config), Self::http2(config)];
                preface + either.iter().map(Self::worst_case_bytes).max().unwrap_or(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9113 §3.4: the preface is exactly these bytes; every shorter part of them leaves the question open.
    #[test]
    fn only_the_whole_preface_is_http2() {
        for cut in 0..PREFACE.len() {
            assert_eq!(guess(&PREFACE[..cut]), Guess::Undecided, "{cut}");
        }
        assert_eq!(guess(PREFACE), Guess::Http2);
        assert_eq!(guess(&[PREFACE, &b"\0\0\0\x04"[..]].concat()), Guess::Http2);
    }

    #[test]
    fn a_byte_that_differs_is_http1() {
        for at in 0..PREFACE.len() {
            let mut bytes = *PREFACE;
            bytes[at] ^= 1;
            assert_eq!(guess(&bytes[..=at]), Guess::Http1, "{at}");
        }
        assert_eq!(guess(b"PRI / HTTP/1.1\r\n"), Guess::Http1);
        assert_eq!(guess(b"PRI * HTTP/1.1\r\n"), Guess::Http1);
        assert_eq!(guess(b"P"), Guess::Undecided);
        assert_eq!(guess(b"PO"), Guess::Http1);
    }
}
