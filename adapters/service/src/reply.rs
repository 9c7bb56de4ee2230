//! What is sent: one message packed for the wire, and the end of a server's call.

use std::sync::Arc;

use antiphon::rpc::Payload;
use antiphon::{Code, End, Event, Instant, Machine, Metadata, Misuse, Output, SendError, Status};
use bytes::Bytes;

use crate::call::Call;
use crate::link::end_status;
use crate::{Access, Codec, Endpoint};

/// The largest buffer that a connection keeps for later messages, in bytes: it keeps many, and for long.
pub(crate) const MOST_SPARE: usize = 32 << 10;

/// A message packed for the wire; the bytes of the first two are in the scratch buffer that goes with it.
pub(crate) enum Packed {
    Plain,
    Compressed {
        /// How long it was before, in bytes.
        plain: usize,
    },
    /// Large, and held by somebody else already.
    Shared(Bytes),
}

impl Packed {
    pub(crate) fn payload<'a>(&'a self, scratch: &'a [u8]) -> Payload<'a> {
        match self {
            Self::Plain => Payload::Plain(scratch),
            Self::Compressed { .. } => Payload::Compressed(scratch),
            Self::Shared(bytes) => Payload::Shared(bytes),
        }
    }

    /// Its size before compression, in bytes.
    pub(crate) fn plain_len(&self, scratch: &[u8]) -> usize {
        match self {
            Self::Plain => scratch.len(),
            Self::Compressed { plain } => *plain,
            Self::Shared(bytes) => bytes.len(),
        }
    }
}

/// Encodes and compresses a message into `scratch`, outside every lock.
#[inline(always)]
pub(crate) fn pack<T>(
    call: &Call,
    codec: &dyn Codec<T>,
    message: &T,
    scratch: &mut Vec<u8>,
) -> Result<Packed, Status> {
    scratch.clear();
    let packed = match (codec.as_bytes(message), &call.coding) {
        (None, None) => {
            codec.encode(message, scratch)?;
            encoded(scratch)
        }
        (held, _) => encode(call, codec, message, held, scratch)?,
    };
    let size = packed.payload(scratch).bytes().len();
    if size > call.terms.max_send {
        return Err(too_large(size, call.terms.max_send));
    }
    Ok(packed)
}

/// As [`pack`], for a message that is `held` as bytes already, or to be compressed perhaps.
fn encode<T>(
    call: &Call,
    codec: &dyn Codec<T>,
    message: &T,
    held: Option<&Bytes>,
    scratch: &mut Vec<u8>,
) -> Result<Packed, Status> {
    if let (Some(coding), Some(bytes)) = (&call.coding, held.filter(|bytes| call.compresses(bytes.len()))) {
        coding.compress(bytes, scratch);
        return Ok(Packed::Compressed { plain: bytes.len() });
    }
    if let Some(bytes) = held.filter(|bytes| bytes.len() >= Output::SHARE_FROM) {
        return Ok(Packed::Shared(bytes.clone()));
    }
    codec.encode(message, scratch)?;
    match &call.coding {
        Some(coding) if call.compresses(scratch.len()) => {
            let plain = std::mem::take(scratch);
            coding.compress(&plain, scratch);
            Ok(Packed::Compressed { plain: plain.len() })
        }
        _ => Ok(encoded(scratch)),
    }
}

#[inline]
fn encoded(scratch: &mut Vec<u8>) -> Packed {
    if scratch.len() < Output::SHARE_FROM {
        return Packed::Plain;
    }
    Packed::Shared(Bytes::from(std::mem::take(scratch)))
}

#[cold]
fn too_large(size: usize, max: usize) -> Status {
    Status::resource_exhausted(format!("the message has {size} bytes, and at most {max} may be sent"))
}

/// What a handler returned.
pub(crate) enum Reply {
    /// The one message of a response, packed.
    Message(Packed),
    /// Its messages went through a `Sender`.
    Sent,
}

/// The end of a server's call: what its handler's return leaves to be sent.
pub struct Answer {
    pub(crate) call: Arc<Call>,
    result: Result<Reply, Status>,
    /// The bytes of the message.
    pub(crate) scratch: Vec<u8>,
    /// The headers and the trailers, if there are any.
    beside: Option<Box<(Metadata, Metadata)>>,
}

/// No headers and no trailers.
static NOTHING: (Metadata, Metadata) = (Metadata::new(), Metadata::new());

impl Answer {
    /// Takes what the handler has set; from now on nothing more can be.
    #[inline]
    pub(crate) fn new(call: Arc<Call>, result: Result<Reply, Status>, scratch: Vec<u8>) -> Self {
        call.clear_extra();
        if let Ok(Reply::Message(packed)) = &result {
            call.count_sent(packed, &scratch);
        }
        let beside = {
            let mut outgoing = call.outgoing();
            outgoing.finished = true;
            outgoing.take(!call.headers_sent())
        };
        Self { call, result, scratch, beside }
    }

    /// Sends it and lets go of the call, under the lock.
    pub fn submit<M, E>(&self, access: &mut Access<'_, M, E>)
    where
        M: Machine<Event = Event> + AsMut<E>,
        E: Endpoint,
    {
        self.put(access);
        access.drop_call(self.call.id);
    }

    /// Sends it, under the lock. The call is to be let go of afterwards.
    #[inline]
    pub(crate) fn put<M, E>(&self, access: &mut Access<'_, M, E>)
    where
        M: Machine<Event = Event> + AsMut<E>,
        E: Endpoint,
    {
        let call = self.call.id;
        let ended = match access.slot(call) {
            Some(slot) => slot.ended,
            None => Some(access.last_end(call).unwrap_or(End::Lost)),
        };
        if let (Some(end), Some(watch)) = (ended, &self.call.watch) {
            watch.cut(end_status(Some(end)).code());
        }
        if ended.is_none() {
            let now = access.now();
            let endpoint = access.endpoint();
            if let Err(misuse) = self.send(endpoint, now) {
                // The handler did what its method does not permit. The trailers may be the reason.
                self.call.watch.iter().for_each(|watch| watch.cut(Code::Internal));
                let _ = endpoint.finish(now, call, Err(&misuse_status(misuse)), &Metadata::new());
            }
        }
        if Arc::strong_count(&self.call) > 1 {
            self.call.remember_end(ended.unwrap_or(End::Finished));
        }
    }

    fn beside(&self) -> &(Metadata, Metadata) {
        self.beside.as_deref().unwrap_or(&NOTHING)
    }

    /// Outside the lock, when it has been submitted: tells the observers.
    pub(crate) fn observe(&self) {
        self.call.observe_end(self.result.as_ref().map(|_| ()));
    }

    fn lead<E: Endpoint>(&self, endpoint: &mut E, now: Instant) -> Result<(), Misuse> {
        if self.call.headers_sent() {
            Ok(())
        } else {
            endpoint.send_headers(now, self.call.id, &self.beside().0)
        }
    }

    fn send<E: Endpoint>(&self, endpoint: &mut E, now: Instant) -> Result<(), Misuse> {
        let call = self.call.id;
        let (headers, trailers) = self.beside();
        match &self.result {
            Ok(Reply::Message(packed)) => {
                let payload = packed.payload(&self.scratch);
                if !self.call.headers_sent() {
                    return taken(endpoint.answer(now, call, headers, payload, trailers));
                }
                taken(endpoint.send(now, call, payload))?;
                endpoint.finish(now, call, Ok(()), trailers)
            }
            Ok(Reply::Sent) => {
                self.lead(endpoint, now)?;
                endpoint.finish(now, call, Ok(()), trailers)
            }
            Err(status) => {
                if !headers.is_empty() {
                    self.lead(endpoint, now)?;
                }
                endpoint.finish(now, call, Err(status), trailers)
            }
        }
    }
}

/// Too late is no fault; the first message always finds room.
fn taken(sent: Result<(), SendError>) -> Result<(), Misuse> {
    match sent {
        Ok(()) | Err(SendError::Ended | SendError::Blocked) => Ok(()),
        Err(SendError::Misuse(misuse)) => Err(misuse),
    }
}

/// The status of a fault of this side.
pub(crate) fn misuse_status(misuse: Misuse) -> Status {
    match misuse {
        Misuse::TooLarge => Status::resource_exhausted(misuse.to_string()).with_source(misuse),
        _ => Status::internal(misuse.to_string()).with_source(misuse),
    }
}
