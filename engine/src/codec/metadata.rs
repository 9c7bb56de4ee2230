//! Which names and values may be metadata.

/// Whether `name` may be sent: not empty, and of `0-9 a-z _ - .` only (gRPC PROTOCOL-HTTP2 "Custom-Metadata";
/// Connect "Leading-Metadata").
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_' | b'-' | b'.'))
}

/// Whether `value` may be sent under a name without `-bin`: printable ASCII and spaces only.
pub fn is_valid_ascii_value(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// Whether a peer may have sent `name`: a token of HTTP in lower case (RFC 9110 §5.6.2, RFC 9113 §8.2). Wider than
/// [`is_valid_name`]: what HTTP permits is kept.
pub fn is_valid_received_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_lower_case_token(*byte))
}

const fn is_lower_case_token(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
        | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Whether a peer may have sent `value`: no control characters but tabs (RFC 9110 §5.5). It need not be ASCII, and it
/// is no error if it is not (gRPC PROTOCOL-HTTP2 "Custom-Metadata").
pub fn is_valid_received_value(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..))
}

/// Whether `name` belongs to the protocols or to HTTP: stripped from what is received, refused from an application.
///
/// - `grpc-…` (gRPC), `connect-…` and `trailer-connect-…` (Connect), and pseudo-fields of HTTP/2;
/// - the fields that describe the body: `content-type`, `content-length`, `content-encoding`, `accept-encoding`;
/// - the fields of the connection (RFC 9110 §7.6.1, RFC 9113 §8.2.2), with `host`, `expect`, `te` and `trailer`.
///
/// `user-agent` is the application's to set.
pub fn is_reserved(name: &str) -> bool {
    is_reserved_bytes(name.as_bytes())
}

/// [`is_reserved`] of a name that nobody need look at as text.
pub(crate) fn is_reserved_bytes(name: &[u8]) -> bool {
    match name {
        [b':', ..] => true,
        [b'g', b'r', b'p', b'c', b'-', ..] => true,
        [b'c', b'o', b'n', b'n', b'e', b'c', b't', b'-', ..] => true,
        b"content-type" | b"content-length" | b"content-encoding" | b"accept-encoding" | b"connection"
        | b"expect" | b"host" | b"http2-settings" | b"keep-alive" | b"proxy-connection" | b"te"
        | b"trailer" | b"transfer-encoding" | b"upgrade" => true,
        _ => name.starts_with(b"trailer-connect-"),
    }
}

/// Whether values of `name` are bytes in base64.
pub fn is_binary(name: &str) -> bool {
    name.ends_with("-bin")
}

/// Whether values of `name` are credentials by its very meaning, never to be printed.
pub fn is_secret(name: &str) -> bool {
    matches!(name, "authorization" | "proxy-authorization" | "cookie" | "set-cookie" | "x-api-key")
}

/// The values of one `-bin` field, still in base64. A proxy may have joined several fields by commas, which are no
/// characters of base64: split before decoding (gRPC PROTOCOL-HTTP2 "Custom-Metadata").
pub fn split_binary(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    // gRPC PROTOCOL-HTTP2: Header-Name is 1*( %x30-39 / %x61-7A / "_" / "-" / "."); Connect "Leading-Metadata".
    #[test]
    fn names() {
        for name in ["a", "x-tag", "a_b.c-9", "0"] {
            assert!(is_valid_name(name) && is_valid_received_name(name.as_bytes()));
        }
        for name in ["", "X-Tag", "a b", ":path", "a:", "\u{e9}", "a\n", "a/b", "a\0"] {
            assert!(!is_valid_name(name) && !is_valid_received_name(name.as_bytes()), "{name:?}");
        }
        assert!(!is_valid_name("a!b") && is_valid_received_name(b"a!b"));
    }

    #[test]
    fn values() {
        assert!(is_valid_ascii_value(b"") && is_valid_ascii_value(b" a~"));
        assert!(is_valid_received_value(b"\tcaf\xe9"));
        for value in [&b"\n"[..], b"\r", b"\0", b"\x7f"] {
            assert!(!is_valid_ascii_value(value) && !is_valid_received_value(value));
        }
        assert!(!is_valid_ascii_value(b"\t") && !is_valid_ascii_value(b"\xc3\xa9"));
    }

    #[test]
    fn reserved_names() {
        for name in [
            "grpc-status",
            "grpc-anything",
            "connect-timeout-ms",
            "trailer-connect-x",
            ":path",
            "te",
            "host",
            "content-type",
            "connection",
            "transfer-encoding",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in
            ["user-agent", "trailer-x", "trailers", "grpc", "connect", "hostname", "content-language", "date"]
        {
            assert!(!is_reserved(name), "{name}");
        }
    }

    #[test]
    fn joined_binary_values_are_split() {
        let parts: Vec<_> = split_binary(b"AAEC, Zg==,Zg").collect();
        assert_eq!(parts, [&b"AAEC"[..], b"Zg==", b"Zg"]);
        assert_eq!(split_binary(b"").count(), 1);
    }
}
