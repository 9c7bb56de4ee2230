//! Events as state: a bit for each kind and call, and a list of the calls that have one. It cannot grow beyond the
//! number of calls.

use std::collections::VecDeque;

/// Kinds of notices of a call, in the order in which they are told.
pub(crate) const STARTED: u8 = 1;
pub(crate) const READABLE: u8 = 1 << 1;
pub(crate) const WRITABLE: u8 = 1 << 2;
pub(crate) const STOPPED: u8 = 1 << 3;
pub(crate) const ENDED: u8 = 1 << 4;
/// Not a kind: the call's index is in the list.
const LISTED: u8 = 1 << 7;

/// The notices of all calls that have not been told yet.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    bits: Vec<u8>,
    list: VecDeque<u32>,
}

impl Notices {
    /// Notes a notice of the call at `index`.
    pub(crate) fn set(&mut self, index: u32, kind: u8) {
        let place = index as usize;
        if place >= self.bits.len() {
            self.bits.resize(place + 1, 0);
        }
        let Some(bits) = self.bits.get_mut(place) else { return };
        if *bits & LISTED == 0 {
            self.list.push_back(index);
        }
        *bits |= kind | LISTED;
    }

    /// Forgets what the call at `index` was to be told.
    pub(crate) fn clear(&mut self, index: u32) {
        if let Some(bits) = self.bits.get_mut(index as usize) {
            *bits &= LISTED;
        }
    }

    /// Forgets one kind.
    pub(crate) fn unset(&mut self, index: u32, kind: u8) {
        if let Some(bits) = self.bits.get_mut(index as usize) {
            *bits &= !kind;
        }
    }

    /// The next call with a notice, and its kind.
    pub(crate) fn next(&mut self) -> Option<(u32, u8)> {
        loop {
            let index = *self.list.front()?;
            let Some(bits) = self.bits.get_mut(index as usize) else {
                self.list.pop_front();
                continue;
            };
            let kinds = *bits & !LISTED;
            let kind = kinds & kinds.wrapping_neg();
            *bits &= !kind;
            if *bits == LISTED || kind == 0 {
                *bits = 0;
                self.list.pop_front();
            }
            if kind != 0 {
                return Some((index, kind));
            }
        }
    }

    /// The heap memory held, in bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.bits.capacity() + self.list.capacity() * size_of::<u32>()
    }

    /// Gives memory back, when nothing is noted.
    pub(crate) fn shrink(&mut self) {
        if self.list.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_once_and_the_list_stays_short() {
        let mut notices = Notices::default();
        for _ in 0..1000 {
            notices.set(3, READABLE);
            notices.set(0, WRITABLE);
            notices.set(3, STARTED);
        }
        assert_eq!(notices.list.len(), 2);
        assert_eq!(notices.next(), Some((3, STARTED)));
        assert_eq!(notices.next(), Some((3, READABLE)));
        notices.set(3, ENDED);
        assert_eq!(notices.next(), Some((0, WRITABLE)));
        assert_eq!(notices.next(), Some((3, ENDED)));
        assert_eq!(notices.next(), None);
    }

    #[test]
    fn a_dropped_call_tells_nothing_and_its_place_can_be_used_again() {
        let mut notices = Notices::default();
        notices.set(1, READABLE);
        notices.clear(1);
        notices.set(1, STARTED);
        assert_eq!(notices.list.len(), 1);
        assert_eq!(notices.next(), Some((1, STARTED)));
        assert_eq!(notices.next(), None);
        notices.set(1, READABLE);
        notices.clear(1);
        assert_eq!(notices.next(), None);
    }
}
