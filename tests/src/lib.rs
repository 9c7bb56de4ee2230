//! What the tests share: the bodies of the fuzz targets, transcripts and drivers.

pub mod apps;
pub mod fuzz;
pub mod h2kit;
pub mod h2strict;
pub mod hex;
pub mod laws;
pub mod pair;
