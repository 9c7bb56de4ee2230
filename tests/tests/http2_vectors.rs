//! The frames of http2-frame-test-case (MIT, HTTP/2 Japan Community), legal and illegal, given to both roles.

use std::io::{Read, Write};

use antiphon::{ConnectionError, Http2Code, HttpConnection, Limits};
use antiphon_tests::h2kit::{CONTINUATION, DATA, HEADERS, PUSH, RST, Raw, UPDATE, parse, post};
use antiphon_tests::hex::unhex;
use serde_json::Value;

/// All vectors with their path, or nothing when the archive is not there.
fn vectors() -> Option<Vec<(String, Value)>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/http2-frame-test-case.tar.xz");
    let Ok(packed) = std::fs::read(path) else {
        writeln!(std::io::stderr(), "NOT RUN: the vectors of http2-frame-test-case are not at {path}").ok();
        return None;
    };
    let mut archive = Vec::new();
    lzma_rs::xz_decompress(&mut packed.as_slice(), &mut archive).expect("an xz archive");
    let mut vectors = Vec::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().expect("a tar archive") {
        let mut entry = entry.expect("a tar entry");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        if path.ends_with(".json") {
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("a vector in UTF-8");
            vectors.push((path, serde_json::from_str(&text).expect("a vector")));
        }
    }
    Some(vectors)
}

/// A server with the streams below `stream` open, and that one too if `itself`.
fn server(stream: u32, itself: bool) -> Raw {
    let mut raw = Raw::server(Limits::default());
    for id in (1..stream).step_by(2) {
        raw.ok(&post(id, 0));
    }
    if itself && stream % 2 == 1 {
        raw.ok(&post(stream, 0));
    }
    raw
}

#[test]
fn illegal_frames_have_one_of_the_codes_that_fit() {
    let mut count = 0;
    for (path, vector) in vectors().unwrap_or_default() {
        let Some(codes) = vector["error"].as_array() else { continue };
        let codes: Vec<_> = codes.iter().map(|code| code.as_u64().expect("a code") as u32).collect();
        let mut raw = server(3, true);
        let result = raw.feed(&unhex(vector["wire"].as_str().expect("a frame")));
        let code = match result {
            Err(ConnectionError::Http2 { code, .. }) => code.0,
            Err(error) => panic!("{path}: {error}"),
            Ok(()) => raw.frames().iter().find(|frame| frame.kind == RST).expect("a reset").number(),
        };
        assert!(codes.contains(&code), "{path}: {code} is not of {codes:?}");
        count += 1;
    }
    assert!(count == 0 || count == 22, "{count}");
}

#[test]
fn legal_frames_are_taken() {
    for (path, vector) in vectors().unwrap_or_default() {
        if vector["error"].is_array() {
            continue;
        }
        let mut wire = unhex(vector["wire"].as_str().expect("a frame"));
        let (frames, used) = parse(&wire);
        let (told, frame) = (&vector["frame"], &frames[0]);
        assert_eq!((frames.len(), used), (1, wire.len()), "{path}");
        assert_eq!(told["type"].as_u64(), Some(frame.kind.into()));
        assert_eq!(told["stream_identifier"].as_u64(), Some(frame.stream.into()));
        if matches!(frame.kind, DATA | UPDATE) {
            // Some are on streams of a server's, which has none here.
            wire[8] |= 1;
        }
        let mut raw = server(frame.stream | 1, frame.kind != HEADERS);
        let result = raw.feed(&wire);
        // Their blocks are not HPACK, a client never pushes, and a CONTINUATION needs its HEADERS.
        let code = match frame.kind {
            HEADERS => Some(Http2Code::COMPRESSION_ERROR),
            PUSH | CONTINUATION => Some(Http2Code::PROTOCOL_ERROR),
            _ => None,
        };
        match (code, result) {
            (None, Ok(())) => {}
            (Some(code), Err(ConnectionError::Http2 { code: got, .. })) => assert_eq!(code, got, "{path}"),
            (_, result) => panic!("{path}: {result:?}"),
        }
        if frame.kind == DATA {
            let key = raw.opened();
            let body = raw.connection.body(key).expect("the stream is known");
            assert_eq!(told["frame_payload"]["data"].as_str().map(str::as_bytes), Some(&body[..]));
        }
    }
}
