//! Header compression for HTTP/2 (RFC 7541).
//!
//! [`Decoder`] and [`Encoder`] belong to one connection and one direction each; blocks pass through them in the order
//! in which they are on the wire. The decoder checks what RFC 9113 §8.2 and §8.3 demand of fields and pseudo-fields as
//! well, since the verdict on a field can then be kept beside it in the table.
//!
//! ```
//! use antiphon::Head;
//! use antiphon::http2::hpack::{Decoder, DecoderLimits, Encoder, Verdict};
//!
//! let mut encoder = Encoder::new(4096);
//! let mut decoder = Decoder::new(4096, DecoderLimits::default());
//!
//! let mut request = Head::request("POST", "http", "example.com", "/feed.v1.Feed/Publish");
//! request.fields.push("content-type", b"application/grpc");
//! let mut block = Vec::new();
//! encoder.encode_request(&request, &mut block);
//!
//! let mut received = Head::default();
//! assert_eq!(decoder.decode(&block, &mut received), Ok(Verdict::Good));
//! assert_eq!(received, request);
//! ```

mod assembly;
mod decoder;
mod encoder;
mod huffman;
mod integer;
mod prefix;
mod scratch;
mod static_table;
mod table;
mod validate;

pub use decoder::Decoder;
pub use encoder::Encoder;

/// How much one header block may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecoderLimits {
    /// The largest list of fields in bytes, each counted with 32 more (RFC 9113 §6.5.2): above it the verdict is
    /// [`Verdict::TooLarge`].
    pub header_list: usize,
    /// Where a list of fields, counted the same way, ends the connection with [`DecodeError::TooLarge`].
    pub hard_header_list: usize,
    /// The largest number of fields, pseudo-fields and crumbs of cookies included: above it the verdict is
    /// [`Verdict::TooLarge`].
    pub header_fields: usize,
}

impl From<&crate::Limits> for DecoderLimits {
    fn from(limits: &crate::Limits) -> Self {
        Self {
            header_list: limits.header_list,
            hard_header_list: limits.hard_header_list,
            header_fields: limits.header_fields,
        }
    }
}

/// Those of [`Limits::default`](crate::Limits).
impl Default for DecoderLimits {
    fn default() -> Self {
        Self::from(&crate::Limits::default())
    }
}

/// What became of a block that left the tables in step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The head is complete and keeps the rules.
    Good,
    /// The list exceeds [`DecoderLimits::header_list`] or [`DecoderLimits::header_fields`]: its fields were counted
    /// and dropped. A server answers 431.
    TooLarge,
    /// The message is malformed (RFC 9113 §8.1.1), by the rule that is named: a stream error of type PROTOCOL_ERROR.
    Malformed(&'static str),
}

/// Why a connection must end: the tables are out of step, or the peer sends far too much.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// The block breaks RFC 7541: a connection error of type COMPRESSION_ERROR.
    #[error("header compression: {0}")]
    Compression(&'static str),
    /// The list exceeds [`DecoderLimits::hard_header_list`]: a connection error of type ENHANCE_YOUR_CALM.
    #[error("a header list is far too large")]
    TooLarge,
}

impl From<&'static str> for DecodeError {
    fn from(reason: &'static str) -> Self {
        Self::Compression(reason)
    }
}
