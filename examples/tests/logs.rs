//! The logs as a user runs them.

mod common;

fn logs(adapter: &str) {
    let lines = [
        "Connect,  HTTP/1.1  headers after ",
        "gRPC,     HTTP/2    headers after ",
        ": 16 to come, id case-7; first entry after ",
        ": 16 sent, 223 bytes, checksum ",
        "cancelled        5 entries read, 1 source running; none ",
        "deadline passed  5 entries read, 1 source running; none ",
        "connection lost  5 entries read, 1 source running; none ",
        "later; told: deadline_exceeded",
        "later; told: unavailable",
        "CountLogs: unimplemented: ",
        "invalid_argument: \"loud\" is none of debug, info, warn, error",
        "preflight: HTTP/1.1 ",
        "the first: {\"message\":\"warn: entry 1\"",
    ];
    let printed = common::plays(env!("CARGO_BIN_EXE_logs"), adapter, &lines);
    assert_eq!(printed.matches("16 to come").count(), 5, "{printed}");
}

#[test]
fn on_smol() {
    logs("smol");
}

#[test]
fn on_tokio() {
    logs("tokio");
}

#[test]
fn on_blocking_sockets() {
    logs("blocking");
}
