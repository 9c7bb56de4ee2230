//! Whether a request fits the method that its path names, and how it is refused.

use super::request::Verb;
use super::{Answer, Decision, ServerCall};
use crate::codec::grpc_status::push_metadata;
use crate::rpc::inbound::Framing;
use crate::rpc::protocol::ContentType;
use crate::rpc::{HttpVersion, Method, Protocol, Shape, Sink};
use crate::{Head, Status};

/// A refusal below the protocols: an HTTP status without a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// 404.
    NotFound,
    /// 405, with the verbs that are allowed.
    VerbNotAllowed { get: bool },
    /// 414.
    UrlTooLong,
    /// 415, with the types that are accepted.
    UnsupportedType(Method),
    /// 505; an HTTP/1.x connection closes after it.
    VersionNotSupported,
    /// The status of a code, for what is no call.
    Status(u16),
}

impl ServerCall {
    /// Checks the request against the method that its path names; `None`: there is no such method. `false`: the call is
    /// answered already, with a refusal that [`flush`](ServerCall::flush) sends. Without this method the shape of the call
    /// is what its content-type tells.
    ///
    /// | refused | Connect | gRPC and gRPC-Web | no protocol |
    /// |---|---|---|---|
    /// | no such method | 404 | UNIMPLEMENTED | 404 |
    /// | HTTP cannot carry it (gRPC without trailers; full duplex only) | 505 | 505 | 505 |
    /// | verb | 405 + Allow | 405 + Allow | 405 + Allow |
    /// | content-type does not fit the shape, or is of a protocol that is [off](Method::protocols) or of none | 415 + Accept-Post | | 415 + Accept-Post |
    /// | codec | 415 + Accept-Post | UNIMPLEMENTED | |
    pub fn route(&mut self, method: Option<&Method>) -> bool {
        if self.answer != Answer::Fresh {
            return false;
        }
        let decision = match method {
            Some(method) => {
                self.shape = Some(method.shape);
                self.inbound.max = self.inbound.max.min(method.max_receive);
                self.check(*method)
            }
            None => Some(self.unknown_method()),
        };
        match decision {
            Some(decision) => {
                self.refuse(decision);
                false
            }
            None => true,
        }
    }

    /// Takes the request as its protocol tells it, for a method that nobody here knows: [`shape`](ServerCall::shape). As
    /// [`route`](ServerCall::route), it answers what is no call.
    pub fn route_any(&mut self) -> bool {
        if self.answer != Answer::Fresh {
            return false;
        }
        if self.head.protocol.is_none() || !self.carried() {
            let decision = if self.head.protocol.is_none() {
                self.unknown_method()
            } else {
                Decision::Refusal(Refusal::VersionNotSupported)
            };
            self.refuse(decision);
            return false;
        }
        true
    }

    /// The shape of the method, or as much of it as the protocol tells: one message each way in Connect's unary calls,
    /// and perhaps more in all others.
    pub fn shape(&self) -> Shape {
        let told = if self.head.framing == Framing::Bare { Shape::Unary } else { Shape::Bidi };
        self.shape.unwrap_or(told)
    }

    /// The method has no such codec: answers as [`route`](ServerCall::route) does for one that the config does not know.
    pub fn refuse_codec(&mut self, method: &Method) {
        self.refuse(self.unknown_codec(*method));
    }

    fn unknown_codec(&self, method: Method) -> Decision {
        match self.head.protocol {
            None | Some(Protocol::Connect) => Decision::Refusal(Refusal::UnsupportedType(method)),
            Some(_) => Decision::Status(Status::unimplemented("the codec of the request is not supported")),
        }
    }

    fn unknown_method(&self) -> Decision {
        match self.head.protocol {
            None | Some(Protocol::Connect) => Decision::Refusal(Refusal::NotFound),
            Some(_) if !self.carried() => Decision::Refusal(Refusal::VersionNotSupported),
            Some(_) => Decision::Status(Status::unimplemented("there is no such method")),
        }
    }

    /// gRPC needs trailers: over HTTP/1.x they are not sure to arrive.
    fn carried(&self) -> bool {
        self.head.protocol != Some(Protocol::Grpc) || self.caps.trailers
    }

    fn check(&self, method: Method) -> Option<Decision> {
        let refusal = Decision::Refusal;
        if !self.carried() || method.full_duplex_only && !self.caps.full_duplex {
            return Some(refusal(Refusal::VersionNotSupported));
        }
        let allows_get = method.allows_get() && method.protocols.contains(Protocol::Connect);
        match self.head.verb {
            Verb::Post => {}
            Verb::Get if allows_get => {}
            Verb::Get | Verb::Other => return Some(refusal(Refusal::VerbNotAllowed { get: allows_get })),
        }
        let unsupported = Some(refusal(Refusal::UnsupportedType(method)));
        let Some(protocol) = self.head.protocol else { return unsupported };
        let bare = self.head.framing == Framing::Bare;
        let fits = protocol != Protocol::Connect || bare == (method.shape == Shape::Unary);
        if !fits || !method.protocols.contains(protocol) {
            return unsupported;
        }
        if self.head.codec.is_empty() || !self.config.knows_codec(&self.head.codec) {
            return Some(self.unknown_codec(method));
        }
        None
    }

    /// Sends a refusal.
    pub(super) fn put_refusal(&mut self, refusal: Refusal, out: &mut impl Sink) {
        let mut head = Head::response(match refusal {
            Refusal::NotFound => 404,
            Refusal::VerbNotAllowed { .. } => 405,
            Refusal::UrlTooLong => 414,
            Refusal::UnsupportedType(_) => 415,
            Refusal::VersionNotSupported => 505,
            Refusal::Status(status) => status,
        });
        match refusal {
            Refusal::VerbNotAllowed { get } => {
                head.fields.push("allow", if get { b"GET, POST" } else { b"POST" });
            }
            Refusal::UnsupportedType(method) => {
                head.fields.push("accept-post", self.accepted_types(method).as_bytes());
            }
            Refusal::VersionNotSupported if self.caps.version < HttpVersion::Http2 => {
                head.fields.push("connection", b"close");
            }
            _ => {}
        }
        // These two have no body, and so no length of one (RFC 9110 §8.6).
        if !matches!(head.status(), 204 | 304) {
            head.fields.push("content-length", b"0");
        }
        push_metadata(self.output.extra(), &mut head.fields);
        out.head(&head, true);
    }

    /// The content-types that a method takes here.
    fn accepted_types(&self, method: Method) -> String {
        let common = ["proto", "json"].map(Box::from);
        let codecs = if self.config.codecs.is_empty() { &common[..] } else { &self.config.codecs };
        let mut types = String::new();
        let mut add = |protocol, enveloped, codec: &str| {
            if !types.is_empty() {
                types.push_str(", ");
            }
            ContentType::print(protocol, enveloped, codec, &mut types);
        };
        if method.protocols.contains(Protocol::Connect) {
            for codec in codecs {
                add(Protocol::Connect, method.shape != Shape::Unary, codec);
            }
        }
        for protocol in [Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText] {
            let carried = protocol != Protocol::Grpc || self.caps.trailers;
            if !carried || !method.protocols.contains(protocol) {
                continue;
            }
            for codec in codecs {
                add(protocol, true, codec);
            }
        }
        types
    }
}
