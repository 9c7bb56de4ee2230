//! What an application sends and receives beside its messages.

use crate::Fields;

/// What an application sends and receives beside its messages: headers or trailers without the protocol's own.
///
/// Values of names that end in `-bin` are bytes and travel as base64; all others are printable ASCII. The names
/// and values are held as they travel.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(Fields);

impl Metadata {
    /// Empty metadata, without memory.
    pub const fn new() -> Self {
        Self(Fields::new())
    }

    /// Takes fields as they travel.
    pub fn from_fields(fields: Fields) -> Self {
        Self(fields)
    }

    /// The fields as they travel.
    pub fn as_fields(&self) -> &Fields {
        &self.0
    }

    /// The fields as they travel, to change.
    pub fn as_fields_mut(&mut self) -> &mut Fields {
        &mut self.0
    }
}

impl core::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.0, f)
    }
}
