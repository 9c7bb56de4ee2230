//! Base64 of whole values: `-bin` metadata, error details, and messages in a Connect GET.
//!
//! Written without padding, read with or without (gRPC PROTOCOL-HTTP2 "Custom-Metadata"; Connect "Leading-Metadata").
//! Unused bits of the last character may be anything, as Go's decoder has it.

use ::base64::Engine as _;
use ::base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

const fn engine(alphabet: &Alphabet) -> GeneralPurpose {
    GeneralPurpose::new(alphabet, CONFIG)
}

const STANDARD_ENGINE: GeneralPurpose = engine(&STANDARD);
const URL_SAFE_ENGINE: GeneralPurpose = engine(&URL_SAFE);

/// A text that is not base64.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the text is not base64")]
pub struct BadBase64;

/// Appends `bytes` in the standard alphabet, without padding.
pub fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    append(&STANDARD_ENGINE, bytes, out);
}

/// Appends `bytes` in the URL-safe alphabet (RFC 4648 §5), without padding.
pub fn encode_url_safe(bytes: &[u8], out: &mut Vec<u8>) {
    append(&URL_SAFE_ENGINE, bytes, out);
}

fn append(engine: &GeneralPurpose, bytes: &[u8], out: &mut Vec<u8>) {
    // Chunks of a multiple of three bytes encode independently: no allocation but that of `out`.
    let mut text = [0; 1024];
    out.reserve(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(768) {
        // 768 bytes make 1,024 characters exactly: it cannot fail.
        let written = engine.encode_slice(chunk, &mut text).unwrap_or_default();
        out.extend_from_slice(text.get(..written).unwrap_or_default());
    }
}

/// Reads the standard alphabet, padded or not.
///
/// # Errors
/// On any other character, white space included, and on an impossible length.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, BadBase64> {
    STANDARD_ENGINE.decode(text).map_err(|_| BadBase64)
}

/// Reads the URL-safe alphabet (RFC 4648 §5), padded or not.
///
/// # Errors
/// On any other character, white space included, and on an impossible length.
pub fn decode_url_safe(text: &[u8]) -> Result<Vec<u8>, BadBase64> {
    URL_SAFE_ENGINE.decode(text).map_err(|_| BadBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    // gRPC PROTOCOL-HTTP2 "Custom-Metadata": padded and unpadded MUST be accepted, unpadded SHOULD be emitted.
    #[test]
    fn padded_and_unpadded_are_read_and_unpadded_is_written() {
        for (text, bytes) in
            [("", &b""[..]), ("Zg", b"f"), ("Zm8", b"fo"), ("Zm9v", b"foo"), ("Zm9vYg", b"foob")]
        {
            let padded = format!("{text}{}", &"==="[..(4 - text.len() % 4) % 4]);
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(bytes));
            assert_eq!(decode(padded.as_bytes()).as_deref(), Ok(bytes), "{padded}");
            assert_eq!(decode_url_safe(padded.as_bytes()).as_deref(), Ok(bytes));
            let mut out = Vec::new();
            encode_into(bytes, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn the_alphabets_are_kept_apart() {
        assert_eq!(decode(b"+/+/").as_deref(), Ok(&[0xfb, 0xff, 0xbf][..]));
        assert_eq!(decode_url_safe(b"-_-_").as_deref(), Ok(&[0xfb, 0xff, 0xbf][..]));
        assert_eq!(decode(b"-_-_"), Err(BadBase64));
        assert_eq!(decode_url_safe(b"+/+/"), Err(BadBase64));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["!!!!", "A", "AAAAA", "AA=A", "=", "====", " Zg", "Zg\n", "Zg===", "Z\u{e9}"] {
            assert_eq!(decode(text.as_bytes()), Err(BadBase64), "{text:?}");
        }
    }

    #[test]
    fn long_values_round_trip_across_chunks() {
        for length in [767, 768, 769, 1535, 1536, 5000] {
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let (mut standard, mut url_safe) = (b"x".to_vec(), Vec::new());
            encode_into(&bytes, &mut standard);
            encode_url_safe(&bytes, &mut url_safe);
            assert_eq!(decode(&standard[1..]).as_deref(), Ok(&bytes[..]));
            assert_eq!(decode_url_safe(&url_safe).as_deref(), Ok(&bytes[..]));
        }
    }
}
