//! HTTP/1.1 under any bytes, in any pieces, with an application that does anything at any time.

use std::time::Duration;

use antiphon::http1::{Client, Server};
use antiphon::{
    Closing, Fields, Head, HttpConnection, InputEnd, Instant, Limits, Machine, Output, ReceiveEnd,
    StreamEvent, StreamKey,
};
use bytes::{Bytes, BytesMut};

mod check;
mod pair;

pub use pair::h1_pair;

use check::{Model, check_requests, check_responses, model_chunks};

/// What requests and their bodies are made of, so that random choices often make sense.
const REQUEST: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST /p HTTP/1.1\r\n",
    "Host: a\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "\r\n",
    "hello",
    "5\r\nhello\r\n",
    "5;a=\"b\"\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "x-a: b\r\n",
    "\n",
    "\r",
    " ",
    "10000\r\n",
];

/// The same for responses.
const RESPONSE: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 413 No\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 101 No\r\n\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "x-a: b\r\n",
    "\n",
    " ",
];

/// Misuse and ends are answers like any other here.
fn ignore<T, E>(_: Result<T, E>) {}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A piece of the vocabulary, raw bytes, or many bytes.
    fn piece(&mut self, vocabulary: &[&str]) -> Vec<u8> {
        match self.byte().unwrap_or(0) {
            choice @ ..0xe0 => vocabulary[usize::from(choice) % vocabulary.len()].as_bytes().to_vec(),
            0xff => vec![b'x'; 0x8000],
            length => self.take(usize::from(length & 0x0f)).to_vec(),
        }
    }
}

/// A machine, its buffers, and what must stay true of it.
struct Driver<M> {
    machine: M,
    limits: Limits,
    now: Instant,
    input: BytesMut,
    sent: Vec<u8>,
    key: Option<StreamKey>,
    /// The end that was seen, which may not change.
    end: Option<ReceiveEnd>,
    /// The largest need that was asked for since the last release.
    need: usize,
    /// For each exchange, whether its request was HEAD.
    heads: Vec<bool>,
    failed: bool,
}

impl<M: HttpConnection> Driver<M> {
    fn new(machine: M, limits: Limits) -> Self {
        Self {
            machine,
            limits,
            now: Instant::EPOCH,
            input: BytesMut::new(),
            sent: Vec::new(),
            key: None,
            end: None,
            need: 0,
            heads: Vec::new(),
            failed: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let outcome = self.machine.handle_input(self.now, &mut self.input);
        assert!(outcome.is_err() || !self.failed, "an error is sticky");
        self.failed = outcome.is_err();
        let left = self.input.clone();
        let state = self.state();
        // L5: what is left is left.
        assert_eq!(self.machine.handle_input(self.now, &mut self.input), outcome);
        assert_eq!(state, self.state());
        assert_eq!(left, self.input);
        // Everything left is one incomplete head or trailer section.
        assert!(!self.machine.wants_input() || left.len() <= self.limits.header_list);
    }

    fn state(&mut self) -> impl PartialEq + core::fmt::Debug + use<M> {
        let key = self.key.unwrap_or(StreamKey { index: 0, generation: 0 });
        (
            self.machine.wants_input(),
            self.machine.wants_output(),
            self.machine.closing(),
            self.machine.poll_timeout(),
            self.machine.body(key).map(|body| body.len()),
            self.machine.receive_end(key),
        )
    }

    fn transmit(&mut self) {
        let wanted = self.machine.wants_output();
        let mut out = Output::new();
        assert_eq!(self.machine.poll_transmit(self.now, &mut out), wanted);
        assert_eq!(out.is_empty(), !wanted);
        while let Some(piece) = out.take() {
            self.sent.extend_from_slice(&piece);
        }
    }

    /// Something that an application does at either end.
    fn act(&mut self, op: u8, input: &mut Input<'_>) {
        let Some(key) = self.key else { return };
        let (now, machine) = (self.now, &mut self.machine);
        let count = usize::from(input.byte().unwrap_or(0));
        match op {
            0 => machine.push(key, &vec![b'a'; count]),
            1 => machine.push_bytes(key, &Bytes::from(vec![b'b'; count * 200])),
            2 => machine.finish(key),
            3 => machine.finish_with_trailers(key, &[("x-t", &b"1"[..])].into_iter().collect()),
            4 => {
                let need = count * 1000;
                if machine.demand(now, key, need).is_ok() {
                    self.need = self.need.max(need);
                }
            }
            5 => {
                let taken =
                    machine.body(key).map_or(0, |body| body.split_to(body.len().min(count * 300)).len());
                assert!(taken == 0 || machine.release(now, key, taken).is_ok());
                self.need = if taken > 0 { 0 } else { self.need };
            }
            6 => machine.stop_reading(now, key),
            7 => machine.reset(now, key, u32::from(count as u8 % 3)),
            8..=11 => machine.drop_stream(now, key),
            12 => ignore(machine.poll_room(key)),
            13 => ignore(machine.release(now, key, usize::MAX - count)),
            14 => machine.finish_with_trailers(key, &[("x", &b"\r\n"[..])].into_iter().collect()),
            _ => {}
        }
    }

    /// Something that happens to the connection.
    fn happen(&mut self, op: u8) {
        match op {
            0 => self.machine.drain(self.now),
            1 => self.machine.abort(self.now, 2),
            2 => ignore(self.machine.handle_end(self.now, InputEnd::Eof)),
            3 => ignore(self.machine.handle_end(self.now, InputEnd::Truncated)),
            4 => self.machine.handle_output_lost(self.now),
            5 => {
                self.now = self.now + Duration::from_secs(3);
                self.machine.handle_timeout(self.now);
            }
            6 => {
                self.now = self.machine.poll_timeout().unwrap_or(self.now).max(self.now);
                self.machine.handle_timeout(self.now);
                let next = self.machine.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "a timer that is due twice");
            }
            _ => {}
        }
    }

    fn invariants(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            if let StreamEvent::Opened(key) = event {
                let head = self.machine.head(key).expect("an opened stream has a head");
                self.heads.push(head.method() == "HEAD");
                (self.key, self.end, self.need) = (Some(key), None, 0);
            }
        }
        if self.machine.closing() == Closing::Closed {
            assert!(!self.machine.wants_input());
        }
        let Some(key) = self.key.filter(|key| self.machine.knows(*key)) else { return };
        let end = self.machine.receive_end(key);
        assert!(self.end.is_none() || self.end == end, "an end has changed");
        self.end = end;
        assert_eq!(self.machine.trailers(key).is_some(), end.is_some());
        let held = self.machine.body(key).expect("a known key has a body").len();
        assert!(held <= self.need.max(self.limits.window as usize), "{held} bytes held");
        assert!(held <= self.machine.worst_case_bytes());
    }
}

fn limits(choice: u8) -> Limits {
    let mut limits = Limits::default();
    if choice % 2 == 1 {
        limits.window = 16 << 10;
        limits.header_list = 1 << 10;
        limits.header_fields = 8;
        limits.drain = 8;
        limits.send_queue = 100;
    }
    limits
}

/// A server under any bytes and any application.
///
/// Laws: no panic, L5, an end never changes, no more is held than allowed, a timer that was served is not due again,
/// and what is sent is a row of well-formed responses, the last one possibly cut.
pub fn h1_server(data: &[u8]) {
    let mut input = Input(data);
    let limits = limits(input.byte().unwrap_or(0));
    let mut driver = Driver::new(Server::new(limits.clone()), limits);
    while let Some(op) = input.byte() {
        match op {
            0..=119 => {
                let piece = input.piece(REQUEST);
                driver.feed(&piece);
            }
            120..=159 => driver.transmit(),
            160..=199 => respond(&mut driver, op),
            200..=239 => driver.act(op % 16, &mut input),
            _ => driver.happen(op % 8),
        }
        driver.invariants();
    }
    driver.transmit();
    check_responses(&driver.sent, &driver.heads);
}

fn respond(driver: &mut Driver<Server>, op: u8) {
    let Some(key) = driver.key else { return };
    let mut head = Head::response(match op % 8 {
        0 => 204,
        1 => 103,
        2 => 304,
        3 => 404,
        4 => 99,
        _ => 200,
    });
    match op % 5 {
        0 => head.fields.push("content-length", b"7"),
        1 => head.fields.push("x", &[op, b'\n'][..1 + usize::from(op % 2)]),
        2 => head.fields.push("connection", b"close"),
        _ => {}
    }
    ignore(driver.machine.respond(driver.now, key, &head, op % 3 == 0));
}

/// A client under any bytes and any application; the laws are those of [`h1_server`].
pub fn h1_client(data: &[u8]) {
    let mut input = Input(data);
    let limits = limits(input.byte().unwrap_or(0));
    let mut driver = Driver::new(Client::new(limits.clone()), limits);
    open(&mut driver, input.byte().unwrap_or(0));
    while let Some(op) = input.byte() {
        match op {
            0..=119 => {
                let piece = input.piece(RESPONSE);
                driver.feed(&piece);
            }
            120..=169 => driver.transmit(),
            170..=189 => open(&mut driver, op),
            190..=239 => driver.act(op % 16, &mut input),
            _ => driver.happen(op % 8),
        }
        driver.invariants();
    }
    driver.transmit();
    check_requests(&driver.sent);
}

fn open(driver: &mut Driver<Client>, op: u8) {
    let method = ["GET", "POST", "HEAD", "P T"][usize::from(op % 4)];
    let mut head = Head::request(method, "", "a", if op % 16 == 15 { "/ x" } else { "/" });
    match op % 5 {
        0 => head.fields.push("content-length", b"7"),
        1 => head.fields.push("x", &[op, b'\n'][..1 + usize::from(op % 2)]),
        2 => head.fields.push("te", b"trailers"),
        _ => {}
    }
    let could = driver.machine.can_open();
    match driver.machine.open(driver.now, &head, op % 3 == 0) {
        Ok(key) => {
            assert!(could);
            (driver.key, driver.end, driver.need) = (Some(key), None, 0);
        }
        Err(antiphon::StartError::Misuse(_)) => assert!(could),
        Err(_) => assert!(!could),
    }
}

/// L1: any bytes in any pieces give what they give as a whole, at either end.
pub fn h1_cuts(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.byte().unwrap_or(0);
    let seed = input.byte().unwrap_or(0);
    let (mut wire, mut cuts) = (Vec::new(), Vec::new());
    while !input.0.is_empty() {
        wire.extend_from_slice(&input.piece(if choice % 2 == 0 { REQUEST } else { RESPONSE }));
        cuts.push(wire.len().saturating_sub(usize::from(seed % 7)));
    }
    let observe = |cuts: &[usize]| {
        let mut pieces = Vec::new();
        let mut from = 0;
        for &cut in cuts.iter().chain([&wire.len()]) {
            pieces.push(&wire[from.min(cut)..cut]);
            from = cut;
        }
        if choice % 2 == 0 {
            seen(Server::new(limits(choice / 2)), None, &pieces)
        } else {
            let mut client = Client::new(limits(choice / 2));
            let head = Head::request("POST", "", "a", "/");
            let key = client.open(Instant::EPOCH, &head, seed % 2 == 0).expect("a new client can open");
            client.poll_transmit(Instant::EPOCH, &mut Output::new());
            seen(client, Some(key), &pieces)
        }
    };
    let whole = observe(&[]);
    assert_eq!(observe(&cuts), whole);
    if wire.len() < 2000 {
        assert_eq!(observe(&(0..wire.len()).collect::<Vec<_>>()), whole);
    }
}

/// Everything that can be seen of a machine that was only fed.
fn seen<M: HttpConnection>(machine: M, key: Option<StreamKey>, pieces: &[&[u8]]) -> String {
    let mut driver = Driver::new(machine, Limits::default());
    driver.key = key;
    let mut error = None;
    for piece in pieces {
        driver.input.extend_from_slice(piece);
        let outcome = driver.machine.handle_input(driver.now, &mut driver.input);
        error = error.or(outcome.err());
    }
    let mut events = Vec::new();
    while let Some(event) = driver.machine.poll_event() {
        if let StreamEvent::Opened(key) = event {
            driver.key = Some(key);
        }
        events.push(event);
    }
    let key = driver.key.unwrap_or(StreamKey { index: 0, generation: 0 });
    let state = driver.state();
    driver.transmit();
    let body = driver.machine.body(key).cloned();
    let (head, trailers) = (driver.machine.head(key), driver.machine.trailers(key));
    format!(
        "{error:?} {events:?} {state:?} {head:?} {body:?} {trailers:?} {:?} {:?}",
        driver.input, driver.sent
    )
}

/// I9, monotone strictness: a head that we accept is one that httparse accepts, with the same fields; and it has no
/// bare LF. After 0xff raw bytes, else a choice of pieces.
pub fn h1_head(data: &[u8]) {
    let mut input = Input(data);
    let mut wire = Vec::new();
    if input.byte() == Some(0xff) {
        wire = input.0.to_vec();
    } else {
        while !input.0.is_empty() {
            wire.extend_from_slice(&input.piece(REQUEST));
        }
    }
    let mut server = Server::new(Limits::default());
    let mut left = BytesMut::from(&wire[..]);
    ignore(server.handle_input(Instant::EPOCH, &mut left));
    let Some(StreamEvent::Opened(key)) = server.poll_event() else { return };
    let head = server.head(key).expect("an opened stream has a head");

    let mut slots = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut slots);
    let Ok(httparse::Status::Complete(length)) = request.parse(&wire) else {
        panic!("httparse refuses what we accept: {}", wire.escape_ascii());
    };
    let section = &wire[..length];
    let lone = (0..length).any(|at| section[at] == b'\n' && (at == 0 || section[at - 1] != b'\r'));
    assert!(!lone, "a bare LF: {}", section.escape_ascii());
    assert_eq!(request.method, Some(head.method()));
    let path = request.path.unwrap_or_default();
    assert!(path == head.path() || path.contains("://"));
    assert!(path.ends_with(head.path().trim_start_matches('/')));
    let consumed = [
        "host",
        "connection",
        "transfer-encoding",
        "expect",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "http2-settings",
    ];
    let mut expected = Fields::new();
    for header in request.headers.iter() {
        let name = header.name.to_ascii_lowercase();
        if !consumed.contains(&name.as_str()) {
            expected.push(&name, header.value.trim_ascii());
        }
    }
    assert!(
        expected
            .iter()
            .map(|field| (field.name, field.value))
            .eq(head.fields.iter().map(|f| (f.name, f.value)))
    );
}

/// The decoder of chunks against a model that sees all bytes at once.
pub fn h1_chunks(data: &[u8]) {
    let mut input = Input(data);
    let mut body = Vec::new();
    if input.byte().unwrap_or(0) % 2 == 0 {
        body = input.0.to_vec();
    } else {
        while !input.0.is_empty() {
            body.extend_from_slice(&input.piece(&REQUEST[12..]));
        }
    }
    let mut server = Server::new(Limits::default());
    let mut wire = BytesMut::from(&b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"[..]);
    wire.extend_from_slice(&body);
    let outcome = server.handle_input(Instant::EPOCH, &mut wire);
    let Some(StreamEvent::Opened(key)) = server.poll_event() else { panic!("the head is good") };
    let end = server.receive_end(key);
    let got = server.body(key).expect("the key is known").to_vec();
    let window = Limits::default().window as usize;
    match model_chunks(&body) {
        (expected, _) if expected.len() > window => assert_eq!(got, expected[..window]),
        (expected, model) => {
            assert_eq!(got, expected);
            match model {
                Model::Complete => assert_eq!((end, outcome), (Some(ReceiveEnd::Clean), Ok(()))),
                Model::Incomplete => assert_eq!((end, outcome), (None, Ok(()))),
                Model::Bad => assert!(outcome.is_err() && matches!(end, Some(ReceiveEnd::Malformed(_)))),
                Model::Trailers => {}
            }
        }
    }
}
