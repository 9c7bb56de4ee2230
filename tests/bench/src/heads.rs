//! Heads of requests as common clients write them.

use antiphon::rpc::Protocol;

/// The method that is called.
pub const PATH: &str = "/greet.v1.GreetService/Greet";
/// The authority that is called.
pub const AUTHORITY: &str = "127.0.0.1:8080";
/// The message that is sent and echoed, of 16 bytes.
pub const MESSAGE: &[u8; 16] = b"\x0a\x0esixteen bytes.";

/// Which protocol over which HTTP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Grpc,
    GrpcWeb,
    Connect,
    Connect1,
}

impl Wire {
    pub const ALL: [Self; 4] = [Self::Grpc, Self::GrpcWeb, Self::Connect, Self::Connect1];

    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Connect => "connect",
            Self::Connect1 => "connect-h1",
        }
    }

    pub fn protocol(self) -> Protocol {
        match self {
            Self::Grpc => Protocol::Grpc,
            Self::GrpcWeb => Protocol::GrpcWeb,
            Self::Connect | Self::Connect1 => Protocol::Connect,
        }
    }

    /// How many calls are in flight.
    pub fn batch(self) -> usize {
        if self == Self::Connect1 { 1 } else { 32 }
    }
}

/// What stands in a head beside the protocol's own: 0, 3 or 8 fields, and a timeout that is another in each call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Custom {
    pub fields: usize,
    pub timeout: bool,
}

impl Custom {
    pub const ALL: [Self; 4] = [
        Self { fields: 0, timeout: false },
        Self { fields: 3, timeout: false },
        Self { fields: 0, timeout: true },
        Self { fields: 8, timeout: true },
    ];

    pub fn name(self) -> String {
        format!("{}{}", self.fields, if self.timeout { "t" } else { "" })
    }

    /// The fields of call number `call`: six that stay, and two that are others in each call.
    pub fn list(self, call: u64) -> Vec<(&'static str, String)> {
        let mixed = (call + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let other = mixed.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let uuid = format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            mixed >> 32,
            mixed & 0xffff,
            other & 0xfff,
            other >> 52,
            other >> 16
        );
        let all: [(&str, String); 8] = [
            (
                "authorization",
                format!("Bearer {}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTQyIn0.c2lnbmF0dXJl"),
            ),
            ("x-tenant-id", "acme-production".into()),
            ("x-client-version", "4.12.0".into()),
            ("x-region", "eu-west-1".into()),
            ("x-application", "web-frontend".into()),
            ("x-feature-set", "default-2026-11".into()),
            ("x-request-id", uuid),
            ("traceparent", format!("00-{mixed:016x}{other:016x}-{:016x}-01", mixed ^ other)),
        ];
        all.into_iter().take(self.fields).collect()
    }
}

/// The heads of one case.
#[derive(Clone, Copy)]
pub struct Heads {
    pub wire: Wire,
    pub custom: Custom,
}

impl Heads {
    /// The fields of call number `call`, pseudo-fields first (HTTP/2).
    pub fn fields(self, call: u64) -> Vec<(&'static str, String)> {
        let pseudo = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", AUTHORITY)];
        let mut fields: Vec<_> = pseudo.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        fields.extend(self.regular(call));
        fields
    }

    /// The fields of call number `call` without pseudo-fields.
    pub fn regular(self, call: u64) -> Vec<(&'static str, String)> {
        let own: &[(&'static str, &str)] = match self.wire {
            Wire::Grpc => {
                &[("content-type", "application/grpc"), ("user-agent", "grpc-go/1.76.0"), ("te", "trailers")]
            }
            Wire::GrpcWeb => &[
                ("content-type", "application/grpc-web+proto"),
                ("x-grpc-web", "1"),
                ("x-user-agent", "grpc-web-javascript/0.1"),
                ("accept", "application/grpc-web+proto"),
                ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"),
            ],
            Wire::Connect | Wire::Connect1 => &[
                ("content-type", "application/proto"),
                ("connect-protocol-version", "1"),
                ("accept-encoding", "gzip"),
                ("content-length", "16"),
                ("user-agent", "connect-go/1.19.1 (go1.25.4)"),
            ],
        };
        let mut fields: Vec<_> = own.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if self.custom.timeout {
            fields.push(match self.wire.protocol() {
                Protocol::Connect => ("connect-timeout-ms", (29_999 - call % 20_000).to_string()),
                _ => ("grpc-timeout", format!("{}u", 999_999 - call % 500_000)),
            });
        }
        fields.extend(self.custom.list(call));
        fields
    }
}
