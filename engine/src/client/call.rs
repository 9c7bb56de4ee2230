//! Work on one call of a client.

use std::sync::Arc;

use super::{Connection, Phase, Read, Slot, never_sent};
use crate::calls::Requesting;
use crate::codec::envelope;
use crate::notices;
use crate::rpc::{self, ClientCall, ClientRequest, Coding, Payload, Protocol};
use crate::{CallId, End, HttpConnection, Instant, Metadata, Misuse, SendError, StartError, Status};

impl Connection {
    /// Starts a call. The request's head leaves with the next transmission; that of a Connect unary call waits until
    /// its message is there.
    ///
    /// # Errors
    /// [`StartError::Full`]: an `Available` follows. [`StartError::Closed`]: use another connection.
    /// [`StartError::Misuse`] for what cannot be sent, or cannot be carried by this version of HTTP.
    pub fn start(&mut self, now: Instant, request: &ClientRequest<'_>) -> Result<CallId, StartError> {
        self.advance(now);
        self.policy.tick(self.now, self.held);
        if self.is_draining() {
            return Err(StartError::Closed);
        }
        if !self.can_start() {
            return Err(StartError::Full);
        }
        let place = self.prepare(request)?;
        self.held += 1;
        self.deferred += 1;
        let Some(slot) = self.slots.get_mut(place as usize) else { return Err(StartError::Closed) };
        slot.phase = Phase::Open;
        let mut out = Requesting::new(&mut self.http, self.now, &mut slot.key);
        slot.call.start(&mut out);
        if let Some(error) = out.refused {
            self.held -= 1;
            self.deferred -= 1;
            slot.phase = Phase::Free;
            self.free.push(place);
            self.wants_start |= error == StartError::Full;
            return Err(error);
        }
        if let Some(deadline) = slot.call.deadline() {
            self.deadlines.add(deadline);
        }
        let call = CallId { index: place, generation: slot.generation };
        self.opened(place);
        self.policy.tick(self.now, self.held);
        Ok(call)
    }

    /// A place with a call made out of the request.
    fn prepare(&mut self, request: &ClientRequest<'_>) -> Result<u32, Misuse> {
        let (caps, rpc) = (self.http.caps(), &self.config.rpc);
        if let Some(place) = self.free.last().copied() {
            if let Some(slot) = self.slots.get_mut(place as usize) {
                slot.call.prepare(request, caps, rpc, self.now)?;
                slot.generation = slot.generation.wrapping_add(1);
                slot.key = None;
                slot.headed = false;
                slot.trailed = false;
                slot.discarding = false;
                slot.need = 0;
                slot.stop_code = 0;
                self.free.pop();
                return Ok(place);
            }
        }
        let call = ClientCall::new(request, caps, rpc, self.now)?;
        self.slots.push(Slot {
            generation: self.first_generation,
            phase: Phase::Free,
            call,
            key: None,
            headed: false,
            trailed: false,
            discarding: false,
            need: 0,
            stop_code: 0,
            ended_at: Instant::EPOCH,
        });
        Ok(self.slots.len() as u32 - 1)
    }

    /// Takes note of the stream that a call has just got, if it has.
    fn opened(&mut self, place: u32) {
        let Some(key) = self.slots.get(place as usize).and_then(|slot| slot.key) else { return };
        let stream = key.index as usize;
        if self.by_stream.len() <= stream {
            self.by_stream.resize(stream + 1, u32::MAX);
        }
        if let Some(entry) = self.by_stream.get_mut(stream) {
            *entry = place;
        }
        self.deferred = self.deferred.saturating_sub(1);
        self.absorb();
    }

    fn slot(&mut self, call: CallId) -> Result<&mut Slot, Misuse> {
        let slot = self.slots.get_mut(call.index as usize).ok_or(Misuse::UnknownCall)?;
        let known = slot.generation == call.generation && slot.phase != Phase::Free;
        if known { Ok(slot) } else { Err(Misuse::UnknownCall) }
    }

    fn peek(&self, call: CallId) -> Option<&Slot> {
        let slot = self.slots.get(call.index as usize)?;
        (slot.generation == call.generation && slot.phase != Phase::Free).then_some(slot)
    }

    /// Whether a message may be sent now.
    ///
    /// # Errors
    /// `Blocked`: a `Writable` follows. `Ended`: the call has its outcome, or the server reads no more.
    pub fn room(&mut self, call: CallId) -> Result<(), SendError> {
        let slot = self.slot(call)?;
        match (slot.phase, slot.key) {
            (Phase::Open, Some(key)) => self.http.poll_room(key),
            (Phase::Open, None) => Ok(()),
            _ => Err(SendError::Ended),
        }
    }

    /// Sends a message. It is taken whole while the call's queue is below its limit, whatever its size.
    ///
    /// # Errors
    /// As [`room`](Connection::room); [`Misuse`] for a second message where one is due, after the half-close, or above
    /// the limit. Nothing was taken then.
    pub fn send(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError> {
        if let (Ok(slot), Payload::Plain(bytes)) = (self.slot(call), payload) {
            if let (Phase::Open, Some(key)) = (slot.phase, slot.key) {
                if slot.call.is_further_message(bytes) {
                    let prefix = envelope::encode(0, bytes.len() as u32);
                    self.advance(now);
                    return self.http.try_message(key, &prefix, bytes);
                }
            }
        }
        self.send_first(now, call, payload)
    }

    /// Sends a message that is not merely one more of a stream.
    #[inline(never)]
    fn send_first(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError> {
        self.requesting(now, call, |rpc, out| rpc.send(payload, out), true)
    }

    /// Sends the only message of a request and half-closes: head, message and end leave together.
    ///
    /// # Errors
    /// As [`send`](Connection::send).
    pub fn send_last(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError> {
        self.requesting(now, call, |rpc, out| rpc.unary(payload, out), true)
    }

    /// Ends the request: the server will see that no message follows. The response goes on.
    ///
    /// # Errors
    /// [`Misuse`] when it was ended before, or the one message of the request is missing. Too late, since the call has
    /// its outcome, is no error.
    pub fn half_close(&mut self, now: Instant, call: CallId) -> Result<(), Misuse> {
        match self.requesting(now, call, |rpc, out| rpc.half_close(out).map_err(SendError::Misuse), false) {
            Err(SendError::Misuse(misuse)) => Err(misuse),
            _ => Ok(()),
        }
    }

    fn requesting(
        &mut self,
        now: Instant,
        call: CallId,
        work: impl FnOnce(&mut ClientCall, &mut Requesting<'_, crate::stack::ClientHttp>) -> Result<(), SendError>,
        needs_room: bool,
    ) -> Result<(), SendError> {
        self.advance(now);
        let place = call.index;
        let slot = self.slots.get_mut(place as usize).ok_or(Misuse::UnknownCall)?;
        if slot.generation != call.generation || slot.phase == Phase::Free {
            return Err(Misuse::UnknownCall.into());
        }
        if slot.phase != Phase::Open {
            return Err(SendError::Ended);
        }
        let before = slot.key;
        if let (Some(key), true) = (before, needs_room) {
            match self.http.poll_room(key) {
                // What was closed before is told by the call, which knows whose fault it is.
                Ok(()) | Err(SendError::Misuse(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let mut out = Requesting::new(&mut self.http, self.now, &mut slot.key);
        let result = work(&mut slot.call, &mut out);
        let refused = out.refused;
        if refused.is_some() {
            slot.call.fail(never_sent());
            self.end_call(place, End::Lost);
            return result;
        }
        if before.is_none() && slot.key.is_some() {
            self.opened(place);
        }
        result
    }

    /// Takes what has arrived of the response: a run of complete messages, or the outcome. After [`Read::Pending`] a
    /// `Readable` follows, never before. What is handed out is credited to the server.
    ///
    /// What came before an end is given first; the outcome is given again to whoever asks again.
    ///
    /// # Errors
    /// Only for an unknown call.
    pub fn read(&mut self, now: Instant, call: CallId) -> Result<Read, Misuse> {
        self.advance(now);
        let place = call.index;
        let slot = self.slots.get_mut(place as usize).ok_or(Misuse::UnknownCall)?;
        if slot.generation != call.generation || slot.phase == Phase::Free {
            return Err(Misuse::UnknownCall);
        }
        // How it ended does not depend on when that is asked.
        let time = if slot.phase == Phase::Open { self.now } else { slot.ended_at };
        let Some(key) = slot.key else {
            // Without a stream there is nothing but an outcome of this side's making.
            return Ok(match slot.call.receive(time, &mut bytes::BytesMut::new(), None) {
                rpc::Read::Failed(status) => Read::End(Err(status)),
                _ => Read::Pending,
            });
        };
        let end = self.http.receive_end(key);
        if end.is_some() && !slot.trailed {
            slot.trailed = true;
            if let Some(trailers) = self.http.trailers(key) {
                slot.call.receive_trailers(trailers);
            }
        }
        let Some(body) = self.http.body(key) else { return Err(Misuse::UnknownCall) };
        let before = body.len();
        let read = slot.call.receive(time, body, end);
        let taken = before.saturating_sub(body.len());
        if taken > 0 {
            self.http.release(self.now, key, taken)?;
        }
        match read {
            rpc::Read::Messages(messages) => {
                slot.need = 0;
                Ok(Read::Messages(messages))
            }
            rpc::Read::NeedMore { need } => {
                slot.need = if need == usize::MAX { 0 } else { need };
                self.http.demand(self.now, key, need)?;
                self.notices.unset(place, notices::READABLE);
                Ok(Read::Pending)
            }
            rpc::Read::End => {
                self.conclude(place);
                Ok(Read::End(Ok(())))
            }
            rpc::Read::Failed(status) => {
                self.conclude(place);
                Ok(Read::End(Err(status)))
            }
        }
    }

    /// The call has its outcome: what it has decided about its stream is done.
    fn conclude(&mut self, place: u32) {
        self.end_call(place, End::Finished);
        let Some(slot) = self.slots.get_mut(place as usize) else { return };
        slot.call.flush(&mut Requesting::new(&mut self.http, self.now, &mut slot.key));
    }

    /// The response's headers, without those of the protocol, once they have arrived.
    pub fn headers(&self, call: CallId) -> Option<&Metadata> {
        self.peek(call)?.call.headers()
    }

    /// The response's trailers: complete once [`read`](Connection::read) has given the outcome. A failure's
    /// [`Status::metadata`] has them, too.
    pub fn trailers(&self, call: CallId) -> Option<&Metadata> {
        Some(self.peek(call)?.call.trailers())
    }

    /// The protocol that the call speaks.
    pub fn protocol(&self, call: CallId) -> Option<Protocol> {
        Some(self.peek(call)?.call.protocol())
    }

    /// The coding in which messages of this call may be compressed. Compress outside of any lock and send
    /// [`Payload::Compressed`].
    pub fn encoding(&self, call: CallId) -> Option<Arc<dyn Coding>> {
        self.peek(call)?.call.encoding().cloned()
    }

    /// Cancels the call: its outcome is CANCELLED, unless it has one. The server is told by a reset.
    pub fn cancel(&mut self, now: Instant, call: CallId) {
        self.advance(now);
        if self.slot(call).is_ok() {
            self.cancel_place(call.index as usize);
            self.absorb();
        }
    }

    /// Says that a fault was found in messages that had been taken, while inflating or decoding them: the outcome becomes
    /// `status`, unless the application has seen another, or there is a bad one. An open call is reset.
    pub fn fail(&mut self, now: Instant, call: CallId, status: Status) {
        self.advance(now);
        let place = call.index;
        let Ok(slot) = self.slot(call) else { return };
        slot.call.fail(status);
        self.end_call(place, End::Finished);
        let Some(slot) = self.slots.get_mut(place as usize) else { return };
        slot.call.flush(&mut Requesting::new(&mut self.http, self.now, &mut slot.key));
        self.absorb();
    }

    /// Reads no more messages: what comes is discarded and credited, up to the outcome, which can still be read.
    pub fn stop_reading(&mut self, now: Instant, call: CallId) {
        self.advance(now);
        if let Ok(slot) = self.slot(call) {
            slot.call.stop_reading();
            slot.discarding = true;
            self.discard(call.index);
        }
    }

    /// Drops what has arrived for a call that is not read any more.
    pub(super) fn discard(&mut self, place: u32) {
        let Some(slot) = self.slots.get(place as usize).filter(|slot| slot.phase == Phase::Open) else {
            return;
        };
        let call = CallId { index: place, generation: slot.generation };
        while let Ok(Read::Messages(_)) = self.read(self.now, call) {}
    }

    /// Lets go of the call; its id is unknown from now on and its slot is free. A call without an outcome is cancelled.
    pub fn drop_call(&mut self, now: Instant, call: CallId) {
        self.advance(now);
        if self.slot(call).is_err() {
            return;
        }
        self.cancel_place(call.index as usize);
        let Ok(slot) = self.slot(call) else { return };
        slot.phase = Phase::Free;
        if let Some(key) = slot.key.take() {
            self.http.drop_stream(self.now, key);
        }
        self.free.push(call.index);
        self.held -= 1;
        self.notices.clear(call.index);
        self.policy.tick(self.now, self.held);
        self.absorb();
    }

    /// How the call ended, once it has.
    pub fn outcome(&self, call: CallId) -> Option<End> {
        match self.peek(call)?.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        }
    }
}
