//! Messages of prost in their binary form.

use antiphon::Status;
use bytes::Bytes;

use crate::{Codec, Codecs};

/// The codec `proto`: messages of prost in their binary form.
///
/// Fields are written in the order of their numbers, so equal messages have equal bytes; but for maps that prost keeps
/// in a `HashMap`. Whoever needs the same bytes each time (Connect GET, so that caches find them) has maps generated
/// as `BTreeMap`.
///
/// Bytes fields of type [`Bytes`] are slices of what was received, and keep it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proto;

impl<T: prost::Message + Default> Codec<T> for Proto {
    /// # Errors
    /// `internal` for a message whose length does not fit the address space.
    fn encode(&self, message: &T, out: &mut Vec<u8>) -> Result<(), Status> {
        message
            .encode(out)
            .map_err(|error| Status::internal("the message cannot be encoded").with_source(error))
    }

    /// # Errors
    /// `invalid_argument` for bytes that are no message of this type.
    fn decode(&self, bytes: Bytes) -> Result<T, Status> {
        T::decode(bytes).map_err(|error| {
            Status::invalid_argument(format!("the message cannot be decoded: {error}")).with_source(error)
        })
    }
}

impl<T: prost::Message + Default + 'static> Codecs<T> {
    /// The codec `proto` alone: for messages without a schema.
    pub fn proto() -> Self {
        Self::new().with("proto", Proto)
    }

    /// The codecs of a message type by its own full name in a schema: `proto`, and with the feature `json` also
    /// `json`. For types that do not know their name there is [`Schema::codecs`](crate::Schema::codecs).
    pub fn message(schema: &'static crate::Schema) -> Self
    where
        T: prost::Name,
    {
        schema.codecs(&T::full_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_back_or_refused() {
        let mut out = Vec::new();
        Codec::<String>::encode(&Proto, &"hello".to_owned(), &mut out).unwrap();
        assert_eq!(Codec::<String>::decode(&Proto, Bytes::from(out)).unwrap(), "hello");
        let status = Codec::<String>::decode(&Proto, Bytes::from_static(b"\x0a\x09x")).unwrap_err();
        assert_eq!(status.code(), antiphon::Code::InvalidArgument);
    }
}
