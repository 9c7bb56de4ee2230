//! The ingest as a user runs it.

mod common;

fn analytics(adapter: &str) {
    let lines = [
        "Connect,  HTTP/1.1  5000 sent, 5000 processed in",
        "gRPC,     HTTP/2    5000 sent, 5000 processed in",
        "sent; invalid_argument: event 418: timestamp is no time of RFC 3339",
        "google.rpc.ErrorInfo   BAD_TIMESTAMP of analytics.Analytics, event 418",
        "google.rpc.BadRequest  events[418].timestamp is no time of RFC 3339",
        "from 20001:  5000 sent, answered at the end: 5000 processed",
        "25000 of 25000 events, each once",
    ];
    let printed = common::plays(env!("CARGO_BIN_EXE_analytics"), adapter, &lines);
    assert_eq!(printed.matches(" processed in ").count(), 5, "{printed}");
    assert_eq!(printed.matches("invalid_argument: event 418").count(), 5, "{printed}");
}

#[test]
fn on_smol() {
    analytics("smol");
}

#[test]
fn on_tokio() {
    analytics("tokio");
}

#[test]
fn on_blocking_sockets() {
    analytics("blocking");
}
