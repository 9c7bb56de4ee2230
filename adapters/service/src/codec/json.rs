//! Messages of prost in canonical proto3 JSON.

use std::sync::OnceLock;

use antiphon::Status;
use bytes::Bytes;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};

use crate::{Codec, Schema};

/// The codec `json`: messages of prost in canonical proto3 JSON, by their schema.
#[derive(Debug)]
pub struct Json {
    schema: &'static Schema,
    name: Box<str>,
    options: JsonOptions,
    descriptor: OnceLock<MessageDescriptor>,
}

/// How messages are read from JSON and written to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct JsonOptions {
    /// Ignore fields and names of enum values that the schema does not know, and do not refuse them. Default `false`.
    pub ignore_unknown: bool,
    /// Write fields that have their default value as well. Default `false`.
    pub write_defaults: bool,
}

impl JsonOptions {
    /// The strict defaults, with fields and enum values that the schema does not know ignored.
    pub const fn lenient() -> Self {
        Self { ignore_unknown: true, write_defaults: false }
    }
}

impl Json {
    /// The codec of the message type with this full name, strict.
    pub fn new(schema: &'static Schema, name: &str) -> Self {
        Self { schema, name: name.into(), options: JsonOptions::default(), descriptor: OnceLock::new() }
    }

    /// With these options.
    #[must_use]
    pub fn options(mut self, options: JsonOptions) -> Self {
        self.options = options;
        self
    }

    fn descriptor(&self) -> Result<&MessageDescriptor, Status> {
        match self.descriptor.get() {
            Some(known) => Ok(known),
            None => {
                let found = self.schema.message(&self.name)?;
                Ok(self.descriptor.get_or_init(|| found))
            }
        }
    }
}

impl<T: prost::Message + Default> Codec<T> for Json {
    fn encode(&self, message: &T, out: &mut Vec<u8>) -> Result<(), Status> {
        let mut dynamic = DynamicMessage::new(self.descriptor()?.clone());
        let unfit = |error| Status::internal("the message is not of its schema's type").with_source(error);
        dynamic.transcode_from(message).map_err(unfit)?;
        let options = SerializeOptions::new().skip_default_fields(!self.options.write_defaults);
        dynamic
            .serialize_with_options(&mut serde_json::Serializer::new(out), &options)
            .map_err(|error| Status::internal(format!("the message has no JSON: {error}")).with_source(error))
    }

    fn decode(&self, bytes: Bytes) -> Result<T, Status> {
        let refuse = |error: serde_json::Error| {
            Status::invalid_argument(format!("the message cannot be read: {error}")).with_source(error)
        };
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let options = DeserializeOptions::new().deny_unknown_fields(!self.options.ignore_unknown);
        let dynamic =
            DynamicMessage::deserialize_with_options(self.descriptor()?.clone(), &mut reader, &options)
                .map_err(refuse)?;
        reader.end().map_err(refuse)?;
        dynamic.transcode_to().map_err(|error| {
            Status::internal("the schema's type is not that of the message").with_source(error)
        })
    }
}
