//! The ends of calls are told apart: finished, cancelled, deadline, lost; on both sides and both versions of HTTP.

use core::time::Duration;
use std::sync::Arc;

use antiphon::rpc::{HttpVersion, Protocol, Shape};
use antiphon::{Config, End, InputEnd, Instant, client, server};
use antiphon_tests::apps::{Echo, Plan, Script};
use antiphon_tests::pair::Pair;

const BOTH: [(HttpVersion, Protocol); 3] = [
    (HttpVersion::Http2, Protocol::Grpc),
    (HttpVersion::Http2, Protocol::Connect),
    (HttpVersion::Http11, Protocol::GrpcWeb),
];

fn pair_with(config: Config, version: HttpVersion) -> Pair {
    let config = Arc::new(config);
    Pair::new(client::Connection::new(config.clone(), version), server::Connection::new(config))
}

fn pair(version: HttpVersion) -> Pair {
    pair_with(Config::default(), version)
}

/// A bidi call that sends one message, waits for its echo, and never half-closes.
fn open_call(protocol: Protocol) -> Plan {
    Plan { keep_open: true, ..Plan::new(protocol, Shape::Bidi, vec![b"one".to_vec()]) }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_cancel_is_a_cancel_at_both_ends() {
    for (version, protocol) in BOTH {
        let (mut script, mut echo) = (Script::new(vec![open_call(protocol)]), Echo::new());
        let mut pair = pair(version);
        pair.settle(&mut script, &mut echo);
        assert_eq!(script.records[0].messages.len(), 1);
        let call = script.ids[0].unwrap();
        pair.client.machine.cancel(pair.now, call);
        pair.settle(&mut script, &mut echo);
        let record = &script.records[0];
        assert_eq!(record.ended, [End::Cancelled { reset: None }]);
        assert_eq!(record.end.as_deref(), Some("Canceled ended Cancel { reset: None } unprocessed false"));
        let ended = echo.records[0].ended[0];
        if version == HttpVersion::Http2 {
            assert_eq!(ended, End::Cancelled { reset: Some(8) });
            assert_eq!(echo.records[0].end.as_deref(), Some("Cancelled { reset: Some(8) }"));
        } else {
            // HTTP/1.1 has nothing but the end of the connection, inside the request.
            assert_eq!(ended, End::Lost);
        }
    }
}

// HTTP/1.1: a client that goes while its complete request is answered is a cancel.
#[test]
fn a_vanished_http1_client_cancels_unless_half_closed_clients_are_allowed() {
    for allow in [false, true] {
        let mut config = Config::default();
        config.allow_half_closed = allow;
        let plan = Plan::small(Protocol::Connect, Shape::Unary);
        let (mut script, mut echo) = (Script::new(vec![plan]), Echo::new());
        echo.silent = Some("/test.v1.Echo/Unary");
        let mut pair = pair_with(config, HttpVersion::Http11);
        pair.settle(&mut script, &mut echo);
        let call = echo.held[0];
        assert_eq!(pair.server.machine.outcome(call), None);
        pair.server.end(pair.now, InputEnd::Eof);
        let expected = (!allow).then_some(End::Cancelled { reset: Some(8) });
        assert_eq!(pair.server.machine.outcome(call), expected);
        pair.server.machine.drop_call(pair.now, call);
    }
}

// A client that aborts takes its connection away. HTTP/1.1 has no other word for a cancel.
#[test]
fn an_aborted_client_is_a_lost_connection_at_the_server() {
    for (version, protocol) in BOTH {
        let (mut script, mut echo) = (Script::new(vec![open_call(protocol)]), Echo::new());
        let mut pair = pair(version);
        pair.settle(&mut script, &mut echo);
        pair.client.machine.abort(pair.now);
        pair.settle(&mut script, &mut echo);
        pair.server.end(pair.now, InputEnd::Eof);
        pair.settle(&mut script, &mut echo);
        let record = &script.records[0];
        assert_eq!(record.end.as_deref(), Some("Canceled ended Cancel { reset: None } unprocessed false"));
        assert_eq!(echo.records[0].ended, [End::Lost], "{version:?} {protocol:?}");
    }
}

/// A gRPC call whose server ends it by `end` at 1 s; its client, whose deadline is at 5 s, looks only at 9 s. Moves the
/// bytes at `arrival`.
fn read_late(
    arrival: u64,
    end: impl FnOnce(Instant, &mut server::Connection, antiphon::CallId),
) -> (End, antiphon::Status) {
    use antiphon::rpc::{ClientRequest, Method, Payload};
    use antiphon::{Event, Pump};

    let at = |count| Instant::EPOCH + seconds(count);
    let config = Arc::new(Config::default());
    let mut client = Pump::new(client::Connection::new(config.clone(), HttpVersion::Http2));
    let mut server = Pump::new(server::Connection::new(config));
    let request = ClientRequest::new(Protocol::Grpc, "proto", Method::new(Shape::Unary), "a", "/s/M");
    let call = client.machine.start(at(0), &request.deadline(Some(at(5)))).unwrap();
    client.machine.send_last(at(0), call, Payload::Plain(b"ask")).unwrap();
    server.feed(at(0), &client.take_output(at(0)));
    let Some(Event::Started(served)) = server.next_event() else { panic!("no call") };
    assert!(server.machine.route(at(1), served, Some(&Method::new(Shape::Unary))));
    end(at(1), &mut server.machine, served);
    client.feed(at(arrival), &server.take_output(at(1)));
    client.tick(at(9));
    let mut ended = None;
    while let Some(event) = client.next_event() {
        if let Event::Ended(of, end) = event {
            assert!(of == call && ended.replace(end).is_none());
        }
    }
    let client::Read::End(Err(status)) = client.machine.read(at(9), call).unwrap() else {
        panic!("no outcome")
    };
    (ended.unwrap(), status)
}

// What the server has said is told as that, however late it is read, and whatever code it has.
#[test]
fn what_the_peer_said_is_told_from_what_happened_here() {
    use antiphon::{Code, EndedBy, Metadata, Status};

    for code in [Code::DeadlineExceeded, Code::Canceled, Code::Unavailable] {
        for arrival in [1, 9] {
            let (end, status) = read_late(arrival, |now, machine, call| {
                machine.finish(now, call, Err(&Status::new(code, "told")), &Metadata::new()).unwrap();
            });
            assert_eq!((end, status.code(), status.ended()), (End::Finished, code, EndedBy::Status));
        }
    }
    // A reset is read in the light of the deadline, at the time at which it came (gRPC PROTOCOL-HTTP2 "Errors").
    let reset = |now, machine: &mut server::Connection, call| machine.drop_call(now, call);
    let (end, status) = read_late(1, reset);
    assert_eq!(
        (end, status.ended()),
        (End::Cancelled { reset: Some(8) }, EndedBy::Cancel { reset: Some(8) })
    );
    let (end, status) = read_late(9, reset);
    assert_eq!((end, status.ended()), (End::Deadline, EndedBy::Deadline));
}

#[test]
fn a_deadline_is_a_deadline_at_both_ends() {
    for (version, protocol) in BOTH {
        let plan = Plan { timeout: Some(seconds(5)), ..open_call(protocol) };
        let (mut script, mut echo) = (Script::new(vec![plan]), Echo::new());
        let mut pair = pair(version);
        let start = pair.now;
        pair.settle(&mut script, &mut echo);
        assert!(script.records[0].ended.is_empty() && echo.records[0].ended.is_empty());
        // Whose clock runs out first depends on the rounding of the timeout that travels: here it is the client's or both.
        pair.advance(start + seconds(6), &mut script, &mut echo);
        assert_eq!(script.records[0].ended.len(), 1);
        assert!(
            script.records[0].end.as_deref().unwrap().starts_with("DeadlineExceeded"),
            "{:?}",
            script.records
        );
        assert_eq!(echo.records[0].ended, [End::Deadline], "{version:?}");
        assert_eq!(echo.records[0].end.as_deref(), Some("Deadline"));
    }
}

// GS3: the server enforces the deadline itself and answers DEADLINE_EXCEEDED; a client without a clock reads it.
#[test]
fn a_server_answers_an_expired_deadline() {
    for (version, protocol) in BOTH {
        let mut config = Config::default();
        let mut rules = (*config.rpc).clone();
        rules.default_timeout = Some(seconds(3));
        config.rpc = Arc::new(rules);
        let (mut script, mut echo) = (Script::new(vec![open_call(protocol)]), Echo::new());
        let mut pair = pair_with(config, version);
        let start = pair.now;
        pair.settle(&mut script, &mut echo);
        pair.advance(start + seconds(2), &mut script, &mut echo);
        assert!(echo.records[0].ended.is_empty());
        pair.advance(start + seconds(3), &mut script, &mut echo);
        assert_eq!(echo.records[0].ended, [End::Deadline]);
        assert_eq!(script.records[0].ended, [End::Finished]);
        let end = script.records[0].end.as_deref().unwrap();
        assert_eq!(end, "DeadlineExceeded ended Status unprocessed false", "{version:?} {protocol:?}");
    }
}

// GC11: a lost connection is UNAVAILABLE at the client, and Lost at the server.
#[test]
fn a_lost_connection_is_lost_at_both_ends() {
    for (version, protocol) in BOTH {
        for end in [InputEnd::Eof, InputEnd::Truncated, InputEnd::Failed] {
            let (mut script, mut echo) = (Script::new(vec![open_call(protocol)]), Echo::new());
            let mut pair = pair(version);
            pair.settle(&mut script, &mut echo);
            pair.up.cut_off = true;
            pair.down.cut_off = true;
            pair.client.end(pair.now, end);
            pair.server.end(pair.now, end);
            pair.settle(&mut script, &mut echo);
            assert_eq!(script.records[0].ended, [End::Lost], "{version:?} {end:?}");
            let outcome = script.records[0].end.as_deref();
            assert_eq!(outcome, Some("Unavailable ended LostConnection unprocessed false"));
            assert_eq!(echo.records[0].ended, [End::Lost], "{version:?} {end:?}");
            assert_eq!(echo.records[0].end.as_deref(), Some("Lost"));
        }
    }
}

// What came before an end is still read: the answer arrives, then the connection dies.
#[test]
fn a_lost_connection_does_not_take_back_what_came_before() {
    let plan = Plan::new(Protocol::Grpc, Shape::ServerStream, vec![b"x".to_vec()]);
    let unread = Plan { unread: true, ..plan };
    let (mut script, mut echo) = (Script::new(vec![unread]), Echo::new());
    let mut pair = pair(HttpVersion::Http2);
    pair.settle(&mut script, &mut echo);
    pair.client.end(pair.now, InputEnd::Failed);
    script.plans[0].unread = false;
    let call = script.ids[0].unwrap();
    let mut count = 0;
    loop {
        match pair.client.machine.read(pair.now, call).unwrap() {
            client::Read::Messages(messages) => count += messages.len(),
            client::Read::Pending => panic!("the call has ended"),
            client::Read::End(outcome) => {
                outcome.unwrap();
                break;
            }
        }
    }
    assert_eq!(count, 5);
    // The outcome is told again to who asks again.
    assert!(matches!(pair.client.machine.read(pair.now, call), Ok(client::Read::End(Ok(())))));
}

// A deadline after the end turns no success into failure, and neither does a cancel.
#[test]
fn an_outcome_that_has_arrived_is_not_replaced() {
    for cancel in [false, true] {
        let plan =
            Plan { unread: true, timeout: Some(seconds(5)), ..Plan::small(Protocol::Grpc, Shape::Unary) };
        let (mut script, mut echo) = (Script::new(vec![plan]), Echo::new());
        let mut pair = pair(HttpVersion::Http2);
        pair.settle(&mut script, &mut echo);
        let call = script.ids[0].unwrap();
        assert_eq!(pair.client.machine.outcome(call), Some(End::Finished));
        if cancel {
            pair.client.machine.cancel(pair.now, call);
        }
        let late = pair.now + seconds(10);
        pair.advance(late, &mut script, &mut echo);
        let client::Read::Messages(_) = pair.client.machine.read(late, call).unwrap() else { panic!() };
        assert!(matches!(pair.client.machine.read(late, call), Ok(client::Read::End(Ok(())))));
        assert_eq!(script.records[0].ended, [End::Finished]);
    }
}

// Early answers: the server answers while the client uploads; the answer is not discarded (RFC 9113 §8.1, GRPC "Early
// Server Closure", item 3 of the checklist).
#[test]
fn an_early_answer_reaches_a_client_that_still_uploads() {
    let protocols = [
        (HttpVersion::Http2, Protocol::Grpc),
        (HttpVersion::Http2, Protocol::Connect),
        (HttpVersion::Http2, Protocol::GrpcWebText),
        (HttpVersion::Http11, Protocol::Connect),
        (HttpVersion::Http11, Protocol::GrpcWeb),
    ];
    for (version, protocol) in protocols {
        let plan = Plan {
            path: Some("/test.v1.Echo/Missing"),
            ..Plan::new(protocol, Shape::ClientStream, vec![vec![7; 30_000]; 100])
        };
        let after = Plan::small(Protocol::Connect, Shape::Unary);
        let plans = if version == HttpVersion::Http2 { vec![plan, after] } else { vec![plan] };
        let (mut script, mut echo) = (Script::new(plans), Echo::new());
        let mut pair = pair(version);
        pair.settle(&mut script, &mut echo);
        let record = &script.records[0];
        let expected = "Unimplemented ended Status unprocessed false";
        assert_eq!(record.end.as_deref(), Some(expected), "{version:?} {protocol:?} {record:?}");
        assert_eq!(echo.records[0].end.as_deref(), Some("refused"));
        if version == HttpVersion::Http2 {
            assert_eq!(script.records[1].end.as_deref(), Some("Ok"), "the connection lives");
        }
    }
}

#[test]
fn failures_by_status_reach_the_client() {
    for (version, protocol) in BOTH {
        for shape in [Shape::Unary, Shape::ServerStream, Shape::ClientStream, Shape::Bidi] {
            let mut plan = Plan::small(protocol, shape);
            plan.metadata.push(("x-fail", "permission_denied"));
            let (mut script, mut echo) = (Script::new(vec![plan]), Echo::new());
            let mut pair = pair(version);
            pair.settle(&mut script, &mut echo);
            let record = &script.records[0];
            assert_eq!(record.end.as_deref(), Some("PermissionDenied ended Status unprocessed false"));
            assert_eq!(
                (record.ended.as_slice(), record.trailers.as_str()),
                (&[End::Finished][..], "x-trailer: bye\n")
            );
            assert!(record.messages.is_empty());
            assert_eq!(echo.records[0].ended, [End::Finished]);
        }
    }
}

#[test]
fn a_connect_get_is_a_call_like_any_other() {
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        let plan = Plan { get: true, ..Plan::small(Protocol::Connect, Shape::Unary) };
        let (mut script, mut echo) = (Script::new(vec![plan]), Echo::new());
        pair(version).settle(&mut script, &mut echo);
        assert_eq!(script.records[0].end.as_deref(), Some("Ok"), "{:?} {:?}", script.records, echo.records);
        assert_eq!(script.records[0].messages, [b"message 0"]);
    }
}

// GC10: after a GOAWAY open calls finish, new ones go elsewhere.
#[test]
fn a_drained_server_finishes_its_calls_and_closes() {
    for (version, protocol) in BOTH {
        let plan = Plan { ping_pong: true, ..Plan::small(protocol, Shape::Bidi) };
        let plan = if version == HttpVersion::Http2 { plan } else { Plan::small(protocol, Shape::Bidi) };
        let (mut script, mut echo) = (Script::new(vec![plan]), Echo::new());
        let mut pair = pair(version);
        let begun = pair.now;
        // The request is on its way when the drain begins.
        let request = script.plans[0].clone();
        antiphon_tests::pair::App::turn(&mut script, begun, &mut pair.client.machine);
        let bytes = pair.client.take_output(begun);
        pair.server.feed(begun, &bytes);
        pair.server.machine.drain(begun);
        pair.settle(&mut script, &mut echo);
        assert_eq!(script.records[0].end.as_deref(), Some("Ok"), "{request:?} {:?}", script.records);
        assert!(pair.client.machine.is_draining());
        pair.advance(begun + seconds(30), &mut script, &mut echo);
        assert_eq!(pair.server.closing(), antiphon::Closing::Closed);
        assert_eq!(pair.server.error(), None);
    }
}

// GC10: calls that the server never saw are safe to try again.
#[test]
fn calls_beyond_a_goaway_are_unprocessed() {
    let (mut script, mut echo) = (Script::new(vec![open_call(Protocol::Grpc)]), Echo::new());
    let mut pair = pair(HttpVersion::Http2);
    pair.settle(&mut script, &mut echo);
    // The second request is lost on the way to a server that goes.
    pair.up.cut_off = true;
    script.plans.push(open_call(Protocol::Grpc));
    script.records.push(Default::default());
    script.ids.push(None);
    pair.settle(&mut script, &mut echo);
    pair.server.machine.drain(pair.now);
    let later = pair.now + seconds(11);
    pair.advance(later, &mut script, &mut echo);
    assert_eq!(script.records[1].ended, [End::Lost]);
    assert_eq!(script.records[1].end.as_deref(), Some("Unavailable ended LostConnection unprocessed true"));
    assert!(script.records[0].ended.is_empty());
}

#[test]
fn a_drained_client_closes_after_its_last_call() {
    for (version, protocol) in BOTH {
        let (mut script, mut echo) = (Script::new(vec![Plan::small(protocol, Shape::Unary)]), Echo::new());
        let mut pair = pair(version);
        let now = pair.now;
        antiphon_tests::pair::App::turn(&mut script, now, &mut pair.client.machine);
        pair.client.machine.drain(now);
        pair.settle(&mut script, &mut echo);
        assert_eq!(script.records[0].end.as_deref(), Some("Ok"));
        pair.advance(now + seconds(30), &mut script, &mut echo);
        assert_eq!(pair.client.closing(), antiphon::Closing::Closed);
        assert_eq!(pair.server.closing(), antiphon::Closing::Closed);
    }
}

#[test]
fn an_aborted_connection_ends_every_call() {
    for (version, protocol) in BOTH {
        for server_side in [false, true] {
            let (mut script, mut echo) = (Script::new(vec![open_call(protocol)]), Echo::new());
            let mut pair = pair(version);
            pair.settle(&mut script, &mut echo);
            if server_side {
                pair.server.machine.abort(pair.now);
            } else {
                pair.client.machine.abort(pair.now);
            }
            let later = pair.now + seconds(10);
            pair.advance(later, &mut script, &mut echo);
            assert_eq!(script.records[0].ended.len(), 1, "{version:?} {server_side}");
            assert_eq!(echo.records[0].ended.len(), 1, "{version:?} {server_side}");
            assert_ne!(echo.records[0].ended[0], End::Finished);
        }
    }
}

// Policies: a connection without calls is drained, one that is too old as well, and its calls after the grace.
#[test]
fn idle_and_old_connections_end() {
    let mut config = Config::default();
    config.max_idle = Some(seconds(60));
    let (mut script, mut echo) = (Script::new(vec![Plan::small(Protocol::Grpc, Shape::Unary)]), Echo::new());
    let mut pair = pair_with(config, HttpVersion::Http2);
    let start = pair.now;
    pair.advance(start + seconds(55), &mut script, &mut echo);
    assert_eq!(pair.client.closing(), antiphon::Closing::Open);
    pair.advance(start + seconds(90), &mut script, &mut echo);
    assert_eq!(pair.client.closing(), antiphon::Closing::Closed);
    assert_eq!(pair.server.closing(), antiphon::Closing::Closed);
    assert_eq!((pair.client.error(), pair.server.error()), (None, None));

    let mut config = Config::default();
    config.max_age = Some(seconds(600));
    config.age_grace = Some(seconds(30));
    let client = client::Connection::new(Arc::default(), HttpVersion::Http2);
    let mut pair = Pair::new(client, server::Connection::new(Arc::new(config)));
    let (mut script, mut echo) = (Script::new(vec![open_call(Protocol::Grpc)]), Echo::new());
    let start = pair.now;
    pair.advance(start + seconds(535), &mut script, &mut echo);
    assert!(!pair.client.machine.is_draining());
    pair.advance(start + seconds(665), &mut script, &mut echo);
    assert!(pair.client.machine.is_draining());
    pair.advance(start + seconds(700), &mut script, &mut echo);
    assert_eq!(echo.records[0].ended, [End::Lost]);
    assert_eq!(pair.server.closing(), antiphon::Closing::Closed);
}

// A19: a client that says nothing has no more time than one that says too little.
#[test]
fn a_silent_client_is_timed_out_from_the_first_look_at_the_clock() {
    let start = Instant::from_epoch(seconds(100));
    let versions = [None, Some(HttpVersion::Http11), Some(HttpVersion::Http2)];
    for version in versions {
        let machine = match version {
            None => server::Connection::new(Arc::default()),
            Some(version) => server::Connection::with_version(Arc::default(), version),
        };
        let mut pump = antiphon::Pump::new(machine);
        assert_eq!(pump.timeout(), Some(Instant::EPOCH), "{version:?}: the clock is to be shown to it");
        pump.tick(start);
        assert_eq!(pump.timeout(), Some(start + seconds(10)), "{version:?}");
        pump.tick(start + seconds(9));
        assert_eq!(pump.closing(), antiphon::Closing::Open, "{version:?}");
        pump.tick(start + seconds(10));
        pump.take_output(start + seconds(10));
        assert_ne!(pump.closing(), antiphon::Closing::Open, "{version:?}");
        pump.tick(start + seconds(20));
        assert_eq!(pump.closing(), antiphon::Closing::Closed, "{version:?}");
    }
}

// A19, RFC 9112 §2.2: a blank line is no request, and wins no time. Between requests HTTP/1.1 may be silent, up to
// two hours: there is no PING to tell whether the client lives.
#[test]
fn a_blank_line_wins_no_time_and_an_idle_http1_connection_waits_long() {
    let start = Instant::from_epoch(seconds(100));
    let mut pump = antiphon::Pump::new(server::Connection::new(Arc::default()));
    pump.tick(start);
    pump.feed(start + seconds(1), b"\r\n");
    pump.tick(start + seconds(1));
    pump.tick(start + seconds(11));
    assert_eq!(pump.closing(), antiphon::Closing::Closed);

    let mut pair = pair(HttpVersion::Http11);
    let (mut script, mut echo) =
        (Script::new(vec![Plan::small(Protocol::Connect, Shape::Unary)]), Echo::new());
    let start = pair.now;
    pair.advance(start + seconds(7000), &mut script, &mut echo);
    assert_eq!(pair.server.closing(), antiphon::Closing::Open);
    pair.advance(start + seconds(7300), &mut script, &mut echo);
    assert_eq!(pair.server.closing(), antiphon::Closing::Closed);
    assert_eq!(pair.server.error(), None);
}

// A19, §3.3 of RFC 9113: the first bytes must tell the version in time.
#[test]
fn a_slow_preface_is_timed_out_from_its_first_byte() {
    let mut pump = antiphon::Pump::new(server::Connection::new(Arc::default()));
    let start = Instant::from_epoch(seconds(100));
    pump.feed(start, b"P");
    pump.feed(start + seconds(9), b"R");
    assert_eq!(pump.timeout(), Some(start + seconds(10)));
    assert_eq!(pump.machine.version(), None);
    pump.tick(start + seconds(10));
    assert_eq!(pump.closing(), antiphon::Closing::Closed);
    // The timer goes on when the version is known: it is one and the same.
    let mut pump = antiphon::Pump::new(server::Connection::new(Arc::default()));
    pump.feed(start, b"P");
    pump.feed(start + seconds(9), b"OST / HTT");
    assert_eq!(pump.machine.version(), Some(HttpVersion::Http11));
    assert_eq!(pump.timeout(), Some(start + seconds(10)));
}

// K1, GC11: silence is ended by a PING; a peer that does not answer it is gone, and its calls are UNAVAILABLE.
#[test]
fn keepalive_finds_a_dead_peer_and_spares_a_living_one() {
    let keepalive = antiphon::Keepalive { time: seconds(30), timeout: seconds(5), without_calls: false };
    let mut config = Config::default();
    config.keepalive = Some(keepalive);
    let client = client::Connection::new(Arc::new(config), HttpVersion::Http2);
    let mut pair = Pair::new(client, server::Connection::new(Arc::default()));
    let (mut script, mut echo) = (Script::new(vec![open_call(Protocol::Grpc)]), Echo::new());
    let start = pair.now;
    pair.advance(start + seconds(600), &mut script, &mut echo);
    assert!(script.records[0].ended.is_empty(), "the server answers every PING");
    pair.up.cut_off = true;
    pair.advance(start + seconds(629), &mut script, &mut echo);
    assert!(script.records[0].ended.is_empty());
    pair.advance(start + seconds(640), &mut script, &mut echo);
    assert_eq!(script.records[0].ended, [End::Lost]);
    assert_eq!(script.records[0].end.as_deref(), Some("Unavailable ended LostConnection unprocessed false"));
    assert_eq!(pair.client.closing(), antiphon::Closing::Closed);
}

// K2: a server asks after two hours of silence, and gives up 20 seconds later.
#[test]
fn a_server_does_not_keep_dead_clients_for_ever() {
    let mut pair = pair(HttpVersion::Http2);
    let (mut script, mut echo) = (Script::new(vec![open_call(Protocol::Grpc)]), Echo::new());
    let start = pair.now;
    pair.settle(&mut script, &mut echo);
    pair.down.cut_off = true;
    pair.up.cut_off = true;
    pair.advance(start + seconds(7200), &mut script, &mut echo);
    assert!(echo.records[0].ended.is_empty());
    pair.advance(start + seconds(7221), &mut script, &mut echo);
    assert_eq!(echo.records[0].ended, [End::Lost]);
}
