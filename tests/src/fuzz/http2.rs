//! HTTP/2 under any bytes, any cuts and any application.

use std::time::Duration;

use antiphon::http2::{Connection, Role};
use antiphon::{
    Closing, Fields, Head, HttpConnection, InputEnd, Instant, Limits, Machine, Output, ReceiveEnd, SendError,
    StreamEvent, StreamKey,
};
use bytes::{Bytes, BytesMut};

use crate::h2kit::{EH, ES, POST, PREFACE, frame, goaway, number, settings};
use crate::h2strict::Strict;

/// Numbers from bytes; zeros when they have run out.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the application knows of a stream.
struct Call {
    key: StreamKey,
    end: Option<ReceiveEnd>,
    held: usize,
    blocked: bool,
}

/// One connection with its application, and the oracles over both.
struct Subject {
    connection: Connection,
    now: Instant,
    strict: Strict,
    input: BytesMut,
    output: Output,
    calls: Vec<Call>,
    failed: bool,
    ended: bool,
    /// Never aborts the connection.
    tame: bool,
}

fn limits(choice: u8) -> Limits {
    let mut limits = Limits::default();
    match choice % 4 {
        1 => {
            limits.streams = 2;
            limits.zombies = 1;
            limits.window = 16 << 10;
            limits.send_queue = 100;
        }
        2 => {
            limits.window = 1 << 20;
            limits.hpack_table = 64;
            limits.header_list = 1 << 10;
            limits.header_fields = 8;
            limits.assembly = 1 << 16;
        }
        _ => {}
    }
    limits
}

impl Subject {
    fn new(role: Role, limits: Limits) -> Self {
        let connection = match role {
            Role::Client => Connection::client(limits),
            Role::Server => Connection::server(limits),
        };
        Self {
            connection,
            now: Instant::from_epoch(Duration::from_secs(50)),
            strict: Strict::new(role),
            input: BytesMut::new(),
            output: Output::new(),
            calls: Vec::new(),
            failed: false,
            ended: false,
            tame: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.strict.fed(bytes);
        self.input.extend_from_slice(bytes);
        if !self.connection.wants_input() && !self.ended {
            return;
        }
        let before = self.connection.closing();
        let result = self.connection.handle_input(self.now, &mut self.input);
        assert!(result.is_err() || !self.failed, "an error is sticky");
        self.failed |= result.is_err();
        if self.failed || before != Closing::Open {
            assert!(self.input.is_empty(), "after its end, a connection takes all");
        } else if self.connection.wants_input() {
            // L5: feeding the leftover again changes nothing.
            let left = self.input.len();
            assert_eq!(self.connection.handle_input(self.now, &mut self.input), Ok(()));
            assert_eq!(self.input.len(), left);
            assert!(left < 16_384 + 9);
        }
    }

    fn transmit(&mut self, source: &mut Source<'_>) {
        let wanted = self.connection.wants_output();
        let sent = self.connection.poll_transmit(self.now, &mut self.output);
        assert!(!sent || wanted, "it sends only when it says so");
        let bytes = match source.byte() % 3 {
            0 => return,
            1 => usize::from(source.byte()) * 64,
            _ => usize::MAX,
        };
        // The reader sees whole frames, so what is pending goes at once; `Output` has its own tests.
        if bytes < self.output.len() {
            return;
        }
        self.flush();
    }

    fn flush(&mut self) {
        let mut all = Vec::new();
        while let Some(piece) = self.output.take() {
            all.extend_from_slice(&piece);
        }
        self.strict.sent(&all);
        if self.connection.wants_input() && !self.input.is_empty() {
            self.feed(&[]);
        }
    }

    fn events(&mut self) {
        let mut rounds = 0;
        while let Some(event) = self.connection.poll_event() {
            rounds += 1;
            assert!(rounds < 100_000, "notices end");
            match event {
                StreamEvent::Opened(key) => {
                    assert!(self.connection.head(key).is_some_and(Head::is_request));
                    assert!(self.calls.iter().all(|call| call.key != key), "opened once");
                    self.calls.push(Call { key, end: None, held: 0, blocked: false });
                }
                StreamEvent::Readable(key) => self.readable(key),
                StreamEvent::Writable(key) | StreamEvent::Stopped(key, _) | StreamEvent::Lost(key) => {
                    let call = self.calls.iter_mut().find(|call| call.key == key).expect("a stream of ours");
                    call.blocked = false;
                }
                StreamEvent::Available | StreamEvent::Draining => {}
            }
        }
        self.check();
    }

    fn readable(&mut self, key: StreamKey) {
        assert!(self.calls.iter().any(|call| call.key == key), "a notice for a stream that was dropped");
    }

    /// What must hold at any time, once all notices are taken.
    fn check(&mut self) {
        for call in &mut self.calls {
            assert!(self.connection.knows(call.key));
            let end = self.connection.receive_end(call.key);
            assert!(call.end.is_none() || call.end == end, "an end is fixed: {:?} became {end:?}", call.end);
            call.end = end;
            let body = self.connection.body(call.key).map_or(0, |body| body.len());
            call.held = body;
            // L4: who was blocked and was not told otherwise is still blocked.
            if call.blocked {
                let room = self.connection.poll_room(call.key);
                assert!(!matches!(room, Ok(()) | Err(SendError::Ended)), "a lost Writable");
            }
        }
    }

    fn act(&mut self, source: &mut Source<'_>) {
        let op = source.byte();
        if self.calls.is_empty() || op % 16 == 15 {
            return self.act_on_connection(op, source);
        }
        let index = source.below(self.calls.len());
        let key = self.calls[index].key;
        let now = self.now;
        match op % 16 {
            0 | 1 => self.take(key, source),
            2 => {
                let mut head = Head::response([200, 204, 100, 404][source.below(4)]);
                head.fields.push("x-a", b"1");
                let _ = self.connection.respond(now, key, &head, source.byte() % 4 == 0);
            }
            3..=5 => self.send(index, source),
            6 => self.connection.finish(key),
            7 => {
                let value = source.byte().to_string();
                let trailers: Fields = [("grpc-status", value.as_bytes())].into_iter().collect();
                self.connection.finish_with_trailers(key, &trailers);
            }
            8 if source.byte() % 4 == 0 => self.connection.reset(now, key, source.byte().into()),
            9 => self.connection.stop_reading(now, key),
            10 | 11 => self.drop_call(index),
            12 | 13 => {
                let need = usize::from(source.byte()) << (source.byte() % 14);
                assert_eq!(self.connection.demand(now, key, need), Ok(()));
            }
            _ => {}
        }
    }

    fn act_on_connection(&mut self, op: u8, source: &mut Source<'_>) {
        let now = self.now;
        match op >> 4 {
            0..=5 => self.open(source),
            6 | 7 => self.connection.drain(now),
            8 if source.byte() % 16 == 0 && !self.tame => self.connection.abort(now, source.byte().into()),
            9 => _ = self.connection.ping(now),
            _ => {}
        }
    }

    fn open(&mut self, source: &mut Source<'_>) {
        let method = if source.byte() % 8 == 0 { "HEAD" } else { "POST" };
        let mut head = Head::request(method, "http", "e.com", "/a");
        head.fields.push("x-b", &[b'a' + source.byte() % 26]);
        if let Ok(key) = self.connection.open(self.now, &head, source.byte() % 2 == 0) {
            self.calls.push(Call { key, end: None, held: 0, blocked: false });
        }
    }

    fn take(&mut self, key: StreamKey, source: &mut Source<'_>) {
        let now = self.now;
        let body = self.connection.body(key).expect("a known stream");
        let bytes = match source.byte() % 3 {
            0 => body.len() / 2,
            _ => body.len(),
        };
        drop(body.split_to(bytes));
        assert_eq!(self.connection.release(now, key, bytes), Ok(()));
        assert!(self.connection.release(now, key, usize::MAX).is_err());
    }

    fn send(&mut self, index: usize, source: &mut Source<'_>) {
        let call = &mut self.calls[index];
        match self.connection.poll_room(call.key) {
            Ok(()) if source.byte() % 4 == 0 => {
                let bytes = vec![7; usize::from(source.byte()) * 200];
                self.connection.push_bytes(call.key, &Bytes::from(bytes));
            }
            Ok(()) => self.connection.push(call.key, &vec![9; usize::from(source.byte())]),
            Err(SendError::Blocked) => call.blocked = true,
            Err(_) => {}
        }
    }

    fn drop_call(&mut self, index: usize) {
        let key = self.calls.swap_remove(index).key;
        self.connection.drop_stream(self.now, key);
        assert!(!self.connection.knows(key));
        assert!(self.connection.head(key).is_none() && self.connection.body(key).is_none());
        self.connection.push(key, b"nobody is there");
        self.connection.drop_stream(self.now, key);
    }

    fn wait(&mut self, source: &mut Source<'_>) {
        let time = Duration::from_millis(u64::from(source.byte()) << (source.byte() % 10));
        let until = self.now + time;
        for _ in 0..1000 {
            let Some(due) = self.connection.poll_timeout().filter(|due| *due <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(due);
            self.connection.handle_timeout(self.now);
        }
        panic!("a timer that never ends");
    }

    /// The transport ends; then every stream must have its end, and dropping all leaves nothing.
    fn end(&mut self, source: &mut Source<'_>) {
        let end = [InputEnd::Eof, InputEnd::Truncated, InputEnd::Failed][source.below(3)];
        let _ = self.connection.handle_end(self.now, end);
        self.ended = true;
        self.events();
        assert_eq!(self.connection.open_streams(), 0);
        assert_eq!(self.connection.closing(), Closing::Closed);
        for call in &self.calls {
            assert!(call.end.is_some(), "a stream without an end");
        }
        // What is pending may be enough already, and then leaves no room for the last frames.
        self.flush();
        self.connection.poll_transmit(self.now, &mut self.output);
        self.flush();
        assert!(!self.connection.wants_output());
        assert_eq!(self.connection.poll_timeout(), None);
        while !self.calls.is_empty() {
            self.drop_call(0);
        }
        assert_eq!(self.connection.poll_event(), None);
    }
}

/// A frame that is often nearly legal.
fn some_frame(source: &mut Source<'_>) -> Vec<u8> {
    let stream = u32::from(source.byte() % 12);
    let odd = stream | 1;
    match source.byte() % 20 {
        0..=3 => {
            let flags = EH | source.byte() & ES;
            frame(1, flags, odd, POST)
        }
        4 => frame(1, EH | source.byte() & 0x29, odd, &[&[0x88][..], &[source.byte(), 0xbe]].concat()),
        5 => frame(1, EH | ES, odd, &[0, 1, b'x', 1, b'y']),
        6 | 7 => frame(0, source.byte() & ES, odd, &vec![1; usize::from(source.byte()) * 40]),
        8 => frame(0, source.byte() & 9, odd, &vec![2; usize::from(source.byte())]),
        9 => number(3, odd, source.byte().into()),
        10 => settings(&[(u16::from(source.byte() % 8), u32::from(source.byte()) << (source.byte() % 25))]),
        11 => frame(4, ES, 0, &[]),
        12 => frame(6, source.byte() & ES, 0, &[source.byte(); 8]),
        13 => goaway(odd, source.byte().into()),
        14 | 15 => number(8, stream, u32::from(source.byte()) << (source.byte() % 24)),
        16 => frame(1, source.byte() & ES, odd, &POST[..source.below(POST.len())]),
        17 => frame(9, source.byte() & EH, odd, &POST[source.below(POST.len())..]),
        18 => frame(1, EH, odd, &[0x88]),
        _ => {
            let (kind, flags, len) = (source.byte(), source.byte(), source.below(40));
            let payload: Vec<u8> = (0..len).map(|_| source.byte()).collect();
            frame(kind, flags, stream, &payload)
        }
    }
}

fn any_bytes(role: Role, data: &[u8]) {
    let mut source = Source(data);
    let mut subject = Subject::new(role, limits(source.byte()));
    if source.byte() % 8 != 0 {
        let preface: &[u8] = if role == Role::Server { PREFACE } else { &[] };
        subject.feed(&[preface, &settings(&[])].concat());
    }
    while !source.is_empty() {
        match source.byte() % 8 {
            0..=3 => {
                let bytes = some_frame(&mut source);
                let cut = source.below(bytes.len());
                subject.feed(&bytes[..cut]);
                subject.feed(&bytes[cut..]);
            }
            4 | 5 => subject.act(&mut source),
            6 => subject.transmit(&mut source),
            _ => match source.byte() {
                0..=3 => subject.connection.handle_output_lost(subject.now),
                4..=40 => {
                    let bytes: Vec<u8> = (0..source.below(20)).map(|_| source.byte()).collect();
                    subject.feed(&bytes);
                }
                41..=140 => subject.wait(&mut source),
                _ => {}
            },
        }
        subject.events();
    }
    subject.end(&mut source);
}

/// A server under any bytes in any pieces, with any application.
///
/// Laws: no panic; every byte sent is legal for a strict reader; errors are sticky; an end is fixed, comes once, and
/// comes to every stream; no notice is lost, and none is for a stream that was dropped; leftovers change nothing.
pub fn h2_server(data: &[u8]) {
    any_bytes(Role::Server, data);
}

/// A client under any bytes in any pieces, with any application: laws as for [`h2_server`].
pub fn h2_client(data: &[u8]) {
    any_bytes(Role::Client, data);
}

/// Carries some of what `from` has to say to `to`.
fn carry(from: &mut Subject, to: &mut Subject, pipe: &mut Vec<u8>, most: usize) {
    if pipe.len() < 1 << 16 {
        from.connection.poll_transmit(from.now, &mut from.output);
        let mut bytes = Vec::new();
        while let Some(piece) = from.output.take() {
            bytes.extend_from_slice(&piece);
        }
        from.strict.sent(&bytes);
        pipe.extend_from_slice(&bytes);
    }
    if to.connection.wants_input() {
        let bytes: Vec<u8> = pipe.drain(..most.min(pipe.len())).collect();
        to.feed(&bytes);
        assert!(!to.failed, "{:?}", to.connection.error());
    }
}

/// Two connections, any cuts, any applications.
///
/// Laws: neither side ever blames the other; when the applications read and finish, everything comes to its end: no
/// credit is lost and nobody waits for ever; then no stream is left on either side.
pub fn h2_pair(data: &[u8]) {
    let mut source = Source(data);
    let mut client = Subject::new(Role::Client, limits(source.byte()));
    let mut server = Subject::new(Role::Server, limits(source.byte()));
    (client.tame, server.tame) = (true, true);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    while !source.is_empty() {
        match source.byte() % 8 {
            0 | 1 => client.act(&mut source),
            2 => client.open(&mut source),
            3 | 4 => server.act(&mut source),
            5 | 6 => {
                let most = 1 + (source.below(256) << (source.byte() % 8));
                carry(&mut client, &mut server, &mut up, most);
            }
            _ => {
                let most = 1 + (source.below(256) << (source.byte() % 8));
                carry(&mut server, &mut client, &mut down, most);
            }
        }
        client.events();
        server.events();
    }
    for _ in 0..20_000 {
        for subject in [&mut client, &mut server] {
            subject.events();
            subject.conclude();
        }
        carry(&mut client, &mut server, &mut up, usize::MAX);
        carry(&mut server, &mut client, &mut down, usize::MAX);
        if client.calls.is_empty() && server.calls.is_empty() && up.is_empty() && down.is_empty() {
            client.events();
            server.events();
            if client.is_quiet() && server.is_quiet() {
                break;
            }
        }
    }
    assert!(client.calls.is_empty() && server.calls.is_empty(), "wedged");
    assert_eq!((client.connection.open_streams(), server.connection.open_streams()), (0, 0));
}

impl Subject {
    fn is_quiet(&self) -> bool {
        !self.connection.wants_output() && self.calls.is_empty() && self.output.is_empty()
    }

    /// An application that reads all, answers, finishes and drops.
    fn conclude(&mut self) {
        let now = self.now;
        for index in (0..self.calls.len()).rev() {
            let key = self.calls[index].key;
            let body = self.connection.body(key).map_or(0, |body| body.split().len());
            assert_eq!(self.connection.release(now, key, body), Ok(()));
            assert_eq!(self.connection.demand(now, key, 1), Ok(()));
            if self.connection.role() == Role::Server && self.connection.receive_end(key).is_some() {
                let _ = self.connection.respond(now, key, &Head::response(200), false);
            }
            self.connection.finish(key);
            if self.connection.receive_end(key).is_some() {
                self.drop_call(index);
            }
        }
    }
}
