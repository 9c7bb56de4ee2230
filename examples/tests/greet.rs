//! The greeter as a user runs it.

mod common;

fn greet(adapter: &str) {
    let lines = [
        "Connect,  HTTP/1.1  many in, one out  Greet-Version: v1  Hello, Ann! Hello, Bob!",
        "gRPC-Web, HTTP/1.1  many in and out   Greet-Version: v1  Hello, Ann! Hello, Bob!",
        "gRPC,     HTTP/2    one in, many out  Greet-Version: v1  Hello, Ann! Nice to see you, Ann! Take care, Ann!",
        "gRPC,     HTTP/2    one in, one out   Greet-Version: v1  Hello, Ann!",
        "GET over HTTP/1.1: Hello, Ann!",
        "GET over HTTP/2: Hello, Ann!",
        "Accept-Language: fr  Bonjour, Ann! Bonjour, Bob!",
        "gRPC,     HTTP/2    many in and out   unauthenticated: send a valid Acme-Token",
        "a wrong token: refused as well",
        "Cleo  Hello, Cleo!",
        "half-closed; a clean end follows",
    ];
    let printed = common::plays(env!("CARGO_BIN_EXE_greet"), adapter, &lines);
    // Five ways, four shapes each: all let in with the token, all refused without it.
    assert_eq!(printed.matches("Greet-Version: v1").count(), 20, "{printed}");
    assert_eq!(printed.matches("unauthenticated: ").count(), 20, "{printed}");
}

#[test]
fn on_smol() {
    greet("smol");
}

#[test]
fn on_tokio() {
    greet("tokio");
}

#[test]
fn on_blocking_sockets() {
    greet("blocking");
}
