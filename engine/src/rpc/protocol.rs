//! Protocols, shapes of calls, and what an HTTP stack can carry.

/// One of the protocols, in the form in which it travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// Connect: unary calls as plain HTTP, streams in envelopes; never HTTP trailers.
    Connect,
    /// gRPC: envelopes, and the status in HTTP trailers.
    Grpc,
    /// gRPC-Web: as gRPC, with the trailers in the body.
    GrpcWeb,
    /// gRPC-Web whose body is base64 (`application/grpc-web-text`).
    GrpcWebText,
}

impl Protocol {
    /// Whether this is gRPC-Web, in either form.
    pub const fn is_web(self) -> bool {
        matches!(self, Self::GrpcWeb | Self::GrpcWebText)
    }
}

/// A set of protocols.
///
/// ```
/// use antiphon::rpc::{Protocol, Protocols};
///
/// let no_text = Protocols::ALL.without(Protocol::GrpcWebText);
/// assert!(no_text.contains(Protocol::GrpcWeb) && !no_text.contains(Protocol::GrpcWebText));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Protocols(u8);

impl Protocols {
    /// All of them.
    pub const ALL: Self = Self(0b1111);
    /// None of them.
    pub const NONE: Self = Self(0);

    const fn bit(protocol: Protocol) -> u8 {
        1 << protocol as u8
    }

    /// With this one as well.
    #[must_use]
    pub const fn with(self, protocol: Protocol) -> Self {
        Self(self.0 | Self::bit(protocol))
    }

    /// Without this one.
    #[must_use]
    pub const fn without(self, protocol: Protocol) -> Self {
        Self(self.0 & !Self::bit(protocol))
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether this one is in it.
    pub const fn contains(self, protocol: Protocol) -> bool {
        self.0 & Self::bit(protocol) != 0
    }
}

impl FromIterator<Protocol> for Protocols {
    fn from_iter<I: IntoIterator<Item = Protocol>>(protocols: I) -> Self {
        protocols.into_iter().fold(Self::NONE, Self::with)
    }
}

/// How many messages go each way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shape {
    /// One message each way.
    Unary,
    /// One message to the server, a stream back.
    ServerStream,
    /// A stream to the server, one message back.
    ClientStream,
    /// A stream each way.
    Bidi,
}

impl Shape {
    /// Whether the request is a stream.
    pub const fn takes_stream(self) -> bool {
        matches!(self, Self::ClientStream | Self::Bidi)
    }

    /// Whether the answer is a stream.
    pub const fn returns_stream(self) -> bool {
        matches!(self, Self::ServerStream | Self::Bidi)
    }

    /// The shape with these properties.
    pub const fn of(takes_stream: bool, returns_stream: bool) -> Self {
        match (takes_stream, returns_stream) {
            (false, false) => Self::Unary,
            (false, true) => Self::ServerStream,
            (true, false) => Self::ClientStream,
            (true, true) => Self::Bidi,
        }
    }
}

/// What must be known of a method to check a request against it, or to make one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Method {
    /// How many messages go each way.
    pub shape: Shape,
    /// The method changes nothing (`idempotency_level = NO_SIDE_EFFECTS`): a unary one may then be called by GET
    /// (Connect "Unary-Get-Request").
    pub no_side_effects: bool,
    /// Calling it twice is as good as once (`idempotency_level = IDEMPOTENT`, or no side effects). Nothing here depends
    /// on it: it is for those who decide whether a call may be tried again.
    pub idempotent: bool,
    /// Both sides must be able to talk at once: over HTTP/1.1 the method is answered 505 instead of half-duplex.
    pub full_duplex_only: bool,
    /// A server: the protocols that the method may be called by; by others it is answered 415. Default: all.
    pub protocols: Protocols,
    /// The largest message received, in bytes, where that is less than
    /// [`RpcConfig::max_receive`](super::RpcConfig::max_receive). Default: `usize::MAX`.
    pub max_receive: usize,
}

impl Method {
    /// A method with side effects that also works half-duplex.
    pub const fn new(shape: Shape) -> Self {
        Self {
            shape,
            no_side_effects: false,
            idempotent: false,
            full_duplex_only: false,
            protocols: Protocols::ALL,
            max_receive: usize::MAX,
        }
    }

    /// Says that the method changes nothing, so that calling it twice is as good as once.
    #[must_use]
    pub const fn without_side_effects(mut self) -> Self {
        self.no_side_effects = true;
        self.idempotent = true;
        self
    }

    /// Says that calling it twice is as good as once.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Whether the method may be called by GET.
    pub const fn allows_get(self) -> bool {
        self.no_side_effects && matches!(self.shape, Shape::Unary)
    }
}

/// A version of HTTP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
    /// HTTP/3.
    Http3,
}

/// What an HTTP stack can carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HttpCaps {
    /// Trailers after a body. gRPC needs them.
    pub trailers: bool,
    /// The answer may begin before the request is complete.
    pub full_duplex: bool,
    /// A request's body may be sent piece by piece.
    pub streaming_request: bool,
    /// The version of HTTP.
    pub version: HttpVersion,
}

impl HttpCaps {
    /// HTTP/1.1: streams of bytes, half-duplex, and trailers that nothing in between is sure to pass on.
    pub const HTTP1: Self =
        Self { trailers: false, full_duplex: false, streaming_request: true, version: HttpVersion::Http11 };
    /// HTTP/2: everything.
    pub const HTTP2: Self =
        Self { trailers: true, full_duplex: true, streaming_request: true, version: HttpVersion::Http2 };
    /// A browser's `fetch`: no trailers, no streaming request.
    pub const FETCH: Self =
        Self { trailers: false, full_duplex: false, streaming_request: false, version: HttpVersion::Http2 };

    /// Whether a call of this protocol and shape can be made over this stack. Half-duplex is enough for all of them
    /// (Connect and gRPC-Web over HTTP/1.1).
    pub const fn carries(self, protocol: Protocol, shape: Shape) -> bool {
        (self.trailers || !matches!(protocol, Protocol::Grpc))
            && (self.streaming_request || !shape.takes_stream())
    }
}

/// What a content-type says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ContentType<'a> {
    pub(crate) protocol: Protocol,
    /// Messages stand in envelopes (all but Connect unary).
    pub(crate) enveloped: bool,
    pub(crate) codec: &'a str,
}

impl<'a> ContentType<'a> {
    /// Reads a content-type; `None` when it is of no protocol. Parameters, such as a charset, are ignored, and letters
    /// may be of any case only where the protocols' documents write none (names are compared exactly).
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let value = core::str::from_utf8(value).ok()?;
        let value = value.split_once(';').map_or(value, |(value, _)| value).trim_ascii();
        let subtype = value.strip_prefix("application/")?;
        let (protocol, enveloped, codec) = if let Some(rest) = subtype.strip_prefix("grpc") {
            if let Some(rest) = rest.strip_prefix("-web-text") {
                (Protocol::GrpcWebText, true, plus_codec(rest)?)
            } else if let Some(rest) = rest.strip_prefix("-web") {
                (Protocol::GrpcWeb, true, plus_codec(rest)?)
            } else {
                (Protocol::Grpc, true, plus_codec(rest)?)
            }
        } else if let Some(codec) = subtype.strip_prefix("connect+") {
            (Protocol::Connect, true, codec)
        } else {
            (Protocol::Connect, false, subtype)
        };
        (!codec.is_empty()).then_some(Self { protocol, enveloped, codec })
    }

    /// Appends the content-type.
    pub(crate) fn print(protocol: Protocol, enveloped: bool, codec: &str, out: &mut String) {
        out.push_str(match (protocol, enveloped) {
            (Protocol::Connect, false) => "application/",
            (Protocol::Connect, true) => "application/connect+",
            (Protocol::Grpc, _) => "application/grpc+",
            (Protocol::GrpcWeb, _) => "application/grpc-web+",
            (Protocol::GrpcWebText, _) => "application/grpc-web-text+",
        });
        out.push_str(codec);
    }
}

/// What follows `application/grpc` and its relatives: nothing means `proto`; anything without a `+` is another type.
fn plus_codec(rest: &str) -> Option<&str> {
    if rest.is_empty() { Some("proto") } else { rest.strip_prefix('+') }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(Protocol, bool, &str)> {
        ContentType::parse(text.as_bytes()).map(|found| (found.protocol, found.enveloped, found.codec))
    }

    // gRPC PROTOCOL-HTTP2 "Content-Type"; PROTOCOL-WEB; Connect "Unary-Request", "Streaming-Request".
    #[test]
    fn content_types() {
        use Protocol::*;
        assert_eq!(parse("application/grpc"), Some((Grpc, true, "proto")));
        assert_eq!(parse("application/grpc+json"), Some((Grpc, true, "json")));
        assert_eq!(parse("application/grpc;charset=utf-8"), Some((Grpc, true, "proto")));
        assert_eq!(parse("application/grpc-web"), Some((GrpcWeb, true, "proto")));
        assert_eq!(parse("application/grpc-web+json"), Some((GrpcWeb, true, "json")));
        assert_eq!(parse("application/grpc-web-text"), Some((GrpcWebText, true, "proto")));
        assert_eq!(parse("application/grpc-web-text+proto"), Some((GrpcWebText, true, "proto")));
        assert_eq!(parse("application/connect+proto"), Some((Connect, true, "proto")));
        assert_eq!(parse("application/json; charset=utf-8"), Some((Connect, false, "json")));
        for other in [
            "",
            "text/html",
            "application/",
            "application/grpcfoo",
            "application/grpc+",
            "application/grpc-web-x",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(parse("application/connect+"), None);
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText] {
            let mut text = String::new();
            ContentType::print(protocol, true, "proto", &mut text);
            assert_eq!(parse(&text), Some((protocol, true, "proto")));
        }
    }

    // Design: gRPC over fetch fails at construction.
    #[test]
    fn stacks_carry_what_they_can() {
        assert!(HttpCaps::HTTP2.carries(Protocol::Grpc, Shape::Bidi));
        assert!(!HttpCaps::HTTP1.carries(Protocol::Grpc, Shape::Unary));
        assert!(HttpCaps::HTTP1.carries(Protocol::GrpcWeb, Shape::Bidi));
        assert!(HttpCaps::FETCH.carries(Protocol::Connect, Shape::ServerStream));
        assert!(!HttpCaps::FETCH.carries(Protocol::Connect, Shape::ClientStream));
    }
}
