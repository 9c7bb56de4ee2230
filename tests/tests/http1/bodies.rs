//! Bodies of requests: where they end is the question that smuggling asks.

use antiphon::http1::Server;
use antiphon::{ConnectionError, HttpConnection, InputEnd, Limits, Machine, ReceiveEnd};

use crate::kit::{Run, accepts, chunked, post, refuses, server};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

// B1 (RUSTSEC-2021-0020, RUSTSEC-2026-0034), rows 81, 83, 84 and 85, RFC 9112 §6.1, §6.3.
#[test]
fn transfer_encoding_and_content_length_never_meet() {
    let both = [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "transfer-encoding: CHUNKED\r\ncontent-length: 0\r\n",
        "Content-Length: 6\r\nTransfer-Encoding: identity\r\n",
        "Content-Length: 6\r\nTransfer-Encoding:\r\n",
        "Content-Length: 6\r\nTransfer-Encoding: x\r\n",
    ];
    for fields in both {
        refuses(post(fields, "0\r\n\r\nX"), 400);
    }
    let twice = [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked, gzip, chunked\r\n",
    ];
    for fields in twice {
        refuses(post(fields, "0\r\n\r\n"), 400);
    }
    accepts(post(CHUNKED, "0\r\n\r\n"));
    accepts(post("Content-Length: 6\r\n", "0\r\n\r\nX"));
}

// B2 (RUSTSEC-2021-0081, CVE-2026-42585): only exactly `chunked`.
#[test]
fn only_chunked_alone_is_understood() {
    for coding in [
        "identity",
        "chunked, identity",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "\"chunked\"",
        "xchunked",
        "chunked x",
        "chun ked",
        "",
        "chunked chunked",
        "x y, chunked",
    ] {
        refuses(post(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"), 400);
    }
    refuses(post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400);
    refuses(post("Transfer-Encoding: chunked\x0c\r\n", "0\r\n\r\n"), 400);
    refuses(post("Transfer-Encoding: \u{a0}chunked\r\n", "0\r\n\r\n"), 400);
    for coding in ["gzip, chunked", "identity, chunked", "x,chunked", "deflate , \tchunked"] {
        refuses(post(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"), 501);
    }
    for coding in ["chunked", "Chunked", "CHUNKED", " \tchunked \t"] {
        accepts(post(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"));
    }
    // RFC 9112 §6.1: a message of HTTP/1.0 with transfer-encoding is faulty.
    refuses("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
}

// B3 (RUSTSEC-2021-0078), row 86, RFC 9112 §6.3: digits, once.
#[test]
fn content_length_is_digits_once() {
    for length in [
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "0x5",
        "5 ",
        "5a",
        "",
        " ",
        "5.0",
        "5e0",
        "٥",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        // Trailing white space is no part of the value.
        if length == "5 " {
            accepts(post("Content-Length: 5 \r\n", "hello"));
            continue;
        }
        refuses(post(&format!("Content-Length: {length}\r\n"), "hello"), 400);
    }
    refuses(post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400);
    refuses(post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400);
    let mut run = accepts(post("Content-Length: 0005\r\n", "hello"));
    let key = run.key();
    assert_eq!(run.body(key), b"hello");
    assert_eq!(run.machine.head(key).unwrap().fields.get("content-length"), Some(&b"0005"[..]));
    let mut run = server();
    run.feed(post("Content-Length: 9223372036854775807\r\n", "hello"));
    assert_eq!((run.error, run.receive_end(run.key())), (None, None));
}

// Row 89, RFC 9112 §6.3: neither of both is no body, whatever the method.
#[test]
fn a_request_that_says_nothing_has_no_body() {
    for method in ["POST", "GET", "PUT", "DELETE"] {
        let mut run = accepts(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let key = run.key();
        assert_eq!(run.body(key), b"");
    }
}

fn body_of(bytes: impl AsRef<[u8]>) -> Result<Vec<u8>, ConnectionError> {
    let mut run = server();
    run.feed(chunked(bytes));
    let key = run.key();
    match run.error {
        Some(error) => {
            assert!(matches!(run.receive_end(key), Some(ReceiveEnd::Malformed(_) | ReceiveEnd::TooLarge)));
            assert!(run.sent().starts_with("HTTP/1.1 4"));
            Err(error)
        }
        None => {
            assert_eq!(run.receive_end(key), Some(ReceiveEnd::Clean));
            Ok(run.body(key))
        }
    }
}

#[track_caller]
fn bad(bytes: impl AsRef<[u8]>) {
    let text = bytes.as_ref().escape_ascii().to_string();
    let outcome = body_of(bytes);
    assert!(matches!(outcome, Err(ConnectionError::Http1 { status: 400, .. })), "{outcome:?} {text}");
}

// Row 81, RFC 9112 §7.1.
#[test]
fn chunks_are_joined() {
    assert_eq!(body_of("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n").unwrap(), b"hello!");
    assert_eq!(body_of("0\r\n\r\n").unwrap(), b"");
    assert_eq!(body_of("000\r\n\r\n").unwrap(), b"");
    assert_eq!(body_of(format!("00a\r\n{}\r\n0\r\n\r\n", "x".repeat(10))).unwrap().len(), 10);
    assert_eq!(body_of(format!("A\r\n{}\r\n0\r\n\r\n", "x".repeat(10))).unwrap().len(), 10);
    assert_eq!(body_of("5\r\n\r\n0\r\n\r\n0\r\n\r\n").unwrap(), b"\r\n0\r\n");
}

// B4 (RUSTSEC-2021-0079, RUSTSEC-2026-0181), row 90: no size is not zero, and none overflows.
#[test]
fn chunk_sizes_are_one_to_fifteen_digits() {
    for size in [
        "",
        ";",
        " ",
        "+5",
        "-5",
        "0x5",
        "5 ",
        " 5",
        "\t5",
        "5\t",
        "g",
        "5,",
        "5:",
        "\x005",
        "5\0",
        "ffffffffffffffff",
        "0000000000000005",
        "10000000000000000",
    ] {
        bad(format!("{size}\r\nhello\r\n0\r\n\r\n"));
    }
    let mut run = server();
    run.feed(chunked("fffffffffffffff\r\nhello"));
    assert_eq!(run.error, None);
    assert_eq!(body_of("000000000000005\r\nhello\r\n0\r\n\r\n").unwrap(), b"hello");
}

// B4: every line of two bytes, against the grammar and against httparse: what is accepted here is accepted there, with
// the same size.
#[test]
fn all_chunk_lines_of_two_bytes() {
    let mut accepted = 0;
    for first in 0..=255_u8 {
        for second in 0..=255_u8 {
            let mut run = server();
            run.feed(chunked([first, second, b'\r', b'\n']));
            let digit = |byte: u8| (byte as char).to_digit(16).map(u64::from);
            let size = match (digit(first), digit(second)) {
                (Some(high), Some(low)) => Some(high * 16 + low),
                (Some(size), None) if second == b';' => Some(size),
                _ => None,
            };
            assert_eq!(run.error.is_none(), size.is_some(), "{first:#x} {second:#x}");
            let Some(size) = size else { continue };
            accepted += 1;
            let line = [first, second, b'\r', b'\n'];
            assert_eq!(httparse::parse_chunk_size(&line), Ok(httparse::Status::Complete((4, size))));
            // And it is the size that is kept.
            if size > 0 {
                run.feed(vec![b'x'; size as usize]).feed("\r\n0\r\n\r\n");
            } else {
                run.feed("\r\n");
            }
            let key = run.key();
            assert_eq!(run.receive_end(key), Some(ReceiveEnd::Clean));
            assert_eq!(run.body(key).len() as u64, size);
        }
    }
    assert_eq!(accepted, 22 * 22 + 22);
}

// B5 (CVE-2025-22871, CVE-2025-55315, CVE-2026-33870), row 90: extensions are ignored, and end where the line ends.
#[test]
fn chunk_extensions_hold_no_line_end() {
    assert_eq!(body_of("5;a\r\nhello\r\n0;b=c;d=\"e f;\\\"\"\r\n\r\n").unwrap(), b"hello");
    assert_eq!(body_of("5; a = b\r\nhello\r\n0\r\n\r\n").unwrap(), b"hello");
    bad("5;a\nb\r\nhello\r\n0\r\n\r\n");
    bad("5;a\rb\r\nhello\r\n0\r\n\r\n");
    bad("5;\n\r\nhello\r\n0\r\n\r\n");
    bad("5\nhello\r\n0\r\n\r\n");
    bad("5\rhello\r\n0\r\n\r\n");
    bad("5\r\r\nhello\r\n0\r\n\r\n");
    bad("5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n");
    bad("5;a=\"b\r\nhello\r\n0\r\n\r\n");
    bad("5;a=\"\\\r\nhello\r\n0\r\n\r\n");
    bad("5;\0\r\nhello\r\n0\r\n\r\n");
    bad("5;\x7f\r\nhello\r\n0\r\n\r\n");
    bad("0;\n\r\n\r\n");
    bad("0\n\r\n");
}

// B5, CVE-2023-39326: at most 256 bytes a chunk and 4 KiB a body.
#[test]
fn chunk_extensions_are_bounded() {
    let one = |length: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(length));
    assert_eq!(body_of(one(256)).unwrap(), b"hello");
    bad(one(257));
    let many = |count: usize| format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "y".repeat(128)).repeat(count));
    assert_eq!(body_of(many(32)).unwrap().len(), 32);
    bad(many(33));
    // Not even read to its end.
    let mut run = server();
    run.feed(chunked("5;"));
    let mut fed = 0;
    while run.error.is_none() {
        run.feed("x");
        fed += 1;
    }
    assert_eq!(fed, 257);
}

// Row 90: a chunk is exactly as long as it says.
#[test]
fn chunks_end_with_crlf() {
    bad("5\r\nhello0\r\n\r\n");
    bad("5\r\nhello\n0\r\n\r\n");
    bad("5\r\nhello\r0\r\n\r\n");
    bad("4\r\nhello\r\n0\r\n\r\n");
    bad("5\r\nhell\r\n0\r\n\r\n");
}

// Row 91, B10, RFC 9112 §7.1.2, RFC 9110 §6.5.1.
#[test]
fn trailers_are_apart_and_frame_nothing() {
    let mut run = server();
    run.feed(chunked("1\r\nx\r\n0\r\nX-Sum: 1\r\nx-sum:2 \r\n\r\n"));
    let key = run.key();
    let trailers = run.machine.trailers(key).unwrap();
    assert_eq!(trailers.get_all("x-sum").collect::<Vec<_>>(), [b"1", b"2"]);
    assert!(!run.machine.head(key).unwrap().fields.contains("x-sum"));
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "Upgrade",
        "TE",
        "Trailer",
        "Keep-Alive",
        "Expect",
    ] {
        bad(format!("0\r\n{name}: x\r\n\r\n"));
    }
    bad("0\r\nx: y\n\r\n");
    bad("0\r\nx: y\r\n\n");
    bad("0\r\n x: y\r\n\r\n");
    bad("0\r\nx: y\r\n z\r\n\r\n");
    bad("0\r\nx : y\r\n\r\n");
    bad("0\r\nx\r\n\r\n");
    bad("0\r\nx: \0\r\n\r\n");
    bad("0\r\n\rx\r\n\r\n");
}

// B10: a trailer section has the bounds of a head.
#[test]
fn trailers_are_bounded() {
    let many = |count: usize| format!("0\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert!(body_of(many(128)).is_ok());
    for body in [
        many(129),
        format!("0\r\nx: {}\r\n\r\n", "y".repeat(16 << 10)),
        format!("0\r\n{}", "y".repeat(17 << 10)),
    ] {
        let error = body_of(body).unwrap_err();
        assert!(matches!(error, ConnectionError::Http1 { status: 431, .. }), "{error:?}");
    }
}

// Row 87, RFC 9112 §8: cut is never complete.
#[test]
fn a_cut_body_is_lost() {
    let whole =
        [post("Content-Length: 5\r\n", "hello").into_bytes(), chunked("5\r\nhello\r\n0\r\nx: y\r\n\r\n")];
    for request in whole {
        let head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        for cut in 1..request.len() {
            for end in [InputEnd::Eof, InputEnd::Truncated, InputEnd::Failed] {
                let mut run = server();
                run.feed(&request[..cut]).end(end);
                assert_eq!(run.error, Some(ConnectionError::Lost), "{cut}");
                if cut >= head {
                    assert_eq!(run.receive_end(run.key()), Some(ReceiveEnd::Lost), "{cut}");
                } else {
                    assert!(!run.has_key());
                }
            }
        }
    }
}

// What came before an error can still be read.
#[test]
fn bytes_before_an_error_are_kept() {
    let mut run = server();
    run.feed(chunked("5\r\nhello\r\nxx\r\n"));
    let key = run.key();
    assert_eq!(run.status(), 400);
    assert_eq!(run.body(key), b"hello");
    assert!(run.sent().starts_with("HTTP/1.1 400 "));
}

// Credit, the exact rule: reading stops at the window, and goes on for a message that is asked for.
#[test]
fn the_window_bounds_what_is_held() {
    let mut run = server();
    run.feed(chunked("30000\r\n"));
    run.feed(vec![b'x'; 0x30000]);
    let key = run.key();
    assert_eq!(run.body(key).len(), 64 << 10);
    assert!(!run.machine.wants_input());
    let leftover = run.input.len();
    assert_eq!(leftover, 0x20000);
    // Taken, and released: as much again.
    let taken = run.machine.body(key).unwrap().split_to(1000);
    assert_eq!(taken.len(), 1000);
    run.feed("");
    assert_eq!(run.input.len(), leftover);
    run.machine.release(run.now, key, 1000).unwrap();
    assert!(run.machine.wants_input());
    run.feed("");
    assert_eq!(run.input.len(), leftover - 1000);
    // A message larger than the window.
    run.machine.demand(run.now, key, 100_000).unwrap();
    run.feed("");
    assert_eq!(run.body(key).len(), 100_000);
    assert!(!run.machine.wants_input());
    assert!(run.machine.release(run.now, key, 100_001).is_err());
    run.machine.stop_reading(run.now, key);
    run.feed("\r\n0\r\n\r\n");
    assert_eq!((run.input.len(), run.receive_end(key)), (0, Some(ReceiveEnd::Local)));
}

// Framing after a window that is exactly full is still read: the end is not held back.
#[test]
fn the_end_is_seen_behind_a_full_window() {
    let mut run = server();
    run.feed(chunked("10000\r\n")).feed(vec![b'x'; 0x10000]).feed("\r\n0\r\n\r\n");
    assert_eq!(run.receive_end(run.key()), Some(ReceiveEnd::Clean));
    assert_eq!(run.body(run.key()).len(), 64 << 10);
}

// A17 of the stall rule, B12: a message that holds a reservation must come.
#[test]
fn a_message_under_assembly_must_make_progress() {
    let limits = Limits::default();
    let patience =
        limits.stall + std::time::Duration::from_millis(200_000 * 1000 / u64::from(limits.min_rate));
    let mut run = Run::new(Server::new(limits));
    run.feed(post("Content-Length: 1000000\r\n", "x"));
    let key = run.key();
    run.machine.demand(run.now, key, 200_000).unwrap();
    assert_eq!(run.machine.poll_timeout(), Some(run.now + patience));
    run.pass(patience / 2);
    assert_eq!(run.receive_end(key), None);
    run.pass(patience / 2 + std::time::Duration::from_millis(1));
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Stalled));
    // It can still be answered, and then the connection ends.
    assert!(run.answer("").sent().contains("connection: close"));
    assert_eq!(run.machine.closing(), antiphon::Closing::ShutWrite);
}
