//! Request heads: every rule with what breaks it and what honest peers send.

use antiphon::{ConnectionError, HttpConnection, Limits, Machine};

use crate::kit::{Run, accepts, post, refuses, server};

// RFC 9112 §2.2, rows 70 and 71, B6 (RUSTSEC-2021-0078 and its like): CR and LF only in pairs.
#[test]
fn lines_end_with_crlf_alone() {
    refuses("GET / HTTP/1.1\nHost: a\n\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\n\r\n", 400);
    refuses("GET / HTTP/1.1\nHost: a\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\r\n\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400);
    refuses("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    accepts("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

// RFC 9112 §2.2, §5.2, rows 72 and 79, B6: no white space before the first field, no folding.
#[test]
fn no_line_begins_with_white_space() {
    refuses("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", 400);
}

// RFC 9112 §2.2, row 73, B7: one blank line is forgiven, a flood is not read.
#[test]
fn one_blank_line_may_come_first() {
    accepts("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    refuses("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refuses("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refuses("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refuses(" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    let mut run = server();
    for (index, byte) in "\r\n".repeat(1 << 19).bytes().enumerate() {
        run.feed([byte]);
        if run.error.is_some() {
            assert_eq!(index, 2);
            return;
        }
    }
    panic!("read a megabyte of blank lines");
}

// RFC 9112 §2.3, row 74, B11.
#[test]
fn only_versions_1_0_and_1_1() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"] {
        refuses(format!("GET / {version}\r\nHost: a\r\n\r\n"), 505);
    }
    for version in
        ["http/1.1", "HTTP/1.10", "HTTP/1", "HTTP/1.", "HTTP/01.1", "HTTP/1,1", "HTTPS/1.1", "1.1", ""]
    {
        refuses(format!("GET / {version}\r\nHost: a\r\n\r\n"), 400);
    }
    refuses("GET /\r\nHost: a\r\n\r\n", 400);
    accepts("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    accepts("GET / HTTP/1.0\r\n\r\n");
}

// B11, RUSTSEC-2026-0033: the HTTP/2 preface is no request, and what only looks like it is an ordinary one.
#[test]
fn the_preface_of_http2_is_refused() {
    refuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    refuses("PRI * HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    let run = accepts("PRI / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(run.machine.head(run.key()).unwrap().method(), "PRI");
}

// B11: nothing is ever upgraded; the request is served as it is.
#[test]
fn upgrade_is_ignored_and_not_shown() {
    let run = accepts(post(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nTE: trailers\r\n",
        "",
    ));
    let names: Vec<_> = run.machine.head(run.key()).unwrap().fields.iter().map(|field| field.name).collect();
    assert_eq!(names, ["te"]);
}

// RFC 9112 §3, row 75: a line too long is 414, a head too large 431, an odd method somebody else's decision.
#[test]
fn size_has_bounds_and_methods_do_not() {
    let run = accepts("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(run.machine.head(run.key()).unwrap().method(), "BREW");
    refuses("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501);
    let path = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length));
    // RFC 9112 §3: at least 8,000 bytes.
    accepts(path(8000));
    accepts(path((16 << 10) - 27));
    refuses(path((16 << 10) - 26), 431);
    refuses(path(16 << 10), 414);
    refuses(path(1 << 20), 414);
    // Without an end in sight, as soon as the limit is passed.
    refuses(vec![b'x'; (16 << 10) + 1], 414);
}

// B8: 128 fields and 16 KiB, whichever comes first (RFC 6585 §5).
#[test]
fn fields_are_bounded_in_number_and_size() {
    let many = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(count));
    accepts(many(127));
    refuses(many(128), 431);
    refuses(many(10_000), 431);
    let one = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "y".repeat(length));
    accepts(one((16 << 10) - 200));
    refuses(one(16 << 10), 431);
    let large = |header_list: usize| {
        let mut limits = Limits::default();
        (limits.header_list, limits.header_fields) = (header_list, 4096);
        limits
    };
    // 32 bytes are charged for each field as well as its own (RFC 9113 §6.5.2): many small ones are many bytes.
    let limits = large(1 << 10);
    let mut run = Run::new(antiphon::http1::Server::new(limits.clone()));
    run.feed(many(28));
    assert_eq!(run.error, None);
    let mut run = Run::new(antiphon::http1::Server::new(limits));
    run.feed(many(32));
    assert_eq!(run.status(), 431);
    // More fields than the stack has room for.
    let limits = large(1 << 20);
    let mut run = Run::new(antiphon::http1::Server::new(limits));
    run.feed(many(4095));
    assert_eq!(run.machine.head(run.key()).unwrap().fields.len(), 4095);
}

// RFC 9112 §3.2, row 76, A29: exactly one valid Host.
#[test]
fn host_is_there_once_and_valid() {
    refuses("GET / HTTP/1.1\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    refuses("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    for host in [
        "a b", "u@a", "a/b", "a?b", "a#b", "a,b", "a:port", "a:123456", "a:-1", ":80", "[::1", "::1", "[]",
        "[::1]x", "[a/b]", "a\\b", "é", "<a>", "a\"",
    ] {
        refuses(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400);
    }
    for host in [
        "a",
        "a.example",
        "a:80",
        "a:",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "a_b",
        "a%20b",
        "xn--e1afmkfd",
    ] {
        let run = accepts(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let head = run.machine.head(run.key()).unwrap();
        assert_eq!(head.authority(), Some(host));
        assert!(!head.fields.contains("host"));
    }
    // A target without authority has an empty Host.
    let run = accepts("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    assert_eq!(run.machine.head(run.key()).unwrap().authority(), None);
    accepts("GET / HTTP/1.0\r\n\r\n");
}

// RFC 9112 §3.2.1, §3.2.2, §3.2.4, row 77: absolute-form overrides Host.
#[test]
fn targets_are_origin_absolute_or_asterisk() {
    let target = |method: &str, target: &str| {
        let run = accepts(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = run.machine.head(run.key()).unwrap().clone();
        (head.scheme().to_owned(), head.authority().unwrap().to_owned(), head.path().to_owned())
    };
    let expect = |scheme: &str, authority: &str, path: &str| (scheme.into(), authority.into(), path.into());
    assert_eq!(target("GET", "/a//b/./%2f?c=d&e"), expect("", "a", "/a//b/./%2f?c=d&e"));
    assert_eq!(target("GET", "http://b:80/c?d"), expect("http", "b:80", "/c?d"));
    assert_eq!(target("GET", "HTTPS://b"), expect("https", "b", "/"));
    assert_eq!(target("GET", "http://b?x"), expect("http", "b", "/?x"));
    assert_eq!(target("OPTIONS", "*"), expect("", "a", "*"));
    for bad in [
        "*",
        "a",
        "a:80",
        "b/c",
        "http:/b",
        "http://",
        "http:///c",
        "http://u@b/",
        "ftp://b/",
        "/a#b",
        "?x",
        "//\x7f",
    ] {
        refuses(format!("GET {bad} HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    }
    refuses("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refuses("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400);
    refuses("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400);
    // Even with an overriding target, Host must be there and valid.
    refuses("GET http://b/ HTTP/1.1\r\n\r\n", 400);
    refuses("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
}

// RFC 9112 §5.1, row 78, B6 (CVE-2019-16276).
#[test]
fn no_white_space_before_the_colon() {
    refuses("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400);
    refuses(post("Content-Length : 5\r\n", "hello"), 400);
    refuses(post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400);
    refuses(post(": x\r\n", ""), 400);
    refuses(post("no colon\r\n", ""), 400);
}

// RFC 9112 §5.1, row 80: SP and HTAB around a value are not part of it, other white space is.
#[test]
fn values_are_trimmed_of_sp_and_htab() {
    let run = accepts(post("x-a: \t v w\t \r\nX-B:v\r\nx-c:\r\nx-d:  \r\nx-e: \u{a0}v\r\n", ""));
    let head = run.machine.head(run.key()).unwrap();
    let values: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
    let expected: [(&str, &[u8]); 5] =
        [("x-a", b"v w"), ("x-b", b"v"), ("x-c", b""), ("x-d", b""), ("x-e", b"\xc2\xa0v")];
    assert_eq!(values, expected);
}

// B6: every byte at five positions. What is accepted is what the grammar says and nothing more.
#[test]
fn every_byte_at_five_positions() {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let build = |before: &str, byte: u8, after: &str| {
        let mut all = before.as_bytes().to_vec();
        all.push(byte);
        all.extend_from_slice(after.as_bytes());
        all
    };
    let judge = |bytes: Vec<u8>, fits: bool| {
        let mut run = server();
        run.feed(&bytes);
        assert_eq!(run.error.is_none() && run.has_key(), fits, "{}", bytes.escape_ascii());
    };
    for byte in 0..=255 {
        let rest = " / HTTP/1.1\r\nHost: a\r\n\r\n";
        judge(build("G", byte, &format!("T{rest}")), token(byte));
        let graphic = byte.is_ascii_graphic() && byte != b'#';
        judge(build("GET /a", byte, "b HTTP/1.1\r\nHost: a\r\n\r\n"), graphic);
        judge(build("GET / HTTP/1.1\r\nHost: a\r\nx", byte, "y: z\r\n\r\n"), token(byte) || byte == b':');
        let value = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        judge(build("GET / HTTP/1.1\r\nHost: a\r\nx: y", byte, "z\r\n\r\n"), value);
        judge(build("GET / HTTP/1.", byte, "\r\nHost: a\r\n\r\n"), byte == b'0' || byte == b'1');
    }
}

// RFC 9112 §9.6, C17: secrets are not printed.
#[test]
fn credentials_are_marked_as_secret() {
    let run = accepts(post("Authorization: Bearer hunter2\r\nCookie: hunter2\r\n", ""));
    let head = run.machine.head(run.key()).unwrap();
    assert!(!format!("{head:?} {:?}", run.machine).contains("hunter2"));
    assert_eq!(head.fields.get("authorization"), Some(&b"Bearer hunter2"[..]));
}

// RFC 9110 §10.1.1.
#[test]
fn expectations() {
    refuses(post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", ""), 417);
    refuses(post("Expect: a-pony\r\n", ""), 417);
    // Without a body there is nothing to continue with.
    assert_eq!(accepts(post("Expect: 100-continue\r\n", "")).sent(), "");
    // HTTP/1.0 knows no such thing.
    let mut run = server();
    run.feed("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(run.sent(), "");
    let mut run = server();
    run.feed(post("Expect: 100-Continue\r\nContent-Length: 5\r\n", ""));
    assert!(run.machine.wants_output());
    assert_eq!(run.sent(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(run.sent(), "");
    run.feed("hello");
    assert_eq!(run.answer("").sent(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    // The body is there already: the client did not wait.
    let mut run = server();
    run.feed(post("Expect: 100-continue\r\nContent-Length: 5\r\n", "h"));
    assert_eq!(run.sent(), "");
    // Answered before: whether the body will come is unknown, so nothing may follow.
    let mut run = server();
    run.feed(post("Expect: 100-continue\r\nContent-Length: 5\r\n", ""));
    assert_eq!(run.answer("").sent(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    run.let_go();
    assert_eq!(run.machine.closing(), antiphon::Closing::ShutWrite);
}

// The text of an error holds nothing that a peer sent (C17).
#[test]
fn errors_carry_no_bytes_of_the_peer() {
    let mut run = server();
    run.feed("GET /hunter2 HTTP/1.1\r\nhunter2 : x\r\n\r\n");
    let error: ConnectionError = run.error.unwrap();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
