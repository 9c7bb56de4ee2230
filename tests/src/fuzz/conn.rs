//! Whole connections under any bytes and any order of calls.

use core::fmt::Write;
use core::time::Duration;
use std::sync::Arc;

use antiphon::rpc::{ClientRequest, HttpVersion, Method, Payload};
use antiphon::{
    CallId, Closing, Config, End, Event, InputEnd, Instant, Machine, Metadata, Status, client, server,
};
use bytes::BytesMut;

use crate::apps::{Echo, PROTOCOLS, Plan, SHAPES, Script, path};
use crate::laws::{self, Seen};
use crate::pair::{Pair, RandomCuts, next_random};

/// A body of a fuzz target.
pub type Target = fn(&[u8]);

/// The targets of this area and their names.
pub const TARGETS: &[(&str, Target)] =
    &[("server_connection", server_connection), ("client_connection", client_connection), ("pair", pair)];

/// Reads choices from the input of a fuzzer; zeros when it is used up.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

fn config(flags: u8) -> Arc<Config> {
    let mut config = Config::default();
    config.limits.streams = 4;
    config.limits.zombies = 2;
    config.limits.window = 16 << 10;
    config.limits.send_queue = if flags & 1 == 0 { 64 << 10 } else { 64 };
    config.allow_half_closed = flags & 2 != 0;
    let mut rules = (*config.rpc).clone();
    rules.max_receive = 20_000;
    config.rpc = Arc::new(rules);
    Arc::new(config)
}

/// Bytes for a machine: raw ones, or frames of HTTP/2 that are nearly right.
fn some_input(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let kind = choices.byte();
    let id = u32::from(choices.byte() % 8);
    let frame = |out: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]| {
        out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(&[kind, flags]);
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(payload);
    };
    match kind % 12 {
        0 => out.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        1 => frame(out, 4, 1, 0, b""),
        2 | 3 => {
            // A request of gRPC or Connect on a path of the echo.
            let shape = SHAPES[usize::from(choices.byte() % 4)];
            let path = path(shape);
            let mut block = vec![0x83, 0x86, 0x04, path.len() as u8];
            block.extend_from_slice(path.as_bytes());
            block.extend_from_slice(b"\x01\x01a\x0f\x10");
            let kind: &[u8] = [
                &b"application/grpc"[..],
                b"application/proto",
                b"application/connect+proto",
                b"application/grpc-web",
                b"application/grpc-web-text",
            ][usize::from(choices.byte() % 5)];
            block.push(kind.len() as u8);
            block.extend_from_slice(kind);
            if choices.byte() & 1 == 1 {
                block.extend_from_slice(b"\0\x0cgrpc-timeout\x04100m");
            }
            frame(out, 1, 4 | (choices.byte() & 1), id | 1, &block);
        }
        4 => frame(out, 1, 5, id, b"\x88"),
        5 | 6 => {
            let length = choices.byte();
            let body = choices.take(usize::from(length));
            let mut message = vec![choices.byte() & 1, 0, 0, 0, body.len() as u8];
            message.extend_from_slice(body);
            frame(out, 0, choices.byte() & 1, id, &message);
        }
        7 => frame(out, 3, 0, id, &[0, 0, 0, choices.byte()]),
        8 => frame(out, 8, 0, id, &[0, 0, choices.byte(), choices.byte()]),
        9 => {
            let kind = choices.byte() % 11;
            let flags = choices.byte();
            let length = usize::from(choices.byte() % 32);
            frame(out, kind, flags, id, choices.take(length));
        }
        10 => out.extend_from_slice(
            b"POST /test.v1.Echo/Unary HTTP/1.1\r\nhost: a\r\ncontent-type: application/proto\r\ncontent-length: 5\r\n\r\nhello",
        ),
        _ => {
            let length = usize::from(choices.byte());
            out.extend_from_slice(choices.take(length));
        }
    }
}

/// What both kinds of connection can be asked to do, for the interpreter below.
trait Subject: Machine<Event = Event> {
    /// Does something to a call, and describes what came of it.
    fn act(&mut self, now: Instant, call: CallId, what: u8, seen: &mut Seen) -> String;
    /// Does something without a call.
    fn other(&mut self, now: Instant, what: u8, seen: &mut Seen) -> String;
    fn held(&self) -> usize;
    fn worst_case(&self) -> usize;
}

impl Subject for server::Connection {
    fn act(&mut self, now: Instant, call: CallId, what: u8, seen: &mut Seen) -> String {
        let none = Metadata::new();
        match what % 12 {
            0 | 1 => match self.read(now, call) {
                Ok(server::Read::Messages(mut messages)) => {
                    let mut text = String::new();
                    while let Some(message) = messages.next(&mut Vec::new()) {
                        let _ = write!(text, "{message:?}");
                    }
                    text
                }
                other => format!("{other:?}"),
            },
            2 => {
                format!("{:?}", self.route(now, call, Some(&Method::new(SHAPES[usize::from(what / 12 % 4)]))))
            }
            3 => format!("{:?}", self.send(now, call, Payload::Plain(&[what; 100]))),
            4 => format!("{:?}", self.send_headers(now, call, &none)),
            5 => format!("{:?}", self.answer(now, call, &none, Payload::Plain(b"answer"), &none)),
            6 => format!("{:?}", self.finish(now, call, Ok(()), &none)),
            7 => format!("{:?}", self.finish(now, call, Err(&Status::aborted("no")), &none)),
            8 => {
                self.stop_reading(now, call);
                String::new()
            }
            9 => {
                self.fail(now, call, Status::internal("fault"));
                String::new()
            }
            10 => format!("{:?} {:?}", self.room(call), self.outcome(call)),
            _ => {
                seen.dropped(call);
                self.drop_call(now, call);
                assert!(self.request(call).is_none());
                String::new()
            }
        }
    }

    fn other(&mut self, now: Instant, what: u8, _: &mut Seen) -> String {
        match what % 8 {
            0 => self.drain(now),
            1 if what >= 128 => self.abort(now),
            _ => {}
        }
        String::new()
    }

    fn held(&self) -> usize {
        self.calls()
    }

    fn worst_case(&self) -> usize {
        self.worst_case_bytes()
    }
}

impl Subject for client::Connection {
    fn act(&mut self, now: Instant, call: CallId, what: u8, seen: &mut Seen) -> String {
        match what % 10 {
            0 | 1 => match self.read(now, call) {
                Ok(client::Read::Messages(mut messages)) => {
                    let mut text = String::new();
                    while let Some(message) = messages.next(&mut Vec::new()) {
                        let _ = write!(text, "{message:?}");
                    }
                    text
                }
                other => format!("{other:?}"),
            },
            2 => format!("{:?}", self.send(now, call, Payload::Plain(&[what; 100]))),
            3 => format!("{:?}", self.send_last(now, call, Payload::Plain(b"only"))),
            4 => format!("{:?}", self.half_close(now, call)),
            5 => {
                self.cancel(now, call);
                format!("{:?}", self.outcome(call))
            }
            6 => {
                self.stop_reading(now, call);
                String::new()
            }
            7 => {
                self.fail(now, call, Status::internal("fault"));
                String::new()
            }
            8 => format!("{:?} {:?} {:?}", self.room(call), self.headers(call), self.trailers(call)),
            _ => {
                seen.dropped(call);
                self.drop_call(now, call);
                assert!(self.headers(call).is_none());
                String::new()
            }
        }
    }

    fn other(&mut self, now: Instant, what: u8, seen: &mut Seen) -> String {
        match what % 8 {
            0 if what >= 128 => self.drain(now),
            1 if what >= 192 => self.abort(now),
            _ => {
                let protocol = PROTOCOLS[usize::from(what / 8 % 4)];
                let shape = SHAPES[usize::from(what / 32 % 4)];
                let method = Method::new(shape).without_side_effects();
                let request = ClientRequest::new(protocol, "proto", method, "a", path(shape))
                    .use_get(what & 2 != 0)
                    .deadline((what & 4 != 0).then_some(now + Duration::from_secs(1)));
                let started = self.start(now, &request);
                if let Ok(call) = started {
                    seen.started(call);
                }
                return format!("{started:?}");
            }
        }
        String::new()
    }

    fn held(&self) -> usize {
        self.calls()
    }

    fn worst_case(&self) -> usize {
        self.worst_case_bytes()
    }
}

/// The choice that aborts a connection, at both ends.
const ABORT: u8 = 249;

/// Interprets `data` as work on a machine and writes down everything that can be observed. `split` feeds each piece of
/// input in two.
fn interpret<M: Subject>(machine: &mut M, data: &[u8], split: bool) -> String {
    let mut choices = Choices(data);
    let mut trace = String::new();
    let mut now = Instant::from_epoch(Duration::from_secs(1));
    let (mut input, mut seen) = (BytesMut::new(), Seen::default());
    let mut ended = false;
    while !choices.0.is_empty() {
        match choices.byte() % 10 {
            0..=3 => {
                let mut bytes = Vec::new();
                some_input(&mut choices, &mut bytes);
                if ended {
                    continue;
                }
                let place = usize::from(choices.byte()) % (bytes.len() + 1);
                let cut = if split { place } else { 0 };
                input.extend_from_slice(&bytes[..cut]);
                // L1: feeding is a homomorphism.
                if cut > 0 && machine.wants_input() {
                    let _ = machine.handle_input(now, &mut input);
                }
                input.extend_from_slice(&bytes[cut..]);
                if machine.wants_input() {
                    let _ = machine.handle_input(now, &mut input);
                    laws::quiet(machine, now, &mut input);
                }
                let _ = match machine.closing() {
                    Closing::Open => writeln!(trace, "left {} wants {}", input.len(), machine.wants_input()),
                    // What comes now is thrown away, now or later.
                    closing => writeln!(trace, "{closing:?} {:?}", machine.handle_input(now, &mut input)),
                };
            }
            4 => {
                now = now + Duration::from_millis(u64::from(choices.byte()) * 20);
                laws::timers_go_away(machine, now);
                let _ = writeln!(trace, "{:?}", machine.poll_timeout());
            }
            5 => {
                let bytes = laws::transmits(machine, now);
                let _ = writeln!(trace, "out {}", bytes.escape_ascii());
            }
            6 => {
                let what = choices.byte();
                let _ = writeln!(trace, "other {what}: {}", machine.other(now, what, &mut seen));
            }
            7 if choices.byte() > 200 && !ended => {
                ended = true;
                let _ = writeln!(trace, "end: {:?}", machine.handle_end(now, InputEnd::Eof));
            }
            _ => {
                let (pick, what) = (choices.byte(), choices.byte());
                let calls = seen.calls();
                let stranger = CallId { index: u32::from(pick % 4), generation: 77 };
                let call = calls.get(usize::from(pick) % calls.len().max(1)).copied().unwrap_or(stranger);
                let _ = writeln!(trace, "{what} on {call:?}: {}", machine.act(now, call, what, &mut seen));
            }
        }
        while let Some(event) = machine.poll_event() {
            seen.event(event);
            let _ = writeln!(trace, "{event:?}");
        }
    }
    if !ended {
        let _ = machine.handle_end(now, InputEnd::Failed);
    } else {
        machine.other(now, ABORT, &mut seen);
    }
    while let Some(event) = machine.poll_event() {
        seen.event(event);
    }
    let _ = laws::transmits(machine, now);
    // The connection is gone: every call has its outcome, and once all are dropped nothing is held.
    assert_eq!(seen.ended(), seen.calls().len(), "a call without an outcome on a connection that is gone");
    assert_eq!(machine.held(), seen.calls().len());
    let worst = machine.worst_case();
    assert!(worst > 0);
    for call in seen.calls() {
        seen.dropped(call);
        machine.act(now, call, 119, &mut seen);
    }
    assert_eq!(machine.held(), 0);
    assert_eq!(machine.poll_event(), None);
    trace
}

/// A server under any bytes and any work of its application: laws L1, L5 and L7, one end for each call, no panic.
pub fn server_connection(data: &[u8]) {
    let flags = data.first().copied().unwrap_or(0);
    let run = |split| interpret(&mut server::Connection::new(config(flags)), data, split);
    let whole = run(false);
    assert_eq!(whole, run(false), "L7: equal bytes, times and calls give equal events and output");
    assert_eq!(whole, run(true), "L1: how the input is cut changes nothing");
}

/// A client under any bytes and any work of its application.
pub fn client_connection(data: &[u8]) {
    let flags = data.first().copied().unwrap_or(0);
    let version = if flags & 4 == 0 { HttpVersion::Http2 } else { HttpVersion::Http11 };
    let run = |split| interpret(&mut client::Connection::new(config(flags), version), data, split);
    let whole = run(false);
    assert_eq!(whole, run(false), "L7: equal bytes, times and calls give equal events and output");
    assert_eq!(whole, run(true), "L1: how the input is cut changes nothing");
}

/// Random calls between a client and a server, with random cuts, cancels and deadlines: exactly one outcome each, nothing
/// lost, nothing invented, and both come to rest.
pub fn pair(data: &[u8]) {
    let mut choices = Choices(data);
    let flags = choices.byte();
    let version = if flags & 1 == 0 { HttpVersion::Http2 } else { HttpVersion::Http11 };
    let config = config(flags >> 1);
    let mut seed = u64::from_le_bytes(core::array::from_fn(|_| choices.byte()));
    let mut plans = Vec::new();
    for _ in 0..1 + flags % 7 {
        let mut protocol = PROTOCOLS[usize::from(choices.byte() % 4)];
        if version == HttpVersion::Http11 && protocol == antiphon::rpc::Protocol::Grpc {
            protocol = antiphon::rpc::Protocol::Connect;
        }
        let shape = SHAPES[usize::from(choices.byte() % 4)];
        let count = if shape.takes_stream() { choices.byte() % 6 } else { 1 };
        let messages = (0..count)
            .map(|_| {
                let random = next_random(&mut seed);
                let size = if random & 3 == 0 { random % 18_000 } else { random % 300 };
                vec![random as u8; size as usize]
            })
            .collect();
        let mut plan = Plan::new(protocol, shape, messages);
        match choices.byte() % 8 {
            0 => plan.timeout = Some(Duration::from_millis(u64::from(choices.byte()))),
            1 => plan.cancel_after = Some(usize::from(choices.byte() % 4)),
            2 => plan.path = Some("/test.v1.Echo/Missing"),
            3 => plan.metadata.push(("x-fail", "aborted")),
            4 if shape == antiphon::rpc::Shape::Unary => plan.get = true,
            5 => plan.keep_open = true,
            _ => {}
        }
        if plan.keep_open {
            plan.timeout = Some(Duration::from_secs(3));
        }
        plans.push(plan);
    }
    let (mut script, mut echo) = (Script::new(plans), Echo::new());
    let client = client::Connection::new(config.clone(), version);
    let mut pair = Pair::new(client, server::Connection::new(config)).with_cuts(RandomCuts(seed));
    let start = pair.now;
    for step in 1..200u64 {
        pair.advance(start + Duration::from_millis(step * 200), &mut script, &mut echo);
        if script.is_done() {
            break;
        }
        match choices.byte() {
            1 => pair.server.machine.drain(pair.now),
            2 => pair.client.machine.drain(pair.now),
            3 => {
                pair.client.end(pair.now, InputEnd::Failed);
                pair.server.end(pair.now, InputEnd::Failed);
            }
            _ => {}
        }
    }
    if !script.is_done() {
        let (client, server) = (&mut pair.client, &mut pair.server);
        panic!(
            "not done: {:#?}\n{:#?}\n{:#?}\nclient {:?} {:?} {:?}\nserver {:?} {:?} {:?}",
            script.plans,
            script.records,
            echo.records,
            (client.closing(), client.error(), client.timeout()),
            (client.machine.is_draining(), client.machine.can_start(), client.machine.calls()),
            client.machine,
            (server.closing(), server.error(), server.timeout()),
            server.machine.calls(),
            server.machine,
        );
    }
    let later = pair.now + Duration::from_secs(60);
    pair.advance(later, &mut script, &mut echo);
    check(&script, &echo, &mut pair);
}

fn check(script: &Script, echo: &Echo, pair: &mut Pair) {
    assert_eq!((pair.client.machine.calls(), pair.server.machine.calls()), (0, 0));
    for (plan, record) in script.plans.iter().zip(&script.records) {
        let end = record.end.as_deref().expect("an outcome");
        if end.starts_with("not started") {
            continue;
        }
        assert_eq!(record.ended.len(), 1, "{plan:?} {record:?}");
        let expected: Vec<Vec<u8>> = match plan.shape {
            antiphon::rpc::Shape::ServerStream => {
                plan.messages.iter().flat_map(|message| vec![message.clone(); 5]).collect()
            }
            antiphon::rpc::Shape::ClientStream => {
                let bytes: usize = plan.messages.iter().map(Vec::len).sum();
                vec![format!("{} messages, {bytes} bytes", plan.messages.len()).into_bytes()]
            }
            _ => plan.messages.clone(),
        };
        assert!(expected.starts_with(&record.messages), "{plan:?} {record:?}");
        if end == "Ok" {
            assert_eq!(record.messages, expected, "{plan:?}");
            assert_eq!(record.ended, [End::Finished]);
        }
    }
    for record in &echo.records {
        let refused = record.end.as_deref() == Some("refused");
        assert!(refused || record.ended.len() == 1, "{record:?}");
    }
}
