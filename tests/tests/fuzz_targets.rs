//! Every fuzz body has its target in `fuzz/`, which stable toolchains do not compile.
//!
//! After adding a body, run this test with `UPDATE_FUZZ=1`: it writes the target and its entry in `fuzz/Cargo.toml`.

use std::path::{Path, PathBuf};

/// The manifest of `fuzz/` up to its targets.
const MANIFEST: &str = r#"# Targets for cargo-fuzz. Their bodies live in ../tests/src/fuzz and are replayed by ordinary tests; each file here only
# names one. Written by `UPDATE_FUZZ=1 cargo test -p antiphon-tests --test fuzz_targets`.
#
# Run: cargo +nightly fuzz run NAME
[package]
name = "antiphon-fuzz"
version = "0.0.0"
publish = false
edition = "2024"

[package.metadata]
cargo-fuzz = true

[dependencies]
antiphon-tests = { path = "../tests", features = ["zstd"] }
libfuzzer-sys = "0.4"

# Not a member of the workspace above it: libFuzzer needs a nightly compiler.
[workspace]

[profile.release]
debug = 1
debug-assertions = true
overflow-checks = true
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The bodies: name of the target, module and function.
fn bodies() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let folder = root().join("tests/src/fuzz");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let area = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut text = std::fs::read_to_string(file).unwrap();
        // Bodies in a folder of the same name are published by the module above it.
        for entry in std::fs::read_dir(folder.join(&area)).into_iter().flatten() {
            text += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
        }
        for line in text.lines() {
            let name = line.strip_prefix("pub fn ").and_then(|line| line.strip_suffix("(data: &[u8]) {"));
            let Some(name) = name else { continue };
            let speaks = ["h1_", "h2_", "hpack_"].iter().any(|prefix| name.starts_with(prefix));
            let target = if speaks { name.to_owned() } else { format!("{area}_{name}") };
            found.push((target, area.clone(), name.to_owned()));
        }
    }
    found
}

fn target(area: &str, name: &str) -> String {
    format!(
        "//! See `{name}` in `tests/src/fuzz/{area}.rs`.\n#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|data: &[u8]| {{\n    \
         antiphon_tests::fuzz::{area}::{name}(data);\n}});\n"
    )
}

#[test]
fn every_body_has_a_target() {
    let (update, bodies) = (std::env::var_os("UPDATE_FUZZ").is_some(), bodies());
    assert!(bodies.len() > 20);
    let mut manifest = MANIFEST.to_owned();
    for (name, area, function) in &bodies {
        let file = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text = target(area, function);
        if update {
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), text, "run with UPDATE_FUZZ=1");
        manifest += &format!(
            "\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n"
        );
    }
    let path = root().join("fuzz/Cargo.toml");
    if update {
        std::fs::write(&path, &manifest).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), manifest, "run with UPDATE_FUZZ=1");
    for entry in std::fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(bodies.iter().any(|(name, ..)| *name == stem), "{stem} has no body any more");
    }
}
