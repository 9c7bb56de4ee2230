//! Events as state: a bit for each kind and call, and a list of the calls that have one. It cannot grow beyond the
//! number of calls.

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
    /// The calls that have one, in order; the first `told` are done with.
    list: Vec<u32>,
    told: usize,
}

impl Notices {
    /// Notes a notice of the call at `index`.
    #[inline]
    pub(crate) fn set(&mut self, index: u32, kind: u8) {
        self.replace(index, 0, kind);
    }

    /// Notes one kind in the place of another.
    #[inline]
    pub(crate) fn replace(&mut self, index: u32, old: u8, new: u8) {
        let Some(bits) = self.bits.get_mut(index as usize) else { return self.first(index, new) };
        let before = *bits;
        *bits = before & !old | new | LISTED;
        if before & LISTED == 0 {
            self.enlist(index);
        }
    }

    #[cold]
    fn first(&mut self, index: u32, kind: u8) {
        self.bits.resize(index as usize + 1, 0);
        self.replace(index, 0, kind);
    }

    fn enlist(&mut self, index: u32) {
        // Whoever never polls to the end must not see the list grow.
        if self.told > 64 && self.told > self.list.len() / 2 {
            self.list.drain(..self.told);
            self.told = 0;
        }
        self.list.push(index);
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
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(u32, u8)> {
        while let Some(&index) = self.list.get(self.told) {
            let Some(bits) = self.bits.get_mut(index as usize) else {
                self.told += 1;
                continue;
            };
            let kinds = *bits & !LISTED;
            let kind = kinds & kinds.wrapping_neg();
            let left = kinds & !kind;
            if left == 0 {
                *bits = 0;
                self.told += 1;
            } else {
                *bits = left | LISTED;
            }
            if kind != 0 {
                return Some((index, kind));
            }
        }
        self.list.clear();
        self.told = 0;
        None
    }

    /// The heap memory held, in bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.bits.capacity() + self.list.capacity() * size_of::<u32>()
    }

    /// Gives memory back, when nothing is noted.
    pub(crate) fn shrink(&mut self) {
        if self.told == self.list.len() {
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
    fn whoever_never_polls_to_the_end_sees_no_growth() {
        let mut notices = Notices::default();
        notices.set(0, READABLE);
        for round in 0..10_000 {
            notices.set(1 + round % 2, READABLE);
            assert_eq!(notices.next().map(|(_, kind)| kind), Some(READABLE));
        }
        assert!(notices.capacity_bytes() < 2048, "{}", notices.capacity_bytes());
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
