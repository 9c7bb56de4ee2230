//! Antiphon: a sans-IO engine for the Connect, gRPC and gRPC-Web protocols.
#![forbid(unsafe_code)]

pub mod codec;
pub mod error;
pub mod fields;
pub mod http1;
pub mod http2;
pub mod rpc;
pub mod streams;

mod code;
#[allow(dead_code, reason = "the HTTP floors use it")]
mod credit;
mod head;
mod limits;
mod machine;
mod metadata;
mod output;
mod status;
mod time;

pub use code::Code;
pub use error::{ConnectionError, Http2Code, Misuse, SendError, StartError};
pub use fields::{Field, Fields};
pub use head::Head;
pub use limits::{Bucket, Limits};
pub use machine::{Closing, InputEnd, Machine};
pub use metadata::{IntoValue, Metadata, MetadataValue};
pub use output::Output;
pub use status::{Detail, EndedBy, Status};
pub use streams::{HttpConnection, ReceiveEnd, StreamEvent, StreamKey};
pub use time::Instant;
