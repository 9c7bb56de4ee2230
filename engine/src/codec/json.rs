//! What the two JSON texts of Connect share: limits, strings, and what can be wrong.

use serde_json::Value;

use crate::Status;

/// The longest text in bytes.
pub(super) const LENGTH: usize = 64 << 10;

/// The most levels of arrays and objects.
pub(super) const DEPTH: usize = 32;

/// The most details of an error.
pub(super) const DETAILS: usize = 64;

/// The most values of metadata at the end of a stream.
pub(super) const FIELDS: usize = 1024;

/// Why a JSON text of a peer was not taken. Nothing of the text is part of the error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Longer than 64 KiB.
    #[error("the JSON text is longer than 64 KiB")]
    TooLong,
    /// More than 32 levels of arrays and objects.
    #[error("the JSON text is nested deeper than 32 levels")]
    TooDeep,
    /// No JSON at all.
    #[error("the text is not JSON")]
    NotJson,
    /// JSON, with a value of another type than the protocol demands.
    #[error("the JSON text has a value of the wrong type")]
    WrongShape,
    /// More than 64 error details.
    #[error("the error has more than 64 details")]
    TooManyDetails,
    /// More than 1,024 values of metadata.
    #[error("the end of the stream has more than 1,024 values of metadata")]
    TooManyFields,
}

impl From<Malformed> for Status {
    fn from(malformed: Malformed) -> Self {
        Self::internal(malformed.to_string())
    }
}

/// Parses a text within the limits. Of equal keys in one object the last one counts.
pub(super) fn parse(text: &[u8]) -> Result<Value, Malformed> {
    if text.len() > LENGTH {
        return Err(Malformed::TooLong);
    }
    if depth(text) > DEPTH {
        return Err(Malformed::TooDeep);
    }
    serde_json::from_slice(text).map_err(|_| Malformed::NotJson)
}

/// The deepest nesting, whether or not the text is JSON: found without recursion and before anything is built.
fn depth(text: &[u8]) -> usize {
    let (mut deepest, mut level, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text {
        match (byte, in_string) {
            _ if escaped => escaped = false,
            (b'\\', true) => escaped = true,
            (b'"', _) => in_string = !in_string,
            (b'[' | b'{', false) => {
                level += 1;
                deepest = deepest.max(level);
            }
            (b']' | b'}', false) => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Appends a JSON string.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    // Neither a string nor a vector can fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings() {
        assert_eq!(depth(br#"{"a":["]]\"[[[",[1]],"b":{}}"#), 3);
        assert_eq!(depth(b"]]]["), 1);
        assert_eq!(depth(br#""[\\"["#), 1);
    }

    #[test]
    fn the_limits_are_exact() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
        assert!(parse(&nested(DEPTH)).is_ok());
        assert_eq!(parse(&nested(DEPTH + 1)), Err(Malformed::TooDeep));
        let long = |length: usize| format!("\"{}\"", "x".repeat(length - 2)).into_bytes();
        assert!(parse(&long(LENGTH)).is_ok());
        assert_eq!(parse(&long(LENGTH + 1)), Err(Malformed::TooLong));
        assert_eq!(parse(b""), Err(Malformed::NotJson));
    }
}
