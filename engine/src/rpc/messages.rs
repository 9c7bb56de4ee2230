//! A run of received messages, and the scan that finds it.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::{Coding, DecompressError};
use crate::codec::envelope::{PREFIX, Prefix};
use crate::{Code, Status};

/// When more than so many bytes are taken from a body at once, what stays leaves their block.
const MOST_SHARED: usize = 64 << 10;

/// Messages smaller than this are copied out of the scratch buffer when they were compressed; larger ones take it.
const COPY_BELOW: usize = 32 << 10;

/// A run of complete messages, taken from a call at once and looked at outside of it: no lock need be held while they
/// are iterated, inflated and decoded.
///
/// A plain message is a slice of the run: no copy, no allocation. A compressed one is inflated when its turn comes, up
/// to one byte more than the limit.
#[derive(Clone, Default)]
pub struct Messages {
    bytes: Bytes,
    coding: Option<Arc<dyn Coding>>,
    max: usize,
    left: usize,
    wire: usize,
    bare: Bare,
}

/// One message that nobody compressed: for those who hand out messages without a connection, such as tests.
impl From<Bytes> for Messages {
    fn from(message: Bytes) -> Self {
        let max = message.len();
        Self::bare(message, None, max)
    }
}

/// How a message without an envelope travels (Connect unary).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Bare {
    /// There are envelopes.
    #[default]
    No,
    Plain,
    Compressed,
}

impl Messages {
    /// Messages in envelopes, `count` of them, already checked by [`scan`].
    pub(crate) fn enveloped(
        bytes: Bytes,
        count: usize,
        coding: Option<&Arc<dyn Coding>>,
        max: usize,
    ) -> Self {
        let wire = bytes.len();
        Self { bytes, coding: coding.cloned(), max, left: count, wire, bare: Bare::No }
    }

    /// One message that is a whole body; compressed if there is a coding.
    pub(crate) fn bare(bytes: Bytes, coding: Option<&Arc<dyn Coding>>, max: usize) -> Self {
        let bare = if coding.is_some() { Bare::Compressed } else { Bare::Plain };
        let wire = bytes.len();
        Self { bytes, coding: coding.cloned(), max, left: 1, wire, bare }
    }

    /// How many messages are left.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether all messages have been taken.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// How many bytes the whole run had in the body, prefixes included, when it was taken (before base64 in the text
    /// form of gRPC-Web).
    pub fn wire_len(&self) -> usize {
        self.wire
    }

    /// The next message, or what is wrong with it: then none follows, and the status is to be given to the call's
    /// `fail`. `scratch` is where compressed messages are inflated; give the same one again to spare allocations.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the message is larger than the limit uncompressed, INTERNAL when it cannot be inflated.
    pub fn next(&mut self, scratch: &mut Vec<u8>) -> Option<Result<Bytes, Status>> {
        self.left = self.left.checked_sub(1)?;
        let (compressed, payload) = match self.bare {
            Bare::No => {
                let prefix = Prefix::parse(&self.bytes)?;
                self.bytes.advance(PREFIX);
                let length = (prefix.length as usize).min(self.bytes.len());
                let last = length == self.bytes.len();
                let payload =
                    if last { core::mem::take(&mut self.bytes) } else { self.bytes.split_to(length) };
                (prefix.is_compressed(), payload)
            }
            bare => (bare == Bare::Compressed, core::mem::take(&mut self.bytes)),
        };
        // An empty message is never inflated (Connect "Content-Encoding"; gRPC compression.md).
        let result = match &self.coding {
            Some(coding) if compressed && !payload.is_empty() => {
                inflate(&**coding, &payload, self.max, scratch)
                    .map_err(|error| inflate_failed(error, self.max))
            }
            _ => Ok(payload),
        };
        if result.is_err() {
            self.left = 0;
        }
        Some(result)
    }
}

/// Without the messages, which may hold secrets.
impl core::fmt::Debug for Messages {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Messages({} in {} bytes)", self.left, self.bytes.len())
    }
}

/// Inflates one message.
pub(crate) fn inflate(
    coding: &dyn Coding,
    payload: &[u8],
    max: usize,
    scratch: &mut Vec<u8>,
) -> Result<Bytes, DecompressError> {
    scratch.clear();
    coding.decompress(payload, max, scratch)?;
    if scratch.len() > max {
        return Err(DecompressError::TooLarge);
    }
    if scratch.len() < COPY_BELOW {
        return Ok(Bytes::copy_from_slice(scratch));
    }
    Ok(Bytes::from(core::mem::take(scratch)))
}

pub(crate) fn inflate_failed(error: DecompressError, max: usize) -> Status {
    match error {
        DecompressError::TooLarge => too_large(max),
        DecompressError::Corrupt => Status::internal("a compressed message is corrupt"),
    }
}

pub(crate) fn too_large(max: usize) -> Status {
    Status::new(Code::ResourceExhausted, format!("a message is larger than the limit of {max} bytes"))
}

/// What stands at the front of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Front {
    /// This many bytes hold this many complete messages.
    Run { bytes: usize, count: usize },
    /// No complete message: so many bytes in all complete the one in front.
    Need(usize),
    /// A message above the limit, known from its prefix alone.
    TooLarge,
    /// A prefix with flags other than those of a message: the protocol says what it is.
    Flags(Prefix),
}

/// Looks for complete messages at the front of `body`, in one pass over their prefixes, at most `most` of them. Stops in
/// front of anything that is not a message of at most `max` bytes with flags out of `legal`.
pub(crate) fn scan(body: &[u8], max: usize, legal: u8, most: usize) -> Front {
    let mut run = 0;
    let mut count = 0;
    while count < most {
        let rest = body.get(run..).unwrap_or_default();
        let Some(prefix) = Prefix::parse(rest) else {
            if count == 0 {
                return Front::Need(PREFIX);
            }
            break;
        };
        let whole = PREFIX.saturating_add(prefix.length as usize);
        let obstacle = if prefix.flags & !legal != 0 {
            Some(Front::Flags(prefix))
        } else if prefix.length as usize > max {
            Some(Front::TooLarge)
        } else if rest.len() < whole {
            Some(Front::Need(whole))
        } else {
            None
        };
        match obstacle {
            Some(obstacle) if count == 0 => return obstacle,
            Some(_) => break,
            None => {}
        }
        run += whole;
        count += 1;
    }
    Front::Run { bytes: run, count }
}

/// Takes the first `length` bytes out of `body`, without a copy.
#[inline(always)]
pub(crate) fn take(body: &mut BytesMut, length: usize) -> Bytes {
    let length = length.min(body.len());
    if length <= MOST_SHARED { body.split_to(length).freeze() } else { take_large(body, length) }
}

/// As [`take`]. What stays would keep the whole block as long as its call is open, and nobody counts that.
#[inline(never)]
fn take_large(body: &mut BytesMut, length: usize) -> Bytes {
    let rest = BytesMut::from(body.get(length..).unwrap_or_default());
    let mut taken = core::mem::replace(body, rest);
    taken.truncate(length);
    taken.freeze()
}

#[cfg(test)]
mod tests {
    use super::super::coding::tests::{Flip, flips};
    use super::*;
    use crate::codec::envelope::{self, COMPRESSED};

    fn envelopes(messages: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (flags, message) in messages {
            out.extend_from_slice(&envelope::encode(*flags, message.len() as u32));
            out.extend_from_slice(message);
        }
        out
    }

    // Design, "Bounds": a call that rests after a large message holds none of it.
    #[test]
    fn a_large_message_leaves_no_large_block_behind() {
        for rest in [&b""[..], b"next"] {
            let mut body = BytesMut::new();
            body.resize(4 << 20, 7);
            body.extend_from_slice(rest);
            let taken = take(&mut body, 4 << 20);
            assert_eq!((taken.len(), &body[..]), (4 << 20, rest));
            assert!(taken.iter().all(|byte| *byte == 7) && body.capacity() < 1024, "{}", body.capacity());
        }
        let mut body = BytesMut::from(&b"one two"[..]);
        assert_eq!((&take(&mut body, 3)[..], &take(&mut body, 99)[..]), (&b"one"[..], &b" two"[..]));
    }

    // gRPC "Length-Prefixed-Message": messages do not keep to the cuts of DATA frames.
    #[test]
    fn a_scan_finds_whole_messages_and_what_the_next_one_needs() {
        let body = envelopes(&[(0, b"abc"), (1, b""), (0, b"defg")]);
        assert_eq!(scan(&body, 4, COMPRESSED, 9), Front::Run { bytes: body.len(), count: 3 });
        assert_eq!(scan(&body, 4, COMPRESSED, 2), Front::Run { bytes: 13, count: 2 });
        for cut in 0..body.len() {
            let expected = match cut {
                0..5 => Front::Need(5),
                5..8 => Front::Need(8),
                8..13 => Front::Run { bytes: 8, count: 1 },
                _ => Front::Run { bytes: 13, count: 2 },
            };
            assert_eq!(scan(&body[..cut], 4, COMPRESSED, 9), expected, "{cut}");
        }
        assert_eq!(scan(&[], 4, COMPRESSED, 9), Front::Need(5));
    }

    // Attack C1: a lie about the length is seen from the prefix alone; what came before it is still read.
    #[test]
    fn a_scan_stops_in_front_of_obstacles() {
        assert_eq!(scan(b"\0\xff\xff\xff\xff", 100, COMPRESSED, 9), Front::TooLarge);
        let end = Prefix { flags: 2, length: 7 };
        assert_eq!(scan(b"\x02\0\0\0\x07", 1, COMPRESSED, 9), Front::Flags(end));
        let mut body = envelopes(&[(0, b"abc")]);
        body.extend_from_slice(b"\0\xff\xff\xff\xff");
        assert_eq!(scan(&body, 100, COMPRESSED, 9), Front::Run { bytes: 8, count: 1 });
        body.splice(8.., *b"\x80\0\0\0\0");
        assert_eq!(scan(&body, 100, COMPRESSED, 9), Front::Run { bytes: 8, count: 1 });
    }

    #[test]
    fn messages_are_slices_of_the_run_and_inflated_in_turn() {
        let codings = flips(&["flip"]);
        let body = Bytes::from(envelopes(&[(0, b"abc"), (1, b""), (1, &[!b'd', !b'e'])]));
        assert_eq!(
            scan(&body, 9, 0, 9),
            Front::Run { bytes: 8, count: 1 },
            "no coding: no compressed message"
        );
        let mut run = Messages::enveloped(body.clone(), 3, codings.find("flip"), 10);
        assert_eq!((run.len(), run.wire_len()), (3, body.len()));
        let mut scratch = Vec::new();
        let first = run.next(&mut scratch).unwrap().unwrap();
        assert_eq!(first.as_ptr(), body[5..].as_ptr(), "not copied");
        assert_eq!(run.next(&mut scratch).unwrap().unwrap(), "", "empty messages are not inflated");
        assert_eq!(run.next(&mut scratch).unwrap().unwrap(), "de");
        assert!(run.next(&mut scratch).is_none() && run.is_empty());
    }

    // CS26: the limit is measured uncompressed. After a failure nothing follows.
    #[test]
    fn the_limit_holds_after_inflation() {
        #[derive(Debug)]
        struct Liar;
        impl Coding for Liar {
            fn name(&self) -> &'static str {
                "liar"
            }
            fn compress(&self, _: &[u8], _: &mut Vec<u8>) {}
            fn decompress(&self, _: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
                out.resize(max + 1, 0);
                Ok(())
            }
        }
        let coding: Arc<dyn Coding> = Arc::new(Liar);
        let body = Bytes::from(envelopes(&[(1, b"x"), (0, b"y")]));
        let mut run = Messages::enveloped(body, 2, Some(&coding), 3);
        let status = run.next(&mut Vec::new()).unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(run.next(&mut Vec::new()).is_none());

        let corrupt: Arc<dyn Coding> = Arc::new(Flip("flip"));
        let mut bare = Messages::bare(Bytes::from_static(b"xyz"), Some(&corrupt), 2);
        assert_eq!(bare.next(&mut Vec::new()).unwrap().unwrap_err().code(), Code::ResourceExhausted);
        let mut bare = Messages::bare(Bytes::new(), Some(&corrupt), 2);
        assert_eq!(bare.next(&mut Vec::new()).unwrap().unwrap(), "");
    }
}
