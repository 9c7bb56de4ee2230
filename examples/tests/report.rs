//! The reports as a user runs them.

mod common;

fn report(adapter: &str) {
    let lines = [
        "generator: year: at work, the deadline is in ",
        "chunk  12 of 12   ████████████████████████ 100 %",
        "generator: year: 12 of 12 chunks made, now at rest",
        "gRPC-Web, HTTP/1.1  first chunk after 0.",
        "gRPC,     HTTP/2    first chunk after 0.",
        "not_found: there is no report \"secrets\"",
        "client: cancelled after 5 of 12 chunks",
        "client: deadline_exceeded after 10.",
        "0 more in the next 0.5 s, 0 generators at work",
    ];
    let printed = common::plays(env!("CARGO_BIN_EXE_report"), adapter, &lines);
    // One was cancelled, one ran out of time.
    assert_eq!(printed.matches("0 more in the next").count(), 2, "{printed}");
}

#[test]
fn on_smol() {
    report("smol");
}

#[test]
fn on_tokio() {
    report("tokio");
}

#[test]
fn on_blocking_sockets() {
    report("blocking");
}
