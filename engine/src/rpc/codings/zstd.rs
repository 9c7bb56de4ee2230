//! Zstandard (RFC 8878), by libzstd.

use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, compress_bound};

use super::pour::{Step, pour};
use crate::rpc::{Coding, DecompressError};

/// How many frames one message may have, skippable ones included. More are an attempt to make us work.
const FRAMES: usize = 16;

/// The base-two logarithm of the largest window, 8 MiB (RFC 9659 §3; RFC 8878 §3.1.1.1.2).
const WINDOW: u32 = 23;

/// Zstandard, at the given level.
///
/// A frame whose window is larger than 8 MiB is corrupt, as RFC 9659 has it for HTTP, and so is one that needs a
/// dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Zstd {
    level: u32,
}

/// The level 3, libzstd's own default.
impl Default for Zstd {
    fn default() -> Self {
        Self { level: 3 }
    }
}

impl Zstd {
    /// Zstandard at a level from 1 (fastest) to 19 (smallest). Those above need larger windows than HTTP allows.
    pub fn with_level(level: u32) -> Self {
        Self { level: level.clamp(1, 19) }
    }

    fn compress_frame(self, message: &[u8], frame: &mut [u8]) -> Option<usize> {
        let mut context = CCtx::try_create()?;
        context.set_parameter(CParameter::CompressionLevel(i32::try_from(self.level).ok()?)).ok()?;
        context.compress2(frame, message).ok()
    }
}

impl Coding for Zstd {
    fn name(&self) -> &'static str {
        "zstd"
    }

    fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + compress_bound(message.len()), 0);
        let frame = out.get_mut(start..).unwrap_or_default();
        // The encoder fails when it gets no memory. The peer must then see a broken frame, not an empty message.
        let length = self.compress_frame(message, frame).unwrap_or(1);
        out.truncate(start + length);
    }

    fn decompress(&self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        let corrupt = |_| DecompressError::Corrupt;
        let mut context = DCtx::try_create().ok_or(DecompressError::Corrupt)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW)).map_err(corrupt)?;
        let mut input = InBuffer::around(compressed);
        let (most, mut frames) = (out.len().saturating_add(max), 0);
        pour(out, most, compressed.len(), |slot| {
            let (before, room) = (input.pos(), slot.len());
            let mut output = OutBuffer::around(slot);
            let left = context.decompress_stream(&mut output, &mut input).map_err(corrupt)?;
            let written = output.pos();
            if left == 0 {
                frames += 1;
                // RFC 8878 §3: one frame or more, and nothing else.
                return match (input.pos() == compressed.len(), frames < FRAMES) {
                    (true, _) => Ok(Step::Last(written)),
                    (false, true) => Ok(Step::More(written)),
                    (false, false) => Err(DecompressError::Corrupt),
                };
            }
            if written == room || input.pos() > before && input.pos() < compressed.len() {
                return Ok(Step::More(written));
            }
            Err(DecompressError::Corrupt)
        })
    }
}
