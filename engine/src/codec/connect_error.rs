//! The error of the Connect protocol in JSON (Connect "Error End-Stream", "Unary-Response").
//!
//! `{"code": "not_found", "message": "…", "details": [{"type": "google.rpc.RetryInfo", "value": "…"}]}`

use serde_json::{Map, Value};

use super::json::{self, DETAILS};
use super::{Malformed, bare_type_name, base64};
use crate::{Code, Detail, EndedBy, Status};

/// Appends the error in JSON. Never an empty object: the code is always there. [`Code::Ok`], which is no error, is
/// written as `unknown`. The status' metadata travels elsewhere.
pub fn encode(status: &Status, out: &mut Vec<u8>) {
    let code = if status.code() == Code::Ok { Code::Unknown } else { status.code() };
    out.extend_from_slice(b"{\"code\":");
    json::write_string(code.name(), out);
    if !status.message().is_empty() {
        out.extend_from_slice(b",\"message\":");
        json::write_string(status.message(), out);
    }
    for (index, detail) in status.details().iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"details\":[{\"type\":" } else { b",{\"type\":" });
        json::write_string(&detail.type_name, out);
        out.extend_from_slice(b",\"value\":\"");
        base64::encode_into(&detail.value, out);
        out.extend_from_slice(b"\"}");
    }
    out.extend_from_slice(if status.details().is_empty() { b"}" } else { b"]}" });
}

/// Reads an error. A code that is missing, null or not one of the sixteen names becomes `fallback`: what the HTTP
/// status stands for ([`Code::from_http_status`]) in a unary response. Unknown members are ignored, `debug` among
/// them; a detail without a type or with a value that is not base64 is dropped.
///
/// # Errors
/// When the text is longer than 64 KiB, deeper than 32 levels, not a JSON object, has members of the wrong type, or
/// more than 64 details. In a unary response the HTTP status then tells the code; elsewhere it is
/// [`Code::Internal`].
pub fn decode(text: &[u8], fallback: Code) -> Result<Status, Malformed> {
    match json::parse(text)? {
        Value::Object(error) => from_object(error, fallback),
        _ => Err(Malformed::WrongShape),
    }
}

/// Reads an error that has been parsed.
pub(super) fn from_object(mut error: Map<String, Value>, fallback: Code) -> Result<Status, Malformed> {
    let code = error.get("code").and_then(Value::as_str).and_then(Code::from_name).unwrap_or(fallback);
    let message = match error.remove("message") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(message)) => message,
        Some(_) => return Err(Malformed::WrongShape),
    };
    let details = match error.remove("details") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(details)) => details,
        Some(_) => return Err(Malformed::WrongShape),
    };
    if details.len() > DETAILS {
        return Err(Malformed::TooManyDetails);
    }
    let status = Status::new(code, message).with_ended(EndedBy::Status);
    Ok(details.iter().filter_map(detail).fold(status, Status::with_detail))
}

fn detail(value: &Value) -> Option<Detail> {
    let type_name = bare_type_name(value.get("type")?.as_str()?);
    let value = match value.get("value") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => base64::decode(value.as_str()?.as_bytes()).ok()?,
    };
    (!type_name.is_empty()).then(|| Detail { type_name: type_name.to_owned(), value: value.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(status: &Status) -> String {
        let mut out = Vec::new();
        encode(status, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn retry() -> Detail {
        Detail { type_name: "google.rpc.RetryInfo".to_owned(), value: vec![0xfb, 0xff].into() }
    }

    // Connect "Error End-Stream": code, message, details of bare type names and unpadded base64.
    #[test]
    fn what_is_written() {
        assert_eq!(encoded(&Status::not_found("")), r#"{"code":"not_found"}"#);
        assert_eq!(
            encoded(&Status::canceled("say \"hi\"\n").with_detail(retry()).with_detail(retry())),
            concat!(
                r#"{"code":"canceled","message":"say \"hi\"\n","details":["#,
                r#"{"type":"google.rpc.RetryInfo","value":"+/8"},{"type":"google.rpc.RetryInfo","value":"+/8"}]}"#
            )
        );
        assert_eq!(encoded(&Status::new(Code::Ok, "")), r#"{"code":"unknown"}"#);
    }

    #[test]
    fn every_code_round_trips() {
        for code in &Code::ALL[1..] {
            let status = Status::new(*code, "m\u{e9}").with_detail(retry());
            let back = decode(encoded(&status).as_bytes(), Code::Unknown).unwrap();
            assert_eq!((back.code(), back.message(), back.details()), (*code, "m\u{e9}", &[retry()][..]));
            assert_eq!(back.ended(), EndedBy::Status);
        }
    }

    // Connect "HTTP to Error Code": without a known code the HTTP status tells it; the message is kept.
    #[test]
    fn unknown_codes_fall_back() {
        for text in [
            r#"{"message":"oops"}"#,
            r#"{"code":null,"message":"oops"}"#,
            r#"{"code":"foobar","message":"oops"}"#,
        ] {
            let status = decode(text.as_bytes(), Code::Unauthenticated).unwrap();
            assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "oops"));
        }
        assert_eq!(decode(br#"{"code":"ok"}"#, Code::Internal).unwrap().code(), Code::Internal);
        assert_eq!(decode(br#"{"code":5}"#, Code::Internal).unwrap().code(), Code::Internal);
    }

    #[test]
    fn unknown_members_and_debug_are_ignored() {
        let text = r#"{ "code": "out_of_range", "foobar": {"a": [1]}, "details": [
            {"type": "type.googleapis.com/google.rpc.RetryInfo", "value": "+/8=", "debug": "garbage", "frob": 1},
            {"type": "google.rpc.RetryInfo", "value": "+/8"}, {"type": "a.B"},
            {"type": "bad.Value", "value": "!!!!"}, {"value": "AA"}, {"type": ""}, {"type": 1}, 7, null] }"#;
        let status = decode(text.as_bytes(), Code::Unknown).unwrap();
        let empty = Detail { type_name: "a.B".to_owned(), value: bytes::Bytes::new() };
        assert_eq!(status.details(), [retry(), retry(), empty]);
    }

    #[test]
    fn what_is_no_error_object_is_malformed() {
        let cases = [
            ("", Malformed::NotJson),
            ("null", Malformed::WrongShape),
            ("[]", Malformed::WrongShape),
            (r#"{"code":"internal"} x"#, Malformed::NotJson),
            (r#"{"message":"\ud800"}"#, Malformed::NotJson),
            (r#"{"message":7}"#, Malformed::WrongShape),
            (r#"{"details":{}}"#, Malformed::WrongShape),
        ];
        for (text, malformed) in cases {
            assert_eq!(decode(text.as_bytes(), Code::Unknown).unwrap_err(), malformed, "{text}");
        }
        assert_eq!(Status::from(Malformed::NotJson).code(), Code::Internal);
    }

    // A peer's JSON may not cost more than it is worth: 64 KiB, 32 levels, 64 details.
    #[test]
    fn bombs_are_refused() {
        assert_eq!(decode(&[b'['; 65_535], Code::Unknown).unwrap_err(), Malformed::TooDeep);
        let keys: String = (0..64 << 10).map(|_| "\"k\":0,").collect();
        assert_eq!(
            decode(format!("{{{keys}\"k\":0}}").as_bytes(), Code::Unknown).unwrap_err(),
            Malformed::TooLong
        );
        let keys: String = (0..10_000).map(|_| "\"k\":0,").collect();
        assert_eq!(
            decode(format!("{{{keys}\"k\":0}}").as_bytes(), Code::Aborted).unwrap().code(),
            Code::Aborted
        );
        let details = |count: usize| {
            format!(r#"{{"details":[{}{{"type":"a"}}]}}"#, r#"{"type":"a"},"#.repeat(count - 1))
        };
        assert_eq!(decode(details(64).as_bytes(), Code::Unknown).unwrap().details().len(), 64);
        assert_eq!(decode(details(65).as_bytes(), Code::Unknown).unwrap_err(), Malformed::TooManyDetails);
    }
}
