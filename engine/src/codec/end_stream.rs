//! The end of a Connect stream in JSON (Connect "EndStreamResponse").
//!
//! `{"error": {…}, "metadata": {"name": ["value", …]}}`; for a good end without trailers `{}`.

use serde_json::{Map, Value};

use super::json;
use super::metadata::is_reserved;
use super::{Malformed, connect_error};
use crate::{Code, Field, Metadata, Status};

/// The end of a stream that ended well and has no trailers.
pub(crate) const GOOD_END: &[u8] = b"{}";

/// How a stream ended.
#[derive(Clone, Debug, Default)]
pub struct EndStream {
    /// The error, if the stream did not end well. Its own metadata is empty: the trailers are in `metadata`.
    pub error: Option<Status>,
    /// The trailers, without names that the protocols reserve.
    pub metadata: Metadata,
}

/// Appends the end of a stream: `error` exactly when there is one, and under `metadata` the trailers and the error's
/// own metadata, with all values of a name in one array. Values that are not UTF-8 are written with U+FFFD.
pub fn encode(error: Option<&Status>, trailers: &Metadata, out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some(status) = error {
        out.extend_from_slice(b"\"error\":");
        connect_error::encode(status, out);
    }
    let fields = || {
        let more = error.map(Status::metadata).into_iter().flat_map(Metadata::iter);
        trailers.iter().chain(more).filter(|field| !is_reserved(field.name))
    };
    let mut names = 0;
    for (index, field) in fields().enumerate() {
        if fields().take(index).any(|before| before.name == field.name) {
            continue;
        }
        match (names, error) {
            (0, None) => out.extend_from_slice(b"\"metadata\":{"),
            (0, Some(_)) => out.extend_from_slice(b",\"metadata\":{"),
            _ => out.push(b','),
        }
        names += 1;
        json::write_string(field.name, out);
        out.push(b':');
        write_values(fields().skip(index).filter(|other| other.name == field.name), out);
    }
    out.extend_from_slice(if names == 0 { b"}" } else { b"}}" });
}

fn write_values<'a>(fields: impl Iterator<Item = Field<'a>>, out: &mut Vec<u8>) {
    for (index, field) in fields.enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        json::write_string(&String::from_utf8_lossy(field.value), out);
    }
    out.push(b']');
}

/// Reads the end of a stream. `"error": null` is a good end; an error without a known code, `{}` included, is
/// [`Code::Unknown`]. Unknown members are ignored. Names are compared without case, as in headers; names and values
/// that no HTTP header could carry are dropped, reserved names too.
///
/// # Errors
/// When the text is longer than 64 KiB, deeper than 32 levels, not a JSON object, has members of the wrong type, or
/// more than 64 details or 1,024 values of metadata: the stream then ended [`Code::Internal`].
pub fn decode(text: &[u8]) -> Result<EndStream, Malformed> {
    let Value::Object(mut members) = json::parse(text)? else { return Err(Malformed::WrongShape) };
    let error = match members.remove("error") {
        None | Some(Value::Null) => None,
        Some(Value::Object(error)) => Some(connect_error::from_object(error, Code::Unknown)?),
        Some(_) => return Err(Malformed::WrongShape),
    };
    let metadata = match members.remove("metadata") {
        None | Some(Value::Null) => Metadata::new(),
        Some(Value::Object(names)) => read_metadata(names)?,
        Some(_) => return Err(Malformed::WrongShape),
    };
    Ok(EndStream { error, metadata })
}

fn read_metadata(names: Map<String, Value>) -> Result<Metadata, Malformed> {
    let mut metadata = Metadata::new();
    for (mut name, values) in names {
        name.make_ascii_lowercase();
        match values {
            Value::Null => {}
            Value::Array(values) => {
                for value in values {
                    let value = value.as_str().ok_or(Malformed::WrongShape)?;
                    if metadata.len() >= json::FIELDS {
                        return Err(Malformed::TooManyFields);
                    }
                    metadata.push_received(&name, value.as_bytes());
                }
            }
            _ => return Err(Malformed::WrongShape),
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(error: Option<&Status>, trailers: &Metadata) -> String {
        let mut out = Vec::new();
        encode(error, trailers, &mut out);
        String::from_utf8(out).unwrap()
    }

    // Connect "EndStreamResponse": `error` only when the stream failed, never null and never empty.
    #[test]
    fn what_is_written() {
        let mut trailers = Metadata::new();
        assert_eq!(encoded(None, &trailers), "{}");
        trailers.append("a", "1").unwrap();
        trailers.append("b-bin", &[0xfb_u8, 0xff][..]).unwrap();
        trailers.append("a", 2).unwrap();
        trailers.as_fields_mut().push("grpc-status", b"0");
        assert_eq!(encoded(None, &trailers), r#"{"metadata":{"a":["1","2"],"b-bin":["+/8"]}}"#);

        let mut status = Status::aborted("no");
        assert_eq!(
            encoded(Some(&status), &Metadata::new()),
            r#"{"error":{"code":"aborted","message":"no"}}"#
        );
        status.metadata_mut().append("a", "3").unwrap();
        assert_eq!(
            encoded(Some(&status), &trailers),
            r#"{"error":{"code":"aborted","message":"no"},"metadata":{"a":["1","2","3"],"b-bin":["+/8"]}}"#
        );
    }

    #[test]
    fn good_ends() {
        for text in ["{}", r#"{"error":null}"#, r#"{"metadata":null,"other":[1]}"#, " { \"metadata\": {} }\n"]
        {
            let end = decode(text.as_bytes()).unwrap();
            assert!(end.error.is_none() && end.metadata.is_empty(), "{text}");
        }
    }

    // Connect "EndStreamResponse", as the conformance suite has it: no known code is `unknown`.
    #[test]
    fn errors_without_a_known_code_are_unknown() {
        for text in [
            r#"{"error":{}}"#,
            r#"{"error":{"code":null}}"#,
            r#"{"error":{"code":"foobar","message":"oops"}}"#,
            r#"{"error":{"details":[]}}"#,
        ] {
            assert_eq!(decode(text.as_bytes()).unwrap().error.unwrap().code(), Code::Unknown, "{text}");
        }
    }

    // Connect "EndStreamResponse": metadata has the semantics of headers.
    #[test]
    fn metadata_is_read_as_headers_are() {
        let text = r#"{"metadata":{"X-Tag":["a","b"],"x-tag":["c"],"bin-bin":["AAE","AA=="],"grpc-status":["0"],
            "bad name":["x"],"crlf":["a\r\nb"],"utf8":["\u00e9"],"none":[],"null":null,"sp":["  x "]}}"#;
        let metadata = decode(text.as_bytes()).unwrap().metadata;
        assert_eq!(metadata.get_all("x-tag").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(metadata.get_bin("bin-bin").collect::<Vec<_>>(), [Ok(vec![0, 1]), Ok(vec![0])]);
        assert_eq!((metadata.get("utf8"), metadata.get("sp")), (Some("\u{e9}"), Some("x")));
        assert_eq!(metadata.len(), 7);
    }

    #[test]
    fn malformed_ends() {
        for text in [
            "",
            "null",
            "[]",
            "{",
            r#"{"error":"x"}"#,
            r#"{"error":[]}"#,
            r#"{"metadata":[]}"#,
            r#"{"metadata":{"a":"b"}}"#,
            r#"{"metadata":{"a":[1]}}"#,
        ] {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
        let values = |count: usize| format!(r#"{{"metadata":{{"a":[{}""]}}}}"#, "\"\",".repeat(count - 1));
        assert_eq!(decode(values(1024).as_bytes()).unwrap().metadata.len(), 1024);
        assert_eq!(decode(values(1025).as_bytes()).unwrap_err(), Malformed::TooManyFields);
        assert_eq!(decode(&[b'['; 65_535]).unwrap_err(), Malformed::TooDeep);
        let keys: Vec<String> = (0..64 << 10).map(|key| format!("\"{key}\":[]")).collect();
        let text = format!("{{\"metadata\":{{{}}}}}", keys.join(","));
        assert_eq!(decode(text.as_bytes()).unwrap_err(), Malformed::TooLong);
    }
}
