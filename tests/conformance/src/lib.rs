//! What the server and the client under test of connectconformance say and do, without any transport: the frames on
//! standard input and output, the two codecs, and each call as a [script](server::Call) of steps. An adapter carries
//! out the steps, awaiting or blocking.

pub mod client;
pub mod codec;
pub mod convert;
pub mod frame;
pub mod server;

/// The messages of `connectrpc.conformance.v1`, generated from the suite's own protos.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/connectrpc.conformance.v1.rs"));
}

/// The full name of the service that both sides speak of.
pub const SERVICE: &str = "connectrpc.conformance.v1.ConformanceService";
