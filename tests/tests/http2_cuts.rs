//! Where the bytes are cut changes nothing: the laws L1, L2, L3 and L5, on transcripts with every feature.

use std::collections::BTreeMap;

use antiphon::http2::Connection;
use antiphon::http2::hpack::{Decoder, DecoderLimits, Verdict};
use antiphon::{
    ConnectionError, Fields, Head, HttpConnection, Instant, Limits, Machine, Output, ReceiveEnd, StreamEvent,
    StreamKey,
};
use antiphon_tests::h2kit::*;
use bytes::BytesMut;

const NOW: Instant = Instant::EPOCH;

/// Transcripts of a client, each with its preface.
fn transcripts() -> Vec<Vec<u8>> {
    let start =
        [PREFACE, &settings(&[(4, 100_000), (1, 0), (1, 4096)]), &frame(SETTINGS, ES, 0, &[])].concat();
    let good = [
        frame(HEADERS, 0, 1, &POST[..3]),
        frame(CONTINUATION, 0, 1, &POST[3..4]),
        frame(CONTINUATION, EH, 1, &[&POST[4..], &[0x40, 1, b'a', 1, b'b']].concat()),
        frame(DATA, PADDED, 1, &[&[3][..], b"hello", &[0, 0, 0]].concat()),
        frame(PING, 0, 0, b"12345678"),
        post(3, 0),
        frame(DATA, 0, 3, &[9; 300]),
        frame(0x42, 7, 9, b"what"),
        frame(PRIORITY, 0, 5, &[0, 0, 0, 1, 16]),
        number(UPDATE, 0, 1000),
        frame(DATA, 0, 1, b", world"),
        frame(HEADERS, EH | ES | 0x20, 5, &[&[0, 0, 0, 0, 9][..], POST, &[0xbe]].concat()),
        number(RST, 3, 8),
        settings(&[(4, 70_000)]),
        frame(HEADERS, EH | ES, 1, &[0, 1, b's', 1, b'7']),
        post_with(7, ES, &[("Bad", "name")]),
        post(9, 0),
        number(UPDATE, 9, 5),
        frame(DATA, ES, 9, &[1; 50]),
        goaway(0, 0),
    ];
    let errors = [
        frame(PING, 0, 0, b"short"),
        frame(DATA, 0, 99, b"idle"),
        frame(HEADERS, EH, 11, &[0xff, 0xff, 0xff, 0xff, 0xff]),
        b"\0\xff\xff\0\0\0\0\0\x01".to_vec(),
        frame(HEADERS, 0, 11, POST),
    ];
    let mut all = vec![[&start[..], &good.concat()].concat()];
    for (at, error) in errors.iter().enumerate() {
        all.push([&start[..], &good[..4 * at].concat(), error, &post(21, ES)].concat());
    }
    all
}

/// A server whose application reads and answers when told to.
struct Subject {
    server: Connection,
    input: BytesMut,
    output: Vec<u8>,
    events: Vec<StreamEvent>,
    /// By stream, in order of opening: head, body, end, trailers.
    calls: BTreeMap<u32, Call>,
    keys: Vec<StreamKey>,
    error: Option<ConnectionError>,
}

#[derive(Default, PartialEq, Debug)]
struct Call {
    path: String,
    body: Vec<u8>,
    end: Option<ReceiveEnd>,
    trailers: Option<Fields>,
}

impl Subject {
    fn new() -> Self {
        Self {
            server: Connection::server(Limits::default()),
            input: BytesMut::new(),
            output: Vec::new(),
            events: Vec::new(),
            calls: BTreeMap::new(),
            keys: Vec::new(),
            error: None,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let result = self.server.handle_input(NOW, &mut self.input);
        assert!(self.error.is_none() || result == self.error.map_or(Ok(()), Err), "sticky");
        self.error = result.err();
    }

    fn send(&mut self, slow: bool) {
        let mut out = Output::new();
        while self.server.poll_transmit(NOW, &mut out) {
            while !out.is_empty() {
                let mut slices = [std::io::IoSlice::new(&[])];
                out.slices(&mut slices);
                let step = if slow { 1 } else { slices[0].len() };
                self.output.extend_from_slice(&slices[0][..step]);
                out.advance(step);
            }
        }
    }

    /// Takes all notices, reads all, and answers what is complete.
    fn work(&mut self) {
        while let Some(event) = self.server.poll_event() {
            self.events.push(event);
            if let StreamEvent::Opened(key) = event {
                self.keys.push(key);
            }
        }
        for (number, key) in self.keys.clone().into_iter().enumerate() {
            let call = self.calls.entry(number as u32).or_default();
            call.path = self.server.head(key).unwrap().path().to_owned();
            let body = self.server.body(key).unwrap().split();
            call.body.extend_from_slice(&body);
            self.server.release(NOW, key, body.len()).unwrap();
            call.end = self.server.receive_end(key);
            call.trailers = self.server.trailers(key).cloned();
            if call.end == Some(ReceiveEnd::Clean)
                && self.server.respond(NOW, key, &Head::response(200), false).is_ok()
            {
                self.server.push(key, &[3; 20_000]);
                self.server.finish(key);
            }
        }
    }

    /// What must not depend on when the application worked: the answers by stream, and the acknowledgements.
    fn canonical(&self) -> BTreeMap<(u32, u8), Vec<u8>> {
        let mut canonical: BTreeMap<(u32, u8), Vec<u8>> = BTreeMap::new();
        let (frames, used) = parse(&self.output);
        assert_eq!(used, self.output.len());
        let mut decoder = Decoder::new(4096, DecoderLimits::default());
        let mut head = Head::default();
        for frame in frames.iter().filter(|frame| frame.kind != UPDATE) {
            let entry = canonical.entry((frame.stream, frame.kind)).or_default();
            if frame.kind == HEADERS {
                // The first block on the wire has a size update, whosever it is.
                assert_eq!(decoder.decode(&frame.payload, &mut head), Ok(Verdict::Good));
                entry.extend(head.status().to_be_bytes());
            } else {
                entry.extend(&frame.payload);
            }
            // The end of a stream, and whether it is an acknowledgement.
            entry.extend((frame.flags & ES != 0).then_some(0xe5));
        }
        canonical
    }
}

fn finish(mut subject: Subject, slow: bool) -> Subject {
    subject.work();
    subject.send(slow);
    subject.work();
    subject
}

/// L1: feeding is a homomorphism, byte for byte; L3: neither does it matter how the output is written.
#[test]
fn every_cut_in_two() {
    for transcript in transcripts() {
        let mut whole = Subject::new();
        whole.feed(&transcript);
        let whole = finish(whole, false);
        for at in 0..=transcript.len() {
            let mut cut = Subject::new();
            cut.feed(&transcript[..at]);
            cut.feed(&transcript[at..]);
            let cut = finish(cut, at % 64 == 0);
            assert!(cut.output == whole.output, "cut at {at}");
            assert_eq!(cut.events, whole.events, "cut at {at}");
            assert_eq!(cut.calls, whole.calls, "cut at {at}");
            assert_eq!((cut.error, cut.input), (whole.error, whole.input.clone()));
        }
    }
}

/// L1 once more, byte by byte; L2: an application that works after every byte sees the same.
#[test]
fn byte_by_byte_and_eagerly() {
    for transcript in transcripts() {
        let mut whole = Subject::new();
        whole.feed(&transcript);
        let whole = finish(whole, false);
        let mut bytes = Subject::new();
        transcript.iter().for_each(|byte| bytes.feed(&[*byte]));
        let bytes = finish(bytes, true);
        assert!(bytes.output == whole.output && bytes.events == whole.events && bytes.calls == whole.calls);
    }
    // The lazy driver's windows and limits permit the first transcript, without its reset and its last word.
    let transcript = &transcripts()[0];
    let mut lazy = Subject::new();
    lazy.feed(transcript);
    let lazy = finish(lazy, false);
    for step in [1, 2, 3, 7, 64] {
        let mut eager = Subject::new();
        for piece in transcript.chunks(step) {
            eager.feed(piece);
            eager.work();
            eager.send(false);
        }
        let eager = finish(eager, false);
        assert!(eager.canonical() == lazy.canonical(), "step {step}");
        assert_eq!(eager.calls, lazy.calls, "step {step}");
    }
}
