//! Codecs: between a message and its bytes.

use std::sync::Arc;

use antiphon::Status;
use bytes::Bytes;

#[cfg(feature = "json")]
pub(crate) mod json;
#[cfg(feature = "proto")]
pub(crate) mod proto;

/// Turns messages of one type into bytes and back.
///
/// It runs outside every lock, on the task or thread of whoever sends or receives.
pub trait Codec<T>: Send + Sync {
    /// Appends the message to `out`, which is empty.
    ///
    /// # Errors
    /// When the message has no form in this codec. The call goes on: the message was not sent.
    fn encode(&self, message: &T, out: &mut Vec<u8>) -> Result<(), Status>;

    /// Reads a message. `bytes` is a slice of a larger block: what is kept of it keeps the block.
    ///
    /// # Errors
    /// When it is none. The call ends with this status.
    fn decode(&self, bytes: Bytes) -> Result<T, Status>;

    /// The message as bytes, if it is held as such already: it is shared then, and not copied by
    /// [`encode`](Codec::encode).
    fn as_bytes<'a>(&self, message: &'a T) -> Option<&'a Bytes> {
        let _ = message;
        None
    }

    /// The same codec with other options, if it is one of JSON.
    #[cfg(feature = "json")]
    fn with_json(&self, options: crate::JsonOptions) -> Option<Arc<dyn Codec<T>>> {
        let _ = options;
        None
    }
}

/// The codec of raw bytes, which changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Codec<Bytes> for Identity {
    fn encode(&self, message: &Bytes, out: &mut Vec<u8>) -> Result<(), Status> {
        out.extend_from_slice(message);
        Ok(())
    }

    fn decode(&self, bytes: Bytes) -> Result<Bytes, Status> {
        Ok(bytes)
    }

    fn as_bytes<'a>(&self, message: &'a Bytes) -> Option<&'a Bytes> {
        Some(message)
    }
}

/// The codecs of a message type, by the name that a call carries: the part after `application/grpc+` or
/// `application/`, such as `proto` and `json`.
pub struct Codecs<T>(Arc<[Entry<T>]>);

/// A codec and its name; without one it serves every name.
type Entry<T> = (Option<Box<str>>, Arc<dyn Codec<T>>);

impl<T> Codecs<T> {
    /// One codec for calls of every name.
    pub fn any(codec: impl Codec<T> + 'static) -> Self {
        Self(Arc::new([(None, Arc::new(codec) as Arc<dyn Codec<T>>)]))
    }

    /// No codec yet: add some [`with`](Codecs::with) names.
    pub fn new() -> Self {
        Self(Arc::new([]))
    }

    /// Adds a codec for calls of this name.
    #[must_use]
    pub fn with(self, name: &str, codec: impl Codec<T> + 'static) -> Self {
        let added: Entry<T> = (Some(name.into()), Arc::new(codec));
        Self(self.0.iter().cloned().chain([added]).collect())
    }

    /// The names; `None`: one codec serves them all.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        self.0.iter().map(|(name, _)| name.as_deref()).collect()
    }

    /// The codec for calls of this name.
    ///
    /// # Errors
    /// `unimplemented` when there is none.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Codec<T>>, Status> {
        self.find(name).cloned()
    }

    /// Those of these names, in their order.
    pub(crate) fn only(&self, names: &[Box<str>]) -> Self {
        let named = |name: &str| Some((Some(name.into()), self.get(name).ok()?));
        Self(names.iter().filter_map(|name| named(name)).collect())
    }

    /// The codec at a place that was found before.
    #[inline]
    pub(crate) fn at(&self, at: usize) -> Option<&Arc<dyn Codec<T>>> {
        self.0.get(at).map(|(_, codec)| codec)
    }

    /// As [`get`](Codecs::get), lent.
    #[inline]
    pub(crate) fn find(&self, name: &str) -> Result<&Arc<dyn Codec<T>>, Status> {
        let found = self.0.iter().find(|(known, _)| known.as_deref().is_none_or(|known| known == name));
        match found {
            Some((_, codec)) => Ok(codec),
            None => Err(self.unknown(name)),
        }
    }

    #[cold]
    fn unknown(&self, name: &str) -> Status {
        let there = self.names().unwrap_or_default().join(", ");
        let feature = if name == "json" && !cfg!(feature = "json") { ": its feature is off" } else { "" };
        Status::unimplemented(format!("the method has no codec of this name{feature} (there are: {there})"))
    }
}

impl<T> Default for Codecs<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Codecs<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> core::fmt::Debug for Codecs<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Codecs<Bytes> {
    /// Raw bytes under every name.
    pub fn raw() -> Self {
        Self::any(Identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_found_by_name() {
        let none = Codecs::<Bytes>::new();
        assert!(none.get("proto").is_err());
        let json = none.with("json", Identity);
        assert!(json.get("json").is_ok());
        let status = json.get("proto").err().expect("there is none");
        assert_eq!(status.message(), "the method has no codec of this name (there are: json)");
        assert!(Codecs::raw().get("anything").is_ok());
    }
}
