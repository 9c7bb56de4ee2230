//! A connection that many tasks or threads share: one machine, one lock, one table of who waits.

use core::marker::PhantomData;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon::rpc::{ClientRequest, Payload};
use antiphon::{CallId, Closing, ConnectionError, End, Event, InputEnd, Instant, Machine, StartError};
use bytes::BytesMut;

use crate::link::{Started, Starting, lost_by};
use crate::slots::{Queue, Slot, Slots, Ticket, Wait, Wakes, WatchKey, Watchers};
use crate::{Endpoint, Peer, Pulled};

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

struct State<M> {
    machine: M,
    slots: Slots,
    /// A server's calls that the dispatcher has to look at.
    ready: VecDeque<CallId>,
    queue: Queue,
    draining: bool,
    /// Who waits until no new calls are taken.
    closed: Watchers,
    /// What ended the connection, for the statuses of its calls.
    error: Option<ConnectionError>,
    /// The machine was done with it, and that was why. What becomes of the transport afterwards is no reason.
    judged: bool,
    /// When the machine was done with the connection.
    over: Option<Instant>,
    /// When it was ended by this side's wish.
    aborted: Option<Instant>,
    /// What the driver sleeps with.
    rest: Rest,
}

/// How long the last bytes of a connection that is over may take to a peer that does not read, and how long after an
/// abort.
const LAST_BYTES: Duration = Duration::from_secs(10);
const LAST_BYTES_OF_ABORT: Duration = Duration::from_secs(1);

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

    /// Tries `attempt` under the lock, and waits at the call's slot while it is pending. A call that is gone is tried
    /// once, and the attempt answers for it.
    pub(crate) fn poll_slot<T>(
        &self,
        call: CallId,
        wait: Wait,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&mut Access<'_, M, E>) -> Poll<T>,
    ) -> Poll<T> {
        // A waker is cloned, replaced and dropped outside the lock: it may run anybody's code.
        let mut fresh: Option<Waker> = None;
        self.drive.attend(self, context);
        loop {
            let waker = context.waker();
            let (step, old) = self.access(|access| {
                if let Poll::Ready(value) = attempt(access) {
                    return (Step::Ready(value), None);
                }
                let Some(slot) = access.slot(call) else { return (Step::Waiting, None) };
                let place = slot.waker(wait);
                if place.as_ref().is_some_and(|old| old.will_wake(waker)) {
                    return (Step::Waiting, None);
                }
                match fresh.take() {
                    Some(fresh) => (Step::Waiting, place.replace(fresh)),
                    None => (Step::NeedsWaker, None),
                }
            });
            drop(old);
            match step {
                Step::Ready(value) => return Poll::Ready(value),
                Step::Waiting => return Poll::Pending,
                Step::NeedsWaker => fresh = Some(waker.clone()),
            }
        }
    }

    /// Waits for the end of a call, beside its handler.
    pub(crate) fn poll_watch(
        &self,
        call: CallId,
        key: &mut WatchKey,
        context: &mut Context<'_>,
    ) -> Poll<Option<End>> {
        let mut fresh: Option<Waker> = None;
        self.drive.attend(self, context);
        loop {
            let waker = context.waker();
            let (step, old) = self.access(|access| {
                let Some(slot) = access.slot(call) else {
                    return (Step::Ready(access.last_end(call)), None);
                };
                if slot.ended.is_some() {
                    return (Step::Ready(slot.ended), None);
                }
                if slot.watchers().has(*key, waker) {
                    return (Step::Waiting, None);
                }
                match fresh.take() {
                    Some(fresh) => (Step::Waiting, slot.watchers().wait(key, fresh)),
                    None => (Step::NeedsWaker, None),
                }
            });
            drop(old);
            match step {
                Step::Ready(end) => return Poll::Ready(end),
                Step::Waiting => return Poll::Pending,
                Step::NeedsWaker => fresh = Some(waker.clone()),
            }
        }
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
        let mut fresh: Option<Waker> = None;
        self.drive.attend(self, context);
        loop {
            let waker = context.waker();
            let (step, old) = self.access(|access| {
                let state = &mut *access.state;
                if state.draining {
                    return (Step::Ready(state.error), None);
                }
                if state.closed.has(*key, waker) {
                    return (Step::Waiting, None);
                }
                match fresh.take() {
                    Some(fresh) => (Step::Waiting, state.closed.wait(key, fresh)),
                    None => (Step::NeedsWaker, None),
                }
            });
            drop(old);
            match step {
                Step::Ready(error) => return Poll::Ready(error),
                Step::Waiting => return Poll::Pending,
                Step::NeedsWaker => fresh = Some(waker.clone()),
            }
        }
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
                    if let (Ok(started), Some(fresh)) = (&result, fresh.take()) {
                        if let Some(slot) = access.slot(started.call) {
                            *slot.waker(Wait::Receive) = Some(fresh);
                        }
                    }
                    return (Step::Ready(result), None);
                }
                let queue = &mut access.state.queue;
                if queue.is_waiting(**ticket, waker) {
                    return (Step::Waiting, None);
                }
                match fresh.take() {
                    Some(fresh) => (Step::Waiting, queue.wait(ticket, fresh, request.deadline)),
                    None => (Step::NeedsWaker, None),
                }
            };
            let ((step, old), flush) = self.locked(attempt, true);
            drop(old);
            match step {
                Step::Ready(result) => {
                    if flush && (message.is_some() || result.is_err()) {
                        self.drive.flush(self);
                    }
                    return Poll::Ready(result);
                }
                Step::Waiting => {
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
    Waiting,
    NeedsWaker,
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

impl<M: Machine<Event = Event>> State<M> {
    #[inline]
    fn settle(&mut self, now: Instant, wakes: &mut Wakes) {
        while let Some(event) = self.machine.poll_event() {
            self.settle_one(event, now, wakes);
        }
        if self.machine.closing() != Closing::Open {
            self.settle_closing(now, wakes);
        }
    }

    fn settle_closing(&mut self, now: Instant, wakes: &mut Wakes) {
        if !self.draining {
            self.take_no_more(now, wakes);
        }
        if self.machine.closing() == Closing::Closed && !self.judged {
            self.judged = true;
            // What ended it by itself, such as the time, has told nobody why: it is told to who feeds.
            let told = self.machine.handle_input(now, &mut BytesMut::new());
            self.error = self.error.or(told.err());
        }
    }

    /// No call can be started any more: who waits for one learns it, and who waits for that.
    fn take_no_more(&mut self, now: Instant, wakes: &mut Wakes) {
        self.draining = true;
        self.queue.call_all(now, wakes);
        self.closed.take().for_each(|watcher| wakes.push(Some(watcher)));
    }

    fn settle_one(&mut self, event: Event, now: Instant, wakes: &mut Wakes) {
        match event {
            Event::Started(call) => {
                self.slots.open(call, wakes);
                self.ready.push_back(call);
            }
            Event::Readable(call) => self.notice(call, |slot| slot.wake(Wait::Receive, wakes)),
            Event::Writable(call) | Event::Stopped(call, _) => {
                if let Some(slot) = self.slots.get(call) {
                    slot.wake(Wait::Send, wakes);
                }
            }
            Event::Ended(call, end) => self.notice(call, |slot| {
                slot.ended = Some(end);
                slot.take_all(wakes);
            }),
            Event::Available => self.queue.call_next(now, wakes),
            Event::Draining => self.take_no_more(now, wakes),
        }
    }

    #[inline]
    fn notice(&mut self, call: CallId, change: impl FnOnce(&mut Slot)) {
        let Some(slot) = self.slots.get(call) else { return };
        change(slot);
        if slot.gathering {
            slot.gathering = false;
            self.ready.push_back(call);
        }
    }

    fn timeout(&self) -> Option<Instant> {
        match (self.machine.poll_timeout(), self.queue.due()) {
            (Some(machine), Some(queue)) => Some(machine.min(queue)),
            (machine, queue) => machine.or(queue),
        }
    }

    fn give_up(&self) -> Option<Instant> {
        let patient = self.over? + LAST_BYTES;
        Some(self.aborted.map_or(patient, |aborted| patient.min(aborted + LAST_BYTES_OF_ABORT)))
    }

    fn has_news(&self) -> bool {
        let rest = &self.rest;
        let sooner = || match (self.timeout(), rest.timeout) {
            (Some(now), Some(then)) => now < then,
            (Some(_), None) => true,
            (None, _) => false,
        };
        // What is most often the case first, and what takes longest to find out last.
        (!rest.wants_output && self.machine.wants_output())
            || (!rest.ready && !self.ready.is_empty())
            || (!rest.wants_input && self.machine.wants_input())
            || self.machine.closing() != rest.closing
            || self.give_up() != rest.give_up
            || sooner()
    }
}

/// The machine under its lock.
pub struct Access<'a, M, E> {
    state: &'a mut State<M>,
    now: Instant,
    wakes: &'a mut Wakes,
    _endpoint: PhantomData<fn() -> E>,
}

impl<M, E> Access<'_, M, E>
where
    M: Machine<Event = Event> + AsMut<E>,
    E: Endpoint,
{
    /// The time at which the lock was taken.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The machine, for a driver to feed and to transmit from. Its events are drained by the lock.
    pub fn machine(&mut self) -> &mut M {
        &mut self.state.machine
    }

    /// The connection inside the machine.
    pub fn endpoint(&mut self) -> &mut E {
        self.state.machine.as_mut()
    }

    /// Feeds the machine. An error is in the statuses of the calls that it ends; what to do is in
    /// [`Rest::closing`].
    pub fn feed(&mut self, input: &mut BytesMut) {
        let fed = self.state.machine.handle_input(self.now, input);
        self.note(fed);
    }

    /// Tells the machine that no more input will come. An error goes where [`feed`](Access::feed)'s does.
    pub fn end_input(&mut self, end: InputEnd) {
        let ended = self.state.machine.handle_end(self.now, end);
        self.note(ended);
    }

    fn note(&mut self, result: Result<(), ConnectionError>) {
        if !self.state.judged {
            self.state.error = self.state.error.or(result.err());
        }
    }

    /// Takes what a call has received; the end of a call that was lost says why.
    pub(crate) fn read(&mut self, call: CallId) -> Pulled {
        let now = self.now;
        match self.endpoint().read(now, call) {
            Pulled::End(Err(status)) => Pulled::End(Err(lost_by(status, self.state.error))),
            pulled => pulled,
        }
    }

    /// Drains the machine's notices into the slots now, and not only when the lock is released.
    pub fn settle(&mut self) {
        self.state.settle(self.now, self.wakes);
    }

    /// Ends the connection at once. What the peer does not take soon it does not get.
    pub fn abort(&mut self) {
        let now = self.now;
        self.endpoint().abort(now);
        self.state.aborted.get_or_insert(now);
    }

    /// Lets time pass for the machine and for those who wait to start a call.
    pub fn tick(&mut self) {
        self.state.machine.handle_timeout(self.now);
        self.state.queue.tick(self.now, self.wakes);
    }

    /// What the driver is to wait for. From now on every change of it is followed by [`Drive::flush`]; call it last
    /// before sleeping. `wants_output` in the answer means that the machine has more than the driver could take: no
    /// flush follows for more of that.
    pub fn rest(&mut self) -> Rest {
        self.settle();
        let closing = self.state.machine.closing();
        if closing == Closing::Closed {
            self.state.over.get_or_insert(self.now);
        }
        let rest = Rest {
            give_up: self.state.give_up(),
            timeout: self.state.timeout(),
            wants_input: self.state.machine.wants_input(),
            wants_output: self.state.machine.wants_output(),
            closing,
            ready: !self.state.ready.is_empty(),
            sequence: self.state.rest.sequence + 1,
        };
        self.state.rest = rest;
        rest
    }

    /// The driver is done with the connection, and nothing will move any more: everybody is woken, to find its call
    /// ended.
    pub fn lost(&mut self) {
        let now = self.now;
        // Before the abort: a call that is still open was not cancelled by anybody, its connection is lost.
        self.end_input(InputEnd::Failed);
        self.state.machine.handle_output_lost(now);
        self.endpoint().abort(now);
        self.settle();
        self.state.take_no_more(now, self.wakes);
        self.state.slots.take_all(self.wakes);
    }

    /// The next call that the dispatcher has to look at. The machine's notices are drained when there is none.
    pub(crate) fn settle_until_ready(&mut self) -> Option<CallId> {
        if self.state.ready.is_empty() {
            self.settle();
        }
        self.state.ready.pop_front()
    }

    pub(crate) fn slot(&mut self, call: CallId) -> Option<&mut Slot> {
        self.state.slots.get(call)
    }

    /// How a call ended, known for a while after it was dropped.
    pub(crate) fn last_end(&self, call: CallId) -> Option<End> {
        self.state.slots.last_end(call)
    }

    /// Whether a call has ended. A call that nobody knows has ended as well.
    pub(crate) fn has_ended(&mut self, call: CallId) -> bool {
        self.slot(call).is_none_or(|slot| slot.ended.is_some())
    }

    /// Lets go of a call, and forgets who waits for it.
    pub(crate) fn drop_call(&mut self, call: CallId) {
        let now = self.now;
        self.endpoint().drop_call(now, call);
        self.settle();
        self.state.slots.close(call, self.wakes);
    }

    /// As [`drop_call`](Access::drop_call), for a call whose end has been [settled](Access::settle) already.
    pub(crate) fn forget(&mut self, call: CallId) {
        let now = self.now;
        self.endpoint().drop_call(now, call);
        self.state.slots.close(call, self.wakes);
    }

    /// Leaves the queue; if it had been this one's turn, the next one is called.
    pub(crate) fn leave_queue(&mut self, ticket: Ticket) {
        let called = self.state.queue.leave(ticket, self.wakes);
        if called && (self.endpoint().can_start() || self.state.draining) {
            self.state.queue.call_next(self.now, self.wakes);
        }
    }

    fn try_start(
        &mut self,
        request: &ClientRequest<'_>,
        message: Option<Payload<'_>>,
        ticket: Ticket,
    ) -> Option<Result<Started, StartRefusal>> {
        if request.deadline.is_some_and(|deadline| deadline <= self.now) {
            return Some(Err(StartRefusal::Deadline));
        }
        let is_first = self.state.queue.is_turn_of(ticket);
        if !(is_first && self.endpoint().can_start()) {
            return self.state.draining.then_some(Err(StartRefusal::Closed(self.state.error)));
        }
        let now = self.now;
        match self.endpoint().start(now, request) {
            Ok(call) => {
                self.state.slots.open(call, self.wakes);
                let coding = self.endpoint().encoding(call);
                let sent = message.map(|message| self.endpoint().send_last(now, call, message));
                let version = self.endpoint().version();
                Some(Ok(Started { call, coding, version, sent }))
            }
            Err(StartError::Misuse(misuse)) => Some(Err(StartRefusal::Misuse(misuse))),
            Err(StartError::Full) => None,
            Err(StartError::Closed) => Some(Err(StartRefusal::Closed(self.state.error))),
        }
    }
}
