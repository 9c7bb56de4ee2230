//! How streams and connections end, and what an application sees of it: by hand-written frames. `row N` is the
//! checklist's.

use std::time::Duration;

use antiphon::http2::hpack::Verdict;
use antiphon::{
    Closing, ConnectionError, Fields, Head, HttpConnection, InputEnd, Limits, Machine, ReceiveEnd,
    StreamEvent,
};
use antiphon_tests::h2kit::*;

fn server() -> Raw {
    Raw::server(Limits::default())
}

fn client() -> Raw {
    Raw::client(Limits::default(), &[])
}

fn get() -> Head {
    Head::request("GET", "http", "e.com", "/")
}

/// Row 64: when a connection ends, each stream has its cause, once; what came stays readable.
#[test]
fn a_lost_connection_ends_each_stream_once() {
    let mut raw = client();
    let keys: Vec<_> = (0..3).map(|_| raw.connection.open(raw.now, &get(), true).unwrap()).collect();
    raw.frames();
    let unsent = raw.connection.open(raw.now, &get(), true).unwrap();
    let head = raw.response(1, 0, &Head::response(200));
    raw.ok(&[head, frame(DATA, ES, 1, b"all")].concat());
    let head = raw.response(3, 0, &Head::response(200));
    raw.ok(&[head, frame(DATA, 0, 3, b"half")].concat());
    raw.events();
    assert_eq!(raw.connection.handle_end(raw.now, InputEnd::Eof), Err(ConnectionError::Lost));
    let ends: Vec<_> = keys.iter().map(|key| raw.connection.receive_end(*key)).collect();
    assert_eq!(ends, [Some(ReceiveEnd::Clean), Some(ReceiveEnd::Lost), Some(ReceiveEnd::Lost)]);
    assert_eq!(raw.connection.receive_end(unsent), Some(ReceiveEnd::Unprocessed));
    assert_eq!(&raw.connection.body(keys[1]).unwrap()[..], b"half");
    let readable = |event: &StreamEvent| matches!(event, StreamEvent::Readable(_));
    assert_eq!(raw.events().into_iter().filter(readable).count(), 3);
    assert!(raw.events().is_empty());
    assert_eq!(raw.connection.closing(), Closing::Closed);
}

/// A write that failed: an early answer may still come.
#[test]
fn a_client_reads_on_when_its_output_is_lost() {
    let mut raw = client();
    let key = raw.connection.open(raw.now, &get(), false).unwrap();
    raw.frames();
    raw.connection.handle_output_lost(raw.now);
    assert!(raw.connection.wants_input() && !raw.connection.wants_output());
    assert_eq!(raw.connection.poll_room(key), Err(antiphon::SendError::Ended));
    let head = raw.response(1, ES, &Head::response(403));
    raw.ok(&head);
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Clean));
    assert_eq!(raw.connection.closing(), Closing::Closed);
}

/// What wants an answer when none can be sent holds up nothing behind it, and nothing is kept of it.
#[test]
fn a_client_whose_output_is_lost_reads_past_what_wants_answers() {
    let mut raw = client();
    let key = raw.connection.open(raw.now, &get(), false).unwrap();
    raw.frames();
    raw.connection.handle_output_lost(raw.now);
    let mut flood = frame(PING, 0, 0, &[7; 8]).repeat(100);
    flood.extend(settings(&[]));
    raw.ok(&flood);
    assert_eq!(raw.leftover(), 0);
    assert!(raw.connection.wants_input() && !raw.connection.wants_output());
    let head = raw.response(1, ES, &Head::response(200));
    raw.ok(&[flood, head].concat());
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Clean));
}

/// §6.8: a graceful end in two steps loses no request that was on its way.
#[test]
fn a_drain_takes_what_was_on_its_way() {
    let mut raw = server();
    raw.ok(&post(1, ES));
    let first = raw.opened();
    raw.connection.drain(raw.now);
    let frames = raw.frames();
    assert_eq!((frames[0].kind, &frames[0].payload[..4]), (GOAWAY, &[0x7f, 0xff, 0xff, 0xff][..]));
    assert_eq!(frames[1].kind, PING);
    raw.ok(&post(3, ES));
    let second = raw.opened();
    let frames = raw.ask(&frame(PING, ES, 0, &frames[1].payload));
    assert_eq!((frames[0].kind, &frames[0].payload[..4]), (GOAWAY, &[0, 0, 0, 3][..]));
    for key in [first, second] {
        assert_eq!(raw.connection.closing(), Closing::Open);
        raw.connection.respond(raw.now, key, &Head::response(200), true).unwrap();
        raw.frames();
    }
    assert_eq!(raw.connection.closing(), Closing::ShutWrite);
    assert_eq!(raw.connection.error(), None);
    raw.wait(Duration::from_secs(3));
    assert_eq!(raw.connection.closing(), Closing::Closed, "the peer's end is not waited for for ever");

    // A peer that answers no PING does not hold the drain up.
    let mut raw = server();
    raw.connection.drain(raw.now);
    raw.frames();
    raw.wait(Duration::from_secs(11));
    assert_eq!(raw.frames()[0].kind, GOAWAY);
    assert_eq!(raw.connection.closing(), Closing::ShutWrite);
}

/// §6.4: raw codes are kept, and a reset ends only what is open.
#[test]
fn resets_keep_their_code() {
    let mut raw = server();
    raw.ok(&[post(1, 0), frame(DATA, 0, 1, b"half"), number(RST, 1, 0xdead)].concat());
    let key = raw.opened();
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Reset(0xdead)));
    assert_eq!(&raw.connection.body(key).unwrap()[..], b"half", "what came before is read");
    raw.ok(&[post(3, ES), number(RST, 3, 8)].concat());
    let events = raw.events();
    let StreamEvent::Opened(key) = events[0] else { panic!("{events:?}") };
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Clean));
    assert!(events.contains(&StreamEvent::Stopped(key, 8)));

    let mut raw = client();
    let key = raw.connection.open(raw.now, &get(), true).unwrap();
    raw.frames();
    raw.ok(&number(RST, 1, 7));
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Unprocessed), "§8.7: refused");
}

/// §6.7: the round trip, for keepalive policies.
#[test]
fn pings_measure_the_round_trip() {
    let mut raw = client();
    assert!(raw.connection.ping(raw.now) && !raw.connection.ping(raw.now));
    let ping = raw.frames().pop().unwrap();
    raw.wait(Duration::from_millis(30));
    assert!(raw.connection.ping_outstanding().is_some());
    raw.ok(&frame(PING, ES, 0, &ping.payload));
    assert_eq!((raw.connection.rtt(), raw.connection.pings_acked()), (Some(Duration::from_millis(30)), 1));
    assert!(raw.connection.ping_outstanding().is_none());
}

/// A stream of a server may answer with informational heads before the final one.
#[test]
fn a_server_sends_informational_heads() {
    let mut raw = server();
    raw.ok(&post(1, ES));
    let key = raw.opened();
    for status in [103, 103, 200] {
        raw.connection.respond(raw.now, key, &Head::response(status), status == 200).unwrap();
    }
    let mut head = Head::default();
    let mut statuses = Vec::new();
    for frame in raw.frames() {
        assert_eq!(raw.decoder.decode(&frame.payload, &mut head), Ok(Verdict::Good));
        statuses.push((head.status(), frame.flags));
    }
    assert_eq!(statuses, [(103, EH), (103, EH), (200, EH | ES)]);
}

/// Messages above the window: credit comes when the application asks, and returns when it takes.
#[test]
fn credit_follows_demand() {
    let mut raw = server();
    raw.ok(&post(1, 0));
    let key = raw.opened();
    raw.ok(&vec![frame(DATA, 0, 1, &[1; 16_384]); 4].concat());
    assert!(raw.frames().iter().all(|frame| frame.stream == 0), "nothing was taken, nothing was asked");
    raw.connection.demand(raw.now, key, 200_000).unwrap();
    let frames = raw.frames();
    assert_eq!((frames.len(), frames[0].stream, frames[0].number()), (1, 1, 200_000 - 65_536));
    raw.ok(&vec![frame(DATA, 0, 1, &[1; 13_446]); 10].concat());
    assert_eq!(raw.connection.body(key).unwrap().len(), 199_996);
    raw.ok(&frame(DATA, 0, 1, &[1; 4]));
    assert_eq!(raw.connection.body(key).unwrap().split().len(), 200_000);
    raw.connection.release(raw.now, key, 200_000).unwrap();
    let raised: u32 = raw.frames().iter().filter(|frame| frame.stream == 1).map(Frame::number).sum();
    assert_eq!(raised, 65_536);
}

/// Trailers of a request reach the server, and `stop_reading` leaves the other direction alone.
#[test]
fn request_trailers_and_unread_bodies() {
    let mut raw = server();
    let fields: Fields = [("x-sum", &b"7"[..])].into_iter().collect();
    let trailers = raw.trailers(1, &fields);
    raw.ok(&[post(1, 0), frame(DATA, 0, 1, b"body"), trailers].concat());
    let key = raw.opened();
    assert_eq!(raw.connection.trailers(key), Some(&fields));

    raw.ok(&post(3, 0));
    let key = raw.opened();
    raw.connection.stop_reading(raw.now, key);
    let mut raised = 0;
    for _ in 0..20 {
        let frames = raw.ask(&frame(DATA, 0, 3, &[0; 16_000]));
        raised += frames.iter().filter(|frame| frame.stream == 3).map(Frame::number).sum::<u32>();
    }
    assert!(raised >= 20 * 16_000 - 32_768 && raw.connection.body(key).unwrap().is_empty());
    raw.connection.respond(raw.now, key, &Head::response(200), true).unwrap();
    assert_eq!(raw.frames()[0].kind, HEADERS);
}
