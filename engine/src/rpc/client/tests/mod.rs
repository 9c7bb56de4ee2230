//! The rules of the three protocols for a client, one by one.

mod requests;
mod responses;

use core::time::Duration;
use std::sync::Arc;

use bytes::BytesMut;

use crate::codec::base64_stream::Encoder;
use crate::codec::envelope;
use crate::rpc::coding::tests::flips;
use crate::rpc::{
    ClientCall, ClientRequest, HttpCaps, Method, Part, Payload, Protocol, Read, RpcConfig, Shape,
};
use crate::{Code, EndedBy, Fields, Head, Instant, Metadata, Misuse, ReceiveEnd, SendError, Status};

use Protocol::{Connect, Grpc, GrpcWeb, GrpcWebText};

const NOW: Instant = Instant::EPOCH;
const CLEAN: Option<ReceiveEnd> = Some(ReceiveEnd::Clean);

fn config() -> Arc<RpcConfig> {
    Arc::new(RpcConfig {
        codings: flips(&["flip", "flop"]),
        max_receive: 10,
        user_agent: Some("".into()),
        ..RpcConfig::default()
    })
}

fn request(protocol: Protocol, shape: Shape) -> ClientRequest<'static> {
    ClientRequest::new(protocol, "proto", Method::new(shape), "example.com", "/s/M")
}

/// A call whose request has been sent.
fn call(protocol: Protocol, shape: Shape) -> ClientCall {
    call_of(&request(protocol, shape))
}

fn call_of(request: &ClientRequest<'_>) -> ClientCall {
    let mut call = ClientCall::new(request, HttpCaps::HTTP2, &config(), NOW).unwrap();
    call.unary(Payload::Plain(b"ask"), &mut Vec::new()).unwrap();
    call
}

fn sent(request: &ClientRequest<'_>) -> Vec<Part> {
    let mut call = ClientCall::new(request, HttpCaps::HTTP2, &config(), NOW).unwrap();
    let mut out = Vec::new();
    call.unary(Payload::Plain(b"ask"), &mut out).unwrap();
    out
}

fn head_of(parts: &[Part]) -> &Head {
    let Some(Part::Head(head, _)) = parts.first() else { panic!("no head in {parts:?}") };
    head
}

fn pairs(head: &Head) -> Vec<(&str, &str)> {
    head.fields.iter().map(|field| (field.name, core::str::from_utf8(field.value).unwrap())).collect()
}

fn fields(list: &[(&str, &str)]) -> Fields {
    list.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

fn response(status: u16, list: &[(&str, &str)]) -> Head {
    let mut head = Head::response(status);
    head.fields = fields(list);
    head
}

fn envelopes(messages: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (flags, message) in messages {
        out.extend_from_slice(&envelope::encode(*flags, message.len() as u32));
        out.extend_from_slice(message);
    }
    out
}

fn pull(
    call: &mut ClientCall,
    body: &mut BytesMut,
    end: Option<ReceiveEnd>,
) -> (Vec<Vec<u8>>, Option<Result<(), Status>>) {
    let mut messages = Vec::new();
    loop {
        match call.receive(NOW, body, end) {
            Read::Messages(mut run) => {
                while let Some(message) = run.next(&mut Vec::new()) {
                    match message {
                        Ok(message) => messages.push(message.to_vec()),
                        Err(status) => call.fail(status),
                    }
                }
            }
            Read::NeedMore { .. } => return (messages, None),
            Read::End => return (messages, Some(Ok(()))),
            Read::Failed(status) => return (messages, Some(Err(status))),
        }
    }
}

/// The outcome of a whole response: the code, and the messages.
fn outcome(
    call: &mut ClientCall,
    head: &Head,
    body: &[u8],
    trailers: Option<&Fields>,
) -> (Code, Vec<Vec<u8>>) {
    call.receive_head(head);
    if let Some(trailers) = trailers {
        call.receive_trailers(trailers);
    }
    let (messages, result) = pull(call, &mut body.into(), CLEAN);
    (code(&result.expect("an outcome")), messages)
}

fn code(result: &Result<(), Status>) -> Code {
    result.as_ref().map_or_else(Status::code, |()| Code::Ok)
}

fn grpc_outcome(status: u16, list: &[(&str, &str)], body: &[u8], trailers: Option<&[(&str, &str)]>) -> Code {
    let trailers = trailers.map(fields);
    outcome(&mut call(Grpc, Shape::ServerStream), &response(status, list), body, trailers.as_ref()).0
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const OK: Option<&[(&str, &str)]> = Some(&[("grpc-status", "0")]);
