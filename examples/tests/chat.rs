//! The room as a user runs it.

mod common;

fn chat(adapter: &str) {
    let lines = [
        "cleo hears bob: this is bob",
        "ann  said 100 lines and heard 200",
        "21 here; 20 half-closed; the last news, after ",
        ": one half-closed, 1 here",
        "21 here; 20 cancelled; the last news, after ",
        ": one cancelled, 1 here",
        "21 here; 20 lost the connection; the last news, after ",
        ": one lost the connection, 1 here",
        "and at those who lost it: unavailable",
        "who comes then counts 1",
        "1 here, and it is not dan",
        "then resource_exhausted: too many lines wait for you",
    ];
    let printed = common::plays(env!("CARGO_BIN_EXE_chat"), adapter, &lines);
    assert_eq!(printed.matches(" hears ").count(), 6, "{printed}");
    assert_eq!(printed.matches("said 100 lines and heard 200").count(), 3, "{printed}");
}

#[test]
fn on_smol() {
    chat("smol");
}

#[test]
fn on_tokio() {
    chat("tokio");
}

#[test]
fn on_blocking_sockets() {
    chat("blocking");
}
