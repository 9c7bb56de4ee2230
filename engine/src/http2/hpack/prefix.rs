//! The beginning of a block that came before: its fields are taken from there, and need no look.
//!
//! A client's heads differ in a deadline or an identifier, which stand behind what is the same in all of them. What is
//! the same comes as indices, but not as the same ones when the table has grown in between: entries are told by their
//! numbers.

use super::assembly::{Raw, Seen};
use super::static_table::{self, STATIC_LEN};
use super::table::Table;
use super::validate::Kind;
use crate::Head;
use crate::fields::Mark;

/// The fewest and the most fields that are worth it.
const FIELDS: core::ops::Range<usize> = 4..64;

/// The largest header list that is remembered, in bytes counted as RFC 9113 §6.5.2 does.
const LIST: usize = 2048;

/// Numbers of the dynamic table begin here, so far above the indices of the static one that an index past the end of the
/// table, of at most 254, is taken for neither.
const DYNAMIC: u64 = 512;

/// The indexed fields with which a good block began, and what they made.
#[derive(Default)]
pub(super) struct Prefix {
    fields: Vec<u64>,
    /// The oldest entry of the dynamic table among them.
    oldest: u64,
    seen: Seen,
    head: Head,
}

impl Prefix {
    /// Whether `block` begins with the same fields, and in how many bytes.
    #[inline]
    pub(super) fn begins(&self, block: &[u8], table: &Table) -> Option<usize> {
        let (inserted, evicted) = table.numbers();
        if self.fields.is_empty() || self.oldest < evicted + DYNAMIC {
            return None;
        }
        let mut at = 0;
        for &field in &self.fields {
            let &byte = block.get(at)?;
            let mut index = usize::from(byte & 0x7f);
            at += 1;
            if byte == 0xff {
                // An index of more bytes than two is not among what is remembered.
                let more = block.get(at).filter(|&&more| more < 0x80)?;
                index += usize::from(*more);
                at += 1;
            }
            if byte < 0x80 || field != number(index, inserted) {
                return None;
            }
        }
        Some(at)
    }

    /// What was known of the block behind them.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The head of nothing but these fields.
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Remembers the beginning of a block that made `head`, if that is worth it.
    pub(super) fn set(&mut self, beginning: &Beginning, head: &Head) {
        self.fields.clear();
        self.fields.extend_from_slice(&beginning.fields);
        let dynamic = beginning.fields.iter().copied().filter(|&field| field >= DYNAMIC);
        self.oldest = dynamic.min().unwrap_or(u64::MAX);
        self.head.assign(head);
        self.head.fields.truncate(beginning.mark);
        self.seen = beginning.seen.clone().judged(head);
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.fields.capacity() * size_of::<u64>() + self.head.capacity_bytes()
    }
}

/// The first fields of a block while it is decoded.
#[derive(Default)]
pub(super) struct Beginning {
    fields: Vec<u64>,
    /// How many bytes they are.
    bytes: usize,
    seen: Seen,
    mark: Mark,
}

impl Beginning {
    /// Nothing yet.
    pub(super) fn start(&mut self) {
        self.fields.clear();
        self.bytes = 0;
    }

    /// The next field of `block`, if the beginning goes on with it: an indexed field that depends on no other.
    pub(super) fn take<'a>(&mut self, block: &[u8], table: &'a Table) -> Option<Raw<'a>> {
        let (index, bytes) = match *block.get(self.bytes..)? {
            [byte @ 0x81..=0xfe, ..] => (usize::from(byte & 0x7f), 1),
            [0xff, more @ 0..=0x7f, ..] => (0x7f + usize::from(more), 2),
            _ => return None,
        };
        if self.fields.len() >= FIELDS.end {
            return None;
        }
        let raw = match static_table::get(index) {
            Some(entry) => Raw::indexed(entry.pair.as_bytes(), entry.name.len(), entry.kind),
            None => {
                let found = table.get(index - STATIC_LEN - 1)?;
                Raw::indexed(found.pair, found.name, found.kind)
            }
        };
        if matches!(raw.kind, Kind::Cookie | Kind::Host | Kind::Bad(_)) {
            return None;
        }
        self.fields.push(number(index, table.numbers().0));
        self.bytes += bytes;
        Some(raw)
    }

    /// How many bytes the fields are.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// It ends here.
    pub(super) fn stop(&mut self, seen: &Seen, head: &Head) {
        self.seen.clone_from(seen);
        self.mark = head.fields.mark();
    }

    /// Whether a later block can go on from its end, when the whole block made `head`: all pseudo-fields have come, and
    /// what is said of the authority is clear.
    pub(super) fn is_worth(&self, head: &Head) -> bool {
        self.fields.len() >= FIELDS.start
            && self.seen.is_past_pseudo()
            && self.seen.size() <= LIST
            && (!head.is_request() || (self.seen.has_authority() && head.authority().is_some()))
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.fields.capacity() * size_of::<u64>()
    }
}

/// What an index of one byte or two stands for, as a number that stays the same. One past the end of the table gives a
/// number that no field has, and so does 0.
#[inline]
fn number(index: usize, inserted: u64) -> u64 {
    let index = index as u64;
    if index <= STATIC_LEN as u64 {
        index
    } else {
        (inserted + DYNAMIC + STATIC_LEN as u64).saturating_sub(index)
    }
}
