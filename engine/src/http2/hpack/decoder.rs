//! The decoder: blocks in, heads out.

use super::assembly::{Assembly, Raw};
use super::integer::Reader;
use super::prefix::{Beginning, Prefix};
use super::scratch::Scratch;
use super::static_table::{self, STATIC_LEN};
use super::table::{OVERHEAD, Table};
use super::validate;
use super::{DecodeError, DecoderLimits, Verdict, huffman};
use crate::Head;
use crate::head::Origin;

/// The largest block that is remembered with its head, in bytes.
const MEMO_BLOCK: usize = 512;

/// The largest header list that is remembered, in bytes counted as RFC 9113 §6.5.2 does.
const MEMO_LIST: usize = 2048;

/// What the scratch buffers keep between blocks, in bytes each.
const SCRATCH: usize = 4096;

/// Decodes the header blocks that one peer sends, in their order.
///
/// Each block must be given, those of refused and closed streams too: the table changes with each.
pub struct Decoder {
    fields: FieldDecoder,
    assembly: Assembly,
    /// Only while there are blocks to decode.
    known: Option<Box<Known>>,
    /// The last block had a content-length.
    length: bool,
}

/// What is known of the last blocks.
#[derive(Default)]
struct Known {
    memos: [Memo; 2],
    /// The memo that was not used last.
    oldest: usize,
    prefixes: [Prefix; 2],
    /// The prefix that was not used last.
    oldest_prefix: usize,
    beginning: Beginning,
}

/// A block that changed nothing in the table, and its head: as long as the table stays the same, so does the head.
/// There are two, since a response has two blocks.
#[derive(Default)]
struct Memo {
    block: Vec<u8>,
    generation: u64,
    length: bool,
    head: Head,
}

impl Decoder {
    /// A decoder whose peer may use a table of `max_table` bytes from the start. In HTTP/2 that is 4,096 (RFC 9113
    /// §6.5.2) until a SETTINGS frame that says otherwise is acknowledged: see [`Decoder::set_max_table`].
    pub fn new(max_table: usize, limits: DecoderLimits) -> Self {
        Self {
            fields: FieldDecoder {
                table: Table::new(max_table),
                allowed: max_table,
                required: None,
                limits,
                scratch: Scratch::default(),
            },
            assembly: Assembly::default(),
            known: None,
            length: false,
        }
    }

    /// The peer has acknowledged SETTINGS that allow it a table of `bytes`.
    ///
    /// When that is less than the table's size now, the peer's next block must begin with a size update (RFC 7541
    /// §4.2); when it is more, the peer may send one.
    pub fn set_max_table(&mut self, bytes: usize) {
        self.fields.allowed = bytes;
        let lowest = self.fields.required.map_or(bytes, |required| required.min(bytes));
        if lowest < self.fields.table.max() {
            self.fields.required = Some(lowest);
        }
    }

    /// Decodes one whole header block (HEADERS and its CONTINUATIONs joined) into `head`, which is cleared first.
    ///
    /// The rules of RFC 9113 §8.2 and §8.3 are checked:
    /// - a block without pseudo-fields gives a head that is neither a request's nor a response's: trailers, unless the
    ///   caller expects none there;
    /// - in a request, `host` becomes the authority, or must be equal to it, and is no field of the head;
    /// - `cookie` crumbs are joined to one field; it, `set-cookie`, `authorization` and `proxy-authorization` are
    ///   marked as sensitive, as is whatever the peer sent as never to be indexed.
    ///
    /// Whatever the verdict, the table is in step afterwards. The head is complete when it is [`Verdict::Good`]; it
    /// has its control data, but no fields, when it is [`Verdict::TooLarge`], and is empty otherwise.
    ///
    /// # Errors
    /// The connection must end: see [`DecodeError`]. The decoder is of no use afterwards.
    pub fn decode(&mut self, block: &[u8], head: &mut Head) -> Result<Verdict, DecodeError> {
        if let Some(memo) = self.recall(block) {
            head.assign(&memo.head);
            return Ok(Verdict::Good);
        }
        self.decode_unknown(block, head)
    }

    /// [`decode`](Decoder::decode) into a head that nothing else changes: mostly it is this very one already.
    #[inline]
    pub(crate) fn decode_again(&mut self, block: &[u8], head: &mut Head) -> Result<Verdict, DecodeError> {
        if let Some(memo) = self.recall(block) {
            if !memo.head.origin().is(head.origin()) {
                memo.give(head);
            }
            return Ok(Verdict::Good);
        }
        self.decode_unknown(block, head)
    }

    /// The memo of this very block, as long as it means the same.
    #[inline]
    fn recall(&mut self, block: &[u8]) -> Option<&mut Memo> {
        let settled = self.fields.required.is_none();
        let memo = self.known.as_mut()?.memo(block, self.fields.table.generation(), settled)?;
        self.length = memo.length;
        Some(memo)
    }

    #[inline(never)]
    fn decode_unknown(&mut self, block: &[u8], head: &mut Head) -> Result<Verdict, DecodeError> {
        let result = self.decode_new(block, head);
        self.fields.scratch.shrink();
        self.assembly.shrink(SCRATCH);
        result
    }

    fn decode_new(&mut self, block: &[u8], head: &mut Head) -> Result<Verdict, DecodeError> {
        let generation = self.fields.table.generation();
        let known = self.known.get_or_insert_default();
        let (fields, assembly) = (&mut self.fields, &mut self.assembly);
        let begun = known.begin(block, fields, assembly, head);
        let (size, limits) = (assembly.seen().size(), fields.limits);
        let rest = block.get(begun..).unwrap_or_default();
        if let Err(error) = fields.decode(rest, size, |raw| assembly.field(raw, &limits, head)) {
            head.clear();
            return Err(error);
        }
        let verdict = assembly.finish(head);
        self.length = assembly.seen().has_length();
        if verdict == Verdict::Good {
            known.remember_beginning(head);
            if generation == fields.table.generation() {
                known.remember(block, generation, self.length, head);
            }
        }
        Ok(verdict)
    }

    /// Decodes one whole header block and gives each field as it was sent: name, value, and whether it may never be
    /// indexed. Nothing is checked but the compression and the hard limit; `each` may have been called when an error
    /// is found.
    ///
    /// # Errors
    /// The connection must end: see [`DecodeError`].
    #[allow(clippy::type_complexity, reason = "a name for this type would say less")]
    pub fn decode_fields(
        &mut self,
        block: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8], bool),
    ) -> Result<(), DecodeError> {
        let result = self.fields.decode(block, 0, |raw| each(raw.name(), raw.value(), raw.secret));
        self.fields.scratch.shrink();
        result
    }

    /// Whether the last head that was decoded, if it was good, has a content-length.
    pub(crate) fn saw_length(&self) -> bool {
        self.length
    }

    /// Gives back what only makes decoding faster: a connection is idle.
    pub(crate) fn shrink(&mut self) {
        self.known = None;
        self.assembly = Assembly::default();
        self.fields.scratch = Scratch::default();
        self.fields.table.shrink();
    }

    /// The heap memory held, in bytes: at most the table with 16 bytes for each 32 of it, three scratch buffers of 4
    /// KiB, and of two blocks what they were and how they began, 2.5 KiB each.
    pub fn capacity_bytes(&self) -> usize {
        let known = self.known.as_ref().map_or(0, |known| known.capacity_bytes());
        let scratch = self.fields.scratch.capacity_bytes() + self.assembly.capacity_bytes();
        self.fields.table.capacity_bytes() + scratch + known
    }
}

impl Memo {
    /// Makes `head` a copy that is known to be one.
    fn give(&mut self, head: &mut Head) {
        if !self.head.origin().is_known() {
            self.head.set_origin(&Origin::new());
        }
        head.assign(&self.head);
        head.set_origin(self.head.origin());
    }
}

impl Known {
    /// The memo of this very block.
    #[inline]
    fn memo(&mut self, block: &[u8], generation: u64, settled: bool) -> Option<&mut Memo> {
        let same = |memo: &Memo| memo.generation == generation && memo.block == block;
        let place = self.memos.iter().position(same).filter(|_| settled && !block.is_empty())?;
        self.oldest = 1 - place;
        self.memos.get_mut(place)
    }

    /// Takes the indexed fields at the front of a block: from one that began with the same, or one by one. Returns how
    /// many bytes they were.
    fn begin(
        &mut self,
        block: &[u8],
        fields: &FieldDecoder,
        assembly: &mut Assembly,
        head: &mut Head,
    ) -> usize {
        self.beginning.start();
        // A missing size update is found, and complained of, where it is looked for.
        let block = if fields.required.is_none() { block } else { &[] };
        for (place, prefix) in self.prefixes.iter().enumerate() {
            let Some(bytes) = prefix.begins(block, &fields.table) else { continue };
            self.oldest_prefix = 1 - place;
            assembly.resume(prefix.seen());
            head.assign(prefix.head());
            return bytes;
        }
        head.clear();
        assembly.start();
        while let Some(raw) = self.beginning.take(block, &fields.table) {
            assembly.field(raw, &fields.limits, head);
        }
        self.beginning.stop(assembly.seen(), head);
        self.beginning.len()
    }

    /// Remembers how the block began that made this good head, if that was new.
    fn remember_beginning(&mut self, head: &Head) {
        if self.beginning.len() > 0 && self.beginning.is_worth(head) {
            self.prefixes[self.oldest_prefix].set(&self.beginning, head);
            self.oldest_prefix = 1 - self.oldest_prefix;
        }
    }

    fn remember(&mut self, block: &[u8], generation: u64, length: bool, head: &Head) {
        if block.len() > MEMO_BLOCK || head.fields.list_size() > MEMO_LIST {
            return;
        }
        let memo = &mut self.memos[self.oldest];
        memo.block.clear();
        memo.block.extend_from_slice(block);
        memo.generation = generation;
        memo.length = length;
        memo.head.assign(head);
        self.oldest = 1 - self.oldest;
    }

    fn capacity_bytes(&self) -> usize {
        let memos = self.memos.iter().map(|memo| memo.block.capacity() + memo.head.capacity_bytes());
        let prefixes = self.prefixes.iter().map(Prefix::capacity_bytes).sum::<usize>();
        size_of::<Self>() + memos.sum::<usize>() + prefixes + self.beginning.capacity_bytes()
    }
}

/// Neither the table nor the scratch buffers are printed: they hold what the peer sent, secrets too.
impl core::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decoder").field("max_table", &self.fields.table.max()).finish_non_exhaustive()
    }
}

/// The compression alone.
struct FieldDecoder {
    table: Table,
    /// What our SETTINGS allow.
    allowed: usize,
    /// The next block must bring the table to this size or below.
    required: Option<usize>,
    limits: DecoderLimits,
    /// A literal: its name, then its value.
    scratch: Scratch,
}

impl FieldDecoder {
    /// `size`: of the list so far, when a part of the block was taken before.
    fn decode(
        &mut self,
        block: &[u8],
        size: usize,
        mut each: impl FnMut(Raw<'_>),
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(block);
        let mut budget = self.limits.hard_header_list.checked_sub(size).ok_or(DecodeError::TooLarge)?;
        if size == 0 {
            self.size_updates(&mut reader)?;
        }
        while let Some(first) = reader.peek() {
            if first & 0x80 != 0 {
                let index = reader.integer(7)?;
                let raw = indexed(&self.table, index)?;
                budget = spend(budget, raw)?;
                each(raw);
            } else if first & 0xe0 == 0x20 {
                return Err(DecodeError::Compression("a table size update follows a field"));
            } else {
                let raw = self.literal(&mut reader, first, &mut budget)?;
                each(raw);
            }
        }
        Ok(())
    }

    /// Table size updates stand at the beginning of a block (RFC 7541 §4.2).
    fn size_updates(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        while let Some(0x20..=0x3f) = reader.peek() {
            let size = reader.integer(5)?;
            if size > self.allowed {
                return Err(DecodeError::Compression("a table size update exceeds the limit"));
            }
            self.table.resize(size);
            if self.required.is_some_and(|required| size <= required) {
                self.required = None;
            }
        }
        match self.required {
            Some(_) => Err(DecodeError::Compression("a table size update is missing")),
            None => Ok(()),
        }
    }

    /// RFC 7541 §6.2. Whether it may be inserted or remembered is in its first byte.
    fn literal(
        &mut self,
        reader: &mut Reader<'_>,
        first: u8,
        budget: &mut usize,
    ) -> Result<Raw<'_>, DecodeError> {
        let inserts = first & 0x40 != 0;
        let secret = first & 0x50 == 0x10;
        let index = reader.integer(if inserts { 6 } else { 4 })?;
        let scratch = &mut self.scratch;
        scratch.clear();
        // A copy: the entry may be evicted by the insertion of this very field (RFC 7541 §4.4).
        let name_kind = match index {
            0 => {
                string(reader, scratch, *budget)?;
                validate::name(scratch.bytes())
            }
            1..=STATIC_LEN => {
                let entry = static_table::get(index).ok_or(PAST_TABLE)?;
                scratch.push(entry.name.as_bytes());
                entry.name_kind
            }
            _ => {
                let found = self.table.get(index - STATIC_LEN - 1).ok_or(PAST_TABLE)?;
                scratch.push(found.name());
                found.name_kind
            }
        };
        let name = scratch.len();
        let plain = string(reader, scratch, *budget)?;
        let value = scratch.bytes().get(name..).unwrap_or_default();
        let kind =
            if plain { validate::plain_value(name_kind, value) } else { validate::value(name_kind, value) };
        let raw = Raw { pair: self.scratch.bytes(), name, secret, kind };
        *budget = spend(*budget, raw)?;
        if inserts {
            self.table.insert(raw.pair, name, name_kind, kind);
        }
        Ok(raw)
    }
}

const PAST_TABLE: DecodeError = DecodeError::Compression("an index is past the end of the table");

/// RFC 7541 §6.1
#[inline]
fn indexed(table: &Table, index: usize) -> Result<Raw<'_>, DecodeError> {
    if let Some(entry) = static_table::get(index) {
        return Ok(Raw::indexed(entry.pair.as_bytes(), entry.name.len(), entry.kind));
    }
    let place = index.checked_sub(STATIC_LEN + 1).ok_or(DecodeError::Compression("an index is zero"))?;
    let found = table.get(place).ok_or(PAST_TABLE)?;
    Ok(Raw::indexed(found.pair, found.name, found.kind))
}

/// Counts a field against the hard limit of the block.
#[inline]
fn spend(budget: usize, raw: Raw<'_>) -> Result<usize, DecodeError> {
    budget.checked_sub(raw.pair.len() + OVERHEAD).ok_or(DecodeError::TooLarge)
}

/// Appends a string (RFC 7541 §5.2), and tells whether it is known to have no control characters. One that cannot fit in
/// the budget is not decoded at all.
fn string(reader: &mut Reader<'_>, out: &mut Scratch, budget: usize) -> Result<bool, DecodeError> {
    let coded = reader.peek().is_some_and(|first| first & 0x80 != 0);
    let len = reader.integer(7)?;
    let bytes = reader.bytes(len)?;
    let least = if coded { huffman::least_decoded_len(len) } else { len };
    if least > budget {
        return Err(DecodeError::TooLarge);
    }
    if !coded {
        out.push(bytes);
        return Ok(false);
    }
    let (len, plain) = huffman::decode(bytes, out.room(huffman::room_for(len)))?;
    out.filled(len);
    Ok(plain)
}
