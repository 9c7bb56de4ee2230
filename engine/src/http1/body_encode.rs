//! Bodies on their way out: what is queued becomes one chunk when the transport is ready for it.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::head_write::write_hex;
use crate::Output;

/// A queue keeps the memory of its small pieces up to this size.
const KEPT: usize = 64 * 1024;

/// How the body being sent is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// content-length, and how much of it is still to be sent.
    Length(u64),
    Chunked,
    ToClose,
    /// This message has no body, whatever the application gives.
    Bodyless,
}

/// Everything of one message that the application gave and that is not sent yet.
#[derive(Default)]
pub(super) struct Outgoing {
    /// The first line and the fields, without framing fields and without the empty line.
    pub(super) head: BytesMut,
    /// Trailer lines, without the empty line.
    pub(super) trailers: BytesMut,
    pub(super) queue: Queue,
    /// Nothing will be added.
    pub(super) finished: bool,
}

/// What became of a message after some of it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// More may come.
    Open,
    /// All of it is out.
    Complete,
    /// Its length is not the announced one: it can never be complete.
    Broken,
}

impl Outgoing {
    /// Forgets everything and keeps moderate memory.
    pub(super) fn clear(&mut self) {
        self.head.clear();
        self.trailers.clear();
        self.queue.clear();
        self.finished = false;
    }

    /// Whether [`write_body`](Outgoing::write_body) would append something.
    pub(super) fn has_output(&self, framing: Framing) -> bool {
        match framing {
            Framing::Chunked => self.queue.len > 0 || self.finished,
            Framing::Length(left) => self.queue.len > 0 && left > 0,
            Framing::ToClose => self.queue.len > 0,
            Framing::Bodyless => false,
        }
    }

    /// Appends all that is queued to `out`.
    pub(super) fn write_body(&mut self, framing: &mut Framing, out: &mut Output) -> Written {
        let length = self.queue.len;
        match framing {
            Framing::Chunked => self.write_chunks(out),
            Framing::ToClose => self.queue.write(usize::MAX, out),
            Framing::Bodyless => self.queue.clear(),
            Framing::Length(left) => {
                // A byte beyond content-length would be the start of another message.
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                self.queue.write(most, out);
                *left -= length.min(most) as u64;
                if length > most || (self.finished && *left > 0) {
                    return Written::Broken;
                }
            }
        }
        if self.finished { Written::Complete } else { Written::Open }
    }

    /// What became of a message that has no output left, or never had.
    pub(super) fn settle(&mut self, framing: Framing) -> Written {
        if self.has_output(framing) {
            return Written::Open;
        }
        match framing {
            Framing::Bodyless => self.queue.clear(),
            Framing::Length(left) if self.queue.len > 0 || (self.finished && left > 0) => {
                return Written::Broken;
            }
            _ => {}
        }
        if self.finished && framing != Framing::Chunked { Written::Complete } else { Written::Open }
    }

    fn write_chunks(&mut self, out: &mut Output) {
        if self.queue.len > 0 {
            write_hex(out.tail_mut(), self.queue.len as u64);
            out.extend_from_slice(b"\r\n");
            self.queue.write(usize::MAX, out);
            out.extend_from_slice(b"\r\n");
        }
        if self.finished {
            out.extend_from_slice(b"0\r\n");
            out.extend_from_slice(&self.trailers);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The heap memory held.
    #[cfg(test)]
    pub(super) fn capacity_bytes(&self) -> usize {
        self.head.capacity() + self.trailers.capacity() + self.queue.small.capacity()
    }
}

/// Bytes of a body in order: small pieces copied together, large ones shared.
#[derive(Default)]
pub(super) struct Queue {
    small: BytesMut,
    /// Each with the place in `small` that it stands at.
    shared: VecDeque<(usize, Bytes)>,
    len: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.small.put_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn push_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < Output::SHARE_FROM {
            self.push(bytes);
        } else {
            self.shared.push_back((self.small.len(), bytes.clone()));
            self.len += bytes.len();
        }
    }

    pub(super) fn clear(&mut self) {
        self.shared.clear();
        self.len = 0;
        if self.small.capacity() > KEPT {
            self.small = BytesMut::new();
        } else {
            self.small.clear();
        }
    }

    /// Appends at most `most` bytes to `out` and forgets the rest.
    fn write(&mut self, most: usize, out: &mut Output) {
        let mut left = most.min(self.len);
        let mut from = 0;
        for (at, piece) in self.shared.drain(..) {
            left = copy(self.small.get(from..at), left, out);
            from = at;
            let step = left.min(piece.len());
            out.push(piece.slice(..step));
            left -= step;
        }
        copy(self.small.get(from..), left, out);
        self.clear();
    }
}

fn copy(bytes: Option<&[u8]>, left: usize, out: &mut Output) -> usize {
    let bytes = bytes.unwrap_or_default();
    let step = left.min(bytes.len());
    out.extend_from_slice(&bytes[..step]);
    left - step
}
