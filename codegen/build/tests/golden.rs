//! The generated code, compared with files that were read by a person. `ANTIPHON_UPDATE_GOLDEN=1` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use antiphon_build::{Config, Error};
use prost::Message;
use prost_types::FileDescriptorSet;

fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case)
}

fn scratch(case: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden").join(case);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

/// Generates the code of a case and compares it with `expected/`.
fn compare(case: &str, name: &str, protos: &[&str], config: Config) -> PathBuf {
    let (dir, out) = (golden(case), scratch(&format!("{case}-{name}")));
    let protos: Vec<_> = protos.iter().map(|proto| dir.join(proto)).collect();
    config.out_dir(&out).compile(&protos, &[&dir]).unwrap();

    let expected = dir.join(name);
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|it| it == "rs");
    let names = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir)
            .map(|entries| entries.map(|entry| entry.unwrap().path()).filter(is_rust))
            .into_iter()
            .flatten()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    if std::env::var_os("ANTIPHON_UPDATE_GOLDEN").is_some() {
        let _ = fs::remove_dir_all(&expected);
        fs::create_dir_all(&expected).unwrap();
        for file in names(&out) {
            fs::copy(out.join(&file), expected.join(&file)).unwrap();
        }
    }
    assert_eq!(names(&expected), names(&out));
    for file in names(&out) {
        let (want, got) =
            (fs::read_to_string(expected.join(&file)).unwrap(), fs::read_to_string(out.join(&file)).unwrap());
        let differs = want.lines().zip(got.lines()).position(|(want, got)| want != got);
        assert!(
            want == got,
            "{case}/{name}/{} differs from line {:?}",
            Path::new(&file).display(),
            differs.map(|line| line + 1)
        );
    }
    out
}

#[test]
fn a_service_of_all_shapes() {
    let out = compare("feed", "expected", &["feed.proto"], Config::new());
    let set = FileDescriptorSet::decode(&*fs::read(out.join("feed.v1.bin")).unwrap()).unwrap();
    let names: Vec<_> = set.file.iter().map(|file| file.name().to_owned()).collect();
    assert_eq!(names, ["google/protobuf/empty.proto", "google/protobuf/timestamp.proto", "feed.proto"]);
}

#[test]
fn options_change_what_is_generated() {
    let config = Config::new()
        .runtime_path("antiphon_smol")
        .server(false)
        .blocking(false)
        .include_file(None)
        .embed_schema(true)
        .bytes([".feed.v1.Event.payload"])
        .btree_map(["."])
        .type_attribute(".feed.v1.Event", "#[derive(MyType)]")
        .message_attribute(".feed.v1.Event", "#[my_message]")
        .enum_attribute(".feed.v1.Event.Kind", "#[my_enum]")
        .field_attribute(".feed.v1.Event.id", "#[my_field]")
        .prost(|prost| {
            prost.skip_debug([".feed.v1.ChatMessage"]);
        });
    let out = compare("feed", "options", &["feed.proto"], config);
    assert!(!out.join("feed.v1.bin").exists());
    let config = Config::new().client(false).blocking_feature("threads").include_file("tree.rs");
    compare("feed", "server", &["feed.proto"], config);
}

#[test]
fn names_that_are_taken() {
    compare("names", "expected", &["names.proto"], Config::new());
}

#[test]
fn comments_are_safe_for_rustdoc() {
    compare("docs", "expected", &["docs.proto"], Config::new());
}

#[test]
fn proto2_with_extensions() {
    let out = compare("proto2", "expected", &["old.proto"], Config::new());
    // The custom option is there for reflection, which prost-types alone would have lost.
    let bytes = fs::read(out.join("old.bin")).unwrap();
    assert!(bytes.windows(7).any(|it| it == [0x8a, 0xb5, 0x18, 4, b'r', b'e', b'a']), "scope = \"read\"");
}

#[test]
fn packages_that_use_each_other() {
    let out = compare("packages", "expected", &["app/app.proto"], Config::new());
    let set = FileDescriptorSet::decode(&*fs::read(out.join("common.v1.bin")).unwrap()).unwrap();
    assert_eq!(set.file.len(), 1);
    let config = Config::new().extern_path(".common.v1", "::common::v1");
    compare("packages", "elsewhere", &["app/app.proto"], config);
}

fn error(case: &str, text: &str, config: Config) -> Error {
    let dir = scratch(case);
    let proto = dir.join("it.proto");
    fs::write(&proto, text).unwrap();
    config.out_dir(dir.join("out")).compile(&[proto], &[dir]).unwrap_err()
}

/// The error says file and line, what is wrong, and what to do.
#[track_caller]
fn assert_says(error: &Error, line: Option<usize>, message: &str, advice: &str) {
    let text = error.to_string();
    assert_eq!(error.line(), line, "{text}");
    assert!(error.message().contains(message), "{text}");
    assert!(error.advice().unwrap_or_default().contains(advice), "{text}");
    assert!(error.file().is_some_and(|file| file.is_absolute()), "{text}");
}

#[test]
fn editions_are_refused_with_their_line() {
    let text = "// Written in\nedition = \"2023\";\npackage a;\n";
    let error = error("editions", text, Config::new());
    assert_says(&error, Some(2), "edition 2023", "syntax = \"proto3\";");
    assert!(error.file().unwrap().ends_with("editions/it.proto"));
}

#[test]
fn imported_editions_are_refused_too() {
    let dir = scratch("imported");
    fs::write(dir.join("top.proto"), "syntax = \"proto3\";\nimport \"sub/low.proto\";").unwrap();
    fs::create_dir(dir.join("sub")).unwrap();
    fs::write(dir.join("sub/low.proto"), "\n\nedition = '2024';").unwrap();
    let out = dir.join("out");
    let error = Config::new().out_dir(out).compile(&[dir.join("top.proto")], &[dir]).unwrap_err();
    assert_says(&error, Some(3), "edition 2024", "features");
    assert!(error.file().unwrap().ends_with("imported/sub/low.proto"));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let parse = error("parse", "syntax = \"proto3\";\n\nmessage M { string = 1; }", Config::new());
    assert_says(&parse, Some(3), "expected", "");
    let import = error("import", "syntax = \"proto3\";\nimport \"gone.proto\";", Config::new());
    assert_says(&import, Some(2), "'gone.proto' not found", "include director");
    let unknown = error("unknown", "syntax = \"proto3\";\nmessage M {\n  Gone gone = 1;\n}", Config::new());
    assert_says(&unknown, Some(3), "'Gone' is not defined", "import the file");
    let text = "syntax = \"proto3\";\nmessage M { google.protobuf.Timestamp at = 1; }";
    let known = error("known", text, Config::new());
    assert_says(&known, Some(2), "is not defined", "\"google/protobuf/timestamp.proto\"");
    let mark = error("mark", "\u{feff}syntax = \"proto3\";", Config::new());
    assert_says(&mark, Some(1), "byte order mark", "without one");
    let cycle = error("cycle", "syntax = \"proto3\";\nimport \"it.proto\";", Config::new());
    assert_says(&cycle, None, "cycle", "");
    let syntax = error("syntax", "syntax = \"proto4\";", Config::new());
    assert_says(&syntax, Some(1), "proto4", "proto3");
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let dir = scratch("unreadable");
    let compile =
        |file: &str| Config::new().out_dir(dir.join("out")).compile(&[dir.join(file)], &[&dir]).unwrap_err();
    assert_says(&compile("gone.proto"), None, "cannot read the file", "Cargo.toml");
    fs::write(dir.join("latin.proto"), b"// caf\xe9\n").unwrap();
    assert_says(&compile("latin.proto"), None, "utf-8", "");

    let outside = scratch("outside").join("it.proto");
    fs::write(&outside, "syntax = \"proto3\";").unwrap();
    let error = Config::new().out_dir(dir.join("out")).compile(&[outside], &[&dir]).unwrap_err();
    assert_says(&error, None, "not in any include path", "add the directory");

    let error = Config::new().out_dir(dir.join("out")).compile(&["it.proto"], &["gone"]).unwrap_err();
    assert!(error.message().contains("include directory gone"), "{error}");
}

#[test]
fn clashes_are_told_before_the_compiler_meets_them() {
    let types = "syntax = \"proto3\";\npackage p;\nmessage Foo_Bar {}\nmessage FooBar {}";
    assert_says(&error("types", types, Config::new()), Some(4), "p.Foo_Bar and p.FooBar", "rename");
    let values = "syntax = \"proto3\";\nenum Kind {\n  KIND_A = 0;\n  A = 1;\n}";
    assert_says(&error("values", values, Config::new()), Some(4), "Kind.KIND_A and Kind.A", "rename");
    let nested = "syntax = \"proto3\";\nmessage M {\n  message a_b {}\n  enum aB { X = 0; }\n}";
    assert_says(&error("nested", nested, Config::new()), Some(4), "\"AB\"", "rename");
    let field = "syntax = \"proto3\";\nmessage M {\n  string kind = 1;\n  oneof Kind { int32 a = 2; }\n}";
    assert_says(&error("field", field, Config::new()), Some(4), "M.kind and M.Kind", "rename");
    let oneofs =
        "syntax = \"proto3\";\nmessage M {\n  oneof a_b { int32 x = 1; }\n  oneof aB { int32 y = 2; }\n}";
    assert_says(&error("oneofs", oneofs, Config::new()), Some(4), "M.a_b and M.aB", "rename");
    let variants =
        "syntax = \"proto2\";\nmessage M {\n  oneof x {\n    int32 A_B = 1;\n    int32 aB = 2;\n  }\n}";
    assert_says(&error("variants", variants, Config::new()), Some(5), "M.A_B and M.aB", "rename");
}

#[test]
fn names_that_rust_has_no_name_for_are_told() {
    for (case, text, line) in [
        ("message", "message _ {}", 2),
        ("field", "message M {\n  int32 __ = 1;\n}", 3),
        ("service", "message M {}\nservice _ {}", 3),
        ("method", "message M {}\nservice S {\n  rpc _(M) returns (M);\n}", 4),
        ("value", "enum E {\n  _ = 0;\n}", 3),
        ("oneof", "message M {\n  oneof _ { int32 a = 1; }\n}", 3),
    ] {
        let error =
            error(&format!("unnamed-{case}"), &format!("syntax = \"proto3\";\n{text}\n"), Config::new());
        assert_says(&error, Some(line), "without a letter or digit", "rename");
    }
}

#[test]
fn options_that_lead_to_no_rust_are_told() {
    let text = "syntax = \"proto3\";\nmessage M {}";
    let attribute = error("attribute", text, Config::new().type_attribute(".", "#[derive("));
    assert!(attribute.message().contains("no Rust"), "{attribute}");
    let path = error("path", text, Config::new().extern_path("no.dot", "::x"));
    assert!(path.message().contains("no.dot") && path.advice().unwrap().contains("dot"), "{path}");
    let runtime = error("runtime", text, Config::new().runtime_path("not a path"));
    assert!(runtime.message().contains("not a path"), "{runtime}");
    let package = "syntax = \"proto3\";\npackage tree;\nmessage M {}";
    let include = error("include", package, Config::new().include_file("tree.rs"));
    assert!(include.advice().unwrap().contains("include_file"), "{include}");
}

#[test]
fn a_descriptor_set_that_no_compiler_made_is_an_error() {
    use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
    let generate = |file: FileDescriptorProto| {
        let set = FileDescriptorSet { file: vec![file] };
        Config::new().generate(&set.encode_to_vec(), None)
    };
    let field = FieldDescriptorProto {
        name: Some("x".into()),
        r#type: Some(11),
        type_name: Some(".gone.X".into()),
        ..Default::default()
    };
    let message = DescriptorProto { name: Some("M".into()), field: vec![field], ..Default::default() };
    let file = FileDescriptorProto {
        name: Some("a.proto".into()),
        message_type: vec![message],
        ..Default::default()
    };
    let error = generate(file).unwrap_err();
    assert!(error.message().contains("prost-build panicked"), "{error}");

    // The name of a file stands in a comment, and stays in it.
    let strange = FileDescriptorProto { name: Some("a\n*/ fn b() {}\r.proto".into()), ..Default::default() };
    for file in generate(strange).unwrap() {
        let text = String::from_utf8_lossy(&file.content).into_owned();
        assert!(!text.lines().any(|line| line.contains("fn b") && !line.starts_with("//")), "{text}");
    }

    let file = FileDescriptorProto {
        dependency: vec!["gone.proto".into()],
        message_type: vec![DescriptorProto { name: Some("M".into()), ..Default::default() }],
        ..Default::default()
    };
    assert!(generate(file).unwrap_err().message().contains("gone.proto"));
    assert!(Config::new().generate(b"\xff", None).is_err());
    let error = Config::new().generate(b"", Some(&["a.proto".to_owned()])).unwrap_err();
    assert!(error.message().contains("a.proto"), "{error}");
}
