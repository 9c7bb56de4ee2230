//! What an application sends and receives beside its messages.

use std::borrow::Cow;

use bytes::Bytes;

use crate::codec::base64::{self, BadBase64};
use crate::codec::metadata::{
    is_binary, is_reserved, is_valid_ascii_value, is_valid_name, is_valid_received_name,
    is_valid_received_value, split_binary,
};
use crate::{Field, Fields, Misuse};

/// What an application sends and receives beside its messages: headers or trailers without the protocol's own.
///
/// Values of names that end in `-bin` are bytes and travel as base64; all others are printable ASCII. The names
/// and values are held as they travel, in order, duplicates included. Names travel in lower case, and may be given in
/// any: `Greet-Version` is `greet-version` (RFC 9110 §5.1).
///
/// ```
/// use antiphon::Metadata;
///
/// let mut metadata = Metadata::new();
/// metadata.append("cursor", 42)?;
/// metadata.append("trace-bin", &[0, 255][..])?;
/// assert_eq!(metadata.get("Cursor"), Some("42"));
/// assert_eq!(metadata.get_bin("trace-bin").next(), Some(Ok(vec![0, 255])));
/// assert!(metadata.append("grpc-status", "0").is_err());
/// # Ok::<(), antiphon::Misuse>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(Fields);

impl Metadata {
    /// Empty metadata, without memory.
    pub const fn new() -> Self {
        Self(Fields::new())
    }

    /// Takes fields as they travel. Nothing is checked: whatever is reserved is left out when it is sent.
    pub fn from_fields(fields: Fields) -> Self {
        Self(fields)
    }

    /// The fields as they travel.
    pub fn as_fields(&self) -> &Fields {
        &self.0
    }

    /// The fields as they travel, to change. Nothing is checked: whatever is reserved is left out when it is sent.
    pub fn as_fields_mut(&mut self) -> &mut Fields {
        &mut self.0
    }

    /// Adds a value to `name`, behind those that it has. Names are of `0-9 a-z _ - .`; a name that ends in `-bin` takes
    /// bytes, any other takes text of printable ASCII or an integer. Spaces around a text are removed, as
    /// HTTP demands (RFC 9113 §8.2.1).
    ///
    /// # Errors
    /// [`Misuse::ReservedMetadata`] when the name is the protocol's own (see [`is_reserved`]);
    /// [`Misuse::InvalidMetadata`] when it is no name, or the value does not fit it. Nothing is changed then.
    pub fn append(&mut self, name: &str, value: impl IntoValue) -> Result<(), Misuse> {
        self.add(name, value, false, false)
    }

    /// Adds a secret, like [`append`](Metadata::append): it is never printed, and no compressor of headers keeps it
    /// (RFC 7541 §7.1.3).
    ///
    /// # Errors
    /// As [`append`](Metadata::append).
    pub fn append_sensitive(&mut self, name: &str, value: impl IntoValue) -> Result<(), Misuse> {
        self.add(name, value, true, false)
    }

    /// Replaces all values of `name` by this one; otherwise like [`append`](Metadata::append).
    ///
    /// # Errors
    /// As [`append`](Metadata::append).
    pub fn insert(&mut self, name: &str, value: impl IntoValue) -> Result<(), Misuse> {
        self.add(name, value, false, true)
    }

    fn add(
        &mut self,
        name: &str,
        value: impl IntoValue,
        sensitive: bool,
        replace: bool,
    ) -> Result<(), Misuse> {
        let name = &*lower(name);
        if is_reserved(name) {
            return Err(Misuse::ReservedMetadata);
        }
        if !is_valid_name(name) {
            return Err(Misuse::InvalidMetadata);
        }
        value.with_value(|value| {
            let mut text = Vec::new();
            let value = match (value, is_binary(name)) {
                (MetadataValue::Text(value), false) if is_valid_ascii_value(value.as_bytes()) => {
                    value.trim_ascii().as_bytes()
                }
                (MetadataValue::Bytes(value), true) => {
                    base64::encode_into(value, &mut text);
                    &text
                }
                _ => return Err(Misuse::InvalidMetadata),
            };
            if replace {
                self.remove(name);
            }
            if sensitive {
                self.0.push_sensitive(name, value);
            } else {
                self.0.push(name, value);
            }
            Ok(())
        })
    }

    /// Adds what a peer sent, as it travelled; says whether it was kept. Dropped are reserved names, and what HTTP
    /// itself does not permit: names that are no lower-case tokens, values with control characters. Everything else
    /// is kept, ASCII or not (gRPC PROTOCOL-HTTP2 "Custom-Metadata": never an error).
    pub fn push_received(&mut self, name: &str, value: &[u8]) -> bool {
        let kept =
            is_valid_received_name(name.as_bytes()) && is_valid_received_value(value) && !is_reserved(name);
        if kept {
            self.0.push(name, value.trim_ascii());
        }
        kept
    }

    /// The first value of `name`, as it travelled, if it is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        core::str::from_utf8(self.get_bytes(name)?).ok()
    }

    /// The first value of `name`, as it travelled: of a `-bin` name the base64, otherwise whatever the peer sent.
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(&lower(name))
    }

    /// All values of `name`, as they travelled, that are UTF-8, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.values(name).filter_map(|value| core::str::from_utf8(value).ok())
    }

    /// All values of a `-bin` name, decoded, in order. Several values that a proxy joined by commas come out one by
    /// one (gRPC PROTOCOL-HTTP2 "Custom-Metadata").
    pub fn get_bin<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Result<Vec<u8>, BadBase64>> + 'a {
        self.values(name).flat_map(split_binary).map(base64::decode)
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// Whether `name` has a value.
    pub fn contains(&self, name: &str) -> bool {
        self.get_bytes(name).is_some()
    }

    /// Removes all values of `name`; says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let name = &*lower(name);
        let found = self.0.contains(name);
        if found {
            self.0.retain(|field| field.name != name);
        }
        found
    }

    /// All names and values in order, as they travel.
    pub fn iter(&self) -> crate::fields::Iter<'_> {
        self.0.iter()
    }

    /// The number of values of all names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes everything and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends a copy of everything in `other`, such as a request's metadata to echo it.
    pub fn extend_from(&mut self, other: &Self) {
        self.0.extend_from(&other.0);
    }

    /// This metadata as an `http::HeaderMap`, as it travels.
    ///
    /// # Errors
    /// When there is more than a `HeaderMap` can hold (32,768 names), or a field was put in unchecked.
    pub fn to_header_map(&self) -> Result<http::HeaderMap, http::Error> {
        self.0.to_header_map()
    }

    /// The metadata in an `http::HeaderMap`: everything but reserved names. Sensitive values stay so.
    pub fn from_header_map(map: &http::HeaderMap) -> Self {
        let mut fields = Fields::from_header_map(map);
        fields.retain(|field| !is_reserved(field.name));
        Self(fields)
    }
}

/// A name as it travels.
fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

impl<'a> IntoIterator for &'a Metadata {
    type Item = Field<'a>;
    type IntoIter = crate::fields::Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Secrets are not printed: values marked as such, and those of names that carry credentials.
impl core::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.0, f)
    }
}

/// A value on its way into [`Metadata`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MetadataValue<'a> {
    /// Text, for names without `-bin`.
    Text(&'a str),
    /// Bytes, for `-bin` names.
    Bytes(&'a [u8]),
}

impl core::fmt::Debug for MetadataValue<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Text(value) => write!(f, "Text({} bytes)", value.len()),
            Self::Bytes(value) => write!(f, "Bytes({} bytes)", value.len()),
        }
    }
}

/// What can be a value of [`Metadata`]: texts and integers, and bytes for `-bin` names.
pub trait IntoValue {
    /// Lends the value to `take` and returns what that returns.
    fn with_value<R>(self, take: impl FnOnce(MetadataValue<'_>) -> R) -> R;
}

impl IntoValue for MetadataValue<'_> {
    fn with_value<R>(self, take: impl FnOnce(MetadataValue<'_>) -> R) -> R {
        take(self)
    }
}

macro_rules! values {
    ($($variant:ident: $($type:ty),*;)*) => {$($(
        impl IntoValue for $type {
            fn with_value<R>(self, take: impl FnOnce(MetadataValue<'_>) -> R) -> R {
                take(MetadataValue::$variant(self.as_ref()))
            }
        }
    )*)*};
}

values! {
    Text: &str, String, &String, Box<str>, std::borrow::Cow<'_, str>;
    Bytes: &[u8], Vec<u8>, &Vec<u8>, Bytes, &Bytes;
}

impl<const LENGTH: usize> IntoValue for &[u8; LENGTH] {
    fn with_value<R>(self, take: impl FnOnce(MetadataValue<'_>) -> R) -> R {
        take(MetadataValue::Bytes(self))
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl IntoValue for $type {
            fn with_value<R>(self, take: impl FnOnce(MetadataValue<'_>) -> R) -> R {
                // The longest is an `i128`: a sign and 39 digits.
                let mut text = Decimal { bytes: [0; 40], length: 0 };
                let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{self}"));
                take(MetadataValue::Text(text.as_str()))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

/// A number in decimal, without an allocation.
struct Decimal {
    bytes: [u8; 40],
    length: usize,
}

impl Decimal {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl core::fmt::Write for Decimal {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // gRPC PROTOCOL-HTTP2 "Custom-Metadata"; Connect "Leading-Metadata".
    #[test]
    fn texts_integers_and_bytes() {
        let mut metadata = Metadata::new();
        metadata.append("a", " text ").unwrap();
        metadata.append("a", String::from("")).unwrap();
        metadata.append("n", i128::MIN).unwrap();
        metadata.append("n", 7_u8).unwrap();
        metadata.append("b-bin", b"\xfb\xff").unwrap();
        metadata.append("b-bin", Bytes::new()).unwrap();
        assert_eq!(metadata.get_all("a").collect::<Vec<_>>(), ["text", ""]);
        assert_eq!(metadata.get_all("n").collect::<Vec<_>>(), [i128::MIN.to_string().as_str(), "7"]);
        assert_eq!(metadata.get("b-bin"), Some("+/8"), "base64 without padding, as it travels");
        assert_eq!(metadata.get_bin("b-bin").collect::<Vec<_>>(), [Ok(vec![0xfb, 0xff]), Ok(vec![])]);
        assert_eq!(metadata.len(), 6);
    }

    #[test]
    fn what_may_not_be_sent_is_refused_and_changes_nothing() {
        let mut metadata = Metadata::new();
        metadata.append("a", "kept").unwrap();
        let before = metadata.clone();
        for name in ["", "a b", "caf\u{e9}"] {
            assert_eq!(metadata.append(name, "x"), Err(Misuse::InvalidMetadata), "{name}");
        }
        for name in ["GRPC-Timeout", "grpc-timeout", "connect-x", "content-type", "te"] {
            assert_eq!(metadata.append(name, "x"), Err(Misuse::ReservedMetadata), "{name}");
        }
        assert!(metadata.append(":path", "x").is_err());
        for value in ["\n", "a\r\nb", "\u{e9}", "\t", "\0"] {
            assert_eq!(metadata.insert("a", value), Err(Misuse::InvalidMetadata));
        }
        assert!(metadata.append("a-bin", "text").is_err() && metadata.append("a-bin", 7).is_err());
        assert!(metadata.append("a", &b"bytes"[..]).is_err());
        assert_eq!(metadata, before);
    }

    // RFC 9110 §5.1: names are case-insensitive; RFC 9113 §8.2: they travel in lower case.
    #[test]
    fn names_may_be_given_in_any_case() {
        let mut metadata = Metadata::new();
        metadata.append("Greet-Version", "v1").unwrap();
        metadata.append("Trace-Bin", &[7][..]).unwrap();
        assert_eq!(metadata.iter().next().map(|field| field.name), Some("greet-version"));
        assert_eq!(metadata.get("GREET-version"), Some("v1"));
        assert_eq!(metadata.get_all("Greet-Version").collect::<Vec<_>>(), ["v1"]);
        assert_eq!(metadata.get_bin("trace-BIN").next(), Some(Ok(vec![7])));
        metadata.insert("Greet-version", "v2").unwrap();
        assert!(metadata.contains("Greet-Version") && metadata.get_bytes("Greet-Version") == Some(b"v2"));
        assert!(metadata.remove("GREET-VERSION") && metadata.len() == 1);
    }

    #[test]
    fn insert_replaces_and_remove_removes_all() {
        let mut metadata = Metadata::new();
        for value in 0..3 {
            metadata.append("a", value).unwrap();
            metadata.append("b", value).unwrap();
        }
        metadata.insert("a", "new").unwrap();
        assert_eq!(metadata.get_all("a").collect::<Vec<_>>(), ["new"]);
        assert!(metadata.remove("b") && !metadata.remove("b"));
        assert_eq!(metadata.len(), 1);
    }

    // gRPC PROTOCOL-HTTP2: padded and unpadded, comma lists split before decoding; bad base64 is one value's error.
    #[test]
    fn received_binary_values() {
        let mut metadata = Metadata::new();
        assert!(metadata.push_received("a-bin", b"AAE=,AAE, AA"));
        assert!(metadata.push_received("a-bin", b"!!!!"));
        let values: Vec<_> = metadata.get_bin("a-bin").collect();
        assert_eq!(values, [Ok(vec![0, 1]), Ok(vec![0, 1]), Ok(vec![0]), Err(BadBase64)]);
    }

    // gRPC PROTOCOL-HTTP2: values that HTTP permits are no error, ASCII or not, and can be echoed.
    #[test]
    fn received_values_are_kept_as_bytes() {
        let mut metadata = Metadata::new();
        assert!(metadata.push_received("latin", b"caf\xe9"));
        assert!(metadata.push_received("utf8", "caf\u{e9}".as_bytes()));
        assert_eq!((metadata.get("latin"), metadata.get_bytes("latin")), (None, Some(&b"caf\xe9"[..])));
        assert_eq!(metadata.get("utf8"), Some("caf\u{e9}"));
        for (name, value) in
            [("grpc-x", &b"x"[..]), ("te", b"trailers"), ("a", b"\r\n"), ("A", b"x"), ("", b"x")]
        {
            assert!(!metadata.push_received(name, value));
        }
        let mut echo = Metadata::new();
        echo.extend_from(&metadata);
        assert_eq!(echo, metadata);
    }

    #[test]
    fn header_maps() {
        let mut map = http::HeaderMap::new();
        map.append("x-tag", "1".parse().unwrap());
        map.append("x-tag", "2".parse().unwrap());
        map.append("grpc-status", "0".parse().unwrap());
        let metadata = Metadata::from_header_map(&map);
        map.remove("grpc-status");
        assert_eq!(metadata.to_header_map().unwrap(), map);
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut metadata = Metadata::new();
        metadata.append_sensitive("x-key", "hunter2").unwrap();
        metadata.append("authorization", "Bearer hunter2").unwrap();
        metadata.append("x-tag", "shown").unwrap();
        let text = format!("{metadata:?} {:?}", MetadataValue::Text("hunter2"));
        assert!(!text.contains("hunter2") && text.contains("shown"));
        assert!(metadata.iter().next().unwrap().sensitive);
    }
}
