//! Brotli (RFC 7932), by the crate brotli.

use ::brotli::enc::StandardAlloc;
use ::brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct};
use ::brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::pour::{Step, pour};
use crate::rpc::{Coding, DecompressError};

/// The base-two logarithm of the smallest and the largest window that we compress with. The format has up to 24.
const WINDOWS: [u32; 2] = [10, 22];

/// How much `out` grows at a time when compressing, at least.
const GROWTH: usize = 1 << 10;

/// Brotli, at the given quality.
///
/// The decoder keeps to RFC 7932: a window takes at most 16 MiB, and the extension to larger ones ("large window") is
/// corrupt.
#[derive(Clone, Copy, Debug)]
pub struct Brotli {
    quality: u32,
}

/// The quality 4: from 5 on the encoder clears so large a table for each message that one of 1 kB takes 20 times as long,
/// and becomes hardly smaller.
impl Default for Brotli {
    fn default() -> Self {
        Self { quality: 4 }
    }
}

impl Brotli {
    /// Brotli at a quality from 0 (fastest) to 11 (smallest).
    pub fn with_level(quality: u32) -> Self {
        Self { quality: quality.min(11) }
    }
}

impl Coding for Brotli {
    fn name(&self) -> &'static str {
        "br"
    }

    fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
        let mut encoder = BrotliEncoderStateStruct::new(StandardAlloc::default());
        let [smallest, largest] = WINDOWS;
        // A window that holds the message and the 16 bytes that no window reaches (RFC 7932 §9.1).
        let window =
            message.len().saturating_add(16).checked_next_power_of_two().map_or(largest, usize::ilog2);
        encoder.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, self.quality);
        encoder.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window.clamp(smallest, largest));
        let hint = u32::try_from(message.len()).unwrap_or(u32::MAX);
        encoder.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint);
        let (mut left, mut read, mut written) = (message.len(), 0, out.len());
        loop {
            out.resize(written + GROWTH.max(left / 4), 0);
            let mut room = out.len() - written;
            let good = encoder.compress_stream(
                BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
                &mut left,
                message,
                &mut read,
                &mut room,
                out,
                &mut written,
                &mut None,
                &mut |_, _, _, _| (),
            );
            // An encoder into growing memory does not fail.
            if !good || encoder.is_finished() {
                break;
            }
        }
        out.truncate(written);
    }

    fn decompress(&self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        let memory = StandardAlloc::default;
        let mut decoder = BrotliState::new_strict(memory(), memory(), memory());
        let (mut left, mut read, mut total) = (compressed.len(), 0, 0);
        let most = out.len().saturating_add(max);
        pour(out, most, compressed.len(), |slot| {
            let (mut room, mut written, before) = (slot.len(), 0, read);
            let result = BrotliDecompressStream(
                &mut left,
                &mut read,
                compressed,
                &mut room,
                &mut written,
                slot,
                &mut total,
                &mut decoder,
            );
            match result {
                BrotliResult::ResultSuccess => Ok(Step::Last(written)),
                BrotliResult::NeedsMoreOutput if written > 0 || read > before => Ok(Step::More(written)),
                // All of it was there.
                _ => Err(DecompressError::Corrupt),
            }
        })?;
        if left == 0 { Ok(()) } else { Err(DecompressError::Corrupt) }
    }
}
