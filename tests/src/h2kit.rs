//! A kit for tests of HTTP/2 by hand-written frames.

use std::time::Duration;

use antiphon::http2::Connection;
use antiphon::http2::hpack::{Decoder, DecoderLimits, Encoder};
use antiphon::{
    ConnectionError, Fields, Head, Http2Code, Instant, Limits, Machine, Output, StreamEvent, StreamKey,
};
use bytes::BytesMut;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// DATA (RFC 9113 §6.1).
pub const DATA: u8 = 0;
/// HEADERS (RFC 9113 §6.2).
pub const HEADERS: u8 = 1;
/// PRIORITY (RFC 9113 §6.3).
pub const PRIORITY: u8 = 2;
/// RST_STREAM (RFC 9113 §6.4).
pub const RST: u8 = 3;
/// SETTINGS (RFC 9113 §6.5).
pub const SETTINGS: u8 = 4;
/// PUSH_PROMISE (RFC 9113 §6.6).
pub const PUSH: u8 = 5;
/// PING (RFC 9113 §6.7).
pub const PING: u8 = 6;
/// GOAWAY (RFC 9113 §6.8).
pub const GOAWAY: u8 = 7;
/// WINDOW_UPDATE (RFC 9113 §6.9).
pub const UPDATE: u8 = 8;
/// CONTINUATION (RFC 9113 §6.10).
pub const CONTINUATION: u8 = 9;

/// END_STREAM, and ACK.
pub const ES: u8 = 1;
/// END_HEADERS.
pub const EH: u8 = 4;
/// PADDED.
pub const PADDED: u8 = 8;

/// A frame in pieces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The type.
    pub kind: u8,
    /// The flags.
    pub flags: u8,
    /// The stream id, without the reserved bit.
    pub stream: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The payload as one number, or its last four bytes.
    pub fn number(&self) -> u32 {
        self.payload.last_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    /// The error code of a GOAWAY.
    pub fn goaway_code(&self) -> u32 {
        u32::from_be_bytes(self.payload[4..8].try_into().expect("a GOAWAY has eight bytes"))
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A frame whose payload is one number: RST_STREAM or WINDOW_UPDATE.
pub fn number(kind: u8, stream: u32, value: u32) -> Vec<u8> {
    frame(kind, 0, stream, &value.to_be_bytes())
}

/// A SETTINGS frame.
pub fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in entries {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// A GOAWAY frame.
pub fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// The block of `POST http://e.com/a`, without use of the dynamic table.
pub const POST: &[u8] = &[0x83, 0x86, 4, 2, b'/', b'a', 1, 5, b'e', b'.', b'c', b'o', b'm'];

/// A POST on `stream`, with more flags besides END_HEADERS.
pub fn post(stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, EH | flags, stream, POST)
}

/// A POST with more literal fields, none of them indexed.
pub fn post_with(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = POST.to_vec();
    block.extend(literals(fields));
    frame(HEADERS, EH | flags, stream, &block)
}

/// Literal fields without indexing; each at most 126 bytes long.
pub fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// All whole frames of `bytes`, and how many bytes they were.
pub fn parse(bytes: &[u8]) -> (Vec<Frame>, usize) {
    let mut frames = Vec::new();
    let mut used = 0;
    while let Some(&[a, b, c, kind, flags, s0, s1, s2, s3]) = bytes[used..].first_chunk::<9>() {
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        let Some(payload) = bytes.get(used + 9..used + 9 + len) else { break };
        frames.push(Frame { kind, flags, stream, payload: payload.to_vec() });
        used += 9 + len;
    }
    (frames, used)
}

/// All that `machine` has to send.
pub fn drain(machine: &mut Connection, now: Instant) -> Vec<u8> {
    let mut all = Vec::new();
    let mut out = Output::new();
    while machine.poll_transmit(now, &mut out) {
        while let Some(piece) = out.take() {
            all.extend_from_slice(&piece);
        }
    }
    all
}

/// One connection whose peer is the test.
pub struct Raw {
    /// The connection.
    pub connection: Connection,
    /// The time, moved by [`Raw::wait`].
    pub now: Instant,
    /// The peer's encoder.
    pub encoder: Encoder,
    /// The peer's decoder.
    pub decoder: Decoder,
    input: BytesMut,
    preface: bool,
}

impl Raw {
    /// A server that has seen nothing yet.
    pub fn new_server(limits: Limits) -> Self {
        Self::new(Connection::server(limits), false)
    }

    /// A client that has seen nothing yet.
    pub fn new_client(limits: Limits) -> Self {
        Self::new(Connection::client(limits), true)
    }

    fn new(connection: Connection, preface: bool) -> Self {
        Self {
            connection,
            now: Instant::from_epoch(Duration::from_secs(1000)),
            encoder: Encoder::new(0),
            decoder: Decoder::new(4096, DecoderLimits::default()),
            input: BytesMut::new(),
            preface,
        }
    }

    /// A server after the handshake.
    pub fn server(limits: Limits) -> Self {
        let mut raw = Self::new_server(limits);
        raw.ok(&[PREFACE, &settings(&[]), &frame(SETTINGS, ES, 0, &[])].concat());
        raw.frames();
        raw.ok(&frame(SETTINGS, ES, 0, &[]));
        raw
    }

    /// A client after the handshake, with the server's settings.
    pub fn client(limits: Limits, entries: &[(u16, u32)]) -> Self {
        let mut raw = Self::new_client(limits);
        raw.frames();
        raw.ok(&[settings(entries), frame(SETTINGS, ES, 0, &[])].concat());
        raw.frames();
        raw.events();
        raw
    }

    /// Feeds bytes; what was not taken comes first the next time.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.input.extend_from_slice(bytes);
        self.connection.handle_input(self.now, &mut self.input)
    }

    /// Feeds bytes that are no error.
    pub fn ok(&mut self, bytes: &[u8]) {
        self.feed(bytes).expect("these bytes are legal");
    }

    /// Feeds bytes that end the connection, and returns the code; the GOAWAY must carry the same.
    pub fn fails(&mut self, bytes: &[u8]) -> Http2Code {
        let error = self.feed(bytes).expect_err("these bytes end the connection");
        let ConnectionError::Http2 { code, .. } = error else { panic!("{error}") };
        let last = self.frames().pop().expect("a GOAWAY");
        assert_eq!((last.kind, last.goaway_code()), (GOAWAY, code.0));
        assert_eq!(self.feed(b"more"), Err(error), "an error is sticky");
        code
    }

    /// Bytes that were fed and not taken.
    pub fn leftover(&self) -> usize {
        self.input.len()
    }

    /// All frames that the connection has to send.
    pub fn frames(&mut self) -> Vec<Frame> {
        let bytes = drain(&mut self.connection, self.now);
        let skip = if std::mem::take(&mut self.preface) {
            assert!(bytes.starts_with(PREFACE));
            PREFACE.len()
        } else {
            0
        };
        let (frames, used) = parse(&bytes[skip..]);
        assert_eq!(used, bytes.len() - skip, "whole frames only");
        frames
    }

    /// Feeds legal bytes and returns what is sent for them.
    pub fn ask(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.ok(bytes);
        self.frames()
    }

    /// Feeds bytes for which exactly one stream must be reset, and returns the code.
    pub fn resets(&mut self, bytes: &[u8], stream: u32) -> Http2Code {
        let frames = self.ask(bytes);
        let resets: Vec<_> = frames.iter().filter(|frame| frame.kind == RST).collect();
        assert_eq!(resets.len(), 1, "{frames:?}");
        assert_eq!(resets[0].stream, stream);
        Http2Code(resets[0].number())
    }

    /// All notices.
    pub fn events(&mut self) -> Vec<StreamEvent> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    /// The stream that was opened; all other notices are dropped.
    pub fn opened(&mut self) -> StreamKey {
        self.all_opened().pop().expect("a stream was opened")
    }

    /// All streams that were opened, in order.
    pub fn all_opened(&mut self) -> Vec<StreamKey> {
        let opened = |event| match event {
            StreamEvent::Opened(key) => Some(key),
            _ => None,
        };
        self.events().into_iter().filter_map(opened).collect()
    }

    /// Lets time pass, and calls [`Machine::handle_timeout`] exactly when told.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.connection.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.connection.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// A HEADERS frame of the peer's with a response.
    pub fn response(&mut self, stream: u32, flags: u8, head: &Head) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.encode_response(head, &mut block);
        frame(HEADERS, EH | flags, stream, &block)
    }

    /// A HEADERS frame of the peer's with trailers.
    pub fn trailers(&mut self, stream: u32, fields: &Fields) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.encode_trailers(fields, &mut block);
        frame(HEADERS, EH | ES, stream, &block)
    }
}
