//! Floor a: pure functions and small decoders, which know the protocols' bytes and nothing of HTTP.
//!
//! None of them panics on any input, allocates what a peer merely claims, or puts a peer's bytes into an error.

pub mod base64;
pub mod base64_stream;
pub mod connect_error;
pub mod end_stream;
pub mod envelope;
pub mod grpc_status;
pub mod metadata;
pub mod percent;
pub mod timeout;
pub mod web_trailers;

mod json;

pub use json::Malformed;

/// The part of an `Any` type URL that names the type: what follows the last slash
/// (`google/protobuf/any.proto`; Connect "Error End-Stream": bare full names, a URL tolerated).
fn bare_type_name(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |(_, name)| name)
}
