//! What HTTP/1.1 and HTTP/2 have in common: streams of bytes between two heads and two ends.
//!
//! A floor above knows streams, pieces and credit, never frames or chunks. HTTP/3 would join here.

use bytes::{Bytes, BytesMut};

use crate::codec::envelope::PREFIX;
use crate::{Fields, Head, Instant, Machine, Misuse, SendError, StartError};

/// Names a stream of one connection: a dense index, reused, and a generation that tells its users apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamKey {
    /// The place in a table, from 0, as small as possible: an index for the caller's own tables.
    pub index: u32,
    /// Grows each time the place is used again.
    pub generation: u32,
}

/// What an HTTP connection notices. Notices are level-triggered reminders: a superfluous one is harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// A server: a request head has arrived, complete and valid.
    Opened(StreamKey),
    /// Something new is to be had: a head, bytes, trailers or the end of the receiving direction.
    Readable(StreamKey),
    /// The queue of a stream that refused a message has room again.
    Writable(StreamKey),
    /// The peer wants no more bytes of this stream (its raw code), but the receiving direction may go on: a reset
    /// with NO_ERROR after a complete answer (RFC 9113 §8.1), or an early answer with `Connection: close`.
    Stopped(StreamKey, u32),
    /// The connection has ended while this stream was still sending. Of a stream whose receiving direction had ended
    /// before, nothing else tells it.
    Lost(StreamKey),
    /// A client: a stream can be opened again, after [`StartError::Full`] or when the connection became ready.
    Available,
    /// No new stream will be accepted by the peer (GOAWAY, `Connection: close`, ids used up); open ones go on.
    Draining,
}

/// How the receiving direction of a stream ended. Fixed when it arrives and never replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiveEnd {
    /// Complete: END_STREAM, the last chunk, or all of content-length. Trailers, if any, have arrived.
    Clean,
    /// The peer reset the stream, with its raw HTTP/2 code.
    Reset(u32),
    /// The peer broke a rule in this stream and it was reset for it: a malformed head or trailers, or a body that
    /// is not of its content-length.
    Malformed(&'static str),
    /// A head or trailers over the limits.
    TooLarge,
    /// The connection ended first (a truncated HTTP/1.1 body included).
    Lost,
    /// Not processed by the peer: REFUSED_STREAM, above the last id of a GOAWAY, or never sent. Safe to try again.
    Unprocessed,
    /// This side reset the stream, or its application stopped reading.
    Local,
    /// A message under assembly, or the last bytes of a finished call, made no progress for too long.
    Stalled,
}

/// A whole answer: see [`HttpConnection::reply`].
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    /// The final head.
    pub head: &'a Head,
    /// The body, in parts that follow each other. Any of them may be empty.
    pub body: [&'a [u8]; 3],
    /// The trailers, if there are any.
    pub trailers: Option<&'a Fields>,
}

impl Reply<'_> {
    /// The bytes of the body.
    #[inline]
    pub fn len(&self) -> usize {
        self.body.iter().map(|part| part.len()).sum()
    }

    /// Whether there is no body.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An HTTP connection of any version, in either role: a [`Machine`] whose streams are worked on by these methods.
///
/// All methods are `O(1)` besides the bytes they move. A key that is not known gives [`Misuse::UnknownCall`].
/// A stream lives until [`drop_stream`](HttpConnection::drop_stream), whatever happened to it on the wire: a slot is
/// free only when the application has let go as well.
pub trait HttpConnection: Machine<Event = StreamEvent> {
    /// A client: opens a stream and queues its head. `end` says that nothing follows.
    ///
    /// # Errors
    /// [`StartError::Full`] at the peer's limit, [`StartError::Closed`] when draining or ended.
    fn open(&mut self, now: Instant, head: &Head, end: bool) -> Result<StreamKey, StartError>;

    /// The head received: a request's at a server, the final response's at a client. Informational ones are skipped.
    fn head(&self, key: StreamKey) -> Option<&Head>;

    /// The largest list of fields that the peer says it takes (RFC 9113 §6.5.2). Default: it has said nothing.
    fn max_header_list(&self) -> usize {
        usize::MAX
    }

    /// The trailers received, once [`receive_end`](HttpConnection::receive_end) is known.
    fn trailers(&self, key: StreamKey) -> Option<&Fields>;

    /// The received bytes of the body that nobody has taken yet. Take from the front, then say how many with
    /// [`release`](HttpConnection::release); never append. `None` for an unknown key.
    fn body(&mut self, key: StreamKey) -> Option<&mut BytesMut>;

    /// The next two events in one, if they are the `Opened` and the `Readable` of one stream: mostly a whole request, of
    /// which this tells how it ended. `None`: see what [`poll_event`](Machine::poll_event) gives.
    #[inline]
    fn poll_arrival(&mut self) -> Option<(StreamKey, Option<ReceiveEnd>)> {
        None
    }

    /// [`body`](HttpConnection::body) and [`receive_end`](HttpConnection::receive_end) in one.
    #[inline]
    fn received(&mut self, key: StreamKey) -> Option<(&mut BytesMut, Option<ReceiveEnd>)> {
        let end = self.receive_end(key);
        Some((self.body(key)?, end))
    }

    /// How the receiving direction ended; `None` while it goes on. Bytes that came before may still be in `body`.
    fn receive_end(&self, key: StreamKey) -> Option<ReceiveEnd>;

    /// Says that the application has taken `bytes` of the body: their credit may go back to the peer.
    ///
    /// # Errors
    /// [`Misuse::OverRelease`] when more than was received.
    fn release(&mut self, now: Instant, key: StreamKey, bytes: usize) -> Result<(), Misuse>;

    /// Says that the application wants to read, finds no complete message, and that the one in front is complete with
    /// `need` bytes in `body`, counted with those that are there. The credit rule grants what it takes.
    ///
    /// # Errors
    /// Only for an unknown key.
    fn demand(&mut self, now: Instant, key: StreamKey, need: usize) -> Result<(), Misuse>;

    /// Discards what comes, without touching the sending direction; its credit goes back.
    fn stop_reading(&mut self, now: Instant, key: StreamKey);

    /// A server: sends a response head; informational ones may precede the final one. `end` says that nothing
    /// follows.
    ///
    /// # Errors
    /// [`SendError::Ended`] when the stream is gone, [`Misuse::HeadersSent`] after a final head.
    fn respond(&mut self, now: Instant, key: StreamKey, head: &Head, end: bool) -> Result<(), SendError>;

    /// A server: sends a whole answer, as [`respond`](HttpConnection::respond), [`push`](HttpConnection::push) and an end
    /// do one after the other.
    ///
    /// # Errors
    /// As `respond`; nothing was taken then.
    #[inline]
    fn reply(&mut self, now: Instant, key: StreamKey, reply: &Reply<'_>) -> Result<(), SendError> {
        self.reply_in_parts(now, key, reply)
    }

    /// What [`reply`](HttpConnection::reply) does, part by part.
    ///
    /// # Errors
    /// As `reply`.
    fn reply_in_parts(&mut self, now: Instant, key: StreamKey, reply: &Reply<'_>) -> Result<(), SendError> {
        self.respond(now, key, reply.head, reply.is_empty() && reply.trailers.is_none())?;
        for part in reply.body.into_iter().filter(|part| !part.is_empty()) {
            self.push(key, part);
        }
        match reply.trailers {
            Some(trailers) => self.finish_with_trailers(key, trailers),
            None => self.finish(key),
        }
        Ok(())
    }

    /// Whether a message may be queued now: the queue is below its limit. After [`SendError::Blocked`] a `Writable`
    /// follows.
    ///
    /// # Errors
    /// `Blocked`, or `Ended` when nothing can be sent any more.
    fn poll_room(&mut self, key: StreamKey) -> Result<(), SendError>;

    /// Appends a copy of `bytes` to the stream's queue, whatever its length. Does nothing on a stream that is gone.
    fn push(&mut self, key: StreamKey, bytes: &[u8]);

    /// Appends `bytes` to the stream's queue, shared if large.
    fn push_bytes(&mut self, key: StreamKey, bytes: &Bytes);

    /// Appends a copy of a message in its envelope: a prefix, and the bytes behind it, which may be none.
    #[inline]
    fn push_message(&mut self, key: StreamKey, prefix: &[u8; PREFIX], payload: &[u8]) {
        self.push(key, prefix);
        if !payload.is_empty() {
            self.push(key, payload);
        }
    }

    /// [`poll_room`](HttpConnection::poll_room), and [`push_message`](HttpConnection::push_message) if there is.
    ///
    /// # Errors
    /// As `poll_room`; nothing was taken then.
    #[inline]
    fn try_message(
        &mut self,
        key: StreamKey,
        prefix: &[u8; PREFIX],
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.poll_room(key)?;
        self.push_message(key, prefix, payload);
        Ok(())
    }

    /// Ends the sending direction after what is queued. A second call does nothing.
    fn finish(&mut self, key: StreamKey);

    /// Ends the sending direction with trailers after what is queued (HTTP/1.1: only with chunked coding).
    fn finish_with_trailers(&mut self, key: StreamKey, trailers: &Fields);

    /// Resets both directions that are still open, with an HTTP/2 error code. HTTP/1.1 closes the connection unless
    /// the exchange is complete.
    fn reset(&mut self, now: Instant, key: StreamKey, code: u32);

    /// The application lets go of the stream. Directions still open are ended: the receiving one discards, an
    /// unfinished sending one is reset with CANCEL.
    fn drop_stream(&mut self, now: Instant, key: StreamKey);

    /// Whether this key names a stream that has not been dropped.
    fn knows(&self, key: StreamKey) -> bool;

    /// Begins a graceful end: no new streams; open ones finish. HTTP/2 sends GOAWAY twice, HTTP/1.1
    /// `Connection: close`. The machine closes when the last stream is done.
    fn drain(&mut self, now: Instant);

    /// Ends the connection at once, with an HTTP/2 error code for the peer.
    fn abort(&mut self, now: Instant, code: u32);

    /// Whether a client may open a stream now.
    fn can_open(&self) -> bool;

    /// The most heap bytes that this connection can be made to hold.
    fn worst_case_bytes(&self) -> usize;
}
