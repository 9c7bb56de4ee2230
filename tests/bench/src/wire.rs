//! The bytes of a client, written by hand, one piece for each turn.

use antiphon::codec::envelope;

use crate::heads::{AUTHORITY, Heads, MESSAGE, PATH, Wire};
use crate::hpack::GoEncoder;

/// Turns in a recording: 4,096 calls of 32 in flight, or 512 one by one.
const TURNS: usize = 128;
const TURNS_ONE_BY_ONE: usize = 512;

/// The bytes of unary calls.
pub fn requests(heads: Heads) -> Vec<Vec<u8>> {
    if heads.wire == Wire::Connect1 { http1(heads) } else { http2(heads) }
}

fn http1(heads: Heads) -> Vec<Vec<u8>> {
    let request = |call| {
        let mut text = format!("POST {PATH} HTTP/1.1\r\nHost: {AUTHORITY}\r\n");
        for (name, value) in heads.regular(call) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(MESSAGE);
        bytes
    };
    (0..TURNS_ONE_BY_ONE as u64).map(request).collect()
}

fn http2(heads: Heads) -> Vec<Vec<u8>> {
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(0x4, 0, 0, &[], &mut opening);
    let mut turns = vec![opening];
    let body = body(heads.wire);
    for (turn, calls) in blocks(heads).chunks(heads.wire.batch()).enumerate() {
        let mut bytes = Vec::new();
        if turn == 0 {
            frame(0x4, 0x1, 0, &[], &mut bytes);
        }
        for (place, block) in calls.iter().enumerate() {
            let id = 2 * (turn * heads.wire.batch() + place) as u32 + 1;
            frame(0x1, 0x4, id, block, &mut bytes);
            frame(0x0, 0x1, id, &body, &mut bytes);
        }
        // What the answers took goes back.
        frame(0x8, 0, 0, &(calls.len() as u32 * 64).to_be_bytes(), &mut bytes);
        turns.push(bytes);
    }
    turns
}

/// The header blocks of all calls.
pub fn blocks(heads: Heads) -> Vec<Vec<u8>> {
    let mut encoder = GoEncoder::new();
    let encode = |call| {
        let mut block = Vec::new();
        encoder.encode(&heads.fields(call), &mut block);
        block
    };
    (0..(TURNS * heads.wire.batch()) as u64).map(encode).collect()
}

fn body(wire: Wire) -> Vec<u8> {
    let mut body = Vec::new();
    if matches!(wire, Wire::Grpc | Wire::GrpcWeb) {
        body.extend_from_slice(&envelope::encode(0, MESSAGE.len() as u32));
    }
    body.extend_from_slice(MESSAGE);
    body
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}
