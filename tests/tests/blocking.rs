//! The blocking driver over real sockets and pipes: all shapes, many threads, slow peers, and the end.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver as Told};
use std::thread;
use std::time::Duration;

use antiphon_blocking::{
    Acceptor, Blocking, Bytes, CallOptions, Client, Code, Connector, Context, EndedBy, HttpVersion, Peer,
    Pool, Protocol, Receiver, Router, Sender, Server, Shutdown, Status, connect, handler,
};

const ECHO: &str = "/test.v1.Test/Echo";
const COUNT: &str = "/test.v1.Test/Count";
const SUM: &str = "/test.v1.Test/Sum";
const BIDI: &str = "/test.v1.Test/Bidi";
const PANIC: &str = "/test.v1.Test/Panic";
const ASYNC: &str = "/test.v1.Test/Async";
const PROTOCOLS: [Protocol; 4] =
    [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText];

struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.drain();
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

fn start(router: Router, pool: Pool) -> Running {
    let server = Server::bind("127.0.0.1:0").unwrap().pool(pool);
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    let thread = thread::spawn(move || server.serve(router));
    Running { address, shutdown, thread: Some(thread) }
}

fn count(_: Context, request: Bytes, mut out: Sender<Bytes, Blocking>) -> Result<(), Status> {
    (0..request.len()).try_for_each(|number| out.send(Bytes::from(number.to_string())))
}

fn sum(_: Context, inbound: Receiver<Bytes, Blocking>) -> Result<Bytes, Status> {
    let lengths: Result<Vec<_>, _> = inbound.map(|message| message.map(|message| message.len())).collect();
    Ok(Bytes::from(lengths?.into_iter().sum::<usize>().to_string()))
}

fn bidi(
    _: Context,
    mut inbound: Receiver<Bytes, Blocking>,
    mut out: Sender<Bytes, Blocking>,
) -> Result<(), Status> {
    while let Some(message) = inbound.recv()? {
        out.send(message)?;
    }
    Ok(())
}

fn router() -> Router {
    Router::new()
        .add(ECHO, handler::blocking::unary(|_, request| Ok(request)))
        .add(COUNT, handler::blocking::server_stream(count))
        .add(SUM, handler::blocking::client_stream(sum))
        .add(BIDI, handler::blocking::bidi(bidi))
        .add(PANIC, handler::blocking::unary(|_, _| panic!("a handler's panic")))
        .unary(ASYNC, |_, request: Bytes| async move { Ok(request) })
}

fn stacks() -> impl Iterator<Item = (HttpVersion, Protocol)> {
    let both = [HttpVersion::Http11, HttpVersion::Http2];
    both.into_iter()
        .flat_map(|version| PROTOCOLS.into_iter().map(move |protocol| (version, protocol)))
        .filter(|stack| *stack != (HttpVersion::Http11, Protocol::Grpc))
}

fn patient() -> CallOptions {
    CallOptions::new().timeout(Duration::from_secs(60))
}

fn one_round(client: &Client<Blocking>, protocol: Protocol) {
    let options = || patient().protocol(protocol);
    for path in [ECHO, ASYNC] {
        let answer = client.unary(path, Bytes::from_static(b"hello"), options()).unwrap();
        assert_eq!(&answer[..], b"hello", "{protocol:?}");
    }
    let mut counted = client.server_stream(COUNT, Bytes::from_static(b"12345"), options()).unwrap();
    for number in 0..5 {
        assert_eq!(counted.recv().unwrap().unwrap(), number.to_string());
    }
    assert!(counted.recv().unwrap().is_none());
    let mut summed = client.client_stream(SUM, options()).unwrap();
    for _ in 0..5 {
        summed.send(Bytes::from(vec![1; 1000])).unwrap();
    }
    assert_eq!(&summed.close_and_recv().unwrap()[..], b"5000");
}

#[test]
fn every_shape_over_every_protocol_and_version() {
    let server = start(router(), Pool::default());
    for (version, protocol) in stacks() {
        let client = connect(server.address, version).unwrap();
        one_round(&client, protocol);
        let mut chat = client.bidi(BIDI, patient().protocol(protocol)).unwrap();
        let full_duplex = version == HttpVersion::Http2;
        for word in ["a", "b", "c"] {
            chat.send(Bytes::from(word)).unwrap();
            if full_duplex {
                assert_eq!(chat.recv().unwrap().unwrap(), word);
            }
        }
        chat.close_send();
        for word in ["a", "b", "c"].iter().filter(|_| !full_duplex) {
            assert_eq!(chat.recv().unwrap().unwrap(), word);
        }
        assert!(chat.recv().unwrap().is_none(), "{version:?} {protocol:?}");
    }
}

/// Both ends write far more than any buffer holds, from many threads on one connection: a driver that reads and
/// writes in turn stands still here.
#[test]
fn both_ends_write_at_once_from_sixteen_threads() {
    let server = start(router(), Pool::default());
    let client = connect(server.address, HttpVersion::Http2).unwrap();
    let echo_two_megabytes = || {
        let (mut sender, receiver) = client.bidi(BIDI, patient()).unwrap().split();
        thread::scope(|halves| {
            halves.spawn(move || {
                for _ in 0..40 {
                    sender.send(Bytes::from(vec![7; 50_000])).unwrap();
                }
                sender.close();
            });
            assert_eq!(receiver.map(|message| message.unwrap().len()).sum::<usize>(), 40 * 50_000);
        });
    };
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(echo_two_megabytes);
        }
    });
}

/// The reader stops when a call's window is full, and whoever empties it starts the reader again: of the two, the one
/// that saw the older state must not have the last word. Over HTTP/1.1 the whole connection stands still otherwise.
#[test]
fn uploads_above_the_window_never_stand_still() {
    let server = start(router(), Pool::default());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = connect(server.address, HttpVersion::Http11).unwrap();
                for _ in 0..100 {
                    let mut upload = client.client_stream(SUM, patient()).unwrap();
                    for _ in 0..4 {
                        upload.send(Bytes::from(vec![1; 200_000])).unwrap();
                    }
                    assert_eq!(&upload.close_and_recv().unwrap()[..], b"800000");
                }
            });
        }
    });
}

#[test]
fn a_hundred_callers_share_one_connection() {
    let server = start(router(), Pool::default());
    let client = connect(server.address, HttpVersion::Http2).unwrap();
    thread::scope(|scope| {
        for caller in 0..100 {
            let client = client.clone();
            scope.spawn(move || {
                for call in 0..20 {
                    let text = format!("{caller} {call}");
                    let answer = client.unary(ECHO, Bytes::from(text.clone()), patient()).unwrap();
                    assert_eq!(answer.into_inner(), text);
                }
            });
        }
    });
}

#[test]
fn a_panic_ends_its_call_unknown_and_nothing_else() {
    let server = start(router(), Pool::default());
    let client = connect(server.address, HttpVersion::Http2).unwrap();
    let mut chat = client.bidi(BIDI, patient()).unwrap();
    chat.send(Bytes::from_static(b"before")).unwrap();
    let status = client.unary(PANIC, Bytes::new(), patient()).unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
    assert_eq!(chat.recv().unwrap().unwrap(), "before");
    chat.close_send();
    assert!(chat.recv().unwrap().is_none());
}

/// A handler that tells how each of its `recv` ended.
fn telling() -> (Router, Told<Result<bool, EndedBy>>) {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let wait = move |_: Context, mut inbound: Receiver<Bytes, Blocking>, _: Sender<Bytes, Blocking>| {
        loop {
            let received = inbound.recv();
            let more = matches!(received, Ok(Some(_)));
            let seen = received.map(|message| message.is_some()).map_err(|status| status.ended());
            tell.lock().unwrap().send(seen).unwrap();
            if !more {
                return Ok(());
            }
        }
    };
    (Router::new().add(BIDI, handler::blocking::bidi(wait)), told)
}

#[test]
fn a_deadline_ends_a_call_at_both_ends() {
    let (router, told) = telling();
    let server = start(router, Pool::default());
    let client = connect(server.address, HttpVersion::Http2).unwrap();
    for protocol in PROTOCOLS {
        let options = CallOptions::new().protocol(protocol).timeout(Duration::from_millis(50));
        let mut chat = client.bidi(BIDI, options).unwrap();
        let status = chat.recv().unwrap_err();
        // Whose clock is the faster one decides who tells whom, and whether the call arrives in time at all.
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(matches!(status.ended(), EndedBy::Deadline | EndedBy::Status), "{status:?}");
        match told.recv_timeout(Duration::from_millis(500)) {
            Ok(seen) => assert!(matches!(seen, Err(EndedBy::Deadline | EndedBy::Cancel { .. })), "{seen:?}"),
            Err(_) => panic!("{protocol:?}: the handler still waits"),
        }
    }
}

#[test]
fn a_cancel_is_seen_by_a_blocked_handler_and_is_no_end_of_stream() {
    let (router, told) = telling();
    let server = start(router, Pool::default());
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        let client = connect(server.address, version).unwrap();
        let mut chat = client.bidi(BIDI, CallOptions::new()).unwrap();
        chat.send(Bytes::from_static(b"one")).unwrap();
        assert_eq!(told.recv().unwrap(), Ok(true));
        drop(chat);
        let seen = told.recv().unwrap();
        assert!(
            matches!(seen, Err(EndedBy::Cancel { .. } | EndedBy::LostConnection)),
            "{version:?}: {seen:?}"
        );
    }
}

#[test]
fn a_lost_connection_is_told_from_a_cancel_and_from_an_end() {
    let (router, told) = telling();
    let server = start(router, Pool::default());
    let client = connect(server.address, HttpVersion::Http2).unwrap();
    let mut chat = client.bidi(BIDI, CallOptions::new()).unwrap();
    chat.send(Bytes::from_static(b"one")).unwrap();
    assert_eq!(told.recv().unwrap(), Ok(true));
    server.shutdown.abort();
    assert_eq!(told.recv().unwrap(), Err(EndedBy::LostConnection));
    let status = chat.recv().unwrap_err();
    assert_eq!((status.code(), status.ended()), (Code::Unavailable, EndedBy::LostConnection));
}

#[test]
fn above_the_last_worker_a_call_is_refused_and_not_queued() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let hold = move |_: Context, request: Bytes| {
        let _ = held.lock().unwrap().recv();
        Ok(request)
    };
    let server = start(Router::new().add(ECHO, handler::blocking::unary(hold)), Pool::new(1));
    let client = connect(server.address, HttpVersion::Http2).unwrap();
    let call = || client.unary(ECHO, Bytes::new(), patient());
    thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(call)).collect();
        while !calls.iter().any(thread::ScopedJoinHandle::is_finished) {
            thread::yield_now();
        }
        drop(release);
        let failed: Vec<_> = calls.into_iter().filter_map(|call| call.join().unwrap().err()).collect();
        assert!(!failed.is_empty());
        assert!(failed.iter().all(|status| status.code() == Code::ResourceExhausted), "{failed:?}");
    });
}

/// As pipes are: a reader and a writer, without a timeout or a shutdown.
#[cfg(unix)]
#[test]
fn a_connection_over_a_pair_that_nobody_can_shut() {
    use std::os::unix::net::UnixStream;

    let (near, far) = UnixStream::pair().unwrap();
    let (near_write, far_write) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let peer = || Peer::Other("a pair".into());
    let serving = thread::spawn(move || Acceptor::new(router()).serve_over((far, far_write), peer()));
    let control = near.try_clone().unwrap();
    let client = Connector::new(HttpVersion::Http2).connect_over((near, near_write), peer()).unwrap();
    one_round(&client, Protocol::Grpc);
    drop(client);
    control.shutdown(std::net::Shutdown::Both).unwrap();
    serving.join().unwrap().unwrap();
}

#[test]
fn draining_lets_open_calls_finish() {
    let server = start(router(), Pool::default());
    let client = connect(server.address, HttpVersion::Http2).unwrap();
    let mut chat = client.bidi(BIDI, patient()).unwrap();
    chat.send(Bytes::from_static(b"open")).unwrap();
    assert_eq!(chat.recv().unwrap().unwrap(), "open");
    server.shutdown.drain();
    chat.send(Bytes::from_static(b"still")).unwrap();
    assert_eq!(chat.recv().unwrap().unwrap(), "still");
    chat.close_send();
    assert!(chat.recv().unwrap().is_none());
    drop(server);
    let refused = client.unary(ECHO, Bytes::new(), patient()).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
}

/// A message larger than every window, over HTTP/1.1: the reader stops and goes on as handlers take what there is, and
/// never misses that it may. Often, since what is tested is a race.
#[test]
fn an_upload_over_http1_goes_on_whenever_the_handler_has_read() {
    let server = start(router(), Pool::default());
    let client = connect(server.address, HttpVersion::Http11).unwrap();
    for _ in 0..100 {
        let mut summed = client.client_stream(SUM, patient()).unwrap();
        for _ in 0..5 {
            summed.send(Bytes::from(vec![1; 200_000])).unwrap();
        }
        assert_eq!(&summed.close_and_recv().unwrap()[..], b"1000000");
    }
}

#[test]
fn a_thread_waits_for_the_moment_to_connect_again() {
    for version in [HttpVersion::Http11, HttpVersion::Http2] {
        let server = start(router(), Pool::default());
        let client = connect(server.address, version).unwrap();
        client.unary(ECHO, "x".into(), CallOptions::new()).unwrap();
        assert!(!client.is_closed());
        let waiting = thread::spawn({
            let client = client.clone();
            move || client.closed()
        });
        thread::sleep(Duration::from_millis(20));
        server.shutdown.drain();
        assert_eq!(waiting.join().unwrap(), None, "in peace");
        assert!(client.is_closed() && client.closed().is_none());
    }
}
