//! Takes in events by the batch: one final answer, and a bad event ends the call with its number.
//!
//! `service.rs` is what a user writes for the server, `scenes.rs` calls it.

mod scenes;
mod service;

use std::process::ExitCode;

use antiphon_examples::stage::Stage;

fn main() -> ExitCode {
    Stage::new("analytics", "Takes in events by the batch: one final answer, and a bad event ends the call.")
        .command(
            r#"printf '\0\0\0\0\025{"eventType":"click"}' | curl -s --data-binary @- -o - \
    -H 'Content-Type: application/connect+json' http://ADDRESS/analytics.Analytics/Process"#,
        )
        .command(
            r#"grpcurl -plaintext -import-path examples/proto -proto analytics/analytics.proto -d \
    '{"event_type":"click","timestamp":"2026-11-21T12:00:00Z","data":"{}"} {"event_type":"click"}' \
    ADDRESS analytics.Analytics/Process"#,
        )
        .run_with(service::router, scenes::play)
}
