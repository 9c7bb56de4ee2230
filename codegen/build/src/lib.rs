//! Code generation for Antiphon: from .proto files to messages, service traits, servers and clients, in a build script
//! and without protoc.
//!
//! # In a build script
//! ```toml
//! [dependencies]
//! antiphon-smol = "0.1"       # or -tokio, -blocking
//! antiphon-service = "0.1"    # what the generated code names
//!
//! [build-dependencies]
//! antiphon-build = "0.1"
//! ```
//! `build.rs`:
//! ```no_run
//! fn main() -> Result<(), antiphon_build::Error> {
//!     antiphon_build::compile(&["proto/feed.proto"], &["proto"])
//! }
//! ```
//! and where the code is used:
//! ```text
//! /// All packages, each a module: `proto::feed::v1::FeedService`.
//! pub mod proto {
//!     include!(concat!(env!("OUT_DIR"), "/mod.rs"));
//! }
//! ```
//! One package alone is `include!(concat!(env!("OUT_DIR"), "/feed.v1.rs"));`. Types of other packages are named as
//! from their place in the tree, so several packages want the tree.
//!
//! # What is generated
//! Messages and enums are [prost](https://docs.rs/prost)'s. For a service `FeedService` there are
//! - a trait `FeedService` with a method for each rpc, which says `unimplemented` until it is written,
//! - `FeedServiceServer`, which a router takes,
//! - `FeedServiceClient`,
//! - all three once more in a module `blocking`, for threads,
//! - and for the package a static `SCHEMA`, which JSON and reflection read.
//!
//! Comments become docs, and what has no comment gets a line that says what it is: the code passes
//! `#![deny(warnings, missing_docs)]`. A service that shares its name with a message is called `…Service`; an rpc
//! called `New`, `With` or `Client` has an underscore behind its name at the client.
//!
//! # What is read
//! proto2 and proto3. Files in editions syntax are refused with their line.
//!
//! The plugin for protoc and buf, `protoc-gen-antiphon`, is the same generator with the same options.
#![forbid(unsafe_code)]

mod config;
mod descriptors;
mod docs;
mod editions;
mod error;
mod generate;
mod markdown;
mod names;
mod service;
mod source;
mod template;

use std::path::Path;

pub use config::Config;
pub use error::Error;
pub use generate::GeneratedFile;
pub use prost_build;

/// Compiles .proto files with the default options: see [`Config::compile`].
///
/// # Errors
/// See [`Config::compile`].
pub fn compile(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
    Config::new().compile(protos, includes)
}

/// The README's build scripts compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
