//! Floor c: HTTP/2.

pub mod hpack;
