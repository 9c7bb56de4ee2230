//! Compressed messages: any bytes may arrive, and any message may be compressed.
//!
//! The laws: no panic; at most `max + 1` bytes come out, behind what was there, which stays; the limit alone tells a good
//! message from one that is too large; what is compressed comes back, and nothing may stand behind it.

use std::sync::OnceLock;

use antiphon::rpc::{Codings, DecompressError};

use super::codec::Target;

/// All targets of this area by name.
pub const TARGETS: &[(&str, Target)] = &[
    #[cfg(feature = "zstd")]
    ("codings_zstd", zstd),
    ("codings_br", br),
    ("codings_gzip", gzip),
    ("codings_deflate", deflate),
    ("codings_snappy", snappy),
];

/// The largest message that is decompressed.
const MAX: usize = 1 << 16;

/// Zstandard.
#[cfg(feature = "zstd")]
pub fn zstd(data: &[u8]) {
    check("zstd", data);
}

/// Brotli.
pub fn br(data: &[u8]) {
    check("br", data);
}

/// Gzip.
pub fn gzip(data: &[u8]) {
    check("gzip", data);
}

/// Zlib streams.
pub fn deflate(data: &[u8]) {
    check("deflate", data);
}

/// Snappy's frames.
pub fn snappy(data: &[u8]) {
    check("snappy", data);
}

fn check(name: &str, data: &[u8]) {
    let result = decompress(name, data, MAX);
    match &result {
        Ok(message) => {
            let length = message.len();
            assert_eq!(decompress(name, data, length), result);
            if length > 0 {
                assert_eq!(decompress(name, data, length - 1), Err(DecompressError::TooLarge));
            }
        }
        Err(DecompressError::TooLarge) => {
            assert_eq!(decompress(name, data, MAX / 3), result);
        }
        Err(DecompressError::Corrupt) => {
            let less = decompress(name, data, data.len());
            assert!(less.is_err());
        }
    }
    let mut compressed = b"before".to_vec();
    let coding = codings().find(name).expect("a coding of the features");
    coding.compress(data, &mut compressed);
    let stream = compressed.strip_prefix(b"before").expect("it appends");
    assert_eq!(decompress(name, stream, data.len()).as_deref(), Ok(data));
    compressed.push(0x5a);
    assert!(decompress(name, &compressed[6..], data.len()).is_err());
}

fn codings() -> &'static Codings {
    static CODINGS: OnceLock<Codings> = OnceLock::new();
    CODINGS.get_or_init(Codings::all)
}

/// Decompresses behind other bytes.
fn decompress(name: &str, data: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = b"kept".to_vec();
    let result = codings().find(name).expect("a coding of the features").decompress(data, max, &mut out);
    let made = out.strip_prefix(b"kept").expect("it appends");
    assert!(made.len() <= max + 1, "{} bytes for a limit of {max}", made.len());
    assert!(result.is_err() || made.len() <= max);
    result.map(|()| made.to_vec())
}
