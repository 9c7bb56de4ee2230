//! What the server and the client under test of connectconformance say and do, without any transport: the frames on
//! standard input and output, the two codecs, and each call as a [script](server::Call) of steps. [`handlers`] and
//! [`caller`] carry out the steps over the service layer, awaiting or blocking.

pub mod adapter;
pub mod caller;
pub mod client;
pub mod codec;
pub mod convert;
pub mod frame;
pub mod handlers;
pub mod server;
pub mod waiting;

/// The messages of `connectrpc.conformance.v1`, generated from the suite's own protos.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/connectrpc.conformance.v1.rs"));
}

/// The full name of the service that both sides speak of.
pub const SERVICE: &str = "connectrpc.conformance.v1.ConformanceService";
