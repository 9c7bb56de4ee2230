//! What a single field may be in HTTP/2 (RFC 9113 §8.2, §8.3).
//!
//! The verdict is remembered beside an entry of the dynamic table, so that a field that comes by its index is not
//! looked at again. What depends on several fields is judged in [`assembly`](super::assembly).

/// What a name says of its field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NameKind {
    Regular,
    /// `authorization` and its relatives: the value is a secret.
    Secret,
    Cookie,
    Host,
    Te,
    /// `content-length`: marked, so that it need not be looked for.
    Length,
    Method,
    Scheme,
    Authority,
    Path,
    Status,
    Bad(Fault),
}

/// What a whole field is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Regular,
    Secret,
    Cookie,
    Host,
    Length,
    Method,
    Scheme,
    Authority,
    Path,
    Status,
    Bad(Fault),
}

/// The rule that makes a message malformed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    Name,
    Value,
    Connection,
    Te,
    UnknownPseudo,
    LatePseudo,
    RepeatedPseudo,
    MixedPseudo,
    MissingPseudo,
    Connect,
    Method,
    Scheme,
    Authority,
    Path,
    Status,
    RepeatedHost,
    OtherHost,
}

impl Fault {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Name => "a field name is empty or has a byte that it may not have",
            Self::Value => "a field value has a byte that it may not have, or white space around it",
            Self::Connection => "a field is specific to HTTP/1.1 connections",
            Self::Te => "the te field has a value other than trailers",
            Self::UnknownPseudo => "a pseudo-field is unknown",
            Self::LatePseudo => "a pseudo-field follows a regular field",
            Self::RepeatedPseudo => "a pseudo-field is repeated",
            Self::MixedPseudo => "pseudo-fields of requests and responses are mixed",
            Self::MissingPseudo => "a request lacks :method, :scheme or :path",
            Self::Connect => "a CONNECT request has :scheme or :path, or lacks :authority",
            Self::Method => ":method is not a token",
            Self::Scheme => ":scheme is not a scheme",
            Self::Authority => "the authority has user information or a byte that it may not have",
            Self::Path => ":path does not begin with a slash, or has a byte that it may not have",
            Self::Status => ":status is not three digits of a response in HTTP/2",
            Self::RepeatedHost => "the host field is repeated",
            Self::OtherHost => "the host field differs from :authority",
        }
    }
}

/// A byte of a token (RFC 9110 §5.6.2).
const TOKEN: u8 = 1;
/// A byte of a field name: a token's, but no upper-case letter (RFC 9113 §8.2.1).
const NAME: u8 = 2;
/// A visible byte of ASCII but the number sign (RFC 9113 §8.3.1: a path has no fragment).
const PATH: u8 = 4;
/// A visible byte of ASCII that ends no authority and is not the sign behind user information (RFC 3986 §3.2).
const AUTHORITY: u8 = 8;
/// A byte of a scheme (RFC 3986 §3.1).
const SCHEME: u8 = 16;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let c = byte as u8;
        let letter_or_digit = c.is_ascii_alphanumeric();
        let token = letter_or_digit
            || matches!(c, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(c, b'^' | b'_' | b'`' | b'|' | b'~');
        let mut class = 0;
        if token {
            class |= TOKEN;
        }
        if token && !c.is_ascii_uppercase() {
            class |= NAME;
        }
        if c != b'#' {
            class |= PATH;
        }
        if !matches!(c, b'@' | b'/' | b'?' | b'#' | b'\\') {
            class |= AUTHORITY;
        }
        if letter_or_digit || matches!(c, b'+' | b'-' | b'.') {
            class |= SCHEME;
        }
        classes[byte] = class;
        byte += 1;
    }
    classes
}

fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |common, &byte| common & CLASSES[usize::from(byte)]) != 0
}

/// Judges a name.
pub(super) fn name(name: &[u8]) -> NameKind {
    match name {
        [] => NameKind::Bad(Fault::Name),
        [b':', ..] => pseudo_name(name),
        _ if !all(name, NAME) => NameKind::Bad(Fault::Name),
        _ => regular_name(name),
    }
}

fn pseudo_name(name: &[u8]) -> NameKind {
    match name {
        b":method" => NameKind::Method,
        b":scheme" => NameKind::Scheme,
        b":authority" => NameKind::Authority,
        b":path" => NameKind::Path,
        b":status" => NameKind::Status,
        _ => NameKind::Bad(Fault::UnknownPseudo),
    }
}

fn regular_name(name: &[u8]) -> NameKind {
    // By length first: most names are told from all special ones by a jump.
    match name.len() {
        2 if name == b"te" => NameKind::Te,
        4 if name == b"host" => NameKind::Host,
        6 if name == b"cookie" => NameKind::Cookie,
        7 if name == b"upgrade" => NameKind::Bad(Fault::Connection),
        10 if name == b"connection" || name == b"keep-alive" => NameKind::Bad(Fault::Connection),
        10 if name == b"set-cookie" => NameKind::Secret,
        14 if name == b"content-length" => NameKind::Length,
        13 if name == b"authorization" => NameKind::Secret,
        16 if name == b"proxy-connection" => NameKind::Bad(Fault::Connection),
        17 if name == b"transfer-encoding" => NameKind::Bad(Fault::Connection),
        19 if name == b"proxy-authorization" => NameKind::Secret,
        _ => NameKind::Regular,
    }
}

/// Judges a value, given what its name said.
pub(super) fn value(name: NameKind, value: &[u8]) -> Kind {
    let (kind, good, fault) = match name {
        NameKind::Bad(fault) => return Kind::Bad(fault),
        NameKind::Regular => (Kind::Regular, regular_value(value), Fault::Value),
        NameKind::Secret => (Kind::Secret, regular_value(value), Fault::Value),
        NameKind::Cookie => (Kind::Cookie, regular_value(value), Fault::Value),
        NameKind::Length => (Kind::Length, regular_value(value), Fault::Value),
        NameKind::Host => (Kind::Host, authority(value), Fault::Authority),
        NameKind::Te => (Kind::Regular, value == b"trailers", Fault::Te),
        NameKind::Method => (Kind::Method, !value.is_empty() && all(value, TOKEN), Fault::Method),
        NameKind::Scheme => (Kind::Scheme, scheme(value), Fault::Scheme),
        NameKind::Authority => (Kind::Authority, authority(value), Fault::Authority),
        NameKind::Path => (Kind::Path, path(value), Fault::Path),
        NameKind::Status => (Kind::Status, status(value).is_some(), Fault::Status),
    };
    if good { kind } else { Kind::Bad(fault) }
}

/// Judges a value that has no control characters, given what its name said.
#[inline]
pub(super) fn plain_value(name: NameKind, plain: &[u8]) -> Kind {
    let kind = match name {
        NameKind::Regular => Kind::Regular,
        NameKind::Secret => Kind::Secret,
        _ => return value(name, plain),
    };
    if has_space_around(plain) { Kind::Bad(Fault::Value) } else { kind }
}

/// RFC 9113 §8.2.1
fn regular_value(value: &[u8]) -> bool {
    let bad = |&byte: &u8| matches!(byte, 0 | b'\n' | b'\r');
    !has_space_around(value) && (has_no_controls(value) || !value.iter().any(bad))
}

fn has_space_around(value: &[u8]) -> bool {
    let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    space(value.first()) || space(value.last())
}

/// Whether no byte is below 0x20: nearly all values pass, eight bytes at a time.
fn has_no_controls(value: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const SPACES: u64 = 0x2020_2020_2020_2020;
    let (words, rest) = value.split_at(value.len() - value.len() % 8);
    // A byte below 0x20 borrows, which sets its high bit; one above it that borrows was borrowed from, and found before.
    let controls = words.chunks_exact(8).fold(0, |found, word| {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        found | (word.wrapping_sub(SPACES) & !word & HIGH)
    });
    controls == 0 && rest.iter().all(|&byte| byte >= 0x20)
}

/// An empty authority is legal, and taken for none.
fn authority(value: &[u8]) -> bool {
    value.is_empty() || all(value, AUTHORITY)
}

fn scheme(value: &[u8]) -> bool {
    value.first().is_some_and(u8::is_ascii_alphabetic) && all(value, SCHEME)
}

fn path(value: &[u8]) -> bool {
    value == b"*" || value.first() == Some(&b'/') && all(value, PATH)
}

/// The status that these three digits say. 101 does not exist in HTTP/2 (RFC 9113 §8.6).
pub(super) fn status(value: &[u8]) -> Option<u16> {
    let &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = value else { return None };
    let status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    (status != 101).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9113 §8.2.1
    #[test]
    fn bytes_of_names() {
        for byte in 0..=255_u8 {
            let bad = matches!(byte, 0..=0x20 | b'A'..=b'Z' | b':' | 0x7f..=0xff);
            let kind = name(&[b'a', byte]);
            if bad {
                assert_eq!(kind, NameKind::Bad(Fault::Name), "{byte}");
            }
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(kind == NameKind::Regular, token && !byte.is_ascii_uppercase(), "{byte}");
        }
        assert_eq!(name(b""), NameKind::Bad(Fault::Name));
        assert_eq!(name(b":"), NameKind::Bad(Fault::UnknownPseudo));
        assert_eq!(name(b":Method"), NameKind::Bad(Fault::UnknownPseudo));
    }

    /// RFC 9113 §8.2.1
    #[test]
    fn bytes_of_values() {
        for byte in 0..=255_u8 {
            let within = value(NameKind::Regular, &[b'a', byte, b'b']) == Kind::Regular;
            assert_eq!(within, !matches!(byte, 0 | b'\n' | b'\r'), "{byte}");
            let (before, after) = ([byte, b'a'], [b'a', byte]);
            for around in [&before[..], &after, &after[1..]] {
                let good = value(NameKind::Regular, around) == Kind::Regular;
                assert_eq!(good, !matches!(byte, 0 | b'\n' | b'\r' | b' ' | b'\t'), "{byte}");
            }
        }
        assert_eq!(value(NameKind::Regular, b""), Kind::Regular);
    }

    /// RFC 9113 §8.2.2
    #[test]
    fn fields_of_connections() {
        for bad in ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"] {
            assert_eq!(name(bad.as_bytes()), NameKind::Bad(Fault::Connection), "{bad}");
        }
        assert_eq!(value(name(b"te"), b"trailers"), Kind::Regular);
        for bad in [&b""[..], b"gzip", b"trailers, gzip", b"Trailers "] {
            assert_eq!(value(name(b"te"), bad), Kind::Bad(Fault::Te));
        }
    }

    /// RFC 9113 §8.3.1, RFC 9110 §9.1, RFC 3986 §3
    #[test]
    fn values_of_pseudo_fields() {
        let good = |kind, text: &str| !matches!(value(kind, text.as_bytes()), Kind::Bad(_));
        assert!(
            good(NameKind::Method, "M-SEARCH")
                && !good(NameKind::Method, "")
                && !good(NameKind::Method, "A B")
        );
        assert!(
            good(NameKind::Scheme, "coap+tcp")
                && !good(NameKind::Scheme, "")
                && !good(NameKind::Scheme, "1a")
        );
        assert!(!good(NameKind::Scheme, "http:"));
        assert!(good(NameKind::Authority, "[::1]:80") && good(NameKind::Authority, ""));
        for bad in ["u@h", "h/p", "h?q", "h#f", "h p", "h\\p", "é", "h\u{7f}"] {
            assert!(!good(NameKind::Authority, bad) && !good(NameKind::Host, bad), "{bad}");
        }
        assert!(good(NameKind::Path, "/a?b=c%20d") && good(NameKind::Path, "*"));
        for bad in ["", "a", "/a#b", "/a b", "/\t", "/é", "**", "/\u{7f}", "http://h/"] {
            assert!(!good(NameKind::Path, bad), "{bad}");
        }
    }

    /// RFC 9113 §8.3.2, §8.6
    #[test]
    fn status_has_three_digits() {
        assert_eq!(status(b"200"), Some(200));
        assert_eq!(status(b"100"), Some(100));
        assert_eq!(status(b"999"), Some(999));
        for bad in [&b""[..], b"20", b"2000", b"101", b"000", b"099", b"2 0", b"+20", b"20a", b"-00"] {
            assert_eq!(status(bad), None);
        }
    }
}
