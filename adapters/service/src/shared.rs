//! A connection that many tasks or threads share: one machine, one lock, one table of who waits.

use core::marker::PhantomData;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon::{CallId, Closing, ConnectionError, End, Event, Instant, Machine};

use crate::link::{Started, Starting};
use crate::slots::{Queue, Slots, Ticket, Wait, Wakes, WatchKey, Watchers};
use crate::{Endpoint, Peer};

mod access;
mod state;

pub use access::Access;
use state::State;

/// What drives a connection, as seen by those who use it.
pub trait Drive<M, E>: Send + Sync + Sized + 'static {
    /// The time, on the clock that drives the machine.
    fn now(&self) -> Instant;

    /// The machine has work that the driver does not know of: output, an earlier timer, room for input, a new call, or
    /// the end. An async driver is woken; a blocking one takes the writer's token and transmits. Called with no lock
    /// held, on the task or thread that changed the machine.
    fn flush(&self, shared: &Shared<M, E, Self>);

    /// Whether a [`flush`](Drive::flush) would tell the driver nothing new: it has had one, and has not locked the
    /// machine since. Called under the lock. The answer `false` is always right.
    fn is_told(&self) -> bool {
        false
    }

    /// Somebody looks whether what it waits for has come, and will be woken through `context` if it has not. For a
    /// driver without a task or thread of its own, which moves when its users do. Called with no lock held.
    fn attend(&self, shared: &Shared<M, E, Self>, context: &mut Context<'_>) {
        let _ = (shared, context);
    }

    /// Blocks this thread until it is unparked, or until about `deadline`. It may return at any time.
    fn park(&self, shared: &Shared<M, E, Self>, deadline: Option<Instant>) {
        let _ = (shared, deadline);
        std::thread::park();
    }
}

/// One connection, shared: the machine behind its one lock, and the wakers of those who wait for it.
///
/// Nothing foreign runs under the lock: no I/O, handler, codec, inflating, `Drop` of anybody's data, and no waker.
/// Whoever changes the machine drains its notices into the slots of the calls, and wakes after unlocking.
///
/// `E` is [`antiphon::server::Connection`] or [`antiphon::client::Connection`]; `M` is that, or something around it
/// such as TLS. `D` is the driver's part.
pub struct Shared<M, E, D> {
    state: Mutex<State<M>>,
    drive: D,
    peer: Peer,
    _endpoint: PhantomData<fn() -> E>,
}

/// What a driver goes to sleep with: whatever changes it afterwards is followed by [`Drive::flush`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rest {
    /// When to call [`Access::tick`] at the latest.
    pub timeout: Option<Instant>,
    /// Whether to read from the transport.
    pub wants_input: bool,
    /// Whether there is more to write.
    pub wants_output: bool,
    /// What to do with the transport once the output is flushed.
    pub closing: Closing,
    /// When to close it whatever is left of the output: its peer does not read. `None` unless it is to be closed.
    pub give_up: Option<Instant>,
    /// Calls wait for the dispatcher.
    pub ready: bool,
    /// Grows with every rest: where threads tell each other of theirs, the latest counts, whoever speaks last.
    pub sequence: u64,
}

impl<M, E, D> Shared<M, E, D>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    D: Drive<M, E>,
{
    /// Shares `machine`.
    pub fn new(machine: M, peer: Peer, drive: D) -> Self {
        let rest = Rest {
            timeout: None,
            wants_input: true,
            wants_output: false,
            closing: Closing::Open,
            give_up: None,
            ready: false,
            sequence: 0,
        };
        let state = State {
            machine,
            slots: Slots::default(),
            ready: VecDeque::new(),
            queue: Queue::default(),
            draining: false,
            closed: Watchers::default(),
            error: None,
            judged: false,
            over: None,
            aborted: None,
            rest,
        };
        Self { state: Mutex::new(state), drive, peer, _endpoint: PhantomData }
    }

    /// The driver's part.
    pub fn drive(&self) -> &D {
        &self.drive
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.drive.now()
    }

    /// Works on the machine under the lock, drains its notices, unlocks, wakes, and [flushes](Drive::flush) when the
    /// driver has something to do. For everybody but the driver. Nothing foreign may run in `work`.
    pub fn access<T>(&self, work: impl FnOnce(&mut Access<'_, M, E>) -> T) -> T {
        let (done, flush) = self.locked(work, true);
        if flush {
            self.drive.flush(self);
        }
        done
    }

    /// As [`access`](Shared::access), without the flush: for the driver itself.
    pub fn turn<T>(&self, work: impl FnOnce(&mut Access<'_, M, E>) -> T) -> T {
        self.locked(work, false).0
    }

    /// The second of the answer: whether the driver is to be told, if that is asked.
    #[inline]
    fn locked<T>(&self, work: impl FnOnce(&mut Access<'_, M, E>) -> T, asked: bool) -> (T, bool) {
        let now = self.drive.now();
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        let done = work(&mut Access { state: &mut state, now, wakes: &mut wakes, _endpoint: PhantomData });
        state.settle(now, &mut wakes);
        let flush = asked && !self.drive.is_told() && state.has_news();
        drop(state);
        wakes.wake();
        (done, flush)
    }

    /// Queues something to be transmitted. It has no notices but those that the driver will see when it transmits.
    #[inline]
    pub(crate) fn queue<T, F>(&self, work: impl FnOnce(&mut E, Instant) -> Result<T, F>) -> Result<T, F> {
        let now = self.drive.now();
        let mut state = self.lock();
        let done = work(state.machine.as_mut(), now);
        let flush = done.is_ok() && !self.drive.is_told() && state.has_news();
        drop(state);
        if flush {
            self.drive.flush(self);
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries under the lock until it is ready or somebody waits. `attempt` takes the waker of who waits, and asks for one
    /// if it has none: wakers are cloned and dropped outside the lock, since they may run anybody's code.
    #[inline]
    fn poll_until<T>(
        &self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&mut Access<'_, M, E>, &Waker, &mut Option<Waker>) -> Step<T>,
    ) -> Poll<T> {
        let mut fresh: Option<Waker> = None;
        self.drive.attend(self, context);
        loop {
            let waker = context.waker();
            match self.access(|access| attempt(access, waker, &mut fresh)) {
                Step::Ready(value) => return Poll::Ready(value),
                Step::Waiting(_) => return Poll::Pending,
                Step::NeedsWaker => fresh = Some(waker.clone()),
            }
        }
    }

    /// Tries `attempt` under the lock, and waits at the call's slot while it is pending. A call that is gone is tried
    /// once, and the attempt answers for it.
    pub(crate) fn poll_slot<T>(
        &self,
        call: CallId,
        wait: Wait,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&mut Access<'_, M, E>) -> Poll<T>,
    ) -> Poll<T> {
        self.poll_until(context, |access, waker, fresh| {
            if let Poll::Ready(value) = attempt(access) {
                return Step::Ready(value);
            }
            let Some(slot) = access.slot(call) else { return Step::Waiting(None) };
            let place = slot.waker(wait);
            if place.as_ref().is_some_and(|old| old.will_wake(waker)) {
                return Step::Waiting(None);
            }
            fresh.take().map_or(Step::NeedsWaker, |fresh| Step::Waiting(place.replace(fresh)))
        })
    }

    /// Waits for the end of a call, beside its handler.
    pub(crate) fn poll_watch(
        &self,
        call: CallId,
        key: &mut WatchKey,
        context: &mut Context<'_>,
    ) -> Poll<Option<End>> {
        self.poll_until(context, |access, waker, fresh| {
            let Some(slot) = access.slot(call) else { return Step::Ready(access.last_end(call)) };
            match slot.ended {
                Some(end) => Step::Ready(Some(end)),
                None => watch(slot.watchers(), key, waker, fresh),
            }
        })
    }

    pub(crate) fn unwatch(&self, call: CallId, key: WatchKey) {
        let left = self.access(|access| access.slot(call)?.watchers().leave(key));
        drop(left);
    }

    /// Whether no new calls are taken any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.access(|access| access.state.draining)
    }

    /// Waits until no new calls are taken any more, and tells what ended the connection, if that was an error.
    pub(crate) fn poll_closed(
        &self,
        key: &mut WatchKey,
        context: &mut Context<'_>,
    ) -> Poll<Option<ConnectionError>> {
        self.poll_until(context, |access, waker, fresh| {
            let state = &mut *access.state;
            if state.draining {
                Step::Ready(state.error)
            } else {
                watch(&mut state.closed, key, waker, fresh)
            }
        })
    }

    pub(crate) fn unwatch_closed(&self, key: WatchKey) {
        let left = self.access(|access| access.state.closed.leave(key));
        drop(left);
    }

    /// Starts a call, or waits in the queue for a slot. The driver is told with the message; without one the caller
    /// sends something next, or flushes.
    pub(crate) fn poll_start(
        &self,
        starting: &mut Starting<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Started, StartRefusal>> {
        let Starting { request, message, ticket } = starting;
        // Who sends the one message with the call waits for the answer.
        let mut fresh: Option<Waker> = message.is_some().then(|| context.waker().clone());
        self.drive.attend(self, context);
        loop {
            let waker = context.waker();
            let attempt = |access: &mut Access<'_, M, E>| {
                if let Some(result) = access.try_start(request, *message, **ticket) {
                    if **ticket != Ticket::default() {
                        access.leave_queue(**ticket);
                    }
                    if let Some(slot) = result.as_ref().ok().and_then(|started| access.slot(started.call)) {
                        *slot.waker(Wait::Receive) = fresh.take();
                    }
                    return Step::Ready(result);
                }
                let queue = &mut access.state.queue;
                if queue.is_waiting(**ticket, waker) {
                    return Step::Waiting(None);
                }
                let wait = |fresh| Step::Waiting(queue.wait(ticket, fresh, request.deadline));
                fresh.take().map_or(Step::NeedsWaker, wait)
            };
            let (step, flush) = self.locked(attempt, true);
            match step {
                Step::Ready(result) => {
                    if flush && (message.is_some() || result.is_err()) {
                        self.drive.flush(self);
                    }
                    return Poll::Ready(result);
                }
                Step::Waiting(old) => {
                    drop(old);
                    if flush {
                        self.drive.flush(self);
                    }
                    return Poll::Pending;
                }
                Step::NeedsWaker => fresh = Some(waker.clone()),
            }
        }
    }
}

enum Step<T> {
    Ready(T),
    /// Somebody waits now. This is the waker that had been there before.
    Waiting(Option<Waker>),
    NeedsWaker,
}

/// Joins those who wait, unless it waits there already.
fn watch<T>(
    watchers: &mut Watchers,
    key: &mut WatchKey,
    waker: &Waker,
    fresh: &mut Option<Waker>,
) -> Step<T> {
    if watchers.has(*key, waker) {
        return Step::Waiting(None);
    }
    fresh.take().map_or(Step::NeedsWaker, |fresh| Step::Waiting(watchers.wait(key, fresh)))
}

/// Why a call was not started.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StartRefusal {
    /// The connection takes no more calls: it drains, or has ended by this error.
    Closed(Option<ConnectionError>),
    /// The deadline passed while it waited for a slot.
    Deadline,
    /// The request is at fault.
    Misuse(antiphon::Misuse),
}
