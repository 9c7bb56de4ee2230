//! What gzip and deflate share: streams of DEFLATE (RFC 1951), by flate2.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::pour::{Step, pour};
use crate::rpc::DecompressError;

/// Appends one stream that holds `message` to `out`; `zlib` wraps it in the header and trailer of RFC 1950.
pub(super) fn deflate(message: &[u8], level: u32, zlib: bool, out: &mut Vec<u8>) {
    let mut deflate = Compress::new(Compression::new(level), zlib);
    let mut rest = message;
    loop {
        out.reserve(64 + rest.len() / 2);
        let before = deflate.total_in();
        let status = deflate.compress_vec(rest, out, FlushCompress::Finish);
        let used = usize::try_from(deflate.total_in() - before).unwrap_or(rest.len());
        rest = rest.get(used..).unwrap_or_default();
        match status {
            Ok(Status::Ok | Status::BufError) => {}
            // An encoder into growing memory does not fail.
            Ok(Status::StreamEnd) | Err(_) => break,
        }
    }
}

/// Inflates one stream until its end; `out` grows to at most `most + 1` bytes. Returns what follows the stream. The
/// window takes 32 KiB.
pub(super) fn inflate<'a>(
    compressed: &'a [u8],
    zlib: bool,
    most: usize,
    out: &mut Vec<u8>,
) -> Result<&'a [u8], DecompressError> {
    let mut inflate = Decompress::new(zlib);
    let mut rest = compressed;
    pour(out, most, compressed.len(), |slot| {
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(rest, slot, FlushDecompress::None);
        let used = usize::try_from(inflate.total_in() - before_in).unwrap_or(rest.len());
        let made = usize::try_from(inflate.total_out() - before_out).unwrap_or(0);
        rest = rest.get(used..).unwrap_or_default();
        match status {
            Ok(Status::StreamEnd) => Ok(Step::Last(made)),
            Ok(Status::Ok) if used > 0 || made > 0 => Ok(Step::More(made)),
            _ => Err(DecompressError::Corrupt),
        }
    })?;
    Ok(rest)
}
