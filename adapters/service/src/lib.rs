//! The runtime-neutral service layer of Antiphon: what stands between the engine's connections and the code of
//! handlers and callers. No socket type and no runtime is named here: adapters hand them in. A library depends on this
//! crate alone, and its users bring `antiphon-smol`, `antiphon-tokio` or `antiphon-blocking`, which re-export it.
//!
//! ```
//! use antiphon_service::{Bytes, CallOptions, Client, Context, Receiver, Router, Sender, Status};
//!
//! /// The library's service, for a server on any runtime.
//! pub fn router() -> Router {
//!     Router::new().bidi("/demo.Choir/Sing", sing)
//! }
//!
//! async fn sing(_: Context, mut lines: Receiver<Bytes>, mut answers: Sender<Bytes>) -> Result<(), Status> {
//!     while let Some(line) = lines.recv().await? {
//!         answers.send(line).await?;
//!     }
//!     Ok(()) // the return ends the call
//! }
//!
//! /// Its client, over a connection that the user has made.
//! pub async fn say(client: &Client, line: &str) -> Result<Option<Bytes>, Status> {
//!     let mut call = client.bidi("/demo.Choir/Sing", CallOptions::new()).await?;
//!     call.send(line.to_owned().into()).await?;
//!     call.close_send();
//!     call.recv().await
//! }
//! ```
//!
//! # The parts
//!
//! ```text
//!  handlers           callers
//!  Router, Context    Client, CallOptions
//!        └── Sender, Receiver ──┘        owned halves, the same at both ends
//!                  │ Link                one poll function for each wait: a task pends, a thread parks
//!               Shared                   one machine, one lock; wakers in slots by index
//!                  │
//!               driver                   async (feature `async`) or blocking (feature `blocking`)
//! ```
//!
//! # Rules
//! - Nothing foreign runs under a connection's lock: no I/O, handler, codec, inflating, `Drop` of anybody's data, and
//!   no waker.
//! - The handler's return ends the call. Halves that outlive it get errors.
//! - A cancel and the deadline drop an async handler, and not the [interceptors](Interceptor) around it; a blocking one
//!   meets them at its next `send` or `recv`.
//!
//! # Tests
//! With the feature `testing`, handlers and clients are tested in a few lines without a socket, a runtime or a clock:
//! see the module of that name.
//!
//! # What to use for what
//!
//! | to | there is |
//! |---|---|
//! | give calls a time, headers, a protocol | [`CallOptions`]: for all calls of a view of a client by [`Client::with`], which generated clients have too |
//! | hand a handler's deadline on | `client.with(context)`, with the handler's [`&Context`](Context) |
//! | read and set headers and trailers | a handler: [`Context`]; a client: [`Response`], [`Receiver::headers`], [`Receiver::trailers`] |
//! | tell and read errors with details | [`Status::with_detail`], [`Status::detail`]; those of `google.rpc` are in [`details`] |
//! | do something around every call, such as asking for a token | [`Interceptor`]: [`Router::intercept`], [`Client::intercept`]; a generated client is made of the client that this gives |
//! | count and log calls | [`Observer`]: [`Router::observe`], [`Client::observe`] |
//! | compress messages | [`RpcConfig::codings`] in the [`Config`] of each end, and a feature such as `gzip`. A server then compresses for clients that take it; a client says [`CallOptions::coding`] |
//! | bound messages | [`RpcConfig::max_receive`]; below that [`Rules`] for methods, [`CallOptions`] for calls |
//! | give up a call | a client drops it; a handler returns |
//! | learn that nobody waits any more | an async handler is dropped, and a guard's `Drop` may ask [`Context::ended`]; work that was detached has [`Context::cancelled`] |
//! | send and receive in two tasks or threads | [`BidiStream::split`] |
//! | end a server gracefully | [`Shutdown::drain`], and [`Shutdown::unless_draining`] for handlers that would go on for ever |
//! | connect again | [`Client::closed`] tells when |
//! | pass calls on, or answer those to unknown paths | [`Router::fallback`] |
//! | be called by pages in browsers | [`Cors`], and [`Context::etag`] for caches |
//! | say what is served, and how it is | the crates antiphon-reflection and antiphon-health |
//!
//! A [`Config`] goes to a server or connector of an adapter:
//!
//! ```
//! use antiphon_service::{Codings, Config, RpcConfig};
//!
//! let config = Config::new().rpc(RpcConfig::new().codings(Codings::all()).max_receive(1 << 20));
//! # let _ = config;
//! ```
//!
//! # After an error
//! A [`Status`] is how one call failed. The call is over, and asking again tells the same; other calls of the
//! connection go on, unless [`Status::ended`] says otherwise:
//!
//! | [`ended`](Status::ended) is | it happened that | and so |
//! |---|---|---|
//! | [`Status`](EndedBy::Status) | the other side said so | act on [`code`](Status::code), [`details`](Status::details) and [`metadata`](Status::metadata) |
//! | [`Deadline`](EndedBy::Deadline), [`Cancel`](EndedBy::Cancel) | time was up, or somebody gave up | over HTTP/1.1 the connection ends with the call: connect again |
//! | [`LostConnection`](EndedBy::LostConnection) | the connection ended, or takes no new calls; the message tells why if it is known | connect again: a client never does so by itself, and tells by [`closed`](Client::closed) when to |
//! | [`Locally`](EndedBy::Locally) | this side found a fault: a message too large or malformed, or the caller's bug, whose [source](std::error::Error::source) is a [`Misuse`] | mend it; the connection goes on |
//! | [`Answer`](EndedBy::Answer) | from sending: the server has answered well before it heard all | stop sending, and receive |
//!
//! Try again only what is [`unprocessed`](Status::unprocessed), or does no harm if it is done twice. Calls of one
//! message each way try again by themselves what was certainly not begun, a few times, while the connection lasts.
//!
//! A handler's `Err` is told to the client: its code, message, details and metadata, never its source. A panic ends
//! its call `unknown`, and nothing else.
#![forbid(unsafe_code)]

pub mod adapter;
#[cfg(feature = "blocking")]
pub mod blocking;
mod call;
mod client;
mod codec;
mod conditional;
mod context;
mod cors;
#[cfg(feature = "proto")]
pub mod details;
mod dispatch;
pub mod drive;
#[cfg(feature = "async")]
pub mod driver;
mod endpoint;
mod ends;
pub mod handler;
mod interceptor;
mod link;
mod observe;
mod peer;
mod receiver;
mod reply;
mod router;
mod rules;
#[cfg(feature = "async")]
mod runtime;
mod schema;
mod sender;
mod service;
mod shared;
mod shutdown;
mod slots;
#[cfg(feature = "testing")]
pub mod testing;
mod wait;

pub use antiphon;
pub use antiphon::rpc::{Codings, HttpVersion, Method, Protocol, Protocols, RpcConfig, Shape};
pub use antiphon::{
    Code, Config, ConnectionError, Detail, EndedBy, Instant, IntoValue, Keepalive, Limits, Metadata, Misuse,
    Status,
};
pub use bytes::Bytes;
#[cfg(feature = "proto")]
pub use {prost, prost_types};

pub use client::{BidiStream, CallOptions, Client, ClientStream, Response};
#[cfg(feature = "json")]
pub use codec::json::{Json, JsonOptions};
#[cfg(feature = "proto")]
pub use codec::proto::Proto;
pub use codec::{Codec, Codecs, Identity};
pub use context::Context;
pub use cors::Cors;
pub use handler::{Handler, MethodCodecs};
pub use interceptor::{Direction, Interceptor, Message, Next};
#[cfg(feature = "tracing")]
pub use observe::Tracing;
pub use observe::{CallInfo, Observer, Summary, Traffic};
pub use peer::Peer;
pub use receiver::Receiver;
pub use router::Router;
pub use rules::Rules;
#[cfg(feature = "async")]
pub use runtime::{BoxFuture, Runtime, Timer};
pub use schema::Schema;
pub use sender::{Sender, TrySendError};
pub use service::Service;
pub use shutdown::Shutdown;
pub use wait::{Async, Blocking};

pub(crate) use drive::{Access, Drive, Endpoint, Link, Pulled, Shared};
