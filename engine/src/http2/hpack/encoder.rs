//! The encoder: heads in, blocks out.

use super::static_table::{self, STATIC_LEN};
use super::table::{OVERHEAD, Table};
use super::validate::{self, Kind, NameKind};
use super::{huffman, integer};
use crate::{Fields, Head};

/// The table that every decoder has until SETTINGS say otherwise (RFC 9113 §6.5.2).
const INITIAL_TABLE: usize = 4096;

/// The largest block that is remembered, in bytes.
const MEMO_BLOCK: usize = 1024;

/// The largest header list that is remembered, in bytes counted as RFC 9113 §6.5.2 does.
const MEMO_LIST: usize = 2048;

/// How many blocks are remembered.
const MEMOS: usize = 4;

/// Encodes the header blocks of one connection, in the order in which they are sent.
///
/// Strings are Huffman-coded where that is shorter. Secrets are sent as literals that may never be indexed (RFC 7541
/// §7.1.3): fields marked as sensitive, and `authorization`, `proxy-authorization`, `cookie` and `set-cookie`. Fields
/// whose values change from call to call are sent without indexing (but once, for their names' sake), all others are
/// indexed when there is a table.
///
/// A field that may not be sent in HTTP/2 (RFC 9113 §8.2: an upper-case name, a line break in the value, `connection`
/// and its relatives, a name with a colon) is left out, as is `host` in a request, which `:authority` replaces:
/// whoever takes fields from an application checks them and says so.
pub struct Encoder {
    table: Table,
    /// Our own cap.
    cap: usize,
    /// What the peer allows.
    peer: usize,
    /// What the peer's decoder takes for the table's size.
    signalled: usize,
    /// The lowest of the peer's sizes since the last block.
    lowest: Option<usize>,
    /// Only while there are heads to encode.
    known: Option<Box<Known>>,
    /// Memory for the ends of parts.
    ends: Vec<u32>,
}

/// What is known of the last heads.
#[derive(Default)]
struct Known {
    memos: [Memo; MEMOS],
    clock: u32,
    /// Where the fields of the last block were found, by their place in it: the next block is much like it.
    hints: [Hint; HINTS],
}

/// The pseudo-fields of a request.
const PSEUDO: usize = 4;

/// How many fields of a block are tried where the last block's were found.
const HINTS: usize = 16;

/// Where a field was found that may be sent by its index.
#[derive(Clone, Copy, Default)]
enum Hint {
    #[default]
    None,
    Static(usize),
    /// By its number.
    Dynamic(u64),
}

/// A head that was encoded without a change of the table, and its block: as long as the table stays the same, so does
/// the block.
#[derive(Default)]
struct Memo {
    kind: Option<BlockKind>,
    /// Trailers have fields alone.
    head: Head,
    generation: u64,
    used: u32,
    block: Vec<u8>,
    /// Where its parts end: the pseudo-fields, then each field.
    ends: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    Request,
    Response,
    Trailers,
}

/// What is encoded.
#[derive(Clone, Copy)]
enum Source<'a> {
    Request(&'a Head),
    Response(&'a Head),
    Trailers(&'a Fields),
}

impl<'a> Source<'a> {
    fn kind(self) -> BlockKind {
        match self {
            Self::Request(_) => BlockKind::Request,
            Self::Response(_) => BlockKind::Response,
            Self::Trailers(_) => BlockKind::Trailers,
        }
    }

    fn fields(self) -> &'a Fields {
        match self {
            Self::Request(head) | Self::Response(head) => &head.fields,
            Self::Trailers(fields) => fields,
        }
    }
}

impl Encoder {
    /// An encoder with a table of at most `max_table` bytes; with 0 it keeps no state.
    pub fn new(max_table: usize) -> Self {
        let size = max_table.min(INITIAL_TABLE);
        Self {
            table: Table::new(size),
            cap: max_table,
            peer: INITIAL_TABLE,
            signalled: INITIAL_TABLE,
            // A table that is smaller, but not unused, would evict at another time than the peer's.
            lowest: (size > 0 && size < INITIAL_TABLE).then_some(INITIAL_TABLE),
            known: None,
            ends: Vec::new(),
        }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE, each time that it comes. The table has the smaller of this size and our
    /// own cap, in bytes; what must be told of it stands at the beginning of the next block (RFC 7541 §4.2).
    pub fn set_peer_max_table(&mut self, bytes: usize) {
        self.peer = bytes;
        self.lowest = Some(self.lowest.map_or(bytes, |lowest| lowest.min(bytes)));
    }

    /// Appends the block of a request: `:method`, `:scheme`, `:authority` when there is one, `:path`, then the fields.
    pub fn encode_request(&mut self, head: &Head, out: &mut Vec<u8>) {
        self.encode(Source::Request(head), out);
    }

    /// Appends the block of a response: `:status`, then the fields.
    pub fn encode_response(&mut self, head: &Head, out: &mut Vec<u8>) {
        self.encode(Source::Response(head), out);
    }

    /// Appends the block of trailers.
    pub fn encode_trailers(&mut self, fields: &Fields, out: &mut Vec<u8>) {
        self.encode(Source::Trailers(fields), out);
    }

    /// Gives back what only makes encoding faster: a connection is idle.
    pub(crate) fn shrink(&mut self) {
        self.known = None;
        self.ends = Vec::new();
        self.table.shrink();
    }

    /// The heap memory held, in bytes: at most the table with 16 bytes for each 32 of it, and four remembered blocks
    /// of 3.5 KiB.
    pub fn capacity_bytes(&self) -> usize {
        let memo = |memo: &Memo| {
            memo.block.capacity() + memo.head.capacity_bytes() + memo.ends.capacity() * size_of::<u32>()
        };
        let known = self.known.iter().flat_map(|known| known.memos.iter().map(memo));
        self.table.capacity_bytes() + known.sum::<usize>() + size_of::<Known>()
    }

    /// Whether the next block must begin with [`put_size_updates`](Encoder::put_size_updates).
    #[inline]
    pub(crate) fn owes_size_updates(&self) -> bool {
        self.lowest.is_some()
    }

    /// Appends what a block must begin with that was encoded before its time.
    pub(crate) fn put_size_updates(&mut self, out: &mut Vec<u8>) {
        self.size_updates(out);
    }

    /// Appends the block of a response before its time: this encoder has no table, so that blocks may be sent in any
    /// order.
    pub(crate) fn encode_response_early(&mut self, head: &Head, out: &mut Vec<u8>) {
        debug_assert_eq!(self.cap, 0, "blocks depend on their order");
        if !self.recall(BlockKind::Response, None, head.status(), &head.fields, out) {
            self.encode_new(Source::Response(head), out);
        }
    }

    /// Appends the block of trailers before its time.
    pub(crate) fn encode_trailers_early(&mut self, fields: &Fields, out: &mut Vec<u8>) {
        debug_assert_eq!(self.cap, 0, "blocks depend on their order");
        if !self.recall(BlockKind::Trailers, None, 0, fields, out) {
            self.encode_new(Source::Trailers(fields), out);
        }
    }

    fn encode(&mut self, source: Source<'_>, out: &mut Vec<u8>) {
        self.size_updates(out);
        let remembered = match source {
            Source::Request(head) => self.recall(BlockKind::Request, Some(head), 0, &head.fields, out),
            Source::Response(head) => {
                self.recall(BlockKind::Response, None, head.status(), &head.fields, out)
            }
            Source::Trailers(fields) => self.recall(BlockKind::Trailers, None, 0, fields, out),
        };
        if !remembered {
            self.encode_new(source, out);
        }
    }

    /// Appends the block of a head that came before, if the table is as it was then.
    fn recall(
        &mut self,
        kind: BlockKind,
        request: Option<&Head>,
        status: u16,
        fields: &Fields,
        out: &mut Vec<u8>,
    ) -> bool {
        let generation = self.table.generation();
        let Some(known) = &mut self.known else { return false };
        for memo in &mut known.memos {
            if memo.kind == Some(kind)
                && memo.generation == generation
                && memo.head.status() == status
                && memo.head.fields == *fields
                && request.is_none_or(|head| memo.head.has_control_of(head))
            {
                known.clock = known.clock.wrapping_add(1);
                memo.used = known.clock;
                out.extend_from_slice(&memo.block);
                return true;
            }
        }
        false
    }

    /// Encodes field by field; those that were in a like block at the same place are copied from there.
    fn encode_new(&mut self, source: Source<'_>, out: &mut Vec<u8>) {
        let generation = self.table.generation();
        let mut block = Block { start: out.len(), out, ends: std::mem::take(&mut self.ends) };
        block.ends.clear();
        let (place, old) = self.like(source);
        // A like block has the same control data.
        let pseudo = match source {
            Source::Request(_) => PSEUDO,
            Source::Response(_) => 1,
            Source::Trailers(_) => 0,
        };
        match source {
            _ if place.is_some() => block.copy(&old, 0),
            Source::Request(head) => self.request(head, block.out),
            Source::Response(head) => self.status(head.status(), block.out),
            Source::Trailers(_) => {}
        }
        block.end();
        let (mut old_fields, mut fields) = (old.head.fields.raw(), source.fields().raw());
        let in_request = matches!(source, Source::Request(_));
        let mut index = 0;
        loop {
            let (old_rest, rest) = (old_fields.clone(), fields.clone());
            old_fields.next();
            let Some((name, value, secret)) = fields.next() else { break };
            let hint = pseudo + index;
            index += 1;
            // An insertion moves all indices.
            let same =
                generation == self.table.generation() && old_fields.since(&old_rest) == fields.since(&rest);
            if same {
                block.copy(&old, index);
            } else if secret || !self.as_before(hint, name, value, block.out) {
                self.regular(hint, (name, value, secret), in_request, block.out);
            }
            block.end();
        }
        let ends = self.remember(source, generation, place, old, block);
        self.ends = ends;
    }

    /// Takes out the memo of a block that differs from this one in its fields alone, and says where it was.
    fn like(&mut self, source: Source<'_>) -> (Option<usize>, Memo) {
        let generation = self.table.generation();
        let like = |memo: &Memo| {
            memo.kind == Some(source.kind())
                && memo.generation == generation
                && match source {
                    Source::Request(head) => memo.head.has_control_of(head),
                    Source::Response(head) => memo.head.status() == head.status(),
                    Source::Trailers(_) => true,
                }
        };
        let memos = &mut self.known.get_or_insert_default().memos;
        let place = memos.iter().position(like);
        let memo = place.and_then(|place| memos.get_mut(place)).map(std::mem::take);
        (place, memo.unwrap_or_default())
    }

    /// RFC 7541 §4.2: the lowest size since the last block, then the final one.
    fn size_updates(&mut self, out: &mut Vec<u8>) {
        let Some(peer_lowest) = self.lowest.take() else { return };
        let lowest = peer_lowest.min(self.cap);
        let last = self.peer.min(self.cap);
        if lowest < last && lowest < self.signalled {
            self.size_update(lowest, out);
        }
        // Without a table its size does not matter, unless the peer waits for an update.
        if last != self.signalled && (self.cap > 0 || peer_lowest < self.signalled) {
            self.size_update(last, out);
        }
        self.table.resize(last);
    }

    fn size_update(&mut self, size: usize, out: &mut Vec<u8>) {
        integer::encode(size, 5, 0x20, out);
        self.table.resize(size);
        self.signalled = size;
    }

    /// Appends the pseudo-fields.
    fn request(&mut self, head: &Head, out: &mut Vec<u8>) {
        let [method, scheme, authority, path] = head.control_bytes();
        self.pseudo(0, b":method", method, out);
        // RFC 9113 §8.5: CONNECT has neither scheme nor path.
        let connect = method == b"CONNECT";
        if !connect {
            self.pseudo(1, b":scheme", scheme, out);
        }
        if !authority.is_empty() {
            self.pseudo(2, b":authority", authority, out);
        }
        if !connect {
            self.pseudo(3, b":path", path, out);
        }
    }

    fn status(&mut self, status: u16, out: &mut Vec<u8>) {
        let digits = [status / 100 % 10, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
        self.pseudo(0, b":status", &digits, out);
    }

    fn pseudo(&mut self, place: usize, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        if !self.as_before(place, name, value, out) {
            self.field(place, name, value, Policy::Index, out);
        }
    }

    /// Appends a field by its index, if it is the one that stood at the same place of the last block. What has a hint
    /// was judged, and is no secret.
    #[inline]
    fn as_before(&self, place: usize, name: &[u8], value: &[u8], out: &mut Vec<u8>) -> bool {
        let index = match self.known.as_ref().and_then(|known| known.hints.get(place)) {
            Some(&Hint::Static(index)) => static_table::get(index)
                .is_some_and(|entry| entry.value.as_bytes() == value && entry.name.as_bytes() == name)
                .then_some(index),
            Some(&Hint::Dynamic(number)) => {
                self.table.place_of(number, name, value).map(|place| place + STATIC_LEN + 1)
            }
            _ => None,
        };
        index.map(|index| integer::encode(index, 7, 0x80, out)).is_some()
    }

    fn hint(&mut self, place: usize, hint: Hint) {
        if let Some(old) = self.known.get_or_insert_default().hints.get_mut(place) {
            *old = hint;
        }
    }

    fn regular(&mut self, place: usize, field: (&[u8], &[u8], bool), in_request: bool, out: &mut Vec<u8>) {
        let (name, value, secret) = field;
        let name_kind = validate::name(name);
        let policy = match validate::value(name_kind, value) {
            Kind::Regular | Kind::Length if secret => Policy::Never,
            Kind::Length => Policy::IndexName,
            Kind::Regular if name.ends_with(b"-bin") => Policy::Literal,
            Kind::Regular if varies(name) => Policy::IndexName,
            Kind::Regular => Policy::Index,
            Kind::Secret | Kind::Cookie => Policy::Never,
            Kind::Host if !in_request => Policy::Literal,
            _ => return,
        };
        self.field(place, name, value, policy, out);
    }

    fn field(&mut self, place: usize, name: &[u8], value: &[u8], policy: Policy, out: &mut Vec<u8>) {
        let (static_name, static_exact) = static_table::find(name, value);
        if let (Some(index), Policy::Index | Policy::IndexName) = (static_exact, policy) {
            self.hint(place, Hint::Static(index));
            return integer::encode(index, 7, 0x80, out);
        }
        let (named, exact) = self.table.find(name, value);
        if let (Some(entry), Policy::Index) = (exact, policy) {
            self.hint(place, Hint::Dynamic(self.table.number(entry)));
            return integer::encode(entry + STATIC_LEN + 1, 7, 0x80, out);
        }
        let name_index = static_name.or(named.map(|entry| entry + STATIC_LEN + 1)).unwrap_or(0);
        // A field that would sweep most of the table out is not worth it.
        let cost = name.len() + value.len() + OVERHEAD;
        let insert = match policy {
            Policy::Index => cost <= self.table.max() / 4 * 3,
            Policy::IndexName => name_index == 0 && cost <= self.table.max() / 16,
            Policy::Literal | Policy::Never => false,
        };
        match policy {
            _ if insert => integer::encode(name_index, 6, 0x40, out),
            Policy::Never => integer::encode(name_index, 4, 0x10, out),
            _ => integer::encode(name_index, 4, 0x00, out),
        }
        if name_index == 0 {
            string(name, out);
        }
        string(value, out);
        if insert {
            self.table.insert(&[name, value].concat(), name.len(), NameKind::Regular, Kind::Regular);
            self.hint(place, Hint::Dynamic(self.table.number(0)));
        }
    }

    /// Remembers a block, unless it changed the table: in the place of the one it was like, or of the one that was not
    /// used for the longest time.
    fn remember(
        &mut self,
        source: Source<'_>,
        generation: u64,
        place: Option<usize>,
        old: Memo,
        block: Block<'_>,
    ) -> Vec<u32> {
        let Block { out, start, ends } = block;
        let bytes = out.get(start..).unwrap_or_default();
        let known = self.known.get_or_insert_default();
        known.clock = known.clock.wrapping_add(1);
        let clock = known.clock;
        if let Some(memo) = place.and_then(|place| known.memos.get_mut(place)) {
            *memo = old;
        }
        let large = bytes.len() > MEMO_BLOCK || source.fields().list_size() > MEMO_LIST;
        if large || generation != self.table.generation() {
            return ends;
        }
        let oldest =
            || (0..MEMOS).max_by_key(|&at| known.memos.get(at).map(|memo| clock.wrapping_sub(memo.used)));
        let Some(place) = place.or_else(oldest) else { return ends };
        let Some(memo) = known.memos.get_mut(place) else { return ends };
        memo.generation = generation;
        memo.used = clock;
        memo.kind = Some(source.kind());
        match source {
            Source::Request(head) | Source::Response(head) => memo.head.assign(head),
            Source::Trailers(fields) => {
                memo.head.clear();
                memo.head.fields.assign(fields);
            }
        }
        memo.block.clear();
        memo.block.extend_from_slice(bytes);
        std::mem::replace(&mut memo.ends, ends)
    }
}

/// A block in the making.
struct Block<'a> {
    out: &'a mut Vec<u8>,
    /// Where it begins in `out`.
    start: usize,
    /// Where its parts end: the pseudo-fields, then each field.
    ends: Vec<u32>,
}

impl Block<'_> {
    /// The part that was appended last ends here.
    fn end(&mut self) {
        self.ends.push((self.out.len() - self.start) as u32);
    }

    /// Appends a part of another block.
    fn copy(&mut self, old: &Memo, part: usize) {
        let start =
            part.checked_sub(1).and_then(|before| old.ends.get(before)).map_or(0, |&end| end as usize);
        let end = old.ends.get(part).map_or(start, |&end| end as usize);
        self.out.extend_from_slice(old.block.get(start..end).unwrap_or_default());
    }
}

/// The table is not printed: it holds what the application sends.
impl core::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Encoder").field("max_table", &self.table.max()).finish_non_exhaustive()
    }
}

/// How a field that is not in the tables is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Index,
    /// The value changes from call to call: it is indexed once, for its name's sake.
    IndexName,
    Literal,
    Never,
}

/// Whether the values of this name change from call to call: indexed, they would only sweep others out of the table.
fn varies(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"grpc-timeout",
        b"grpc-message",
        b"connect-timeout-ms",
        b"date",
        b"etag",
        b"last-modified",
        b"traceparent",
        b"x-request-id",
    ];
    NAMES.contains(&name)
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    let coded = huffman::encoded_len(text);
    if coded < text.len() {
        integer::encode(coded, 7, 0x80, out);
        huffman::encode(text, out);
    } else {
        integer::encode(text.len(), 7, 0x00, out);
        out.extend_from_slice(text);
    }
}
