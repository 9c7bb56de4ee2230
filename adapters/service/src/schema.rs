//! What is known of the messages of a `.proto` file when the program runs.

#[cfg(feature = "json")]
use std::sync::{OnceLock, PoisonError, RwLock};

#[cfg(feature = "json")]
use antiphon::Status;
#[cfg(feature = "json")]
use prost_reflect::{DescriptorPool, MessageDescriptor};

#[cfg(feature = "proto")]
use crate::{Codecs, MethodCodecs};

/// The schema of a `.proto` file: its descriptor and those of everything that it imports, as bytes of
/// `google.protobuf.FileDescriptorSet`. Generated code has one for each package.
///
/// It costs nothing until it is asked: the set is read once, at the first message in JSON. A set that cannot be used
/// fails the calls that need it with a status that says what to do, and nothing else.
///
/// ```
/// use antiphon_service::Schema;
///
/// static SCHEMA: Schema = Schema::new(b"");
/// assert!(SCHEMA.file_descriptor_set().is_empty());
/// ```
pub struct Schema {
    set: &'static [u8],
    #[cfg(feature = "json")]
    pool: OnceLock<Result<DescriptorPool, Status>>,
}

impl Schema {
    /// A schema out of an encoded `google.protobuf.FileDescriptorSet`, imports included, imported files first.
    pub const fn new(file_descriptor_set: &'static [u8]) -> Self {
        Self {
            set: file_descriptor_set,
            #[cfg(feature = "json")]
            pool: OnceLock::new(),
        }
    }

    /// The encoded `google.protobuf.FileDescriptorSet`.
    pub const fn file_descriptor_set(&self) -> &'static [u8] {
        self.set
    }

    /// The codecs of a message type: `proto`, and with the feature `json` also `json`. `name` is the type's full name in
    /// the schema, such as `feed.v1.Event`, without a dot in front.
    ///
    /// Nothing is read here. A name that the schema does not know fails the calls in JSON.
    #[cfg(feature = "proto")]
    pub fn codecs<T: prost::Message + Default + 'static>(&'static self, name: &str) -> Codecs<T> {
        self.register();
        let codecs = Codecs::new().with("proto", crate::Proto);
        #[cfg(feature = "json")]
        let codecs = codecs.with("json", crate::Json::new(self, name));
        #[cfg(not(feature = "json"))]
        let _ = name;
        codecs
    }

    /// The [codecs](Schema::codecs) of a method's request and response, by their full names.
    #[cfg(feature = "proto")]
    pub fn method<I, O>(&'static self, request: &str, response: &str) -> MethodCodecs<I, O>
    where
        I: prost::Message + Default + 'static,
        O: prost::Message + Default + 'static,
    {
        MethodCodecs { request: self.codecs(request), response: self.codecs(response) }
    }

    /// Makes the types of the schema known to JSON in the whole program: those that stand in a `google.protobuf.Any`
    /// are looked for in the schema of the message around it, and then in all that are registered, first come first.
    /// Asking for [codecs](Schema::codecs) registers a schema too; the second time it does nothing.
    pub fn register(&'static self) {
        #[cfg(feature = "json")]
        {
            let known = |all: &[&'static Schema]| all.iter().any(|other| core::ptr::eq(*other, self));
            if known(&REGISTERED.read().unwrap_or_else(PoisonError::into_inner)) {
                return;
            }
            let mut all = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
            if !known(&all) {
                all.push(self);
            }
        }
    }

    /// The schema read, once.
    ///
    /// # Errors
    /// `internal`, which says why the set cannot be used and what to do.
    #[cfg(feature = "json")]
    pub(crate) fn pool(&self) -> Result<&DescriptorPool, Status> {
        self.pool.get_or_init(|| read(self.set)).as_ref().map_err(Clone::clone)
    }

    /// A message type by its full name.
    ///
    /// # Errors
    /// As [`pool`](Schema::pool), and when there is none of this name.
    #[cfg(feature = "json")]
    pub(crate) fn message(&self, name: &str) -> Result<MessageDescriptor, Status> {
        self.pool()?.get_message_by_name(name).ok_or_else(|| {
            Status::internal(format!(
                "the schema has no message {name}: generate the code and its descriptor set from the same files"
            ))
        })
    }
}

/// The schemas of the program, for messages in a `google.protobuf.Any`.
#[cfg(feature = "json")]
static REGISTERED: RwLock<Vec<&'static Schema>> = RwLock::new(Vec::new());

/// A message type by its full name in any schema that is registered and can be used.
#[cfg(feature = "json")]
pub(crate) fn find_registered(name: &str) -> Option<MessageDescriptor> {
    let all = REGISTERED.read().unwrap_or_else(PoisonError::into_inner).clone();
    all.iter().find_map(|schema| schema.pool().ok()?.get_message_by_name(name))
}

impl core::fmt::Debug for Schema {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Schema({} bytes)", self.set.len())
    }
}

/// As much of a `google.protobuf.FileDescriptorSet` as says whether the rest can be understood.
#[cfg(feature = "json")]
mod outline {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Set {
        #[prost(message, repeated, tag = "1")]
        pub(super) file: Vec<File>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct File {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, optional, tag = "12")]
        pub(super) syntax: Option<String>,
        /// `google.protobuf.Edition`.
        #[prost(int32, optional, tag = "14")]
        pub(super) edition: Option<i32>,
    }
}

#[cfg(feature = "json")]
fn read(set: &[u8]) -> Result<DescriptorPool, Status> {
    use prost::Message;

    const REMEDY: &str = "generate it again with antiphon-build or protoc-gen-antiphon, imports included";
    let outline = outline::Set::decode(set).map_err(|error| {
        Status::internal(format!("the schema is no FileDescriptorSet: {REMEDY}")).with_source(error)
    })?;
    for file in &outline.file {
        // Features of an edition change what a field's JSON is; the reflection library knows none of them.
        if file.edition.is_some() || !matches!(file.syntax.as_deref(), None | Some("" | "proto2" | "proto3"))
        {
            return Err(Status::internal(format!(
                "{} is written in an edition of protobuf, which JSON is not supported for: write it in \
                 proto3 or proto2, or call with the codec proto",
                file.name
            )));
        }
    }
    // The library trusts that a set is sound in itself.
    let read = std::panic::catch_unwind(|| DescriptorPool::decode(set));
    match read {
        Ok(Ok(pool)) => Ok(pool),
        Ok(Err(error)) => {
            Err(Status::internal(format!("the schema is broken: {error}; {REMEDY}")).with_source(error))
        }
        Err(_) => Err(Status::internal(format!("the schema is broken; {REMEDY}"))),
    }
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use super::*;
    use prost::Message;

    fn leak(set: &outline::Set) -> &'static [u8] {
        Vec::leak(set.encode_to_vec())
    }

    fn file(syntax: &str, edition: Option<i32>) -> outline::File {
        outline::File { name: "a.proto".to_owned(), syntax: Some(syntax.to_owned()), edition }
    }

    // Design: a broken set is told as a status at first use, and never panics.
    #[test]
    fn a_set_that_cannot_be_used_says_what_to_do() {
        let broken = Schema::new(b"\xff\xff");
        let status = broken.message("a.B").unwrap_err();
        assert_eq!(status.code(), antiphon::Code::Internal);
        assert!(status.message().contains("antiphon-build"), "{status}");

        for edition in [file("editions", Some(1000)), file("proto9", None)] {
            let schema = Schema::new(leak(&outline::Set { file: vec![edition] }));
            let status = schema.message("a.B").unwrap_err();
            assert!(status.message().contains("a.proto is written in an edition"), "{status}");
        }

        let sound = Schema::new(leak(&outline::Set { file: vec![file("proto3", None)] }));
        let status = sound.message("a.B").unwrap_err();
        assert!(status.message().contains("no message a.B"), "{status}");
    }
}
