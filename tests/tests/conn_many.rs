//! Many calls and much data on one connection.

use core::time::Duration;
use std::sync::Arc;

use antiphon::rpc::{HttpVersion, Method, Payload, Protocol, Shape};
use antiphon::{Config, End, Event, Instant, Machine, Metadata, Misuse, SendError, Status, client, server};
use antiphon_tests::apps::{Echo, PROTOCOLS, Plan, Script, path};
use antiphon_tests::pair::{App, Pair, RandomCuts};

fn pair(version: HttpVersion) -> Pair {
    let config = Arc::new(Config::default());
    Pair::new(client::Connection::new(config.clone(), version), server::Connection::new(config))
}

#[test]
fn a_thousand_calls_on_one_connection() {
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        let shapes = [Shape::Unary, Shape::ServerStream, Shape::ClientStream, Shape::Bidi];
        let plans = (0..1000usize)
            .map(|index| {
                let protocol = PROTOCOLS[index % 4];
                let protocol = match version {
                    HttpVersion::Http11 if protocol == Protocol::Grpc => Protocol::Connect,
                    _ => protocol,
                };
                Plan::small(protocol, shapes[index / 4 % 4])
            })
            .collect();
        let (mut script, mut echo) = (Script::new(plans), Echo::new());
        let mut pair = pair(version).with_cuts(RandomCuts(99));
        pair.settle(&mut script, &mut echo);
        assert!(script.is_done());
        assert!(script.records.iter().all(|record| record.end.as_deref() == Some("Ok")));
        assert!(echo.records.iter().all(|record| record.ended == [End::Finished]));
        assert_eq!((echo.records.len(), echo.open()), (1000, 0));
        // Memory goes back when nothing is left to do.
        let later = pair.now + Duration::from_secs(10);
        pair.advance(later, &mut script, &mut echo);
        assert_eq!((pair.client.machine.table_bytes(), pair.server.machine.table_bytes()), (0, 0));
    }
}

// The credit rule: messages above the window, in both directions, with every protocol.
#[test]
fn large_messages_pass_in_both_directions() {
    for (version, protocols) in [
        (HttpVersion::Http2, &PROTOCOLS[..]),
        (HttpVersion::Http11, &[Protocol::Connect, Protocol::GrpcWeb, Protocol::GrpcWebText][..]),
    ] {
        for &protocol in protocols {
            for shape in [Shape::Unary, Shape::Bidi] {
                for size in [65_535, 65_536, 100_000, 1_000_000, (4 << 20) - 5] {
                    if protocol == Protocol::GrpcWebText && size > 3_000_000 {
                        continue;
                    }
                    let message: Vec<u8> = (0..size).map(|at| (at / 7) as u8).collect();
                    let plan = Plan::new(protocol, shape, vec![message.clone()]);
                    let (mut script, mut echo) = (Script::new(vec![plan]), Echo::new());
                    let mut pair = pair(version).with_cuts(RandomCuts(size as u64));
                    pair.settle(&mut script, &mut echo);
                    let record = &script.records[0];
                    assert_eq!(
                        record.end.as_deref(),
                        Some("Ok"),
                        "{version:?} {protocol:?} {shape:?} {size}"
                    );
                    assert!(record.messages == [message]);
                }
            }
        }
    }
}

// CS26, CC12: a message above the limit ends its call RESOURCE_EXHAUSTED and nothing else.
#[test]
fn a_message_above_the_limit_ends_its_call_alone() {
    for (version, protocol) in [
        (HttpVersion::Http2, Protocol::Grpc),
        (HttpVersion::Http2, Protocol::Connect),
        (HttpVersion::Http2, Protocol::GrpcWeb),
    ] {
        for shape in [Shape::Unary, Shape::Bidi] {
            let large = Plan::new(protocol, shape, vec![vec![0; 5 << 20]]);
            let plans = vec![large, Plan::small(protocol, Shape::Unary)];
            let (mut script, mut echo) = (Script::new(plans), Echo::new());
            let mut pair = pair(version);
            pair.settle(&mut script, &mut echo);
            let end = script.records[0].end.as_deref();
            assert_eq!(
                end,
                Some("ResourceExhausted ended Status unprocessed false"),
                "{protocol:?} {shape:?}"
            );
            assert_eq!(script.records[1].end.as_deref(), Some("Ok"));
            assert!(echo.records[0].end.as_deref().unwrap().starts_with("Failed(ResourceExhausted"));
            assert_eq!(echo.records[0].ended, [End::Finished]);
        }
    }
}

// A23: 99 calls that nobody reads, all full, do not stall the hundredth.
#[test]
fn unread_calls_do_not_stall_others() {
    let unread =
        Plan { unread: true, ..Plan::new(Protocol::Grpc, Shape::ServerStream, vec![vec![1; 60_000]]) };
    let mut plans = vec![unread; 99];
    plans.push(Plan::new(Protocol::Grpc, Shape::Unary, vec![vec![2; 200_000]]));
    let (mut script, mut echo) = (Script::new(plans), Echo::new());
    let mut pair = pair(HttpVersion::Http2);
    pair.settle(&mut script, &mut echo);
    assert_eq!(script.records[99].end.as_deref(), Some("Ok"));
    assert!(script.records[..99].iter().all(|record| record.ended.is_empty()));
}

// And the other way: a server that does not read 99 uploads serves the hundredth.
#[test]
fn unread_uploads_do_not_stall_others() {
    let unread = Plan {
        path: Some("/test.v1.Echo/Silent"),
        ..Plan::new(Protocol::Grpc, Shape::ClientStream, vec![vec![1; 60_000]; 4])
    };
    let mut plans = vec![unread; 99];
    plans.push(Plan::new(Protocol::Grpc, Shape::Unary, vec![vec![2; 200_000]]));
    let (mut script, mut echo) = (Script::new(plans), Echo::new());
    echo.silent = Some("/test.v1.Echo/Silent");
    let mut pair = pair(HttpVersion::Http2);
    pair.settle(&mut script, &mut echo);
    assert_eq!(script.records[99].end.as_deref(), Some("Ok"));
    assert_eq!(echo.held.len(), 99);
}

/// Sends as much as it is let, and never finishes.
#[derive(Default)]
struct Firehose {
    sent: usize,
    blocked: usize,
}

impl Firehose {
    fn pump(&mut self, now: Instant, machine: &mut server::Connection, call: antiphon::CallId) {
        loop {
            match machine.send(now, call, Payload::Plain(&[9; 10_000])) {
                Ok(()) => self.sent += 1,
                Err(SendError::Blocked) => {
                    self.blocked += 1;
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl App<server::Connection> for Firehose {
    fn on_event(&mut self, now: Instant, machine: &mut server::Connection, event: Event) {
        match event {
            Event::Started(call) => {
                assert!(machine.route(now, call, Some(&Method::new(Shape::Bidi))));
                self.pump(now, machine, call);
            }
            Event::Writable(call) => self.pump(now, machine, call),
            _ => {}
        }
    }

    fn turn(&mut self, _: Instant, _: &mut server::Connection) {}
}

// A slow reader throttles the sender: what is sent is bounded by the window and the queue.
#[test]
fn a_reader_that_stops_throttles_the_sender() {
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        let plan = Plan { unread: true, ..Plan::new(Protocol::Connect, Shape::Bidi, vec![b"go".to_vec()]) };
        let (mut script, mut hose) = (Script::new(vec![plan]), Firehose::default());
        let mut pair = pair(version);
        pair.settle(&mut script, &mut hose);
        // The window, the sender's queue, the wire, and what is on its way between them.
        let window_and_queue = 64 + 64 + 64 + 64;
        assert!(hose.sent * 10_000 <= window_and_queue * 1024 + 30_000, "{}", hose.sent);
        assert!(hose.blocked > 0);
        // L4: reading opens the way again, by a `Writable`.
        let before = hose.sent;
        script.plans[0].unread = false;
        let call = script.ids[0].unwrap();
        script.on_event(pair.now, &mut pair.client.machine, Event::Readable(call));
        let up_to = before + 100;
        for _ in 0..200 {
            pair.settle(&mut script, &mut Limited(&mut hose, up_to));
        }
        assert!(hose.sent > before + 50);
    }
}

/// Sends only up to a number of messages, so that the test ends.
struct Limited<'a>(&'a mut Firehose, usize);

impl App<server::Connection> for Limited<'_> {
    fn on_event(&mut self, now: Instant, machine: &mut server::Connection, event: Event) {
        if let Event::Writable(call) = event {
            while self.0.sent < self.1 && machine.send(now, call, Payload::Plain(&[9; 10_000])).is_ok() {
                self.0.sent += 1;
            }
        }
    }

    fn turn(&mut self, _: Instant, _: &mut server::Connection) {}
}

// The memory that a peer can make a connection hold is known before: `worst_case_bytes` counts it.
#[test]
fn the_worst_case_is_stated() {
    let machine = server::Connection::with_version(Arc::default(), HttpVersion::Http2);
    let worst = machine.worst_case_bytes();
    assert!(server::Connection::new(Arc::default()).worst_case_bytes() >= worst, "the peer chooses");
    // 200 slots with a window and a queue each, the assembly, and one message above each queue.
    assert!(worst > 200 * (128 << 10) && worst < (4 << 30), "{worst}");
    let machine = server::Connection::with_version(Arc::default(), HttpVersion::Http11);
    assert!(machine.worst_case_bytes() < 64 << 20, "{}", machine.worst_case_bytes());
}

// No order of calls is a trap: what is unknown is a `Misuse`, what is over does nothing.
#[test]
fn methods_of_unknown_calls_say_so() {
    let now = Instant::EPOCH;
    let none = Metadata::new();
    let stranger = antiphon::CallId { index: 3, generation: 9 };
    let mut server = server::Connection::new(Arc::default());
    let unknown = SendError::Misuse(Misuse::UnknownCall);
    assert!(server.request(stranger).is_none());
    assert!(!server.route(now, stranger, None));
    assert_eq!(server.read(now, stranger).unwrap_err(), Misuse::UnknownCall);
    assert_eq!(server.send_headers(now, stranger, &none), Err(Misuse::UnknownCall));
    assert_eq!(server.room(stranger), Err(unknown));
    assert_eq!(server.send(now, stranger, Payload::Plain(b"")), Err(unknown));
    assert_eq!(server.answer(now, stranger, &none, Payload::Plain(b""), &none), Err(unknown));
    assert_eq!(server.finish(now, stranger, Ok(()), &none), Err(Misuse::UnknownCall));
    server.fail(now, stranger, Status::internal(""));
    server.stop_reading(now, stranger);
    server.drop_call(now, stranger);
    assert!(server.encoding(stranger).is_none() && server.outcome(stranger).is_none());
    let mut client = client::Connection::new(Arc::default(), HttpVersion::Http2);
    assert_eq!(client.read(now, stranger).unwrap_err(), Misuse::UnknownCall);
    assert_eq!(client.send(now, stranger, Payload::Plain(b"")), Err(unknown));
    assert_eq!(client.half_close(now, stranger), Err(Misuse::UnknownCall));
    assert!(client.headers(stranger).is_none() && client.trailers(stranger).is_none());
    client.cancel(now, stranger);
    client.fail(now, stranger, Status::internal(""));
    client.stop_reading(now, stranger);
    client.drop_call(now, stranger);
    assert_eq!(client.poll_event(), None);
    assert_eq!(server.poll_event(), None);
    assert!(path(Shape::Unary).starts_with('/'));
}
