//! Bodies: envelopes, trailer frames, end-of-stream messages, or plain bytes.

use super::{Describe, Lines};

/// What a body holds, told by its content-type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BodyKind {
    /// Bytes as they are: a unary Connect message, an error, a page.
    #[default]
    Bare,
    /// Envelopes of gRPC or Connect streaming, with the codec of their messages.
    Envelopes(String),
    /// Envelopes in base64 (gRPC-Web text).
    Text(String),
}

impl BodyKind {
    /// The kind that this content-type means.
    pub fn of(content_type: &str) -> Self {
        let plain = content_type.split(';').next().unwrap_or_default().trim();
        for (prefix, text) in [
            ("application/grpc-web-text", true),
            ("application/grpc-web", false),
            ("application/grpc", false),
            ("application/connect", false),
        ] {
            if let Some(rest) = plain.strip_prefix(prefix) {
                let codec = rest.strip_prefix('+').unwrap_or("proto").to_owned();
                return if text { Self::Text(codec) } else { Self::Envelopes(codec) };
            }
        }
        Self::Bare
    }
}

/// Reads the body of one direction of a call.
pub(super) struct BodyReader {
    kind: BodyKind,
    codec: String,
    pending: Vec<u8>,
    describe: Describe,
}

impl BodyReader {
    pub(super) fn new(content_type: &str, describe: Describe) -> Self {
        let codec = content_type.strip_prefix("application/").unwrap_or(content_type).to_owned();
        Self { kind: BodyKind::of(content_type), codec, pending: Vec::new(), describe }
    }

    pub(super) fn read(&mut self, bytes: &[u8], lines: &mut Lines) {
        match self.kind.clone() {
            BodyKind::Bare => {
                if !bytes.is_empty() {
                    lines.detail(&(self.describe)(&self.codec, bytes));
                }
            }
            BodyKind::Text(_) => lines.detail(&format!("{} bytes of base64", bytes.len())),
            BodyKind::Envelopes(codec) => {
                self.pending.extend_from_slice(bytes);
                self.envelopes(&codec, lines);
            }
        }
    }

    fn envelopes(&mut self, codec: &str, lines: &mut Lines) {
        while let Some((flags, length)) = prefix(&self.pending) {
            let Some(payload) = self.pending.get(5..5 + length) else {
                return;
            };
            let squash = if flags & 1 == 1 { ", compressed" } else { "" };
            let about = match flags & !1 {
                0 if flags & 1 == 1 => format!("message, {length} bytes{squash}"),
                0 => format!("message, {length} bytes: {}", (self.describe)(codec, payload)),
                2 => format!("end of stream{squash}: {}", String::from_utf8_lossy(payload)),
                0x80 => format!(
                    "trailers{squash}: {}",
                    String::from_utf8_lossy(payload).trim_end().replace("\r\n", ", ")
                ),
                other => format!("flags {other:#04x}, {length} bytes"),
            };
            let mark = lines.paint.dim(&format!("[{flags:02x} {length:08x}]"));
            lines.detail(&format!("{mark} {about}"));
            self.pending.drain(..5 + length);
        }
    }
}

fn prefix(bytes: &[u8]) -> Option<(u8, usize)> {
    let [flags, a, b, c, d, ..] = *bytes else {
        return None;
    };
    Some((flags, u32::from_be_bytes([a, b, c, d]) as usize))
}
