//! A client's call against a server's, in memory: every protocol, every shape, every way to end, and both directions cut
//! at every byte of the body.

use std::sync::Arc;
use std::time::Duration;

use antiphon::rpc::{
    ClientCall, ClientRequest, Coding, Codings, DecompressError, HttpCaps, Method, Part, Payload, Protocol,
    Read, RpcConfig, ServerCall, Shape,
};
use antiphon::{Code, Detail, EndedBy, Fields, Head, Instant, Metadata, ReceiveEnd, Status};
use bytes::{Bytes, BytesMut};

const NOW: Instant = Instant::EPOCH;
const LATER: Duration = Duration::from_secs(5);
const PROTOCOLS: [Protocol; 4] =
    [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText];
const SHAPES: [Shape; 4] = [Shape::Unary, Shape::ServerStream, Shape::ClientStream, Shape::Bidi];

/// A compression that anybody can check: the bytes turned round, behind a mark.
#[derive(Debug)]
struct Mark;

impl Coding for Mark {
    fn name(&self) -> &'static str {
        "mark"
    }

    fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
        out.push(b'#');
        out.extend(message.iter().rev());
    }

    fn decompress(&self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        let [b'#', message @ ..] = compressed else { return Err(DecompressError::Corrupt) };
        if message.len() > max {
            return Err(DecompressError::TooLarge);
        }
        out.extend(message.iter().rev());
        Ok(())
    }
}

fn config() -> Arc<RpcConfig> {
    let mut config = RpcConfig::default();
    config.codings = Codings::new([Arc::new(Mark) as Arc<dyn Coding>]);
    config.codecs = vec!["proto".into(), "json".into()];
    Arc::new(config)
}

/// What is put into a call, and what is to come out of it.
#[derive(Clone, Debug, Default)]
struct Case {
    name: &'static str,
    request: Vec<Vec<u8>>,
    response: Vec<Vec<u8>>,
    failure: Option<Status>,
    headers: Metadata,
    trailers: Metadata,
    compressed: bool,
}

fn metadata(list: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in list {
        metadata.append(name, *value).unwrap();
    }
    metadata
}

fn cases(shape: Shape) -> Vec<Case> {
    let many = |stream: bool, message: &[u8]| vec![message.to_vec(); if stream { 3 } else { 1 }];
    let base = Case {
        request: many(shape.takes_stream(), b"ask"),
        response: many(shape.returns_stream(), b"reply"),
        ..Case::default()
    };
    let detail = Detail { type_name: "example.Hint".into(), value: Bytes::from_static(b"\x08\x01") };
    let mut failure = Status::not_found("no such thing: \u{263a} 100%").with_detail(detail);
    failure.metadata_mut().append("x-hint", "look elsewhere").unwrap();
    let mut meta = metadata(&[("x-tag", "1"), ("x-tag", "2, 3"), ("x-empty", "")]);
    meta.append("x-raw-bin", &[0, 255, 128]).unwrap();
    let mut list = vec![
        Case { name: "ok", ..base.clone() },
        Case { name: "error", failure: Some(failure.clone()), response: vec![], ..base.clone() },
        Case {
            name: "empty messages",
            request: many(shape.takes_stream(), b""),
            response: many(shape.returns_stream(), b""),
            ..base.clone()
        },
        Case { name: "metadata", headers: meta.clone(), trailers: meta.clone(), ..base.clone() },
        Case {
            name: "error with metadata",
            headers: meta.clone(),
            trailers: meta,
            failure: Some(failure.clone()),
            response: vec![],
            ..base.clone()
        },
        Case { name: "compressed", compressed: true, ..base.clone() },
    ];
    if shape.returns_stream() {
        list.push(Case { name: "error after messages", failure: Some(failure), ..base.clone() });
        list.push(Case { name: "no message back", response: vec![], ..base.clone() });
    }
    if shape.takes_stream() {
        list.push(Case { name: "no message there", request: vec![], ..base });
    }
    list
}

/// A message as bytes of the body and an end: what travels.
#[derive(Clone, Debug, Default)]
struct Wire {
    head: Head,
    body: Vec<u8>,
    trailers: Option<Fields>,
    end: Option<ReceiveEnd>,
}

impl Wire {
    fn new(parts: &[Part]) -> Self {
        let mut wire = Self::default();
        for part in parts {
            match part {
                Part::Head(head, end) => {
                    wire.head = head.clone();
                    wire.end = end.then_some(ReceiveEnd::Clean);
                }
                Part::Data(data) => wire.body.extend_from_slice(data),
                Part::Trailers(trailers) => {
                    wire.trailers = Some(trailers.clone());
                    wire.end = Some(ReceiveEnd::Clean);
                }
                Part::End => wire.end = Some(ReceiveEnd::Clean),
                Part::Reset(code) => wire.end = Some(ReceiveEnd::Reset(*code)),
            }
        }
        wire
    }
}

/// What a failure tells.
type Told = (Code, String, Vec<Detail>);

/// What a side has pulled.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pulled {
    messages: Vec<Vec<u8>>,
    outcome: Option<Result<(), Told>>,
}

fn pull(pulled: &mut Pulled, body: &mut BytesMut, mut receive: impl FnMut(&mut BytesMut) -> Read) {
    let mut scratch = Vec::new();
    while pulled.outcome.is_none() {
        match receive(body) {
            Read::Messages(mut run) => {
                while let Some(message) = run.next(&mut scratch) {
                    pulled.messages.push(message.unwrap().to_vec());
                }
            }
            Read::NeedMore { .. } => return,
            Read::End => pulled.outcome = Some(Ok(())),
            Read::Failed(status) => {
                let details = status.details().to_vec();
                pulled.outcome = Some(Err((status.code(), status.message().to_owned(), details)));
            }
        }
    }
}

/// Sends a request as a client does.
fn send_request(
    protocol: Protocol,
    shape: Shape,
    case: &Case,
    deadline: Option<Instant>,
) -> (ClientCall, Vec<Part>) {
    let request = ClientRequest::new(protocol, "proto", Method::new(shape), "example.com", "/s/M")
        .metadata(&case.headers)
        .deadline(deadline)
        .coding(case.compressed.then_some("mark"));
    let mut call = ClientCall::new(&request, HttpCaps::HTTP2, &config(), NOW).unwrap();
    let mut out = Vec::new();
    call.start(&mut out);
    for message in &case.request {
        let mut compressed = Vec::new();
        Mark.compress(message, &mut compressed);
        let payload =
            if case.compressed { Payload::Compressed(&compressed) } else { Payload::Plain(message) };
        call.send(payload, &mut out).unwrap();
    }
    call.half_close(&mut out).unwrap();
    (call, out)
}

/// Answers as a handler does.
fn send_answer(call: &mut ServerCall, case: &Case) -> Vec<Part> {
    let mut out = Vec::new();
    if !case.headers.is_empty() {
        call.send_headers(&case.headers, &mut out).unwrap();
    }
    for message in &case.response {
        let mut compressed = Vec::new();
        Mark.compress(message, &mut compressed);
        let payload = match case.compressed {
            true => Payload::Compressed(&compressed),
            false => Payload::Plain(message),
        };
        assert!(!case.compressed || call.encoding().is_some());
        call.send(payload, &mut out).unwrap();
    }
    call.finish(case.failure.as_ref().map_or(Ok(()), Err), &case.trailers, &mut out).unwrap();
    out
}

fn accept(wire: &Wire, shape: Shape) -> ServerCall {
    let mut call = ServerCall::new(&wire.head, HttpCaps::HTTP2, &config(), NOW);
    assert!(call.route(Some(&Method::new(shape))), "{:?}", wire.head);
    call
}

fn serve(wire: &Wire, shape: Shape, cut: usize) -> (ServerCall, Pulled) {
    let mut call = accept(wire, shape);
    let mut pulled = Pulled::default();
    let mut body = BytesMut::from(&wire.body[..cut]);
    pull(&mut pulled, &mut body, |body| call.receive(NOW, body, None));
    body.extend_from_slice(&wire.body[cut..]);
    pull(&mut pulled, &mut body, |body| call.receive(NOW, body, wire.end));
    assert!(body.is_empty());
    (call, pulled)
}

fn understand(call: &mut ClientCall, wire: &Wire, cut: usize) -> Pulled {
    let mut pulled = Pulled::default();
    call.receive_head(&wire.head);
    let mut body = BytesMut::from(&wire.body[..cut]);
    pull(&mut pulled, &mut body, |body| call.receive(NOW, body, None));
    body.extend_from_slice(&wire.body[cut..]);
    if let Some(trailers) = &wire.trailers {
        call.receive_trailers(trailers);
    }
    pull(&mut pulled, &mut body, |body| call.receive(NOW, body, wire.end));
    assert!(body.is_empty());
    pulled
}

fn contains(found: &Metadata, wanted: &Metadata) -> bool {
    wanted.iter().all(|field| {
        let all = |metadata: &Metadata| {
            metadata.as_fields().get_all(field.name).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        all(found) == all(wanted)
    })
}

#[test]
fn calls_of_every_kind_cut_at_every_byte() {
    for (protocol, shape) in PROTOCOLS.into_iter().flat_map(|protocol| SHAPES.map(|shape| (protocol, shape)))
    {
        for case in cases(shape) {
            let context = format!("{protocol:?} {shape:?} {}", case.name);
            let (_, parts) = send_request(protocol, shape, &case, None);
            let wire = Wire::new(&parts);
            assert!(wire.trailers.is_none(), "requests have no trailers");
            let expected = Pulled { messages: case.request.clone(), outcome: Some(Ok(())) };
            for cut in 0..=wire.body.len() {
                let (call, pulled) = serve(&wire, shape, cut);
                assert_eq!(pulled, expected, "{context}, request cut at {cut}");
                assert!(contains(call.metadata(), &case.headers), "{context}");
            }

            let (mut server, _) = serve(&wire, shape, 0);
            let answer = Wire::new(&send_answer(&mut server, &case));
            assert_eq!(
                answer.trailers.is_some(),
                protocol == Protocol::Grpc && !answer.head.fields.contains("grpc-status")
            );
            let expected = Pulled {
                messages: case.response.clone(),
                outcome: Some(case.failure.as_ref().map_or(Ok(()), |status| {
                    Err((status.code(), status.message().to_owned(), status.details().to_vec()))
                })),
            };
            for cut in 0..=answer.body.len() {
                let (mut client, _) = send_request(protocol, shape, &case, None);
                let pulled = understand(&mut client, &answer, cut);
                assert_eq!(pulled, expected, "{context}, answer cut at {cut}");
                assert!(contains(client.headers().unwrap(), &case.headers), "{context} headers");
                assert!(contains(client.trailers(), &case.trailers), "{context} trailers");
                if let Some(failure) = &case.failure {
                    assert!(
                        contains(client.trailers(), failure.metadata()),
                        "{context} metadata of the failure"
                    );
                    let status = client.outcome().unwrap().unwrap_err();
                    assert!(
                        contains(status.metadata(), failure.metadata()) && status.ended() == EndedBy::Status
                    );
                }
                let mut out: Vec<Part> = Vec::new();
                client.flush(&mut out);
                assert!(out.is_empty(), "nothing is left to reset");
            }
        }
    }
}

#[test]
fn big_messages() {
    let big: Vec<u8> = (0..300_000_u32).map(|n| (n >> 3) as u8).collect();
    for (protocol, shape) in PROTOCOLS.into_iter().flat_map(|protocol| SHAPES.map(|shape| (protocol, shape)))
    {
        let case = Case { request: vec![big.clone()], response: vec![big.clone()], ..Case::default() };
        let (mut client, parts) = send_request(protocol, shape, &case, None);
        let wire = Wire::new(&parts);
        for cut in [0, 1, 5, 7, 16_384, 65_536, 299_999, wire.body.len()] {
            let (mut server, pulled) = serve(&wire, shape, cut);
            assert_eq!(pulled.messages, [&big[..]], "{protocol:?} {shape:?} {cut}");
            send_answer(&mut server, &case);
        }
        let answer = Wire::new(&send_answer(&mut accept(&wire, shape), &case));
        assert_eq!(understand(&mut client, &answer, 70_000).messages, [&big[..]]);
    }
}

// A deadline ends both sides the same way, each by itself.
#[test]
fn deadlines() {
    for (protocol, shape) in PROTOCOLS.into_iter().flat_map(|protocol| SHAPES.map(|shape| (protocol, shape)))
    {
        let case = cases(shape).swap_remove(0);
        let deadline = Some(NOW + LATER);
        let (mut client, parts) = send_request(protocol, shape, &case, deadline);
        let wire = Wire::new(&parts);
        let (mut server, _) = serve(&wire, shape, 0);
        assert_eq!(server.deadline(), deadline, "{protocol:?}");
        let mut out = Vec::new();
        assert!(server.on_deadline(&mut out));
        let pulled = understand(&mut client, &Wire::new(&out), 0);
        assert!(
            matches!(pulled.outcome, Some(Err((Code::DeadlineExceeded, _, _)))),
            "{protocol:?} {shape:?}"
        );

        let (mut client, _) = send_request(protocol, shape, &case, deadline);
        assert!(client.on_deadline());
        let mut out = Vec::new();
        client.flush(&mut out);
        assert_eq!(out, [Part::Reset(8)]);
        let Read::Failed(status) = client.receive(NOW + LATER, &mut BytesMut::new(), None) else { panic!() };
        assert_eq!((status.code(), status.ended()), (Code::DeadlineExceeded, EndedBy::Deadline));
        // The server's own clock agrees, whichever of reset and deadline comes first.
        let mut server = accept(&wire, shape);
        let end = Some(ReceiveEnd::Reset(8));
        let mut pulled = Pulled::default();
        pull(&mut pulled, &mut BytesMut::new(), |body| server.receive(NOW + LATER, body, end));
        assert!(matches!(pulled.outcome, Some(Err((Code::DeadlineExceeded, _, _)))));
    }
}

// A cancel is never taken for an end of the stream.
#[test]
fn cancels() {
    for (protocol, shape) in PROTOCOLS.into_iter().flat_map(|protocol| SHAPES.map(|shape| (protocol, shape)))
    {
        let case = cases(shape).swap_remove(0);
        let (mut client, mut parts) = send_request(protocol, shape, &case, None);
        assert!(matches!(parts.pop(), Some(Part::End)));
        assert!(client.cancel());
        client.flush(&mut parts);
        let wire = Wire::new(&parts);
        for cut in 0..=wire.body.len() {
            let mut server = accept(&wire, shape);
            let mut pulled = Pulled::default();
            let mut body = BytesMut::from(&wire.body[..cut]);
            pull(&mut pulled, &mut body, |body| server.receive(NOW, body, None));
            pull(&mut pulled, &mut body, |body| server.receive(NOW, body, Some(ReceiveEnd::Reset(8))));
            assert!(
                matches!(pulled.outcome, Some(Err((Code::Canceled, _, _)))),
                "{protocol:?} {shape:?} {cut}"
            );
            let mut out = Vec::new();
            server.flush(&mut out);
            server.finish(Ok(()), &Metadata::new(), &mut out).unwrap();
            assert!(out.is_empty(), "nobody is there to be answered");
        }
    }
}

// An answer cut anywhere is a failure, whatever the protocol: never a success in pieces.
#[test]
fn truncated_answers() {
    for (protocol, shape) in PROTOCOLS.into_iter().flat_map(|protocol| SHAPES.map(|shape| (protocol, shape)))
    {
        let case = cases(shape).swap_remove(0);
        let (_, parts) = send_request(protocol, shape, &case, None);
        let (mut server, _) = serve(&Wire::new(&parts), shape, 0);
        let answer = Wire::new(&send_answer(&mut server, &case));
        for end in [ReceiveEnd::Clean, ReceiveEnd::Lost, ReceiveEnd::Reset(0), ReceiveEnd::Reset(2)] {
            for cut in 0..answer.body.len() {
                // HTTP itself tells where a body without envelopes ends (content-length).
                if protocol == Protocol::Connect && shape == Shape::Unary && end == ReceiveEnd::Clean {
                    continue;
                }
                let (mut client, _) = send_request(protocol, shape, &case, None);
                let body = answer.body[..cut].to_vec();
                let part = Wire { head: answer.head.clone(), body, trailers: None, end: Some(end) };
                let pulled = understand(&mut client, &part, 0);
                assert!(matches!(pulled.outcome, Some(Err(_))), "{protocol:?} {shape:?} {end:?} {cut}");
            }
        }
    }
}
