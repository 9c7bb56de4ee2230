//! Bodies of the fuzz targets: each takes any bytes and panics when a law is broken.

pub mod hpack;
