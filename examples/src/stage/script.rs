//! What scripts have in common.

use std::io::{self, Write};

use antiphon_service::{HttpVersion, Protocol};

use super::Played;
use crate::transcript::Paint;

/// Every protocol over each version of HTTP that carries it, and what to call that. gRPC needs HTTP/2.
pub const WAYS: [(HttpVersion, Protocol, &str); 5] = [
    (HttpVersion::Http11, Protocol::Connect, "Connect,  HTTP/1.1"),
    (HttpVersion::Http11, Protocol::GrpcWeb, "gRPC-Web, HTTP/1.1"),
    (HttpVersion::Http2, Protocol::Connect, "Connect,  HTTP/2"),
    (HttpVersion::Http2, Protocol::Grpc, "gRPC,     HTTP/2"),
    (HttpVersion::Http2, Protocol::GrpcWeb, "gRPC-Web, HTTP/2"),
];

/// Prints the heading of a scene.
///
/// # Errors
/// When nothing can be printed.
pub fn scene(title: &str) -> io::Result<()> {
    writeln!(io::stdout(), "\n{}", Paint::detect().bold(&format!("── {title}")))
}

/// What a scene has to show.
///
/// # Errors
/// The sentence, if it does not hold: the program ends with it.
pub fn ensure(holds: bool, sentence: &str) -> Played {
    if holds { Ok(()) } else { Err(format!("not as it should be: {sentence}").into()) }
}
