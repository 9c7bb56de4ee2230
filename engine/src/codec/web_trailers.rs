//! The trailers of gRPC-Web, which travel in the body (gRPC PROTOCOL-WEB, "Message framing").
//!
//! A block of `name: value` lines as HTTP/1 has them, each ended by CR LF, without the empty line at the end.

use super::metadata::{is_valid_received_name, is_valid_received_value};
use crate::Fields;

/// The longest block in bytes.
pub const LENGTH_LIMIT: usize = 16 << 10;

/// The most lines in a block.
pub const LINE_LIMIT: usize = 128;

/// The block of a call that ended well and has no trailers of its own.
pub(crate) const GOOD_END: &[u8] = b"grpc-status: 0\r\n";

/// Why a block of trailers was not taken. Nothing of the block is part of the error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadTrailers {
    /// Longer than [`LENGTH_LIMIT`].
    #[error("the gRPC-Web trailers are longer than 16 KiB")]
    TooLong,
    /// More lines than [`LINE_LIMIT`].
    #[error("the gRPC-Web trailers have more than 128 lines")]
    TooManyLines,
    /// A line without a colon.
    #[error("a line of the gRPC-Web trailers has no colon")]
    NoColon,
    /// A name that HTTP does not permit (RFC 9110 §5.6.2).
    #[error("the gRPC-Web trailers have an invalid name")]
    BadName,
    /// A value with a control character in it, such as a lone CR (RFC 9110 §5.5).
    #[error("the gRPC-Web trailers have an invalid value")]
    BadValue,
    /// Lines behind an empty line.
    #[error("the gRPC-Web trailers go on behind an empty line")]
    BehindEnd,
}

impl From<BadTrailers> for crate::Status {
    fn from(bad: BadTrailers) -> Self {
        Self::internal(bad.to_string())
    }
}

/// Appends `fields` as a block of trailers. A field that would break out of its line is left out; none can come from
/// a peer or from [`Metadata`](crate::Metadata).
pub fn encode(fields: &Fields, out: &mut Vec<u8>) {
    for field in fields {
        if !is_valid_received_name(field.name.as_bytes()) || !is_valid_received_value(field.value) {
            continue;
        }
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads a block of trailers, and is lenient where shipped servers are not exact: names in any case come out lower,
/// white space around names and values is removed, a bare LF ends a line as well (RFC 9112 §2.2), the last line need
/// not be ended, and an empty line may be the last one. Order and duplicates are kept.
///
/// # Errors
/// When the block is too long, has too many lines, or a line is not `name: value`.
pub fn decode(block: &[u8]) -> Result<Fields, BadTrailers> {
    if block.len() > LENGTH_LIMIT {
        return Err(BadTrailers::TooLong);
    }
    let mut fields = Fields::new();
    let mut ended = false;
    let mut name = String::new();
    for (index, line) in block.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if index >= LINE_LIMIT {
            return Err(BadTrailers::TooManyLines);
        }
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        if ended {
            return Err(BadTrailers::BehindEnd);
        }
        if line.is_empty() {
            ended = true;
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(BadTrailers::NoColon)?;
        let (raw, value) = line.split_at(colon);
        name.clear();
        name.push_str(core::str::from_utf8(raw.trim_ascii()).map_err(|_| BadTrailers::BadName)?);
        name.make_ascii_lowercase();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if !is_valid_received_name(name.as_bytes()) {
            return Err(BadTrailers::BadName);
        }
        if !is_valid_received_value(value) {
            return Err(BadTrailers::BadValue);
        }
        fields.push(&name, value);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(block: &[u8]) -> Result<Vec<(String, Vec<u8>)>, BadTrailers> {
        let fields = decode(block)?;
        Ok(fields.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect())
    }

    // gRPC PROTOCOL-WEB: lower-case names, CR LF after each line, no empty line at the end.
    #[test]
    fn what_is_written() {
        let mut fields: Fields =
            [("grpc-status", &b"0"[..]), ("x-tag", b"a"), ("x-tag", b"")].into_iter().collect();
        fields.push("x-split", b"a\r\ngrpc-status: 0");
        let mut out = Vec::new();
        encode(&fields, &mut out);
        assert_eq!(out, b"grpc-status: 0\r\nx-tag: a\r\nx-tag: \r\n");
        fields.retain(|field| field.name != "x-split");
        assert_eq!(decode(&out), Ok(fields));
    }

    #[test]
    fn cases_spaces_and_duplicates_are_tolerated() {
        let expected = Ok(vec![
            ("grpc-status".to_owned(), b"9".to_vec()),
            ("grpc-message".to_owned(), b"a: b".to_vec()),
            ("x".to_owned(), b"1".to_vec()),
            ("x".to_owned(), b"2".to_vec()),
        ]);
        for block in [
            &b"grpc-status: 9\r\ngrpc-message: a: b\r\nx: 1\r\nx: 2\r\n"[..],
            b"Grpc-Status:9\r\ngRPC-Message:a: b\r\nX:1\r\nx:2",
            b"grpc-status :\t9 \r\ngrpc-message:  a: b  \r\n x: 1\r\nx: 2\r\n\r\n",
            b"grpc-status: 9\ngrpc-message: a: b\nx: 1\nx: 2\n\n",
        ] {
            assert_eq!(pairs(block), expected);
        }
        assert_eq!(pairs(b""), Ok(Vec::new()));
        assert_eq!(pairs(b"\r\n"), Ok(Vec::new()));
        assert_eq!(pairs(b"a: caf\xe9\r\n"), Ok(vec![("a".to_owned(), b"caf\xe9".to_vec())]));
    }

    #[test]
    fn malformed_blocks() {
        let cases: [(&[u8], BadTrailers); 9] = [
            (b"grpc-status\r\n", BadTrailers::NoColon),
            (b": x\r\n", BadTrailers::BadName),
            (b"a b: x\r\n", BadTrailers::BadName),
            (b"caf\xe9: x\r\n", BadTrailers::BadName),
            (b"a: x\ry\r\n", BadTrailers::BadValue),
            (b"a: x\0\r\n", BadTrailers::BadValue),
            (b"a: x\r\n\r\nb: y\r\n", BadTrailers::BehindEnd),
            (b"\r\n\r\n", BadTrailers::BehindEnd),
            (b"a: x\r", BadTrailers::BadValue),
        ];
        // A CR at the very end is white space around the value.
        for (block, bad) in &cases[..8] {
            assert_eq!(decode(block).unwrap_err(), *bad, "{}", block.escape_ascii());
        }
        assert!(decode(cases[8].0).is_ok());
    }

    // A peer's trailers are bounded: 16 KiB and 128 lines.
    #[test]
    fn the_limits_are_exact() {
        assert_eq!(decode("a:b\r\n".repeat(128).as_bytes()).map(|fields| fields.len()), Ok(128));
        assert_eq!(decode("a:b\r\n".repeat(129).as_bytes()), Err(BadTrailers::TooManyLines));
        assert_eq!(decode("a:b\r\n".repeat(32_769).as_bytes()), Err(BadTrailers::TooLong));
        let block = |length: usize| format!("a:{}", "b".repeat(length - 2)).into_bytes();
        assert!(decode(&block(LENGTH_LIMIT)).is_ok());
        assert_eq!(decode(&block(LENGTH_LIMIT + 1)), Err(BadTrailers::TooLong));
    }
}
