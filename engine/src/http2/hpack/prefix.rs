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
/// table is taken for neither.
const DYNAMIC: u64 = 256;

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
    /// Whether `block` begins with the same fields.
    #[inline]
    pub(super) fn begins(&self, block: &[u8], table: &Table) -> bool {
        let (inserted, evicted) = table.numbers();
        if self.fields.is_empty() || block.len() < self.fields.len() || self.oldest < evicted + DYNAMIC {
            return false;
        }
        self.fields.iter().zip(block).all(|(&field, &byte)| field == number(byte, inserted))
    }

    /// How many fields these are, of one byte each.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
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
    seen: Seen,
    mark: Mark,
}

impl Beginning {
    /// Nothing yet.
    pub(super) fn start(&mut self) {
        self.fields.clear();
    }

    /// The field that `byte` stands for, if the beginning goes on with it: an indexed field that depends on no other.
    pub(super) fn take<'a>(&mut self, byte: u8, table: &'a Table) -> Option<Raw<'a>> {
        let number = number(byte, table.numbers().0);
        if number == 0 || self.fields.len() >= FIELDS.end {
            return None;
        }
        let index = usize::from(byte & 0x7f);
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
        self.fields.push(number);
        Some(raw)
    }

    /// How many fields there are, of one byte each.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
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

/// What an indexed field of one byte stands for, as a number that stays the same; 0 for anything else.
#[inline]
fn number(byte: u8, inserted: u64) -> u64 {
    let index = u64::from(byte & 0x7f);
    match byte {
        0x81..=0xbd => index,
        // An index past the end of the table gives a number that no field has.
        0xbe..=0xfe => (inserted + DYNAMIC + STATIC_LEN as u64).saturating_sub(index),
        _ => 0,
    }
}
