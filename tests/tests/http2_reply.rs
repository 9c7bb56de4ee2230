//! A whole answer in one operation is what its parts are one after the other, whatever the windows let pass.

use antiphon::http2::hpack::{Decoder, DecoderLimits, Verdict};
use antiphon::{Fields, Head, HttpConnection, Limits, Misuse, Reply, SendError, StreamKey};
use antiphon_tests::h2kit::*;

/// A server with one request, whose client has given its streams windows of this size.
fn server(window: u32) -> (Raw, StreamKey) {
    let mut raw = Raw::new_server(Limits::default());
    raw.ok(&[PREFACE, &settings(&[(4, window)]), &frame(SETTINGS, ES, 0, &[])].concat());
    raw.frames();
    raw.ok(&post(1, ES));
    let key = raw.opened();
    (raw, key)
}

fn fields(list: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    list.iter().for_each(|(name, value)| fields.push(name, value.as_bytes()));
    fields
}

fn give(raw: &mut Raw, key: StreamKey, reply: &Reply<'_>, whole: bool) -> Result<(), SendError> {
    let now = raw.now;
    if whole { raw.connection.reply(now, key, reply) } else { raw.connection.reply_in_parts(now, key, reply) }
}

// RFC 9113 §6.9: DATA obeys the windows, HEADERS do not. §8.1: head, body, trailers.
#[test]
fn a_reply_is_its_parts() {
    let mut head = Head::response(200);
    head.fields = fields(&[("content-type", "application/grpc"), ("x-tag", "a")]);
    let trailers = fields(&[("grpc-status", "0")]);
    for window in [0, 1, 20, 21, 22, 5000, 65_535] {
        for len in [0, 1, 21, 4096, 4097, 20_000, 70_000] {
            for trailers in [None, Some(&trailers)] {
                let body = vec![7; len];
                let (first, rest) = body.split_at(len / 3);
                let reply = Reply { head: &head, body: [first, &[], rest], trailers };
                let sent = [true, false].map(|whole| {
                    let (mut raw, key) = server(window);
                    give(&mut raw, key, &reply, whole).unwrap();
                    raw.connection.drop_stream(raw.now, key);
                    let mut turns = vec![raw.frames()];
                    for update in [1, 19, 3, 30_000, 50_000] {
                        let more = [number(UPDATE, 1, update), number(UPDATE, 0, update)].concat();
                        turns.push(raw.ask(&more));
                    }
                    turns
                });
                assert_eq!(sent[0], sent[1], "{window} {len}");
                let data = sent[0].iter().flatten().filter(|frame| frame.kind == DATA);
                let bytes: usize = data.map(|frame| frame.payload.len()).sum();
                assert!(bytes == len || window < 5000 && bytes < len, "{window} {len} {bytes}");
            }
        }
    }
}

// RFC 7541 §4.2: what must be told of the table's size begins the next block, that of an answer made before as well.
#[test]
fn a_size_update_comes_before_an_answer_that_waits() {
    let (mut raw, key) = server(65_535);
    let head = Head::response(200);
    let reply = Reply { head: &head, body: [b"hello", &[], &[]], trailers: None };
    give(&mut raw, key, &reply, true).unwrap();
    let frames = raw.ask(&settings(&[(1, 0)]));
    let block = frames.iter().find(|frame| frame.kind == HEADERS).unwrap();
    assert_eq!(block.payload[0], 0x20, "a table size update to 0");
    let mut decoder = Decoder::new(4096, DecoderLimits::default());
    decoder.set_max_table(0);
    let mut got = Head::default();
    assert_eq!(decoder.decode(&block.payload, &mut got), Ok(Verdict::Good));
    assert_eq!(got, head);
    assert!(frames.iter().any(|frame| frame.kind == DATA && frame.payload == b"hello" && frame.flags == ES));
}

#[test]
fn a_reply_is_refused_as_a_head_is() {
    let (mut raw, key) = server(65_535);
    let [good, informational, switching] = [200, 103, 101].map(Head::response);
    let reply = |head| Reply { head, body: [b"a", &[], &[]], trailers: None };
    let unknown = StreamKey { index: 9, generation: 9 };
    assert_eq!(give(&mut raw, unknown, &reply(&good), true), Err(Misuse::UnknownCall.into()));
    assert_eq!(give(&mut raw, key, &reply(&switching), true), Err(Misuse::WrongState.into()));
    // An informational head comes first, then the answer with it.
    let now = raw.now;
    raw.connection.respond(now, key, &informational, false).unwrap();
    give(&mut raw, key, &reply(&good), true).unwrap();
    assert_eq!(give(&mut raw, key, &reply(&good), true), Err(Misuse::HeadersSent.into()));
    let kinds: Vec<_> = raw.frames().iter().map(|frame| (frame.kind, frame.flags)).collect();
    assert_eq!(kinds, [(HEADERS, EH), (HEADERS, EH), (DATA, ES)]);
    // A stream that is gone takes nothing.
    raw.ok(&post(3, ES));
    let key = raw.opened();
    raw.ok(&number(RST, 3, 8));
    assert_eq!(give(&mut raw, key, &reply(&good), true), Err(SendError::Ended));
    // Reset with an answer on its way: nothing of it is sent.
    raw.ok(&post(5, ES));
    let key = raw.opened();
    give(&mut raw, key, &reply(&good), true).unwrap();
    assert_eq!(raw.ask(&number(RST, 5, 8)), []);
}

// Answers that take turns, and more kinds of them than are remembered.
#[test]
fn answers_may_differ() {
    let (mut raw, _) = server(65_535);
    let mut decoder = Decoder::new(4096, DecoderLimits::default());
    for round in 0..40_u32 {
        let stream = 3 + 2 * round;
        raw.ok(&post(stream, ES));
        let key = raw.opened();
        let mut head = Head::response(if round % 5 == 0 { 404 } else { 200 });
        head.fields = fields(&[("x-kind", ["a", "b", "c"][round as usize % 3])]);
        let trailers = fields(&[("x-end", if round % 4 == 0 { "1" } else { "2" })]);
        let body = vec![round as u8; 1 + round as usize];
        let reply =
            Reply { head: &head, body: [&body, &[], &[]], trailers: (round % 7 > 0).then_some(&trailers) };
        give(&mut raw, key, &reply, true).unwrap();
        let frames = raw.frames();
        assert!(frames.iter().all(|frame| frame.stream == stream));
        assert_eq!(frames[1].payload, body);
        let mut got = Head::default();
        assert_eq!(decoder.decode(&frames[0].payload, &mut got), Ok(Verdict::Good));
        assert_eq!(got, head, "round {round}");
        assert_eq!(frames.len(), if reply.trailers.is_some() { 3 } else { 2 });
        if let Some(frame) = frames.get(2) {
            assert_eq!(decoder.decode(&frame.payload, &mut got), Ok(Verdict::Good));
            assert_eq!((&got.fields, frame.flags), (&trailers, EH | ES), "round {round}");
        }
        raw.connection.drop_stream(raw.now, key);
    }
}
