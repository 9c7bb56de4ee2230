//! A machine with its buffers, and servers that answer what they are asked.

use std::time::Duration;

use antiphon::http1::{Client, Server};
use antiphon::{
    ConnectionError, Fields, Head, HttpConnection, InputEnd, Instant, Limits, Machine, Output, ReceiveEnd,
    StreamEvent, StreamKey,
};
use bytes::BytesMut;

pub(crate) struct Run<M> {
    pub(crate) machine: M,
    pub(crate) now: Instant,
    /// What the machine left in the caller's buffer.
    pub(crate) input: BytesMut,
    pub(crate) events: Vec<StreamEvent>,
    pub(crate) error: Option<ConnectionError>,
}

pub(crate) fn server() -> Run<Server> {
    Run::new(Server::new(Limits::default()))
}

pub(crate) fn client() -> Run<Client> {
    Run::new(Client::new(Limits::default()))
}

impl<M: HttpConnection> Run<M> {
    pub(crate) fn new(machine: M) -> Self {
        Self { machine, now: Instant::EPOCH, input: BytesMut::new(), events: Vec::new(), error: None }
    }

    pub(crate) fn feed(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.input.extend_from_slice(bytes.as_ref());
        let outcome = self.machine.handle_input(self.now, &mut self.input);
        self.note(outcome);
        self
    }

    pub(crate) fn end(&mut self, end: InputEnd) -> &mut Self {
        let outcome = self.machine.handle_end(self.now, end);
        self.note(outcome);
        self
    }

    fn note(&mut self, outcome: Result<(), ConnectionError>) {
        self.error = self.error.or(outcome.err());
        self.notices();
    }

    pub(crate) fn notices(&mut self) -> &mut Self {
        while let Some(event) = self.machine.poll_event() {
            self.events.push(event);
        }
        self
    }

    /// What the machine sends now.
    pub(crate) fn sent(&mut self) -> String {
        String::from_utf8(self.sent_bytes()).unwrap()
    }

    pub(crate) fn sent_bytes(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut out = Output::new();
            let wanted = self.machine.wants_output();
            assert_eq!(self.machine.poll_transmit(self.now, &mut out), wanted);
            assert_eq!(out.is_empty(), !wanted);
            if out.is_empty() {
                self.notices();
                return all;
            }
            while let Some(piece) = out.take() {
                all.extend_from_slice(&piece);
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) -> &mut Self {
        self.now = self.now + time;
        self.machine.handle_timeout(self.now);
        self.notices()
    }

    /// The key of the last request that came.
    pub(crate) fn key(&self) -> StreamKey {
        let opened = |event: &StreamEvent| match event {
            StreamEvent::Opened(key) => Some(*key),
            _ => None,
        };
        self.events.iter().rev().find_map(opened).expect("no request has come")
    }

    pub(crate) fn has_key(&self) -> bool {
        self.events.iter().any(|event| matches!(event, StreamEvent::Opened(_)))
    }

    pub(crate) fn body(&mut self, key: StreamKey) -> Vec<u8> {
        self.machine.body(key).unwrap().to_vec()
    }

    pub(crate) fn receive_end(&self, key: StreamKey) -> Option<ReceiveEnd> {
        self.machine.receive_end(key)
    }

    pub(crate) fn status(&self) -> u16 {
        match self.error {
            Some(ConnectionError::Http1 { status, .. }) => status,
            other => panic!("not refused: {other:?}"),
        }
    }
}

impl Run<Server> {
    /// Answers with 200 and this body, complete at once.
    pub(crate) fn answer(&mut self, body: &str) -> &mut Self {
        let key = self.key();
        self.machine.respond(self.now, key, &Head::response(200), false).unwrap();
        self.machine.push(key, body.as_bytes());
        self.machine.finish(key);
        self
    }

    pub(crate) fn let_go(&mut self) -> &mut Self {
        let key = self.key();
        self.machine.drop_stream(self.now, key);
        self.notices();
        self
    }
}

impl Run<Client> {
    /// Sends a request without a body, whole.
    pub(crate) fn ask(&mut self, method: &str) -> StreamKey {
        let key = self.machine.open(self.now, &Head::request(method, "", "a", "/"), true).unwrap();
        self.sent_bytes();
        key
    }
}

/// What came of one request, as text that can be compared.
pub(crate) fn describe<M: HttpConnection>(machine: &mut M, key: StreamKey) -> String {
    let head = machine.head(key).cloned().unwrap_or_default();
    let body = machine.body(key).map(|body| body.to_vec()).unwrap_or_default();
    let trailers = machine.trailers(key).cloned().unwrap_or_else(Fields::new);
    format!("{head:?} {} {trailers:?} {:?}", body.escape_ascii(), machine.receive_end(key))
}

/// A server that is fed these bytes and refuses them with this status, having shown nothing to its application.
#[track_caller]
pub(crate) fn refuses(bytes: impl AsRef<[u8]>, status: u16) {
    let text = bytes.as_ref().escape_ascii().to_string();
    let mut run = server();
    run.feed(bytes);
    let Some(ConnectionError::Http1 { status: got, .. }) = run.error else { panic!("accepted: {text}") };
    assert_eq!(got, status, "{text}");
    assert!(!run.has_key(), "{text}");
    let sent = run.sent();
    assert!(sent.starts_with(&format!("HTTP/1.1 {status} ")), "{sent}");
    assert!(sent.ends_with("\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), "{sent}");
    assert_ne!(run.machine.closing(), antiphon::Closing::Open);
    // Sticky.
    assert_eq!(run.machine.handle_input(run.now, &mut BytesMut::from("x")), Err(run.error.unwrap()));
}

/// A server that is fed these bytes and shows one request, complete.
#[track_caller]
pub(crate) fn accepts(bytes: impl AsRef<[u8]>) -> Run<Server> {
    let text = bytes.as_ref().escape_ascii().to_string();
    let mut run = server();
    run.feed(bytes);
    assert_eq!(run.error, None, "{text}");
    assert!(run.has_key(), "no request: {text}");
    let key = run.key();
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Clean), "{text}");
    run
}

/// A request with these field lines, each ending with CRLF, and this body.
pub(crate) fn post(fields: &str, body: &str) -> String {
    format!("POST /s/M HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

/// A whole chunked request with this body.
pub(crate) fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut all = b"POST /s/M HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    all.extend_from_slice(body.as_ref());
    all
}
