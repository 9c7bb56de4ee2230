//! The status of gRPC and gRPC-Web: `grpc-status`, `grpc-message` and `grpc-status-details-bin` (gRPC PROTOCOL-HTTP2
//! "Responses").

use bytes::Bytes;
use prost::Message as _;

use super::metadata::is_reserved_bytes;
use super::{bare_type_name, base64, json, percent};
use crate::{Code, Detail, EndedBy, Fields, Metadata, Status};

/// The most bytes of encoded details that are looked at.
const DETAILS_LENGTH: usize = 64 << 10;

/// What stands in front of a type name that has no URL of its own.
const TYPE_URL: &str = "type.googleapis.com/";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// Appends the status of a call and its trailers: `grpc-status` always, `grpc-message` and `grpc-status-details-bin`
/// when there is something in them, then `trailers` and the status' own metadata without reserved names.
///
/// `None` is a good end, which allocates nothing that `out` does not. A failure whose code is [`Code::Ok`] is sent as
/// [`Code::Unknown`]: an error never looks like success.
pub fn encode_status(status: Option<&Status>, trailers: &Metadata, out: &mut Fields) {
    let Some(status) = status else {
        out.push("grpc-status", b"0");
        push_metadata(trailers, out);
        return;
    };
    let code = if status.code() == Code::Ok { Code::Unknown } else { status.code() };
    out.push("grpc-status", number(code));
    if !status.message().is_empty() {
        out.push("grpc-message", percent::encode_message(status.message()).as_bytes());
    }
    if !status.details().is_empty() {
        out.push("grpc-status-details-bin", &encode_details(code, status));
    }
    push_metadata(trailers, out);
    push_metadata(status.metadata(), out);
}

/// The number in decimal, without leading zeros.
const fn number(code: Code) -> &'static [u8] {
    match code {
        Code::Ok => b"0",
        Code::Canceled => b"1",
        Code::Unknown => b"2",
        Code::InvalidArgument => b"3",
        Code::DeadlineExceeded => b"4",
        Code::NotFound => b"5",
        Code::AlreadyExists => b"6",
        Code::PermissionDenied => b"7",
        Code::ResourceExhausted => b"8",
        Code::FailedPrecondition => b"9",
        Code::Aborted => b"10",
        Code::OutOfRange => b"11",
        Code::Unimplemented => b"12",
        Code::Internal => b"13",
        Code::Unavailable => b"14",
        Code::DataLoss => b"15",
        Code::Unauthenticated => b"16",
    }
}

fn encode_details(code: Code, status: &Status) -> Vec<u8> {
    let details = status
        .details()
        .iter()
        .map(|detail| Any { type_url: [TYPE_URL, &detail.type_name].concat(), value: detail.value.clone() });
    let message = RpcStatus {
        code: code.number() as i32,
        message: status.message().to_owned(),
        details: details.collect(),
    };
    let mut text = Vec::new();
    base64::encode_into(&message.encode_to_vec(), &mut text);
    text
}

/// Appends metadata without reserved names.
pub fn push_metadata(metadata: &Metadata, out: &mut Fields) {
    push_unreserved(metadata.as_fields(), out);
}

fn push_unreserved(fields: &Fields, out: &mut Fields) {
    for (name, value, sensitive) in fields.raw().filter(|field| !is_reserved_bytes(field.0)) {
        out.push_bytes(name, value, sensitive);
    }
}

/// Reads the status out of trailers, or out of the head of a response without a body; `None` when there is no
/// `grpc-status`. A failure comes without metadata: see [`metadata_from`].
///
/// - Anything but a number from 0 to 16 without leading zeros is [`Code::Unknown`]; the message is kept.
/// - Two `grpc-status` fields contradict each other, whatever they say: [`Code::Internal`].
/// - A malformed message is no error (see [`percent::decode_message`]).
/// - Details that cannot be decoded, that are of another code, or that are more than 64, are dropped. Their message is
///   used where `grpc-message` is missing.
pub fn decode_status(fields: &Fields) -> Option<Result<(), Status>> {
    let mut statuses = fields.get_all("grpc-status");
    let status = statuses.next()?;
    if statuses.next().is_some() {
        return Some(Err(Status::internal("the peer sent more than one grpc-status")));
    }
    let code = parse_number(status);
    if code == Some(Code::Ok) {
        return Some(Ok(()));
    }
    let message = fields.get("grpc-message").map(|value| percent::decode_message(value).into_owned());
    let details = fields.get("grpc-status-details-bin").zip(code);
    let details = details.and_then(|(value, code)| decode_details(value, code)).unwrap_or_default();
    let status = Status::new(code.unwrap_or(Code::Unknown), message.unwrap_or(details.message));
    let details = details.details.into_iter().filter_map(|any| {
        let type_name = bare_type_name(&any.type_url);
        (!type_name.is_empty()).then(|| Detail { type_name: type_name.to_owned(), value: any.value })
    });
    Some(Err(details.fold(status.with_ended(EndedBy::Status), Status::with_detail)))
}

fn parse_number(value: &[u8]) -> Option<Code> {
    match *value {
        [digit @ b'0'..=b'9'] => Code::from_number(u32::from(digit - b'0')),
        [b'1', digit @ b'0'..=b'6'] => Code::from_number(10 + u32::from(digit - b'0')),
        _ => None,
    }
}

fn decode_details(value: &[u8], code: Code) -> Option<RpcStatus> {
    if value.len() > DETAILS_LENGTH {
        return None;
    }
    let status = RpcStatus::decode(Bytes::from(base64::decode(value.trim_ascii()).ok()?)).ok()?;
    (status.code == code.number() as i32 && status.details.len() <= json::DETAILS).then_some(status)
}

/// The metadata in the fields of a head or of trailers: all but the reserved names. Without any, nothing is allocated.
pub fn metadata_from(fields: &Fields) -> Metadata {
    let mut metadata = Fields::new();
    push_unreserved(fields, &mut metadata);
    Metadata::from_fields(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &[u8])]) -> Fields {
        pairs.iter().copied().collect()
    }

    fn failure(pairs: &[(&str, &[u8])]) -> Status {
        decode_status(&fields(pairs)).unwrap().unwrap_err()
    }

    fn retry() -> Detail {
        Detail { type_name: "google.rpc.RetryInfo".to_owned(), value: vec![1, 2, 255].into() }
    }

    // gRPC PROTOCOL-HTTP2 "Status": decimal without leading zeros, required for OK too.
    #[test]
    fn a_good_end_is_one_field() {
        let mut out = Fields::new();
        encode_status(None, &Metadata::new(), &mut out);
        assert_eq!(out, fields(&[("grpc-status", b"0")]));
        assert!(matches!(decode_status(&out), Some(Ok(()))));
        assert_eq!(metadata_from(&out).as_fields().capacity_bytes(), 0);
    }

    #[test]
    fn failures_round_trip() {
        for code in &Code::ALL[1..] {
            let mut trailers = Metadata::new();
            trailers.append("x-tag", "a").unwrap();
            let mut status = Status::new(*code, "100% \u{e9}\r\n").with_detail(retry()).with_detail(retry());
            status.metadata_mut().append("y-bin", &b"\xff"[..]).unwrap();
            let mut out = Fields::new();
            encode_status(Some(&status), &trailers, &mut out);
            assert_eq!(out.get("grpc-message"), Some(&b"100%25 %C3%A9%0D%0A"[..]));
            assert!(!out.get("grpc-status-details-bin").unwrap().contains(&b'='));
            let back = decode_status(&out).unwrap().unwrap_err();
            assert_eq!((back.code(), back.message()), (*code, status.message()));
            assert_eq!((back.details(), back.ended()), (status.details(), EndedBy::Status));
            let names: Vec<_> = metadata_from(&out).iter().map(|field| field.name.to_owned()).collect();
            assert_eq!(names, ["x-tag", "y-bin"]);
        }
    }

    #[test]
    fn the_details_are_a_consistent_google_rpc_status() {
        let mut out = Fields::new();
        encode_status(Some(&Status::not_found("gone").with_detail(retry())), &Metadata::new(), &mut out);
        let bytes = base64::decode(out.get("grpc-status-details-bin").unwrap()).unwrap();
        let mut expected =
            b"\x08\x05\x12\x04gone\x1a\x2f\x0a\x28type.googleapis.com/google.rpc.RetryInfo".to_vec();
        expected.extend_from_slice(b"\x12\x03\x01\x02\xff");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn reserved_names_and_a_failure_called_ok_are_not_sent() {
        let mut trailers = Metadata::new();
        trailers.as_fields_mut().push("grpc-status", b"0");
        trailers.as_fields_mut().push("content-type", b"text/html");
        let mut out = Fields::new();
        encode_status(Some(&Status::new(Code::Ok, "")), &trailers, &mut out);
        assert_eq!(out, fields(&[("grpc-status", b"2")]));
    }

    // grpc-status missing, repeated, with leading zeros, no number, or out of range.
    #[test]
    fn undecodable_statuses() {
        assert!(decode_status(&fields(&[("grpc-message", b"x")])).is_none());
        for value in [
            &b""[..],
            b"00",
            b"013",
            b"07",
            b"abc",
            b"17",
            b"99",
            b"-1",
            b"+1",
            b" 1",
            b"1 ",
            b"0,0",
            b"\xff",
        ] {
            let status = failure(&[("grpc-status", value), ("grpc-message", b"kept")]);
            assert_eq!(
                (status.code(), status.message()),
                (Code::Unknown, "kept"),
                "{}",
                value.escape_ascii()
            );
        }
        for (first, second) in [(&b"0"[..], &b"0"[..]), (b"0", b"5"), (b"5", b"0")] {
            assert_eq!(failure(&[("grpc-status", first), ("grpc-status", second)]).code(), Code::Internal);
        }
    }

    // gRPC PROTOCOL-HTTP2 "Status-Message": never changes the code.
    #[test]
    fn a_bad_message_is_no_error() {
        for (value, message) in
            [(&b"%"[..], "%"), (b"%zz", "%zz"), (b"%ff", "\u{fffd}"), (b"\xff", "\u{fffd}")]
        {
            let status = failure(&[("grpc-status", b"5"), ("grpc-message", value)]);
            assert_eq!((status.code(), status.message()), (Code::NotFound, message));
        }
        assert!(matches!(
            decode_status(&fields(&[("grpc-status", b"0"), ("grpc-message", b"%")])),
            Some(Ok(()))
        ));
    }

    #[test]
    fn bad_details_are_dropped() {
        let encoded = |message: &RpcStatus| {
            let mut text = Vec::new();
            base64::encode_into(&message.encode_to_vec(), &mut text);
            text
        };
        let any = Any { type_url: "example.com/x/a.B".to_owned(), value: Bytes::new() };
        let many = |count| RpcStatus { code: 5, message: String::new(), details: vec![any.clone(); count] };
        let other = encoded(&RpcStatus { code: 6, ..many(1) });
        let too_many = encoded(&many(65));
        let long = vec![b'A'; 1 << 20];
        for value in [&b"!!!!"[..], b"////", b"A", &other, &too_many, &long] {
            let status =
                failure(&[("grpc-status", b"5"), ("grpc-message", b"m"), ("grpc-status-details-bin", value)]);
            assert_eq!((status.code(), status.message(), status.details().len()), (Code::NotFound, "m", 0));
        }
        let status = failure(&[("grpc-status", b"5"), ("grpc-status-details-bin", &encoded(&many(64)))]);
        assert_eq!((status.details().len(), status.details()[0].type_name.as_str()), (64, "a.B"));
    }

    #[test]
    fn the_details_message_stands_in_for_a_missing_one() {
        let message = RpcStatus { code: 5, message: "inner".to_owned(), details: Vec::new() };
        let mut text = Vec::new();
        base64::encode_into(&message.encode_to_vec(), &mut text);
        assert_eq!(failure(&[("grpc-status", b"5"), ("grpc-status-details-bin", &text)]).message(), "inner");
    }
}
