//! What a connection notices, and how calls are named.

use crate::StreamKey;

/// Names a call of one connection: a dense index that is used again, and a generation that tells its users apart.
///
/// The index is as small as possible and fits the caller's own tables: an adapter needs no map. An id that outlives
/// its call is harmless: every method answers [`Misuse::UnknownCall`](crate::Misuse::UnknownCall).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId {
    /// The place in a table, from 0.
    pub index: u32,
    /// Grows each time the place is used again.
    pub generation: u32,
}

impl CallId {
    /// The id in one number: the generation in the upper half.
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The id that [`to_u64`](CallId::to_u64) made.
    pub const fn from_u64(packed: u64) -> Self {
        Self { index: packed as u32, generation: (packed >> 32) as u32 }
    }
}

/// A server's calls are its streams: one table serves both floors.
impl From<StreamKey> for CallId {
    fn from(key: StreamKey) -> Self {
        Self { index: key.index, generation: key.generation }
    }
}

impl CallId {
    pub(crate) const fn key(self) -> StreamKey {
        StreamKey { index: self.index, generation: self.generation }
    }
}

/// What a connection notices. Events are reminders, at most one of a kind for each call; what they speak of is pulled
/// by methods of the connection. A superfluous one is harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A server: a call has begun; its request is there to see. Always the first event of a call.
    Started(CallId),
    /// `read` may give something: a message, or the end. At a client also: the response headers are there.
    Readable(CallId),
    /// After `Blocked`: there is room for a message again.
    Writable(CallId),
    /// The call has its outcome, which will not change. What came before may still be read; drop the call when done.
    /// At most once for each call, and the last event that ends work: a handler can be dropped.
    Ended(CallId, End),
    /// The peer takes no more messages of this call (its raw HTTP/2 code), but the receiving direction goes on.
    Stopped(CallId, u32),
    /// A client: a call can be started again.
    Available,
    /// The connection takes no new calls (GOAWAY, `Connection: close`, age, ids used up); open ones go on.
    Draining,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// A server: the answer was given in full by this side, good or bad. A client: the peer's answer, good or bad, has
    /// arrived in full; `read` gives the outcome.
    Finished,
    /// The call was cancelled: by the peer with its raw HTTP/2 reset code, by its disappearance (HTTP/1.1, CANCEL = 8),
    /// or locally (`None`).
    Cancelled {
        /// The peer's raw reset code; `None` when this side cancelled.
        reset: Option<u32>,
    },
    /// The deadline passed first.
    Deadline,
    /// The connection ended first.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_pack_into_one_number() {
        for id in [CallId { index: 0, generation: 0 }, CallId { index: u32::MAX, generation: 7 }] {
            assert_eq!(CallId::from_u64(id.to_u64()), id);
        }
    }
}
