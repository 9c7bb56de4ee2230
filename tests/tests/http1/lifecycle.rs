//! How a server's connection goes on and how it ends.

use std::time::Duration;

use antiphon::http1::Server;
use antiphon::{
    Closing, ConnectionError, Fields, Head, HttpConnection, InputEnd, Instant, Limits, Machine, Misuse,
    ReceiveEnd, SendError, StreamEvent,
};

use crate::kit::{Run, chunked, post, server};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

// Rows 93 and 94, RFC 9112 §9.3: persistent by default, in order.
#[test]
fn one_request_after_the_other() {
    let mut run = server();
    for generation in 0..10 {
        assert_eq!(run.feed(GET).key().generation, generation);
        assert_eq!(run.answer("ok").sent(), OK);
        run.let_go();
        assert_eq!(run.machine.closing(), Closing::Open);
    }
}

// B16, row 93: the next request waits in the caller's buffer until this one is answered and let go.
#[test]
fn pipelined_requests_wait() {
    let mut run = server();
    run.feed(GET.repeat(10_000));
    for generation in 0..10_000 {
        assert_eq!(run.key().generation, generation);
        assert_eq!(run.machine.wants_input(), generation == 9999);
        let leftover = run.input.len();
        assert_eq!(run.feed("").input.len(), leftover);
        assert_eq!(run.answer("ok").sent(), OK);
        assert_eq!(run.feed("").key().generation, generation);
        run.let_go();
        assert!(run.machine.wants_input());
        run.feed("");
    }
    assert!(run.input.is_empty());
}

// RFC 9112 §2.2: a blank line after a request is nobody's first byte.
#[test]
fn a_blank_line_between_requests_is_skipped() {
    let mut run = server();
    run.feed(format!("{GET}\r"));
    assert!(run.machine.wants_input());
    run.feed("\n");
    assert!(run.machine.wants_input() && run.input.is_empty());
    run.feed(GET);
    assert!(!run.machine.wants_input());
    run.answer("ok").sent();
    run.let_go().feed("");
    assert_eq!(run.key().generation, 1);
    run.answer("ok").sent();
    run.let_go().feed("\r\n\r\n");
    assert_eq!(run.status(), 400);
}

// B9 (RUSTSEC-2020-0093, RUSTSEC-2025-0037): what the handler did not read is never taken for a request.
#[test]
fn an_unread_body_is_no_request() {
    let evil = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    for request in [
        post(&format!("Content-Length: {}\r\n", evil.len()), evil).into_bytes(),
        chunked(format!("1f\r\n{evil}\r\n0\r\n\r\n")),
    ] {
        for cut in 1..request.len() {
            let mut run = server();
            run.feed(&request[..cut]);
            if !run.has_key() {
                continue;
            }
            run.answer("ok").sent();
            run.let_go().feed(&request[cut..]).feed(GET);
            assert_eq!((run.error, run.key().generation), (None, 1), "{cut}");
            assert_eq!(run.machine.head(run.key()).unwrap().path(), "/");
        }
    }
}

// B9, row 94: up to 64 KiB are read for the sake of the connection, and for no longer than `stall`.
#[test]
fn an_unwanted_body_is_drained_or_the_connection_ends() {
    // Known to be too long: said at once.
    let mut run = server();
    run.feed(post("Content-Length: 65537\r\n", ""));
    let key = run.key();
    run.machine.stop_reading(run.now, key);
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Local));
    assert!(run.answer("").sent().ends_with("connection: close\r\n\r\n"));
    assert_eq!(run.machine.closing(), Closing::ShutWrite);
    // Just short enough.
    let mut run = server();
    run.feed(post("Content-Length: 65536\r\n", "")).answer("").sent();
    run.let_go().feed(vec![b'x'; 65_536]).feed(GET);
    assert_eq!(run.key().generation, 1);
    // Not known: counted.
    let mut run = server();
    run.feed(chunked("")).answer("").sent();
    run.let_go();
    for _ in 0..16 {
        run.feed("1000\r\n").feed(vec![b'x'; 4096]).feed("\r\n");
        assert_eq!(run.machine.closing(), Closing::Open);
    }
    run.feed("1\r\n");
    assert_eq!(run.machine.closing(), Closing::ShutWrite);
    // Never ending.
    let mut run = server();
    run.feed(chunked("")).answer("").sent();
    run.let_go();
    assert_eq!(run.machine.poll_timeout(), Some(run.now + Limits::default().stall));
    run.pass(Limits::default().stall);
    assert_eq!(run.machine.closing(), Closing::ShutWrite);
}

// A handler may go on reading after it has answered.
#[test]
fn a_body_is_read_after_the_answer() {
    let mut run = server();
    run.feed(post("Content-Length: 100000\r\n", ""));
    run.answer("ok").sent();
    run.feed(vec![b'x'; 1000]);
    let key = run.key();
    assert_eq!(run.body(key).len(), 1000);
    assert_eq!((run.machine.closing(), run.machine.poll_timeout()), (Closing::Open, None));
}

// Row 95, RFC 9112 §9.6: `close` from either side, and HTTP/1.0.
#[test]
fn close_ends_the_connection_after_the_answer() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ] {
        let mut run = server();
        run.feed(request).feed(GET);
        assert!(run.machine.wants_input(), "what follows is not kept");
        assert_eq!(
            run.answer("ok").sent(),
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
        );
        // The writing side alone is shut: what still comes must not destroy the answer.
        assert_eq!(run.machine.closing(), Closing::ShutWrite);
        run.feed(GET);
        assert_eq!((run.key().generation, run.input.len()), (0, 0));
        run.let_go();
        assert_eq!(run.end(InputEnd::Eof).machine.closing(), Closing::Closed);
        assert_eq!(run.error, None);
    }
    // Near misses.
    let mut run = server();
    run.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed, xclose\r\nX: close\r\n\r\n");
    assert_eq!(run.answer("ok").sent(), OK);
}

// Row 95: lingering has an end.
#[test]
fn lingering_ends_with_time() {
    let mut run = server();
    run.feed("GET / HTTP/1.0\r\n\r\n").answer("").sent();
    assert_eq!(run.machine.poll_timeout(), Some(run.now + Duration::from_secs(5)));
    run.pass(Duration::from_secs(4));
    assert_eq!(run.machine.closing(), Closing::ShutWrite);
    run.pass(Duration::from_secs(1));
    assert_eq!(run.machine.closing(), Closing::Closed);
    assert!(!run.machine.wants_input());
}

// The application ends the connection: `drain` at every point.
#[test]
fn drain_says_close_with_the_next_answer() {
    let mut run = server();
    run.machine.drain(run.now);
    assert_eq!(run.machine.closing(), Closing::Closed);

    let mut run = server();
    run.feed("GET / HT");
    run.machine.drain(run.now);
    assert_eq!(run.machine.closing(), Closing::Open);
    run.feed("TP/1.1\r\nHost: a\r\n\r\n");
    assert!(run.answer("ok").sent().contains("\r\nconnection: close\r\n"));
    run.let_go();
    assert_ne!(run.machine.closing(), Closing::Open);

    // The head is out: it cannot be said any more, only done.
    let mut run = server();
    run.feed(GET);
    let key = run.key();
    run.machine.respond(run.now, key, &Head::response(200), false).unwrap();
    assert!(!run.sent().contains("close"));
    run.machine.drain(run.now);
    run.machine.finish(key);
    assert_eq!(run.sent(), "0\r\n\r\n");
    run.let_go();
    assert_eq!(run.machine.closing(), Closing::Closed);
}

// B12 (slowloris), RFC 9110 §15.5.9: a head that has begun must end.
#[test]
fn a_slow_head_is_answered_408() {
    let mut run = server();
    assert_eq!(run.machine.poll_timeout(), Some(Instant::EPOCH), "the clock is to be shown to it");
    for byte in b"GET / HTT" {
        run.feed([*byte]).pass(Duration::from_secs(1));
    }
    assert_eq!(run.error, None);
    run.pass(Duration::from_secs(1));
    assert_eq!(run.sent(), "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(matches!(run.feed("P").error, Some(ConnectionError::TimedOut(_))));
    // Where no request has begun, there is none to answer.
    let mut run = server();
    run.feed("\r").pass(Duration::from_secs(10));
    assert_eq!((run.sent().as_str(), run.machine.closing()), ("", Closing::Closed));
    // The time of one head is not that of the next.
    let mut run = server();
    for _ in 0..3 {
        run.feed(GET).answer("").sent();
        run.let_go();
        assert_eq!(run.pass(Duration::from_secs(60)).error, None);
    }
}

// An early call of handle_timeout does nothing.
#[test]
fn early_timeouts_do_nothing() {
    let mut run = server();
    run.feed("GET");
    let due = run.machine.poll_timeout();
    run.pass(Duration::from_secs(9));
    assert_eq!((run.machine.poll_timeout(), run.error), (due, None));
}

// The peer closes while it is answered: it is noticed, and who knows better may answer.
#[test]
fn a_peer_that_leaves_is_noticed() {
    let mut run = server();
    run.feed(GET);
    let key = run.key();
    assert!(run.machine.wants_input());
    run.events.clear();
    run.end(InputEnd::Eof);
    assert_eq!(run.error, None);
    assert_eq!(run.events, [StreamEvent::Stopped(key, 8), StreamEvent::Draining]);
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Clean));
    assert_eq!(run.machine.closing(), Closing::Open);
    assert!(!run.machine.wants_input());
    // RFC 9112 §9.6: a half-closed client still gets its answer.
    run.machine.respond(run.now, key, &Head::response(204), true).unwrap();
    assert_eq!(run.sent(), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    assert_eq!(run.machine.closing(), Closing::Closed);
}

// A transport that fails is not a peer that has finished.
#[test]
fn a_failed_transport_loses_the_answer() {
    for end in [InputEnd::Failed, InputEnd::Truncated] {
        let mut run = server();
        run.feed(GET);
        let key = run.key();
        run.end(end);
        assert_eq!(run.error, Some(ConnectionError::Lost));
        assert_eq!(run.receive_end(key), Some(ReceiveEnd::Clean), "what is complete stays complete");
        assert_eq!(run.machine.respond(run.now, key, &Head::response(200), true), Err(SendError::Ended));
        assert_eq!(run.machine.closing(), Closing::Closed);
    }
    // An idle connection may end in any way.
    for end in [InputEnd::Eof, InputEnd::Truncated] {
        let mut run = server();
        assert_eq!(run.end(end).error, None);
        assert_eq!(run.machine.closing(), Closing::Closed);
    }
}

// A lost write side does not end what is being read.
#[test]
fn lost_output_discards_what_is_sent() {
    let mut run = server();
    run.feed(post("Content-Length: 10\r\n", "12345"));
    let key = run.key();
    run.machine.handle_output_lost(run.now);
    assert_eq!(run.machine.poll_room(key), Err(SendError::Ended));
    run.machine.push(key, b"x");
    assert!(!run.machine.wants_output());
    run.feed("67890");
    assert_eq!(run.body(key), b"1234567890");
    run.let_go();
    assert_eq!(run.machine.closing(), Closing::Closed);
}

// RFC 9112 §6, §7.1: how an answer is framed.
#[test]
fn answers_are_framed_by_what_is_known() {
    let answer = |request: &str, act: &dyn Fn(&mut Run<Server>)| {
        let mut run = server();
        run.feed(request);
        act(&mut run);
        let sent = run.sent();
        (sent, run)
    };
    // Nothing is known when the head goes out.
    let (sent, mut run) = answer(GET, &|run| {
        run.machine.respond(run.now, run.key(), &Head::response(200), false).unwrap();
        run.machine.push(run.key(), b"hello ");
        run.machine.push(run.key(), b"world");
    });
    assert_eq!(sent, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n");
    run.machine.push(run.key(), &[b'x'; 16]);
    run.machine.push(run.key(), b"");
    let trailers: Fields = [("x-sum", &b"1"[..])].into_iter().collect();
    run.machine.finish_with_trailers(run.key(), &trailers);
    assert_eq!(run.sent(), "10\r\nxxxxxxxxxxxxxxxx\r\n0\r\nx-sum: 1\r\n\r\n");
    assert_eq!(run.sent(), "");
    // Everything is known.
    let (sent, _) = answer(GET, &|run| {
        run.answer("hello");
    });
    assert_eq!(sent, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let (sent, _) = answer(GET, &|run| {
        run.machine.respond(run.now, run.key(), &Head::response(404), true).unwrap();
    });
    assert_eq!(sent, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    // Trailers need chunks.
    let (sent, _) = answer(GET, &|run| {
        run.machine.respond(run.now, run.key(), &Head::response(200), false).unwrap();
        run.machine.finish_with_trailers(run.key(), &[("x", &b"y"[..])].into_iter().collect());
    });
    assert_eq!(sent, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n");
    // HTTP/1.0 has no chunks: the end of the connection is the end of the body.
    let (sent, mut run) = answer("GET / HTTP/1.0\r\n\r\n", &|run| {
        run.machine.respond(run.now, run.key(), &Head::response(200), false).unwrap();
        run.machine.push(run.key(), b"hello");
    });
    assert_eq!(sent, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello");
    assert_eq!(run.machine.closing(), Closing::Open);
    run.machine.finish_with_trailers(run.key(), &[("x", &b"y"[..])].into_iter().collect());
    assert_eq!((run.sent().as_str(), run.machine.closing()), ("", Closing::ShutWrite));
    // The application knows its length.
    let (sent, _) = answer(GET, &|run| {
        let mut head = Head::response(200);
        head.fields.push("content-length", b"5");
        run.machine.respond(run.now, run.key(), &head, false).unwrap();
    });
    assert_eq!(sent, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
}

// B15, row 88, RFC 9112 §6.3: answers without a body have none, whatever the application gives.
#[test]
fn some_answers_have_no_body() {
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (request, status) in [(head, 200), (GET, 204), (GET, 304)] {
        let mut run = server();
        run.feed(request);
        let key = run.key();
        run.machine.respond(run.now, key, &Head::response(status), false).unwrap();
        run.machine.push(key, b"hello");
        run.machine.finish(key);
        let sent = run.sent();
        assert!(sent.ends_with("\r\n\r\n") && sent.matches("\r\n").count() == 2, "{sent}");
        run.let_go().feed(GET);
        assert_eq!(run.key().generation, 1);
    }
    // HEAD shows the length that GET would have.
    let mut run = server();
    run.feed(head);
    let mut answer = Head::response(200);
    answer.fields.push("content-length", b"5");
    run.machine.respond(run.now, run.key(), &answer, true).unwrap();
    assert_eq!(run.sent(), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
}

// B13: no byte beyond content-length, and nothing that looks complete when it is not.
#[test]
fn a_body_is_never_longer_or_shorter_than_it_says() {
    for (body, sent_body) in [("hello, too long", "hello"), ("hel", "hel")] {
        let mut run = server();
        run.feed(GET);
        let key = run.key();
        let mut head = Head::response(200);
        head.fields.push("content-length", b"5");
        run.machine.respond(run.now, key, &head, false).unwrap();
        run.machine.push(key, body.as_bytes());
        run.machine.finish(key);
        assert!(run.sent().ends_with(&format!("\r\n\r\n{sent_body}")));
        assert_eq!(run.machine.closing(), Closing::Closed);
    }
}

// B13 (CVE-2023-29406, CVE-2025-67735, CVE-2026-42578): nothing an application gives ends a line.
#[test]
fn what_cannot_be_sent_is_refused() {
    let mut run = server();
    run.feed(GET);
    let key = run.key();
    let mut refuse = |name: &str, value: &[u8]| {
        let mut head = Head::response(200);
        head.fields.push(name, value);
        let outcome = run.machine.respond(run.now, key, &head, false);
        assert_eq!(outcome, Err(SendError::Misuse(Misuse::InvalidMetadata)), "{name}");
    };
    refuse("x", b"a\r\nset-cookie: b");
    refuse("x", b"a\nb");
    refuse("x", b"a\0b");
    refuse("x: y\r\nz", b"a");
    refuse("transfer-encoding", b"chunked");
    refuse("content-length", b"5, 5");
    refuse("connection", b"keep-alive");
    for status in [0, 99, 101, 1000] {
        let outcome = run.machine.respond(run.now, key, &Head::response(status), false);
        assert_eq!(outcome, Err(SendError::Misuse(Misuse::WrongState)));
    }
    // It is not too late.
    assert_eq!(run.answer("ok").sent(), OK);
    // Trailers cannot be refused: the answer is visibly cut.
    let mut run = server();
    run.feed(GET);
    let key = run.key();
    run.machine.respond(run.now, key, &Head::response(200), false).unwrap();
    run.sent();
    run.machine.finish_with_trailers(key, &[("x", &b"a\r\n\r\n"[..])].into_iter().collect());
    assert_eq!((run.sent().as_str(), run.machine.closing()), ("", Closing::Closed));
}

// Row 82, RFC 9110 §15.2: informational answers of the application.
#[test]
fn informational_answers_come_first() {
    let mut run = server();
    run.feed(GET);
    let key = run.key();
    let mut early = Head::response(103);
    early.fields.push("link", b"</x>");
    run.machine.respond(run.now, key, &early, false).unwrap();
    assert_eq!(run.answer("ok").sent(), format!("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{OK}"));
    assert_eq!(run.machine.respond(run.now, key, &early, false), Err(SendError::Misuse(Misuse::HeadersSent)));
    let mut run = server();
    run.feed("GET / HTTP/1.0\r\n\r\n");
    run.machine.respond(run.now, run.key(), &early, false).unwrap();
    assert_eq!(run.sent(), "");
}

// L4: `Blocked` is followed by `Writable`.
#[test]
fn a_full_queue_blocks_until_it_is_sent() {
    let mut run = server();
    run.feed(GET);
    let key = run.key();
    run.machine.respond(run.now, key, &Head::response(200), false).unwrap();
    run.machine.push(key, &vec![b'x'; 100_000]);
    assert_eq!(run.machine.poll_room(key), Err(SendError::Blocked));
    run.events.clear();
    assert!(run.sent().len() > 100_000);
    assert_eq!(run.events, [StreamEvent::Writable(key)]);
    assert_eq!(run.machine.poll_room(key), Ok(()));
    // Large pieces are shared and keep their place.
    run.machine.push(key, b"<");
    run.machine.push_bytes(key, &bytes::Bytes::from(vec![b'y'; 20_000]));
    run.machine.push_bytes(key, &bytes::Bytes::from_static(b">"));
    run.machine.finish(key);
    assert_eq!(run.sent(), format!("4e22\r\n<{}>\r\n0\r\n\r\n", "y".repeat(20_000)));
}

// A18: a finished answer that nobody takes does not stay for ever.
#[test]
fn last_bytes_must_get_out() {
    let mut run = server();
    run.feed(GET).answer("ok").pass(Duration::from_secs(29));
    assert_eq!(run.error, None);
    run.pass(Duration::from_secs(1));
    assert!(run.error.is_none() && run.machine.closing() == Closing::Closed);
    assert!(matches!(run.feed("").error, Some(ConnectionError::TimedOut(_))));
}

// Letting go without an answer, or taking it back, ends the connection and nothing looks complete.
#[test]
fn reset_and_drop_end_the_connection() {
    for reset in [true, false] {
        for head in [true, false] {
            let mut run = server();
            run.feed(post("Content-Length: 5\r\n", "he"));
            let key = run.key();
            if head {
                run.machine.respond(run.now, key, &Head::response(200), false).unwrap();
                run.sent();
            }
            if reset {
                run.machine.reset(run.now, key, 8);
                assert_eq!(run.receive_end(key), Some(ReceiveEnd::Local));
                assert!(run.machine.knows(key));
            } else {
                run.machine.drop_stream(run.now, key);
                assert!(!run.machine.knows(key));
            }
            assert_eq!((run.sent().as_str(), run.machine.closing()), ("", Closing::Closed));
            assert_eq!(run.feed("llo").input.len(), 0);
        }
    }
    // After a complete exchange there is nothing to reset.
    let mut run = server();
    run.feed(GET).answer("ok").sent();
    run.machine.reset(run.now, run.key(), 8);
    assert_eq!(run.machine.closing(), Closing::Open);
    // NO_ERROR after the end (RFC 9113 §8.1): only the rest of the request is given up.
    let mut run = server();
    run.feed(post("Content-Length: 5\r\n", "he")).answer("ok");
    run.machine.reset(run.now, run.key(), 0);
    assert_eq!(run.sent(), OK);
    run.let_go().feed("llo").feed(GET);
    assert_eq!(run.key().generation, 1);
}

#[test]
fn abort_is_sticky() {
    let mut run = server();
    run.feed(GET);
    let key = run.key();
    run.machine.abort(run.now, 2);
    assert_eq!(run.feed("x").error, Some(ConnectionError::Aborted));
    assert_eq!((run.sent().as_str(), run.machine.closing()), ("", Closing::Closed));
    assert_eq!(run.receive_end(key), Some(ReceiveEnd::Clean));
    assert_eq!(run.machine.poll_room(key), Err(SendError::Ended));
}

// A broken request body: an answer that has begun is finished if it can be, and none is begun.
#[test]
fn an_error_in_the_body_meets_an_answer() {
    // Complete: it goes out.
    let mut run = server();
    run.feed(chunked("")).answer("ok").feed("xx");
    assert_eq!(run.status(), 400);
    assert_eq!(run.sent(), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    // Begun: it is cut, and no second one follows.
    let mut run = server();
    run.feed(chunked(""));
    let key = run.key();
    run.machine.respond(run.now, key, &Head::response(200), false).unwrap();
    run.sent();
    run.feed("xx");
    assert_eq!((run.status(), run.sent().as_str()), (400, ""));
    assert!(run.events.contains(&StreamEvent::Stopped(key, 8)));
    assert_eq!(run.machine.respond(run.now, key, &Head::response(200), false), Err(SendError::Ended));
}

// Keys that are not known do nothing.
#[test]
fn unknown_keys_are_misuse() {
    let mut run = server();
    run.feed(GET);
    let key = run.key();
    run.answer("ok").sent();
    run.let_go();
    let unknown = SendError::Misuse(Misuse::UnknownCall);
    assert_eq!(run.machine.respond(run.now, key, &Head::response(200), true), Err(unknown));
    assert_eq!(run.machine.poll_room(key), Err(unknown));
    assert_eq!(run.machine.release(run.now, key, 0), Err(Misuse::UnknownCall));
    assert_eq!(run.machine.demand(run.now, key, 5), Err(Misuse::UnknownCall));
    assert!(run.machine.head(key).is_none() && run.machine.body(key).is_none());
    run.machine.push(key, b"x");
    run.machine.finish(key);
    run.machine.reset(run.now, key, 8);
    run.machine.drop_stream(run.now, key);
    run.machine.stop_reading(run.now, key);
    assert_eq!((run.sent().as_str(), run.machine.closing()), ("", Closing::Open));
}
