//! HTTP/1.1 messages (RFC 9112), as a well-behaved pair sends them.

use super::body::BodyReader;
use super::{Describe, Direction, Lines};

/// Reads both directions of an HTTP/1.1 connection.
pub(super) struct Reader {
    sent: Half,
    received: Half,
    describe: Describe,
}

#[derive(Default)]
struct Half {
    pending: Vec<u8>,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Head,
    Sized(BodyReader, usize),
    Chunked(BodyReader),
    Trailers,
}

impl Reader {
    pub(super) fn new(describe: Describe) -> Self {
        Self { sent: Half::default(), received: Half::default(), describe }
    }

    pub(super) fn read(&mut self, direction: Direction, bytes: &[u8], lines: &mut Lines) {
        let half = match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        };
        half.pending.extend_from_slice(bytes);
        while half.step(direction, self.describe, lines) {}
    }
}

impl Half {
    /// Reads the next part of the message; `false` when more bytes are needed.
    fn step(&mut self, direction: Direction, describe: Describe, lines: &mut Lines) -> bool {
        match std::mem::take(&mut self.state) {
            State::Head => self.head(direction, describe, lines),
            State::Sized(body, length) => self.sized(body, length, direction, lines),
            State::Chunked(body) => self.chunk(body, direction, lines),
            State::Trailers => self.trailers(direction, lines),
        }
    }

    fn head(&mut self, direction: Direction, describe: Describe, lines: &mut Lines) -> bool {
        let Some(end) = find(&self.pending, b"\r\n\r\n") else {
            return false;
        };
        let head: Vec<u8> = self.pending.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head[..end]).into_owned();
        let mut rows = head.split("\r\n");
        let kind = if direction == Direction::Sent { "request" } else { "response" };
        lines.event(direction, kind, rows.next().unwrap_or_default());
        let mut content_type = String::new();
        let mut length = None;
        let mut chunked = false;
        for (name, value) in rows.filter_map(|row| row.split_once(':')) {
            let (name, value) = (name.to_ascii_lowercase(), value.trim());
            match name.as_str() {
                "content-type" => value.clone_into(&mut content_type),
                "content-length" => length = value.parse().ok(),
                "transfer-encoding" => chunked = true,
                _ => {}
            }
            lines.field(name.as_bytes(), value.as_bytes());
        }
        let body = BodyReader::new(&content_type, describe);
        match length {
            _ if chunked => self.state = State::Chunked(body),
            Some(length @ 1..) => self.state = State::Sized(body, length),
            _ if direction == Direction::Received && head.starts_with("HTTP/1.1 1") => {}
            _ => lines.half_close(direction),
        }
        true
    }

    fn sized(
        &mut self,
        mut body: BodyReader,
        length: usize,
        direction: Direction,
        lines: &mut Lines,
    ) -> bool {
        if self.pending.len() < length {
            self.state = State::Sized(body, length);
            return false;
        }
        let bytes: Vec<u8> = self.pending.drain(..length).collect();
        lines.event(direction, "body", &format!("{length} bytes"));
        body.read(&bytes, lines);
        lines.half_close(direction);
        true
    }

    fn chunk(&mut self, mut body: BodyReader, direction: Direction, lines: &mut Lines) -> bool {
        let line = find(&self.pending, b"\r\n").and_then(|end| {
            let size = std::str::from_utf8(&self.pending[..end]).ok()?;
            Some((end + 2, usize::from_str_radix(size, 16).ok()?))
        });
        match line {
            Some((start, 0)) => {
                self.pending.drain(..start);
                lines.event(direction, "last chunk", "");
                self.state = State::Trailers;
                true
            }
            Some((start, size)) if self.pending.len() >= start + size + 2 => {
                let bytes = self.pending[start..start + size].to_vec();
                self.pending.drain(..start + size + 2);
                lines.event(direction, "chunk", &format!("{size} bytes"));
                body.read(&bytes, lines);
                self.state = State::Chunked(body);
                true
            }
            _ => {
                self.state = State::Chunked(body);
                false
            }
        }
    }

    fn trailers(&mut self, direction: Direction, lines: &mut Lines) -> bool {
        let Some(end) = find(&self.pending, b"\r\n") else {
            self.state = State::Trailers;
            return false;
        };
        let row: Vec<u8> = self.pending.drain(..end + 2).take(end).collect();
        if row.is_empty() {
            lines.half_close(direction);
        } else {
            lines.detail(&String::from_utf8_lossy(&row));
            self.state = State::Trailers;
        }
        true
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
