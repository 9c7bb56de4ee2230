//! Where the output of a call goes.

use bytes::Bytes;

use crate::codec::envelope::PREFIX;
use crate::{Fields, Head, Reply};

/// Where the output of a call goes, in order: a head, bytes, and one end. Implemented over a stream of an HTTP
/// connection, over a channel to a foreign HTTP stack, or over a list of parts in a test.
///
/// Nothing can fail here: whoever sends has asked before whether there is room.
pub trait Sink {
    /// The head of the request or response. `end`: nothing follows.
    fn head(&mut self, head: &Head, end: bool);

    /// Bytes of the body. Never empty.
    fn data(&mut self, bytes: &[u8]);

    /// Bytes of the body that may be shared instead of copied. Never empty.
    fn data_bytes(&mut self, bytes: &Bytes) {
        self.data(bytes);
    }

    /// A message in its envelope: the prefix, and the bytes behind it, which may be none.
    #[inline]
    fn message(&mut self, prefix: &[u8; PREFIX], payload: &[u8]) {
        self.data(prefix);
        if !payload.is_empty() {
            self.data(payload);
        }
    }

    /// The end, with trailers (only of gRPC).
    fn trailers(&mut self, trailers: &Fields);

    /// The end, without trailers.
    fn end(&mut self);

    /// The largest list of fields that the peer takes in one head or trailers, in bytes as RFC 9113 §6.5.2 counts them, as
    /// far as that is known: of an error that is larger, its code at least is told. Default: not known.
    fn max_header_list(&self) -> usize {
        usize::MAX
    }

    /// A whole answer: head, body, end.
    #[inline]
    fn reply(&mut self, reply: &Reply<'_>) {
        self.head(reply.head, reply.is_empty() && reply.trailers.is_none());
        for part in reply.body.into_iter().filter(|part| !part.is_empty()) {
            self.data(part);
        }
        match reply.trailers {
            Some(trailers) => self.trailers(trailers),
            None if reply.is_empty() => {}
            None => self.end(),
        }
    }

    /// The end before its time: both directions that are still open are reset, with a code of HTTP/2 (RFC 9113 §7).
    fn reset(&mut self, code: u32);
}

/// A part of the output of a call, as a value: what a test or a bridge to another stack queues.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// A head; `true`: nothing follows.
    Head(Head, bool),
    /// Bytes of the body.
    Data(Bytes),
    /// The end, with trailers.
    Trailers(Fields),
    /// The end.
    End,
    /// The end before its time, with a code of HTTP/2.
    Reset(u32),
}

/// Keeps the parts in order.
impl Sink for Vec<Part> {
    fn head(&mut self, head: &Head, end: bool) {
        self.push(Part::Head(head.clone(), end));
    }

    fn data(&mut self, bytes: &[u8]) {
        self.push(Part::Data(Bytes::copy_from_slice(bytes)));
    }

    fn data_bytes(&mut self, bytes: &Bytes) {
        self.push(Part::Data(bytes.clone()));
    }

    fn trailers(&mut self, trailers: &Fields) {
        self.push(Part::Trailers(trailers.clone()));
    }

    fn end(&mut self) {
        self.push(Part::End);
    }

    fn reset(&mut self, code: u32) {
        self.push(Part::Reset(code));
    }
}

/// A message on its way out.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// As it is, copied.
    Plain(&'a [u8]),
    /// As it is, shared.
    Shared(&'a Bytes),
    /// Compressed by the caller, with the call's own coding for sending: outside of any lock.
    Compressed(&'a [u8]),
}

impl Payload<'_> {
    /// The bytes that travel.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) | Self::Compressed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    /// Whether the message travels compressed. An empty one never does (Connect "Content-Encoding").
    pub fn is_compressed(&self) -> bool {
        matches!(self, Self::Compressed(bytes) if !bytes.is_empty())
    }

    /// Gives the bytes to a sink.
    pub(crate) fn put(&self, out: &mut impl Sink) {
        match self {
            Self::Shared(bytes) if !bytes.is_empty() => out.data_bytes(bytes),
            _ if self.bytes().is_empty() => {}
            _ => out.data(self.bytes()),
        }
    }
}

/// The length alone: a message may be a secret.
impl core::fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Payload({} bytes, compressed: {})", self.bytes().len(), self.is_compressed())
    }
}
