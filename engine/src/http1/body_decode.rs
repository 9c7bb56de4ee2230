//! Received bodies: content-length, chunked and to-close.
//!
//! ```text
//! chunked   Size ─► Extension ─► SizeLf ─► Data ─► DataCr ─► DataLf ─► Size …
//!             └──────────────────►│  └ size 0 ─► Trailers ─► Done
//! ```
//! Every byte is consumed as it comes, so that nothing is looked at twice; only a trailer section waits in the input
//! until it is complete. The decoder is our own: httparse takes an empty chunk size for zero, and bare LF.

use bytes::{Buf, BytesMut};

use super::head_parse::parse_trailers;
use super::lines::Scan;
use super::refused::{Refused, refused};
use crate::{Fields, Limits};

/// The most bytes of extensions on one chunk, and on all chunks of one body (B5, CVE-2023-39326).
const CHUNK_EXTENSION: u16 = 256;
const BODY_EXTENSIONS: u16 = 4096;
/// Sixteen hexadecimal digits could overflow.
const SIZE_DIGITS: u8 = 15;

/// The rest of a body that is being received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyDecoder {
    /// So many bytes to come.
    Length(u64),
    Chunked(Chunked),
    /// All bytes until the end of input.
    ToClose,
}

/// The place in a chunked body, and the extension bytes seen so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chunked {
    at: At,
    extensions: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Size { digits: u8, size: u64 },
    Extension { size: u64, length: u16, quote: Quote },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailers(Scan),
    Done,
}

/// A quoted string in an extension may hold no CR or LF, so one left open at the end of the line is an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Quote {
    Outside,
    Inside,
    Escaped,
}

/// Where received bytes go.
pub(super) struct Sink<'a> {
    /// `None` discards.
    pub(super) body: Option<&'a mut BytesMut>,
    /// How many bytes of body may be taken.
    pub(super) room: usize,
    pub(super) trailers: &'a mut Fields,
    /// How many bytes of body were taken.
    pub(super) taken: usize,
}

impl Sink<'_> {
    fn take(&mut self, input: &mut BytesMut, most: u64) -> u64 {
        let step = input.len().min(self.room).min(usize::try_from(most).unwrap_or(usize::MAX));
        if let Some(body) = &mut self.body {
            body.extend_from_slice(&input[..step]);
        }
        input.advance(step);
        self.room -= step;
        self.taken += step;
        step as u64
    }
}

impl BodyDecoder {
    pub(super) const CHUNKED: Self =
        Self::Chunked(Chunked { at: At::Size { digits: 0, size: 0 }, extensions: 0 });

    /// Takes what it can from the front of `input`. `true` when the body is complete.
    pub(super) fn decode(
        &mut self,
        input: &mut BytesMut,
        sink: &mut Sink<'_>,
        limits: &Limits,
    ) -> Result<bool, Refused> {
        match self {
            Self::Length(left) => {
                *left -= sink.take(input, *left);
                Ok(*left == 0)
            }
            Self::Chunked(chunked) => chunked.decode(input, sink, limits),
            Self::ToClose => {
                sink.take(input, u64::MAX);
                Ok(false)
            }
        }
    }

    /// Whether the next byte is one of the body: without room for it nothing more can be consumed.
    pub(super) fn is_in_data(&self) -> bool {
        !matches!(self, Self::Chunked(chunked) if !matches!(chunked.at, At::Data { .. }))
    }

    /// How much is certainly still to come.
    pub(super) fn remaining(&self) -> u64 {
        match self {
            Self::Length(left) | Self::Chunked(Chunked { at: At::Data { left }, .. }) => *left,
            _ => 0,
        }
    }
}

impl Chunked {
    fn decode(
        &mut self,
        input: &mut BytesMut,
        sink: &mut Sink<'_>,
        limits: &Limits,
    ) -> Result<bool, Refused> {
        loop {
            match &mut self.at {
                At::Done => return Ok(true),
                At::Data { left } => {
                    *left -= sink.take(input, *left);
                    if *left > 0 {
                        return Ok(false);
                    }
                    self.at = At::DataCr;
                }
                At::Trailers(scan) => {
                    let too_large = |error: Refused| match error.status {
                        414 => refused(431, "the trailers are too large"),
                        _ => error,
                    };
                    let Some(end) = scan.find_end(input, limits.header_list).map_err(too_large)? else {
                        return Ok(false);
                    };
                    let section = input.split_to(end);
                    parse_trailers(&section, limits, sink.trailers)?;
                    self.at = At::Done;
                }
                _ => {
                    let Some(&byte) = input.first() else { return Ok(false) };
                    self.step(byte)?;
                    input.advance(1);
                }
            }
        }
    }

    /// Consumes one byte of chunk framing.
    fn step(&mut self, byte: u8) -> Result<(), Refused> {
        self.at = match (self.at, byte) {
            (At::Size { digits, size }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < SIZE_DIGITS => {
                At::Size { digits: digits + 1, size: size << 4 | u64::from(hex_value(byte)) }
            }
            (At::Size { digits: 1.., size }, b'\r') => At::SizeLf { size },
            (At::Size { digits: 1.., size }, b';') => {
                At::Extension { size, length: 0, quote: Quote::Outside }
            }
            (At::Size { .. }, _) => return Err(refused(400, "malformed chunk size")),
            (At::Extension { size, quote: Quote::Outside, .. }, b'\r') => At::SizeLf { size },
            (At::Extension { size, length, quote }, b'\t' | 0x20..=0x7e | 0x80..) => {
                self.extensions += 1;
                if length >= CHUNK_EXTENSION || self.extensions > BODY_EXTENSIONS {
                    return Err(refused(400, "chunk extensions are too long"));
                }
                At::Extension { size, length: length + 1, quote: quote.after(byte) }
            }
            (At::SizeLf { size: 0 }, b'\n') => At::Trailers(Scan::default()),
            (At::SizeLf { size }, b'\n') => At::Data { left: size },
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size { digits: 0, size: 0 },
            (At::DataCr | At::DataLf, _) => return Err(refused(400, "a chunk is longer than its size")),
            _ => return Err(refused(400, "malformed chunk extension")),
        };
        Ok(())
    }
}

impl Quote {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') | (Self::Escaped, _) => Self::Inside,
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escaped,
            (same, _) => same,
        }
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
