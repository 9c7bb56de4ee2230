//! All golden .proto files, and this crate's own, as a user's crate includes them: without a warning, and with docs on everything.
#![deny(warnings, missing_docs, rustdoc::all)]
#![forbid(unsafe_code)]

include!(concat!(env!("OUT_DIR"), "/mod.rs"));
