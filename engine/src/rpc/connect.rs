//! What is Connect's own: GET requests, the end of a stream in JSON, trailers among the headers.

use core::fmt::Write;
use std::borrow::Cow;

use super::{Payload, Sink, grpc_web::put_envelope};
use crate::codec::envelope::END_STREAM;
use crate::codec::metadata::is_reserved;
use crate::codec::{base64, end_stream, percent};
use crate::{Fields, Metadata, Status};

/// The prefix of trailers that travel as headers (Connect "Unary-Response").
pub(crate) const TRAILER_PREFIX: &str = "trailer-";

/// Sends the last envelope of an answer.
pub(crate) fn put_end_stream(
    status: Option<&Status>,
    trailers: &Metadata,
    scratch: &mut Vec<u8>,
    out: &mut impl Sink,
) {
    scratch.clear();
    end_stream::encode(status, trailers, scratch);
    put_envelope(END_STREAM, Payload::Plain(scratch), None, out);
}

/// Appends trailers to a head, each under its name with `trailer-` in front.
pub(crate) fn push_trailers(trailers: &Metadata, fields: &mut Fields) {
    let mut name = String::new();
    for field in trailers.iter().filter(|field| !is_reserved(field.name)) {
        name.clear();
        let _ = write!(name, "{TRAILER_PREFIX}{}", field.name);
        if field.sensitive {
            fields.push_sensitive(&name, field.value);
        } else {
            fields.push(&name, field.value);
        }
    }
}

/// Sorts the fields of a unary response into headers and trailers, without reserved names.
pub(crate) fn split_trailers(fields: &Fields, headers: &mut Metadata, trailers: &mut Metadata) {
    for field in fields.iter().filter(|field| !is_reserved(field.name)) {
        let (name, metadata) = match field.name.strip_prefix(TRAILER_PREFIX) {
            Some(name) if name.is_empty() || is_reserved(name) => continue,
            Some(name) => (name, &mut *trailers),
            None => (field.name, &mut *headers),
        };
        if field.sensitive {
            metadata.as_fields_mut().push_sensitive(name, field.value);
        } else {
            metadata.as_fields_mut().push(name, field.value);
        }
    }
}

/// The parameters of a GET (Connect "Unary-Get-Request").
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Query {
    pub(crate) version: Option<Vec<u8>>,
    pub(crate) compression: Option<Vec<u8>>,
    pub(crate) encoding: Option<Vec<u8>>,
    /// Decoded from base64 if the query says so.
    pub(crate) message: Option<Vec<u8>>,
}

impl Query {
    /// Whether a query is meant for Connect at all.
    pub(crate) fn is_connect(query: &str) -> bool {
        query.split('&').any(|parameter| {
            let key = parameter.split_once('=').map_or(parameter, |(key, _)| key);
            matches!(key, "connect" | "encoding" | "message" | "base64" | "compression")
        })
    }

    /// Reads the parameters, in any order; unknown ones are ignored.
    ///
    /// # Errors
    /// When one is given twice, a percent-encoding or base64 is malformed, or the message is missing.
    pub(crate) fn parse(query: &str) -> Result<Self, &'static str> {
        let mut found = Self::default();
        let mut base64_flag = None;
        for parameter in percent::decode_query(query) {
            let (key, value) = parameter.map_err(|_| "a query parameter is malformed")?;
            let slot = match &*key {
                "connect" => &mut found.version,
                "compression" => &mut found.compression,
                "encoding" => &mut found.encoding,
                "message" => &mut found.message,
                "base64" => &mut base64_flag,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err("a query parameter is given twice");
            }
        }
        // Any other value of `base64` is ignored.
        if base64_flag.as_deref() == Some(b"1") {
            if let Some(message) = &mut found.message {
                *message = base64::decode_url_safe(message).map_err(|_| "the message is not base64")?;
            }
        }
        Ok(found)
    }
}

/// The path of a GET: parameters in the recommended order, so that equal requests have equal URLs.
pub(crate) fn get_path(path: &str, codec: &str, coding: Option<&str>, message: &[u8]) -> String {
    // A text that JSON is may stand as it is; anything else is base64.
    let text = coding.is_none() && codec.starts_with("json") && core::str::from_utf8(message).is_ok();
    let mut out = Vec::with_capacity(path.len() + message.len() * 4 / 3 + 64);
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(if text { b"?connect=v1" } else { b"?connect=v1&base64=1" });
    if let Some(coding) = coding {
        out.extend_from_slice(b"&compression=");
        percent::encode_query(coding.as_bytes(), &mut out);
    }
    out.extend_from_slice(b"&encoding=");
    percent::encode_query(codec.as_bytes(), &mut out);
    out.extend_from_slice(b"&message=");
    if text {
        percent::encode_query(message, &mut out);
    } else {
        base64::encode_url_safe(message, &mut out);
    }
    match String::from_utf8_lossy(&out) {
        Cow::Borrowed(path) => path.to_owned(),
        Cow::Owned(path) => path,
    }
}

/// A number in decimal, for content-length, without an allocation.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(mut number: usize) -> Self {
        let (mut digits, mut start) = ([b'0'; 20], 20);
        for (index, slot) in digits.iter_mut().enumerate().rev() {
            *slot = b'0' + (number % 10) as u8;
            number /= 10;
            start = index;
            if number == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CC9: connect, base64, compression, encoding, message.
    #[test]
    fn get_paths_have_one_form() {
        assert_eq!(
            get_path("/s/M", "proto", Some("gzip"), b"\xfb\xff"),
            "/s/M?connect=v1&base64=1&compression=gzip&encoding=proto&message=-_8"
        );
        assert_eq!(
            get_path("/s/M", "json", None, b"{\"a b\":1}"),
            "/s/M?connect=v1&encoding=json&message=%7B%22a%20b%22%3A1%7D"
        );
        assert_eq!(get_path("/s/M", "proto", None, b""), "/s/M?connect=v1&base64=1&encoding=proto&message=");
    }

    // CS17, CS18: any order, unknown ones ignored, padding optional, other values of base64 ignored.
    #[test]
    fn queries_are_read_in_any_order() {
        let query = Query::parse("message=-_8%3D&x=y&base64=1&encoding=proto&connect=v1").unwrap();
        assert_eq!(query.message.as_deref(), Some(&b"\xfb\xff"[..]));
        assert_eq!(
            (query.encoding.as_deref(), query.version.as_deref()),
            (Some(&b"proto"[..]), Some(&b"v1"[..]))
        );
        assert_eq!(Query::parse("base64=true&message=a%20b").unwrap().message.as_deref(), Some(&b"a b"[..]));
        assert_eq!(Query::parse("").unwrap(), Query::default());
        for bad in ["message=a&message=b", "message=%4", "base64=1&message=!", "a;b=1"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
        assert!(Query::is_connect("a=b&encoding=json") && !Query::is_connect("a=b&q=encoding"));
    }

    // CS16, CC8.
    #[test]
    fn trailers_among_headers() {
        let mut trailers = Metadata::new();
        trailers.append("x-tag", "1").unwrap();
        trailers.append("x-tag", "2").unwrap();
        let mut fields = Fields::new();
        fields.push("x-head", b"h");
        fields.push("trailer-connect-x", b"reserved");
        fields.push("trailer-grpc-status", b"reserved");
        fields.push("trailer-", b"nothing");
        push_trailers(&trailers, &mut fields);
        let (mut headers, mut read) = (Metadata::new(), Metadata::new());
        split_trailers(&fields, &mut headers, &mut read);
        assert_eq!(read, trailers);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn decimals() {
        for number in [0, 7, 10, 4_294_967_295, usize::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
