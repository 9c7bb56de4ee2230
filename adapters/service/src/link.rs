//! The connection as the halves of its calls see it, whatever machine and driver are below.

use core::task::{Context, Poll};
use std::sync::Arc;

use antiphon::rpc::{ClientRequest, Coding, HttpVersion, Payload};
use antiphon::{
    CallId, ConnectionError, End, EndedBy, Event, Instant, Machine, Metadata, Misuse, SendError, Status,
};

use crate::call::Inbox;
use crate::reply::Answer;
use crate::shared::StartRefusal;
use crate::slots::{Ticket, Wait, WatchKey};
use crate::{Drive, Endpoint, Peer, Pulled, Shared};

/// A connection as its calls see it: [`Shared`] without its type parameters. Every method may be called at any time,
/// for calls that are gone too; none blocks, but [`park`](Link::park).
///
/// Sealed: what the halves ask of it is their own affair.
pub trait Link: Calls + Send + Sync {
    /// The time, on the connection's clock.
    fn now(&self) -> Instant;
    /// Who is at the other end.
    fn peer(&self) -> &Peer;
    /// Blocks this thread until it is unparked, or until about `deadline`. It may return at any time.
    fn park(&self, deadline: Option<Instant>);
    /// See [`Drive::attend`].
    fn attend(&self, context: &mut Context<'_>);
    /// Begins a graceful end: no new calls.
    fn drain(&self);
    /// Ends the connection at once.
    fn abort(&self);
}

/// What clients, contexts and the halves of calls ask of their connection.
pub trait Calls {
    /// Takes what has been received: a run of messages, or the end.
    fn poll_read(
        &self,
        call: CallId,
        one: bool,
        inbox: &mut Received<'_>,
        context: &mut Context<'_>,
    ) -> Poll<()>;
    /// Waits for room for a message.
    fn poll_room(&self, call: CallId, context: &mut Context<'_>) -> Poll<Result<(), SendError>>;
    /// Whether there is room for a message.
    fn room(&self, call: CallId) -> Result<(), SendError>;
    /// Queues a message, the `last` of its direction or not. Returns whether there is room for another.
    fn send(&self, call: CallId, payload: Payload<'_>, last: bool) -> Result<bool, SendError>;
    /// Waits for the end of a call: for its handler.
    fn poll_ended(&self, call: CallId, context: &mut Context<'_>) -> Poll<()>;
    /// Waits for the end of a call: for whoever else wants to know.
    fn poll_watch(&self, call: CallId, key: &mut WatchKey, context: &mut Context<'_>) -> Poll<Option<End>>;
    /// Waits for the end of a call no longer.
    fn unwatch(&self, call: CallId, key: WatchKey);
    /// How a call ended.
    fn ended(&self, call: CallId) -> Option<End>;
    /// Ends a call with this status unless its outcome has been seen.
    fn fail(&self, call: CallId, status: Status);
    /// A client half-closes.
    fn close_send(&self, call: CallId);
    /// A sender was dropped.
    fn leave_send(&self, call: CallId);
    /// A receiver was dropped.
    fn leave_receive(&self, call: CallId);
    /// A client gives a call up.
    fn cancel(&self, call: CallId);
    /// Lets go of a call.
    fn drop_call(&self, call: CallId);
    /// A server sends the response headers.
    fn send_headers(&self, call: CallId, headers: &Metadata) -> Result<(), Misuse>;
    /// A handler has returned.
    fn finish(&self, answer: &FinalAnswer<'_>);
    /// Waits for a slot and starts a call.
    fn poll_start(
        &self,
        starting: &mut Starting<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Started, Status>>;
    /// There may be something to transmit.
    fn flush(&self);
    /// Whoever waited for a slot went away.
    fn leave_queue(&self, ticket: Ticket);
    /// Waits for the response headers; `None` when there will be none.
    fn poll_headers(&self, call: CallId, context: &mut Context<'_>) -> Poll<Option<Metadata>>;
    /// A client: the version of HTTP.
    fn version(&self) -> HttpVersion;
    /// Whether no new calls are taken any more.
    fn is_closed(&self) -> bool;
    /// Waits until no new calls are taken any more, and tells what ended the connection, if that was an error.
    fn poll_closed(&self, key: &mut WatchKey, context: &mut Context<'_>) -> Poll<Option<ConnectionError>>;
    /// Waits for that no longer.
    fn unwatch_closed(&self, key: WatchKey);
    /// A client: the outcome of a call, if it has one. What came before it is kept for the receiver.
    fn outcome(&self, call: CallId) -> Option<Result<(), Status>>;
}

/// Where a pull puts what it takes.
pub struct Received<'a>(pub(crate) &'a mut Inbox);

/// What a handler's return leaves to be sent.
pub struct FinalAnswer<'a>(pub(crate) &'a Answer);

/// A call that is to be started.
pub struct Starting<'a> {
    pub(crate) request: &'a ClientRequest<'a>,
    /// Its one message: it is sent in the same step, and closes the request. Whoever polls waits for the answer then.
    pub(crate) message: Option<Payload<'a>>,
    pub(crate) ticket: &'a mut Ticket,
}

/// A call that was started.
pub struct Started {
    pub(crate) call: CallId,
    pub(crate) coding: Option<Arc<dyn Coding>>,
    pub(crate) version: HttpVersion,
    /// What became of the message, if there was one.
    pub(crate) sent: Option<Result<(), SendError>>,
}

impl<M, E, D> Link for Shared<M, E, D>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    D: Drive<M, E>,
{
    fn now(&self) -> Instant {
        self.now()
    }

    fn peer(&self) -> &Peer {
        self.peer()
    }

    fn park(&self, deadline: Option<Instant>) {
        self.drive().park(self, deadline);
    }

    fn attend(&self, context: &mut Context<'_>) {
        self.drive().attend(self, context);
    }

    fn drain(&self) {
        self.access(|access| {
            let now = access.now();
            access.endpoint().drain(now);
        });
    }

    fn abort(&self) {
        self.access(|access| access.abort());
    }
}

impl<M, E, D> Calls for Shared<M, E, D>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    D: Drive<M, E>,
{
    fn poll_read(
        &self,
        call: CallId,
        one: bool,
        inbox: &mut Received<'_>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let inbox = &mut *inbox.0;
        self.poll_slot(call, Wait::Receive, context, |access| {
            if let Some(run) = access.slot(call).and_then(|slot| slot.stash.pop_front()) {
                inbox.run = Some(run);
                return Poll::Ready(());
            }
            match access.read(call) {
                Pulled::Pending => return Poll::Pending,
                Pulled::End(end) => inbox.end = Some(end),
                Pulled::Messages(run) => {
                    inbox.run = Some(run);
                    if one {
                        // The end is mostly there with the one message: it spares another lock.
                        match access.read(call) {
                            Pulled::End(end) => inbox.end = Some(end),
                            Pulled::Messages(_) => inbox.end = Some(Err(more_than_one())),
                            Pulled::Pending => {}
                        }
                    }
                }
            }
            if E::CLIENT && inbox.end.is_some() {
                // Nothing more will be asked of it: its slot is free for the next call.
                inbox.headers = access.endpoint().headers(call).cloned();
                inbox.trailers = access.endpoint().trailers(call).cloned().unwrap_or_default();
                match access.slot(call).and_then(|slot| slot.ended) {
                    Some(_) => access.forget(call),
                    None => access.drop_call(call),
                }
            }
            Poll::Ready(())
        })
    }

    fn poll_room(&self, call: CallId, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_slot(call, Wait::Send, context, |access| match access.endpoint().room(call) {
            Err(SendError::Blocked) => Poll::Pending,
            result => Poll::Ready(result),
        })
    }

    fn room(&self, call: CallId) -> Result<(), SendError> {
        self.access(|access| access.endpoint().room(call))
    }

    fn send(&self, call: CallId, payload: Payload<'_>, last: bool) -> Result<bool, SendError> {
        self.queue(|endpoint, now| {
            if last {
                return endpoint.send_last(now, call, payload).map(|()| false);
            }
            endpoint.send(now, call, payload)?;
            Ok(endpoint.room(call).is_ok())
        })
    }

    fn poll_ended(&self, call: CallId, context: &mut Context<'_>) -> Poll<()> {
        self.poll_slot(call, Wait::Task, context, |access| {
            if access.has_ended(call) { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    fn poll_watch(&self, call: CallId, key: &mut WatchKey, context: &mut Context<'_>) -> Poll<Option<End>> {
        self.poll_watch(call, key, context)
    }

    fn unwatch(&self, call: CallId, key: WatchKey) {
        self.unwatch(call, key);
    }

    fn ended(&self, call: CallId) -> Option<End> {
        self.access(|access| access.last_end(call))
    }

    fn fail(&self, call: CallId, status: Status) {
        self.access(|access| {
            let now = access.now();
            access.endpoint().fail(now, call, status);
        });
    }

    fn close_send(&self, call: CallId) {
        if E::CLIENT {
            self.access(|access| {
                let now = access.now();
                access.endpoint().half_close(now, call);
            });
        }
    }

    fn leave_send(&self, call: CallId) {
        if E::CLIENT {
            self.cancel(call);
        }
    }

    fn leave_receive(&self, call: CallId) {
        if E::CLIENT {
            self.cancel(call);
            return;
        }
        self.access(|access| {
            let now = access.now();
            access.endpoint().stop_reading(now, call);
        });
    }

    fn cancel(&self, call: CallId) {
        self.access(|access| {
            // An outcome that has arrived stays to be read.
            if !access.has_ended(call) {
                let now = access.now();
                access.endpoint().cancel(now, call);
            }
        });
    }

    fn drop_call(&self, call: CallId) {
        self.access(|access| access.drop_call(call));
    }

    fn send_headers(&self, call: CallId, headers: &Metadata) -> Result<(), Misuse> {
        self.access(|access| {
            let now = access.now();
            access.endpoint().send_headers(now, call, headers)
        })
    }

    fn finish(&self, answer: &FinalAnswer<'_>) {
        self.access(|access| answer.0.submit(access));
    }

    fn poll_start(
        &self,
        starting: &mut Starting<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Started, Status>> {
        let polled = self.poll_start(starting, context);
        polled.map_err(start_status)
    }

    fn flush(&self) {
        self.access(|_| ());
    }

    fn leave_queue(&self, ticket: Ticket) {
        self.access(|access| access.leave_queue(ticket));
    }

    fn poll_headers(&self, call: CallId, context: &mut Context<'_>) -> Poll<Option<Metadata>> {
        self.poll_slot(call, Wait::Receive, context, |access| {
            if let Some(headers) = access.endpoint().headers(call) {
                return Poll::Ready(Some(headers.clone()));
            }
            if access.has_ended(call) { Poll::Ready(None) } else { Poll::Pending }
        })
    }

    fn version(&self) -> HttpVersion {
        self.access(|access| access.endpoint().version())
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }

    fn poll_closed(&self, key: &mut WatchKey, context: &mut Context<'_>) -> Poll<Option<ConnectionError>> {
        self.poll_closed(key, context)
    }

    fn unwatch_closed(&self, key: WatchKey) {
        self.unwatch_closed(key);
    }

    fn outcome(&self, call: CallId) -> Option<Result<(), Status>> {
        self.access(|access| {
            access.slot(call)?.ended?;
            loop {
                match access.read(call) {
                    Pulled::End(outcome) => return Some(outcome),
                    Pulled::Pending => return None,
                    // What came before it is still to be received.
                    Pulled::Messages(run) => access.slot(call)?.stash.push_back(run),
                }
            }
        })
    }
}

/// The status of an end that came without one.
pub(crate) fn end_status(end: Option<End>) -> Status {
    match end {
        Some(End::Cancelled { reset }) => {
            Status::canceled("the call was cancelled").with_ended(EndedBy::Cancel { reset })
        }
        Some(End::Deadline) => Status::deadline_exceeded("the deadline passed").with_ended(EndedBy::Deadline),
        Some(End::Lost) => Status::unavailable("the connection was lost").with_ended(EndedBy::LostConnection),
        Some(End::Finished) | None => Status::canceled("the call has ended"),
    }
}

/// The status of a call that went with its connection, with what ended that, if there is more to say than that it
/// was lost. No byte of the peer's is part of the text.
pub(crate) fn lost_by(status: Status, error: Option<ConnectionError>) -> Status {
    let told = |error: &ConnectionError| !matches!(error, ConnectionError::Lost | ConnectionError::Aborted);
    let Some(error) = error.filter(told).filter(|_| status.ended() == EndedBy::LostConnection) else {
        return status;
    };
    let told = Status::new(status.code(), format!("{}: {error}", status.message()))
        .with_ended(EndedBy::LostConnection)
        .with_metadata(status.metadata().clone())
        .with_source(error);
    if status.unprocessed() { told.with_unprocessed() } else { told }
}

/// A second message where one was to come (gRPC `statuscodes.md`; Connect: unary calls carry one message).
pub(crate) fn more_than_one() -> Status {
    Status::unimplemented("more than one message was received where exactly one was to come")
}

fn start_status(refusal: StartRefusal) -> Status {
    match refusal {
        StartRefusal::Closed(error) => {
            let status = Status::unavailable("the connection takes no new calls")
                .with_ended(EndedBy::LostConnection)
                .with_unprocessed();
            lost_by(status, error)
        }
        StartRefusal::Deadline => {
            Status::deadline_exceeded("the deadline passed before the call could start")
                .with_ended(EndedBy::Deadline)
                .with_unprocessed()
        }
        StartRefusal::Misuse(misuse) => Status::internal(misuse.to_string()).with_source(misuse),
    }
}
