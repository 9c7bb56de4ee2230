//! Generates the message types of connectconformance from the protos of its own Go module; no copy is kept here.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use prost::Message;

/// The release whose test suite and protos are used; `.ci/judges/install` installs the same one.
const VERSION: &str = "v1.0.5";

const FILES: [&str; 4] = [
    "connectrpc/conformance/v1/client_compat.proto",
    "connectrpc/conformance/v1/config.proto",
    "connectrpc/conformance/v1/server_compat.proto",
    "connectrpc/conformance/v1/service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=CONFORMANCE_PROTO");
    println!("cargo::rerun-if-changed=build.rs");
    let root = proto_root()?;
    let set = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("descriptors.bin"), set.encode_to_vec())?;
    prost_build::Config::new()
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .disable_comments(["."])
        .compile_fds(set)?;
    Ok(())
}

/// The directory that holds `connectrpc/conformance/v1`: `CONFORMANCE_PROTO`, or the module in Go's cache.
fn proto_root() -> Result<PathBuf, Box<dyn Error>> {
    let root = match std::env::var_os("CONFORMANCE_PROTO") {
        Some(root) => PathBuf::from(root),
        None => module_cache()?.join(format!("connectrpc.com/conformance@{VERSION}/proto")),
    };
    if root.join(FILES[3]).is_file() {
        return Ok(root);
    }
    Err(format!(
        "{} has no {}: run .ci/judges/install, or `go mod download connectrpc.com/conformance@{VERSION}`, or set \
         CONFORMANCE_PROTO to the module's proto directory",
        root.display(),
        FILES[3]
    )
    .into())
}

fn module_cache() -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new("go").args(["env", "GOMODCACHE"]).env("GOTOOLCHAIN", "local").output().map_err(|error| {
        format!("cannot run `go env GOMODCACHE` ({error}): install Go and run .ci/judges/install, or set CONFORMANCE_PROTO")
    })?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
