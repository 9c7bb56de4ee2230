//! What is sent, and how a call ends.

use super::*;

// GC1: the timeout first, then the protocol's, then the application's.
#[test]
fn grpc_heads() {
    let mut metadata = Metadata::new();
    metadata.append("x-tag", "1").unwrap();
    let request = request(Grpc, Shape::Unary)
        .metadata(&metadata)
        .deadline(Some(NOW + Duration::from_millis(1500)))
        .coding(Some("flip"));
    let out = sent(&request);
    let head = head_of(&out);
    assert_eq!((head.method(), head.path(), head.authority()), ("POST", "/s/M", Some("example.com")));
    assert_eq!(
        pairs(head),
        [
            ("grpc-timeout", "1500000u"),
            ("te", "trailers"),
            GRPC,
            ("grpc-encoding", "flip"),
            ("grpc-accept-encoding", "flip,flop"),
            ("x-tag", "1"),
        ]
    );
    assert_eq!(out[1..], [Part::Data("\0\0\0\0\x03"[..].into()), Part::Data("ask".into()), Part::End]);
}

#[test]
fn web_heads() {
    assert_eq!(
        pairs(head_of(&sent(&request(GrpcWeb, Shape::Unary)))),
        [
            ("x-grpc-web", "1"),
            ("content-type", "application/grpc-web+proto"),
            ("grpc-accept-encoding", "flip,flop")
        ]
    );
    let out = sent(&request(GrpcWebText, Shape::Unary));
    assert!(pairs(head_of(&out)).contains(&("accept", "application/grpc-web-text")));
    assert_eq!(out[1], Part::Data("AAAAAANhc2s=".into()));
}

// CC1, CC2, CC10.
#[test]
fn connect_heads() {
    let deadline = Some(NOW + Duration::from_millis(1500));
    let out = sent(&request(Connect, Shape::Unary).deadline(deadline).coding(Some("flip")));
    assert_eq!(
        pairs(head_of(&out)),
        [
            ("connect-timeout-ms", "1500"),
            ("accept-encoding", "flip,flop"),
            ("content-type", "application/proto"),
            ("connect-protocol-version", "1"),
            ("content-length", "3"),
        ]
    );
    assert_eq!(out[1..], [Part::Data("ask".into()), Part::End]);
    let out = sent(&request(Connect, Shape::ServerStream).coding(Some("flip")));
    assert_eq!(
        pairs(head_of(&out)),
        [
            ("content-type", "application/connect+proto"),
            ("connect-protocol-version", "1"),
            ("connect-content-encoding", "flip"),
            ("connect-accept-encoding", "flip,flop"),
        ]
    );
    // Compressed unary messages are named where they stand.
    let mut call = ClientCall::new(
        &request(Connect, Shape::Unary).coding(Some("flip")),
        HttpCaps::HTTP2,
        &config(),
        NOW,
    )
    .unwrap();
    let mut out = Vec::new();
    call.start(&mut out);
    call.send(Payload::Compressed(b"x"), &mut out).unwrap();
    assert!(out.is_empty(), "kept until the message is known");
    call.half_close(&mut out).unwrap();
    assert!(pairs(head_of(&out)).contains(&("content-encoding", "flip")));
}

// CC9: GET only without side effects, in one form, without content-type and body; a POST when it would be too long.
#[test]
fn get_requests() {
    let method = Method::new(Shape::Unary).without_side_effects();
    let request = |method| ClientRequest::new(Connect, "json", method, "", "/s/M").use_get(true);
    let make = |request: &ClientRequest<'_>, payload: Payload<'_>| {
        let mut call = ClientCall::new(request, HttpCaps::HTTP1, &config(), NOW).unwrap();
        let mut out = Vec::new();
        call.unary(payload, &mut out).unwrap();
        (call.is_get(), out)
    };
    let (is_get, out) = make(&request(method), Payload::Plain(b"{}"));
    assert!(is_get && out.len() == 1);
    let head = head_of(&out);
    assert_eq!((head.method(), head.path()), ("GET", "/s/M?connect=v1&encoding=json&message=%7B%7D"));
    assert!(!head.fields.contains("content-type"));
    let (_, out) = make(&request(method).coding(Some("flip")), Payload::Compressed(b"{}"));
    assert_eq!(head_of(&out).path(), "/s/M?connect=v1&base64=1&compression=flip&encoding=json&message=e30");
    let (is_get, out) = make(&request(Method::new(Shape::Unary)), Payload::Plain(b"{}"));
    assert!(!is_get && head_of(&out).method() == "POST");
    let (is_get, out) = make(&request(method), Payload::Plain(&[b'a'; 9000]));
    assert!(!is_get && head_of(&out).path() == "/s/M");
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let make = |request: &ClientRequest<'_>, caps| ClientCall::new(request, caps, &config(), NOW).map(drop);
    let base = request(Grpc, Shape::Unary);
    for path in ["", "s/M", "/s M", "/s/M?x", "/s/M#x", "/s/M\r\n", "/\u{e9}"] {
        assert_eq!(
            make(&ClientRequest { path, ..base }, HttpCaps::HTTP2),
            Err(Misuse::InvalidTarget),
            "{path}"
        );
    }
    for codec in ["", "a b", "a\r\nb", "a;b", "grpc", "grpc-web"] {
        assert_eq!(
            make(&ClientRequest { codec, ..base }, HttpCaps::HTTP2),
            Err(Misuse::InvalidTarget),
            "{codec}"
        );
    }
    assert_eq!(
        make(&ClientRequest { authority: "a b", ..base }, HttpCaps::HTTP2),
        Err(Misuse::InvalidTarget)
    );
    assert_eq!(make(&base.scheme("ftp"), HttpCaps::HTTP2), Err(Misuse::InvalidTarget));
    assert_eq!(make(&base.coding(Some("br")), HttpCaps::HTTP2), Err(Misuse::UnknownCoding));
    assert_eq!(make(&base, HttpCaps::FETCH), Err(Misuse::NotCarried));
    assert_eq!(make(&request(Connect, Shape::ClientStream), HttpCaps::FETCH), Err(Misuse::NotCarried));
    assert_eq!(make(&base, HttpCaps::HTTP1), Err(Misuse::NotCarried));
    assert_eq!(make(&request(Connect, Shape::Bidi), HttpCaps::HTTP1), Ok(()));
}

#[test]
fn misuse_is_told_and_changes_nothing() {
    let mut out: Vec<Part> = Vec::new();
    let mut call = ClientCall::new(&request(Grpc, Shape::Unary), HttpCaps::HTTP2, &config(), NOW).unwrap();
    assert_eq!(call.half_close(&mut out), Err(Misuse::NoMessage));
    assert_eq!(call.send(Payload::Compressed(b"x"), &mut out), Err(Misuse::WrongState.into()));
    call.send(Payload::Plain(b"x"), &mut out).unwrap();
    assert_eq!(call.send(Payload::Plain(b"x"), &mut out), Err(Misuse::OneMessageOnly.into()));
    call.half_close(&mut out).unwrap();
    assert_eq!(call.half_close(&mut out), Err(Misuse::AlreadyClosed));
    assert_eq!(call.send(Payload::Plain(b"x"), &mut out), Err(Misuse::AlreadyClosed.into()));
    call.start(&mut out);
    assert_eq!(out.len(), 4, "head, prefix, message, end");
}

// gRPC PROTOCOL-HTTP2 "Errors": the deadline's result is made here, and a reset that says CANCEL after the deadline is
// the deadline's. What the server has told, it has told.
#[test]
fn deadlines_and_cancels() {
    let deadline = NOW + Duration::from_secs(1);
    let request = request(Grpc, Shape::ServerStream).deadline(Some(deadline));
    let flushed = |call: &mut ClientCall| {
        let mut out: Vec<Part> = Vec::new();
        call.flush(&mut out);
        call.flush(&mut out);
        out
    };
    let mut late = call_of(&request);
    assert!(late.on_deadline() && !late.on_deadline() && !late.cancel());
    assert_eq!(flushed(&mut late), [Part::Reset(8)]);
    let mut body = BytesMut::from(&b"\0\0\0\0\x01x"[..]);
    late.receive_trailers(&fields(OK.unwrap()));
    let Read::Failed(status) = late.receive(NOW, &mut body, CLEAN) else { panic!() };
    assert_eq!((status.code(), status.ended(), body.len()), (Code::DeadlineExceeded, EndedBy::Deadline, 0));

    let mut cancelled = call_of(&request);
    assert!(cancelled.cancel());
    assert_eq!(flushed(&mut cancelled), [Part::Reset(8)]);
    let Read::Failed(status) = cancelled.receive(deadline, &mut body, CLEAN) else { panic!() };
    assert_eq!((status.code(), status.ended()), (Code::Canceled, EndedBy::Cancel { reset: None }));

    for (now, expected) in [(NOW, Code::Canceled), (deadline, Code::DeadlineExceeded)] {
        let mut reset = call_of(&request);
        let Read::Failed(status) = reset.receive(now, &mut body, Some(ReceiveEnd::Reset(8))) else {
            panic!()
        };
        assert_eq!(status.code(), expected);
        let mut told = call_of(&request);
        told.receive_head(&response(200, &[GRPC, ("grpc-status", "1")]));
        let Read::Failed(status) = told.receive(now, &mut body, CLEAN) else { panic!() };
        assert_eq!((status.code(), status.ended()), (Code::Canceled, EndedBy::Status));
    }
    // A call that was never started leaves no trace.
    let mut unsent = ClientCall::new(&request, HttpCaps::HTTP2, &config(), NOW).unwrap();
    assert!(unsent.cancel() && flushed(&mut unsent).is_empty());
    assert_eq!(unsent.send(Payload::Plain(b""), &mut Vec::new()), Err(SendError::Ended));
}

// GC9 and the early answer: it counts, and the rest of the request is not sent.
#[test]
fn early_answers() {
    let mut out: Vec<Part> = Vec::new();
    let mut call = ClientCall::new(&request(Grpc, Shape::Bidi), HttpCaps::HTTP2, &config(), NOW).unwrap();
    call.send(Payload::Plain(b"x"), &mut out).unwrap();
    call.receive_head(&response(200, &[GRPC]));
    call.receive_trailers(&fields(&[("grpc-status", "0")]));
    assert!(matches!(call.receive(NOW, &mut BytesMut::new(), CLEAN), Read::End));
    assert_eq!(call.send(Payload::Plain(b"x"), &mut out), Err(SendError::Ended));
    assert_eq!(call.half_close(&mut out), Ok(()));
    call.flush(&mut out);
    assert_eq!(out.last(), Some(&Part::Reset(0)));
    // A server that merely stops reading ends nothing else.
    let mut call = ClientCall::new(&request(Grpc, Shape::Bidi), HttpCaps::HTTP2, &config(), NOW).unwrap();
    call.start(&mut out);
    call.stopped();
    assert_eq!(call.send(Payload::Plain(b"x"), &mut out), Err(SendError::Ended));
    assert_eq!(outcome(&mut call, &response(200, &[GRPC]), b"", Some(&fields(OK.unwrap()))).0, Code::Ok);
}

// Exactly one outcome: only a fault replaces a good one, and only before the application has seen it.
#[test]
fn one_outcome() {
    let good = || {
        let mut call = call(Grpc, Shape::ServerStream);
        call.receive_head(&response(200, &[GRPC]));
        call.receive_trailers(&fields(OK.unwrap()));
        call
    };
    let mut call = good();
    assert!(matches!(call.receive(NOW, &mut BytesMut::new(), CLEAN), Read::End));
    call.fail(Status::internal("too late"));
    assert!(!call.cancel() && !call.on_deadline());
    assert!(matches!(call.receive(NOW, &mut BytesMut::new(), CLEAN), Read::End));
    assert!(call.outcome().unwrap().is_ok());

    let mut call = good();
    let mut body = BytesMut::from(&b"\0\0\0\0\x01x"[..]);
    assert!(matches!(call.receive(NOW, &mut body, CLEAN), Read::Messages(_)));
    call.fail(Status::internal("not decodable"));
    let Read::Failed(status) = call.receive(NOW, &mut body, CLEAN) else { panic!() };
    call.fail(Status::data_loss("another"));
    assert_eq!(
        (status.code(), code(&call.outcome().unwrap().map_err(Clone::clone))),
        (Code::Internal, Code::Internal)
    );
}

// A recycled call remembers nothing of the one before.
#[test]
fn calls_are_recycled() {
    let config = config();
    let mut recycled = call(Connect, Shape::Unary);
    recycled.cancel();
    for protocol in [Grpc, Connect, GrpcWebText, GrpcWeb] {
        let request = request(protocol, Shape::Unary);
        recycled.prepare(&request, HttpCaps::HTTP2, &config, NOW).unwrap();
        let mut out = Vec::new();
        recycled.unary(Payload::Plain(b"ask"), &mut out).unwrap();
        assert_eq!(out, sent(&request));
        assert!(recycled.outcome().is_none() && recycled.headers().is_none());
        let head = response(404, &[("x-tag", "1"), ("trailer-x", "1")]);
        assert_eq!(outcome(&mut recycled, &head, b"x", None).0, Code::Unimplemented);
    }
}

// gRPC PROTOCOL-HTTP2 "User Agents": grpc-<language>-<variant>/<version>; Connect's implementations say connect-<language>.
#[test]
fn each_protocol_has_its_user_agent_and_a_given_one_wins() {
    let agent = |protocol, config: RpcConfig, metadata: &Metadata| {
        let request = request(protocol, Shape::Unary).metadata(metadata);
        let mut call = ClientCall::new(&request, HttpCaps::HTTP2, &Arc::new(config), NOW).unwrap();
        let mut out = Vec::new();
        call.unary(Payload::Plain(b"ask"), &mut out).unwrap();
        let all: Vec<_> = head_of(&out).fields.get_all("user-agent").map(<[u8]>::to_vec).collect();
        all.into_iter().map(|agent| String::from_utf8(agent).unwrap()).collect::<Vec<_>>()
    };
    let (none, mut own) = (Metadata::new(), Metadata::new());
    own.append("user-agent", "mine/3").unwrap();
    for protocol in [Connect, Grpc, GrpcWeb, GrpcWebText] {
        let family = if protocol == Connect { "connect" } else { "grpc" };
        let expected = format!("{family}-rust-antiphon/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(agent(protocol, RpcConfig::new(), &none), [expected]);
        assert_eq!(agent(protocol, RpcConfig::new().user_agent("theirs/2"), &none), ["theirs/2"]);
        assert_eq!(agent(protocol, RpcConfig::new().user_agent("theirs/2"), &own), ["mine/3"]);
        assert_eq!(agent(protocol, RpcConfig::new(), &own), ["mine/3"]);
        assert!(agent(protocol, RpcConfig::new().user_agent(""), &none).is_empty());
    }
}
