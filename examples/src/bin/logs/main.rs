//! Logs: what is there, with headers before the first entry and trailers that sum up, and what comes, without an end.
//!
//! `service.rs` is what a user writes for the server, `scenes.rs` calls it, and `examples/web/logs.html` shows it in a
//! browser.

mod scenes;
mod service;

use std::process::ExitCode;

use antiphon_examples::stage::Stage;

fn main() -> ExitCode {
    Stage::new(
        "logs",
        "Log entries: those that are there, and those that come, also for a page in a browser.",
    )
    .command(
        "A page that renders as it receives: open examples/web/logs.html?server=http://ADDRESS in a browser.",
    )
    .command(
        r#"printf '\0\0\0\0\020{"level":"warn"}' | curl -sN --data-binary @- -D - \
    -H 'Content-Type: application/connect+json' http://ADDRESS/example.LogService/GetLogs | cat -v"#,
    )
    .command(
        r#"grpcurl -v -plaintext -import-path examples/proto -proto logs/logs.proto \
    -d '{"level":"warn"}' ADDRESS example.LogService/GetLogs"#,
    )
    .run(service::router(), scenes::play)
}
