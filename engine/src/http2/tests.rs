//! Tests of what only the inside can reach, and a first exchange between the two roles.

use bytes::BytesMut;

use crate::http2::Connection;
use crate::{
    Fields, Head, HttpConnection, Instant, Limits, Machine, Output, ReceiveEnd, StartError, StreamEvent,
    StreamKey,
};

const NOW: Instant = Instant::EPOCH;

/// Both sides, and the bytes between them.
struct Pair {
    client: Connection,
    server: Connection,
}

impl Pair {
    fn new(limits: Limits) -> Self {
        Self { client: Connection::client(limits.clone()), server: Connection::server(limits) }
    }

    fn carry(from: &mut Connection, to: &mut Connection) -> bool {
        let mut out = Output::new();
        from.poll_transmit(NOW, &mut out);
        let mut input = BytesMut::new();
        while let Some(piece) = out.take() {
            input.extend_from_slice(&piece);
        }
        let moved = !input.is_empty();
        to.handle_input(NOW, &mut input).unwrap();
        assert!(input.is_empty());
        moved
    }

    /// Carries bytes until nothing moves.
    fn settle(&mut self) {
        while Self::carry(&mut self.client, &mut self.server)
            | Self::carry(&mut self.server, &mut self.client)
        {}
    }

    fn opened(&mut self) -> StreamKey {
        loop {
            match self.server.poll_event() {
                Some(StreamEvent::Opened(key)) => return key,
                Some(_) => {}
                None => panic!("no stream was opened"),
            }
        }
    }
}

#[test]
fn a_call_with_body_and_trailers() {
    let mut pair = Pair::new(Limits::default());
    let mut request = Head::request("POST", "http", "example.com", "/s/M");
    request.fields.push("content-type", b"application/grpc");
    let call = pair.client.open(NOW, &request, false).unwrap();
    pair.client.push(call, b"question");
    pair.client.finish(call);
    pair.settle();
    let key = pair.opened();
    assert_eq!(pair.server.head(key).unwrap(), &request);
    assert_eq!(&pair.server.body(key).unwrap().split()[..], b"question");
    pair.server.release(NOW, key, 8).unwrap();
    assert_eq!(pair.server.receive_end(key), Some(ReceiveEnd::Clean));
    pair.server.respond(NOW, key, &Head::response(200), false).unwrap();
    pair.server.push(key, b"answer");
    let trailers: Fields = [("grpc-status", &b"0"[..])].into_iter().collect();
    pair.server.finish_with_trailers(key, &trailers);
    pair.server.drop_stream(NOW, key);
    pair.settle();
    assert_eq!(pair.client.head(call).unwrap().status(), 200);
    assert_eq!(&pair.client.body(call).unwrap()[..], b"answer");
    assert_eq!(pair.client.trailers(call), Some(&trailers));
    assert_eq!(pair.client.receive_end(call), Some(ReceiveEnd::Clean));
    pair.client.drop_stream(NOW, call);
    assert_eq!((pair.client.store.in_use(), pair.server.store.in_use()), (0, 0));
    assert_eq!((pair.client.open_streams(), pair.server.open_streams()), (0, 0));
}

#[test]
fn a_stream_is_small() {
    // A hundred open streams without a message take less than 64 KiB.
    assert!(size_of::<super::stream::Slot>() <= 640, "{}", size_of::<super::stream::Slot>());
}

#[test]
fn ids_that_run_out_drain_the_connection() {
    // RFC 9113 §5.1.1: a client that has used its ids up opens another connection.
    let mut pair = Pair::new(Limits::default());
    pair.client.store.set_next_id(super::heads::LAST_IDS - 2);
    let call = pair.client.open(NOW, &Head::request("GET", "http", "a", "/"), true).unwrap();
    pair.settle();
    let key = pair.opened();
    pair.server.respond(NOW, key, &Head::response(200), true).unwrap();
    pair.settle();
    assert_eq!(pair.client.receive_end(call), Some(ReceiveEnd::Clean));
    let head = Head::request("GET", "http", "a", "/");
    assert_eq!(pair.client.open(NOW, &head, true), Err(StartError::Closed));
}
