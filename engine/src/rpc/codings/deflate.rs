//! Deflate, by flate2: what HTTP means by it, a zlib stream (RFC 1950) around DEFLATE (RFC 1951).

use super::flate::{deflate, inflate};
use crate::rpc::{Coding, DecompressError};

/// Deflate: one zlib stream, as RFC 9110 §8.4.1.2 says. Streams without the zlib header, which some send by mistake, are
/// not taken, nor those that need a preset dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Deflate {
    level: u32,
}

/// The level 6, flate2's own default.
impl Default for Deflate {
    fn default() -> Self {
        Self { level: 6 }
    }
}

impl Deflate {
    /// Deflate at a level from 0 (store) to 9 (smallest).
    pub fn with_level(level: u32) -> Self {
        Self { level: level.min(9) }
    }
}

impl Coding for Deflate {
    fn name(&self) -> &'static str {
        "deflate"
    }

    fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
        deflate(message, self.level, true, out);
    }

    fn decompress(&self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        let most = out.len().saturating_add(max);
        let rest = inflate(compressed, true, most, out)?;
        if rest.is_empty() { Ok(()) } else { Err(DecompressError::Corrupt) }
    }
}
