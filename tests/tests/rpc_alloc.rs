//! What a recycled call may not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use antiphon::rpc::{
    ClientCall, ClientRequest, HttpCaps, Method, Payload, Protocol, Read, RpcConfig, ServerCall, Shape, Sink,
};
use antiphon::{Fields, Head, Instant, Metadata, ReceiveEnd};
use bytes::{BufMut, BytesMut};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts bytes and ends.
#[derive(Default)]
struct Counter {
    heads: usize,
    bytes: usize,
    ends: usize,
}

impl Sink for Counter {
    fn head(&mut self, _: &Head, _: bool) {
        self.heads += 1;
    }
    fn data(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }
    fn trailers(&mut self, _: &Fields) {
        self.ends += 1;
    }
    fn end(&mut self) {
        self.ends += 1;
    }
    fn reset(&mut self, _: u32) {}
}

const ENVELOPE: &[u8] = b"\0\0\0\0\x10sixteen bytes ..";

/// Calls that are served in a row with one recycled call and one buffer.
fn serve(rounds: usize) -> (Counter, usize) {
    let mut head = Head::request("POST", "http", "localhost", "/echo.v1.EchoService/Unary");
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "grpc-go/1.83"),
        ("grpc-timeout", "999m"),
        ("grpc-accept-encoding", "gzip"),
    ] {
        head.fields.push(name, value.as_bytes());
    }
    let (config, method, none) = (Arc::new(RpcConfig::default()), Method::new(Shape::Unary), Metadata::new());
    let mut call = ServerCall::new(&head, HttpCaps::HTTP2, &config, Instant::EPOCH);
    let mut body = BytesMut::with_capacity(1 << 16);
    let (mut out, mut scratch, mut before) = (Counter::default(), Vec::new(), 0);
    for round in 0..rounds {
        if round == 8 {
            before = COUNT.with(Cell::get);
        }
        body.reserve(ENVELOPE.len());
        body.put_slice(ENVELOPE);
        call.accept(&head, HttpCaps::HTTP2, &config, Instant::EPOCH);
        assert!(call.route(Some(&method)));
        let Read::Messages(mut run) = call.receive(Instant::EPOCH, &mut body, Some(ReceiveEnd::Clean)) else {
            panic!()
        };
        let message = run.next(&mut scratch).unwrap().unwrap();
        call.answer(&none, Payload::Plain(&message), &none, &mut out).unwrap();
    }
    (out, COUNT.with(Cell::get) - before)
}

#[test]
fn a_recycled_server_call_allocates_nothing() {
    let (out, count) = serve(10_000);
    assert_eq!((out.heads, out.bytes, out.ends), (10_000, 210_000, 10_000));
    assert_eq!(count, 0, "allocations in 9,992 calls");
}

#[test]
fn a_recycled_client_call_allocates_nothing() {
    let mut head = Head::response(200);
    head.fields.push("content-type", b"application/grpc");
    let mut trailers = Fields::new();
    trailers.push("grpc-status", b"0");
    let config = Arc::new(RpcConfig::default());
    let request = ClientRequest::new(Protocol::Grpc, "proto", Method::new(Shape::Unary), "localhost", "/s/M");
    let mut call = ClientCall::new(&request, HttpCaps::HTTP2, &config, Instant::EPOCH).unwrap();
    let mut body = BytesMut::with_capacity(1 << 16);
    let (mut out, mut before) = (Counter::default(), 0);
    for round in 0..10_000 {
        if round == 8 {
            before = COUNT.with(Cell::get);
        }
        call.prepare(&request, HttpCaps::HTTP2, &config, Instant::EPOCH).unwrap();
        call.unary(Payload::Plain(b"sixteen bytes .."), &mut out).unwrap();
        call.receive_head(&head);
        body.reserve(ENVELOPE.len());
        body.put_slice(ENVELOPE);
        call.receive_trailers(&trailers);
        let read = call.receive(Instant::EPOCH, &mut body, Some(ReceiveEnd::Clean));
        assert!(matches!(read, Read::Messages(run) if run.len() == 1));
        assert!(matches!(call.receive(Instant::EPOCH, &mut body, Some(ReceiveEnd::Clean)), Read::End));
    }
    assert_eq!(COUNT.with(Cell::get) - before, 0, "allocations in 9,992 calls");
}
