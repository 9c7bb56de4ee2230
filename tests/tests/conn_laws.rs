//! The laws of `design.md` over transcripts of every protocol and shape, recorded by a joined pair.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon::rpc::{HttpVersion, Method, Payload, Protocol, Shape};
use antiphon::{CallId, Config, Event, InputEnd, Instant, Machine, Output, Pump, SendError, client, server};
use antiphon_tests::apps::{Echo, PROTOCOLS, Plan, Record, SHAPES, Script};
use antiphon_tests::laws;
use antiphon_tests::pair::{App, Pair, RandomCuts};
use bytes::BytesMut;

fn now() -> Instant {
    Instant::from_epoch(Duration::from_secs(1000))
}

fn client_of(version: HttpVersion) -> client::Connection {
    client::Connection::new(Arc::default(), version)
}

fn server_of() -> server::Connection {
    server::Connection::new(Arc::default())
}

/// Every combination that can be carried, with a name.
fn combinations() -> Vec<(HttpVersion, Plan)> {
    let mut all = Vec::new();
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        for protocol in PROTOCOLS {
            for shape in SHAPES {
                if version == HttpVersion::Http2 || protocol != Protocol::Grpc {
                    all.push((version, Plan::small(protocol, shape)));
                    let mut failing = Plan::small(protocol, shape);
                    failing.metadata.push(("x-fail", "not_found"));
                    all.push((version, failing));
                }
            }
        }
        let get = Plan { get: true, ..Plan::small(Protocol::Connect, Shape::Unary) };
        all.push((version, get));
    }
    all
}

/// What went over both wires, and what both sides saw.
struct Transcript {
    up: Vec<u8>,
    down: Vec<u8>,
    client: Vec<Record>,
    server: Vec<Record>,
}

fn record(version: HttpVersion, plan: &Plan) -> Transcript {
    let (mut script, mut echo) = (Script::new(vec![plan.clone()]), Echo::new());
    let mut pair = Pair::new(client_of(version), server_of()).recorded();
    pair.settle(&mut script, &mut echo);
    assert!(script.is_done(), "{plan:?}");
    Transcript {
        up: pair.up.record.take().unwrap(),
        down: pair.down.record.take().unwrap(),
        client: script.records,
        server: echo.records,
    }
}

/// Feeds `pieces` one after the other with nothing between, then lets the application work and takes the output.
fn lazy_server(pieces: &[&[u8]]) -> (Vec<Record>, Vec<u8>) {
    let (mut machine, mut echo, mut input) = (server_of(), Echo::new(), BytesMut::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        machine.handle_input(now(), &mut input).unwrap();
    }
    laws::quiet(&mut machine, now(), &mut input);
    work(&mut machine, &mut echo);
    let output = laws::transmits(&mut machine, now());
    (echo.records, output)
}

fn lazy_client(version: HttpVersion, plan: &Plan, pieces: &[&[u8]]) -> (Vec<Record>, Vec<u8>) {
    let (mut machine, mut script, mut input) =
        (client_of(version), Script::new(vec![plan.clone()]), BytesMut::new());
    script.turn(now(), &mut machine);
    let mut output = laws::transmits(&mut machine, now());
    for piece in pieces {
        input.extend_from_slice(piece);
        machine.handle_input(now(), &mut input).unwrap();
    }
    laws::quiet(&mut machine, now(), &mut input);
    work(&mut machine, &mut script);
    output.extend(laws::transmits(&mut machine, now()));
    (script.records, output)
}

fn work<M: Machine<Event = Event>>(machine: &mut M, app: &mut dyn App<M>) {
    while let Some(event) = machine.poll_event() {
        app.on_event(now(), machine, event);
    }
}

// L1: from equal states, one `now` and nothing between, feeding a then b equals feeding a ++ b, byte for byte, at every
// cut of every transcript.
#[test]
fn l1_feeding_is_a_homomorphism() {
    for (version, plan) in combinations() {
        let transcript = record(version, &plan);
        let whole = lazy_server(&[&transcript.up]);
        assert_eq!(whole.0, transcript.server);
        for cut in 1..transcript.up.len() {
            let (head, tail) = transcript.up.split_at(cut);
            assert!(lazy_server(&[head, tail]) == whole, "{version:?} {plan:?} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = transcript.up.chunks(1).collect();
        assert!(lazy_server(&bytes) == whole, "{version:?} {plan:?} byte by byte");

        let whole = lazy_client(version, &plan, &[&transcript.down]);
        assert_eq!(whole.0, transcript.client);
        for cut in 1..transcript.down.len() {
            let (head, tail) = transcript.down.split_at(cut);
            assert!(lazy_client(version, &plan, &[head, tail]) == whole, "{version:?} {plan:?} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = transcript.down.chunks(1).collect();
        assert!(lazy_client(version, &plan, &bytes) == whole, "{version:?} {plan:?} byte by byte");
    }
}

// L2: an eager driver, which works and transmits between the pieces, sees the same calls. (The peer's answers depend on
// nothing of ours here, since the transcript is fixed.)
#[test]
fn l2_an_eager_driver_sees_the_same() {
    for (version, plan) in combinations() {
        let transcript = record(version, &plan);
        for size in [1, 2, 3, 7, 16, 50] {
            let (mut machine, mut echo, mut input) = (server_of(), Echo::new(), BytesMut::new());
            for piece in transcript.up.chunks(size) {
                input.extend_from_slice(piece);
                machine.handle_input(now(), &mut input).unwrap();
                work(&mut machine, &mut echo);
                let _ = laws::transmits(&mut machine, now());
            }
            assert_eq!(echo.records, transcript.server, "{version:?} {plan:?} in pieces of {size}");

            let (mut machine, mut input) = (client_of(version), BytesMut::new());
            let mut script = Script::new(vec![plan.clone()]);
            script.turn(now(), &mut machine);
            let _ = laws::transmits(&mut machine, now());
            for piece in transcript.down.chunks(size) {
                input.extend_from_slice(piece);
                machine.handle_input(now(), &mut input).unwrap();
                work(&mut machine, &mut script);
                let _ = laws::transmits(&mut machine, now());
            }
            assert_eq!(script.records, transcript.client, "{version:?} {plan:?} in pieces of {size}");
        }
    }
}

// L3: frames depend on windows and the peer's maximum, never on how much the transport takes at once.
#[test]
fn l3_how_the_output_is_taken_changes_no_byte() {
    for (version, plan) in combinations() {
        let transcript = record(version, &plan);
        let whole = lazy_server(&[&transcript.up]).1;
        for step in [1, 5, 100] {
            let (mut machine, mut echo) = (server_of(), Echo::new());
            machine.handle_input(now(), &mut BytesMut::from(&transcript.up[..])).unwrap();
            work(&mut machine, &mut echo);
            let (mut output, mut bytes) = (Output::new(), Vec::new());
            loop {
                let appended = machine.poll_transmit(now(), &mut output);
                if output.is_empty() && !appended {
                    break;
                }
                let mut slices = [std::io::IoSlice::new(&[]); 1];
                output.slices(&mut slices);
                let taken: Vec<u8> = slices[0].iter().copied().take(step).collect();
                output.advance(taken.len());
                bytes.extend(taken);
                work(&mut machine, &mut echo);
            }
            assert!(bytes == whole, "{version:?} {plan:?} in steps of {step}");
        }
    }
    // And of much output: ten streams of 50 KB each, as far as the window goes, are cut in the same way, whatever the
    // room.
    let outputs = [1 << 20, 1000, 9].map(busy_output);
    assert!(outputs[0].len() > 60_000);
    assert!(outputs[1] == outputs[0] && outputs[2] == outputs[0]);
}

/// What a server sends on ten calls at once when the transport takes `step` bytes at a time.
fn busy_output(step: usize) -> Vec<u8> {
    let mut client = client_of(HttpVersion::Http2);
    let plans = vec![Plan::new(Protocol::Grpc, Shape::ServerStream, vec![vec![5; 10_000]]); 10];
    let mut script = Script::new(plans);
    script.turn(now(), &mut client);
    let mut server = Pump::new(server_of());
    let mut echo = Echo::new();
    server.feed(now(), &laws::transmits(&mut client, now()));
    work(&mut server.machine, &mut echo);
    let mut bytes = Vec::new();
    loop {
        let output = server.output(now());
        if output.is_empty() {
            return bytes;
        }
        let mut slices = [std::io::IoSlice::new(&[]); 1];
        output.slices(&mut slices);
        let taken: Vec<u8> = slices[0].iter().copied().take(step).collect();
        output.advance(taken.len());
        bytes.extend(taken);
    }
}

/// Reads when it is told to, until nothing is left, and asks in vain at every other moment.
#[derive(Default)]
struct Nosy {
    calls: BTreeSet<CallId>,
    blocked: BTreeSet<CallId>,
    messages: usize,
    probes: usize,
}

impl Nosy {
    fn read(&mut self, now: Instant, machine: &mut server::Connection, call: CallId) {
        loop {
            match machine.read(now, call).unwrap() {
                server::Read::Messages(messages) => {
                    self.messages += messages.len();
                    for _ in 0..messages.len() {
                        self.send(now, machine, call);
                    }
                }
                server::Read::Pending => return,
                server::Read::End(_) => {
                    let _ = machine.finish(now, call, Ok(()), &antiphon::Metadata::new());
                    self.calls.remove(&call);
                    self.blocked.remove(&call);
                    return machine.drop_call(now, call);
                }
            }
        }
    }

    fn send(&mut self, now: Instant, machine: &mut server::Connection, call: CallId) {
        match machine.send(now, call, Payload::Plain(&[1; 20_000])) {
            Ok(()) => {}
            Err(SendError::Blocked) => drop(self.blocked.insert(call)),
            Err(error) => panic!("{error}"),
        }
    }
}

impl App<server::Connection> for Nosy {
    fn on_event(&mut self, now: Instant, machine: &mut server::Connection, event: Event) {
        match event {
            Event::Started(call) => {
                assert!(machine.route(now, call, Some(&Method::new(Shape::Bidi))));
                self.calls.insert(call);
                self.read(now, machine, call);
            }
            Event::Readable(call) if self.calls.contains(&call) => self.read(now, machine, call),
            Event::Writable(call) => drop(self.blocked.remove(&call)),
            _ => {}
        }
    }

    fn turn(&mut self, now: Instant, machine: &mut server::Connection) {
        for &call in &self.calls {
            self.probes += 1;
            assert!(matches!(machine.read(now, call), Ok(server::Read::Pending)), "a Readable was lost");
        }
        for &call in &self.blocked {
            assert_eq!(machine.room(call), Err(SendError::Blocked), "a Writable was lost");
        }
    }
}

// L4: between a `read` that gave nothing and one that would give something stands a `Readable`; likewise `Blocked` and
// `Writable`.
#[test]
fn l4_no_notice_is_lost() {
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        for seed in 1..40u64 {
            let protocol = [Protocol::Connect, Protocol::GrpcWeb, Protocol::GrpcWebText][seed as usize % 3];
            let count = if version == HttpVersion::Http2 { 5 } else { 1 };
            let sizes = [3, 300, 16_379, 16_380, 70_000, 0, 0, 1];
            let messages = sizes.map(|size| vec![seed as u8; size]).to_vec();
            let plans = vec![Plan::new(protocol, Shape::Bidi, messages); count];
            let (mut script, mut nosy) = (Script::new(plans), Nosy::default());
            let mut pair = Pair::new(client_of(version), server_of()).with_cuts(RandomCuts(seed));
            pair.settle(&mut script, &mut nosy);
            assert!(script.is_done(), "{:?}", script.records);
            assert_eq!(nosy.messages, 8 * count);
            assert!(nosy.probes > 5);
        }
    }
}

// L6: credit is returned for what nobody reads: after many cancelled uploads a large one still passes.
#[test]
fn l6_credit_of_dead_calls_returns() {
    let upload = Plan {
        path: Some("/test.v1.Echo/Missing"),
        ..Plan::new(Protocol::Grpc, Shape::ClientStream, vec![vec![3; 30_000]; 10])
    };
    let mut plans = vec![upload; 300];
    plans.push(Plan::new(Protocol::Grpc, Shape::Unary, vec![vec![4; 3_000_000]]));
    let (mut script, mut echo) = (Script::new(plans), Echo::new());
    let mut pair = Pair::new(client_of(HttpVersion::Http2), server_of());
    for step in 0..100 {
        pair.advance(now() + Duration::from_secs(step), &mut script, &mut echo);
    }
    assert_eq!(script.records[300].end.as_deref(), Some("Ok"), "{:?}", script.records[300]);
}

// L7: same bytes, times and calls, same events and output.
#[test]
fn l7_equal_runs_are_equal() {
    let run = || {
        let plans: Vec<Plan> = combinations().into_iter().map(|(_, plan)| plan).collect();
        let (mut script, mut echo) = (Script::new(plans), Echo::new());
        let pair = Pair::new(client_of(HttpVersion::Http2), server_of());
        let mut pair = pair.recorded().with_cuts(RandomCuts(7));
        pair.settle(&mut script, &mut echo);
        (script.records, echo.records, pair.up.record.take(), pair.down.record.take())
    };
    assert!(run() == run());
}

// A lost output: the server's calls are lost; the client still reads the answer that was on its way.
#[test]
fn a_lost_output_leaves_the_answer_readable() {
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        let plan = Plan::small(Protocol::Connect, Shape::Unary);
        let transcript = record(version, &plan);
        let mut client = Pump::new(client_of(version));
        let mut script = Script::new(vec![plan.clone()]);
        script.turn(now(), &mut client.machine);
        let _ = client.take_output(now());
        client.output_lost(now());
        client.feed(now(), &transcript.down);
        work(&mut client.machine, &mut script);
        assert_eq!(script.records[0].end.as_deref(), Some("Ok"), "{version:?}");

        let mut server = Pump::new(server_of());
        let mut echo = Echo::new();
        server.feed(now(), &transcript.up[..transcript.up.len() - 1]);
        work(&mut server.machine, &mut echo);
        server.output_lost(now());
        work(&mut server.machine, &mut echo);
        assert_eq!(echo.records[0].ended, [antiphon::End::Lost], "{version:?}");
    }
}

// The end of the input reaches the machine after the bytes that came before, and everything is flushed before it closes.
#[test]
fn a_pump_orders_what_it_is_given() {
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        let plan = Plan::small(Protocol::Connect, Shape::Unary);
        let transcript = record(version, &plan);
        let mut client = Pump::new(client_of(version));
        let mut script = Script::new(vec![plan]);
        script.turn(now(), &mut client.machine);
        let _ = client.take_output(now());
        client.feed(now(), &transcript.down);
        client.end(now(), InputEnd::Eof);
        client.feed(now(), b"after the end");
        work(&mut client.machine, &mut script);
        assert_eq!(script.records[0].end.as_deref(), Some("Ok"));
        let _ = client.take_output(now());
        assert_ne!(client.closing(), antiphon::Closing::Open);
        assert_eq!(client.error(), None);
    }
    let mut server = Pump::new(server::Connection::new(Arc::new(Config::default())));
    server.feed(now(), b"\x16\x03\x01 this is TLS");
    assert!(server.error().is_some());
    assert_eq!(server.closing(), antiphon::Closing::Open, "the answer is not flushed");
    assert!(server.take_output(now()).starts_with(b"HTTP/1.1 400"));
    assert_ne!(server.closing(), antiphon::Closing::Open);
}
