//! The rules of the three protocols for a server, one by one.

mod answers;
mod requests;

use core::time::Duration;
use std::sync::Arc;

use bytes::BytesMut;

use crate::codec::envelope;
use crate::codec::grpc_status::decode_status;
use crate::codec::{connect_error, end_stream, web_trailers};
use crate::rpc::coding::tests::flips;
use crate::rpc::{HttpCaps, Method, Part, Payload, Protocol, Protocols, Read, RpcConfig, ServerCall, Shape};
use crate::{Code, EndedBy, Head, Instant, Metadata, Misuse, ReceiveEnd, SendError, Status};

const NOW: Instant = Instant::EPOCH;
const NONE: &Metadata = &Metadata::new();
const UNARY: Method = Method::new(Shape::Unary);
const SERVER_STREAM: Method = Method::new(Shape::ServerStream);
const BIDI: Method = Method::new(Shape::Bidi);
const CLEAN: Option<ReceiveEnd> = Some(ReceiveEnd::Clean);

/// A content-type of each form with the field that names the coding of its messages, and its envelope flag for the end.
const STREAMS: [&str; 4] =
    ["application/connect+proto", "application/grpc", "application/grpc-web", "application/grpc-web-text"];

fn post(content_type: &str, fields: &[(&str, &str)]) -> Head {
    let mut head = Head::request("POST", "http", "example.com", "/s/M");
    head.fields.push("content-type", content_type.as_bytes());
    for (name, value) in fields {
        head.fields.push(name, value.as_bytes());
    }
    head
}

fn get(query: &str) -> Head {
    Head::request("GET", "http", "example.com", &format!("/s/M?{query}"))
}

fn config() -> RpcConfig {
    RpcConfig {
        codings: flips(&["flip", "flop"]),
        codecs: vec!["proto".into(), "json".into()],
        max_receive: 10,
        ..RpcConfig::default()
    }
}

fn accept(head: &Head) -> ServerCall {
    accept_with(head, config(), HttpCaps::HTTP2)
}

fn accept_with(head: &Head, config: RpcConfig, caps: HttpCaps) -> ServerCall {
    ServerCall::new(head, caps, &Arc::new(config), NOW)
}

fn flushed(call: &mut ServerCall) -> Vec<Part> {
    let mut out = Vec::new();
    call.flush(&mut out);
    call.flush(&mut out);
    out
}

fn body_of(parts: &[Part]) -> Vec<u8> {
    parts
        .iter()
        .filter_map(|part| if let Part::Data(data) = part { Some(&data[..]) } else { None })
        .flatten()
        .copied()
        .collect()
}

fn head_of(parts: &[Part]) -> &Head {
    let Some(Part::Head(head, _)) = parts.first() else { panic!("no head in {parts:?}") };
    head
}

/// The status that an answer tells, whatever its protocol is.
fn status_of(parts: &[Part]) -> Result<(), Status> {
    let head = head_of(parts);
    let content_type = core::str::from_utf8(head.fields.get("content-type").unwrap_or_default()).unwrap();
    let body = body_of(parts);
    let last = |mut body: &[u8]| loop {
        let prefix = envelope::Prefix::parse(body).expect("an end");
        let (message, rest) = body[5..].split_at(prefix.length as usize);
        if prefix.flags & 0xfe != 0 {
            assert!(rest.is_empty(), "nothing follows the end");
            return message.to_vec();
        }
        body = rest;
    };
    let web = |body: &[u8]| decode_status(&web_trailers::decode(&last(body)).unwrap()).unwrap();
    if content_type.starts_with("application/grpc-web-text") {
        let mut plain = BytesMut::new();
        crate::codec::base64_stream::Decoder::new().feed(&body, &mut plain).unwrap();
        web(&plain)
    } else if content_type.starts_with("application/grpc-web") {
        web(&body)
    } else if content_type.starts_with("application/grpc") {
        match parts.last() {
            Some(Part::Trailers(trailers)) => decode_status(trailers).unwrap(),
            Some(Part::Head(head, true)) => decode_status(&head.fields).unwrap(),
            other => panic!("{other:?}"),
        }
    } else if content_type.starts_with("application/connect+") {
        assert_eq!(head.status(), 200);
        end_stream::decode(&last(&body)).unwrap().error.map_or(Ok(()), Err)
    } else if head.status() == 200 {
        Ok(())
    } else {
        assert_eq!(content_type, "application/json");
        let status = connect_error::decode(&body, Code::Ok).unwrap();
        assert_eq!(status.code().http_status(), head.status());
        Err(status)
    }
}

fn code_of(parts: &[Part]) -> Code {
    status_of(parts).map_or_else(|status| status.code(), |()| Code::Ok)
}

fn envelopes(messages: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (flags, message) in messages {
        out.extend_from_slice(&envelope::encode(*flags, message.len() as u32));
        out.extend_from_slice(message);
    }
    out
}

/// A body for a content-type: base64 if it is text.
fn body_for(content_type: &str, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    if content_type.contains("text") {
        let mut encoder = crate::codec::base64_stream::Encoder::new();
        encoder.push(body, &mut out);
        encoder.flush(&mut out);
    } else {
        out.extend_from_slice(body);
    }
    out
}

/// Pulls everything: the messages, and how it ended (`None`: it has not).
fn drain(
    call: &mut ServerCall,
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
                        Err(status) => return (messages, Some(Err(status))),
                    }
                }
            }
            Read::NeedMore { .. } => return (messages, None),
            Read::End => return (messages, Some(Ok(()))),
            Read::Failed(status) => return (messages, Some(Err(status))),
        }
    }
}
