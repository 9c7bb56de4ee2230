//! Messages of prost in canonical proto3 JSON.
//!
//! ```text
//!   bytes ──serde_json──► Node ──read──► wire form ──► T        text forms of timestamps and the like: wkt
//!   T ──► wire form ──write──► bytes
//! ```
//! The mapping is made here, on the descriptors of prost-reflect: its own takes a second value of a field for good, turns
//! 2^64 into 2^64 - 1 and a NaN in a wrapper into null, and panics where null is given for a repeated
//! `google.protobuf.Value`.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use antiphon::Status;
use bytes::Bytes;
use prost_reflect::{DescriptorPool, MessageDescriptor};

use crate::schema::find_registered;
use crate::{Codec, Schema};

mod node;
mod read;
mod wire;
mod wkt;
mod write;

/// How deep messages may stand in each other, those in `google.protobuf.Any` included: what prost and serde_json allow
/// as well.
const MAX_DEPTH: u32 = 100;

/// The codec `json`: messages of prost in canonical proto3 JSON (ProtoJSON), by their schema.
///
/// # What is read
/// - Strict: unknown fields and unknown names of enum values are refused, unless [told otherwise](JsonOptions), and so
///   are a field that is there twice, two fields of a oneof, and whatever does not fit its field.
/// - Fields by their JSON name or the one in the `.proto` file; enum values by name or number; integers as numbers or
///   strings, with an exponent too as long as the value is whole; bytes in base64 of either alphabet, padded or not;
///   `NaN`, `Infinity` and `-Infinity` as strings; `null` for a field that is not set.
/// - `google.protobuf.Any` by the schema, and then by those that are [registered](Schema::register).
/// - The error says where: `user.emails[2]: …`.
///
/// # What is written
/// Fields in the order of their numbers and maps in the order of their keys: equal messages have equal text. 64-bit
/// integers are strings. Fields that have their default value, and fields that the schema does not know, are left out.
#[derive(Clone, Debug)]
pub struct Json {
    schema: &'static Schema,
    name: Arc<str>,
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
    /// # Errors
    /// `internal` for a message that has no JSON, such as a timestamp after the year 9999, and for a schema that cannot
    /// be used.
    fn encode(&self, message: &T, out: &mut Vec<u8>) -> Result<(), Status> {
        write::message(self.descriptor()?, &message.encode_to_vec(), self.options, out)
            .map_err(|fault| Status::internal(format!("the message has no JSON: {fault}")))
    }

    /// # Errors
    /// `invalid_argument` for what is no message of this type; `internal` for a schema that cannot be used.
    fn decode(&self, bytes: Bytes) -> Result<T, Status> {
        let descriptor = self.descriptor()?;
        let refused = |fault| Status::invalid_argument(format!("the message cannot be read: {fault}"));
        let wire = {
            let node = serde_json::from_slice::<node::Node<'_>>(&bytes)
                .map_err(|error| refused(Fault::new(error)))?;
            read::message(descriptor, &node, self.options).map_err(refused)?
        };
        // What is wrong here is too deep, or another type.
        T::decode(Bytes::from(wire)).map_err(|error| {
            Status::invalid_argument(format!("the message cannot be read: {error}")).with_source(error)
        })
    }

    fn with_json(&self, options: JsonOptions) -> Option<Arc<dyn Codec<T>>> {
        Some(Arc::new(self.clone().options(options)))
    }
}

/// The message type inside an Any, and the type's full name.
fn any_type(pool: &DescriptorPool, url: &str) -> Result<MessageDescriptor, Fault> {
    let name = match url.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() => name,
        _ => {
            return Err(Fault::new(format_args!(
                "{:?} is no URL of a type, such as type.googleapis.com/a.B",
                short(url)
            )));
        }
    };
    pool.get_message_by_name(name)
        .or_else(|| find_registered(name))
        .ok_or_else(|| Fault::new(format_args!("no schema that is registered has the type {}", short(name))))
}

/// Types whose JSON in an Any stands in a field `value`, since it need not be an object of their fields.
fn has_own_form(name: &str) -> bool {
    matches!(
        name.strip_prefix("google.protobuf."),
        Some(
            "Any"
                | "Timestamp"
                | "Duration"
                | "FieldMask"
                | "Struct"
                | "Value"
                | "ListValue"
                | "Empty"
                | "DoubleValue"
                | "FloatValue"
                | "Int64Value"
                | "UInt64Value"
                | "Int32Value"
                | "UInt32Value"
                | "BoolValue"
                | "StringValue"
                | "BytesValue"
        )
    )
}

/// What is wrong, and where.
#[derive(Debug)]
struct Fault {
    /// From the inside out: `[2]`, `emails`, `user`.
    path: Vec<String>,
    rule: String,
}

impl Fault {
    /// Steps of the path that are told.
    const MOST_STEPS: usize = 16;

    fn new(rule: impl core::fmt::Display) -> Self {
        Self { path: Vec::new(), rule: rule.to_string() }
    }

    fn at(mut self, step: impl AsRef<str>) -> Self {
        self.path.push(short(step.as_ref()).into_owned());
        self
    }
}

/// A name that somebody else has chosen, short enough for an error: that travels in a header.
fn short(name: &str) -> Cow<'_, str> {
    const MOST: usize = 80;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", name.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(name),
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The innermost steps say most.
        let left_out = self.path.len().saturating_sub(Self::MOST_STEPS);
        if left_out > 0 {
            f.write_str("…")?;
        }
        for (at, step) in self.path.iter().rev().enumerate().skip(left_out) {
            let dot = if at > 0 && !step.starts_with('[') { "." } else { "" };
            write!(f, "{dot}{step}")?;
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.rule)
    }
}
