//! Every combination of protocol, version of HTTP, codec, compression and shape.

use antiphon_service::{CallOptions, HttpVersion, Misuse, Protocol};

const PROTOCOLS: [Protocol; 4] =
    [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText];
const VERSIONS: [HttpVersion; 2] = [HttpVersion::Http11, HttpVersion::Http2];
const CODECS: [&str; 2] = ["proto", "json"];
const CODINGS: [Option<&str>; 2] = [None, Some("gzip")];

/// How a method is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Unary,
    /// A unary method without side effects, by HTTP GET.
    Get,
    ServerStream,
    ClientStream,
    Bidi,
}

pub(crate) const WAYS: [Way; 5] = [Way::Unary, Way::Get, Way::ServerStream, Way::ClientStream, Way::Bidi];

/// How a call goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plot {
    /// Everything is answered.
    Good,
    /// Nothing is asked where that is possible, and nothing answered where that is.
    Empty,
    /// It fails before the first message is read or sent.
    FailsFirst,
    /// It fails after the first message was read and, in a stream, answered.
    FailsLater,
}

pub(crate) const PLOTS: [Plot; 4] = [Plot::Good, Plot::Empty, Plot::FailsFirst, Plot::FailsLater];

impl Plot {
    pub(crate) fn named(name: &str) -> Option<Self> {
        PLOTS.into_iter().find(|plot| plot.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Empty => "empty",
            Self::FailsFirst => "fails-first",
            Self::FailsLater => "fails-later",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) protocol: Protocol,
    pub(crate) version: HttpVersion,
    pub(crate) codec: &'static str,
    pub(crate) coding: Option<&'static str>,
    pub(crate) way: Way,
}

impl Row {
    /// gRPC's status stands in HTTP trailers, which only HTTP/2 is sure to carry (`PROTOCOL-HTTP2.md`).
    pub(crate) fn is_legal(self) -> bool {
        self.protocol != Protocol::Grpc || self.version == HttpVersion::Http2
    }

    pub(crate) fn options(self, plot: Plot) -> Result<CallOptions, Misuse> {
        CallOptions::new()
            .protocol(self.protocol)
            .codec(self.codec)
            .coding(self.coding)
            .use_get(self.way == Way::Get)
            .header("combine-plot", plot.name())
    }
}

/// All of them, legal or not. GET is Connect's alone.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for protocol in PROTOCOLS {
        for version in VERSIONS {
            for codec in CODECS {
                for coding in CODINGS {
                    let ways =
                        WAYS.into_iter().filter(|way| *way != Way::Get || protocol == Protocol::Connect);
                    rows.extend(ways.map(|way| Row { protocol, version, codec, coding, way }));
                }
            }
        }
    }
    rows
}
