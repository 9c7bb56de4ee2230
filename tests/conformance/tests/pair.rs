//! The client's script against the server's, over queues: what the suite's own "both" mode does, without a transport.

use std::collections::VecDeque;

use antiphon::{Metadata, Status};
use antiphon_conformance::client::{self, Call};
use antiphon_conformance::codec::Codec;
use antiphon_conformance::proto::client_compat_response::Result as Outcome;
use antiphon_conformance::proto::unary_response_definition::Response;
use antiphon_conformance::proto::{self, *};
use antiphon_conformance::server::{self, Observed};
use prost::{Message, Name};
use prost_types::Any;

#[derive(Default)]
struct Wire {
    requests: VecDeque<Vec<u8>>,
    closed: bool,
    responses: VecDeque<Vec<u8>>,
    headers: Metadata,
    trailers: Metadata,
    outcome: Option<Result<(), Status>>,
}

/// Runs the server until it waits for a request that is not there.
fn serve(call: &mut server::Call, wire: &mut Wire) {
    let mut receive = false;
    while wire.outcome.is_none() {
        if receive {
            match wire.requests.pop_front() {
                Some(message) => call.received(Some(&message)),
                None if wire.closed => call.received(None),
                None => return,
            }
        }
        receive = false;
        match call.next_step() {
            server::Step::Receive => receive = true,
            server::Step::Metadata { headers, trailers } => {
                (wire.headers, wire.trailers) = (headers, trailers)
            }
            server::Step::SendHeaders | server::Step::Wait(_) => {}
            server::Step::Send(message) => wire.responses.push_back(message),
            server::Step::Finish(result) => wire.outcome = Some(result),
        }
    }
}

fn run(request: ClientCompatRequest, method: server::Method) -> ClientResponseResult {
    let mut call = Call::new(request).unwrap();
    let observed = Observed { timeout_ms: Some(100), ..Observed::default() };
    let mut server = server::Call::new(method, call.codec(), observed);
    let mut wire = Wire::default();
    let mut waiting = VecDeque::new();
    loop {
        match call.next_step() {
            client::Step::Wait(_) => {}
            client::Step::Send(message) => {
                waiting.push_back(message);
                call.sent(true);
            }
            client::Step::CloseSend => wire.closed = true,
            client::Step::Cancel => {
                wire.outcome = Some(Err(Status::canceled("by the client")));
                wire.responses.clear();
            }
            client::Step::Receive => {
                // One message at a time, so that a full-duplex server is asked as a real one would be.
                while wire.responses.is_empty() && wire.outcome.is_none() {
                    wire.requests.extend(waiting.pop_front());
                    let closed = std::mem::take(&mut wire.closed);
                    wire.closed = closed && waiting.is_empty();
                    serve(&mut server, &mut wire);
                    wire.closed = closed;
                }
                match (wire.responses.pop_front(), &wire.outcome) {
                    (Some(message), _) => call.received(Ok(Some(&message))),
                    (None, Some(Err(status))) => call.received(Err(status.clone())),
                    (None, _) => call.received(Ok(None)),
                }
            }
            client::Step::Done => break,
        }
    }
    match call.finish(&wire.headers, &wire.trailers).result {
        Some(Outcome::Response(result)) => result,
        other => panic!("{other:?}"),
    }
}

fn request<M: Message + Name>(
    method: server::Method,
    stream_type: StreamType,
    messages: &[M],
) -> ClientCompatRequest {
    ClientCompatRequest {
        codec: proto::Codec::Json.into(),
        stream_type: stream_type.into(),
        method: Some(method.name().into()),
        request_messages: messages.iter().map(|message| Any::from_msg(message).unwrap()).collect(),
        ..ClientCompatRequest::default()
    }
}

fn headers(name: &str) -> Vec<Header> {
    vec![Header { name: name.into(), value: vec!["v".into()] }]
}

#[test]
fn unary_with_metadata_in_json() {
    let response_definition = Some(UnaryResponseDefinition {
        response_headers: headers("x-header"),
        response_trailers: headers("x-trailer"),
        response: Some(Response::ResponseData(b"data".to_vec())),
        ..UnaryResponseDefinition::default()
    });
    let message = UnaryRequest { response_definition, request_data: vec![0; 9] };
    let result = run(
        request(server::Method::Unary, StreamType::Unary, std::slice::from_ref(&message)),
        server::Method::Unary,
    );
    assert_eq!(result.error, None);
    assert_eq!(result.response_headers, headers("x-header"));
    assert_eq!(result.response_trailers, headers("x-trailer"));
    let info = result.payloads[0].request_info.clone().unwrap();
    assert_eq!(result.payloads[0].data, b"data");
    assert_eq!(info.timeout_ms, Some(100));
    assert_eq!(info.requests[0].to_msg::<UnaryRequest>().unwrap(), message);
}

#[test]
fn full_duplex_in_turns() {
    let response_definition = Some(StreamResponseDefinition {
        response_data: vec![vec![1], vec![2]],
        ..StreamResponseDefinition::default()
    });
    let first = BidiStreamRequest { response_definition, full_duplex: true, ..BidiStreamRequest::default() };
    let second = BidiStreamRequest { request_data: vec![7], ..BidiStreamRequest::default() };
    let method = server::Method::BidiStream;
    let result = run(request(method, StreamType::FullDuplexBidiStream, &[first, second]), method);
    let seen: Vec<_> = result
        .payloads
        .iter()
        .map(|p| (p.data.clone(), p.request_info.as_ref().unwrap().requests.len()))
        .collect();
    assert_eq!(seen, [(vec![1], 1), (vec![2], 1)]);
    assert_eq!(result.error, None);
}

#[test]
fn an_error_with_details_in_json() {
    let error =
        Error { code: proto::Code::NotFound.into(), message: Some("none".into()), details: Vec::new() };
    let response_definition = Some(UnaryResponseDefinition {
        response: Some(Response::Error(error)),
        ..UnaryResponseDefinition::default()
    });
    let message = ClientStreamRequest { response_definition, ..ClientStreamRequest::default() };
    let method = server::Method::ClientStream;
    let result = run(request(method, StreamType::ClientStream, &[message.clone(), message]), method);
    let error = result.error.unwrap();
    assert_eq!((error.code, error.message.as_deref()), (5, Some("none")));
    let info: conformance_payload::RequestInfo = error.details[0].to_msg().unwrap();
    assert_eq!(info.requests.len(), 2);
    assert_eq!(result.payloads, []);
    assert_eq!(Codec::Json.name(), "json");
}
