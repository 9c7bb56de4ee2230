//! Antiphon: a sans-IO engine for the Connect, gRPC and gRPC-Web protocols.
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
#[allow(dead_code, reason = "the HTTP floors use it")]
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
pub use streams::{HttpConnection, ReceiveEnd, StreamEvent, StreamKey};
pub use time::Instant;
