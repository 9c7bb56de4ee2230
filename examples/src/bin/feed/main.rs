//! A feed of events: watched, uploaded and talked about, over one broker.
//!
//! `broker.rs`, `service.rs` and `ends.rs` are what a user writes for the server; `scenes/` calls it.

mod broker;
mod ends;
mod scenes;
mod service;

use std::process::ExitCode;

use antiphon_examples::stage::Stage;
use antiphon_service::Config;

/// How many calls a connection may have open at once. The default is 100.
const STREAMS: u32 = 2_000;

fn main() -> ExitCode {
    let mut config = Config::default();
    config.limits.streams = STREAMS;
    config.limits.zombies = STREAMS;
    Stage::new("feed", "A feed of events: how streams end, resume, are throttled and never leak.")
        .config(config)
        .workers(STREAMS as usize)
        .command(
            r#"printf '\0\0\0\0\020{"topic":"news"}' | curl -s --no-buffer --data-binary @- -o - \
    -H 'Content-Type: application/connect+json' http://ADDRESS/feed.v1.FeedService/Watch"#,
        )
        .command(
            r#"grpcurl -plaintext -import-path examples/proto -proto feed/v1/feed.proto \
    -d '{"topic":"news","body":"good"} {"topic":"news","body":"bad"}' ADDRESS feed.v1.FeedService/UploadEvents"#,
        )
        .run_with(service::router, scenes::play)
}
