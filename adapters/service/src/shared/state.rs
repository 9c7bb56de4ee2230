//! What stands behind the lock of a shared connection: the machine, and who waits for it.

use core::time::Duration;
use std::collections::VecDeque;

use antiphon::{CallId, Closing, ConnectionError, Event, Instant, Machine};
use bytes::BytesMut;

use super::Rest;
use crate::slots::{Queue, Slot, Slots, Wait, Wakes, Watchers};

/// What stands behind the lock.
pub(super) struct State<M> {
    pub(super) machine: M,
    pub(super) slots: Slots,
    /// A server's calls that the dispatcher has to look at.
    pub(super) ready: VecDeque<CallId>,
    pub(super) queue: Queue,
    pub(super) draining: bool,
    /// Who waits until no new calls are taken.
    pub(super) closed: Watchers,
    /// What ended the connection, for the statuses of its calls.
    pub(super) error: Option<ConnectionError>,
    /// The machine was done with it, and that was why. What becomes of the transport afterwards is no reason.
    pub(super) judged: bool,
    /// When the machine was done with the connection.
    pub(super) over: Option<Instant>,
    /// When it was ended by this side's wish.
    pub(super) aborted: Option<Instant>,
    /// What the driver sleeps with.
    pub(super) rest: Rest,
}

/// How long the last bytes of a connection that is over may take to a peer that does not read, and how long after an
/// abort.
const LAST_BYTES: Duration = Duration::from_secs(10);
const LAST_BYTES_OF_ABORT: Duration = Duration::from_secs(1);

impl<M: Machine<Event = Event>> State<M> {
    #[inline]
    pub(super) fn settle(&mut self, now: Instant, wakes: &mut Wakes) {
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
    pub(super) fn take_no_more(&mut self, now: Instant, wakes: &mut Wakes) {
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

    pub(super) fn timeout(&self) -> Option<Instant> {
        match (self.machine.poll_timeout(), self.queue.due()) {
            (Some(machine), Some(queue)) => Some(machine.min(queue)),
            (machine, queue) => machine.or(queue),
        }
    }

    pub(super) fn give_up(&self) -> Option<Instant> {
        let patient = self.over? + LAST_BYTES;
        Some(self.aborted.map_or(patient, |aborted| patient.min(aborted + LAST_BYTES_OF_ABORT)))
    }

    pub(super) fn has_news(&self) -> bool {
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
