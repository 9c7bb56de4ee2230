//! Streams of one connection: slots that are reused, and the way from a stream id to its slot without a hash.
//!
//! Ids rise by two, so a window over the ids in use, indexed by `(id - base) / 2`, finds a slot at once. A peer may
//! leave gaps and let one old stream live for ever: then the old ones move to a short sorted list and the window
//! stays short. The window also remembers for a while why an id is closed.

use std::collections::VecDeque;

use crate::StreamKey;
use crate::http2::stream::Slot;

/// The longest window of ids, and the longest gap that is kept in it.
const MAX_SPAN: usize = 1024;
/// How many closed ids are remembered with their reason.
const RETAIN: usize = 256;

/// Values of the window from here on are reasons, not slots.
const REASONS: u32 = u32::MAX - 3;

/// Why an id is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closed {
    /// Both sides ended it.
    Clean,
    /// A higher id was used first (RFC 9113 §5.1.1).
    Skipped,
    /// We reset or refused it: the peer may not know yet.
    ByUs,
    /// The peer reset it.
    ByPeer,
}

impl Closed {
    fn value(self) -> u32 {
        REASONS
            + match self {
                Self::Clean => 0,
                Self::Skipped => 1,
                Self::ByUs => 2,
                Self::ByPeer => 3,
            }
    }

    fn from_value(value: u32) -> Option<Self> {
        match value.checked_sub(REASONS)? {
            0 => Some(Self::Clean),
            1 => Some(Self::Skipped),
            2 => Some(Self::ByUs),
            _ => Some(Self::ByPeer),
        }
    }
}

/// What is known of an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Not opened yet.
    Idle,
    /// Open, in this slot.
    Open(u32),
    Closed(Closed),
}

#[derive(Debug)]
pub(super) struct Store {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The id of the window's front.
    base: u32,
    window: VecDeque<u32>,
    /// Open streams from before the window, by rising id.
    far: Vec<(u32, u32)>,
    /// The lowest idle id.
    next: u32,
    /// Ids up to this one may have been reset by us and forgotten.
    forgotten: u32,
    /// The generation of new slots.
    generation: u32,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            base: 1,
            window: VecDeque::new(),
            far: Vec::new(),
            next: 1,
            forgotten: 0,
            generation: 0,
        }
    }

    /// A slot that nobody uses: its generation is new, its buffers empty.
    pub(super) fn allocate(&mut self) -> u32 {
        if let Some(index) = self.free.pop() {
            return index;
        }
        self.slots.push(Slot::new(self.generation));
        self.slots.len() as u32 - 1
    }

    /// Gives a slot back; its keys are unknown from now on.
    #[inline(always)]
    pub(super) fn release(&mut self, index: u32) {
        self.slot(index).recycle();
        self.free.push(index);
    }

    /// Slots in use.
    pub(super) fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The slot at an index that this store gave out.
    #[inline]
    pub(super) fn slot(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }

    /// The slot of a key, unless the application has dropped it.
    #[inline]
    pub(super) fn get(&self, key: StreamKey) -> Option<&Slot> {
        self.slots.get(key.index as usize).filter(|slot| slot.held && slot.generation == key.generation)
    }

    /// The slot of a key, to work on.
    #[inline]
    pub(super) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Slot> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.held && slot.generation == key.generation)
    }

    /// The index of a key, unless the application has dropped it.
    #[inline]
    pub(super) fn index(&self, key: StreamKey) -> Option<u32> {
        self.get(key).map(|_| key.index)
    }

    /// All slots, those that nobody uses as well.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The number of slots: indices are below it.
    pub(super) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The lowest idle id.
    pub(super) fn next_id(&self) -> u32 {
        self.next
    }

    /// Pretends that all ids below `next` were used.
    #[cfg(test)]
    pub(super) fn set_next_id(&mut self, next: u32) {
        self.next = next;
        self.base = next;
        self.window.clear();
    }

    #[inline]
    pub(super) fn find(&self, id: u32) -> Known {
        if id >= self.next || id % 2 == 0 {
            return Known::Idle;
        }
        if id < self.base {
            return self.find_far(id);
        }
        let value = self.window.get(((id - self.base) / 2) as usize).copied().unwrap_or(REASONS);
        Closed::from_value(value).map_or(Known::Open(value), Known::Closed)
    }

    fn find_far(&self, id: u32) -> Known {
        match self.far.binary_search_by_key(&id, |entry| entry.0) {
            Ok(at) => Known::Open(self.far.get(at).map_or(0, |entry| entry.1)),
            Err(_) if id <= self.forgotten => Known::Closed(Closed::ByUs),
            Err(_) => Known::Closed(Closed::Clean),
        }
    }

    /// Opens the idle id `id` in a slot.
    #[inline(always)]
    pub(super) fn open(&mut self, id: u32, index: u32) {
        self.append(id, index);
    }

    /// Uses the idle id `id` up without a slot.
    pub(super) fn open_closed(&mut self, id: u32, why: Closed) {
        self.append(id, why.value());
        self.trim();
    }

    #[inline]
    fn append(&mut self, id: u32, value: u32) {
        if id != self.next {
            self.skip_to(id);
        }
        if self.window.is_empty() {
            self.base = id;
        }
        self.window.push_back(value);
        self.next = id.saturating_add(2);
    }

    /// The ids from the next one up to `id` are skipped.
    fn skip_to(&mut self, id: u32) {
        let gap = (id.saturating_sub(self.next) / 2) as usize;
        if gap > RETAIN {
            for at in 0..self.window.len() {
                self.move_far(at);
            }
            self.window.clear();
        } else {
            if self.window.is_empty() {
                self.base = self.next;
            }
            self.window.extend(std::iter::repeat_n(Closed::Skipped.value(), gap));
        }
    }

    /// Remembers why the open id `id` is closed from now on.
    #[inline(always)]
    pub(super) fn close(&mut self, id: u32, why: Closed) {
        if id < self.base {
            self.far.retain(|entry| entry.0 != id);
            if why == Closed::ByUs {
                self.forgotten = self.forgotten.max(id);
            }
            return;
        }
        let at = ((id - self.base) / 2) as usize;
        if at == 0 && why == Closed::Clean {
            // Streams mostly end in the order in which they began.
            self.window.pop_front();
            self.base += 2;
            if self.window.front().is_some_and(|&next| next < REASONS) && self.window.len() <= RETAIN {
                return;
            }
            return self.trim();
        }
        if let Some(value) = self.window.get_mut(at) {
            *value = why.value();
        }
        if at == 0 || self.window.len() > RETAIN {
            self.trim();
        }
    }

    fn trim(&mut self) {
        while let Some(&front) = self.window.front() {
            let keep = match Closed::from_value(front) {
                Some(Closed::Clean) => false,
                Some(_) => self.window.len() <= RETAIN,
                None => self.window.len() <= MAX_SPAN,
            };
            if keep {
                return;
            }
            if front != Closed::Clean.value() {
                self.move_far(0);
            }
            self.window.pop_front();
            self.base += 2;
        }
        self.base = self.next;
    }

    /// Saves what must not be forgotten of the place `at` in the window.
    fn move_far(&mut self, at: usize) {
        let Some(&value) = self.window.get(at) else { return };
        let id = self.base + 2 * at as u32;
        match Closed::from_value(value) {
            None => self.far.push((id, value)),
            Some(Closed::ByUs) => self.forgotten = self.forgotten.max(id),
            Some(_) => {}
        }
    }

    /// Forgets all slots, of which none may be in use or in a list. Keys stay unique.
    pub(super) fn clear(&mut self) {
        let newest = self.slots.iter().map(|slot| slot.generation).max();
        self.generation = newest.map_or(self.generation, |newest| newest.wrapping_add(1));
        (self.slots, self.free) = (Vec::new(), Vec::new());
    }

    /// Gives back memory that an idle connection does not need. Keys stay unique.
    pub(super) fn shrink(&mut self) {
        self.window.shrink_to_fit();
        self.far.shrink_to_fit();
        for slot in &mut self.slots {
            slot.shrink();
        }
    }

    /// The heap memory held, in bytes, without what is in the slots.
    #[cfg(test)]
    fn index_bytes(&self) -> usize {
        self.window.capacity() * 4 + self.far.capacity() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_ids_are_closed_when_a_higher_one_opens() {
        // RFC 9113 §5.1.1
        let mut store = Store::new();
        assert_eq!(store.find(5), Known::Idle);
        let index = store.allocate();
        store.open(5, index);
        assert_eq!(store.find(3), Known::Closed(Closed::Skipped));
        assert_eq!(store.find(5), Known::Open(index));
        assert_eq!(store.find(4), Known::Idle, "the peer's ids are odd");
        store.close(5, Closed::Clean);
        assert_eq!(store.find(5), Known::Closed(Closed::Clean));
    }

    #[test]
    fn reasons_are_remembered_for_a_while() {
        let mut store = Store::new();
        let index = store.allocate();
        for (id, why) in [(1, Closed::ByUs), (3, Closed::ByPeer), (5, Closed::Clean)] {
            store.open(id, index);
            store.close(id, why);
            assert_eq!(store.find(id), Known::Closed(why));
        }
        for id in (7..4007).step_by(2) {
            store.open(id, index);
            store.close(id, Closed::ByPeer);
        }
        assert_eq!(store.find(1), Known::Closed(Closed::ByUs), "forgotten resets of ours are forgiven");
        assert_eq!(store.find(3), Known::Closed(Closed::Clean));
        assert!(store.index_bytes() < 4096);
    }

    #[test]
    fn gaps_and_old_streams_keep_the_window_short() {
        let mut store = Store::new();
        let old = store.allocate();
        store.open(1, old);
        let mut id = 3;
        for round in 0..2000_u32 {
            let index = store.allocate();
            store.open(id, index);
            assert_eq!(store.find(id), Known::Open(index));
            store.close(id, Closed::Clean);
            store.release(index);
            id += if round % 7 == 0 { 20_000 } else { 2 + 2 * (round % 50) };
        }
        assert_eq!(store.find(1), Known::Open(old));
        assert!(store.index_bytes() < 16 * 1024);
        let last = store.allocate();
        store.open((1 << 31) - 1, last);
        assert_eq!(store.find((1 << 31) - 1), Known::Open(last));
        store.close(1, Closed::ByUs);
        assert_eq!(store.find(1), Known::Closed(Closed::ByUs));
    }

    #[test]
    fn keys_tell_the_users_of_a_slot_apart() {
        let mut store = Store::new();
        let index = store.allocate();
        store.slot(index).held = true;
        let key = StreamKey { index, generation: store.slot(index).generation };
        assert!(store.get(key).is_some());
        store.release(index);
        assert_eq!(store.allocate(), index);
        store.slot(index).held = true;
        assert!(store.get(key).is_none());
    }
}
