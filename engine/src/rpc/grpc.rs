//! What is gRPC's own: the status in trailers, and what the end of a stream stands for without one.

use std::sync::LazyLock;

use crate::codec::grpc_status::encode_status;
use crate::{Code, EndedBy, Fields, Http2Code, Metadata, ReceiveEnd, Status};

/// The trailers of a call that ended well and has none of its own.
pub(crate) static OK_TRAILERS: LazyLock<Fields> = LazyLock::new(|| {
    let mut fields = Fields::new();
    encode_status(None, &Metadata::new(), &mut fields);
    fields
});

/// What a reset stands for that a server sent (gRPC PROTOCOL-HTTP2 "Errors").
pub(crate) fn status_of_reset(code: u32) -> Status {
    let (meaning, unprocessed) = match Http2Code(code) {
        Http2Code::REFUSED_STREAM => (Code::Unavailable, true),
        Http2Code::CANCEL => (Code::Canceled, false),
        Http2Code::ENHANCE_YOUR_CALM => (Code::ResourceExhausted, false),
        Http2Code::INADEQUATE_SECURITY => (Code::PermissionDenied, false),
        Http2Code::NO_ERROR
        | Http2Code::PROTOCOL_ERROR
        | Http2Code::INTERNAL_ERROR
        | Http2Code::FLOW_CONTROL_ERROR
        | Http2Code::SETTINGS_TIMEOUT
        | Http2Code::FRAME_SIZE_ERROR
        | Http2Code::COMPRESSION_ERROR
        | Http2Code::CONNECT_ERROR => (Code::Internal, false),
        // The table has no entry for STREAM_CLOSED, HTTP_1_1_REQUIRED and codes to come.
        _ => (Code::Unknown, false),
    };
    let text = format!("the server reset the stream with HTTP/2 error code {}", Http2Code(code));
    let status = Status::new(meaning, text).with_ended(EndedBy::Cancel { reset: Some(code) });
    if unprocessed { status.with_unprocessed() } else { status }
}

/// What the end of a response stands for that came before the protocol's own; `None` for a clean one.
pub(crate) fn status_of_response_end(end: ReceiveEnd) -> Option<Status> {
    let lost = |text: &str| Status::unavailable(text).with_ended(EndedBy::LostConnection);
    Some(match end {
        ReceiveEnd::Clean => return None,
        ReceiveEnd::Reset(code) => status_of_reset(code),
        ReceiveEnd::Malformed(rule) => Status::internal(format!("the response is malformed: {rule}")),
        ReceiveEnd::TooLarge => {
            Status::resource_exhausted("the response's headers or trailers are larger than the limit")
        }
        ReceiveEnd::Lost => lost("the connection was lost"),
        ReceiveEnd::Unprocessed => lost("the server did not process the call").with_unprocessed(),
        ReceiveEnd::Local => {
            Status::canceled("the call was cancelled").with_ended(EndedBy::Cancel { reset: None })
        }
        ReceiveEnd::Stalled => Status::resource_exhausted("the response made no progress for too long"),
    })
}

/// What the end of a request stands for that was not clean, and whether an answer can still be sent.
pub(crate) fn status_of_request_end(end: ReceiveEnd) -> Option<(Status, bool)> {
    let cancelled = |text: &str, ended| Status::canceled(text).with_ended(ended);
    Some(match end {
        ReceiveEnd::Clean => return None,
        ReceiveEnd::Reset(code) => {
            (cancelled("the client cancelled the call", EndedBy::Cancel { reset: Some(code) }), false)
        }
        ReceiveEnd::Malformed(rule) => (Status::internal(format!("the request is malformed: {rule}")), false),
        ReceiveEnd::TooLarge => {
            (Status::resource_exhausted("the request's headers are larger than the limit"), false)
        }
        ReceiveEnd::Lost | ReceiveEnd::Unprocessed => {
            (cancelled("the connection was lost", EndedBy::LostConnection), false)
        }
        ReceiveEnd::Local => (cancelled("the call was cancelled", EndedBy::Cancel { reset: None }), false),
        ReceiveEnd::Stalled => {
            (Status::resource_exhausted("the request made no progress for too long"), true)
        }
    })
}

/// The outcome of a call whose response holds no status of the protocol (grpc `http-grpc-status-mapping.md`).
pub(crate) fn status_of_http(http: u16) -> Status {
    if http == 200 {
        return Status::internal("the response ended without a status");
    }
    if http == 304 {
        return Status::not_modified().with_ended(EndedBy::Status);
    }
    let hint = match http {
        404 => ": it serves nothing at this path",
        415 => ": at this path it takes no call of this protocol, shape or codec",
        _ => "",
    };
    Status::new(Code::from_http_status(http), format!("the server answered with HTTP status {http}{hint}"))
        .with_ended(EndedBy::Status)
}

/// The status of an expired deadline, generated on this side.
pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the deadline has passed").with_ended(EndedBy::Deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    // gRPC PROTOCOL-HTTP2 "Errors".
    #[test]
    fn resets() {
        use Code::*;
        let table = [
            (0, Internal),
            (1, Internal),
            (2, Internal),
            (3, Internal),
            (4, Internal),
            (5, Unknown),
            (6, Internal),
            (7, Unavailable),
            (8, Canceled),
            (9, Internal),
            (10, Internal),
            (11, ResourceExhausted),
            (12, PermissionDenied),
            (13, Unknown),
            (0xffff_ffff, Unknown),
        ];
        for (code, meaning) in table {
            let status = status_of_reset(code);
            assert_eq!(status.code(), meaning, "{code}");
            assert_eq!(status.unprocessed(), code == 7);
            assert_eq!(status.ended(), EndedBy::Cancel { reset: Some(code) });
        }
    }

    // The five ways in which a direction ends are told apart.
    #[test]
    fn ends() {
        assert!(status_of_response_end(ReceiveEnd::Clean).is_none());
        let lost = status_of_response_end(ReceiveEnd::Lost).unwrap();
        assert_eq!((lost.code(), lost.ended()), (Code::Unavailable, EndedBy::LostConnection));
        let unprocessed = status_of_response_end(ReceiveEnd::Unprocessed).unwrap();
        assert!(unprocessed.unprocessed() && unprocessed.code() == Code::Unavailable);
        let (lost, answer) = status_of_request_end(ReceiveEnd::Lost).unwrap();
        assert_eq!((lost.code(), lost.ended(), answer), (Code::Canceled, EndedBy::LostConnection, false));
    }

    // CC4, GC3: 431 is UNKNOWN, as the conformance suite has it.
    #[test]
    fn http_statuses() {
        let code = |http| status_of_http(http).code();
        assert_eq!(code(200), Code::Internal);
        assert_eq!(
            (code(400), code(401), code(403)),
            (Code::Internal, Code::Unauthenticated, Code::PermissionDenied)
        );
        assert_eq!(
            (code(404), code(429), code(503)),
            (Code::Unimplemented, Code::Unavailable, Code::Unavailable)
        );
        assert_eq!((code(431), code(505), code(999)), (Code::Unknown, Code::Unknown, Code::Unknown));
    }
}
