//! Generates the service that the cases implement and call.

fn main() -> Result<(), antiphon_build::Error> {
    antiphon_build::compile(&["proto/feed.proto"], &["proto"])
}
