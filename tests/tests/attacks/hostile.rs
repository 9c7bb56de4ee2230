//! Hostile peers on each adapter: after each, the process has what it had before, and honest clients are served.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use antiphon::{Config, Status};
use antiphon_service::{Bytes, CallOptions, Context, HttpVersion, Receiver, Router, Sender};

use crate::kit::{ALL, Adapter, PREFACE, Process, Running, alone, cpu_of, is_closed_within, raw};

const ECHO: &str = "/t.T/Echo";

/// Short times, so that tests are short.
fn hasty() -> Config {
    let mut config = Config::default();
    config.limits.handshake = Duration::from_millis(500);
    config.limits.stall = Duration::from_millis(500);
    config
}

fn router() -> Router {
    Router::new()
        .unary(ECHO, |_: Context, message: Bytes| async move { Ok(message) })
        .unary("/t.T/Never", |_: Context, _: Bytes| std::future::pending::<Result<Bytes, Status>>())
        .server_stream("/t.T/Flood", |_: Context, _: Bytes, mut out: Sender<Bytes>| async move {
            loop {
                out.send(Bytes::from(vec![0; 16_000])).await?;
            }
        })
        .bidi("/t.T/Chat", |_: Context, mut inbound: Receiver<Bytes>, mut out: Sender<Bytes>| async move {
            while let Some(message) = inbound.recv().await? {
                out.send(message).await?;
            }
            Ok(())
        })
}

fn is_well(running: &Running) {
    for version in [HttpVersion::Http11, HttpVersion::Http2] {
        let client = antiphon_blocking::connect(running.address, version).unwrap();
        let options = CallOptions::new().timeout(Duration::from_secs(5));
        assert_eq!(&client.unary(ECHO, Bytes::from_static(b"well"), options).unwrap()[..], b"well");
    }
}

/// Runs an attack on each adapter, and looks whether anything is left of it.
fn attack(what: &str, config: impl Fn() -> Config, mut attack: impl FnMut(&Running)) {
    let _alone = alone();
    for adapter in ALL {
        let running = adapter.serve(config(), router());
        is_well(&running);
        thread::sleep(Duration::from_millis(200));
        let before = Process::now();
        attack(&running);
        before.comes_back(&format!("{what}, {adapter:?}"));
        let idle = cpu_of(|| thread::sleep(Duration::from_millis(300)));
        assert!(
            idle < Duration::from_millis(100),
            "{what}, {adapter:?}: {idle:?} of CPU while nothing happens"
        );
        is_well(&running);
    }
}

/// CVE-2026-56853 (Go): the time runs from the first moment, not from the first byte.
#[test]
fn a_peer_that_says_nothing_is_closed() {
    attack("silence", hasty, |running| {
        let silent: Vec<_> = (0..20).map(|_| raw(running.address, b"")).collect();
        for stream in &silent {
            assert!(is_closed_within(stream, Duration::from_secs(3)));
        }
    });
}

#[test]
fn a_beginning_that_never_ends_is_closed() {
    let begun: [&[u8]; 7] = [
        b"P",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0",
        b"POST /t.T/Echo HTTP/1.1\r\nhost: a\r\n",
        b"\r\n",
        // A header block without its end.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x83",
    ];
    attack("a slow beginning", hasty, |running| {
        let slow: Vec<_> = begun.iter().map(|bytes| raw(running.address, bytes)).collect();
        for (at, stream) in slow.iter().enumerate() {
            assert!(is_closed_within(stream, Duration::from_secs(8)), "{at}");
        }
    });
}

/// One byte each time: it does not help.
#[test]
fn a_head_byte_by_byte_is_closed_in_time() {
    attack("slow loris", hasty, |running| {
        let started = Instant::now();
        let mut stream = raw(running.address, b"POST /t.T/Echo HTTP/1.1\r\nhost: a\r\n");
        while started.elapsed() < Duration::from_secs(4) {
            if stream.write_all(b"x").is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert!(is_closed_within(&stream, Duration::from_secs(4)));
    });
}

#[test]
fn garbage_is_answered_or_closed() {
    let garbage: [&[u8]; 7] = [
        // A TLS ClientHello.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x06\0\0\0\0\0",
    ];
    attack("garbage", hasty, |running| {
        for (at, bytes) in garbage.iter().enumerate() {
            let stream = raw(running.address, bytes);
            assert!(is_closed_within(&stream, Duration::from_secs(8)), "{at}");
        }
    });
}

/// A request of HTTP/2, for a path without a message in it.
fn request(id: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04, path.len() as u8];
    block.extend_from_slice(path.as_bytes());
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers"), ("host", "a")] {
        block.extend_from_slice(&[0x00, name.len() as u8]);
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    }
    let mut frame = vec![0, 0, block.len() as u8, 1, 4, 0, 0, 0, id];
    frame.extend_from_slice(&block);
    frame.extend_from_slice(&[0, 0, 5, 0, 1, 0, 0, 0, id, 0, 0, 0, 0, 0]);
    frame
}

#[test]
fn a_client_that_vanishes_leaves_nothing() {
    attack("vanishing", Config::default, |running| {
        for _ in 0..10 {
            for path in ["/t.T/Never", "/t.T/Flood", "/t.T/Chat"] {
                let stream = raw(running.address, &[PREFACE, &request(1, path), &request(3, path)].concat());
                thread::sleep(Duration::from_millis(5));
                drop(stream);
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web\r\ncontent-length: 5\r\n\r\n"
                );
                let stream = raw(running.address, &[head.as_bytes(), &[0; 5]].concat());
                thread::sleep(Duration::from_millis(5));
                drop(stream);
            }
        }
    });
}

/// The peer closes its half and waits: for HTTP/1.1 that is a client that went, for HTTP/2 the end.
#[test]
fn a_half_closed_connection_ends() {
    attack("half closed", hasty, |running| {
        for bytes in [
            [PREFACE, &request(1, "/t.T/Never")].concat(),
            b"POST /t.T/Never HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0".to_vec(),
            b"POST /t.T/Never HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web\r\ncontent-length: 5\r\n\r\n\0".to_vec(),
            PREFACE.to_vec(),
            b"PRI".to_vec(),
            Vec::new(),
        ] {
            let stream = raw(running.address, &bytes);
            thread::sleep(Duration::from_millis(20));
            stream.shutdown(Shutdown::Write).unwrap();
            assert!(is_closed_within(&stream, Duration::from_secs(8)), "{bytes:?}");
        }
    });
}

/// Windows as wide as they get, and a peer that reads nothing: the handler that floods it holds the connection only
/// until somebody ends it.
fn deaf(running: &Running, http1: bool) -> TcpStream {
    if http1 {
        return raw(
            running.address,
            b"POST /t.T/Flood HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0",
        );
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff\0\0\0\x04\x01\0\0\0\0");
    bytes.extend_from_slice(b"\0\0\x04\x08\0\0\0\0\0\x7f\x00\x00\x00");
    bytes.extend_from_slice(&request(1, "/t.T/Flood"));
    raw(running.address, &bytes)
}

/// Runs on all adapters at the same time: for tests that wait, and count nothing.
fn on_each(test: impl Fn(Adapter) + Sync) {
    let _alone = alone();
    thread::scope(|scope| {
        for adapter in ALL {
            let test = &test;
            scope.spawn(move || test(adapter));
        }
    });
}

#[test]
fn a_server_that_aborts_does_not_wait_for_peers_that_do_not_read() {
    on_each(|adapter| {
        for http1 in [false, true] {
            let mut running = adapter.serve(Config::default(), router());
            let streams: Vec<_> = (0..5).map(|_| deaf(&running, http1)).collect();
            thread::sleep(Duration::from_millis(500));
            running.shutdown.abort();
            let ended = running.ends_within(Duration::from_secs(6));
            drop(streams);
            assert!(ended, "{adapter:?} http1: {http1}");
        }
    });
}

/// The same, when it is the peer's own fault that the connection ends.
#[test]
fn a_peer_that_breaks_the_rules_and_does_not_read_is_let_go() {
    on_each(|adapter| {
        let running = adapter.serve(Config::default(), router());
        let mut streams: Vec<_> = (0..5).map(|_| deaf(&running, false)).collect();
        thread::sleep(Duration::from_millis(500));
        assert_eq!(running.shutdown.connections(), 5);
        for stream in &mut streams {
            // WINDOW_UPDATE of zero on the connection.
            let _ = stream.write_all(b"\0\0\x04\x08\0\0\0\0\0\0\0\0\0");
        }
        let started = Instant::now();
        while running.shutdown.connections() > 0 && started.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(running.shutdown.connections(), 0, "{adapter:?}");
    });
}

/// A peer that does not read costs little CPU, whoever waits for it.
#[test]
fn peers_that_do_not_read_cost_no_cpu() {
    let _alone = alone();
    for adapter in ALL {
        let running = adapter.serve(Config::default(), router());
        let streams: Vec<_> = (0..20).map(|_| deaf(&running, false)).collect();
        thread::sleep(Duration::from_secs(1));
        let used = cpu_of(|| thread::sleep(Duration::from_secs(1)));
        assert!(used < Duration::from_millis(300), "{adapter:?}: {used:?} of a second");
        is_well(&running);
        drop(streams);
    }
}

#[test]
fn resets_on_the_wire_leave_nothing() {
    attack("many resets", Config::default, |running| {
        let mut stream = raw(running.address, PREFACE);
        for id in (1..200u8).step_by(2) {
            let reset = [0, 0, 4, 3, 0, 0, 0, 0, id, 0, 0, 0, 8];
            let _ = stream.write_all(&[&request(id, "/t.T/Never")[..], &reset].concat());
        }
        let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
        let _ = stream.read(&mut [0; 1000]);
    });
}

#[test]
fn pipelined_requests_are_answered_one_by_one() {
    attack("pipelining", Config::default, |running| {
        let one = b"POST /t.T/Echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/proto\r\ncontent-length: 3\r\n\r\nabc";
        let stream = raw(running.address, b"");
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            for _ in 0..500 {
                writer.write_all(one).unwrap();
            }
        });
        let mut text = Vec::new();
        let mut block = [0; 4096];
        let mut reader = &stream;
        while text.windows(7).filter(|window| window == b"\r\n\r\nabc").count() < 500 {
            let count = reader.read(&mut block).unwrap();
            assert!(count > 0);
            text.extend_from_slice(&block[..count]);
        }
        writing.join().unwrap();
    });
}

/// The end of a server while clients sit there with nothing to do.
#[test]
fn a_drain_ends_idle_connections() {
    on_each(|adapter| {
        let mut running = adapter.serve(hasty(), router());
        let clients: Vec<_> = [HttpVersion::Http11, HttpVersion::Http2]
            .map(|version| {
                let client = antiphon_blocking::connect(running.address, version).unwrap();
                client.unary(ECHO, Bytes::new(), CallOptions::new()).unwrap();
                client
            })
            .into();
        let raw = [raw(running.address, b""), raw(running.address, PREFACE)];
        thread::sleep(Duration::from_millis(50));
        running.shutdown.drain();
        assert!(running.ends_within(Duration::from_secs(10)), "{adapter:?}");
        drop((clients, raw));
    });
}

/// Connections by the hundred, each with a byte or none: all of them are gone in time.
#[test]
fn a_flood_of_connections_passes() {
    attack("a flood of connections", hasty, |running| {
        let streams: Vec<_> =
            (0..200).map(|at| raw(running.address, if at % 2 == 0 { b"P" } else { b"" })).collect();
        for stream in &streams {
            assert!(is_closed_within(stream, Duration::from_secs(8)));
        }
    });
}

/// More connections than places: the others wait until there is one, and the server still ends.
#[test]
fn connections_above_the_maximum_wait() {
    on_each(|adapter| {
        let mut running = adapter.serve_at_most(2, Config::default(), router());
        let first = raw(running.address, PREFACE);
        let second = raw(running.address, PREFACE);
        for stream in [&first, &second] {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut block = [0; 9];
            (&mut &*stream).read_exact(&mut block).unwrap();
        }
        let mut third = raw(running.address, PREFACE);
        third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(third.read(&mut [0; 9]).is_err(), "{adapter:?}: it is not served");
        assert_eq!(running.shutdown.connections(), 2, "{adapter:?}");
        drop(first);
        third.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(third.read(&mut [0; 9]).unwrap() > 0, "{adapter:?}: now it is");
        drop((second, third));
        let waiting: Vec<_> = (0..4).map(|_| raw(running.address, PREFACE)).collect();
        thread::sleep(Duration::from_millis(50));
        running.shutdown.drain();
        drop(waiting);
        assert!(running.ends_within(Duration::from_secs(10)), "{adapter:?}");
    });
}

/// A drain tells all connections at once: one whose peer does not read holds up nobody.
#[test]
fn a_drain_does_not_wait_for_one_peer_after_the_other() {
    let _alone = alone();
    let running = ALL[0].serve(Config::default(), router());
    let streams: Vec<_> = (0..60).map(|_| deaf(&running, false)).collect();
    thread::sleep(Duration::from_millis(1500));
    let started = Instant::now();
    running.shutdown.drain();
    assert!(started.elapsed() < Duration::from_millis(800), "{:?}", started.elapsed());
    drop(streams);
}
