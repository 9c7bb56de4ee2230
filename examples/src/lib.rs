//! What the examples share.

pub mod echo;
pub mod transcript;
