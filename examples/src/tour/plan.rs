//! What the tour visits.

use antiphon_service::{HttpVersion, Protocol};

/// One connection: a protocol over a version of HTTP, and the calls that are made on it.
#[derive(Clone, Copy, Debug)]
pub struct Chapter {
    /// The protocol of its calls.
    pub protocol: Protocol,
    /// The version of HTTP below.
    pub version: HttpVersion,
    /// The codec of the messages.
    pub codec: &'static str,
    /// The calls, in order.
    pub kinds: &'static [Kind],
}

/// One stop of the tour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One message each way.
    Unary,
    /// The same by GET.
    Get,
    /// One message there, three back.
    ServerStream,
    /// Three messages there, one back.
    ClientStream,
    /// Each message comes back at once; over HTTP/1.1 after the last has been said.
    Bidi,
    /// A call that the server refuses, with a typed detail.
    Refused,
    /// A call whose time is up before the answer is there.
    Deadline,
    /// A call that the client gives up in the middle of the answer.
    Cancel,
}

/// All of the tour.
pub const CHAPTERS: &[Chapter] = {
    use Kind::{Bidi, Cancel, ClientStream, Deadline, Get, Refused, ServerStream, Unary};
    &[
        Chapter {
            protocol: Protocol::Connect,
            version: HttpVersion::Http2,
            codec: "json",
            kinds: &[Unary, Get, ServerStream, ClientStream, Bidi, Refused],
        },
        Chapter {
            protocol: Protocol::Grpc,
            version: HttpVersion::Http2,
            codec: "proto",
            kinds: &[Unary, ServerStream, ClientStream, Bidi, Refused, Deadline, Cancel],
        },
        Chapter {
            protocol: Protocol::GrpcWeb,
            version: HttpVersion::Http2,
            codec: "proto",
            kinds: &[Unary, ServerStream, ClientStream, Bidi],
        },
        Chapter {
            protocol: Protocol::Connect,
            version: HttpVersion::Http11,
            codec: "json",
            kinds: &[Unary, Get, ServerStream, ClientStream, Bidi],
        },
        Chapter {
            protocol: Protocol::GrpcWeb,
            version: HttpVersion::Http11,
            codec: "proto",
            kinds: &[Unary, ServerStream, ClientStream, Bidi],
        },
    ]
};

impl Chapter {
    /// The protocol's name.
    pub fn protocol(&self) -> &'static str {
        match self.protocol {
            Protocol::Connect => "Connect",
            Protocol::Grpc => "gRPC",
            Protocol::GrpcWeb => "gRPC-Web",
            Protocol::GrpcWebText => "gRPC-Web text",
        }
    }

    /// What to look out for.
    pub fn about(&self) -> &'static str {
        match (self.protocol, self.version) {
            (Protocol::Connect, HttpVersion::Http2) => {
                "A unary call is plain HTTP: no envelope, trailers as headers, an error as JSON under an HTTP status.\n\
                 A stream puts each message into an envelope: a byte of flags, four of length. The envelope with flag\n\
                 02 ends the stream and holds the trailers."
            }
            (Protocol::Grpc, _) => {
                "Every message is in an envelope, unary or not. The HTTP status is 200 whatever happens; how the call\n\
                 ended is in the trailers."
            }
            (_, HttpVersion::Http2) => {
                "As gRPC, but no browser shows HTTP trailers to a page: they are the last envelope of the body, with\n\
                 flag 80."
            }
            (Protocol::Connect, _) => {
                "The same over HTTP/1.1: one call after the other; a stream travels in chunks, unless all of it is there\n\
                 at once. Nothing is said while the other side speaks: bidi is half-duplex."
            }
            _ => "The same over HTTP/1.1.",
        }
    }

    /// The name of the version of HTTP.
    pub fn version(&self) -> &'static str {
        if self.version == HttpVersion::Http2 { "HTTP/2" } else { "HTTP/1.1" }
    }
}

impl Kind {
    /// What is shown here, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Unary => "unary: one message each way",
            Self::Get => "unary by GET: no side effects, so caches may answer",
            Self::ServerStream => "server stream: one message there, three back",
            Self::ClientStream => "client stream: three messages there, one back",
            Self::Bidi => "bidi: a conversation",
            Self::Refused => "an error, with a typed detail",
            Self::Deadline => "a deadline: 100 ms for what takes a second",
            Self::Cancel => "a cancel: enough after the first of a thousand messages",
        }
    }

    /// The name of the shape, for the table.
    pub fn shape(self) -> &'static str {
        match self {
            Self::Unary | Self::Refused | Self::Deadline => "unary",
            Self::Get => "unary GET",
            Self::ServerStream | Self::Cancel => "server stream",
            Self::ClientStream => "client stream",
            Self::Bidi => "bidi",
        }
    }
}
