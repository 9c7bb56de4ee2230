//! The runtime-neutral service layer of Antiphon: what stands between the engine's connections and the code of
//! handlers and callers. No socket type and no runtime is named here: adapters hand them in.
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
//! - A cancel and the deadline drop an async handler; a blocking one meets them at its next `send` or `recv`.
#![forbid(unsafe_code)]

pub mod adapter;
#[cfg(feature = "blocking")]
pub mod blocking;
mod call;
mod client;
mod codec;
mod context;
mod dispatch;
pub mod drive;
#[cfg(feature = "async")]
pub mod driver;
mod endpoint;
mod ends;
pub mod handler;
mod link;
mod peer;
mod receiver;
mod reply;
mod router;
#[cfg(feature = "async")]
mod runtime;
mod schema;
mod sender;
mod service;
mod shared;
mod shutdown;
mod slots;
mod wait;

pub use antiphon;
pub use antiphon::rpc::{HttpVersion, Method, Protocol, Shape};
pub use antiphon::{
    Code, Config, Detail, EndedBy, Instant, IntoValue, Keepalive, Limits, Metadata, Misuse, Status,
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
pub use handler::{Handler, MethodCodecs};
pub use peer::Peer;
pub use receiver::Receiver;
pub use router::Router;
#[cfg(feature = "async")]
pub use runtime::{BoxFuture, Runtime, Timer};
pub use schema::Schema;
pub use sender::{Sender, TrySendError};
pub use service::Service;
pub use shutdown::Shutdown;
pub use wait::{Async, Blocking};

pub(crate) use drive::{Access, Drive, Endpoint, Link, Pulled, Shared};
