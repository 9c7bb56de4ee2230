//! HTTP/2 frames (RFC 9113 §6).

use std::collections::BTreeMap;

use antiphon::http2::hpack::{Decoder, DecoderLimits};

use super::body::BodyReader;
use super::{Describe, Direction, Lines};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads both directions of an HTTP/2 connection.
pub(super) struct Reader {
    sent: Half,
    received: Half,
    describe: Describe,
}

struct Half {
    pending: Vec<u8>,
    preface_left: bool,
    hpack: Decoder,
    bodies: BTreeMap<u32, BodyReader>,
}

impl Half {
    fn new(preface_left: bool) -> Self {
        let limits =
            DecoderLimits { header_list: 1 << 20, hard_header_list: 1 << 20, header_fields: 1 << 10 };
        Self { pending: Vec::new(), preface_left, hpack: Decoder::new(4096, limits), bodies: BTreeMap::new() }
    }
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Reader {
    pub(super) fn new(describe: Describe) -> Self {
        Self { sent: Half::new(true), received: Half::new(false), describe }
    }

    pub(super) fn read(&mut self, direction: Direction, bytes: &[u8], lines: &mut Lines) {
        let half = match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        };
        half.pending.extend_from_slice(bytes);
        if half.preface_left && half.pending.starts_with(PREFACE) {
            half.preface_left = false;
            half.pending.drain(..PREFACE.len());
            lines.aside(direction, "the preface of HTTP/2");
        }
        while let Some(frame) = next_frame(&mut half.pending) {
            show(half, direction, &frame, self.describe, lines);
        }
    }
}

fn next_frame(pending: &mut Vec<u8>) -> Option<Frame> {
    let [l1, l2, l3, kind, flags, s1, s2, s3, s4, ..] = *pending.as_slice() else {
        return None;
    };
    let length = u32::from_be_bytes([0, l1, l2, l3]) as usize;
    let payload = pending.get(9..9 + length)?.to_vec();
    pending.drain(..9 + length);
    Some(Frame { kind, flags, stream: u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]), payload })
}

fn show(half: &mut Half, direction: Direction, frame: &Frame, describe: Describe, lines: &mut Lines) {
    let Frame { kind, flags, stream, payload } = frame;
    match kind {
        0 => {
            lines.event(direction, "DATA", &format!("stream {stream}, {} bytes", payload.len()));
            if let Some(body) = half.bodies.get_mut(stream) {
                body.read(payload, lines);
            }
        }
        1 => show_headers(half, direction, frame, describe, lines),
        3 => lines.event(direction, "RST_STREAM", &format!("stream {stream}, {}", code(payload))),
        4 if flags & 1 == 1 => lines.aside(direction, "SETTINGS acknowledged"),
        4 => lines.aside(direction, &format!("SETTINGS, {} entries", payload.len() / 6)),
        6 => lines.aside(direction, if flags & 1 == 1 { "PING acknowledged" } else { "PING" }),
        7 => lines.aside(direction, &format!("GOAWAY, {}", code(payload.get(4..).unwrap_or_default()))),
        8 if *stream == 0 => {
            lines.aside(direction, &format!("WINDOW_UPDATE, the connection, {} bytes", number(payload)));
        }
        8 => lines.aside(direction, &format!("WINDOW_UPDATE, stream {stream}, {} bytes", number(payload))),
        other => lines.aside(direction, &format!("frame of type {other}, {} bytes", payload.len())),
    }
    if matches!(kind, 0 | 1) && flags & 1 == 1 {
        lines.half_close(direction);
        half.bodies.remove(stream);
    }
}

fn show_headers(half: &mut Half, direction: Direction, frame: &Frame, describe: Describe, lines: &mut Lines) {
    let mut fields = Vec::new();
    let decoded = half
        .hpack
        .decode_fields(&frame.payload, &mut |name, value, _| fields.push((name.to_vec(), value.to_vec())));
    if decoded.is_err() {
        return lines.event(direction, "HEADERS", "(cannot be decoded)");
    }
    let get = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| name == wanted.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let about = match (get(":method"), get(":status")) {
        (Some(method), _) => format!("{method} {}", get(":path").unwrap_or_default()),
        (None, Some(status)) => format!("status {status}"),
        (None, None) => "trailers".to_owned(),
    };
    lines.event(direction, "HEADERS", &format!("stream {}, {about}", frame.stream));
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(b":")) {
        lines.field(name, value);
    }
    if let Some(content_type) = get("content-type") {
        half.bodies.insert(frame.stream, BodyReader::new(&content_type, describe));
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn code(bytes: &[u8]) -> String {
    antiphon::Http2Code(number(bytes)).to_string()
}
