//! Zstandard (RFC 8878), by libzstd.

use zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, compress_bound, get_frame_content_size,
};

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
        let most = out.len().saturating_add(max);
        let (mut frame, mut frames) = (Frame::begin(compressed)?, 1);
        pour(out, most, compressed.len(), |slot| {
            let (before, room) = (input.pos(), slot.len());
            let mut output = OutBuffer::around(slot);
            let left = context.decompress_stream(&mut output, &mut input).map_err(corrupt)?;
            let written = output.pos();
            frame.made = frame.made.saturating_add(written as u64);
            let rest = compressed.get(input.pos()..).unwrap_or_default();
            if left == 0 {
                frame.end()?;
                if rest.is_empty() {
                    return Ok(Step::Last(written));
                }
                if frames == FRAMES {
                    return Err(DecompressError::Corrupt);
                }
                (frame, frames) = (Frame::begin(rest)?, frames + 1);
                return Ok(Step::More(written));
            }
            if written == room || input.pos() > before && !rest.is_empty() {
                return Ok(Step::More(written));
            }
            Err(DecompressError::Corrupt)
        })
    }
}

/// What libzstd does not see to in every case: it looks at the window only when it needs one, and does not compare the
/// content size when the last block is empty.
struct Frame {
    /// Bytes that came out of it.
    made: u64,
    /// Bytes that should come out of it (RFC 8878 §3.1.1.1.4).
    announced: Option<u64>,
}

impl Frame {
    /// A frame's header at the start of `rest` (RFC 8878 §3.1.1).
    fn begin(rest: &[u8]) -> Result<Self, DecompressError> {
        /// The frame has no window descriptor: its content is its window.
        const SINGLE_SEGMENT: u8 = 0x20;
        if let [0x28, 0xb5, 0x2f, 0xfd, descriptor, window, ..] = rest {
            // The exponent above 10 stands over three bits of mantissa: bytes compare as the windows do.
            if descriptor & SINGLE_SEGMENT == 0 && u32::from(*window) > (WINDOW - 10) << 3 {
                return Err(DecompressError::Corrupt);
            }
        }
        let announced = get_frame_content_size(rest).map_err(|_| DecompressError::Corrupt)?;
        Ok(Self { made: 0, announced })
    }

    fn end(&self) -> Result<(), DecompressError> {
        let exact = self.announced.is_none_or(|announced| announced == self.made);
        if exact { Ok(()) } else { Err(DecompressError::Corrupt) }
    }
}
