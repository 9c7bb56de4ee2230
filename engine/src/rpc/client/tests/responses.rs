//! What a response means.

use super::*;

// GC3, CC4: the HTTP status counts when nothing better is there; a grpc-status wins wherever it stands.
#[test]
fn http_statuses_of_grpc() {
    for (http, expected) in [
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (408, Code::Unknown),
        (429, Code::Unavailable),
        (431, Code::Unknown),
        (502, Code::Unavailable),
        (503, Code::Unavailable),
        (504, Code::Unavailable),
        (600, Code::Unknown),
    ] {
        assert_eq!(grpc_outcome(http, &[("content-type", "text/html")], b"<html>", None), expected, "{http}");
        assert_eq!(grpc_outcome(http, &[GRPC, ("grpc-status", "5")], b"", None), Code::NotFound);
        assert_eq!(grpc_outcome(http, &[GRPC], b"", Some(&[("grpc-status", "5")])), Code::NotFound);
    }
    assert_eq!(grpc_outcome(200, &[("content-type", "text/html")], b"<html>", None), Code::Unknown);
    assert_eq!(grpc_outcome(200, &[], b"", None), Code::Unknown);
    assert_eq!(
        grpc_outcome(200, &[("content-type", "application/grpc+json")], b"", OK),
        Code::Ok,
        "the status wins"
    );
    assert_eq!(grpc_outcome(200, &[("content-type", "application/grpc+json")], b"", None), Code::Internal);
    assert_eq!(grpc_outcome(200, &[("content-type", "application/grpc+proto")], b"", OK), Code::Ok);
    assert_eq!(grpc_outcome(200, &[GRPC], b"", None), Code::Internal, "no status at all");
    let mut call = call(Grpc, Shape::ServerStream);
    call.receive_head(&response(100, &[("grpc-status", "5")]));
    assert_eq!(
        outcome(&mut call, &response(200, &[GRPC]), b"", Some(&fields(OK.unwrap()))).0,
        Code::Ok,
        "1xx skipped"
    );
}

// GC4: a status in the head counts only when neither a body nor trailers follow.
#[test]
fn trailers_only() {
    let head = [GRPC, ("grpc-status", "5"), ("x-tag", "1")];
    assert_eq!(grpc_outcome(200, &head, b"", None), Code::NotFound);
    assert_eq!(grpc_outcome(200, &head, b"", OK), Code::Ok);
    assert_eq!(grpc_outcome(200, &head, b"\0\0\0\0\0", None), Code::Internal);
    assert_eq!(grpc_outcome(200, &head, b"\0\0\0\0\0", OK), Code::Ok);
    let mut call = call(Grpc, Shape::ServerStream);
    outcome(&mut call, &response(200, &head), b"", None);
    assert_eq!(call.trailers().get("x-tag"), Some("1"));
    assert!(call.headers().is_none_or(|headers| headers.is_empty()), "the same fields are not told twice");
    assert_eq!(call.outcome().unwrap().unwrap_err().metadata().get("x-tag"), Some("1"));
}

// GC5; attacks C5, C6: a status that cannot be read is UNKNOWN, and the message is kept.
#[test]
fn odd_statuses() {
    for (value, expected) in [
        ("17", Code::Unknown),
        ("013", Code::Unknown),
        ("abc", Code::Unknown),
        ("", Code::Unknown),
        ("16", Code::Unauthenticated),
    ] {
        assert_eq!(grpc_outcome(200, &[GRPC], b"", Some(&[("grpc-status", value)])), expected, "{value}");
    }
    assert_eq!(
        grpc_outcome(200, &[GRPC], b"", Some(&[("grpc-status", "0"), ("grpc-status", "5")])),
        Code::Internal
    );
    let trailers = fields(&[("grpc-status", "5"), ("grpc-message", "a%zz\u{263a}")]);
    let mut call = call(Grpc, Shape::ServerStream);
    outcome(&mut call, &response(200, &[GRPC]), b"", Some(&trailers));
    assert_eq!(call.outcome().unwrap().unwrap_err().message(), "a%zz\u{263a}");
}

// CC3, GC6, Z2, GS4: codings, flags and limits of a response.
#[test]
fn broken_messages() {
    let coded = [GRPC, ("grpc-encoding", "flip")];
    let unknown = [GRPC, ("grpc-encoding", "br")];
    assert_eq!(grpc_outcome(200, &unknown, b"", OK), Code::Ok, "no message was lost");
    assert_eq!(grpc_outcome(200, &unknown, b"\x01\0\0\0\x01x", OK), Code::Internal);
    assert_eq!(
        grpc_outcome(200, &unknown, b"\x01\0\0\0\x01x", Some(&[("grpc-status", "5")])),
        Code::NotFound
    );
    assert_eq!(
        grpc_outcome(503, &[GRPC, ("grpc-status", "0")], b"x", None),
        Code::Unavailable,
        "no success in pieces"
    );
    assert_eq!(grpc_outcome(200, &[GRPC], b"\x01\0\0\0\x01x", OK), Code::Internal);
    assert_eq!(grpc_outcome(200, &coded, b"\x01\0\0\0\x01x", OK), Code::Ok);
    assert_eq!(grpc_outcome(200, &coded, b"\x01\0\0\0\0", OK), Code::Ok, "nothing to inflate");
    assert_eq!(grpc_outcome(200, &coded, b"\x80\0\0\0\0", OK), Code::Internal);
    assert_eq!(grpc_outcome(200, &coded, b"\x02\0\0\0\0", OK), Code::Internal);
    assert_eq!(grpc_outcome(200, &[GRPC], b"\0\0\0\0\x0b", OK), Code::ResourceExhausted);
    assert_eq!(grpc_outcome(200, &[GRPC], b"\0\0\0\0\x02x", OK), Code::Internal, "ended inside a message");
    assert_eq!(
        grpc_outcome(200, &[GRPC], b"\0\0\0\0\x02x", Some(&[("grpc-status", "14")])),
        Code::Unavailable
    );
    let mut bare = call(Connect, Shape::Unary);
    let head = response(200, &[("content-type", "application/proto"), ("content-length", "11")]);
    bare.receive_head(&head);
    let (_, result) = pull(&mut bare, &mut BytesMut::new(), None);
    assert_eq!(code(&result.unwrap()), Code::ResourceExhausted, "CC12, by the declared length");
}

// GC6, CC7: none or more than one message for a method that returns one.
#[test]
fn cardinality() {
    for (protocol, content_type) in [(Grpc, "application/grpc"), (GrpcWeb, "application/grpc-web+proto")] {
        for (count, expected) in [(0, Code::Unimplemented), (1, Code::Ok), (2, Code::Unimplemented)] {
            let mut messages = vec![(0, &b"abc"[..]); count];
            let trailers = fields(OK.unwrap());
            if protocol == GrpcWeb {
                messages.push((0x80, b"grpc-status: 0\r\n"));
            }
            let head = response(200, &[("content-type", content_type)]);
            let result =
                outcome(&mut call(protocol, Shape::Unary), &head, &envelopes(&messages), Some(&trailers));
            assert_eq!(result.0, expected, "{protocol:?} {count}");
        }
    }
    let head = response(200, &[("content-type", "application/connect+proto")]);
    for (count, expected) in [(0, Code::Unimplemented), (1, Code::Ok), (2, Code::Unimplemented)] {
        let mut messages = vec![(0, &b"abc"[..]); count];
        messages.push((2, b"{}"));
        let mut call =
            ClientCall::new(&request(Connect, Shape::ClientStream), HttpCaps::HTTP2, &config(), NOW).unwrap();
        call.half_close(&mut Vec::new()).unwrap();
        assert_eq!(outcome(&mut call, &head, &envelopes(&messages), None).0, expected);
    }
    // An error needs no message.
    assert_eq!(
        outcome(&mut call(Grpc, Shape::Unary), &response(200, &[GRPC, ("grpc-status", "5")]), b"", None).0,
        Code::NotFound
    );
}

// CC4, CC5, CC8.
#[test]
fn connect_unary_responses() {
    let run = |status, list: &[(&str, &str)], body: &[u8]| {
        let mut call = call(Connect, Shape::Unary);
        let (code, messages) = outcome(&mut call, &response(status, list), body, None);
        (code, messages, call)
    };
    let (proto, json) = (("content-type", "application/proto"), ("content-type", "application/json"));
    let (code, messages, call) =
        run(200, &[proto, ("x-head", "h"), ("trailer-x-tag", "t"), ("trailer-connect-x", "r")], b"abc");
    assert_eq!((code, messages), (Code::Ok, vec![b"abc".to_vec()]));
    assert_eq!((call.headers().unwrap().len(), call.headers().unwrap().get("x-head")), (1, Some("h")));
    assert_eq!((call.trailers().len(), call.trailers().get("x-tag")), (1, Some("t")));
    assert_eq!(run(200, &[proto], b"").1, [b""], "CC12: an empty message is one");
    assert_eq!(run(200, &[proto, ("content-encoding", "flip")], &[!b'a']).1, [b"a"]);
    assert_eq!(run(200, &[proto, ("content-encoding", "flip")], b"").1, [b""]);
    assert_eq!(run(200, &[proto, ("content-encoding", "br")], b"x").0, Code::Internal);
    assert_eq!(run(200, &[proto], b"12345678901").0, Code::ResourceExhausted);
    assert_eq!(run(200, &[json], b"{}").0, Code::Internal, "another codec");
    assert_eq!(run(200, &[("content-type", "text/html")], b"x").0, Code::Unknown);
    assert_eq!(run(200, &[], b"x").0, Code::Unknown);

    let (code, _, call) = run(429, &[json, ("trailer-x-tag", "t")], br#"{"code":"aborted","message":"m"}"#);
    assert_eq!(code, Code::Aborted);
    let status = call.outcome().unwrap().unwrap_err();
    assert_eq!(
        (status.message(), status.metadata().get("x-tag"), status.ended()),
        ("m", Some("t"), EndedBy::Status)
    );
    assert_eq!(run(429, &[json], b"").0, Code::Unavailable);
    assert_eq!(run(401, &[json], b"{").0, Code::Unauthenticated);
    assert_eq!(run(403, &[json], br#"{"code":"nonsense"}"#).0, Code::PermissionDenied);
    assert_eq!(run(404, &[json], br#"{"code":null}"#).0, Code::Unimplemented);
    assert_eq!(run(503, &[("content-type", "text/html")], br#"{"code":"aborted"}"#).0, Code::Unavailable);
    assert_eq!(run(302, &[], b"").0, Code::Unknown);
    let flipped: Vec<u8> = br#"{"code":"aborted"}"#.iter().map(|byte| !byte).collect();
    assert_eq!(run(500, &[json, ("content-encoding", "flip")], &flipped).0, Code::Aborted);
    assert_eq!(run(400, &[json], &vec![b' '; 70 << 10]).0, Code::Internal, "too long to be read");
}

// CC6, CC7: the end of a stream.
#[test]
fn connect_ends_of_streams() {
    let head = response(200, &[("content-type", "application/connect+proto")]);
    let run = |body: &[u8]| outcome(&mut call(Connect, Shape::ServerStream), &head, body, None);
    let end = |text: &str| run(&envelopes(&[(0, b"abc"), (2, text.as_bytes())])).0;
    assert_eq!(end("{}"), Code::Ok);
    assert_eq!(end(r#"{"error":null}"#), Code::Ok);
    assert_eq!(end(r#"{"error":{}}"#), Code::Unknown);
    assert_eq!(end(r#"{"error":{"code":null}}"#), Code::Unknown);
    assert_eq!(end(r#"{"error":{"code":"aborted"},"x":1}"#), Code::Aborted);
    assert_eq!(end("[]"), Code::Internal);
    assert_eq!(end(""), Code::Internal);
    assert_eq!(run(b"").0, Code::Internal, "no end");
    assert_eq!(run(&envelopes(&[(0, b"abc")])).0, Code::Internal);
    assert_eq!(run(&envelopes(&[(2, b"{}"), (0, b"x")])).0, Code::Internal, "nothing may follow");
    assert_eq!(run(&envelopes(&[(2, b"{}"), (2, b"{}")])).0, Code::Internal);
    assert_eq!(run(&envelopes(&[(3, b"{}")])).0, Code::Internal, "compressed, but no coding");
    assert_eq!(run(&envelopes(&[(2, &vec![b' '; 70 << 10])])).0, Code::Internal);
    let (code, messages) = run(&envelopes(&[(0, b"abc"), (2, br#"{"error":{"code":"aborted"}}"#)]));
    assert_eq!((code, messages), (Code::Aborted, vec![b"abc".to_vec()]), "what came before is read");
    let mut call = call(Connect, Shape::ServerStream);
    outcome(&mut call, &head, &envelopes(&[(2, br#"{"metadata":{"x-tag":["1","2"]}}"#)]), None);
    assert_eq!(call.trailers().get_all("x-tag").collect::<Vec<_>>(), ["1", "2"]);
    for (status, content_type, expected) in [
        (503, "application/connect+proto", Code::Unavailable),
        (200, "application/connect+json", Code::Internal),
        (200, "application/proto", Code::Unknown),
        (200, "text/html", Code::Unknown),
    ] {
        let head = response(status, &[("content-type", content_type)]);
        assert_eq!(outcome(&mut super::call(Connect, Shape::ServerStream), &head, b"xyz", None).0, expected);
    }
    let head =
        response(200, &[("content-type", "application/connect+proto"), ("connect-content-encoding", "br")]);
    assert_eq!(
        outcome(&mut super::call(Connect, Shape::ServerStream), &head, b"xyz", None).0,
        Code::Internal
    );
}

// W2-W5: trailers in the body.
#[test]
fn web_trailers() {
    let run = |list: &[(&str, &str)], body: &[u8]| {
        outcome(&mut call(GrpcWeb, Shape::ServerStream), &response(200, list), body, None)
    };
    let web = ("content-type", "application/grpc-web+proto");
    let code = |list: &[(&str, &str)], messages: &[(u8, &[u8])]| run(list, &envelopes(messages)).0;
    assert_eq!(code(&[web], &[(0, b"abc"), (0x80, b"grpc-status: 0\r\n")]), Code::Ok);
    assert_eq!(code(&[web], &[(0x80, b"Grpc-Status:5\n")]), Code::NotFound);
    assert_eq!(
        code(&[web, ("grpc-encoding", "flip")], &[(0x81, &b"grpc-status: 5".map(|byte| !byte))]),
        Code::NotFound
    );
    assert_eq!(code(&[web], &[(0x81, b"grpc-status: 5")]), Code::Internal, "no coding");
    assert_eq!(code(&[web], &[(0x80, b"x: y\r\n")]), Code::Internal, "no status");
    assert_eq!(code(&[web], &[(0x80, b"no colon\r\n")]), Code::Internal);
    assert_eq!(code(&[web], &[(0x80, &vec![b'a'; 17 << 10])]), Code::Internal);
    assert_eq!(code(&[web], &[(0x80, b"grpc-status: 0\r\n"), (0, b"x")]), Code::Internal, "data behind it");
    assert_eq!(code(&[web], &[(0x80, b"grpc-status: 0\r\n"), (0x80, b"grpc-status: 0\r\n")]), Code::Internal);
    assert_eq!(code(&[web], &[(0x82, b"grpc-status: 0\r\n")]), Code::Internal);
    assert_eq!(code(&[web], &[(0, b"abc")]), Code::Internal, "no trailers");
    assert_eq!(code(&[web, ("grpc-status", "5")], &[]), Code::NotFound, "Trailers-Only");
    assert_eq!(
        code(&[web, ("grpc-status", "5")], &[(0x80, b"grpc-status: 0\r\n")]),
        Code::Ok,
        "the body's win"
    );
    // HTTP trailers do not count.
    let trailers = fields(OK.unwrap());
    let head = response(200, &[web]);
    assert_eq!(
        outcome(&mut call(GrpcWeb, Shape::ServerStream), &head, b"", Some(&trailers)).0,
        Code::Internal
    );
    // Text, padded anywhere.
    let mut text = BytesMut::new();
    for piece in envelopes(&[(0, b"abc"), (0x80, b"grpc-status: 9\r\n")]).chunks(2) {
        let mut encoder = Encoder::new();
        encoder.push(piece, &mut text);
        encoder.flush(&mut text);
    }
    let head = response(200, &[("content-type", "application/grpc-web-text+proto")]);
    let (code, messages) = outcome(&mut call(GrpcWebText, Shape::ServerStream), &head, &text, None);
    assert_eq!((code, messages), (Code::FailedPrecondition, vec![b"abc".to_vec()]));
    assert_eq!(outcome(&mut call(GrpcWebText, Shape::ServerStream), &head, b"AAA!", None).0, Code::Internal);
    assert_eq!(
        outcome(&mut call(GrpcWebText, Shape::ServerStream), &head, b"AAAAAAAA!!!!!!!!", None).0,
        Code::Internal
    );
}

// GC7, GC11: resets and losses; what came before them is read.
#[test]
fn ends_before_their_time() {
    for (end, expected, ended) in [
        (ReceiveEnd::Reset(0), Code::Internal, EndedBy::Cancel { reset: Some(0) }),
        (ReceiveEnd::Reset(7), Code::Unavailable, EndedBy::Cancel { reset: Some(7) }),
        (ReceiveEnd::Reset(8), Code::Canceled, EndedBy::Cancel { reset: Some(8) }),
        (ReceiveEnd::Lost, Code::Unavailable, EndedBy::LostConnection),
        (ReceiveEnd::Unprocessed, Code::Unavailable, EndedBy::LostConnection),
        (ReceiveEnd::Malformed("x"), Code::Internal, EndedBy::Locally),
        (ReceiveEnd::TooLarge, Code::ResourceExhausted, EndedBy::Locally),
        (ReceiveEnd::Stalled, Code::ResourceExhausted, EndedBy::Locally),
    ] {
        let mut with_head = call(Grpc, Shape::ServerStream);
        with_head.receive_head(&response(200, &[GRPC]));
        let (messages, result) = pull(&mut with_head, &mut (&b"\0\0\0\0\x01x\0\0"[..]).into(), Some(end));
        let status = result.unwrap().unwrap_err();
        assert_eq!((messages.len(), status.code(), status.ended()), (1, expected, ended), "{end:?}");
        assert_eq!(status.unprocessed(), matches!(end, ReceiveEnd::Reset(7) | ReceiveEnd::Unprocessed));
        let (_, result) = pull(&mut call(Connect, Shape::Unary), &mut BytesMut::new(), Some(end));
        assert_eq!(code(&result.unwrap()), expected, "without a head");
    }
    // The end of a stream has been read: whatever ends the exchange then is no failure.
    for (protocol, content_type, body) in [
        (Connect, "application/connect+proto", envelopes(&[(2, b"{}")])),
        (GrpcWeb, "application/grpc-web+proto", envelopes(&[(0x80, b"grpc-status: 0\r\n")])),
    ] {
        for end in [ReceiveEnd::Reset(0), ReceiveEnd::Reset(8), ReceiveEnd::Lost] {
            let mut call = call(protocol, Shape::ServerStream);
            call.receive_head(&response(200, &[("content-type", content_type)]));
            assert!(pull(&mut call, &mut (&body[..]).into(), Some(end)).1.unwrap().is_ok());
        }
    }
}

// Who wants no messages still gets the outcome; a foreign body is not read for ever.
#[test]
fn what_is_dropped() {
    let mut call = call(Grpc, Shape::ServerStream);
    call.stop_reading();
    let trailers = fields(&[("grpc-status", "5")]);
    assert_eq!(
        outcome(&mut call, &response(200, &[GRPC]), b"\0\0\0\0\x01x", Some(&trailers)),
        (Code::NotFound, vec![])
    );

    let mut call = super::call(Grpc, Shape::ServerStream);
    call.receive_head(&response(503, &[("content-type", "text/html")]));
    let mut pulls = 0;
    loop {
        let mut body = BytesMut::from(&[b'x'; 1 << 10][..]);
        pulls += 1;
        match call.receive(NOW, &mut body, None) {
            Read::NeedMore { .. } => assert!(body.is_empty()),
            Read::Failed(status) => break assert_eq!(status.code(), Code::Unavailable),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pulls, 65);
    let mut out: Vec<Part> = Vec::new();
    call.flush(&mut out);
    assert_eq!(out, [Part::Reset(8)]);
}
