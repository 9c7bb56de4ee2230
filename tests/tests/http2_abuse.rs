//! What peers will try: each attack is stopped, and honest traffic of its kind is not. `A1` to `A30` are the names of
//! the attacks in the project's list.

use std::time::Duration;

use antiphon::{
    Closing, ConnectionError, Head, Http2Code, HttpConnection, Limits, Machine, ReceiveEnd, SendError,
    StreamEvent, StreamKey,
};
use antiphon_tests::h2kit::*;

const CALM: Http2Code = Http2Code::ENHANCE_YOUR_CALM;

fn server() -> Raw {
    Raw::server(Limits::default())
}

/// Feeds frames until the connection ends, reading all that it says; returns after how many, and the code.
fn until_it_ends(
    raw: &mut Raw,
    most: usize,
    mut next: impl FnMut(usize) -> Vec<u8>,
) -> Option<(usize, Http2Code)> {
    for count in 0..most {
        if let Err(error) = raw.feed(&next(count)) {
            let ConnectionError::Http2 { code, .. } = error else { panic!("{error}") };
            return Some((count, code));
        }
        raw.frames();
        raw.events();
    }
    None
}

/// The same frame again and again, each after a pause: never the end.
fn honest(pause: Duration, count: usize, mut next: impl FnMut(usize) -> Vec<u8>) {
    let mut raw = server();
    raw.ok(&post(1, 0));
    for index in 0..count {
        raw.ok(&next(index));
        raw.frames();
        raw.events();
        raw.wait(pause);
    }
}

fn answer(raw: &mut Raw, key: StreamKey, bytes: usize) {
    raw.connection.respond(raw.now, key, &Head::response(200), false).unwrap();
    raw.connection.push(key, &vec![0; bytes]);
    raw.connection.finish(key);
}

/// A1 and A18: an answer whose credit dribbles goes on, one that gets none ends, and no live handler is hurt.
#[test]
fn a1_a18_held_output() {
    let mut raw = server();
    raw.ok(&settings(&[(4, 0)]));
    let mut keys = Vec::new();
    for stream in (1..200).step_by(2) {
        raw.ok(&post(stream, ES));
        keys.push(raw.opened());
    }
    let live = keys[0];
    raw.connection.respond(raw.now, live, &Head::response(200), false).unwrap();
    while raw.connection.poll_room(live).is_ok() {
        raw.connection.push(live, &[0; 10_000]);
    }
    assert_eq!(raw.connection.poll_room(live), Err(SendError::Blocked), "64 KiB are enough");
    for key in &keys[1..] {
        answer(&mut raw, *key, 1000);
        raw.connection.drop_stream(raw.now, *key);
    }
    raw.frames();
    for _ in 0..3 {
        raw.wait(Duration::from_secs(20));
        let frames = raw.ask(&number(UPDATE, 3, 1));
        assert!(frames.iter().any(|frame| frame.kind == DATA && frame.stream == 3), "slow is not stalled");
    }
    assert_eq!(raw.connection.open_streams(), 2, "those without credit are gone, and their slots");
    assert_eq!(raw.connection.poll_room(live), Err(SendError::Blocked), "a live handler is not finished");
}

/// A2: PINGs whose answers nobody reads stop the reading; PINGs that are read end the connection.
#[test]
fn a2_ping_flood() {
    let ping = frame(PING, 0, 0, &[7; 8]);
    let mut raw = server();
    for _ in 0..1000 {
        raw.ok(&ping);
    }
    assert!(!raw.connection.wants_input() && raw.leftover() == 990 * 17);
    assert_eq!(raw.frames().len(), 10);
    assert!(raw.connection.wants_input(), "the ten are out: read on");

    let mut raw = server();
    let (count, code) = until_it_ends(&mut raw, 10_000, |_| ping.clone()).unwrap();
    assert!(count <= 2_100 && code == CALM);
    honest(Duration::from_millis(10), 20_000, |_| ping.clone());
}

/// A3: PRIORITY makes no state.
#[test]
fn a3_priority_churn() {
    let mut raw = server();
    let priority = |count: usize| frame(PRIORITY, 0, 2 * count as u32 + 1, &[0, 0, 0, 0, 16]);
    let (count, code) = until_it_ends(&mut raw, 200_000, priority).unwrap();
    assert!(count <= 2_001 && code == CALM);
    assert_eq!(raw.connection.stats().opened, 0);
    honest(Duration::from_millis(10), 10_000, priority);
}

/// A4, A6 and A28: malformed heads cost one reset each, then the connection.
#[test]
fn a4_a6_malformed_heads() {
    for fields in [[("", "")], [("A", "b")], [("te", "x")]] {
        let bad = |count: usize| post_with(2 * count as u32 + 3, ES, &fields);
        let mut raw = server();
        let (count, code) = until_it_ends(&mut raw, 10_000, bad).unwrap();
        assert!(count <= 101 && code == CALM);
        honest(Duration::from_millis(100), 1000, bad);
    }
    // Nobody reads the resets.
    let mut raw = server();
    let error = (0..100_000).find_map(|count| raw.feed(&post_with(2 * count + 1, ES, &[("A", "b")])).err());
    assert!(matches!(error, Some(ConnectionError::Http2 { code: CALM, .. })));
}

/// A5: SETTINGS.
#[test]
fn a5_settings_flood() {
    let mut raw = server();
    let (count, code) = until_it_ends(&mut raw, 200_000, |_| settings(&[])).unwrap();
    assert!(count <= 2_001 && code == CALM);
    let mut raw = server();
    for stream in (1..200).step_by(2) {
        raw.ok(&post(stream, ES));
    }
    let flips: Vec<_> = (0..32).map(|index| (4, (index % 2) * 0x7fff_ffff)).collect();
    let (count, code) = until_it_ends(&mut raw, 10_000, |_| settings(&flips)).unwrap();
    assert!(count <= 2_000 / 33 + 1 && code == CALM, "A16");
    assert_eq!(server().fails(&settings(&[(9, 9); 33])), CALM);
    server().ok(&settings(&[(9, 9); 32]));
    honest(Duration::from_millis(100), 1000, |_| settings(&[(3, 7), (4, 100)]));
}

/// A7: frames of nothing, and messages of one byte.
#[test]
fn a7_tiny_data() {
    let mut raw = server();
    raw.ok(&post(1, 0));
    let (count, code) = until_it_ends(&mut raw, 10_000, |_| frame(DATA, 0, 1, b"")).unwrap();
    assert!(count <= 2_001 && code == CALM);

    // Honest: small messages without end, each read.
    let mut raw = server();
    raw.ok(&post(1, 0));
    let key = raw.opened();
    for _ in 0..200_000 {
        raw.ok(&frame(DATA, 0, 1, b"x"));
        assert_eq!(raw.connection.body(key).unwrap().split().len(), 1);
        raw.connection.release(raw.now, key, 1).unwrap();
        raw.frames();
    }
    // Not read: the window is the bound.
    let mut raw = server();
    raw.ok(&post(1, 0));
    let one = frame(DATA, 0, 1, b"x");
    let reset = (0..70_000).position(|_| raw.ask(&one).iter().any(|frame| frame.kind == RST));
    assert_eq!(reset, Some(65_536));
}

/// A8: opening and resetting at once.
#[test]
fn a8_rapid_reset() {
    // The application lets go at once.
    let mut raw = server();
    let mut seen = 0;
    let attack = |count: u32| [post(2 * count + 1, ES), number(RST, 2 * count + 1, 8)].concat();
    let error = (0..100_000).find_map(|count| {
        let error = raw.feed(&attack(count)).err();
        for key in raw.all_opened() {
            seen += 1;
            raw.connection.drop_stream(raw.now, key);
        }
        error
    });
    assert!(matches!(error, Some(ConnectionError::Http2 { code: CALM, .. })));
    assert!(seen <= 1_200, "{seen}");
    // The application holds on: its handles are bounded.
    let mut raw = server();
    let mut held = Vec::new();
    for count in 0..900 {
        raw.ok(&attack(count));
        raw.frames();
        held.extend(raw.all_opened());
    }
    assert_eq!(held.len(), 200, "100 streams and 100 zombies");
    assert_eq!(raw.connection.stats().refused, 700);
    // Honest: a third of all calls is cancelled, for ever.
    let mut raw = server();
    for count in 0..60_000_u32 {
        let stream = 2 * count + 1;
        raw.ok(&post(stream, ES));
        let key = raw.opened();
        if count % 3 == 0 {
            raw.ok(&number(RST, stream, 8));
        } else {
            raw.connection.respond(raw.now, key, &Head::response(200), true).unwrap();
        }
        raw.frames();
        raw.connection.drop_stream(raw.now, key);
        raw.wait(Duration::from_millis(1));
    }
}

/// A9: errors that make us reset a stream free no slot before the application lets go, and are counted.
#[test]
fn a9_made_resets() {
    let triggers: [fn(u32) -> Vec<u8>; 7] = [
        |stream| number(UPDATE, stream, 0),
        |stream| number(UPDATE, stream, 0x7fff_ffff),
        |stream| frame(PRIORITY, 0, stream, &[0; 4]),
        |stream| [frame(DATA, ES, stream, b""), post(stream, ES)].concat(),
        |stream| [frame(DATA, ES, stream, b""), frame(DATA, 0, stream, b"x")].concat(),
        |stream| frame(HEADERS, EH, stream, &[0, 1, b'a', 1, b'b']),
        |stream| [&frame(DATA, 0, stream, &[0; 16_384])[..]; 5].concat(),
    ];
    for trigger in triggers {
        let mut raw = server();
        let mut held = Vec::new();
        let mut ended = None;
        for count in 0..10_000 {
            let stream = 2 * count + 1;
            if let Err(error) = raw.feed(&[post(stream, 0), trigger(stream)].concat()) {
                ended = Some((count, error));
                break;
            }
            raw.frames();
            held.extend(raw.all_opened());
        }
        let Some((count, ConnectionError::Http2 { code: CALM, .. })) = ended else { panic!("{ended:?}") };
        assert!((100..=101).contains(&count) && held.len() <= 200);
        // Honest mistakes, now and then.
        let mut raw = server();
        for count in 0..1000 {
            let stream = 2 * count + 1;
            raw.ok(&[post(stream, 0), trigger(stream)].concat());
            raw.frames();
            for key in raw.all_opened() {
                raw.connection.drop_stream(raw.now, key);
            }
            raw.wait(Duration::from_millis(110));
        }
    }
}

/// A10 and A19: header blocks that never end, in frames, in bytes and in time.
#[test]
fn a10_a19_endless_heads() {
    let mut raw = server();
    raw.ok(&frame(HEADERS, 0, 1, POST));
    let (count, code) = until_it_ends(&mut raw, 100, |_| frame(CONTINUATION, 0, 1, b"")).unwrap();
    assert_eq!((count, code), (8, CALM));
    let mut raw = server();
    raw.ok(&frame(HEADERS, 0, 1, &[0x82; 16_384]));
    raw.ok(&frame(CONTINUATION, 0, 1, &[0x82; 16_384]));
    assert_eq!(raw.fails(&frame(CONTINUATION, 0, 1, &[0x82; 1])), CALM);
    // Honest: eight are enough for anybody.
    let mut raw = server();
    raw.ok(&frame(HEADERS, ES, 1, &POST[..1]));
    for at in 1..8 {
        raw.ok(&frame(CONTINUATION, 0, 1, &POST[at..=at]));
    }
    raw.ok(&frame(CONTINUATION, EH, 1, &POST[8..]));
    raw.opened();

    for slow in [frame(HEADERS, 0, 1, POST), post(1, ES)] {
        let mut raw = server();
        let mut seconds = 0;
        for byte in slow {
            if raw.feed(&[byte]).is_err() {
                break;
            }
            raw.wait(Duration::from_secs(1));
            seconds += 1;
        }
        raw.wait(Duration::from_secs(15));
        assert!(seconds <= 22 && matches!(raw.connection.error(), Some(ConnectionError::TimedOut(_))));
    }
    let mut raw = Raw::new_server(Limits::default());
    raw.wait(Duration::ZERO);
    for byte in PREFACE {
        if raw.feed(&[*byte]).is_err() {
            break;
        }
        assert!(raw.connection.poll_timeout().is_some(), "there is always a deadline");
        raw.wait(Duration::from_secs(1));
    }
    assert!(matches!(raw.connection.error(), Some(ConnectionError::TimedOut(_))));
    // Honest: a long body, slowly.
    let mut raw = server();
    raw.ok(&post(1, 0));
    for byte in frame(DATA, 0, 1, &[0; 100]) {
        raw.ok(&[byte]);
        raw.wait(Duration::from_secs(1));
    }
}

/// A11 and A13: small blocks that mean large heads; the decoder stays in step.
#[test]
fn a11_a13_header_bombs() {
    let bomb = |stream: u32, count: usize| {
        let seed = [POST, &[0x40, 1, b'a', 0]].concat();
        let first = frame(HEADERS, ES, stream, &seed);
        [first, frame(CONTINUATION, EH, stream, &vec![0xbe; count])].concat()
    };
    let mut raw = server();
    raw.ok(&bomb(1, 600));
    let key = raw.opened();
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::TooLarge));
    assert_eq!(raw.connection.head(key).unwrap().path(), "/a", "enough is known to answer 431");
    assert!(raw.connection.head(key).unwrap().fields.is_empty());
    answer(&mut raw, key, 10);
    assert_eq!(raw.frames().len(), 2);
    // The last insertion of the block that was too large is there for the next.
    raw.ok(&frame(HEADERS, EH | ES, 3, &[POST, &[0xbe]].concat()));
    let key = raw.opened();
    assert_eq!(raw.connection.head(key).unwrap().fields.get("a"), Some(&b""[..]));
    assert_eq!(server().fails(&bomb(1, 16_000)), CALM);
    // Honest: a head of 12 KiB.
    let fields: Vec<_> = (0..100).map(|_| ("x-some-field", "x".repeat(90))).collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    server().ok(&post_with(1, ES, &fields));
}

/// A14: updates that nobody needs.
#[test]
fn a14_update_flood() {
    let mut raw = server();
    let (count, code) = until_it_ends(&mut raw, 200_000, |_| number(UPDATE, 0, 1)).unwrap();
    assert!(count <= 2_011 && code == CALM);
    // Honest: two for each frame of data.
    let mut raw = server();
    raw.ok(&[post(1, ES), settings(&[(4, 0)])].concat());
    let key = raw.opened();
    raw.connection.respond(raw.now, key, &Head::response(200), false).unwrap();
    raw.frames();
    for _ in 0..20_000 {
        raw.connection.push(key, b"x");
        let frames = raw.ask(&[number(UPDATE, 1, 1), number(UPDATE, 0, 1)].concat());
        assert_eq!(frames.len(), 1);
    }
}

/// A15: settings that abuse our writer.
#[test]
fn a15_settings_against_the_writer() {
    let values = [0, 1, 16_383, 16_384, 16_385, (1 << 24) - 1, 1 << 24, 1 << 31, u32::MAX];
    for id in 0..8 {
        for value in values {
            let mut raw = Raw::client(Limits::default(), &[]);
            if raw.feed(&settings(&[(id, value)])).is_ok() {
                let head = Head::request("POST", "http", "e.com", "/");
                if let Ok(key) = raw.connection.open(raw.now, &head, false) {
                    raw.connection.push(key, &[0; 1000]);
                    raw.connection.finish(key);
                }
            }
            assert!(raw.frames().len() <= 4, "{id} {value}");
            let mut raw = server();
            raw.ok(&post(1, ES));
            let key = raw.opened();
            if raw.feed(&settings(&[(id, value)])).is_ok() {
                answer(&mut raw, key, 1000);
            }
            assert!(raw.frames().len() <= 4, "{id} {value}");
        }
    }
}

/// A20: unknown frames.
#[test]
fn a20_unknown_frames() {
    for kind in 10..=255 {
        for len in [0, 1, 16_384] {
            server().ok(&frame(kind, 0xff, 3, &vec![0; len]));
        }
    }
    let mut raw = server();
    let (count, code) = until_it_ends(&mut raw, 200_000, |_| frame(0x77, 0, 0, &[0; 16])).unwrap();
    assert!(count <= 2_001 && code == CALM);
}

/// A22: DATA on streams in every dead state costs no credit: then a large body still arrives.
#[test]
fn a22_credit_survives_dead_streams() {
    let mut raw = server();
    let mut sent = 0_u64;
    let mut raised = 0_u64;
    let mut stream = 1;
    for round in 0..600 {
        raw.ok(&post(stream, 0));
        let key = raw.opened();
        match round % 3 {
            0 => raw.connection.reset(raw.now, key, 8),
            1 => raw.connection.drop_stream(raw.now, key),
            _ => answer(&mut raw, key, 10),
        }
        let frames = raw.frames();
        raised += credit(&frames);
        let frames = raw.ask(&frame(DATA, ES, stream, &[0; 10_000]));
        raised += credit(&frames);
        sent += 10_000;
        if raw.connection.knows(key) {
            raw.connection.drop_stream(raw.now, key);
        }
        stream += 2;
    }
    assert!(sent - raised < 512 * 1024 + 1, "{sent} {raised}");
    assert_eq!(raw.connection.open_streams(), 0);
}

fn credit(frames: &[Frame]) -> u64 {
    frames
        .iter()
        .filter(|frame| frame.kind == UPDATE && frame.stream == 0)
        .map(|frame| u64::from(frame.number()))
        .sum()
}

/// A23: streams that nobody reads take nothing from the others.
#[test]
fn a23_unread_streams_starve_nobody() {
    let mut raw = server();
    for stream in (1..199).step_by(2) {
        raw.ok(&post(stream, 0));
        for _ in 0..4 {
            raw.ok(&frame(DATA, 0, stream, &[0; 16_384]));
            raw.frames();
        }
    }
    raw.events();
    raw.ok(&post(199, 0));
    let key = raw.opened();
    for _ in 0..1000 {
        raw.ok(&frame(DATA, 0, 199, &[0; 1000]));
        raw.connection.body(key).unwrap().clear();
        raw.connection.release(raw.now, key, 1000).unwrap();
        raw.frames();
    }
    raw.ok(&frame(DATA, ES, 199, b""));
    assert_eq!(raw.connection.receive_end(key), Some(ReceiveEnd::Clean));
}

/// A24: more streams than allowed, before the peer can know it: refused, and nobody is blamed.
#[test]
fn a24_streams_before_the_limit_is_known() {
    let mut raw = Raw::new_server(Limits::default());
    let requests: Vec<u8> = (0..150).flat_map(|count| post(2 * count + 1, ES)).collect();
    raw.ok(&[PREFACE, &settings(&[]), &requests].concat());
    assert_eq!(raw.all_opened().len(), 100);
    let resets: Vec<_> = raw.frames().into_iter().filter(|frame| frame.kind == RST).collect();
    assert_eq!(resets.len(), 50);
    assert!(resets.iter().all(|frame| frame.number() == Http2Code::REFUSED_STREAM.0));
    assert_eq!(raw.connection.stats().provoked, 0);
    // Who goes on when it knows better is blamed.
    raw.ok(&frame(SETTINGS, ES, 0, &[]));
    let (count, code) = until_it_ends(&mut raw, 1000, |count| post(2 * count as u32 + 1001, ES)).unwrap();
    assert!(count <= 101 && code == CALM);
}

/// A25: GOAWAY before each frame of an exchange, in both roles.
#[test]
fn a25_goaway_anywhere() {
    for at in 0..4 {
        let mut raw = Raw::client(Limits::default(), &[]);
        let head = Head::request("POST", "http", "e.com", "/");
        let keys: Vec<_> = (0..2).map(|_| raw.connection.open(raw.now, &head, true).unwrap()).collect();
        raw.frames();
        let head = raw.response(1, 0, &Head::response(200));
        let mut frames = vec![head, frame(DATA, 0, 1, b"x"), frame(DATA, ES, 1, b"y")];
        frames.insert(at, goaway(1, 0));
        let result = raw.feed(&frames.concat());
        assert_eq!(result, Ok(()));
        assert_eq!(raw.connection.receive_end(keys[0]), Some(ReceiveEnd::Clean));
        assert_eq!(raw.connection.receive_end(keys[1]), Some(ReceiveEnd::Unprocessed));
        assert_eq!(raw.connection.closing(), Closing::ShutWrite);
    }
    for at in 0..3 {
        let mut raw = server();
        let mut frames = vec![post(1, 0), frame(DATA, ES, 1, b"x")];
        frames.insert(at, goaway(0, 0));
        raw.ok(&frames.concat());
        let events = raw.events();
        let Some(StreamEvent::Opened(key)) =
            events.iter().find(|event| matches!(event, StreamEvent::Opened(_)))
        else {
            panic!("{events:?}")
        };
        answer(&mut raw, *key, 1);
        assert_eq!(raw.frames().len(), 2);
    }
}

/// A29: targets that could pass an authorisation by.
#[test]
fn a29_strange_targets() {
    let block = |path: &str, authority: Option<&str>, host: Option<&str>| {
        let mut block = vec![0x83, 0x86, 4, path.len() as u8];
        block.extend(path.as_bytes());
        if let Some(authority) = authority {
            block.extend([1, authority.len() as u8]);
            block.extend(authority.as_bytes());
        }
        block.extend(literals(&host.map(|host| ("host", host)).into_iter().collect::<Vec<_>>()));
        frame(HEADERS, EH | ES, 1, &block)
    };
    for (path, authority, host) in [
        ("a", Some("e.com"), None),
        ("", Some("e.com"), None),
        ("*", Some("e.com"), None),
        ("/a#b", Some("e.com"), None),
        ("/a b", Some("e.com"), None),
        ("/a", Some("user@e.com"), None),
        ("/a", Some("e.com"), Some("f.com")),
    ] {
        let code = server().resets(&block(path, authority, host), 1);
        assert_eq!(code, Http2Code::PROTOCOL_ERROR, "{path} {authority:?} {host:?}");
    }
    for (authority, host) in [(Some("e.com"), Some("e.com")), (None, Some("e.com"))] {
        let mut raw = server();
        raw.ok(&block("/a", authority, host));
        let key = raw.opened();
        assert_eq!(raw.connection.head(key).unwrap().authority(), Some("e.com"));
    }
}

/// Credit: a message that holds a reservation and does not come ends its stream; a reader that pauses does not.
#[test]
fn stalled_assembly() {
    let mut raw = server();
    raw.ok(&[post(1, 0), post(3, 0)].concat());
    let keys = raw.all_opened();
    raw.connection.demand(raw.now, keys[0], 1 << 20).unwrap();
    raw.connection.demand(raw.now, keys[1], 1000).unwrap();
    raw.wait(Duration::from_secs(30 + 256 - 1));
    assert_eq!(raw.connection.receive_end(keys[0]), None);
    raw.wait(Duration::from_secs(2));
    assert_eq!(raw.connection.receive_end(keys[0]), Some(ReceiveEnd::Stalled));
    assert_eq!(raw.connection.receive_end(keys[1]), None, "up to the window nobody is hurried");
    answer(&mut raw, keys[0], 1);
    let kinds: Vec<_> = raw.frames().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [HEADERS, DATA, RST], "a server may still say why");
}
