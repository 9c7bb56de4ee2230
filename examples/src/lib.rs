//! What the examples share: a small service, the tour through it, and a reader of what crossed the wire.

pub mod echo;
pub mod stage;
/// The services of `proto/`, as they were generated.
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/mod.rs"));
}
pub mod tour;
pub mod transcript;

/// The code in the project's front page, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct FrontPage;
