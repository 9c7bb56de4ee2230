//! What HTTP/2 connections hold on the heap, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::IoSlice;
use std::time::Duration;

use antiphon::http2::Connection;
use antiphon::{Fields, Head, HttpConnection, Instant, Limits, Machine, Output, StreamEvent};
use antiphon_tests::h2kit::*;
use bytes::BytesMut;

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static MADE: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator; the counts are cells of the thread, which do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count(bytes: isize) {
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
    if bytes > 0 {
        let _ = MADE.try_with(|made| made.set(made.get() + 1));
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> isize {
    LIVE.with(Cell::get)
}

/// How much more is held after `work` than before, without what the test itself keeps.
fn held<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let before = live();
    let result = work();
    (live() - before, result)
}

fn kit_server() -> Raw {
    Raw::server(Limits::default())
}

/// A1, A7, C1: a hundred bodies that nobody reads are held, and no more.
#[test]
fn unread_bodies_are_bounded_by_their_windows() {
    let mut raw = kit_server();
    let (bytes, ()) = held(|| {
        for stream in (1..200).step_by(2) {
            raw.ok(&post(stream, 0));
            for _ in 0..4 {
                raw.ok(&frame(DATA, 0, stream, &[0; 16_384]));
            }
            raw.frames();
        }
    });
    // Buffers double: a window of 64 KiB is held in at most 128.
    assert!(bytes <= 100 * (2 * 65_536 + 2048), "{bytes}");
    assert!((bytes as usize) < raw.connection.worst_case_bytes());

    let mut raw = kit_server();
    raw.ok(&post(1, 0));
    let one = frame(DATA, 0, 1, b"x");
    let (bytes, ()) = held(|| (0..65_000).for_each(|_| raw.ok(&one)));
    assert!(bytes <= 128 * 1024 + 2048, "one byte a frame: {bytes}");
}

/// A4, A5, A8: floods whose answers nobody reads are bounded too.
#[test]
fn floods_are_bounded() {
    for attack in [
        |count: u32| post_with(2 * count + 1, ES, &[("A", "b")]),
        |_| settings(&[]),
        |count| [post(2 * count + 1, ES), number(RST, 2 * count + 1, 8)].concat(),
        |_| frame(PING, 0, 0, &[0; 8]),
        |count| frame(HEADERS, EH | ES, 2 * count + 1, &[POST, &[0x40, 1, b'a', 100], &[b'x'; 100]].concat()),
        |count| if count == 0 { frame(HEADERS, 0, 1, POST) } else { frame(CONTINUATION, 0, 1, b"") },
    ] {
        let mut raw = kit_server();
        let mut most = 0;
        for count in 0..10_000 {
            let bytes = attack(count);
            let (more, ended) = held(|| !raw.connection.wants_input() || raw.feed(&bytes).is_err());
            most += more;
            if ended {
                break;
            }
        }
        assert!(most < 512 * 1024, "{most}");
    }
}

/// Both sides, and buffers that are used again: nothing but the connections can allocate.
struct Pair {
    client: Connection,
    server: Connection,
    now: Instant,
    output: Output,
    input: BytesMut,
    request: Head,
    response: Head,
    trailers: Fields,
}

impl Pair {
    fn new() -> Self {
        let mut request = Head::request("POST", "http", "e.com", "/s/M");
        request.fields.push("content-type", b"application/grpc");
        request.fields.push("te", b"trailers");
        Self {
            client: Connection::client(Limits::default()),
            server: Connection::server(Limits::default()),
            now: Instant::EPOCH,
            output: Output::new(),
            input: BytesMut::with_capacity(1 << 16),
            request,
            response: Head::response(200),
            trailers: [("grpc-status", &b"0"[..])].into_iter().collect(),
        }
    }

    fn carry(&mut self, up: bool) {
        let (from, to) =
            if up { (&mut self.client, &mut self.server) } else { (&mut self.server, &mut self.client) };
        from.poll_transmit(self.now, &mut self.output);
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = self.output.slices(&mut slices);
        for slice in &slices[..filled] {
            self.input.extend_from_slice(slice);
        }
        self.output.advance(self.output.len());
        to.handle_input(self.now, &mut self.input).unwrap();
        self.input.clear();
    }

    fn exchange(&mut self) {
        let now = self.now;
        let call = self.client.open(now, &self.request, false).unwrap();
        self.client.push(call, b"question");
        self.client.finish(call);
        self.carry(true);
        while let Some(event) = self.server.poll_event() {
            let StreamEvent::Opened(key) = event else { continue };
            self.server.body(key).unwrap().clear();
            self.server.release(now, key, 8).unwrap();
            self.server.respond(now, key, &self.response, false).unwrap();
            self.server.push(key, b"answer");
            self.server.finish_with_trailers(key, &self.trailers);
            self.server.drop_stream(now, key);
        }
        self.carry(false);
        while self.client.poll_event().is_some() {}
        assert!(self.client.receive_end(call).is_some());
        self.client.body(call).unwrap().clear();
        self.client.release(now, call, 6).unwrap();
        self.client.drop_stream(now, call);
    }

    fn idle(&mut self) {
        self.now = self.now + Duration::from_secs(5);
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
    }
}

/// In steady state a call allocates nothing, and an idle connection gives back what calls needed.
#[test]
fn steady_and_idle() {
    let before = live();
    let mut pair = Pair::new();
    pair.exchange();
    pair.idle();
    let once = live() - before;
    for _ in 0..1000 {
        pair.exchange();
    }
    let made = MADE.with(Cell::get);
    for _ in 0..1000 {
        pair.exchange();
    }
    assert_eq!(MADE.with(Cell::get) - made, 0);
    pair.idle();
    let idle = live() - before;
    // The test's own input buffer, and two connections.
    assert!(idle <= once + 16 * 1024 && idle < (64 + 40) * 1024, "{once} {idle}");
    assert!(size_of::<Connection>() < 3072, "{}", size_of::<Connection>());
}
