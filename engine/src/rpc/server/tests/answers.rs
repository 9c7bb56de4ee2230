//! What is answered.

use super::*;

// CS1-CS3, GS2, GS13; the details most often wrong 12, 13.
#[test]
fn refusals() {
    let without = UNARY.without_side_effects();
    let duplex = Method { full_duplex_only: true, ..BIDI };
    let plain_get = Head::request("GET", "http", "", "/s/M");
    let put = Head::request("PUT", "http", "", "/s/M");
    let h1 = HttpCaps::HTTP1;
    let h2 = HttpCaps::HTTP2;
    type Row = (Head, Option<Method>, HttpCaps, u16, Option<Code>);
    let table: &[Row] = &[
        (post("application/proto", &[]), None, h2, 404, None),
        (post("application/connect+proto", &[]), None, h2, 404, None),
        (post("text/plain", &[]), None, h2, 404, None),
        (post("application/grpc", &[]), None, h2, 200, Some(Code::Unimplemented)),
        (post("application/grpc-web", &[]), None, h1, 200, Some(Code::Unimplemented)),
        (post("application/grpc", &[]), None, h1, 505, None),
        (post("application/grpc", &[]), Some(UNARY), h1, 505, None),
        (post("application/connect+proto", &[]), Some(duplex), h1, 505, None),
        (post("text/plain", &[]), Some(UNARY), h2, 415, None),
        (post("application/grpcfoo", &[]), Some(UNARY), h2, 415, None),
        (post("application/proto", &[]), Some(BIDI), h2, 415, None),
        (post("application/connect+proto", &[]), Some(UNARY), h2, 415, None),
        (post("application/xml", &[]), Some(UNARY), h2, 415, None),
        (post("application/connect+xml", &[]), Some(BIDI), h2, 415, None),
        (post("application/grpc+xml", &[]), Some(UNARY), h2, 200, Some(Code::Unimplemented)),
        (post("application/grpc-web+xml", &[]), Some(UNARY), h2, 200, Some(Code::Unimplemented)),
        (plain_get.clone(), Some(UNARY), h2, 405, None),
        (get("encoding=proto&message="), Some(UNARY), h2, 405, None),
        (plain_get.clone(), Some(without), h2, 415, None),
        (get("message="), Some(without), h2, 415, None),
        (get("encoding=xml&message="), Some(without), h2, 415, None),
        (put, Some(without), h2, 405, None),
    ];
    for (head, method, caps, http, code) in table {
        let mut call = accept_with(head, config(), *caps);
        assert!(!call.route(method.as_ref()), "{head:?}");
        assert!(call.is_answered());
        let out = flushed(&mut call);
        let answer = head_of(&out);
        assert_eq!(answer.status(), *http, "{head:?}");
        match code {
            Some(code) => assert_eq!(code_of(&out), *code),
            None => assert!(matches!(&out[..], [Part::Head(_, true)]), "no body"),
        }
        let field = |name| answer.fields.get(name).map(|value| core::str::from_utf8(value).unwrap());
        match http {
            405 => assert_eq!(
                field("allow"),
                Some(if method.unwrap().no_side_effects { "GET, POST" } else { "POST" })
            ),
            415 => assert!(field("accept-post").unwrap().contains("application/grpc+proto")),
            505 => assert_eq!(field("connection"), Some("close")),
            _ => {}
        }
        // The application is not to blame for what it sends now.
        assert_eq!(call.send(Payload::Plain(b"x"), &mut Vec::new()), Err(SendError::Ended));
        assert_eq!(call.finish(Ok(()), NONE, &mut Vec::new()), Ok(()));
    }
    assert!(accept(&post("application/grpc+json", &[])).route(Some(&UNARY)));
    assert!(
        accept_with(&post("application/connect+proto", &[]), config(), h1).route(Some(&BIDI)),
        "half-duplex"
    );
    assert!(accept_with(&post("application/grpc+xml", &[]), RpcConfig::default(), h2).route(Some(&UNARY)));
}

// CS2: what is accepted is listed.
#[test]
fn accept_post_lists_what_fits_the_shape() {
    let mut call = accept(&post("text/plain", &[]));
    call.route(Some(&BIDI));
    let out = flushed(&mut call);
    let types = core::str::from_utf8(head_of(&out).fields.get("accept-post").unwrap()).unwrap();
    assert!(types.starts_with("application/connect+proto, application/connect+json, application/grpc+proto"));
    let mut call = accept_with(&post("text/plain", &[]), config(), HttpCaps::HTTP1);
    call.route(Some(&UNARY));
    let out = flushed(&mut call);
    let types = core::str::from_utf8(head_of(&out).fields.get("accept-post").unwrap()).unwrap();
    assert!(types.starts_with("application/proto, application/json, application/grpc-web+proto"));
}

// GS3: the deadline is answered once, and only if nothing else was.
#[test]
fn the_deadline_is_answered() {
    for content_type in STREAMS.into_iter().chain(["application/proto"]) {
        let mut call = accept(&post(content_type, &[]));
        let mut out = Vec::new();
        call.send(Payload::Plain(b"x"), &mut out).unwrap();
        assert!(call.on_deadline(&mut out));
        assert_eq!(code_of(&out), Code::DeadlineExceeded);
        let length = out.len();
        assert!(!call.on_deadline(&mut out));
        assert_eq!(call.finish(Ok(()), NONE, &mut out), Ok(()));
        assert_eq!(out.len(), length);
        let Read::Failed(status) = call.receive(NOW, &mut BytesMut::new(), CLEAN) else { panic!() };
        assert_eq!(status.ended(), EndedBy::Deadline);
    }
    let mut call = accept(&post("application/grpc", &[]));
    call.answer(NONE, Payload::Plain(b""), NONE, &mut Vec::new()).unwrap();
    assert!(!call.on_deadline(&mut Vec::new()), "a deadline after the end turns no success into failure");
}

// GS7, CS20, CS23, W2, W4: the form of a good answer.
#[test]
fn good_answers() {
    let mut trailers = Metadata::new();
    trailers.append("x-tag", "t").unwrap();
    let mut headers = Metadata::new();
    headers.append("x-head", "h").unwrap();
    for content_type in STREAMS.into_iter().chain(["application/proto"]) {
        let mut call = accept(&post(content_type, &[]));
        let mut out = Vec::new();
        call.answer(&headers, Payload::Plain(b"abc"), &trailers, &mut out).unwrap();
        assert_eq!(code_of(&out), Code::Ok);
        let head = head_of(&out);
        assert_eq!((head.status(), head.fields.get("content-type")), (200, Some(content_type.as_bytes())));
        assert_eq!(head.fields.get("x-head"), Some(&b"h"[..]));
        let grpc = content_type == "application/grpc";
        assert_eq!(matches!(out.last(), Some(Part::Trailers(_))), grpc);
        if content_type == "application/proto" {
            assert_eq!(head.fields.get("trailer-x-tag"), Some(&b"t"[..]));
            assert_eq!(head.fields.get("content-length"), Some(&b"3"[..]));
            assert_eq!(body_of(&out), b"abc");
        }
        // The same in pieces.
        let mut call = accept(&post(content_type, &[]));
        let mut pieces = Vec::new();
        call.send_headers(&headers, &mut pieces).unwrap();
        assert_eq!(pieces.is_empty(), content_type == "application/proto", "CS28: before the first message");
        call.send(Payload::Plain(b"abc"), &mut pieces).unwrap();
        call.finish(Ok(()), &trailers, &mut pieces).unwrap();
        assert_eq!(pieces, out);
    }
}

// GS7 Trailers-Only, CS21, CS23, W3: the form of a failure, before and after a message.
#[test]
fn failures() {
    for content_type in STREAMS.into_iter().chain(["application/proto"]) {
        for code in Code::ALL {
            for after_message in [false, true] {
                let mut status = Status::new(code, "no \u{263a}").with_detail(crate::Detail {
                    type_name: "a.B".into(),
                    value: bytes::Bytes::from_static(b"\x01"),
                });
                status.metadata_mut().append("x-tag", "1").unwrap();
                let mut call = accept(&post(content_type, &[]));
                let mut out = Vec::new();
                if after_message {
                    call.send(Payload::Plain(b"abc"), &mut out).unwrap();
                }
                call.finish(Err(&status), NONE, &mut out).unwrap();
                let told = status_of(&out).unwrap_err();
                // A failure of code OK is no success.
                assert_eq!(told.code(), if code == Code::Ok { Code::Unknown } else { code });
                assert_eq!((told.message(), told.details()), ("no \u{263a}", status.details()));
                if content_type == "application/grpc" {
                    let only = matches!(&out[..], [Part::Head(head, true)] if head.fields.get("x-tag") == Some(b"1"));
                    assert_eq!(only, !after_message, "Trailers-Only");
                }
                if content_type == "application/proto" {
                    assert_eq!(head_of(&out).fields.get("trailer-x-tag"), Some(&b"1"[..]));
                }
            }
        }
    }
}

#[test]
fn misuse_is_told_and_changes_nothing() {
    let mut out: Vec<Part> = Vec::new();
    let mut call = accept(&post("application/grpc", &[]));
    call.route(Some(&UNARY));
    assert_eq!(call.finish(Ok(()), NONE, &mut out), Err(Misuse::NoMessage));
    call.send_headers(NONE, &mut out).unwrap();
    assert_eq!(call.send_headers(NONE, &mut out), Err(Misuse::HeadersSent));
    let mut headers = Metadata::new();
    headers.append("a", "b").unwrap();
    assert_eq!(call.answer(&headers, Payload::Plain(b""), NONE, &mut out), Err(Misuse::HeadersSent.into()));
    assert_eq!(call.send(Payload::Compressed(b"x"), &mut out), Err(Misuse::WrongState.into()));
    call.send(Payload::Plain(b""), &mut out).unwrap();
    assert_eq!(call.send(Payload::Plain(b""), &mut out), Err(Misuse::OneMessageOnly.into()));
    call.finish(Ok(()), NONE, &mut out).unwrap();
    assert_eq!(call.finish(Ok(()), NONE, &mut out), Err(Misuse::AlreadyClosed));
    assert_eq!(call.send(Payload::Plain(b""), &mut out), Err(Misuse::AlreadyClosed.into()));
    assert_eq!(out.len(), 3, "head, message, trailers");

    let mut call = accept(&post("text/plain", &[]));
    assert_eq!(call.send(Payload::Plain(b""), &mut out), Err(Misuse::WrongState.into()));
    assert_eq!(call.finish(Ok(()), NONE, &mut out), Err(Misuse::WrongState));
    let mut out: Vec<Part> = Vec::new();
    call.finish(Err(&Status::unavailable("")), NONE, &mut out).unwrap();
    assert_eq!(head_of(&out).status(), 503);
    let small = RpcConfig { max_send: 2, ..config() };
    let mut call = accept_with(&post("application/grpc", &[]), small, HttpCaps::HTTP2);
    assert_eq!(call.send(Payload::Plain(b"abc"), &mut out), Err(Misuse::TooLarge.into()));
}

// A recycled call remembers nothing of the one before.
#[test]
fn calls_are_recycled() {
    let config = Arc::new(config());
    let heads = [
        post("application/grpc", &[("grpc-timeout", "1S"), ("x-tag", "1")]),
        post("application/grpc", &[]),
        post("application/grpc", &[("grpc-accept-encoding", "flip")]),
        post("application/grpc+json", &[]),
        get("encoding=proto&message="),
        post("application/grpc", &[("grpc-encoding", "br")]),
        post("application/proto", &[("content-encoding", "flip")]),
        post("text/plain", &[]),
        post("application/grpc-web-text", &[]),
        post("application/connect+proto", &[]),
    ];
    let run = |call: &mut ServerCall| {
        let mut out = Vec::new();
        call.flush(&mut out);
        let _ = call.answer(NONE, Payload::Plain(b"abc"), NONE, &mut out);
        (format!("{:?} {:?} {:?}", call.metadata(), call.deadline(), call.codec()), out)
    };
    let mut recycled = ServerCall::new(&heads[0], HttpCaps::HTTP2, &config, NOW);
    for first in &heads {
        for second in &heads {
            recycled.accept(first, HttpCaps::HTTP2, &config, NOW);
            run(&mut recycled);
            recycled.accept(second, HttpCaps::HTTP2, &config, NOW);
            let mut fresh = ServerCall::new(second, HttpCaps::HTTP2, &config, NOW);
            assert_eq!(run(&mut recycled), run(&mut fresh), "{second:?} after {first:?}");
        }
    }
}

// RFC 9110 §15.4.5, §8.6: a GET whose answer the client has is answered 304, without a body or its length.
#[test]
fn a_get_may_be_answered_that_nothing_has_changed() {
    let headers = metadata("etag", "\"7\"");
    let finish = |request: &Head| {
        let (mut call, mut out) = (accept(request), Vec::new());
        assert!(call.route(Some(&UNARY.without_side_effects())));
        call.send_headers(&headers, &mut out).unwrap();
        call.finish(Err(&Status::not_modified()), NONE, &mut out).unwrap();
        out
    };
    let out = finish(&get("connect=v1&encoding=proto&message="));
    assert!(matches!(&*out, [Part::Head(_, true)]));
    let head = head_of(&out);
    assert_eq!((head.status(), head.fields.get("etag")), (304, Some(&b"\"7\""[..])));
    assert_eq!((head.fields.get("content-length"), head.fields.get("content-type")), (None, None));
    assert_eq!(code_of(&finish(&post("application/proto", &[]))), Code::Unknown);
}

// What CORS wants must stand on refusals too, or a browser's script learns nothing (Fetch §3.2.3).
#[test]
fn added_fields_stand_on_every_head_of_one_call_and_on_no_other() {
    let fields = metadata("access-control-allow-origin", "*");
    let has = |out: &[Part]| head_of(out).fields.get("access-control-allow-origin").is_some();
    for content_type in STREAMS.into_iter().chain(["application/proto"]) {
        let method = if content_type == "application/proto" { UNARY } else { BIDI };
        for result in [Ok(()), Err(Status::internal(""))] {
            let (mut call, mut out) = (accept(&post(content_type, &[])), Vec::new());
            call.add_fields(&fields);
            assert!(call.route(Some(&method)));
            let _ = call.send(Payload::Plain(b"x"), &mut out);
            call.finish(result.as_ref().copied(), NONE, &mut out).unwrap();
            assert!(has(&out), "{content_type} {result:?}");
        }
        let mut call = accept(&post(content_type, &[]));
        call.add_fields(&fields);
        assert!(!call.route(None));
        assert!(has(&flushed(&mut call)), "{content_type} refused");
        let (config, request) = (Arc::new(config()), post(content_type, &[]));
        for (add, again) in [(true, false), (false, true), (true, true)] {
            let mut call = ServerCall::new(&request, HttpCaps::HTTP2, &config, NOW);
            for add in [add, again] {
                call.accept(&request, HttpCaps::HTTP2, &config, NOW);
                if add {
                    call.add_fields(&fields);
                }
                let mut out = Vec::new();
                call.route(Some(&method));
                call.answer(NONE, Payload::Plain(b"x"), NONE, &mut out).unwrap();
                assert_eq!(has(&out), add, "{content_type}");
            }
        }
    }
    let (mut call, mut out) = (accept(&Head::request("OPTIONS", "http", "example.com", "/s/M")), Vec::new());
    call.add_fields(&fields);
    call.respond(204, &mut out);
    assert!(matches!(&*out, [Part::Head(head, true)] if head.status() == 204 && has(&out)));
    assert!(head_of(&out).fields.get("content-length").is_none() && !call.route(Some(&UNARY)));
}

fn metadata(name: &str, value: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append(name, value).unwrap();
    metadata
}

/// A sink whose peer takes only so much in one list of fields.
struct Narrow(Vec<Part>, usize);

impl crate::rpc::Sink for Narrow {
    fn head(&mut self, head: &Head, end: bool) {
        self.0.head(head, end);
    }

    fn data(&mut self, bytes: &[u8]) {
        self.0.data(bytes);
    }

    fn trailers(&mut self, trailers: &crate::Fields) {
        self.0.trailers(trailers);
    }

    fn end(&mut self) {
        self.0.end();
    }

    fn reset(&mut self, code: u32) {
        self.0.reset(code);
    }

    fn max_header_list(&self) -> usize {
        self.1
    }
}

// RFC 9113 §6.5.2, gRPC PROTOCOL-HTTP2 "Responses" (8 KiB suggested for heads and trailers): what is larger may be refused
// as a whole, and the status with it.
#[test]
fn an_error_that_the_peer_would_not_take_is_cut_to_its_limit() {
    let status = Status::not_found("\u{e9}".repeat(50_000))
        .with_detail(crate::Detail { type_name: "a.B".into(), value: vec![7; 50_000].into() });
    let mut extra = Metadata::new();
    extra.append("access-control-allow-origin", "*").unwrap();
    for content_type in STREAMS.into_iter().chain(["application/proto"]) {
        for limit in [600, 8 << 10, usize::MAX] {
            for before in [false, true] {
                let mut call = accept(&post(content_type, &[("grpc-accept-encoding", "flip,flop")]));
                call.add_fields(&extra);
                let mut out = Narrow(Vec::new(), limit);
                if before {
                    call.send_headers(NONE, &mut out).unwrap();
                }
                call.finish(Err(&status), NONE, &mut out).unwrap();
                let told = status_of(&out.0).unwrap_err();
                assert_eq!(told.code(), Code::NotFound, "{content_type} {limit} {before}");
                assert!(told.details().is_empty());
                if limit > 600 {
                    assert!(
                        told.message().starts_with("\u{e9}\u{e9}") && told.message().ends_with('\u{2026}')
                    );
                }
                for part in &out.0 {
                    let (fields, pseudo) = match part {
                        Part::Head(head, _) => (&head.fields, ":status200".len() + 32),
                        Part::Trailers(trailers) => (trailers, 0),
                        _ => continue,
                    };
                    assert!(fields.list_size() + pseudo <= limit, "{content_type} {limit}: {fields:?}");
                }
            }
        }
    }
}
