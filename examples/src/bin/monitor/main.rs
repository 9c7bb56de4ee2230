//! How busy the server's machine is: a reading at the asked interval, plotted as it comes.
//!
//! `machine.rs` reads the figures, `service.rs` is what a user writes for the server, `scenes.rs` calls it.

mod machine;
mod scenes;
mod service;

use std::process::ExitCode;

use antiphon_examples::stage::Stage;

fn main() -> ExitCode {
    Stage::new("monitor", "Tells how busy the server's machine is, at the interval that a client asks for.")
        .command(
            r#"printf '\0\0\0\0\016{"interval":1}' | curl -sN --data-binary @- -o - \
    -H 'Content-Type: application/connect+json' http://ADDRESS/monitor.Monitor/Watch"#,
        )
        .command(
            r#"grpcurl -plaintext -import-path examples/proto -proto monitor/monitor.proto \
    -d '{"interval":1}' ADDRESS monitor.Monitor/Watch"#,
        )
        .run(service::router(), scenes::play)
}
