//! The sending half of a call.

use core::future::poll_fn;
use core::marker::PhantomData;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use antiphon::{EndedBy, SendError, Status};

use crate::call::Call;
use crate::interceptor::client::Side;
use crate::link::end_status;
use crate::reply::{MOST_SPARE, misuse_status, pack};
use crate::{Async, Blocking, Codec};

/// The sending half of a call, at a client and at a server alike. It may go to another task or thread.
///
/// # When it is dropped
/// A client's sender dropped without [`close`](Sender::close) cancels the call: an abandoned upload never looks
/// complete. A server's sender dropped means nothing: the handler's return ends the call. A half that outlives its
/// call gets errors.
///
/// # Many that send
/// It is not `Clone`: one task or thread has it. Others tell that one what to send, through any channel of messages.
///
/// `W` says how it waits: [`Async`] or [`Blocking`].
#[must_use = "dropping a client's sender without `close()` cancels its call"]
pub struct Sender<T, W = Async> {
    call: Arc<Call>,
    codec: Arc<dyn Codec<T>>,
    scratch: Vec<u8>,
    /// The last message left room for another.
    room: bool,
    closed: bool,
    /// A client with interceptors around the call: the error that the peer ended it with.
    met: Option<Status>,
    _wait: PhantomData<fn() -> W>,
}

/// A message on its way out, which is shown to the interceptors once.
pub(crate) struct Staged<T> {
    pub(crate) message: T,
    pub(crate) seen: bool,
}

impl<T> Staged<T> {
    pub(crate) fn new(message: T) -> Self {
        Self { message, seen: false }
    }

    /// Shows it once, however often it is tried to send it.
    pub(crate) fn see(&mut self, show: impl FnOnce(&mut T) -> Result<(), Status>) -> Result<(), Status> {
        if !self.seen {
            show(&mut self.message)?;
            self.seen = true;
        }
        Ok(())
    }
}

/// Why [`Sender::try_send`] did not send.
pub enum TrySendError<T> {
    /// There is no room now. Here is the message back.
    Full(T),
    /// The call cannot send any more, or not this message.
    Failed(Status),
}

impl<T> core::fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full"),
            Self::Failed(status) => f.debug_tuple("Failed").field(status).finish(),
        }
    }
}

impl<T> core::fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the send queue is full"),
            Self::Failed(status) => status.fmt(f),
        }
    }
}

impl<T> std::error::Error for TrySendError<T> {}

impl<T: 'static, W> Sender<T, W> {
    pub(crate) fn new(call: Arc<Call>, codec: Arc<dyn Codec<T>>) -> Self {
        Self { call, codec, scratch: Vec::new(), room: true, closed: false, met: None, _wait: PhantomData }
    }

    /// Waits for room.
    #[inline]
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if self.closed {
            return Poll::Ready(Err(closed()));
        }
        if !self.room {
            if let Err(error) = ready!(self.call.link.poll_room(self.call.id, context)) {
                return Poll::Ready(Err(self.refusal(error)));
            }
            self.room = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Does `work`, or learns that the interceptors around a client's call have ended it, or what they make of an error
    /// that ended it.
    fn poll_intercepted(
        &mut self,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<Result<(), Status>>,
    ) -> Poll<Result<(), Status>> {
        let flight = match &self.call.flight {
            Some(flight) if !self.closed => Arc::clone(flight),
            _ => return work(self, context),
        };
        match flight.poll(Side::Sender, context) {
            Poll::Ready(end) => return Poll::Ready(Err(end.err().unwrap_or_else(answered))),
            Poll::Pending if flight.is_settled() => return Poll::Pending,
            Poll::Pending if flight.was_left() => self.call.link.cancel(self.call.id),
            Poll::Pending => {}
        }
        let result = ready!(work(self, context));
        let Some(met) = self.met.take() else { return Poll::Ready(result) };
        flight.settle(Err(met));
        let end = ready!(flight.poll(Side::Sender, context));
        Poll::Ready(Err(end.err().unwrap_or_else(answered)))
    }

    /// Waits for room, then encodes and queues in the same poll.
    #[inline]
    pub(crate) fn poll_send(
        &mut self,
        message: &mut Staged<T>,
        last: bool,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Status>> {
        if self.call.flight.is_none() && self.call.watch.is_none() {
            return self.poll_queue(message, last, context);
        }
        let sent = self.poll_intercepted(context, |this, context| this.poll_queue(message, last, context));
        if let (Poll::Ready(Err(status)), true) = (&sent, self.call.client && self.call.watch.is_some()) {
            if !matches!(status.ended(), EndedBy::Locally | EndedBy::Answer) {
                self.call.observe_end(Err(status));
            }
        }
        sent
    }

    #[inline(always)]
    fn poll_queue(
        &mut self,
        message: &mut Staged<T>,
        last: bool,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Status>> {
        loop {
            ready!(self.poll_room(context))?;
            match self.queue(message, last) {
                // It seemed that there was room. Wait for it.
                Err(Refused::Full) => {}
                Err(Refused::Failed(status)) => return Poll::Ready(Err(status)),
                Ok(()) => return Poll::Ready(Ok(())),
            }
        }
    }

    #[inline]
    fn queue(&mut self, staged: &mut Staged<T>, last: bool) -> Result<(), Refused> {
        staged.see(|message| self.call.see_sent(message, &*self.codec)).map_err(Refused::Failed)?;
        self.call.send_headers();
        let packed =
            pack(&self.call, &*self.codec, &staged.message, &mut self.scratch).map_err(Refused::Failed)?;
        match self.call.link.send(self.call.id, packed.payload(&self.scratch), last) {
            Ok(room) => {
                self.call.count_sent(&packed, &self.scratch);
                self.room = room;
                self.closed |= last;
                if self.scratch.capacity() > MOST_SPARE {
                    // Nobody knows when the next one comes.
                    self.scratch = Vec::new();
                }
                Ok(())
            }
            Err(SendError::Blocked) => {
                self.room = false;
                Err(Refused::Full)
            }
            Err(error) => Err(Refused::Failed(self.refusal(error))),
        }
    }

    /// Whether messages are compressed from now on, where that was agreed on and they are large enough; see
    /// [`Context::compress`](crate::Context::compress).
    pub fn compress(&mut self, compress: bool) {
        self.call.uncompressed.store(!compress, core::sync::atomic::Ordering::Relaxed);
    }

    /// Sends now or not at all: without room, the message comes back.
    ///
    /// # Errors
    /// [`TrySendError::Full`], and what [`send`](Sender::send) returns.
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if self.closed {
            return Err(TrySendError::Failed(closed()));
        }
        if let Some(end) = self.call.flight.as_ref().and_then(|flight| flight.poll_now()) {
            return Err(TrySendError::Failed(end.err().unwrap_or_else(answered)));
        }
        match self.try_queue(message) {
            Err(TrySendError::Failed(status)) => Err(TrySendError::Failed(self.told(status))),
            result => result,
        }
    }

    fn try_queue(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if !self.room {
            match self.call.link.room(self.call.id) {
                Ok(()) => self.room = true,
                Err(SendError::Blocked) => return Err(TrySendError::Full(message)),
                Err(error) => return Err(TrySendError::Failed(self.refusal(error))),
            }
        }
        let mut staged = Staged::new(message);
        match self.queue(&mut staged, false) {
            Ok(()) => Ok(()),
            Err(Refused::Full) => Err(TrySendError::Full(staged.message)),
            Err(Refused::Failed(status)) => Err(TrySendError::Failed(status)),
        }
    }

    /// The interceptors around a client's call are told the error that ended it, and may replace it if they need not
    /// wait for that.
    fn told(&mut self, status: Status) -> Status {
        let (Some(flight), Some(met)) = (&self.call.flight, self.met.take()) else { return status };
        flight.settle(Err(met));
        match flight.poll_now() {
            Some(end) => end.err().unwrap_or_else(answered),
            None => status,
        }
    }

    /// Half-closes: no more messages follow, and what has been sent is complete. At a server it means nothing: the
    /// handler's return ends the call.
    pub fn close(mut self) {
        self.close_send();
    }

    /// As [`close`](Sender::close), for a half that is part of something else. Sending afterwards is an error.
    pub(crate) fn close_send(&mut self) {
        if !self.closed {
            self.closed = true;
            self.call.link.close_send(self.call.id);
        }
    }

    /// Why the call takes no message: the one error of a call, from the sender's side.
    fn refusal(&mut self, error: SendError) -> Status {
        if let Some(outcome) = self.call.outcome.get() {
            return outcome.clone().err().unwrap_or_else(answered);
        }
        match error {
            SendError::Misuse(antiphon::Misuse::UnknownCall) => end_status(None),
            SendError::Misuse(misuse) => misuse_status(misuse),
            SendError::Blocked | SendError::Ended if self.call.client => {
                let outcome = self.call.link.outcome(self.call.id).and_then(Result::err);
                self.met = outcome.clone().filter(|_| self.call.flight.is_some());
                outcome.unwrap_or_else(answered)
            }
            SendError::Blocked | SendError::Ended => end_status(self.call.link.ended(self.call.id)),
        }
    }
}

enum Refused {
    Full,
    Failed(Status),
}

fn closed() -> Status {
    Status::failed_precondition("this half has been closed")
}

fn answered() -> Status {
    Status::canceled("the peer has answered before the request was complete").with_ended(EndedBy::Answer)
}

impl<T: 'static> Sender<T, Async> {
    /// Sends a message: waits for room, then encodes and queues it in one step. Dropped before that, it has sent
    /// nothing.
    ///
    /// # Errors
    /// How the call ended. After an early answer of a server: its own status if that is an error, otherwise one
    /// [ended by](Status::ended) [`EndedBy::Answer`], and the answer waits to be received.
    pub async fn send(&mut self, message: T) -> Result<(), Status> {
        let mut message = Staged::new(message);
        poll_fn(|context| self.poll_send(&mut message, false, context)).await
    }

    /// Waits until there is room for a message.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    pub async fn ready(&mut self) -> Result<(), Status> {
        self.room = false; // what the last message left may have gone with the call
        poll_fn(|context| self.poll_intercepted(context, Self::poll_room)).await
    }
}

impl<T: 'static> Sender<T, Blocking> {
    /// Sends a message: blocks until there is room, then encodes and queues it.
    ///
    /// # Errors
    /// How the call ended. After an early answer of a server: its own status if that is an error, otherwise one
    /// [ended by](Status::ended) [`EndedBy::Answer`], and the answer waits to be received.
    pub fn send(&mut self, message: T) -> Result<(), Status> {
        let (call, mut message) = (Arc::clone(&self.call), Staged::new(message));
        crate::wait::wait(&call.link, call.deadline, |context| self.poll_send(&mut message, false, context))
    }

    /// Blocks until there is room for a message.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    pub fn ready(&mut self) -> Result<(), Status> {
        self.room = false;
        let call = Arc::clone(&self.call);
        crate::wait::wait(&call.link, call.deadline, |context| {
            self.poll_intercepted(context, Self::poll_room)
        })
    }
}

impl<T, W> Drop for Sender<T, W> {
    fn drop(&mut self) {
        if !self.closed {
            self.call.link.leave_send(self.call.id);
        }
    }
}

impl<T, W> core::fmt::Debug for Sender<T, W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sender").field("procedure", &self.call.procedure).finish_non_exhaustive()
    }
}
