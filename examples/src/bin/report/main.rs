//! Makes reports that take their time: chunks leave as they are made, a deadline covers all of them, and a cancel stops
//! the making.
//!
//! `generator.rs` and `service.rs` are what a user writes for the server, `scenes.rs` calls it.

mod generator;
mod scenes;
mod service;

use std::process::ExitCode;

use antiphon_examples::stage::Stage;

fn main() -> ExitCode {
    Stage::new(
        "report",
        "Makes reports that take their time: progress, a deadline, and a cancel that stops the making.",
    )
    .command(
        r#"printf '\0\0\0\0\023{"reportId":"week"}' | curl -s --no-buffer --data-binary @- -o - \
    -H 'Content-Type: application/connect+json' http://ADDRESS/ReportService/GenerateReport"#,
    )
    .command(
        r#"grpcurl -plaintext -import-path examples/proto -proto report/report.proto \
    -max-time 10 -d '{"report_id":"year"}' ADDRESS ReportService/GenerateReport"#,
    )
    .run_with(service::router, scenes::play)
}
