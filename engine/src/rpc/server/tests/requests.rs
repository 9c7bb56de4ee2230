//! What is taken, and what is refused for what is in it.

use super::*;

// GS2; Connect "Unary-Request"; PROTOCOL-WEB.
#[test]
fn the_content_type_tells_protocol_and_codec() {
    for (content_type, protocol, codec) in [
        ("application/grpc", Some(Protocol::Grpc), "proto"),
        ("application/grpc+json", Some(Protocol::Grpc), "json"),
        ("application/grpc-web+proto", Some(Protocol::GrpcWeb), "proto"),
        ("application/grpc-web-text", Some(Protocol::GrpcWebText), "proto"),
        ("application/connect+json", Some(Protocol::Connect), "json"),
        ("application/json; charset=utf-8", Some(Protocol::Connect), "json"),
        ("application/grpcfoo", None, ""),
        ("text/plain", None, ""),
    ] {
        let call = accept(&post(content_type, &[]));
        assert_eq!((call.protocol(), call.codec(), call.path()), (protocol, codec, "/s/M"), "{content_type}");
    }
}

// CS14, GS3; attack C9: a malformed timeout is refused, never ignored.
#[test]
fn deadlines() {
    let second = Duration::from_secs(1);
    for (content_type, name, value, expected) in [
        ("application/grpc", "grpc-timeout", "1S", Ok(Some(second))),
        ("application/grpc", "grpc-timeout", "1000m", Ok(Some(second))),
        ("application/grpc", "grpc-timeout", "0n", Ok(Some(Duration::ZERO))),
        ("application/grpc", "grpc-timeout", "1s", Err(Code::Internal)),
        ("application/grpc", "grpc-timeout", "123456789S", Err(Code::Internal)),
        ("application/grpc-web", "grpc-timeout", "", Err(Code::Internal)),
        ("application/grpc", "connect-timeout-ms", "1", Ok(None)),
        ("application/proto", "connect-timeout-ms", "1000", Ok(Some(second))),
        ("application/proto", "connect-timeout-ms", "-1", Err(Code::InvalidArgument)),
        ("application/connect+proto", "connect-timeout-ms", "12345678901", Err(Code::InvalidArgument)),
        ("application/proto", "grpc-timeout", "1S", Ok(None)),
    ] {
        let mut call = accept(&post(content_type, &[(name, value)]));
        match expected {
            Ok(timeout) => {
                assert!(!call.is_answered());
                assert_eq!(call.deadline(), timeout.map(|timeout| NOW + timeout), "{value}");
            }
            Err(code) => assert_eq!(code_of(&flushed(&mut call)), code, "{content_type} {value}"),
        }
    }
    let clamped = RpcConfig { max_timeout: Some(second), ..config() };
    let call = accept_with(
        &post("application/grpc", &[("grpc-timeout", "99999999H")]),
        clamped.clone(),
        HttpCaps::HTTP2,
    );
    assert_eq!(call.deadline(), Some(NOW + second));
    assert_eq!(
        accept_with(&post("application/grpc", &[]), clamped, HttpCaps::HTTP2).deadline(),
        Some(NOW + second)
    );
    // Two timeouts contradict each other.
    let mut call = accept(&post("application/grpc", &[("grpc-timeout", "1S"), ("grpc-timeout", "2S")]));
    assert_eq!(code_of(&flushed(&mut call)), Code::Internal);
}

// CS4: absent is an option, wrong is always refused.
#[test]
fn the_connect_version() {
    for (required, version, good) in
        [(false, None, true), (true, None, false), (true, Some("1"), true), (false, Some("2"), false)]
    {
        let fields: Vec<_> =
            version.map(|version| ("connect-protocol-version", version)).into_iter().collect();
        let config = RpcConfig { require_connect_protocol_version: required, ..config() };
        let mut call = accept_with(&post("application/proto", &fields), config.clone(), HttpCaps::HTTP2);
        assert_eq!(call.is_answered(), !good);
        if !good {
            assert_eq!(code_of(&flushed(&mut call)), Code::InvalidArgument);
        }
        let query = match version {
            None => "encoding=proto&message=".to_owned(),
            Some(version) => format!("connect=v{version}&encoding=proto&message="),
        };
        assert_eq!(accept_with(&get(&query), config, HttpCaps::HTTP2).is_answered(), !good);
    }
}

// CS6-CS8, CS11, CS12, GS5, GS6: which coding comes in, and which may go out.
#[test]
fn codings_are_agreed_on_for_each_direction() {
    let grpc = "application/grpc";
    let stream = "application/connect+proto";
    let unary = "application/proto";
    for (content_type, fields, expected) in [
        (grpc, vec![], None),
        (grpc, vec![("grpc-encoding", "flip")], None),
        (grpc, vec![("grpc-encoding", "flip"), ("grpc-accept-encoding", "flop")], Some("flop")),
        (grpc, vec![("grpc-accept-encoding", "identity,gzip,flip")], Some("flip")),
        (grpc, vec![("accept-encoding", "flip")], None),
        (stream, vec![("connect-content-encoding", "flip")], Some("flip")),
        (stream, vec![("connect-content-encoding", "flip"), ("connect-accept-encoding", "identity")], None),
        (stream, vec![("accept-encoding", "flip"), ("content-encoding", "x")], None),
        (unary, vec![("content-encoding", "flip")], Some("flip")),
        (
            unary,
            vec![("content-encoding", "identity"), ("accept-encoding", "flop;q=0.1, flip")],
            Some("flip"),
        ),
    ] {
        let mut call = accept(&post(content_type, &fields));
        assert_eq!(call.encoding().map(|coding| coding.name()), expected, "{content_type} {fields:?}");
        // Never in a coding that the client did not name.
        let result = call.send(Payload::Compressed(b"x"), &mut Vec::new());
        assert_eq!(result.is_ok(), expected.is_some());
    }
}

// CS7, GS5.
#[test]
fn an_unknown_coding_is_unimplemented_and_the_known_ones_are_listed() {
    for (content_type, coding, accepted) in [
        ("application/proto", "content-encoding", "accept-encoding"),
        ("application/connect+proto", "connect-content-encoding", "connect-accept-encoding"),
        ("application/grpc", "grpc-encoding", "grpc-accept-encoding"),
        ("application/grpc-web", "grpc-encoding", "grpc-accept-encoding"),
    ] {
        let mut call = accept(&post(content_type, &[(coding, "br")]));
        let out = flushed(&mut call);
        let status = status_of(&out).unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().contains("flip, flop, identity") && !status.message().contains("br,"));
        assert_eq!(head_of(&out).fields.get(accepted), Some(&b"flip,flop"[..]));
        let mut call =
            accept_with(&post(content_type, &[(coding, "br")]), RpcConfig::default(), HttpCaps::HTTP2);
        assert_eq!(head_of(&flushed(&mut call)).fields.get(accepted), Some(&b"identity"[..]));
    }
    let mut call = accept(&get("encoding=proto&message=AA&base64=1&compression=br"));
    assert_eq!(code_of(&flushed(&mut call)), Code::Unimplemented);
}

// CS13, GS4; attack C2: each of the 256 flags in each protocol.
#[test]
fn flags() {
    for content_type in STREAMS {
        for flags in 0..=255_u8 {
            for coding in [None, Some("flip")] {
                let name = if content_type.contains("connect") {
                    "connect-content-encoding"
                } else {
                    "grpc-encoding"
                };
                let fields: Vec<_> = coding.map(|coding| (name, coding)).into_iter().collect();
                let mut call = accept(&post(content_type, &fields));
                let mut body = body_for(content_type, &envelopes(&[(flags, &[!b'a'])]));
                let (messages, result) = drain(&mut call, &mut body, CLEAN);
                let expected = match (flags, coding) {
                    (0, _) => Ok(vec![!b'a']),
                    (1, Some(_)) => Ok(vec![b'a']),
                    (1, None) => Err(Code::Internal),
                    _ if content_type.contains("connect") => Err(Code::InvalidArgument),
                    _ => Err(Code::Internal),
                };
                match expected {
                    Ok(message) => assert_eq!(messages, [message]),
                    Err(code) => {
                        assert_eq!(result.unwrap().unwrap_err().code(), code, "{content_type} {flags}");
                        assert_eq!(code_of(&flushed(&mut call)), code);
                    }
                }
            }
        }
    }
}

// CS10: what is empty is never inflated (the test's coding refuses the empty message).
#[test]
fn empty_messages_are_not_inflated() {
    let mut call = accept(&post("application/proto", &[("content-encoding", "flip")]));
    assert_eq!(drain(&mut call, &mut BytesMut::new(), CLEAN).0, [b""]);
    let mut call = accept(&post("application/grpc", &[("grpc-encoding", "flip")]));
    assert_eq!(drain(&mut call, &mut envelopes(&[(1, b"")])[..].into(), CLEAN).0, [b""]);
    let mut call = accept(&get("encoding=proto&message=&compression=flip"));
    assert_eq!(drain(&mut call, &mut BytesMut::new(), CLEAN).0, [b""]);
}

// CS26; attack C1: the limit strikes at the prefix, while the client still sends; what came before is read.
#[test]
fn limits() {
    for content_type in STREAMS {
        let mut call = accept(&post(content_type, &[]));
        let mut bytes = envelopes(&[(0, b"good")]);
        bytes.extend_from_slice(b"\0\0\0\0\x0b");
        if content_type.contains("text") {
            bytes.push(0);
        }
        let mut body = body_for(content_type, &bytes);
        let (messages, result) = drain(&mut call, &mut body, None);
        assert_eq!(messages, [b"good"]);
        assert_eq!(result.unwrap().unwrap_err().code(), Code::ResourceExhausted, "{content_type}");
        assert!(body.is_empty(), "what is refused is dropped, so that its credit returns");
        assert_eq!(code_of(&flushed(&mut call)), Code::ResourceExhausted);
    }
    let mut call = accept(&post("application/proto", &[("content-length", "11")]));
    assert!(matches!(call.receive(NOW, &mut BytesMut::new(), None), Read::Failed(_)), "declared");
    let mut call = accept(&post("application/proto", &[]));
    let mut body = BytesMut::from(&[0; 10][..]);
    assert!(matches!(call.receive(NOW, &mut body, None), Read::NeedMore { need: usize::MAX }));
    body.extend_from_slice(b"x");
    assert!(matches!(call.receive(NOW, &mut body, None), Read::Failed(_)), "in fact");
    assert_eq!(head_of(&flushed(&mut call)).status(), 429);
    let mut call = accept(&get("encoding=json&message=12345678901"));
    assert!(matches!(call.receive(NOW, &mut BytesMut::new(), None), Read::Failed(_)));
}

// What completes the message in front is known, and told.
#[test]
fn needs() {
    let need = |content_type: &str, fields: &[(&str, &str)], body: &[u8]| {
        let mut call = accept(&post(content_type, fields));
        call.route(Some(&if content_type == "application/proto" { UNARY } else { BIDI }));
        match call.receive(NOW, &mut body.into(), None) {
            Read::NeedMore { need } => need,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(need("application/grpc", &[], b""), 5);
    assert_eq!(need("application/grpc", &[], b"\0\0\0\0"), 5);
    assert_eq!(need("application/grpc", &[], b"\0\0\0\0\x07abc"), 12);
    assert_eq!(need("application/grpc-web-text", &[], b"AA"), 8);
    assert_eq!(need("application/grpc-web-text", &[], b"AAAAAAdh"), 8, "5 more bytes, of which 1 is decoded");
    assert_eq!(need("application/proto", &[("content-length", "7")], b"abc"), 7);
    assert_eq!(need("application/proto", &[], b"abc"), usize::MAX);
}

// CS26, GS13: no message, or more than one, is UNIMPLEMENTED, and no handler is bothered.
#[test]
fn cardinality() {
    for content_type in STREAMS {
        let method = if content_type.contains("connect") { SERVER_STREAM } else { UNARY };
        for (count, expected) in [(0, Err(Code::Unimplemented)), (1, Ok(())), (2, Err(Code::Unimplemented))] {
            let mut call = accept(&post(content_type, &[]));
            assert!(call.route(Some(&method)));
            let mut body = body_for(content_type, &envelopes(&vec![(0, &b"abc"[..]); count]));
            let (messages, result) = drain(&mut call, &mut body, CLEAN);
            assert_eq!(messages.len(), usize::from(count == 1), "{content_type} {count}");
            assert_eq!(result.unwrap().map_err(|status| status.code()), expected);
            if let Err(code) = expected {
                assert_eq!(code_of(&flushed(&mut call)), code);
            }
        }
    }
    // The second one may come later, and the end too.
    let mut call = accept(&post("application/grpc", &[]));
    call.route(Some(&UNARY));
    let mut body = BytesMut::from(&envelopes(&[(0, b"abc")])[..]);
    assert!(matches!(call.receive(NOW, &mut body, None), Read::NeedMore { need: 9 }));
    assert_eq!(drain(&mut call, &mut body, CLEAN).0, [b"abc"]);
    let mut call = accept(&post("application/grpc", &[]));
    call.route(Some(&BIDI));
    assert!(
        matches!(drain(&mut call, &mut BytesMut::new(), CLEAN), (messages, Some(Ok(()))) if messages.is_empty())
    );
}

// Attack C15: the end inside of a message.
#[test]
fn truncated_requests() {
    let body = envelopes(&[(0, b"ab"), (0, b"cd")]);
    for content_type in STREAMS {
        let whole = body_for(content_type, &body);
        for cut in 0..whole.len() {
            let mut call = accept(&post(content_type, &[]));
            let mut part = BytesMut::from(&whole[..cut]);
            let (messages, result) = drain(&mut call, &mut part, CLEAN);
            let code = if content_type.contains("connect") { Code::InvalidArgument } else { Code::Internal };
            match (content_type.contains("text"), cut) {
                (_, 0) | (false, 7) => assert!(result.unwrap().is_ok()),
                _ => assert_eq!(result.unwrap().unwrap_err().code(), code, "{content_type} {cut}"),
            }
            assert!(messages.len() < 2);
        }
    }
}

// GS15, GC8 and the ends of a direction: each is told apart, and what came before is still read.
#[test]
fn ends() {
    let cancel = EndedBy::Cancel { reset: Some(8) };
    for (end, now, code, ended, answered) in [
        (ReceiveEnd::Reset(8), 0, Code::Canceled, cancel, false),
        (ReceiveEnd::Reset(8), 5, Code::DeadlineExceeded, EndedBy::Deadline, false),
        (ReceiveEnd::Lost, 0, Code::Canceled, EndedBy::LostConnection, false),
        (ReceiveEnd::Local, 0, Code::Canceled, EndedBy::Cancel { reset: None }, false),
        (ReceiveEnd::Malformed("x"), 0, Code::Internal, EndedBy::Locally, false),
        (ReceiveEnd::Stalled, 0, Code::ResourceExhausted, EndedBy::Locally, true),
    ] {
        let mut call = accept(&post("application/grpc", &[("grpc-timeout", "5S")]));
        let mut body = BytesMut::from(&envelopes(&[(0, b"ab")])[..]);
        body.extend_from_slice(b"\0\0");
        let now = NOW + Duration::from_secs(now);
        assert!(matches!(call.receive(now, &mut body, Some(end)), Read::Messages(_)));
        for _ in 0..2 {
            let Read::Failed(status) = call.receive(now, &mut body, Some(end)) else { panic!() };
            assert_eq!((status.code(), status.ended()), (code, ended), "{end:?}");
        }
        assert_eq!(flushed(&mut call).is_empty(), !answered);
        assert_eq!(call.send(Payload::Plain(b"x"), &mut Vec::new()), Err(SendError::Ended));
        assert_eq!(call.finish(Ok(()), NONE, &mut Vec::new()), Ok(()));
    }
}

// CS17-CS19; attack C13.
#[test]
fn get_requests() {
    let method = UNARY.without_side_effects();
    let mut head = get("message=-_8%3D&x=y&base64=1&encoding=proto&connect=v1");
    head.fields.push("connect-timeout-ms", b"1000");
    head.fields.push("x-tag", b"1");
    let mut call = accept(&head);
    assert!(call.is_get() && call.route(Some(&method)));
    assert_eq!((call.codec(), call.metadata().get("x-tag")), ("proto", Some("1")));
    assert_eq!(call.deadline(), Some(NOW + Duration::from_secs(1)));
    assert_eq!(drain_get(&mut call), b"\xfb\xff");
    let mut out = Vec::new();
    call.answer(NONE, Payload::Plain(b"ok"), NONE, &mut out).unwrap();
    assert_eq!(head_of(&out).fields.get("content-type"), Some(&b"application/proto"[..]));

    let mut call = accept(&get("compression=flip&encoding=json&message=%9e%9d"));
    assert_eq!(drain_get(&mut call), b"ab");
    for query in ["encoding=proto", "encoding=proto&message=a&message=b", "encoding=proto&message=%zz"] {
        let mut call = accept(&get(query));
        assert_eq!(code_of(&flushed(&mut call)), Code::InvalidArgument, "{query}");
    }
    let mut call = accept(&get(&format!("encoding=proto&message={}", "a".repeat(9000))));
    assert!(!call.route(Some(&method)));
    assert_eq!(head_of(&flushed(&mut call)).status(), 414);
}

/// Pulls the one message of a GET.
fn drain_get(call: &mut ServerCall) -> Vec<u8> {
    let (mut messages, result) = drain(call, &mut BytesMut::new(), None);
    assert!(messages.len() == 1 && result.unwrap().is_ok());
    messages.remove(0)
}

// CS15, GS10; attack C10.
#[test]
fn reserved_names_are_no_metadata() {
    let fields = [
        ("te", "trailers"),
        ("grpc-foo", "x"),
        ("connect-foo", "x"),
        ("x-tag", "1"),
        ("user-agent", "u"),
        ("x-tag", "2"),
    ];
    let call = accept(&post("application/grpc", &fields));
    let found: Vec<_> = call.metadata().iter().map(|field| (field.name, field.value)).collect();
    assert_eq!(found, [("x-tag", &b"1"[..]), ("user-agent", b"u"), ("x-tag", b"2")]);
}

// An application that does not read still learns of a cancel, and of nothing else.
#[test]
fn stop_reading() {
    let mut call = accept(&post("application/grpc", &[]));
    call.stop_reading();
    let mut body = BytesMut::from(&b"\xff\xff\xff\xff\xff"[..]);
    assert!(matches!(call.receive(NOW, &mut body, None), Read::NeedMore { .. }));
    assert!(body.is_empty() && !call.is_answered());
    assert!(matches!(call.receive(NOW, &mut body, CLEAN), Read::End));
    assert!(matches!(call.receive(NOW, &mut body, Some(ReceiveEnd::Reset(8))), Read::Failed(_)));
}

// Connect "Unary-Request": an unsupported media type is answered 415; gRPC PROTOCOL-HTTP2 "Content-Type" says the same.
#[test]
fn protocols_that_are_off_are_no_supported_types() {
    let mut method = UNARY.without_side_effects();
    method.protocols = Protocols::ALL.without(Protocol::Connect).without(Protocol::GrpcWebText);
    for (content_type, served) in [
        ("application/proto", false),
        ("application/grpc+proto", true),
        ("application/grpc-web+proto", true),
        ("application/grpc-web-text", false),
    ] {
        let mut call = accept(&post(content_type, &[]));
        assert_eq!(call.route(Some(&method)), served, "{content_type}");
        if !served {
            let out = flushed(&mut call);
            assert_eq!(head_of(&out).status(), 415);
            let accepted = head_of(&out).fields.get("accept-post").unwrap();
            let accepted = core::str::from_utf8(accepted).unwrap();
            assert_eq!(
                accepted,
                "application/grpc+proto, application/grpc+json, application/grpc-web+proto, application/grpc-web+json"
            );
        }
    }
    let mut call = accept(&get("connect=v1&encoding=proto&message="));
    assert!(!call.route(Some(&method)));
    assert_eq!(head_of(&flushed(&mut call)).status(), 405);
}

// A method may take less than the rest of the server.
#[test]
fn a_method_has_its_own_limit() {
    let mut method = BIDI;
    method.max_receive = 3;
    for (length, code) in [(3, Code::Ok), (4, Code::ResourceExhausted)] {
        let mut call = accept(&post("application/grpc", &[]));
        assert!(call.route(Some(&method)));
        let mut body = BytesMut::from(&*envelopes(&[(0, &vec![b'x'; length])]));
        match call.receive(NOW, &mut body, None) {
            Read::Messages(_) => assert_eq!(code, Code::Ok),
            Read::Failed(status) => assert_eq!(status.code(), code),
            other => panic!("{other:?}"),
        }
    }
}

// A proxy serves paths that it does not know: the protocol tells as much of the shape as it can.
#[test]
fn any_path_is_taken_as_its_protocol_tells() {
    for (content_type, shape) in [("application/proto", Shape::Unary), ("application/grpc", Shape::Bidi)] {
        let mut call = accept(&post(content_type, &[]));
        assert!(call.route_any() && call.shape() == shape);
    }
    let mut call = accept(&post("text/html", &[]));
    assert!(!call.route_any());
    assert_eq!(head_of(&flushed(&mut call)).status(), 404);
    let mut call = accept_with(&post("application/grpc", &[]), config(), HttpCaps::HTTP1);
    assert!(!call.route_any());
    assert_eq!(head_of(&flushed(&mut call)).status(), 505);
}

// Connect: 415; gRPC: UNIMPLEMENTED. The router may know better than the configuration.
#[test]
fn a_method_may_refuse_a_codec() {
    let mut call = accept(&post("application/json", &[]));
    assert!(call.route(Some(&UNARY)));
    call.refuse_codec(&UNARY);
    assert_eq!(head_of(&flushed(&mut call)).status(), 415);
    let mut call = accept(&post("application/grpc+json", &[]));
    assert!(call.route(Some(&UNARY)));
    call.refuse_codec(&UNARY);
    assert_eq!(code_of(&flushed(&mut call)), Code::Unimplemented);
}
