//! Calls as events of the crate `tracing`.

use core::fmt::Display;

use super::{CallInfo, Observer, Summary};

/// Tells `tracing` of each call when it has ended, as an event of the target `antiphon`: at `INFO` after a good end, at
/// `WARN` after any other; and of its start at `DEBUG`.
///
/// The names of its fields are those of OpenTelemetry's conventions for RPC where there are such.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

impl Observer for Tracing {
    fn started(&self, call: &CallInfo) {
        tracing::debug!(
            target: "antiphon",
            side = side(call),
            rpc.method = %method(call),
            rpc.system = %system(call),
            network.peer.address = %call.peer,
            "call started"
        );
    }

    fn ended(&self, call: &CallInfo, summary: &Summary) {
        macro_rules! tell {
            ($level:ident, $code:expr) => {
                tracing::$level!(
                    target: "antiphon",
                    side = side(call),
                    rpc.method = %method(call),
                    rpc.system = %system(call),
                    rpc.response.status_code = %$code,
                    network.peer.address = %call.peer,
                    duration_us = u64::try_from(summary.duration.as_micros()).unwrap_or(u64::MAX),
                    sent.messages = summary.sent.messages,
                    sent.bytes = summary.sent.bytes,
                    sent.wire_bytes = summary.sent.wire_bytes,
                    received.messages = summary.received.messages,
                    received.bytes = summary.received.bytes,
                    received.wire_bytes = summary.received.wire_bytes,
                    "call ended"
                )
            };
        }
        match summary.code {
            None => tell!(info, "ok"),
            Some(code) => tell!(warn, code),
        }
    }
}

/// The path without its slash. A server shows what it serves: no byte of it is only the peer's.
fn method(call: &CallInfo) -> &str {
    call.procedure.trim_start_matches('/')
}

fn system(call: &CallInfo) -> impl Display + '_ {
    match call.protocol {
        Some(antiphon::rpc::Protocol::Connect) => "connect",
        Some(antiphon::rpc::Protocol::Grpc) => "grpc",
        Some(antiphon::rpc::Protocol::GrpcWeb | antiphon::rpc::Protocol::GrpcWebText) => "grpc_web",
        None => "unknown",
    }
}

fn side(call: &CallInfo) -> &'static str {
    if call.client { "client" } else { "server" }
}
