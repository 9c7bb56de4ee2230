//! How a call failed.

use bytes::Bytes;

use crate::{Code, Metadata, Misuse};

/// How a call failed: what was said ([`code`](Status::code), [`message`](Status::message),
/// [`details`](Status::details), [`metadata`](Status::metadata)) and who ended it ([`ended`](Status::ended)).
///
/// One word wide; allocated only when something fails.
#[derive(Clone)]
pub struct Status(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    ended: EndedBy,
    unprocessed: bool,
    not_modified: bool,
    message: String,
    details: Vec<Detail>,
    metadata: Metadata,
    source: Option<std::sync::Arc<dyn std::error::Error + Send + Sync>>,
}

/// A typed error detail: a message of any type, encoded (`google.protobuf.Any`).
#[derive(Clone, PartialEq, Eq)]
pub struct Detail {
    /// The full name of the message type, such as `google.rpc.RetryInfo`, without a URL in front of it.
    pub type_name: String,
    /// The encoded message.
    pub value: Bytes,
}

impl Detail {
    /// A message as a detail, under its own name.
    pub fn from_message<M: prost::Message + prost::Name>(message: &M) -> Self {
        Self { type_name: M::full_name(), value: message.encode_to_vec().into() }
    }

    /// The message, if it is of this type; or why it could not be decoded.
    pub fn decode<M: prost::Message + prost::Name + Default>(&self) -> Option<Result<M, prost::DecodeError>> {
        (self.type_name == M::full_name()).then(|| M::decode(self.value.clone()))
    }
}

/// A message as a detail, under its own name.
impl<M: prost::Message + prost::Name> From<&M> for Detail {
    fn from(message: &M) -> Self {
        Self::from_message(message)
    }
}

/// The type and the length: a value may be a secret.
impl core::fmt::Debug for Detail {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Detail({:?}, {} bytes)", self.type_name, self.value.len())
    }
}

/// Who ended a call that did not end well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EndedBy {
    /// The peer said so, by a status of the protocol or by an HTTP status.
    Status,
    /// The call was cancelled; by the peer if there is a reset code.
    Cancel {
        /// The peer's HTTP/2 reset code.
        reset: Option<u32>,
    },
    /// The deadline passed.
    Deadline,
    /// The connection was lost.
    LostConnection,
    /// This side found a fault: a limit, a malformed message, or the application's own error.
    Locally,
    /// It ended well. No status has it but that of sending to a peer that has answered before the request was complete:
    /// the answer can still be read.
    Answer,
}

impl Status {
    /// A failure of this side, with a message for the developer at the other end.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            ended: EndedBy::Locally,
            unprocessed: false,
            not_modified: false,
            message: message.into(),
            details: Vec::new(),
            metadata: Metadata::default(),
            source: None,
        }))
    }

    /// The answer to a Connect GET whose client has the current one already: HTTP 304, of code [`Code::Unknown`] as a
    /// status. To any other request it is that failure.
    pub fn not_modified() -> Self {
        let mut status = Self::new(Code::Unknown, "not modified");
        status.0.not_modified = true;
        status
    }

    /// Says who ended the call.
    #[must_use]
    pub fn with_ended(mut self, ended: EndedBy) -> Self {
        self.0.ended = ended;
        self
    }

    /// Adds a typed detail: a [`Detail`], or a reference to any message that knows its name.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Detail>) -> Self {
        self.0.details.push(detail.into());
        self
    }

    /// Replaces the metadata: what the peer sent, or is to receive, beside the error.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.0.metadata = metadata;
        self
    }

    /// Keeps the error that caused this one. It stays on this side.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(std::sync::Arc::new(source));
        self
    }

    /// Says that the server never began the call.
    #[must_use]
    pub fn with_unprocessed(mut self) -> Self {
        self.0.unprocessed = true;
        self
    }

    /// What was said.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The message for a developer; may be empty.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The typed details.
    pub fn details(&self) -> &[Detail] {
        &self.0.details
    }

    /// The first detail of this type that can be decoded.
    pub fn detail<M: prost::Message + prost::Name + Default>(&self) -> Option<M> {
        self.details().iter().find_map(|detail| detail.decode::<M>()?.ok())
    }

    /// All details of this type that can be decoded.
    pub fn details_of<M: prost::Message + prost::Name + Default>(&self) -> impl Iterator<Item = M> + '_ {
        self.details().iter().filter_map(|detail| detail.decode::<M>()?.ok())
    }

    /// The metadata beside the error. A client: the trailers, behind the headers if the call has one answer and so no
    /// other place for them. A server: to be sent as trailers.
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The metadata beside the error, to add to.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.0.metadata
    }

    /// Who ended the call.
    pub fn ended(&self) -> EndedBy {
        self.0.ended
    }

    /// Whether the server certainly never began the call (a refused stream, above the last stream of a GOAWAY, or
    /// never sent): it is safe to try again.
    pub fn unprocessed(&self) -> bool {
        self.0.unprocessed
    }

    /// Whether the server said that what the client has is still current (HTTP 304).
    pub fn is_not_modified(&self) -> bool {
        self.0.not_modified
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {
        impl Status {
            $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self {
                Self::new(Code::$code, message)
            })*
        }
    };
}

constructors! {
    /// A failure of code [`Code::Canceled`].
    canceled => Canceled;
    /// A failure of code [`Code::Unknown`].
    unknown => Unknown;
    /// A failure of code [`Code::InvalidArgument`].
    invalid_argument => InvalidArgument;
    /// A failure of code [`Code::DeadlineExceeded`].
    deadline_exceeded => DeadlineExceeded;
    /// A failure of code [`Code::NotFound`].
    not_found => NotFound;
    /// A failure of code [`Code::AlreadyExists`].
    already_exists => AlreadyExists;
    /// A failure of code [`Code::PermissionDenied`].
    permission_denied => PermissionDenied;
    /// A failure of code [`Code::ResourceExhausted`].
    resource_exhausted => ResourceExhausted;
    /// A failure of code [`Code::FailedPrecondition`].
    failed_precondition => FailedPrecondition;
    /// A failure of code [`Code::Aborted`].
    aborted => Aborted;
    /// A failure of code [`Code::OutOfRange`].
    out_of_range => OutOfRange;
    /// A failure of code [`Code::Unimplemented`].
    unimplemented => Unimplemented;
    /// A failure of code [`Code::Internal`].
    internal => Internal;
    /// A failure of code [`Code::Unavailable`].
    unavailable => Unavailable;
    /// A failure of code [`Code::DataLoss`].
    data_loss => DataLoss;
    /// A failure of code [`Code::Unauthenticated`].
    unauthenticated => Unauthenticated;
}

/// A bug of the caller, seen from where only a status can be returned: [`Code::Internal`].
impl From<Misuse> for Status {
    fn from(misuse: Misuse) -> Self {
        Self::internal(misuse.to_string())
    }
}

/// Without details and metadata, which may hold secrets.
impl core::fmt::Debug for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Status")
            .field("code", &self.code())
            .field("message", &self.message())
            .field("ended", &self.ended())
            .field("details", &self.details().len())
            .finish_non_exhaustive()
    }
}

/// The code and the message. The message may be a peer's: control characters are escaped, so that it stays on its
/// line in a log.
impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.code())?;
        if !self.message().is_empty() {
            f.write_str(": ")?;
        }
        for character in self.message().chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                core::fmt::Write::write_char(f, character)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Status {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Hint {
        #[prost(string, tag = "1")]
        text: String,
    }

    impl prost::Name for Hint {
        const NAME: &'static str = "Hint";
        const PACKAGE: &'static str = "example";
    }

    #[test]
    fn details_are_found_by_type() {
        let hint = Hint { text: "later".to_owned() };
        let broken = Detail { type_name: "example.Hint".to_owned(), value: Bytes::from_static(b"\xff") };
        let foreign = Detail { type_name: "other.Hint".to_owned(), value: Bytes::new() };
        let status = Status::unavailable("").with_detail(foreign).with_detail(broken);
        assert_eq!(status.detail::<Hint>(), None);
        assert_eq!(status.with_detail(&hint).detail::<Hint>(), Some(hint.clone()));
        let twice = Status::unavailable("").with_detail(&hint).with_detail(&hint);
        assert_eq!(twice.details_of::<Hint>().count(), 2);
    }

    #[test]
    fn a_message_stays_on_its_line() {
        let status = Status::internal("a\r\nb\u{1b}[31m \u{e9}");
        assert_eq!(status.to_string(), "internal: a\\r\\nb\\u{1b}[31m \u{e9}");
        assert_eq!(Status::internal("").to_string(), "internal");
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut status =
            Status::internal("").with_detail(Detail::from_message(&Hint { text: "hunter2".to_owned() }));
        status.metadata_mut().append("x-key", "hunter2").unwrap();
        assert!(!format!("{status:?} {:?}", status.details()).contains("hunter2"));
    }

    #[test]
    fn a_status_is_one_word() {
        assert_eq!(size_of::<Option<Status>>(), size_of::<usize>());
    }
}
