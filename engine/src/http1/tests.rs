//! Both ends against each other in memory, and what only the inside can see.

use bytes::BytesMut;

use super::lines::Scan;
use super::{Client, Server};
use crate::{
    Fields, Head, HttpConnection, Instant, Limits, Machine, Output, ReceiveEnd, StreamEvent, StreamKey,
};

const NOW: Instant = Instant::EPOCH;

fn flow(from: &mut impl Machine, to: &mut impl Machine, wire: &mut BytesMut) {
    let mut out = Output::new();
    from.poll_transmit(NOW, &mut out);
    while let Some(piece) = out.take() {
        wire.extend_from_slice(&piece);
    }
    to.handle_input(NOW, wire).unwrap();
}

fn opened(server: &mut Server) -> StreamKey {
    match server.poll_event() {
        Some(StreamEvent::Opened(key)) => key,
        other => panic!("{other:?}"),
    }
}

fn exchange(client: &mut Client, server: &mut Server, body: &[u8], trailers: bool) {
    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    let mut head = Head::request("POST", "", "example.com", "/s/M?x=1");
    head.fields.push("content-type", b"application/proto");
    let call = client.open(NOW, &head, false).unwrap();
    client.push(call, body);
    client.finish(call);
    flow(client, server, &mut up);
    let served = opened(server);
    let received = server.head(served).unwrap();
    assert_eq!((received.method(), received.path()), ("POST", "/s/M?x=1"));
    assert_eq!(received.authority(), Some("example.com"));
    assert_eq!(received.fields.get("content-type"), Some(&b"application/proto"[..]));
    assert_eq!(server.body(served).unwrap(), body);
    assert_eq!(server.receive_end(served), Some(ReceiveEnd::Clean));

    server.respond(NOW, served, &Head::response(200), false).unwrap();
    server.push(served, body);
    if trailers {
        let trailers: Fields = [("x-sum", &b"1"[..])].into_iter().collect();
        server.finish_with_trailers(served, &trailers);
    } else {
        server.finish(served);
    }
    flow(server, client, &mut down);
    assert_eq!(client.head(call).unwrap().status(), 200);
    assert_eq!(client.body(call).unwrap(), body);
    assert_eq!(client.receive_end(call), Some(ReceiveEnd::Clean));
    let sum = client.trailers(call).unwrap().get("x-sum");
    assert_eq!(sum, trailers.then_some(&b"1"[..]));
    assert!(!client.can_open());
    server.drop_stream(NOW, served);
    client.drop_stream(NOW, call);
    assert!(client.can_open());
    assert!(!client.knows(call) && !server.knows(served));
}

#[test]
fn one_exchange_follows_another() {
    let (mut client, mut server) = (Client::new(Limits::default()), Server::new(Limits::default()));
    for round in 0..5 {
        exchange(&mut client, &mut server, &vec![b'x'; round * 1000], round % 2 == 0);
        assert_eq!(client.closing(), crate::Closing::Open);
    }
}

// B8: a head that comes byte by byte is searched once.
#[test]
fn the_search_for_the_end_of_a_head_never_looks_back() {
    let head = b"POST /s/M HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n";
    let mut scan = Scan::default();
    for length in 0..head.len() {
        assert_eq!(scan.find_end(&head[..length], 1 << 14), Ok(None));
    }
    assert_eq!(scan.find_end(head, 1 << 14), Ok(Some(head.len())));
}

// Limits: what is held stays below what is promised, for a peer that sends as much as it may.
#[test]
fn memory_stays_below_the_promise() {
    let limits = Limits { max_message: 1 << 20, assembly: 1 << 20, ..Limits::default() };
    let mut server = Server::new(limits);
    let mut input = BytesMut::from(&b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"[..]);
    server.handle_input(NOW, &mut input).unwrap();
    let key = opened(&mut server);
    let mut fed = 0;
    while server.wants_input() {
        input.extend_from_slice(b"1000\r\n");
        input.extend_from_slice(&[b'x'; 4096]);
        input.extend_from_slice(b"\r\n");
        fed += 4096;
        server.handle_input(NOW, &mut input).unwrap();
        let held = server.body(key).unwrap().len();
        assert!(held <= (64 << 10) + (1 << 20));
        server.demand(NOW, key, 900_000).unwrap();
    }
    assert!((900_000..910_000).contains(&fed));
    server.respond(NOW, key, &Head::response(200), false).unwrap();
    while server.poll_room(key).is_ok() {
        server.push(key, &[b'y'; 10_000]);
    }
    let exchange = &server.link.exchange;
    let held = exchange.body.capacity() + exchange.outgoing.capacity_bytes() + input.len();
    assert!(held <= server.worst_case_bytes(), "{held}");
}

// L1: what the last head was makes no difference to what the next one is taken for, wherever it is cut.
#[test]
fn a_head_after_its_like_is_read_as_the_first_one_was() {
    let first = "POST /a HTTP/1.1\r\nhost: a\r\nx-tag: 1\r\n\r\n";
    let nexts = [
        first.to_owned(),
        first.replace("x-tag: 1", "x-tag: 2"),
        first.replace("/a", "/b"),
        first.replace("\r\n\r\n", "\r\ncontent-length: 0\r\n\r\n"),
        first.replace("host: a", "host: @"),
        first.replace("x-tag: 1\r", "x-tag: 1"),
    ];
    let read = |server: &mut Server, bytes: &str, cut: usize| {
        let mut input = BytesMut::from(&bytes[..cut]);
        let early = server.handle_input(NOW, &mut input);
        input.extend_from_slice(&bytes.as_bytes()[cut..]);
        let fed = early.and_then(|()| server.handle_input(NOW, &mut input));
        fed.map(|()| {
            let key = opened(server);
            (key, server.head(key).unwrap().clone())
        })
    };
    for next in nexts {
        let expected = read(&mut Server::new(Limits::default()), &next, next.len()).map(|(_, head)| head);
        for cut in 0..=next.len() {
            let mut server = Server::new(Limits::default());
            let (key, _) = read(&mut server, first, first.len()).unwrap();
            server.respond(NOW, key, &Head::response(204), true).unwrap();
            server.poll_transmit(NOW, &mut Output::new());
            server.drop_stream(NOW, key);
            while server.poll_event().is_some() {}
            assert_eq!(read(&mut server, &next, cut).map(|(_, head)| head), expected, "{next:?} {cut}");
        }
    }
}
