//! Header and trailer fields as one flat block.

/// A list of header or trailer fields: names and values side by side in one recycled block of bytes.
///
/// Order and duplicates are kept. Names are lower case, as HTTP/2 demands (RFC 9113 §8.2) and HTTP/1.1 permits.
/// A list that is [cleared](Fields::clear) keeps its memory, so that a connection in steady state allocates nothing.
///
/// `Fields` stores what it is given: whoever takes fields from a peer or an application validates them first
/// (see [`codec::metadata`](crate::codec::metadata)).
///
/// ```
/// use antiphon::Fields;
///
/// let mut fields = Fields::new();
/// fields.push("content-type", b"application/grpc");
/// fields.push("x-tag", b"a");
/// fields.push("x-tag", b"b");
/// assert_eq!(fields.get("x-tag"), Some(&b"a"[..]));
/// assert_eq!(fields.get_all("x-tag").count(), 2);
/// ```
#[derive(Clone, Default)]
pub struct Fields {
    /// For each field: the length of its name, which carries [`SENSITIVE`], that of its value, the name, the value. One
    /// run of bytes: copied and compared at once.
    block: Vec<u8>,
    count: u32,
}

/// The bytes of both lengths, four each.
const LENGTHS: usize = 8;
/// The bit of a name's length that marks a secret.
const SENSITIVE: u32 = 1 << 31;

/// One field, borrowed from [`Fields`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, lower case.
    pub name: &'a str,
    /// The value, without surrounding white space. Not always UTF-8.
    pub value: &'a [u8],
    /// The value is a secret: never printed, and never indexed by a compressor (RFC 7541 §7.1.3).
    pub sensitive: bool,
}

impl Fields {
    /// An empty list, without memory.
    pub const fn new() -> Self {
        Self { block: Vec::new(), count: 0 }
    }

    /// Appends a field. `name` must be lower case.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.push_entry(name, value, false);
    }

    /// Appends a field whose value is a secret.
    pub fn push_sensitive(&mut self, name: &str, value: &[u8]) {
        self.push_entry(name, value, true);
    }

    fn push_entry(&mut self, name: &str, value: &[u8], sensitive: bool) {
        debug_assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "field names are lower case");
        self.push_bytes(name.as_bytes(), value, sensitive);
    }

    /// Appends a field whose name was validated: lower case, and ASCII.
    #[inline]
    pub(crate) fn push_bytes(&mut self, name: &[u8], value: &[u8], sensitive: bool) {
        self.push_lengths(name.len(), value.len(), sensitive);
        self.block.extend_from_slice(name);
        self.block.extend_from_slice(value);
    }

    /// Appends a field whose name, of `name` bytes, and value stand side by side.
    #[inline]
    pub(crate) fn push_pair(&mut self, pair: &[u8], name: usize, sensitive: bool) {
        self.push_lengths(name, pair.len() - name, sensitive);
        self.block.extend_from_slice(pair);
    }

    #[inline]
    fn push_lengths(&mut self, name: usize, value: usize, sensitive: bool) {
        let name_word = name as u32 | if sensitive { SENSITIVE } else { 0 };
        let lengths = u64::from(name_word) | (value as u64) << 32;
        self.block.reserve(LENGTHS + name + value);
        self.block.extend_from_slice(&lengths.to_le_bytes());
        self.count += 1;
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size of the list as RFC 9113 §6.5.2 counts it: names, values, and 32 bytes for each field.
    pub fn list_size(&self) -> usize {
        self.block.len() + (32 - LENGTHS) * self.len()
    }

    /// The heap memory held, in bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.block.capacity()
    }

    /// The first value of `name`, which must be given in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.raw().find(|field| field.0 == name.as_bytes()).map(|field| field.1)
    }

    /// All values of `name`, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        // Lengths are compared before bytes: most fields are passed over without a look at their names.
        self.raw().filter(move |field| field.0 == name.as_bytes()).map(|field| field.1)
    }

    /// Whether a field of this name is present.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The fields in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { raw: self.raw(), left: self.len() }
    }

    /// The field at `index`, counted from zero. It is looked for from the front.
    pub fn at(&self, index: usize) -> Option<Field<'_>> {
        self.iter().nth(index)
    }

    /// Name, value and secrecy of each field in order, without a look at the name's bytes.
    #[inline]
    pub(crate) fn raw(&self) -> Raw<'_> {
        Raw { rest: &self.block }
    }

    /// Removes all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.block.clear();
        self.count = 0;
    }

    /// Makes these fields a copy of `other`, in the memory that they have.
    #[inline]
    pub(crate) fn assign(&mut self, other: &Self) {
        self.block.clear();
        self.block.extend_from_slice(&other.block);
        self.count = other.count;
    }

    /// Appends a copy of all fields of `other`.
    pub fn extend_from(&mut self, other: &Self) {
        self.block.extend_from_slice(&other.block);
        self.count += other.count;
    }

    /// The value of a field `name` that stands at `mark` of these fields, if they are those of `rest` besides.
    pub(crate) fn only_beside<'a>(&'a self, rest: &Self, mark: Mark, name: &[u8]) -> Option<&'a [u8]> {
        let (before, behind) = self.block.split_at_checked(mark.bytes)?;
        let (rest_before, rest_behind) = rest.block.split_at_checked(mark.bytes)?;
        if before != rest_before {
            return None;
        }
        let mut raw = Raw { rest: behind };
        let (found, value, _) = raw.next()?;
        (found == name && raw.rest == rest_behind).then_some(value)
    }

    /// How much there is, for [`truncate`](Fields::truncate).
    pub(crate) fn mark(&self) -> Mark {
        Mark { bytes: self.block.len(), count: self.count }
    }

    /// Drops what was appended after `mark` was taken.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.block.truncate(mark.bytes);
        self.count = mark.count;
    }

    /// Keeps the fields for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        if self.iter().all(&mut keep) {
            return;
        }
        let mut kept = Self::new();
        for field in self.iter().filter(|field| keep(*field)) {
            kept.push_entry(field.name, field.value, field.sensitive);
        }
        *self = kept;
    }
}

/// The lengths are in the block: it says everything.
impl PartialEq for Fields {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.block == other.block
    }
}

impl Eq for Fields {}

/// Secrets are not printed: values marked as such, and those of names that carry credentials.
impl core::fmt::Debug for Fields {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl core::fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.sensitive || crate::codec::metadata::is_secret(self.name) {
            write!(f, "{}: (secret)", self.name)
        } else {
            write!(f, "{}: {}", self.name, self.value.escape_ascii())
        }
    }
}

/// How much of a list there was at some time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    bytes: usize,
    count: u32,
}

/// Name, value and secrecy of the fields of a list, in order.
#[derive(Clone, Debug)]
pub(crate) struct Raw<'a> {
    rest: &'a [u8],
}

impl<'a> Raw<'a> {
    /// The bytes of what was passed since this was `before`: equal bytes are equal fields.
    #[inline]
    pub(crate) fn since(&self, before: &Raw<'a>) -> &'a [u8] {
        before.rest.get(..before.rest.len() - self.rest.len()).unwrap_or_default()
    }
}

impl<'a> Iterator for Raw<'a> {
    type Item = (&'a [u8], &'a [u8], bool);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (lengths, rest) = self.rest.split_first_chunk::<LENGTHS>()?;
        let lengths = u64::from_le_bytes(*lengths);
        let name_word = lengths as u32;
        let (name, rest) = rest.split_at_checked((name_word & !SENSITIVE) as usize)?;
        let (value, rest) = rest.split_at_checked((lengths >> 32) as usize)?;
        self.rest = rest;
        Some((name, value, name_word & SENSITIVE != 0))
    }
}

/// The fields of a list, in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    raw: Raw<'a>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let (name, value, sensitive) = self.raw.next()?;
        self.left = self.left.saturating_sub(1);
        // Every name came in as a `&str`; the check costs a scan of a short name and spares `unsafe`.
        let name = core::str::from_utf8(name).unwrap_or_default();
        Some(Field { name, value, sensitive })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Fields {
    type Item = Field<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Fields {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a [u8])>>(pairs: T) -> Self {
        let mut fields = Self::new();
        for (name, value) in pairs {
            fields.push(name, value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_duplicates_are_kept() {
        let fields: Fields = [("a", &b"1"[..]), ("b", b"2"), ("a", b"3")].into_iter().collect();
        assert_eq!(fields.get_all("a").collect::<Vec<_>>(), [&b"1"[..], b"3"]);
        assert_eq!(fields.len(), 3);
        assert_eq!(fields.list_size(), 6 + 96);
    }

    #[test]
    fn retain_and_extend_keep_names_with_their_values() {
        let mut fields: Fields = [("a", &b"1"[..]), ("b", b"2"), ("c", b"3")].into_iter().collect();
        fields.retain(|field| field.name != "b");
        let more = fields.clone();
        fields.extend_from(&more);
        let pairs: Vec<_> = fields.iter().map(|field| (field.name, field.value)).collect();
        assert_eq!(pairs, [("a", &b"1"[..]), ("c", b"3"), ("a", b"1"), ("c", b"3")]);
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut fields = Fields::new();
        fields.push_sensitive("x-key", b"hunter2");
        fields.push("cookie", b"hunter2");
        assert!(!format!("{fields:?}").contains("hunter2"));
    }
}
