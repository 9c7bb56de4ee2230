//! What crossed the wire, for a person to read.
//!
//! A [`Recorder`] sits on a client's transport and keeps what passes; an [`Annotator`] turns it into lines: heads,
//! envelopes, half-closes, trailers. It is a reader of its own, on purpose: it shows what was really sent, not what
//! the engine believes it sent.

mod body;
mod http1;
mod http2;
mod paint;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

pub use body::BodyKind;
pub use paint::Paint;

/// Which way bytes went, seen from the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client to the server.
    Sent,
    /// From the server to the client.
    Received,
}

/// Bytes that passed in one direction, without a change of direction in between.
pub type Piece = (Direction, Vec<u8>);

/// Keeps the bytes that passed a transport, in the order in which they passed.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Vec<Piece>>>);

impl Recorder {
    /// Notes that `bytes` passed.
    pub fn note(&self, direction: Direction, bytes: &[u8]) {
        append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), direction, bytes);
    }

    /// Writes, and notes as many bytes as were `written` before anything else can be noted: the answer to what is
    /// written may be read by another thread before the write returns.
    pub fn note_written<R>(
        &self,
        bytes: &[u8],
        write: impl FnOnce(&[u8]) -> R,
        written: impl FnOnce(&R) -> usize,
    ) -> R {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = write(bytes);
        append(&mut log, Direction::Sent, bytes.get(..written(&result)).unwrap_or(bytes));
        result
    }

    /// Takes what has passed since the last time.
    pub fn take(&self) -> Vec<Piece> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn append(log: &mut Vec<Piece>, direction: Direction, bytes: &[u8]) {
    match log.last_mut() {
        _ if bytes.is_empty() => {}
        Some((last, piece)) if *last == direction => piece.extend_from_slice(bytes),
        _ => log.push((direction, bytes.to_vec())),
    }
}

/// Tells what the payload of a message says.
pub type Describe = fn(codec: &str, payload: &[u8]) -> String;

/// Reads one connection's bytes and writes lines about them.
pub struct Annotator {
    wire: Wire,
    paint: Paint,
}

enum Wire {
    Http1(Box<http1::Reader>),
    Http2(Box<http2::Reader>),
}

impl Annotator {
    /// A reader of an HTTP/1.1 connection.
    pub fn http1(paint: Paint, describe: Describe) -> Self {
        Self { wire: Wire::Http1(Box::new(http1::Reader::new(describe))), paint }
    }

    /// A reader of an HTTP/2 connection, from its first byte.
    pub fn http2(paint: Paint, describe: Describe) -> Self {
        Self { wire: Wire::Http2(Box::new(http2::Reader::new(describe))), paint }
    }

    /// The lines that `pieces` give, in order.
    pub fn read(&mut self, pieces: &[Piece]) -> Vec<String> {
        let mut lines = Lines { paint: self.paint, lines: Vec::new() };
        for (direction, bytes) in pieces {
            match &mut self.wire {
                Wire::Http1(reader) => reader.read(*direction, bytes, &mut lines),
                Wire::Http2(reader) => reader.read(*direction, bytes, &mut lines),
            }
        }
        lines.lines
    }
}

/// The lines under construction.
struct Lines {
    paint: Paint,
    lines: Vec<String>,
}

impl Lines {
    /// A line with an arrow: something crossed the wire.
    fn event(&mut self, direction: Direction, what: &str, about: &str) {
        let arrow = match direction {
            Direction::Sent => self.paint.sent("──▶"),
            Direction::Received => self.paint.received("◀──"),
        };
        let what = self.paint.bold(&format!("{what:<10}"));
        self.lines.push(format!("  {arrow} {what} {about}").trim_end().to_owned());
    }

    /// A line that belongs to the event above it.
    fn detail(&mut self, text: &str) {
        self.lines.push(format!("        {text}"));
    }

    /// A header or trailer field.
    fn field(&mut self, name: &[u8], value: &[u8]) {
        let name = self.paint.name(&format!("{}:", name.escape_ascii()));
        self.detail(&format!("{name} {}", String::from_utf8_lossy(value).escape_debug()));
    }

    /// A half-close: this direction has ended, the other may go on.
    fn half_close(&mut self, direction: Direction) {
        let who = match direction {
            Direction::Sent => "the client has said all it will say",
            Direction::Received => "the server has said all it will say",
        };
        let mark = self.paint.mark(&format!("╰─ half-close: {who}"));
        self.detail(&mark);
    }

    /// Something of the connection rather than of a call.
    fn aside(&mut self, direction: Direction, text: &str) {
        let arrow = if direction == Direction::Sent { "──▶" } else { "◀──" };
        let line = self.paint.dim(&format!("{arrow} {text}"));
        self.lines.push(format!("  {line}"));
    }
}
