//! What a client asks for, and the head that says it.

use core::time::Duration;

use crate::codec::grpc_status::push_metadata;
use crate::codec::metadata::is_valid_name;
use crate::codec::timeout::{encode_connect, encode_grpc};
use crate::rpc::inbound::Framing;
use crate::rpc::protocol::ContentType;
use crate::rpc::{HttpCaps, Method, Protocol, RpcConfig, Shape};
use crate::{Head, Instant, Metadata, Misuse};

static NO_METADATA: Metadata = Metadata::new();

/// What a client asks for. Borrowed: a [`ClientCall`](super::ClientCall) copies what it needs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClientRequest<'a> {
    /// The protocol to speak.
    pub protocol: Protocol,
    /// The codec of the messages, such as `proto` or `json`.
    pub codec: &'a str,
    /// The method's shape, and whether it may be called by GET.
    pub method: Method,
    /// `http` or `https`. Default `http`.
    pub scheme: &'a str,
    /// The authority, such as `example.com:8080`. May be empty.
    pub authority: &'a str,
    /// The path: `/package.Service/Method`, with whatever stands in front of it, without a query.
    pub path: &'a str,
    /// The request's own headers. Default none.
    pub metadata: &'a Metadata,
    /// When the call is to be given up. Default never.
    pub deadline: Option<Instant>,
    /// The coding to compress messages with, out of [`RpcConfig::codings`]. Default none.
    pub coding: Option<&'a str>,
    /// Ask by GET if the method allows it, Connect is spoken and the URL is not too long. Default `false`.
    pub use_get: bool,
}

impl<'a> ClientRequest<'a> {
    /// A request with the defaults for everything else.
    pub fn new(
        protocol: Protocol,
        codec: &'a str,
        method: Method,
        authority: &'a str,
        path: &'a str,
    ) -> Self {
        Self {
            protocol,
            codec,
            method,
            scheme: "http",
            authority,
            path,
            metadata: &NO_METADATA,
            deadline: None,
            coding: None,
            use_get: false,
        }
    }

    /// With these headers.
    #[must_use]
    pub fn metadata(mut self, metadata: &'a Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// With this deadline.
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// With this scheme.
    #[must_use]
    pub fn scheme(mut self, scheme: &'a str) -> Self {
        self.scheme = scheme;
        self
    }

    /// With messages compressed by this coding.
    #[must_use]
    pub fn coding(mut self, coding: Option<&'a str>) -> Self {
        self.coding = coding;
        self
    }

    /// By GET where it is possible.
    #[must_use]
    pub fn use_get(mut self, use_get: bool) -> Self {
        self.use_get = use_get;
        self
    }

    pub(super) fn framing(&self) -> Framing {
        match self.protocol {
            Protocol::Connect if self.method.shape == Shape::Unary => Framing::Bare,
            Protocol::GrpcWebText => Framing::Text,
            _ => Framing::Envelopes,
        }
    }

    /// Whether this can be sent at all.
    pub(super) fn check(&self, caps: HttpCaps) -> Result<(), Misuse> {
        // All bytes are looked at, whatever is found: that is faster than to stop.
        let printable = |text: &str| {
            text.bytes().fold(true, |fits, byte| fits & (byte.wrapping_sub(b'!') <= b'~' - b'!'))
        };
        let path = self.path.starts_with('/')
            && printable(self.path)
            && !self.path.bytes().fold(false, |found, byte| found | (byte == b'?') | (byte == b'#'));
        let codec = is_valid_name(self.codec) && self.codec != "grpc" && !self.codec.starts_with("grpc-");
        if !path || !codec || !printable(self.authority) || !matches!(self.scheme, "http" | "https") {
            return Err(Misuse::InvalidTarget);
        }
        if !caps.carries(self.protocol, self.method.shape)
            || self.method.full_duplex_only && !caps.full_duplex
        {
            return Err(Misuse::NotCarried);
        }
        Ok(())
    }

    /// Writes the head, without a timeout. That of a Connect unary request lacks what depends on its message (see
    /// `half_close`).
    fn write_head(&self, config: &RpcConfig, content_type: &str, head: &mut Head) {
        head.clear();
        head.set_request("POST", self.scheme, self.authority, self.path);
        let fields = &mut head.fields;
        let codings = config.codings.names();
        if self.protocol == Protocol::Connect {
            let bare = self.framing() == Framing::Bare;
            if !bare {
                fields.push("content-type", content_type.as_bytes());
                fields.push("connect-protocol-version", b"1");
                if let Some(coding) = self.coding {
                    fields.push("connect-content-encoding", coding.as_bytes());
                }
            }
            if !codings.is_empty() {
                let name = if bare { "accept-encoding" } else { "connect-accept-encoding" };
                fields.push(name, codings.as_bytes());
            }
        } else {
            match self.protocol {
                Protocol::Grpc => fields.push("te", b"trailers"),
                Protocol::GrpcWebText => {
                    fields.push("x-grpc-web", b"1");
                    fields.push("accept", b"application/grpc-web-text");
                }
                _ => fields.push("x-grpc-web", b"1"),
            }
            fields.push("content-type", content_type.as_bytes());
            if let Some(coding) = self.coding {
                fields.push("grpc-encoding", coding.as_bytes());
            }
            if !codings.is_empty() {
                fields.push("grpc-accept-encoding", codings.as_bytes());
            }
        }
        let agent = config.agent(self.protocol);
        if !agent.is_empty() && !self.metadata.contains("user-agent") {
            fields.push("user-agent", agent.as_bytes());
        }
        push_metadata(self.metadata, fields);
    }

    pub(super) fn write_content_type(&self, out: &mut String) {
        out.clear();
        // The oldest servers know no `+proto` of gRPC: what they know means the same.
        if self.protocol == Protocol::Grpc && self.codec == "proto" {
            out.push_str("application/grpc");
        } else {
            ContentType::print(self.protocol, self.framing() != Framing::Bare, self.codec, out);
        }
    }
}

/// What was asked for last, and the head that said it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// What the HTTP stack could carry; `None`: nothing was asked for yet.
    caps: Option<HttpCaps>,
    metadata: Metadata,
    /// The head without a timeout, and of a Connect unary request without what depends on its message.
    pub(super) head: Head,
}

impl Asked {
    /// Whether this request, of the same protocol, codec, coding and config, has the same head.
    pub(super) fn is_alike(&self, request: &ClientRequest<'_>, caps: HttpCaps) -> bool {
        let [_, scheme, authority, path] = self.head.control_bytes();
        self.caps == Some(caps)
            && path == request.path.as_bytes()
            && authority == request.authority.as_bytes()
            && scheme == request.scheme.as_bytes()
            && self.metadata == *request.metadata
    }

    /// Takes note of a request that has been checked.
    pub(super) fn remember(
        &mut self,
        request: &ClientRequest<'_>,
        caps: HttpCaps,
        config: &RpcConfig,
        content_type: &str,
    ) {
        self.caps = Some(caps);
        self.metadata.clear();
        self.metadata.extend_from(request.metadata);
        request.write_head(config, content_type, &mut self.head);
    }

    /// Writes the head with a timeout, which stands first of all (gRPC PROTOCOL-HTTP2 "Requests").
    pub(super) fn write_timed(&self, protocol: Protocol, remaining: Duration, head: &mut Head) {
        let [method, scheme, authority, path] = self.head.control_bytes();
        head.set_request_bytes(method, scheme, authority, path);
        head.fields.clear();
        if protocol == Protocol::Connect {
            head.fields.push("connect-timeout-ms", encode_connect(remaining).as_bytes());
        } else {
            head.fields.push("grpc-timeout", encode_grpc(remaining).as_bytes());
        }
        head.fields.extend_from(&self.head.fields);
    }
}
