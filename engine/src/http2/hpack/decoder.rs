//! The decoder: blocks in, heads out.

use super::assembly::{Assembly, Raw};
use super::integer::Reader;
use super::static_table::{self, STATIC_LEN};
use super::table::{OVERHEAD, Table};
use super::validate::{self, NameKind};
use super::{DecodeError, DecoderLimits, Verdict, huffman};
use crate::Head;

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
    memos: [Memo; 2],
    /// The memo that was not used last.
    oldest: usize,
}

/// A block that changed nothing in the table, and its head: as long as the table stays the same, so does the head.
/// There are two, since a response has two blocks.
#[derive(Default)]
struct Memo {
    block: Vec<u8>,
    generation: u64,
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
                name: Vec::new(),
                value: Vec::new(),
            },
            assembly: Assembly::default(),
            memos: Default::default(),
            oldest: 0,
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
        if let Some(place) = self.remembered(block) {
            self.oldest = 1 - place;
            head.assign(&self.memos[place].head);
            return Ok(Verdict::Good);
        }
        head.clear();
        self.assembly.start();
        let generation = self.fields.table.generation();
        let (assembly, limits) = (&mut self.assembly, self.fields.limits);
        let result = self.fields.decode(block, |raw| assembly.field(raw, &limits, head));
        let result = match result {
            Ok(()) => Ok(self.assembly.finish(head)),
            Err(error) => {
                head.clear();
                Err(error)
            }
        };
        if result == Ok(Verdict::Good) && generation == self.fields.table.generation() {
            self.remember(block, head);
        }
        self.fields.shrink();
        self.assembly.shrink(SCRATCH);
        result
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
        let result = self.fields.decode(block, |raw| each(raw.name, raw.value, raw.secret));
        self.fields.shrink();
        result
    }

    /// The heap memory held, in bytes: at most the table with 16 bytes for each 32 of it, four scratch buffers of 4
    /// KiB, and two remembered blocks of 2.5 KiB.
    pub fn capacity_bytes(&self) -> usize {
        let memos = self.memos.iter().map(|memo| memo.block.capacity() + memo.head.capacity_bytes());
        let scratch = self.fields.name.capacity() + self.fields.value.capacity();
        self.fields.table.capacity_bytes() + self.assembly.capacity_bytes() + scratch + memos.sum::<usize>()
    }

    #[inline]
    fn remembered(&self, block: &[u8]) -> Option<usize> {
        if self.fields.required.is_some() || block.is_empty() {
            return None;
        }
        let generation = self.fields.table.generation();
        self.memos.iter().position(|memo| memo.generation == generation && memo.block == block)
    }

    fn remember(&mut self, block: &[u8], head: &Head) {
        if block.len() > MEMO_BLOCK || head.fields.list_size() > MEMO_LIST {
            return;
        }
        let memo = &mut self.memos[self.oldest];
        memo.block.clear();
        memo.block.extend_from_slice(block);
        memo.generation = self.fields.table.generation();
        memo.head.assign(head);
        self.oldest = 1 - self.oldest;
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
    name: Vec<u8>,
    value: Vec<u8>,
}

impl FieldDecoder {
    fn decode(&mut self, block: &[u8], mut each: impl FnMut(Raw<'_>)) -> Result<(), DecodeError> {
        let mut reader = Reader::new(block);
        let mut budget = self.limits.hard_header_list;
        self.size_updates(&mut reader)?;
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
    fn literal<'a, 'block: 'a>(
        &'a mut self,
        reader: &mut Reader<'block>,
        first: u8,
        budget: &mut usize,
    ) -> Result<Raw<'a>, DecodeError> {
        let inserts = first & 0x40 != 0;
        let secret = first & 0x50 == 0x10;
        let index = reader.integer(if inserts { 6 } else { 4 })?;
        let (name, name_kind): (&[u8], NameKind) = match index {
            0 => {
                let name = string(reader, &mut self.name, *budget)?;
                (name, validate::name(name))
            }
            1..=STATIC_LEN => {
                let entry = static_table::get(index).ok_or(PAST_TABLE)?;
                (entry.name.as_bytes(), entry.name_kind)
            }
            _ => {
                let found = self.table.get(index - STATIC_LEN - 1).ok_or(PAST_TABLE)?;
                // A copy: the entry may be evicted by the insertion of this very field (RFC 7541 §4.4).
                self.name.clear();
                self.name.extend_from_slice(found.name);
                (&self.name, found.name_kind)
            }
        };
        let value = string(reader, &mut self.value, *budget)?;
        let kind = validate::value(name_kind, value);
        let raw = Raw { name, value, secret, kind };
        *budget = spend(*budget, raw)?;
        if inserts {
            self.table.insert(name, value, name_kind, kind);
        }
        Ok(raw)
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.name, &mut self.value] {
            if buffer.capacity() > SCRATCH {
                buffer.clear();
                buffer.shrink_to(SCRATCH);
            }
        }
    }
}

const PAST_TABLE: DecodeError = DecodeError::Compression("an index is past the end of the table");

/// RFC 7541 §6.1
#[inline]
fn indexed(table: &Table, index: usize) -> Result<Raw<'_>, DecodeError> {
    if let Some(entry) = static_table::get(index) {
        let (name, value) = (entry.name.as_bytes(), entry.value.as_bytes());
        return Ok(Raw { name, value, secret: false, kind: entry.kind });
    }
    let place = index.checked_sub(STATIC_LEN + 1).ok_or(DecodeError::Compression("an index is zero"))?;
    let found = table.get(place).ok_or(PAST_TABLE)?;
    Ok(Raw { name: found.name, value: found.value, secret: false, kind: found.kind })
}

/// Counts a field against the hard limit of the block.
#[inline]
fn spend(budget: usize, raw: Raw<'_>) -> Result<usize, DecodeError> {
    budget.checked_sub(raw.name.len() + raw.value.len() + OVERHEAD).ok_or(DecodeError::TooLarge)
}

/// RFC 7541 §5.2. A plain string is borrowed from the block, a coded one stands in `scratch`. One that cannot fit in
/// the budget is not decoded at all.
fn string<'a, 'block: 'a>(
    reader: &mut Reader<'block>,
    scratch: &'a mut Vec<u8>,
    budget: usize,
) -> Result<&'a [u8], DecodeError> {
    let coded = reader.peek().is_some_and(|first| first & 0x80 != 0);
    let len = reader.integer(7)?;
    let bytes = reader.bytes(len)?;
    let least = if coded { huffman::least_decoded_len(len) } else { len };
    if least > budget {
        return Err(DecodeError::TooLarge);
    }
    if !coded {
        return Ok(bytes);
    }
    scratch.clear();
    huffman::decode(bytes, scratch)?;
    Ok(scratch)
}
