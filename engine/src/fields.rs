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
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    block: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    name: u32,
    value: u32,
    end: u32,
    sensitive: bool,
}

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
        Self { block: Vec::new(), entries: Vec::new() }
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
    pub(crate) fn push_bytes(&mut self, name: &[u8], value: &[u8], sensitive: bool) {
        let start = self.block.len() as u32;
        self.block.extend_from_slice(name);
        let middle = self.block.len() as u32;
        self.block.extend_from_slice(value);
        self.entries.push(Entry { name: start, value: middle, end: self.block.len() as u32, sensitive });
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The size of the list as RFC 9113 §6.5.2 counts it: names, values, and 32 bytes for each field.
    pub fn list_size(&self) -> usize {
        self.block.len() + 32 * self.entries.len()
    }

    /// The heap memory held, in bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.block.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// The first value of `name`, which must be given in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.entries.iter().find(|entry| self.is_named(entry, name)).map(|entry| self.value(entry))
    }

    /// All values of `name`, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.entries.iter().filter(move |entry| self.is_named(entry, name)).map(|entry| self.value(entry))
    }

    /// Lengths are compared before bytes: most fields are passed over without a look at their names.
    #[inline]
    fn is_named(&self, entry: &Entry, name: &str) -> bool {
        (entry.value - entry.name) as usize == name.len()
            && self.block[entry.name as usize..entry.value as usize] == *name.as_bytes()
    }

    #[inline]
    fn value(&self, entry: &Entry) -> &[u8] {
        &self.block[entry.value as usize..entry.end as usize]
    }

    /// Whether a field of this name is present.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The fields in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { fields: self, next: 0 }
    }

    /// The field at `index`, counted from zero.
    pub fn at(&self, index: usize) -> Option<Field<'_>> {
        let entry = self.entries.get(index)?;
        let name = &self.block[entry.name as usize..entry.value as usize];
        // Every name came in as a `&str`; the check costs a scan of a short name and spares `unsafe`.
        let name = core::str::from_utf8(name).unwrap_or_default();
        let value = &self.block[entry.value as usize..entry.end as usize];
        Some(Field { name, value, sensitive: entry.sensitive })
    }

    /// Name, value and secrecy of the field at `index`, without a look at the name's bytes.
    #[inline]
    pub(crate) fn bytes_at(&self, index: usize) -> Option<(&[u8], &[u8], bool)> {
        let entry = self.entries.get(index)?;
        let name = self.block.get(entry.name as usize..entry.value as usize)?;
        let value = self.block.get(entry.value as usize..entry.end as usize)?;
        Some((name, value, entry.sensitive))
    }

    /// Removes all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.block.clear();
        self.entries.clear();
    }

    /// Makes these fields a copy of `other`, in the memory that they have.
    pub(crate) fn assign(&mut self, other: &Self) {
        self.block.clone_from(&other.block);
        self.entries.clone_from(&other.entries);
    }

    /// Appends a copy of all fields of `other`.
    pub fn extend_from(&mut self, other: &Self) {
        let shift = self.block.len() as u32;
        self.block.extend_from_slice(&other.block);
        self.entries.extend(other.entries.iter().map(|entry| Entry {
            name: entry.name + shift,
            value: entry.value + shift,
            end: entry.end + shift,
            sensitive: entry.sensitive,
        }));
    }

    /// Keeps the fields for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        if (0..self.len()).all(|index| self.at(index).is_none_or(&mut keep)) {
            return;
        }
        let mut kept = Self::new();
        for field in self.iter().filter(|field| keep(*field)) {
            kept.push_entry(field.name, field.value, field.sensitive);
        }
        *self = kept;
    }
}

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

/// The fields of a list, in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    fields: &'a Fields,
    next: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let field = self.fields.at(self.next)?;
        self.next += 1;
        Some(field)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.fields.len() - self.next;
        (left, Some(left))
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
