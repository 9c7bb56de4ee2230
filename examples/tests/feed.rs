//! The feed as a user runs it.

mod common;

fn feed(adapter: &str) {
    let lines = [
        "Connect,  HTTP/1.1  3 uploaded, 3 watched, heard back: hello, goodbye",
        "gRPC,     HTTP/2    3 uploaded, 3 watched, heard back: hello, goodbye",
        "client: a clean end                                 server: returned\n",
        "client: out_of_range, ended by the server's status  server: returned an error",
        "client: it knows: it dropped the call               server: cancelled",
        "client: deadline_exceeded, ended by the deadline    server: ",
        "client: unavailable, ended by a lost connection     server: connection lost",
        "20 subscribers, 20 cancelled: 0 subscribers",
        "20 subscribers, 20 past their deadline: 0 subscribers",
        "20 subscribers, 20 cut off: 0 subscribers",
        "20 subscribers, 20 aborted by their client: 0 subscribers",
        "1000 said, then half-closed; after that 1000 heard, and a clean end",
        "the one said 1000, the other heard 1000",
        "the client reads: 2000 events, and a clean end",
        "a window of 1024 KiB: ",
        "2000 messages of 1000 bytes sent in ",
        "then 2000 read",
        "the other way meanwhile: 2000 messages of 1000 bytes in ",
        "events, one in 5 ms; after 1.",
        "s deadline_exceeded",
        " cuts, 500 seen",
        "each of them once, in order",
        "1000 subscribers on one connection",
        "one event uploaded: 1000 received, all returned, 0 subscribers",
    ];
    common::plays(env!("CARGO_BIN_EXE_feed"), adapter, &lines);
}

#[test]
fn on_smol() {
    feed("smol");
}

#[test]
fn on_tokio() {
    feed("tokio");
}

#[test]
fn on_blocking_sockets() {
    feed("blocking");
}
