//! Who waits for what: wakers in a dense table, by the index of a call.

use core::task::Waker;
use core::time::Duration;
use std::collections::VecDeque;

use antiphon::rpc::Messages;
use antiphon::{CallId, End, Instant};

/// Wakers taken under a lock, to be woken once it is released.
#[derive(Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    /// Mostly none: where there is none, there is nothing to make and to drop.
    more: Option<Box<More>>,
}

#[derive(Default)]
struct More(Vec<Waker>);

impl Wakes {
    #[inline]
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.push_one(waker);
        }
    }

    fn push_one(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.get_or_insert_default().0.push(waker);
        }
    }

    /// Wakes them all. Call it with no lock held.
    #[inline]
    pub(crate) fn wake(&mut self) {
        if let Some(first) = self.first.take() {
            first.wake();
            self.more.take().into_iter().flat_map(|more| more.0).for_each(Waker::wake);
        }
    }
}

/// Where one of many waits for the same: nowhere yet, or at a place of its own in [`Watchers`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WatchKey(u64);

/// Any number of tasks that wait for the same. Who gives up leaves, so that a long wait of short tasks does not pile
/// up.
#[derive(Default)]
pub(crate) struct Watchers {
    last: u64,
    list: Vec<(WatchKey, Waker)>,
}

impl Watchers {
    fn place(&mut self, key: WatchKey) -> Option<usize> {
        self.list.binary_search_by_key(&key.0, |(key, _)| key.0).ok()
    }

    /// Whether this waker is at that place.
    pub(crate) fn has(&mut self, key: WatchKey, waker: &Waker) -> bool {
        self.place(key).is_some_and(|at| self.list[at].1.will_wake(waker))
    }

    /// Waits at `key`, or at a new place. Returns the waker that was there: drop it outside of every lock.
    pub(crate) fn wait(&mut self, key: &mut WatchKey, waker: Waker) -> Option<Waker> {
        if let Some(at) = self.place(*key) {
            return Some(core::mem::replace(&mut self.list[at].1, waker));
        }
        self.last += 1;
        *key = WatchKey(self.last);
        self.list.push((*key, waker));
        None
    }

    /// Waits no longer. Returns the waker that was there.
    pub(crate) fn leave(&mut self, key: WatchKey) -> Option<Waker> {
        self.place(key).map(|at| self.list.remove(at).1)
    }

    /// All of them, to be woken outside of every lock. Those who come back get other places.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        core::mem::take(&mut self.list).into_iter().map(|(_, waker)| waker)
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
    watchers: Watchers,
    /// Somebody may be in the two above.
    awaited: bool,
    /// Messages that were in front of an outcome that the sender asked for.
    pub(crate) stash: VecDeque<Messages>,
}

impl Slot {
    /// The place of who waits for this.
    pub(crate) fn waker(&mut self, wait: Wait) -> &mut Option<Waker> {
        self.awaited = true;
        &mut self.wakers[wait as usize]
    }

    /// Those who wait for the end beside the handler.
    pub(crate) fn watchers(&mut self) -> &mut Watchers {
        self.awaited = true;
        &mut self.watchers
    }

    /// Who waits for this is woken.
    #[inline]
    pub(crate) fn wake(&mut self, wait: Wait, wakes: &mut Wakes) {
        if self.awaited {
            wakes.push(self.wakers[wait as usize].take());
        }
    }

    /// Everybody who waits is woken.
    #[inline]
    pub(crate) fn take_all(&mut self, wakes: &mut Wakes) {
        if self.awaited {
            self.awaited = false;
            self.wakers.iter_mut().for_each(|waker| wakes.push(waker.take()));
            if !self.watchers.list.is_empty() {
                self.watchers.take().for_each(|watcher| wakes.push(Some(watcher)));
            }
        }
    }
}

/// The slots of a connection.
#[derive(Default)]
pub(crate) struct Slots(Vec<Slot>);

impl Slots {
    /// Makes the slot of a new call. Who still waited at its place is woken, and finds its call gone.
    #[inline]
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

    #[inline]
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
    #[inline]
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

/// How long the queue waits for one whose turn it is. A task may be busy, or may never be polled again: then the next
/// one goes first.
const GRACE: Duration = Duration::from_millis(20);

/// Those who wait to start a call, first come first served.
#[derive(Default)]
pub(crate) struct Queue {
    /// In the order of their tickets.
    waiting: VecDeque<Waiting>,
    last: u64,
    /// Nothing is due before this time.
    due: Option<Instant>,
}

struct Waiting {
    ticket: Ticket,
    deadline: Option<Instant>,
    turn: Turn,
}

enum Turn {
    /// Not yet: who is to be woken for it.
    Waits(Waker),
    /// It was called, then, and has not come.
    Called(Instant),
    /// It was called and did not come in time: others need not wait for it.
    Late,
}

impl Waiting {
    fn waker(&self) -> Option<&Waker> {
        match &self.turn {
            Turn::Waits(waker) => Some(waker),
            Turn::Called(_) | Turn::Late => None,
        }
    }

    fn call(&mut self, now: Instant, wakes: &mut Wakes) -> bool {
        if !matches!(self.turn, Turn::Waits(_)) {
            return false;
        }
        if let Turn::Waits(waker) = core::mem::replace(&mut self.turn, Turn::Called(now)) {
            wakes.push(Some(waker));
        }
        true
    }
}

impl Queue {
    fn position(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket.0, |waiting| waiting.ticket.0).ok()
    }

    fn is_due_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Whether nobody is before `ticket`, but those who did not come. One without a place is behind all.
    pub(crate) fn is_turn_of(&self, ticket: Ticket) -> bool {
        let mut before = self.waiting.iter().take_while(|waiting| waiting.ticket != ticket);
        before.all(|waiting| matches!(waiting.turn, Turn::Late))
    }

    pub(crate) fn is_waiting(&self, ticket: Ticket, waker: &Waker) -> bool {
        let place = self.position(ticket).and_then(|at| self.waiting.get(at));
        place.and_then(Waiting::waker).is_some_and(|old| old.will_wake(waker))
    }

    /// Waits at `ticket`, or at the end of the queue if it is not in it. Returns the waker that was there.
    pub(crate) fn wait(
        &mut self,
        ticket: &mut Ticket,
        waker: Waker,
        deadline: Option<Instant>,
    ) -> Option<Waker> {
        let called = self.waiting.iter().map_while(|before| match before.turn {
            Turn::Waits(_) => None,
            Turn::Called(when) => Some(Some(when + GRACE)),
            Turn::Late => Some(None),
        });
        if let Some(due) = called.flatten().chain(deadline).min() {
            self.is_due_at(due);
        }
        let turn = Turn::Waits(waker);
        if let Some(waiting) = self.position(*ticket).and_then(|at| self.waiting.get_mut(at)) {
            return match core::mem::replace(&mut waiting.turn, turn) {
                Turn::Waits(old) => Some(old),
                Turn::Called(_) | Turn::Late => None,
            };
        }
        self.last += 1;
        *ticket = Ticket(self.last);
        self.waiting.push_back(Waiting { ticket: *ticket, deadline, turn });
        None
    }

    /// Leaves the queue; says whether it had been this one's turn.
    pub(crate) fn leave(&mut self, ticket: Ticket, wakes: &mut Wakes) -> bool {
        let left = self.position(ticket).and_then(|at| self.waiting.remove(at));
        if self.waiting.is_empty() {
            self.due = None;
        }
        match left.map(|waiting| waiting.turn) {
            Some(Turn::Waits(waker)) => {
                wakes.push(Some(waker));
                false
            }
            Some(Turn::Called(_) | Turn::Late) => true,
            None => false,
        }
    }

    /// Calls the first who has not been called.
    pub(crate) fn call_next(&mut self, now: Instant, wakes: &mut Wakes) {
        let called = self.waiting.iter_mut().position(|waiting| waiting.call(now, wakes));
        if called.is_some_and(|at| at + 1 < self.waiting.len()) {
            self.is_due_at(now + GRACE);
        }
    }

    pub(crate) fn call_all(&mut self, now: Instant, wakes: &mut Wakes) {
        for waiting in &mut self.waiting {
            waiting.call(now, wakes);
        }
    }

    /// Calls those whose time is up, and goes on to the next where one who was called does not come.
    pub(crate) fn tick(&mut self, now: Instant, wakes: &mut Wakes) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let (mut late, mut due) = (0, None::<Instant>);
        for waiting in &mut self.waiting {
            let at = match (&waiting.turn, waiting.deadline) {
                (Turn::Waits(_), Some(deadline)) if deadline <= now => {
                    waiting.call(now, wakes);
                    continue;
                }
                (Turn::Waits(_), Some(deadline)) => deadline,
                (Turn::Called(when), _) if *when + GRACE <= now => {
                    waiting.turn = Turn::Late;
                    late += 1;
                    continue;
                }
                (Turn::Called(when), _) => *when + GRACE,
                _ => continue,
            };
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        self.due = due;
        for _ in 0..late {
            self.call_next(now, wakes);
        }
    }

    /// When to call [`tick`](Queue::tick) at the latest.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
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
    fn watchers_leave_and_pile_up_nowhere() {
        let mut watchers = Watchers::default();
        let ((first_count, first), (second_count, second)) = (counter(), counter());
        let mut kept = WatchKey::default();
        assert!(watchers.wait(&mut kept, first.clone()).is_none());
        for _ in 0..100 {
            let mut key = WatchKey::default();
            assert!(watchers.wait(&mut key, second.clone()).is_none() && watchers.has(key, &second));
            assert!(watchers.leave(key).is_some() && watchers.leave(key).is_none());
        }
        assert_eq!(watchers.list.len(), 1);
        assert!(watchers.has(kept, &first) && !watchers.has(kept, &second));
        assert!(watchers.wait(&mut kept, second).is_some());
        watchers.take().for_each(Waker::wake);
        assert_eq!((first_count.0.load(Ordering::SeqCst), second_count.0.load(Ordering::SeqCst)), (0, 1));
        assert!(watchers.leave(kept).is_none() && !watchers.has(WatchKey::default(), &first));
    }

    fn at(millis: u64) -> Instant {
        Instant::EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn the_queue_calls_in_order_and_a_turn_that_is_given_up_is_known() {
        let mut queue = Queue::default();
        let ((first_count, first_waker), (second_count, second_waker)) = (counter(), counter());
        let (mut first, mut second) = (Ticket::default(), Ticket::default());
        assert!(queue.is_turn_of(Ticket::default()));
        assert!(queue.wait(&mut first, first_waker.clone(), Some(at(1000))).is_none());
        assert!(queue.wait(&mut second, second_waker, None).is_none());
        assert!(queue.is_waiting(first, &first_waker));
        assert!(queue.is_turn_of(first) && !queue.is_turn_of(second) && !queue.is_turn_of(Ticket::default()));
        assert_eq!(queue.due(), Some(at(1000)));
        wake(|wakes| queue.call_next(at(0), wakes));
        assert_eq!((first_count.0.load(Ordering::SeqCst), second_count.0.load(Ordering::SeqCst)), (1, 0));
        assert!(queue.is_turn_of(first) && !queue.is_turn_of(second), "it was called and may still come");
        wake(|wakes| assert!(queue.leave(first, wakes), "it was this one's turn"));
        assert!(queue.is_turn_of(second));
        wake(|wakes| queue.call_next(at(0), wakes));
        assert_eq!(second_count.0.load(Ordering::SeqCst), 1);
        wake(|wakes| assert!(!queue.leave(first, wakes)));
        wake(|wakes| assert!(queue.leave(second, wakes)));
        assert_eq!(queue.due(), None);
    }

    #[test]
    fn who_waits_too_long_is_called() {
        let mut queue = Queue::default();
        let (count, waker) = counter();
        queue.wait(&mut Ticket::default(), waker, Some(at(1000)));
        wake(|wakes| queue.tick(at(999), wakes));
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        wake(|wakes| queue.tick(at(1000), wakes));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn one_who_is_called_and_does_not_come_holds_nobody_up() {
        let mut queue = Queue::default();
        let ((_, idle), (count, waker)) = (counter(), counter());
        let (mut first, mut second) = (Ticket::default(), Ticket::default());
        queue.wait(&mut first, idle.clone(), None);
        wake(|wakes| queue.call_next(at(0), wakes));
        queue.wait(&mut second, waker, None);
        assert_eq!(queue.due(), Some(at(20)));
        wake(|wakes| queue.tick(at(20), wakes));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(queue.is_turn_of(second) && queue.is_turn_of(first));
        // It comes after all, finds no room, and waits again: it is before the other one as it was.
        queue.wait(&mut first, idle, None);
        assert!(!queue.is_turn_of(second) && queue.is_turn_of(first));
    }
}
