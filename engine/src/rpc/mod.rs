//! Floor b: one call of Connect, gRPC or gRPC-Web over any HTTP stack.
//!
//! Two types, [`ServerCall`] and [`ClientCall`], know the protocols and nothing of streams, frames or sockets. Heads,
//! bytes and ends go in; messages, metadata and one outcome come out; and the other way round. The HTTP stack may be
//! floor c, hyper, a browser's fetch or a test: it says what it can carry ([`HttpCaps`]), lends the received bytes as a
//! `BytesMut`, and takes what is to be sent as a [`Sink`].
//!
//! ```text
//!            request head        body, end                 answer
//!                 |                 |                         ^
//!                 v                 v                         | Sink: head, data…, trailers | end | reset
//!   ServerCall: accept, route   receive -> Read           flush, send_headers, send, answer, finish
//!
//!   ClientCall: receive_head, receive_trailers,           start, send, half_close, unary, flush
//!               receive -> Read
//!                 ^                 ^                         | Sink: head, data…, end | reset
//!                 |                 |                         v
//!           response head      body, trailers, end         request
//! ```
//!
//! **Receiving is a pull.** [`ServerCall::receive`] and [`ClientCall::receive`] look at the body from its front and take
//! what is complete: a run of [`Messages`], which is iterated and inflated outside of any lock. What was taken is the
//! difference in the length of the body: release as much. The end that the HTTP stack knows is passed with each pull and
//! counts once everything before it has been taken.
//!
//! **Some things the call decides itself**: the refusal of a request, the answer to a fault in it, the reset of an exchange
//! whose outcome is fixed. `receive`, `route` and their like have no sink, since the body that they work on is mostly
//! borrowed from where the sink goes. They note what is to be sent, and `flush` sends it. After any method without a
//! sink, call `flush`; it is cheap and does nothing twice.
//!
//! **Each direction ends on its own, once.** A client's call has exactly one outcome: [`Read::End`] (good) or
//! [`Read::Failed`], told again to who asks again. A good outcome that the application has not yet seen can be replaced
//! by [`ClientCall::fail`], by nothing else.
//!
//! No order of calls is a trap: any method may follow any other. What is the caller's bug is a [`Misuse`](crate::Misuse);
//! what comes too late by nobody's fault does nothing, or is [`SendError::Ended`](crate::SendError::Ended).
//!
//! ```
//! use antiphon::rpc::{ClientCall, ClientRequest, HttpCaps, Method, Part, Payload, Protocol, Read};
//! use antiphon::rpc::{RpcConfig, ServerCall, Shape};
//! use antiphon::{Instant, Metadata, ReceiveEnd};
//! use std::sync::Arc;
//!
//! let (now, config, none) = (Instant::EPOCH, Arc::new(RpcConfig::default()), Metadata::new());
//! let method = Method::new(Shape::Unary);
//!
//! // The client makes its request.
//! let request = ClientRequest::new(Protocol::Grpc, "proto", method, "example.com", "/pkg.Service/Method");
//! let mut client = ClientCall::new(&request, HttpCaps::HTTP2, &config, now)?;
//! let mut sent: Vec<Part> = Vec::new();
//! client.unary(Payload::Plain(b"ping"), &mut sent)?;
//!
//! // The server receives it: head, body, end.
//! let Some(Part::Head(head, _)) = sent.first() else { panic!() };
//! let mut body: bytes::BytesMut =
//!     sent.iter().filter_map(|part| if let Part::Data(data) = part { Some(&data[..]) } else { None }).flatten().copied().collect();
//! let mut server = ServerCall::new(head, HttpCaps::HTTP2, &config, now);
//! assert!(server.route(Some(&method)));
//! let Read::Messages(mut messages) = server.receive(now, &mut body, Some(ReceiveEnd::Clean)) else { panic!() };
//! assert_eq!(messages.next(&mut Vec::new()).unwrap()?, "ping");
//!
//! // And answers.
//! let mut answer: Vec<Part> = Vec::new();
//! server.answer(&none, Payload::Plain(b"pong"), &none, &mut answer)?;
//! assert!(matches!(answer.last(), Some(Part::Trailers(trailers)) if trailers.get("grpc-status") == Some(b"0")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod coding;
mod codings;
mod config;
mod connect;
mod direction;
mod grpc;
mod grpc_web;
mod inbound;
mod messages;
mod protocol;
mod server;
mod sink;

pub use client::{ClientCall, ClientRequest};
pub use coding::{Coding, Codings, DecompressError};
#[cfg(feature = "br")]
pub use codings::Brotli;
#[cfg(feature = "deflate")]
pub use codings::Deflate;
#[cfg(feature = "gzip")]
pub use codings::Gzip;
#[cfg(feature = "snappy")]
pub use codings::Snappy;
#[cfg(feature = "zstd")]
pub use codings::Zstd;
pub use config::RpcConfig;
pub use messages::Messages;
pub use protocol::{HttpCaps, HttpVersion, Method, Protocol, Protocols, Shape};
pub use server::ServerCall;
pub use sink::{Part, Payload, Sink};

use crate::Status;

/// What a pull gives.
#[derive(Clone, Debug)]
pub enum Read {
    /// A run of at least one complete message. Taken out of the body: release the difference in its length.
    Messages(Messages),
    /// Nothing complete. `need` bytes in the body complete the message in front, counted with those that are there:
    /// what the credit rule must grant. `usize::MAX`: nobody knows (a body without content-length).
    NeedMore {
        /// Bytes in the body.
        need: usize,
    },
    /// A server: the request is complete, the client has half-closed. A client: the call has ended well.
    End,
    /// A server: the request ended in another way; [`Status::ended`] says by whom. The call answers by itself what can
    /// be answered: `flush` it. A client: the outcome is this failure.
    Failed(Status),
}
