//! Generates the services of `proto/`, without protoc.

fn main() -> Result<(), antiphon_build::Error> {
    let protos = [
        "proto/greet/v1/greet.proto",
        "proto/feed/v1/feed.proto",
        "proto/report/report.proto",
        "proto/logs/logs.proto",
        "proto/monitor/monitor.proto",
        "proto/analytics/analytics.proto",
        "proto/chat/chat.proto",
    ];
    antiphon_build::compile(&protos, &["proto"])
}
