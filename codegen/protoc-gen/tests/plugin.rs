//! The plugin, run as protoc runs it: by a request that protox makes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::compiler::{CodeGeneratorRequest, CodeGeneratorResponse};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/tests/golden");

fn files(case: &str, proto: &str) -> FileDescriptorSet {
    let dir = Path::new(GOLDEN).join(case);
    let mut compiler = protox::Compiler::new([&dir]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_file(dir.join(proto)).unwrap();
    compiler.file_descriptor_set()
}

fn request(case: &str, proto: &str, parameter: &str) -> CodeGeneratorRequest {
    CodeGeneratorRequest {
        file_to_generate: vec![proto.to_owned()],
        parameter: Some(parameter.to_owned()),
        proto_file: files(case, proto).file,
        ..CodeGeneratorRequest::default()
    }
}

/// Through the program's standard input and output.
fn run(request: &CodeGeneratorRequest) -> CodeGeneratorResponse {
    let mut plugin = Command::new(env!("CARGO_BIN_EXE_protoc-gen-antiphon"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    plugin.stdin.take().unwrap().write_all(&request.encode_to_vec()).unwrap();
    let output = plugin.wait_with_output().unwrap();
    assert!(output.status.success());
    CodeGeneratorResponse::decode(&*output.stdout).unwrap()
}

#[test]
fn it_writes_what_a_build_script_writes() {
    // As the golden test of the build script's options, by the plugin's parameter.
    let parameter = r"runtime_path=antiphon_smol,server=false,blocking=false,bytes=.feed.v1.Event.payload,btree_map=.,type_attribute=.feed.v1.Event=#[derive(MyType)],message_attribute=.feed.v1.Event=#[my_message],enum_attribute=.feed.v1.Event.Kind=#[my_enum],field_attribute=.feed.v1.Event.id=#[my_field]";
    let response = run(&request("feed", "feed.proto", parameter));
    assert_eq!(response.error, None);
    // FEATURE_PROTO3_OPTIONAL, and not FEATURE_SUPPORTS_EDITIONS.
    assert_eq!(response.supported_features, Some(1));
    let [file] = &*response.file else { panic!("{} files", response.file.len()) };
    assert_eq!(file.name(), "feed.v1.rs");
    let golden = std::fs::read_to_string(Path::new(GOLDEN).join("feed/options/feed.v1.rs")).unwrap();
    // But for one option that only a build script has.
    assert_eq!(
        file.content(),
        golden.replace("#[prost(skip_debug)]\npub struct ChatMessage", "pub struct ChatMessage")
    );
}

#[test]
fn only_what_is_asked_for_is_written() {
    let response = run(&request("packages", "app/app.proto", ""));
    let names: Vec<_> = response.file.iter().map(|file| file.name()).collect();
    assert_eq!(names, ["app.type.rs"]);
    let code = response.file[0].content();
    assert!(code.contains("super::super::common::v1::Item") && code.contains("SCHEMA"));

    let mut both = request("packages", "app/app.proto", "include_file=mod.rs");
    both.file_to_generate.push("common/v1/common.proto".to_owned());
    let response = run(&both);
    let names: Vec<_> = response.file.iter().map(|file| file.name()).collect();
    assert_eq!(names, ["app.type.rs", "common.v1.rs", "mod.rs"]);
}

#[test]
fn mistakes_are_told_in_the_response() {
    let mut editions = request("feed", "feed.proto", "");
    editions.proto_file.last_mut().unwrap().syntax = Some("editions".to_owned());
    let response = run(&editions);
    assert!(response.file.is_empty());
    let error = response.error();
    assert!(
        error.starts_with("feed.proto:1:") && error.contains("editions") && error.contains("proto3"),
        "{error}"
    );

    let response = run(&request("feed", "feed.proto", "sever=false"));
    assert!(response.error().contains("\"sever=false\" is not known"), "{}", response.error());

    let mut missing = request("feed", "feed.proto", "");
    missing.file_to_generate.push("gone.proto".to_owned());
    assert!(run(&missing).error().contains("gone.proto"));

    assert!(protoc_gen_antiphon::respond(b"\xff").is_err());
    assert_eq!(run(&CodeGeneratorRequest::default()).error, None);
}

/// A request without source code info, as some tools make it, and with half of it.
#[test]
fn source_code_info_may_lack() {
    let mut request = request("docs", "docs.proto", "");
    request.proto_file.last_mut().unwrap().source_code_info.as_mut().unwrap().location.truncate(3);
    assert!(run(&request).file[0].content().contains("/// The service `docs.v1.Things`."));
    request.proto_file.last_mut().unwrap().source_code_info = None;
    assert!(run(&request).file[0].content().contains("/// The service `docs.v1.Things`."));
}
