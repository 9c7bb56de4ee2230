//! Parts of the engine by themselves.

use std::time::Duration;

use antiphon::codec::timeout::parse_grpc;
use antiphon::http2::hpack::{Decoder, DecoderLimits, Encoder};
use antiphon::{
    Fields, Head, HttpConnection, Instant, Limits, Machine, Output, ReceiveEnd, StreamEvent, http2,
};
use bytes::BytesMut;

use crate::case::Work;
use crate::heads::Heads;
use crate::replay::Side;
use crate::wire;

const NOW: Instant = Instant::from_epoch(Duration::from_secs(1000));

/// HTTP/2 without RPC: heads and bodies are echoed.
pub struct Echo {
    http: http2::Connection,
    head: Head,
    trailers: Fields,
    body: Vec<u8>,
    input: BytesMut,
    output: Output,
    done: u64,
}

impl Echo {
    pub fn new() -> Self {
        let mut head = Head::response(200);
        head.fields.push("content-type", b"application/grpc");
        let mut trailers = Fields::new();
        trailers.push("grpc-status", b"0");
        let http = http2::Connection::server(Limits::default());
        Self {
            http,
            head,
            trailers,
            body: Vec::new(),
            input: BytesMut::new(),
            output: Output::new(),
            done: 0,
        }
    }
}

impl Side for Echo {
    fn turn(&mut self, input: &[u8], _: Option<&mut Vec<u8>>) {
        self.input.extend_from_slice(input);
        self.http.handle_input(NOW, &mut self.input).expect("good input");
        while let Some(event) = self.http.poll_event() {
            let StreamEvent::Readable(key) = event else { continue };
            if self.http.receive_end(key) != Some(ReceiveEnd::Clean) {
                continue;
            }
            let body = self.http.body(key).expect("a known stream");
            self.body.clear();
            self.body.extend_from_slice(body);
            body.clear();
            self.http.release(NOW, key, self.body.len()).expect("a known stream");
            self.http.respond(NOW, key, &self.head, false).expect("a stream that is open");
            self.http.push(key, &self.body);
            self.http.finish_with_trailers(key, &self.trailers);
            self.http.drop_stream(NOW, key);
            self.done += 1;
        }
        self.http.poll_transmit(NOW, &mut self.output);
        self.output.clear();
    }

    fn done(&self) -> u64 {
        self.done
    }
}

/// Header blocks of one connection to heads.
pub fn decode(heads: Heads) -> Work {
    let blocks = wire::blocks(heads);
    Box::new(move || {
        let mut decoder = Decoder::new(4096, DecoderLimits::default());
        let mut head = Head::default();
        for block in &blocks {
            decoder.decode(block, &mut head).expect("a good block");
        }
        blocks.len() as u64
    })
}

/// The head and the trailers of an answer to blocks.
pub fn encode_answer() -> Work {
    const CALLS: u64 = 4096;
    let mut head = Head::response(200);
    head.fields.push("content-type", b"application/grpc");
    let mut trailers = Fields::new();
    trailers.push("grpc-status", b"0");
    Box::new(move || {
        let mut encoder = Encoder::new(0);
        let mut out = Vec::new();
        for _ in 0..CALLS {
            out.clear();
            encoder.encode_response(&head, &mut out);
            encoder.encode_trailers(&trailers, &mut out);
        }
        CALLS
    })
}

/// `grpc-timeout` to a duration.
pub fn timeout() -> Work {
    const CALLS: u64 = 4096;
    Box::new(|| {
        for _ in 0..CALLS {
            std::hint::black_box(parse_grpc(std::hint::black_box(b"999987u"))).expect("a good timeout");
        }
        CALLS
    })
}
