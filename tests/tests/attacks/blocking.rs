//! Attacks on the blocking driver: its threads, its workers and its descriptors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use antiphon::Config;
use antiphon_blocking::{
    Bytes, CallOptions, Code, Connector, Context, HttpVersion, Peer, Pool, Protocol, Router, Server, connect,
    handler,
};

use crate::kit::{Adapter, Process, alone, cpu_of};

const ECHO: &str = "/t.T/Echo";

fn echo() -> Router {
    Router::new().add(ECHO, handler::blocking::unary(|_: Context, message: Bytes| Ok(message)))
}

/// A connection that has served calls keeps nothing when it is over: no descriptor, no thread.
#[test]
fn nothing_is_left_of_connections_that_are_over() {
    let _alone = alone();
    let both = echo().unary("/t.T/Async", |_: Context, message: Bytes| async move { Ok(message) });
    let running = Adapter::Blocking.serve(Config::default(), both);
    let round = || {
        for version in [HttpVersion::Http11, HttpVersion::Http2] {
            for path in [ECHO, "/t.T/Async"] {
                let client = connect(running.address, version).unwrap();
                client.unary(path, Bytes::from_static(b"x"), CallOptions::new()).unwrap();
            }
        }
    };
    round();
    thread::sleep(Duration::from_millis(100));
    let before = Process::now();
    for _ in 0..20 {
        round();
    }
    before.comes_back("after eighty connections");
}

/// A server whose last connection has closed sleeps. (It once knocked at its own door each time.)
#[test]
fn a_server_without_connections_sleeps() {
    let _alone = alone();
    let running = Adapter::Blocking.serve(Config::default(), echo());
    let client = connect(running.address, HttpVersion::Http2).unwrap();
    client.unary(ECHO, Bytes::new(), CallOptions::new()).unwrap();
    drop(client);
    thread::sleep(Duration::from_millis(200));
    let used = cpu_of(|| thread::sleep(Duration::from_secs(1)));
    assert!(used < Duration::from_millis(100), "it used {used:?} of a second");
}

/// Handlers above the maximum of the pool are refused, also when each call arrives alone.
#[test]
fn the_pool_bounds_the_handlers_that_run_at_once() {
    let _alone = alone();
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (inside, peak, door) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&gate));
    let hold = move |_: Context, message: Bytes| {
        peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let open = door.0.lock().unwrap();
        drop(door.1.wait_while(open, |open| !*open).unwrap());
        inside.fetch_sub(1, Ordering::SeqCst);
        Ok(message)
    };
    let server = Server::bind("127.0.0.1:0").unwrap().pool(Pool::new(2));
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    let serving =
        thread::spawn(move || server.serve(Router::new().add(ECHO, handler::blocking::unary(hold))));
    let client = connect(address, HttpVersion::Http2).unwrap();
    let options = || CallOptions::new().timeout(Duration::from_secs(20));
    thread::scope(|scope| {
        let calls: Vec<_> = (0..10)
            .map(|_| {
                thread::sleep(Duration::from_millis(20));
                scope.spawn(|| client.unary(ECHO, Bytes::new(), options()))
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        let refused: Vec<_> = calls.into_iter().filter_map(|call| call.join().unwrap().err()).collect();
        assert_eq!(most.load(Ordering::SeqCst), 2, "handlers at once");
        assert_eq!(refused.len(), 8, "{refused:?}");
        assert!(refused.iter().all(|status| status.code() == Code::ResourceExhausted), "{refused:?}");
    });
    // The workers are free again.
    client.unary(ECHO, Bytes::new(), options()).unwrap();
    drop(client);
    shutdown.drain();
    serving.join().unwrap();
}

/// An async handler that finds no worker is refused like a blocking one.
#[test]
fn a_pending_handler_without_a_worker_is_refused_as_exhausted() {
    let _alone = alone();
    let never = |_: Context, _: Bytes| std::future::pending::<Result<Bytes, antiphon::Status>>();
    let server = Server::bind("127.0.0.1:0").unwrap().pool(Pool::new(1));
    let (address, shutdown) = (server.local_addr().unwrap(), server.shutdown());
    let serving = thread::spawn(move || server.serve(Router::new().unary(ECHO, never)));
    let client = connect(address, HttpVersion::Http2).unwrap();
    let options = || CallOptions::new().timeout(Duration::from_millis(500));
    let codes: Vec<_> = thread::scope(|scope| {
        let calls: Vec<_> =
            (0..3).map(|_| scope.spawn(|| client.unary(ECHO, Bytes::new(), options()))).collect();
        calls.into_iter().map(|call| call.join().unwrap().unwrap_err().code()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == Code::ResourceExhausted).count(), 2, "{codes:?}");
    drop(client);
    shutdown.drain();
    serving.join().unwrap();
}

/// A writer that takes a little and then stands still, as a pipe does whose reader is gone for lunch.
struct Clogged {
    room: usize,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl std::io::Write for Clogged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.room == 0 {
            let open = self.gate.0.lock().unwrap();
            drop(self.gate.1.wait_while(open, |open| !*open).unwrap());
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A reader to which nobody ever says anything.
struct Silent(Arc<(Mutex<bool>, Condvar)>);

impl std::io::Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
        Ok(0)
    }
}

/// A peer that reads nothing, over pipes that cannot bound a write: one thread stands in `write`, and the deadline of
/// another one's call of one message comes all the same.
#[test]
fn a_deadline_comes_while_another_thread_stands_in_a_write() {
    let _alone = alone();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let transport = (Silent(Arc::clone(&gate)), Clogged { room: 1000, gate: Arc::clone(&gate) });
    let client =
        Connector::new(HttpVersion::Http2).connect_over(transport, Peer::Other("pipes".into())).unwrap();
    let other = client.clone();
    let stuck = thread::spawn(move || {
        let options = CallOptions::new().protocol(Protocol::Grpc).timeout(Duration::from_secs(30));
        let mut call = other.client_stream("/t.T/Sum", options).unwrap();
        let _ = call.try_send(Bytes::from(vec![0; 60_000]));
    });
    thread::sleep(Duration::from_millis(200));
    assert!(!stuck.is_finished());
    let started = Instant::now();
    let (tell, told) = std::sync::mpsc::channel();
    let one = client.clone();
    thread::spawn(move || {
        let call = one.unary(ECHO, Bytes::new(), Duration::from_millis(200).into());
        let _ = tell.send(call.map_err(|status| status.code()).unwrap_err());
    });
    let seen = told.recv_timeout(Duration::from_secs(5));
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(seen, Ok(Code::DeadlineExceeded), "after {:?}", started.elapsed());
    stuck.join().unwrap();
}

/// A call that ended while it waited for a thread is not begun.
#[test]
fn a_handler_is_not_run_for_a_call_that_has_ended() {
    let _alone = alone();
    let runs = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (count, door) = (Arc::clone(&runs), Arc::clone(&gate));
    let hold = move |_: Context, message: Bytes| {
        count.fetch_add(1, Ordering::SeqCst);
        let open = door.0.lock().unwrap();
        drop(door.1.wait_while(open, |open| !*open).unwrap());
        Ok(message)
    };
    let router = Router::new().add(ECHO, handler::blocking::unary(hold));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(antiphon_tokio::Server::bind("127.0.0.1:0")).unwrap();
    let address = server.local_addr().unwrap();
    runtime.spawn(server.serve(router));
    let client = connect(address, HttpVersion::Http2).unwrap();
    let first = client.clone();
    let first = thread::spawn(move || first.unary(ECHO, Bytes::new(), Duration::from_secs(10).into()));
    while runs.load(Ordering::SeqCst) == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    for _ in 0..5 {
        let status = client.unary(ECHO, Bytes::new(), Duration::from_millis(50).into()).unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
    thread::sleep(Duration::from_millis(100));
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    first.join().unwrap().unwrap();
    client.unary(ECHO, Bytes::new(), Duration::from_secs(10).into()).unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    runtime.shutdown_background();
}

/// A transport that panics takes its connection with it, and nobody waits for the thread that is no more.
#[test]
fn a_transport_that_panics_ends_its_calls() {
    struct Bomb(Arc<(Mutex<bool>, Condvar)>);

    impl std::io::Read for Bomb {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            let open = self.0.0.lock().unwrap();
            drop(self.0.1.wait_while(open, |open| !*open).unwrap());
            panic!("a transport's panic");
        }
    }

    let _alone = alone();
    let before = Process::now();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let transport = (Bomb(Arc::clone(&gate)), std::io::sink());
    let client =
        Connector::new(HttpVersion::Http2).connect_over(transport, Peer::Other("bomb".into())).unwrap();
    let call =
        thread::spawn(move || client.unary(ECHO, Bytes::new(), CallOptions::new()).unwrap_err().code());
    thread::sleep(Duration::from_millis(100));
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(call.join().unwrap(), Code::Unavailable);
    before.comes_back("after a transport's panic");
}
