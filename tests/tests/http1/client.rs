//! The client's end.

use std::time::Duration;

use antiphon::{
    Closing, ConnectionError, Head, HttpConnection, InputEnd, Machine, Misuse, ReceiveEnd, SendError,
    StartError, StreamEvent,
};

use crate::kit::client;

/// Asks with this method and gets these bytes: the end, the body and the error.
fn get(
    method: &str,
    response: impl AsRef<[u8]>,
) -> (Option<ReceiveEnd>, Vec<u8>, Option<ConnectionError>, Closing) {
    let mut run = client();
    let key = run.ask(method);
    run.feed(response);
    (run.receive_end(key), run.body(key), run.error, run.machine.closing())
}

#[track_caller]
fn refused(response: impl AsRef<[u8]>) {
    let text = response.as_ref().escape_ascii().to_string();
    let (end, _, error, closing) = get("GET", response);
    assert!(matches!(error, Some(ConnectionError::Http1 { .. })), "{error:?} {text}");
    assert!(matches!(end, Some(ReceiveEnd::Malformed(_) | ReceiveEnd::TooLarge)), "{end:?} {text}");
    assert_eq!(closing, Closing::Closed);
}

#[track_caller]
fn clean(method: &str, response: &str, body: &str, reused: bool) {
    let (end, got, error, closing) = get(method, response);
    assert_eq!((end, error), (Some(ReceiveEnd::Clean), None), "{response}");
    assert_eq!(got, body.as_bytes());
    assert_eq!(closing, if reused { Closing::Open } else { Closing::Closed }, "{response}");
}

// Rows 76, 77, 82 and 85, RFC 9112 §3.2: Host first, chunked unless the length is known, never both.
#[test]
fn requests_are_written_in_the_one_way() {
    let mut run = client();
    let mut head = Head::request("POST", "http", "example.com:80", "/s/M?a=b");
    head.fields.push("content-type", b"application/proto");
    let key = run.machine.open(run.now, &head, false).unwrap();
    let start = "POST /s/M?a=b HTTP/1.1\r\nhost: example.com:80\r\ncontent-type: application/proto\r\n";
    assert_eq!(run.sent(), format!("{start}transfer-encoding: chunked\r\n\r\n"));
    run.machine.push(key, b"hello");
    assert_eq!(run.sent(), "5\r\nhello\r\n");
    run.machine.finish(key);
    assert_eq!(run.sent(), "0\r\n\r\n");

    let mut run = client();
    let key = run.machine.open(run.now, &head, false).unwrap();
    run.machine.push(key, b"hello");
    run.machine.finish(key);
    assert_eq!(run.sent(), format!("{start}content-length: 5\r\n\r\nhello"));

    let ask = |method: &str, end: bool| {
        let mut run = client();
        run.machine.open(run.now, &Head::request(method, "", "", "/"), end).unwrap();
        run.sent()
    };
    assert_eq!(ask("GET", true), "GET / HTTP/1.1\r\nhost: \r\n\r\n");
    // RFC 9110 §8.6.
    assert_eq!(ask("POST", true), "POST / HTTP/1.1\r\nhost: \r\ncontent-length: 0\r\n\r\n");
    assert_eq!(ask("GET", false), "GET / HTTP/1.1\r\nhost: \r\ntransfer-encoding: chunked\r\n\r\n");
    // Row 92, RFC 9110 §10.1.4.
    let mut run = client();
    let mut head = Head::request("GET", "", "a", "/");
    head.fields.push("te", b"trailers");
    run.machine.open(run.now, &head, true).unwrap();
    assert_eq!(run.sent(), "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\r\n");
}

// B13.
#[test]
fn requests_that_cannot_be_written_are_refused() {
    let mut run = client();
    for (method, authority, path, misuse) in [
        ("GET", "a", "/ HTTP/1.1\r\nx: y", Misuse::InvalidTarget),
        ("GET", "a\r\nx: y", "/", Misuse::InvalidTarget),
        ("G\r\n", "a", "/", Misuse::InvalidTarget),
        ("CONNECT", "a", "/", Misuse::InvalidTarget),
    ] {
        let outcome = run.machine.open(run.now, &Head::request(method, "", authority, path), true);
        assert_eq!(outcome, Err(StartError::Misuse(misuse)));
    }
    assert!(run.machine.can_open());
    assert_eq!(run.sent(), "");
}

// One request at a time, never pipelined; then the next.
#[test]
fn a_slot_is_free_when_the_application_has_let_go() {
    let mut run = client();
    for _ in 0..3 {
        assert!(run.machine.can_open());
        let key = run.ask("GET");
        let again = |run: &mut crate::kit::Run<antiphon::http1::Client>| {
            run.machine.open(run.now, &Head::request("GET", "", "a", "/"), true)
        };
        assert_eq!(again(&mut run), Err(StartError::Full));
        run.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(again(&mut run), Err(StartError::Full));
        assert_eq!(run.body(key), b"ok");
        run.events.clear();
        run.machine.drop_stream(run.now, key);
        assert_eq!(run.notices().events, [StreamEvent::Available]);
    }
}

// Rows 81, 88 and 89, RFC 9112 §6.3: where a response ends.
#[test]
fn responses_end_where_they_say() {
    clean("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", true);
    clean("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", true);
    clean("GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n".replace("200", "200 ").as_str(), "", true);
    clean("GET", "HTTP/1.1 999 caf\u{e9}\r\nContent-Length: 0\r\n\r\n", "", true);
    clean("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "", true);
    clean("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", true);
    clean("GET", "HTTP/1.1 204 No Content\r\n\r\n", "", true);
    clean("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "", true);
    clean("GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false);
    clean("GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false);
    // Row 84, B1: transfer-encoding wins, and the connection is not used again.
    clean(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "",
        false,
    );
}

// Rows 87 and 97, RFC 9112 §8, §9.8: to-close ends with a clean end of input alone.
#[test]
fn a_body_to_close_ends_with_the_connection() {
    for (end, expected) in [
        (InputEnd::Eof, ReceiveEnd::Clean),
        (InputEnd::Truncated, ReceiveEnd::Lost),
        (InputEnd::Failed, ReceiveEnd::Lost),
    ] {
        let mut run = client();
        let key = run.ask("GET");
        run.feed("HTTP/1.1 200 OK\r\n\r\nhel").feed("lo");
        assert_eq!(run.receive_end(key), None);
        run.end(end);
        assert_eq!(run.receive_end(key), Some(expected));
        assert_eq!(run.body(key), b"hello");
        assert_eq!(run.error.is_some(), expected == ReceiveEnd::Lost);
    }
    let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for cut in 0..whole.len() {
        let mut run = client();
        let key = run.ask("GET");
        run.feed(&whole[..cut]).end(InputEnd::Eof);
        assert_eq!(run.receive_end(key), Some(ReceiveEnd::Lost), "{cut}");
        assert_eq!(run.error, Some(ConnectionError::Lost));
    }
    // Complete before: any end is good.
    let mut run = client();
    let key = run.ask("GET");
    run.feed(whole).end(InputEnd::Truncated);
    assert_eq!((run.receive_end(key), run.error), (Some(ReceiveEnd::Clean), None));
}

// Rows 70 to 80 and B1 to B6 hold for responses as well.
#[test]
fn malformed_responses_are_refused() {
    for response in [
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
        "HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "hello",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: a\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    ] {
        refused(response);
    }
    refused(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(17 << 10)));
    refused(format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(129)));
}

// B14, RFC 9110 §15.2: informational responses are skipped, a flood is not.
#[test]
fn informational_responses_are_skipped() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for count in [1, 8] {
        let mut run = client();
        let key = run.ask("GET");
        run.feed(early.repeat(count));
        assert!(run.machine.head(key).is_none());
        run.feed(last);
        assert_eq!(run.machine.head(key).unwrap().status(), 200);
        assert!(!run.machine.head(key).unwrap().fields.contains("link"));
    }
    refused(early.repeat(9));
}

// B15, row 93 (RFC 9112 §9.2): what follows a response answers nothing.
#[test]
fn bytes_after_a_response_are_no_response() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (method, response) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ] {
        let (end, body, error, closing) = get(method, response);
        assert_eq!((end, body.len(), closing), (Some(ReceiveEnd::Clean), 0, Closing::Closed));
        assert!(error.is_some());
    }
    // Neither before the first request …
    let mut run = client();
    run.feed(evil);
    assert!(run.error.is_some() && !run.machine.can_open());
    // … nor before the next one has gone out: it cannot have been seen, so it may be tried again.
    let mut run = client();
    let key = run.machine.open(run.now, &Head::request("GET", "", "a", "/"), true).unwrap();
    run.feed(evil);
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Unprocessed));
}

// Row 96: only what has not been sent is known not to have been processed.
#[test]
fn only_what_was_never_sent_is_unprocessed() {
    let mut run = client();
    let key = run.machine.open(run.now, &Head::request("GET", "", "a", "/"), true).unwrap();
    run.end(InputEnd::Eof);
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Unprocessed));
    let mut run = client();
    let key = run.ask("GET");
    run.end(InputEnd::Eof);
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Lost));
    let mut run = client();
    let key = run.machine.open(run.now, &Head::request("GET", "", "a", "/"), true).unwrap();
    run.machine.handle_output_lost(run.now);
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Unprocessed));
    // An idle connection that the peer closes.
    let mut run = client();
    assert_eq!(run.end(InputEnd::Eof).error, None);
    assert_eq!(run.events, [StreamEvent::Draining]);
    assert_eq!(run.machine.open(run.now, &Head::request("GET", "", "a", "/"), true), Err(StartError::Closed));
}

// RFC 9112 §9.5: an early answer is delivered; a bad one stops the upload. `close` beside a good one is about other
// requests (§9.6): a stream goes on in both directions.
#[test]
fn an_early_answer_stops_the_upload() {
    for (response, stops) in [
        ("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false),
    ] {
        let mut run = client();
        let key = run.machine.open(run.now, &Head::request("POST", "", "a", "/"), false).unwrap();
        run.machine.push(key, b"hello");
        run.sent();
        run.machine.push(key, b"more");
        run.feed(response);
        let stopped = StreamEvent::Stopped(key, 0);
        assert_eq!(run.events.contains(&stopped), stops, "{response}");
        assert_eq!(run.machine.poll_room(key), if stops { Err(SendError::Ended) } else { Ok(()) });
        assert_eq!(run.sent(), if stops { "" } else { "4\r\nmore\r\n" });
        run.feed("ok");
        assert_eq!(run.body(key), b"ok");
        assert_eq!(run.receive_end(key), Some(ReceiveEnd::Clean));
        // The request was not sent to its end: the connection is not used again.
        assert!(run.events.contains(&stopped));
        assert_eq!(run.machine.closing(), Closing::Closed);
    }
    // Sent to its end in time.
    let mut run = client();
    let key = run.machine.open(run.now, &Head::request("POST", "", "a", "/"), false).unwrap();
    run.sent();
    run.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    run.machine.finish(key);
    run.sent();
    run.feed("ok");
    assert_eq!((run.receive_end(key), run.machine.closing()), (Some(ReceiveEnd::Clean), Closing::Open));
}

// RFC 9112 §9.6: a request that asked for `close`, and is answered so, still goes on to its end.
#[test]
fn a_drained_upload_goes_on_beside_its_answer() {
    let mut run = client();
    let key = run.machine.open(run.now, &Head::request("POST", "", "a", "/"), false).unwrap();
    run.machine.drain(run.now);
    assert!(run.sent().contains("connection: close\r\n"));
    run.feed("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(run.machine.poll_room(key), Ok(()));
    run.machine.push(key, b"more");
    assert_eq!(run.sent(), "4\r\nmore\r\n");
}

// An early answer is still found when writing has failed.
#[test]
fn an_answer_survives_a_lost_write() {
    let mut run = client();
    let key = run.machine.open(run.now, &Head::request("POST", "", "a", "/"), false).unwrap();
    run.sent();
    run.machine.push(key, b"hello");
    run.machine.handle_output_lost(run.now);
    assert!(run.machine.wants_input() && !run.machine.wants_output());
    run.feed("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(run.machine.head(key).unwrap().status(), 413);
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Clean));
}

// Letting go of a response: its short rest is read for the sake of the connection, a call without answer is cancelled.
#[test]
fn letting_go_of_a_response() {
    let mut run = client();
    let key = run.ask("GET");
    run.feed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    run.machine.drop_stream(run.now, key);
    assert_eq!((run.machine.closing(), run.machine.can_open()), (Closing::Open, false));
    run.feed("world");
    assert!(run.machine.can_open());

    let mut run = client();
    let key = run.ask("GET");
    run.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    run.machine.drop_stream(run.now, key);
    run.pass(Duration::from_secs(1));
    assert_eq!(run.machine.closing(), Closing::Closed);

    let mut run = client();
    let key = run.ask("GET");
    run.feed("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    run.machine.drop_stream(run.now, key);
    assert_eq!(run.machine.closing(), Closing::Closed);

    let mut run = client();
    let key = run.ask("GET");
    run.machine.drop_stream(run.now, key);
    assert_eq!(run.machine.closing(), Closing::Closed);

    // A request that has not gone out is as if it had never been.
    for reset in [true, false] {
        let mut run = client();
        let key = run.machine.open(run.now, &Head::request("POST", "", "a", "/"), reset).unwrap();
        if reset {
            run.machine.reset(run.now, key, 8);
        }
        run.machine.drop_stream(run.now, key);
        assert_eq!((run.sent().as_str(), run.machine.can_open()), ("", true));
        run.ask("GET");
    }
}

#[test]
fn reset_closes_unless_complete() {
    let mut run = client();
    let key = run.ask("GET");
    run.feed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    run.machine.reset(run.now, key, 8);
    assert_eq!((run.receive_end(key), run.machine.closing()), (Some(ReceiveEnd::Local), Closing::Closed));
    let mut run = client();
    let key = run.ask("GET");
    run.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    run.machine.reset(run.now, key, 8);
    assert_eq!((run.receive_end(key), run.machine.closing()), (Some(ReceiveEnd::Clean), Closing::Open));
}

// Row 95.
#[test]
fn drain_lets_the_open_exchange_finish() {
    let mut run = client();
    run.machine.drain(run.now);
    assert_eq!(run.machine.closing(), Closing::Closed);
    let mut run = client();
    let key = run.machine.open(run.now, &Head::request("GET", "", "a", "/"), true).unwrap();
    run.machine.drain(run.now);
    assert_eq!(run.sent(), "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    run.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(run.body(key), b"ok");
    run.machine.drop_stream(run.now, key);
    assert_eq!(run.machine.closing(), Closing::Closed);
}

// B12: a head that has begun must end.
#[test]
fn a_slow_response_head_times_out() {
    let mut run = client();
    let key = run.ask("GET");
    assert_eq!(run.machine.poll_timeout(), None);
    run.feed("HTTP").pass(Duration::from_secs(10));
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Lost));
    assert!(matches!(run.feed("x").error, Some(ConnectionError::TimedOut(_))));
}
