//! From the bytes of a head to a [`Head`] and to what its framing fields say.
//!
//! httparse does the tokenising. It is laxer than RFC 9112 lets a recipient be (bare LF, any number of leading blank
//! lines), so the bytes are searched and checked line by line before it sees them: what is accepted here is a subset
//! of what httparse accepts, with the same fields.

use core::mem::MaybeUninit;

use super::lines::{check_lines, find_byte};
use super::refused::{Refused, refused};
use crate::{Fields, Head, Limits};

/// How a head says that the body is delimited, before the rules that depend on method and status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Delimited {
    /// Neither content-length nor transfer-encoding.
    #[default]
    Unsaid,
    Length(u64),
    Chunked,
}

/// What a head says about its body and its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Facts {
    /// HTTP/1.1, not 1.0.
    pub(super) http11: bool,
    pub(super) delimited: Delimited,
    /// The sender closes the connection after this message.
    pub(super) close: bool,
    /// A client waits for `100 Continue`.
    pub(super) expects_continue: bool,
}

/// Fields that this floor understands, taken out while the others are copied.
#[derive(Default)]
struct Special<'a> {
    host: Option<&'a [u8]>,
    hosts: usize,
    length: Option<&'a [u8]>,
    lengths: usize,
    codings: Option<Result<(), Refused>>,
    close: bool,
    expect: Option<&'a [u8]>,
    expects: usize,
}

/// Parses the whole head of a request into `head`.
pub(super) fn parse_request(bytes: &[u8], limits: &Limits, head: &mut Head) -> Result<Facts, Refused> {
    let (method, target, http11) = request_line(first_line(bytes)?)?;
    head.clear();
    let mut fields = core::mem::take(&mut head.fields);
    let parsed = with_headers(limits, |slots| {
        let mut request = httparse::Request::new(&mut []);
        let outcome = request.parse_with_uninit_headers(bytes, slots);
        complete(outcome, bytes)?;
        let special = take_fields(request.headers, limits, &mut fields)?;
        let facts = request_facts(&special, http11)?;
        set_target(head, method, target, special.host)?;
        Ok(facts)
    });
    head.fields = fields;
    let facts = parsed?;
    if method == "CONNECT" {
        return Err(refused(501, "CONNECT is not supported"));
    }
    Ok(facts)
}

/// Parses the whole head of a response into `head`.
pub(super) fn parse_response(bytes: &[u8], limits: &Limits, head: &mut Head) -> Result<Facts, Refused> {
    let (status, http11) = status_line(first_line(bytes)?)?;
    head.clear();
    head.set_response(status);
    with_headers(limits, |slots| {
        let mut response = httparse::Response::new(&mut []);
        let outcome =
            httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, slots);
        complete(outcome, bytes)?;
        let special = take_fields(response.headers, limits, &mut head.fields)?;
        response_facts(&special, http11)
    })
}

/// Parses a trailer section, its empty line included, into `trailers`.
pub(super) fn parse_trailers(bytes: &[u8], limits: &Limits, trailers: &mut Fields) -> Result<(), Refused> {
    check_lines(bytes)?;
    trailers.clear();
    if bytes.len() == 2 {
        return Ok(());
    }
    if matches!(bytes.first(), Some(b' ' | b'\t')) {
        return Err(refused(400, "a trailer line begins with white space"));
    }
    let slots = &mut vec![httparse::EMPTY_HEADER; limits.header_fields];
    let headers = match httparse::parse_headers(bytes, slots) {
        Ok(httparse::Status::Complete((length, headers))) if length == bytes.len() => headers,
        Err(httparse::Error::TooManyHeaders) => return Err(refused(431, "too many trailers")),
        _ => return Err(refused(400, "malformed trailers")),
    };
    let mut size = 0;
    for header in headers.iter() {
        size += header.name.len() + header.value.len() + 32;
        if size > limits.header_list {
            return Err(refused(431, "the trailers are too large"));
        }
        lowered(header.name, |name| {
            if is_forbidden_trailer(name) {
                return Err(refused(400, "a trailer that belongs into the head"));
            }
            push_field(trailers, name, trim(header.value));
            Ok(())
        })?;
    }
    Ok(())
}

/// Fields that frame or route a message may not come after it (RFC 9110 §6.5.1).
pub(super) fn is_forbidden_trailer(name: &[u8]) -> bool {
    matches!(
        name,
        b"content-length"
            | b"transfer-encoding"
            | b"host"
            | b"connection"
            | b"keep-alive"
            | b"proxy-connection"
            | b"upgrade"
            | b"te"
            | b"trailer"
            | b"expect"
    )
}

/// Runs `parse` with room for as many headers as the limits allow, on the stack for the default.
fn with_headers<'b, T>(
    limits: &Limits,
    parse: impl for<'a> FnOnce(&'a mut [MaybeUninit<httparse::Header<'b>>]) -> Result<T, Refused>,
) -> Result<T, Refused> {
    const ON_STACK: usize = 128;
    if limits.header_fields <= ON_STACK {
        let mut slots = [const { MaybeUninit::uninit() }; ON_STACK];
        return parse(&mut slots[..limits.header_fields]);
    }
    let mut slots: Vec<_> = (0..limits.header_fields).map(|_| MaybeUninit::uninit()).collect();
    parse(&mut slots)
}

fn complete(outcome: httparse::Result<usize>, bytes: &[u8]) -> Result<(), Refused> {
    match outcome {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(refused(431, "too many header fields")),
        Err(httparse::Error::HeaderName) => Err(refused(400, "malformed field name")),
        Err(httparse::Error::HeaderValue) => Err(refused(400, "malformed field value")),
        _ => Err(refused(400, "malformed head")),
    }
}

/// The first line without its end. All lines are checked: CR and LF only in pairs, no folding (RFC 9112 §2.2, §5.2).
fn first_line(bytes: &[u8]) -> Result<&str, Refused> {
    check_lines(bytes)?;
    let length = find_byte(bytes, b'\n').unwrap_or(0).saturating_sub(1);
    let line = bytes.get(..length).unwrap_or_default();
    if !is_field_text(line) {
        return Err(refused(400, "control characters in the first line"));
    }
    // A reason phrase may hold obs-text; nothing that is read of the line may.
    let visible =
        if line.is_ascii() { length } else { line.iter().position(|byte| *byte >= 0x80).unwrap_or(length) };
    if visible < length && !line.starts_with(b"HTTP/") {
        return Err(refused(400, "the request line is not ASCII"));
    }
    core::str::from_utf8(&line[..visible]).map_err(|_| refused(400, "the first line is not ASCII"))
}

/// `method SP target SP version`, with exactly one space each (RFC 9112 §3).
fn request_line(line: &str) -> Result<(&str, &str, bool), Refused> {
    let malformed = refused(400, "malformed request line");
    let space = |text: &str| find_byte(text.as_bytes(), b' ');
    let at = space(line).ok_or(malformed)?;
    let (method, rest) = (&line[..at], &line[at + 1..]);
    let at = space(rest).ok_or(malformed)?;
    let (target, version) = (&rest[..at], &rest[at + 1..]);
    if space(version).is_some() {
        return Err(malformed);
    }
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(refused(400, "malformed method"));
    }
    let http11 = match version.as_bytes() {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(refused(505, "unsupported version of HTTP"));
        }
        _ => return Err(refused(400, "malformed version")),
    };
    Ok((method, target, http11))
}

/// What somebody is told who has connected to something else.
pub(super) const FOREIGN: &str =
    "the answer is not HTTP/1.1 or HTTP/1.0 in the clear: the peer may speak HTTP/2 alone, or TLS";

/// `version SP status [SP reason]` (RFC 9112 §4).
fn status_line(line: &str) -> Result<(u16, bool), Refused> {
    let http11 = if line.starts_with("HTTP/1.1 ") {
        true
    } else if line.starts_with("HTTP/1.0 ") {
        false
    } else {
        return Err(refused(502, FOREIGN));
    };
    let bytes = &line.as_bytes()[9..];
    let (Some(code), true) = (bytes.get(..3), matches!(bytes.get(3), None | Some(b' '))) else {
        return Err(refused(502, "malformed status line"));
    };
    if !code.iter().all(u8::is_ascii_digit) || code[0] == b'0' {
        return Err(refused(502, "malformed status"));
    }
    Ok((code.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')), http11))
}

/// Splits the request target into scheme, authority and path (RFC 9112 §3.2).
fn set_target(head: &mut Head, method: &str, target: &str, host: Option<&[u8]>) -> Result<(), Refused> {
    if target.is_empty() || !is_target_text(target.as_bytes()) {
        return Err(refused(400, "malformed request target"));
    }
    let host = host.and_then(|host| core::str::from_utf8(host).ok()).unwrap_or_default();
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") || method == "CONNECT" {
        head.set_request(method, "", host, target);
        return Ok(());
    }
    let Some((scheme, rest)) = target.split_once("://") else {
        return Err(refused(400, "malformed request target"));
    };
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => "http",
        _ if scheme.eq_ignore_ascii_case("https") => "https",
        _ => return Err(refused(400, "unknown scheme in the request target")),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || !is_authority(authority) {
        return Err(refused(400, "malformed authority in the request target"));
    }
    match path.as_bytes().first() {
        None => head.set_request(method, scheme, authority, "/"),
        Some(b'?') => head.set_request(method, scheme, authority, &format!("/{path}")),
        Some(_) => head.set_request(method, scheme, authority, path),
    }
    Ok(())
}

fn request_facts(special: &Special<'_>, http11: bool) -> Result<Facts, Refused> {
    if special.hosts > 1 || (special.hosts == 0 && http11) {
        return Err(refused(400, "not exactly one Host"));
    }
    if let Some(host) = special.host {
        if !core::str::from_utf8(host).is_ok_and(is_authority) {
            return Err(refused(400, "malformed Host"));
        }
    }
    let length = content_length(special)?;
    let delimited = match (special.codings, length) {
        (Some(_), _) if !http11 => return Err(refused(400, "transfer-encoding in HTTP/1.0")),
        (Some(_), Some(_)) => return Err(refused(400, "transfer-encoding and content-length")),
        (Some(coding), None) => {
            coding?;
            Delimited::Chunked
        }
        (None, Some(length)) => Delimited::Length(length),
        (None, None) => Delimited::Unsaid,
    };
    let expects_continue = match special.expect {
        Some(value) if http11 => {
            if special.expects > 1 || !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(refused(417, "unknown expectation"));
            }
            true
        }
        _ => false,
    };
    Ok(Facts { http11, delimited, close: special.close || !http11, expects_continue })
}

fn response_facts(special: &Special<'_>, http11: bool) -> Result<Facts, Refused> {
    let length = content_length(special)?;
    let mut close = special.close || !http11;
    let delimited = match (special.codings, length) {
        (Some(_), _) if !http11 => return Err(refused(502, "transfer-encoding in HTTP/1.0")),
        (Some(coding), length) => {
            coding?;
            close |= length.is_some();
            Delimited::Chunked
        }
        (None, Some(length)) => Delimited::Length(length),
        (None, None) => Delimited::Unsaid,
    };
    Ok(Facts { http11, delimited, close, expects_continue: false })
}

/// Exactly one content-length of digits alone, at most 2^63 - 1; a repeat is refused even if equal (RFC 9112 §6.3).
fn content_length(special: &Special<'_>) -> Result<Option<u64>, Refused> {
    let Some(value) = special.length else { return Ok(None) };
    if special.lengths > 1 {
        return Err(refused(400, "content-length is repeated"));
    }
    parse_length(value).map(Some).ok_or(refused(400, "malformed content-length"))
}

/// `1*DIGIT`, at most 2^63 - 1.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|length| *length <= i64::MAX as u64)
}

/// Exactly `chunked`, once. Another coding before it is one that we do not have (501); anything else leaves the end of
/// the body unknown (400). RFC 9112 §6.1, §6.3.
fn transfer_coding(value: &[u8]) -> Result<(), Refused> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let malformed = Err(refused(400, "malformed transfer-encoding"));
    let mut codings = value.split(|byte| *byte == b',').map(trim);
    if !codings.next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked")) {
        return malformed;
    }
    for coding in codings {
        if coding.is_empty()
            || !coding.iter().copied().all(is_token)
            || coding.eq_ignore_ascii_case(b"chunked")
        {
            return malformed;
        }
    }
    Err(refused(501, "unknown transfer coding"))
}

fn take_fields<'b>(
    headers: &[httparse::Header<'b>],
    limits: &Limits,
    fields: &mut Fields,
) -> Result<Special<'b>, Refused> {
    let mut special = Special::default();
    let mut size = 0;
    for header in headers {
        size += header.name.len() + header.value.len() + 32;
        if size > limits.header_list {
            return Err(refused(431, "the header fields are too large"));
        }
        let value = trim(header.value);
        lowered(header.name, |name| take_field(name, value, &mut special, fields));
    }
    Ok(special)
}

fn take_field<'b>(name: &[u8], value: &'b [u8], special: &mut Special<'b>, fields: &mut Fields) {
    match name {
        b"host" => {
            special.hosts += 1;
            special.host = Some(value);
        }
        b"content-length" => {
            special.lengths += 1;
            special.length = Some(value);
            fields.push_bytes(name, value, false);
        }
        b"transfer-encoding" => {
            let repeated = Err(refused(400, "transfer-encoding is repeated"));
            special.codings = Some(if special.codings.is_some() { repeated } else { transfer_coding(value) });
        }
        b"connection" => special.close |= has_token(value, b"close"),
        b"expect" => {
            special.expects += 1;
            special.expect = Some(value);
        }
        b"keep-alive" | b"proxy-connection" | b"upgrade" | b"http2-settings" => {}
        _ => push_field(fields, name, value),
    }
}

fn push_field(fields: &mut Fields, name: &[u8], value: &[u8]) {
    let secret = matches!(name, b"authorization" | b"proxy-authorization" | b"cookie" | b"set-cookie");
    fields.push_bytes(name, value, secret);
}

/// Gives `use_name` the name in lower case, without an allocation for names of usual length.
fn lowered<T>(name: &str, use_name: impl FnOnce(&[u8]) -> T) -> T {
    let name = name.as_bytes();
    let mut short = [0; 64];
    match short.get_mut(..name.len()) {
        _ if !name.iter().fold(false, |upper, byte| upper | byte.is_ascii_uppercase()) => use_name(name),
        Some(short) => {
            short.copy_from_slice(name);
            short.make_ascii_lowercase();
            use_name(short)
        }
        None => use_name(&name.to_ascii_lowercase()),
    }
}

/// Whether a comma-separated list holds `token`, in any case.
pub(super) fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|element| trim(element).eq_ignore_ascii_case(token))
}

/// Without surrounding SP and HTAB, which alone are optional white space (RFC 9110 §5.6.3).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A character of a token (RFC 9110 §5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether these may be bytes of a request target: visible ASCII, and no fragment. All are looked at, whatever is
/// found: that is faster than to stop.
pub(super) fn is_target_text(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |fits, byte| fits & (byte.wrapping_sub(b'!') <= b'~' - b'!') & (*byte != b'#'))
}

/// Whether these may be bytes of a field value: no control characters but tabs (RFC 9110 §5.5).
pub(super) fn is_field_text(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |fits, byte| fits & ((*byte >= b' ') & (*byte != 0x7f) | (*byte == b'\t')))
}

/// `uri-host [":" port]` without user information. Empty is valid: a target without authority (RFC 9112 §3.2).
pub(super) fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => (&authority[..colon], &authority[colon + 1..]),
        _ => (authority, ""),
    };
    if port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        let known =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-' | b'_' | b'~');
        return !address.is_empty() && address.bytes().all(known);
    }
    let known = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'%'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b';'
                    | b'='
            )
    };
    (!host.is_empty() || authority.is_empty()) && host.bytes().all(known)
}
