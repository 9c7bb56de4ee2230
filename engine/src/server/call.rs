//! Work on one call of a server.

use std::sync::Arc;

use super::{Connection, Phase, Read, ReadEnd, Request, find};
use crate::calls::Answering;
use crate::codec::envelope;
use crate::notices;
use crate::rpc::{self, Coding, HttpVersion, Method, Payload};
use crate::{CallId, End, HttpConnection, Instant, Metadata, Misuse, SendError, Status, StreamKey};

impl Connection {
    /// The request of a call; `None` once the call has been dropped.
    pub fn request(&self, call: CallId) -> Option<Request<'_>> {
        let slot = self.slots.get(call.index as usize)?;
        if slot.generation != call.generation || slot.phase == Phase::Free {
            return None;
        }
        let head = self.http.head(call.key())?;
        let version = self.version().unwrap_or(HttpVersion::Http11);
        Some(Request { call: &slot.call, head, version })
    }

    /// Says which method the request is for, or that there is none. Checks verb, content-type and codec against it;
    /// a request that does not fit is answered as its protocol demands.
    ///
    /// `false`: the call has been answered and only waits to be dropped. Without this method the shape is what the
    /// protocol tells, and any path is served.
    pub fn route(&mut self, now: Instant, call: CallId, method: Option<&Method>) -> bool {
        self.advance(now);
        let Some(slot) = find(&mut self.slots, call.key()) else { return false };
        if slot.phase != Phase::Open {
            return false;
        }
        let routed = slot.call.route(method);
        if !routed {
            self.settle(call.key());
        }
        routed
    }

    /// As [`route`](Connection::route), for a path that nobody knows but somebody serves, such as a proxy: the request
    /// is taken as its protocol tells it. What is no call is answered.
    pub fn route_any(&mut self, now: Instant, call: CallId) -> bool {
        self.advance(now);
        let Some(slot) = find(&mut self.slots, call.key()) else { return false };
        if slot.phase != Phase::Open {
            return false;
        }
        let routed = slot.call.route_any();
        if !routed {
            self.settle(call.key());
        }
        routed
    }

    /// After [`route`](Connection::route): the method does not know the request's codec. Answers as its protocol demands;
    /// the call only waits to be dropped.
    pub fn refuse_codec(&mut self, now: Instant, call: CallId, method: &Method) {
        self.advance(now);
        let Some(slot) = find(&mut self.slots, call.key()) else { return };
        if slot.phase == Phase::Open {
            slot.call.refuse_codec(method);
            self.settle(call.key());
        }
    }

    /// Adds fields to whatever head the call is answered with, refusals included; see
    /// [`ServerCall::add_fields`](rpc::ServerCall::add_fields). Call it before [`route`](Connection::route).
    pub fn add_fields(&mut self, call: CallId, fields: &Metadata) {
        if let Some(slot) = find(&mut self.slots, call.key()) {
            slot.call.add_fields(fields);
        }
    }

    /// Answers with a status of HTTP and no body, instead of [`route`](Connection::route): a request that is no call,
    /// such as a preflight of CORS. The call only waits to be dropped then.
    pub fn respond(&mut self, now: Instant, call: CallId, http_status: u16) {
        self.advance(now);
        let key = call.key();
        let Some(slot) = find(&mut self.slots, key) else { return };
        if slot.phase == Phase::Open {
            slot.call.respond(http_status, &mut Answering { http: &mut self.http, now: self.now, key });
            self.end_call(key, End::Finished);
        }
    }

    /// Takes what has arrived of the request: a run of complete messages, or the end. After [`Read::Pending`] a
    /// `Readable` follows, never before. What is handed out is credited to the client.
    ///
    /// What came before an end is given first; an end is given again to whoever asks again.
    ///
    /// # Errors
    /// Only for an unknown call.
    pub fn read(&mut self, now: Instant, call: CallId) -> Result<Read, Misuse> {
        self.advance(now);
        let key = call.key();
        let slot = find(&mut self.slots, key).ok_or(Misuse::UnknownCall)?;
        match slot.phase {
            Phase::Ended(End::Finished) => {
                let end = slot.fault.clone().map_or(ReadEnd::Local, ReadEnd::Failed);
                return Ok(Read::End(end));
            }
            Phase::Ended(End::Deadline) => return Ok(Read::End(ReadEnd::Deadline)),
            _ => {}
        }
        let Some((body, end)) = self.http.received(key) else { return Ok(Read::End(ReadEnd::Lost)) };
        let before = body.len();
        if slot.phase == Phase::Open {
            if let Some(messages) = slot.call.receive_whole(body, end) {
                slot.need = 0;
                self.http.release(self.now, key, before)?;
                return Ok(Read::Messages(messages));
            }
        }
        let read = slot.call.receive(self.now, body, end);
        let taken = before.saturating_sub(body.len());
        if taken > 0 {
            self.http.release(self.now, key, taken)?;
        }
        match read {
            rpc::Read::Messages(messages) => {
                slot.need = 0;
                Ok(Read::Messages(messages))
            }
            rpc::Read::NeedMore { need } => match slot.phase {
                Phase::Ended(end) => Ok(Read::End(read_end(end))),
                Phase::Open | Phase::Free => {
                    slot.need = if need == usize::MAX { 0 } else { need };
                    self.http.demand(self.now, key, need)?;
                    self.notices.unset(key.index, notices::READABLE);
                    Ok(Read::Pending)
                }
            },
            rpc::Read::End => Ok(Read::End(ReadEnd::HalfClosed)),
            rpc::Read::Failed(status) => {
                let end = match slot.phase {
                    Phase::Ended(end @ (End::Cancelled { .. } | End::Lost)) => read_end(end),
                    _ => {
                        slot.fault = Some(status.clone());
                        ReadEnd::Failed(status)
                    }
                };
                self.settle(key);
                Ok(Read::End(end))
            }
        }
    }

    /// Sends the response headers, before the first message. Without it they leave with the first message, or with
    /// the end, and hold no metadata.
    ///
    /// # Errors
    /// [`Misuse::HeadersSent`], [`Misuse::InvalidMetadata`], or an unknown call. Too late is no error: then it does
    /// nothing.
    pub fn send_headers(&mut self, now: Instant, call: CallId, metadata: &Metadata) -> Result<(), Misuse> {
        self.advance(now);
        let key = call.key();
        let slot = find(&mut self.slots, key).ok_or(Misuse::UnknownCall)?;
        slot.call.send_headers(metadata, &mut Answering { http: &mut self.http, now: self.now, key })
    }

    /// Whether a message may be sent now.
    ///
    /// # Errors
    /// `Blocked`: a `Writable` follows. `Ended`: nothing can be sent any more.
    pub fn room(&mut self, call: CallId) -> Result<(), SendError> {
        let slot = find(&mut self.slots, call.key()).ok_or(Misuse::UnknownCall)?;
        match slot.phase {
            Phase::Open => self.http.poll_room(call.key()),
            Phase::Ended(_) | Phase::Free => Err(SendError::Ended),
        }
    }

    /// Sends a message. It is taken whole while the call's queue is below its limit, whatever its size.
    ///
    /// # Errors
    /// As [`room`](Connection::room); [`Misuse`] for a second message where one is due, after the end, or above the
    /// limit. Nothing was taken then.
    pub fn send(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError> {
        self.advance(now);
        let key = call.key();
        let slot = find(&mut self.slots, key).ok_or(Misuse::UnknownCall)?;
        if slot.phase == Phase::Open {
            if let Payload::Plain(bytes) = payload {
                if slot.call.is_further_message(bytes) {
                    let prefix = envelope::encode(0, bytes.len() as u32);
                    return self.http.try_message(key, &prefix, bytes);
                }
            }
        }
        self.send_first(key, payload)
    }

    /// Sends a message that is not merely one more of a stream.
    #[inline(never)]
    fn send_first(&mut self, key: StreamKey, payload: Payload<'_>) -> Result<(), SendError> {
        let slot = find(&mut self.slots, key).ok_or(Misuse::UnknownCall)?;
        if slot.phase == Phase::Open {
            self.http.poll_room(key)?;
        }
        slot.call.send(payload, &mut Answering { http: &mut self.http, now: self.now, key })
    }

    /// Answers a unary call in one: headers, message, trailers.
    ///
    /// # Errors
    /// As [`send`](Connection::send), except `Blocked`.
    pub fn answer(
        &mut self,
        now: Instant,
        call: CallId,
        headers: &Metadata,
        payload: Payload<'_>,
        trailers: &Metadata,
    ) -> Result<(), SendError> {
        self.advance(now);
        let key = call.key();
        let slot = find(&mut self.slots, key).ok_or(Misuse::UnknownCall)?;
        let mut out = Answering { http: &mut self.http, now: self.now, key };
        slot.call.answer(headers, payload, trailers, &mut out)?;
        if slot.phase == Phase::Open {
            slot.phase = Phase::Ended(End::Finished);
            let (timed, whole) = (slot.call.deadline().is_some(), slot.call.has_whole_request());
            self.ended(key, End::Finished, timed, whole);
        }
        Ok(())
    }

    /// Ends the call: well, or with a status. Its outcome is `Finished`.
    ///
    /// # Errors
    /// [`Misuse`] when it was finished before, when the one message of the answer is missing, or for metadata that may
    /// not be sent. Too late, since the call has another outcome, is no error.
    pub fn finish(
        &mut self,
        now: Instant,
        call: CallId,
        result: Result<(), &Status>,
        trailers: &Metadata,
    ) -> Result<(), Misuse> {
        self.advance(now);
        let key = call.key();
        let slot = find(&mut self.slots, key).ok_or(Misuse::UnknownCall)?;
        slot.call.finish(result, trailers, &mut Answering { http: &mut self.http, now: self.now, key })?;
        self.end_call(key, End::Finished);
        Ok(())
    }

    /// Ends the call for a fault found after its messages were taken, while inflating or decoding them. If the answer
    /// is still open it becomes this status; otherwise nothing happens.
    pub fn fail(&mut self, now: Instant, call: CallId, status: Status) {
        self.advance(now);
        let key = call.key();
        let Some(slot) = find(&mut self.slots, key) else { return };
        slot.call.fail(&status, &mut Answering { http: &mut self.http, now: self.now, key });
        if slot.phase == Phase::Open {
            slot.fault = Some(status);
            self.end_call(key, End::Finished);
        }
    }

    /// Reads no more of the request: what comes is discarded and credited. The answer goes on.
    pub fn stop_reading(&mut self, now: Instant, call: CallId) {
        self.advance(now);
        let key = call.key();
        let Some(slot) = find(&mut self.slots, key) else { return };
        slot.call.stop_reading();
        self.http.stop_reading(self.now, key);
        self.notices.unset(key.index, notices::READABLE);
    }

    /// Lets go of the call; its id is unknown from now on and its slot is free. A call that has not been finished is
    /// reset.
    pub fn drop_call(&mut self, now: Instant, call: CallId) {
        self.advance(now);
        let key = call.key();
        let Some(slot) = find(&mut self.slots, key) else { return };
        if slot.phase == Phase::Open {
            self.open -= 1;
            if slot.call.deadline().is_some() {
                self.deadlines.remove();
            }
        }
        slot.phase = Phase::Free;
        self.held -= 1;
        self.notices.clear(key.index);
        self.http.drop_stream(self.now, key);
        self.policy.tick(self.now, self.held);
        self.absorb();
    }

    /// The coding in which answers of this call may be compressed, agreed on with the client. Compress outside of any
    /// lock and send [`Payload::Compressed`].
    pub fn encoding(&self, call: CallId) -> Option<Arc<dyn Coding>> {
        let slot = self.slots.get(call.index as usize)?;
        let known = slot.generation == call.generation && slot.phase != Phase::Free;
        known.then(|| slot.call.encoding().cloned()).flatten()
    }

    /// The outcome of a call, once it has one.
    pub fn outcome(&self, call: CallId) -> Option<End> {
        let slot = self.slots.get(call.index as usize)?;
        match slot.phase {
            Phase::Ended(end) if slot.generation == call.generation => Some(end),
            _ => None,
        }
    }
}

fn read_end(end: End) -> ReadEnd {
    match end {
        End::Finished => ReadEnd::Local,
        End::Cancelled { reset } => ReadEnd::Cancelled { reset },
        End::Deadline => ReadEnd::Deadline,
        End::Lost => ReadEnd::Lost,
    }
}
