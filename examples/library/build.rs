//! Generates the service of `proto/`, without protoc.

fn main() -> Result<(), antiphon_build::Error> {
    antiphon_build::compile(&["proto/glossary/v1/glossary.proto"], &["proto"])
}
