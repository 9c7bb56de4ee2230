//! Snappy in its framing format (google/snappy, framing_format.txt), by the crate snap.

use std::io::{Read, Write};

use snap::read::FrameDecoder;
use snap::write::FrameEncoder;

use super::pour::{Step, pour};
use crate::rpc::{Coding, DecompressError};

/// The chunk that every stream begins with (framing_format.txt §4.1).
const IDENTIFIER: &[u8; 10] = b"\xff\x06\x00\x00sNaPpY";

/// Snappy, in its framing format: chunks of at most 64 KiB, each with a checksum. There are no levels.
///
/// The format has no mark at the end: a stream that is cut between two chunks is a shorter stream. Padding and chunks
/// that may be skipped are taken up to 76,490 bytes each.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Snappy {}

impl Coding for Snappy {
    fn name(&self) -> &'static str {
        "snappy"
    }

    fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
        if message.is_empty() {
            // The encoder writes its identifier with the first chunk, and here is none.
            out.extend_from_slice(IDENTIFIER);
            return;
        }
        let mut encoder = FrameEncoder::new(out);
        // Writing to memory does not fail. The flush is of the encoder's own buffer.
        let _ = encoder.write_all(message).and_then(|()| encoder.flush());
    }

    fn decompress(&self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        if compressed.is_empty() {
            return Err(DecompressError::Corrupt);
        }
        let mut decoder = FrameDecoder::new(compressed);
        let most = out.len().saturating_add(max);
        pour(out, most, compressed.len(), |slot| match decoder.read(slot) {
            Ok(0) => Ok(Step::Last(0)),
            Ok(count) => Ok(Step::More(count)),
            Err(_) => Err(DecompressError::Corrupt),
        })
    }
}
