//! The dynamic table (RFC 7541 §2.3.2, §4).

use std::collections::VecDeque;

use super::validate::{Kind, NameKind};

/// What an entry counts beyond its name and its value (RFC 7541 §4.1).
pub(super) const OVERHEAD: usize = 32;

/// The largest table: no integer could tell the peer of a larger one.
const LARGEST: usize = 1 << 28;

/// The dynamic table: small entries over one block of bytes, in which names and values stand side by side.
///
/// The block is used as a queue. When its end is reached, what lives is moved to its beginning: entries count 32 bytes
/// more than they hold, so that much is always free by then, and the block need never be larger than the table.
pub(super) struct Table {
    data: Vec<u8>,
    /// The position of the first byte of `data` in the stream of all bytes ever inserted (modulo 2^32).
    base: u32,
    /// The oldest entry stands first.
    entries: VecDeque<Entry>,
    size: usize,
    max: usize,
    generation: u64,
    /// How many fields were ever inserted.
    inserted: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Position of the name in the stream of all bytes; the value follows the name.
    start: u32,
    name: u32,
    value: u32,
    name_kind: NameKind,
    kind: Kind,
}

/// A field in the table, and what validation said of it.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    /// Name and value, side by side.
    pub(super) pair: &'a [u8],
    /// The length of the name.
    pub(super) name: usize,
    pub(super) name_kind: NameKind,
    pub(super) kind: Kind,
}

impl<'a> Found<'a> {
    pub(super) fn name(&self) -> &'a [u8] {
        self.pair.get(..self.name).unwrap_or_default()
    }

    fn value(&self) -> &'a [u8] {
        self.pair.get(self.name..).unwrap_or_default()
    }
}

impl Table {
    pub(super) fn new(max: usize) -> Self {
        let max = max.min(LARGEST);
        Self { data: Vec::new(), base: 0, entries: VecDeque::new(), size: 0, max, generation: 0, inserted: 0 }
    }

    /// The size that may not be exceeded, in bytes as RFC 7541 §4.1 counts them.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// A number that changes with every change of what an index means.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The heap memory held, in bytes.
    pub(super) fn capacity_bytes(&self) -> usize {
        self.data.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Changes the size that may not be exceeded, and evicts what is over it (RFC 7541 §4.3).
    pub(super) fn resize(&mut self, max: usize) {
        let max = max.min(LARGEST);
        if max == self.max {
            return;
        }
        self.generation += 1;
        self.max = max;
        self.evict(max);
        if self.data.capacity() > max {
            self.compact();
            self.data.shrink_to(max);
            self.entries.shrink_to(max / OVERHEAD);
        }
    }

    /// The field at `place`, the newest one being at 0.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<Found<'_>> {
        let entry = self.entries.get(self.entries.len().wrapping_sub(place).wrapping_sub(1))?;
        let start = entry.start.wrapping_sub(self.base) as usize;
        let pair = self.data.get(start..start + (entry.name + entry.value) as usize)?;
        Some(Found { pair, name: entry.name as usize, name_kind: entry.name_kind, kind: entry.kind })
    }

    /// Inserts a field whose name, of `name` bytes, and value stand side by side. What must go goes first; a field larger
    /// than the table empties it (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, pair: &[u8], name: usize, name_kind: NameKind, kind: Kind) {
        let cost = pair.len() + OVERHEAD;
        self.generation += 1;
        if cost > self.max {
            self.evict(0);
            return;
        }
        self.evict(self.max - cost);
        self.make_room(pair.len());
        let start = self.base.wrapping_add(self.data.len() as u32);
        self.data.extend_from_slice(pair);
        let (name, value) = (name as u32, (pair.len() - name) as u32);
        self.entries.push_back(Entry { start, name, value, name_kind, kind });
        self.size += cost;
        self.inserted += 1;
    }

    /// How many fields were ever inserted, and how many of them are gone: the numbers in between are those of the fields
    /// in the table.
    pub(super) fn numbers(&self) -> (u64, u64) {
        (self.inserted, self.inserted - self.entries.len() as u64)
    }

    /// The number by which the field at `place` is known as long as it is in the table.
    pub(super) fn number(&self, place: usize) -> u64 {
        self.inserted.wrapping_sub(1).wrapping_sub(place as u64)
    }

    /// The place of the field with this number, if it is this one.
    #[inline]
    pub(super) fn place_of(&self, number: u64, name: &[u8], value: &[u8]) -> Option<usize> {
        let place = self.inserted.wrapping_sub(1).wrapping_sub(number) as usize;
        let found = self.get(place)?;
        (found.value() == value && found.name() == name).then_some(place)
    }

    /// The places of the newest entry with this name, and of the newest with this value too.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> (Option<usize>, Option<usize>) {
        let mut first = None;
        for (place, entry) in self.entries.iter().rev().enumerate() {
            let same_value = entry.value as usize == value.len();
            if entry.name as usize != name.len() || first.is_some() && !same_value {
                continue;
            }
            let Some(found) = self.get(place) else { continue };
            if found.name() == name {
                first = first.or(Some(place));
                if found.value() == value {
                    return (first, Some(place));
                }
            }
        }
        (first, None)
    }

    /// Gives back what the fields in the table do not need.
    pub(super) fn shrink(&mut self) {
        self.compact();
        self.data.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    fn evict(&mut self, max: usize) {
        while self.size > max {
            let Some(entry) = self.entries.pop_front() else { break };
            self.size -= entry.name as usize + entry.value as usize + OVERHEAD;
        }
        if self.entries.is_empty() {
            self.base = self.base.wrapping_add(self.data.len() as u32);
            self.data.clear();
        }
    }

    /// Makes room for `bytes` more behind the living ones, which do not exceed the table together with them.
    fn make_room(&mut self, bytes: usize) {
        if self.data.len() + bytes <= self.data.capacity() {
            return;
        }
        self.compact();
        let needed = self.data.len() + bytes;
        if needed > self.data.capacity() / 2 {
            let capacity = needed.max(self.data.capacity() * 2).max(256).min(self.max);
            self.data.reserve_exact(capacity - self.data.len());
        }
    }

    /// Moves the living bytes to the beginning of the block.
    fn compact(&mut self) {
        let start = self.entries.front().map(|entry| entry.start.wrapping_sub(self.base) as usize);
        let dead = start.unwrap_or(self.data.len());
        self.data.drain(..dead);
        self.base = self.base.wrapping_add(dead as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(table: &mut Table, name: &str, value: &str) {
        let pair = [name, value].concat();
        table.insert(pair.as_bytes(), name.len(), NameKind::Regular, Kind::Regular);
    }

    fn fields(table: &Table) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (0..)
            .map_while(|place| table.get(place))
            .map(|found| (text(found.name()), text(found.value())))
            .collect()
    }

    /// Against the plainest model there is: a list of strings (RFC 7541 §4).
    #[test]
    fn the_table_behaves_as_its_model() {
        let mut seed: u32 = 1;
        let mut random = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        let mut table = Table::new(4096);
        let mut model: Vec<(String, String)> = Vec::new();
        let cost = |(name, value): &(String, String)| name.len() + value.len() + 32;
        for round in 0..20_000 {
            if random(50) == 0 {
                table.resize([0, 31, 64, 300, 1000, 4096, 9000][random(7) as usize]);
            } else {
                let most = [10, 100, 1500][random(3) as usize];
                let field =
                    ("n".repeat(random(most) as usize), format!("{round}").repeat(random(5) as usize));
                insert(&mut table, &field.0, &field.1);
                if cost(&field) <= table.max() {
                    model.insert(0, field);
                } else {
                    model.clear();
                }
            }
            while model.iter().map(cost).sum::<usize>() > table.max() {
                model.pop();
            }
            assert_eq!(fields(&table), model);
            assert_eq!(table.size, model.iter().map(cost).sum::<usize>());
            assert!(
                table.data.capacity() <= table.max().max(256),
                "{} {}",
                table.data.capacity(),
                table.max()
            );
        }
    }

    #[test]
    fn find_prefers_the_newest() {
        let mut table = Table::new(4096);
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "1")] {
            insert(&mut table, name, value);
        }
        assert_eq!(table.find(b"a", b"1"), (Some(0), Some(0)));
        assert_eq!(table.find(b"a", b"3"), (Some(0), Some(1)));
        assert_eq!(table.find(b"b", b"long"), (Some(2), None));
        assert_eq!(table.find(b"c", b"1"), (None, None));
    }

    #[test]
    fn a_table_of_nothing_holds_nothing() {
        let mut table = Table::new(0);
        insert(&mut table, "", "");
        assert!(table.get(0).is_none());
        assert_eq!(table.capacity_bytes(), 0);
    }
}
