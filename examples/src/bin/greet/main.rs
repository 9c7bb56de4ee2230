//! Greets people: four shapes of call, headers both ways, one interceptor for both ends, one port for every protocol.
//!
//! `service.rs` and `token.rs` are what a user writes for the server, `scenes.rs` calls it.

mod scenes;
mod service;
mod token;

use std::process::ExitCode;

use antiphon_examples::stage::Stage;

fn main() -> ExitCode {
    Stage::new("greet", "Greets people, in four shapes of call, over every protocol on one port.")
        .command("A page in a browser: open examples/web/greet.html?server=http://ADDRESS")
        .command(
            r#"curl -s -H 'Acme-Token: let-me-in' -H 'Content-Type: application/json' -d '{"name":"Ann"}' \
    http://ADDRESS/greet.v1.GreetService/GreetOnce"#,
        )
        .command(
            r#"curl -s -G -H 'Acme-Token: let-me-in' -d encoding=json --data-urlencode 'message={"name":"Ann"}' \
    http://ADDRESS/greet.v1.GreetService/GreetOnce"#,
        )
        .command(
            r#"printf '\0\0\0\0\016{"name":"Ann"}\0\0\0\0\016{"name":"Bob"}' | curl -s --data-binary @- -o - -D - \
    -H 'Content-Type: application/connect+json' -H 'Acme-Token: let-me-in' \
    http://ADDRESS/greet.v1.GreetService/Greet"#,
        )
        .command(
            r#"grpcurl -plaintext -H 'Acme-Token: let-me-in' \
    -d '{"name":"Ann"} {"name":"Bob"}' ADDRESS greet.v1.GreetService/Greet"#,
        )
        .run_with(service::router, scenes::play)
}
