//! From a [`Head`] to bytes. Everything is checked before the first byte is written: what an application gives can
//! never end a line, a head or a message (B13, request and response splitting).

use bytes::{BufMut, BytesMut};

use super::head_parse::{
    is_authority, is_field_text, is_forbidden_trailer, is_target_text, is_token, parse_length,
};
use crate::codec::metadata::is_valid_received_name;
use crate::{Fields, Head, Misuse};

/// What the application's own fields say about framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Wishes {
    pub(super) content_length: Option<u64>,
    /// The application sent `connection: close`.
    pub(super) close: bool,
    /// A `te` field, which has to be named in `connection` (RFC 9110 §10.1.4).
    pub(super) te: bool,
}

/// Checks a request that is to be sent.
pub(super) fn check_request(head: &Head) -> Result<Wishes, Misuse> {
    let (method, path) = (head.method(), head.path());
    if method.is_empty() || !method.bytes().all(is_token) || method == "CONNECT" {
        return Err(Misuse::InvalidTarget);
    }
    let origin = path.starts_with('/') || (path == "*" && method == "OPTIONS");
    if !origin || !is_target_text(path.as_bytes()) || !is_authority(head.authority().unwrap_or_default()) {
        return Err(Misuse::InvalidTarget);
    }
    check_fields(&head.fields)
}

/// Checks a response that is to be sent: an informational one may say nothing about a body.
pub(super) fn check_response(head: &Head) -> Result<Wishes, Misuse> {
    let status = head.status();
    if head.is_request() || !(100..=999).contains(&status) || status == 101 {
        return Err(Misuse::WrongState);
    }
    let wishes = check_fields(&head.fields)?;
    let bodyless = head.is_informational() || status == 204;
    if wishes.te || (bodyless && wishes.content_length.is_some()) {
        return Err(Misuse::InvalidMetadata);
    }
    Ok(wishes)
}

fn check_fields(fields: &Fields) -> Result<Wishes, Misuse> {
    let mut wishes = Wishes::default();
    for (name, value, _) in fields.raw() {
        check_field(name, value)?;
        match name {
            b"content-length" => {
                let length = parse_length(value).ok_or(Misuse::InvalidMetadata)?;
                if wishes.content_length.replace(length).is_some() {
                    return Err(Misuse::InvalidMetadata);
                }
            }
            b"connection" if value.eq_ignore_ascii_case(b"close") => wishes.close = true,
            b"te" => wishes.te = true,
            b"host" | b"connection" | b"transfer-encoding" | b"keep-alive" | b"proxy-connection"
            | b"upgrade" => return Err(Misuse::InvalidMetadata),
            _ => {}
        }
    }
    Ok(wishes)
}

/// Checks trailers that are to be sent.
pub(super) fn check_trailers(trailers: &Fields) -> Result<(), Misuse> {
    for (name, value, _) in trailers.raw() {
        check_field(name, value)?;
        if is_forbidden_trailer(name) {
            return Err(Misuse::InvalidMetadata);
        }
    }
    Ok(())
}

fn check_field(name: &[u8], value: &[u8]) -> Result<(), Misuse> {
    let name_fits = is_valid_received_name(name);
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let value_fits = is_field_text(value) && !blank(value.first()) && !blank(value.last());
    if name_fits && value_fits { Ok(()) } else { Err(Misuse::InvalidMetadata) }
}

/// The request line, Host first of the fields, and the application's fields. Framing fields and the end come later.
pub(super) fn write_request(buffer: &mut BytesMut, head: &Head) {
    for part in [head.method(), " ", head.path(), " HTTP/1.1\r\nhost: "] {
        buffer.put_slice(part.as_bytes());
    }
    buffer.put_slice(head.authority().unwrap_or_default().as_bytes());
    buffer.put_slice(b"\r\n");
    write_fields(buffer, &head.fields);
}

/// The status line and the application's fields. Framing fields and the end come later.
pub(super) fn write_response(buffer: &mut BytesMut, head: &Head) {
    write_status_line(buffer, head.status());
    write_fields(buffer, &head.fields);
}

/// The status line. The space before the reason is mandatory, the reason is not (RFC 9112 §4).
pub(super) fn write_status_line(buffer: &mut BytesMut, status: u16) {
    buffer.put_slice(b"HTTP/1.1 ");
    write_decimal(buffer, u64::from(status));
    buffer.put_u8(b' ');
    let known = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    buffer.put_slice(known.unwrap_or_default().as_bytes());
    buffer.put_slice(b"\r\n");
}

/// Field lines as they are given; `connection` is written by whoever ends the head.
pub(super) fn write_fields(buffer: &mut BytesMut, fields: &Fields) {
    for (name, value, _) in fields.raw().filter(|field| field.0 != b"connection") {
        buffer.reserve(name.len() + value.len() + 4);
        buffer.put_slice(name);
        buffer.put_slice(b": ");
        buffer.put_slice(value);
        buffer.put_slice(b"\r\n");
    }
}

pub(super) fn write_decimal(buffer: &mut BytesMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.put_slice(&digits[at..]);
}

pub(super) fn write_hex(buffer: &mut BytesMut, number: u64) {
    let digits = (16 - number.leading_zeros() / 4).max(1);
    for place in (0..digits).rev() {
        buffer.put_u8(b"0123456789abcdef"[(number >> (4 * place)) as usize & 15]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        for number in [0, 1, 9, 10, 15, 16, 255, 4096, 65_535, u64::from(u32::MAX), u64::MAX] {
            let mut buffer = BytesMut::new();
            write_decimal(&mut buffer, number);
            buffer.put_u8(b' ');
            write_hex(&mut buffer, number);
            assert_eq!(buffer, format!("{number} {number:x}"));
        }
    }

    // RFC 9110 §5.5, B13: no application can end a line.
    #[test]
    fn every_byte_of_a_value_is_judged() {
        for byte in 0..=255 {
            let mut head = Head::response(200);
            head.fields.push("x-tag", &[b'a', byte, b'b']);
            let fits = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(check_response(&head).is_ok(), fits, "{byte}");
        }
    }

    // RFC 9112 §3.2, §6.2; RFC 9110 §7.6.1: what only this floor may write.
    #[test]
    fn framing_belongs_to_this_floor() {
        let refuse = |name: &str, value: &[u8]| {
            let mut head = Head::request("POST", "", "a", "/");
            head.fields.push(name, value);
            assert_eq!(check_request(&head), Err(Misuse::InvalidMetadata), "{name}");
        };
        refuse("transfer-encoding", b"chunked");
        refuse("host", b"b");
        refuse("connection", b"upgrade");
        refuse("upgrade", b"h2c");
        refuse("content-length", b"+5");
        refuse("content-length", b"5, 5");
        refuse("a b", b"1");
        refuse("", b"1");
        refuse("x", b" 1");
        for (method, authority, path) in [
            ("P T", "a", "/"),
            ("", "a", "/"),
            ("CONNECT", "a", "/"),
            ("GET", "a", "x"),
            ("GET", "a", "/ HTTP/1.1\r\n"),
            ("GET", "a", "/#f"),
            ("GET", "u@a", "/"),
            ("GET", "a\r\nx: y", "/"),
            ("GET", "a", "*"),
        ] {
            let head = Head::request(method, "", authority, path);
            assert_eq!(check_request(&head), Err(Misuse::InvalidTarget), "{method} {authority} {path}");
        }
    }
}
