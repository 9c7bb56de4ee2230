//! A room in which everybody hears the others: both directions free, and nobody left behind when somebody leaves.
//!
//! `room.rs` knows who is there, `service.rs` is what a user writes for the server, `scenes.rs` calls it.

mod room;
mod scenes;
mod service;

use std::process::ExitCode;

use antiphon_examples::stage::Stage;

fn main() -> ExitCode {
    Stage::new("chat", "A room in which everybody hears the others.")
        .command(
            r#"(echo '{"user_id":"ann","message":"hello"}'; cat) | grpcurl -plaintext \
    -import-path examples/proto -proto chat/chat.proto -d @ ADDRESS chat.Chat/Connect"#,
        )
        .command(
            r#"printf '\0\0\0\0\051{"userId":"bob","message":"good evening"}' | curl -s --data-binary @- -o - -D - \
    -H 'Content-Type: application/connect+json' http://ADDRESS/chat.Chat/Connect"#,
        )
        .run_with(service::router, scenes::play)
}
