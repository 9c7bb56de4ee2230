//! Laws L1 and L2: it does not matter in which pieces the bytes come.

use antiphon::http1::{Client, Server};
use antiphon::{Head, HttpConnection, InputEnd, Instant, Limits, Machine, StreamEvent, StreamKey};

use crate::kit::{Run, chunked, describe, post};

/// Connections, each a whole one: good, bad and cut.
fn requests() -> Vec<Vec<u8>> {
    let get = "GET /a?b HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n";
    let mut all: Vec<Vec<u8>> = vec![
        get.into(),
        format!("\r\n{get}\r\n{get}{get}").into(),
        format!("{}{get}", post("Content-Length: 5\r\n", "hello")).into(),
        [chunked("5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx-a: b\r\nx-c: d\r\n\r\n"), get.into()].concat(),
        format!("{get}\r\n\r\n{get}").into(),
        format!("{}{get}", post("Connection: close\r\n", "")).into(),
        format!("GET / HTTP/1.0\r\n\r\n{get}").into(),
        post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello").into(),
        chunked("5\r\nhello\r\nx"),
        chunked("5\r\nhello\r\n0\r\nHost: x\r\n\r\n"),
        chunked("5\r\nhell"),
    ];
    for bad in [
        "GET /\n",
        "G(T / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n x: y\r\n\r\n",
        "GET / HTTP/7.0\r\n\r\n",
        "\r\r",
        "\n",
    ] {
        all.push(bad.into());
        all.push(format!("{get}{bad}").into());
    }
    all
}

fn responses() -> Vec<Vec<u8>> {
    let ok = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello";
    [
        ok.to_owned(),
        format!("{ok}x"),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\n{ok}"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\n\r\nhello".into(),
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello".into(),
        "HTTP/1.0 404 x\r\nContent-Length: 3\r\n\r\nhello".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nq\r\n".into(),
        "HTTP/1.1 200 OK\r\nX: y\n\r\n".into(),
        "HTTP/1.1 101 x\r\n\r\n".into(),
        "HTPP".into(),
    ]
    .map(String::into_bytes)
    .into()
}

const END: InputEnd = InputEnd::Eof;

/// Everything that can be seen of a machine that was only fed.
fn observe<M: HttpConnection>(run: &mut Run<M>, key: Option<StreamKey>) -> String {
    let seen = key.map(|key| describe(&mut run.machine, key));
    let (wants, closing) = (run.machine.wants_input(), run.machine.closing());
    let timeout = run.machine.poll_timeout();
    let left = run.input.escape_ascii().to_string();
    let sent = String::from_utf8(run.sent_bytes()).unwrap();
    format!("{seen:?} {:?} {wants} {closing:?} {timeout:?} {left} {sent}", run.error)
}

fn lazy_server(pieces: &[&[u8]]) -> String {
    let mut run = Run::new(Server::new(Limits::default()));
    for piece in pieces {
        feed_quietly(&mut run, piece);
    }
    run.notices();
    let key = run.has_key().then(|| run.key());
    observe(&mut run, key)
}

fn lazy_client(pieces: &[&[u8]], body: bool) -> String {
    let mut run = Run::new(Client::new(Limits::default()));
    let key = run.machine.open(run.now, &Head::request("POST", "", "a", "/"), !body).unwrap();
    run.sent();
    for piece in pieces {
        feed_quietly(&mut run, piece);
    }
    run.notices();
    observe(&mut run, Some(key))
}

/// Without drawing events, and twice: what is left is left (L5).
fn feed_quietly<M: Machine<Event = StreamEvent>>(run: &mut Run<M>, piece: &[u8]) {
    run.input.extend_from_slice(piece);
    let first = run.machine.handle_input(run.now, &mut run.input);
    let left = run.input.clone();
    let again = run.machine.handle_input(run.now, &mut run.input);
    assert_eq!((first, left), (again, run.input.clone()));
    run.error = run.error.or(first.err());
}

// L1: feeding a ++ b equals feeding a, then b, in everything observable. Every cut, and byte by byte.
#[test]
fn feeding_is_a_homomorphism() {
    let every_cut = |bytes: &[u8], run: &dyn Fn(&[&[u8]]) -> String| {
        let whole = run(&[bytes]);
        for cut in 0..=bytes.len() {
            assert_eq!(run(&[&bytes[..cut], &bytes[cut..]]), whole, "{cut} {}", bytes.escape_ascii());
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(run(&single), whole, "{}", bytes.escape_ascii());
    };
    for request in requests() {
        every_cut(&request, &lazy_server);
    }
    for response in responses() {
        every_cut(&response, &|pieces| lazy_client(pieces, false));
        every_cut(&response, &|pieces| lazy_client(pieces, true));
    }
}

/// A server whose application answers each request when it is complete, with what it got.
fn eager_server(pieces: &[&[u8]]) -> (Vec<String>, String) {
    let mut run = Run::new(Server::new(Limits::default()));
    let (mut seen, mut sent) = (Vec::new(), String::new());
    for piece in pieces {
        run.feed(piece);
        loop {
            sent += &run.sent();
            if !run.has_key() || !run.machine.knows(run.key()) || run.receive_end(run.key()).is_none() {
                break;
            }
            let key = run.key();
            seen.push(describe(&mut run.machine, key));
            if run.machine.respond(Instant::EPOCH, key, &Head::response(200), false).is_ok() {
                run.machine.push(key, seen.last().unwrap().as_bytes());
                run.machine.finish(key);
            }
            sent += &run.sent();
            run.let_go().feed("");
        }
    }
    run.end(END);
    sent += &run.sent();
    seen.push(format!("{:?} {:?}", run.error, run.machine.closing()));
    (seen, sent.replace("HTTP/1.1 100 Continue\r\n\r\n", ""))
}

// L2: an eager driver, which reads and answers between the pieces, sees the same.
#[test]
fn an_eager_driver_sees_the_same() {
    for request in requests() {
        let whole = eager_server(&[&request]);
        for cut in 0..=request.len() {
            assert_eq!(
                eager_server(&[&request[..cut], &request[cut..]]),
                whole,
                "{cut} {}",
                request.escape_ascii()
            );
        }
        let single: Vec<&[u8]> = request.chunks(1).collect();
        assert_eq!(eager_server(&single), whole);
    }
}

// B8: byte by byte costs no more than linear work. A head of 16 KiB that was parsed anew with each byte would take
// 136 MB of scanning; the search alone is what is left (measured by the inside test of the search, here by time).
#[test]
fn a_large_head_byte_by_byte() {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(120)
    );
    let start = std::time::Instant::now();
    for _ in 0..20 {
        let mut run = Run::new(Server::new(Limits::default()));
        for byte in head.bytes() {
            run.feed([byte]);
        }
        assert!(run.has_key());
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}
