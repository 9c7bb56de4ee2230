//! Health and reflection as a user sees them.

mod common;

fn ops(adapter: &str) {
    let lines = [
        "    greet.v1.GreetService\n    grpc.health.v1.Health\n    grpc.reflection.v1.ServerReflection\n",
        "greet/v1/greet.proto: 2 messages",
        "no schema that declares \"greet.v1.Secret\"",
        "greet.v1.GreetService: SERVING\n  greet.v1.GreetService: NOT_SERVING\n  greet.v1.GreetService: SERVING\n",
    ];
    common::plays(env!("CARGO_BIN_EXE_ops"), adapter, &lines);
}

#[test]
fn on_smol() {
    ops("smol");
}

#[test]
fn on_tokio() {
    ops("tokio");
}

#[test]
fn on_blocking_sockets() {
    ops("blocking");
}
