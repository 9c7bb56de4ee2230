//! Who waits for what: wakers in a dense table, by the index of a call.

use core::task::Waker;
use std::collections::VecDeque;

use antiphon::rpc::Messages;
use antiphon::{CallId, End, Instant};

/// Wakers taken under a lock, to be woken once it is released.
#[derive(Default)]
pub(crate) struct Wakes {
    few: [Option<Waker>; 4],
    count: usize,
    more: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.few.get_mut(self.count) {
            Some(place) => {
                *place = Some(waker);
                self.count += 1;
            }
            None => self.more.push(waker),
        }
    }

    /// Wakes them all. Call it with no lock held.
    pub(crate) fn wake(self) {
        self.few.into_iter().flatten().chain(self.more).for_each(Waker::wake);
    }
}

/// What somebody waits for at a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// A message, the headers, the end.
    Receive = 0,
    /// Room to send.
    Send = 1,
    /// The end, to drop a handler that is suspended.
    Task = 2,
}

/// The waiters of one call.
#[derive(Default)]
pub(crate) struct Slot {
    generation: u32,
    used: bool,
    /// How the call ended; `None` while it goes on.
    pub(crate) ended: Option<End>,
    /// The request is not complete yet: the next notice goes to the dispatcher.
    pub(crate) gathering: bool,
    wakers: [Option<Waker>; 3],
    /// Whoever else waits for the end.
    watchers: Vec<Waker>,
    /// Messages that were in front of an outcome that the sender asked for.
    pub(crate) stash: VecDeque<Messages>,
}

impl Slot {
    pub(crate) fn waker(&mut self, wait: Wait) -> &mut Option<Waker> {
        &mut self.wakers[wait as usize]
    }

    pub(crate) fn watch(&mut self, waker: Waker) {
        self.watchers.push(waker);
    }

    pub(crate) fn is_watched_by(&self, waker: &Waker) -> bool {
        self.watchers.iter().any(|watcher| watcher.will_wake(waker))
    }

    pub(crate) fn take_all(&mut self, wakes: &mut Wakes) {
        self.wakers.iter_mut().for_each(|waker| wakes.push(waker.take()));
        self.watchers.drain(..).for_each(|watcher| wakes.push(Some(watcher)));
    }
}

/// The slots of a connection.
#[derive(Default)]
pub(crate) struct Slots(Vec<Slot>);

impl Slots {
    /// Makes the slot of a new call. Who still waited at its place is woken, and finds its call gone.
    pub(crate) fn open(&mut self, call: CallId, wakes: &mut Wakes) -> &mut Slot {
        let index = call.index as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, Slot::default);
        }
        let slot = &mut self.0[index];
        slot.take_all(wakes);
        slot.generation = call.generation;
        slot.used = true;
        slot.ended = None;
        slot.gathering = false;
        slot.stash.clear();
        slot
    }

    pub(crate) fn get(&mut self, call: CallId) -> Option<&mut Slot> {
        let slot = self.0.get_mut(call.index as usize)?;
        (slot.used && slot.generation == call.generation).then_some(slot)
    }

    /// How a call ended, known until its place is used again.
    pub(crate) fn last_end(&self, call: CallId) -> Option<End> {
        let slot = self.0.get(call.index as usize)?;
        if slot.generation == call.generation { slot.ended } else { None }
    }

    /// Forgets a call; who waits for it is woken.
    pub(crate) fn close(&mut self, call: CallId, wakes: &mut Wakes) {
        if let Some(slot) = self.get(call) {
            slot.take_all(wakes);
            slot.stash.clear();
            slot.used = false;
        }
    }

    pub(crate) fn take_all(&mut self, wakes: &mut Wakes) {
        self.0.iter_mut().for_each(|slot| slot.take_all(wakes));
    }
}

/// A place in the queue of those who wait to start a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ticket(u64);

/// Those who wait to start a call, first come first served.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    last: u64,
}

struct Waiting {
    ticket: Ticket,
    deadline: Option<Instant>,
    /// `None` once called.
    waker: Option<Waker>,
}

impl Queue {
    fn find(&mut self, ticket: Ticket) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|waiting| waiting.ticket == ticket)
    }

    pub(crate) fn is_waiting(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        self.find(ticket).and_then(|waiting| waiting.waker.as_ref()).is_some_and(|old| old.will_wake(waker))
    }

    /// Waits at `ticket`, or at the end of the queue if it is not in it. Returns the waker that was there.
    pub(crate) fn wait(
        &mut self,
        ticket: &mut Ticket,
        waker: Waker,
        deadline: Option<Instant>,
    ) -> Option<Waker> {
        if let Some(waiting) = self.find(*ticket) {
            return waiting.waker.replace(waker);
        }
        self.last += 1;
        *ticket = Ticket(self.last);
        self.waiting.push_back(Waiting { ticket: *ticket, deadline, waker: Some(waker) });
        None
    }

    /// Leaves the queue; says whether it had been this one's turn.
    pub(crate) fn leave(&mut self, ticket: Ticket, wakes: &mut Wakes) -> bool {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.ticket == ticket) else { return false };
        let Some(waiting) = self.waiting.remove(at) else { return false };
        let called = waiting.waker.is_none();
        wakes.push(waiting.waker);
        called
    }

    /// Calls the first who has not been called.
    pub(crate) fn call_next(&mut self, wakes: &mut Wakes) {
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.waker.is_some()) {
            wakes.push(waiting.waker.take());
        }
    }

    pub(crate) fn call_all(&mut self, wakes: &mut Wakes) {
        self.waiting.iter_mut().for_each(|waiting| wakes.push(waiting.waker.take()));
    }

    pub(crate) fn call_expired(&mut self, now: Instant, wakes: &mut Wakes) {
        for waiting in &mut self.waiting {
            if waiting.deadline.is_some_and(|deadline| deadline <= now) {
                wakes.push(waiting.waker.take());
            }
        }
    }

    /// The first deadline of those who have not been called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiting
            .iter()
            .filter(|waiting| waiting.waker.is_some())
            .filter_map(|waiting| waiting.deadline)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::<Count>::default();
        (Arc::clone(&count), Waker::from(count))
    }

    fn wake(work: impl FnOnce(&mut Wakes)) {
        let mut wakes = Wakes::default();
        work(&mut wakes);
        wakes.wake();
    }

    #[test]
    fn many_wakers_are_woken_once_each() {
        let (count, waker) = counter();
        wake(|wakes| (0..10).for_each(|_| wakes.push(Some(waker.clone()))));
        assert_eq!(count.0.load(Ordering::SeqCst), 10);
    }

    #[test]
    fn a_place_that_is_used_again_wakes_who_still_waited_there() {
        let mut slots = Slots::default();
        let (old, new) = (CallId { index: 3, generation: 0 }, CallId { index: 3, generation: 1 });
        let (count, waker) = counter();
        wake(|wakes| {
            *slots.open(old, wakes).waker(Wait::Receive) = Some(waker.clone());
            slots.get(old).unwrap().ended = Some(End::Lost);
        });
        assert_eq!((count.0.load(Ordering::SeqCst), slots.last_end(old)), (0, Some(End::Lost)));
        wake(|wakes| {
            slots.open(new, wakes);
        });
        assert_eq!((count.0.load(Ordering::SeqCst), slots.last_end(old)), (1, None));
        assert!(slots.get(old).is_none() && slots.get(new).is_some());
    }

    #[test]
    fn the_queue_calls_in_order_and_a_turn_that_is_given_up_is_known() {
        let mut queue = Queue::default();
        let ((first_count, first_waker), (second_count, second_waker)) = (counter(), counter());
        let (mut first, mut second) = (Ticket::default(), Ticket::default());
        let late = Instant::EPOCH + core::time::Duration::from_secs(1);
        assert!(queue.wait(&mut first, first_waker.clone(), Some(late)).is_none());
        assert!(queue.wait(&mut second, second_waker, None).is_none());
        assert!(queue.is_waiting(first, &first_waker));
        assert_eq!(queue.deadline(), Some(late));
        wake(|wakes| queue.call_next(wakes));
        assert_eq!((first_count.0.load(Ordering::SeqCst), second_count.0.load(Ordering::SeqCst)), (1, 0));
        assert_eq!(queue.deadline(), None, "who was called looks at the time by itself");
        wake(|wakes| assert!(queue.leave(first, wakes), "it was this one's turn"));
        wake(|wakes| queue.call_next(wakes));
        assert_eq!(second_count.0.load(Ordering::SeqCst), 1);
        wake(|wakes| assert!(!queue.leave(first, wakes)));
    }

    #[test]
    fn who_waits_too_long_is_called() {
        let mut queue = Queue::default();
        let (count, waker) = counter();
        let late = Instant::EPOCH + core::time::Duration::from_secs(1);
        queue.wait(&mut Ticket::default(), waker, Some(late));
        wake(|wakes| queue.call_expired(Instant::EPOCH, wakes));
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        wake(|wakes| queue.call_expired(late, wakes));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
