//! The rules of RFC 9113 that no judge checks, or checks loosely, by hand-written frames. `row N` is the checklist's.

use std::time::Duration;

use antiphon::http2::hpack::{Decoder, DecoderLimits};
use antiphon::{
    Closing, ConnectionError, Head, Http2Code, HttpConnection, InputEnd, Limits, Machine, ReceiveEnd,
    StartError, StreamEvent,
};
use antiphon_tests::h2kit::*;

fn server() -> Raw {
    Raw::server(Limits::default())
}

fn client() -> Raw {
    Raw::client(Limits::default(), &[])
}

fn get() -> Head {
    Head::request("GET", "http", "e.com", "/")
}

/// §3.4, row 2: the first frame is SETTINGS, in both roles.
#[test]
fn the_first_frame_is_settings() {
    let mut raw = Raw::new_server(Limits::default());
    raw.ok(PREFACE);
    assert_eq!(raw.fails(&frame(PING, 0, 0, &[0; 8])), Http2Code::PROTOCOL_ERROR);
    let mut raw = Raw::new_client(Limits::default());
    assert_eq!(raw.fails(&frame(SETTINGS, ES, 0, &[])), Http2Code::PROTOCOL_ERROR);
    // What a server says that wants TLS: an alert, shorter than a frame's header.
    let mut raw = Raw::new_client(Limits::default());
    assert_eq!(raw.fails(&[21, 3, 1, 0, 2, 2, 70]), Http2Code::PROTOCOL_ERROR);
    for at in 0..PREFACE.len() {
        let mut bad = PREFACE.to_vec();
        bad[at] ^= 1;
        let mut raw = Raw::new_server(Limits::default());
        assert_eq!(raw.fails(&bad[..=at]), Http2Code::PROTOCOL_ERROR, "at once, at byte {at}");
    }
}

/// §3.4, row 3: requests go with the preface, before the server's SETTINGS.
#[test]
fn a_client_does_not_wait_for_settings() {
    let mut raw = Raw::new_client(Limits::default());
    raw.connection.open(raw.now, &get(), true).unwrap();
    let kinds: Vec<_> = raw.frames().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [SETTINGS, UPDATE, HEADERS]);
}

/// §4.2, row 4: frames are never larger than 16,384 bytes, header blocks are cut as well.
#[test]
fn frames_are_cut() {
    let mut raw = client();
    let mut head = get();
    for index in 0..3 {
        head.fields.push(&format!("x-{index}"), &[b'*'; 12_000]);
    }
    let key = raw.connection.open(raw.now, &head, false).unwrap();
    raw.connection.push(key, &[1; 40_000]);
    raw.connection.finish(key);
    let frames = raw.frames();
    let shape: Vec<_> = frames.iter().map(|frame| (frame.kind, frame.flags, frame.payload.len())).collect();
    assert_eq!(shape[0], (HEADERS, 0, 16_384));
    assert_eq!(shape[1], (CONTINUATION, 0, 16_384));
    assert_eq!((shape[2].0, shape[2].1), (CONTINUATION, EH));
    assert_eq!(shape[3..], [(DATA, 0, 16_384), (DATA, 0, 16_384), (DATA, ES, 40_000 - 32_768)]);
}

/// §4.2, rows 7, 31, 32, 38, 41: frames of a wrong size have FRAME_SIZE_ERROR, not a generic code.
#[test]
fn wrong_sizes_have_their_code() {
    for bytes in [
        frame(RST, 0, 1, &[0; 3]),
        frame(SETTINGS, 0, 0, &[0; 5]),
        frame(SETTINGS, ES, 0, &[0; 6]),
        frame(PING, 0, 0, &[0; 7]),
        frame(GOAWAY, 0, 0, &[0; 7]),
        frame(UPDATE, 0, 1, &[0; 5]),
        frame(HEADERS, EH | 0x20, 1, &[0; 4]),
        frame(DATA, 0, 1, &[0; 16_385]),
        frame(0x77, 0, 0, &[0; 16_385])[..9].to_vec(),
    ] {
        let mut raw = server();
        raw.ok(&post(1, 0));
        assert_eq!(raw.fails(&bytes), Http2Code::FRAME_SIZE_ERROR, "{:?}", &bytes[..9]);
    }
    let mut raw = server();
    raw.ok(&post(1, 0));
    assert_eq!(raw.resets(&frame(PRIORITY, 0, 1, &[0; 4]), 1), Http2Code::FRAME_SIZE_ERROR, "row 30");
}

/// §6.5.2, rows 33 and 34: settings out of range, in both roles.
#[test]
fn settings_out_of_range_have_their_code() {
    for (entry, code) in [
        ((2, 2), Http2Code::PROTOCOL_ERROR),
        ((4, 1 << 31), Http2Code::FLOW_CONTROL_ERROR),
        ((5, 16_383), Http2Code::PROTOCOL_ERROR),
        ((5, 1 << 24), Http2Code::PROTOCOL_ERROR),
    ] {
        assert_eq!(server().fails(&settings(&[entry])), code);
        assert_eq!(client().fails(&settings(&[entry])), code);
    }
    assert_eq!(client().fails(&settings(&[(2, 1)])), Http2Code::PROTOCOL_ERROR);
    server().ok(&settings(&[(2, 1)]));
}

/// §4.3, rows 10 and 40: blocks of refused, malformed, reset and unseen streams pass the decoder.
#[test]
fn every_block_passes_the_decoder() {
    let insert = |stream: u32| frame(HEADERS, EH | ES, stream, &[POST, &[0x40, 1, b'b', 1, b'c']].concat());
    let refer = |stream: u32| frame(HEADERS, EH | ES, stream, &[POST, &[0xbe]].concat());
    let check = |mut raw: Raw, stream: u32| {
        raw.ok(&refer(stream));
        let key = raw.opened();
        assert_eq!(raw.connection.head(key).unwrap().fields.get("b"), Some(&b"c"[..]));
    };
    let mut limits = Limits::default();
    limits.streams = 1;
    let mut raw = Raw::server(limits);
    raw.ok(&post(1, ES));
    let first = raw.opened();
    assert_eq!(raw.resets(&insert(3), 3), Http2Code::REFUSED_STREAM);
    raw.connection.reset(raw.now, first, 8);
    raw.connection.drop_stream(raw.now, first);
    check(raw, 5);

    let mut raw = server();
    let bad =
        frame(HEADERS, EH | ES, 1, &[POST, &[0x40, 1, b'B', 1, b'c'], &[0x40, 1, b'b', 1, b'c']].concat());
    assert_eq!(raw.resets(&bad, 1), Http2Code::PROTOCOL_ERROR);
    check(raw, 3);

    let mut raw = server();
    raw.ok(&post(1, 0));
    let key = raw.opened();
    raw.connection.reset(raw.now, key, 8);
    raw.ok(&frame(HEADERS, EH | ES, 1, &[0x40, 1, b'b', 1, b'c']));
    check(raw, 3);

    let mut raw = server();
    raw.ok(&post(1, 0));
    raw.events();
    raw.connection.drain(raw.now);
    let ping = raw.frames().into_iter().find(|frame| frame.kind == PING).unwrap();
    raw.ok(&frame(PING, ES, 0, &ping.payload));
    raw.ok(&insert(3));
    assert!(raw.all_opened().is_empty(), "row 25: above the last id, not seen");
    raw.ok(&frame(HEADERS, EH | ES, 1, &[0xbe]));
    assert!(raw.connection.error().is_none());
}

/// RFC 7541 §4.2, row 11: after a smaller table was acknowledged, a size update must come.
#[test]
fn a_smaller_table_needs_a_size_update() {
    let mut limits = Limits::default();
    limits.hpack_table = 256;
    let mut raw = Raw::server(limits.clone());
    assert_eq!(raw.fails(&post(1, ES)), Http2Code::COMPRESSION_ERROR);
    let mut raw = Raw::server(limits);
    raw.ok(&frame(HEADERS, EH | ES, 1, &[&[0x3f, 0xe1, 0x01][..], POST].concat()));
    raw.opened();
}

/// §5.1, row 15: nothing on streams of the server's, which never are.
#[test]
fn a_server_opens_no_streams() {
    for stream in [2, 1] {
        let mut raw = client();
        assert_eq!(raw.fails(&frame(HEADERS, EH, stream, &[0x88])), Http2Code::PROTOCOL_ERROR);
    }
    let mut raw = client();
    let key = raw.connection.open(raw.now, &get(), true).unwrap();
    raw.frames();
    // §6.6, rows 27 and 37: push was forbidden.
    let push = frame(PUSH, EH, 1, &[&[0, 0, 0, 2][..], POST].concat());
    assert_eq!(raw.fails(&push), Http2Code::PROTOCOL_ERROR);
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Lost));
}

/// §5.1, rows 17 and 42: what comes after our reset is ignored, and its bytes return to the connection.
#[test]
fn data_after_our_reset_is_counted_and_ignored() {
    let mut raw = server();
    raw.ok(&post(1, 0));
    let key = raw.opened();
    raw.connection.reset(raw.now, key, 8);
    let mut raised = 0;
    for _ in 0..100 {
        let frames = raw.ask(&frame(DATA, 0, 1, &[0; 16_000]));
        raised += frames.iter().filter(|frame| frame.kind == UPDATE).map(Frame::number).sum::<u32>();
        assert!(frames.iter().all(|frame| frame.kind == UPDATE || frame.kind == RST));
    }
    assert!(raised > 1_600_000 - 600_000, "{raised}");
    raw.ok(&number(UPDATE, 1, 1));
    raw.ok(&number(RST, 1, 8));
    assert!(raw.frames().is_empty(), "row 26: no reset for a reset");
}

/// §5.1.1, row 19: a higher id closes the lower ones.
#[test]
fn skipped_ids_are_closed() {
    let mut raw = server();
    raw.ok(&post(7, ES));
    raw.ok(&number(UPDATE, 3, 1));
    assert_eq!(raw.fails(&post(5, ES)), Http2Code::PROTOCOL_ERROR);
    let mut raw = server();
    assert_eq!(raw.fails(&post(2, ES)), Http2Code::PROTOCOL_ERROR, "row 18");
    let mut raw = server();
    raw.ok(&post(7, ES));
    assert_eq!(raw.fails(&frame(DATA, 0, 5, b"x")), Http2Code::STREAM_CLOSED);
}

/// §5.1.2, row 21: a lower limit breaks nothing that is open, and room is told.
#[test]
fn the_peers_limit_is_kept() {
    let mut raw = Raw::client(Limits::default(), &[(3, 2)]);
    let keys: Vec<_> = (0..2).map(|_| raw.connection.open(raw.now, &get(), true).unwrap()).collect();
    assert_eq!(raw.connection.open(raw.now, &get(), true), Err(StartError::Full));
    raw.frames();
    raw.ok(&settings(&[(3, 1)]));
    for stream in [1, 3] {
        let head = raw.response(stream, ES, &Head::response(200));
        raw.ok(&head);
        let available = raw.events().contains(&StreamEvent::Available);
        assert_eq!(available, stream == 3, "room for one only after both");
    }
    for key in keys {
        assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Clean));
    }
    assert!(raw.connection.can_open());
}

/// §6.9.1, row 22: an empty END_STREAM goes at a window of 0; row 23: updates are read while sending is blocked.
#[test]
fn windows_are_kept() {
    let mut raw = Raw::client(Limits::default(), &[(4, 0)]);
    let empty = raw.connection.open(raw.now, &get(), false).unwrap();
    raw.frames();
    raw.connection.finish(empty);
    let full = raw.connection.open(raw.now, &get(), false).unwrap();
    raw.connection.push(full, &[5; 100]);
    raw.connection.finish(full);
    let frames = raw.frames();
    let shape: Vec<_> = frames.iter().map(|frame| (frame.kind, frame.stream, frame.flags)).collect();
    assert_eq!(shape, [(DATA, 1, ES), (HEADERS, 3, EH)]);
    let frames = raw.ask(&number(UPDATE, 3, 60));
    assert_eq!((frames.len(), frames[0].payload.len(), frames[0].flags), (1, 60, 0));
    // §6.9.2, row 43: a smaller initial window makes it negative, and only that of streams.
    assert_eq!(raw.ask(&settings(&[(4, 10)])).len(), 2, "10 bytes more, and the acknowledgement");
    assert_eq!(raw.ask(&settings(&[(4, 0)])).len(), 1);
    assert_eq!(raw.ask(&number(UPDATE, 3, 10)).len(), 0);
    let frames = raw.ask(&number(UPDATE, 3, 1000));
    assert_eq!((frames.len(), frames[0].payload.len(), frames[0].flags), (1, 30, ES));
}

/// §6.9.1, rows 14, 41 and 43: windows never overflow.
#[test]
fn windows_overflow_with_their_code() {
    let most = (1 << 31) - 1;
    let mut raw = server();
    raw.ok(&post(1, 0));
    assert_eq!(raw.resets(&number(UPDATE, 1, most), 1), Http2Code::FLOW_CONTROL_ERROR);
    raw.ok(&post(3, 0));
    assert_eq!(raw.resets(&number(UPDATE, 3, 0), 3), Http2Code::PROTOCOL_ERROR);
    assert_eq!(raw.fails(&number(UPDATE, 0, most)), Http2Code::FLOW_CONTROL_ERROR);
    assert_eq!(server().fails(&number(UPDATE, 0, 0)), Http2Code::PROTOCOL_ERROR);
    let mut raw = server();
    raw.ok(&post(1, 0));
    raw.ok(&number(UPDATE, 1, 1));
    assert_eq!(raw.fails(&settings(&[(4, most)])), Http2Code::FLOW_CONTROL_ERROR);
}

/// §5.4, row 24: an error of the connection beats one of the stream; §5.4.1, row 25: nothing happens after it.
#[test]
fn errors_of_the_connection_win_and_last() {
    let mut raw = server();
    raw.ok(&post(1, 0));
    let key = raw.opened();
    assert!(raw.ask(&[&frame(DATA, 0, 1, &[0; 16_384])[..]; 4].concat()).is_empty());
    assert_eq!(raw.resets(&frame(DATA, 0, 1, b"x"), 1), Http2Code::FLOW_CONTROL_ERROR);
    assert!(matches!(raw.connection.receive_end(key), Some(ReceiveEnd::Malformed(_))));
    // All of the connection's window, 1 MiB, is used by the windows of streams: one byte more overruns both.
    let mut both = server();
    for stream in (1..32).step_by(2) {
        both.ok(&[&post(stream, 0), &[&frame(DATA, 0, stream, &[0; 16_384])[..]; 4].concat()[..]].concat());
    }
    assert_eq!(both.fails(&frame(DATA, 0, 1, b"x")), Http2Code::FLOW_CONTROL_ERROR);
    raw.events();
    let error = raw.feed(&frame(PING, 0, 1, &[0; 8])).unwrap_err();
    assert_eq!(raw.feed(&post(3, ES)), Err(error));
    assert!(raw.all_opened().is_empty());
    assert_eq!(raw.connection.closing(), Closing::ShutWrite);
    assert_eq!(raw.connection.handle_end(raw.now, InputEnd::Eof), Err(error));
    assert_eq!(raw.connection.closing(), Closing::Closed);
}

/// §6.1, row 28: padding and its length count, and return at once to both windows.
#[test]
fn padding_is_credited_at_once() {
    let mut raw = server();
    raw.ok(&post(1, 0));
    raw.opened();
    let mut padded = vec![255];
    padded.extend([0; 255]);
    let (mut stream, mut connection) = (0, 0);
    for _ in 0..5000 {
        for frame in raw.ask(&frame(DATA, PADDED, 1, &padded)) {
            match (frame.kind, frame.stream) {
                (UPDATE, 0) => connection += frame.number(),
                (UPDATE, 1) => stream += frame.number(),
                _ => panic!("{frame:?}"),
            }
        }
        // A glitch each: honest traffic of this kind is slow.
        raw.wait(Duration::from_millis(20));
    }
    let used = 5000 * 256;
    assert!(used - stream <= 32 * 1024 && used - connection <= 512 * 1024);
    assert_eq!(raw.fails(&frame(DATA, PADDED, 1, &[3, 0, 0])), Http2Code::PROTOCOL_ERROR);
}

/// §6.5.3, row 36: one acknowledgement for each SETTINGS, and ours must be acknowledged in time.
#[test]
fn settings_are_acknowledged() {
    let mut raw = server();
    let acks = raw.ask(&[settings(&[]), settings(&[(4, 1)]), settings(&[])].concat());
    assert_eq!(acks, vec![Frame { kind: SETTINGS, flags: ES, stream: 0, payload: vec![] }; 3]);

    let mut raw = Raw::new_server(Limits::default());
    raw.ok(&[PREFACE, &settings(&[])].concat());
    raw.frames();
    raw.wait(Duration::from_secs(9));
    assert_eq!(raw.connection.error(), None);
    raw.wait(Duration::from_secs(2));
    assert!(matches!(raw.connection.error(), Some(ConnectionError::TimedOut(_))));
    let last = raw.frames().pop().unwrap();
    assert_eq!((last.kind, last.goaway_code()), (GOAWAY, Http2Code::SETTINGS_TIMEOUT.0));
}

/// §6.8, row 39: the last id of GOAWAY never rises; unknown codes mean nothing special; rows 62 and A25.
#[test]
fn goaway_names_what_may_be_tried_again() {
    let mut raw = client();
    let keys: Vec<_> = (0..3).map(|_| raw.connection.open(raw.now, &get(), true).unwrap()).collect();
    raw.frames();
    let unsent = raw.connection.open(raw.now, &get(), true).unwrap();
    raw.ok(&goaway(1, 0xff));
    let events = raw.events();
    assert!(events.contains(&StreamEvent::Draining));
    for key in [keys[1], keys[2], unsent] {
        assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Unprocessed));
        assert!(events.contains(&StreamEvent::Readable(key)));
    }
    assert_eq!(raw.connection.open(raw.now, &get(), true), Err(StartError::Closed));
    let head = raw.response(1, ES, &Head::response(200));
    raw.ok(&head);
    assert_eq!(raw.connection.receive_end(keys[0]), Some(ReceiveEnd::Clean));
    assert_eq!(raw.connection.closing(), Closing::ShutWrite, "nothing is left to do");

    let mut raw = client();
    let key = raw.connection.open(raw.now, &get(), true).unwrap();
    raw.frames();
    raw.ok(&goaway(1, 0));
    assert_eq!(raw.fails(&goaway(3, 0)), Http2Code::PROTOCOL_ERROR);
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Lost));
}

/// §8.1, row 46: trailers have no pseudo-fields; row 45: they end the stream.
#[test]
fn trailers_are_checked() {
    for (flags, block) in [(EH | ES, &[0x88][..]), (EH | ES, &[0x83]), (EH, &[0, 1, b'a', 1, b'b'])] {
        let mut raw = client();
        let key = raw.connection.open(raw.now, &get(), true).unwrap();
        raw.frames();
        let head = raw.response(1, 0, &Head::response(200));
        raw.ok(&head);
        assert_eq!(raw.resets(&frame(HEADERS, flags, 1, block), 1), Http2Code::PROTOCOL_ERROR);
        assert!(matches!(raw.connection.receive_end(key), Some(ReceiveEnd::Malformed(_))));
        assert_eq!(raw.connection.trailers(key), None);
    }
}

/// §8.1, row 47: any number of informational responses, before the final one; row 60: 101 does not exist.
#[test]
fn informational_responses_are_skipped() {
    let mut raw = client();
    let key = raw.connection.open(raw.now, &get(), true).unwrap();
    raw.frames();
    for status in [100, 103, 103] {
        let head = raw.response(1, 0, &Head::response(status));
        raw.ok(&head);
        assert_eq!(raw.connection.head(key), None);
    }
    let head = raw.response(1, 0, &Head::response(200));
    raw.ok(&head);
    assert_eq!(raw.connection.head(key).unwrap().status(), 200);
    let late = raw.response(1, 0, &Head::response(103));
    assert_eq!(raw.resets(&late, 1), Http2Code::PROTOCOL_ERROR);
    for (status, flags) in [(101, 0), (100, ES)] {
        let mut raw = client();
        raw.connection.open(raw.now, &get(), true).unwrap();
        raw.frames();
        let head = raw.response(1, flags, &Head::response(status));
        assert_eq!(raw.resets(&head, 1), Http2Code::PROTOCOL_ERROR);
    }
}

/// §8.1, row 48: a complete answer followed by RST_STREAM(NO_ERROR) stays complete, and stops the request.
#[test]
fn an_early_answer_is_kept() {
    let mut raw = client();
    let key = raw.connection.open(raw.now, &get(), false).unwrap();
    raw.frames();
    let head = raw.response(1, 0, &Head::response(200));
    raw.ok(&[head, frame(DATA, ES, 1, b"early"), number(RST, 1, 0)].concat());
    let events = raw.events();
    assert!(events.contains(&StreamEvent::Stopped(key, 0)), "{events:?}");
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Clean));
    assert_eq!(&raw.connection.body(key).unwrap()[..], b"early");

    let mut raw = server();
    raw.ok(&post(1, 0));
    let key = raw.opened();
    raw.connection.respond(raw.now, key, &Head::response(200), false).unwrap();
    raw.connection.push(key, b"early");
    raw.connection.finish(key);
    let kinds: Vec<_> = raw.frames().iter().map(|frame| (frame.kind, frame.number())).collect();
    assert_eq!(kinds[2..], [(RST, 0)], "after the whole answer, the rest of the request is not wanted");
    raw.ok(&frame(DATA, ES, 1, b"too late"));
    assert!(raw.frames().is_empty());
}

/// §8.1.1, rows 49 and A30: a body that is not of its content-length.
#[test]
fn content_length_is_kept() {
    let data = |bytes: &[u8], flags| frame(DATA, flags, 1, bytes);
    for (length, body) in [("5", data(b"four", ES)), ("3", data(b"four", 0)), ("1", data(b"", ES))] {
        let mut raw = server();
        raw.ok(&post_with(1, 0, &[("content-length", length)]));
        let key = raw.opened();
        assert_eq!(raw.resets(&body, 1), Http2Code::PROTOCOL_ERROR);
        assert!(matches!(raw.connection.receive_end(key), Some(ReceiveEnd::Malformed(_))));
    }
    for bad in ["+5", "5,5", "", "18446744073709551616", "0x5", "-1", "5 "] {
        let mut raw = server();
        assert_eq!(
            raw.resets(&post_with(1, 0, &[("content-length", bad)]), 1),
            Http2Code::PROTOCOL_ERROR,
            "{bad}"
        );
    }
    let twice = post_with(1, 0, &[("content-length", "4"), ("content-length", "4")]);
    assert_eq!(server().resets(&twice, 1), Http2Code::PROTOCOL_ERROR);
    assert_eq!(server().resets(&post_with(1, ES, &[("content-length", "1")]), 1), Http2Code::PROTOCOL_ERROR);
    let mut raw = server();
    raw.ok(&[post_with(1, 0, &[("content-length", "4")]), data(b"fo", 0), data(b"ur", ES)].concat());
    let key = raw.opened();
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Clean));
}

/// RFC 9110 §8.6: in answers to HEAD, and in 204 and 304, content-length promises no body; and there is none.
#[test]
fn answers_without_a_body() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        for body in [false, true] {
            let mut raw = client();
            let key = raw.connection.open(raw.now, &Head::request(method, "http", "e", "/"), true).unwrap();
            raw.frames();
            let mut head = Head::response(status);
            head.fields.push("content-length", b"10");
            let head = raw.response(1, 0, &head);
            raw.ok(&head);
            raw.ok(&frame(DATA, ES, 1, if body { b"0123456789" } else { b"" }));
            let clean = raw.connection.receive_end(key) == Some(ReceiveEnd::Clean);
            assert_eq!(clean, !body);
        }
    }
}

/// §8.2.1, rows 50 to 58: malformed requests are errors of their streams, and are never seen.
#[test]
fn malformed_requests_touch_nobody_else() {
    let mut raw = server();
    raw.ok(&post(1, 0));
    let good = raw.opened();
    let mut stream = 3;
    for fields in [
        [("x", " leading")],
        [("x", "trailing\t")],
        [("x", "a\r\nb")],
        [("X", "upper")],
        [("connection", "close")],
        [("te", "gzip")],
        [("transfer-encoding", "chunked")],
        [("host", "other.com")],
        [("x y", "space")],
        [(":path", "/late")],
    ] {
        assert_eq!(
            raw.resets(&post_with(stream, ES, &fields), stream),
            Http2Code::PROTOCOL_ERROR,
            "{fields:?}"
        );
        stream += 2;
    }
    for block in [&[0x82][..], &[0x83, 0x86, 4, 1, b'a', 1, 1, b'e'], &[0x88]] {
        assert_eq!(raw.resets(&frame(HEADERS, EH | ES, stream, block), stream), Http2Code::PROTOCOL_ERROR);
        stream += 2;
    }
    assert!(raw.all_opened().is_empty());
    raw.ok(&frame(DATA, ES, 1, b"fine"));
    assert_eq!(raw.connection.receive_end(good), Some(ReceiveEnd::Clean));
}

/// §8.2.3, row 61: crumbs of cookies are joined.
#[test]
fn cookies_are_joined() {
    let mut raw = server();
    raw.ok(&post_with(1, ES, &[("cookie", "a=b"), ("x", "1"), ("cookie", "c=d")]));
    let key = raw.opened();
    assert_eq!(raw.connection.head(key).unwrap().fields.get("cookie"), Some(&b"a=b; c=d"[..]));
}

/// §8.3.1, row 59: a client sends `:authority`, and no `host`; rows 52 and 54: nothing that may not be sent.
#[test]
fn requests_are_clean() {
    let mut raw = client();
    let mut head = get();
    head.fields.push("host", b"e.com");
    head.fields.push("connection", b"close");
    head.fields.push("x", b"1");
    raw.connection.open(raw.now, &head, true).unwrap();
    let frames = raw.frames();
    let mut decoder = Decoder::new(4096, DecoderLimits::default());
    let mut fields = Vec::new();
    decoder
        .decode_fields(&frames[0].payload, &mut |name, value, _| fields.push((name.to_vec(), value.to_vec())))
        .unwrap();
    let names: Vec<_> = fields.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
    assert_eq!(names, [":method", ":scheme", ":authority", ":path", "x"]);
    for (method, scheme, path) in
        [("GET", "http", ""), ("GET", "", "/"), ("G T", "http", "/"), ("GET", "http", "a")]
    {
        let head = Head::request(method, scheme, "e.com", path);
        assert!(matches!(raw.connection.open(raw.now, &head, true), Err(StartError::Misuse(_))));
    }
}

/// Row 63: frames of later documents are ignored.
#[test]
fn unknown_frames_are_ignored() {
    let mut raw = server();
    for kind in [0x0a, 0x0c, 0x10, 0x77, 0xff] {
        raw.ok(&frame(kind, 0xff, 0, b"\0\0\0\x01u=1"));
        raw.ok(&frame(kind, 0xff, 9, b""));
    }
    assert!(raw.frames().is_empty());
    raw.ok(&frame(HEADERS, 0, 1, POST));
    assert_eq!(raw.fails(&frame(0x77, 0, 1, b"")), Http2Code::PROTOCOL_ERROR, "not within a header block");
}
