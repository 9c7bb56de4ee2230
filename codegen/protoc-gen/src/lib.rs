//! The plugin of protoc and buf: from the request that it reads to the response that it writes.
//!
//! The generator is [`antiphon_build`]'s, and so are its options: see [`respond`].
#![forbid(unsafe_code)]

use antiphon_build::{Config, Error, GeneratedFile};
use prost::Message;
use prost_types::compiler::{CodeGeneratorResponse, code_generator_response};

mod options;

/// `CodeGeneratorRequest`, with the files as they came: prost-types would lose their custom options.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "1")]
    file_to_generate: Vec<String>,
    #[prost(string, tag = "2")]
    parameter: String,
    #[prost(bytes = "vec", repeated, tag = "15")]
    proto_file: Vec<Vec<u8>>,
}

/// `FileDescriptorSet`.
#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// Answers an encoded `CodeGeneratorRequest` with an encoded `CodeGeneratorResponse`. What is wrong with the .proto
/// files or the options is said in the response, as protoc wants it.
///
/// The parameter is a list of options, parted by commas; `\,` is a comma within a value:
///
/// | option | as in `antiphon_build::Config` |
/// |---|---|
/// | `runtime_path=antiphon_smol` | [`runtime_path`](Config::runtime_path) |
/// | `server=false`, `client=false`, `blocking=false` | [`server`](Config::server), [`client`](Config::client), [`blocking`](Config::blocking) |
/// | `blocking_feature=threads` | [`blocking_feature`](Config::blocking_feature) |
/// | `bytes=.feed.v1.Event.payload`, `btree_map=.` | [`bytes`](Config::bytes), [`btree_map`](Config::btree_map) |
/// | `extern_path=.common.v1=::common::v1` | [`extern_path`](Config::extern_path) |
/// | `type_attribute=.feed.v1.Event=#[derive(Eq)]`, and `message_`, `enum_`, `field_attribute` | [`type_attribute`](Config::type_attribute), … |
/// | `include_file=mod.rs` | [`include_file`](Config::include_file); here there is none unless it is asked for, since buf runs a plugin once for each directory |
///
/// # Errors
/// When the bytes are no request, which is protoc's own mistake.
pub fn respond(request: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    let request = Request::decode(request)?;
    let mut response = CodeGeneratorResponse {
        supported_features: Some(code_generator_response::Feature::Proto3Optional as u64),
        ..CodeGeneratorResponse::default()
    };
    match generate(request) {
        Ok(files) => response.file = files,
        Err(error) => response.error = Some(error),
    }
    Ok(response.encode_to_vec())
}

fn generate(request: Request) -> Result<Vec<code_generator_response::File>, String> {
    let config = options::parse(Config::new().include_file(None).embed_schema(true), &request.parameter)?;
    let set = Set { file: request.proto_file }.encode_to_vec();
    let files =
        config.generate(&set, Some(&request.file_to_generate)).map_err(|error: Error| error.to_string())?;
    let file = |file: GeneratedFile| {
        let content = String::from_utf8(file.content).map_err(|_| format!("{} is no text", file.name))?;
        Ok(code_generator_response::File {
            name: Some(file.name),
            content: Some(content),
            ..Default::default()
        })
    };
    files.into_iter().map(file).collect()
}
