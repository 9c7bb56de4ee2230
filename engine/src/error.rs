//! Errors, split by whose fault they are.
//!
//! - [`Misuse`]: a bug of the caller. No peer can cause one.
//! - [`SendError`]: why a message was not taken; `Copy`, since nothing was taken.
//! - [`ConnectionError`]: the peer, a limit or the transport ended the connection. Sticky.
//! - A call that fails is no error at all: it ends, once, with an outcome.

/// A method was called in a way that no peer could cause: fix the calling code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The call's id is not known: it was dropped, or belongs to another connection.
    #[error("no such call: it was dropped, or the id is another connection's")]
    UnknownCall,
    /// Response headers were sent before and cannot be sent or changed now.
    #[error("the response headers have already been sent")]
    HeadersSent,
    /// This direction was closed before: nothing can follow.
    #[error("this direction of the call has already been closed")]
    AlreadyClosed,
    /// A call that takes one message was given a second.
    #[error("this direction of the call carries exactly one message")]
    OneMessageOnly,
    /// The direction was closed without the one message that the method demands.
    #[error("this direction of the call was closed without its message")]
    NoMessage,
    /// The operation does not exist at this end of the call, or before the request is known.
    #[error("the operation is not possible in this state of the call")]
    WrongState,
    /// A field name or value that may not be sent: for HTTP's own reasons, or for want of the one form that it has.
    #[error(
        "a metadata name or value may not be sent: names are of `0-9 a-z _ - .`; values are bytes where the name ends in \
         `-bin`, and otherwise printable ASCII"
    )]
    InvalidMetadata,
    /// A name of metadata that the protocols or HTTP use themselves, such as `grpc-timeout` or `content-type`.
    #[error("the metadata name belongs to the protocol, which sets it by itself: choose another")]
    ReservedMetadata,
    /// A client: a compression that the connection's configuration does not have.
    #[error(
        "the connection has no compression of this name: `RpcConfig::codings` gives it some, such as `Codings::all()`, and \
         each has a feature of its name"
    )]
    UnknownCoding,
    /// A path, authority or method that may not be sent.
    #[error("the path, authority or codec name is not valid")]
    InvalidTarget,
    /// The HTTP stack cannot carry this protocol or this shape of call.
    #[error(
        "this version of HTTP, or what carries it, cannot carry the call: gRPC needs the trailers of HTTP/2 (gRPC-Web and \
         Connect do not), and a client's stream a request that can be streamed"
    )]
    NotCarried,
    /// The message is larger than [`RpcConfig::max_send`](crate::rpc::RpcConfig::max_send).
    #[error("the message is larger than the configured limit for sending")]
    TooLarge,
    /// More bytes were released than are held.
    #[error("more bytes were released than were received")]
    OverRelease,
}

/// Why a message was not taken. Nothing was consumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The call's queue is at its limit; `Writable` follows.
    #[error("the send queue is full: wait for `Writable`")]
    Blocked,
    /// The call, or its sending direction, has ended; the reading side tells how.
    #[error("the peer or a deadline has ended the call: nothing more can be sent")]
    Ended,
    /// The caller's bug.
    #[error(transparent)]
    Misuse(#[from] Misuse),
}

/// Why a call was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// All slots for concurrent calls are taken; `Available` follows.
    #[error("the peer's limit of concurrent calls is reached: wait for `Available`")]
    Full,
    /// The connection takes no new calls: it drains or has ended. Use another one.
    #[error("the connection takes no new calls: open another one")]
    Closed,
    /// The caller's bug.
    #[error(transparent)]
    Misuse(#[from] Misuse),
}

/// Why the connection ended. Sticky: the same error is returned again by every later call.
///
/// What the peer must be told is already queued as output: flush it, then close the transport. No byte that a peer
/// sent is part of the text (nothing to inject into a log).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer broke HTTP/2; the code of our GOAWAY and the rule.
    #[error("HTTP/2 {code} error: {reason}")]
    Http2 {
        /// The error code that our GOAWAY carries (RFC 9113 §7).
        code: Http2Code,
        /// The rule that was broken.
        reason: &'static str,
    },
    /// The peer broke HTTP/1.1; the status we answered and the rule.
    #[error("HTTP/1.1 error {status}: {reason}")]
    Http1 {
        /// The status of the answer, or the one that would fit (at a client).
        status: u16,
        /// The rule that was broken.
        reason: &'static str,
    },
    /// The peer closed the connection by GOAWAY with an error.
    #[error("the peer closed the connection with HTTP/2 error code {0}")]
    PeerClosed(Http2Code),
    /// The transport failed, or ended where it may not.
    #[error("the connection was lost")]
    Lost,
    /// A time limit of the connection passed.
    #[error("the connection timed out: {0}")]
    TimedOut(&'static str),
    /// The local side aborted the connection.
    #[error("the connection was aborted locally")]
    Aborted,
}

/// An HTTP/2 error code (RFC 9113 §7), kept raw: unknown codes are legal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Http2Code(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Http2Code {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

codes! {
    /// Graceful end.
    NO_ERROR = 0x0;
    /// Protocol error.
    PROTOCOL_ERROR = 0x1;
    /// Implementation fault.
    INTERNAL_ERROR = 0x2;
    /// Flow-control limits exceeded.
    FLOW_CONTROL_ERROR = 0x3;
    /// Settings not acknowledged in time.
    SETTINGS_TIMEOUT = 0x4;
    /// Frame received on a closed stream.
    STREAM_CLOSED = 0x5;
    /// Frame size incorrect.
    FRAME_SIZE_ERROR = 0x6;
    /// Stream not processed.
    REFUSED_STREAM = 0x7;
    /// Stream cancelled.
    CANCEL = 0x8;
    /// Compression state not updated.
    COMPRESSION_ERROR = 0x9;
    /// TCP connection error for CONNECT.
    CONNECT_ERROR = 0xa;
    /// Processing capacity exceeded.
    ENHANCE_YOUR_CALM = 0xb;
    /// Negotiated TLS parameters not acceptable.
    INADEQUATE_SECURITY = 0xc;
    /// Use HTTP/1.1 for the request.
    HTTP_1_1_REQUIRED = 0xd;
}

impl core::fmt::Display for Http2Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:x}", self.0),
        }
    }
}

impl core::fmt::Debug for Http2Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
