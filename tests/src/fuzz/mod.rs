//! The bodies of the fuzz targets: each takes any bytes and panics when a law is broken. Ordinary tests replay them.

pub mod codec;
pub mod codings;
pub mod conn;
pub mod hpack;
pub mod http1;
pub mod http2;
pub mod json;
pub mod rpc;
