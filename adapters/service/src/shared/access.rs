//! What whoever holds the lock of a shared connection may do.

use core::marker::PhantomData;

use antiphon::rpc::{ClientRequest, Payload};
use antiphon::{CallId, Closing, ConnectionError, End, Event, InputEnd, Instant, Machine, StartError};
use bytes::BytesMut;

use super::state::State;
use super::{Rest, StartRefusal};
use crate::link::{Started, lost_by};
use crate::slots::{Slot, Ticket, Wakes};
use crate::{Endpoint, Pulled};

/// The machine under its lock.
pub struct Access<'a, M, E> {
    pub(super) state: &'a mut State<M>,
    pub(super) now: Instant,
    pub(super) wakes: &'a mut Wakes,
    pub(super) _endpoint: PhantomData<fn() -> E>,
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

    /// What the driver is to wait for. From now on every change of it is followed by
    /// [`Drive::flush`](super::Drive::flush); call it last before sleeping. `wants_output` in the answer means that the
    /// machine has more than the driver could take: no flush follows for more of that.
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

    pub(super) fn try_start(
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
