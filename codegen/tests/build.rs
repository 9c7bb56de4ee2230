//! Generates the code of all golden .proto files and of this crate's own, in the ways that users have it generated.

use std::env;
use std::path::PathBuf;

use antiphon_build::{Config, Error};

const GOLDEN: &str = "../build/tests/golden";

fn golden(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| PathBuf::from(GOLDEN).join(name)).collect()
}

fn main() -> Result<(), Error> {
    let includes = golden(&["feed", "names", "docs", "proto2", "packages"]);
    let feed = golden(&["feed/feed.proto"]);
    let all = [
        "feed/feed.proto",
        "names/names.proto",
        "docs/docs.proto",
        "proto2/old.proto",
        "packages/app/app.proto",
    ];
    let mut protos = golden(&all);
    protos.push("proto/combine/v1/combine.proto".into());
    antiphon_build::compile(&protos, &[includes.clone(), vec!["proto".into()]].concat())?;

    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let adapter = Config::new().runtime_path("antiphon_smol").embed_schema(true);
    adapter.out_dir(out.join("adapter")).compile(&feed, &includes)?;
    let server = Config::new().client(false).blocking_feature("threads").bytes(["."]).btree_map(["."]);
    server.out_dir(out.join("server")).compile(&feed, &includes)?;
    let client = Config::new().server(false).blocking(false).include_file(None);
    client.out_dir(out.join("client")).compile(&feed, &includes)?;
    let messages = Config::new().server(false).client(false);
    messages.out_dir(out.join("messages")).compile(&feed, &includes)?;
    let elsewhere = Config::new().extern_path(".common.v1", "antiphon_codegen_tests::common::v1");
    elsewhere.out_dir(out.join("elsewhere")).compile(&golden(&["packages/app/app.proto"]), &includes)
}
