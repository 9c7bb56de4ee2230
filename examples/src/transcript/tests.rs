//! The annotator on bytes that were written by hand from the specifications.

use super::*;
use crate::echo::Msg;
use Direction::{Received, Sent};

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
    bytes.extend_from_slice(payload);
    bytes
}

fn read(mut annotator: Annotator, pieces: &[Piece]) -> String {
    let whole = annotator.read(pieces).join("\n");
    whole + "\n"
}

/// A field as a literal without indexing (RFC 7541 §6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

// RFC 9113 §3.4, §6; gRPC PROTOCOL-HTTP2.
#[test]
fn a_grpc_call_over_http2() {
    let grpc = literal("content-type", "application/grpc");
    let request = [literal(":method", "POST"), literal(":path", "/a/B"), grpc.clone()].concat();
    let response = [vec![0x88], grpc].concat();
    let sent = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[0, 3, 0, 0, 0, 9]),
        frame(1, 4, 1, &request),
        frame(0, 1, 1, b"\0\0\0\0\x04\x0a\x02hi"),
    ]
    .concat();
    let received = [
        frame(4, 1, 0, &[]),
        frame(8, 0, 0, &[0, 0, 0, 9]),
        frame(1, 4, 1, &response),
        frame(0, 0, 1, b"\0\0\0\0\x04\x0a\x02ho"),
        frame(1, 5, 1, &literal("grpc-status", "0")),
        frame(3, 0, 1, &[0, 0, 0, 0]),
        frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]),
    ]
    .concat();
    let expected = "  \
  ──▶ the preface of HTTP/2
  ──▶ SETTINGS, 1 entries
  ──▶ HEADERS    stream 1, POST /a/B
        content-type: application/grpc
  ──▶ DATA       stream 1, 9 bytes
        [00 00000004] message, 4 bytes: {\"text\":\"hi\"}
        ╰─ half-close: the client has said all it will say
  ◀── SETTINGS acknowledged
  ◀── WINDOW_UPDATE, the connection, 9 bytes
  ◀── HEADERS    stream 1, status 200
        content-type: application/grpc
  ◀── DATA       stream 1, 9 bytes
        [00 00000004] message, 4 bytes: {\"text\":\"ho\"}
  ◀── HEADERS    stream 1, trailers
        grpc-status: 0
        ╰─ half-close: the server has said all it will say
  ◀── RST_STREAM stream 1, NO_ERROR
  ◀── GOAWAY, NO_ERROR
";
    let whole = [(Sent, sent.clone()), (Received, received.clone())];
    assert_eq!(read(Annotator::http2(Paint::plain(), Msg::describe), &whole), expected);
    // However the transport cuts them, the bytes say the same.
    let bytewise: Vec<Piece> = sent
        .iter()
        .map(|byte| (Sent, vec![*byte]))
        .chain(received.iter().map(|byte| (Received, vec![*byte])))
        .collect();
    assert_eq!(read(Annotator::http2(Paint::plain(), Msg::describe), &bytewise), expected);
}

// RFC 9112 §6, §7.1; Connect "Unary-Response", "Streaming-Response".
#[test]
fn connect_calls_over_http1() {
    let sent = "POST /a/B HTTP/1.1\r\ncontent-type: application/json\r\nContent-Length: 13\r\n\r\n{\"text\":\"hi\"}\
                GET /a/C?connect=v1 HTTP/1.1\r\nhost: a\r\n\r\n";
    let received = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: application/connect+json\r\n\
                    transfer-encoding: chunked\r\n\r\n7\r\n\0\0\0\0\u{2}{}\r\n7\r\n\u{2}\0\0\0\u{2}{}\r\n\
                    0\r\nx: y\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let expected = "  \
  ──▶ request    POST /a/B HTTP/1.1
        content-type: application/json
        content-length: 13
  ──▶ body       13 bytes
        {\"text\":\"hi\"}
        ╰─ half-close: the client has said all it will say
  ──▶ request    GET /a/C?connect=v1 HTTP/1.1
        host: a
        ╰─ half-close: the client has said all it will say
  ◀── response   HTTP/1.1 100 Continue
  ◀── response   HTTP/1.1 200 OK
        content-type: application/connect+json
        transfer-encoding: chunked
  ◀── chunk      7 bytes
        [00 00000002] message, 2 bytes: {}
  ◀── chunk      7 bytes
        [02 00000002] end of stream: {}
  ◀── last chunk
        x: y
        ╰─ half-close: the server has said all it will say
  ◀── response   HTTP/1.1 404 Not Found
        content-length: 0
        ╰─ half-close: the server has said all it will say
";
    let whole = [(Sent, sent.as_bytes().to_vec()), (Received, received.as_bytes().to_vec())];
    assert_eq!(read(Annotator::http1(Paint::plain(), Msg::describe), &whole), expected);
    let bytewise: Vec<Piece> = sent
        .bytes()
        .map(|byte| (Sent, vec![byte]))
        .chain(received.bytes().map(|byte| (Received, vec![byte])))
        .collect();
    assert_eq!(read(Annotator::http1(Paint::plain(), Msg::describe), &bytewise), expected);
}

// gRPC PROTOCOL-WEB "Message framing".
#[test]
fn trailers_in_a_body_and_compressed_messages() {
    let kind = BodyKind::of("application/grpc-web+proto");
    assert_eq!(kind, BodyKind::Envelopes("proto".to_owned()));
    assert_eq!(BodyKind::of("application/grpc-web-text"), BodyKind::Text("proto".to_owned()));
    assert_eq!(
        BodyKind::of("application/connect+json; charset=utf-8"),
        BodyKind::Envelopes("json".to_owned())
    );
    assert_eq!(BodyKind::of("application/json"), BodyKind::Bare);
    let mut lines = Lines { paint: Paint::plain(), lines: Vec::new() };
    let mut body = body::BodyReader::new("application/grpc-web+proto", Msg::describe);
    body.read(b"\x01\0\0\0\x02zz\x80\0\0\0\x19grpc-status: 0\r\nx: some\r\n", &mut lines);
    assert_eq!(
        lines.lines,
        [
            "        [01 00000002] message, 2 bytes, compressed",
            "        [80 00000019] trailers: grpc-status: 0, x: some"
        ]
    );
}

#[test]
fn a_recorder_joins_what_goes_the_same_way() {
    let recorder = Recorder::default();
    recorder.note(Sent, b"a");
    let done = recorder.note_written(b"bcd", |bytes| bytes.len() - 1, |count| *count);
    assert_eq!(done, 2);
    recorder.note(Received, b"x");
    recorder.note(Received, b"");
    recorder.note(Received, b"y");
    assert_eq!(recorder.take(), [(Sent, b"abc".to_vec()), (Received, b"xy".to_vec())]);
    assert!(recorder.take().is_empty());
}
