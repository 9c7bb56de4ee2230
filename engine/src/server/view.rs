//! What a server's application sees of a call.

use crate::rpc::{HttpVersion, Messages, Protocol, ServerCall, Shape};
use crate::{Fields, Head, Instant, Metadata, Status};

/// The request of a call, borrowed from the connection.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) call: &'a ServerCall,
    pub(super) head: &'a Head,
    pub(super) version: HttpVersion,
}

impl<'a> Request<'a> {
    /// The protocol; `None` when no protocol claims the request. Such a one can be refused
    /// ([`route`](super::Connection::route) without a method) and no more.
    pub fn protocol(&self) -> Option<Protocol> {
        self.call.protocol()
    }

    /// The codec of the messages, such as `proto` or `json`.
    pub fn codec(&self) -> &'a str {
        self.call.codec()
    }

    /// The path without its query, undecoded: `/package.Service/Method`.
    pub fn path(&self) -> &'a str {
        self.call.path()
    }

    /// What the client sent beside its messages.
    pub fn metadata(&self) -> &'a Metadata {
        self.call.metadata()
    }

    /// The version of HTTP.
    pub fn version(&self) -> HttpVersion {
        self.version
    }

    /// When the client's patience, as clamped by the configuration, ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.call.deadline()
    }

    /// The verb, such as `POST`.
    pub fn verb(&self) -> &'a str {
        self.head.method()
    }

    /// Whether the request is a GET (Connect, methods without side effects).
    pub fn is_get(&self) -> bool {
        self.call.is_get()
    }

    /// The shape of the method, once the call is routed; before that, and without a method, as much of it as the protocol
    /// tells: [`Shape::Unary`] for Connect's unary calls and [`Shape::Bidi`] for all others.
    pub fn shape(&self) -> Shape {
        self.call.shape()
    }

    /// The authority that the client asked for: `:authority`, or `Host`.
    pub fn authority(&self) -> Option<&'a str> {
        self.head.authority()
    }

    /// All fields of the head as they came, those of the protocol included.
    pub fn fields(&self) -> &'a Fields {
        &self.head.fields
    }
}

/// What [`read`](super::Connection::read) gives.
#[derive(Clone, Debug)]
pub enum Read {
    /// A run of at least one message, to iterate, inflate and decode outside of any lock. Its credit is given back
    /// already.
    Messages(Messages),
    /// Nothing complete: a `Readable` follows.
    Pending,
    /// Nothing more will come.
    End(ReadEnd),
}

/// How the request ended.
#[derive(Clone, Debug)]
pub enum ReadEnd {
    /// The client has sent all: a clean half-close, and nothing else is one.
    HalfClosed,
    /// The call was cancelled: by the client with its raw HTTP/2 reset code, or on this side (`None`).
    Cancelled {
        /// The raw reset code.
        reset: Option<u32>,
    },
    /// The deadline passed.
    Deadline,
    /// The connection was lost.
    Lost,
    /// The request broke a limit or a rule of the protocol; the call has been answered with this status.
    Failed(Status),
    /// This side has finished the call, or stopped reading.
    Local,
}
