//! A connection that is none: what the halves and the context of one call ask of it is answered from a few numbers
//! that the test sets.

use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon::rpc::{HttpVersion, Messages, Payload};
use antiphon::{CallId, ConnectionError, End, Instant, Metadata, Misuse, SendError, Status};
use bytes::Bytes;

use crate::link::{Calls, FinalAnswer, Received, Started, Starting, end_status};
use crate::slots::{Ticket, WatchKey};
use crate::{Codec, Link, Peer};

/// The one call of a test context, as its halves see their connection. There is one lock, and nothing foreign runs
/// under it.
pub(super) struct Loose {
    peer: Peer,
    version: HttpVersion,
    deadline: Option<Instant>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Instant,
    ended: Option<End>,
    /// What there is to receive, and what comes after it.
    waiting: usize,
    end: Option<Result<(), Status>>,
    /// What was sent and not taken, and how much of that there may be.
    sent: usize,
    room: usize,
    /// Does with an encoded message what became of it.
    commit: Option<Arc<dyn Fn(bool) + Send + Sync>>,
    receiver_dropped: bool,
    sender_dropped: bool,
    headers_sent: bool,
    wakers: Vec<Waker>,
}

impl Loose {
    pub(super) fn new(peer: Peer, version: HttpVersion, deadline: Option<Instant>) -> Self {
        let state = State { room: usize::MAX, ..State::default() };
        Self { peer, version, deadline, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that somebody may wait for.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (done, wakers) = {
            let mut state = self.lock();
            (change(&mut state), core::mem::take(&mut state.wakers))
        };
        wakers.into_iter().for_each(Waker::wake);
        done
    }

    fn poll<T>(&self, context: &mut Context<'_>, attempt: impl FnOnce(&mut State) -> Poll<T>) -> Poll<T> {
        let waker = context.waker().clone();
        let mut state = self.lock();
        let polled = attempt(&mut state);
        if polled.is_pending() && !state.wakers.iter().any(|known| known.will_wake(&waker)) {
            state.wakers.push(waker);
        }
        polled
    }

    pub(super) fn advance(&self, by: core::time::Duration) {
        self.change(|state| {
            state.now = state.now + by;
            if self.deadline.is_some_and(|deadline| deadline <= state.now) {
                state.ended.get_or_insert(End::Deadline);
            }
        });
    }

    pub(super) fn end(&self, end: End) {
        self.change(|state| {
            state.ended.get_or_insert(end);
        });
    }

    pub(super) fn add_message(&self) {
        self.change(|state| state.waiting += 1);
    }

    pub(super) fn end_messages(&self, end: Result<(), Status>) {
        self.change(|state| {
            state.end.get_or_insert(end);
        });
    }

    pub(super) fn set_room(&self, room: usize) {
        self.change(|state| state.room = room);
    }

    pub(super) fn taken(&self, count: usize) {
        self.change(|state| state.sent = state.sent.saturating_sub(count));
    }

    pub(super) fn set_commit(&self, commit: Arc<dyn Fn(bool) + Send + Sync>) {
        self.lock().commit = Some(commit);
    }

    pub(super) fn is_receiver_dropped(&self) -> bool {
        self.lock().receiver_dropped
    }

    pub(super) fn is_sender_dropped(&self) -> bool {
        self.lock().sender_dropped
    }

    pub(super) fn headers_sent(&self) -> bool {
        self.lock().headers_sent
    }
}

impl State {
    fn room(&self) -> Result<(), SendError> {
        match self.ended {
            Some(_) => Err(SendError::Ended),
            None if self.sent < self.room => Ok(()),
            None => Err(SendError::Blocked),
        }
    }
}

impl Link for Loose {
    fn now(&self) -> Instant {
        self.lock().now
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn park(&self, _: Option<Instant>) {
        std::thread::park();
    }

    fn attend(&self, _: &mut Context<'_>) {}

    fn drain(&self) {}

    fn abort(&self) {
        self.end(End::Lost);
    }
}

impl Calls for Loose {
    fn poll_read(&self, _: CallId, _: bool, inbox: &mut Received<'_>, context: &mut Context<'_>) -> Poll<()> {
        self.poll(context, |state| {
            if state.waiting > 0 {
                state.waiting -= 1;
                // The message itself is with the codec.
                inbox.0.run = Some(Messages::from(Bytes::new()));
                return Poll::Ready(());
            }
            let end = state.end.clone().or_else(|| state.ended.map(|end| Err(end_status(Some(end)))));
            if end.is_none() {
                return Poll::Pending;
            }
            inbox.0.end = end;
            Poll::Ready(())
        })
    }

    fn poll_room(&self, _: CallId, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll(context, |state| match state.room() {
            Err(SendError::Blocked) => Poll::Pending,
            result => Poll::Ready(result),
        })
    }

    fn room(&self, _: CallId) -> Result<(), SendError> {
        self.lock().room()
    }

    fn send(&self, _: CallId, _: Payload<'_>, _: bool) -> Result<bool, SendError> {
        let (result, commit) = {
            let mut state = self.lock();
            let result = state.room();
            if result.is_ok() {
                state.sent += 1;
            }
            (result.map(|()| state.room().is_ok()), state.commit.clone())
        };
        if let Some(commit) = commit {
            commit(result.is_ok());
        }
        result
    }

    fn poll_ended(&self, call: CallId, context: &mut Context<'_>) -> Poll<()> {
        self.poll_watch(call, &mut WatchKey::default(), context).map(|_| ())
    }

    fn poll_watch(&self, _: CallId, _: &mut WatchKey, context: &mut Context<'_>) -> Poll<Option<End>> {
        self.poll(context, |state| match state.ended {
            Some(end) => Poll::Ready(Some(end)),
            None => Poll::Pending,
        })
    }

    /// All wait in one list here, for as long as a test lasts.
    fn unwatch(&self, _: CallId, _: WatchKey) {}

    fn ended(&self, _: CallId) -> Option<End> {
        self.lock().ended
    }

    fn fail(&self, _: CallId, _: Status) {
        self.end(End::Finished);
    }

    fn close_send(&self, call: CallId) {
        self.leave_send(call);
    }

    fn leave_send(&self, _: CallId) {
        self.change(|state| state.sender_dropped = true);
    }

    fn leave_receive(&self, _: CallId) {
        self.change(|state| state.receiver_dropped = true);
    }

    fn cancel(&self, _: CallId) {
        self.end(End::Cancelled { reset: None });
    }

    fn drop_call(&self, _: CallId) {}

    fn send_headers(&self, _: CallId, _: &Metadata) -> Result<(), Misuse> {
        self.lock().headers_sent = true;
        Ok(())
    }

    fn finish(&self, _: &FinalAnswer<'_>) {
        self.end(End::Finished);
    }

    fn poll_start(&self, _: &mut Starting<'_>, _: &mut Context<'_>) -> Poll<Result<Started, Status>> {
        Poll::Ready(Err(Status::unimplemented("a test context starts no calls")))
    }

    fn flush(&self) {}

    fn leave_queue(&self, _: Ticket) {}

    fn poll_headers(&self, _: CallId, _: &mut Context<'_>) -> Poll<Option<Metadata>> {
        Poll::Ready(None)
    }

    fn is_closed(&self) -> bool {
        self.lock().ended.is_some()
    }

    fn poll_closed(&self, _: &mut WatchKey, context: &mut Context<'_>) -> Poll<Option<ConnectionError>> {
        self.poll(context, |state| if state.ended.is_some() { Poll::Ready(None) } else { Poll::Pending })
    }

    fn unwatch_closed(&self, _: WatchKey) {}

    fn outcome(&self, _: CallId) -> Option<Result<(), Status>> {
        None
    }

    fn version(&self) -> HttpVersion {
        self.version
    }
}

/// Messages on their way through a half, as they are: in place of bytes.
pub(super) struct Queue<T> {
    messages: Mutex<VecDeque<T>>,
    /// Encoded, and not yet sent.
    pending: Mutex<Option<T>>,
}

impl<T> Queue<T> {
    pub(super) fn new(messages: impl IntoIterator<Item = T>) -> Self {
        Self { messages: Mutex::new(messages.into_iter().collect()), pending: Mutex::new(None) }
    }

    pub(super) fn messages(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Option<T>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was encoded has been sent, or refused.
    pub(super) fn commit(&self, sent: bool) {
        let message = self.pending().take();
        if sent {
            self.messages().extend(message);
        }
    }
}

/// The codec of a half that receives: what is to come is in the queue.
pub(super) struct Incoming<T>(pub(super) Arc<Queue<T>>);

/// The codec of a half that sends: what is sent goes to the queue.
pub(super) struct Outgoing<T>(pub(super) Arc<Queue<T>>);

impl<T: Send> Codec<T> for Incoming<T> {
    fn encode(&self, _: &T, _: &mut Vec<u8>) -> Result<(), Status> {
        Err(Status::internal("this half receives"))
    }

    fn decode(&self, _: Bytes) -> Result<T, Status> {
        self.0.messages().pop_front().ok_or_else(|| Status::internal("there is no such message"))
    }
}

impl<T: Clone + Send> Codec<T> for Outgoing<T> {
    fn encode(&self, message: &T, _: &mut Vec<u8>) -> Result<(), Status> {
        let message = message.clone();
        *self.0.pending() = Some(message);
        Ok(())
    }

    fn decode(&self, _: Bytes) -> Result<T, Status> {
        Err(Status::internal("this half sends"))
    }
}
