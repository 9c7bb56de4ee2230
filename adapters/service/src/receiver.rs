//! The receiving half of a call.

use core::future::poll_fn;
use core::marker::PhantomData;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use antiphon::{Metadata, Status};

use crate::call::{Call, Inbox};
use crate::interceptor::client::Side;
use crate::interceptor::unanswered;
use crate::link::{Received, end_status, more_than_one};
use crate::{Async, Blocking, Codec};

/// The receiving half of a call, at a client and at a server alike. It may go to another task or thread.
///
/// # When it is dropped
/// A client's receiver dropped before the end cancels the call. A server's receiver dropped means "I read no more":
/// what still comes is discarded, and the response goes on.
///
/// `W` says how it waits: [`Async`] or [`Blocking`].
#[must_use = "dropping a receiver before its end gives up what is to come; receive it, or say `cancel()`"]
pub struct Receiver<T, W = Async> {
    call: Arc<Call>,
    codec: Arc<dyn Codec<T>>,
    inbox: Inbox,
    scratch: Vec<u8>,
    /// The end has been given to an iterator, which ends then.
    exhausted: bool,
    /// A client: the interceptors around the call have seen its end.
    concluded: bool,
    /// A client: a call that was not begun is begun again, and the interceptors around it see one call.
    pub(crate) may_retry: bool,
    /// A client: whoever polls next waits already, since the call was started in the same poll.
    waits: bool,
    /// A message has been received: an interceptor's own answer is not wanted.
    received: bool,
    _wait: PhantomData<fn() -> W>,
}

impl<T: 'static, W> Receiver<T, W> {
    pub(crate) fn new(call: Arc<Call>, codec: Arc<dyn Codec<T>>, inbox: Inbox) -> Self {
        let receiver = Self {
            call,
            codec,
            inbox,
            scratch: Vec::new(),
            exhausted: false,
            concluded: false,
            may_retry: false,
            waits: false,
            received: false,
            _wait: PhantomData,
        };
        receiver.count_run();
        receiver
    }

    /// The next message, inflated and decoded outside every lock. It leaves the queue in the poll that returns it.
    #[inline]
    pub(crate) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<T>, Status>> {
        if self.call.flight.is_none() && self.call.watch.is_none() {
            if let Some(message) = self.inbox.run.as_mut().and_then(|run| run.next(&mut self.scratch)) {
                return Poll::Ready(self.decode(message).map(Some));
            }
            return self.poll_next(context);
        }
        let polled = match &self.call.flight {
            Some(_) => self.poll_intercepted(context),
            None => self.poll_next(context),
        };
        if self.call.watch.is_some() {
            self.observe(&polled);
        }
        polled
    }

    /// A client's observers are told the end.
    fn observe(&self, polled: &Poll<Result<Option<T>, Status>>) {
        match polled {
            Poll::Ready(Ok(None)) if self.call.client => self.call.observe_end(Ok(())),
            Poll::Ready(Err(status)) if self.call.client && !(self.may_retry && status.unprocessed()) => {
                self.call.observe_end(Err(status));
            }
            _ => {}
        }
    }

    /// As [`poll_recv`](Receiver::poll_recv), with interceptors around a client's call: the end is what they make of
    /// it.
    fn poll_intercepted(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<T>, Status>> {
        self.poll_chain(context);
        if !self.concluded {
            let outcome = match ready!(self.poll_next(context)) {
                Ok(Some(message)) => {
                    self.received = true;
                    return Poll::Ready(Ok(Some(message)));
                }
                Ok(None) => Ok(()),
                Err(status) if self.may_retry && status.unprocessed() => return Poll::Ready(Err(status)),
                Err(status) => Err(status),
            };
            ready!(self.poll_end(outcome, context));
        }
        if !self.received {
            self.received = true;
            if let Some(answer) = self.take_answer() {
                return Poll::Ready(answer.map(Some));
            }
        }
        Poll::Ready(self.inbox.end.clone().unwrap_or(Ok(())).map(|()| None))
    }

    /// Lets the interceptors go on. They may have ended the call before its outcome is known; if its sender has met
    /// that, what came before it is still received.
    fn poll_chain(&mut self, context: &mut Context<'_>) {
        let Some(flight) = self.call.flight.clone() else { return };
        if self.concluded {
            return;
        }
        match flight.poll(Side::Receiver, context) {
            Poll::Ready(end) if !flight.is_settled() => self.conclude(end),
            Poll::Pending if flight.was_left() => self.call.link.cancel(self.call.id),
            _ => {}
        }
    }

    /// Tells the interceptors the outcome, and waits for what they make of it.
    fn poll_end(&mut self, outcome: Result<(), Status>, context: &mut Context<'_>) -> Poll<()> {
        let Some(flight) = self.call.flight.clone() else { return Poll::Ready(()) };
        if let Some(headers) = &self.inbox.headers {
            flight.met_headers(headers);
        }
        flight.met_trailers(&self.inbox.trailers);
        flight.settle(outcome);
        let end = ready!(flight.poll(Side::Receiver, context));
        self.conclude(end);
        Poll::Ready(())
    }

    fn conclude(&mut self, end: Result<(), Status>) {
        if self.inbox.end.is_none() {
            self.call.link.cancel(self.call.id);
        }
        self.call.link.drop_call(self.call.id);
        self.inbox.run = None;
        self.inbox.end = Some(end.clone());
        let _ = self.call.outcome.set(end);
        self.concluded = true;
    }

    /// The answer of an interceptor in place of the peer's, if the call ended well.
    fn take_answer(&mut self) -> Option<Result<T, Status>> {
        if !matches!(self.inbox.end, Some(Ok(()))) {
            return None;
        }
        let answer = match self.call.take_answer()?.downcast::<T>() {
            Ok(mut message) => self.call.see_received(&mut *message, None).map(|()| *message),
            Err(_) => Err(Status::internal("an interceptor answered with a message of another type")),
        };
        if let Err(status) = &answer {
            self.inbox.end = Some(Err(status.clone()));
        }
        Some(answer)
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<T>, Status>> {
        loop {
            if let Some(run) = &mut self.inbox.run {
                match run.next(&mut self.scratch) {
                    Some(message) => return Poll::Ready(self.decode(message).map(Some)),
                    None => self.inbox.run = None,
                }
            }
            if let Some(end) = &self.inbox.end {
                return Poll::Ready(end.clone().map(|()| None));
            }
            ready!(self.poll_pull(self.call.takes_one, context));
        }
    }

    #[inline]
    fn count_run(&self) {
        if let (Some(watch), Some(run)) = (&self.call.watch, &self.inbox.run) {
            watch.count_run(run.wire_len());
        }
    }

    /// Whoever started the call waits for what is received since then, and polls this in the same poll.
    pub(crate) fn waits_already(&mut self) {
        self.waits = true;
    }

    fn poll_pull(&mut self, one: bool, context: &mut Context<'_>) -> Poll<()> {
        if core::mem::take(&mut self.waits) {
            self.call.link.attend(context);
            return Poll::Pending;
        }
        let inbox = &mut Received(&mut self.inbox);
        ready!(self.call.link.poll_read(self.call.id, one, inbox, context));
        self.count_run();
        let told = self.call.client && self.call.flight.is_none();
        if let (true, Some(end)) = (told, &self.inbox.end) {
            // Nobody else takes the outcome: it is told once, to the sender too.
            let _ = self.call.outcome.set(end.clone());
        }
        Poll::Ready(())
    }

    #[inline]
    fn decode(&mut self, message: Result<bytes::Bytes, Status>) -> Result<T, Status> {
        let decoded = message.and_then(|bytes| decode(&self.call, &*self.codec, bytes));
        if let Err(status) = &decoded {
            self.fail(status);
        }
        decoded
    }

    fn fail(&mut self, status: &Status) {
        self.inbox.run = None;
        self.inbox.end = Some(Err(status.clone()));
        self.call.link.fail(self.call.id, status.clone());
    }

    /// The one message of a direction that carries exactly one, and its end.
    pub(crate) fn poll_one(
        &mut self,
        first: &mut Option<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, Status>> {
        if self.call.flight.is_none() && self.call.watch.is_none() {
            return self.poll_one_alone(first, context);
        }
        loop {
            match (ready!(self.poll_recv(context))?, first.take()) {
                (Some(_), Some(_)) => return Poll::Ready(Err(self.more_than_one())),
                (Some(message), None) => *first = Some(message),
                (None, Some(message)) => {
                    // An interceptor may have replaced it, having seen how the call ended.
                    return Poll::Ready(self.take_answer().unwrap_or(Ok(message)));
                }
                (None, None) => return Poll::Ready(Err(self.no_message())),
            }
        }
    }

    /// Why there was no message where one was to come.
    #[cold]
    fn no_message(&self) -> Status {
        match &self.call.flight {
            Some(flight) if !flight.has_succeeded() => unanswered(),
            _ => no_message(),
        }
    }

    /// As [`poll_one`](Receiver::poll_one), where nobody else looks at the call.
    fn poll_one_alone(
        &mut self,
        first: &mut Option<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<T, Status>> {
        loop {
            while let Some(message) = self.inbox.run.as_mut().and_then(|run| run.next(&mut self.scratch)) {
                let message = self.decode(message)?;
                if first.replace(message).is_some() {
                    return Poll::Ready(Err(self.more_than_one()));
                }
            }
            self.inbox.run = None;
            match &self.inbox.end {
                Some(Ok(())) => return Poll::Ready(first.take().ok_or_else(no_message)),
                Some(Err(status)) => return Poll::Ready(Err(status.clone())),
                None => ready!(self.poll_pull(self.call.takes_one, context)),
            }
        }
    }

    fn more_than_one(&mut self) -> Status {
        let status = more_than_one();
        self.fail(&status);
        status
    }

    pub(crate) fn poll_headers(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if !self.call.client || self.inbox.headers.is_some() {
            return Poll::Ready(Ok(()));
        }
        self.poll_chain(context);
        let result = match ready!(self.poll_raw_headers(context)) {
            Err(status) if self.call.flight.is_some() && !self.concluded => {
                ready!(self.poll_end(Err(status), context));
                self.inbox.end.clone().unwrap_or(Ok(())).and_then(|()| Err(end_status(None)))
            }
            result => result,
        };
        if let (Some(flight), Some(headers)) = (&self.call.flight, &self.inbox.headers) {
            flight.met_headers(headers);
        }
        Poll::Ready(result)
    }

    fn poll_raw_headers(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if self.inbox.end.is_none() {
            self.inbox.headers = ready!(self.call.link.poll_headers(self.call.id, context));
        }
        // It may have ended before there were any.
        if self.inbox.headers.is_none() && self.inbox.end.is_none() {
            ready!(self.poll_pull(true, context));
        }
        match &self.inbox.end {
            _ if self.inbox.headers.is_some() => Poll::Ready(Ok(())),
            Some(Err(status)) => Poll::Ready(Err(status.clone())),
            _ => Poll::Ready(Err(end_status(self.call.link.ended(self.call.id)))),
        }
    }

    /// The headers and trailers of a response that is complete.
    pub(crate) fn take_metadata(&mut self) -> (Metadata, Metadata) {
        (self.inbox.headers.take().unwrap_or_default(), core::mem::take(&mut self.inbox.trailers))
    }

    fn known_headers(&self) -> &Metadata {
        self.inbox.headers.as_ref().unwrap_or(&self.call.headers)
    }

    /// A client: the trailers of the response, once [`recv`](Receiver::recv) has returned the end, good or bad. Empty
    /// before that, and at a server.
    pub fn trailers(&self) -> &Metadata {
        &self.inbox.trailers
    }

    /// What is known of the call beside its messages: its peer, protocol, codec and version of HTTP. At a server it is what
    /// the handler got. At a client nothing can be set any more, and the response's headers are the receiver's own.
    pub fn context(&self) -> crate::Context {
        crate::Context::new(Arc::clone(&self.call))
    }

    /// A client: cancels the call. At a server: reads no more.
    pub fn cancel(self) {}

    pub(crate) fn call(&self) -> &Arc<Call> {
        &self.call
    }
}

#[inline]
fn decode<T: 'static>(call: &Call, codec: &dyn Codec<T>, bytes: bytes::Bytes) -> Result<T, Status> {
    let size = Some(bytes.len());
    if let Some(watch) = &call.watch {
        watch.count_received(bytes.len());
    }
    let mut message = codec.decode(bytes)?;
    call.see_received(&mut message, size)?;
    Ok(message)
}

/// The one message of a server's request that is complete: what a receiver would find, without one.
#[inline]
pub(crate) fn take_one<T: 'static>(call: &Call, codec: &dyn Codec<T>) -> Result<T, Status> {
    let (mut run, end) = call.take_request();
    if let (Some(watch), Some(run)) = (&call.watch, &run) {
        watch.count_run(run.wire_len());
    }
    let (mut first, mut scratch) = (None, Vec::new());
    while let Some(message) =
        run.as_mut().filter(|run| !run.is_empty()).and_then(|run| run.next(&mut scratch))
    {
        let decoded = message
            .and_then(|bytes| decode(call, codec, bytes))
            .and_then(|message| if first.is_none() { Ok(message) } else { Err(more_than_one()) });
        match decoded {
            Ok(message) => first = Some(message),
            Err(status) => {
                call.link.fail(call.id, status.clone());
                return Err(status);
            }
        }
    }
    match end {
        Some(Ok(())) => first.ok_or_else(no_message),
        Some(Err(status)) => Err(status),
        None => Err(Status::internal("a request was handed over before it was complete")),
    }
}

fn no_message() -> Status {
    Status::unimplemented("no message where exactly one was to come")
}

impl<T: 'static> Receiver<T, Async> {
    /// The next message. `None` is a clean end, and nothing else is. Dropped before it is ready, it has taken nothing.
    ///
    /// # Errors
    /// How the call ended, every time it is asked.
    pub async fn recv(&mut self) -> Result<Option<T>, Status> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The headers that the peer has sent: a client waits for those of the response, a server has those of the request.
    ///
    /// # Errors
    /// How the call ended, if there will be none.
    pub async fn headers(&mut self) -> Result<&Metadata, Status> {
        poll_fn(|context| self.poll_headers(context)).await?;
        Ok(self.known_headers())
    }
}

impl<T: 'static> Receiver<T, Blocking> {
    /// The next message. `None` is a clean end, and nothing else is.
    ///
    /// # Errors
    /// How the call ended, every time it is asked.
    pub fn recv(&mut self) -> Result<Option<T>, Status> {
        let call = Arc::clone(&self.call);
        crate::wait::wait(&call.link, call.deadline, |context| self.poll_recv(context))
    }

    /// The headers that the peer has sent: a client waits for those of the response, a server has those of the request.
    ///
    /// # Errors
    /// How the call ended, if there will be none.
    pub fn headers(&mut self) -> Result<&Metadata, Status> {
        let call = Arc::clone(&self.call);
        crate::wait::wait(&call.link, call.deadline, |context| self.poll_headers(context))?;
        Ok(self.known_headers())
    }
}

/// The messages up to the end; a bad end is the last item.
impl<T: 'static> Iterator for Receiver<T, Blocking> {
    type Item = Result<T, Status>;

    fn next(&mut self) -> Option<Result<T, Status>> {
        if self.exhausted {
            return None;
        }
        let item = self.recv().transpose();
        self.exhausted = !matches!(item, Some(Ok(_)));
        item
    }
}

/// The messages up to the end; a bad end is the last item.
#[cfg(feature = "async")]
impl<T: 'static> futures_core::Stream for Receiver<T, Async> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: core::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.exhausted {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_recv(context)).transpose();
        self.exhausted = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl<T, W> Drop for Receiver<T, W> {
    fn drop(&mut self) {
        if self.inbox.end.is_none() {
            self.call.link.leave_receive(self.call.id);
        }
    }
}

impl<T, W> core::fmt::Debug for Receiver<T, W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Receiver").field("procedure", &self.call.procedure).finish_non_exhaustive()
    }
}
