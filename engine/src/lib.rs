//! Antiphon: a sans-IO engine for the Connect, gRPC and gRPC-Web protocols.
//!
//! Bytes and a time go in, events and bytes come out. The engine owns no socket, no clock, no thread and no async
//! runtime: whoever has a way to move bytes (TCP, TLS, a pipe, a serial line, a test) can make and answer calls with it,
//! over HTTP/1.1 and HTTP/2, on one port.
//!
//! ```text
//!                        ┌───────────────────────────── antiphon ─────────────────────────────┐
//!   transport            │  floor c                    floor b             floor d            │     application
//!                        │                                                                    │
//!   read ──► input ─────►│  http1, http2               rpc                 server, client     │──► Event
//!                        │  frames, chunks,   ──────►  envelopes, status,  calls by CallId,   │◄── read, send,
//!   write ◄── Output ◄───│  windows, limits   ◄──────  deadlines, codings  notices, deadlines │    answer, finish …
//!                        │  (HttpConnection)           (ServerCall,        (Connection)       │
//!   time ───────────────►│                              ClientCall)                           │
//!                        │  floor a: codec, small pure functions of all of them               │
//!                        └────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! - [`server::Connection`] and [`client::Connection`] are what most users drive: whole connections of RPC.
//! - [`rpc`] is one call over any HTTP stack, such as hyper or a browser's fetch.
//! - [`http1`] and [`http2`] are HTTP without RPC.
//! - [`codec`] are the small parts: envelopes, timeouts, percent-encoding, statuses.
//!
//! Each is built from the public API of those below it, and each is a [`Machine`] or a plain value: no callbacks.
//!
//! # The loop
//! Every machine is driven in the same way; [`Machine`] tells the whole contract.
//! ```text
//!  1  read from the transport into `input` ──► handle_input(now, &mut input)     while wants_input()
//!  2  poll_event() until None                  react: read, send, finish …
//!  3  poll_transmit(now, &mut output) ──────►  write `output` to the transport
//!  4  sleep until bytes arrive, room to write appears, or poll_timeout() ──► handle_timeout(now)
//! ```
//! An error of `handle_input` is sticky, and what the peer must be told is queued already: go on with 2 and 3 until both
//! are empty, then close the transport. [`Machine::closing`] says the same, for good ends too.
//!
//! [`Pump`] is this loop over byte buffers. With it, a call in one piece:
//! ```
//! use antiphon::rpc::{ClientRequest, HttpVersion, Method, Payload, Protocol, Shape};
//! use antiphon::{Config, Event, Instant, Metadata, Pump, client, server};
//! use std::sync::Arc;
//!
//! let (now, config, none) = (Instant::EPOCH, Arc::new(Config::default()), Metadata::new());
//! let mut client = Pump::new(client::Connection::new(config.clone(), HttpVersion::Http2));
//! let mut server = Pump::new(server::Connection::new(config));
//! let mut scratch = Vec::new(); // where compressed messages are inflated
//!
//! // The client asks.
//! let method = Method::new(Shape::Unary);
//! let request = ClientRequest::new(Protocol::Grpc, "proto", method, "example.com", "/greet.v1.Greet/Greet");
//! let call = client.machine.start(now, &request)?;
//! client.machine.send_last(now, call, Payload::Plain(b"Ada"))?;
//! let bytes = client.take_output(now); // ... which travel to the server:
//! server.feed(now, &bytes);
//!
//! // The server answers.
//! while let Some(event) = server.next_event() {
//!     let (Event::Started(call) | Event::Readable(call)) = event else { continue };
//!     if let Ok(server::Read::Messages(mut messages)) = server.machine.read(now, call) {
//!         let name = messages.next(&mut scratch).unwrap()?;
//!         let greeting = [b"Hello, ", &name[..]].concat();
//!         server.machine.answer(now, call, &none, Payload::Plain(&greeting), &none)?;
//!         server.machine.drop_call(now, call);
//!     }
//! }
//! let bytes = server.take_output(now); // ... and back:
//! client.feed(now, &bytes);
//!
//! // The client reads the answer, and then the outcome.
//! let Ok(client::Read::Messages(mut messages)) = client.machine.read(now, call) else { panic!() };
//! assert_eq!(messages.next(&mut scratch).unwrap()?, "Hello, Ada");
//! assert!(matches!(client.machine.read(now, call), Ok(client::Read::End(Ok(())))));
//! client.machine.drop_call(now, call);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//! - **Time is an argument** ([`Instant`]), memory is bounded ([`Limits`], `worst_case_bytes()`), and nothing is random:
//!   equal bytes, times and calls give equal events and output.
//! - **How input is cut, and when output is taken, changes nothing** but the number of notices.
//! - **A call has exactly one outcome** ([`End`]): finished, cancelled, deadline and lost are told apart, and an end is
//!   never replaced by another.
//! - **No order of calls is a trap.** What is the caller's bug is a [`Misuse`]; what a peer does wrong ends the connection
//!   ([`ConnectionError`]) or the call, and is no error of the caller.
#![forbid(unsafe_code)]

pub mod client;
pub mod codec;
pub mod error;
pub mod fields;
pub mod http1;
pub mod http2;
pub mod rpc;
pub mod server;
pub mod streams;

mod calls;
mod code;
mod config;
mod credit;
mod event;
mod head;
mod limits;
mod machine;
mod metadata;
mod notices;
mod output;
mod policy;
mod pump;
mod stack;
mod status;
mod time;

pub use code::Code;
pub use config::{Config, Keepalive};
pub use error::{ConnectionError, Http2Code, Misuse, SendError, StartError};
pub use event::{CallId, End, Event};
pub use fields::{Field, Fields};
pub use head::Head;
pub use limits::{Bucket, Limits};
pub use machine::{Closing, InputEnd, Machine};
pub use metadata::{IntoValue, Metadata, MetadataValue};
pub use output::Output;
pub use pump::Pump;
pub use status::{Detail, EndedBy, Status};
pub use streams::{HttpConnection, ReceiveEnd, Reply, StreamEvent, StreamKey};
pub use time::Instant;
