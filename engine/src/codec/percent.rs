//! Percent-encoding: `grpc-message`, and the query of a Connect GET.

use std::borrow::Cow;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A query parameter that cannot be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadQuery {
    /// A `%` without two hexadecimal digits behind it.
    #[error("a query parameter has a malformed percent-encoding")]
    Percent,
    /// A raw `;`, which some take for a separator: refused, so that nobody reads the query in two ways.
    #[error("a query parameter holds a raw semicolon")]
    Semicolon,
}

/// Encodes a message for `grpc-message` (gRPC PROTOCOL-HTTP2 "Status-Message"): everything outside `0x20-0x7E` and
/// the `%` itself. A space at either end is encoded too: no field value may start or end with one (RFC 9113 §8.2.1).
/// Allocates only if something has to be encoded.
pub fn encode_message(message: &str) -> Cow<'_, str> {
    let last = message.len().wrapping_sub(1);
    let plain = |index: usize, byte: u8| match byte {
        b'%' => false,
        b' ' => index != 0 && index != last,
        _ => matches!(byte, 0x20..=0x7e),
    };
    if message.bytes().enumerate().all(|(index, byte)| plain(index, byte)) {
        return Cow::Borrowed(message);
    }
    let mut out = String::with_capacity(message.len() + 16);
    for (index, byte) in message.bytes().enumerate() {
        if plain(index, byte) {
            out.push(char::from(byte));
        } else {
            escape(byte).into_iter().for_each(|byte| out.push(char::from(byte)));
        }
    }
    Cow::Owned(out)
}

/// Decodes `grpc-message`. There is no error: an invalid percent-encoding stays as it is, and what is not UTF-8
/// becomes U+FFFD (gRPC PROTOCOL-HTTP2 "Status-Message": invalid values must not be an error nor be thrown away).
pub fn decode_message(value: &[u8]) -> Cow<'_, str> {
    if !value.contains(&b'%') {
        return String::from_utf8_lossy(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        let (byte, after) = unescape(rest).unwrap_or((*first, after));
        out.push(byte);
        rest = after;
    }
    Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// The parameters of a query (without the `?`), in order, as `application/x-www-form-urlencoded`: `&` separates, the
/// first `=` ends the key, `+` is a space. Empty parameters are skipped. Keys that are not UTF-8 are decoded with
/// U+FFFD; a value is bytes, which need not be UTF-8. Decoded once and no more.
///
/// A parameter that cannot be decoded is an error of its own, and those after it still follow.
pub fn decode_query(
    query: &str,
) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, [u8]>), BadQuery>> + '_ {
    query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        if parameter.contains(';') {
            return Err(BadQuery::Semicolon);
        }
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let key = match decode_component(key)? {
            Cow::Borrowed(key) => String::from_utf8_lossy(key),
            Cow::Owned(key) => Cow::Owned(String::from_utf8_lossy(&key).into_owned()),
        };
        Ok((key, decode_component(value)?))
    })
}

fn decode_component(text: &str) -> Result<Cow<'_, [u8]>, BadQuery> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match first {
            b'%' => unescape(rest).ok_or(BadQuery::Percent)?,
            b'+' => (b' ', after),
            _ => (*first, after),
        };
        out.push(byte);
        rest = after;
    }
    Ok(Cow::Owned(out))
}

/// Appends `value` to a query: all but letters, digits and `-._~` is encoded (RFC 3986 §2.3), a space as `%20`.
pub fn encode_query(value: &[u8], out: &mut Vec<u8>) {
    out.reserve(value.len());
    for byte in value {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(*byte),
            _ => out.extend_from_slice(&escape(*byte)),
        }
    }
}

fn escape(byte: u8) -> [u8; 3] {
    [b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

/// The byte that `%XX` at the start of `text` stands for, and what follows it.
fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, after @ ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some(((digit(*high)? << 4 | digit(*low)?) as u8, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    // gRPC PROTOCOL-HTTP2 "Status-Message": Percent-Byte-Unencoded is 0x20-0x24 and 0x26-0x7E.
    #[test]
    fn messages_are_encoded_outside_printable_ascii_and_at_the_percent_sign() {
        let cases = [
            ("", ""),
            ("plain text, ~ and !", "plain text, ~ and !"),
            ("100%", "100%25"),
            ("a\r\nb\t\u{7f}", "a%0D%0Ab%09%7F"),
            ("\u{263a}", "%E2%98%BA"),
            (" edges ", "%20edges%20"),
            (" ", "%20"),
        ];
        for (message, encoded) in cases {
            assert_eq!(encode_message(message), encoded);
            assert_eq!(decode_message(encoded.as_bytes()), message);
        }
        assert!(matches!(encode_message("plain text"), Cow::Borrowed(_)));
    }

    // The same: "When decoding invalid values, implementations MUST NOT error or throw away the message."
    #[test]
    fn invalid_messages_are_kept() {
        let cases: [(&[u8], &str); 8] = [
            (b"%", "%"),
            (b"%2", "%2"),
            (b"%zz", "%zz"),
            (b"%%41", "%A"),
            (b"50% off%21", "50% off!"),
            (b"%ff%fe", "\u{fffd}\u{fffd}"),
            (b"\xffraw", "\u{fffd}raw"),
            (b"a%0d%0aX: y", "a\r\nX: y"),
        ];
        for (encoded, message) in cases {
            assert_eq!(decode_message(encoded), message);
            assert_eq!(decode_message(encode_message(message).as_bytes()), message);
        }
    }

    #[test]
    fn queries_are_read_as_forms() {
        let pairs: Vec<_> = decode_query("b=2&&a=%7B%22x%22%3A1%7D&c=1+1%2B1&flag&e=x=y&%C3%A9=%FF&b=3&=z")
            .map(|pair| pair.map(|(key, value)| (key.into_owned(), value.into_owned())).unwrap())
            .collect();
        let expected: [(&str, &[u8]); 8] = [
            ("b", b"2"),
            ("a", b"{\"x\":1}"),
            ("c", b"1 1+1"),
            ("flag", b""),
            ("e", b"x=y"),
            ("\u{e9}", b"\xff"),
            ("b", b"3"),
            ("", b"z"),
        ];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_vec())));
        assert_eq!(decode_query("").count(), 0);
    }

    #[test]
    fn a_query_is_decoded_once() {
        let pair = decode_query("message=%2525").next().unwrap().unwrap();
        assert_eq!(&*pair.1, b"%25");
    }

    #[test]
    fn broken_parameters_do_not_hide_the_others() {
        let pairs: Vec<_> = decode_query("a=%&b=%4&c=%zz&d=x;y&e=%C3%28").collect();
        assert_eq!(pairs[..3], [Err(BadQuery::Percent), Err(BadQuery::Percent), Err(BadQuery::Percent)]);
        assert_eq!(pairs[3], Err(BadQuery::Semicolon));
        assert_eq!(pairs[4], Ok((Cow::Borrowed("e"), Cow::Owned(vec![0xc3, 0x28]))));
    }

    #[test]
    fn queries_round_trip() {
        let value: Vec<u8> = (0..=255).collect();
        let mut query = b"message=".to_vec();
        encode_query(&value, &mut query);
        let query = String::from_utf8(query).unwrap();
        assert_eq!(&*decode_query(&query).next().unwrap().unwrap().1, &value[..]);
        assert!(query.contains("%20") && !query.contains('+'));
    }
}
