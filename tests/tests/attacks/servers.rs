//! Hostile servers, and clients of each adapter: no answer that arrived is lost, no call waits for what cannot come,
//! and nothing is left of a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use antiphon::{Code, EndedBy};
use antiphon_service::{Bytes, CallOptions, HttpVersion, Protocol};

use crate::kit::{ALL, Adapter, Process, alone, client, cpu_of};

const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, (payload.len() >> 8) as u8, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
}

fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// Status 200 and the content-type of gRPC; then one message; then the status.
fn answer(stream: u8) -> Vec<u8> {
    [head(stream), message(stream), trailers(stream, "0")].concat()
}

fn head(stream: u8) -> Vec<u8> {
    frame(1, 4, stream, &[vec![0x88], literal("content-type", "application/grpc+proto")].concat())
}

fn message(stream: u8) -> Vec<u8> {
    frame(0, 0, stream, b"\0\0\0\0\x02hi")
}

fn trailers(stream: u8, status: &str) -> Vec<u8> {
    frame(1, 5, stream, &literal("grpc-status", status))
}

/// A server that does this with each connection it gets.
fn serve(mut with: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            with(stream);
        }
    });
    address
}

/// Reads until so much has come.
fn read_past(stream: &mut TcpStream, what: &[u8]) {
    let (mut seen, mut block) = (Vec::new(), [0; 4096]);
    while !seen.windows(what.len()).any(|window| window == what) {
        match stream.read(&mut block) {
            Ok(count) if count > 0 => seen.extend_from_slice(&block[..count]),
            _ => return,
        }
    }
}

fn grpc() -> CallOptions {
    CallOptions::new().protocol(Protocol::Grpc).timeout(Duration::from_secs(8))
}

/// The answer and the end of the connection come together, a hundred times.
#[test]
fn an_answer_that_comes_with_the_end_of_its_connection_counts() {
    let _alone = alone();
    let grpc_server = serve(|mut stream| {
        let _ = stream.write_all(SETTINGS);
        read_past(&mut stream, b"payload");
        let _ = stream.write_all(&answer(1));
    });
    let connect_server = serve(|mut stream| {
        read_past(&mut stream, b"payload");
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\ncontent-length: 2\r\n\r\nhi");
    });
    for adapter in ALL {
        for _ in 0..100 {
            let client_of = |address, version| client(adapter, address, version);
            let payload = Bytes::from_static(b"payload");
            let got = client_of(grpc_server, HttpVersion::Http2).unary("/t.T/A", payload.clone(), grpc());
            assert_eq!(&got.unwrap()[..], b"hi", "{adapter:?}");
            let got = client_of(connect_server, HttpVersion::Http11).unary(
                "/t.T/A",
                payload,
                Duration::from_secs(8).into(),
            );
            assert_eq!(&got.unwrap()[..], b"hi", "{adapter:?}");
        }
    }
}

/// What came before a bad end is received, and then the bad end: never a clean one.
#[test]
fn a_message_before_a_bad_end_is_received_and_the_end_is_bad() {
    let _alone = alone();
    /// What is seen of it, the frames that end a stream, and the code that they come to.
    type End = (&'static str, fn(u8) -> Vec<u8>, Code);
    let ends: [End; 5] = [
        ("reset", |id| frame(3, 0, id, &[0, 0, 0, 8]), Code::Canceled),
        ("status", |id| trailers(id, "9"), Code::FailedPrecondition),
        ("end without status", |id| frame(0, 1, id, b""), Code::Internal),
        (
            "half a message",
            |id| [frame(0, 0, id, b"\0\0\0\0\x09ab"), trailers(id, "0")].concat(),
            Code::Internal,
        ),
        ("lost", |_| Vec::new(), Code::Unavailable),
    ];
    for (what, end, code) in ends {
        let address = serve(move |mut stream| {
            let _ = stream.write_all(SETTINGS);
            read_past(&mut stream, b"payload");
            let _ = stream.write_all(&[head(1), message(1), end(1)].concat());
            if what != "lost" {
                thread::sleep(Duration::from_millis(200));
            }
        });
        for adapter in ALL {
            let client = client(adapter, address, HttpVersion::Http2);
            let mut call = client.server_stream("/t.T/A", Bytes::from_static(b"payload"), grpc()).unwrap();
            assert_eq!(call.recv().unwrap().as_deref(), Some(&b"hi"[..]), "{adapter:?} {what}");
            for _ in 0..2 {
                let status = call.recv().unwrap_err();
                assert_eq!(status.code(), code, "{adapter:?} {what}: {status:?}");
            }
        }
    }
}

/// A server that goes before it has begun: what it certainly did not begin is tried again elsewhere, and said to be so.
#[test]
fn calls_above_the_last_id_of_a_goaway_are_unprocessed() {
    let _alone = alone();
    let address = serve(|mut stream| {
        let _ = stream.write_all(SETTINGS);
        read_past(&mut stream, b"payload");
        let _ = stream.write_all(&frame(7, 0, 0, &[0; 8]));
        thread::sleep(Duration::from_millis(100));
    });
    for adapter in ALL {
        let client = client(adapter, address, HttpVersion::Http2);
        let status = client.unary("/t.T/A", Bytes::from_static(b"payload"), grpc()).unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{adapter:?}");
        assert!(status.unprocessed(), "{adapter:?}: {status:?}");
        assert_eq!(status.ended(), EndedBy::LostConnection);
    }
}

/// Whatever a server does or does not do, nothing is left of a client that is dropped.
#[test]
fn nothing_is_left_of_clients_whose_server_never_closes() {
    let _alone = alone();
    let keep = |bytes: &'static [u8]| {
        let mut kept = Vec::new();
        serve(move |mut stream| {
            let _ = stream.write_all(bytes);
            kept.push(stream);
        })
    };
    let servers: [(&str, SocketAddr); 4] = [
        ("silent", keep(b"")),
        ("settings", keep(SETTINGS)),
        ("garbage", keep(b"SSH-2.0-OpenSSH_9.6\r\n")),
        ("half a head", keep(b"HTTP/1.1 200 OK\r\ncontent-")),
    ];
    for adapter in ALL {
        for version in [HttpVersion::Http11, HttpVersion::Http2] {
            for (what, address) in servers {
                let attempt = || {
                    let client = client(adapter, address, version);
                    let call = client.unary("/t.T/A", Bytes::new(), Duration::from_millis(100).into());
                    assert!(call.is_err());
                };
                attempt();
                thread::sleep(Duration::from_millis(50));
                let before = Process::now();
                for _ in 0..5 {
                    attempt();
                }
                // The server keeps its five ends, and perhaps the first client is not gone yet.
                let allowed = Process { descriptors: before.descriptors + 5, ..before };
                allowed.comes_back(&format!("{adapter:?} {version:?} {what}"));
                let idle = cpu_of(|| thread::sleep(Duration::from_millis(100)));
                assert!(idle < Duration::from_millis(60), "{adapter:?} {version:?} {what}: {idle:?}");
            }
        }
    }
}

/// Refused again and again: the client tries a few times, and tells.
#[test]
fn a_server_that_refuses_every_stream_is_believed() {
    let _alone = alone();
    let address = serve(|mut stream| {
        let _ = stream.write_all(SETTINGS);
        let mut block = [0; 65536];
        let mut next = 1u8;
        while let Ok(count) = stream.read(&mut block) {
            if count == 0 {
                return;
            }
            for _ in block[..count].windows(7).filter(|window| window == b"payload") {
                let _ = stream.write_all(&frame(3, 0, next, &[0, 0, 0, 7]));
                next += 2;
            }
        }
    });
    for adapter in [Adapter::Smol, Adapter::Tokio, Adapter::Blocking] {
        let client = client(adapter, address, HttpVersion::Http2);
        let status = client.unary("/t.T/A", Bytes::from_static(b"payload"), grpc()).unwrap_err();
        assert_eq!(
            (status.code(), status.unprocessed()),
            (Code::Unavailable, true),
            "{adapter:?}: {status:?}"
        );
    }
}
