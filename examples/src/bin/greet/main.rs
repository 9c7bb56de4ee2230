//! Greets people: three shapes of call, headers both ways, one interceptor for both ends, one port for every protocol.
//!
//! `service.rs` and `token.rs` are what a user writes for the server, `scenes.rs` calls it.

mod scenes;
mod service;
mod token;

use std::process::ExitCode;

use antiphon_examples::stage::Stage;

fn main() -> ExitCode {
    Stage::new("greet", "Greets people, in three shapes of call, over every protocol on one port.")
        .command(
            r#"printf '\0\0\0\0\016{"name":"Ann"}\0\0\0\0\016{"name":"Bob"}' | curl -s --data-binary @- -o - -D - \
    -H 'Content-Type: application/connect+json' -H 'Acme-Token: let-me-in' \
    http://ADDRESS/greet.v1.GreetService/Greet"#,
        )
        .command(
            r#"grpcurl -plaintext -import-path examples/proto -proto greet/v1/greet.proto -H 'Acme-Token: let-me-in' \
    -d '{"name":"Ann"} {"name":"Bob"}' ADDRESS greet.v1.GreetService/Greet"#,
        )
        .run_with(service::router, scenes::play)
}
